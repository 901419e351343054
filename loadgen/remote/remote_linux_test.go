package remote_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/k6"
	"gameday/loadgen/remote"
)

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// numbers is a flow that requests /1, /2 and so on.
func numbers(s *shop) []loadgen.Flow {
	url := loadgen.Text{{Text: s.URL + "/"}, {Ref: "iteration.number"}}
	return []loadgen.Flow{{Name: "n", Weight: 1, Requests: []loadgen.Request{{Name: "n", URL: url}}}}
}

// TestFlowsFromThreeMachines sends requests from here and from two hosts, at a rate that changes.
func TestFlowsFromThreeMachines(t *testing.T) {
	shop, a, b := newShop(t), newMachine(t), newMachine(t)
	s := begin(t, loadgen.Spec{Flows: numbers(shop), Rate: 60, MaxVUs: 90, PeakMultiple: 2,
		Generators: []loadgen.Node{{SSH: loadgen.Here}, {SSH: "a"}, {SSH: "b"}}},
		map[string]loadgen.Generator{"a": a.generator(self(t)), "b": b.generator(self(t))})
	seconds := 0
	s.takes(t, func(loadgen.Window) bool { seconds++; return seconds == 2 })
	const twice = 2 * time.Second
	asked := time.Now()
	s.commands <- loadgen.Command{To: 2, Then: []loadgen.Leg{{To: 2, Over: twice}, {To: 0}}}
	s.stop(t)
	due, started, dropped := s.whole(t)
	if started != due || dropped > 0 || int(started) != shop.hits() {
		t.Errorf("%d were due, %d begun, %d given up, %d arrived", due, started, dropped, shop.hits())
	}
	// The rate was 60 until it changed: after it was asked for, and as long before the last request came as it then was 120, but for what
	// another machine's clock may be off without a warning.
	const vague = 200 * time.Millisecond
	from, to := asked.Sub(s.windows[0].Start), shop.latest().Sub(s.windows[0].Start)-twice+vague
	if n := float64(due) - 120*twice.Seconds(); n+1 < 60*from.Seconds() || n-1 > 60*to.Seconds() {
		t.Errorf("%d were due, and it changed after %s to %s", due, from, to)
	} else if changed := n / 60; changed > from.Seconds()+5 {
		t.Errorf("the rate changed after %.1f s, and was to at %s", changed, from)
	}
	shop.numbered(t, 1)
	w := s.windows[1]
	if w.Due != 60 || len(w.Generators) != 3 || w.Generators[0].Name != "a" ||
		w.Generators[2].Name != "here" || w.Generators[0].MaxVUs != 30 || w.Generator.MaxVUs != 90 {
		t.Errorf("a second: %d due, generators %+v", w.Due, w.Generators)
	}
	for _, m := range []*machine{a, b} {
		gone(t, []int{m.pid(t)})
	}
}

// roomPrefix begins the name of the folder that a stream is read from.
const roomPrefix = "gameday-generator-"

const script = `
import http from 'k6/http';
import exec from 'k6/execution';
import { names } from './names.js';
if (names[0] !== 'ada') { throw new Error('the archive is not whole') }
export default function () {
  http.get(__ENV.SHOP + '/' + exec.scenario.iterationInTest);
}
`

// TestScriptOnMachines sends a k6 script from two hosts, to one of which the program is copied, and the one for scripts. What the script is
// read from is not left anywhere.
func TestScriptOnMachines(t *testing.T) {
	t.Setenv("PATH", beside(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
	shop, a, b := newShop(t), newMachine(t), newMachine(t)
	dir := t.TempDir()
	mark := "// " + dir // other tests have such folders too
	for name, text := range map[string]string{"s.js": mark + script, "names.js": "export const names = ['ada'];"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const rate, sends = 40, 8 // seconds: a busy machine hears of their end in time
	s := begin(t, loadgen.Spec{Script: filepath.Join(dir, "s.js"), Env: map[string]string{"SHOP": shop.URL},
		Rate: rate, PeakMultiple: 1, Generators: []loadgen.Node{{SSH: "a"}, {SSH: "b"}}},
		map[string]loadgen.Generator{"a": a.generator(""), "b": b.generator(self(t))})
	s.commands <- loadgen.Command{At: sends * time.Second, To: 0}
	if left := rooms(t, mark, a.pid(t), b.pid(t)); len(left) > 0 {
		t.Errorf("while it sends, the script is still in %v", left)
	}
	s.stop(t)
	due, started, dropped := s.whole(t)
	if started != due || dropped > 0 || int(started) != shop.hits() || due != sends*rate {
		t.Errorf("%d were due, %d begun, %d given up, %d arrived; said %q", due, started, dropped, shop.hits(), s.said)
	}
	shop.numbered(t, 0)
	for _, name := range []string{"gameday-generator-*", "gameday-k6-*"} {
		if copies, _ := filepath.Glob(filepath.Join(a.Home, ".cache/gameday", name)); len(copies) != 1 {
			t.Errorf("copies: %v", copies)
		}
		if copies, _ := filepath.Glob(filepath.Join(b.Home, ".cache/gameday", name)); len(copies) != 0 {
			t.Errorf("copies where the program is there already: %v", copies)
		}
	}
	if stays, err := a.host.Remove(t.Context()); err != nil || len(stays) > 0 {
		t.Errorf("removing it: %v, %v stays", err, stays)
	}
	if _, err := os.Stat(filepath.Join(a.Home, ".cache/gameday")); err == nil {
		t.Error("the folder is left")
	}
}

// beside returns a folder with this program under the name of the one for scripts.
func beside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(self(t), filepath.Join(dir, k6.Program)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rooms returns the folders that are there of those that processes made for streams: which one of them has open, for it is locked until it is
// removed, and in which there is a text.
func rooms(t *testing.T, text string, pids ...int) []string {
	t.Helper()
	var out []string
	for _, pid := range pids {
		descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil || len(descriptors) == 0 {
			t.Fatalf("what process %d has open: %v, %v", pid, descriptors, err)
		}
		for _, d := range descriptors {
			if path, err := os.Readlink(d); err == nil && strings.HasPrefix(filepath.Base(path), roomPrefix) && !strings.HasSuffix(path, " (deleted)") {
				out = append(out, path)
			}
		}
	}
	for _, dir := range []string{"/dev/shm", os.TempDir()} {
		files, err := filepath.Glob(filepath.Join(dir, roomPrefix+"*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
				out = append(out, path)
			}
		}
	}
	return out
}

// TestNothingOutlives kills or stops what sends on one of two hosts, and the connection to it: the stream ends and says which one
// it was, and nothing is left on either; but for what is stopped, which sends nothing.
func TestNothingOutlives(t *testing.T) {
	program := func(t *testing.T, m *machine) int { return m.pid(t) }
	connection := func(_ *testing.T, m *machine) int { return m.ssh[0].Process.Pid }
	for name, how := range map[string]struct {
		whom   func(t *testing.T, m *machine) int
		signal syscall.Signal
		left   int // processes that stay until they are continued
	}{
		"program":            {program, syscall.SIGKILL, 0},
		"connection":         {connection, syscall.SIGKILL, 0},
		"engine":             {func(t *testing.T, m *machine) int { return family(t, m.pid(t))[1] }, syscall.SIGKILL, 0},
		"program stopped":    {program, syscall.SIGSTOP, 1},
		"connection stopped": {connection, syscall.SIGSTOP, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop, a, b := newShop(t), newMachine(t), newMachine(t)
			s := begin(t, loadgen.Spec{Flows: numbers(shop), Rate: 40, Generators: []loadgen.Node{{SSH: "a"}, {SSH: "b"}}},
				map[string]loadgen.Generator{"a": a.generator(self(t)), "b": b.generator(self(t))})
			all := append(family(t, a.pid(t)), family(t, b.pid(t))...)
			if len(all) != 4 {
				t.Fatalf("processes %v", all)
			}
			time.Sleep(1500 * time.Millisecond)
			if err := syscall.Kill(how.whom(t, a), how.signal); err != nil {
				t.Fatal(err)
			}
			err := s.ends(t)
			if err == nil || !strings.HasPrefix(err.Error(), "generator a: ") {
				t.Errorf("error %v", err)
			}
			if len(s.said) != 1 || !strings.HasPrefix(s.said[0], "warning: generator a: ") {
				t.Errorf("said %q", s.said)
			}
			gone(t, all[how.left:])
			hits := shop.hits()
			time.Sleep(500 * time.Millisecond)
			if more := shop.hits() - hits; more > 0 {
				t.Errorf("%d requests came after the end", more)
			}
			if due, started, _ := s.whole(t); due <= started {
				t.Errorf("%d were due and %d begun, although one died", due, started)
			}
			if how.left > 0 {
				if err := syscall.Kill(all[0], syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				gone(t, all)
			}
			t.Log(err)
		})
	}
}

// TestOtherVersion checks that a program of another version is refused by name.
func TestOtherVersion(t *testing.T) {
	shop, a := newShop(t), newMachine(t)
	g := a.generator(self(t))
	g.Version = "another"
	err := (&remote.Generator{Version: g.Version, Start: g.Start}).Run(t.Context(), loadgen.Spec{Flows: numbers(shop), Rate: 1, Dir: t.TempDir()}, nil)
	if err == nil || !strings.Contains(err.Error(), "it is gameday test, and the game day is of another") {
		t.Errorf("error %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	shop, a := newShop(t), newMachine(t)
	a.Stop()
	err := a.generator(self(t)).Run(t.Context(), loadgen.Spec{Flows: numbers(shop), Rate: 1, Dir: t.TempDir()}, nil)
	if err == nil || !strings.Contains(err.Error(), "cannot be reached by ssh") {
		t.Errorf("error %v", err)
	}
}
