package killmatrix

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"gameday/faults/process"
	"gameday/targets/lab/power"
)

// labNode is the node of the lab.
const labNode = "ledger"

// switchboard is a lab of one node that is one process. Like a real one it boots the node by itself when the time it
// should be off is over.
type switchboard struct {
	mu    sync.Mutex
	state power.State
	node  *exec.Cmd
	timer *time.Timer
}

// playLab serves the switchboard on the socket in its first argument.
func playLab() error {
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		return err
	}
	s := &switchboard{state: power.State{Name: labNode}}
	if err := s.boot(); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return playTarget()
}

// boot starts the node's process, unless it runs. The caller has the lock, or is the only one.
func (s *switchboard) boot() error {
	if s.state.On {
		return nil
	}
	cmd := as(roleTarget)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := awaitReady(out); err != nil {
		return err
	}
	init, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		return err
	}
	s.node, s.state.Init, s.state.On = cmd, init, true
	s.state.Boots++
	s.state.BootID = fmt.Sprintf("boot-%d-of-%d", s.state.Boots, os.Getpid())
	go func() {
		_ = cmd.Wait()
		in.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.node == cmd {
			s.state.On, s.node = false, nil
		}
	}()
	return nil
}

// off kills the node's process and waits for its end. The caller has the lock.
func (s *switchboard) off(down time.Duration) {
	if cmd := s.node; cmd != nil {
		_ = cmd.Process.Kill()
		s.mu.Unlock()
		for process.Alive(s.state.Init) {
			<-time.After(time.Millisecond)
		}
		s.mu.Lock()
		s.state.On, s.node = false, nil
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(down, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = s.boot()
	})
}

func (s *switchboard) serve(conn net.Conn) {
	defer conn.Close()
	var r power.Request
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &r) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer power.Response
	switch r.Do {
	case power.DoPowerOff:
		s.off(r.Down)
	case power.DoPowerOn:
		if err := s.boot(); err != nil {
			answer = power.Failed(err)
		}
	}
	answer.Nodes = []power.State{s.state}
	_ = json.NewEncoder(conn).Encode(answer)
}
