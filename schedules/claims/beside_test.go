package claims

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/schedules"
)

// TestBeside looks what goes on of other calendars: what somebody is at, and nothing else. What cannot be read stands in nobody's way once nobody
// is at it.
func TestBeside(t *testing.T) {
	state := t.TempDir()
	in := func(name string) *Folder {
		t.Helper()
		f, err := Open(filepath.Join(state, name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	own, other := in("own"), in("other")
	claim := func(f *Folder, occasion string, outcome schedules.Outcome) *Held {
		t.Helper()
		h, err := f.Claim(Claim{Schedule: "weekly", Occasion: occasion, Outcome: outcome, Holds: []string{"host a", "shop"}})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	look := func(want string, unknown bool) {
		t.Helper()
		all, err := own.Beside()
		var got []string
		for _, g := range all {
			got = append(got, g.Calendar+" "+g.Occasion)
		}
		if strings.Join(got, ", ") != want || (err != nil) != unknown {
			t.Errorf("in progress: %v, %v", got, err)
		}
	}
	claim(own, "1", schedules.Begun)
	claim(other, "2", schedules.Skipped)
	claim(in(".hidden"), "3", schedules.Begun)
	if err := os.WriteFile(filepath.Join(state, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	look("", false)
	held := claim(other, "4", schedules.Begun)
	look("other 4", false)
	all, _ := own.Beside()
	if h, ok := all[0].Holding([]string{"bank", "shop"}); !ok || h != "shop" {
		t.Errorf("it holds %q", h)
	}
	if h, ok := all[0].Holding([]string{"bank"}); ok {
		t.Errorf("it holds %q", h)
	}
	bad := filepath.Join(state, "other", "weekly@5.json")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	look("other 4", false)
	f, err := os.Open(bad)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
	look("other 4", true)
	if err := held.Close(End{}); err != nil {
		t.Fatal(err)
	}
	look("", true)
	f.Close()
	look("", false)
	// What no calendar is called is no calendar's, as what file systems keep for themselves, which nobody but root may look into.
	lost := in("lost+found")
	if err := os.Rename(bad, filepath.Join(lost.Dir(), "weekly@5.json")); err != nil {
		t.Fatal(err)
	}
	if f, err = os.Open(filepath.Join(lost.Dir(), "weekly@5.json")); err == nil {
		defer f.Close()
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
	look("", false)
}

// TestLockBeside has one calendar begin at a time, each with the lock of its own.
func TestLockBeside(t *testing.T) {
	state := t.TempDir()
	var unlocks []func()
	for n, name := range []string{"a", "b"} {
		f, err := Open(filepath.Join(state, name))
		if err != nil {
			t.Fatal(err)
		}
		unlock, err := f.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if unlock, err = f.LockBeside(ctx); (err == nil) != (n == 0) {
			t.Errorf("calendar %s: %v", name, err)
		}
		unlocks = append(unlocks, unlock)
	}
	unlocks[0]()
	f, err := Open(filepath.Join(state, "b"))
	if err == nil {
		unlocks[0], err = f.LockBeside(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	unlocks[0]()
}
