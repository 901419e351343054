// Package crowd is many at a room at once, for tests and measurements: observers who read its stream, and strangers who ask without end. It
// goes to loopback alone, and everything in it is bounded.
package crowd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// patience bounds how long one answer is waited for.
const patience = 10 * time.Second

// Guest is somebody who came in: where the room is, and what their browser sends it.
type Guest struct {
	Address string // host and port, of loopback
	Cookie  string // as in the header
}

// ComeIn uses a link, as its button does.
func ComeIn(ctx context.Context, link string) (Guest, error) {
	u, err := url.Parse(link)
	if err != nil {
		return Guest{}, fmt.Errorf("coming in: %w", err)
	}
	base, token, ok := strings.Cut(u.Path, "/in/")
	if at, err := netip.ParseAddrPort(u.Host); !ok || err != nil || !at.Addr().IsLoopback() {
		return Guest{}, fmt.Errorf("coming in: %q is no link to a room on this machine", link)
	}
	body := url.Values{"token": {token}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+u.Host+base+"/in", strings.NewReader(body))
	if err != nil {
		return Guest{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w, err := client.Do(r)
	if err != nil {
		return Guest{}, fmt.Errorf("coming in: %w", err)
	}
	defer w.Body.Close()
	_, _ = io.Copy(io.Discard, w.Body)
	if len(w.Cookies()) != 1 || w.StatusCode != http.StatusSeeOther {
		return Guest{}, fmt.Errorf("coming in: the room says %s", w.Status)
	}
	return Guest{u.Host, w.Cookies()[0].Name + "=" + w.Cookies()[0].Value}, nil
}

// Observers look on, each by a stream of their own.
type Observers struct {
	Told  atomic.Int64 // how often somebody was told what time it is in the run
	Bytes atomic.Int64
	Gone  atomic.Int64 // streams that ended before ctx did
}

// Look opens a stream for each guest, and returns when all have begun. They go on until ctx ends.
func Look(ctx context.Context, guests []Guest, sizes []string) (*Observers, error) {
	o := &Observers{}
	begun := make(chan error, len(guests))
	for i, g := range guests {
		c, err := net.DialTimeout("tcp", g.Address, patience)
		if err != nil {
			return nil, fmt.Errorf("observer %d: %w", i, err)
		}
		context.AfterFunc(ctx, func() { _ = c.Close() })
		if _, err := fmt.Fprintf(c, "GET /stream?size=%s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n\r\n", sizes[i%len(sizes)], g.Address, g.Cookie); err != nil {
			return nil, fmt.Errorf("observer %d: %w", i, err)
		}
		go o.read(ctx, c, begun)
	}
	for i := range guests {
		select {
		case err := <-begun:
			if err != nil {
				return nil, fmt.Errorf("of %d observers one is not told anything: %w", len(guests), err)
			}
		case <-time.After(patience):
			return nil, fmt.Errorf("only %d of %d observers are told anything", i, len(guests))
		}
	}
	return o, nil
}

func (o *Observers) read(ctx context.Context, c net.Conn, begun chan<- error) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 64<<10)
	first := true
	for {
		line, err := in.ReadSlice('\n')
		o.Bytes.Add(int64(len(line)))
		if first {
			first = false
			if err == nil && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
				err = errors.New(strings.TrimSpace(string(line)))
			}
			begun <- err
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if ctx.Err() == nil {
				o.Gone.Add(1)
			}
			return
		}
		if strings.HasPrefix(string(line), "event: now") {
			o.Told.Add(1)
		}
	}
}

// Flood is what became of requests that strangers sent.
type Flood struct {
	Sent     int64
	Answered map[int]int64 // by status
	Broken   int64         // connections on which there was no answer
	Took     time.Duration
}

// Rate returns how many were answered, a second.
func (f Flood) Rate() float64 {
	n := int64(0)
	for _, k := range f.Answered {
		n += k
	}
	return float64(n) / f.Took.Seconds()
}

// strange are requests of people who are not in: for pages and streams, by links that nobody gave out, and for what only facilitators may.
var strange = []string{
	"GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
	"GET /stream?size=desk HTTP/1.1\r\nHost: %s\r\nCookie: gameday-room=guess\r\n\r\n",
	"POST /do/stop HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n",
	"GET /in/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\nHost: %s\r\n\r\n",
	"POST /in HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\ntoken=guess",
	"POST /evidence HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 5\r\n\r\nhello",
	"GET /room.css HTTP/1.1\r\nHost: %s\r\n\r\n",
}

// Storm has strangers ask an address so often a second, over so many connections, of which each is opened anew after a hundred requests,
// until ctx ends.
func Storm(ctx context.Context, address string, rate float64, connections int) Flood {
	f := Flood{Answered: map[int]int64{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for n := range connections {
		all.Go(func() {
			s := stranger{address: address, every: time.Duration(float64(connections) / rate * float64(time.Second)), answered: map[int]int64{}, next: n}
			s.storm(ctx)
			mu.Lock()
			defer mu.Unlock()
			f.Sent, f.Broken = f.Sent+s.sent, f.Broken+s.broken
			for status, k := range s.answered {
				f.Answered[status] += k
			}
		})
	}
	all.Wait()
	f.Took = time.Since(began)
	return f
}

type stranger struct {
	address      string
	every        time.Duration
	next         int
	sent, broken int64
	answered     map[int]int64
}

func (s *stranger) storm(ctx context.Context) {
	due := time.Now()
	for ctx.Err() == nil {
		c, err := net.DialTimeout("tcp", s.address, patience)
		if err != nil {
			s.broken++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		in := bufio.NewReader(c)
		for range 100 {
			due = due.Add(s.every)
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			}
			if ctx.Err() != nil {
				break
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			s.next++
			s.sent++
			status, err := ask(c, in, fmt.Sprintf(strange[s.next%len(strange)], s.address))
			if err != nil {
				s.broken++
				break
			}
			s.answered[status]++
		}
		_ = c.Close()
	}
}

func ask(c net.Conn, in *bufio.Reader, request string) (status int, err error) {
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return r.StatusCode, errors.Join(err, r.Body.Close())
}

// CPU returns the processor time that a process has taken, user and system, as the kernel counts it: to the hundredth of a second.
func CPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	rest := string(text[strings.LastIndexByte(string(text), ')')+1:])
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is %q", pid, text)
	}
	sum := time.Duration(0)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += time.Duration(n) * time.Second / 100
	}
	return sum, nil
}

// Memory returns how much of a process is resident now, and how much was at most, in bytes.
func Memory(pid int) (now, most uint64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		if name == "VmRSS" {
			now = kib << 10
		} else {
			most = kib << 10
		}
	}
	return now, most, nil
}
