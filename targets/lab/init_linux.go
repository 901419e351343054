package lab

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// guardLimit is how long lab init waits, after the conductor's end, for guards to undo what they hold.
const guardLimit = 5 * time.Second

// supervisor is lab init: the first process of the lab, which lives exactly as long as the lab should.
type supervisor struct {
	children *children
	nodes    *nodes
	stop     chan struct{} // closed when the lab must end although the conductor has not
	signals  chan syscall.Signal
}

// runInit builds the lab, runs the conductor in it, and returns the conductor's exit code. When it returns, the kernel
// kills everything that is left in the lab.
func runInit() (int, error) {
	grace, err := time.ParseDuration(os.Getenv(graceVariable))
	if err != nil {
		grace = DefaultGrace
	}
	s := &supervisor{children: newChildren(), stop: make(chan struct{}), signals: make(chan syscall.Signal, 64)}
	go s.watchLifeline(os.NewFile(lifelineFD, "lifeline"))
	go s.watchSignals()
	c, err := s.setUp()
	if err != nil {
		tell(status{Error: err.Error()})
		return 1, nil
	}
	s.supervise(c, grace)
	s.awaitGuards()
	code := exitCode(c.status)
	tell(status{Exit: code})
	return code, nil
}

// setUp builds the lab without nodes and starts the conductor.
func (s *supervisor) setUp() (*child, error) {
	if err := mountLab(); err != nil {
		return nil, err
	}
	network, err := newCoreNetwork()
	if err != nil {
		return nil, err
	}
	s.nodes = newNodes(s.children, network)
	if err := serve(controlPath, s.nodes); err != nil {
		return nil, err
	}
	// Our own arguments begin with a name for this role; what follows is the outer process's command line.
	c, err := s.children.start("/proc/self/exe", os.Args[1:], &syscall.ProcAttr{
		Env:   append(withoutRole(os.Environ()), roleVariable+"="+roleConductor),
		Files: []uintptr{0, 1, 2},
		// A group of its own: signals are for the conductor alone, and it decides what becomes of its children.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("starting the conductor: %w", err)
	}
	return c, nil
}

// supervise passes signals on until the conductor has ended, which it must within grace once the lab must end.
func (s *supervisor) supervise(c *child, grace time.Duration) {
	stop := s.stop
	var limit <-chan time.Time
	for {
		// An error of signal would mean that the conductor is not ours to signal, which cannot be helped from here.
		select {
		case <-c.done:
			return
		case sig := <-s.signals:
			_ = c.signal(sig)
		case <-stop:
			stop = nil
			limit = time.After(grace)
			_ = c.signal(abandoned)
		case <-limit:
			_ = c.signal(syscall.SIGKILL)
		}
	}
}

// watchLifeline reads the outer process's signals, and its death.
func (s *supervisor) watchLifeline(f *os.File) {
	b := make([]byte, 1)
	for {
		n, err := f.Read(b)
		if n == 1 {
			s.signals <- syscall.Signal(b[0])
		}
		if err != nil {
			if err != io.EOF {
				fmt.Fprintf(os.Stderr, "gameday: the lab ends: reading its lifeline: %v\n", err)
			}
			close(s.stop)
			return
		}
	}
}

// watchSignals ends the lab in order when somebody terminates lab init itself, and lets other signals pass: the outer
// process is whom they are for.
func (s *supervisor) watchSignals() {
	got := make(chan os.Signal, 16)
	// Caught rather than ignored, because ignoring would be inherited by everything we start.
	signal.Notify(got, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	for sig := range got {
		if sig == syscall.SIGTERM {
			s.signals <- syscall.SIGTERM
		}
	}
}

// awaitGuards waits, within limits, until no process is left in the lab but ourselves and the nodes: guards undo their
// faults when the conductor's death closes their pipes, and must not be killed at that.
func (s *supervisor) awaitGuards() {
	limit := time.NewTimer(guardLimit)
	defer limit.Stop()
	// Most ends wake us, because orphans are ours to reap. The ticks are for those whose parents live on.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.guardsLeft() {
		select {
		case <-s.children.reaped:
		case <-tick.C:
		case <-limit.C:
			return
		}
	}
}

// guardsLeft reports whether the lab's own PID namespace holds any process but this one. Those of nodes have a pid in a
// namespace below it.
func (s *supervisor) guardsLeft() bool {
	all, err := processes("/proc")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(e procEntry) bool {
		return e.pid != 1 && e.inner == 0 && !e.zombie
	})
}
