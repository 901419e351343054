package targets

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/faults"
)

func TestParseAmount(t *testing.T) {
	for text, want := range map[string]Amount{
		"all": {}, "1": {Count: 1}, "12": {Count: 12}, "50%": {Percent: 50}, "0.5%": {Percent: 0.5}, "100%": {Percent: 100},
	} {
		got, err := ParseAmount(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %q, %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5", "0%", "-5%", "101%", "%", "NaN%", "Inf%", "some", "1 2"} {
		if got, err := ParseAmount(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// TestShares rounds a pick up and a bound down, and 7% of 100 is 7 in spite of binary fractions.
func TestShares(t *testing.T) {
	for _, c := range []struct {
		percent     float64
		n, up, down int
	}{{50, 1, 1, 0}, {50, 2, 1, 1}, {50, 3, 2, 1}, {1, 5, 1, 0}, {7, 100, 7, 7}, {29, 100, 29, 29}, {100, 7, 7, 7}, {33.3, 3, 1, 0}, {30, 10, 3, 3}} {
		a := Amount{Percent: c.percent}
		if a.up(c.n) != c.up || a.down(c.n) != c.down {
			t.Errorf("%v of %d: %d and %d, want %d and %d", a, c.n, a.up(c.n), a.down(c.n), c.up, c.down)
		}
	}
}

// TestPick holds for every choice: as many as asked, of those there, the same ones again, a larger pick has a smaller one's,
// and no place is left out by all seeds.
func TestPick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		seed := rapid.Int64().Draw(t, "seed")
		name := rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "target")
		c := Choice{Seed: seed}
		if rapid.Bool().Draw(t, "share") {
			c.Pick.Percent = rapid.Float64Range(0.01, 100).Draw(t, "percent")
		} else {
			c.Pick.Count = rapid.IntRange(1, 70).Draw(t, "count")
		}
		got := c.pick(name, n)
		if len(got) != c.Pick.up(n) || len(got) < 1 || len(got) > n {
			t.Fatalf("%d of %d for %v", len(got), n, c.Pick)
		}
		if !slices.IsSorted(got) || got[0] < 0 || got[len(got)-1] >= n || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("%v is no part of 0…%d", got, n-1)
		}
		if again := c.pick(name, n); !slices.Equal(got, again) {
			t.Fatalf("%v, then %v", got, again)
		}
		if len(got) > 1 {
			c.Pick = Amount{Count: len(got) - 1}
			for _, i := range c.pick(name, n) {
				if !slices.Contains(got, i) {
					t.Fatalf("a smaller pick has %d, and %v has not", i, got)
				}
			}
		}
	})
	seen := map[int]bool{}
	for seed := range int64(500) {
		seen[Choice{Pick: Amount{Count: 1}, Seed: seed}.pick("web", 8)[0]] = true
	}
	if len(seen) != 8 {
		t.Errorf("500 seeds pick only %d of 8", len(seen))
	}
	if slices.Equal(Choice{Pick: Amount{Count: 10}, Seed: 1}.pick("a", 100), Choice{Pick: Amount{Count: 10}, Seed: 1}.pick("b", 100)) {
		t.Error("two targets pick alike")
	}
	if all := (Choice{Seed: 9}).pick("web", 4); !slices.Equal(all, []int{0, 1, 2, 3}) {
		t.Errorf("all are %v", all)
	}
}

// TestPickIgnoresOrder picks the same processes in whatever order they were found.
func TestPickIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		starts := rapid.SliceOfN(rapid.Uint64Range(1, 9), 1, 20).Draw(t, "starts")
		seed := rapid.Int64().Draw(t, "seed")
		shuffle := rapid.Uint64().Draw(t, "shuffle")
		find := func() []*localPlace {
			out := make([]*localPlace, len(starts))
			for i, s := range starts {
				out[i] = &localPlace{Place: faults.Place{Process: &faults.Process{PID: 100 + i, Start: s}}, text: fmt.Sprint("pid ", 100+i)}
			}
			return out
		}
		target := &localTarget{machine: &Machine{}, name: "web", selector: &Process{Exe: "x"},
			choice: Choice{Pick: Amount{Percent: 40}, Seed: seed}}
		straight, err := target.choose(find())
		if err != nil {
			t.Fatal(err)
		}
		mixed := find()
		rand.New(rand.NewPCG(shuffle, 0)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		again, err := target.choose(mixed)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := pids(straight.Picked), pids(again.Picked); !slices.Equal(a, b) || len(straight.Found) != len(starts) {
			t.Fatalf("%v, then %v", a, b)
		}
	})
}

func pids(places []Place) []string {
	var out []string
	for _, p := range places {
		out = append(out, fmt.Sprint(p.Where().Name, p.Where().Process.PID))
	}
	return out
}

// TestBound refuses a pick that is over it, and says why; what is within it goes through.
func TestBound(t *testing.T) {
	var found []*localPlace
	for i := range 10 {
		found = append(found, &localPlace{Place: faults.Place{Process: &faults.Process{PID: 100 + i, Start: 5}}, text: fmt.Sprint("pid ", 100+i)})
	}
	for _, c := range []struct {
		choice Choice
		want   string // what the error says; empty for none
		picked int
	}{
		{Choice{AtMost: Amount{Count: 1}}, "selects 10 places and may touch 1 (at_most)", 0},
		{Choice{AtMost: Amount{Count: 10}}, "", 10},
		{Choice{Pick: Amount{Count: 3}, AtMost: Amount{Count: 2}}, "picks 3 places of 10 and may touch 2 (at_most)", 0},
		{Choice{Pick: Amount{Count: 3}, AtMost: Amount{Percent: 30}}, "", 3},
		{Choice{Pick: Amount{Percent: 31}, AtMost: Amount{Percent: 31}}, `picks 4 places of 10 and may touch 3 (at_most = "31%" of 10, rounded down)`, 0},
		{Choice{Pick: Amount{Percent: 5}, AtMost: Amount{Count: 1}}, "", 1},
	} {
		target := &localTarget{machine: &Machine{}, name: "web", selector: &Process{Exe: "x"}, choice: c.choice}
		r, err := target.choose(slices.Clone(found))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.choice, err, c.want)
		}
		if len(r.Picked) != c.picked {
			t.Errorf("%+v: picked %d, want %d", c.choice, len(r.Picked), c.picked)
		}
	}
}
