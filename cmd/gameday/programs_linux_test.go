package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/internal/scriptrig"
	"gameday/loadgen"
	"gameday/report"
)

// What gameday may take on disk, in bytes, and to start. docs/benchmarks.md says what it takes.
const (
	maxProgram = 60e6
	maxStart   = 100 * time.Millisecond
)

// scripted is a game day whose traffic is a k6 script's.
const scripted = `scenario "scripted" {
  timeline {
    baseline = "2s"
    load     = "3s"
    recovery = "1s"
  }
  traffic "visitors" {
    script   = "get.js"
    multiple = 2
    env      = { URL = %q }
    baseline { rate = 20 }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  capacity {
    expect "reached" { that = sli.reached_ratio > 0.9 }
  }
}
`

// asBuilt makes a folder with gameday as it is built, and with gameday-k6.
func asBuilt(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := build(filepath.Join(dir, "gameday"), "."); err != nil {
		t.Fatal(err)
	}
	beside, err := os.ReadFile(filepath.Join(programFolder, "gameday-k6"))
	if err != nil {
		t.Fatal(err)
	}
	scriptrig.Write(t, filepath.Join(dir, "gameday-k6"), string(beside))
	return dir
}

// TestStart holds gameday, as it is built, to what it may take to start. It comes by itself: beside three packages on two processors the
// quickest start of twenty took twice as long.
func TestStart(t *testing.T) {
	gameday := filepath.Join(t.TempDir(), "gameday")
	if err := build(gameday, "."); err != nil {
		t.Fatal(err)
	}
	best := time.Hour // of many, for the first reads the program from the disk
	for range 20 {
		began := time.Now()
		if out, err := exec.Command(gameday, "--help").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("gameday --help takes %s", best.Round(time.Millisecond/10))
	if best >= maxStart {
		t.Errorf("gameday --help takes %s, and may take less than %s", best, maxStart)
	}
}

// TestPrograms holds gameday, as it is built, to what it may take on disk, and runs a script by it and the program beside it.
func TestPrograms(t *testing.T) {
	t.Parallel()
	dir := asBuilt(t)
	t.Run("size", func(t *testing.T) {
		for _, name := range []string{"gameday", "gameday-k6"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s takes %.1f MB", name, float64(info.Size())/1e6)
			if name == "gameday" && float64(info.Size()) >= maxProgram {
				t.Errorf("gameday takes %.1f MB, and may take less than %.0f", float64(info.Size())/1e6, maxProgram/1e6)
			}
		}
	})
	t.Run("k6", func(t *testing.T) { testAsK6(t, dir) })
	t.Run("script", func(t *testing.T) { testScripted(t, dir) })
}

// testAsK6 calls gameday-k6 as people do, and by k6's name as images do: through gameday, or without it.
func testAsK6(t *testing.T, dir string) {
	for link, to := range map[string]string{"face/k6": "../gameday", "plain/k6": "../gameday-k6"} {
		if err := os.Mkdir(filepath.Join(dir, filepath.Dir(link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	const own, k6s = "gameday-k6 version " + builtVersion + "\nk6 v2.", "gameday-k6 v2."
	for _, c := range []struct {
		program, arg string
		code         int
		want         string
	}{
		{"gameday-k6", "--version", 0, own},
		{"gameday-k6", "--help", 0, "gameday-k6 runs the k6 scripts of gameday's scenarios."},
		{"gameday-k6", "version", 0, k6s},
		{"face/k6", "--version", 0, k6s},
		{"plain/k6", "--version", 0, k6s},
		{"face/k6", "help", 0, "\n"}, // k6's banner
		{"face/k6", "nonsense", 255, ""},
		{"gameday-k6", "nonsense", 255, ""},
	} {
		out, err := exec.Command(filepath.Join(dir, c.program), c.arg).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		code := 0
		if exit != nil {
			code = exit.ExitCode()
		}
		if code != c.code || !strings.HasPrefix(string(out), c.want) {
			t.Errorf("%s %s: exit code %d, want %d and %q:\n%s", c.program, c.arg, code, c.code, c.want, out)
		}
	}
}

// testScripted runs a script, and then without the program that runs scripts, and with one of another version.
func testScripted(t *testing.T, dir string) {
	var hits atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(service.Close)
	for name, text := range map[string]string{"day.hcl": fmt.Sprintf(scripted, service.URL),
		"get.js": "import http from \"k6/http\";\nexport default function () { http.get(__ENV.URL); }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(want int, words string, args ...string) {
		t.Helper()
		c := exec.Command(filepath.Join(dir, "gameday"), args...)
		c.Dir, c.Env = dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "GAMEDAY_LEDGER=" + filepath.Join(dir, "ledger")}
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if code := c.ProcessState.ExitCode(); code != want || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), words) {
			t.Errorf("gameday %s: exit code %d, want %d and %q:\n%s", strings.Join(args, " "), code, want, words, out)
		}
	}
	run(0, "PASSED", "run", "--record", "rec", "day.hcl")
	before := hits.Load()
	rec, err := report.Read(filepath.Join(dir, "rec"))
	if err != nil {
		t.Fatal(err)
	}
	var sent loadgen.Window
	for _, w := range rec.Windows {
		sent.Due, sent.Started, sent.Interrupted = sent.Due+w.Due, sent.Started+w.Started, sent.Interrupted+w.Interrupted
		if w.Due > 41 {
			t.Errorf("in the second of %s there were %d requests due, of 40/s", w.Start, w.Due)
		}
	}
	// 20/s for 2 s and until the last of their windows is there, and 40/s for 3 s and 1 s. What the end of the traffic cut off may not have come.
	if n := uint64(before); n < 150 || n > sent.Started || n < sent.Started-sent.Interrupted || sent.Started > sent.Due {
		t.Errorf("%d requests came of the %d that the record has, of which %d were cut off, and %d were due", n, sent.Started, sent.Interrupted, sent.Due)
	}
	beside := filepath.Join(dir, "gameday-k6")
	scriptrig.Write(t, beside, "#!/bin/sh\necho gameday-k6 version v0.0.1\n")
	run(2, beside+" is of version v0.0.1, and this gameday of "+builtVersion, "run", "--record", "other", "day.hcl")
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	run(2, "gameday-k6 is not there: looked in "+dir+" and in $PATH", "validate", "day.hcl")
	run(2, "gameday-k6 is not there", "run", "--record", "missing", "day.hcl")
	if n := hits.Load(); n != before {
		t.Errorf("%d requests came of game days that could not be run", n-before)
	}
}
