package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"

	"gameday/faults"
	"gameday/faults/dns"
)

func kind() faults.Kind { return dns.OutageKind() }

// injected is an outage injected without a guard.
type injected struct {
	faults.Injection
	entry faults.Entry
}

func inject(
	t *testing.T, ctx context.Context, id string, o dns.Outage, place faults.Place, lease time.Duration,
) (injected, error) {
	t.Helper()
	i, err := o.Bind(place)
	if err != nil {
		return injected{}, err
	}
	ctx = faults.WithOwner(ctx, faults.Owner{Run: "test", Injection: id})
	if err := i.(faults.Checker).Check(ctx); err != nil {
		return injected{}, err
	}
	undo, err := i.Undo(ctx)
	if err != nil {
		return injected{}, err
	}
	s := injected{i, faults.Entry{ID: id, Run: "test", Kind: kind().Name, Place: place, Undo: undo}}
	return s, faults.Protect(func() error { return i.Inject(ctx, lease) })
}

// mustInject injects an outage, with proof, that is reverted at the test's end.
func mustInject(t *testing.T, id string, o dns.Outage, place faults.Place, lease time.Duration) injected {
	t.Helper()
	s, err := inject(t, t.Context(), id, o, place, lease)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kind().Revert(context.Background(), s.entry); err != nil {
			t.Error(err)
		}
	})
	if e := effect(t, s, patient); !e.Proven {
		t.Fatalf("not proven: %+v", e)
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

func all(w *world) []string {
	return []string{w.server.v4.String(), w.server.v6.String(), stub.String()}
}

// TestOutageLife drops, proves, reverts twice, and finds rules and sockets as they were.
func TestOutageLife(t *testing.T) {
	w := newWorld(t)
	addForeignTable(t, w.client, "firewall")
	rules, sockets := w.client.ruleset(t), w.client.sockets(t)
	for _, at := range []netip.Addr{w.server.v4, w.server.v6, stub} {
		mustResolve(t, w.client, at, "db.example.com")
	}
	s := mustInject(t, "life", dns.Outage{Resolvers: all(w)}, w.client.place(t), time.Minute)
	t.Logf("%+v", effect(t, s, patient))
	for _, at := range []netip.Addr{w.server.v4, w.server.v6, stub} {
		mustNotResolve(t, w.client, at, "db.example.com")
	}
	mustResolve(t, w.server, w.server.v4, "db.example.com") // a bystander
	for range 2 {
		if err := kind().Revert(t.Context(), s.entry); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []netip.Addr{w.server.v4, w.server.v6, stub} {
		mustResolve(t, w.client, at, "db.example.com")
	}
	if after := w.client.ruleset(t); after != rules {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", rules, after)
	}
	mustHaveSockets(t, w.client, sockets)
}

// TestOutageModes asks over both protocols and families for names that are hit and names that are not.
func TestOutageModes(t *testing.T) {
	const late = 600 * time.Millisecond
	names := []string{"db.example.com", "*.corp.example"}
	hit := []string{"db.example.com", "DB.Example.COM", "a.corp.example", "x.y.CORP.example"}
	others := []string{"example.com", "www.db.example.com", "db.example.com.au", "corp.example", "acorp.example"}
	tests := map[string]struct {
		config dns.Outage
		rcode  int // -1: no answer
		after  time.Duration
	}{
		"drop":          {dns.Outage{}, -1, 0},
		"refused":       {dns.Outage{Action: "refused"}, 5, 0},
		"nxdomain":      {dns.Outage{Action: "nxdomain"}, 3, 0},
		"servfail":      {dns.Outage{Action: "servfail"}, 2, 0},
		"late":          {dns.Outage{Delay: late.String()}, 0, late},
		"late servfail": {dns.Outage{Action: "servfail", Delay: late.String()}, 2, late},
	}
	w := newWorld(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.config.Names, tt.config.Resolvers = names, all(w)
			mustInject(t, "mode", tt.config, w.client.place(t), time.Minute)
			var asking sync.WaitGroup
			for _, at := range []netip.Addr{w.server.v4, w.server.v6, stub} {
				for _, network := range []string{"udp", "tcp"} {
					for _, name := range hit {
						asking.Go(func() { mustGet(t, w, network, at, name, tt.rcode, tt.after) })
					}
					for _, name := range others {
						asking.Go(func() { mustGet(t, w, network, at, name, 0, 0) })
					}
				}
			}
			asking.Wait()
		})
	}
}

// mustGet asks for a name and compares the response code, -1 for no answer, and the time that it took.
func mustGet(t *testing.T, w *world, network string, at netip.Addr, name string, want int, after time.Duration) {
	t.Helper()
	const slack = 450 * time.Millisecond // for a busy machine; shorter than any outage of the tests
	limit := patient
	if want < 0 {
		limit = soon
	}
	rcode, took, err := w.client.ask(network, at, name, limit)
	for range 3 {
		if took > after+slack { // a busy machine is late by itself, but not each time
			rcode, took, err = w.client.ask(network, at, name, limit)
		}
	}
	switch timeout := net.Error(nil); {
	case want < 0 && (!errors.As(err, &timeout) || !timeout.Timeout()):
		t.Errorf("%s %v %s: code %d, %v; want no answer", network, at, name, rcode, err)
	case want >= 0 && (err != nil || rcode != want):
		t.Errorf("%s %v %s: code %d, %v; want %d", network, at, name, rcode, err, want)
	case want >= 0 && (took < after || took > after+slack):
		t.Errorf("%s %v %s: answered after %v, want %v", network, at, name, took, after)
	}
}

// TestResolverSeesWhatPasses counts, at the resolver, what comes through and what does not, probes included.
func TestResolverSeesWhatPasses(t *testing.T) {
	w := newWorld(t)
	s := mustInject(t, "seen", dns.Outage{Names: []string{"db.example.com"}, Delay: "100ms", Resolvers: all(w)},
		w.client.place(t), time.Minute)
	if n := w.far.count("db.example.com") + w.near.count("db.example.com"); n != 0 {
		t.Errorf("the resolver saw %d probes", n)
	}
	if _, _, err := w.client.ask("udp", w.server.v4, "DB.example.com", patient); err != nil {
		t.Error(err)
	}
	if w.far.count("db.example.com") != 1 || !slices.Contains(w.far.asked, "DB.example.com") {
		t.Errorf("the resolver was asked for %v, want DB.example.com as it was written", w.far.asked)
	}
	e := effect(t, s, patient)
	selected, err := strconv.Atoi(e.Details["selected"])
	own, err2 := strconv.Atoi(e.Details["own_probes"])
	if err != nil || err2 != nil || own < 6 || selected != own+1 || e.Details["passed"] != "0" { // rounds of three, and one
		t.Errorf("evidence %+v", e)
	}
}

// TestPipelinedTCP sends a late and an ordinary query over one connection: the ordinary one is not held up.
func TestPipelinedTCP(t *testing.T) {
	w := newWorld(t)
	mustInject(t, "pipe", dns.Outage{Names: []string{"slow.example"}, Delay: "500ms", Resolvers: all(w)},
		w.client.place(t), time.Minute)
	c, err := w.client.dial(t.Context(), "tcp", netip.AddrPortFrom(w.server.v4, 53))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"slow.example", "quick.example"} {
		if err := send(c, query(uint16(i), name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil { // the client is done asking, not listening
		t.Fatal(err)
	}
	for _, want := range []string{"quick.example", "slow.example"} {
		msg, err := receive(c)
		if name, _ := textName(msg); err != nil || name != want {
			t.Fatalf("got the answer for %q, %v; want %q", name, err, want)
		}
	}
}

// TestUnselectedLatency compares what a name that is not hit takes with and without the outage, in turns.
func TestUnselectedLatency(t *testing.T) {
	w, calm := newWorld(t), newWorld(t)
	const rounds = 300
	mustInject(t, "latency", dns.Outage{Names: []string{"db.example.com"}, Delay: "3s",
		Resolvers: []string{w.server.v4.String()}}, w.client.place(t), time.Minute)
	var took [3][]time.Duration
	for range rounds {
		for i, c := range []struct {
			w  *world
			at netip.Addr
		}{{calm, calm.server.v4}, {w, w.server.v4}, {w, w.server.v6}} {
			_, d, err := c.w.client.ask("udp", c.at, "www.example.org", patient)
			if err != nil {
				t.Fatal(err)
			}
			took[i] = append(took[i], d)
		}
	}
	for _, all := range took {
		slices.Sort(all)
	}
	without, during, other := took[0][rounds/2], took[1][rounds/2], took[2][rounds/2]
	t.Logf("median of %d: %v without, %v with the outage; at a resolver that is not hit %v", rounds, without, during, other)
	if during > without+5*time.Millisecond {
		t.Errorf("a name that is not hit takes %v, and %v without the outage", during, without)
	}
	for w, want := range map[*world]int{calm: rounds, w: 2 * rounds} {
		if n := w.far.count("www.example.org"); n != want {
			t.Errorf("the resolver was asked %d times, want %d", n, want)
		}
	}
}

// TestOngoingConversations: a client that keeps its source port, and one that keeps a TCP connection, are hit at once and
// let go at once. No state of a connection keeps them.
func TestOngoingConversations(t *testing.T) {
	w := newWorld(t)
	at := netip.AddrPortFrom(w.server.v4, 53)
	udp, err := w.client.dial(t.Context(), "udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := w.client.dial(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for _, c := range []net.Conn{udp, tcp} {
		if _, _, err := exchange(c, "db.example.com", patient); err != nil {
			t.Fatal(err)
		}
	}
	s := mustInject(t, "ongoing", dns.Outage{Resolvers: all(w)}, w.client.place(t), time.Minute)
	for _, c := range []net.Conn{udp, tcp} {
		if _, _, err := exchange(c, "db.example.com", soon); err == nil {
			t.Errorf("%v goes on", c.LocalAddr())
		}
	}
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
	if _, took, err := exchange(udp, "db.example.com", patient); err != nil || took > soon {
		t.Errorf("after the revert, the same source port: %v, %v", took, err)
	}
}

// TestAmongOthers: a stateful firewall that lets in answers alone, and another's NAT before the resolver, as Docker has it,
// with connection tracking on. All of it works through the outage and after it.
func TestAmongOthers(t *testing.T) {
	w := newWorld(t)
	embedded := netip.MustParseAddr("127.0.0.11")
	w.near.serve(t, w.client, netip.MustParseAddrPort("127.0.0.1:5353"))
	addNAT(t, w.client, embedded, 5353)
	addFirewall(t, w.client)
	before := w.client.ruleset(t)
	for _, at := range []netip.Addr{embedded, w.server.v4} {
		mustResolve(t, w.client, at, "db.example.com")
	}
	s := mustInject(t, "others", dns.Outage{Names: []string{"db.example.com"}, Action: "nxdomain",
		Resolvers: []string{embedded.String(), w.server.v4.String()}}, w.client.place(t), time.Minute)
	for _, at := range []netip.Addr{embedded, w.server.v4} {
		for _, network := range []string{"udp", "tcp"} {
			if at == embedded && network == "tcp" {
				continue // that NAT is for UDP
			}
			if rcode, _, err := w.client.ask(network, at, "db.example.com", patient); err != nil || rcode != 3 {
				t.Errorf("%s %v: code %d, %v", network, at, rcode, err)
			}
			if rcode, _, err := w.client.ask(network, at, "www.example.com", patient); err != nil || rcode != 0 {
				t.Errorf("%s %v, not hit: code %d, %v", network, at, rcode, err)
			}
		}
	}
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
	for _, at := range []netip.Addr{embedded, w.server.v4} {
		mustResolve(t, w.client, at, "db.example.com")
	}
	if after := w.client.ruleset(t); after != before {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
	}
}

// TestHalfApplied stops in the middle of injecting and of reverting, and reverts then.
func TestHalfApplied(t *testing.T) {
	w := newWorld(t)
	rules, sockets := w.client.ruleset(t), w.client.sockets(t)
	stopAt := func(ctx context.Context, at faults.Checkpoint) context.Context {
		return faults.WithReach(ctx, func(now faults.Checkpoint) {
			if now == at {
				panic("stopped")
			}
		})
	}
	o, place := dns.Outage{Resolvers: all(w)}, w.client.place(t)
	s, err := inject(t, stopAt(t.Context(), faults.MidInject), "half", o, place, time.Minute)
	if p := (*faults.PanicError)(nil); !errors.As(err, &p) {
		t.Fatalf("it was not stopped: %v", err)
	}
	mustResolve(t, w.client, w.server.v4, "db.example.com") // nothing is led anywhere yet
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
	mustHaveSockets(t, w.client, sockets)
	if s, err = inject(t, t.Context(), "half", o, place, time.Minute); err != nil {
		t.Fatal(err)
	}
	err = faults.Protect(func() error { return kind().Revert(stopAt(t.Context(), faults.MidRevert), s.entry) })
	if err == nil {
		t.Fatal("the revert was not stopped")
	}
	mustResolve(t, w.client, w.server.v4, "db.example.com")
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
	if after := w.client.ruleset(t); after != rules {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", rules, after)
	}
	mustHaveSockets(t, w.client, sockets)
}

// TestForeignState: a table of our name but not of our mark is left alone, and a second outage is refused.
func TestForeignState(t *testing.T) {
	w := newWorld(t)
	place := w.client.place(t)
	s := mustInject(t, "first", dns.Outage{Resolvers: all(w)}, place, time.Minute)
	during := w.client.ruleset(t)
	o := dns.Outage{Resolvers: all(w)}
	if _, err := inject(t, t.Context(), "second", o, place, time.Minute); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("a second outage: %v", err)
	}
	if _, err := inject(t, t.Context(), "first", o, place, time.Minute); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("the same outage again: %v", err)
	}
	if now := w.client.ruleset(t); now != during {
		t.Errorf("a refused outage changed the ruleset from:\n%s\nto:\n%s", during, now)
	}
	other := s.entry
	other.Undo = []byte(strings.Replace(string(s.entry.Undo), "injection first", "injection other", 1))
	if err := kind().Revert(t.Context(), other); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("reverting with another mark: %v", err)
	}
	if now := w.client.ruleset(t); now != during {
		t.Errorf("a refused revert changed the ruleset from:\n%s\nto:\n%s", during, now)
	}
	if err := kind().Revert(t.Context(), s.entry); err != nil {
		t.Fatal(err)
	}
	mustInject(t, "second", dns.Outage{Resolvers: all(w)}, place, time.Minute)
}

// TestCheckLeavesNothing: not a table, not a socket; and it names what is missing.
func TestCheckLeavesNothing(t *testing.T) {
	w := newWorld(t)
	rules, sockets := w.client.ruleset(t), w.client.sockets(t)
	check := func() error {
		o := dns.Outage{Resolvers: all(w)}
		i, err := o.Bind(w.client.place(t))
		if err != nil {
			t.Fatal(err)
		}
		return i.(faults.Checker).Check(t.Context())
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	if after := w.client.ruleset(t); after != rules {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", rules, after)
	}
	mustHaveSockets(t, w.client, sockets)
	h, err := netlink.NewHandleAt(w.client.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetDown(lo); err != nil {
		t.Fatal(err)
	}
	if err := check(); err == nil || !strings.Contains(err.Error(), "lo") {
		t.Errorf("without a loopback interface: %v", err)
	}
}

// TestResolvConfOfThePlace hits the resolvers that the place's process would ask.
func TestResolvConfOfThePlace(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	o := dns.Outage{}
	s, err := inject(t, t.Context(), "conf", o, w.client.place(t), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kind().Revert(context.Background(), s.entry) }()
	rules := w.client.ruleset(t)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && a.Is4() {
			if want := fmt.Sprintf("set ask4 element %x", a.AsSlice()); !strings.Contains(rules, want) {
				t.Errorf("%v is not hit:\n%s", a, rules)
			}
		}
	}
	if strings.Count(rules, "element") < 2 {
		t.Errorf("nothing is hit:\n%s", rules)
	}
}

// mustHaveSockets waits for the test's own lookups to close theirs.
func mustHaveSockets(t *testing.T, n *node, want string) {
	t.Helper()
	eventually(t, patient, func() error {
		if now := n.sockets(t); now != want {
			return fmt.Errorf("sockets before:\n%s\nafter:\n%s", want, now)
		}
		return nil
	})
}

func addForeignTable(t *testing.T, n *node, name string) {
	t.Helper()
	c := n.nft(t)
	table := c.AddTable(&nftables.Table{Name: name, Family: nftables.TableFamilyINet})
	chain := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept}},
		UserData: userdata.AppendString(nil, userdata.TypeComment, "not ours")})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// addNAT leads UDP queries for an address to a port of the loopback address.
func addNAT(t *testing.T, n *node, at netip.Addr, port uint16) {
	t.Helper()
	c := n.nft(t)
	table := c.AddTable(&nftables.Table{Name: "embedded", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{Name: "output", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: at.AsSlice()},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{17}},
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Redir{RegisterProtoMin: 1},
	}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// addFirewall drops what comes in unless it belongs to a known connection or comes from loopback as a new one.
func addFirewall(t *testing.T, n *node) {
	t.Helper()
	c := n.nft(t)
	dropping := nftables.ChainPolicyDrop
	table := c.AddTable(&nftables.Table{Name: "stateful", Family: nftables.TableFamilyINet})
	chain := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter, Policy: &dropping})
	state := func(bits uint32) []expr.Any {
		return []expr.Any{
			&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4,
				Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
		}
	}
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(state(expr.CtStateBitESTABLISHED),
		&expr.Verdict{Kind: expr.VerdictAccept})})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(1)},
	}, state(expr.CtStateBitNEW)...), &expr.Verdict{Kind: expr.VerdictAccept})})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}
