package history

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/internal/runrig"
	"gameday/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var began = time.Date(2026, 11, 20, 14, 2, 0, 0, time.FixedZone("", 3600))

// runs writes a folder of records as people have them: of two scenarios, a few that belong together in a folder of
// their own, one that was killed, and what is no record or none any more.
func runs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	w := runrig.New(1)
	w.Baseline, w.Load, w.Recovery, w.Outliers = 3, 12, 3, 0
	write := func(folder string, hours int, scenario string, slow float64, change func(*report.Record)) {
		rec := w.Run(filepath.Base(folder), began.Add(time.Duration(hours)*time.Hour), slow)
		rec.Plan.Scenario = scenario
		if change != nil {
			change(rec)
		}
		if err := runrig.Write(filepath.Join(dir, folder), rec); err != nil {
			t.Fatal(err)
		}
	}
	w.Crash = true
	write("c-newest", 30, "shop", 1.2, nil)
	write("b", 20, "shop", 1, nil)
	write("a-oldest", 10, "shop", 1, nil)
	w.Crash = false
	write("together/01-base", 21, "search", 1, nil)
	write("together/01-head", 22, "search", 1.1, nil)
	write("killed", 25, "search", 1, func(r *report.Record) { r.Events = r.Events[:len(r.Events)-3] })
	write("capacity", 23, "search", 1, search(140, false))
	write("capacity-more", 24, "search", 1, search(150, true))
	write("broken", 26, "search", 1, nil)
	text(t, filepath.Join(dir, "broken", report.EventsFile), "}{\n")
	text(t, filepath.Join(dir, "planned", report.PlanFile), `{"scenario":"shop"}`)
	text(t, filepath.Join(dir, "photos", "cat.txt"), "miau")
	text(t, filepath.Join(dir, ".hidden", report.PlanFile), "{}")
	text(t, filepath.Join(dir, "README"), "runs of the shop")
	return dir
}

// search turns a record into that of a search for the capacity.
func search(rate float64, atLeast bool) func(*report.Record) {
	return func(r *report.Record) {
		r.Plan.Search = &report.SearchPlan{Start: 40, Max: 400}
		found := report.CapacityAnswer{Base: 40}
		found.Rate, found.Confirmed, found.AtLeast = rate, true, atLeast
		raw, err := json.Marshal(found)
		if err != nil {
			panic(err) // a plain structure
		}
		last := r.Events[len(r.Events)-1]
		r.Events = append(r.Events[:len(r.Events)-1], report.Event{At: last.At, T: last.T, Kind: report.CapacityFound,
			Data: raw}, last)
	}
}

func text(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, dir string, o Options) ([]Entry, []Skipped) {
	t.Helper()
	entries, skipped, err := List(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return entries, skipped
}

func folders(entries []Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Folder)
	}
	return strings.Join(out, " ")
}

func TestGolden(t *testing.T) {
	entries, skipped := list(t, runs(t), Options{})
	var table, doc bytes.Buffer
	if err := Text(&table, entries); err != nil {
		t.Fatal(err)
	}
	e := json.NewEncoder(&doc)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"runs": entries, "skipped": skipped}); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"history.txt": table.Bytes(), "history.json": doc.Bytes()} {
		path := filepath.Join("testdata", name)
		if *update {
			text(t, path, string(got))
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (go test -update writes it)", err)
		}
		if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
			t.Errorf("%s differs (-want +got):\n%s", name, d)
		}
	}
}

// TestFilters: newest first, whatever the folders are called, and only what was asked for.
func TestFilters(t *testing.T) {
	dir := runs(t)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "c-newest killed capacity-more capacity together/01-head together/01-base b a-oldest"},
		{Options{Scenario: "shop"}, "c-newest b a-oldest"},
		{Options{Since: began.Add(21 * time.Hour)}, "c-newest killed capacity-more capacity together/01-head " +
			"together/01-base"},
		{Options{Last: 2}, "c-newest killed"},
		{Options{Scenario: "shop", Last: 2}, "c-newest b"},
		{Options{Scenario: "none"}, ""},
	} {
		entries, skipped := list(t, dir, c.o)
		if got := folders(entries); got != c.want {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
		var names []string
		for _, s := range skipped {
			names = append(names, s.Folder)
			if s.Why == "" {
				t.Errorf("%s is skipped without a word", s.Folder)
			}
		}
		if got := strings.Join(names, " "); got != "photos broken planned" {
			t.Errorf("skipped %q", got)
		}
	}
	if _, _, err := List(filepath.Join(dir, "no-such"), Options{}); err == nil {
		t.Error("a folder that is not there has a history")
	}
}

// What is remembered is used for the same content and version alone, whatever the place and the times of the files.
func TestCache(t *testing.T) {
	dir := runs(t)
	o := Options{Version: "v1"}
	fresh, _ := list(t, dir, Options{})
	if d := cmp.Diff(fresh, must(list(t, dir, o))); d != "" {
		t.Fatalf("with remembering: %s", d)
	}
	cache := filepath.Join(dir, "b", CacheFile)
	if _, err := os.Stat(filepath.Join(dir, "killed", CacheFile)); err == nil {
		t.Error("a run that may be going on is remembered")
	}
	// That it is used shows when it lies.
	raw, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	lie := bytes.Replace(raw, []byte(`"low":100`), []byte(`"low":42`), 1)
	if bytes.Equal(lie, raw) {
		t.Fatalf("no score of 100 in %s", raw)
	}
	lies := func(dir string, o Options) bool {
		for _, e := range must(list(t, dir, o)) {
			if e.Folder == "b" {
				return e.Low == 42
			}
		}
		t.Fatal("b is gone")
		return false
	}
	text(t, cache, string(lie))
	if !lies(dir, o) {
		t.Error("what is remembered is not used")
	}
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.CopyFS(moved, os.DirFS(dir)); err != nil { // with other times, too
		t.Fatal(err)
	}
	if !lies(moved, o) {
		t.Error("in another place it is not used")
	}
	if lies(dir, Options{Version: "v2"}) || lies(dir, Options{}) {
		t.Error("another version uses it")
	}
	text(t, cache, string(lie)) // for v2 has remembered in its place
	events := filepath.Join(dir, "b", report.EventsFile)
	was, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	text(t, events, strings.Replace(string(was), `"host":"host"`, `"host":"tsoh"`, 1)) // as long as before
	if lies(dir, o) {
		t.Error("of a record that has changed, the old entry is used")
	}
	for _, rubbish := range []string{"", "{", `{"key":3}`, strings.Repeat("x", 3<<20)} {
		text(t, events, string(was))
		text(t, cache, rubbish)
		if d := cmp.Diff(fresh, must(list(t, dir, o))); d != "" {
			t.Fatalf("beside rubbish: %s", d)
		}
	}
}

func must(entries []Entry, _ []Skipped) []Entry { return entries }

// An archive that cannot be written to has a history all the same, and folders may be links.
func TestReadOnlyAndLinks(t *testing.T) {
	dir, links := runs(t), t.TempDir()
	want, _ := list(t, dir, Options{})
	if err := os.Symlink(filepath.Join(dir, "b"), filepath.Join(links, "x")); err != nil {
		t.Fatal(err)
	}
	if got := folders(must(list(t, links, Options{}))); got != "x" {
		t.Errorf("through a link: %q", got)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			t.Cleanup(func() { os.Chmod(path, 0o755) })
			err = os.Chmod(path, 0o555)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, must(list(t, dir, Options{Version: "v1"}))); d != "" {
		t.Error(d)
	}
}

// TestNoScore draws a run in which nothing could be judged as unknown, and not as one without a point.
func TestNoScore(t *testing.T) {
	var b bytes.Buffer
	runs := []Entry{{Folder: "b", Scenario: "shop", Low: 90, High: 95}, {Folder: "a", Scenario: "shop", Low: 0, High: 100}}
	if err := Text(&b, runs); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "·█") {
		t.Errorf("the runs are drawn so:\n%s", b.String())
	}
}
