package alarmclass

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/report"
)

// compare holds the scorecard to what was done.
func compare(t *testing.T, s *stage, c *report.Scorecard, by busy) {
	items := map[string]*report.Item{}
	for _, it := range c.Items() {
		items[it.ID] = it
	}
	for id, want := range map[string]struct {
		outcome clock.Outcome
		class   report.Class
		says    string // of the reason, or of the evidence
	}{
		"alarm.Hit.fired":       {clock.Met, report.ClassHit, ""},
		"alarm.Hit.paged":       {clock.Met, report.ClassHit, ""},
		"alarm.Hit.cleared":     {clock.Met, report.ClassHit, ""},
		"alarm.Hit.flaps":       {clock.Met, report.ClassHit, ""},
		"alarm.Late.fired":      {clock.Missed, report.ClassLate, "the limit is 4s"},
		"alarm.Missed.fired":    {clock.Missed, report.ClassMissed, "it did not fire"},
		"alarm.Blind.fired":     {clock.Missed, report.ClassMissed, "it did not fire"},
		"alarm.Sighted.fired":   {clock.Met, report.ClassHit, ""},
		"alarm.Frozen.fired":    {clock.Unknown, report.ClassUnobserved, "unreachable"},
		"alarm.Already.fired":   {clock.Unknown, report.ClassPreexisting, "firing before"},
		"alarm.Primed.fired":    {clock.Unknown, report.ClassPrimed, "pending before"},
		"alarm.Silenced.fired":  {clock.Met, report.ClassHit, ""},
		"alarm.Silenced.paged":  {clock.Missed, report.ClassSuppressed, "silenced by"},
		"alarm.Inhibited.fired": {clock.Met, report.ClassHit, ""},
		"alarm.Inhibited.paged": {clock.Missed, report.ClassSuppressed, "inhibited by"},
		"alarm.Flappy.fired":    {clock.Met, report.ClassHit, ""},
		"alarm.Flappy.flaps":    {clock.Missed, report.ClassFlapping, "2 times"},
		"alarm.Stuck.fired":     {clock.Met, report.ClassHit, ""},
		"alarm.Stuck.cleared":   {clock.Missed, report.ClassStuck, "still fires"},
		"alarm.Lasting.fired":   {clock.Met, report.ClassHit, ""},
		"alarm.Lasting.paged":   {clock.Met, report.ClassHit, ""},
		// Both were down for a while: nobody knows whether it flapped then, and it is not called flapping.
		"alarm.Lasting.flaps": {clock.Unknown, report.ClassHit, ""},
		"noise":               {clock.Missed, report.ClassFalseAlarm, "Noise"},
	} {
		it := items[id]
		if it == nil {
			t.Errorf("there is no item %s", id)
			continue
		}
		if by.stood && it.Outcome == clock.Unknown && strings.Contains(it.Why, "prometheus.main was watched for only") {
			t.Logf("%s: %s", id, it.Why)
			continue
		}
		if it.Outcome != want.outcome || it.Class != want.class || !strings.Contains(it.Why, want.says) {
			t.Errorf("%s is %v, %s, because %q; want %v, %s, because of %q", id, it.Outcome, it.Class, it.Why, want.outcome, want.class, want.says)
			for _, e := range it.Evidence {
				t.Logf("  %s: %s", e.Source, e.Text)
			}
		}
	}
	facts(t, s, c, by)
}

// facts holds the list of alarms to what was done, and the pages to what was received.
func facts(t *testing.T, s *stage, c *report.Scorecard, by busy) {
	classes, episodes := map[string]report.Class{}, map[string]int{}
	for _, a := range c.Alarms {
		if strings.HasPrefix(a.Source, "prometheus.") {
			classes[a.Name] = a.Class
			episodes[a.Name]++
		}
	}
	for name, want := range map[string]report.Class{"Hit": report.ClassHit, "Late": report.ClassLate, "Already": report.ClassPreexisting,
		"Primed": report.ClassPrimed, "Flappy": report.ClassHit, "Lasting": report.ClassHit,
		"Noise": report.ClassFalseAlarm, "Collateral": report.ClassCollateral, "Background": report.ClassBackground} {
		if unseen := by.stood && want == report.ClassLate && classes[name] == report.ClassUnobserved; classes[name] != want && !unseen {
			t.Errorf("%s counts as %q, want %q", name, classes[name], want)
		}
	}
	for name, want := range map[string]int{"Hit": 1, "Flappy": 2, "Lasting": 1, "Background": 1, "Missed": 0, "Frozen": 0} {
		if episodes[name] != want {
			t.Errorf("%s has %d episodes, want %d", name, episodes[name], want)
		}
	}
	for name, want := range map[string]int{"Hit": 1, "Silenced": 0, "Inhibited": 0, "Lasting": 1} {
		if got := s.paged(name); got != want {
			t.Errorf("%d pages about %s were received, want %d", got, name, want)
		}
	}
}

// advised holds the advice to what was done.
func advised(t *testing.T, c *report.Scorecard, by busy) {
	rules := map[string]report.RuleAdvice{}
	for _, a := range c.Rules {
		rules[a.Alarm] = a
		t.Logf("%s: %s", a.Alarm, strings.Join(a.Text, " "))
	}
	for _, name := range []string{"Hit", "Late"} {
		a := rules[name]
		if a.Held == nil || a.Found == nil || a.Waited == nil {
			t.Errorf("the time of %s is not taken apart: %+v", name, a)
			continue
		}
		hold := map[string]time.Duration{"Hit": time.Second, "Late": 8 * time.Second}[name]
		const near = 500 * time.Millisecond
		if off := a.Waited.Mid() - hold; off < -near || off > near+by.waited {
			t.Errorf("%s waited %v, and its for is %s; evaluations that were left out made up for %s", name, a.Waited, hold, by.waited)
		}
	}
	if text := strings.Join(rules["Missed"].Text, " "); !strings.Contains(text, "never held after the onset: it came to 0, and fires at > 0") {
		t.Errorf("Missed: %s", text)
	}
	foretold(t, c, rules["Blind"], by)
	if len(c.RuleLists) != 1 || strings.Join(c.RuleLists[0].Quiet, " ") != "Blind Missed" || c.RuleLists[0].Of != 14 {
		t.Errorf("not exercised: %+v", c.RuleLists)
	}
}

// foretold compares when a better threshold is said to have fired with when a rule that has such a one did.
func foretold(t *testing.T, c *report.Scorecard, blind report.RuleAdvice, by busy) {
	unseen := func(it *report.Item) bool { return it.ID == "alarm.Blind.fired" && it.Class == report.ClassUnobserved }
	if by.stood && blind.Better == nil && slices.ContainsFunc(c.Items(), unseen) {
		t.Log("what was not seen to be missed is not given a better threshold")
		return
	}
	if blind.Better == nil || blind.Better.Fires == nil || blind.Better.Was != 10 || blind.Better.Value <= 0 || blind.Better.Value >= 6 {
		t.Fatalf("a better threshold than 10: %+v", blind.Better)
	}
	for _, it := range c.Items() {
		if it.ID != "alarm.Sighted.fired" {
			continue
		}
		said, took := *blind.Better.Fires, *it.Latency
		t.Logf("a threshold of %v is said to have fired %v after the onset, and one of 3 did %v after it", blind.Better.Value, said, took)
		if slow := time.Second + by.waited; took.Hi < said.Lo || took.Lo > said.Hi+slow { // evaluations of a busy machine come late, or not at all
			t.Error("that is not the same")
		}
	}
}
