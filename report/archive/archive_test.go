package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/report"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// record makes a folder as a run leaves it: files in folders, a link, a socket's place, and a lab's ledger.
func record(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "20261129-120000-shop")
	for name, text := range map[string]string{"plan.json": "{}\n", "record.jsonl": strings.Repeat("x", 3<<20) + "\n", "logs/shoppers.log": "hello\n",
		"source/day.hcl": "scenario\n", "empty": "", ".draft-1": "no", "ledger/entry.json": "{}"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func begin(t testing.TB, to, from, run string) *Copy {
	t.Helper()
	c, err := Begin(to, from, run, noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func again(t testing.TB, to, from, run string) *Copy {
	t.Helper()
	c, err := Again(to, from, run, noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCopy copies a record, and holds what is there to what was.
func TestCopy(t *testing.T) {
	from, to := record(t), t.TempDir()
	c := begin(t, to, from, "run-1")
	if err := report.CheckCopy(c.Dir); !errors.Is(err, report.ErrHalfCopied) || !strings.Contains(err.Error(), "its run run-1 began at 2026-11-29 12:00:00 UTC") ||
		!strings.Contains(err.Error(), from) {
		t.Errorf("one that has only begun: %v", err)
	}
	if err := c.Finish(t.Context(), from, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := report.CheckCopy(c.Dir); err != nil || !report.IsCopy(c.Dir) || report.IsCopy(from) {
		t.Errorf("a whole copy: %v", err)
	}
	var names []string
	err := filepath.WalkDir(c.Dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(c.Dir, path)
			names = append(names, name)
		}
		return err
	})
	want := []string{report.BegunMark, report.WholeMark, "empty", "logs/shoppers.log", "plan.json", "record.jsonl", "source/day.hcl"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%v, it has %q, want %q", err, names, want)
	}
	for _, name := range want[2:] {
		a, err := os.ReadFile(filepath.Join(from, name))
		b, err2 := os.ReadFile(filepath.Join(c.Dir, name))
		if err := errors.Join(err, err2); err != nil || string(a) != string(b) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(b), len(a))
		}
	}
	var whole report.Whole
	if err := report.ReadMark(filepath.Join(c.Dir, report.WholeMark), &whole); err != nil || whole.Run != "run-1" || len(whole.Files) != 5 || whole.At != noon.Add(time.Minute) {
		t.Errorf("%v, the mark says %+v", err, whole)
	}
}

// TestTornCopies takes parts of a copy for what they are.
func TestTornCopies(t *testing.T) {
	for name, harm := range map[string]func(dir string) error{
		"without its last mark": func(dir string) error { return os.Remove(filepath.Join(dir, report.WholeMark)) },
		"without either mark read": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, report.WholeMark)), os.WriteFile(filepath.Join(dir, report.BegunMark), nil, 0o644))
		},
		"a file is missing":   func(dir string) error { return os.Remove(filepath.Join(dir, "logs/shoppers.log")) },
		"a file is cut off":   func(dir string) error { return os.Truncate(filepath.Join(dir, "record.jsonl"), 10) },
		"the mark is cut off": func(dir string) error { return os.Truncate(filepath.Join(dir, report.WholeMark), 30) },
	} {
		from := record(t)
		c := begin(t, t.TempDir(), from, "run-1")
		if err := errors.Join(c.Finish(t.Context(), from, noon), harm(c.Dir)); err != nil {
			t.Fatal(err)
		}
		if err := report.CheckCopy(c.Dir); !errors.Is(err, report.ErrHalfCopied) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := report.Read(c.Dir); !errors.Is(err, report.ErrHalfCopied) {
			t.Errorf("%s is read: %v", name, err)
		}
		if all, _, err := report.Folders(filepath.Dir(c.Dir)); err != nil || len(all) != 1 {
			t.Errorf("%s is not among the records: %v, %v", name, all, err)
		}
	}
}

// TestAgain goes on with a copy that was not finished, and touches nobody else's.
func TestAgain(t *testing.T) {
	from, to := record(t), t.TempDir()
	c := begin(t, to, from, "run-1")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the pod is over"))
	if err := c.Finish(ctx, from, noon); err == nil || !strings.Contains(err.Error(), "the pod is over") {
		t.Fatalf("without time: %v", err)
	}
	if err := report.CheckCopy(c.Dir); !errors.Is(err, report.ErrHalfCopied) {
		t.Errorf("after that: %v", err)
	}
	if _, err := Again(to, from, "run-2", noon); err == nil || !strings.Contains(err.Error(), "no copy of run run-2") {
		t.Errorf("another run's: %v", err)
	}
	part := filepath.Join(c.Dir, "empty") // a file of which only a part arrived
	if err := os.WriteFile(part, []byte("part"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := again(t, to, from, "run-1").Finish(t.Context(), from, noon); err == nil || !strings.Contains(err.Error(), "empty: 4 bytes are there") ||
		!strings.Contains(err.Error(), "remove "+part+" first") {
		t.Errorf("over something else: %v", err)
	}
	if err := os.Remove(part); err != nil {
		t.Fatal(err)
	}
	if err := again(t, to, from, "run-1").Finish(t.Context(), from, noon); err != nil {
		t.Error(err)
	}
	if err := report.CheckCopy(c.Dir); err != nil {
		t.Error(err)
	}
	if _, err := Begin(filepath.Join(to, "unmounted"), from, "run-1", noon); err == nil || !strings.Contains(err.Error(), "is it mounted?") {
		t.Errorf("to nowhere: %v", err)
	}
}

// TestNew lets no run begin whose copy would fall into another's: of neither is the id known when it begins in a lab.
func TestNew(t *testing.T) {
	from, to := record(t), t.TempDir()
	begin(t, to, from, "")
	c := begin(t, to, from, "") // nothing was copied yet: a run that was refused, and is tried again
	if err := report.CheckCopy(c.Dir); err == nil || !strings.Contains(err.Error(), "its run began at 2026-11-29") {
		t.Errorf("of one that has only begun, in a lab, it says %v", err)
	}
	if err := c.Finish(t.Context(), from, noon); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"", "run-2"} {
		if _, err := Begin(to, from, run, noon); err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("a new run %q into the copy of an earlier one: %v", run, err)
		}
	}
	if _, err := Again(to, from, "run-1", noon); err != nil { // known by its folder
		t.Errorf("the copy of a lab's run is not gone on with: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), filepath.Base(from))
	for _, run := range []string{"", "run-1"} { // no id when it was killed before it had one
		if _, err := Again(to, elsewhere, run, noon); err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("run %q of another folder: %v", run, err)
		}
	}
}

// TestOnceMore writes nothing into a copy that is whole, and says whether it is still what the record is.
func TestOnceMore(t *testing.T) {
	from, to := record(t), t.TempDir()
	c := begin(t, to, from, "run-1")
	if err := c.Finish(t.Context(), from, noon); err != nil {
		t.Fatal(err)
	}
	if err := again(t, to, from, "run-1").Finish(t.Context(), from, noon.Add(time.Hour)); err != nil {
		t.Errorf("the same record: %v", err)
	}
	if err := os.WriteFile(filepath.Join(from, "answers.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := again(t, to, from, "run-1").Finish(t.Context(), from, noon); !errors.Is(err, ErrChanged) ||
		!strings.Contains(err.Error(), "in answers.json: copy it to another folder") {
		t.Errorf("a record to which something was added: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "answers.json")); err == nil {
		t.Error("something was written into a copy that is whole")
	}
	if err := report.CheckCopy(c.Dir); err != nil {
		t.Errorf("the copy afterwards: %v", err)
	}
}

// TestEvidenceIsCopied: files that people attached go along, and parts of files that never came whole do not.
func TestEvidenceIsCopied(t *testing.T) {
	from, to := record(t), t.TempDir()
	dir := filepath.Join(from, report.EvidenceFolder)
	err := os.Mkdir(dir, 0o700)
	for name, text := range map[string]string{"7e.png": "what ann saw", ".part-1": "half"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	c := begin(t, to, from, "run-1")
	if err := c.Finish(t.Context(), from, noon); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(c.Dir, report.EvidenceFolder))
	if err != nil || len(entries) != 1 || entries[0].Name() != "7e.png" {
		t.Errorf("%v, it has %v", err, entries)
	}
	if err := report.CheckCopy(c.Dir); err != nil {
		t.Error(err)
	}
}
