package dns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// running are the forwarders of this process, by table: what a revert, which has the ledger's entry alone, must stop if
// it happens to be in the process that serves.
var running sync.Map

// stopForwarder stops the table's forwarder, if it is here.
func stopForwarder(table string) {
	if f, here := running.LoadAndDelete(table); here {
		f.(*forwarder).stop()
	}
}

// outage is one outage at one place.
type outage struct {
	plan
	undo      undo
	left      []string // resolvers that cannot be hit
	forwarder *forwarder
	redirects []redirection
	rounds    int // of probes
}

func bind(p plan) (faults.Injection, error) { return &outage{plan: p}, nil }

// targets returns the resolvers to hit.
func (o *outage) targets() (list []netip.Addr, odd []string, err error) {
	if len(o.resolvers) > 0 {
		return o.resolvers, nil, nil
	}
	return ownResolvers(o.place)
}

// Undo makes sure that the table which Inject will add is not there, nor that of another outage, and names it.
func (o *outage) Undo(ctx context.Context) (json.RawMessage, error) {
	if err := o.refuseSelfCut(os.Getenv); err != nil {
		return nil, err
	}
	o.undo = netns.NewUndo(tablePrefix, faults.OwnerOf(ctx))
	err := netns.NFT(ctx, o.seen.Open, func(c *nftables.Conn, _ *os.File) error {
		return errors.Join(o.undo.Refuse(c), checkAlone(c, o.undo.Table))
	})
	if err != nil {
		return nil, fmt.Errorf("reading the network of %s: %w", o.place.Name, err)
	}
	return json.Marshal(o.undo)
}

// Inject opens the forwarder's sockets, then adds the table that leads queries there, all of it or nothing.
func (o *outage) Inject(ctx context.Context, lease time.Duration) error {
	err := netns.NFT(ctx, o.seen.Open, func(c *nftables.Conn, ns *os.File) error {
		resolvers, odd, err := o.targets()
		if err != nil {
			return err
		}
		o.left = odd
		if err := o.serve(ns, resolvers, lease); err != nil {
			return err
		}
		faults.Reach(ctx, faults.MidInject)
		if err := compose(c, o.undo, o.redirects, lease); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
		o.forwarder.renew(lease)
		return checkAlone(c, o.undo.Table) // two that came at the same time both go
	})
	if errors.Is(err, unix.EEXIST) {
		err = o.undo.InTheWay()
	}
	if err != nil {
		stopForwarder(o.undo.Table)
		return fmt.Errorf("injecting a DNS outage on %s: %w", o.place.Name, err)
	}
	return nil
}

// serve starts the forwarder with sockets in the namespace.
func (o *outage) serve(ns *os.File, resolvers []netip.Addr, lease time.Duration) error {
	home, err := netns.Again(ns)
	if err != nil {
		return err
	}
	var list []listener
	var left []string
	err = netns.Within(home, func() (err error) {
		list, left, err = listen(resolvers)
		return err
	})
	if err != nil {
		return errors.Join(err, home.Close())
	}
	o.left = append(o.left, left...)
	o.redirects = redirections(list)
	o.forwarder = newForwarder(o.treatment, list, dialer(home), func() { home.Close() }, lease)
	running.Store(o.undo.Table, o.forwarder)
	return nil
}

// Renew gives the kernel's maps and the forwarder another lease. If nobody but the forwarder's sockets keeps the
// namespace, they are closed, so that the namespace can end.
func (o *outage) Renew(ctx context.Context, lease time.Duration) error {
	err := netns.NFT(ctx, netns.Wide(o.place), func(c *nftables.Conn, _ *os.File) error {
		stands, err := standing(c, o.undo, o.redirects)
		if err == nil && !stands {
			err = faults.ErrLapsed
		}
		if err == nil {
			err = prolong(c, o.undo, o.redirects, lease)
		}
		if err != nil {
			return err
		}
		return c.Flush()
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, netns.ErrGone) {
		err = faults.ErrLapsed
	}
	if errors.Is(err, faults.ErrLapsed) {
		stopForwarder(o.undo.Table)
	}
	if err != nil {
		return fmt.Errorf("renewing the DNS outage of %s: %w", o.place.Name, err)
	}
	o.forwarder.renew(lease)
	return nil
}

// revert removes the entry's table, if it is there and ours, makes sure that it is gone, and then stops the forwarder if
// it is in this process: as long as queries are led there, somebody answers.
func revert(ctx context.Context, e faults.Entry) error {
	u, err := netns.ReadUndo(tablePrefix, e)
	if err != nil {
		return err
	}
	err = u.Remove(ctx, e.Place)
	if err == nil || errors.Is(err, netns.ErrGone) {
		faults.Reach(ctx, faults.MidRevert)
		stopForwarder(u.Table)
		return nil
	}
	return fmt.Errorf("ending the DNS outage of %s: %w", e.Place.Name, err)
}
