package k6

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gameday/internal/scriptrig"
	"gameday/loadgen"
	"gameday/programs"
)

// says writes a program that says something and ends with a code.
func says(t *testing.T, path, text string, code int) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\n[ \"$*\" = --version ] || exit 9\necho x >>%[1]s.started\nprintf '%[2]s'\necho of no use >&2\nexit %[3]d\n", path, text, code)
	scriptrig.Write(t, path, script)
}

// TestReady asks programs of all sorts, and says of each what is wrong with it and what to do.
func TestReady(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	path := filepath.Join(dir, Program)
	for _, c := range []struct {
		name, says string
		code       int
		want       []string // empty for a program that will do
	}{
		{"the same version", "gameday-k6 version v1.2.0\nk6 v2\n", 0, nil},
		{"a version that is not known", "gameday-k6 version development\n", 0, nil},
		{"another version", "gameday-k6 version v1.1.9\nk6 v2\n", 0,
			[]string{path + " is of version v1.1.9", "this gameday of v1.2.0", "`make build` builds both"}},
		{"plain k6", "k6 v2.2.0\n", 0, []string{path + " is no gameday-k6", `"k6 v2.2.0"`, "built with it"}},
		{"nothing", "", 0, []string{"is no gameday-k6", `""`}},
		{"one that fails", "", 3, []string{path + " cannot be started", "exit status 3", "of no use", "make build"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			says(t, path, c.says, c.code)
			e := &Engine{Version: "v1.2.0"}
			for range 2 { // the second time it is remembered
				err := e.Ready(t.Context())
				if len(c.want) == 0 && err != nil || len(c.want) > 0 && err == nil {
					t.Fatalf("it says %v, want %q", err, c.want)
				}
				for _, w := range c.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("it does not say %q: %v", w, err)
					}
				}
			}
			if started, err := os.ReadFile(path + ".started"); err != nil || len(started) != 2 {
				t.Errorf("it was asked %d times, %v", len(started)/2, err)
			}
			if err := os.Remove(path + ".started"); err != nil {
				t.Fatal(err)
			}
		})
	}
	scriptrig.Write(t, path, "\x7fELF, or part of it")
	if err := (&Engine{Version: "v1.2.0"}).Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "built for this machine?") {
		t.Errorf("of a program that is not whole it says %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	err := (&Engine{Version: "v1.2.0"}).Ready(t.Context())
	if !errors.Is(err, programs.ErrMissing) || !strings.Contains(err.Error(), "gameday-k6 is not there: looked in ") || !strings.Contains(err.Error(), "make build") {
		t.Errorf("of a program that is not there it says %v", err)
	}
	for name, try := range map[string]func(*Engine, loadgen.Spec) error{
		"run":  func(e *Engine, s loadgen.Spec) error { return e.Run(t.Context(), s, nil) },
		"pack": func(e *Engine, s loadgen.Spec) error { _, err := e.Pack(t.Context(), s); return err },
	} {
		err := try(&Engine{}, loadgen.Spec{Script: "/day/s.js", Rate: 1, Dir: t.TempDir()})
		if !errors.Is(err, programs.ErrMissing) || !strings.Contains(err.Error(), "/day/s.js") {
			t.Errorf("%s without the program: %v", name, err)
		}
	}
}

// TestReadyAsksAgain asks a program anew that was replaced, and one that was not asked to the end.
func TestReadyAsksAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), Program)
	e := &Engine{Program: path, Version: "v1.2.0"}
	says(t, path, "gameday-k6 version v1.2.0\\n", 0)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Ready(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("asked for nothing, it says %v", err)
	}
	if err := e.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	says(t, path, "gameday-k6 version v1.2.0-rc1\\n", 0)
	if err := e.Ready(t.Context()); err == nil {
		t.Error("another version in its place was not noticed")
	}
}
