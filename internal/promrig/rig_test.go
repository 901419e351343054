package promrig

import (
	"testing"
	"time"

	"gameday/clock"
)

// TestProven takes evaluations that were left out for proof of one stretch after the other, and for no more than they prove.
func TestProven(t *testing.T) {
	for _, c := range []struct {
		holes []float64 // seconds
		late  time.Duration
		want  bool
	}{
		{nil, 0, true},
		{nil, time.Second, true},
		{[]float64{0.5}, 0, false},
		{[]float64{3.2}, 0, false},
		{[]float64{3.2}, time.Second, true},
		{[]float64{4.5}, time.Second, false},
		{[]float64{4.5}, 2 * time.Second, true},
		{[]float64{3.2, 3.2}, time.Second, false},
		{[]float64{3.2, 6}, 4 * time.Second, true},
	} {
		var holes []clock.Span
		at := time.Unix(1_700_000_000, 0)
		for _, s := range c.holes {
			end := at.Add(time.Duration(s * float64(time.Second)))
			holes = append(holes, clock.Span{Start: at, End: end})
			at = end.Add(time.Minute)
		}
		if got := Proven(holes, c.late); got != c.want {
			t.Errorf("stretches of %v s with %s of evaluations left out: %v", c.holes, c.late, got)
		}
	}
}
