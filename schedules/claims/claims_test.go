package claims

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/internal/gcrig"
	"gameday/schedules"
)

// TestMain makes the test binary a process that claims an occasion: it says whether it could, and lets go when its standard
// input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CLAIM_IN"); dir != "" {
		f, err := Open(dir)
		if err == nil {
			_, err = f.Claim(Claim{Schedule: "weekly", Occasion: "2026-12-01T10:00", Outcome: schedules.Begun})
		}
		fmt.Println(err)
		var b [1]byte
		_, _ = os.Stdin.Read(b[:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func open(t *testing.T) *Folder {
	t.Helper()
	f, err := Open(filepath.Join(t.TempDir(), "calendar"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOneClaim lets many claim the same occasion at once: one gets it.
func TestOneClaim(t *testing.T) {
	f := open(t)
	var got atomic.Int32
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			_, err := f.Claim(Claim{Schedule: "weekly", Occasion: "2026-12-01T10:00", Outcome: schedules.Begun, By: fmt.Sprint(i)})
			switch {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, ErrClaimed):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d have it", got.Load())
	}
	left, err := filepath.Glob(filepath.Join(f.Dir(), ".draft-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("drafts are left: %v %v", left, err)
	}
}

// TestForgotten has nobody refer to an occasion that was begun: it is in progress all the same, as long as this process lives.
func TestForgotten(t *testing.T) {
	f := open(t)
	if _, err := f.Claim(Claim{Schedule: "weekly", Occasion: "2026-12-01T10:00", Outcome: schedules.Begun}); err != nil {
		t.Fatal(err)
	}
	gcrig.Collect(t)
	if s, err := f.State(); err != nil || len(s.Settled) != 1 || !s.Settled[0].Running {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestDeath kills a process that has begun an occasion: it is running while the process lives, and not begun again after.
func TestDeath(t *testing.T) {
	f := open(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "CLAIM_IN="+f.Dir())
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	n, err := out.Read(said)
	if err != nil || strings.TrimSpace(string(said[:n])) != "<nil>" {
		t.Fatalf("it says %q: %v", said[:n], err)
	}
	running := func() bool {
		t.Helper()
		s, err := f.State()
		if err != nil || len(s.Settled) != 1 {
			t.Fatalf("%v: %v", s, err)
		}
		return s.Settled[0].Running
	}
	if !running() {
		t.Error("it is not running while its process lives")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed
	if running() {
		t.Error("it is running when its process is dead")
	}
	if _, err := f.Claim(Claim{Schedule: "weekly", Occasion: "2026-12-01T10:00", Outcome: schedules.Begun}); !errors.Is(err, ErrClaimed) {
		t.Errorf("it is begun again: %v", err)
	}
}

// TestState keeps and reads back everything.
func TestState(t *testing.T) {
	f := open(t)
	at := time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)
	h, err := f.Claim(Claim{Schedule: "weekly", Occasion: "2026-12-01T10:00", Outcome: schedules.Begun, At: at, Holds: []string{"this machine"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Claim(Claim{Schedule: "nightly", Occasion: "2026-12-01T02:00", Outcome: schedules.Skipped, Why: "frozen", At: at}); err != nil {
		t.Fatal(err)
	}
	if err := f.Since(map[string]time.Time{"weekly": at}); err != nil {
		t.Fatal(err)
	}
	if err := f.Since(map[string]time.Time{"nightly": at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	want := schedules.State{
		Since: map[string]time.Time{"weekly": at, "nightly": at.Add(time.Hour)},
		Settled: []schedules.Settled{
			{Schedule: "nightly", ID: "2026-12-01T02:00", Outcome: schedules.Skipped, Why: "frozen", At: at},
			{Schedule: "weekly", ID: "2026-12-01T10:00", Outcome: schedules.Begun, At: at, Running: true, Holds: []string{"this machine"}},
		},
	}
	check := func() {
		t.Helper()
		got, err := f.State()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	check()
	if err := h.Close(End{At: at.Add(time.Hour), Code: 1, Runs: []Run{{"checkout", "runs/x", 1}}}); err != nil {
		t.Fatal(err)
	}
	want.Settled[1].Running = false
	check()
	if err := os.WriteFile(filepath.Join(f.Dir(), "weekly@2026-12-08T1000.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.State(); err == nil {
		t.Error("a claim that cannot be read is passed over")
	}
}

// TestSeed makes a seed once, for its user alone.
func TestSeed(t *testing.T) {
	f := open(t)
	seeds := make([]schedules.Seed, 20)
	var all sync.WaitGroup
	for i := range seeds {
		all.Go(func() {
			var err error
			if seeds[i], err = f.Seed(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range seeds {
		if string(s) != string(seeds[0]) || len(s) != 32 {
			t.Fatalf("two seeds: %x and %x", s, seeds[0])
		}
	}
	info, err := os.Stat(filepath.Join(f.Dir(), seedFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(f.Dir(), seedFile), []byte("xyz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seed(); err == nil {
		t.Error("a broken seed is taken")
	}
}

// TestLock lets one decide at a time.
func TestLock(t *testing.T) {
	f := open(t)
	unlock, err := f.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Lock(ctx); err == nil {
		t.Error("two decide at once")
	}
	unlock()
	again, err := f.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// TestFullDisk waits for space, for a while, and for nothing else.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, x := range map[string]struct {
			err  error
			good int // the try that finds space
			want int
		}{
			"space after a minute": {fmt.Errorf("writing: %w", syscall.ENOSPC), 13, 13},
			"never any space":      {syscall.EDQUOT, 1000, 38},
			"another trouble":      {syscall.EIO, 1000, 1},
		} {
			tries := 0
			err := patiently(func() error {
				if tries++; tries == x.good {
					return nil
				}
				return x.err
			})
			if tries != x.want || (err == nil) != (tries == x.good) {
				t.Errorf("%s: %d tries, %v", name, tries, err)
			}
		}
	})
}
