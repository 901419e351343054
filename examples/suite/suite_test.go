// Package suite_test holds the standard suite to what it promises: each scenario passes in its good world, and fails in its bad one
// for the reason that it is meant to and for no other.
package suite_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The two worlds of every scenario.
const (
	good = "good"
	bad  = "bad"
)

// What a scenario's folder holds.
const (
	gameDay  = "game-day.hcl"
	readme   = "README.md"
	expected = "expected.json"
)

// sections are what every scenario's page tells, in this order, by its headings.
var sections = []string{"## What it teaches", "## The score", "## On your own system"}

// leastText is how much a section says at the least, in bytes.
const leastText = 200

// ending is what a scenario's expected.json says: the items, by their ids, that are not met.
type ending struct {
	Missed      []string `json:"missed"`       // in the bad world; in the good one none is
	Unknown     []string `json:"unknown"`      // in the bad world
	UnknownGood []string `json:"unknown_good"` // in the good world
	Needs       []string `json:"needs"`        // programs, besides ours, that must be installed
	Alone       bool     `json:"alone"`        // no other game day may be beside it: it takes all processors, or needs some that are idle
}

// unmet returns what is missed and what is unknown in a world.
func (e ending) unmet(world string) (missed, unknown []string) {
	if world == good {
		return nil, e.UnknownGood
	}
	return e.Missed, e.Unknown
}

// folders returns the scenarios, by the names of their folders.
func folders(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "cmd" {
			out = append(out, e.Name())
		}
	}
	if len(out) == 0 {
		t.Fatal("there is no scenario")
	}
	return out
}

// readEnding reads a scenario's expected.json.
func readEnding(t *testing.T, folder string) (e ending) {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, expected))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatalf("%s: %v", f.Name(), err)
	}
	if len(e.Missed) == 0 {
		t.Errorf("%s: a bad world in which nothing is missed finds nothing", f.Name())
	}
	return e
}

// readPage reads a page of words.
func readPage(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// programs returns the folder of the built programs. Where there are none the test is passed over, but not in CI.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gameday", "suite", "oncall"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			missing(t, "bin/%s is not built: make suite", name)
		}
	}
	return dir
}

// missing passes a test over, which CI must not.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// TestPages holds every scenario's page to its sections, and the index to all scenarios.
func TestPages(t *testing.T) {
	index := readPage(t, readme)
	for _, folder := range folders(t) {
		t.Run(folder, func(t *testing.T) {
			if link := "[" + folder + "](" + folder + "/)"; !strings.Contains(index, link) {
				t.Errorf("the index, %s, has no %s", readme, link)
			}
			readEnding(t, folder)
			text := readPage(t, filepath.Join(folder, readme))
			if !strings.HasPrefix(text, "# ") {
				t.Errorf("the page has no title")
			}
			for _, world := range []string{"gameday run examples/suite/" + folder, "gameday run -var world=bad examples/suite/" + folder} {
				if !strings.Contains(text, world) {
					t.Errorf("the page does not say: %s", world)
				}
			}
			for _, heading := range sections {
				_, rest, found := strings.Cut(text, "\n"+heading+"\n")
				if !found {
					t.Errorf("the page has no section %q, or not in its place", heading)
					continue
				}
				text = rest
				if body, _, _ := strings.Cut(text, "\n## "); len(strings.TrimSpace(body)) < leastText {
					t.Errorf("the section %q says hardly anything", heading)
				}
			}
		})
	}
}

// TestScenariosAreValid has the built gameday look at every scenario in both worlds, and in one that does not exist.
func TestScenariosAreValid(t *testing.T) {
	dir := programs(t)
	for _, folder := range folders(t) {
		for world, want := range map[string]int{good: 0, bad: 0, "ugly": 2} {
			t.Run(folder+"/"+world, func(t *testing.T) {
				file := filepath.Join(folder, gameDay)
				for _, verb := range []string{"validate", "plan"} {
					cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "gameday"), verb, "-var", "world="+world, file)
					out, err := cmd.CombinedOutput()
					if code := cmd.ProcessState.ExitCode(); code != want {
						t.Errorf("%s: exit %d, want %d (%v)\n%s", verb, code, want, err, out)
					}
				}
			})
		}
	}
}

// slice returns the part of the names that SLICE asks for: all without it, and with SLICE=2/3 the second third.
func slice(t *testing.T, names []string, text string) []string {
	t.Helper()
	out, err := part(names, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSlices holds the slices to being a partition.
func TestSlices(t *testing.T) {
	names := strings.Split("abcdefghijklmnopq", "")
	for _, of := range []string{"", "1/1", "1/2 2/2", "1/3 2/3 3/3", "1/17 2/17 3/17 4/17 5/17 6/17 7/17 8/17 9/17 10/17 11/17 12/17 13/17 14/17 15/17 16/17 17/17"} {
		var all []string
		parts := strings.Fields(of)
		if of == "" {
			parts = []string{""}
		}
		for _, p := range parts {
			all = append(all, slice(t, names, p)...)
		}
		slices.Sort(all)
		if !slices.Equal(all, names) {
			t.Errorf("%s make %q", of, all)
		}
	}
	for _, wrong := range []string{"0/3", "4/3", "1", "a/b", "1/0", "1/3/3", "-1/3"} {
		if got, err := part(names, wrong); err == nil {
			t.Errorf("%s is %q", wrong, got)
		}
	}
}

// TestSecondTries gives a second chance to what was merely not known, and to nothing else.
func TestSecondTries(t *testing.T) {
	for name, tt := range map[string]struct {
		world, outcomes string // of the items one, two and three
		want            bool
	}{
		"as it was to be":               {good, "met met met", false},
		"as it was to be, and bad":      {bad, "missed unknown met", false},
		"not known in the good world":   {good, "met unknown met", true},
		"not known what was to miss":    {bad, "unknown unknown met", true},
		"not known what was to be met":  {bad, "missed unknown unknown", true},
		"missed in the good world":      {good, "missed met met", false},
		"missed, and more not known":    {good, "missed unknown met", false},
		"met in the bad world":          {bad, "met unknown unknown", false},
		"known, and was not to be":      {bad, "missed met met", false},
		"missed beside what was to be":  {bad, "missed unknown missed", false},
		"left out of the good world":    {good, "met met", false},
		"nothing of the bad one at all": {bad, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := day{world: tt.world, ending: ending{Missed: []string{"one"}, Unknown: []string{"two"}}}
			var items []item
			for i, outcome := range strings.Fields(tt.outcomes) {
				items = append(items, item{ID: []string{"one", "two", "three"}[i], Outcome: outcome})
			}
			d.card.Parts = []cardPart{{Items: items}}
			if got := d.unsure(); got != tt.want {
				t.Errorf("a second try: %v, want %v", got, tt.want)
			}
			d.card.Residue = true
			if d.unsure() {
				t.Error("a day that left something standing is run again")
			}
		})
	}
}
