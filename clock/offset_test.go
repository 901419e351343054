package clock_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/clock"
)

// TestOffsetIsWithin draws another clock, cut to some granularity, and questions of which each way takes its own time: how far that clock is
// ahead is within what is estimated, and so is an instant that it stamped.
func TestOffsetIsWithin(t *testing.T) {
	start := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.SampledFrom([]time.Duration{1, time.Microsecond, time.Millisecond, time.Second}).Draw(t, "granularity")
		ahead := time.Duration(rapid.Int64Range(-1e11, 1e11).Draw(t, "ahead"))
		way := rapid.Int64Range(0, rapid.SampledFrom([]int64{1e4, 1e6, 3e9}).Draw(t, "longest way"))
		var probes []clock.Probe
		now := start
		for range rapid.IntRange(1, 5).Draw(t, "probes") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "pause")))
			read := now.Add(time.Duration(way.Draw(t, "way there")))
			back := read.Add(time.Duration(way.Draw(t, "way back")))
			probes = append(probes, clock.Probe{Sent: now, Stamp: read.Add(ahead).Truncate(g), Received: back})
			now = back
		}
		o, ok := clock.EstimateOffset(probes, g)
		if off := (o.Ahead - ahead).Abs(); !ok || off > o.Err+1 { // a half of an odd number of nanoseconds is cut off
			t.Fatalf("%v ahead is taken for %v ± %v", ahead, o.Ahead, o.Err)
		}
		at := start.Add(time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "an instant")))
		if in := o.Ours(at.Add(ahead).Truncate(g), g).Widen(2); in.Lo.After(at) || in.Hi.Before(at) {
			t.Fatalf("%v is taken for %v to %v", at, in.Lo, in.Hi)
		}
	})
}

func TestOffset(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	for _, tt := range []struct {
		name   string
		probes []clock.Probe
		g      time.Duration
		want   clock.Offset
		ok     bool
	}{
		{"nobody was asked", nil, time.Second, clock.Offset{}, false},
		{"both ways take as long", []clock.Probe{{at(0), at(505), at(10)}}, 0, clock.Offset{Ahead: 500 * time.Millisecond, Err: 5 * time.Millisecond}, true},
		{"behind, and cut to the second", []clock.Probe{{at(5000), at(3000), at(5010)}}, time.Second,
			clock.Offset{Ahead: -1505 * time.Millisecond, Err: 505 * time.Millisecond}, true},
		{"one was quick, and the way there of the others long", []clock.Probe{{at(0), at(38), at(40)}, {at(50), at(51), at(52)}, {at(60), at(98), at(100)}}, 0,
			clock.Offset{Err: time.Millisecond}, true},
	} {
		if got, ok := clock.EstimateOffset(tt.probes, tt.g); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %+v, %v", tt.name, got, ok)
		}
	}
}
