package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Traffic control over rtnetlink, as much as this package needs. A message is a struct tcmsg (linux/rtnetlink.h) and
// attributes; numbers are in the machine's byte order.

// Handles of traffic control are two numbers of 16 bits, written in hexadecimal as "major:minor". A qdisc has no minor.
type handle uint32

// tcRoot is the parent of an interface's root qdisc (TC_H_ROOT).
const tcRoot handle = 0xffffffff

func handleOf(major, minor uint16) handle { return handle(major)<<16 | handle(minor) }

func (h handle) major() uint16 { return uint16(h >> 16) }

// String returns "6ada:12", as tc writes it.
func (h handle) String() string {
	if h == tcRoot {
		return "root"
	}
	if h&0xffff == 0 {
		return fmt.Sprintf("%x:", h.major())
	}
	return fmt.Sprintf("%x:%x", h.major(), uint16(h))
}

// tcObject is a qdisc or a class, as asked for or as it stands.
type tcObject struct {
	link    int
	handle  handle
	parent  handle
	leaf    handle // of a class: the qdisc below it; of a qdisc: how often it is referred to
	kind    string // "htb", "netem", …
	options []byte // in the layout of the kind
	stats   tcStats
}

// tcStats are the counters of a qdisc or a class.
type tcStats struct {
	bytes, packets uint64 // sent
	queued         uint32 // packets that wait
	dropped        uint32
}

// tcmsgSize is the size of struct tcmsg.
const tcmsgSize = 20

// encode returns the message's body: unspecified family, three bytes of padding, then the numbers.
func (o tcObject) encode() ([]byte, error) {
	b := make([]byte, tcmsgSize)
	b[0] = unix.AF_UNSPEC
	binary.NativeEndian.PutUint32(b[4:], uint32(int32(o.link)))
	binary.NativeEndian.PutUint32(b[8:], uint32(o.handle))
	binary.NativeEndian.PutUint32(b[12:], uint32(o.parent))
	if o.kind == "" {
		return b, nil
	}
	e := netlink.NewAttributeEncoder()
	e.String(unix.TCA_KIND, o.kind)
	if o.options != nil {
		e.Bytes(unix.TCA_OPTIONS, o.options)
	}
	attributes, err := e.Encode()
	return append(b, attributes...), err
}

// decodeTC reads one message of an answer. It returns an error, and never panics, on anything else.
func decodeTC(b []byte) (tcObject, error) {
	if len(b) < tcmsgSize {
		return tcObject{}, fmt.Errorf("reading a qdisc: %d bytes are too few", len(b))
	}
	o := tcObject{
		link:   int(int32(binary.NativeEndian.Uint32(b[4:]))),
		handle: handle(binary.NativeEndian.Uint32(b[8:])),
		parent: handle(binary.NativeEndian.Uint32(b[12:])),
		leaf:   handle(binary.NativeEndian.Uint32(b[16:])),
	}
	d, err := netlink.NewAttributeDecoder(b[tcmsgSize:])
	if err != nil {
		return o, fmt.Errorf("reading a qdisc: %w", err)
	}
	for d.Next() {
		switch d.Type() {
		case unix.TCA_KIND:
			o.kind = d.String()
		case unix.TCA_OPTIONS:
			o.options = d.Bytes()
		case unix.TCA_STATS2:
			d.Nested(o.stats.decode)
		}
	}
	if err := d.Err(); err != nil {
		return o, fmt.Errorf("reading a qdisc: %w", err)
	}
	return o, nil
}

// Attributes of TCA_STATS2 (linux/gen_stats.h).
const (
	statsBasic = 1 // struct gnet_stats_basic: u64 bytes, u32 packets
	statsQueue = 3 // struct gnet_stats_queue: u32 qlen, backlog, drops, requeues, overlimits
	statsPkt64 = 8 // u64 packets, where 32 bits are too few
)

func (s *tcStats) decode(d *netlink.AttributeDecoder) error {
	wide := false
	for d.Next() {
		b := d.Bytes()
		switch {
		case d.Type() == statsBasic && len(b) >= 12:
			s.bytes = binary.NativeEndian.Uint64(b)
			if !wide {
				s.packets = uint64(binary.NativeEndian.Uint32(b[8:]))
			}
		case d.Type() == statsPkt64 && len(b) >= 8:
			s.packets, wide = binary.NativeEndian.Uint64(b), true
		case d.Type() == statsQueue && len(b) >= 12:
			s.queued = binary.NativeEndian.Uint32(b)
			s.dropped = binary.NativeEndian.Uint32(b[8:])
		}
	}
	return nil
}

// tcConn speaks rtnetlink in one network namespace.
type tcConn struct{ *netlink.Conn }

// send asks for one change and waits for the kernel's word on it.
func (c tcConn) send(kind netlink.HeaderType, flags netlink.HeaderFlags, o tcObject) error {
	data, err := o.encode()
	if err != nil {
		return err
	}
	_, err = c.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Acknowledge | flags}, Data: data})
	return err
}

// makeNew says that the object must not be there yet.
const makeNew = netlink.Create | netlink.Excl

func (c tcConn) addQdisc(o tcObject) error { return c.send(unix.RTM_NEWQDISC, makeNew, o) }

func (c tcConn) addClass(o tcObject) error { return c.send(unix.RTM_NEWTCLASS, makeNew, o) }

func (c tcConn) deleteQdisc(link int, parent, h handle) error {
	return c.send(unix.RTM_DELQDISC, 0, tcObject{link: link, parent: parent, handle: h})
}

func (c tcConn) deleteClass(link int, h handle) error {
	return c.send(unix.RTM_DELTCLASS, 0, tcObject{link: link, handle: h})
}

// qdiscs returns the qdiscs of an interface.
func (c tcConn) qdiscs(link int) ([]tcObject, error) {
	all, err := c.list(unix.RTM_GETQDISC, link)
	if err != nil {
		return nil, fmt.Errorf("listing qdiscs: %w", err)
	}
	return all, nil
}

// classes returns the classes of an interface.
func (c tcConn) classes(link int) ([]tcObject, error) {
	all, err := c.list(unix.RTM_GETTCLASS, link)
	if err != nil {
		return nil, fmt.Errorf("listing classes: %w", err)
	}
	return all, nil
}

func (c tcConn) list(kind netlink.HeaderType, link int) ([]tcObject, error) {
	data, err := tcObject{link: link}.encode()
	if err != nil {
		return nil, err
	}
	answers, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump}, Data: data})
	if errors.Is(err, unix.ENODEV) {
		return nil, nil // the interface is gone, and all of it
	}
	if err != nil {
		return nil, err
	}
	var all []tcObject
	for _, m := range answers {
		o, err := decodeTC(m.Data)
		if err != nil {
			return nil, err
		}
		if o.link == link { // a dump of qdiscs is of all interfaces
			all = append(all, o)
		}
	}
	return all, nil
}

// dialTC opens a connection in the namespace. Its user closes it.
func dialTC(ns *os.File) (tcConn, error) {
	conf := &netlink.Config{}
	if ns != nil {
		conf.NetNS = int(ns.Fd())
	}
	c, err := netlink.Dial(unix.NETLINK_ROUTE, conf)
	if err != nil {
		return tcConn{}, fmt.Errorf("opening rtnetlink: %w", err)
	}
	// The kernel's own words say what is wrong with a request; a kernel too old for that does without.
	_ = c.SetOption(netlink.ExtendedAcknowledge, true)
	return tcConn{c}, nil
}
