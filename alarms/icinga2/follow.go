package icinga2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
	source "gameday/sources/icinga2"
)

// follower makes observations of what the stream tells.
type follower struct {
	source    *Source
	selection source.Selection
	emit      func(alarms.Observation)
	held      map[string]*held // by host or service
	snap      *source.Snapshot
}

var _ source.Handler = (*follower)(nil)

// held is an alarm that is not quiet.
type held struct {
	key    string
	labels map[string]string
	state  alarms.State
	why    string // of a suppression
	paged  bool
	since  time.Time // when it began, by the server's clock
}

// Begin enters what stands. After a break, what ended or began in it did so at a time that is known to within the break.
func (f *follower) Begin(s *source.Snapshot, gap clock.Span) {
	f.snap = s
	for _, name := range slices.Sorted(maps.Keys(s.Checkables)) {
		c := s.Checkables[name]
		well := s.Ours(c.Well)
		since := s.Ours(c.Since)
		if c.Well.IsZero() {
			well = since
		}
		begun := clock.Between(well.Lo, since.Hi)
		h := f.held[name]
		if h != nil {
			if begun.Lo.Before(gap.Start) {
				begun.Lo = gap.Start
			}
			key, _ := f.selection.Alarm(c, c.State)
			if again := c.Well.After(h.since); !c.Problem() || key != h.key || again {
				over := clock.Between(gap.Start, since.Hi)
				if c.Problem() && again {
					over = clock.Between(gap.Start, well.Hi)
				}
				f.end(name, over)
			}
		} else if !gap.Start.IsZero() && begun.Lo.Before(gap.Start) {
			begun.Lo = gap.Start
		}
		if !c.Problem() {
			continue
		}
		if f.held[name] == nil {
			f.enter(c, alarms.StatePending, begun)
		}
		if c.Hard {
			f.enter(c, alarms.StateFiring, clock.Between(begun.Lo, s.Ours(c.HardSince).Hi))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.held)) {
		if s.Checkables[name] == nil { // it was removed in the break
			f.end(name, clock.Between(gap.Start, gap.End))
		}
	}
}

// Event enters what an event tells.
func (f *follower) Event(_ context.Context, e source.Event, now *source.Checkable) {
	h := f.held[now.Name]
	switch e.Type {
	case source.StateChange:
		if h != nil {
			if key, _ := f.selection.Alarm(now, now.State); !now.Problem() || key != h.key {
				f.end(now.Name, e.At)
			}
		}
		switch {
		case !now.Problem():
		case now.Hard:
			f.enter(now, alarms.StateFiring, e.At)
		default:
			f.enter(now, alarms.StatePending, e.At)
		}
	case source.NotificationSent:
		if h != nil && h.state != alarms.StatePending && e.Notification == "PROBLEM" && len(e.Users) > 0 {
			h.paged = true
			f.emit(alarms.Observation{At: e.At, Key: h.key, Labels: h.labels, State: alarms.StatePaged,
				Why: fmt.Sprintf("handed to the command %s for %d users", e.Command, len(e.Users))})
		}
	case source.AcknowledgementSet, source.AcknowledgementCleared, source.DowntimeStarted, source.DowntimeTriggered, source.Flapping:
		f.suppress(now, e.At)
	}
}

// Look enters what no event tells: that a downtime is over.
func (f *follower) Look(now map[string]*source.Checkable, at clock.Interval) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		c := f.snap.Checkables[name]
		c.Downtime, c.Flapping, c.Unreachable = now[name].Downtime, now[name].Flapping, now[name].Unreachable
		f.suppress(c, at)
	}
}

// Health enters how the server does.
func (f *follower) Health(h source.Health, why string, at clock.Interval) {
	f.emit(alarms.Observation{At: at, State: map[source.Health]alarms.State{source.Reachable: alarms.StateReachable,
		source.Unreachable: alarms.StateUnreachable, source.Broken: alarms.StateBroken}[h], Why: why})
}

// enter brings an alarm to pending or firing, or to suppressed when it would tell nobody.
func (f *follower) enter(c *source.Checkable, to alarms.State, at clock.Interval) {
	key, labels := f.selection.Alarm(c, c.State)
	if !f.source.wanted(labels) {
		return
	}
	h := f.held[c.Name]
	if h == nil {
		h = &held{key: key, labels: labels, since: c.Since}
		f.held[c.Name] = h
	}
	why := ""
	if to == alarms.StateFiring {
		if why = suppression(c, h.paged); why != "" {
			to = alarms.StateSuppressed
		}
	}
	was := h.state
	if was == to && h.why == why || to == alarms.StatePending && was != "" {
		return
	}
	h.state, h.why = to, why
	if to != alarms.StatePending && (was == "" || was == alarms.StatePending) {
		f.source.note(key, c)
	}
	f.emit(alarms.Observation{At: at, Key: key, Labels: labels, State: to, Why: why})
}

// suppress enters that a firing alarm is suppressed now, or not any more.
func (f *follower) suppress(c *source.Checkable, at clock.Interval) {
	if h := f.held[c.Name]; h != nil && (h.state == alarms.StateFiring || h.state == alarms.StateSuppressed) {
		f.enter(c, alarms.StateFiring, at)
	}
}

// suppression words why nobody is told of a problem; the empty string when somebody is. An acknowledgement after the page is an
// answer to it, and holds nothing back.
func suppression(c *source.Checkable, paged bool) string {
	var why []string
	for _, s := range []struct {
		is   bool
		word string
	}{{c.Downtime, "a downtime"}, {c.Acknowledged && !paged, "an acknowledgement"}, {c.Flapping, "flapping"}, {c.Unreachable, "a dependency that is down"}} {
		if s.is {
			why = append(why, s.word)
		}
	}
	return strings.Join(why, ", ")
}

// end ends an alarm.
func (f *follower) end(name string, at clock.Interval) {
	h := f.held[name]
	delete(f.held, name)
	f.emit(alarms.Observation{At: at, Key: h.key, Labels: h.labels, State: alarms.StateInactive})
}

// note keeps what an alarm says, for its episodes.
func (s *Source) note(key string, c *source.Checkable) {
	notes := maps.Clone(c.Notes)
	if c.Output != "" {
		notes["summary"] = c.Output
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[key] = notes
}
