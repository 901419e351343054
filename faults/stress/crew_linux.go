package stress

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tellLimit is how long a worker that does not read may keep the guard waiting. It has room for a thousand renewals.
const tellLimit = 200 * time.Millisecond

// worker is a running worker, seen from the guard.
type worker struct {
	cmd     *exec.Cmd
	orders  *os.File // leases to it; closing it tells the worker that we are gone
	stderr  tail
	exited  chan struct{} // closed when it is gone and all its reports are read
	err     error         // how it went; read after exited
	mu      sync.Mutex
	last    report
	changed chan struct{} // closed at the next report
}

// startWorker starts this program again as a worker for the injection with the token. Extra files follow the two pipes.
// It returns when the worker holds its lease.
func startWorker(ctx context.Context, token string, j job, extra ...*os.File) (*worker, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	ordersR, ordersW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	reportsR, reportsW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a worker: %w", err), ordersR.Close(), ordersW.Close())
	}
	w := &worker{orders: ordersW, exited: make(chan struct{}), changed: make(chan struct{})}
	// Through /proc it is this very program, although its file may be gone or replaced.
	w.cmd = exec.Command("/proc/self/exe")
	w.cmd.Args = []string{workerName, token}
	w.cmd.Env = []string{jobVariable + "=" + string(text), "GORACE=atexit_sleep_ms=0"}
	w.cmd.ExtraFiles = append([]*os.File{ordersR, reportsW}, extra...)
	w.cmd.Dir = "/"
	w.cmd.Stderr = &w.stderr
	w.cmd.WaitDelay = time.Second
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if j.Group != "" || j.Limit != nil {
		// It has something to clear away, and sees the end of our pipe. A stopped one must be woken for that.
		w.cmd.SysProcAttr.Pdeathsig = syscall.SIGCONT
	}
	begun := make(chan error)
	go w.live(begun, reportsR)
	err = <-begun
	ordersR.Close()
	reportsW.Close()
	if err != nil {
		ordersW.Close()
		reportsR.Close()
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if _, err := w.await(ctx, stepReady); err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

// live starts the worker and waits for its end on one thread of its own: the kernel sends the death signal of a parent
// when the thread that started the worker ends.
func (w *worker) live(begun chan<- error, reports *os.File) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := w.cmd.Start()
	begun <- err
	if err != nil {
		return
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for d := json.NewDecoder(reports); ; {
			var r report
			if d.Decode(&r) != nil {
				return
			}
			w.note(r)
		}
	}()
	w.err = w.cmd.Wait()
	<-heard
	reports.Close()
	w.orders.Close()
	close(w.exited)
}

func (w *worker) note(r report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = r
	close(w.changed)
	w.changed = make(chan struct{})
}

// now returns the last report, and a channel that is closed at the next.
func (w *worker) now() (report, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.changed
}

// await waits for the worker to come to a step or further. When it ends before, the error says why.
func (w *worker) await(ctx context.Context, step string) (report, error) {
	for {
		r, changed := w.now()
		if r.Step == step || r.Step == stepStanding {
			return r, nil
		}
		select {
		case <-changed:
		case <-w.exited:
			if r, _ := w.now(); r.Step == step {
				return r, nil
			}
			return r, w.why()
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// gone reports whether the worker has ended.
func (w *worker) gone() bool {
	select {
	case <-w.exited:
		return true
	default:
		return false
	}
}

// why says why a worker that is gone ended.
func (w *worker) why() error {
	if r, _ := w.now(); r.Step == stepOver {
		return &letGoError{r.Why}
	}
	var exit *exec.ExitError
	if errors.As(w.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return &letGoError{fmt.Sprintf("its worker was killed by signal %d (%s), as the kernel does when the lease "+
				"or the memory runs out", int(status.Signal()), status.Signal())}
		}
	}
	text := "its worker ended"
	if w.err != nil {
		text += ": " + w.err.Error()
	}
	if said := w.stderr.String(); said != "" {
		text += ": " + said
	}
	return &letGoError{text}
}

// renew lets the worker live for another lease.
func (w *worker) renew(lease time.Duration) error {
	if w.gone() {
		return w.why()
	}
	_ = w.orders.SetWriteDeadline(time.Now().Add(tellLimit))
	_, err := w.orders.WriteString(strconv.FormatInt(int64(max(lease, 1)), 10) + "\n")
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("worker %d does not take its renewals; the kernel ends it with its lease", w.cmd.Process.Pid)
	}
	// The pipe is closed: the worker is ending.
	t := time.NewTimer(leaseGrace + endLimit)
	defer t.Stop()
	select {
	case <-w.exited:
		return w.why()
	case <-t.C:
		return fmt.Errorf("renewing worker %d: %w", w.cmd.Process.Pid, err)
	}
}

// end kills the worker and waits until it is gone.
func (w *worker) end() {
	_ = w.cmd.Process.Kill() // an error means that it is gone
	<-w.exited
}

// tail keeps the beginning of what a worker that panics says.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps the first two thousand bytes.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(p[:min(len(p), max(0, 2000-t.text.Len()))])
	return len(p), nil
}

// String returns the first lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.text.String())
}

// errNoHook says that starting ourselves again would start the whole program.
var errNoHook = errors.New("this program cannot hold loads: its main (in tests: TestMain) does not ask stress.IsWorker first")

// anyGone waits for the first of the workers to end.
func anyGone(ctx context.Context, crew []*worker) error {
	if len(crew) == 0 {
		return nil
	}
	first := make(chan *worker, len(crew))
	for _, w := range crew {
		go func() {
			select {
			case <-w.exited:
				first <- w
			case <-ctx.Done():
			}
		}()
	}
	select {
	case w := <-first:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return w.why()
	case <-ctx.Done():
		return ctx.Err()
	}
}
