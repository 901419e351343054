package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"gameday/internal/vm/wire"
)

// ErrDown is why a command failed whose machine went down under it: a reboot, a power cut, or the end of the test.
var ErrDown = errors.New("the machine went down")

// session is the serial line to a machine from one boot to its end.
type session struct {
	conn    net.Conn
	hello   wire.Hello
	writing sync.Mutex
	mu      sync.Mutex
	last    uint32
	running map[uint32]*call // nil once the line is down
	down    chan struct{}
}

// call is one command under way.
type call struct {
	stdout, stderr io.Writer
	exit           wire.Exit
	ended          chan struct{}
}

// openSession waits for the machine's hello.
func openSession(conn net.Conn) (*session, error) {
	s := &session{conn: conn, running: map[uint32]*call{}, down: make(chan struct{})}
	for {
		f, err := wire.Read(conn)
		if err != nil {
			return nil, err
		}
		if f.Kind != wire.KindHello {
			continue // of a command whose line was cut
		}
		if err := json.Unmarshal(f.Data, &s.hello); err != nil {
			return nil, fmt.Errorf("reading the machine's hello: %w", err)
		}
		return s, nil
	}
}

// serve hands on what commands write, until the line is down.
func (s *session) serve() {
	defer func() {
		s.conn.Close()
		s.mu.Lock()
		s.running = nil
		s.mu.Unlock()
		close(s.down)
	}()
	for {
		f, err := wire.Read(s.conn)
		if err != nil {
			return
		}
		s.mu.Lock()
		c := s.running[f.Command]
		if f.Kind == wire.KindExit {
			delete(s.running, f.Command)
		}
		s.mu.Unlock()
		switch {
		case f.Kind == wire.KindHello: // the agent was killed and came back: its commands are lost
			return
		case c == nil:
		case f.Kind == wire.KindStdout:
			_, _ = c.stdout.Write(f.Data)
		case f.Kind == wire.KindStderr:
			_, _ = c.stderr.Write(f.Data)
		case f.Kind == wire.KindExit:
			if err := json.Unmarshal(f.Data, &c.exit); err != nil {
				c.exit = wire.Exit{Code: -1, Error: err.Error()}
			}
			close(c.ended)
		}
	}
}

func (s *session) send(f wire.Frame) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return wire.Write(s.conn, f)
}

// begin starts a command in the machine.
func (s *session) begin(start wire.Start, stdout, stderr io.Writer) (uint32, *call, error) {
	data, err := json.Marshal(start)
	if err != nil {
		return 0, nil, err
	}
	c := &call{stdout: stdout, stderr: stderr, ended: make(chan struct{})}
	s.mu.Lock()
	if s.running == nil {
		s.mu.Unlock()
		return 0, nil, ErrDown
	}
	s.last++
	id := s.last
	s.running[id] = c
	s.mu.Unlock()
	return id, c, s.send(wire.Frame{Kind: wire.KindStart, Command: id, Data: data})
}

// feed sends a command's standard input, until either has ended. The command may hear of the end of its input once
// feed's result is kept.
func (s *session) feed(id uint32, c *call, in io.Reader) error {
	buffer := make([]byte, wire.MaxData)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			if err := s.send(wire.Frame{Kind: wire.KindStdin, Command: id, Data: buffer[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading what to send: %w", err)
		}
		select {
		case <-c.ended:
			return nil
		default:
		}
	}
}

// wait waits for a command's end. When ctx ends first, the command is killed.
func (s *session) wait(ctx context.Context, id uint32, c *call) (int, error) {
	select {
	case <-c.ended:
		if c.exit.Error != "" {
			return -1, errors.New(c.exit.Error)
		}
		return c.exit.Code, nil
	case <-s.down:
		return -1, ErrDown
	case <-ctx.Done():
	}
	_ = s.send(wire.Frame{Kind: wire.KindKill, Command: id})
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), killLimit)
	defer cancel()
	select {
	case <-c.ended:
	case <-s.down:
	case <-limit.Done():
	}
	return -1, context.Cause(ctx)
}
