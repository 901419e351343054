package kept

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/internal/runrig"
	"gameday/rehearsals"
	"gameday/report"
	"gameday/schedules"
)

var began = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

// label makes the label of a record of the rig's scenario.
func label(rehearsal, fingerprint string) Label {
	return Label{Rehearsal: rehearsal, Scenario: "shop", Fingerprint: fingerprint, Variables: []string{"region=eu-west-2"}, At: began}
}

// record makes a labelled record of a run in which the service crashed and came back.
func record(t *testing.T, dir string, l Label, at time.Time) {
	t.Helper()
	w := runrig.New(7)
	w.Crash = true
	if err := errors.Join(WriteLabel(dir, l), runrig.Write(dir, w.Run(filepath.Base(dir), at, 1))); err != nil {
		t.Fatal(err)
	}
}

// TestScan finds what was run for which rehearsal, and nothing of what was run for none.
func TestScan(t *testing.T) {
	runs := t.TempDir()
	in := func(name string) string { return filepath.Join(runs, name) }
	record(t, in("one"), label("west-1", "a"), began)
	record(t, in("two"), label("west-2", "b"), began)
	record(t, in("later/three"), label("west-2", "b"), began.Add(time.Hour))
	if err := runrig.Write(in("by-hand"), runrig.New(3).Run("by-hand", began, 1)); err != nil {
		t.Fatal(err)
	}
	record(t, in("garbled"), label("west-2", "b"), began)
	record(t, in("damaged"), label("west-2", "b"), began.Add(2*time.Hour))
	record(t, in("other"), Label{Rehearsal: "west-2", Scenario: "till", Fingerprint: "c", At: began}, began)
	if err := errors.Join(os.WriteFile(in("garbled/"+LabelFile), []byte("{"), 0o644), os.Truncate(in("damaged/plan.json"), 40), WriteLabel(in("refused"), label("west-2", "b"))); err != nil {
		t.Fatal(err)
	}
	f, err := Scan(runs, func(dir string) bool { return filepath.Base(dir) == "two" })
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.Names(), " "); got != "west-1 west-2" || len(f.Skipped) != 1 || !strings.Contains(f.Skipped[0], "garbled/rehearsal.json") {
		t.Errorf("there are %s, and %q cannot be read", got, f.Skipped)
	}
	by := map[string]rehearsals.Run{}
	for _, r := range f.Rehearsals["west-2"]["shop"] {
		by[r.Record] = r
	}
	if len(by) != 3 || !by["two"].Running || by["two"].Report != "" {
		t.Errorf("of west-2 there are %+v", by)
	}
	if r := by["later/three"]; r.Verdict != report.Passed || r.Fingerprint != "b" || !r.Started.Equal(began.Add(time.Hour)) || len(r.Report) != 64 || len(r.Parts) == 0 || r.End != report.EndComplete {
		t.Errorf("the run that passed is %+v", r)
	}
	if r := by["damaged"]; !strings.HasPrefix(r.Unread, "reading plan.json:") || strings.Contains(r.Unread, runs) {
		t.Errorf("the one that is damaged: %q", r.Unread)
	}
	if r := f.Rehearsals["west-2"]["till"][0]; !strings.Contains(r.Unread, `a record of scenario "shop", and its label says "till"`) {
		t.Errorf("a label of another scenario: %+v", r)
	}
	launch := &rehearsals.Rehearsal{Name: "west-1", Steps: []rehearsals.Step{{Item: schedules.Item{Scenario: "shop"}, Fingerprint: "a"}}}
	if c := rehearsals.Judge(launch, f.Rehearsals["west-1"], nil, began.Add(time.Hour)); c.State != rehearsals.Go {
		t.Errorf("west-1 is %s: %q", c.State, c.Why)
	}
	if f, err := Scan(in("nowhere"), nil); err != nil || len(f.Rehearsals) != 0 {
		t.Errorf("a folder that is not there: %+v, %v", f, err)
	}
}

// TestUnlabel takes away what a refused run left, and nothing else.
func TestUnlabel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "refused")
	if err := WriteLabel(dir, label("a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := WriteLabel(dir, label("a", "b")); err == nil {
		t.Error("it is labelled twice")
	}
	if err := os.WriteFile(filepath.Join(dir, "plan.json"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	Unlabel(dir)
	if _, err := ReadLabel(dir); err != nil {
		t.Errorf("the label of a record with a plan is gone: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "plan.json")); err != nil {
		t.Fatal(err)
	}
	Unlabel(dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
}

// TestSignOffs adds sign-offs behind what is there, also behind a line that was torn.
func TestSignOffs(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs")
	if all, broken, err := SignOffs(runs); len(all) != 0 || broken != 0 || err != nil {
		t.Errorf("without a file: %v, %d, %v", all, broken, err)
	}
	one := rehearsals.SignOff{Rehearsal: "west-2", Role: "sre", By: "ann", As: "root (ann)", Host: "h", At: began, Saw: "d1", Showed: rehearsals.Go}
	two := one
	two.By, two.Refused, two.Why = "bob", true, "no\nway"
	if err := Sign(runs, one); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(runs, SignOffsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"rehearsal":"west-2","ro`)
	if err := errors.Join(err, f.Close(), Sign(runs, two)); err != nil {
		t.Fatal(err)
	}
	all, broken, err := SignOffs(runs)
	if err != nil || broken != 1 || len(all) != 2 || all[0] != one || all[1] != two {
		t.Errorf("%v, %d lines are broken, %+v", err, broken, all)
	}
}

// FuzzParseSignOffs reads anything as lines of sign-offs: each line that is not blank is one, or is counted as broken.
func FuzzParseSignOffs(f *testing.F) {
	f.Add([]byte(`{"rehearsal":"west-2","role":"sre","by":"ann","saw":"d1","showed":"go"}` + "\n"))
	f.Add([]byte("{\n\n}\r\nnull\n[]\n{\"showed\":\"perhaps\"}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, broken := ParseSignOffs(text)
		lines := 0
		for line := range bytes.Lines(text) {
			if len(bytes.TrimSpace(line)) > 0 {
				lines++
			}
		}
		if len(all)+broken != lines {
			t.Fatalf("%d sign-offs and %d broken lines of %d", len(all), broken, lines)
		}
		for _, s := range all {
			if s.Rehearsal == "" || s.Role == "" || s.Saw == "" {
				t.Fatalf("a sign-off that is none: %+v", s)
			}
		}
	})
}
