package conductor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"gameday/report"
	"gameday/responders"
)

// Request is what another process asks of a run in progress, as one JSON line on the socket in the record's folder. Path
// names cross network namespaces, ports do not.
type Request struct {
	Do   string `json:"do"` // "mark", "act", "stop", "hold", "release", "skip", "inject", "status", "standing"
	By   string `json:"by,omitempty"`
	Name string `json:"name,omitempty"` // mark: its name
	Text string `json:"text,omitempty"`
	Why  string `json:"why,omitempty"` // stop, and what is asked of the timeline
	// For is how long a hold lasts at most; 0 is as long as is usual. Fault is the one to inject; empty is the next.
	For   time.Duration `json:"for,omitempty"`
	Fault string        `json:"fault,omitempty"`
	// Act is what somebody does about a page.
	Act *responders.Action `json:"act,omitempty"`
	// File is what is attached to a mark. It lies in the record's folder already.
	File *report.Attachment `json:"file,omitempty"`
}

// patience returns how long the answer may take: where a fault lands, and whether it may, is asked before it is given.
func (r Request) patience() time.Duration {
	if r.Do == "inject" {
		return checkLimit + controlLimit
	}
	return controlLimit
}

// Response is the answer, one JSON line. A space comes before it, and before anything is done: see heard.
type Response struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Over  bool   `json:"over,omitempty"` // nothing was done, as the run is over
	Text  string `json:"text,omitempty"`
}

// heard is said before a request is acted upon, and to those who are too many. Who is cut off without it knows that the run is over and
// that nothing was done, and who is cut off after it does not know what was.
const heard = " "

// Limits of the control socket.
const (
	maxRequest   = 64 << 10
	controlLimit = 5 * time.Second
	maxClients   = 16
	// lastAnswers is for how long the end of a run waits for answers. It is shorter than lockPatience: who comes too late for the run
	// waits for the record meanwhile.
	lastAnswers = 2 * time.Second
	// busyLimit is for how long somebody who is one too many keeps the others from being served, at most.
	busyLimit = 100 * time.Millisecond
)

// control serves the socket of one run.
type control struct {
	run      *run
	listener net.Listener
	slots    chan struct{}

	mu        sync.Mutex
	closed    bool
	answering sync.WaitGroup // requests that were read whole and are not answered yet
}

// openControl starts to serve. The socket's address is limited to 108 bytes and a record's path is not, so it is named
// through an open descriptor of its folder.
func openControl(r *run) (*control, error) {
	listen := r.Options.listen
	if listen == nil {
		listen = listenIn
	}
	l, err := listen(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the run's control socket: %w", err)
	}
	c := &control{run: r, listener: l, slots: make(chan struct{}, maxClients)}
	go c.serve()
	return c, nil
}

func listenIn(dir string) (net.Listener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath(d, dir), Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the short name is gone by then; close removes the file itself
	return l, nil
}

// socketPath names the socket in a folder by a path that fits into an address.
func socketPath(d *os.File, dir string) string {
	if p := filepath.Join(dir, report.SocketFile); len(p) < 100 {
		return p
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), report.SocketFile)
}

func (c *control) serve() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		select {
		case c.slots <- struct{}{}:
			go func() {
				defer func() { <-c.slots }()
				c.answer(conn)
			}()
		default:
			conn.SetDeadline(time.Now().Add(busyLimit))
			io.WriteString(conn, heard)
			conn.Close()
		}
	}
}

func (c *control) answer(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(controlLimit))
	var req Request
	resp := Response{}
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	switch {
	case len(line) >= maxRequest:
		err = fmt.Errorf("the request is larger than %d KB", maxRequest>>10)
	case err == nil || errors.Is(err, io.EOF): // the last line may lack its end
		err = json.Unmarshal(line, &req)
	}
	if err == nil && !c.take() {
		err = errOver
	} else if err == nil {
		defer c.answering.Done()
		conn.SetDeadline(time.Now().Add(req.patience()))
		io.WriteString(conn, heard) // it fails only when nobody is there to hear anything
		resp.Text, err = c.do(req)
	}
	if resp.OK = err == nil; err != nil {
		resp.Error, resp.Over = err.Error(), errors.Is(err, errOver)
	}
	json.NewEncoder(conn).Encode(resp)
}

// take counts a request that was read whole among those that the end of the run waits for, and reports whether it is not over yet.
func (c *control) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.answering.Add(1)
	}
	return !c.closed
}

func (c *control) do(req Request) (string, error) {
	switch req.Do {
	case "status":
		return fmt.Sprintf("%s runs as %s", c.run.Scenario.Name, c.run.Run), nil
	case "standing":
		c.run.mu.Lock()
		defer c.run.mu.Unlock()
		return strconv.Itoa(len(c.run.standing)), nil
	case "stop":
		c.run.rec.add(report.StopAsked, report.Stop{By: req.By, Why: req.Why})
		c.run.end(report.EndStopped, nil)
		return "stopping: every fault is being reverted", nil
	case "mark":
		if strings.TrimSpace(req.Name) == "" {
			return "", errNameless
		}
		if err := c.run.rec.keep(report.Marked, report.Mark{Name: req.Name, By: req.By, Text: req.Text, File: req.File}); err != nil {
			return "", err
		}
		return fmt.Sprintf("marked %q", req.Name), nil
	case "hold", "release", "skip", "inject":
		return c.run.steer(req)
	case "act":
		if req.Act == nil {
			return "", errors.New("an act needs a verb")
		}
		return c.run.sources.act(*req.Act)
	}
	return "", fmt.Errorf("unknown request %q", req.Do)
}

// close takes no more requests, and waits for the answers to those that were taken: what they say is to be in the record before that
// is closed. Who has not said yet what they want holds nothing up, and hears that the run is over when they do.
func (c *control) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.listener.Close()
	os.Remove(filepath.Join(c.run.Dir, report.SocketFile))
	answered := make(chan struct{})
	go func() {
		c.answering.Wait()
		close(answered)
	}()
	limit := time.NewTimer(lastAnswers)
	defer limit.Stop()
	select {
	case <-answered:
	case <-limit.C:
	}
}

var errNameless = errors.New("a mark needs a name")

// ErrNoRun says that a run is asked something that is over, or never was.
var ErrNoRun = errors.New("no run is in progress")

// Ask sends one request to the run whose record is in dir. An error is ErrNoRun when no run is in progress there; then nothing was done.
func Ask(ctx context.Context, dir string, req Request) (string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", fmt.Errorf("looking for the run: %w", err)
	}
	defer d.Close()
	conn, err := (&net.Dialer{Timeout: controlLimit}).DialContext(ctx, "unix", socketPath(d, dir))
	if err != nil {
		return "", fmt.Errorf("%w in %s: %w", ErrNoRun, dir, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(req.patience()))
	sent := json.NewEncoder(conn).Encode(req)
	in := bufio.NewReader(io.LimitReader(conn, maxRequest))
	switch _, silent := in.Peek(len(heard)); {
	case req.Do == "mark" && cutOff(silent): // it was not done, and can be put into the record
		return "", fmt.Errorf("%w in %s: it ended before it heard this: %w", ErrNoRun, dir, silent)
	case sent != nil:
		return "", fmt.Errorf("asking the run: %w", sent)
	}
	var resp Response
	switch err := json.NewDecoder(in).Decode(&resp); {
	case err != nil:
		return "", fmt.Errorf("reading the run's answer: %w", err)
	case resp.Over:
		return "", fmt.Errorf("%w in %s: %s", ErrNoRun, dir, resp.Error)
	case !resp.OK:
		return "", errors.New(resp.Error)
	}
	return resp.Text, nil
}

// cutOff reports whether an error of reading says that the other side has closed the connection, or is gone.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}
