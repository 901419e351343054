package conductor

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gameday/alarms"
	"gameday/alarms/builtin"
	"gameday/faults/kinds"
	"gameday/report"
	"gameday/responders"
	"gameday/responders/desk"
	"gameday/scenarios"
	"gameday/targets"
)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; see with -update and git diff:\n%s", path, got)
	}
}

func loadPlan(t *testing.T, path string) (*scenarios.Scenario, *report.Plan) {
	t.Helper()
	f := scenarios.Load(path, scenarios.Options{
		Catalogue: scenarios.Catalogue{Faults: kinds.All(), Alarms: []alarms.SourceKind{builtin.Kind()},
			Responders: []responders.SourceKind{desk.Kind()}},
		Getenv: func(string) string { return "" },
	})
	if f.Diags.HasErrors() {
		var b bytes.Buffer
		scenarios.WriteText(&b, []*scenarios.File{f}, 100, false)
		t.Fatalf("%s does not load:\n%s", path, b.String())
	}
	return f.Scenarios[0], MakePlan(f.Scenarios[0])
}

// TestPlanText compares what is printed of a good plan, and of one that has everything to be warned of.
func TestPlanText(t *testing.T) {
	for golds, path := range map[string]string{"shop.txt": "../examples/shop/game-day.hcl", "doubtful.txt": "testdata/doubtful.hcl",
		"shapes.txt": "testdata/shapes.hcl"} {
		t.Run(golds, func(t *testing.T) {
			s, p := loadPlan(t, path)
			if s.Lab != nil { // its places are known once it is up
				p = Plan(context.Background(), Options{Scenario: s, Machine: &targets.Machine{}})
			}
			var b bytes.Buffer
			if err := WritePlan(&b, p); err != nil {
				t.Fatal(err)
			}
			golden(t, golds, b.Bytes())
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
					t.Errorf("%d columns in %q", n, line)
				}
				if strings.HasSuffix(line, " \n") {
					t.Errorf("blanks at the end of %q", line)
				}
			}
		})
	}
}

// TestWarnings checks that each warning is given, once, and not for a plan without fault.
func TestWarnings(t *testing.T) {
	_, p := loadPlan(t, "testdata/doubtful.hcl")
	wants := []string{
		"Fault never is due 30s into a load phase of 20s: it will not be injected.",
		"Fault long ends 10s after the load phase does: the phase will be that much longer.",
		"Alarm Slow: the deadline of fires_within ",
		"Alarm Slow: the deadline of pages_within ",
		"Alarm Slow: the deadline of clears_within ",
		`Alarm Slow is expected to fire and abort "too slow" stops the run on the same indicator`,
		"Response on-call: the deadline of acknowledge ",
		"Response on-call: the deadline of escalate ",
		"Response on-call: the deadline of resolve ",
		"Response on-call: the deadline of the mark bridge opened ",
		"No steady_state is declared",
	}
	for _, want := range wants {
		n := 0
		for _, w := range p.Warnings {
			if strings.HasPrefix(w, want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d warnings begin with %q", n, want)
		}
	}
	if len(p.Warnings) != len(wants) {
		t.Errorf("%d warnings, want %d: %q", len(p.Warnings), len(wants), p.Warnings)
	}
	if _, p := loadPlan(t, "testdata/faultless.hcl"); len(p.Warnings) != 1 || !strings.HasPrefix(p.Warnings[0], "There is no fault") {
		t.Errorf("without a fault: %q", p.Warnings)
	}
	if _, p := loadPlan(t, "../examples/shop/game-day.hcl"); len(p.Warnings) > 0 {
		t.Errorf("the example is warned of: %q", p.Warnings)
	}
}

// TestRemarksAfterBlank checks that warnings stand one line below what is before them, whether that ends in a blank line or not.
func TestRemarksAfterBlank(t *testing.T) {
	for before, want := range map[string]string{"end\n": "end\n\n  Warning: Look.\n", "end\n\n": "end\n\n  Warning: Look.\n"} {
		var text planText
		text.b.WriteString(before)
		text.remarks(&report.Plan{Warnings: []string{"Look."}})
		if got := text.b.String(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// TestSentence checks that no text gets a full stop behind a question.
func TestSentence(t *testing.T) {
	for text, want := range map[string]string{"did you mean \"shop\"?": "did you mean \"shop\"?", "nobody listens": "nobody listens.", "It ended.": "It ended."} {
		if got := sentence(text); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// TestPlanResolves checks that a plan names what its targets select now, and warns of those that select nothing.
func TestPlanResolves(t *testing.T) {
	d := newDay(t, "", steadyBlock+twoFaults)
	o := d.options
	o.Machine = &targets.Machine{}
	p := Plan(t.Context(), o)
	if len(p.Targets) != 2 || len(p.Targets[0].Places) != 1 || !strings.Contains(p.Targets[0].Places[0], "sleep 3600") {
		t.Errorf("targets %+v", p.Targets)
	}
	if len(p.Warnings) > 0 {
		t.Errorf("warnings %q", p.Warnings)
	}
	writePid(t, d.pidfile, 1<<22-1)
	if p := Plan(t.Context(), o); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], `"web" selects nothing`) {
		t.Errorf("warnings %q", p.Warnings)
	}
	if d.client != nil || len(d.world.injected) > 0 {
		t.Error("the plan touched something")
	}
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("the plan wrote %v, %v", left, err)
	}
}

func TestCheckOptions(t *testing.T) {
	if err := (Options{}).Check(); err == nil {
		t.Error("no scenario is fine")
	}
	s, _ := loadPlan(t, "../examples/shop/game-day.hcl")
	if err := (Options{Scenario: s}).Check(); err == nil {
		t.Error("a lab's scenario without its lab is fine")
	}
	s, _ = loadPlan(t, "testdata/faultless.hcl")
	if err := (Options{Scenario: s}).Check(); err != nil {
		t.Error(err)
	}
}
