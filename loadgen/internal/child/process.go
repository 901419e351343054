package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// KillAfter is how long a child that was asked to end may take until it is killed.
const KillAfter = 10 * time.Second

// Process is a running child.
type Process struct {
	cmd      *exec.Cmd
	events   *os.File      // lines from the child
	commands *os.File      // lines to it; closing it tells the child that we are gone
	Exited   chan struct{} // closed when the child is gone
	err      error         // how it went; read after Exited
}

// Start is how a generator is to be started.
type Start struct {
	Self   string // the program; empty is this one
	Engine string // as Role tells it
	Args   []string
	// Env is what it sees beside where programs and temporary files are: nothing else of our environment.
	Env   []string
	Input io.Reader // its standard input; may be nil
	Log   *Log      // what it prints
	// Memory is how many bytes it may hold, as Bound has it; 0 is any number.
	Memory uint64
}

// Run starts the generator, in a session of its own, so that an interrupt at the terminal passes it by.
func (s Start) Run() (*Process, error) {
	self := s.Self
	if self == "" {
		path, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program to start it as a traffic generator: %w", err)
		}
		self = path
	}
	eventsR, eventsW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting the traffic generator: %w", err)
	}
	commandsR, commandsW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the traffic generator: %w", err), eventsR.Close(), eventsW.Close())
	}
	cmd := exec.Command(self, s.Args...)
	cmd.Env = environment(s.Engine, append(s.Env, memoryVariable+"="+strconv.FormatUint(s.Memory, 10)))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Input, s.Log, s.Log
	cmd.ExtraFiles = []*os.File{eventsW, commandsR}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = apart()
	p := &Process{cmd: cmd, events: eventsR, commands: commandsW, Exited: make(chan struct{})}
	begun := make(chan error)
	go p.live(begun)
	err = <-begun
	eventsW.Close()
	commandsR.Close()
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("starting the traffic generator %s: %w", self, err)
	}
	go p.pulse()
	return p, nil
}

// live starts the child and waits for its end on one thread of its own: the kernel sends the death signal of a parent
// when the thread that started the child ends.
func (p *Process) live(begun chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	begun <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
	close(p.Exited)
}

// End asks the child to end, and kills it when it has not after a while. It returns when the child is gone.
func (p *Process) End() {
	// An error means that it is gone already, which Wait tells us too.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(KillAfter)
	defer timer.Stop()
	select {
	case <-p.Exited:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.Exited
	}
}

// Close lets go of the pipes, which tells a child that still runs that we are gone.
func (p *Process) Close() {
	p.events.Close()
	p.commands.Close()
}

// Died returns how the child came to its end, in words, or "" when it ended with success.
func (p *Process) Died() string {
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		if p.err != nil && !errors.Is(p.err, exec.ErrWaitDelay) {
			return p.err.Error()
		}
		return ""
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return fmt.Sprintf("it ended with exit code %d", exit.ExitCode())
	}
	text := fmt.Sprintf("it was killed by signal %d (%s)", int(status.Signal()), status.Signal())
	if status.Signal() == syscall.SIGKILL {
		text += ", as the kernel does when memory runs out"
	}
	return text
}

// environment returns the whole environment of a child.
func environment(engine string, env []string) []string {
	out := append([]string{variable + "=" + engine, "NO_COLOR=1"}, env...)
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// Tell sends one command.
func (p *Process) Tell(c Command) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = p.commands.Write(append(line, '\n'))
	return err
}

// readEvents decodes the child's lines until their end, or done, and closes events. A line that was cut off by the
// death of the child is no error: how it died tells more.
func readEvents(from *os.File, events chan<- Event, done <-chan struct{}) error {
	defer close(events)
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxEventBytes)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			if !lines.Scan() {
				return nil
			}
			return fmt.Errorf("reading the generator's events: %w", err)
		}
		select {
		case events <- e:
		case <-done:
			return nil
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("reading the generator's events: %w", err)
	}
	return nil
}
