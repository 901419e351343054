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

// Response is the answer, one JSON line.
type Response struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Text  string `json:"text,omitempty"`
}

// Limits of the control socket.
const (
	maxRequest   = 64 << 10
	controlLimit = 5 * time.Second
	maxClients   = 16
)

// control serves the socket of one run.
type control struct {
	run      *run
	listener net.Listener
	slots    chan struct{}
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
	if err == nil {
		conn.SetDeadline(time.Now().Add(req.patience()))
		resp.Text, err = c.do(req)
	}
	if resp.OK = err == nil; err != nil {
		resp.Error = err.Error()
	}
	json.NewEncoder(conn).Encode(resp)
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
		c.run.rec.add(report.Marked, report.Mark{Name: req.Name, By: req.By, Text: req.Text, File: req.File})
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

func (c *control) close() {
	if c == nil {
		return
	}
	c.listener.Close()
	os.Remove(filepath.Join(c.run.Dir, report.SocketFile))
}

var errNameless = errors.New("a mark needs a name")

// ErrNoRun says that a run is asked something that is over, or never was.
var ErrNoRun = errors.New("no run is in progress")

// Ask sends one request to the run whose record is in dir. An error says when no run is in progress there.
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
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return "", fmt.Errorf("asking the run: %w", err)
	}
	var resp Response
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&resp); err != nil {
		return "", fmt.Errorf("reading the run's answer: %w", err)
	}
	if !resp.OK {
		return "", errors.New(resp.Error)
	}
	return resp.Text, nil
}
