package portrig

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestKeep asks for a port that is kept: nobody answers at it, a server may come and go there, and nobody gets it who asks for any.
func TestKeep(t *testing.T) {
	address := Address(t)
	for range 3 {
		if c, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("somebody is at %s: %v, %v", address, c, err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if other, err := net.Listen("tcp", address); err == nil {
			t.Errorf("two listen at %s", other.Addr())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeepFromOthers has the kernel give out a port where there is but one: not one that is kept.
func TestKeepFromOthers(t *testing.T) {
	port := Keep(t)
	switch l, err := onlyFrom(port).Listen(t.Context(), "tcp", "127.0.0.1:0"); {
	case errors.Is(err, syscall.ENOPROTOOPT):
		const why = "a range of ports for one socket needs Linux 6.3"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	case !errors.Is(err, syscall.EADDRINUSE):
		t.Errorf("port %d is given to another: %v, %v", port, l, err)
	}
}

// onlyFrom is for sockets to which the kernel may give one port alone.
func onlyFrom(port int) *net.ListenConfig {
	const portRange = 51 // IP_LOCAL_PORT_RANGE, the lowest and the highest
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		outer := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, portRange, port<<16|port) })
		return errors.Join(outer, err)
	}}
}
