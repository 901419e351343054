package poll

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// TestWatch runs a watch over answers, one a second, and compares what it emits: the state, and from when to when it may have
// changed, in seconds.
func TestWatch(t *testing.T) {
	at := func(sec float64) clock.Interval {
		return clock.At(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(sec * float64(time.Second))))
	}
	down := map[string]string{"alertname": "Down"}
	stands := func(state alarms.State, change ...func(*Standing)) Look {
		s := Standing{Key: "k", Labels: down, State: state}
		for _, c := range change {
			c(&s)
		}
		return Look{Standing: []Standing{s}}
	}
	began := func(sec float64) func(*Standing) { return func(s *Standing) { s.Began = at(sec) } }
	fired := func(sec float64) func(*Standing) { return func(s *Standing) { s.Fired = at(sec) } }
	paged := func(sec float64) func(*Standing) { return func(s *Standing) { s.Paged = at(sec) } }
	why := func(text string) func(*Standing) { return func(s *Standing) { s.Why = text } }
	quiet, away := Look{}, Look{Wrong: "away"}
	wrong := Look{Wrong: "no data", Holds: func(labels map[string]string) bool { return labels["alertname"] == "Down" }}
	const p, f, s = alarms.StatePending, alarms.StateFiring, alarms.StateSuppressed
	for name, c := range map[string]struct {
		looks []Look
		want  string
	}{
		"quiet":                {[]Look{quiet, quiet}, ""},
		"comes and goes":       {[]Look{quiet, stands(p), stands(f), quiet}, "pending 0–1; firing 1–2; inactive 2–3"},
		"told times":           {[]Look{quiet, stands(p, began(0.5)), stands(f, fired(1.5)), quiet}, "pending 0.5; firing 1.5; inactive 2–3"},
		"fires at once":        {[]Look{quiet, stands(f), stands(f), quiet}, "firing 0–1; inactive 2–3"},
		"stood before":         {[]Look{stands(f, fired(-100)), quiet}, "firing -100; inactive 0–1"},
		"stood before, untold": {[]Look{stands(f), quiet}, "firing -86400–0; inactive 0–1"},
		"began again":          {[]Look{quiet, stands(f, fired(0.5)), stands(f, fired(1.5))}, "firing 0.5; inactive 1–2; firing 1.5"},
		"silenced":             {[]Look{quiet, stands(s, why("silence 1")), stands(f), stands(s, why("silence 2"))}, "suppressed 0–1 silence 1; firing 1–2; suppressed 2–3 silence 2"},
		"paged":                {[]Look{quiet, stands(f), stands(f, paged(1.2)), stands(f, paged(1.2))}, "firing 0–1; paged 1.2"},
		"it cannot tell":       {[]Look{quiet, stands(f), wrong, wrong, stands(f), quiet}, "firing 0–1; broken 1–2 no data; reachable 3–4; inactive 4–5"},
		"quiet after that":     {[]Look{quiet, stands(f), wrong, quiet}, "firing 0–1; broken 1–2 no data; reachable 2–3; inactive 2–3"},
		"unreachable":          {[]Look{quiet, away, away, stands(f)}, "unreachable 0–1 away; reachable 0–3; firing 0–3"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				n := 0
				w := Watch{Every: time.Second, Account: looks.New(time.Second), Memory: &fold.Memory{}, Look: func(context.Context) (Look, error) {
					if n == len(c.looks) {
						cancel()
						return Look{}, ctx.Err()
					}
					l := c.looks[n]
					n++
					l.Received = time.Now()
					if l.Wrong == "away" {
						return Look{}, errors.New("away")
					}
					return l, nil
				}}
				var got []string
				if err := w.Run(ctx, func(o alarms.Observation) {
					lo, hi := o.At.Lo.Sub(at(0).Lo).Seconds(), o.At.Hi.Sub(at(0).Lo).Seconds()
					when := fmt.Sprint(lo)
					if lo != hi {
						when = fmt.Sprint(lo) + "–" + fmt.Sprint(hi)
					}
					got = append(got, strings.TrimSpace(string(o.State)+" "+when+" "+o.Why))
				}); err != nil {
					t.Error(err)
				}
				if text := strings.Join(got, "; "); text != c.want {
					t.Errorf("%q, want %q", text, c.want)
				}
			})
		})
	}
}

// TestCovered joins looks with what a history proves: what was out of reach is repaired, what could not know is not.
func TestCovered(t *testing.T) {
	zero := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	at := func(sec int) time.Time { return zero.Add(time.Duration(sec) * time.Second) }
	span := func(a, b int) clock.Span { return clock.Span{Start: at(a), End: at(b)} }
	a := looks.New(time.Second)
	for n := range 20 {
		a.Good(at(n))
	}
	a.Bad(at(20), Unreachable+"refused")
	for n := 30; n < 40; n++ {
		a.Good(at(n))
	}
	a.Bad(at(40), "no data")
	for n := 50; n < 60; n++ {
		a.Good(at(n))
	}
	for name, c := range map[string]struct {
		proven []clock.Span
		blind  []looks.Fault
		want   []clock.Span
		why    string
	}{
		"looks alone":  {nil, nil, []clock.Span{span(0, 19), span(30, 39), span(50, 59)}, "unreachable: refused|no data"},
		"a history":    {[]clock.Span{span(0, 60)}, nil, []clock.Span{span(0, 39), span(50, 60)}, "no data"},
		"a blind spot": {[]clock.Span{span(0, 60)}, []looks.Fault{{Span: span(5, 8), Why: "its rule failed"}}, []clock.Span{span(0, 5), span(8, 39), span(50, 60)}, "its rule failed|no data"},
	} {
		got, why := Covered(a, span(0, 60), c.proven, c.blind, 2*time.Second, "nobody looked")
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		words := strings.Split(c.why, "|")
		if len(why) != len(words) {
			t.Errorf("%s: %q, want %q", name, why, words)
			continue
		}
		for i, w := range words {
			if !strings.Contains(why[i], w) {
				t.Errorf("%s: %q, want %q", name, why[i], w)
			}
		}
	}
}

// TestClock measures by Date headers, doubts a clock that was set in between, and says when none is told.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		answer := func(ahead time.Duration) func(context.Context) (web.Reply, error) {
			return func(context.Context) (web.Reply, error) {
				now := time.Now()
				return web.Reply{Sent: now, Received: now, Header: http.Header{"Date": {now.Add(ahead).UTC().Format(http.TimeFormat)}}}, nil
			}
		}
		o, told, err := c.FromDates(t.Context(), answer(90*time.Second))
		if err != nil || !told || o.Ahead < 89*time.Second || o.Ahead > 91*time.Second || o.Err < 500*time.Millisecond {
			t.Errorf("%+v, %v, %v", o, told, err)
		}
		if f := Skew("x", o, told); len(f) != 1 || !f[0].Blocks {
			t.Errorf("%+v", f)
		}
		if o, _, _ = c.FromDates(t.Context(), answer(0)); o.Err < 45*time.Second || c.Offset() != o {
			t.Errorf("a clock that was set is known to %s", o.Err)
		}
		var silent Clock
		o, told, err = silent.FromDates(t.Context(), func(context.Context) (web.Reply, error) { return web.Reply{}, nil })
		if told || err != nil || len(Skew("x", o, told)) != 1 || o.Err == 0 || silent.Offset() != o {
			t.Errorf("a clock that nobody told is taken to be known: %+v, %v, %v", o, told, err)
		}
		if _, _, err := silent.FromDates(t.Context(), func(context.Context) (web.Reply, error) { return web.Reply{}, errors.New("away") }); err == nil {
			t.Error("no answer is no measurement")
		}
	})
}

// TestWanted wants what is expected and what is noise, and everything without either.
func TestWanted(t *testing.T) {
	w := Wanted{Noise: map[string]string{"severity": "page"}}
	w.Expect([]alarms.Expectation{{Name: "Down", Match: map[string]string{"alertname": "Down"}}, {Name: "Up", Match: map[string]string{"alertname": "Up"}}})
	w.Absent("Up")
	for name, want := range map[string]bool{"Down": true, "Up": true, "Other": false} {
		if w.Wants(map[string]string{"alertname": name}) != want {
			t.Errorf("%s: wanted is %v", name, !want)
		}
	}
	if !w.Wants(map[string]string{"alertname": "Other", "severity": "page"}) || len(w.Expected()) != 1 {
		t.Errorf("noise is not wanted, or %v is expected", w.Expected())
	}
	if !(&Wanted{}).Wants(nil) {
		t.Error("without either all are wanted")
	}
}
