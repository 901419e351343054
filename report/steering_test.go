package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/responders"
)

// heldRun is a checkout run whose load phase was to take two minutes: a facilitator held it for one, and had cut injected meanwhile.
func heldRun(t testing.TB) *builder {
	b := passedRun(t)
	b.plan.Phases[2].Length, b.plan.Phases[3].At = 120*second, 160*second
	return b.add(80, HoldBegan, Hold{By: "fay", Why: "ann has a question", Phase: Load, At: 40 * second, Limit: 40 * second}).
		add(90, HoldBegan, Hold{By: "fay", Phase: Load, At: 40 * second, Limit: 15 * 60 * second, More: true}).
		add(99.9, InjectAsked, InjectNow{By: "fay", Fault: "cut", Early: 20 * second}).
		add(140, HoldEnded, Release{By: "gus", Phase: Load, Held: 60 * second})
}

// skippedRun is a checkout run whose load phase was to take a minute more, which a facilitator skipped when all faults were over.
func skippedRun(t testing.TB) *builder {
	b := passedRun(t)
	b.plan.Phases[2].Length, b.plan.Phases[3].At = 240*second, 280*second
	return b.add(210, WaitSkipped, Skip{By: "fay", Phase: Load, At: 170 * second, Over: 60 * second, To: "the end of the load phase"})
}

// TestSteered checks what a scorecard says that a facilitator did, in facts, notes and moments, and by no person's name.
func TestSteered(t *testing.T) {
	c := Score(reread(t, heldRun(t)))
	if len(c.Steered) != 2 {
		t.Fatalf("%+v", c.Steered)
	}
	held, cut := c.Steered[0], c.Steered[1]
	if held.Did != "held" || held.Took != 60*second || !held.Until.Equal(at(140)) || held.Lapse || len(held.Lines) != 3 || cut.Did != "injected" ||
		cut.Fault != "cut" || cut.Took != 20*second {
		t.Errorf("%+v", c.Steered)
	}
	for _, want := range []string{
		"At 1:20 the facilitator, responder B, held the timeline in the load phase for 1m, until responder C released it: responder A has a question.",
		"At 1:39 the facilitator, responder B, had fault cut injected 20s before its time."} {
		if !slices.Contains(c.Remarks, want) {
			t.Errorf("the notes %q lack %q", c.Remarks, want)
		}
	}
	var kinds []string
	for _, m := range c.Moments() {
		if m.Kind == MomentSteered || m.Kind == MomentReleased {
			kinds = append(kinds, string(m.Kind)+" "+m.Of)
		}
	}
	if got := strings.Join(kinds, ", "); got != "steered load, steered cut, released load" {
		t.Errorf("the moments are %s", got)
	}
	if out := everything(t, c); strings.Contains(out, "fay") || strings.Contains(out, "gus") {
		t.Error("a facilitator is named")
	}
	if c.Verdict != Passed || c.Coverage < 0.999 {
		t.Errorf("%s, of %g", c.Verdict, c.Coverage)
	}
}

// TestHoldsEnd checks until when a hold lasted that lapsed, and one that nobody released before the run ended or its record breaks off.
func TestHoldsEnd(t *testing.T) {
	hold := Hold{By: "fay", Phase: Load, At: 40 * second, Limit: 30 * second}
	for name, c := range map[string]struct {
		change func(*builder)
		until  float64
		words  string
	}{
		"lapsed":   {func(b *builder) { b.add(110, HoldEnded, Release{Phase: Load, Held: 30 * second, Lapsed: true}) }, 110, "until the hold lapsed"},
		"stopped":  {func(b *builder) { b.add(100, PhaseEnded, PhaseChange{Load}).end(104, EndStopped) }, 100, "until the run ended"},
		"torn off": {func(b *builder) { b.add(101, Noted, Note{}) }, 101, "until the run ended"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuilder(t, checkoutPlan()).add(40, PhaseStarted, PhaseChange{Load}).add(80, HoldBegan, hold)
			c.change(b)
			s := Score(b.record()).Steered
			if len(s) != 1 || !s[0].Until.Equal(at(c.until)) || s[0].Took != time.Duration(c.until-80)*second || !strings.Contains(s[0].Words(), c.words) {
				t.Errorf("%+v: %s", s, s[0].Words())
			}
		})
	}
}

// TestSkippedLoad checks that what was skipped of the load phase counts as not there: a capacity that held in the rest is unknown, and so is
// that of a shape of which a part was never sent, however long another part was held.
func TestSkippedLoad(t *testing.T) {
	capacity := func(t *testing.T, b *builder) Item {
		t.Helper()
		it, err := Score(b.record()).Find("capacity.holds 3x")
		if err != nil {
			t.Fatal(err)
		}
		return *it
	}
	if it := capacity(t, skippedRun(t)); it.Outcome != clock.Unknown ||
		!strings.Contains(it.Why, "the load phase was cut short at 3m of 4m: the facilitator skipped 1m of it") {
		t.Errorf("skipped: %s, %s", it.Outcome, it.Why)
	}
	both := func(t *testing.T) *builder {
		b := skippedRun(t)
		b.plan.Phases[2].Length, b.plan.Phases[3].At = 180*second, 220*second
		return b.add(182, HoldBegan, Hold{By: "fay", Phase: Load}).add(205, HoldEnded, Release{By: "fay", Phase: Load})
	}
	if it := capacity(t, both(t)); it.Outcome != clock.Met {
		t.Errorf("steady, held and skipped: %s, %s", it.Outcome, it.Why)
	}
	shaped := both(t)
	shaped.plan.Traffic[0].Program = &loadgen.Program{From: 1, Legs: []loadgen.Leg{{To: 3, Over: 180 * second}}}
	if it := capacity(t, shaped); it.Outcome != clock.Unknown || !strings.Contains(it.Why, "cut short at 2m of 3m: the facilitator skipped 1m of it") {
		t.Errorf("shaped, held and skipped: %s, %s", it.Outcome, it.Why)
	}
	for _, l := range Score(shaped.record()).Levels() {
		if _, _, why := l.Read("", "p95"); l.Name == string(Load) && !strings.Contains(why, "the facilitator skipped 1m of it") {
			t.Errorf("the levels of the load phase: %q", why)
		}
	}
}

// TestDeadlinesUnderHold checks that a hold gives nobody more time: what counts from an onset goes on.
func TestDeadlinesUnderHold(t *testing.T) {
	b := checkout(t, checkoutPlan(), 700*time.Millisecond, nil).
		alarms("prometheus.main", 280, whole, alarm{name: "PaymentsDown", pending: 103, firing: 139, ends: 150}).
		alarms("alertmanager.main", 280, whole).
		responses(280, whole, did(111.5, responders.Notified, responders.Human, "ann", 1)).
		add(101, HoldBegan, Hold{By: "fay", Phase: Load, Limit: 60 * second}).
		add(141, HoldEnded, Release{By: "fay", Phase: Load, Held: 40 * second}).end(280, EndComplete)
	it, err := Score(b.record()).Find("alarm.PaymentsDown.fired")
	if err != nil || it.Outcome != clock.Missed {
		t.Errorf("39 s after the onset, of which 38 were held: %v, %v", it, err)
	}
}

// TestHeldBaselineJudged checks that the steady state of a held baseline phase is told over the last part of it.
func TestHeldBaselineJudged(t *testing.T) {
	b := newBuilder(t, checkoutPlan()).add(0, PhaseStarted, PhaseChange{Baseline}).add(5, HoldBegan, Hold{By: "fay", Phase: Baseline}).
		add(65, HoldEnded, Release{By: "fay", Phase: Baseline, Held: 60 * second}).add(90, PhaseEnded, PhaseChange{Baseline}).end(91, EndUnsteady)
	j := newJudge(b.record())
	p, _ := j.tl.Phase(Baseline)
	if got := j.judged(p); !got.Start.Equal(at(60)) || !got.End.Equal(at(90)) {
		t.Errorf("judged from %s to %s", got.Start, got.End)
	}
}

// TestSteeringIsRead checks that a record with such events is held to their shapes.
func TestSteeringIsRead(t *testing.T) {
	for _, kind := range []EventKind{HoldBegan, HoldEnded, WaitSkipped, InjectAsked} {
		b := passedRun(t).add(100, kind, map[string]any{"by": 7})
		dir := t.TempDir()
		b.write(dir)
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "record.jsonl:") {
			t.Errorf("%s by 7: %v", kind, err)
		}
	}
}
