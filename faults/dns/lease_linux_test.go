package dns_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/dns"
	"gameday/faults/guard"
)

// request asks for an outage on the world's client.
func request(t *testing.T, w *world, id string, o dns.Outage, lease time.Duration) guard.InjectRequest {
	t.Helper()
	config, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return guard.InjectRequest{ID: id, Run: "run", Scenario: "test", Fault: "dark", Kind: kind().Name, Config: config,
		Place: w.client.place(t), Lease: lease, Deadline: time.Minute}
}

func mustHold(t *testing.T, c *guard.Client, r guard.InjectRequest) guard.Injected {
	t.Helper()
	got, err := c.Inject(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Effect.Proven {
		t.Fatalf("injected without proof: %+v", got)
	}
	return got
}

func mustBeClean(t *testing.T, w *world, dir, rules, sockets string) {
	t.Helper()
	if left, err := openLedger(t, dir).Standing(); err != nil || len(left) > 0 {
		t.Errorf("left in the ledger: %+v, %v", left, err)
	}
	if after := w.client.ruleset(t); after != rules {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", rules, after)
	}
	mustHaveSockets(t, w.client, sockets)
}

// TestGuardHoldsAnOutage holds it beyond its first lease, reverts, and injects the same again.
func TestGuardHoldsAnOutage(t *testing.T) {
	w := newWorld(t)
	dir, rules, sockets := ledgerDir(t), w.client.ruleset(t), w.client.sockets(t)
	c := startGuard(t, dir)
	const lease = 4 * time.Second // a busy machine may stop us for seconds
	for range 2 {
		got := mustHold(t, c, request(t, w, "i1", dns.Outage{Action: "servfail", Resolvers: all(w)}, lease))
		t.Logf("settle %v, inject %v, proof %v: %s", got.Settle, got.Inject, got.Proof, got.Effect.Summary)
		tick := time.NewTicker(lease / 20)
		for began := time.Now(); time.Since(began) < 3*lease/2; <-tick.C {
			if failed, err := c.Renew(t.Context(), lease, "i1"); err != nil || len(failed) > 0 {
				t.Fatalf("renewing: %v, %v", failed, err)
			}
			if rcode, _, err := w.client.ask("udp", w.server.v4, "db.example.com", patient); err != nil || rcode != 2 {
				t.Fatalf("while it is held: code %d, %v", rcode, err)
			}
		}
		tick.Stop()
		if e, err := c.Effect(t.Context(), "i1", patient); err != nil || !e.Proven {
			t.Errorf("fresh evidence: %+v, %v", e, err)
		}
		if err := c.Revert(t.Context(), "i1"); err != nil {
			t.Fatal(err)
		}
		mustResolve(t, w.client, w.server.v4, "db.example.com")
		mustBeClean(t, w, dir, rules, sockets)
	}
}

// TestEndings ends a guard in ways that it can notice: all leave nothing.
func TestEndings(t *testing.T) {
	w := newWorld(t)
	rules, sockets := w.client.ruleset(t), w.client.sockets(t)
	for name, end := range map[string]func(*guard.Client) error{
		"end of file":     func(c *guard.Client) error { return c.Close(t.Context()) },
		"SIGTERM":         func(c *guard.Client) error { return syscall.Kill(c.PID(), syscall.SIGTERM) },
		"lease runs out":  func(*guard.Client) error { return nil },
		"revert, by hand": func(c *guard.Client) error { return c.Revert(t.Context(), "i1") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := ledgerDir(t)
			c := startGuard(t, dir)
			const lease = 2 * time.Second
			mustHold(t, c, request(t, w, "i1", dns.Outage{Resolvers: all(w)}, lease))
			if err := end(c); err != nil {
				t.Fatal(err)
			}
			took := eventually(t, lease+time.Second, func() error {
				if left, err := openLedger(t, dir).Standing(); err != nil || len(left) > 0 {
					return fmt.Errorf("left in the ledger: %+v, %v", left, err)
				}
				return nil
			})
			t.Logf("clean after %v", took)
			if name != "lease runs out" && took > time.Second {
				t.Errorf("clean only after %v", took)
			}
			mustResolve(t, w.client, w.server.v4, "db.example.com")
			mustBeClean(t, w, dir, rules, sockets)
		})
	}
}

// TestGuardKilled kills the guard. Within the lease queries get nothing, and names resolve when it is over, for a client
// that keeps its source port and never pauses as well; then a fresh process clears away what does nothing any more.
func TestGuardKilled(t *testing.T) {
	for _, o := range []dns.Outage{{}, {Names: []string{"db.example.com"}, Action: "nxdomain"}, {Delay: "3s"}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			w := newWorld(t)
			o.Resolvers = all(w)
			dir, rules, sockets := ledgerDir(t), w.client.ruleset(t), w.client.sockets(t)
			steady, err := w.client.dial(t.Context(), "udp", netip.AddrPortFrom(w.server.v4, 53))
			if err != nil {
				t.Fatal(err)
			}
			defer steady.Close()
			c := startGuard(t, dir)
			const lease = 2 * time.Second
			sent := time.Now()
			mustHold(t, c, request(t, w, "i1", o, lease))
			if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			eventually(t, patient, func() error {
				s, err := openLedger(t, dir).Standing()
				if err != nil || len(s) != 1 || !s[0].Orphaned {
					return fmt.Errorf("the ledger has %+v, %v", s, err)
				}
				return nil
			})
			if _, _, err := exchange(steady, "db.example.com", 50*time.Millisecond); err == nil && time.Since(sent) < lease {
				t.Error("names resolve although the lease is not over")
			}
			dark := lastFailure(t, patient, func() error {
				_, _, err := exchange(steady, "db.example.com", 50*time.Millisecond)
				return err
			}).Sub(killed)
			t.Logf("dark for %v after the kill, with a lease of %v", dark, lease)
			if dark > lease+time.Second {
				t.Errorf("dark for %v after the kill, with a lease of %v", dark, lease)
			}
			mustResolve(t, w.client, w.server.v6, "db.example.com")
			if !strings.Contains(w.client.ruleset(t), "table gameday-dns-") || strings.Contains(w.client.ruleset(t), "element") {
				t.Errorf("after the lease:\n%s", w.client.ruleset(t))
			}
			results, err := faults.RevertOrphans(t.Context(), openLedger(t, dir), []faults.Kind{kind()}, nil)
			if err != nil || len(results) != 1 || !results[0].Reverted {
				t.Fatalf("reverting: %+v, %v", results, err)
			}
			steady.Close()
			mustBeClean(t, w, dir, rules, sockets)
		})
	}
}

// TestLapsedIsNotBroughtBack lets a lease run out: renewing fails, names resolve, and the sockets go by themselves.
func TestLapsedIsNotBroughtBack(t *testing.T) {
	w := newWorld(t)
	sockets := w.client.sockets(t)
	s := mustInject(t, "lapse", dns.Outage{Resolvers: all(w)}, w.client.place(t), time.Second)
	eventually(t, patient, func() error { return w.client.lookup(w.server.v4, "db.example.com", 50*time.Millisecond) })
	if err := s.Injection.(faults.Renewer).Renew(t.Context(), time.Minute); !errors.Is(err, faults.ErrLapsed) {
		t.Errorf("renewing: %v", err)
	}
	mustResolve(t, w.client, w.server.v4, "db.example.com")
	mustHaveSockets(t, w.client, sockets)
	if e := effect(t, s, soon); e.Proven || !strings.Contains(e.Summary, "lease ran out") {
		t.Errorf("effect %+v", e)
	}
}

// TestForwarderEndsWithItsLease leaves an outage alone: nothing calls it any more, and its sockets are closed.
func TestForwarderEndsWithItsLease(t *testing.T) {
	w := newWorld(t)
	sockets := w.client.sockets(t)
	mustInject(t, "alone", dns.Outage{Resolvers: all(w)}, w.client.place(t), time.Second)
	mustHaveSockets(t, w.client, sockets)
}

// TestNodeDies kills the place's only process: the forwarder lets the namespace go at the next renewal.
func TestNodeDies(t *testing.T) {
	w := newWorld(t)
	for _, r := range []*resolver{w.near} {
		r.close() // the test's own sockets would keep the namespace as well
	}
	dir := ledgerDir(t)
	c := startGuard(t, dir)
	mustHold(t, c, request(t, w, "i1", dns.Outage{Resolvers: all(w)}, 10*time.Second))
	w.client.stop()
	failed, err := c.Renew(t.Context(), 10*time.Second, "i1")
	if err != nil || !errors.Is(failed["i1"], faults.ErrLapsed) {
		t.Errorf("renewing: %v, %v", failed, err)
	}
	// A cable ends at both sides when the namespace of one is gone.
	eventually(t, patient, func() error {
		if strings.Contains(w.server.links(t), fmt.Sprintf("b%d", w.server.pid)) {
			return errors.New("the namespace of the dead node lives on")
		}
		return nil
	})
	if left, err := openLedger(t, dir).Standing(); err != nil || len(left) > 0 {
		t.Errorf("left in the ledger: %+v, %v", left, err)
	}
}
