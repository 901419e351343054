package native

import (
	"io"
	"os"
	"syscall"
)

// mostOpening is how long a request may be to be written by an opening: it must fit into what the kernel buffers at once.
const mostOpening = 16 << 10

// opening is the write of a request and the first read of its answer as one step. The usual way reads at once after the
// write, in vain, before it waits: here the wait begins before the write, and the system call in vain is spared, which is a
// tenth of all that a quick request costs.
type opening struct {
	line  []byte // the request; nil when there is no opening
	into  []byte // what is read goes here
	wrote int
	n     int
	err   error
}

// opens reports whether a request can be made by an opening: on a plain connection, and when it is short.
func (c *conn) opens(line []byte) bool {
	_, plain := c.Conn.(syscall.Conn)
	return plain && c.raw != nil && len(line) <= mostOpening
}

// ask writes the request and reads the beginning of the answer into p.
func (c *conn) ask(p []byte) (int, error) {
	c.first.into = p
	err := c.raw.Read(c.step)
	o := c.first
	c.first = opening{}
	switch {
	case err != nil:
		return 0, err
	case o.err != nil:
		return 0, o.err
	case o.wrote < len(o.line): // the kernel took only a part
		if _, err := c.Conn.Write(o.line[o.wrote:]); err != nil {
			return 0, err
		}
		return c.Conn.Read(p)
	case o.n == 0:
		return 0, io.EOF
	}
	return o.n, nil
}

// open is called with the connection's descriptor: at once, and then whenever there may be something to read, until it
// returns true.
func (c *conn) open(fd uintptr) bool {
	o := &c.first
	if o.wrote < len(o.line) {
		n, err := syscall.Write(int(fd), o.line)
		switch {
		case err == syscall.EINTR, err == syscall.EAGAIN:
			return true // the usual way is to write it
		case err != nil:
			o.wrote, o.err = len(o.line), os.NewSyscallError("write", err)
			return true
		}
		o.wrote = n
		return n < len(o.line)
	}
	for {
		n, err := syscall.Read(int(fd), o.into)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			o.err = os.NewSyscallError("read", err)
			return true
		}
		o.n = n
		return true
	}
}
