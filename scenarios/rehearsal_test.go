package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/rehearsals"
	"gameday/report"
	"gameday/schedules"
)

// TestBadRehearsals loads every rehearsal that must not load, and compares what is said with the golden file.
func TestBadRehearsals(t *testing.T) {
	files, err := filepath.Glob("testdata/rehearsal/bad/*.hcl")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d bad rehearsals: %v", len(files), err)
	}
	for _, path := range files {
		c, got := calendarComplaints(t, path)
		if c != nil {
			t.Fatalf("%s loads", path)
		}
		golden := strings.TrimSuffix(path, ".hcl") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("what is said of %s changed (-want +got):\n%s", path, diff)
		}
	}
}

// TestRehearsal loads a good one, and compares all of it.
func TestRehearsal(t *testing.T) {
	c, said := calendarComplaints(t, "testdata/rehearsal/good/launch.hcl")
	if c == nil || said != "" {
		t.Fatalf("it does not load: %s", said)
	}
	r := c.Rehearsal("launch-eu-west-2")
	if len(c.Rehearsals) != 2 || r == nil || c.Rehearsal("launch") != nil {
		t.Fatalf("it has %v", c.Rehearsals)
	}
	two, length := "testdata/rehearsal/good/../../calendar/good/two.hcl", 30*time.Minute
	two = filepath.Clean(two)
	want := []rehearsals.Step{
		{Item: schedules.Item{File: two, Scenario: "first", Vars: []string{"multiple=4"}, Length: length, Blind: true, Holds: []string{"scenario first"}}, Lane: "shop"},
		{Item: schedules.Item{File: two, Scenario: "second", Vars: []string{"multiple=3"}, Length: length, Holds: []string{"scenario second"}}, Lane: "shop"},
		{Item: schedules.Item{File: "testdata/rehearsal/good/text.hcl", Scenario: "text", Vars: []string{"multiple=4"}, Length: length, Holds: []string{"scenario text"}}, Lane: "data"},
	}
	seen := map[string]bool{}
	got := append([]rehearsals.Step(nil), r.Steps...)
	for i := range got {
		if len(got[i].Fingerprint) != 64 || seen[got[i].Fingerprint] {
			t.Errorf("%s has the fingerprint %q", got[i].Name(), got[i].Fingerprint)
		}
		seen[got[i].Fingerprint], got[i].Fingerprint = true, ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("its scenarios: %s", diff)
	}
	score, coverage := 85.0, 95.0
	limits := rehearsals.Limits{Score: &score, Coverage: &coverage, Parts: map[report.Part]float64{report.Detection: 80, report.Response: 70.5}, FreshWithin: 14 * 24 * time.Hour}
	if diff := cmp.Diff(limits, r.Require); diff != "" {
		t.Errorf("it requires %s", diff)
	}
	if diff := cmp.Diff([]any{rehearsals.Stops{report.Failed, report.Aborted}, []string{"sre", "checkout"}, "launch-eu-west-1"}, []any{r.StopOn, r.SignOff, r.CompareWith}); diff != "" {
		t.Error(diff)
	}
	if before := c.Rehearsals[1]; len(before.StopOn) != 0 || before.Steps[0].Name() != "drill" || before.Steps[0].Lane != "" {
		t.Errorf("the other one is %+v", before)
	}
}

// TestFingerprintOfFiles changes each file that a scenario is made of, and nothing else changes its fingerprint.
func TestFingerprintOfFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS("testdata/rehearsal/good")); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	calendar := func(variables string) {
		write("launch.hcl", "rehearsal \"r\" {\n  scenario \"text.hcl\" {\n    var_files = [\"eu.tfvars\"]\n"+variables+"  }\n}\n")
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	fingerprint := func() string {
		t.Helper()
		c, said := calendarComplaints(t, filepath.Join(dir, "launch.hcl"))
		if c == nil {
			t.Fatal(said)
		}
		return c.Rehearsals[0].Steps[0].Fingerprint
	}
	write("eu.tfvars", "multiple = 3\n")
	calendar("")
	base := fingerprint()
	for name, text := range map[string]string{"summary.txt": "Something else.\n", "t.js": read("t.js") + "// changed\n", "text.hcl": read("text.hcl") + "# changed\n", "eu.tfvars": "multiple = 4\n"} {
		was := read(name)
		write(name, text)
		if fingerprint() == base {
			t.Errorf("a change of %s is not seen", name)
		}
		write(name, was)
	}
	calendar("variables = { multiple = 3 }\n")
	if fingerprint() == base {
		t.Error("a variable is not seen")
	}
	calendar("")
	write("other.txt", "nobody reads it")
	if got := fingerprint(); got != base {
		t.Error("it is another one although nothing changed")
	}
	t.Chdir(filepath.Dir(dir))
	c, _ := calendarComplaints(t, "copy/launch.hcl")
	if got := c.Rehearsals[0].Steps[0].Fingerprint; got != base {
		t.Error("it depends on where it is read from")
	}
}

// TestRehearsalsPage holds docs/rehearsals.md to every block and attribute of a rehearsal.
func TestRehearsalsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/rehearsals.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{rehearsalBlock{}, rehearsedBlock{}, requireBlock{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, kind, _ := strings.Cut(typ.Field(i).Tag.Get("hcl"), ",")
			if name != "" && kind != "label" && !bytes.Contains(page, []byte("`"+name+"`")) {
				t.Errorf("docs/rehearsals.md does not mention `%s` of %s", name, typ.Name())
			}
		}
	}
}
