package conductor

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/faults"
	"gameday/report"
)

// TestOtherRuns leaves out this run, orphans and what cannot be read.
func TestOtherRuns(t *testing.T) {
	entry := func(run, fault, place string) faults.Standing {
		return faults.Standing{Entry: faults.Entry{Run: run, Scenario: "of-" + run, Fault: fault, Place: faults.Place{Name: place}}}
	}
	orphan := entry("dead", "cut", "web")
	orphan.Orphaned = true
	got := otherRuns([]faults.Standing{entry("z", "cut", "db"), entry("mine", "cut", "web"), entry("b", "slow", "db"), orphan,
		entry("z", "crash", "web"), {ID: "torn", Err: errors.New("torn")}}, "mine")
	want := []otherRun{{"b", "of-b", []string{"slow on db"}}, {"z", "of-z", []string{"cut on db", "crash on web"}}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(otherRun{})); d != "" {
		t.Error(d)
	}
}

// TestAnotherGameDay finds somebody else's fault at preflight, and does not stop for it.
func TestAnotherGameDay(t *testing.T) {
	play(t, "alarms \"probe\" \"main\" {}\n", steadyBlock+twoFaults, func(d *day) {
		held, err := d.options.Ledger.Open(faults.Entry{ID: "other-cut-1", Run: "other", Scenario: "their-day", Fault: "cut",
			Kind: "elsewhere", Place: faults.Place{Name: "web"}})
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { _ = held.Close() })
		d.probe.err = errors.New("connection refused") // the run ends soon, for another reason
	}, func(d *day, rec *report.Record) {
		found := seen[report.Found](d.t, rec, report.PreflightFound)
		if len(found) != 2 || found[0].What != "ledger" || found[0].Blocks || found[1].What != "alarms probe.main" ||
			found[0].Summary != "another game day stands here: run other, 1 fault" {
			d.t.Errorf("found %+v", found)
		}
	})
}
