// Package portrig has TCP ports for tests: for servers that are started later, or again, and for addresses at which nobody listens.
package portrig

import (
	"net"
	"strconv"
	"testing"
)

// Address returns an address of 127.0.0.1 at which nobody listens, with a port as Keep returns it.
func Address(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Keep(t)))
}
