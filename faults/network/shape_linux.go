package network

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// The table of one injection that shapes, as `nft list table` would show it:
//
//	table inet gameday-0a1b2c3d4e5f {
//		set v4 { … elements = { 198.18.0.4 timeout 10s expires 9s } }
//		chain postrouting { type filter hook postrouting priority 250; policy accept;
//			oif lo accept
//			ip daddr @v4 counter meta priority set 6ada:12 }
//	}
//
// HTB puts packets of that priority into the class of that name. Without elements no packet gets it.

// shapePriority comes after address translation and after those who set a priority themselves.
const shapePriority = 250

// unlimited is a class that does nothing by itself: what is below it does.
var unlimited = htbClass{rate: practicallyUnlimited, burst: practicallyUnlimited / 1000}

// shapeUndo is what the ledger holds: the table, the class, and the interfaces with the root qdiscs that they had.
type shapeUndo struct {
	undo
	Branch branch `json:"branch"`
}

// shape is one injection of a kind that shapes what a place sends.
type shape struct {
	table
	what   shaping
	spec   leafSpec
	branch branch
	probes int // own packets, at most
	rounds int
}

func newShape(s selection, what shaping) (faults.Injection, error) {
	spec, err := what.leaf()
	if err != nil {
		return nil, err
	}
	h := &shape{what: what, spec: spec}
	h.table = table{selection: s, priority: shapePriority, rules: h.mark,
		chains: []chainSpec{{name: "postrouting", hook: nftables.ChainHookPostrouting, own: expr.MetaKeyOIF, dst: true}}}
	return h, nil
}

// leaf returns the class and the qdisc below it.
func (w shaping) leaf() (leafSpec, error) {
	if w.rate > 0 {
		return leafSpec{class: htbClass{rate: w.rate, burst: w.burst}, kind: "bfifo",
			options: binary.NativeEndian.AppendUint32(nil, uint32(queueOf(w.rate)))}, nil
	}
	options, err := w.netem.encode()
	return leafSpec{class: unlimited, kind: "netem", options: options}, err
}

// mark returns the rules that give the selected packets the class's priority.
func (h *shape) mark(c chainSpec, sets []*nftables.Set) [][]expr.Any {
	var rules [][]expr.Any
	if !h.self {
		rules = append(rules, append(metaIs(c.own, binary.NativeEndian.AppendUint32(nil, loopback)), accept()))
	}
	for i, s := range h.specs() {
		for _, ports := range h.portMatches() {
			rule := append(append([]expr.Any{}, matchAddress(s.family, false, sets[i])...), ports...)
			rules = append(rules, append(rule, &expr.Counter{},
				&expr.Immediate{Register: 1, Data: binary.NativeEndian.AppendUint32(nil, uint32(h.branch.class()))},
				&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: 1}))
		}
	}
	return rules
}

// Check looks whether the guard and the kernel can do what is asked, and whether it would hit gameday itself.
func (h *shape) Check(ctx context.Context) error {
	if err := h.refuseSelfCut(os.Getenv); err != nil {
		return err
	}
	if err := checkNetAdmin(ctx, &h.selection); err != nil {
		return err
	}
	if err := checkKernel(ctx, h.spec.kind, h.spec.options); err != nil {
		return fmt.Errorf("%s on %s: %w", h.kind, h.place.Name, err)
	}
	return nil
}

// Undo computes the class and its interfaces, makes sure that neither table nor root qdisc is in the way, and names
// them all.
func (h *shape) Undo(ctx context.Context) (json.RawMessage, error) {
	if err := h.refuseSelfCut(os.Getenv); err != nil {
		return nil, err
	}
	if err := h.reserve(ctx); err != nil {
		return nil, err
	}
	err := withTree(ctx, h.seen.Open, func(c tcConn, _ *os.File) (err error) {
		h.branch, err = c.plant(faults.OwnerOf(ctx), &h.selection)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the network of %s: %w", h.place.Name, err)
	}
	return json.Marshal(shapeUndo{h.undo, h.branch})
}

// Inject builds the branch, which is inert, and then adds the table that sends packets there.
func (h *shape) Inject(ctx context.Context, lease time.Duration) error {
	err := netns.With(ctx, h.seen.Open, func(ns *os.File) error {
		here := netns.Held(ns)
		if err := withTree(ctx, here, func(c tcConn, ns *os.File) error { return h.grow(ctx, c, ns) }); err != nil {
			return err
		}
		faults.Reach(ctx, faults.MidInject)
		return h.add(ctx, here, lease)
	})
	if err != nil {
		return fmt.Errorf("shaping the network of %s: %w", h.place.Name, err)
	}
	return nil
}

// grow builds the branch under the lock. What Undo read without it may have changed since, by others who came or left:
// then the ledger is amended before anything is touched.
func (h *shape) grow(ctx context.Context, c tcConn, ns *os.File) error {
	unlock, err := lockTree(ctx, ns)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := c.replant(h.branch)
	if err != nil {
		return err
	}
	if !slices.Equal(now.Links, h.branch.Links) {
		undo, err := json.Marshal(shapeUndo{h.undo, now})
		if err != nil {
			return err
		}
		if err := faults.Amend(ctx, undo); err != nil {
			return err
		}
		h.branch = now
	}
	return c.grow(h.branch, h.spec)
}

// Renew gives all elements a new timeout in one transaction. Where somebody took the qdiscs away, the fault is gone.
func (h *shape) Renew(ctx context.Context, lease time.Duration) error {
	whole := false
	err := withTree(ctx, netns.Wide(h.place), func(c tcConn, _ *os.File) (err error) {
		_, whole, err = c.counters(h.branch)
		return err
	})
	if errors.Is(err, netns.ErrGone) || err == nil && !whole {
		err = faults.ErrLapsed
	}
	if err != nil {
		return fmt.Errorf("renewing the lease of %s: %w", h.place.Name, err)
	}
	return h.renew(ctx, lease)
}

// Effect waits until packets have gone through the class. It provokes that itself, with empty datagrams.
func (h *shape) Effect(ctx context.Context) (faults.Effect, error) {
	return lookUntilProven(ctx, h.look)
}

func (h *shape) look(ctx context.Context) (faults.Effect, error) {
	var standing, whole bool
	var seen tcStats
	var probed error
	err := netns.NFT(ctx, netns.Wide(h.place), func(c *nftables.Conn, _ *os.File) (err error) {
		standing, err = h.standing(c)
		return err
	})
	if err == nil && standing {
		err = withTree(ctx, netns.Wide(h.place), func(c tcConn, ns *os.File) (err error) {
			seen, whole, err = c.counters(h.branch)
			if err != nil || !whole || seen.all() > 0 || h.rounds >= probeRounds {
				return err
			}
			h.rounds++
			probed = netns.Within(ns, h.probe)
			now, whole, err := c.counters(h.branch)
			if err == nil && whole {
				h.probes += int(now.all() - seen.all())
				seen = now
			}
			return err
		})
	}
	if err != nil {
		return faults.Effect{}, fmt.Errorf("looking for the shaping of %s: %w", h.place.Name, err)
	}
	return h.effect(seen, standing, whole, probed), nil
}

// all is how many packets have come to the qdisc: gone on, waiting, or lost there.
func (s tcStats) all() uint64 { return s.packets + uint64(s.queued) + uint64(s.dropped) }

// effect words the evidence.
func (h *shape) effect(seen tcStats, standing, whole bool, probed error) faults.Effect {
	var names []string
	for _, l := range h.branch.Links {
		names = append(names, l.Name)
	}
	e := faults.Effect{Details: map[string]string{
		"table": h.undo.Table, "class": h.branch.class().String(), "interfaces": strings.Join(names, " "),
		"packets": strconv.FormatUint(seen.all(), 10), "sent": strconv.FormatUint(seen.packets, 10),
		"dropped": strconv.FormatUint(uint64(seen.dropped), 10),
	}}
	maps.Copy(e.Details, h.what.details)
	if h.probes > 0 {
		e.Details["own_probes"] = strconv.Itoa(h.probes)
	}
	if len(h.hosts) > 0 {
		e.Details["hosts"] = strings.Join(h.hosts, ", ")
	}
	if probed != nil {
		e.Details["probe"] = probed.Error()
	}
	switch n := seen.all(); {
	case !standing:
		e.Summary = "the lease ran out: nothing is shaped"
	case !whole:
		e.Summary = fmt.Sprintf("class %v is gone: nothing is shaped", h.branch.class())
	case n == 0:
		e.Summary = fmt.Sprintf("no packet came to class %v", h.branch.class())
	case n == 1:
		e.Proven, e.Summary = true, fmt.Sprintf("1 packet came to class %v: %s", h.branch.class(), h.what.words)
	default:
		e.Proven, e.Summary = true, fmt.Sprintf("%d packets came to class %v: %s", n, h.branch.class(), h.what.words)
	}
	return e
}

// revertShape removes the entry's table, then its class, then the root qdiscs where that was the last, and makes sure
// that all are gone.
func revertShape(ctx context.Context, e faults.Entry) error {
	u, err := netns.ReadUndo(tablePrefix, e)
	if err != nil {
		return err
	}
	var s shapeUndo
	if err := json.Unmarshal(e.Undo, &s); err != nil {
		return fmt.Errorf("reading the ledger's undo: %w", err)
	}
	errTable := u.Remove(ctx, e.Place)
	faults.Reach(ctx, faults.MidRevert)
	// A table that cannot be removed must not keep the qdiscs: without them its rules do nothing either.
	errTree := withTree(ctx, netns.Wide(e.Place), func(c tcConn, ns *os.File) error {
		c.drain(ctx, s.Branch)
		unlock, err := lockTree(ctx, ns)
		if err != nil {
			return err
		}
		defer unlock()
		return c.fell(s.Branch)
	})
	for _, err := range []*error{&errTable, &errTree} {
		if errors.Is(*err, netns.ErrGone) {
			*err = nil
		}
	}
	if err := errors.Join(errTable, errTree); err != nil {
		return fmt.Errorf("clearing the network of %s: %w", e.Place.Name, err)
	}
	return nil
}
