package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// announce asks for the core's hardware address until the core answers. That proves that packets go both ways,
// which takes the kernel a moment after a link is up; and because everybody on the network hears the question,
// peers that waited in vain for this node to answer learn at once that it is back, rather than when they next ask.
func announce(index int, mac net.HardwareAddr, a netip.Addr) error {
	const patience, again = 2 * time.Second, 5 * time.Millisecond
	// ARP over Ethernet is the only protocol this socket sends and gets.
	proto := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ARP))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		return fmt.Errorf("opening a socket to announce the node: %w", err)
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(again.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return fmt.Errorf("announcing the node: %w", err)
	}
	to := &unix.SockaddrLinklayer{Protocol: proto, Ifindex: index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	question := arpPacket(arpRequest, mac, a, make(net.HardwareAddr, 6), core)
	answer := arpPacket(arpReply, hardwareAddr(core), core, mac, a)
	got := make([]byte, 128)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		// A link that is not quite up refuses packets, which the next round may show to be over.
		_ = unix.Sendto(fd, question, 0, to)
		for {
			n, _, err := unix.Recvfrom(fd, got, 0)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				break // nothing for now
			}
			if bytes.HasPrefix(got[:n], answer) {
				return nil
			}
		}
	}
	return fmt.Errorf("the core did not answer the node's announcement within %s", patience)
}

// The operations of ARP, RFC 826.
const (
	arpRequest = 1
	arpReply   = 2
)

// arpPacket returns an ARP packet for IPv4 over Ethernet, without the Ethernet header: RFC 826.
func arpPacket(op uint16, fromMAC net.HardwareAddr, from netip.Addr, toMAC net.HardwareAddr, to netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4} // Ethernet, IPv4, and the lengths of their addresses
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(b, fromMAC...)
	b = append(b, from.AsSlice()...)
	b = append(b, toMAC...)
	return append(b, to.AsSlice()...)
}
