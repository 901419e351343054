package fresh

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/report"
	"gameday/report/history"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration, scenario string, v report.Verdict, services ...string) history.Entry {
	return history.Entry{Folder: scenario + d.String(), Scenario: scenario, Started: now.Add(-d), Verdict: v, End: report.EndComplete, Services: services}
}

const aDay = 24 * time.Hour

// told prints rows shortly: name, days since it passed, fresh or not.
func told(rows []Row) string {
	var out []string
	for _, r := range rows {
		text := r.Name + " never"
		if r.Days != nil {
			text = r.Name + " " + time.Duration(*r.Days).String()
		}
		if r.Fresh != nil && *r.Fresh {
			text += " fresh"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// TestOf tells of runs by scenario and by service.
func TestOf(t *testing.T) {
	residue := ago(2*aDay, "residue", report.Passed)
	residue.Residue = true
	torn := ago(3*aDay, "torn", report.Passed)
	torn.End = report.EndInterrupted
	search := ago(aDay, "search", report.Passed)
	search.Search = true
	runs := []history.Entry{
		ago(40*aDay, "checkout", report.Passed, "payments", "ledger"), ago(29*aDay, "search-box", report.Passed, "payments"),
		ago(aDay, "checkout", report.Failed, "payments"), ago(30*aDay, "edge", report.Passed), ago(30*aDay+time.Second, "over", report.Passed),
		ago(aDay, "unclear", report.Inconclusive), ago(-aDay, "future", report.Passed), residue, torn, search,
	}
	tests := []struct {
		name                string
		ask                 Ask
		scenarios, services string
		stale               int
	}{
		{"everything", Ask{Limit: 30 * aDay}, "checkout 40ns, edge 30ns fresh, over 30ns, residue never, search-box 29ns fresh, torn never, unclear never", "ledger 40ns, payments 29ns fresh", 6},
		{"without a limit", Ask{Scenarios: []string{"checkout"}}, "checkout 40ns", "", 0},
		{"everything, and what is planned", Ask{Planned: []string{"edge", "new"}, Limit: 30 * aDay}, "checkout 40ns, edge 30ns fresh, new never, over 30ns, residue never, search-box 29ns fresh, torn never, unclear never",
			"ledger 40ns, payments 29ns fresh", 7},
		{"one that is", Ask{Scenarios: []string{"search-box"}, Limit: 30 * aDay}, "search-box 29ns fresh", "", 0},
		{"one that nobody has a record of", Ask{Scenarios: []string{"search-box", "none"}, Limit: 30 * aDay}, "none never, search-box 29ns fresh", "", 1},
		{"services", Ask{Services: []string{"payments", "dns"}, Limit: 30 * aDay}, "", "dns never, payments 29ns fresh", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := Of(runs, nil, test.ask, now)
			if diff := cmp.Diff([]any{test.scenarios, test.services, test.stale}, []any{told(b.Scenarios), told(b.Services), b.Stale()}); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := Of(nil, nil, Ask{Limit: aDay}, now).Stale(); got != 1 {
		t.Errorf("with no run %d are stale: no data is never fresh", got)
	}
}
