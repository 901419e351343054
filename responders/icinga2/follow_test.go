package icinga2

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
	source "gameday/sources/icinga2"
)

var zero = time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)

func at(sec float64) time.Time { return zero.Add(time.Duration(sec * float64(time.Second))) }

type story struct {
	*follower
	c     *source.Checkable
	rules []*source.Notification
	seen  []responders.Event
}

func newStory(t *testing.T, automation ...string) *story {
	s, err := New("icinga2.ops", Config{URL: "https://127.0.0.1:1", Username: "gameday", Pages: "dry", Automation: automation})
	if err != nil {
		t.Fatal(err)
	}
	st := &story{rules: []*source.Notification{
		{Name: "a", Command: "mail", Users: []string{"ann"}, Level: 1, Problems: true},
		{Name: "b", Command: "mail", Users: []string{"bob", "cleo"}, Level: 2, Problems: true},
	}}
	st.follower = &follower{source: s, selection: source.Select(), open: map[string]*open{}, emit: func(e responders.Event) { st.seen = append(st.seen, e) }}
	return st
}

// stands begins the stream: state since when, well until a second before.
func (s *story) stands(state int, since, from, to float64, more func(*source.Checkable, *source.Snapshot)) {
	s.c = &source.Checkable{Name: "payments!checkout", Host: "payments", Service: "checkout", State: state, Hard: true, Since: at(since), HardSince: at(since),
		Well: at(since - 1), Labels: map[string]string{"alertname": "checkout"}}
	gap := clock.Span{}
	if from > 0 {
		gap = clock.Span{Start: at(from), End: at(to)}
	}
	snap := &source.Snapshot{Span: clock.Span{Start: at(to), End: at(to)}, Checkables: map[string]*source.Checkable{s.c.Name: s.c},
		Notifications: map[string][]*source.Notification{s.c.Name: s.rules}, Users: map[string]bool{"ann": true, "bob": true, "cleo": true}}
	if more != nil {
		more(s.c, snap)
	}
	s.Begin(snap, gap)
}

func (s *story) event(t *testing.T, sec float64, e source.Event) {
	e.Checkable, e.Stamp, e.At = s.c.Name, at(sec), clock.At(at(sec))
	if e.Type == source.StateChange {
		s.c.State, s.c.Hard, s.c.Since = e.State, e.Hard, at(sec)
		if e.Hard {
			s.c.HardSince = at(sec)
		}
	}
	s.Event(t.Context(), e, s.c)
}

func (s *story) told() string {
	var out []string
	for _, e := range s.seen {
		text := fmt.Sprintf("%g", e.At.Lo.Sub(zero).Round(time.Millisecond).Seconds())
		if e.At.Hi.Sub(e.At.Lo) > time.Millisecond {
			text += fmt.Sprintf("..%g", e.At.Hi.Sub(zero).Round(time.Millisecond).Seconds())
		}
		text += " " + string(e.Kind)
		if e.Level > 0 {
			text += fmt.Sprintf(" %d", e.Level)
		}
		if len(e.Targets) > 0 {
			text += " to " + strings.Join(e.Targets, ",")
		}
		if e.Actor != theServer && e.Actor != thePolicy {
			text += fmt.Sprintf(" by %s %q %s", e.Actor.Kind, e.Actor.ID, e.Grade)
		}
		if e.Kind == responders.Noted {
			text += " " + e.Text
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

func problem() source.Event  { return source.Event{Type: source.StateChange, State: 2, Hard: true} }
func recovery() source.Event { return source.Event{Type: source.StateChange, State: 0, Hard: true} }
func told(users ...string) source.Event {
	return source.Event{Type: source.NotificationSent, Notification: "PROBLEM", Users: users, Command: "mail"}
}
func ack(by string) source.Event {
	return source.Event{Type: source.AcknowledgementSet, State: 2, Author: by, Text: "on it"}
}

// TestFollow tells stories, and says what becomes of them.
func TestFollow(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(*testing.T, *story)
		want string
	}{
		"two levels, and a person": {func(t *testing.T, s *story) {
			s.stands(0, 1, 0, 2, nil)
			s.event(t, 9, source.Event{Type: source.StateChange, State: 2})
			s.event(t, 10, problem())
			s.event(t, 10.5, told("ann"))
			s.event(t, 20, told("bob", "cleo"))
			s.event(t, 25, told("cleo")) // a reminder is no escalation
			s.event(t, 30, ack("bob"))
			s.event(t, 31, source.Event{Type: source.CommentAdded, Author: "bob", Text: "the cable; ring 956-821-0372, password: hunter22"})
			s.event(t, 31, source.Event{Type: source.CommentAdded, Author: "bob", Text: "on it", Acknowledges: true})
			s.event(t, 39, source.Event{Type: source.AcknowledgementCleared, State: 0})
			s.event(t, 40, recovery())
			s.event(t, 41, source.Event{Type: source.NotificationSent, Notification: "RECOVERY", Users: []string{"ann"}, Command: "mail"})
		}, "10 opened\n10.5 notified 1 to ann\n20 escalated 2\n20 notified 2 to bob,cleo\n25 notified 2 to cleo\n" +
			`30 acknowledged by human "bob" A` + "\n" + `31 noted by human "bob" A the cable; ring [phone], [secret]` + "\n40 resolved"},
		"machines, and names that Icinga does not know": {func(t *testing.T, s *story) {
			s.stands(0, 1, 0, 2, nil)
			s.event(t, 10, problem())
			s.event(t, 11, ack("autoack"))
			s.event(t, 12, source.Event{Type: source.AcknowledgementCleared, State: 2})
			s.event(t, 13, ack("api-user"))
		}, "10 opened\n" + `11 acknowledged by bot "autoack" A` + "\n" + `12 unacknowledged by unknown "" A` + "\n" + `13 acknowledged by human "api-user" B`},
		"nobody was told": {func(t *testing.T, s *story) {
			s.stands(0, 1, 0, 2, nil)
			s.event(t, 10, problem())
			s.event(t, 11, told())
		}, "10 opened"},
		"what stands after a break": {func(t *testing.T, s *story) {
			s.stands(0, 1, 0, 2, nil)
			s.stands(2, 15, 12, 40, func(c *source.Checkable, snap *source.Snapshot) {
				c.Acknowledged, c.AcknowledgedAt = true, at(30)
				s.rules[0].Last, s.rules[0].Told = at(15.1), []string{"ann"}
				s.rules[1].Last, s.rules[1].Told = at(22), []string{"bob"}
				snap.Comments = []source.Comment{{Checkable: c.Name, Author: "bob", Text: "mine", Acknowledges: true}}
			})
		}, "15 opened\n15..15.1 notified 1 to ann\n15..22 escalated 2\n15..22 notified 2 to bob\n" + `30 acknowledged by human "bob" A`},
		"what was heard is not told again": {func(t *testing.T, s *story) {
			s.stands(0, 1, 0, 2, nil)
			s.event(t, 10, problem())
			s.event(t, 10.2, told("ann"))
			s.event(t, 11, ack("ann"))
			s.stands(2, 10, 9, 40, func(c *source.Checkable, _ *source.Snapshot) {
				c.Acknowledged, c.AcknowledgedAt = true, at(11)
				s.rules[0].Last, s.rules[0].Told = at(10.1999), []string{"ann"}
			})
		}, "10 opened\n10.2 notified 1 to ann\n" + `11 acknowledged by human "ann" A`},
		"taken back while nobody saw, then over": {func(t *testing.T, s *story) {
			s.stands(0, 1, 0, 2, nil)
			s.event(t, 10, problem())
			s.event(t, 11, ack("ann"))
			s.stands(2, 10, 12, 20, nil)
			s.stands(0, 25, 22, 30, nil)
		}, "10 opened\n" + `11 acknowledged by human "ann" A` + "\n" + `12..20 unacknowledged by unknown "" A` + "\n22..25 resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, "autoack")
			c.tell(t, s)
			if got := s.told(); got != c.want {
				t.Errorf("told\n%s\nwant\n%s", got, c.want)
			}
			ids := map[string]bool{}
			for _, e := range s.seen {
				if ids[e.ID] || e.Page == "" || e.Labels["alertname"] != "checkout" || e.Source != "icinga2.ops" {
					t.Errorf("%+v", e)
				}
				ids[e.ID] = true
			}
		})
	}
}

// TestUnclear leaves a hole where somebody was told at a level that cannot be found out: it may have been an escalation.
func TestUnclear(t *testing.T) {
	s := newStory(t)
	s.source.client.Close()
	s.rules[1].Users = []string{"ann", "bob"}
	s.stands(0, 1, 0, 2, nil)
	s.event(t, 10, problem())
	ctx := t.Context()
	e := told("ann")
	e.Checkable, e.Stamp, e.At = s.c.Name, at(20), clock.At(at(20))
	s.Event(ctx, e, s.c) // nobody answers at port 1
	if got := s.told(); got != "10 opened\n20 notified to ann" {
		t.Error(got)
	}
	if len(s.source.unclear) != 1 || s.source.unclear[0].Span != (clock.Span{Start: at(19), End: at(21)}) {
		t.Errorf("%+v", s.source.unclear)
	}
}

// TestExpected checks beforehand what is expected: that it is there, that somebody would be told, and that it is quiet.
func TestExpected(t *testing.T) {
	s := newStory(t)
	read := func(change func(*source.Checkable, *source.Checked)) *source.Checked {
		c := &source.Checkable{Name: "payments!checkout", Service: "checkout", Notifies: true, Labels: map[string]string{"alertname": "checkout"}}
		r := &source.Checked{Status: source.Status{Notifications: true, Notifier: true}, Checkables: map[string]*source.Checkable{c.Name: c},
			Notifications: map[string][]*source.Notification{c.Name: s.rules}}
		change(c, r)
		return r
	}
	for name, c := range map[string]struct {
		change func(*source.Checkable, *source.Checked)
		match  string
		blocks bool
		says   string
	}{
		"well":             {func(*source.Checkable, *source.Checked) {}, "checkout", false, "level 1 after 0s: 1 users by a; level 2 after 0s: 2 users by b"},
		"not there":        {func(*source.Checkable, *source.Checked) {}, "nope", true, "could not be told from others"},
		"all are off":      {func(_ *source.Checkable, r *source.Checked) { r.Status.Notifications = false }, "checkout", true, "turned off for all"},
		"its own are off":  {func(c *source.Checkable, _ *source.Checked) { c.Notifies = false }, "checkout", true, "disabled for it"},
		"there is no rule": {func(_ *source.Checkable, r *source.Checked) { clear(r.Notifications) }, "checkout", true, "no Notification object"},
		"it stands":        {func(c *source.Checkable, _ *source.Checked) { c.State = 2 }, "checkout", true, "is CRITICAL, acknowledged or in a downtime already"},
	} {
		found := s.source.pages(read(c.change), map[string]string{"alertname": c.match})
		blocks, said := false, false
		for _, f := range found {
			blocks = blocks || f.Blocks
			said = said || strings.Contains(f.Summary+" "+f.Detail, c.says)
		}
		if blocks != c.blocks || !said {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestPages(t *testing.T) {
	for pages, real := range map[string]bool{"real": true, "dry": false} {
		s, err := New("icinga2.ops", Config{URL: "https://icinga.example:5665", Username: "gameday", Pages: pages})
		if err != nil || s.RealPages() != real {
			t.Errorf("%s: %v, %v", pages, s, err)
		}
	}
	if _, err := New("icinga2.ops", Config{URL: "https://icinga.example:5665", Username: "gameday"}); err == nil || !strings.Contains(err.Error(), "Real pages, or not") {
		t.Errorf("without a word on pages: %v", err)
	}
}
