package compare

import (
	"math"
	"strings"
	"testing"

	"gameday/internal/truth"
	"gameday/report"
)

// TestRepeats puts simulated game days together, and counts each alarm of each of them once.
func TestRepeats(t *testing.T) {
	dir := t.TempDir()
	var cards []*report.Scorecard
	trials := 0
	for seed := uint64(1); seed <= 60; seed++ {
		if err := truth.New(seed).Write(dir); err != nil {
			t.Fatal(err)
		}
		rec, err := report.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		card := report.Score(rec)
		cards, trials = append(cards, card), trials+len(card.Trials())
	}
	list := RepeatsOf(cards)
	counted, given := 0, 0
	for _, r := range list {
		for _, a := range []Arm{r.Fault, r.Control} {
			counted += a.Runs + a.Unknown
			if a.Fired > a.Runs {
				t.Errorf("%s: %+v", r.Alarm, a)
			}
		}
		if enough := r.Fault.Runs >= 5 && r.Control.Runs >= 5; enough != (r.Chance != nil) {
			t.Errorf("%+v", r)
		}
		if r.Chance != nil {
			given++
			if !(*r.Chance > 0 && *r.Chance <= 1) {
				t.Errorf("%s by chance %v", r.Alarm, *r.Chance)
			}
		}
	}
	if counted != 2*trials || given == 0 {
		t.Errorf("%d of %d trials are counted, and %d chances given", counted, 2*trials, given)
	}
	var b strings.Builder
	if err := WriteRepeats(&b, "world", len(cards), list); err != nil || !strings.Contains(b.String(), "Fisher") || !strings.Contains(b.String(), "Down1") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// TestRepeatsByHand checks a table that was reckoned by hand: five of five with the fault and none of five without are one way of the
// 252 in which five of ten runs can be drawn.
func TestRepeatsByHand(t *testing.T) {
	r := Repeats{Fault: Arm{Fired: 5, Runs: 5}, Control: Arm{Runs: 5}}
	if p := r.byChance(); p == nil || math.Abs(*p-1.0/252) > 1e-12 {
		t.Errorf("by chance %v", p)
	}
	if p := (Repeats{Fault: Arm{Fired: 5, Runs: 5}, Control: Arm{Runs: 4}}).byChance(); p != nil {
		t.Errorf("by chance %v of too few", *p)
	}
}
