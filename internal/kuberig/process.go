package kuberig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit  = 60 * time.Second // until a program answers
	freezeLimit = 5 * time.Second  // until all of its threads are stopped
	pollStep    = 20 * time.Millisecond
)

// process is a program that can be stopped, started again and frozen.
type process struct {
	name  string
	make  func() *exec.Cmd      // a new command for each start
	start func(*exec.Cmd) error // where it starts
	ready func() bool           // asked until it says yes
	dir   string                // of its log
	cmd   *exec.Cmd             // nil while it does not run
	ended chan struct{}
	ran   error // valid after ended
}

// up starts the program and returns when it is ready.
func (p *process) up(ctx context.Context) error {
	if p.cmd != nil {
		return fmt.Errorf("starting %s: it runs already", p.name)
	}
	out, err := os.OpenFile(p.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	defer out.Close()
	cmd := p.make()
	cmd.Dir, cmd.Stderr = p.dir, out
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = dieWithUs()
	}
	if err := p.start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		p.ran = cmd.Wait()
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err = poll(ctx, func() (bool, error) {
		select {
		case <-ended:
			return false, fmt.Errorf("it ended: %v", p.ran)
		default:
			return p.ready(), nil
		}
	})
	if err != nil {
		err = fmt.Errorf("starting %s: %w; its log ends with:\n%s", p.name, err, p.tail())
		p.kill()
		return err
	}
	return nil
}

// kill ends the program at once, as a crash does. It may be called when it does not run. Asked to end, some would take ten
// seconds, for the sake of connections and files that nobody wants any more.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.cmd = nil
}

// signal sends a signal to the program.
func (p *process) signal(s syscall.Signal) error {
	if p.cmd == nil {
		return fmt.Errorf("%s does not run", p.name)
	}
	return p.cmd.Process.Signal(s)
}

// freeze stops the program, and returns when none of its threads runs any more: until then it may still answer.
func (p *process) freeze() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	poll, limit := time.NewTicker(pollStep), time.After(freezeLimit)
	defer poll.Stop()
	for !stopped(p.cmd.Process.Pid) {
		select {
		case <-poll.C:
		case <-limit:
			return fmt.Errorf("%s was told to stop, and goes on after %s", p.name, freezeLimit)
		}
	}
	return nil
}

// stopped reports whether every thread of a process is stopped.
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		_, state, ok := strings.Cut(string(stat), ") ")
		if err != nil || !ok || !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

func (p *process) logPath() string { return filepath.Join(p.dir, p.name+".log") }

// tail returns the end of the program's log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.logPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// poll asks until done, an error, or the end of ctx.
func poll(ctx context.Context, ask func() (done bool, err error)) error {
	tick := time.NewTicker(pollStep)
	defer tick.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
