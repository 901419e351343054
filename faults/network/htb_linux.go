package network

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/mdlayher/netlink"
)

// HTB, the qdisc that sorts packets into classes by skb->priority (linux/pkt_sched.h). A packet whose priority names
// none of its classes goes to its direct queue, which is first in, first out, and never waits.

// Attributes of TCA_OPTIONS for htb.
const (
	htbParms     = 1
	htbInit      = 2
	htbDirectLen = 5
	htbRate64    = 6
	htbCeil64    = 7
)

// htbVersion is that of the interface, which the kernel checks.
const htbVersion = 3

// Our root qdisc is told from others by its handle and by r2q, a divisor that matters only to classes without a
// quantum, of which we have none.
const (
	rootMajor uint16 = 0x6ada
	rootR2Q   uint32 = 26987
)

// directQueue is the least number of packets that the direct queue holds, as on an ordinary interface. The kernel gives an
// interface without a transmit queue one of this length, too, when a qdisc comes to it; ours remembers that by a direct queue
// of one more.
const (
	directQueue   = 1000
	wasWithoutOne = directQueue + 1
)

// encodeHTB returns the options of our root: struct tc_htb_glob (version, rate2quantum, defcls, debug, direct packets),
// and the length of the direct queue. Class 0 does not exist, so that by default packets are direct.
func encodeHTB(directLen uint32) ([]byte, error) {
	glob := make([]byte, 0, 20)
	for _, v := range []uint32{htbVersion, rootR2Q, 0, 0, 0} {
		glob = binary.NativeEndian.AppendUint32(glob, v)
	}
	e := netlink.NewAttributeEncoder()
	e.Bytes(htbInit, glob)
	if directLen == 0 {
		e.Uint32(htbDirectLen, wasWithoutOne)
	} else {
		e.Uint32(htbDirectLen, max(directLen, directQueue))
	}
	return e.Encode()
}

// hadNoQueue reports whether our root found its interface without a transmit queue.
func hadNoQueue(root tcObject) bool {
	d, err := netlink.NewAttributeDecoder(root.options)
	if err != nil {
		return false
	}
	for d.Next() {
		if d.Type() == htbDirectLen {
			return len(d.Bytes()) == 4 && d.Uint32() == wasWithoutOne
		}
	}
	return false
}

// isOurRoot reports whether a qdisc is our root: its place, its handle, its kind, and its options.
func isOurRoot(o tcObject) bool {
	if o.parent != tcRoot || o.handle != handleOf(rootMajor, 0) || o.kind != "htb" {
		return false
	}
	d, err := netlink.NewAttributeDecoder(o.options)
	if err != nil {
		return false
	}
	for d.Next() {
		if b := d.Bytes(); d.Type() == htbInit && len(b) >= 12 {
			return binary.NativeEndian.Uint32(b[4:]) == rootR2Q && binary.NativeEndian.Uint32(b[8:]) == 0
		}
	}
	return false
}

// htbClass is one class: its rate, and how much may go at once after a pause.
type htbClass struct {
	rate  uint64 // bytes per second
	burst uint64 // bytes
	// quantum is how many bytes it may send in its turn, when several classes wait. It also tells whose class it is.
	quantum uint32
}

// linkEthernet says that the kernel computes sending times itself, so that no table of them need be sent along.
const linkEthernet = 1

// encode returns struct tc_htb_opt (two of struct tc_ratespec, buffer, cbuffer, quantum, level, prio), and the rate in
// 64 bits if 32 are too few. Buffers are how long the burst takes to send at the rate:
//
//	buffer [ticks] = burst [bytes] / rate [bytes/s] / 64 ns
func (c htbClass) encode() ([]byte, error) {
	spec := make([]byte, 12) // cell_log, linklayer, overhead, cell_align, mpu, rate
	spec[1] = linkEthernet
	binary.NativeEndian.PutUint32(spec[8:], uint32(min(c.rate, math.MaxUint32)))
	opt := append(append(make([]byte, 0, 44), spec...), spec...)
	ticks := math.Ceil(float64(c.burst) / float64(c.rate) * float64(time.Second/tickLength))
	buffer := uint32(min(max(ticks, 1), math.MaxUint32))
	for _, v := range []uint32{buffer, buffer, c.quantum, 0, 0} {
		opt = binary.NativeEndian.AppendUint32(opt, v)
	}
	e := netlink.NewAttributeEncoder()
	e.Bytes(htbParms, opt)
	if c.rate > math.MaxUint32 {
		e.Uint64(htbRate64, c.rate)
		e.Uint64(htbCeil64, c.rate)
	}
	return e.Encode()
}

// decodeQuantum reads the quantum of a class, or 0 if it is no class of htb.
func decodeQuantum(o tcObject) uint32 {
	d, err := netlink.NewAttributeDecoder(o.options)
	if err != nil || o.kind != "htb" {
		return 0
	}
	for d.Next() {
		if b := d.Bytes(); d.Type() == htbParms && len(b) >= 44 {
			return binary.NativeEndian.Uint32(b[32:])
		}
	}
	return 0
}
