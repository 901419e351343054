package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/report"
)

// TestCopyFailed: a record that could not be copied is said, with what to do, and a run that passed does not end as if all that was
// asked had been done. Any other end stays what it is.
func TestCopyFailed(t *testing.T) {
	rec, to := filepath.Join(t.TempDir(), "rec"), t.TempDir()
	if err := errors.Join(os.Mkdir(rec, 0o755), os.WriteFile(filepath.Join(rec, "plan.json"), []byte("{}"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []bool{false, true} {
		var said bytes.Buffer
		c := &copying{to: to}
		if err := c.begin(rec, "run-1"); err != nil {
			t.Fatal(err)
		}
		if lost { // the mount goes away under way
			if err := os.RemoveAll(c.begun.Dir); err != nil {
				t.Fatal(err)
			}
		}
		c.finish(&app{errw: &said})
		code := (*codeError)(nil)
		if passed := c.outcome(nil); (passed != nil) != lost || lost && (!errors.As(passed, &code) || code.code != exitInconclusive) {
			t.Errorf("lost %v: a run that passed ends with %v", lost, passed)
		}
		failed := &codeError{code: 1}
		if got := c.outcome(failed); got != error(failed) {
			t.Errorf("lost %v: a run that failed ends with %v", lost, got)
		}
		want := "the record was copied to " + c.begun.Dir
		if lost {
			want = "the record is whole in " + rec
		}
		if !strings.Contains(said.String(), want) || lost != strings.Contains(said.String(), "`gameday copy "+rec+" "+to+"` goes on with it") {
			t.Errorf("lost %v: it says %s", lost, &said)
		}
		if err := os.RemoveAll(filepath.Join(to, "rec")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCopyOfNothing: a run that ended before it had a record does not say that its record is whole, nor that its copy is.
func TestCopyOfNothing(t *testing.T) {
	to := t.TempDir()
	for name, gone := range map[string]bool{"removed": true, "empty": false} {
		rec := filepath.Join(t.TempDir(), name)
		c := &copying{to: to}
		if err := c.begin(rec, ""); err != nil {
			t.Fatal(err)
		}
		if !gone {
			if err := os.Mkdir(rec, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var said bytes.Buffer
		c.finish(&app{errw: &said})
		if want := "the run ended before it had a record, and nothing was copied: " + c.begun.Dir; !strings.Contains(said.String(), want) || c.failed != nil {
			t.Errorf("%s: it says %s, and %v", name, &said, c.failed)
		}
		if err := report.CheckCopy(c.begun.Dir); !errors.Is(err, report.ErrHalfCopied) {
			t.Errorf("%s: the copy: %v", name, err)
		}
	}
}

// TestListen tells a copy of the first signal, which ends nothing, and of none once it is over.
func TestListen(t *testing.T) {
	c := &copying{}
	quiet := c.listen()
	defer quiet()
	for range 2 { // the second one ends nothing either; SIGHUP is for those who have not left it ignored
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-c.stopped:
	case <-time.After(10 * time.Second):
		t.Error("a signal is not heard")
	}
}
