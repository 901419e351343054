package loadgen

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawnArrivals is a stream whose multiple changes while it runs.
func drawnArrivals(t *rapid.T) (Arrivals, []Command) {
	a := Arrivals{
		Rate: rapid.Float64Range(0.5, 500).Draw(t, "rate"), Idle: rapid.Bool().Draw(t, "idle"), Poisson: rapid.Bool().Draw(t, "poisson"),
		Seed: rapid.Uint64().Draw(t, "seed"),
	}
	var commands []Command
	at := time.Duration(0)
	for range rapid.IntRange(0, 5).Draw(t, "commands") {
		at += time.Duration(rapid.Int64Range(1, int64(2*time.Second)).Draw(t, "at"))
		commands = append(commands, Command{At: at, To: rapid.Float64Range(0, 4).Draw(t, "to"),
			Over: time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "over"))})
	}
	return a, commands
}

// arrivalsOf follows a schedule for ten seconds as a generator does: what is due is taken, until the next command.
func arrivalsOf(t *rapid.T, a Arrivals, commands []Command) (out []time.Duration, due []uint64) {
	const length = 10 * time.Second
	p := NewPacer(a)
	upto := func(end time.Duration) {
		for p.Next() <= end {
			out = append(out, p.Next())
			p.Take()
		}
	}
	for _, c := range commands {
		upto(c.At)
		p.Ramp(c.At, c.To, c.Over)
	}
	upto(length)
	for s := time.Duration(0); s <= length; s += time.Second {
		due = append(due, p.Due(s))
	}
	if n := p.Due(length); n != uint64(len(out)) {
		t.Fatalf("%d arrivals were taken, and %d are due", len(out), n)
	}
	return out, due
}

// TestSegmentsAreTheWhole holds the arrivals of all segments together to those of the stream, to the nanosecond.
func TestSegmentsAreTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, commands := drawnArrivals(t)
		whole, wholeDue := arrivalsOf(t, a, commands)
		n := rapid.IntRange(1, 7).Draw(t, "segments")
		var together []time.Duration
		due := make([]uint64, len(wholeDue))
		for i := range n {
			a.Segment = Segment{Index: i, Of: n}
			own, ownDue := arrivalsOf(t, a, commands)
			for k := range own {
				if want := whole[a.Segment.Nth(uint64(k+1))-1]; own[k] != want {
					t.Fatalf("arrival %d of segment %d comes at %s, and in the stream at %s", k, i, own[k], want)
				}
			}
			together = append(together, own...)
			for s := range due {
				due[s] += ownDue[s]
			}
		}
		slices.Sort(together)
		if d := cmp.Diff(whole, together); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(wholeDue, due); d != "" {
			t.Fatal(d)
		}
	})
}

// TestSegmentsShareNumbers checks that each number belongs to one segment, and things that cannot be split are shared.
func TestSegmentsShareNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.IntRange(1, 9).Draw(t, "of")
		total := rapid.IntRange(of, 500).Draw(t, "total")
		var numbers []uint64
		sum, parts := uint64(0), 0
		for i := range of {
			s := Segment{Index: i, Of: of}
			for k := uint64(1); k <= s.Count(uint64(total)); k++ {
				numbers = append(numbers, s.Nth(k))
			}
			sum += s.Count(uint64(total))
			parts += s.Part(total)
		}
		slices.Sort(numbers)
		for i, n := range numbers {
			if n != uint64(i+1) {
				t.Fatalf("numbers %v", numbers)
			}
		}
		if sum != uint64(total) || parts != total {
			t.Fatalf("of %d, %d were counted and %d shared", total, sum, parts)
		}
	})
}

func TestSegmentAsK6WritesIt(t *testing.T) {
	var got []string
	for i := range 3 {
		got = append(got, Segment{Index: i, Of: 3}.String())
	}
	got = append(got, Segment{Index: 1, Of: 3}.Edges(), Segment{}.String(), Segment{}.Edges())
	want := []string{"0:1/3", "1/3:2/3", "2/3:1", "0,1/3,2/3,1", "0:1", "0,1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
