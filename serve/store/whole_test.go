package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhole is not whole before all was derived: after it was opened, and when it goes back to a file that can be written again. Its trouble is
// over then, and not before.
func TestWhole(t *testing.T) {
	dir := t.TempDir()
	good := Source{Runs: folder(t)}
	bad := Source{Runs: filepath.Join(dir, "runs")} // a file, so that nothing can be derived
	blocked := filepath.Join(dir, "state")
	for _, path := range []string{bad.Runs, blocked} {
		remaining(t, os.WriteFile(path, nil, 0o600))
	}
	s, said := opened(t, Options{Path: filepath.Join(blocked, "serve.db")})
	want := func(when string, whole, trouble bool, lines int) {
		t.Helper()
		if s.Whole() != whole || (s.Trouble() != "") != trouble || len(*said) != lines {
			t.Errorf("%s: whole %v, trouble %q, it says %q", when, s.Whole(), s.Trouble(), *said)
		}
	}
	fails := func() {
		t.Helper()
		if err := s.Sync(t.Context(), bad); err == nil {
			t.Fatal("a file is a folder of records")
		}
	}
	want("opened in memory", false, true, 1)
	fails()
	want("nothing can be derived", false, true, 1)
	synced(t, s, good)
	want("derived in memory", true, true, 1)
	remaining(t, os.Remove(blocked))
	fails()
	want("the file can be written, and has nothing yet", false, true, 1)
	synced(t, s, good)
	want("the file has all", true, false, 2)
	if !strings.Contains((*said)[1], "can be written again") {
		t.Errorf("it says %q", *said)
	}
	fails()
	want("what is new cannot be derived", true, false, 2)
	remaining(t, s.Close())
	s, said = opened(t, Options{Path: filepath.Join(blocked, "serve.db")})
	want("opened again", false, false, 0)
	synced(t, s, good)
	want("opened again and derived", true, false, 0)
}
