package conductor

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gameday/report"
)

// heldConn is a connection whose request is held when it was read whole, before anything is done about it.
type heldConn struct {
	net.Conn
	limits int
	held   chan struct{}
}

// SetDeadline gives the first limit to reading, and the second one to what is asked.
func (c *heldConn) SetDeadline(t time.Time) error {
	if c.limits++; c.limits == 2 {
		<-c.held
	}
	return c.Conn.SetDeadline(t)
}

// TestLastMark marks something as the run ends: it is either in the record, or answered as too late for the run.
func TestLastMark(t *testing.T) {
	const request = `{"do": "mark", "name": "last", "by": "ann"}` + "\n"
	for _, c := range []struct {
		name   string
		before int           // how much of the request is said before the end
		hold   time.Duration // for how long it is held when it was read, from the end on
		waits  time.Duration // for how long that holds up the end
		kept   bool
	}{
		{"read whole", len(request), time.Second, time.Second, true},
		{"held for long", len(request), lastAnswers + time.Second, lastAnswers, false},
		{"half said", 10, 0, 0, false},
		{"not said", 0, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, l := t.TempDir(), newFakeListener()
				r, _ := openedAt(t, dir, l)
				near, far := net.Pipe()
				defer near.Close()
				held := &heldConn{Conn: far, held: make(chan struct{})}
				l.conns <- held
				io.WriteString(near, request[:c.before])
				synctest.Wait()

				time.AfterFunc(c.hold, func() { close(held.held) })
				answer := make(chan Response, 1)
				go func() {
					var resp Response
					json.NewDecoder(near).Decode(&resp)
					answer <- resp
				}()
				began := time.Now()
				r.control.close()
				if err := r.rec.close(); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != c.waits {
					t.Errorf("the end took %s, want %s", took, c.waits)
				}
				io.WriteString(near, request[c.before:])
				resp := <-answer
				text, err := os.ReadFile(filepath.Join(dir, report.EventsFile))
				if err != nil {
					t.Fatal(err)
				}
				if kept := strings.Contains(string(text), `"last"`); kept != c.kept || resp.OK != c.kept || resp.Over == c.kept {
					t.Errorf("kept: %v, want %v; answered %+v", kept, c.kept, resp)
				}
			})
		})
	}
}

// TestMarkCutOff marks something with a run that goes away: only of one that was not heard it is known that it was not done.
func TestMarkCutOff(t *testing.T) {
	t.Parallel()
	read := func(c net.Conn) { bufio.NewReader(c).ReadBytes('\n') }
	for name, c := range map[string]struct {
		take func(net.Conn) // nil is somebody who never takes a connection
		do   string
		over bool
	}{
		"waiting":         {nil, "mark", true},
		"taken":           {func(net.Conn) {}, "mark", true},
		"read":            {read, "mark", true},
		"heard":           {func(c net.Conn) { read(c); io.WriteString(c, heard) }, "mark", false},
		"half answered":   {func(c net.Conn) { read(c); io.WriteString(c, heard+`{"ok": tr`) }, "mark", false},
		"over":            {func(c net.Conn) { read(c); io.WriteString(c, `{"ok": false, "error": "late", "over": true}`) }, "mark", true},
		"something else":  {read, "stop", false},
		"another refusal": {func(c net.Conn) { read(c); io.WriteString(c, heard+`{"ok": false, "error": "no"}`) }, "mark", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, err := listenIn(dir)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer l.Close()
				if c.take == nil {
					awaitClient(t, l)
					return
				}
				if conn, err := l.Accept(); err == nil {
					defer conn.Close()
					c.take(conn)
				}
			}()
			if got, err := Ask(t.Context(), dir, Request{Do: c.do, Name: "last"}); err == nil || errors.Is(err, ErrNoRun) != c.over {
				t.Errorf("%q, %v, want that the run is over: %v", got, err, c.over)
			}
		})
	}
}

// awaitClient returns when a connection waits to be taken.
func awaitClient(t *testing.T, l net.Listener) {
	raw, err := l.(*net.UnixListener).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			for fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}; ; {
				if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
					return
				}
			}
		})
	}
	if err != nil {
		t.Error(err)
	}
}

// TestMarkOneTooMany marks something while a run is asked by as many as it takes: that is no reason to think that it is over.
func TestMarkOneTooMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opened(t, dir)
	for range maxClients {
		conn, err := net.Dial("unix", filepath.Join(dir, report.SocketFile))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if got, err := Ask(t.Context(), dir, Request{Do: "mark", Name: "last"}); err == nil || errors.Is(err, ErrNoRun) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestMarkUnwritten marks something that cannot be written.
func TestMarkUnwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, _ := opened(t, dir)
	r.rec.file.Close()
	if got, err := Ask(t.Context(), dir, Request{Do: "mark", Name: "last"}); err == nil || errors.Is(err, ErrNoRun) || !strings.Contains(err.Error(), "writing the record") {
		t.Errorf("%q, %v", got, err)
	}
}
