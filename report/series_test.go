package report

import (
	"slices"
	"testing"
	"time"

	"gameday/clock"
	"gameday/loadgen"
)

// TestSecondsOfTwoStreams: streams whose seconds begin either side of a full second by the clock on the wall are drawn with all their
// arrivals, in steps of one second and of several, and a second that no stream told of is not made up for.
func TestSecondsOfTwoStreams(t *testing.T) {
	at := func(ms int) time.Time {
		return time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
	}
	for _, tt := range []struct {
		began, a, b int // milliseconds
		most        int // points
	}{{500, 950, 1050, 60}, {500, 950, 1050, 15}, {0, 10, 990, 60}, {700, 900, 1100, 15}, {700, 1650, 800, 15}, {999, 999, 1000, 20}} {
		var ws []loadgen.Window
		for s := range 60 {
			for _, k := range []struct {
				stream string
				at     int
			}{{"a", tt.a}, {"b", tt.b}} {
				if s < 30 || s >= 32 { // two seconds of which nobody tells
					ws = append(ws, liveWindow(k.stream, at(1000*s+k.at), 10, 20*time.Millisecond))
				}
			}
		}
		slices.SortStableFunc(ws, inOrder)
		tr := traffic{windows: ws}
		points, step := tr.steps(clock.Span{Start: at(tt.began), End: at(tt.began + 60_000)}, tt.most)
		for i, p := range points {
			if whole := !p.empty && i > 0 && i < len(points)-1; whole && (p.due != 20 || p.started != 20) {
				t.Errorf("%+v: the step of %s at %s has %g of %g arrivals a second, want 20", tt, step, p.at, p.started, p.due)
			}
		}
		if len(points) != tt.most {
			t.Errorf("%+v: %d points", tt, len(points))
		}
	}
}

// TestStripAcrossASecond is the same of the live picture.
func TestStripAcrossASecond(t *testing.T) {
	var s Strip
	begin := liveStart.Truncate(second)
	for n := range 10 {
		at := begin.Add(time.Duration(n) * second)
		s.Add(liveWindow("a", at.Add(950*time.Millisecond), 10, 20*time.Millisecond))
		s.Add(liveWindow("b", at.Add(1050*time.Millisecond), 10, 20*time.Millisecond))
	}
	for n := 1; n < 10; n++ {
		if p := s.points[begin.Unix()+int64(n)]; p.due != 20 {
			t.Errorf("second %d has %g arrivals, want 20", n, p.due)
		}
	}
	if last, _ := s.Last(); last.Due != 20 {
		t.Errorf("the last second is %+v", last)
	}
}
