package report

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindRecords reads what people write when they mean records.
func TestFindRecords(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, path := range []string{"runs/a/plan.json", "runs/b/record.jsonl", "runs/b/logs/plan.json",
		"runs/set/01/plan.json",
		"runs/set/02/plan.json", "runs/1/2/3/plan.json", "runs/1/2/3/4/plan.json",
		"runs/notes/x.txt", "runs/.old/plan.json", "odd,name/plan.json"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		want string // "!" and a part of the error, else the folders
	}{
		{"runs/a", "runs/a"},
		{"runs/a/", "runs/a"},
		{"./runs/a runs/a", "runs/a"},
		{"runs", "runs/1/2/3 runs/a runs/b runs/set/01 runs/set/02"},
		{"runs/set", "runs/set/01 runs/set/02"},
		{"runs/b,runs/a", "runs/b runs/a"},
		{"runs/b,,runs/set", "runs/b runs/set/01 runs/set/02"},
		{"runs/[ab]", "runs/a runs/b"},
		{"runs/*", "runs/1/2/3 runs/a runs/b runs/set/01 runs/set/02"},
		{"odd,name", "odd,name"},
		{"runs/c", "!there is no runs/c"},
		{"runs/notes", "!holds none"},
		{"runs/no*", "!holds none"},
		{"runs/[", "!not a pattern"},
	} {
		got, err := Find(strings.Fields(c.args)...)
		why, fails := strings.CutPrefix(c.want, "!")
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), why)):
			t.Errorf("%s: %v, %v; want an error with %q", c.args, got, err, why)
		case !fails && (err != nil || strings.Join(got, " ") != c.want):
			t.Errorf("%s: %v, %v; want %s", c.args, got, err, c.want)
		}
	}
	_, foreign, err := Folders("runs")
	if err != nil || strings.Join(foreign, " ") != "runs/notes" {
		t.Errorf("foreign: %v, %v", foreign, err)
	}
}

func TestSpark(t *testing.T) {
	for want, values := range map[string][]float64{"": {0, 0}, "▁▅█": {0, 5, 10}, "█·▁": {3, math.NaN(), 0}} {
		if got := Spark(values); got != want {
			t.Errorf("%v is drawn as %q, want %q", values, got, want)
		}
	}
}
