package report

import (
	"slices"
	"strings"
	"testing"

	"gameday/clock"
)

// TestMissingRunner checks that what is measured while a runner is missing proves nothing, that the reason names it, and that the
// verdict is not that of a run in which all was well.
func TestMissingRunner(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Expects = []ExpectPlan{
			{ID: "steady", Name: "availability", Part: PartSteady, That: less("error_ratio", 0.05), Over: sec(2)},
			{ID: "fault", Name: "degrades", Part: PartFault, Fault: "cut", That: less("error_ratio", 0.3), Over: sec(2)},
			{ID: "capacity", Name: "holds", Part: PartCapacity, That: less("p95", 0.5), Over: sec(2)},
		}
	})
	for _, c := range []struct {
		name     string
		away     func(s int) bool
		unknown  []string
		why      string
		remarked bool
	}{
		{"nobody", func(int) bool { return false }, nil, "", false},
		{"for a moment", func(s int) bool { return s == 50 }, nil, "", true},
		{"from the load phase on", func(s int) bool { return s >= 25 }, []string{"steady", "fault", "capacity"},
			"nothing is known of runner-2, which was to send 1/3 of users", true},
		{"only after the fault", func(s int) bool { return s >= 45 }, []string{"steady", "capacity"}, "nothing is known of runner-2", true},
	} {
		r := smallRun(t, plan, func(s int) tick {
			k := steady(90)(s)
			if c.away(s) {
				k.started, k.missing = 60, []string{"runner-2"}
			}
			return k
		})
		card := Score(r.record())
		for _, id := range []string{"steady", "fault", "capacity"} {
			it, want := item(t, card, id), clock.Met
			if slices.Contains(c.unknown, id) {
				want = clock.Unknown
			}
			if it.Outcome != want || want == clock.Unknown && !strings.Contains(it.Why, c.why) {
				t.Errorf("%s: %s is %v because %q, want %v", c.name, id, it.Outcome, it.Why, want)
			}
		}
		if len(c.unknown) > 0 == (card.Verdict == Passed) {
			t.Errorf("%s: the verdict is %v", c.name, card.Verdict)
		}
		said := slices.ContainsFunc(card.Remarks, func(s string) bool {
			return strings.Contains(s, "runner-2") && strings.Contains(s, "are partial")
		})
		if said != c.remarked {
			t.Errorf("%s: remarks %q", c.name, card.Remarks)
		}
	}
}

// TestRecoveryWithAMissingRunner checks that nothing has recovered by what some of the runners saw.
func TestRecoveryWithAMissingRunner(t *testing.T) {
	r := smallRun(t, smallPlan(func(p *Plan) {
		p.Expects = []ExpectPlan{{ID: "steady", Name: "availability", Part: PartSteady, That: less("error_ratio", 0.05), Over: sec(2)}}
	}), func(s int) tick {
		k := steady(90)(s)
		if s >= 30 {
			k.started, k.missing = 60, []string{"runner-1"}
		}
		return k
	})
	it := item(t, Score(r.record()), "recovery.cut.steady_state")
	if it.Outcome != clock.Unknown || !strings.Contains(it.Why, "not every generator told of") {
		t.Errorf("%v because %q", it.Outcome, it.Why)
	}
}

// TestAdviceOnAMissingRunner checks that the system is not blamed when nothing was injected because a runner was lost.
func TestAdviceOnAMissingRunner(t *testing.T) {
	r := newBuilder(t, smallPlan(nil)).phases(10).traffic("users", 0, 10, func(s int) tick {
		k := steady(90)(s)
		if s >= 2 {
			k.started, k.missing = 60, []string{"runner-3"}
		}
		return k
	}).end(10, EndUnsteady)
	card := Score(r.record())
	if len(card.Next) == 0 || !strings.Contains(card.Next[0].Text, "runner-3 of users was lost") {
		t.Errorf("the advice is %+v", card.Next)
	}
}
