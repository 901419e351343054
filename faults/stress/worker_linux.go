package stress

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Limits of a worker's end.
const (
	leaseGrace = 500 * time.Millisecond // from the lease's end until the kernel kills a worker that did not end by itself
	endLimit   = 900 * time.Millisecond // for the work of ending: leaving a cgroup waits for the whole machine
)

// A program is still on its first thread here, by which it is named.
func init() {
	if os.Getenv(jobVariable) != "" && len(os.Args) > 1 {
		wearName(os.Args[1])
	}
}

// RunWorker does the work that this process was started for, and never returns. Descriptor 3 must be readable and 4
// writable.
func RunWorker() {
	text := os.Getenv(jobVariable)
	_ = os.Unsetenv(jobVariable)
	w := &working{timer: -1, reports: json.NewEncoder(os.NewFile(reportsFD, "reports"))}
	if err := json.Unmarshal([]byte(text), &w.job); err != nil {
		fmt.Fprintln(os.Stderr, "reading the work:", err)
		os.Exit(1)
	}
	for _, fd := range []int{ordersFD, reportsFD, networkFD} {
		syscall.CloseOnExec(fd)
	}
	if err := w.prepare(); err != nil {
		w.say(report{Step: stepOver, Why: err.Error()})
		w.end(1)
	}
	go w.obey()
	go w.hear()
	w.say(report{Step: stepReady})
	if err := w.work(); err != nil {
		w.say(report{Step: stepOver, Why: err.Error()})
	}
	w.end(0)
}

// wearName gives the process the short name by which it is found while it dies: that of its first thread. The file does so
// from any thread, but belongs to root where the program may not be traced, as one with capabilities of its own.
func wearName(token string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	name := []byte(shortName(token) + "\x00")
	if unix.Gettid() == unix.Getpid() {
		_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
		return
	}
	_ = os.WriteFile("/proc/self/comm", name[:len(name)-1], 0)
}

// working is a worker, seen from inside.
type working struct {
	job     job
	timer   int32 // the kernel's, -1 before it is made
	lapse   *time.Timer
	saying  sync.Mutex
	reports *json.Encoder
	ending  sync.Mutex // held for ever by whoever ends the process
	undo    func()     // of what does not end with the process
}

// prepare makes sure of the worker's end, and that the kernel, when it runs out of memory, takes it before any other.
func (w *working) prepare() error {
	if err := w.hold(w.job.Lease + leaseGrace); err != nil {
		return err
	}
	w.lapse = time.AfterFunc(w.job.Lease, func() {
		w.say(report{Step: stepOver, Why: "its lease ran out"})
		w.end(0)
	})
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if w.job.Limit != nil {
		w.undo = func() { _ = w.job.Limit.undo() }
	}
	if w.job.Group != "" {
		if err := enterGroup(w.job.Group); err != nil {
			return err
		}
	}
	return nil
}

// hold has the kernel kill this process after d, unless it is held again before. SIGKILL is not handled by anybody and
// ends a stopped process as well; the clock goes on while the machine sleeps.
func (w *working) hold(d time.Duration) error {
	if w.timer < 0 {
		event := struct {
			value          uint64
			signal, notify int32
			rest           [48]byte
		}{signal: int32(unix.SIGKILL)}
		_, _, e := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_BOOTTIME,
			uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&w.timer)))
		if e != 0 {
			w.timer = -1
			return fmt.Errorf("asking the kernel to end the load with its lease: %w", e)
		}
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(d), 1))}
	_, _, e := unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(w.timer), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if e != 0 {
		return fmt.Errorf("asking the kernel to end the load with its lease: %w", e)
	}
	return nil
}

// obey renews the lease for each line, and ends the worker when the guard is gone.
func (w *working) obey() {
	lines := bufio.NewScanner(os.NewFile(ordersFD, "orders"))
	for lines.Scan() {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil || n <= 0 {
			break
		}
		if w.hold(time.Duration(n)+leaseGrace) != nil {
			break
		}
		w.lapse.Reset(time.Duration(n))
	}
	w.end(0)
}

// hear ends the worker when somebody asks for that with a signal. It has a session of its own, so a terminal does not.
func (w *working) hear() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	w.say(report{Step: stepOver, Why: "the worker got " + (<-signals).String()})
	w.end(0)
}

// end undoes what does not end with the process, and exits.
func (w *working) end(code int) {
	w.ending.Lock()
	if w.timer >= 0 {
		_ = w.hold(endLimit)
	}
	if w.undo != nil {
		w.undo()
	}
	if w.job.Group != "" {
		leaveGroup(w.job.Group)
	}
	os.Exit(code)
}

func (w *working) say(r report) {
	w.saying.Lock()
	defer w.saying.Unlock()
	_ = w.reports.Encode(r) // a guard that is gone is noticed on the other pipe
}

// work carries the job out. It returns when the load must go.
func (w *working) work() error {
	switch j := w.job; {
	case j.CPU != nil:
		return j.CPU.run(w.say)
	case j.Memory != nil:
		return j.Memory.run(w.say)
	case j.Disk != nil:
		return j.Disk.run(w.say)
	case j.IO != nil:
		return j.IO.run(w.say)
	case j.Ports != nil:
		return j.Ports.run(w.say)
	case j.Probe != nil:
		return j.Probe.run(w.say)
	case j.Limit != nil:
		return j.Limit.run(w.say, &w.ending)
	}
	return errors.New("there is no work")
}

// stand keeps a load until check finds a reason to let go.
func stand(check func() error) error {
	for tick := time.NewTicker(checkEvery); ; <-tick.C {
		if err := check(); err != nil {
			return err
		}
	}
}

// enterGroup moves this process to a cgroup.
func enterGroup(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("entering the cgroup: %w", err)
	}
	return nil
}

// leaveGroup moves this process back to where it came from, the parent, and removes the cgroup. What cannot be removed
// is in the ledger.
func leaveGroup(dir string) {
	if !strings.HasPrefix(filepath.Base(dir), workerName+"-") {
		return
	}
	_ = enterGroup(filepath.Dir(dir))
	for range 20 { // the kernel may need a moment to see that it is empty
		if err := unix.Rmdir(dir); !errors.Is(err, unix.EBUSY) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
