package loadgen

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func window(t *rapid.T) Window {
	n := func(name string) uint64 { return rapid.Uint64Range(0, 1000).Draw(t, name) }
	w := Window{
		Stream: "s", Start: time.Unix(1_800_000_000, 0).UTC(), Multiple: float64(n("multiple")),
		Due: n("due"), Started: n("started"), Dropped: n("dropped"), Completed: n("completed"), Thrown: n("thrown"),
		Interrupted: n("interrupted"), ChecksPassed: n("passed"), ChecksFailed: n("failed"),
		Generator: Load{
			CPU: time.Duration(n("cpu")), Lateness: time.Duration(n("late")), VUs: int(n("vus")), Memory: n("mem"),
		},
	}
	for i := range n("generators") % 3 {
		w.Generators = append(w.Generators, NamedLoad{Name: string(rune('a' + 2*i)), Load: Load{CPU: time.Duration(n("part"))}})
	}
	for i := range n("missing") % 3 {
		w.Missing, w.Of = append(w.Missing, string(rune('b'+2*i))), int(n("of"))+1
	}
	for _, d := range durations.Draw(t, "ok") {
		w.OK.Record(d, d/2)
	}
	for _, d := range durations.Draw(t, "not ok") {
		w.Failed.Record(d, d/3)
	}
	return w
}

func TestWindowsMergeExactlyInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := window(t), window(t), window(t)
		var left, right Window
		for _, w := range []Window{a, b, c} {
			left.Merge(w)
		}
		for _, w := range []Window{c, b, a} {
			right.Merge(w)
		}
		if d := cmp.Diff(left, right); d != "" {
			t.Fatal(d)
		}
		if want := a.Due + b.Due + c.Due; left.Due != want {
			t.Fatalf("due %d, want %d", left.Due, want)
		}
		parts := time.Duration(0)
		for _, w := range []Window{a, b, c} {
			for _, l := range w.Generators {
				parts += l.CPU
			}
		}
		for _, l := range left.Generators {
			parts -= l.CPU
		}
		if parts != 0 || len(left.Generators) > 2 {
			t.Fatalf("the parts of the generators %+v miss %d", left.Generators, parts)
		}
		if got, want := left.OK.Response.Count(), a.OK.Count+b.OK.Count+c.OK.Count; got != want || left.OK.Count != want {
			t.Fatalf("%d responses of %d, want %d", got, left.OK.Count, want)
		}
	})
}

func TestWindowJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window(t)
		text, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var back Window
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(w, back); d != "" {
			t.Fatal(d)
		}
	})
}
