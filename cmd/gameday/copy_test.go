package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
