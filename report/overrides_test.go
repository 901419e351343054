package report

import (
	"bytes"
	"strings"
	"testing"

	"gameday/clock"
)

// overriddenRun has one required alarm that did not fire, and what people decided about it.
func overriddenRun(t testing.TB, overrides ...Override) *Scorecard {
	b := smallRun(t, smallPlan(func(p *Plan) {
		a := downAlarm
		a.Required = true
		p.Alarms = []AlarmPlan{a}
	}), nil)
	b.alarms("prometheus.main", 100, smallWhole)
	for i, o := range overrides {
		b.add(3600+float64(i), Overrode, o)
	}
	return Score(b.record())
}

const downFired = "alarm.Down.fired"

func TestOverride(t *testing.T) {
	met := Override{Item: downFired, Outcome: clock.Met, By: "Dana", Reason: "the page of users counts as well"}
	missed := Override{Item: downFired, Outcome: clock.Missed, By: "Eve", Reason: "it was another one"}
	back := Override{Item: downFired, Withdrawn: true, By: "Dana", Reason: "a mistake"}
	for _, c := range []struct {
		name      string
		overrides []Override
		outcome   clock.Outcome
		verdict   Verdict
		by        string
	}{
		{"none", nil, clock.Missed, Failed, ""},
		{"one", []Override{met}, clock.Met, Passed, "Dana"},
		{"the last one counts", []Override{met, missed}, clock.Missed, Failed, "Eve"},
		{"unknown", []Override{{Item: downFired, Outcome: clock.Unknown, By: "Dana", Reason: "nobody looked"}}, clock.Unknown, Inconclusive, "Dana"},
		{"withdrawn", []Override{met, back}, clock.Missed, Failed, ""},
		{"and given again", []Override{met, back, met}, clock.Met, Passed, "Dana"},
	} {
		t.Run(c.name, func(t *testing.T) {
			card := overriddenRun(t, c.overrides...)
			it := item(t, card, downFired)
			if it.Outcome != c.outcome || card.Verdict != c.verdict {
				t.Errorf("%v and %v, want %v and %v", it.Outcome, card.Verdict, c.outcome, c.verdict)
			}
			if c.by == "" {
				if it.Override != nil || card.Machine != nil || card.Torn {
					t.Errorf("%+v, %+v", it.Override, card.Machine)
				}
				return
			}
			o := it.Override
			if o == nil || o.By != c.by || o.Outcome != clock.Missed || len(o.Lines) != 1 || it.Grade != "D" {
				t.Fatalf("%+v, grade %s", o, it.Grade)
			}
			if card.Machine.Verdict != Failed || card.Machine.Low != 0 {
				t.Errorf("without it %+v", card.Machine)
			}
			if last := card.Why[len(card.Why)-1]; !strings.Contains(last, "rests on 1 override by "+c.by) || !strings.Contains(last, "it is failed") {
				t.Errorf("the verdict says %q", last)
			}
			for name, write := range map[string]func(*bytes.Buffer) error{
				"text":    func(b *bytes.Buffer) error { return Text(b, card, TextOptions{}) },
				"explain": func(b *bytes.Buffer) error { return Explain(b, card, downFired, TextOptions{}) },
				"JSON":    func(b *bytes.Buffer) error { return JSON(b, card) },
				"JUnit":   func(b *bytes.Buffer) error { return JUnit(b, card) },
				"HTML":    func(b *bytes.Buffer) error { return HTML(b, card) },
			} {
				var b bytes.Buffer
				if err := write(&b); err != nil {
					t.Fatal(err)
				}
				if text := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(text, c.by) || !strings.Contains(text, "overrid") && !strings.Contains(text, "Overrid") {
					t.Errorf("%s does not say so:\n%s", name, b.String())
				}
			}
		})
	}
}

// TestOverrideBeyondTheGate decides about items of which nothing can be decided: of a run that left a fault, and of no item.
func TestOverrideBeyondTheGate(t *testing.T) {
	b := newBuilder(t, smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })).phases(100)
	b.traffic("users", 0, 100, steady(10)).fault("cut", "network_partition", "db", 20, 0)
	b.add(40, RevertFailed, Injection{ID: "run/cut", Fault: "cut", Place: "db", Error: "it is still there"})
	b.alarms("prometheus.main", 100, smallWhole).end(100, EndComplete)
	b.add(200, Overrode, Override{Item: downFired, Outcome: clock.Met, By: "Dana", Reason: "all is well"})
	b.add(201, Overrode, Override{Item: "safety", Outcome: clock.Met, By: "Dana", Reason: "all is well"})
	c := Score(b.record())
	if c.Verdict != Failed || !c.Residue || c.Exit != 5 {
		t.Errorf("%v, residue %v, exit %d", c.Verdict, c.Residue, c.Exit)
	}
	if len(c.Remarks) != 1 || !strings.Contains(c.Remarks[0], "override of safety") {
		t.Errorf("remarks %q", c.Remarks)
	}
}

// TestOverrideAfterAKill decides about a run that has no end: its time does not grow by that.
func TestOverrideAfterAKill(t *testing.T) {
	b := newBuilder(t, smallPlan(nil)).phases(60).traffic("users", 0, 60, steady(10))
	before := Score(b.record()).Length
	b.add(3600, Overrode, Override{Item: "x", By: "Dana", Reason: "r"})
	if after := Score(b.record()).Length; after != before {
		t.Errorf("it lasted %v, and %v once somebody decided about it", before, after)
	}
}
