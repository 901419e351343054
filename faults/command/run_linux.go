package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/output"
)

// errRestarted says that a node's first process is not the one that it was.
var errRestarted = errors.New("the node's first process has changed: it was restarted since")

// run runs the command on its own goroutine, and closes begun when it has been started.
func (j job) run(ctx context.Context, begun chan<- struct{}) (result, error) {
	if err := ctx.Err(); err != nil {
		return result{}, j.wrap(err)
	}
	if err := j.enter(); err != nil {
		return result{}, j.wrap(err)
	}
	path, err := j.lookUp()
	if err != nil {
		return result{}, err
	}
	out, err := newOutputs()
	if err != nil {
		return result{}, j.wrap(err)
	}
	cmd := &exec.Cmd{Path: path, Args: j.argv, Dir: j.dir, Env: j.env, Stdout: out.write[0], Stderr: out.write[1],
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	began := time.Now()
	err = cmd.Start()
	out.started()
	if err != nil {
		return result{}, j.wrap(err)
	}
	close(begun)
	r := result{job: j}
	r.cut = await(ctx, cmd.Process.Pid, j.timeout)
	_ = cmd.Wait() // its state says more than its error
	r.took, r.code, r.how = time.Since(began), cmd.ProcessState.ExitCode(), cmd.ProcessState.String()
	r.stdout, r.stderr = out.end(j)
	return r, nil
}

// await waits until the leader of a process group has ended, and leaves it to be reaped, so that nobody else can get the
// group's number in the meantime. When ctx ends or the limit is over it kills the whole group and returns why: errTooLong when it
// was the limit.
func await(ctx context.Context, pid int, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	var mu sync.Mutex
	ended, killed := false, false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			killed = true
			_ = unix.Kill(-pid, unix.SIGKILL)
		}
	})
	defer stop()
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	ended = true
	if !killed {
		return nil
	}
	return context.Cause(ctx)
}

// spawn calls f on a goroutine that enter may be called on: its thread ends with it.
func (j job) spawn(f func()) {
	if j.init == nil {
		go f()
		return
	}
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread cannot end. It would stay in the node, keep it from vanishing, and be what /proc shows of this
		// process. While it is locked to us, the next goroutine gets another.
		next := make(chan struct{})
		j.spawn(func() {
			defer close(next)
			f()
		})
		<-next
		runtime.UnlockOSThread()
	}()
}

// enter makes the calling goroutine's thread one of the node, if the place is a node. It cannot be brought back: the
// goroutine must come from spawn.
func (j job) enter() error {
	if j.init == nil {
		return nil
	}
	fd, err := unix.PidfdOpen(j.init.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return errRestarted
	}
	if err != nil {
		return fmt.Errorf("entering the node: %w", err)
	}
	defer unix.Close(fd)
	// Compared after the pidfd was opened: it cannot refer to a later process with the same number then.
	if !alive(*j.init) {
		return errRestarted
	}
	// A thread that shares its root and working folder with others may not change its mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("entering the node: %w", err)
	}
	const all = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if err := unix.Setns(fd, all); err != nil {
		return fmt.Errorf("entering the node's namespaces: %w; the guard needs CAP_SYS_ADMIN and Linux 5.8", err)
	}
	return nil
}

// find looks for the program and the folder where the command is to run.
func (j job) find() error {
	result := make(chan error, 1)
	j.spawn(func() { result <- faults.Protect(j.findHere) })
	return <-result
}

func (j job) findHere() error {
	if err := j.enter(); err != nil {
		return j.wrap(err)
	}
	if info, err := os.Stat(j.dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is to run in %s, and that is no folder there; make it, or give another directory", j.name(), j.dir)
	}
	_, err := j.lookUp()
	return err
}

// lookUp finds the program as a shell would, with the command's own PATH and folder.
func (j job) lookUp() (string, error) {
	name := j.argv[0]
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, dir := range filepath.SplitList(j.path) {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, path := range candidates {
		if !filepath.IsAbs(path) {
			path = filepath.Join(j.dir, path)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	where := "in PATH (" + j.path + ")"
	if strings.Contains(name, "/") {
		where = "below " + j.dir
		if filepath.IsAbs(name) {
			where = "at " + name
		}
	}
	return "", fmt.Errorf("%s: there is no such program %s; install it where the guard stands, or give its path", j.name(), where)
}

// outputs are a command's standard output and error, of which the end is kept.
type outputs struct {
	read, write [2]*os.File
	tails       [2]tail
	followers   [2]*output.Follower
}

func newOutputs() (*outputs, error) {
	o := &outputs{}
	for i := range 2 {
		var err error
		if o.read[i], o.write[i], err = os.Pipe(); err != nil {
			for _, f := range append(o.read[:i], o.write[:i]...) {
				f.Close()
			}
			return nil, err
		}
	}
	return o, nil
}

// started closes our copies of the command's ends and begins to read.
func (o *outputs) started() {
	for i := range 2 {
		o.write[i].Close()
		o.followers[i] = output.Follow(o.read[i], &o.tails[i])
	}
}

// end returns what was said, without what must not be shown.
func (o *outputs) end(j job) (stdout, stderr string) {
	limit := time.Now().Add(output.LastWords)
	for _, f := range o.followers {
		f.Settle(time.Until(limit))
	}
	return j.hide(o.tails[0].read()), j.hide(o.tails[1].read())
}
