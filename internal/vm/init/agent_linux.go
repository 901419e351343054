package main

import (
	"bytes"
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
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/internal/vm/wire"
)

// lingering is how long a command's output is read on after its end, for children that keep it open.
const lingering = time.Second

// line is the serial line and what runs over it.
type line struct {
	port     *os.File
	writing  sync.Mutex
	commands sync.Map // uint32 → *command
}

// command is one running command.
type command struct {
	pid   int
	stdin *queue // nil without standard input
}

// agent runs the test's commands until the machine goes down.
func agent() error {
	port, err := openPort()
	if err != nil {
		return err
	}
	l := &line{port: port}
	if err := l.hello(); err != nil {
		return err
	}
	for {
		f, err := wire.Read(port)
		if err != nil {
			return err
		}
		if err := l.handle(f); err != nil {
			return err
		}
	}
}

// openPort opens the serial port by its name: nothing makes links of names here, as a full system does.
func openPort() (*os.File, error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return nil, err
	}
	for _, path := range names {
		if name, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(name)) == wire.Port {
			// Opened for blocking use: the poller does not get on with a port whose other end comes and goes.
			fd, err := unix.Open("/dev/"+filepath.Base(filepath.Dir(path)), unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("opening the port: %w", err)
			}
			return os.NewFile(uintptr(fd), wire.Port), nil
		}
	}
	return nil, fmt.Errorf("no serial port named %s", wire.Port)
}

// hello says what the first process left to be said.
func (l *line) hello() error {
	data, err := os.ReadFile(helloPath)
	if err != nil {
		return err
	}
	var h wire.Hello
	if err := json.Unmarshal(data, &h); err != nil {
		return err
	}
	if h.SSH {
		if err := awaitSSH(); err != nil {
			h.Faults = append(h.Faults, err.Error())
		}
	}
	if up, err := os.ReadFile("/proc/uptime"); err == nil {
		seconds, _, _ := strings.Cut(string(up), " ")
		h.Seconds, _ = strconv.ParseFloat(seconds, 64)
	}
	return l.sendJSON(wire.KindHello, 0, h)
}

// awaitSSH waits until sshd takes connections: only then is the machine up for those who come by that way.
func awaitSSH() error {
	var err error
	for range 200 {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", "127.0.0.1:22", time.Second); err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("sshd does not answer: %w", err)
}

func (l *line) send(f wire.Frame) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return wire.Write(l.port, f)
}

func (l *line) sendJSON(kind wire.Kind, id uint32, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.send(wire.Frame{Kind: kind, Command: id, Data: data})
}

// handle does what one frame asks. It never waits for a command, so that one cannot hold up another.
func (l *line) handle(f wire.Frame) error {
	if f.Kind == wire.KindStart {
		var s wire.Start
		if err := json.Unmarshal(f.Data, &s); err != nil {
			return err
		}
		if err := l.start(f.Command, s); err != nil {
			return l.sendJSON(wire.KindExit, f.Command, wire.Exit{Code: -1, Error: err.Error()})
		}
		return nil
	}
	c, ok := l.commands.Load(f.Command)
	if !ok {
		return nil // it has ended
	}
	switch cmd := c.(*command); f.Kind {
	case wire.KindStdin:
		cmd.stdin.put(f.Data)
	case wire.KindStdinEnd:
		cmd.stdin.end()
	case wire.KindKill:
		_ = unix.Kill(-cmd.pid, unix.SIGKILL)
	}
	return nil
}

// start starts a command in a session of its own and sees it to its end in the background.
func (l *line) start(id uint32, s wire.Start) error {
	if len(s.Args) == 0 {
		return errors.New("no command")
	}
	cmd := exec.Command(s.Args[0], s.Args[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	if cmd.Dir = s.Dir; cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdout = output{line: l, id: id, kind: wire.KindStdout}
	cmd.Stderr = output{line: l, id: id, kind: wire.KindStderr}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	cmd.WaitDelay = lingering
	running := &command{}
	if s.Stdin {
		running.stdin = newQueue()
		cmd.Stdin = running.stdin
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	running.pid = cmd.Process.Pid
	l.commands.Store(id, running)
	go func() {
		err := cmd.Wait()
		l.commands.Delete(id)
		_ = l.sendJSON(wire.KindExit, id, ending(cmd, err))
	}()
	return nil
}

// ending says how a command ended.
func ending(cmd *exec.Cmd, err error) wire.Exit {
	if cmd.ProcessState == nil {
		return wire.Exit{Code: -1, Error: err.Error()}
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return wire.Exit{Code: 128 + int(status.Signal())}
	}
	return wire.Exit{Code: cmd.ProcessState.ExitCode()}
}

// output sends what a command writes.
type output struct {
	line *line
	id   uint32
	kind wire.Kind
}

func (o output) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		n := min(len(p)-sent, wire.MaxData)
		if err := o.line.send(wire.Frame{Kind: o.kind, Command: o.id, Data: p[sent : sent+n]}); err != nil {
			return sent, err
		}
		sent += n
	}
	return len(p), nil
}

// queue holds a command's input until the command takes it, without a limit: a command that does not read must not
// hold up the line for the others.
type queue struct {
	mu    sync.Mutex
	more  sync.Cond
	data  bytes.Buffer
	ended bool
}

func newQueue() *queue {
	q := &queue{}
	q.more.L = &q.mu
	return q
}

func (q *queue) put(p []byte) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.data.Write(p)
	q.more.Signal()
}

func (q *queue) end() {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.more.Signal()
}

// Read gives what was put, and waits for it.
func (q *queue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.data.Len() == 0 && !q.ended {
		q.more.Wait()
	}
	if q.data.Len() == 0 {
		return 0, io.EOF
	}
	return q.data.Read(p)
}
