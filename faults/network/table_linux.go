package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"gameday/faults"
)

// table is the nftables table of one injection. Which addresses it hits stands in sets whose elements carry the lease
// as
// a timeout; its rules do nothing without them.
type table struct {
	selection
	undo undo
	// chains are the base chains, and rules returns those of one chain, in order. The rules that hit a packet have a
	// counter, others have none.
	chains   []chainSpec
	priority nftables.ChainPriority
	rules    func(c chainSpec, sets []*nftables.Set) [][]expr.Any
}

// reserve names the table after the injection and makes sure that there is none of that name.
func (t *table) reserve(ctx context.Context) error {
	t.undo = newUndo(faults.OwnerOf(ctx))
	err := inNamespace(ctx, *t.place.Network, func(c *nftables.Conn, _ *os.File) error {
		found, err := findTable(c, t.undo.Table)
		if err == nil && found {
			err = foreign(t.undo.Table)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the network of %s: %w", t.place.Name, err)
	}
	return nil
}

// add puts the table in, all of it or nothing, and fails if somebody else was faster.
func (t *table) add(ctx context.Context, lease time.Duration) error {
	err := inNamespace(ctx, *t.place.Network, func(c *nftables.Conn, _ *os.File) error {
		if err := t.compose(c, lease); err != nil {
			return err
		}
		return c.Flush()
	})
	if errors.Is(err, unix.EEXIST) {
		err = foreign(t.undo.Table)
	}
	return err
}

// compose queues the whole table. It becomes visible at once or not at all when the connection is flushed.
func (t *table) compose(c *nftables.Conn, lease time.Duration) error {
	own := c.CreateTable(&nftables.Table{Name: t.undo.Table, Family: nftables.TableFamilyINet})
	var sets []*nftables.Set
	for _, s := range t.specs() {
		set := s.set(own, t.undo.Mark)
		if err := c.AddSet(set, nil); err != nil {
			return fmt.Errorf("composing set %s: %w", s.name, err)
		}
		if err := addElements(c, set, s.elements(set.Interval, lease)); err != nil {
			return err
		}
		sets = append(sets, set)
	}
	if len(t.ports) > 0 {
		set := &nftables.Set{Table: own, Name: portSet, KeyType: nftables.TypeInetService,
			KeyByteOrder: binaryutil.BigEndian}
		var list []nftables.SetElement
		for _, port := range t.ports {
			list = append(list, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(port)})
		}
		if err := c.AddSet(set, nil); err != nil {
			return fmt.Errorf("composing set %s: %w", portSet, err)
		}
		if err := addElements(c, set, list); err != nil {
			return err
		}
	}
	accepting := nftables.ChainPolicyAccept
	comment := userdata.AppendString(nil, userdata.TypeComment, t.undo.Mark)
	for _, spec := range t.chains {
		chain := c.AddChain(&nftables.Chain{Name: spec.name, Table: own, Type: nftables.ChainTypeFilter,
			Hooknum: spec.hook, Priority: nftables.ChainPriorityRef(t.priority), Policy: &accepting})
		for _, exprs := range t.rules(spec, sets) {
			c.AddRule(&nftables.Rule{Table: own, Chain: chain, Exprs: exprs, UserData: comment})
		}
	}
	return nil
}

// renew gives all elements a new timeout in one transaction: the kernel deletes and adds them at once, so no packet
// slips through, and if one of them has lapsed it does neither.
func (t *table) renew(ctx context.Context, lease time.Duration) error {
	err := inNamespace(ctx, *t.place.Network, func(c *nftables.Conn, _ *os.File) error {
		standing, err := t.standing(c)
		if err == nil && !standing {
			err = faults.ErrLapsed
		}
		if err != nil {
			return err
		}
		own := &nftables.Table{Name: t.undo.Table, Family: nftables.TableFamilyINet}
		for _, s := range t.specs() {
			set := s.set(own, t.undo.Mark)
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
		return fmt.Errorf("renewing the lease of %s: %w", t.place.Name, err)
	}
	return nil
}

// standing reports whether every element is still in its set. The kernel leaves lapsed ones out of its answer, even
// before it has freed them; older ones would let them be renewed.
func (t *table) standing(c *nftables.Conn) (bool, error) {
	if found, err := findTable(c, t.undo.Table); err != nil || !found {
		return false, err
	}
	own := &nftables.Table{Name: t.undo.Table, Family: nftables.TableFamilyINet}
	for _, s := range t.specs() {
		list, err := c.GetSetElements(s.set(own, t.undo.Mark))
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

// count sums the counters of the table's rules.
func (t *table) count(c *nftables.Conn) (uint64, error) {
	var sum uint64
	own := &nftables.Table{Name: t.undo.Table, Family: nftables.TableFamilyINet}
	for _, spec := range t.chains {
		rules, err := c.GetRules(own, &nftables.Chain{Name: spec.name, Table: own})
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

// removeTable removes the entry's table, if it is there and ours, and makes sure that it is gone.
func removeTable(ctx context.Context, n faults.Namespace, u undo) error {
	return inNamespace(ctx, n, func(c *nftables.Conn, _ *os.File) error {
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

func foreign(table string) error {
	return fmt.Errorf("%w: there is a table inet %s already; if no run is under way, "+
		"`gameday revert` removes what is ours",
		faults.ErrForeign, table)
}
