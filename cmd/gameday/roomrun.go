package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Limits of the room that a run opens.
const (
	roomOpens = 5 * time.Second // for the room to say where it is
	roomSees  = time.Second     // what the end of a run takes to come to the pages
	roomEnds  = 8 * time.Second // for the room to end when it is told to, also when its disk answers no more and somebody does not read
)

// checkRoom refuses a place where a run's room cannot be opened.
func checkRoom(listen string) error {
	if listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return usage("--room: %w; it is as in 127.0.0.1:8470", err)
	}
	if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.Unmap().IsLoopback()) {
		return usage("--room %q: others than this machine reach it there; say --room 127.0.0.1:8470 and ssh -L, or open it by `gameday room`, which speaks TLS", listen)
	}
	return nil
}

// openRoom opens the room of a run that is about to begin, in a process of its own: whatever becomes of it, the run goes on. It returns when
// the room has said where it is, for the run's own screen is drawn over and over and would take the link away. The room closes with the
// function that is returned, which is called when the run is over, and by itself when this process is gone.
func (a *app) openRoom(f *runFlags, dir string) (closeRoom func()) {
	if f.room == "" {
		return func() {}
	}
	self, err := os.Executable()
	if err != nil {
		a.say("the room is not opened: %v; `gameday room %s` opens it", err, dir)
		return func() {}
	}
	c := exec.Command(self, "room", dir, "--listen", f.room, "--audit", f.audit, "--attends")
	c.Args[0] = "gameday" // whatever name the file has
	held, err := c.StdinPipe()
	var said, says *os.File
	if err == nil {
		said, says, err = os.Pipe()
	}
	if err == nil {
		c.Stdout, c.Stderr = says, says
		err = errors.Join(c.Start(), says.Close())
	}
	if err != nil {
		a.say("the room is not opened: %v; `gameday room %s` opens it", err, dir)
		return func() {}
	}
	gone, opened := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		a.pass(said, opened)
		if err := c.Wait(); err != nil {
			a.say("the room has ended: %v; the run goes on, and `gameday room %s` opens it again", err, dir)
		}
	}()
	select {
	case <-opened:
	case <-gone:
	case <-time.After(roomOpens):
	}
	return func() {
		select {
		case <-gone:
			return
		case <-time.After(roomSees):
		}
		_ = held.Close()
		select {
		case <-gone:
		case <-time.After(roomEnds):
			_ = c.Process.Kill()
			<-gone
		}
	}
}

// pass prints what a room says, and closes opened when it has said where it is.
func (a *app) pass(said *os.File, opened chan struct{}) {
	defer said.Close()
	for lines := bufio.NewScanner(said); lines.Scan(); {
		fmt.Fprintln(a.errw, lines.Text())
		if opened != nil && strings.Contains(lines.Text(), roomHintEnd) {
			close(opened)
			opened = nil
		}
	}
}

// attend has a room go on for as long as the run that opened it holds its input, and not until a signal, which both get.
func attend(in io.Reader, end func()) {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		end()
	}()
}

// roomHint says where a room is that a run has opened.
func roomHint(run string) string {
	return fmt.Sprintf("the room of %s is open until the run is over; %s", run, roomHintEnd)
}

const roomHintEnd = "the link lets you in once, and invites others from there"
