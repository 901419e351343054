package compare

import (
	"errors"
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

// outcome counts the verdicts of many comparisons.
type outcome struct {
	verdicts map[Verdict]int
	pairs    int
}

// simulate runs comparisons for each seed, on all processors, and counts the verdicts of each sort of comparison.
func simulate(t *testing.T, sorts int, one func(w *runrig.World) ([]*Comparison, error)) []outcome {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	out := make([]outcome, sorts)
	for i := range out {
		out[i].verdicts = map[Verdict]int{}
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				w := runrig.New(uint64(1000 + i))
				w.Crash = true
				cs, err := one(w)
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				for k, c := range cs {
					out[k].verdicts[c.Verdict]++
					out[k].pairs += c.Pairs
				}
				mu.Unlock()
			}
		})
	}
	for i := range rounds {
		next <- i
	}
	close(next)
	all.Wait()
	return out
}

// rounds is how often the promises are put to the test.
const rounds = 200

// promise checks a share of verdicts that are worse, and prints all of them.
func (o outcome) promise(t *testing.T, what string, holds func(worse float64) bool) {
	t.Helper()
	got := o.verdicts
	n := got[Worse] + got[Better] + got[Same] + got[Unknown]
	used := ""
	if o.pairs > 0 {
		used = fmt.Sprintf(", %.1f pairs on average", float64(o.pairs)/float64(n))
	}
	t.Logf("%s, %d times: worse %d, better %d, same %d, unknown %d%s", what, n, got[Worse], got[Better], got[Same],
		got[Unknown], used)
	if share := float64(got[Worse]) / float64(n); !holds(share) {
		t.Errorf("%s: worse in %.1f %%", what, 100*share)
	}
}

func seldom(worse float64) bool { return worse <= 0.05 }
func mostly(worse float64) bool { return worse >= 0.9 }

// sometimes is all that one run a side can promise: near its limit a queue hangs together for longer than a run is.
func sometimes(worse float64) bool { return worse >= 0.3 }

// nothing tolerates nothing, so that a build compared with itself lies just where worse begins: what is left to keep
// the rate of false alarms down is the tests.
func nothing() Options {
	o := Options{Tolerances: map[string]report.Tolerance{}}
	for _, y := range report.Yardsticks() {
		o.Tolerances[y.Name] = report.Tolerance{Counts: y.Tolerance.Counts}
	}
	return o
}

// The promise of compare: two hundred comparisons of a build with itself call it worse in at most one of twenty, also
// where nothing is tolerated, and one that has lost a tenth of its capacity is found in at least nine of ten.
func TestSetsFalseAlarmsAndPower(t *testing.T) {
	const n, drift = 12, 0.05
	what := fmt.Sprintf("sets of %d, ", n)
	got := simulate(t, 2, func(w *runrig.World) ([]*Comparison, error) {
		base, head := two(w, n, 1, drift, false)
		c, err := Compare(base, head, Options{})
		strict, errStrict := Compare(base, head, nothing())
		return []*Comparison{c, strict}, errors.Join(err, errStrict)
	})
	got[0].promise(t, what+"unchanged", seldom)
	got[1].promise(t, what+"unchanged, nothing tolerated", seldom)
	got = simulate(t, 1, func(w *runrig.World) ([]*Comparison, error) {
		base, head := two(w, n, 1/0.9, drift, false)
		c, err := Compare(base, head, Options{})
		return []*Comparison{c}, err
	})
	got[0].promise(t, what+"a tenth of the capacity lost", mostly)
}

// The same promise of the sequence of pairs, as long as it is by default, on a machine that gets slower by a tenth
// while it lasts. The side that goes first changes from pair to pair.
func TestSequenceFalseAlarmsAndPower(t *testing.T) {
	const drift = 0.1
	sequence := func(w *runrig.World, slow float64, os ...Options) ([]*Comparison, error) {
		out := make([]*Comparison, len(os))
		var pairs []Pair
		for going := true; going; {
			pairs = append(pairs, onePair(w, len(pairs), slow, drift/DefaultPairs))
			going = false
			for i, o := range os {
				if out[i] != nil && out[i].Decided {
					continue
				}
				var err error
				if out[i], err = (Sequential{Most: DefaultPairs, Options: o}).Judge(pairs); err != nil {
					return nil, err
				}
				going = going || !out[i].Decided
			}
		}
		return out, nil
	}
	what := fmt.Sprintf("at most %d pairs, ", DefaultPairs)
	got := simulate(t, 2, func(w *runrig.World) ([]*Comparison, error) { return sequence(w, 1, Options{}, nothing()) })
	got[0].promise(t, what+"unchanged", seldom)
	got[1].promise(t, what+"unchanged, nothing tolerated", seldom)
	got = simulate(t, 1, func(w *runrig.World) ([]*Comparison, error) { return sequence(w, 1/0.9, Options{}) })
	got[0].promise(t, what+"a tenth of the capacity lost", mostly)
}

// One run a side has no variation from run to run in it, so only what varies within can be promised about.
func TestBlocksFalseAlarmsAndPower(t *testing.T) {
	within := func(w *runrig.World, slow float64, os ...Options) (out []*Comparison, err error) {
		w.Between, w.Outliers, w.Crash, w.Load = 0, 0, false, 120
		base, head := two(w, 1, slow, 0, true)
		for _, r := range []*Run{base[0], head[0]} {
			delete(r.Samples, Metric{Yardstick: report.MaxRate})
		}
		for _, o := range os {
			c, errOne := Compare(base, head, o)
			out, err = append(out, c), errors.Join(err, errOne)
		}
		return out, err
	}
	got := simulate(t, 2, func(w *runrig.World) ([]*Comparison, error) { return within(w, 1, Options{}, nothing()) })
	got[0].promise(t, "one run a side, unchanged", seldom)
	got[1].promise(t, "one run a side, unchanged, nothing tolerated", seldom)
	got = simulate(t, 1, func(w *runrig.World) ([]*Comparison, error) { return within(w, 1/0.8, Options{}) })
	got[0].promise(t, "one run a side, a fifth of the capacity lost", sometimes)
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
