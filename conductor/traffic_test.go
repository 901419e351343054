package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/alarms"
	"gameday/clock"
	"gameday/loadgen"
	"gameday/report"
)

// another declares another traffic block, of one arrival a second.
func another(name, rest string) string {
	return fmt.Sprintf("traffic %q {\n script = \"get.js\"\n baseline { rate = 1 }\n %s\n}\n", name, rest)
}

// commanded lists what a stream was told: "3.0 to 2 in 2s, then 3 legs".
func commanded(d *day, stream string) []string {
	var out []string
	for _, c := range d.sender.commands {
		if c.stream != stream {
			continue
		}
		text := fmt.Sprintf("%.1f to %.3g", c.at.Seconds(), c.To)
		if c.Over > 0 {
			text += " in " + short(c.Over)
		}
		for _, l := range c.Then {
			text += fmt.Sprintf(", %g in %s", l.To, short(l.Over))
		}
		if c.Stop {
			text = fmt.Sprintf("%.1f stop", c.at.Seconds())
		}
		out = append(out, text)
	}
	return out
}

// due returns what was due of a stream in each second of the run.
func due(rec *report.Record, stream string) []uint64 {
	var out []uint64
	for _, w := range rec.Windows {
		if w.Stream == stream {
			out = append(out, w.Due)
		}
	}
	return out
}

const shapedStreams = `
  traffic "steps" {
    script = "get.js"
    baseline { rate = 1 }
    shape "steps" {
      multiples = [2, 4, 6]
      hold      = "5s"
    }
  }
  traffic "long" {
    script = "get.js"
    baseline { rate = 1 }
    shape "ramp" {
      from = 0
      to   = 60
      over = "30s"
    }
  }
  traffic "late" {
    script   = "get.js"
    multiple = 5
    start    = "10s"
    baseline { rate = 1 }
  }
  traffic "spike" {
    script   = "get.js"
    multiple = 1
    start    = "4s"
    baseline { rate = 1 }
    shape "spike" {
      to   = 10
      at   = "2s"
      hold = "3s"
    }
  }
`

// TestPrograms checks what each stream is told and when, and what is sent by it.
func TestPrograms(t *testing.T) {
	play(t, "", steadyBlock+shapedStreams, nil, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		for name, want := range map[string][]string{
			"shop":  {"3.0 to 3 in 2s", "30.0 stop"},
			"steps": {"3.0 to 2 in 2s", "5.0 to 2, 2 in 5s, 4 in 0s, 4 in 5s, 6 in 0s, 6 in 5s", "30.0 stop"},
			"long":  {"3.0 to 0 in 2s", "5.0 to 0, 60 in 30s", "25.0 to 40", "30.0 stop"}, // held in recovery
			"late":  {"5.0 to 0 in 10s, 5 in 0s", "30.0 stop"},
			"spike": {"5.0 to 0 in 4s, 1 in 0s, 1 in 2s, 10 in 0s, 10 in 3s, 1 in 0s", "30.0 stop"},
		} {
			same(d.t, name, commanded(d, name), want)
		}
		seconds := func(pieces ...uint64) (out []uint64) { // of count, value, count, value, …
			for i := 0; i < len(pieces); i += 2 {
				out = append(out, slices.Repeat(pieces[i+1:i+2], int(pieces[i]))...)
			}
			return out
		}
		for name, want := range map[string][]uint64{
			"steps": seconds(3, 1, 1, 1, 1, 2, 5, 2, 5, 4, 10, 6, 5, 6),
			"late":  seconds(15, 0, 15, 5),
			"spike": seconds(9, 0, 2, 1, 3, 10, 16, 1),
		} {
			// Phases begin a moment after their second, so that an arrival may fall into the next one.
			got := due(rec, name)
			sum, planned := uint64(0), uint64(0)
			for n := range want {
				if sum, planned = sum+got[n], planned+want[n]; sum > planned || sum+1 < planned {
					d.t.Errorf("%s: %v were due, want %v", name, got, want)
					break
				}
			}
		}
		if spec := d.sender.specs["late"]; !spec.Idle || spec.PeakMultiple != 5 {
			d.t.Errorf("the late stream is %+v", spec)
		}
		if spec := d.sender.specs["long"]; spec.Idle || spec.PeakMultiple != 60 {
			d.t.Errorf("the long stream is %+v", spec)
		}
		plan := map[string]report.TrafficPlan{}
		for _, p := range rec.Plan.Traffic {
			plan[p.Name] = p
		}
		if p := plan["shop"]; p.Multiple != 3 || p.Shape != "" || p.Program != nil || p.Start != nil || p.Arrivals != "" {
			d.t.Errorf("the plan of a steady stream is %+v", p)
		}
		if p := plan["steps"]; p.Multiple != 6 || p.Shape != "steps 2 4 6 hold 5s" || p.Program.At(7*time.Second) != 4 {
			d.t.Errorf("the plan of steps is %+v", p)
		}
		if p := plan["long"]; p.Multiple != 40 {
			d.t.Errorf("the peak of a shape that the phase cuts off is %g", p.Multiple)
		}
		if p := plan["spike"]; p.Start == nil || *p.Start != 4*time.Second {
			d.t.Errorf("the plan of a late stream is %+v", p)
		}
	})
}

// TestProgramGoesOnWithTheLoad checks that a shape is followed as long as the load phase lasts, which is longer than planned
// while a fault stands.
func TestProgramGoesOnWithTheLoad(t *testing.T) {
	inner := shapedStreams + fault("hold", "cut", "target = target.web\nat = \"15s\"\nduration = \"9s\"")
	play(t, "", inner, nil, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "long", commanded(d, "long"), []string{"3.0 to 0 in 2s", "5.0 to 0, 60 in 30s", "29.0 to 48", "34.0 stop"})
	})
}

// TestAbortedProgram checks that a run which ends in the middle of a shape stops its streams, and tells them nothing else.
func TestAbortedProgram(t *testing.T) {
	play(t, "", steadyBlock+stormBlock+shapedStreams, func(d *day) { d.sender.errors = during(8, 30) }, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndAborted)
		if last := commanded(d, "long"); len(last) != 3 || !strings.HasSuffix(last[2], " stop") {
			d.t.Errorf("it was told %q", last)
		}
	})
}

// TestArrivalsAreSeeded checks that the run's seed decides what chance brings, to each stream on its own.
func TestArrivalsAreSeeded(t *testing.T) {
	counts := func(seed int64) (out [2][]uint64) {
		inner := another("a", `arrivals = "poisson"`) + another("b", `arrivals = "poisson"`)
		play(t, "", inner, func(d *day) { d.options.Seed = seed }, func(d *day, rec *report.Record) {
			out = [2][]uint64{due(rec, "a"), due(rec, "b")}
			if p := rec.Plan.Traffic[1]; p.Arrivals != report.Poisson || p.Manner() != "poisson" {
				d.t.Errorf("the plan is %+v", p)
			}
		})
		return out
	}
	one := counts(1)
	if diff := cmp.Diff(one, counts(1)); diff != "" {
		t.Errorf("two runs of one seed differ:\n%s", diff)
	}
	if slices.Equal(one[0], one[1]) || cmp.Equal(one, counts(2)) {
		t.Error("another stream, or another seed, has the same arrivals")
	}
}

const replaying = `
  traffic "asked" {
    script = "get.js"
    baseline { rate = 2 }
    shape "replay" {
      prometheus {
        source = alarms.probe.main
        query  = "rate"
        over   = "1m"
      }
      speed = 6
      scale = 2
    }
  }
`

// rising is a series that rises by one with each step of 15 s.
func rising(from, to time.Time, step time.Duration) (out []loadgen.Point) {
	for at := time.Duration(0); at <= to.Sub(from); at += step {
		out = append(out, loadgen.Point{At: at, Value: 1 + float64(at/step)})
	}
	return out
}

// TestReplayIsAsked checks that a replayed series is asked for once, before the run, and is what the load phase sends.
func TestReplayIsAsked(t *testing.T) {
	asked := 0
	set := func(d *day) {
		d.options.Series = func(_ context.Context, source, query string, from, to time.Time, step time.Duration) ([]loadgen.Point, error) {
			asked++
			if source != "probe.main" || query != "rate" || to.Sub(from) != time.Minute || step != 15*time.Second || time.Since(to) > step {
				d.t.Errorf("asked %s for %s from %s to %s every %s", source, query, from, to, step)
			}
			return rising(from, to, step), nil
		}
	}
	play(t, `alarms "probe" "main" {}`, replaying, set, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		// Five points, in multiples of two a second, twice as much: from 1 to 5 in 10 s.
		want := &loadgen.Program{From: 1, Legs: []loadgen.Leg{{To: 2, Over: 2500 * time.Millisecond}, {To: 3, Over: 2500 * time.Millisecond},
			{To: 4, Over: 2500 * time.Millisecond}, {To: 5, Over: 2500 * time.Millisecond}}}
		p := rec.Plan.Traffic[1]
		if diff := cmp.Diff(want, p.Program); diff != "" {
			d.t.Errorf("the program (-want +got):\n%s", diff)
		}
		if p.Multiple != 5 || p.Shape != "replay of probe.main over the last 1m 6 times as fast 2 times as much" {
			d.t.Errorf("the plan is %+v", p)
		}
		if got := Plan(context.Background(), d.options); asked != 1 || got.Traffic[1].Program == nil {
			d.t.Errorf("asked %d times; the plan after the run is %+v", asked, got.Traffic[1])
		}
	})
}

// TestReplayUnknown checks that a series which cannot be had, or has a hole, ends the run before it begins, with the reason.
func TestReplayUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		series func([]loadgen.Point) ([]loadgen.Point, error)
		want   string
	}{
		"silent":   {func([]loadgen.Point) ([]loadgen.Point, error) { return nil, errors.New("connection refused") }, "connection refused"},
		"empty":    {func([]loadgen.Point) ([]loadgen.Point, error) { return nil, nil }, "yields nothing at all"},
		"late":     {func(p []loadgen.Point) ([]loadgen.Point, error) { return p[2:], nil }, "yields nothing between 1999-12-31T23:59:00Z and 1999-12-31T23:59:30Z"},
		"a hole":   {func(p []loadgen.Point) ([]loadgen.Point, error) { return slices.Delete(p, 2, 3), nil }, "yields nothing between 1999-12-31T23:59:15Z and 1999-12-31T23:59:45Z"},
		"stale":    {func(p []loadgen.Point) ([]loadgen.Point, error) { return p[:3], nil }, "yields nothing between 1999-12-31T23:59:30Z and 2000-01-01T00:00:00Z"},
		"negative": {func(p []loadgen.Point) ([]loadgen.Point, error) { p[1].Value = -1; return p, nil }, "at 1999-12-31T23:59:15Z the query yields -1"},
		"too much": {func(p []loadgen.Point) ([]loadgen.Point, error) { p[1].Value = 9000; return p, nil }, "9000 times the baseline's 2"},
	} {
		t.Run(name, func(t *testing.T) {
			set := func(d *day) {
				d.options.Series = func(_ context.Context, _, _ string, from, to time.Time, step time.Duration) ([]loadgen.Point, error) {
					return c.series(rising(from, to, step))
				}
			}
			play(t, `alarms "probe" "main" {}`, replaying, set, func(d *day, rec *report.Record) {
				wantEnd(d.t, rec, report.EndPreflight)
				found := seen[report.Found](d.t, rec, report.PreflightFound)
				if len(found) != 1 || !found[0].Blocks || !strings.Contains(found[0].Detail, "traffic asked replays the last 1m of probe.main: ") ||
					!strings.Contains(found[0].Detail, c.want) {
					d.t.Errorf("found %+v", found)
				}
				if p := rec.Plan.Traffic[1]; p.Multiple != 0 || p.Program != nil {
					d.t.Errorf("the plan claims %+v", p)
				}
				p := Plan(context.Background(), d.options)
				if len(p.Warnings) == 0 || !strings.Contains(p.Warnings[0], c.want) {
					d.t.Errorf("the plan warns of %q", p.Warnings)
				}
			})
		})
	}
}

// Range makes the probe a source that knows the past.
func (p probeSource) Range(_ context.Context, query string, span clock.Span, step time.Duration) ([]alarms.Series, error) {
	out := make([]alarms.Series, p.series)
	for i := range out {
		for _, x := range rising(span.Start, span.End, step) {
			out[i].Samples = append(out[i].Samples, alarms.Sample{At: span.Start.Add(x.At), Value: x.Value})
		}
	}
	if query != "rate" {
		return nil, fmt.Errorf("asked for %q", query)
	}
	return out, nil
}

// TestReplayFromASource asks the scenario's own source.
func TestReplayFromASource(t *testing.T) {
	for series, want := range map[int]string{0: "yields nothing at all", 1: "", 2: "yields 2 series: add sum()"} {
		d := newDay(t, `alarms "probe" "main" {}`, replaying)
		d.probe.series = series
		synctest.Test(t, func(t *testing.T) {
			err := d.options.replays(t.Context())
			if want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("of %d series: %v", series, err)
				}
				return
			}
			if got := d.options.Scenario.Traffic[1]; err != nil || got.Pending() || got.Multiples().Length() != 10*time.Second {
				t.Errorf("%v: %+v", err, got)
			}
		})
	}
	d := newDay(t, `alarms "builtin" "main" {
		rule "Slow" { when = sli.p95 > 1 }
	}`, strings.ReplaceAll(replaying, "probe.main", "builtin.main"))
	if err := d.options.replays(t.Context()); err == nil || !strings.Contains(err.Error(), "a source of kind builtin cannot tell") {
		t.Errorf("of rules of our own: %v", err)
	}
}

// TestSearchSendsSteadily checks that a search for the capacity, which tells streams their multiples itself, has every stream
// from its begin.
func TestSearchSendsSteadily(t *testing.T) {
	d := newDay(t, `alarms "probe" "main" {}`, steadyBlock+shapedStreams+replaying)
	s, err := ForSearch(d.options.Scenario, &Search{MaxDuration: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Traffic) != len(d.options.Scenario.Traffic) {
		t.Fatalf("%d streams of %d", len(s.Traffic), len(d.options.Scenario.Traffic))
	}
	for i, got := range s.Traffic {
		if got.Late() || got.Pending() || got.Shape != "" || len(got.Multiples().Legs) > 0 {
			t.Errorf("%s is not steady: %+v", got.Name, got)
		}
		if was := d.options.Scenario.Traffic[i]; was.Shape == "" && !was.Late() && was.Name != "shop" {
			t.Errorf("%s has lost its shape in the scenario itself", was.Name)
		}
	}
}

// TestBurstsKeepOthersWindows checks that of each stream as much is kept as is looked back, also where the windows of one come late, and those of
// another all at once after them, and that there is an end to what is kept.
func TestBurstsKeepOthersWindows(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	rec, err := newRecorder(t.TempDir(), start, func(s string) string { return s }, func(report.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.close()
	tr := &traffic{run: &run{rec: rec}, keep: 20, streams: make([]*stream, 2), arrived: make(chan struct{}), strain: map[string]*strain{},
		last: map[string]time.Time{}, heard: map[string]time.Time{}}
	for minute := range 5 {
		from := start.Add(time.Duration(minute) * time.Minute)
		for _, name := range []string{"a", "b"} {
			for n := range 60 {
				tr.window(second(name, from.Add(time.Duration(n)*time.Second), 1, 1, 0))
			}
		}
		end := from.Add(time.Minute)
		sum := tr.upTo(end, 20*time.Second)
		if a, b := sum.Seconds("a"), sum.Seconds("b"); a != 20 || b != 20 {
			t.Errorf("minute %d: %d and %d of the last 20 s are kept", minute, a, b)
		}
	}
	if n := len(tr.windows); n > 2*2*20 {
		t.Errorf("%d windows are kept", n)
	}
}
