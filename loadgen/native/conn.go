package native

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// readBuffer holds the head of an answer, which may not be longer.
	readBuffer = 16 << 10
	// keptBody is how much of a body conditions and extracts can look at.
	keptBody = 8 << 20
	// idleLook is how long a connection may be idle before it is asked whether the other side has closed it.
	idleLook = 2 * time.Millisecond
)

var errBodyTooLong = fmt.Errorf("the body has more than %d MiB, which is as much as conditions and extracts look "+
	"at", keptBody>>20)

// conn is one connection over HTTP/1.1, used by one user at a time.
type conn struct {
	net.Conn
	origin origin
	read   *bufio.Reader
	head   fasthttp.ResponseHeader
	raw    syscall.RawConn // nil when the connection has no descriptor of its own
	first  opening
	armed  time.Time     // the deadline that the connection has now
	late   time.Duration // by how much that may be later than was asked for
	last   time.Time     // end of the last answer; zero before the first
	got    int64         // bytes read
	err    error         // of the last read
	closed atomic.Bool
	step   func(fd uintptr) bool // c.open, made once
}

// Read lets the buffer read, and keeps what fasthttp does not tell: whether anything came, and which error it was.
func (c *conn) Read(p []byte) (int, error) {
	var n int
	var err error
	if c.first.line != nil {
		n, err = c.ask(p)
	} else {
		n, err = c.Conn.Read(p)
	}
	c.got += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// Close closes the connection. It may be called from any goroutine, more than once.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.Conn.Close()
}

// open opens a connection to an origin, with TLS if that has it, until the deadline.
func (w *wire) open(ctx context.Context, o origin, deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	plain, err := w.connect(ctx, "tcp", o.addr)
	if err != nil {
		return nil, err
	}
	c := newConn(plain, o)
	if o.secure {
		secure := tls.Client(plain, w.tlsFor(o.addr))
		if err := secure.HandshakeContext(ctx); err != nil {
			plain.Close()
			return nil, fmt.Errorf("TLS with %s: %w", o.addr, err)
		}
		c.Conn = secure
	}
	return c, nil
}

func newConn(plain net.Conn, o origin) *conn {
	c := &conn{Conn: plain, origin: o}
	c.read = bufio.NewReaderSize(c, readBuffer)
	c.head.SetNoDefaultContentType(true)
	if s, ok := plain.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn()
	}
	c.step = c.open
	return c
}

// usable reports whether a connection that answered before can be expected to take another request.
func (c *conn) usable(now time.Time) bool {
	if c.closed.Load() || c.read.Buffered() > 0 {
		return false
	}
	return now.Sub(c.last) < idleLook || c.quiet()
}

// quiet reports whether the connection is open and has nothing to read, by asking the kernel, which does not block.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return true
	}
	quiet := false
	err := c.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = n < 0 && (err == syscall.EAGAIN || err == syscall.EINTR)
		return true // whatever it is, do not wait
	})
	return err == nil && quiet
}

// slack is how much later than it says a deadline may strike, as a share of the time until then: so it need not be set anew for
// each of many quick requests.
const slack = 200

// arm sets the deadline of what follows.
func (c *conn) arm(deadline time.Time) error {
	if !c.armed.Before(deadline) && c.armed.Sub(deadline) <= c.late {
		return nil
	}
	c.late = time.Until(deadline) / slack
	c.armed = deadline.Add(c.late)
	return c.SetDeadline(c.armed)
}

// roundTrip sends a request and reads the head of its answer, which is in c.head then, leaving out what comes before the
// final one. fresh says that not a byte of an answer came: the request may have met a connection that was being closed.
func (c *conn) roundTrip(line []byte, deadline time.Time) (fresh bool, err error) {
	if err := c.arm(deadline); err != nil {
		return true, err
	}
	before := c.got
	var wrote error
	if c.opens(line) {
		c.first = opening{line: line}
	} else if _, wrote = c.Write(line); wrote != nil {
		// The server may have answered, and closed, before it had all of the request.
		if err := c.SetReadDeadline(earlier(deadline, time.Now().Add(100*time.Millisecond))); err != nil {
			return true, wrote
		}
	}
	for {
		c.err = nil
		if err := c.head.Read(c.read); err != nil {
			return c.got == before, c.readError(err, wrote)
		}
		if status := c.head.StatusCode(); status >= 200 || status == http.StatusSwitchingProtocols {
			if wrote != nil {
				c.head.SetConnectionClose()
			}
			return false, nil
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// readError tells why no head could be read: fasthttp takes every error before the first byte for the end.
func (c *conn) readError(err, wrote error) error {
	switch {
	case wrote != nil:
		return wrote
	case errors.Is(err, fasthttp.ErrTimeout):
		return context.DeadlineExceeded
	case c.err != nil && !errors.Is(c.err, io.EOF):
		return c.err
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// body reads the body after a head, and returns it when it is to be kept. It closes the connection when it cannot be used
// again.
func (c *conn) body(method string, keep bool, into []byte) ([]byte, error) {
	into = into[:0]
	var err error
	status, length := c.head.StatusCode(), c.head.ContentLength()
	ends := c.head.ConnectionClose() || status == http.StatusSwitchingProtocols
	if method == http.MethodHead && length == -2 && string(c.head.Protocol()) == "HTTP/1.1" {
		ends = false // the parser takes an answer without a length for one that ends with the connection
	}
	switch {
	case method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified || status == http.StatusSwitchingProtocols:
	case length >= 0:
		into, err = c.take(int64(length), keep, into)
	case length == -1:
		into, err = c.chunks(keep, into)
	default:
		ends = true
		into, err = c.rest(keep, into)
	}
	if err != nil || ends {
		c.Close()
	}
	if err != nil && !errors.Is(err, errBodyTooLong) {
		err = fmt.Errorf("reading the body: %w", c.readError(err, nil))
	}
	return into, err
}

// take reads n bytes.
func (c *conn) take(n int64, keep bool, into []byte) ([]byte, error) {
	if !keep {
		for n > 0 {
			d, err := c.read.Discard(int(min(n, 1<<30)))
			if n -= int64(d); err != nil {
				return into, err
			}
		}
		return into, nil
	}
	if int64(len(into))+n > keptBody {
		return into, errBodyTooLong
	}
	at := len(into)
	into = append(into, make([]byte, n)...)
	_, err := io.ReadFull(c.read, into[at:])
	return into, err
}

// chunks reads a body in chunks and the trailer after it, as in RFC 9112, section 7.1.
func (c *conn) chunks(keep bool, into []byte) ([]byte, error) {
	for {
		line, err := c.line()
		if err != nil {
			return into, err
		}
		n, err := chunkSize(line)
		if err != nil {
			return into, err
		}
		if n == 0 {
			break
		}
		if into, err = c.take(n, keep, into); err != nil {
			return into, err
		}
		if line, err = c.line(); err != nil || len(line) > 0 {
			return into, errors.Join(err, errors.New("a chunk is longer than it says"))
		}
	}
	for { // the trailer
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return into, err
		}
	}
}

// line reads a line without its end.
func (c *conn) line() ([]byte, error) {
	line, err := c.read.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// chunkSize reads the size that a chunk begins with, in hex, up to an extension.
func chunkSize(line []byte) (n int64, err error) {
	digits := 0
	for _, b := range line {
		var d int64
		switch {
		case '0' <= b && b <= '9':
			d = int64(b - '0')
		case 'a' <= b|0x20 && b|0x20 <= 'f':
			d = int64(b|0x20-'a') + 10
		case digits > 0 && (b == ';' || b == ' ' || b == '\t'):
			return n, nil
		default:
			return 0, fmt.Errorf("%q is not the size of a chunk", line)
		}
		if digits++; digits > 15 {
			return 0, fmt.Errorf("%q is too large for a chunk", line)
		}
		n = n<<4 | d
	}
	if digits == 0 {
		return 0, errors.New("a chunk has no size")
	}
	return n, nil
}

// rest reads until the connection ends.
func (c *conn) rest(keep bool, into []byte) ([]byte, error) {
	if !keep {
		_, err := io.Copy(io.Discard, c.read)
		return into, err
	}
	buffer := bytes.NewBuffer(into)
	n, err := io.Copy(buffer, io.LimitReader(c.read, keptBody+1))
	if n > keptBody {
		return buffer.Bytes(), errBodyTooLong
	}
	return buffer.Bytes(), err
}
