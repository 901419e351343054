package report

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
)

// liveStart is not at the begin of a second, as no run is.
var liveStart = time.Date(2026, 11, 29, 10, 0, 0, 400_000_000, time.UTC)

func liveWindow(stream string, at time.Time, due uint64, took time.Duration) loadgen.Window {
	h := &loadgen.Histogram{}
	for range due {
		h.Record(took)
	}
	return loadgen.Window{Stream: stream, Start: at, Due: due, Started: due, Requests: due, OK: loadgen.Outcome{Count: due, Response: h}}
}

// TestStripAddsUp: streams that begin their seconds at different times, and windows that come late, are in their second.
func TestStripAddsUp(t *testing.T) {
	var s Strip
	if _, ok := s.Last(); ok {
		t.Error("a strip without windows has a last one")
	}
	at := func(sec int, ms int) time.Time {
		return liveStart.Truncate(second).Add(time.Duration(sec)*second + time.Duration(ms)*time.Millisecond)
	}
	s.Add(liveWindow("a", at(1, 310), 10, 20*time.Millisecond))
	s.Add(liveWindow("a", at(2, 310), 10, 20*time.Millisecond))
	s.Add(liveWindow("b", at(1, 860), 5, 20*time.Millisecond)) // late
	if last, _ := s.Last(); last.Due != 15 || !last.At.Equal(at(1, 0)) {
		t.Errorf("while one stream of two has not told of a second, the last is %+v", last)
	}
	s.Add(liveWindow("b", at(2, 860), 7, 20*time.Millisecond))
	last, ok := s.Last()
	if !ok || last.Due != 17 || last.Errors != 0 || math.Abs(last.P95-0.02) > 0.001 || !last.At.Equal(at(2, 0)) {
		t.Errorf("the last second is %+v, %v", last, ok)
	}
	if p := s.points[at(1, 0).Unix()]; p.due != 15 {
		t.Errorf("with a window that came late a second has %v due, want 15", p.due)
	}
	s.Add(liveWindow("a", at(2000, 0), 1, time.Millisecond))
	if len(s.points) != 1 || len(s.open) != 1 {
		t.Errorf("%d seconds and %d windows are kept of what is long gone", len(s.points), len(s.open))
	}
	s.Add(liveWindow("a", at(1, 310), 10, time.Millisecond))
	if len(s.points) != 1 {
		t.Error("a window from long ago is taken in")
	}
}

// TestPhasesKeepTheirShade: a phase that is drawn on a shade stays on it when those before it are drawn no more.
func TestPhasesKeepTheirShade(t *testing.T) {
	span := func(p Phase, from, to int) PhaseSpan {
		return PhaseSpan{Phase: p, Span: clock.Span{Start: liveStart.Add(time.Duration(from) * second), End: liveStart.Add(time.Duration(to) * second)}}
	}
	for _, now := range []int{280, 330, 400} {
		l := Live{Start: liveStart, Now: time.Duration(now) * second, Strip: &Strip{}, Phases: []PhaseSpan{span(Baseline, 0, 20), span(Ramp, 20, 60), span(Load, 60, now)}}
		text := l.Draw("desk")
		shades := regexp.MustCompile(`class="phase( alt)?"`).FindAllString(text[:strings.LastIndex(text, ">load<")], -1)
		if len(shades) == 0 || shades[len(shades)-1] != `class="phase"` {
			t.Errorf("at %ds the phases are on the shades %q", now, shades)
		}
	}
}

// TestLiveWords: what is not known is not zero.
func TestLiveWords(t *testing.T) {
	p := LivePoint{Due: 12, Started: 11.4, Errors: math.NaN(), P50: math.NaN(), P95: math.NaN()}
	if got, want := p.Words(), "11 of 12 arrivals a second, failed requests unknown, p50 unknown, p95 unknown"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLivePictureBreaksAndMoves: a second without a window breaks the lines, and what is older than the stretch goes.
func TestLivePictureBreaksAndMoves(t *testing.T) {
	var s Strip
	for i := range 600 {
		if i == 500 {
			continue
		}
		s.Add(liveWindow("a", liveStart.Add(time.Duration(i)*second), 10, 20*time.Millisecond))
	}
	limit := 0.01
	l := Live{Start: liveStart, Now: 600 * second, Strip: &s, Phases: []PhaseSpan{
		{Phase: Baseline, Span: clock.Span{Start: liveStart, End: liveStart.Add(100 * second)}},
		{Phase: Load, Span: clock.Span{Start: liveStart.Add(100 * second), End: liveStart.Add(600 * second)}}},
		Faults: []*FaultLife{{Name: "cut", Injections: []*InjectionLife{
			{Fault: "cut", Onset: clock.At(liveStart.Add(400 * second)), Gone: clock.At(liveStart.Add(450 * second))},
			{Fault: "cut", Onset: clock.At(liveStart.Add(580 * second))},
			{Fault: "cut", Onset: clock.At(liveStart.Add(10 * second)), Gone: clock.At(liveStart.Add(20 * second))}}}},
		Limits: []ExpectPlan{{Part: PartSteady, That: &sli.Expr{Op: "<", Args: []*sli.Expr{{SLI: "p95"}, {Const: &limit}}}}}}
	for _, size := range LiveSizes() {
		text := l.Draw(size)
		if !strings.HasPrefix(text, "<svg") || !strings.Contains(text, `class="chart `+size+`"`) || strings.Contains(text, "style=") {
			t.Errorf("%s begins with %.200s", size, text)
		}
		for what, want := range map[string]int{`class="fault-band"`: 2, `class="line main"`: 6, "baseline": 0, ">load<": 1, "limit 10 ms": 1} {
			// A line's class is in the legend too: two legends, and two pieces of each of two lines.
			if got := strings.Count(text, what); got != want {
				t.Errorf("%s has %s %d times, want %d", size, what, got, want)
			}
		}
		if !strings.Contains(text, ">10:00<") || strings.Contains(text, ">0:00<") {
			t.Errorf("%s has no axis from 5:00 to 10:00", size)
		}
	}
	if l.Draw("huge") != "" {
		t.Error("there is a picture of a size that is none")
	}
	l.Faults, l.Limits, l.Phases = nil, nil, nil
	if text := l.Draw("desk"); strings.Contains(text, "fault") || strings.Contains(text, "limit") || strings.Contains(text, "load") {
		t.Error("a picture has something in it that it was not given")
	}
}
