package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"gameday/faults"
)

// Pace of the look for an effect.
const (
	lookStep    = 50 * time.Millisecond
	netlinkPace = 10 * time.Second // the longest wait for one answer of the kernel
	probeLimit  = 4                // ranges that are probed
	probeRounds = 20               // rounds of probes at most, so that they stay harmless
)

// partition is one cut at one place.
type partition struct {
	plan
	undo   undo
	probes uint64 // own packets that the kernel refused to send
	rounds int
}

func bind(p plan) (faults.Injection, error) { return &partition{plan: p}, nil }

// Undo makes sure that the table which Inject will add is not there, and names it.
func (p *partition) Undo(ctx context.Context) (json.RawMessage, error) {
	p.undo = newUndo(faults.OwnerOf(ctx))
	err := inNamespace(ctx, *p.place.Network, func(c *nftables.Conn, _ *os.File) error {
		found, err := findTable(c, p.undo.Table)
		if err == nil && found {
			err = foreign(p.undo.Table)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the network of %s: %w", p.place.Name, err)
	}
	return json.Marshal(p.undo)
}

func foreign(table string) error {
	return fmt.Errorf("%w: there is a table inet %s already; if no run is under way, "+
		"`gameday revert` removes what is ours",
		faults.ErrForeign, table)
}

// Inject adds the table, all of it or nothing, and fails if somebody else was faster.
func (p *partition) Inject(ctx context.Context, lease time.Duration) error {
	err := inNamespace(ctx, *p.place.Network, func(c *nftables.Conn, _ *os.File) error {
		if err := p.compose(c, p.undo, lease); err != nil {
			return err
		}
		return c.Flush()
	})
	if errors.Is(err, unix.EEXIST) {
		err = foreign(p.undo.Table)
	}
	if err != nil {
		return fmt.Errorf("cutting the network of %s: %w", p.place.Name, err)
	}
	return nil
}

// Renew gives all elements a new timeout in one transaction: the kernel deletes and adds them at once, so no packet
// slips through, and if one of them has lapsed it does neither.
func (p *partition) Renew(ctx context.Context, lease time.Duration) error {
	err := inNamespace(ctx, *p.place.Network, func(c *nftables.Conn, _ *os.File) error {
		standing, err := p.standing(c)
		if err == nil && !standing {
			err = faults.ErrLapsed
		}
		if err != nil {
			return err
		}
		table := &nftables.Table{Name: p.undo.Table, Family: nftables.TableFamilyINet}
		for _, s := range p.specs() {
			set := s.set(table, p.undo.Mark)
			list := s.elements(set.Interval, lease)
			remove := func(part []nftables.SetElement) error { return c.SetDeleteElements(set, part) }
			if err := errors.Join(inChunks(list, remove), addElements(c, set, list)); err != nil {
				return err
			}
		}
		return c.Flush()
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, errGone) {
		err = faults.ErrLapsed
	}
	if err != nil {
		return fmt.Errorf("renewing the cut of %s: %w", p.place.Name, err)
	}
	return nil
}

// standing reports whether every element is still in its set. The kernel leaves lapsed ones out of its answer, even
// before it has freed them; older ones would let them be renewed.
func (p *partition) standing(c *nftables.Conn) (bool, error) {
	if found, err := findTable(c, p.undo.Table); err != nil || !found {
		return false, err
	}
	table := &nftables.Table{Name: p.undo.Table, Family: nftables.TableFamilyINet}
	for _, s := range p.specs() {
		list, err := c.GetSetElements(s.set(table, p.undo.Mark))
		if err != nil {
			return false, fmt.Errorf("reading set %s: %w", s.name, err)
		}
		live := 0
		for _, e := range list {
			if !e.IntervalEnd {
				live++
			}
		}
		if live < len(s.ranges) {
			return false, nil
		}
	}
	return true, nil
}

// Effect waits until the kernel has counted a packet that it cut. What leaves the place it provokes itself, with
// empty datagrams that the cut keeps from leaving; what comes in has to be sent by others.
func (p *partition) Effect(ctx context.Context) (faults.Effect, error) {
	t := time.NewTicker(lookStep)
	defer t.Stop()
	var last faults.Effect
	for {
		e, err := p.look(ctx)
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)):
			return last, nil
		case err != nil || e.Proven:
			return e, err
		}
		last = e
		select {
		case <-ctx.Done():
			return e, nil
		case <-t.C:
		}
	}
}

func (p *partition) look(ctx context.Context) (faults.Effect, error) {
	var packets uint64
	var standing bool
	var probed error
	err := inNamespace(ctx, *p.place.Network, func(c *nftables.Conn, ns *os.File) (err error) {
		if standing, err = p.standing(c); err != nil || !standing {
			return err
		}
		if packets, err = p.count(c); err != nil || packets > 0 || !p.out || p.rounds >= probeRounds {
			return err
		}
		p.rounds++
		probed = within(ns, p.probe)
		now, err := p.count(c)
		p.probes += now - packets
		packets = now
		return err
	})
	if err != nil {
		return faults.Effect{}, fmt.Errorf("looking for the cut of %s: %w", p.place.Name, err)
	}
	return p.effect(packets, standing, probed), nil
}

// effect words the evidence.
func (p *partition) effect(packets uint64, standing bool, probed error) faults.Effect {
	e := faults.Effect{Details: map[string]string{"table": p.undo.Table, "packets": strconv.FormatUint(packets, 10)}}
	verb := "dropped"
	if p.reject {
		verb = "rejected"
	}
	if p.probes > 0 {
		e.Details["own_probes"] = strconv.FormatUint(min(p.probes, packets), 10)
	}
	switch {
	case !standing:
		e.Summary = "the lease ran out: nothing is cut"
	case packets == 0:
		e.Summary = "no packet " + verb
		if !p.out {
			e.Summary += ": none came from the other side"
		}
	case packets == 1:
		e.Proven, e.Summary = true, "1 packet "+verb
	default:
		e.Proven, e.Summary = true, fmt.Sprintf("%d packets %s", packets, verb)
	}
	if probed != nil {
		e.Details["probe"] = probed.Error()
	}
	return e
}

// count sums the counters of the table's rules.
func (p *partition) count(c *nftables.Conn) (uint64, error) {
	var sum uint64
	table := &nftables.Table{Name: p.undo.Table, Family: nftables.TableFamilyINet}
	for _, spec := range p.chains() {
		rules, err := c.GetRules(table, &nftables.Chain{Name: spec.name, Table: table})
		if err != nil {
			return 0, fmt.Errorf("reading chain %s: %w", spec.name, err)
		}
		for _, r := range rules {
			for _, x := range r.Exprs {
				if n, ok := x.(*expr.Counter); ok {
					sum += n.Packets
				}
			}
		}
	}
	return sum, nil
}

// discard is the port of RFC 863, to which anything may be sent.
const discard = 9

// probe sends one empty datagram each to the first ranges. The kernel refuses it (EPERM) if the cut works.
func (p *partition) probe() error {
	port := uint16(discard)
	if len(p.ports) > 0 {
		port = p.ports[0]
	}
	var errs []error
	for _, r := range p.ranges[:min(len(p.ranges), probeLimit)] {
		for _, to := range r.probeTargets(p.place.Addresses) {
			if err := sendEmpty(netip.AddrPortFrom(to, port)); err != nil && !errors.Is(err, unix.EPERM) {
				errs = append(errs, fmt.Errorf("%v: %w", to, err))
			}
		}
	}
	return errors.Join(errs...)
}

func sendEmpty(to netip.AddrPort) error {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, nil, 0, address)
}

// revert removes the entry's table, if it is there and ours, and makes sure that it is gone.
func revert(ctx context.Context, e faults.Entry) error {
	u, err := readUndo(e)
	if err != nil {
		return err
	}
	if e.Place.Network == nil {
		return errors.New("the entry names no network namespace")
	}
	err = inNamespace(ctx, *e.Place.Network, func(c *nftables.Conn, _ *os.File) error {
		found, err := findTable(c, u.Table)
		if err != nil || !found {
			return err
		}
		if err := checkMark(c, u); err != nil {
			return err
		}
		c.DelTable(&nftables.Table{Name: u.Table, Family: nftables.TableFamilyINet})
		if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("deleting table inet %s: %w", u.Table, err)
		}
		if found, err = findTable(c, u.Table); err == nil && found {
			err = fmt.Errorf("table inet %s is still there after it was deleted", u.Table)
		}
		return err
	})
	if err == nil || errors.Is(err, errGone) {
		return nil
	}
	return fmt.Errorf("healing the network of %s: %w", e.Place.Name, err)
}

// checkMark refuses a table of our name that our run did not make. Every rule of ours carries the mark as its
// comment.
func checkMark(c *nftables.Conn, u undo) error {
	table := &nftables.Table{Name: u.Table, Family: nftables.TableFamilyINet}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("reading table inet %s: %w", u.Table, err)
	}
	marked := false
	for _, chain := range chains {
		if chain.Table.Name != u.Table {
			continue
		}
		rules, err := c.GetRules(table, chain)
		if err != nil {
			return fmt.Errorf("reading table inet %s: %w", u.Table, err)
		}
		for _, r := range rules {
			if comment, _ := userdata.GetString(r.UserData, userdata.TypeComment); comment != u.Mark {
				return unmarked(u)
			}
			marked = true
		}
	}
	if !marked {
		return unmarked(u)
	}
	return nil
}

func unmarked(u undo) error {
	return fmt.Errorf("%w: table inet %s does not carry the mark %q; look at it with `nft list table inet %s`",
		faults.ErrForeign, u.Table, u.Mark, u.Table)
}

func findTable(c *nftables.Conn, name string) (bool, error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("listing tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == name {
			return true, nil
		}
	}
	return false, nil
}

// inNamespace calls f with a connection that opens a socket in the namespace for each request and closes it at
// once.
func inNamespace(ctx context.Context, n faults.Namespace, f func(*nftables.Conn, *os.File) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ns, err := openNamespace(n)
	if err != nil {
		return err
	}
	defer ns.Close()
	end, limited := ctx.Deadline()
	if latest := time.Now().Add(netlinkPace); !limited || latest.Before(end) {
		end = latest
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())),
		nftables.WithSockOptions(func(s *netlink.Conn) error { return s.SetDeadline(end) }))
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	err = f(c, ns)
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w; the guard needs CAP_NET_ADMIN in the target's network namespace: run it as root there", err)
	}
	return err
}
