package killmatrix

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// networkFixtures are the kinds that hit what a place sends and receives.
func networkFixtures() map[string]fixture {
	netem := func(config string, touched func(a, b *host) (bool, string)) fixture {
		return fixture{needs: netemMissing, build: wire(config, touched)}
	}
	return map[string]fixture{
		"network_partition":        {build: wire("{}", cut)},
		"network_partition reject": {build: wire(`{"action":"reject","direction":"out"}`, cut)},
		"network_rate":             {build: wire(`{"rate":"1mbit","burst":"2kb"}`, throttled)},
		"network_delay":            netem(`{"delay":"400ms"}`, cut),
		"network_loss":             netem(`{"percent":100}`, cut),
		"network_corrupt":          netem(`{"percent":100}`, broken),
		"network_duplicate":        netem(`{"percent":100}`, doubled),
		"network_reorder":          netem(`{"percent":1,"delay":"400ms"}`, cut),
		"dns_outage":               {build: resolver(`{"resolvers":["198.18.0.2"]}`)},
		"dns_outage nxdomain":      {build: resolver(`{"resolvers":["198.18.0.2"],"action":"nxdomain"}`)},
		"port_exhaustion":          {build: fewPorts},
	}
}

// netemMissing says whether the kernel can delay packets, by trying that in a namespace that nobody else is in.
var netemMissing = sync.OnceValue(func() string {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the namespace ends with the thread
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- err
			return
		}
		n, err := netlink.NewHandle()
		if err != nil {
			result <- err
			return
		}
		defer n.Close()
		lo, err := n.LinkByName("lo")
		if err == nil {
			at := netlink.QdiscAttrs{LinkIndex: lo.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
			err = n.QdiscAdd(netlink.NewNetem(at, netlink.NetemQdiscAttrs{Latency: 1000}))
		}
		result <- err
	}()
	if err := <-result; err != nil {
		return "the kernel has no netem"
	}
	return ""
})

// echoLimit is how long an echo over a cable between two namespaces may take before it counts as cut or late.
var echoLimit = 60 * time.Millisecond * slack()

// wire is two hosts on a cable; the target is disturbed on its way to the peer.
func wire(config string, touched func(a, b *host) (bool, string)) func(*world) error {
	return func(w *world) error {
		a, b, err := w.cable()
		if err != nil {
			return err
		}
		w.config = config
		w.touched = func() (bool, string) {
			if !a.alive() {
				return false, "the namespace is gone"
			}
			return touched(a, b)
		}
		return nil
	}
}

// cut asks the peer for an echo that comes at once if nothing is in the way.
func cut(a, b *host) (bool, string) {
	err := a.converse(b.v4, 5, echoLimit)
	return err != nil, fmt.Sprintf("an echo of the peer: %v", err)
}

// broken asks for some echoes: a bit that is flipped where nobody looks does no harm to a packet.
func broken(a, b *host) (bool, string) {
	for range 4 {
		if yes, how := cut(a, b); yes {
			return yes, how
		}
	}
	return cut(a, b)
}

// throttled asks for the echo of more than a slow line carries at once, and more than its burst.
func throttled(a, b *host) (bool, string) {
	err := a.converse(b.v4, 60_000, 200*time.Millisecond)
	return err != nil, fmt.Sprintf("an echo of 60 kB: %v", err)
}

// doubled sends one datagram and counts the answers.
func doubled(a, b *host) (bool, string) {
	answers := 0
	err := a.inside(func() error {
		c, err := net.Dial("udp", netip.AddrPortFrom(b.v4, echoPort).String())
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("one")); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(echoLimit)); err != nil {
			return err
		}
		for buf := make([]byte, 16); ; answers++ {
			if _, err := c.Read(buf); err != nil {
				return nil //nolint:nilerr // the time is up
			}
		}
	})
	return answers > 1, fmt.Sprintf("%d answers to one datagram: %v", answers, err)
}

// resolver is two hosts on a cable; the peer's port 53 echoes questions, which counts as an answer.
func resolver(config string) func(*world) error {
	question := binary.BigEndian.AppendUint16(nil, 4711)
	question = append(question, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 'd', 'b', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1)
	return wire(config, func(a, b *host) (bool, string) {
		var got []byte
		err := a.inside(func() error {
			c, err := net.Dial("udp", netip.AddrPortFrom(b.v4, 53).String())
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(echoLimit)); err != nil {
				return err
			}
			if _, err := c.Write(question); err != nil {
				return err
			}
			buf := make([]byte, 512)
			n, err := c.Read(buf)
			got = buf[:n]
			return err
		})
		return err != nil || !bytes.Equal(got, question), fmt.Sprintf("a question at the peer: %x, %v", got, err)
	})
}

// fewPorts is two hosts on a cable, of which the target has few ports for connections.
func fewPorts(w *world) error {
	err := wire("{}", func(a, b *host) (bool, string) {
		err := a.converse(b.v4, 5, 10*echoLimit)
		return errors.Is(err, unix.EADDRNOTAVAIL), fmt.Sprintf("a connection to the peer: %v", err)
	})(w)
	if err != nil {
		return err
	}
	return w.hosts[0].inside(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40999"), 0)
	})
}
