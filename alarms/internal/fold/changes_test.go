package fold

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/alarms"
	"gameday/clock"
)

var zero = time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)

func at(sec int) clock.Interval { return clock.At(zero.Add(time.Duration(sec) * time.Second)) }

// told reads a course of changes: "p10 f20 i30 b40".
func told(course string) History {
	h := History{Key: "k", From: zero, To: zero.Add(100 * time.Second)}
	states := map[byte]alarms.State{'p': alarms.StatePending, 'f': alarms.StateFiring, 'i': alarms.StateInactive, 'b': alarms.StateBroken}
	for _, word := range strings.Fields(course) {
		if word[0] == '<' {
			h.Before = states[word[1]]
			continue
		}
		var sec int
		if _, err := fmt.Sscan(word[1:], &sec); err != nil {
			panic(err)
		}
		h.Changes = append(h.Changes, Change{At: at(sec), To: states[word[0]], Why: "no data"})
	}
	return h
}

// words writes an interval in seconds.
func words(i clock.Interval) string {
	if i.IsZero() {
		return "-"
	}
	lo, hi := i.Lo.Sub(zero).Seconds(), i.Hi.Sub(zero).Seconds()
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprint(lo, "–", hi)
}

// story writes episodes and blind stretches.
func story(h History) string {
	var out []string
	episodes, faults := h.Episodes("x.main")
	for _, e := range episodes {
		out = append(out, words(e.Pending)+" "+words(e.Firing)+" "+words(e.Ended))
	}
	for _, f := range faults {
		out = append(out, fmt.Sprintf("blind %g–%g: %s", f.Span.Start.Sub(zero).Seconds(), f.Span.End.Sub(zero).Seconds(), f.Why))
	}
	return strings.Join(out, "; ")
}

// TestHistory makes episodes of the courses that histories tell.
func TestHistory(t *testing.T) {
	for course, want := range map[string]string{
		"":                    "",
		"p10 f20 i30":         "10 20 30",
		"f20 p10 i30":         "10 20 30", // in any order
		"p10 p10 f20 f20 i30": "10 20 30", // twice
		"p10 i15":             "10 - 15",
		"f20":                 "- 20 -",
		"p10 f10 i30":         "10 10 30",                          // at once
		"f20 i30 f40 i50":     "- 20 30; - 40 50",                  // a flap
		"i30":                 "",                                  // of what is not known
		"<f i30":              "- 0 30",                            // it fired from before
		"<p f30 i40":          "0 30 40",                           // it was pending from before
		"b10 i20":             "blind 10–20: no data",              // quiet again
		"b10 f20 i30":         "10–20 20 30; blind 10–20: no data", // it may have begun while nobody saw
		"b10 p15 f20 i30":     "10–15 20 30; blind 10–15: no data",
		"f10 b20 f30 i40":     "- 10 40; blind 20–30: no data",    // one episode
		"f10 b20 i30":         "- 10 20–30; blind 20–30: no data", // it ended somewhere
		"f10 b20":             "- 10 -; blind 20–100: no data",    // nobody knows
		"b10 b15 i20":         "blind 10–20: no data",
		"<b i20":              "blind 0–20: it was so from before what is known of it",
	} {
		if got := story(told(course)); got != want {
			t.Errorf("%q: %q, want %q", course, got, want)
		}
	}
}

// TestHistoryInAnyOrder holds that neither order nor repetition changes what a history tells.
func TestHistoryInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := told("")
		for i := range rapid.IntRange(0, 8).Draw(t, "changes") {
			to := rapid.SampledFrom([]alarms.State{alarms.StatePending, alarms.StateFiring, alarms.StateInactive, alarms.StateBroken}).Draw(t, "to")
			h.Changes = append(h.Changes, Change{At: at(10*i + 5), To: to, Why: "no data"})
		}
		want := story(h)
		h.Changes = append(h.Changes, h.Changes...)
		h.Changes = rapid.Permutation(h.Changes).Draw(t, "order")
		if got := story(h); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		episodes, _ := h.Episodes("x")
		for i, e := range episodes {
			if e.Ended.IsZero() && i < len(episodes)-1 || !e.Ended.IsZero() && e.Ended.Hi.Before(Begin(e).Lo) {
				t.Fatalf("%+v", e)
			}
		}
	})
}

// TestJoin completes a history by what was seen live.
func TestJoin(t *testing.T) {
	episode := func(pending, firing, ended int, more ...func(*alarms.Episode)) alarms.Episode {
		e := alarms.Episode{Key: "k"}
		for _, x := range []struct {
			sec int
			to  *clock.Interval
		}{{pending, &e.Pending}, {firing, &e.Firing}, {ended, &e.Ended}} {
			if x.sec != 0 {
				*x.to = at(x.sec)
			}
		}
		for _, m := range more {
			m(&e)
		}
		return e
	}
	paged := func(e *alarms.Episode) { e.Paged, e.SuppressedBy = at(25), []string{"silence 1"} }
	other := func(e *alarms.Episode) { e.Key = "other" }
	for name, c := range map[string]struct {
		told, seen, want []alarms.Episode
		late             int
	}{
		"nothing":             {nil, nil, nil, 0},
		"the same":            {[]alarms.Episode{episode(10, 20, 30)}, []alarms.Episode{episode(11, 21, 31, paged)}, []alarms.Episode{episode(10, 20, 30, paged)}, 0},
		"still open":          {[]alarms.Episode{episode(10, 0, 0)}, []alarms.Episode{episode(11, 21, 31)}, []alarms.Episode{episode(10, 21, 31)}, 0},
		"not told":            {nil, []alarms.Episode{episode(11, 21, 31)}, []alarms.Episode{episode(11, 21, 31)}, 1},
		"another":             {[]alarms.Episode{episode(10, 20, 30)}, []alarms.Episode{episode(11, 21, 31, other)}, []alarms.Episode{episode(10, 20, 30), episode(11, 21, 31, other)}, 1},
		"a flap not seen":     {[]alarms.Episode{episode(10, 20, 30), episode(0, 32, 40)}, []alarms.Episode{episode(11, 21, 41)}, []alarms.Episode{episode(10, 20, 30), episode(0, 32, 40)}, 0},
		"the next one":        {[]alarms.Episode{episode(10, 20, 30)}, []alarms.Episode{episode(0, 40, 50)}, []alarms.Episode{episode(10, 20, 30), episode(0, 40, 50)}, 1},
		"it never ended here": {[]alarms.Episode{episode(10, 20, 30)}, []alarms.Episode{episode(11, 21, 0)}, []alarms.Episode{episode(10, 20, 30)}, 0},
	} {
		got, late := Join(c.told, c.seen)
		if diff := cmp.Diff(c.want, got); (len(c.want) > 0 || len(got) > 0) && diff != "" || late != c.late {
			t.Errorf("%s: late %d, want %d: %s", name, late, c.late, diff)
		}
	}
}
