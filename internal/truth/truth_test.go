package truth

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"gameday/clock"
	"gameday/report"
)

var (
	worlds = flag.Int("worlds", 20_000, "how many worlds TestTruthTable judges")
	first  = flag.Uint64("first", 1, "the seed of the first")
	tell   = flag.Bool("tell", false, "tell the story of every world that is judged wrongly")
)

// mostAvoidable is the share of unknowns that are allowed where anybody could have told.
const mostAvoidable = 0.02

// mostWrong ends a test that has told enough.
const mostWrong = 50

// tally counts what was said about the promises of all worlds.
type tally struct {
	table     map[string]int // "kept, said met" and so on
	plain     int            // promises of which anybody could tell
	avoidable int            // of those, the ones that are called unknown
	by        map[string]int // avoidable unknowns by what is promised
}

// TestTruthTable judges worlds whose whole story is known. No promise is called met that was not kept, or missed that was
// not broken; no world passes that should not, or fails that should not.
func TestTruthTable(t *testing.T) {
	n := *worlds
	if testing.Short() { // some seconds of them
		n = min(n, 1000)
	}
	sum := tally{table: map[string]int{}, by: map[string]int{}}
	dir := t.TempDir()
	bad := 0
	for i := range n {
		seed := *first + uint64(i)
		if wrong := judge(t, dir, seed, &sum); len(wrong) > 0 {
			for _, w := range wrong {
				t.Errorf("world %d: %s", seed, w)
			}
			if *tell {
				t.Log(New(seed))
			}
			if bad++; bad == mostWrong {
				t.Fatalf("enough: %d of %d worlds were judged wrongly", bad, i+1)
			}
		}
	}
	t.Logf("%d worlds judged", n)
	for _, k := range slices.Sorted(maps.Keys(sum.table)) {
		t.Logf("%7d %s", sum.table[k], k)
	}
	share := float64(sum.avoidable) / math.Max(1, float64(sum.plain))
	t.Logf("%d of %d promises that anybody could tell are called unknown: %.2f %%; %v", sum.avoidable, sum.plain, 100*share, sum.by)
	if share > mostAvoidable {
		t.Errorf("%.2f %% of what could be told is called unknown", 100*share)
	}
}

// judge compares one world's scorecard with the truth.
func judge(t *testing.T, dir string, seed uint64, sum *tally) (wrong []string) {
	w := New(seed)
	facts := w.Facts()
	if err := w.Write(dir); err != nil {
		t.Fatal(err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatalf("world %d: %v", seed, err)
	}
	card := report.Score(rec)
	said := map[string]*report.Item{}
	for _, it := range card.Items() {
		said[it.ID] = it
		f, ok := facts[it.ID]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is judged, and nobody promised it", it.ID))
			continue
		}
		answer := f.Answer.String()
		if f.Open {
			answer = "open"
		}
		sum.table[fmt.Sprintf("%s, called %s", answer, it.Outcome)]++
		if said := it.Override != nil; said != f.Decided || f.Decided && it.Outcome == clock.Unknown != (f.Answer == Moot) {
			wrong = append(wrong, fmt.Sprintf("%s is decided %t, %s, and called %s, overridden %t", it.ID, f.Decided, f.Answer, it.Outcome, said))
		}
		switch {
		case f.Open:
		case it.Outcome == clock.Met && f.Answer != Kept, it.Outcome == clock.Missed && f.Answer != Broken:
			wrong = append(wrong, fmt.Sprintf("%s is %s and called %s: %s %s", it.ID, f.Answer, it.Outcome, it.Measured, it.Why))
		case it.Outcome == clock.Unknown && f.Plain:
			sum.avoidable++
			sum.by[promise(it.ID)]++
		}
		if f.Plain {
			sum.plain++
		}
	}
	for id := range facts {
		if said[id] == nil {
			wrong = append(wrong, id+" was promised and is not judged")
		}
	}
	good := w.passes(facts)
	if (card.Machine != nil) != slices.ContainsFunc(slices.Collect(maps.Values(facts)), func(f Fact) bool { return f.Decided }) {
		wrong = append(wrong, "the scorecard does not say whether it rests on what people decided")
	}
	sum.table[fmt.Sprintf("worlds: should pass %t, %s", good, card.Verdict)]++
	for _, f := range facts {
		if f.Open {
			return wrong
		}
	}
	if card.Verdict == report.Passed && !good {
		wrong = append(wrong, fmt.Sprintf("it passes, %.1f to %.1f of %.0f", card.Low, card.High, card.Pass))
	}
	if card.Verdict == report.Failed && good && !card.Residue {
		wrong = append(wrong, fmt.Sprintf("it fails, %.1f to %.1f of %.0f: %v", card.Low, card.High, card.Pass, card.Why))
	}
	return wrong
}

// promise returns what is promised by an item, without whose alarm or page it is: "alarm.fired".
func promise(id string) string {
	if first, rest, ok := strings.Cut(id, "."); ok {
		return first + "." + rest[strings.LastIndex(rest, ".")+1:]
	}
	return id
}

// passes reports whether a run should pass, were everything known that can be: by docs/scoring.md.
func (w *World) passes(facts map[string]Fact) bool {
	if w.reason != report.EndComplete {
		return false
	}
	for _, f := range w.faults {
		if f.fate != stood {
			return false
		}
	}
	worth := map[report.Part]float64{report.Detection: 25, report.Response: 20}
	weights, earned := map[report.Part]float64{}, map[report.Part]float64{}
	for _, f := range facts {
		if f.Required && f.Answer != Kept {
			return false
		}
		weights[f.Part] += f.Weight
		earned[f.Part] += f.Weight * f.Value
	}
	var all, got float64
	for part, weight := range weights {
		if weight > 0 {
			all += worth[part]
			got += worth[part] * earned[part] / weight
		}
	}
	return all > 0 && 100*got/all >= w.pass-1e-6
}
