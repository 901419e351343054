package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cost is what a command and everything it started took.
type cost struct {
	cpu    time.Duration // user and system
	wall   time.Duration
	strays int // processes that their parents had not waited for; their time is in cpu too
	output string
	code   int
}

// strayPatience is how long a process may outlive the command that started it.
const strayPatience = 5 * time.Second

// measure runs a command to its end. The kernel hands the time of a process to the parent that waits for it, with that
// of all those which it has waited for itself; those that nobody waited for come to this process, and are added.
func (b *bench) measure(ctx context.Context, c *exec.Cmd) (cost, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.WaitDelay = strayPatience
	began := time.Now()
	if err := c.Start(); err != nil {
		return cost{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Signal(syscall.SIGTERM) })
	defer stop()
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return cost{}, err
	}
	k := cost{
		cpu:  c.ProcessState.UserTime() + c.ProcessState.SystemTime(),
		wall: time.Since(began), output: out.String(), code: c.ProcessState.ExitCode(),
	}
	err = b.adopt(&k)
	return k, errors.Join(err, context.Cause(ctx))
}

// adopt waits for the children of this process that it has not started itself, and adds their time.
func (b *bench) adopt(k *cost) error {
	limit := time.Now().Add(strayPatience)
	for {
		pids, err := childrenOf(os.Getpid())
		if err != nil {
			return err
		}
		left := 0
		for _, pid := range pids {
			if b.helpers[pid] {
				continue
			}
			left++
			if time.Now().After(limit) {
				_ = unix.Kill(pid, unix.SIGKILL) // it is a child that was not waited for: the pid is still its own
			}
			var r unix.Rusage
			got, err := unix.Wait4(pid, nil, unix.WNOHANG, &r)
			if err == nil && got == pid {
				k.cpu += time.Duration(r.Utime.Nano() + r.Stime.Nano())
				k.strays++
			}
		}
		if left == 0 {
			return nil
		}
		if time.Now().After(limit.Add(strayPatience)) {
			return fmt.Errorf("%d process(es) outlived the command and cannot be ended", left)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// childrenOf returns the children of all threads of a process.
func childrenOf(pid int) ([]int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	var out []int
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", f, err)
			}
			out = append(out, child)
		}
	}
	return out, nil
}

// peaks are the largest resident sizes seen, in bytes.
type peaks struct {
	generator, guard      uint64
	conductor             uint64 // while there was traffic
	conductorWithScoring  uint64 // to the end
	generatorSeen, ending bool
}

// watch reads the peaks of a process and of what it started until done. The kernel keeps a process's peak itself, so that
// reading now and then misses only what came in the last moment.
func watch(root int, done <-chan struct{}) peaks {
	var p peaks
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-done:
			return p
		case <-t.C:
		}
		p.look(root)
	}
}

func (p *peaks) look(root int) {
	sending := false
	children, _ := childrenOf(root)
	for _, pid := range children {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		switch {
		case len(args) < 2:
		case args[1] == "run":
			sending = true
			p.generator = max(p.generator, peakOf(pid))
		case args[1] == "guard":
			p.guard = max(p.guard, peakOf(pid))
		}
	}
	p.generatorSeen = p.generatorSeen || sending
	p.ending = p.generatorSeen && !sending
	own := peakOf(root)
	if !p.ending {
		p.conductor = max(p.conductor, own)
	}
	p.conductorWithScoring = max(p.conductorWithScoring, own)
}

// peakOf returns the largest resident size a process has had since it began to run its program.
func peakOf(pid int) uint64 { return statusOf(pid, "VmHWM:") }

// statusOf returns a size, in bytes, that the kernel tells of a process under a name such as "VmRSS:"; 0 of one that is gone.
func statusOf(pid int, name string) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
