package conductor

import (
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/report"
)

// searched plays a search for the capacity of a service, and returns what was found with the steps.
func searched(t *testing.T, inner string, search Search, set func(*day), look func(*day, *report.Record, loadgen.Found, []report.CapacityStep)) {
	t.Helper()
	play(t, "", steadyBlock+inner, func(d *day) {
		if search.Bounds.Start == 0 {
			search.Bounds = loadgen.SearchBounds{Start: 10, Max: 1000}
		}
		s, err := ForSearch(d.options.Scenario, &search)
		if err != nil {
			d.t.Fatal(err)
		}
		d.options.Scenario, d.options.Search = s, &search
		if set != nil {
			set(d)
		}
	}, func(d *day, rec *report.Record) {
		found := seen[report.CapacityAnswer](d.t, rec, report.CapacityFound)
		if len(found) != 1 {
			d.t.Fatalf("%d answers in the record", len(found))
		}
		look(d, rec, found[0].Found, seen[report.CapacityStep](d.t, rec, report.CapacityStepped))
	})
}

var usual = Search{Step: 10 * time.Second, Confirm: 30 * time.Second, Settle: 3 * time.Second, MaxDuration: 20 * time.Minute}

// TestSearchFindsCapacity finds what a service carries, never sends more than the bound, and leaves it at 1x.
func TestSearchFindsCapacity(t *testing.T) {
	searched(t, "", usual, func(d *day) { d.sender.carries = 13.7 }, func(d *day, rec *report.Record, found loadgen.Found, steps []report.CapacityStep) {
		wantEnd(d.t, rec, report.EndComplete)
		if !found.Confirmed || found.Rate > 137 || found.Rate < 137/1.06 || found.AtLeast {
			d.t.Errorf("found %+v", found)
		}
		for _, s := range steps {
			length := s.To.Sub(s.From)
			switch {
			case s.Kind == loadgen.Confirm && length < 30*time.Second, s.Kind != loadgen.Rest && s.Outcome == loadgen.Held && length < 10*time.Second:
				d.t.Errorf("%+v took only %s", s, length)
			case s.Outcome == loadgen.Broke && (length > 9*time.Second || s.Why == ""):
				d.t.Errorf("%+v took %s", s, length)
			}
		}
		last := d.sender.commands[len(d.sender.commands)-2] // before the stop
		if last.To != 1 {
			d.t.Errorf("it is left at %gx", last.To)
		}
	})
}

// TestSearchGivesUpForTheLastSeconds does not let what held before make good for what breaks now.
func TestSearchGivesUpForTheLastSeconds(t *testing.T) {
	searched(t, "", usual, func(d *day) {
		d.sender.errors = func(n int) float64 { // the third step goes well for a while
			if n > 43 && n < 60 {
				return 0.3
			}
			return 0
		}
	}, func(d *day, _ *report.Record, _ loadgen.Found, steps []report.CapacityStep) {
		broke := 0
		for _, s := range steps {
			if s.Outcome == loadgen.Broke {
				broke++
			}
		}
		if broke == 0 {
			d.t.Errorf("nothing broke: %+v", steps)
		}
	})
}

// TestSearchKeepsItsTime begins no step that would not end in time.
func TestSearchKeepsItsTime(t *testing.T) {
	short := usual
	short.MaxDuration = 75 * time.Second
	searched(t, "", short, nil, func(d *day, rec *report.Record, found loadgen.Found, steps []report.CapacityStep) {
		if found.Confirmed || found.Rate == 0 || !strings.Contains(found.Why, "does not suffice") {
			d.t.Errorf("found %+v", found)
		}
		if end := rec.Events[len(rec.Events)-1].T; end > 3*time.Second+short.MaxDuration+5*time.Second {
			d.t.Errorf("it took %s", end)
		}
	})
}

// TestSearchWithAFault lets the fault stand throughout and reverts it at the end; when it goes before, nothing is confirmed.
func TestSearchWithAFault(t *testing.T) {
	const fault = `
  fault "hold" "cut" {
    target   = target.web
    at       = "5s"
    duration = "5s"
  }
`
	with := usual
	with.Standing = "cut"
	searched(t, fault, with, func(d *day) { d.sender.carries = 5 }, func(d *day, rec *report.Record, found loadgen.Found, _ []report.CapacityStep) {
		if !found.Confirmed || found.Rate > 50 || found.Rate < 47 {
			d.t.Errorf("found %+v", found)
		}
		if got := steps(d.t, rec, report.Injected, report.Reverted); len(got) != 2 || !strings.HasPrefix(got[1], "reverted cut") {
			d.t.Errorf("%q", got)
		}
	})
	searched(t, fault, with, func(d *day) {
		d.at(60*time.Second, d.killGuard)
	}, func(d *day, _ *report.Record, found loadgen.Found, steps []report.CapacityStep) {
		last := steps[len(steps)-1]
		if found.Confirmed || !strings.Contains(found.Why, "did not stand throughout") || last.Outcome != loadgen.Untold {
			d.t.Errorf("found %+v, last %+v", found, last)
		}
	})
}

// TestSearchOfWhatCannotBe refuses what has no objective, a fault that does not stand, and one that is not there.
func TestSearchOfWhatCannotBe(t *testing.T) {
	d := newDay(t, "", steadyBlock)
	search := usual
	search.Standing = "nothing"
	if _, err := ForSearch(d.options.Scenario, &search); err == nil || !strings.Contains(err.Error(), "no fault") {
		t.Errorf("%v", err)
	}
	d = newDay(t, "", "")
	if _, err := ForSearch(d.options.Scenario, &usual); err == nil || !strings.Contains(err.Error(), "no objective") {
		t.Errorf("%v", err)
	}
}
