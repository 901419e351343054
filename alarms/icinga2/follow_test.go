package icinga2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	source "gameday/sources/icinga2"
)

var zero = time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)

func at(sec float64) time.Time { return zero.Add(time.Duration(sec * float64(time.Second))) }

// checkout is a service that was well a second before the state that it has since.
func checkout(state int, hard bool, since float64) *source.Checkable {
	c := &source.Checkable{Name: "payments!checkout", Host: "payments", Service: "checkout", State: state, Hard: hard, Since: at(since), HardSince: at(since),
		Well: at(since - 1), Checked: at(since), Output: "no answer", Notes: map[string]string{"runbook_url": "https://runbooks.example"},
		Labels: map[string]string{"alertname": "checkout", "host": "payments", "service": "checkout", "type": "service"}}
	if state == 0 {
		c.Well = at(since)
	}
	return c
}

// story drives a follower by hand.
type story struct {
	*follower
	c    *source.Checkable
	seen []alarms.Observation
}

func newStory(t *testing.T, match map[string]string) *story {
	s, err := New("icinga2.main", Config{URL: "https://icinga.example:5665", Username: "gameday"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.expected = []alarms.Expectation{{Name: "checkout", Match: match}}
	st := &story{}
	st.follower = &follower{source: s, selection: s.selection(), held: map[string]*held{}, emit: func(o alarms.Observation) {
		s.memory.Add(o)
		st.seen = append(st.seen, o)
	}}
	return st
}

// stands begins the stream, anew after a gap that ends at an instant.
func (s *story) stands(c *source.Checkable, from, to float64) {
	s.c = c
	gap := clock.Span{}
	if from > 0 {
		gap = clock.Span{Start: at(from), End: at(to)}
	}
	all := map[string]*source.Checkable{}
	if c != nil {
		all[c.Name] = c
	}
	s.Begin(&source.Snapshot{Span: clock.Span{Start: at(to), End: at(to)}, Checkables: all}, gap)
}

func (s *story) event(sec float64, typ source.EventType, change func(*source.Event, *source.Checkable)) {
	e := source.Event{Type: typ, Checkable: s.c.Name, Stamp: at(sec), At: clock.At(at(sec))}
	change(&e, s.c)
	s.Event(context.Background(), e, s.c)
}

func (s *story) change(sec float64, state int, hard bool) {
	s.event(sec, source.StateChange, func(_ *source.Event, c *source.Checkable) {
		c.State, c.Hard, c.Since = state, hard, at(sec)
		if hard {
			c.HardSince = at(sec)
		}
	})
}

func (s *story) page(sec float64, users ...string) {
	s.event(sec, source.NotificationSent, func(e *source.Event, _ *source.Checkable) {
		e.Notification, e.Users, e.Command = "PROBLEM", users, "mail"
	})
}

// told writes the observations, a line each.
func (s *story) told() string {
	var out []string
	for _, o := range s.seen {
		text := fmt.Sprintf("%g", o.At.Lo.Sub(zero).Round(time.Millisecond).Seconds())
		if o.At.Hi.Sub(o.At.Lo) > time.Millisecond {
			text += fmt.Sprintf("..%g", o.At.Hi.Sub(zero).Round(time.Millisecond).Seconds())
		}
		text += " " + string(o.State)
		if state := o.Labels["state"]; state != "" {
			text += " " + state
		}
		if o.Why != "" && o.State != alarms.StatePaged {
			text += " by " + o.Why
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

var whole = map[string]string{"host": "payments", "service": "checkout"}

// tale is a story, and what is to become of it.
type tale struct {
	match map[string]string
	tell  func(*story)
	want  string
}

// isTold tells the story, and compares what becomes of it.
func (c tale) isTold(t *testing.T) {
	s := newStory(t, c.match)
	c.tell(s)
	if got := s.told(); got != c.want {
		t.Errorf("told\n%s\nwant\n%s", got, c.want)
	}
}

// TestFollow tells stories of problems that come and go, and says what becomes of them.
func TestFollow(t *testing.T) {
	critical := map[string]string{"host": "payments", "state": "CRITICAL"}
	for name, c := range map[string]tale{
		"soft, hard, paged, well": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, false)
			s.change(11, 2, true)
			s.page(11.5, "ann")
			s.page(20, "bob")
			s.change(30, 0, true)
		}, "10 pending\n11 firing\n11.5 paged\n20 paged\n30 inactive"},
		"soft only": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, false)
			s.change(11, 0, true)
		}, "10 pending\n11 inactive"},
		"nobody to tell": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.page(11)
		}, "10 firing"},
		"from one problem to another is no end": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 1, true)
			s.change(20, 2, true)
			s.change(30, 0, true)
		}, "10 firing\n30 inactive"},
		"but where a state is expected, it alone counts": {critical, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 1, true)
			s.change(20, 2, true)
			s.change(30, 1, true)
			s.change(40, 0, true)
		}, "20 firing CRITICAL\n30 inactive CRITICAL"},
	} {
		t.Run(name, c.isTold)
	}
}

// TestFollowHeldBack tells stories of what holds a page back, and of what does so too late.
func TestFollowHeldBack(t *testing.T) {
	for name, c := range map[string]tale{
		"a downtime holds it back, until it is over": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.c.Downtime = true
			s.change(10, 2, true)
			over := *s.c
			over.Downtime = false
			s.Look(map[string]*source.Checkable{over.Name: &over}, clock.Between(at(18), at(20)))
		}, "10 suppressed by a downtime\n18..20 firing"},
		"an acknowledgement before the page holds it back": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.event(11, source.AcknowledgementSet, func(_ *source.Event, c *source.Checkable) { c.Acknowledged = true })
		}, "10 firing\n11 suppressed by an acknowledgement"},
		"one after it is an answer": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.page(10.5, "ann")
			s.event(11, source.AcknowledgementSet, func(_ *source.Event, c *source.Checkable) { c.Acknowledged = true })
		}, "10 firing\n10.5 paged"},
		"flapping": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.event(11, source.Flapping, func(_ *source.Event, c *source.Checkable) { c.Flapping = true })
			s.event(19, source.Flapping, func(_ *source.Event, c *source.Checkable) { c.Flapping = false })
		}, "10 firing\n11 suppressed by flapping\n19 firing"},
	} {
		t.Run(name, c.isTold)
	}
}

// TestFollowUnseen tells stories of what happened while nobody saw.
func TestFollowUnseen(t *testing.T) {
	for name, c := range map[string]tale{
		"it stood before": {whole, func(s *story) {
			s.stands(checkout(2, true, 5), 0, 9)
		}, "4..5 pending\n4..5 firing"},
		"it began while nobody saw": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.stands(checkout(2, true, 15), 12, 20)
		}, "14..15 pending\n14..15 firing"},
		"it went on while nobody saw": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.stands(checkout(2, true, 10), 9, 20)
		}, "10 firing"},
		"it became firing while nobody saw": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, false)
			c := checkout(2, true, 10)
			c.HardSince = at(14)
			s.stands(c, 12, 20)
		}, "10 pending\n12..14 firing"},
		"it ended while nobody saw": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.stands(checkout(0, true, 15), 12, 20)
		}, "10 firing\n12..15 inactive"},
		"it ended and began anew while nobody saw": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.stands(checkout(2, true, 18), 12, 20)
		}, "10 firing\n12..17 inactive\n17..18 pending\n17..18 firing"},
		"it was removed while nobody saw": {whole, func(s *story) {
			s.stands(checkout(0, true, 1), 0, 2)
			s.change(10, 2, true)
			s.stands(nil, 12, 20)
		}, "10 firing\n12..20 inactive"},
	} {
		t.Run(name, c.isTold)
	}
}

// TestEpisode has the annotations that an alarm fired with.
func TestEpisode(t *testing.T) {
	s := newStory(t, whole)
	s.stands(checkout(0, true, 1), 0, 2)
	s.change(10, 2, true)
	s.page(11, "ann")
	s.change(30, 0, true)
	episodes, c, err := s.source.History(t.Context(), clock.Span{Start: at(0), End: at(60)})
	if err != nil || len(episodes) != 1 {
		t.Fatalf("%v, %v", episodes, err)
	}
	e := episodes[0]
	if e.Notes["runbook_url"] != "https://runbooks.example" || e.Notes["summary"] != "no answer" || e.Key != "payments!checkout" || e.Firing != clock.At(at(10)) ||
		e.Paged != clock.At(at(11)) || e.Ended != clock.At(at(30)) {
		t.Errorf("%+v", e)
	}
	if len(c.Spans) != 0 || !slices.ContainsFunc(c.Why, func(w string) bool { return strings.Contains(w, "nobody was watching") }) {
		t.Errorf("nobody watched, and the coverage is %+v", c)
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "https://icinga.example:5665", Username: "gameday", Password: "hush"}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"good":             {func(*Config) {}, ""},
		"plain":            {func(c *Config) { c.URL = "http://icinga.example:5665" }, "TLS alone"},
		"no user":          {func(c *Config) { c.Username, c.Password = "", "" }, "No API user"},
		"two ways":         {func(c *Config) { c.CAFile, c.Insecure = "ca.crt", true }, "ca_file, insecure"},
		"short print":      {func(c *Config) { c.Fingerprint = "ab:cd" }, "64 hexadecimal"},
		"useless name":     {func(c *Config) { c.Insecure, c.ServerName = true, "icinga" }, "nobody checks"},
		"a label of ours":  {func(c *Config) { c.Labels = map[string]string{"host": "vars.x"} }, "there already"},
		"a label of holes": {func(c *Config) { c.Labels = map[string]string{"team": "vars..x"} }, "Empty path"},
		"poll":             {func(c *Config) { c.Poll = "often" }, "Invalid duration"},
	} {
		one := good
		c.change(&one)
		err := one.Validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(fmt.Sprintf("%v", err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", good, good, good); strings.Contains(text, "hush") {
		t.Error(text)
	}
}
