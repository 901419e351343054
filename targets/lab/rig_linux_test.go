package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gameday/internal/bound"
	"gameday/internal/scriptrig"
	"gameday/targets/lab/power"
)

// user is who runs a lab in a test.
type user struct {
	name string
	uid  int // -1: whoever runs the tests
}

// asEach runs the test as the present user, and when that is root also as nobody.
func asEach(t *testing.T, test func(*testing.T, user)) {
	t.Helper()
	present := user{name: "present", uid: -1}
	if os.Geteuid() == 0 {
		present.name = "root"
	}
	t.Run(present.name, func(t *testing.T) { test(t, present) })
	if os.Geteuid() == 0 {
		t.Run("nobody", func(t *testing.T) { test(t, user{name: "nobody", uid: 65534}) })
	}
}

// rig is a lab that a test drives from outside.
type rig struct {
	t     *testing.T
	dir   string // the only place where files may be left
	outer *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	err   bytes.Buffer
	ended sync.WaitGroup
	code  int
	held  map[string]*os.File // namespaces, by what links to them say
}

// folder returns a folder below /tmp that belongs to the user, removed after the test.
func (u user) folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lab-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if u.uid >= 0 {
		if err := os.Chown(dir, u.uid, u.uid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// program returns a path of the test binary that the user may execute: go test keeps it where only its owner may.
func (u user) program(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if u.uid < 0 {
		return self
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	scriptrig.Write(t, path, string(b))
	return path
}

// command prepares the outer process.
func (u user) command(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	needLab(t)
	cmd := exec.Command(u.program(t, dir))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, partVariable + "=conductor",
		dirVariable + "=" + dir, "LAB_TEST_GRACE=5s"}, env...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if u.uid >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.uid)}
	}
	return cmd
}

var possible = sync.OnceValue(Possible)

// needLab skips the test where there can be no lab; CI must have one.
func needLab(t *testing.T) {
	t.Helper()
	if err := possible(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// enter starts an outer process whose conductor waits for orders.
func (u user) enter(t *testing.T, env ...string) *rig {
	t.Helper()
	r := &rig{t: t, dir: u.folder(t)}
	r.outer = u.command(t, r.dir, env...)
	r.outer.Stderr = &r.err
	var err error
	if r.in, err = r.outer.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe() // not StdoutPipe: Wait would close it under the reader
	if err != nil {
		t.Fatal(err)
	}
	r.outer.Stdout = w
	r.out = bufio.NewReader(out)
	r.outer.WaitDelay = 20 * time.Second
	if err := bound.Start(r.outer, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.ended.Go(func() {
		r.outer.Wait()
		r.code = r.outer.ProcessState.ExitCode()
	})
	t.Cleanup(func() {
		r.outer.Process.Kill()
		r.ended.Wait()
		out.Close()
		if strings.Contains(r.err.String(), "DATA RACE") || strings.Contains(r.err.String(), "panic") {
			t.Error("a process of the lab went wrong")
		}
		if t.Failed() {
			t.Logf("stderr:\n%s", r.err.String())
			logs, _ := filepath.Glob(r.dir + "/logs/*")
			for _, l := range logs {
				b, _ := os.ReadFile(l)
				t.Logf("%s:\n%s", l, b[:min(len(b), 4000)])
			}
		}
	})
	return r
}

// try gives the conductor an order and returns its answer.
func (r *rig) try(o order) answerLine {
	r.t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.in.Write(append(line, '\n')); err != nil {
		r.t.Fatalf("ordering %s: %v", o.Do, err)
	}
	text, err := r.out.ReadBytes('\n')
	if err != nil {
		r.t.Fatalf("no answer to %s: %v; stderr: %s", o.Do, err, r.err.String())
	}
	var a answerLine
	if err := json.Unmarshal(text, &a); err != nil {
		r.t.Fatalf("answer to %s: %q: %v", o.Do, text, err)
	}
	return a
}

// do is try for orders that must succeed.
func (r *rig) do(o order) answerLine {
	r.t.Helper()
	a := r.try(o)
	if a.Error != "" {
		r.t.Fatalf("%s %s%s: %s", o.Do, o.Node, o.URL, a.Error)
	}
	return a
}

func (r *rig) node(name string) power.State {
	r.t.Helper()
	for _, n := range r.do(order{Do: "nodes"}).Nodes {
		if n.Name == name {
			return n
		}
	}
	r.t.Fatalf("no node %s", name)
	return power.State{}
}

// exit ends the conductor and returns the outer process's exit code.
func (r *rig) exit(code int) int {
	r.t.Helper()
	fmt.Fprintf(r.in, `{"do":"exit","code":%d}`+"\n", code)
	return r.wait()
}

// wait returns the outer process's exit code; -1 when a signal ended it.
func (r *rig) wait() int {
	r.ended.Wait()
	return r.code
}

// notes returns what the parts left in the notes.
func (r *rig) notes() string {
	b, _ := os.ReadFile(filepath.Join(r.dir, "notes"))
	return string(b)
}

// eventually polls until ok returns true, and fails the test when that takes longer than limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end.C:
			if !ok() {
				t.Fatalf("after %s still not: %s", limit, what)
			}
			return
		case <-tick.C:
		}
	}
}

// vanish polls until there is nothing left, and fails the test when that takes longer than limit.
func vanish(t *testing.T, limit time.Duration, what string, left func() []string) {
	t.Helper()
	var last []string
	defer func() {
		if len(last) > 0 {
			t.Logf("left:\n%s", strings.Join(last, "\n"))
		}
	}()
	eventually(t, limit, what, func() bool {
		last = left()
		return len(last) == 0
	})
}

// member is a process of a lab, as the machine sees it.
type member struct {
	pid, parent int
	start       uint64
	depth       int      // 1: outer, 2: in the lab, 3: in a node
	spaces      []string // its namespaces, as links under /proc show them
}

// members returns the outer process and everything below it.
func (r *rig) members() []member {
	r.t.Helper()
	all, err := processes("/proc")
	if err != nil {
		r.t.Fatal(err)
	}
	below := map[int]bool{r.outer.Process.Pid: true}
	for grown := true; grown; {
		grown = false
		for _, e := range all {
			if below[e.parent] && !below[e.pid] {
				below[e.pid], grown = true, true
			}
		}
	}
	var out []member
	for _, e := range all {
		if !below[e.pid] {
			continue
		}
		m := member{pid: e.pid, parent: e.parent, start: describe(e.pid).Start}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.pid))
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "NSpid:"); ok {
				m.depth = len(strings.Fields(v))
			}
		}
		for _, kind := range []string{"net", "mnt", "pid"} {
			if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", e.pid, kind)); err == nil {
				own, _ := os.Readlink("/proc/self/ns/" + kind)
				if link != own {
					m.spaces = append(m.spaces, link)
				}
			}
		}
		out = append(out, m)
	}
	return out
}

// find returns the one member that fits.
func find(t *testing.T, all []member, what string, fits func(member) bool) member {
	t.Helper()
	for _, m := range all {
		if fits(m) {
			return m
		}
	}
	t.Fatalf("no %s among %v", what, all)
	return member{}
}

// core returns the processes of a running lab that it has even without nodes.
func (r *rig) core() (init, conductor member, all []member) {
	r.t.Helper()
	all = r.members()
	init = find(r.t, all, "lab init", func(m member) bool { return m.parent == r.outer.Process.Pid })
	conductor = find(r.t, all, "conductor", func(m member) bool { return m.parent == init.pid && m.depth == init.depth })
	return init, conductor, all
}

// cast returns the processes of a running lab with nodes by their roles.
func (r *rig) cast() (init, conductor, nodeInit member, all []member) {
	r.t.Helper()
	init, conductor, all = r.core()
	nodeInit = find(r.t, all, "node init", func(m member) bool { return m.parent == init.pid && m.depth == init.depth+1 })
	return init, conductor, nodeInit, all
}

// mounts returns this process's mount table, without what tests of other packages mount in their own folders meanwhile.
func mounts(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var own strings.Builder
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) < 5 || !strings.HasPrefix(f[4], filepath.Join(os.TempDir(), "Test")) {
			own.WriteString(line)
		}
	}
	return own.String()
}

// hold opens the namespaces of processes that live, for as long as the test lasts. The kernel gives the number of one that is gone
// to the next at once, whosever it is, but not while it is open somewhere: who holds the number then holds the namespace.
func (r *rig) hold(all []member) {
	r.t.Helper()
	if r.held == nil {
		r.held = map[string]*os.File{}
	}
	for _, m := range all {
		for _, s := range m.spaces {
			if r.held[s] != nil {
				continue
			}
			kind, _, _ := strings.Cut(s, ":")
			f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", m.pid, kind))
			if err != nil {
				r.t.Fatal(err)
			}
			r.t.Cleanup(func() { f.Close() })
			if got, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); got != s {
				r.t.Fatalf("pid %d was in %s and is in %s, %v", m.pid, s, got, err)
			}
			r.held[s] = f
		}
	}
}

// assertGone fails unless everything of the lab vanishes within limit: its processes, its namespaces wherever they
// may be held open but by hold, its mounts, and its files outside the given folder.
func (r *rig) assertGone(all []member, mountsBefore string, limit time.Duration) {
	r.t.Helper()
	vanish(r.t, limit, "nothing of the lab is left", func() []string { return r.leftovers(all) })
	if got := mounts(r.t); got != mountsBefore {
		r.t.Errorf("mounts changed:\n%s\nwere:\n%s", got, mountsBefore)
	}
	if _, err := os.Lstat(labRun); err == nil {
		r.t.Errorf("%s is on the machine", labRun)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); n != "logs" && n != "notes" && n != "program" {
			r.t.Errorf("%s was left in the folder", n)
		}
	}
}

// leftovers lists the processes that live, and whoever holds one of their namespaces, which the rig must hold.
func (r *rig) leftovers(all []member) []string {
	r.t.Helper()
	spaces, ours := map[string]bool{}, map[string]bool{}
	for _, m := range all {
		for _, s := range m.spaces {
			if r.held[s] == nil {
				r.t.Fatalf("%s is not held: its number may be another's by now", s)
			}
			spaces[s] = true
			ours[fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), r.held[s].Fd())] = true
		}
	}
	if len(spaces) < 3 {
		r.t.Fatalf("there were only the namespaces %v: nothing could be proven", spaces)
	}
	var left []string
	living, err := processes("/proc")
	if err != nil {
		return []string{err.Error()}
	}
	// A zombie is dead: when the outer process died first, the machine's init reaps the rest when it likes.
	living = slices.DeleteFunc(living, func(e procEntry) bool { return e.zombie })
	for _, e := range living {
		p := describe(e.pid)
		if slices.ContainsFunc(all, func(m member) bool { return m.pid == p.PID && m.start == p.Start }) {
			left = append(left, fmt.Sprintf("pid %d: %s", p.PID, p.Command))
		}
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/ns/*", e.pid))
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", e.pid))
		for _, l := range append(links, fds...) {
			if to, err := os.Readlink(l); err == nil && spaces[to] && !ours[l] {
				left = append(left, fmt.Sprintf("%s of %q holds %s", l, p.Command, to))
			}
		}
	}
	return left
}

// shop is a lab of nodes a, b, c … that each run the test server on port 8080.
func shop(t *testing.T, u user, r *rig, names ...string) *Config {
	t.Helper()
	c := &Config{Name: "shop"}
	for _, n := range names {
		c.Nodes = append(c.Nodes, NodeConfig{Name: n, Processes: []ProcessConfig{serverProcess(r, 8080)}})
	}
	return c
}

// serverProcess runs the test server on the port.
func serverProcess(r *rig, port uint16) ProcessConfig {
	return ProcessConfig{
		Name:    "web",
		Command: []string{r.outer.Path},
		Env:     map[string]string{partVariable: "server", "LAB_TEST_PORT": strconv.Itoa(int(port))},
		Listen:  port,
	}
}
