package loadgen

import (
	"testing"
	"time"
)

// TestSecondsAfterAnOutage has nobody be heard for a while, and then first the one of whom the seconds of that while are gone: those are closed
// only when the others have had time to tell of them.
func TestSecondsAfterAnOutage(t *testing.T) {
	for name, way := range map[string]Way{"network": network, "printed": printed} {
		start := time.Now()
		var got []Window
		s := seconds{parts: []*part{{name: "runner-1"}, {name: "runner-2"}, {name: "runner-3"}}, way: way, first: start, emit: func(w Window) { got = append(got, w) }}
		tell := func(from, second int, now time.Time) {
			s.add(from, Window{Stream: "s", Start: start.Add(time.Duration(second) * time.Second), Due: 10, Started: 10}, now)
		}
		back := start.Add(9500 * time.Millisecond)
		tell(2, 8, back)
		s.flush(back)
		if len(got) > 0 {
			t.Errorf("%s: %d seconds were closed although nobody else could tell of them yet", name, len(got))
		}
		for second := range 9 {
			for from := range 2 {
				tell(from, second, back.Add(way.Together/2))
			}
		}
		s.flush(back.Add(way.Together / 2))
		s.flush(back.Add(2 * way.Together))
		if len(got) != 9 {
			t.Fatalf("%s: %d seconds were told of, and 9 there were", name, len(got))
		}
		for i, w := range got[:8] {
			if len(w.Missing) != 1 || w.Missing[0] != "runner-3" || w.Due != 30 || w.Started != 20 || !w.Start.Equal(start.Add(time.Duration(i)*time.Second)) {
				t.Errorf("%s: of second %d, at %s: missing %v, %d of %d", name, i, w.Start.Sub(start), w.Missing, w.Started, w.Due)
			}
		}
		if w := got[8]; w.Missing != nil || w.Due != 30 || w.Started != 30 {
			t.Errorf("%s: of the last second: missing %v, %d of %d", name, w.Missing, w.Started, w.Due)
		}
	}
}
