package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// parent is a process that always has a little to do, and obeys its input until that ends:
//
//	fork        start another parent as a child, and say its pid
//	down LINE   hand LINE to the first child
//	ping        say pong
//
// It says "continued" whenever it gets SIGCONT.
func parent() {
	continued := make(chan os.Signal, 8)
	signal.Notify(continued, syscall.SIGCONT)
	work := time.NewTicker(2 * time.Millisecond)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			lines <- s.Text()
		}
	}()
	fmt.Println("ready")
	var first io.Writer
	for {
		select {
		case <-continued:
			fmt.Println("continued")
		case <-work.C:
			for end := time.Now().Add(200 * time.Microsecond); time.Now().Before(end); {
			}
		case line, more := <-lines:
			word, rest, _ := strings.Cut(line, " ")
			switch {
			case !more:
				return
			case word == "fork":
				cmd := exec.Command("/proc/self/exe")
				cmd.Stdout = os.Stdout
				in, err := cmd.StdinPipe()
				if err == nil {
					err = cmd.Start()
				}
				if err != nil {
					fmt.Println(err)
					return
				}
				if first == nil {
					first = in
				}
				go cmd.Wait()
				fmt.Println(cmd.Process.Pid)
			case word == "down":
				fmt.Fprintln(first, rest)
			case word == "ping":
				fmt.Println("pong")
			}
		}
	}
}

// patient is a parent that a test talks to.
type patient struct {
	faults.Process
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
	all []int // every pid that was ever told of
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"=parent")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &patient{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out), all: []int{cmd.Process.Pid}}
	t.Cleanup(func() {
		// Only those that are still in the family are ours to end: a child's pid may be another's by now.
		if all, err := grow([]faults.Process{p.Process}); err == nil {
			for _, q := range slices.Backward(all) {
				if slices.Contains(p.all, q.PID) {
					_ = syscall.Kill(q.PID, syscall.SIGKILL)
				}
			}
		}
		_ = cmd.Process.Kill()
		in.Close()
		_ = cmd.Wait()
	})
	p.hears("ready")
	if p.Process, err = Identify(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return p
}

// says returns the next line of the patient or one of its descendants.
func (p *patient) says() string {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("the patient says nothing any more: %v", p.out.Err())
	}
	return p.out.Text()
}

func (p *patient) hears(want string) {
	p.t.Helper()
	if got := p.says(); got != want {
		p.t.Fatalf("the patient said %q, not %q", got, want)
	}
}

func (p *patient) tell(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
}

// forks lets the patient, or with a prefix of "down " a descendant, have a child, and returns that.
func (p *patient) forks(prefix string) faults.Process {
	p.t.Helper()
	p.tell(prefix + "fork")
	var words []string
	for range 2 { // the child's first word and its parent's come in either order
		words = append(words, p.says())
	}
	slices.Sort(words) // digits before letters
	pid, err := strconv.Atoi(words[0])
	if err != nil || words[1] != "ready" {
		p.t.Fatalf("forking: %q", words)
	}
	p.all = append(p.all, pid)
	child, err := Identify(pid)
	if err != nil {
		p.t.Fatal(err)
	}
	return child
}

// state reads the kernel's word for a process: R, S, D, T, t, Z, or "gone".
func state(t *testing.T, p faults.Process) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return "gone"
	}
	return statusField(data, "State")[:1]
}

// cpu reads how long a process has run, in nanoseconds, over all its threads.
func cpu(t *testing.T, p faults.Process) uint64 {
	t.Helper()
	var sum uint64
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		var ran uint64
		fmt.Sscan(string(data), &ran)
		sum += ran
	}
	return sum
}

// runs waits until a process has spent time on a processor that it had not spent before.
func runs(t *testing.T, p faults.Process) {
	t.Helper()
	before := cpu(t, p)
	for range 500 {
		if cpu(t, p) != before {
			return
		}
		wait(t, 10*time.Millisecond)
	}
	t.Errorf("pid %d does not run: state %s", p.PID, state(t, p))
}

// rests checks that a process, which always has something to do, spends no time on a processor for a while.
func rests(t *testing.T, all ...faults.Process) {
	t.Helper()
	before := make([]uint64, len(all))
	for i, p := range all {
		before[i] = cpu(t, p)
	}
	wait(t, 50*time.Millisecond)
	for i, p := range all {
		if now := cpu(t, p); now != before[i] || now == 0 {
			t.Errorf("pid %d ran for %d ns although it is paused", p.PID, now-before[i])
		}
	}
}

func wait(t *testing.T, d time.Duration) {
	t.Helper()
	if !sleep(t.Context(), d) {
		t.Fatal(t.Context().Err())
	}
}

// until waits for a condition, also where the test's context is over: when it is cleaned up after.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if done() {
			return
		}
		<-tick.C
	}
	t.Fatalf("it never came that %s", what)
}

func cgroups(t *testing.T, p faults.Process) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// testCgroups counts the cgroups that tests made, to name them.
var testCgroups atomic.Int32

// freezer makes a cgroup of the test's own, below the one that the test is in, in the hierarchy of a version; or it skips. The
// test need not remove it.
func freezer(t *testing.T, version int) (hierarchy, string) {
	t.Helper()
	all, err := freezers()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		if h.version != version {
			continue
		}
		here, err := h.folderOf(os.Getpid())
		if err != nil {
			continue
		}
		folder := filepath.Join(here, fmt.Sprintf("gameday-test-%d-%d", os.Getpid(), testCgroups.Add(1)))
		if err := os.Mkdir(folder, 0o755); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("no cgroup can be made below %s: %v", here, err)
			}
			t.Skipf("no cgroup can be made below %s: %v", here, err)
		}
		t.Cleanup(func() {
			until(t, "the test's cgroup is empty", func() bool {
				err := os.Remove(folder)
				return err == nil || os.IsNotExist(err)
			})
		})
		return h, folder
	}
	// A machine has one of the two; those with both are rare, and so are those with neither.
	if len(all) == 0 && os.Getenv("CI") != "" {
		t.Fatal("no cgroup hierarchy with a freezer is mounted")
	}
	t.Skipf("no cgroup v%d hierarchy with a freezer is mounted", version)
	return hierarchy{}, ""
}

// moveTo puts a process into a cgroup.
func moveTo(t *testing.T, folder string, p faults.Process) {
	t.Helper()
	if err := writeTo(filepath.Join(folder, "cgroup.procs"), strconv.Itoa(p.PID)); err != nil {
		t.Fatal(err)
	}
}

// treatment is one pause of a patient with its ledger entry.
type treatment struct {
	t         *testing.T
	injection faults.Injection
	entry     faults.Entry
	ctx       context.Context // carries the owner, and writes what is amended to the entry
	reach     func(faults.Checkpoint)
}

// prescribe binds a pause and writes the entry; only limits the freezers that may be used.
func prescribe(t *testing.T, p Pause, to faults.Process, only ...hierarchy) (*treatment, error) {
	t.Helper()
	i, err := p.Bind(faults.Place{Name: "payments", Process: &to})
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := i.(*freezing); ok && len(only) > 0 {
		f.hierarchies = func() ([]hierarchy, error) { return only, nil }
	}
	x := &treatment{t: t, injection: i, reach: func(faults.Checkpoint) {},
		entry: faults.Entry{ID: "run-" + strconv.Itoa(to.PID) + "-1", Run: "run", Kind: "process_pause"}}
	ctx := faults.WithOwner(t.Context(), faults.Owner{Run: "run", Injection: x.entry.ID})
	ctx = faults.WithReach(ctx, func(at faults.Checkpoint) { x.reach(at) })
	x.ctx = faults.WithAmend(ctx, func(undo json.RawMessage) error {
		x.entry.Undo = undo
		return nil
	})
	if c, ok := i.(faults.Checker); ok {
		if err := c.Check(x.ctx); err != nil {
			return x, err
		}
	}
	x.entry.Undo, err = i.Undo(x.ctx)
	return x, err
}

// listed returns the processes that the ledger names.
func (x *treatment) listed() []faults.Process {
	x.t.Helper()
	var u pauseUndo
	if err := json.Unmarshal(x.entry.Undo, &u); err != nil {
		x.t.Fatal(err)
	}
	return u.Processes
}

func (x *treatment) inject() {
	x.t.Helper()
	if err := x.injection.Inject(x.ctx, 0); err != nil {
		x.t.Fatal(err)
	}
}

func (x *treatment) proven() faults.Effect {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, 10*time.Second)
	defer cancel()
	e, err := x.injection.Effect(ctx)
	if err != nil || !e.Proven {
		x.t.Fatalf("effect %+v, %v", e, err)
	}
	return e
}

// revert reverts twice, as a fresh process would: from what JSON keeps of the entry.
func (x *treatment) revert() {
	x.t.Helper()
	raw, err := json.Marshal(x.entry)
	if err != nil {
		x.t.Fatal(err)
	}
	for range 2 {
		var e faults.Entry
		if err := json.Unmarshal(raw, &e); err != nil {
			x.t.Fatal(err)
		}
		if err := faults.RevertEntry(x.ctx, []faults.Kind{PauseKind()}, e); err != nil {
			x.t.Fatal(err)
		}
	}
}

// seize lets another thread of this process trace p until release is called.
func seize(t *testing.T, p faults.Process) (release func()) {
	t.Helper()
	done, seized, released := make(chan struct{}), make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // only the thread that traces may let go
		defer runtime.UnlockOSThread()
		seized <- unix.PtraceSeize(p.PID)
		<-done
		err := unix.PtraceInterrupt(p.PID)
		if err == nil {
			_, err = unix.Wait4(p.PID, nil, unix.WALL, nil)
		}
		released <- errors.Join(err, unix.PtraceDetach(p.PID))
	}()
	if err := <-seized; err != nil {
		close(done)
		if os.Getenv("CI") != "" {
			t.Fatalf("tracing a child is not allowed here: %v", err)
		}
		t.Skipf("tracing a child is not allowed here: %v", err)
	}
	return func() {
		t.Helper()
		close(done)
		if err := <-released; err != nil {
			t.Fatal(err)
		}
	}
}
