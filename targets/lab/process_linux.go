package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults/output"
)

// process is a program that a node's first process keeps.
type process struct {
	plan processPlan
	host *host
	log  *logFile

	ready chan struct{} // closed when it is ready for the first time
	ended chan struct{} // closed when it has ended for good

	mu       sync.Mutex // guards what follows
	child    *child     // nil while it does not run
	state    processEvent
	wasReady bool // ready is closed
}

func newProcess(p processPlan, h *host, log *logFile) *process {
	return &process{plan: p, host: h, log: log, ready: make(chan struct{}), ended: make(chan struct{})}
}

// event returns the process's state.
func (p *process) event() processEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.state
	e.Name = p.plan.Name
	if p.child != nil {
		e.PID = p.child.pid
	}
	return e
}

// startAndWait starts the process, keeps it from then on, and returns when it is ready or will not be in time.
func (p *process) startAndWait() error {
	c, printed, err := p.start()
	if err != nil {
		p.log.note("%v", err)
		if !p.plan.Restart {
			close(p.ended)
			return err
		}
	}
	go p.keep(c, printed)
	if err != nil {
		return err
	}
	p.host.report(event{})
	if p.plan.Listen == 0 {
		return nil
	}
	limit := time.NewTimer(p.plan.ReadyWithin)
	defer limit.Stop()
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return p.unready(fmt.Sprintf("it ended (%s) before it listened on port %d", p.event().LastExit, p.plan.Listen))
	case <-limit.C:
		return p.unready(fmt.Sprintf("it does not listen on port %d after %s", p.plan.Listen, p.plan.ReadyWithin))
	}
}

// keep notes the ends of the process and starts it again as the plan says. c is nil when the first start failed.
func (p *process) keep(c *child, printed *output.Follower) {
	defer close(p.ended)
	for {
		if c != nil {
			p.finish(c, printed)
		}
		if !p.plan.Restart {
			return
		}
		select {
		case <-p.host.stop:
			return
		case <-time.After(p.plan.RestartDelay):
		}
		p.mu.Lock()
		p.state.Restarts++
		p.mu.Unlock()
		var err error
		if c, printed, err = p.start(); err != nil {
			p.log.note("%v", err)
		}
		p.host.report(event{})
	}
}

// finish waits for the process's end and notes it.
func (p *process) finish(c *child, printed *output.Follower) {
	<-c.done
	// What it left in its process group would hold its ports against its successor.
	_ = syscall.Kill(-c.pid, syscall.SIGKILL)
	printed.Settle(output.LastWords) // something that left the group may still have its output, and go on printing
	text := exitText(c.status)
	if p.plan.Restart {
		p.log.note("%s ended: %s; it starts again in %s", p.plan.Name, text, p.plan.RestartDelay)
	} else {
		p.log.note("%s ended: %s", p.plan.Name, text)
	}
	p.mu.Lock()
	p.child = nil
	p.state.LastExit = text
	p.state.Ready = false
	p.mu.Unlock()
	p.host.report(event{})
}

// start runs the program once. What it prints is followed into the log, which takes everything.
func (p *process) start() (c *child, printed *output.Follower, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("starting %s: %w", strings.Join(p.plan.Command, " "), err)
		}
	}()
	path, err := lookUp(p.plan.Command[0], p.plan.Path)
	if err != nil {
		return nil, nil, err
	}
	if info, err := os.Stat(p.plan.Dir); err != nil || !info.IsDir() {
		return nil, nil, fmt.Errorf("its working directory %s is not there", p.plan.Dir)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.host.stop:
		return nil, nil, errors.Join(errors.New("the node shuts down"), r.Close())
	default:
	}
	c, err = p.host.children.start(path, p.plan.Command, &syscall.ProcAttr{
		Dir:   p.plan.Dir,
		Env:   p.plan.Env,
		Files: []uintptr{null.Fd(), w.Fd(), w.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	p.child = c
	if p.plan.Listen == 0 {
		p.state.Ready = true
	} else {
		go p.watchReady(c)
	}
	p.log.note("%s started, pid %d on the node: %s", p.plan.Name, c.pid, strings.Join(p.plan.Command, " "))
	return c, output.Follow(r, p.log), nil
}

// watchReady reports when the running process c listens, however late.
func (p *process) watchReady(c *child) {
	const soon, late = 5 * time.Millisecond, 200 * time.Millisecond
	tick := time.NewTicker(soon)
	defer tick.Stop()
	for began := time.Now(); !listens(p.plan.Listen); {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if time.Since(began) > p.plan.ReadyWithin {
			tick.Reset(late)
		}
	}
	if p.markReady(c) {
		p.host.report(event{})
	}
}

// markReady notes that c, if it is still what runs, is ready.
func (p *process) markReady(c *child) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != c {
		return false
	}
	if !p.wasReady {
		p.wasReady = true
		close(p.ready)
	}
	p.state.Ready = true
	return true
}

// unready returns an error with the end of the log under it.
func (p *process) unready(text string) error {
	return fmt.Errorf("%s; the end of %s:\n%s", text, p.plan.Log, p.log.tail(10))
}

// terminate asks the process to end.
func (p *process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil {
		_ = p.child.signal(syscall.SIGTERM)
	}
}

// lookUp finds a program as a shell would: names without a slash along path.
func lookUp(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no program %q in PATH (%s); a relative path needs a slash, as in ./%s",
		name, path, name)
}
