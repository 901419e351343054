package k6

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// killAfter is how long a child that was asked to end may take until it is killed.
const killAfter = 10 * time.Second

// process is a running child.
type process struct {
	cmd      *exec.Cmd
	events   *os.File      // lines from the child
	commands *os.File      // lines to it; closing it tells the child that we are gone
	exited   chan struct{} // closed when the child is gone
	err      error         // how it went; read after exited
}

// startChild runs k6 with the arguments, in a session of its own so that an interrupt at the terminal passes it by. The
// environment holds nothing of ours but where programs and temporary files are, and what the script is to see.
func (e *Engine) startChild(dir string, env map[string]string, log *boundedLog, args ...string) (*process, error) {
	self := e.Self
	if self == "" {
		path, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program to start it as a traffic generator: %w", err)
		}
		self = path
	}
	environment, err := childEnvironment(dir, env)
	if err != nil {
		return nil, err
	}
	eventsR, eventsW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting the traffic generator: %w", err)
	}
	commandsR, commandsW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the traffic generator: %w", err), eventsR.Close(), eventsW.Close())
	}
	cmd := exec.Command(self, args...)
	cmd.Env = environment
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{eventsW, commandsR}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = apart()
	p := &process{cmd: cmd, events: eventsR, commands: commandsW, exited: make(chan struct{})}
	begun := make(chan error)
	go p.live(begun)
	err = <-begun
	eventsW.Close()
	commandsR.Close()
	if err != nil {
		p.close()
		return nil, fmt.Errorf("starting the traffic generator %s: %w", self, err)
	}
	return p, nil
}

// live starts the child and waits for its end on one thread of its own: the kernel sends the death signal of a parent
// when the thread that started the child ends.
func (p *process) live(begun chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	begun <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
	close(p.exited)
}

// end asks the child to end, and kills it when it has not after a while. It returns when the child is gone.
func (p *process) end() {
	// An error means that it is gone already, which Wait tells us too.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(killAfter)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

func (p *process) close() {
	p.events.Close()
	p.commands.Close()
}

// died returns how the child came to its end, in words, or "" when it ended with success.
func (p *process) died() string {
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

// childEnvironment returns the whole environment of a child.
func childEnvironment(dir string, env map[string]string) ([]string, error) {
	config := filepath.Join(dir, "k6-config.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("preparing the traffic generator: %w", err)
	}
	script, err := json.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("preparing the traffic generator: %w", err)
	}
	out := []string{
		childVariable + "=1",
		scriptVariable + "=" + string(script),
		"K6_CONFIG=" + config, // else the user's own would be mixed in
		"K6_NO_USAGE_REPORT=true",
		"K6_AUTO_EXTENSION_RESOLUTION=false", // else an unknown import would replace this program by a download
		"NO_COLOR=1",
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out, nil
}

// tell sends one command.
func (p *process) tell(c command) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = p.commands.Write(append(line, '\n'))
	return err
}

// readEvents decodes the child's lines until their end, or done, and closes events. A line that was cut off by the
// death of the child is no error: how it died tells more.
func readEvents(from *os.File, events chan<- event, done <-chan struct{}) error {
	defer close(events)
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxEventBytes)
	for lines.Scan() {
		var e event
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
