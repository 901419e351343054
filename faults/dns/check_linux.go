package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// part is a part of the kernel that the table stands on.
type part struct {
	name string
	add  func(*nftables.Conn, *nftables.Table) error
}

// parts are in the order in which each needs the one before.
func parts() []part {
	return []part{
		{"nf_tables with tables of family inet (CONFIG_NF_TABLES_INET)",
			func(*nftables.Conn, *nftables.Table) error { return nil }},
		{"nf_tables maps whose elements have timeouts (Linux 4.1 or later)",
			func(c *nftables.Conn, t *nftables.Table) error {
				ask, _ := directories(t, families[0], []redirection{{families[0].loopback, 1}}, "check", time.Minute)
				return c.AddSet(ask.Set, ask.elements)
			}},
		{"nf_tables chains of type route for family inet (Linux 5.2 or later)",
			func(c *nftables.Conn, t *nftables.Table) error {
				c.AddChain(&nftables.Chain{Name: askChain, Table: t, Type: nftables.ChainTypeRoute,
					Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityRef(beforeTracking)})
				return nil
			}},
	}
}

// Check tries what the fault needs: the place's resolvers, sockets on its loopback addresses, and every part of the
// table. Each table it adds is deleted in the same transaction, so that nobody ever sees it.
func (o *outage) Check(ctx context.Context) error {
	if err := o.refuseSelfCut(os.Getenv); err != nil {
		return err
	}
	u := netns.NewUndo(tablePrefix, faults.OwnerOf(ctx))
	u.Table += "-check"
	err := netns.NFT(ctx, o.seen.Open, func(c *nftables.Conn, ns *os.File) error {
		resolvers, _, err := o.targets()
		if err != nil {
			return err
		}
		if err := rehearse(c, u, pretend(resolvers)); err != nil {
			return err
		}
		return netns.Within(ns, func() error {
			list, _, err := listen(resolvers)
			return errors.Join(err, closeAll(list))
		})
	})
	if err != nil {
		return fmt.Errorf("dns_outage cannot work on %s: %w", o.place.Name, err)
	}
	return nil
}

// rehearse adds the whole table and deletes it, in one transaction. If that is refused, it looks which part is.
func rehearse(c *nftables.Conn, u undo, list []redirection) error {
	table := u.NFT()
	if err := compose(c, u, list, time.Minute); err != nil {
		return err
	}
	refused := tryOut(c, table)
	if refused == nil || errors.Is(refused, os.ErrPermission) {
		return refused
	}
	for _, p := range parts() {
		if err := p.add(c, c.CreateTable(table)); err != nil {
			return err
		}
		if err := tryOut(c, table); err != nil {
			return lacks(p.name, err)
		}
	}
	return lacks("nf_tables rules that rewrite addresses and ports (Linux 4.10 or later)", refused)
}

// tryOut queues the end of the table and hands all to the kernel.
func tryOut(c *nftables.Conn, t *nftables.Table) error {
	c.DelTable(t)
	return c.Flush()
}

func lacks(name string, err error) error {
	for _, unknown := range []error{unix.ENOENT, unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.EINVAL} {
		if errors.Is(err, unknown) {
			return fmt.Errorf("this kernel has no %s: %w; use a kernel that has", name, err)
		}
	}
	return fmt.Errorf("trying %s: %w", name, err)
}

// pretend returns redirections to ports that nobody needs to listen on.
func pretend(resolvers []netip.Addr) []redirection {
	var list []redirection
	for i, r := range resolvers {
		list = append(list, redirection{r, uint16(i + 1)})
	}
	return list
}
