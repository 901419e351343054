package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// loopbackForwarder serves on loopback and has nobody to forward to.
func loopbackForwarder(t *testing.T, p treatment) (*forwarder, *net.UDPConn) {
	t.Helper()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(context.Context, string, netip.AddrPort) (net.Conn, error) {
		return nil, errors.New("nobody is there")
	}
	f := newForwarder(p, []listener{{netip.MustParseAddr("198.18.0.2"), udp, tcp}}, refuse, func() {}, time.Minute)
	t.Cleanup(f.stop)
	client, err := net.DialUDP("udp", nil, udp.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return f, client
}

// TestTooManyQueries: what exceeds the bounds is lost and counted, and stopping does not wait for what waits.
func TestTooManyQueries(t *testing.T) {
	f, client := loopbackForwarder(t, treatment{pass: true, delay: maxDelay})
	msg := newQuery(1, must(t, "db.example.com"))
	limit := time.Now().Add(10 * time.Second)
	for f.count.lost.Load() == 0 && time.Now().Before(limit) {
		if _, err := client.Write(msg); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.count.lost.Load(); n == 0 {
		t.Fatal("queries without end are taken")
	}
	if n := len(f.queries); n > maxQueries {
		t.Errorf("%d queries wait, %d may", n, maxQueries)
	}
	began := time.Now()
	f.stop()
	if took := time.Since(began); took > time.Second {
		t.Errorf("stopping took %v", took)
	}
	f.stop() // twice is as well
	f.renew(time.Minute)
}

// TestNobodyToAsk: a resolver that cannot be reached is silent over UDP and closes over TCP; garbage harms nobody.
func TestNobodyToAsk(t *testing.T) {
	var p treatment
	p.rcode = rcodes[refused]
	p.names.add(must(t, "db.example.com"), false)
	f, client := loopbackForwarder(t, p)
	for _, msg := range [][]byte{{}, {1}, newQuery(1, must(t, "www.example.com")), newQuery(2, must(t, "db.example.com"))} {
		if _, err := client.Write(msg); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	n, err := client.Read(buf)
	if err != nil || n < 12 || buf[1] != 2 || buf[3]&0xf != 5 {
		t.Errorf("answered %x, %v; want REFUSED for the second name", buf[:n], err)
	}
	stream, err := net.Dial("tcp", f.listeners[0].tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := writeFrame(stream, newQuery(3, must(t, "www.example.com"))); err != nil {
		t.Fatal(err)
	}
	if err := stream.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if msg, err := readFrame(stream); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("answered %x, %v; want the end", msg, err)
	}
}
