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
	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
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
	t.undo = netns.NewUndo(tablePrefix, faults.OwnerOf(ctx))
	err := netns.NFT(ctx, t.seen.Open, func(c *nftables.Conn, _ *os.File) error { return t.undo.Refuse(c) })
	if err != nil {
		return fmt.Errorf("reading the network of %s: %w", t.place.Name, err)
	}
	return nil
}

// add puts the table in, all of it or nothing, and fails if somebody else was faster.
func (t *table) add(ctx context.Context, open netns.Door, lease time.Duration) error {
	err := netns.NFT(ctx, open, func(c *nftables.Conn, _ *os.File) error {
		if err := t.compose(c, lease); err != nil {
			return err
		}
		return c.Flush()
	})
	if errors.Is(err, unix.EEXIST) {
		err = t.undo.InTheWay()
	}
	return err
}

// compose queues the whole table. It becomes visible at once or not at all when the connection is flushed.
func (t *table) compose(c *nftables.Conn, lease time.Duration) error {
	own := c.CreateTable(t.undo.NFT())
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
	comment := t.undo.Comment()
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
	err := netns.NFT(ctx, netns.Wide(t.place), func(c *nftables.Conn, _ *os.File) error {
		standing, err := t.standing(c)
		if err == nil && !standing {
			err = faults.ErrLapsed
		}
		if err != nil {
			return err
		}
		own := t.undo.NFT()
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
	if errors.Is(err, unix.ENOENT) || errors.Is(err, netns.ErrGone) {
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
	if found, err := t.undo.Stands(c); err != nil || !found {
		return false, err
	}
	own := t.undo.NFT()
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
	for _, spec := range t.chains {
		n, err := t.undo.Packets(c, spec.name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
