package sli

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/loadgen"
)

var epoch = time.Unix(1_800_000_000, 0)

func second(stream string, i int, change func(*loadgen.Window)) loadgen.Window {
	w := loadgen.Window{Stream: stream, Start: epoch.Add(time.Duration(i) * time.Second)}
	change(&w)
	return w
}

func TestAggregateReads(t *testing.T) {
	var a Aggregate
	for i := range 4 {
		a.Add(second("shop", i, func(w *loadgen.Window) {
			w.Due, w.Started, w.Dropped, w.ChecksPassed, w.ChecksFailed = 100, 90, 10, 6, 2
			for range 90 {
				w.OK.Record(100*time.Millisecond, time.Millisecond)
			}
			for range 10 {
				w.Failed.Record(2*time.Second, time.Millisecond)
			}
		}))
		a.Add(second("search", i, func(w *loadgen.Window) {
			w.Due, w.Started = 100, 100
			for range 100 {
				w.OK.Record(10*time.Millisecond, time.Millisecond)
			}
		}))
	}
	for _, test := range []struct {
		stream, name string
		want         float64
	}{
		{"shop", "rate", 90}, {"search", "rate", 100}, {"", "rate", 190},
		{"shop", "error_ratio", 0.1}, {"search", "error_ratio", 0}, {"", "error_ratio", 0.05},
		{"shop", "p50", 0.1}, {"shop", "p95", 2}, {"search", "p99", 0.01}, {"", "p90", 0.1}, {"", "max", 2},
		{"shop", "dropped_ratio", 0.1}, {"shop", "reached_ratio", 0.9}, {"", "reached_ratio", 0.95},
		{"shop", "check_ratio", 0.25}, {"", "check_ratio", 0.25},
	} {
		got, ok := a.Read(test.stream, test.name)
		if !ok || math.Abs(got-test.want) > test.want/1000 {
			t.Errorf("%s of %q is %g, %t; want %g", test.name, test.stream, got, ok, test.want)
		}
	}
	for _, test := range []struct {
		stream, name string
		want         uint64
	}{{"shop", "p95", 400}, {"", "error_ratio", 800}, {"", "reached_ratio", 800}, {"search", "dropped_ratio", 400},
		{"shop", "check_ratio", 32}, {"shop", "rate", 0}, {"none", "p95", 0}} {
		if got := a.Of(test.stream, test.name); got != test.want {
			t.Errorf("%s of %q is of %d, want %d", test.name, test.stream, got, test.want)
		}
	}
	if a.Seconds("shop") != 4 || a.Seconds("") != 4 {
		t.Errorf("%d and %d seconds", a.Seconds("shop"), a.Seconds(""))
	}
}

func TestNoDataIsUnknown(t *testing.T) {
	var a Aggregate
	for _, n := range Names() {
		if v, ok := a.Read("", n.Name); ok {
			t.Errorf("%s of nothing is %g", n.Name, v)
		}
	}
	a.Add(second("idle", 0, func(*loadgen.Window) {}))
	for _, n := range Names() {
		if v, ok := a.Read("idle", n.Name); ok != (n.Name == "rate") {
			t.Errorf("%s of an idle second is %g, %t", n.Name, v, ok)
		}
	}
	if _, ok := a.Read("idle", "p96"); ok {
		t.Error("an unknown name has a value")
	}
	if _, ok := a.Read("other", "rate"); ok {
		t.Error("an unknown stream has a value")
	}
}

// A Recent must say at any time what an Aggregate of the same last seconds says.
func TestRecentIsAnAggregateOfTheLastSeconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.IntRange(1, 8).Draw(t, "span")
		r := NewRecent(time.Duration(span) * time.Second)
		var all []loadgen.Window
		for i := range rapid.IntRange(1, 40).Draw(t, "seconds") {
			for _, stream := range []string{"a", "b"} {
				if rapid.IntRange(0, 5).Draw(t, "gap") == 0 {
					continue
				}
				w := second(stream, i, func(w *loadgen.Window) {
					w.Due = rapid.Uint64Range(0, 5).Draw(t, "due")
					w.Started = w.Due
					for range w.Due {
						w.OK.Record(time.Duration(rapid.IntRange(1, 1e9).Draw(t, "took")), 0)
					}
				})
				r.Add(w)
				all = append(all, w)
			}
			if len(all) == 0 {
				continue
			}
			newest := all[len(all)-1].Start
			var want Aggregate
			for _, w := range all {
				if newest.Sub(w.Start) < time.Duration(span)*time.Second {
					want.Add(w)
				}
			}
			for _, n := range Names() {
				for _, stream := range []string{"", "a", "b"} {
					w, known := want.Read(stream, n.Name)
					if g, ok := r.Read(stream, n.Name); g != w || ok != known {
						t.Fatalf("%s of %q is %g, %t; want %g, %t", n.Name, stream, g, ok, w, known)
					}
				}
			}
		}
	})
}

// TestSecondsAreASet compares runs of seconds with a plain set.
func TestSecondsAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var runs seconds
		set := map[int64]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "additions") {
			from := rapid.Int64Range(-20, 20).Draw(t, "from")
			to := from + rapid.Int64Range(1, 4).Draw(t, "length")
			runs.add(from, to)
			for at := from; at < to; at++ {
				set[at] = true
			}
			if runs.count() != len(set) {
				t.Fatalf("%v holds %d seconds, want %d", runs, runs.count(), len(set))
			}
			for i := 1; i < len(runs); i++ {
				if runs[i-1].to >= runs[i].from {
					t.Fatalf("%v: runs touch, or are out of order", runs)
				}
			}
		}
	})
}

// An Aggregate that was reset must not remember what it had.
func TestResetForgets(t *testing.T) {
	fill := func(a *Aggregate, stream string, took time.Duration) {
		a.Add(second(stream, 3, func(w *loadgen.Window) {
			w.Due, w.Started, w.ChecksPassed = 9, 8, 7
			w.OK.Record(took, took)
		}))
	}
	var used, fresh Aggregate
	fill(&used, "a", time.Hour)
	fill(&used, "b", time.Minute)
	used.Read("", "p95")
	used.Reset()
	fill(&used, "a", time.Second)
	fill(&fresh, "a", time.Second)
	for _, n := range Names() {
		for _, stream := range []string{"", "a", "b"} {
			want, known := fresh.Read(stream, n.Name)
			if v, ok := used.Read(stream, n.Name); v != want || ok != known {
				t.Errorf("%s of %q is %g, %t; want %g, %t", n.Name, stream, v, ok, want, known)
			}
		}
	}
	if used.Seconds("") != 1 || used.Seconds("b") != 0 {
		t.Errorf("%d seconds, %d of them of b", used.Seconds(""), used.Seconds("b"))
	}
}

func BenchmarkRecent(b *testing.B) {
	r := NewRecent(time.Minute)
	w := second("s", 0, func(w *loadgen.Window) {
		for i := range 1000 {
			w.OK.Record(time.Duration(1+i)*time.Millisecond, 0)
		}
	})
	for b.Loop() {
		w.Start = w.Start.Add(time.Second)
		r.Add(w)
		r.Read("", "p99")
	}
}
