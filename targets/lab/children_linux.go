package lab

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// children starts processes and reaps all that end, its own and those left to it as PID 1. os/exec cannot do this: its
// Wait and a loop that waits for any child would take each other's results.
type children struct {
	// mu is held while a process is started and entered below, and while ended ones are reaped. So an exit always finds
	// its child, and a pid under mu is never one that was given away again.
	mu     sync.Mutex
	living map[int]*child
	reaped chan struct{} // gets a value, if there is room, after each round of reaping
}

// child is one process that was started. status is set before done is closed.
type child struct {
	pid    int
	done   chan struct{}
	status syscall.WaitStatus
	all    *children
}

// newChildren begins to reap. Only one may exist in a process, for good.
func newChildren() *children {
	c := &children{living: map[int]*child{}, reaped: make(chan struct{}, 1)}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			c.reap()
		}
	}()
	return c
}

// start runs a program. The files in attr must stay open until start returns.
func (c *children) start(path string, argv []string, attr *syscall.ProcAttr) (*child, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return nil, err
	}
	ch := &child{pid: pid, done: make(chan struct{}), all: c}
	c.living[pid] = ch
	return ch, nil
}

// reap takes the status of every child that has ended.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		if ch := c.living[pid]; ch != nil {
			delete(c.living, pid)
			ch.status = ws
			close(ch.done)
		}
	}
	select {
	case c.reaped <- struct{}{}:
	default:
	}
}

// signal sends a signal to the process. A process that has ended is
// no error.
func (ch *child) signal(sig syscall.Signal) error {
	ch.all.mu.Lock()
	defer ch.all.mu.Unlock()
	if ch.all.living[ch.pid] != ch {
		return nil
	}
	if err := syscall.Kill(ch.pid, sig); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("sending signal %d to pid %d: %w", int(sig), ch.pid, err)
	}
	return nil
}

// exitCode returns the status the way shells do: a signal counts as 128 plus its number.
func exitCode(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// exitText puts the status in words.
func exitText(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "signal: " + ws.Signal().String()
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}
