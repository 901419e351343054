package compare

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"gameday/internal/runrig"
	"gameday/report"
	"gameday/report/stats"
)

var epoch = time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)

// two makes two sets of n runs each, taken in turn on a machine that drifts by so much from the first run to the last.
// Head's requests take slow times as long.
func two(w *runrig.World, n int, slow, drift float64, keep bool) (base, head []*Run) {
	for i := range 2 * n {
		factor := w.Chance(drift * float64(i) / float64(2*n))
		name, into := fmt.Sprintf("base-%d", i), &base
		if i%2 == 1 {
			name, into, factor = fmt.Sprintf("head-%d", i), &head, factor*slow
		}
		r := Measure(name, w.Run(name, epoch.Add(time.Duration(i)*10*time.Minute), factor), keep)
		capacity := w.Capacity(factor) * math.Exp(0.01*w.Random.NormFloat64())
		r.Samples[Metric{Yardstick: report.MaxRate}] = Sample{State: report.FigureSeen, Reading: stats.Exactly(capacity)}
		*into = append(*into, r)
	}
	return base, head
}

// verdictsOf compares over and over, and counts the overall verdicts.
func verdictsOf(t *testing.T, rounds, n int, slow, drift float64) map[Verdict]int {
	t.Helper()
	got := map[Verdict]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				w := runrig.New(uint64(1000 + i))
				w.Crash = true
				base, head := two(w, n, slow, drift, n < minRuns)
				c, err := Compare(base, head, Options{})
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				got[c.Verdict]++
				mu.Unlock()
			}
		})
	}
	for i := range rounds {
		next <- i
	}
	close(next)
	all.Wait()
	return got
}

// The promise of compare: two hundred comparisons of a build with itself call it worse in at most one of twenty, and one
// that has lost a tenth of its capacity is found in at least nine of ten.
func TestFalseAlarmsAndPower(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	for _, c := range []struct {
		what        string
		n           int
		slow, drift float64
		worse       func(share float64) bool
	}{
		{"unchanged", 12, 1, 0.05, func(s float64) bool { return s <= 0.05 }},
		{"a tenth of the capacity lost", 12, 1 / 0.9, 0.05, func(s float64) bool { return s >= 0.9 }},
	} {
		got := verdictsOf(t, rounds, c.n, c.slow, c.drift)
		t.Logf("%s, %d comparisons of %d and %d runs: worse %d, better %d, same %d, unknown %d", c.what, rounds, c.n, c.n,
			got[Worse], got[Better], got[Same], got[Unknown])
		if share := float64(got[Worse]) / float64(rounds); !c.worse(share) {
			t.Errorf("%s: worse in %.1f %%", c.what, 100*share)
		}
	}
}
