package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/report"
)

// whim is what somebody asks at some instant.
type whim struct {
	at time.Duration
	Request
}

func drawWhim(t *rapid.T) whim {
	w := whim{at: time.Duration(rapid.IntRange(0, 450).Draw(t, "at")) * 100 * time.Millisecond}
	w.Do = rapid.SampledFrom([]string{"hold", "hold", "release", "skip", "skip", "inject", "inject", "stop"}).Draw(t, "do")
	w.By = rapid.SampledFrom([]string{"fay", "bob"}).Draw(t, "by")
	w.For = time.Duration(rapid.IntRange(0, 12).Draw(t, "for")) * seconds
	w.Fault = rapid.SampledFrom([]string{"", "cut", "next", "late", "cat"}).Draw(t, "fault")
	return w
}

// climbing is a stream whose multiple tells how far the load phase is: 2 more each second.
const climbing = `
  traffic "climbing" {
    script = "get.js"
    baseline { rate = 1 }
    shape "ramp" {
      from = 0
      to   = 60
      over = "30s"
    }
  }
`

// TestAnyFacilitation asks for anything at any time: the run ends, nothing stands, the record reads, faults come once at most and in the
// load phase only, all of them unless somebody stops it, no phase ends and no fault begins while the timeline is held, and traffic is where
// the timeline is.
func TestAnyFacilitation(t *testing.T) {
	inner := steadyBlock + climbing + fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"3s\"") +
		fault("hold", "next", "target = target.db\nafter = fault.cut\nwait = \"2s\"\nduration = \"1s\"") +
		fault("boot", "late", "target = target.web\nat = \"12s\"")
	rapid.Check(t, func(rt *rapid.T) {
		whims := rapid.SliceOfN(rapid.Custom(drawWhim), 1, 12).Draw(rt, "whims")
		var wrong []string
		d := newDay(t, "", inner)
		inBubble(t, d, func(ctx context.Context) {
			f := facilitated(d)
			for i, w := range whims {
				f.at(w.at, fmt.Sprint(i), w.Request)
			}
			rec := d.conduct(ctx)
			wrong = astray(d, rec)
		})
		if len(wrong) > 0 {
			rt.Fatalf("%s", strings.Join(wrong, "\n"))
		}
	})
}

// astray says what is wrong with a run that somebody facilitated.
func astray(d *day, rec *report.Record) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if left := d.world.stands(); len(left) > 0 {
		say("%v stands", left)
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(d.world.injected)))); n != len(d.world.injected) {
		say("something was injected twice: %v", d.world.injected)
	}
	end := seen[report.Ended](d.t, rec, report.RunEnded)
	if len(end) != 1 || end[0].Reason != report.EndComplete && end[0].Reason != report.EndStopped || len(end[0].Residue) > 0 {
		say("the run ended as %+v", end)
	} else if end[0].Reason == report.EndComplete && len(d.world.injected) != 3 {
		say("of three faults %v were injected", d.world.injected)
	}
	phase, stopped, held := report.Phase(""), false, time.Duration(-1)
	called := map[string]bool{}
	for _, e := range rec.Events {
		var v struct {
			Phase report.Phase
			Fault string
		}
		json.Unmarshal(e.Data, &v)
		switch e.Kind {
		case report.PhaseStarted:
			phase = v.Phase
		case report.PhaseEnded:
			if held >= 0 && !stopped {
				say("the %s phase ended at %s, while it was held", phase, e.T)
			}
			phase = ""
		case report.StopAsked:
			stopped = true
		case report.HoldBegan:
			held = e.T
		case report.HoldEnded:
			held = -1
		case report.InjectAsked:
			called[v.Fault] = true
		case report.Injecting:
			if phase != report.Load && !stopped {
				say("%s was injected at %s, in the %q phase", v.Fault, e.T, phase)
			}
			if held >= 0 && held < e.T && !called[v.Fault] {
				say("%s was injected at %s, while the timeline was held", v.Fault, e.T)
			}
		}
	}
	c := report.Score(rec)
	if !c.Safety.Clean {
		say("safety %+v", c.Safety)
	}
	looked := 0
	for _, w := range rec.Windows {
		if at, ok := timelineAt(rec, w.Start.Add(time.Second-time.Nanosecond)); ok && w.Stream == "climbing" {
			looked++
			if want := 2 * min(at, 30*time.Second).Seconds(); math.Abs(w.Multiple-want) > 0.1 {
				say("at %s, %s into the load phase, the multiple was %g", w.Start.Add(time.Second).Sub(d.world.start), at, w.Multiple)
			}
		}
	}
	if looked < 3 && len(end) == 1 && end[0].Reason == report.EndComplete {
		say("traffic was looked at in %d seconds of the load phase", looked)
	}
	return wrong
}

// timelineAt works out from the record how far the load phase was at an instant; ok is false outside of it.
func timelineAt(rec *report.Record, at time.Time) (done time.Duration, ok bool) {
	var last, held time.Time // since when done is right, and since when the phase is held
	for _, e := range rec.Events {
		if e.At.After(at) {
			break
		}
		var v struct {
			Phase report.Phase
			More  bool
			Over  time.Duration
		}
		json.Unmarshal(e.Data, &v)
		load := v.Phase == report.Load
		switch {
		case e.Kind == report.PhaseStarted:
			last, ok = e.At, load
		case e.Kind == report.PhaseEnded && load, e.Kind == report.StopAsked:
			return 0, false
		case e.Kind == report.HoldBegan && load && !v.More:
			done, held = done+e.At.Sub(last), e.At
		case e.Kind == report.HoldEnded && load:
			last, held = e.At, time.Time{}
		case e.Kind == report.WaitSkipped && load:
			done += v.Over
		}
	}
	if held.IsZero() {
		done += at.Sub(last)
	}
	return done, ok
}
