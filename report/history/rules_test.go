package history

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	source "gameday/alarms"
	"gameday/internal/runrig"
	"gameday/report"
)

// TestNeverFired lists the rules that no run of a folder made fire, by what each run's source told.
func TestNeverFired(t *testing.T) {
	dir := t.TempDir()
	w := runrig.New(1)
	w.Baseline, w.Load, w.Recovery, w.Outliers = 3, 6, 3, 0
	write := func(folder string, hours int, advice *report.RuleRecord) {
		rec := w.Run(folder, began.Add(time.Duration(hours)*time.Hour), 1)
		if advice != nil {
			raw, err := json.Marshal(advice)
			if err != nil {
				t.Fatal(err)
			}
			n := len(rec.Events) - 1
			last := rec.Events[n]
			rec.Events = append(rec.Events[:n], report.Event{At: last.At, T: last.T, Kind: report.RulesStudied, Data: raw}, last)
		}
		if err := runrig.Write(filepath.Join(dir, folder), rec); err != nil {
			t.Fatal(err)
		}
	}
	told := func(server string, rules ...source.RuleUse) *report.RuleRecord {
		return &report.RuleRecord{Source: "prometheus.main", Advice: source.Advice{Server: server, Fired: true, Rules: rules}}
	}
	here, there := "http://127.0.0.1:9090", "http://127.0.0.2:9090"
	write("newest", 9, told(here, source.RuleUse{Name: "A"}, source.RuleUse{Name: "B"}, source.RuleUse{Name: "C"}, source.RuleUse{Name: "D", Fired: true}))
	write("older", 8, told(here, source.RuleUse{Name: "A"}, source.RuleUse{Name: "C", Fired: true}, source.RuleUse{Name: "Gone"}))
	write("nobody-knows", 7, &report.RuleRecord{Source: "prometheus.main", Advice: source.Advice{Server: here, Rules: []source.RuleUse{{Name: "A", Fired: true}}}})
	write("elsewhere", 6, told(there, source.RuleUse{Name: "A", Fired: true}))
	write("without", 5, nil)

	entries, skipped, err := List(dir, Options{})
	if err != nil || len(skipped) > 0 || len(entries) != 5 {
		t.Fatalf("%d entries, skipped %v: %v", len(entries), skipped, err)
	}
	want := []Unexercised{{Source: "prometheus.main", Server: here, Rules: []string{"A", "B"}, Of: 4, Runs: 2},
		{Source: "prometheus.main", Server: there, Rules: []string{}, Of: 1, Runs: 1}}
	if diff := cmp.Diff(want, NeverFired(entries)); diff != "" {
		t.Error(diff)
	}
	var b strings.Builder
	if err := Text(&b, entries); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"Rules that none of these runs made fire", "prometheus.main at " + here + ": 2 of 4, by 2 runs: A, B\n",
		"prometheus.main at " + there + ": 0 of 1, by 1 run: none\n"} {
		if !strings.Contains(b.String(), says) {
			t.Errorf("lacks %q:\n%s", says, b.String())
		}
	}
	if got := NeverFired(entries[4:]); len(got) != 0 {
		t.Errorf("a run that tells nothing gives %v", got)
	}
}
