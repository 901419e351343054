package child

import (
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
)

func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewTally()
		count := func(after time.Duration) {
			a.At(time.Now().Add(after), func(w *loadgen.Window) { w.Started++ })
		}
		count(0) // before there is a first instant
		a.Open(time.Now().Add(time.Second))
		count(0)
		if _, _, ok := a.Take(time.Now(), Settle, true); ok {
			t.Error("a second came before the first instant")
		}
		time.Sleep(time.Second)
		var got []uint64
		for range 50 {
			count(0)
			count(-900 * time.Millisecond) // late, and before the first instant at first
			time.Sleep(100 * time.Millisecond)
			for {
				w, over, ok := a.Take(time.Now(), Settle, false)
				if !ok {
					break
				}
				if late := time.Since(over); late < Settle || late > Settle+100*time.Millisecond {
					t.Errorf("a second is handed out %s after its end", late)
				}
				got = append(got, w.Started)
			}
			if len(a.cells) > 2 {
				t.Fatalf("%d seconds are kept", len(a.cells))
			}
		}
		a.Close(time.Now())
		time.Sleep(10 * time.Second)
		count(0) // in teardown: counts in the last second
		for {
			w, _, ok := a.Take(time.Now(), Settle, true)
			if !ok {
				break
			}
			got = append(got, w.Started)
		}
		sum := uint64(0)
		for _, n := range got {
			sum += n
		}
		if len(got) != 6 || sum != 50+41+1 {
			t.Errorf("%d seconds hold %d: %v", len(got), sum, got)
		}
	})
}
