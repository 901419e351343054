package icinga2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
	source "gameday/sources/icinga2"
)

// Grades of evidence. Icinga is the system of record for what it sent. The author of an acknowledgement is whatever its sender
// wrote; that he is one of Icinga's users is as good as it gets.
const (
	gradeOwn     = "A"
	gradeUser    = "A"
	gradeForeign = "B"
)

// The server itself acts, too.
var (
	theServer = responders.Actor{ID: "icinga2", Kind: responders.Integration}
	thePolicy = responders.Actor{ID: "icinga2", Kind: responders.Timeout}
)

// follower makes events of what the stream tells.
type follower struct {
	source    *Source
	selection source.Selection
	emit      func(responders.Event)
	open      map[string]*open // by host or service
	snap      *source.Snapshot
}

var _ source.Handler = (*follower)(nil)

// open is a page: a hard problem that stands.
type open struct {
	key, id string
	labels  map[string]string
	events  int
	acked   bool
	level   int // the highest that was told
	begun   clock.Interval
	// since is when it began, and heard when somebody was told last of whom an event spoke; by the server's clock.
	since, heard time.Time
}

// record tells of something that happened to a page.
func (f *follower) record(o *open, e responders.Event) {
	e.Source, e.ID, e.Page, e.Labels = f.source.name, o.number(), o.id, maps.Clone(o.labels)
	if e.Grade == "" {
		e.Grade = gradeOwn
	}
	if e.Kind == responders.Acknowledged || e.Kind == responders.Noted {
		e.Text = page.Names{}.Clean(e.Text) // somebody wrote it
	}
	if f.source.keep(e) {
		f.emit(e)
	}
}

// person says who an author is, and how good the evidence is.
func (f *follower) person(author string) (responders.Actor, string) {
	switch {
	case author == "":
		return responders.Actor{Kind: responders.UnknownKind}, gradeForeign
	case slices.Contains(f.source.config.Automation, author):
		return responders.Actor{ID: author, Kind: responders.Bot}, gradeOwn
	case f.snap.Users[author]:
		return responders.Actor{ID: author, Kind: responders.Human}, gradeUser
	}
	return responders.Actor{ID: author, Kind: responders.Human}, gradeForeign
}

// Begin enters what stands. After a break, what happened in it did so at a time that is known to within the break.
func (f *follower) Begin(s *source.Snapshot, gap clock.Span) {
	f.snap = s
	for _, name := range slices.Sorted(maps.Keys(s.Checkables)) {
		c := s.Checkables[name]
		key, _ := f.selection.Alarm(c, c.State)
		o := f.open[name]
		since := s.Ours(c.HardSince)
		if o != nil && (!c.Problem() || o.key != key || c.Well.After(o.since)) {
			f.resolve(name, clock.Between(gap.Start, later(since.Hi, gap.Start)), "recovered while the stream was not there")
			o = nil
		}
		if !c.Problem() || !c.Hard {
			continue
		}
		if o == nil {
			if !gap.Start.IsZero() && since.Lo.Before(gap.Start) {
				since.Lo = gap.Start
			}
			if since.Hi.Before(since.Lo) {
				since.Hi = since.Lo
			}
			o = f.begin(c, since)
		}
		f.standing(o, c, gap)
	}
	for _, name := range slices.Sorted(maps.Keys(f.open)) {
		if s.Checkables[name] == nil {
			f.resolve(name, clock.Between(gap.Start, gap.End), "it was removed")
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// standing enters what was done about a page that stands and of which no event told.
func (f *follower) standing(o *open, c *source.Checkable, gap clock.Span) {
	for _, n := range f.snap.Notifications[c.Name] {
		at := f.snap.Ours(n.Last)
		if len(n.Told) == 0 || !n.Last.After(o.heard) || at.Hi.Before(o.begun.Lo) {
			continue
		}
		at.Lo = later(o.begun.Lo, gap.Start) // it is the last time that is kept, and there may have been others
		if at.Hi.Before(at.Lo) {
			at.Hi = at.Lo
		}
		f.told(o, at, n.Level, n.Told, n.Command)
	}
	if !c.Acknowledged || o.acked {
		if !c.Acknowledged && o.acked {
			o.acked = false
			f.record(o, responders.Event{Kind: responders.Unacknowledged, At: clock.Between(gap.Start, gap.End), Actor: responders.Actor{Kind: responders.UnknownKind}})
		}
		return
	}
	o.acked = true
	e := responders.Event{Kind: responders.Acknowledged, At: f.snap.Ours(c.AcknowledgedAt), Actor: responders.Actor{Kind: responders.UnknownKind}, Grade: gradeForeign}
	if c.AcknowledgedAt.IsZero() {
		e.At = clock.Between(later(o.begun.Lo, gap.Start), f.snap.Span.End)
	}
	for _, comment := range f.snap.Comments {
		if comment.Acknowledges && comment.Checkable == c.Name {
			e.Actor, e.Grade = f.person(comment.Author)
			e.Text = comment.Text
		}
	}
	f.record(o, e)
}

// Event enters what an event tells.
func (f *follower) Event(ctx context.Context, e source.Event, now *source.Checkable) {
	o := f.open[now.Name]
	if e.Type == source.StateChange {
		f.change(e, now)
		return
	}
	if o == nil {
		return // nobody is paged about it
	}
	switch e.Type {
	case source.NotificationSent:
		if e.Notification == "PROBLEM" && len(e.Users) > 0 {
			o.heard = e.Stamp
			f.told(o, e.At, f.level(ctx, e), e.Users, e.Command)
		}
	case source.AcknowledgementSet:
		if !o.acked {
			o.acked = true
			who, grade := f.person(e.Author)
			f.record(o, responders.Event{Kind: responders.Acknowledged, At: e.At, Actor: who, Grade: grade, Text: e.Text})
		}
	case source.AcknowledgementCleared:
		if o.acked && e.State != 0 { // at recovery it is cleared as well, which takes nothing back
			f.record(o, responders.Event{Kind: responders.Unacknowledged, At: e.At, Actor: responders.Actor{Kind: responders.UnknownKind}})
		}
		o.acked = false
	case source.CommentAdded:
		if !e.Acknowledges {
			f.note(o, e, e.Text)
		}
	case source.DowntimeStarted:
		f.note(o, e, "downtime: "+e.Text)
	}
}

func (f *follower) note(o *open, e source.Event, text string) {
	who, grade := f.person(e.Author)
	f.record(o, responders.Event{Kind: responders.Noted, At: e.At, Actor: who, Grade: grade, Text: text})
}

// change enters a change of state: a hard problem is a page, and its end resolves it.
func (f *follower) change(e source.Event, now *source.Checkable) {
	key, _ := f.selection.Alarm(now, now.State)
	if o := f.open[now.Name]; o != nil && (!now.Problem() || key != o.key) {
		f.resolve(now.Name, e.At, "")
	}
	if now.Problem() && now.Hard && f.open[now.Name] == nil {
		f.begin(now, e.At)
	}
}

// begin opens a page.
func (f *follower) begin(c *source.Checkable, at clock.Interval) *open {
	key, labels := f.selection.Alarm(c, c.State)
	o := &open{key: key, id: pageID(key, c.HardSince), labels: labels, begun: at, since: c.HardSince}
	f.open[c.Name] = o
	f.record(o, responders.Event{Kind: responders.Opened, At: at, Actor: theServer, Text: c.StateName(c.State) + ": " + c.Output})
	return o
}

// resolve closes a page.
func (f *follower) resolve(name string, at clock.Interval, text string) {
	o := f.open[name]
	delete(f.open, name)
	f.record(o, responders.Event{Kind: responders.Resolved, At: at, Actor: theServer, Text: text})
}

// told enters that people were told. That their level was told for the first time, and is not the first, is an escalation.
func (f *follower) told(o *open, at clock.Interval, level int, people []string, command string) {
	if level > 1 && level > o.level {
		f.record(o, responders.Event{Kind: responders.Escalated, At: at, Actor: thePolicy, Level: level, Text: "not acknowledged by then"})
	}
	o.level = max(o.level, level)
	f.record(o, responders.Event{Kind: responders.Notified, At: at, Actor: theServer, Level: level, Targets: slices.Clone(people), Delivered: "unknown",
		Text: "handed to the command " + command})
}

// level finds out which notification an event is of, for it does not say: by the people and the command, and where that leaves several
// levels, by which of them was sent last.
func (f *follower) level(ctx context.Context, e source.Event) int {
	fit := func(n *source.Notification) bool {
		return n.Problems && n.Command == e.Command && !slices.ContainsFunc(e.Users, func(u string) bool { return !slices.Contains(n.Users, u) })
	}
	levels := map[int]bool{}
	for _, n := range f.snap.Notifications[e.Checkable] {
		if fit(n) {
			levels[n.Level] = true
		}
	}
	if len(levels) == 1 {
		for l := range levels {
			return l
		}
	}
	level, err := f.source.client.LevelOf(ctx, f.snap.Notifications[e.Checkable], e)
	if err != nil {
		f.source.blur(e.At, fmt.Sprintf("somebody was told of %s, and at which level could not be found out: %v", e.Checkable, err))
	}
	return level
}

// Look has nothing to enter: what people do is told by events alone.
func (f *follower) Look(map[string]*source.Checkable, clock.Interval) {}

// Health has nothing to enter: the coverage tells.
func (f *follower) Health(source.Health, string, clock.Interval) {}
