package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/faults"
)

func TestHalt(t *testing.T) {
	path := faults.HaltFile(filepath.Join(t.TempDir(), "state", "ledger"))
	if filepath.Base(path) != "halt" || filepath.Base(filepath.Dir(path)) != "state" {
		t.Fatalf("the halt is at %s", path)
	}
	if h := faults.Halted(path); h != nil {
		t.Fatalf("halted by nobody: %v", h)
	}
	if h, err := faults.LiftHalt(path); h != nil || err != nil {
		t.Fatalf("lifted %v, %v", h, err)
	}
	at := time.Date(2026, 9, 16, 12, 0, 0, 0, time.UTC)
	for _, by := range []string{"ann", "bob"} { // the second replaces the first
		if err := faults.SetHalt(path, faults.Halt{By: by, At: at, Why: "an incident"}); err != nil {
			t.Fatal(err)
		}
	}
	h := faults.Halted(filepath.Join(t.TempDir(), "none"), path)
	if h == nil || h.By != "bob" || !errors.Is(h, faults.ErrHalted) {
		t.Fatalf("halt %+v", h)
	}
	if want := "stopped by bob at 2026-09-16 12:00:00 UTC: an incident; lift it with `gameday stop --lift`"; h.Error() != want {
		t.Errorf("it says %q, want %q", h, want)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside it lies %v, %v", left, err)
	}
	if h, err := faults.LiftHalt(path); h == nil || err != nil {
		t.Errorf("lifted %v, %v", h, err)
	}
	if h := faults.Halted(path); h != nil {
		t.Errorf("halted after it was lifted: %v", h)
	}
}

// TestHaltUnreadable checks that a halt stands whatever became of its file.
func TestHaltUnreadable(t *testing.T) {
	dir := t.TempDir()
	for name, put := range map[string]func(string) error{
		"torn":     func(p string) error { return os.WriteFile(p, []byte(`{"by":"a`), 0o600) },
		"empty":    func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"a folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"a link":   func(p string) error { return os.Symlink("nowhere", p) },
	} {
		path := filepath.Join(dir, name)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		if h := faults.Halted(path); h == nil || !strings.Contains(h.Error(), "cannot be read") {
			t.Errorf("%s: %v", name, h)
		}
	}
}
