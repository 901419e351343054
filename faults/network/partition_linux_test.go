package network_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"

	"gameday/faults"
	"gameday/faults/network"
)

func kind() faults.Kind { return network.PartitionKind() }

// standingCut is a partition injected without a guard.
type standingCut struct {
	faults.Injection
	entry faults.Entry
}

func (s standingCut) renew(t *testing.T, lease time.Duration) error {
	t.Helper()
	return s.Injection.(faults.Renewer).Renew(t.Context(), lease)
}

func cut(t *testing.T, id string, p network.Partition, place faults.Place, lease time.Duration) (standingCut, error) {
	t.Helper()
	i, err := p.Bind(place)
	if err != nil {
		return standingCut{}, err
	}
	ctx := faults.WithOwner(t.Context(), faults.Owner{Run: "test", Injection: id})
	undo, err := i.Undo(ctx)
	if err != nil {
		return standingCut{}, err
	}
	s := standingCut{i, faults.Entry{ID: id, Run: "test", Kind: kind().Name, Place: place, Undo: undo}}
	return s, i.Inject(ctx, lease)
}

func mustCut(t *testing.T, id string, p network.Partition, place faults.Place, lease time.Duration) standingCut {
	t.Helper()
	s, err := cut(t, id, p, place, lease)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func effect(t *testing.T, i faults.Injection, limit time.Duration) faults.Effect {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	e, err := i.Effect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPartitionLife cuts, proves, reverts twice, and finds the ruleset as it was: nothing of ours, everything of
// others.
func TestPartitionLife(t *testing.T) {
	a, b := pair(t)
	a.addForeignTable(t, "firewall")
	before := a.ruleset(t)
	mustHear(t, a, b.v4)
	mustHear(t, a, b.v6)
	open, err := a.dial(b.v4, patient)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()

	s := mustCut(t, "life", network.Partition{}, a.place(t, b), time.Minute)
	e := effect(t, s, patient)
	if !e.Proven || !strings.HasSuffix(e.Summary, "dropped") {
		t.Fatalf("effect %+v", e)
	}
	mustNotHear(t, a, b.v4)
	mustNotHear(t, a, b.v6)
	mustNotHear(t, b, a.v4)
	if err := talk(open, cutFor); err == nil {
		t.Error("an established connection goes on")
	}
	if err := a.hears(a.v4, patient); err != nil {
		t.Errorf("the node lost itself: %v", err)
	}

	for range 2 {
		if err := kind().Revert(t.Context(), s.entry); err != nil {
			t.Fatal(err)
		}
	}
	mustHear(t, a, b.v4)
	mustHear(t, b, a.v6)
	if after := a.ruleset(t); after != before {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
	}
}

func TestPartitionVariants(t *testing.T) {
	tests := map[string]struct {
		config     network.Partition
		between    bool
		ab4, ba4   bool // a conversation begun by a, by b, over IPv4
		ab6        bool
		provenLate bool // only the other side's traffic proves it
		quick      error
	}{
		"out only":       {network.Partition{Direction: "out"}, true, false, false, false, false, nil},
		"in only":        {network.Partition{Direction: "in"}, true, false, false, false, true, nil},
		"to one address": {network.Partition{To: []string{"198.18.0.2"}}, false, false, false, true, false, nil},
		"to a block": {network.Partition{To: []string{"198.18.0.0/24", "203.0.113.0/25", "198.18.0.128/25"}},
			false, false, false, true, false, nil},
		"to everywhere": {network.Partition{To: []string{"0.0.0.0/0", "::/0"}},
			false, false, false, false, false, nil},
		"to another block": {network.Partition{To: []string{"203.0.113.0/24", "fd00:6:d::/64"}},
			false, true, true, false, false, nil},
		"this port": {network.Partition{Ports: []int{echoPort, 80}}, true, false, false, false, false, nil},
		"reject":    {network.Partition{Action: "reject"}, true, false, false, false, false, syscall.ECONNREFUSED},
		"reject what goes out": {network.Partition{Action: "reject", Direction: "out"},
			true, false, false, false, false, syscall.ECONNREFUSED},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t) // nothing of an earlier conversation is on its way
			before := a.ruleset(t)
			place := a.place(t)
			if tt.between {
				place = a.place(t, b)
			}
			s := mustCut(t, "variant", tt.config, place, time.Minute)
			defer func() {
				if err := kind().Revert(t.Context(), s.entry); err != nil {
					t.Fatal(err)
				}
				if after := a.ruleset(t); after != before {
					t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
				}
			}()
			limit := patient
			if tt.provenLate {
				limit = 100 * time.Millisecond
			}
			if e := effect(t, s, limit); e.Proven == tt.provenLate {
				t.Errorf("effect before any traffic: %+v", e)
			}
			began := time.Now()
			for _, c := range []struct {
				from *node
				to   netip.Addr
				want bool
			}{{a, b.v4, tt.ab4}, {b, a.v4, tt.ba4}, {a, b.v6, tt.ab6}} {
				if c.want {
					mustHear(t, c.from, c.to)
				} else {
					mustNotHear(t, c.from, c.to)
				}
			}
			if tt.quick != nil {
				if err := a.hears(b.v4, patient); !errors.Is(err, tt.quick) {
					t.Errorf("a → b: %v, want %v", err, tt.quick)
				}
				if d := time.Since(began); d > patient/2 {
					t.Errorf("a rejection took %v", d)
				}
			}
			if e := effect(t, s, patient); !e.Proven {
				t.Errorf("effect after traffic: %+v", e)
			}
		})
	}
}

func TestRejectAnswersTheOtherSide(t *testing.T) {
	a, b := pair(t)
	mustCut(t, "reject", network.Partition{Action: "reject"}, a.place(t, b), time.Minute)
	if err := b.hears(a.v4, patient); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("b → a: %v, want a refusal", err)
	}
	// Both sides cut, as between two targets.
	mustCut(t, "reject-b", network.Partition{Action: "reject"}, b.place(t, a), time.Minute)
	for _, c := range []struct {
		from *node
		to   netip.Addr
	}{{a, b.v4}, {b, a.v4}, {a, b.v6}} {
		if err := c.from.hears(c.to, patient); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s → %v: %v, want a refusal", c.from.name, c.to, err)
		}
	}
}

func TestOtherPortsAreLetAlone(t *testing.T) {
	a, b := pair(t)
	s := mustCut(t, "ports", network.Partition{Ports: []int{echoPort + 1}}, a.place(t, b), time.Minute)
	mustHear(t, a, b.v4)
	if e := effect(t, s, patient); !e.Proven || e.Summary != "1 packet dropped" && e.Summary != "2 packets dropped" {
		t.Errorf("effect %+v: want only the probes", e)
	}
}

// TestLoopbackWithPorts cuts a node from itself on one port: the only partition inside one namespace.
func TestLoopbackWithPorts(t *testing.T) {
	a, _ := pair(t)
	mustHear(t, a, netip.MustParseAddr("127.0.0.1"))
	mustCut(t, "loopback", network.Partition{To: []string{"127.0.0.1"}, Ports: []int{echoPort}}, a.place(t), time.Minute)
	mustNotHear(t, a, netip.MustParseAddr("127.0.0.1"))
	mustHear(t, a, a.v4)
}

// TestKernelLetsGo has nobody renew the lease, for plain sets and for sets of intervals, and measures when
// traffic flows.
func TestKernelLetsGo(t *testing.T) {
	const lease = 2 * time.Second
	for name, p := range map[string]network.Partition{
		"addresses": {To: []string{"198.18.0.2"}},
		"blocks":    {To: []string{"198.18.0.0/25"}},
		"no end":    {To: []string{"128.0.0.0/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			began := time.Now()
			s := mustCut(t, "lapse", p, a.place(t), lease)
			cut := time.Now()
			if err := a.hears(b.v4, cutFor); err == nil && time.Since(began) < lease {
				t.Fatal("traffic flows although the lease is not over")
			}
			failed := lastFailure(t, patient, func() error { return a.hears(b.v4, 50*time.Millisecond) })
			took, stood := time.Since(began), failed.Sub(cut)
			t.Logf("lease %v, cut for %v, traffic flows after %v", lease, stood, took)
			if took < lease-lease/4 || stood > 2*lease {
				t.Errorf("the cut stood %v, and traffic flows after %v: its lease was %v", stood, took, lease)
			}
			if err := s.renew(t, lease); !errors.Is(err, faults.ErrLapsed) {
				t.Errorf("renewing after the lapse: %v", err)
			}
			mustHear(t, a, b.v4)
			if e := effect(t, s, 50*time.Millisecond); e.Proven {
				t.Errorf("a lapsed cut proves %+v", e)
			}
		})
	}
}

// TestRenewLeaksNothing renews as fast as it can while a flood of datagrams tries to get through.
func TestRenewLeaksNothing(t *testing.T) {
	const lease = 5 * time.Second // the flood takes a processor from whoever renews
	for name, p := range map[string]network.Partition{
		"addresses": {To: []string{"198.18.0.2", "fd00:6:d::2"}},
		"blocks":    {To: []string{"198.18.0.0/25", "fd00:6:d::/64", "203.0.113.0/24"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			mustHear(t, a, b.v4)
			s := mustCut(t, "renew", p, a.place(t), lease)
			began := time.Now()
			quit, leaked := make(chan struct{}), make(chan int, 1)
			go func() { leaked <- a.flood(b.v4, quit) }()
			renewals := 0
			for time.Since(began) < 3*lease/2 {
				if err := s.renew(t, lease); err != nil {
					t.Errorf("renewal %d: %v", renewals, err)
					break
				}
				renewals++
			}
			close(quit)
			n := <-leaked
			e := effect(t, s, patient)
			t.Logf("%d renewals, %s, %d leaked", renewals, e.Summary, n)
			if n > 0 {
				t.Errorf("%d datagrams got through while the lease was renewed", n)
			}
			mustNotHear(t, a, b.v4)
		})
	}
}

// flood sends datagrams until quit and returns how many the kernel did not refuse.
func (n *node) flood(to netip.Addr, quit <-chan struct{}) (passed int) {
	_ = n.inside(func() error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		for {
			select {
			case <-quit:
				return nil
			default:
			}
			if syscall.Sendto(fd, nil, 0, &syscall.SockaddrInet4{Port: 9, Addr: to.As4()}) == nil {
				passed++
			}
		}
	})
	return passed
}

func TestForeignState(t *testing.T) {
	a, b := pair(t)
	s := mustCut(t, "mine", network.Partition{}, a.place(t, b), time.Minute)
	var u struct{ Table string }
	if err := json.Unmarshal(s.entry.Undo, &u); err != nil {
		t.Fatal(err)
	}
	if _, err := cut(t, "mine", network.Partition{}, a.place(t, b), time.Minute); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("injecting over a table of that name: %v", err)
	}
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
	a.addForeignTable(t, u.Table)
	before := a.ruleset(t)
	if _, err := cut(t, "mine", network.Partition{}, a.place(t, b), time.Minute); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("injecting over a foreign table: %v", err)
	}
	if err := s.Inject(t.Context(), time.Minute); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("injecting over a table that came after Undo: %v", err)
	}
	if err := kind().Revert(t.Context(), s.entry); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("reverting a foreign table: %v", err)
	}
	if after := a.ruleset(t); after != before {
		t.Errorf("the foreign table was touched: before\n%s\nafter\n%s", before, after)
	}
}

// TestTableVanished has somebody else flush the ruleset while the cut stands.
func TestTableVanished(t *testing.T) {
	a, b := pair(t)
	s := mustCut(t, "flushed", network.Partition{}, a.place(t, b), time.Minute)
	c := a.nft(t)
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	c.DelTable(tables[0])
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.renew(t, time.Minute); !errors.Is(err, faults.ErrLapsed) {
		t.Errorf("renewing: %v", err)
	}
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Errorf("reverting: %v", err)
	}
}

// TestNamespaceGone powers a node off while it is cut: reverting finds nothing and is content.
func TestNamespaceGone(t *testing.T) {
	a, b := pair(t)
	s := mustCut(t, "gone", network.Partition{}, a.place(t, b), time.Minute)
	a.stop()
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Errorf("reverting: %v", err)
	}
	if err := s.renew(t, time.Minute); !errors.Is(err, faults.ErrLapsed) {
		t.Errorf("renewing: %v", err)
	}
}

// TestNamespaceFoundAgain reverts at a place whose process has ended while others live on in its namespace.
func TestNamespaceFoundAgain(t *testing.T) {
	a, b := pair(t)
	s := mustCut(t, "found", network.Partition{}, a.place(t, b), time.Minute)
	mustNotHear(t, a, b.v4)
	s.entry.Place.Network.PID = 1 << 22             // no such process
	if err := s.renew(t, time.Minute); err != nil { // its place is the entry's
		t.Error(err)
	}
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
	mustHear(t, a, b.v4)
}

func TestManyAddresses(t *testing.T) {
	a, b := pair(t)
	place := a.place(t, b)
	for i := range 2000 {
		place.Peers[0].Addresses = append(place.Peers[0].Addresses, netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}))
	}
	s := mustCut(t, "many", network.Partition{}, place, 2*time.Second)
	if err := s.renew(t, time.Minute); err != nil {
		t.Error(err)
	}
	mustNotHear(t, a, b.v4)
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Error(err)
	}
	mustHear(t, a, b.v4)
}
