package network_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gameday/faults"
	"gameday/faults/network"
)

// TestForeignRoot puts somebody's qdisc in the way, at each time that it can come.
func TestForeignRoot(t *testing.T) {
	set := func(t *testing.T, n *node, q netlink.Qdisc) {
		t.Helper()
		h, err := netlink.NewHandleAt(n.ns)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		q.Attrs().LinkIndex = n.link(t, h).Attrs().Index
		q.Attrs().Parent = netlink.HANDLE_ROOT
		if err := h.QdiscAdd(q); err != nil {
			t.Fatal(err)
		}
	}
	for name, made := range map[string]func() netlink.Qdisc{
		"tbf 1:": func() netlink.Qdisc {
			return &netlink.Tbf{QdiscAttrs: netlink.QdiscAttrs{Handle: netlink.MakeHandle(1, 0)}, Rate: 1 << 30, Limit: 1 << 20,
				Buffer: 1 << 20}
		},
		"htb 6ada:": func() netlink.Qdisc {
			return netlink.NewHtb(netlink.QdiscAttrs{Handle: netlink.MakeHandle(0x6ada, 0)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			fresh := a.tree(t)
			s := mustApply(t, network.RateKind(), "mine", &network.Rate{}, a.place(t, b), time.Minute)
			// Somebody replaces our root while we stand: reverting finds nothing of ours there.
			a.deleteRoot(t)
			set(t, a, made())
			theirs := a.tree(t)
			s.mustRevert(t)
			if after := a.tree(t); after != theirs {
				t.Errorf("the foreign qdisc was touched: before\n%s\nafter\n%s", theirs, after)
			}
			before := a.ruleset(t)
			_, err := apply(t.Context(), network.RateKind(), "mine", &network.Rate{}, a.place(t, b), time.Minute)
			if !errors.Is(err, faults.ErrForeign) || !strings.Contains(err.Error(), name) {
				t.Errorf("injecting over it: %v", err)
			}
			// It comes between Undo and Inject.
			a.deleteRoot(t)
			i, err := (&network.Rate{}).Bind(a.place(t, b))
			if err != nil {
				t.Fatal(err)
			}
			ctx := faults.WithOwner(t.Context(), faults.Owner{Run: "test", Injection: "late"})
			undo, err := i.Undo(ctx)
			if err != nil {
				t.Fatal(err)
			}
			set(t, a, made())
			if err := i.Inject(ctx, time.Minute); !errors.Is(err, faults.ErrForeign) {
				t.Errorf("injecting over a late one: %v", err)
			}
			if err := network.RateKind().Revert(ctx, faults.Entry{Place: a.place(t, b), Undo: undo}); err != nil {
				t.Error(err)
			}
			if after := a.tree(t); after != theirs || a.ruleset(t) != before {
				t.Errorf("the foreign qdisc was touched: before\n%s\nafter\n%s", theirs, after)
			}
			a.deleteRoot(t)
			if after := a.tree(t); after != fresh {
				t.Errorf("fresh:\n%s\nafter:\n%s", fresh, after)
			}
		})
	}
}

// TestForeignClass has somebody add a class below our root: it stays, and is named.
func TestForeignClass(t *testing.T) {
	a, b := pair(t)
	s := mustApply(t, network.RateKind(), "mine", &network.Rate{}, a.place(t, b), time.Minute)
	h, err := netlink.NewHandleAt(a.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	theirs := netlink.NewHtbClass(netlink.ClassAttrs{LinkIndex: a.link(t, h).Attrs().Index,
		Parent: netlink.MakeHandle(0x6ada, 0), Handle: netlink.MakeHandle(0x6ada,
			0x7abc)}, netlink.HtbClassAttrs{Rate: 1 << 20, Quantum: 1500})
	if err := h.ClassAdd(theirs); err != nil {
		t.Fatal(err)
	}
	if err := s.kind.Revert(t.Context(), s.entry); !errors.Is(err, faults.ErrForeign) || !strings.Contains(err.Error(),
		"6ada:7abc") {
		t.Errorf("reverting beside a foreign class: %v", err)
	}
	// Ours is gone all the same.
	mustFlow(t, "beside a foreign class", 200e6, true, func() float64 { return throughput(t, a, b, b.v4, time.Second) })
	if err := h.ClassDel(theirs); err != nil {
		t.Fatal(err)
	}
	s.mustRevert(t)
	mustHear(t, a, b.v4)
}
