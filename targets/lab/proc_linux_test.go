package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
)

func TestParseStatus(t *testing.T) {
	const text = "Name:\tweb: server\nState:\tS (sleeping)\nPid:\t41\nPPid:\t7\nNSpid:\t41\t8\t3\n"
	tests := []struct {
		text string
		want procEntry
	}{
		{text, procEntry{pid: 41, parent: 7, inner: 8}},
		{"State:\tZ (zombie)\nPPid:\t1\nNSpid:\t41\n", procEntry{pid: 41, parent: 1, zombie: true}},
		{"", procEntry{pid: 41}},
	}
	for _, test := range tests {
		if got := parseStatus(41, test.text); got != test.want {
			t.Errorf("%q: got %+v, want %+v", test.text, got, test.want)
		}
	}
}

func TestDescribeOneself(t *testing.T) {
	p := describe(os.Getpid())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if p.PID != os.Getpid() || p.Start == 0 || p.Exe != self || p.Command == "" {
		t.Errorf("got %+v", p)
	}
	if gone := describe(1 << 30); gone.PID != 0 {
		t.Errorf("a process that is not there is %+v", gone)
	}
}

func TestListening(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(l.Addr().String()).Port()
		if !listens(port) {
			t.Errorf("a listener on %s is not seen", l.Addr())
		}
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if listens(port) {
			t.Errorf("a connection on %s counts as listener", l.Addr())
		}
		c.Close()
	}
}
