package report

import (
	"strings"
	"testing"
	"time"

	"gameday/clock"
)

// TestReadyAgain judges when pods were Ready after a fault: the recovery ends with the later of the fault and the pods, and what nobody
// saw is unknown.
func TestReadyAgain(t *testing.T) {
	pods := []string{"shop/db-1", "shop/db-2"}
	seen := func(lo, hi float64) Readiness {
		return Readiness{Fault: "cut", Pods: pods, Since: at(39), At: clock.Between(at(lo), at(hi)), Looked: at(hi)}
	}
	for _, c := range []struct {
		name    string
		ready   *Readiness
		by      float64
		outcome clock.Outcome
		latency string // of the item, to the tenth
		says    string
	}{
		{"never unready", ptr(seen(39, 40.5)), 40.5, clock.Met, "0s 500ms", "shop/db-1 and shop/db-2 Ready at"},
		{"later than the fault", ptr(seen(44, 44.5)), 44.5, clock.Met, "4s 4.5s", ""},
		{"too late", ptr(seen(58, 58.5)), 58.5, clock.Missed, "18s 18.5s", ""},
		{"about the limit", ptr(seen(48, 52)), 52, clock.Unknown, "8s 12s", ""},
		{"replaced", &Readiness{Fault: "cut", Pods: pods, At: clock.Between(at(44), at(45)), Replaced: []string{"shop/db-3"}}, 45, clock.Met, "4s 5s", "shop/db-3 in place of what was gone"},
		{"not by the end", &Readiness{Fault: "cut", Pods: pods, Not: pods[:1], Looked: at(99)}, 99, clock.Missed, "", "shop/db-1 was not Ready again by the end of the run"},
		{"not when it was last seen", &Readiness{Fault: "cut", Pods: pods, Not: pods[:1], Looked: at(45), Error: "nobody answers."}, 99, clock.Unknown, "", "cannot be seen: nobody answers"},
		{"the run was short", &Readiness{Fault: "cut", Pods: pods, Not: pods[:1], Looked: at(45)}, 99, clock.Unknown, "", "the run ended before its pods had their time"},
		{"nobody looked", nil, 0, clock.Unknown, "", "nobody looked at its pods before the run ended, or none of them was Ready before the fault"},
	} {
		plan := smallPlan(nil)
		p := &plan.Faults[0]
		p.Pods, p.SteadyWithin = true, 10*time.Second
		b := newBuilder(t, plan).phases(100).fault(p.Name, p.Kind, "db", 20, 40)
		if c.ready != nil {
			c.ready.Fault = p.Name
			b.add(c.by, PodsReady, *c.ready)
		}
		card := Score(b.end(100, EndComplete).record())
		it, err := card.Find("recovery." + p.Name + ".ready")
		if err != nil {
			t.Fatal(err)
		}
		took := ""
		if it.Latency != nil {
			took = it.Latency.Lo.Round(100*time.Millisecond).String() + " " + it.Latency.Hi.Round(100*time.Millisecond).String()
		}
		text := it.Why
		for _, e := range it.Evidence {
			text += "\n" + e.Text
		}
		if it.Outcome != c.outcome || c.latency != "" && took != c.latency || !strings.Contains(text, c.says) {
			t.Errorf("%s: %v after %s (%s)\n%s", c.name, it.Outcome, took, it.Measured, text)
		}
	}
	b := newBuilder(t, smallPlan(nil)).phases(100).fault("cut", "x", "db", 20, 40).end(100, EndComplete)
	if _, err := Score(b.record()).Find("recovery.cut.ready"); err == nil {
		t.Error("a record from before, or of a fault that hits no pods, is judged by it")
	}
}

func ptr[T any](v T) *T { return &v }
