package network_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/kinds"
	"gameday/faults/process"
)

// request asks for a partition of a from b.
func request(t *testing.T, id string, a, b *node, lease time.Duration) guard.InjectRequest {
	t.Helper()
	return guard.InjectRequest{ID: id, Run: "run", Scenario: "test", Fault: "cut", Kind: kind().Name,
		Place: a.place(t, b), Lease: lease, Deadline: time.Minute}
}

func mustInject(t *testing.T, c *guard.Client, r guard.InjectRequest) guard.Injected {
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

func standing(t *testing.T, dir string) []faults.Standing {
	t.Helper()
	all, err := openLedger(t, dir).Standing()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func mustBeClean(t *testing.T, dir string, n *node, before string) {
	t.Helper()
	if left := standing(t, dir); len(left) > 0 {
		t.Errorf("left in the ledger: %+v", left)
	}
	if after := n.ruleset(t); after != before {
		t.Errorf("ruleset before:\n%s\nafter:\n%s", before, after)
	}
}

func TestGuardHoldsAPartition(t *testing.T) {
	a, b := pair(t)
	dir, before := ledgerDir(t), a.ruleset(t)
	c := startGuard(t, dir)
	mustHear(t, a, b.v4)
	got := mustInject(t, c, request(t, "i1", a, b, 10*time.Second))
	t.Logf("settle %v, inject %v, proof %v: %s", got.Settle, got.Inject, got.Proof, got.Effect.Summary)
	mustNotHear(t, a, b.v4)
	if s := standing(t, dir); len(s) != 1 || s[0].Orphaned || s[0].Entry.Guard != c.PID() {
		t.Errorf("while it stands, the ledger has %+v", s)
	}
	if e, err := c.Effect(t.Context(), "i1", patient); err != nil || !e.Proven {
		t.Errorf("fresh evidence: %+v, %v", e, err)
	}
	if err := c.Revert(t.Context(), "i1"); err != nil {
		t.Fatal(err)
	}
	mustHear(t, a, b.v4)
	mustBeClean(t, dir, a, before)
	mustInject(t, c, request(t, "i1", a, b, 10*time.Second)) // the same id again, now that it is gone
	if err := c.Revert(t.Context(), "i1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Revert(t.Context(), "i1"); !errors.Is(err, guard.ErrUnknown) {
		t.Errorf("reverting what is gone: %v", err)
	}
	mustBeClean(t, dir, a, before)
}

// TestRenewalsKeepItStanding holds a cut beyond its first lease, then stops renewing.
func TestRenewalsKeepItStanding(t *testing.T) {
	a, b := pair(t)
	dir, before := ledgerDir(t), a.ruleset(t)
	c := startGuard(t, dir)
	const lease = 5 * time.Second // a busy machine may stop us for seconds
	mustInject(t, c, request(t, "i1", a, b, lease))
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 3*lease/2; <-tick.C {
		if failed, err := c.Renew(t.Context(), lease, "i1"); err != nil || len(failed) > 0 {
			t.Fatalf("renewing: %v, %v", failed, err)
		}
	}
	mustNotHear(t, a, b.v4)
	select {
	case e := <-c.Events():
		if e.Type != guard.EventReverted || e.ID != "i1" || !strings.Contains(e.Why, "not renewed") {
			t.Errorf("event %+v", e)
		}
	case <-time.After(patient):
		t.Fatal("no event")
	}
	mustHear(t, a, b.v4)
	mustBeClean(t, dir, a, before)
}

// TestEndings ends a guard in each way that it can notice: all leave nothing, within a second.
func TestEndings(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *guard.Client){
		"end of file": func(t *testing.T, c *guard.Client) {
			if err := c.Close(context.Background()); err != nil {
				t.Error(err)
			}
		},
		"SIGTERM": kill(syscall.SIGTERM),
		"SIGINT":  kill(syscall.SIGINT),
		"SIGHUP":  kill(syscall.SIGHUP),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			dir, before := ledgerDir(t), a.ruleset(t)
			beforeB := b.ruleset(t)
			c := startGuard(t, dir)
			mustInject(t, c, request(t, "i1", a, b, time.Minute))
			mustInject(t, c, request(t, "i2", b, a, time.Minute))
			mustNotHear(t, a, b.v4)
			began := time.Now()
			end(t, c)
			took := eventually(t, patient, func() error {
				if len(standing(t, dir)) > 0 {
					return errors.New("the ledger is not empty")
				}
				return nil
			})
			took = max(took, time.Since(began))
			t.Logf("%s to clean: %v", name, took)
			if took > time.Second {
				t.Errorf("took %v", took)
			}
			<-c.Ended()
			if err := c.Err(); err != nil {
				t.Errorf("the guard complained: %v", err)
			}
			mustHear(t, a, b.v4)
			mustBeClean(t, dir, a, before)
			mustBeClean(t, dir, b, beforeB)
		})
	}
}

func kill(s syscall.Signal) func(*testing.T, *guard.Client) {
	return func(t *testing.T, c *guard.Client) {
		if err := syscall.Kill(c.PID(), s); err != nil {
			t.Error(err)
		}
	}
}

// TestGuardKilled kills the guard beyond its own help: the kernel lets go when the lease is over, and the
// orphaned entry clears the rest away.
func TestGuardKilled(t *testing.T) {
	a, b := pair(t)
	dir, before := ledgerDir(t), a.ruleset(t)
	c := startGuard(t, dir)
	const lease = 2 * time.Second
	sent := time.Now()
	mustInject(t, c, request(t, "i1", a, b, lease))
	injected := time.Now() // nobody renews it after that
	kill(syscall.SIGKILL)(t, c)
	<-c.Ended()
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the client says %v", err)
	}
	if err := a.hears(b.v4, cutFor); err == nil && time.Since(sent) < lease { // the cut outlives the guard …
		t.Error("traffic flows although the lease is not over")
	}
	stood := lastFailure(t, patient, func() error { return a.hears(b.v4, 50*time.Millisecond) }).Sub(injected)
	t.Logf("lease %v, cut for %v of it although the guard was killed", lease, stood)
	if stood > 2*lease { // … but not its lease
		t.Errorf("still cut after %v", stood)
	}
	s := standing(t, dir)
	if len(s) != 1 || !s[0].Orphaned {
		t.Fatalf("ledger: %+v", s)
	}
	if a.ruleset(t) == before {
		t.Fatal("the table should still be there")
	}
	for i, want := range []int{1, 0} { // twice in a row
		results, err := faults.RevertOrphans(t.Context(), openLedger(t, dir), kinds.All(), nil)
		if err != nil || len(results) != want {
			t.Fatalf("round %d: %+v, %v", i, results, err)
		}
		for _, r := range results {
			if !r.Reverted || r.Err != nil {
				t.Errorf("round %d: %+v", i, r)
			}
		}
		mustBeClean(t, dir, a, before)
	}
}

// TestOrphanRevertedWhileStanding reverts an orphan long before its lease is over.
func TestOrphanRevertedWhileStanding(t *testing.T) {
	a, b := pair(t)
	dir, before := ledgerDir(t), a.ruleset(t)
	c := startGuard(t, dir)
	mustInject(t, c, request(t, "i1", a, b, time.Minute))
	results, err := faults.RevertOrphans(t.Context(), openLedger(t, dir), kinds.All(), nil)
	if err != nil || len(results) != 0 {
		t.Fatalf("a held entry was reverted: %+v, %v", results, err)
	}
	kill(syscall.SIGKILL)(t, c)
	<-c.Ended()
	none := func(faults.Entry) bool { return false }
	results, err = faults.RevertOrphans(t.Context(), openLedger(t, dir), kinds.All(), none)
	if err != nil || len(results) != 0 {
		t.Fatalf("only was ignored: %+v, %v", results, err)
	}
	mustNotHear(t, a, b.v4)
	results, err = faults.RevertOrphans(t.Context(), openLedger(t, dir), kinds.All(), nil)
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	mustHear(t, a, b.v4)
	mustBeClean(t, dir, a, before)
}

// TestClientKilled kills the conductor: the guard reads end of file, heals and exits.
func TestClientKilled(t *testing.T) {
	a, b := pair(t)
	dir, before := ledgerDir(t), a.ruleset(t)
	raw, err := json.Marshal(request(t, "i1", a, b, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	cmd := selfAs(t, "client", string(raw), dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	g, err := process.Identify(pid)
	if err != nil {
		t.Fatal(err)
	}
	mustNotHear(t, a, b.v4)
	began := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patient, func() error {
		if process.Alive(g) || len(standing(t, dir)) > 0 {
			return errors.New("the guard still stands")
		}
		return nil
	})
	took := time.Since(began)
	t.Logf("conductor killed to clean: %v", took)
	if took > time.Second {
		t.Errorf("took %v", took)
	}
	_ = cmd.Wait()
	mustHear(t, a, b.v4)
	mustBeClean(t, dir, a, before)
}

// TestDeadlineBeatsRenewals renews for ever a fault that may stand six seconds.
func TestDeadlineBeatsRenewals(t *testing.T) {
	a, b := pair(t)
	dir, before := ledgerDir(t), a.ruleset(t)
	c := startGuard(t, dir)
	const lease = 4 * time.Second // a busy machine may stop us for seconds
	r := request(t, "i1", a, b, lease)
	r.Deadline = 3 * lease / 2
	began := time.Now()
	mustInject(t, c, r)
	ctx, cancel := context.WithTimeout(t.Context(), 2*r.Deadline+patient)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = c.Renew(ctx, lease, "i1")
			continue
		case e := <-c.Events():
			if e.Type != guard.EventReverted || !strings.Contains(e.Why, "deadline") {
				t.Errorf("event %+v", e)
			}
		case <-ctx.Done():
			t.Fatal("no event")
		}
		break
	}
	if took := time.Since(began); took < r.Deadline || took > 2*r.Deadline {
		t.Errorf("it stood %v, its deadline was %v", took, r.Deadline)
	}
	mustHear(t, a, b.v4)
	mustBeClean(t, dir, a, before)
}

// TestUnprovenIsReverted cuts incoming traffic that nobody sends.
func TestUnprovenIsReverted(t *testing.T) {
	a, b := pair(t)
	dir, before := ledgerDir(t), a.ruleset(t)
	c := startGuard(t, dir)
	r := request(t, "i1", a, b, 3*time.Second)
	r.Config = json.RawMessage(`{"direction":"in"}`)
	r.EffectTimeout = 4 * time.Second // longer than the lease: the guard renews meanwhile
	got, err := c.Inject(t.Context(), r)
	if !errors.Is(err, guard.ErrUnproven) || got.Effect.Summary == "" || got.Effect.Proven {
		t.Fatalf("%+v, %v", got, err)
	}
	mustBeClean(t, dir, a, before)
	r.Keep = true
	if got, err = c.Inject(t.Context(), r); err != nil || got.Effect.Proven {
		t.Fatalf("with keep: %+v, %v", got, err)
	}
	mustNotHear(t, b, a.v4)
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
	mustBeClean(t, dir, a, before)
}

// TestNodeDiesUnderTheGuard takes the namespace away while it is cut: nothing of ours may keep it alive, and
// renewing says that the fault is gone.
func TestNodeDiesUnderTheGuard(t *testing.T) {
	a, b := pair(t)
	dir := ledgerDir(t)
	c := startGuard(t, dir)
	mustInject(t, c, request(t, "i1", a, b, time.Minute))
	a.stop()
	failed, err := c.Renew(t.Context(), time.Minute, "i1")
	if err != nil || !errors.Is(failed["i1"], faults.ErrLapsed) {
		t.Fatalf("renewing: %v, %v", failed, err)
	}
	if e := <-c.Events(); e.Type != guard.EventLapsed {
		t.Errorf("event %+v", e)
	}
	// The cable's other end vanishes with the namespace; if something held the namespace, it would stay.
	eventually(t, patient, func() error {
		return b.inside(func() error {
			if links, err := net.Interfaces(); err != nil || len(links) > 1 {
				return fmt.Errorf("the other end of the cable is still there: %v, %v", links, err)
			}
			return nil
		})
	})
	if s := standing(t, dir); len(s) > 0 {
		t.Errorf("ledger: %+v", s)
	}
}
