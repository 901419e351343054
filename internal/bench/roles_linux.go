package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"gameday/internal/bound"
)

// roleVariable makes this program a process that a measurement needs. Each ends when its standard input does, so that
// none is left when the bench is killed.
const roleVariable = "GAMEDAY_BENCH_ROLE"

// The roles.
const (
	roleServer     = "server"     // answers HTTP; prints its address
	roleSlow       = "slow"       // answers HTTP with a latency that is known; prints its address
	roleSupervisor = "supervisor" // keeps victims running; prints a line when all run
	roleVictim     = "victim"     // does nothing until it is killed
	roleRequests   = "requests"   // sends requests by the native engine; prints what was counted
	roleHub        = "hub"        // makes nodes in its network namespace, cuts and heals them; prints the figures
	roleCrowd      = "crowd"      // opens the room of a run, and looks on or floods it; writes the figures to a file
)

// maxRestarts bounds what a supervisor starts.
const maxRestarts = 10_000

func play(role string) error {
	switch role {
	case roleServer:
		return serve()
	case roleSupervisor:
		return supervise()
	case roleHub:
		return runHub()
	case roleSlow:
		return serveSlowly()
	case roleRequests:
		return sendRequests()
	case roleCrowd:
		return beAtARoom()
	case roleVictim:
		fmt.Println("here")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return errors.New("no such role")
}

// serve answers every request with two bytes.
func serve() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.Close()
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// supervise keeps as many victims running as its last argument says, starting each again as soon as it is gone.
func supervise() error {
	n, err := strconv.Atoi(os.Args[len(os.Args)-1])
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	var running, begun sync.WaitGroup
	failed := make(chan error, n)
	for i := range n {
		begun.Add(1)
		running.Go(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			for range maxRestarts {
				if err := victim(ctx, i, first); err != nil || ctx.Err() != nil {
					failed <- err
					return
				}
			}
		})
	}
	begun.Wait()
	fmt.Println("here")
	running.Wait()
	return <-failed
}

// victim runs one victim until it is gone. here is called once it runs.
func victim(ctx context.Context, i int, here func()) error {
	c := exec.CommandContext(ctx, os.Args[0], victimName(i))
	c.Env = []string{roleVariable + "=" + roleVictim}
	if _, err := c.StdinPipe(); err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := bound.Start(c, syscall.SIGKILL); err != nil {
		return err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err == nil {
		here()
	}
	_ = c.Wait() // it was killed, as it should be
	return nil
}

// victimName is the argument by which a target finds a victim.
func victimName(i int) string { return fmt.Sprintf("gameday-bench-victim-%03d", i) }

// helper is a process that plays a role.
type helper struct {
	cmd   *exec.Cmd
	input io.Closer
	said  string // the first line it printed
	forgo func()
}

// start starts this program in a role and waits for its first line.
func (b *bench) start(role string, args ...string) (*helper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.begin(role, exec.Command(self, args...))
}

// startOn starts a process in a role on one processor.
func (b *bench) startOn(processor, role string) (*helper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.begin(role, exec.Command("taskset", "-c", processor, self))
}

func (b *bench) begin(role string, c *exec.Cmd) (*helper, error) {
	c.Env = append(plainEnvironment(), roleVariable+"="+role)
	c.Stderr = os.Stderr
	input, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", role, err)
	}
	b.helpers[c.Process.Pid] = true
	h := &helper{cmd: c, input: input, forgo: func() { delete(b.helpers, c.Process.Pid) }}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the %s: %w", role, err), h.stop())
	}
	h.said = strings.TrimSpace(line)
	return h, nil
}

// stop ends the process and waits for it.
func (h *helper) stop() error {
	h.input.Close()
	timer := time.AfterFunc(5*time.Second, func() { _ = h.cmd.Process.Kill() })
	defer timer.Stop()
	err := h.cmd.Wait()
	h.forgo()
	return err
}
