package k6

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/loadgen"
)

const parentVariable = "GAMEDAY_TEST_PARENT" // the folder of a script to run until killed

// actAsParent runs a script and says so on its standard output.
func actAsParent() {
	dir := os.Getenv(parentVariable)
	spec := loadgen.Spec{
		Script: filepath.Join(dir, "s.js"), Rate: 20, Dir: dir,
		Ready: func() { fmt.Println("ready") },
	}
	err := engine().Run(context.Background(), spec, func(loadgen.Window) {})
	fmt.Println("ended:", err)
	os.Exit(0)
}

// children returns the processes whose command line has the folder in it.
func children(t *testing.T, dir string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(b, []byte(dir)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// gone waits until no process has the folder in its command line.
func gone(t *testing.T, dir string, within time.Duration) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(within)
	for len(children(t, dir)) > 0 {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("processes %v are still there after %s", children(t, dir), within)
		}
	}
}

// readiness returns how readily the kernel ends a process when memory runs out.
func readiness(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// parentOf starts a process that runs the script in a folder, and returns once its traffic has begun, with what it says after that.
func parentOf(t *testing.T, dir string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+dir)
	pipe, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = parent.Process.Kill() // most tests have done so
		_ = parent.Wait()
	})
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the parent says %q: %v", line, err)
	}
	return parent, out
}

func TestChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(write(t, "s.js", `
import { sleep } from 'k6';
export default function () { sleep(0.2); }
`))
	parent, _ := parentOf(t, dir)
	pids := children(t, dir)
	if len(pids) != 1 {
		t.Fatalf("the children are %v", pids)
	}
	if session, err := unix.Getsid(pids[0]); err != nil || session != pids[0] {
		t.Errorf("the child's session is %d (%v), and it is %d", session, err, pids[0])
	}
	// Should memory run out, the kernel is to take the generator and not its parent.
	for pid, want := range map[int]string{pids[0]: "1000", parent.Process.Pid: readiness(t, os.Getpid())} {
		if got := readiness(t, pid); got != want {
			t.Errorf("the kernel takes process %d as %s, want %s", pid, got, want)
		}
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, dir, 10*time.Second)
}

// TestTeardownWithoutAParent checks that a script's teardown is done when the parent was killed, although nobody takes any more
// what it prints.
func TestTeardownWithoutAParent(t *testing.T) {
	t.Parallel()
	torn := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { torn <- struct{}{} }))
	t.Cleanup(s.Close)
	dir := filepath.Dir(write(t, "s.js", `
import http from 'k6/http';
import { sleep } from 'k6';
export default function () { sleep(0.2); }
export function teardown() {
  console.error('tearing down');
  http.get('`+s.URL+`');
}
`))
	parent, _ := parentOf(t, dir)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-torn:
	case <-time.After(20 * time.Second):
		t.Error("no teardown")
	}
	gone(t, dir, 10*time.Second)
}

// TestStoppedParent stops the process that started a script: the script ends, with its teardown, and the parent says so when it goes on.
func TestStoppedParent(t *testing.T) {
	t.Parallel()
	torn := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { torn <- struct{}{} }))
	t.Cleanup(s.Close)
	dir := filepath.Dir(write(t, "s.js", `
import http from 'k6/http';
import { sleep } from 'k6';
export default function () { sleep(0.2); }
export function teardown() { http.get('`+s.URL+`'); }
`))
	parent, out := parentOf(t, dir)
	if err := parent.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-torn:
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
	if err := parent.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	line, err := out.ReadString('\n')
	if err != nil || !strings.Contains(line, "s.js: it heard nothing of the gameday that started it for 10s") {
		t.Errorf("the parent says %q: %v", line, err)
	}
	gone(t, dir, 10*time.Second)
}

func TestKilledGeneratorIsAnError(t *testing.T) {
	t.Parallel()
	dir := ""
	s := begin(t, write(t, "s.js", `export default function () {}`), func(spec *loadgen.Spec) { dir = spec.Dir })
	s.next(1)
	for _, pid := range children(t, dir) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.wait()
	if err == nil || !strings.Contains(err.Error(), "signal 9 (killed)") {
		t.Errorf("the error is %v", err)
	}
}
