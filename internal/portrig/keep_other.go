//go:build !linux

package portrig

import (
	"net"
	"testing"
)

// Keep returns a TCP port of 127.0.0.1 at which nobody listened a moment ago. Here nothing keeps it.
func Keep(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
