package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLog(t *testing.T) {
	path := DefaultFile(filepath.Join(t.TempDir(), "state", "ledger"))
	if lines, broken, err := Read(path, time.Time{}); len(lines) > 0 || broken > 0 || err != nil {
		t.Fatalf("of no log: %v, %d, %v", lines, broken, err)
	}
	early := time.Date(2026, 9, 16, 12, 0, 0, 0, time.UTC)
	want := []Line{
		{At: early, What: RunBegan, Run: "r", Places: []string{"web", "db"}, Policies: []Policy{{"p.hcl", "3f"}}, ApprovedBy: "ann"},
		{At: early.Add(time.Minute), What: Injected, Run: "r", Fault: "cut", Place: "web"},
	}
	for _, line := range want { // each by a process of its own
		if err := open(t, path).Write(line); err != nil {
			t.Fatal(err)
		}
	}
	got, broken, err := Read(path, time.Time{})
	if err != nil || broken > 0 {
		t.Fatalf("%d broken, %v", broken, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Line{}, "Who")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[0].UID != os.Getuid() || got[0].User == "" || got[0].Host == "" {
		t.Errorf("who: %+v", got[0].Who)
	}
	if late, _, _ := Read(path, early.Add(time.Second)); len(late) != 1 || late[0].What != Injected {
		t.Errorf("since then: %v", late)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestManyWriters checks that lines of several writers do not mix, and that none is lost.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var wg sync.WaitGroup
	for w := range 4 {
		l := open(t, path)
		wg.Go(func() {
			for i := range 25 {
				if err := l.Write(Line{What: Injected, Run: strconv.Itoa(w), ID: strconv.Itoa(i), Why: strings.Repeat("x", 5000)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	lines, broken, err := Read(path, time.Time{})
	if len(lines) != 100 || broken > 0 || err != nil {
		t.Errorf("%d lines, %d broken, %v", len(lines), broken, err)
	}
}

// TestTorn checks that a line torn by a crash costs itself alone.
func TestTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte("{\"what\":\"run\",\"at\":\"2026-01-01T00:00:00Z\"}\n{\"what\":\"inj"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Write(Line{What: RunEnded}); err != nil {
		t.Fatal(err)
	}
	lines, broken, err := Read(path, time.Time{})
	if len(lines) != 2 || broken != 1 || err != nil || lines[1].What != RunEnded {
		t.Errorf("%v, %d broken, %v", lines, broken, err)
	}
}

// TestLongLine checks that a line stays one write, whatever is in it.
func TestLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	places := make([]string, 10_000)
	for i := range places {
		places[i] = "place " + strconv.Itoa(i)
	}
	if err := open(t, path).Write(Line{What: RunBegan, Places: places, Why: strings.Repeat("w", maxLine)}); err != nil {
		t.Fatal(err)
	}
	lines, broken, err := Read(path, time.Time{})
	if len(lines) != 1 || broken > 0 || err != nil || len(lines[0].Places) != 101 {
		t.Errorf("%d lines, %d broken, %v", len(lines), broken, err)
	}
}

// TestNoPlainFile checks that the log is not written to what somebody put in its place.
func TestNoPlainFile(t *testing.T) {
	dir := t.TempDir()
	for name, put := range map[string]func(string) error{
		"link":   func(p string) error { return os.Symlink(filepath.Join(dir, "elsewhere"), p) },
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"pipe":   func(p string) error { return syscall.Mkfifo(p, 0o600) },
	} {
		path := filepath.Join(dir, name)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		if l, err := Open(path); err == nil {
			l.Close()
			t.Errorf("a %s is taken for a log", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was written through a link")
	}
}

func TestOutside(t *testing.T) {
	for name, tc := range map[string]struct {
		text      string
		uid, want int
	}{
		"no namespace":       {"         0          0 4294967295\n", 1000, 1000},
		"root of its own":    {"         0       1000          1\n", 0, 1000},
		"the second of many": {"0 1000 1\n1 100000 65536\n", 34, 100033},
		"not mapped":         {"0 1000 1\n", 65534, 65534},
		"no text":            {"", 7, 7},
	} {
		if got := outside(tc.text, tc.uid); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestWho(t *testing.T) {
	for want, w := range map[string]Who{
		"ann":        {User: "ann", Login: "ann"},
		"root (ann)": {User: "root", SudoUser: "ann", Login: "bob"},
		"root (bob)": {User: "root", Login: "bob"},
	} {
		if got := w.String(); got != want {
			t.Errorf("%+v is %q, want %q", w, got, want)
		}
	}
}
