package killmatrix

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/process"
)

// patience bounds every wait of the harness for itself, as opposed to the bounds that cells are held to.
const patience = 20 * time.Second

// stage is a conductor and its guard at work in a world, seen from the worker.
type stage struct {
	w         *world
	id        string
	conductor *exec.Cmd
	in        io.WriteCloser
	said      chan string // lines of the conductor; closed when it has ended
	reaped    chan struct{}
	pids      struct{ conductor, guard faults.Process }
	wire      []faults.Process // what is between the two: ssh, sshd, and a relay
	listener  net.Listener
	gate      net.Conn
	reached   chan faults.Checkpoint // closed when the guard has ended
	err       *tailBuffer
}

// perform starts a conductor that starts a guard, over a wire or without one, that injects the fault.
func (w *world) perform(kind string, wired bool) (*stage, error) {
	s := &stage{w: w, id: w.run + "-i1", said: make(chan string, 64), reaped: make(chan struct{}),
		reached: make(chan faults.Checkpoint, 64), err: &tailBuffer{}}
	path := filepath.Join(w.dir, "gate")
	var err error
	if s.listener, err = net.Listen("unix", path); err != nil {
		return nil, err
	}
	request, err := json.Marshal(guard.InjectRequest{ID: s.id, Run: w.run, Scenario: "matrix", Fault: "fault", Kind: kind,
		Config: json.RawMessage(w.config), Place: w.place, Lease: Lease, Deadline: time.Minute})
	if err != nil {
		return nil, err
	}
	s.conductor = as(roleConductor)
	s.conductor.Env = append(s.conductor.Env, requestVariable+"="+string(request), gateVariable+"="+path,
		ledgerVariable+"="+w.ledgerDir(), "TMPDIR="+w.temp())
	if wired {
		dir, err := w.layWire()
		if err != nil {
			return nil, err
		}
		s.conductor.Env = append(s.conductor.Env, wireVariable+"="+dir)
	}
	s.conductor.Stderr = s.err
	s.conductor.SysProcAttr = ownSession()
	if s.in, err = s.conductor.StdinPipe(); err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.conductor.Stdout = write
	err = s.conductor.Start()
	write.Close()
	if err != nil {
		return nil, err
	}
	go s.listen(read)
	go func() {
		_ = s.conductor.Wait()
		close(s.reaped)
	}()
	if err := s.meet(); err != nil || !wired {
		return s, err
	}
	return s, s.learnWire()
}

// listen hands on what the conductor says.
func (s *stage) listen(read *os.File) {
	defer close(s.said)
	defer read.Close()
	scan := bufio.NewScanner(read)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		s.said <- scan.Text()
	}
}

// meet waits for the guard at the gate, and learns who is who.
func (s *stage) meet() error {
	_ = s.listener.(*net.UnixListener).SetDeadline(time.Now().Add(patience))
	var err error
	if s.gate, err = s.listener.Accept(); err != nil {
		return fmt.Errorf("waiting for the guard: %w; it said: %s", err, s.err)
	}
	go func() {
		defer close(s.reached)
		scan := bufio.NewScanner(s.gate)
		for scan.Scan() {
			s.reached <- faults.Checkpoint(scan.Text())
		}
	}()
	word, rest, err := s.hear(patience)
	if err != nil || word != saidGuard {
		return fmt.Errorf("the conductor said %q: %w; %s", word, err, s.err)
	}
	pid, err := strconv.Atoi(rest)
	if err != nil {
		return err
	}
	if s.pids.guard, err = process.Identify(pid); err != nil {
		return err
	}
	s.pids.conductor, err = process.Identify(s.conductor.Process.Pid)
	return err
}

var errSilent = errors.New("nothing was said in time")

// hear returns the next thing that the conductor says. An empty word means that it has ended.
func (s *stage) hear(limit time.Duration) (word, rest string, err error) {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case line := <-s.said:
		word, rest, _ = strings.Cut(line, " ")
		var text string
		if json.Unmarshal([]byte(rest), &text) == nil {
			rest = text
		}
		return word, rest, nil
	case <-t.C:
		return "", "", errSilent
	}
}

func (s *stage) tell(order string) { _, _ = fmt.Fprintln(s.in, order) }

// goOn lets a guard that stands at a checkpoint go on.
func (s *stage) goOn() { _, _ = fmt.Fprintln(s.gate, "go") }

// ours are the processes that the snapshot leaves out while they may still run.
func (s *stage) ours() map[int]bool {
	ours := map[int]bool{s.pids.conductor.PID: true, s.pids.guard.PID: true}
	for _, p := range s.wire {
		ours[p.PID] = true
	}
	return ours
}

// ended reports whether neither conductor nor guard runs.
func (s *stage) ended() bool { return buried(s.pids.conductor) && buried(s.pids.guard) }

// close ends conductor and guard, whatever state they are in.
func (s *stage) close() {
	if s.conductor.Process != nil {
		_ = s.conductor.Process.Kill()
		<-s.reaped
	}
	for _, left := range append(s.wire, s.pids.guard) {
		if left.PID != 0 && process.Alive(left) {
			if p, err := os.FindProcess(left.PID); err == nil {
				_ = p.Kill()
			}
		}
	}
	s.in.Close()
	s.listener.Close()
	if s.gate != nil {
		s.gate.Close()
	}
}

// revert runs a fresh process that does what gameday revert does.
func (w *world) revert() ([]reverted, error) {
	cmd := as(roleRevert)
	cmd.Env = append(cmd.Env, ledgerVariable+"="+w.ledgerDir(), "TMPDIR="+w.temp())
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("reverting: %w", err)
	}
	var said []reverted
	return said, json.Unmarshal(out, &said)
}

// until asks every few milliseconds until ask says yes, and reports whether it did within the limit.
func until(limit time.Duration, ask func() bool) bool {
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		if ask() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// tailBuffer keeps what a process says on standard error, up to a limit.
type tailBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write keeps the beginning of what is said; a process that dies says why in few words.
func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text.Len() < 4<<10 {
		t.text.Write(p)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
