package kept

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestMain makes the test binary a process that has been given a hold: it has it until its standard input ends.
func TestMain(m *testing.M) {
	if os.Getenv("HOLD") != "" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestHold gives the hold on a label to another process, which has it for as long as it lives, also when whoever gave it is gone. A run that
// has written nothing but its label is seen meanwhile, and not afterwards.
func TestHold(t *testing.T) {
	runs := t.TempDir()
	dir := filepath.Join(runs, "begun")
	if err := WriteLabel(dir, label("west-2", "b")); err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		f, err := Scan(runs, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, r := range f.Rehearsals["west-2"]["shop"] {
			text += fmt.Sprintf("%s %v %s;", r.Record, r.Running, f.Dirs[r.Record])
		}
		return text
	}
	if got := shown(); Busy(dir) || got != "" {
		t.Errorf("nobody holds it, and there is %q", got)
	}
	held, err := Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env, c.ExtraFiles = append(os.Environ(), "HOLD=1"), []*os.File{held}
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err = errors.Join(err, held.Close()); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(), "begun true "+dir+";"; !Busy(dir) || got != want {
		t.Errorf("while another process has it there is %q, want %q", got, want)
	}
	if err := errors.Join(in.Close(), c.Wait()); err != nil {
		t.Fatal(err)
	}
	if got := shown(); Busy(dir) || got != "" {
		t.Errorf("when that is over there is %q", got)
	}
	if _, err := Hold(runs); err == nil {
		t.Error("a folder without a label is held")
	}
}

// TestLabelWhole reads labels while they are written: nobody sees a part of one, and no draft is left in a record.
func TestLabelWhole(t *testing.T) {
	runs := t.TempDir()
	dirs := make(chan string)
	var reader sync.WaitGroup
	reader.Go(func() {
		for dir := range dirs {
			for {
				l, err := ReadLabel(dir)
				if err == nil && l.Rehearsal == "west-2" {
					break
				}
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%+v, %v", l, err)
					break
				}
			}
		}
	})
	for i := range 200 {
		dir := filepath.Join(runs, fmt.Sprint(i))
		dirs <- dir
		if err := WriteLabel(dir, label("west-2", "b")); err != nil {
			t.Error(err)
			break
		}
	}
	close(dirs)
	if t.Failed() {
		return // the reader may wait for a label that never comes
	}
	reader.Wait()
	left, err := filepath.Glob(filepath.Join(runs, ".*"))
	inside, err2 := os.ReadDir(filepath.Join(runs, "0"))
	if err := errors.Join(err, err2); err != nil || len(left) > 0 || len(inside) != 1 {
		t.Errorf("%v, left are %q and %v", err, left, inside)
	}
	if err := WriteLabel(filepath.Join(runs, "0"), label("west-1", "b")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("labelled again: %v", err)
	}
}
