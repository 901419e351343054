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

// simulate runs a comparison for each seed, on all processors, and counts the verdicts.
func simulate(t *testing.T, rounds int, one func(w *runrig.World) (*Comparison, error)) (verdicts map[Verdict]int, pairs int) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	verdicts = map[Verdict]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				w := runrig.New(uint64(1000 + i))
				w.Crash = true
				c, err := one(w)
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				verdicts[c.Verdict]++
				pairs += c.Pairs
				mu.Unlock()
			}
		})
	}
	for i := range rounds {
		next <- i
	}
	close(next)
	all.Wait()
	return verdicts, pairs
}

// rounds is how often the promises are put to the test.
const rounds = 200

// promise checks a share of verdicts that are worse, and prints all of them.
func promise(t *testing.T, what string, got map[Verdict]int, pairs int, holds func(worse float64) bool) {
	t.Helper()
	n := got[Worse] + got[Better] + got[Same] + got[Unknown]
	used := ""
	if pairs > 0 {
		used = fmt.Sprintf(", %.1f pairs on average", float64(pairs)/float64(n))
	}
	t.Logf("%s, %d times: worse %d, better %d, same %d, unknown %d%s", what, n, got[Worse], got[Better], got[Same], got[Unknown], used)
	if share := float64(got[Worse]) / float64(n); !holds(share) {
		t.Errorf("%s: worse in %.1f %%", what, 100*share)
	}
}

func seldom(worse float64) bool { return worse <= 0.05 }
func mostly(worse float64) bool { return worse >= 0.9 }

// sometimes is all that one run a side can promise: near its limit a queue hangs together for longer than a run is.
func sometimes(worse float64) bool { return worse >= 0.3 }

// The promise of compare: two hundred comparisons of a build with itself call it worse in at most one of twenty, and one
// that has lost a tenth of its capacity is found in at least nine of ten.
func TestSetsFalseAlarmsAndPower(t *testing.T) {
	const n, drift = 12, 0.05
	for _, c := range []struct {
		what  string
		slow  float64
		holds func(float64) bool
	}{{"unchanged", 1, seldom}, {"a tenth of the capacity lost", 1 / 0.9, mostly}} {
		got, _ := simulate(t, rounds, func(w *runrig.World) (*Comparison, error) {
			base, head := two(w, n, c.slow, drift, false)
			return Compare(base, head, Options{})
		})
		promise(t, fmt.Sprintf("sets of %d, %s", n, c.what), got, 0, c.holds)
	}
}

// The same promise of the sequence of pairs, as long as it is by default, on a machine that gets slower by a tenth while
// it lasts. The side that goes first changes from pair to pair.
func TestSequenceFalseAlarmsAndPower(t *testing.T) {
	const drift = 0.1
	for _, c := range []struct {
		what  string
		slow  float64
		holds func(float64) bool
	}{{"unchanged", 1, seldom}, {"a tenth of the capacity lost", 1 / 0.9, mostly}} {
		got, pairs := simulate(t, rounds, func(w *runrig.World) (c2 *Comparison, err error) {
			var pairs []Pair
			for c2 == nil || !c2.Decided {
				pairs = append(pairs, onePair(w, len(pairs), c.slow, drift/DefaultPairs))
				if c2, err = (Sequential{Most: DefaultPairs}).Judge(pairs); err != nil {
					return nil, err
				}
			}
			return c2, nil
		})
		promise(t, fmt.Sprintf("at most %d pairs, %s", DefaultPairs, c.what), got, pairs, c.holds)
	}
}

// onePair makes the i-th pair of a sequence.
func onePair(w *runrig.World, i int, slow, drift float64) Pair {
	var p Pair
	for k := range 2 {
		factor := w.Chance(drift * (float64(i) + float64(k)/2))
		name, into := fmt.Sprintf("base-%d", i), &p.Base
		if (k == 1) == (i%2 == 0) {
			name, into, factor = fmt.Sprintf("head-%d", i), &p.Head, factor*slow
		}
		*into = Measure(name, w.Run(name, epoch.Add(time.Duration(2*i+k)*10*time.Minute), factor), false)
	}
	return p
}

// One run a side has no variation from run to run in it, so only what varies within can be promised about.
func TestBlocksFalseAlarmsAndPower(t *testing.T) {
	for _, c := range []struct {
		what  string
		slow  float64
		holds func(float64) bool
	}{{"unchanged", 1, seldom}, {"a fifth of the capacity lost", 1 / 0.8, sometimes}} {
		got, _ := simulate(t, rounds, func(w *runrig.World) (*Comparison, error) {
			w.Between, w.Outliers, w.Crash, w.Load = 0, 0, false, 120
			base, head := two(w, 1, c.slow, 0, true)
			for _, r := range []*Run{base[0], head[0]} {
				delete(r.Samples, Metric{Yardstick: report.MaxRate})
			}
			return Compare(base, head, Options{})
		})
		promise(t, "one run a side, "+c.what, got, 0, c.holds)
	}
}
