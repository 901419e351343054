package network_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/kinds"
	"gameday/faults/network"
)

// standingShape is a fault injected without a guard.
type standingShape struct {
	faults.Injection
	kind  faults.Kind
	entry faults.Entry
}

func (s standingShape) renew(t *testing.T, lease time.Duration) error {
	t.Helper()
	return s.Injection.(faults.Renewer).Renew(t.Context(), lease)
}

func (s standingShape) mustRevert(t *testing.T) {
	t.Helper()
	if err := s.kind.Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
}

// apply binds a fault, writes down its undo, and injects it.
func apply(ctx context.Context, k faults.Kind, id string, c faults.Config, place faults.Place,
	lease time.Duration) (standingShape, error) {
	s := standingShape{kind: k}
	i, err := c.Bind(place)
	if err != nil {
		return s, err
	}
	s.Injection = i
	ctx = faults.WithOwner(ctx, faults.Owner{Run: "test", Injection: id})
	undo, err := i.Undo(ctx)
	if err != nil {
		return s, err
	}
	s.entry = faults.Entry{ID: id, Run: "test", Kind: k.Name, Place: place, Undo: undo}
	return s, i.Inject(ctx, lease)
}

func mustApply(t *testing.T, k faults.Kind, id string, c faults.Config, place faults.Place,
	lease time.Duration) standingShape {
	t.Helper()
	s, err := apply(t.Context(), k, id, c, place, lease)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// branchOf reads the class that an entry names.
func branchOf(t *testing.T, e faults.Entry) (minor uint16) {
	t.Helper()
	var u struct {
		Branch struct {
			Minor uint16 `json:"minor"`
		} `json:"branch"`
	}
	if err := json.Unmarshal(e.Undo, &u); err != nil || u.Branch.Minor == 0 {
		t.Fatalf("undo %s: %v", e.Undo, err)
	}
	return u.Branch.Minor
}

const slow = "20mbit"

// mustFlow measures until the throughput is at least nine tenths of what is wanted, three times at most: a busy machine
// lowers it. It may never be more than eleven tenths, unless that is what free says.
func mustFlow(t *testing.T, what string, want float64, free bool, measure func() float64) {
	t.Helper()
	var got float64
	for range 3 {
		got = measure()
		t.Logf("%s: %.2f Mbit/s, want %.0f", what, got/1e6, want/1e6)
		if got > 1.1*want && !free {
			break
		}
		if got >= 0.9*want {
			return
		}
	}
	t.Errorf("%s: %.2f Mbit/s, want %.0f within 10%%", what, got/1e6, want/1e6)
}

func limit(to ...string) *network.Rate { return &network.Rate{Rate: slow, To: to} }

// TestRateLife limits, proves, measures from the user's side, reverts twice, and finds everything as it was.
func TestRateLife(t *testing.T) {
	a, b := pair(t)
	b.addBystander(t)
	c, d := pair(t) // to compare with, at the same time
	d.addBystander(t)
	a.addForeignTable(t, "firewall")
	before, tree := a.ruleset(t), a.tree(t)
	free := throughput(t, a, b, b.v4, time.Second)

	s := mustApply(t, network.RateKind(), "life", &network.Rate{Rate: slow}, a.place(t, b), time.Minute)
	e := effect(t, s, patient)
	if !e.Proven || !strings.Contains(e.Summary, "rate "+slow) || e.Details["class"] == "" {
		t.Fatalf("effect %+v", e)
	}
	t.Logf("effect: %s %v", e.Summary, e.Details)
	var limited float64
	var quiet, besides []time.Duration
	var flows sync.WaitGroup // ended by a t.Fatal in one, too
	aside := func(from, to *node) []time.Duration {
		return latencies(stream{from: from, to: to, address: bystander, count: 2000, each: 1, linger: 2 * time.Second, once: true}.run(t))
	}
	flows.Go(func() { limited = throughput(t, a, b, b.v4, 3*time.Second) })
	flows.Go(func() { quiet = aside(c, d) })
	flows.Go(func() { besides = aside(a, b) })
	flows.Wait()
	beside := throughput(t, a, b, bystander, time.Second)
	t.Logf("limit %s: %.2f Mbit/s, before %.0f; bystander %.0f Mbit/s, "+
		"latency without a limit %v (p99 %v), beside the limited flow %v (p99 %v), %d of 2000 arrived",
		slow, limited/1e6, free/1e6, beside/1e6, quantile(quiet, 0.5), quantile(quiet, 0.99),
		quantile(besides, 0.5), quantile(besides, 0.99), len(besides))
	if limited > 1.1*20e6 {
		t.Errorf("%.2f Mbit/s, want 20 at most", limited/1e6)
	}
	for family, address := range map[string]netip.Addr{"IPv4": b.v4, "IPv6": b.v6} {
		mustFlow(t, "limited over "+family, 20e6, false, func() float64 {
			return throughput(t, a, b, address, 3*time.Second)
		})
	}
	mustFlow(t, "bystander", 200e6, true, func() float64 { return throughput(t, a, b, bystander, time.Second) })
	if len(besides) != 2000 || quantile(besides, 0.5) > quantile(quiet, 0.5)+2*time.Millisecond {
		t.Errorf("the bystander's datagrams are hit: %d arrived, median %v", len(besides), quantile(besides, 0.5))
	}
	for range 2 {
		s.mustRevert(t)
	}
	if after := a.ruleset(t); after != before {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
	}
	if after := a.tree(t); after != tree {
		t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
	}
	mustFlow(t, "after the revert", 200e6, true, func() float64 { return throughput(t, a, b, b.v4, time.Second) })
}

// TestTreeAsToolsSeeIt compares what was asked for with what the system's own tc reads.
func TestTreeAsToolsSeeIt(t *testing.T) {
	a, b := pair(t)
	a.needTC(t)
	s := mustApply(t, network.RateKind(), "tools", &network.Rate{Rate: "10mbit", Burst: "128kb"}, a.place(t, b),
		time.Minute)
	minor := branchOf(t, s.entry)
	effect(t, s, patient)
	qdiscs, classes := a.tc(t, "-s", "qdisc", "show"), ""
	h, err := netlink.NewHandleAt(a.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	name := a.link(t, h).Attrs().Name
	classes = a.tc(t, "-s", "class", "show", "dev", name)
	for _, want := range []string{"qdisc htb 6ada: dev " + name + " root", "default 0 ", "r2q 26987", "direct_qlen 1001",
		fmt.Sprintf("qdisc bfifo %x: dev %s parent 6ada:%x limit 256Kb", minor, name, minor)} {
		if !strings.Contains(strings.NewReplacer("default 0x0", "default 0", "262144b", "256Kb").Replace(qdiscs), want) {
			t.Errorf("tc does not show %q:\n%s", want, qdiscs)
		}
	}
	for _, want := range []string{fmt.Sprintf("class htb 6ada:%x root leaf %x:", minor, minor),
		"rate 10Mbit ceil 10Mbit burst 128Kb"} {
		if !strings.Contains(classes, want) {
			t.Errorf("tc does not show %q:\n%s", want, classes)
		}
	}
	var rows []struct {
		Kind, Handle string
		Packets      uint64
	}
	if err := json.Unmarshal([]byte(a.tc(t, "-s", "-j", "qdisc", "show", "dev", name)), &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Kind == "bfifo" && r.Packets == 0 {
			t.Errorf("tc counts no packets below our class: %+v", rows)
		}
	}
	s.mustRevert(t)
}

// TestRateOverLoopback limits a node's talk with itself on one port: only then lo is shaped.
func TestRateOverLoopback(t *testing.T) {
	a, _ := pair(t)
	tree := a.tree(t)
	s := mustApply(t, network.RateKind(), "lo", &network.Rate{To: []string{"127.0.0.1"}, Ports: []int{echoPort}},
		a.place(t), time.Minute)
	if e := effect(t, s, patient); !e.Proven || e.Details["interfaces"] != "lo" {
		t.Errorf("effect %+v", e)
	}
	s.mustRevert(t)
	if after := a.tree(t); after != tree {
		t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
	}
}

// TestOtherPortsAreNotShaped limits one port and measures another.
func TestOtherPortsAreNotShaped(t *testing.T) {
	a, b := pair(t)
	s := mustApply(t, network.RateKind(), "ports", &network.Rate{Rate: slow, Ports: []int{1}}, a.place(t, b), time.Minute)
	mustFlow(t, "another port", 200e6, true, func() float64 { return throughput(t, a, b, b.v4, time.Second) })
	s.mustRevert(t)
}

// TestShapeLapses kills the guard that holds a limit, with the only process of ours: the kernel lets go when the lease
// is over, and the orphaned entry clears the inert rest away.
func TestShapeLapses(t *testing.T) {
	a, b := pair(t)
	dir, before, tree := ledgerDir(t), a.ruleset(t), a.tree(t)
	c := startGuard(t, dir)
	// A measurement of a second has to end within it, after the proof and the kill, however busy the machine is.
	const lease = 4 * time.Second
	config, err := json.Marshal(&network.Rate{Rate: slow})
	if err != nil {
		t.Fatal(err)
	}
	mustInject(t, c, guard.InjectRequest{ID: "i1", Run: "run", Scenario: "test", Fault: "slow", Kind: "network_rate",
		Config: config, Place: a.place(t, b), Lease: lease, Deadline: time.Minute})
	kill(syscall.SIGKILL)(t, c)
	<-c.Ended()
	began := time.Now()
	if got := throughput(t, a, b, b.v4, time.Second); got > 1.2*20e6 {
		t.Errorf("the limit does not outlive the guard: %.0f Mbit/s", got/1e6)
	}
	took := eventually(t, patient, func() error {
		if got := throughput(t, a, b, b.v4, 150*time.Millisecond); got < 10*20e6 {
			return fmt.Errorf("still %.0f Mbit/s", got/1e6)
		}
		return nil
	})
	t.Logf("lease %v, traffic flows freely %v after the guard was killed (%v of it looking)", lease, time.Since(began),
		took)
	if time.Since(began) > lease+2*time.Second {
		t.Errorf("it took %v", time.Since(began))
	}
	if a.tree(t) == tree {
		t.Fatal("the inert qdisc should still be there")
	}
	for i, want := range []int{1, 0} {
		results, err := faults.RevertOrphans(t.Context(), openLedger(t, dir), kinds.All(), nil)
		if err != nil || len(results) != want || want == 1 && (!results[0].Reverted || results[0].Err != nil) {
			t.Fatalf("round %d: %+v, %v", i, results, err)
		}
		mustBeClean(t, dir, a, before)
		if after := a.tree(t); after != tree {
			t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
		}
	}
}

// TestShapeRenewed holds a limit beyond its first lease, and finds that it lapses when somebody takes the qdisc away.
func TestShapeRenewed(t *testing.T) {
	a, b := pair(t)
	tree := a.tree(t)
	const lease = 5 * time.Second // a busy machine may stop us for seconds
	s := mustApply(t, network.RateKind(), "renew", &network.Rate{Rate: slow}, a.place(t, b), lease)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 3*lease/2; <-tick.C {
		if err := s.renew(t, lease); err != nil {
			t.Fatal(err)
		}
	}
	// What stands is older than its first lease. The measurement need not keep to one.
	if err := s.renew(t, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := throughput(t, a, b, b.v4, 900*time.Millisecond); got > 1.3*20e6 {
		t.Errorf("renewed, it lets %.0f Mbit/s through", got/1e6)
	}
	a.deleteRoot(t)
	if err := s.renew(t, time.Minute); !errors.Is(err, faults.ErrLapsed) {
		t.Errorf("renewing without a qdisc: %v", err)
	}
	if e := effect(t, s, 100*time.Millisecond); e.Proven {
		t.Errorf("without a qdisc it proves %+v", e)
	}
	s.mustRevert(t)
	if after := a.tree(t); after != tree {
		t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
	}
}

// deleteRoot has somebody else take the root qdisc away.
func (n *node) deleteRoot(t *testing.T) {
	t.Helper()
	h, err := netlink.NewHandleAt(n.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l := n.link(t, h)
	all, err := h.QdiscList(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if q.Attrs().Parent == netlink.HANDLE_ROOT {
			if err := h.QdiscDel(q); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestTwoAtOnce shapes two addresses over one interface: each has its rate, and the last to leave takes the root.
func TestTwoAtOnce(t *testing.T) {
	a, b := pair(t)
	b.addBystander(t)
	tree := a.tree(t)
	first := mustApply(t, network.RateKind(), "one", limit(b.v4.String()), a.place(t), time.Minute)
	second := mustApply(t, network.RateKind(), "two", &network.Rate{Rate: "40mbit", To: []string{bystander.String()}},
		a.place(t), time.Minute)
	other := 0.0
	mustFlow(t, "the first of two", 20e6, false, func() float64 {
		result := make(chan float64, 1)
		go func() { result <- throughput(t, a, b, b.v4, 2*time.Second) }()
		other = max(other, throughput(t, a, b, bystander, 2*time.Second))
		return <-result
	})
	mustFlow(t, "the second of two", 40e6, false, func() float64 { return other })
	first.mustRevert(t)
	mustFlow(t, "the first, reverted", 200e6, true, func() float64 { return throughput(t, a, b, b.v4, time.Second) })
	if got := throughput(t, a, b, bystander, 2*time.Second); got > 1.1*40e6 {
		t.Errorf("the second has %.0f Mbit/s although it stands", got/1e6)
	}
	second.mustRevert(t)
	first.mustRevert(t)
	if after := a.tree(t); after != tree {
		t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
	}
}

// TestHalfApplied stops between the steps of inject and revert, and reverts what is there.
func TestHalfApplied(t *testing.T) {
	a, b := pair(t)
	before, tree := a.ruleset(t), a.tree(t)
	for _, at := range []faults.Checkpoint{faults.MidInject, faults.MidRevert} {
		reached := false
		ctx := faults.WithReach(t.Context(), func(c faults.Checkpoint) {
			if c == at {
				reached = true
				panic(at)
			}
		})
		var s standingShape
		stop := func(f func()) {
			defer func() { _ = recover() }()
			f()
		}
		i, err := (&network.Rate{}).Bind(a.place(t, b))
		if err != nil {
			t.Fatal(err)
		}
		ctx = faults.WithOwner(ctx, faults.Owner{Run: "test", Injection: "half"})
		undo, err := i.Undo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s = standingShape{i, network.RateKind(), faults.Entry{ID: "half", Place: a.place(t, b), Undo: undo}}
		stop(func() { err = i.Inject(ctx, time.Minute) })
		if err != nil {
			t.Fatal(err)
		}
		if at == faults.MidRevert {
			stop(func() { err = s.kind.Revert(ctx, s.entry) })
		}
		if !reached || a.tree(t) == tree || a.ruleset(t) != before {
			t.Fatalf("%s: reached %v, but it is not half applied:\n%s\n%s", at, reached, a.tree(t), a.ruleset(t))
		}
		mustFlow(t, string(at)+", a tree without its table", 200e6, true, func() float64 {
			return throughput(t, a, b, b.v4, 500*time.Millisecond)
		})
		for range 2 {
			s.mustRevert(t)
		}
		if after := a.tree(t); after != tree {
			t.Errorf("%s: qdiscs before:\n%s\nafter:\n%s", at, tree, after)
		}
	}
}

// TestRootWithoutClass reverts an injection that came no further than the root.
func TestRootWithoutClass(t *testing.T) {
	a, b := pair(t)
	tree := a.tree(t)
	s := mustApply(t, network.RateKind(), "bare", &network.Rate{}, a.place(t, b), time.Minute)
	h, err := netlink.NewHandleAt(a.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	classes, err := h.ClassList(a.link(t, h), 0)
	if err != nil || len(classes) != 1 {
		t.Fatal(classes, err)
	}
	if err := h.ClassDel(classes[0]); err != nil {
		t.Fatal(err)
	}
	s.mustRevert(t)
	if after := a.tree(t); after != tree {
		t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
	}
}

// TestQueueComesBack checks that an interface has its transmit queue again, none included, whoever leaves first.
func TestQueueComesBack(t *testing.T) {
	for _, want := range []int{0, 500, 1000, 1001} {
		a, b := pair(t)
		b.addBystander(t)
		h, err := netlink.NewHandleAt(a.ns)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if err := h.LinkSetTxQLen(a.link(t, h), want); err != nil {
			t.Fatal(err)
		}
		tree := a.tree(t)
		first := mustApply(t, network.RateKind(), "one", limit(b.v4.String()), a.place(t), time.Minute)
		second := mustApply(t, network.RateKind(), "two", limit(bystander.String()), a.place(t), time.Minute)
		first.mustRevert(t)
		second.mustRevert(t)
		second.mustRevert(t)
		if got := a.link(t, h).Attrs().TxQLen; got != want || a.tree(t) != tree {
			t.Errorf("the queue held %d packets and holds %d; qdiscs before:\n%s\nafter:\n%s", want, got, tree, a.tree(t))
		}
	}
}

// TestQueueOfStaleLook has one injection look at an interface without a transmit queue while another shapes it, and inject
// when that has left. The ledger then has what was there under the lock.
func TestQueueOfStaleLook(t *testing.T) {
	for _, want := range []int{0, 500} {
		a, b := pair(t)
		h, err := netlink.NewHandleAt(a.ns)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if err := h.LinkSetTxQLen(a.link(t, h), 0); err != nil {
			t.Fatal(err)
		}
		first := mustApply(t, network.RateKind(), "one", limit(b.v4.String()), a.place(t), time.Minute)
		i, err := limit(b.v4.String()).Bind(a.place(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx := faults.WithOwner(t.Context(), faults.Owner{Run: "test", Injection: "two"})
		undo, err := i.Undo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		first.mustRevert(t)
		if err := h.LinkSetTxQLen(a.link(t, h), want); err != nil {
			t.Fatal(err)
		}
		tree := a.tree(t)
		full := faults.WithAmend(ctx, func(json.RawMessage) error { return syscall.ENOSPC })
		if err := i.Inject(full, time.Minute); !errors.Is(err, syscall.ENOSPC) || a.tree(t) != tree {
			t.Errorf("without room in the ledger: %v, qdiscs before:\n%s\nafter:\n%s", err, tree, a.tree(t))
		}
		amended := 0
		ctx = faults.WithAmend(ctx, func(u json.RawMessage) error {
			undo = u
			amended++
			if a.tree(t) != tree {
				t.Error("touched before the ledger was amended")
			}
			return nil
		})
		if err := i.Inject(ctx, time.Minute); err != nil {
			t.Fatal(err)
		}
		if amended != 1 || !strings.Contains(string(undo), fmt.Sprintf(`"queue":%d,`, want)) {
			t.Errorf("amended %d times, to %s", amended, undo)
		}
		s := standingShape{i, network.RateKind(), faults.Entry{ID: "two", Run: "test", Place: a.place(t), Undo: undo}}
		s.mustRevert(t)
		if got := a.link(t, h).Attrs().TxQLen; got != want || a.tree(t) != tree {
			t.Errorf("the queue held %d packets and holds %d; qdiscs before:\n%s\nafter:\n%s", want, got, tree, a.tree(t))
		}
	}
}

// TestNothingToShape selects addresses to which no route leads.
func TestNothingToShape(t *testing.T) {
	a, _ := pair(t)
	before, tree := a.ruleset(t), a.tree(t)
	_, err := apply(t.Context(), network.RateKind(), "nowhere", limit("203.0.113.1"), a.place(t), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "route") {
		t.Errorf("%v", err)
	}
	if a.ruleset(t) != before || a.tree(t) != tree {
		t.Error("something was touched")
	}
}

// TestShapedNodeGone powers a node off while it is shaped: reverting finds nothing and is content.
func TestShapedNodeGone(t *testing.T) {
	a, b := pair(t)
	s := mustApply(t, network.RateKind(), "gone", &network.Rate{}, a.place(t, b), time.Minute)
	a.stop()
	s.mustRevert(t)
	if err := s.renew(t, time.Minute); !errors.Is(err, faults.ErrLapsed) {
		t.Errorf("renewing: %v", err)
	}
}

// TestInterfaceGone takes the cable away while it is shaped.
func TestInterfaceGone(t *testing.T) {
	a, b := pair(t)
	s := mustApply(t, network.RateKind(), "cable", &network.Rate{}, a.place(t, b), time.Minute)
	h, err := netlink.NewHandleAt(a.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.LinkDel(a.link(t, h)); err != nil {
		t.Fatal(err)
	}
	s.mustRevert(t)
	if got := a.ruleset(t); got != "" {
		t.Errorf("left: %s", got)
	}
}

// TestComingAndGoing streams to the bystander while limits come and go on its interface. The kernel swaps the root
// qdisc
// each time, and may drop what is sent in that instant.
func TestComingAndGoing(t *testing.T) {
	a, b := pair(t)
	b.addBystander(t)
	const n, rounds = 2000, 10
	got := make(chan []arrival, 1)
	go func() {
		got <- stream{from: a, to: b, address: bystander, count: n, each: 1, linger: 2 * time.Second, once: true}.run(t)
	}()
	tick := time.NewTicker(80 * time.Millisecond)
	defer tick.Stop()
	for range rounds {
		<-tick.C
		s := mustApply(t, network.RateKind(), "swap", limit(b.v4.String()), a.place(t), time.Minute)
		<-tick.C
		s.mustRevert(t)
	}
	all := <-got
	took := latencies(all)
	t.Logf("%d of %d datagrams arrived over %d swaps, median %v, longest %v", len(all), n, 2*rounds, quantile(took, 0.5),
		quantile(took, 1))
	if lost := n - len(all); lost > 2*rounds*5 {
		t.Errorf("%d swaps lost %d datagrams, one of which is sent each millisecond", 2*rounds, lost)
	}
}
