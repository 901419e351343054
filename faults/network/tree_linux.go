package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// The qdisc tree on an interface while two injections shape it:
//
//	root  htb 6ada: default 0        all that no rule of ours selects goes to its direct queue, untouched
//	 ├─ class 6ada:12                packets whose skb->priority is 6ada:12, which only our table sets
//	 │   └─ netem 12: delay 100ms
//	 └─ class 6ada:34
//	     └─ bfifo 34:
//
// It is inert without the table. Whoever leaves last deletes the root, and the kernel puts its default back.

// branch is an injection's part of the tree, on every interface that it shapes. It stands in the ledger.
type branch struct {
	// Minor is that of the class "6ada:MINOR" and the major of the qdisc below it.
	Minor uint16 `json:"minor"`
	// Quantum tells the class from one that somebody else made with the same number.
	Quantum uint32       `json:"quantum"`
	Links   []shapedLink `json:"links"`
}

// shapedLink is one interface, and the root qdisc that it had.
type shapedLink struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	Queue uint32 `json:"queue"`
	Kind  string `json:"was"`
	// Handle is "0:" for the kernel's default, which comes back by itself.
	Handle string `json:"was_handle"`
}

func (b branch) class() handle { return handleOf(rootMajor, b.Minor) }
func (b branch) leaf() handle  { return handleOf(b.Minor, 0) }

// leafSpec is what hangs below an injection's class.
type leafSpec struct {
	class   htbClass // without the quantum
	kind    string   // "netem", "bfifo"
	options []byte
}

// Minors are taken from 1 up to but not including autoMajor, from where the kernel chooses handles by itself.
const autoMajor = 0x8000

// plant computes the branch of an injection and touches nothing. It refuses interfaces with a root qdisc that somebody
// set.
func (c tcConn) plant(o faults.Owner, s *selection) (branch, error) {
	links, err := c.egress(s)
	if err != nil {
		return branch{}, err
	}
	if len(links) == 0 {
		return branch{}, fmt.Errorf("no interface of %s has a route to any of the addresses: nothing to shape", s.place.Name)
	}
	sum := netns.Digest(o)
	b := branch{Minor: binary.BigEndian.Uint16(sum[6:8]), Quantum: 1<<16 | uint32(binary.BigEndian.Uint16(sum[8:10]))}
	var taken []uint16
	for _, l := range links {
		shaped, err := c.inspect(l)
		if err != nil {
			return b, err
		}
		b.Links = append(b.Links, shaped)
		classes, err := c.classes(l.index)
		if err != nil {
			return b, err
		}
		for _, class := range classes {
			taken = append(taken, uint16(class.handle))
		}
	}
	b.Minor = freeMinor(b.Minor, taken)
	return b, nil
}

// inspect reads the interface's root qdisc. It refuses one that somebody set. A transmit queue that the kernel gave the
// interface when our root came is not the interface's own, and goes with the root.
func (c tcConn) inspect(l link) (shapedLink, error) {
	root, err := c.root(l.index)
	if err != nil {
		return shapedLink{}, err
	}
	s := shapedLink{l.index, l.name, l.queue, root.kind, root.handle.String()}
	if root.handle == 0 {
		return s, nil
	}
	if !isOurRoot(root) {
		return s, foreignRoot(l.name, root)
	}
	if l.queue == directQueue && hadNoQueue(root) {
		s.Queue = 0
	}
	return s, nil
}

// replant returns the branch with its interfaces as they are now. The caller holds the lock.
func (c tcConn) replant(b branch) (branch, error) {
	links, err := c.links()
	if err != nil {
		return b, err
	}
	old := b.Links
	b.Links = nil
	for _, was := range old {
		i := slices.IndexFunc(links, func(l link) bool { return l.index == was.Index })
		if i < 0 {
			return b, fmt.Errorf("interface %s is gone since it was looked at; nothing was touched", was.Name)
		}
		now, err := c.inspect(links[i])
		if err != nil {
			return b, err
		}
		b.Links = append(b.Links, now)
	}
	return b, nil
}

// freeMinor returns the first number from wish on that is neither taken nor reserved.
func freeMinor(wish uint16, taken []uint16) uint16 {
	for m := wish % autoMajor; ; m = (m + 1) % autoMajor {
		if m != 0 && m != rootMajor && !slices.Contains(taken, m) {
			return m
		}
	}
}

func foreignRoot(name string, root tcObject) error {
	return fmt.Errorf("%w: interface %s has a root qdisc %s %v that somebody set; look at it with "+
		"`tc qdisc show dev %s`, and remove it with `tc qdisc del dev %s root` if nobody needs it",
		faults.ErrForeign, name, root.kind, root.handle, name, name)
}

// root returns the interface's root qdisc. One that is down may have none to show, which is a default too.
func (c tcConn) root(index int) (tcObject, error) {
	all, err := c.qdiscs(index)
	if err != nil {
		return tcObject{}, err
	}
	for _, q := range all {
		if q.parent == tcRoot {
			return q, nil
		}
	}
	return tcObject{link: index, parent: tcRoot, kind: "noop"}, nil
}

// grow adds the branch on every interface. The caller holds the lock.
func (c tcConn) grow(b branch, spec leafSpec) error {
	for _, l := range b.Links {
		if err := c.growOn(l, b, spec); err != nil {
			return fmt.Errorf("shaping interface %s: %w", l.Name, err)
		}
	}
	return nil
}

func (c tcConn) growOn(l shapedLink, b branch, spec leafSpec) error {
	root, err := c.root(l.Index)
	if err != nil {
		return err
	}
	if !isOurRoot(root) {
		if root.handle != 0 {
			return foreignRoot(l.Name, root)
		}
		options, err := encodeHTB(l.Queue)
		if err != nil {
			return err
		}
		err = c.addQdisc(tcObject{link: l.Index, parent: tcRoot, handle: handleOf(rootMajor, 0), kind: "htb",
			options: options})
		if err != nil {
			return refused("htb", err)
		}
	}
	class := spec.class
	class.quantum = b.Quantum
	options, err := class.encode()
	if err != nil {
		return err
	}
	err = c.addClass(tcObject{link: l.Index, parent: handleOf(rootMajor, 0), handle: b.class(), kind: "htb",
		options: options})
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: class %v is there already", faults.ErrForeign, b.class())
	}
	if err != nil {
		return refused("htb class", err)
	}
	err = c.addQdisc(tcObject{link: l.Index, parent: b.class(), handle: b.leaf(), kind: spec.kind, options: spec.options})
	if err != nil {
		return refused(spec.kind, err)
	}
	return nil
}

// refused words what the kernel said to a qdisc or class of a kind.
func refused(kind string, err error) error {
	if errors.Is(err, unix.ENOENT) {
		return missing(kind)
	}
	return fmt.Errorf("adding %s: %w", kind, err)
}

// missing says that the kernel lacks a qdisc.
func missing(kind string) error {
	return fmt.Errorf("the kernel has no %s: module sch_%s is neither built in nor can it be loaded "+
		"(CONFIG_NET_SCH_%s); Debian's standard and cloud kernels have it", kind, kind, kindOption[kind])
}

// kindOption names the kernel's build options after "CONFIG_NET_SCH_".
var kindOption = map[string]string{"htb": "HTB", "netem": "NETEM", "bfifo": "FIFO"}

// class returns the branch's own class on an interface: not one that has its number by chance.
func (c tcConn) class(index int, b branch) (tcObject, bool, error) {
	root, err := c.root(index)
	if err != nil || !isOurRoot(root) {
		return tcObject{}, false, err
	}
	classes, err := c.classes(index)
	if err != nil {
		return tcObject{}, false, err
	}
	for _, class := range classes {
		if class.handle == b.class() && decodeQuantum(class) == b.Quantum {
			return class, true, nil
		}
	}
	return tcObject{}, false, nil
}

// fell removes the branch from every interface, and the root where it was the last. The caller holds the lock. What is
// gone already, or is somebody else's, is let alone.
func (c tcConn) fell(b branch) error {
	var errs []error
	for _, l := range b.Links {
		if err := c.fellOn(l, b); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("clearing interface %s: %w", l.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (c tcConn) fellOn(l shapedLink, b branch) error {
	root, err := c.root(l.Index)
	if err != nil || !isOurRoot(root) {
		return err
	}
	_, found, err := c.class(l.Index, b)
	if err != nil {
		return err
	}
	if found {
		if err := c.deleteClass(l.Index, b.class()); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("deleting class %v: %w", b.class(), err)
		}
		if _, found, err = c.class(l.Index, b); err != nil || found {
			return errors.Join(err, fmt.Errorf("class %v is still there after it was deleted", b.class()))
		}
	}
	left, err := c.classes(l.Index)
	if err != nil {
		return err
	}
	for _, class := range left {
		if decodeQuantum(class)>>16 != 1 {
			return fmt.Errorf("%w: below our qdisc %v somebody added class %v; delete it, and revert again",
				faults.ErrForeign, root.handle, class.handle)
		}
	}
	if len(left) > 0 {
		return nil // of another injection, which will be the last
	}
	if hadNoQueue(root) { // before the root goes, which knows of it
		if err := c.dropQueue(l.Index); err != nil {
			return err
		}
	}
	if err := c.deleteQdisc(l.Index, tcRoot, root.handle); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("deleting qdisc %v: %w", root.handle, err)
	}
	if root, err = c.root(l.Index); err == nil && isOurRoot(root) {
		err = fmt.Errorf("qdisc %v is still there after it was deleted", root.handle)
	}
	return err
}

// counters sums what the branch's leaves have counted, and reports whether all of them stand.
func (c tcConn) counters(b branch) (sum tcStats, whole bool, err error) {
	whole = true
	for _, l := range b.Links {
		_, found, err := c.class(l.Index, b)
		if err != nil {
			return sum, false, err
		}
		all, err := c.qdiscs(l.Index)
		if err != nil {
			return sum, false, err
		}
		i := slices.IndexFunc(all, func(q tcObject) bool { return q.handle == b.leaf() && q.parent == b.class() })
		if !found || i < 0 {
			whole = false
			continue
		}
		s := all[i].stats
		sum.bytes += s.bytes
		sum.packets += s.packets
		sum.queued += s.queued
		sum.dropped += s.dropped
	}
	return sum, whole, nil
}

// drainLimit is how long a revert waits for packets that its class still holds.
const drainLimit = 250 * time.Millisecond

// drain waits until the branch's leaves are empty, or drainLimit: deleting them throws away what they hold.
func (c tcConn) drain(ctx context.Context, b branch) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	t := time.NewTicker(lockStep)
	defer t.Stop()
	for {
		if s, _, err := c.counters(b); err != nil || s.queued == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// withTree calls f with a connection to the namespace's traffic control.
func withTree(ctx context.Context, open netns.Door, f func(tcConn, *os.File) error) error {
	return netns.With(ctx, open, func(ns *os.File) error {
		c, err := dialTC(ns)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(netns.Deadline(ctx)); err != nil {
			return fmt.Errorf("opening rtnetlink: %w", err)
		}
		return f(c, ns)
	})
}
