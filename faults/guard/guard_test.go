package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

// rig is a guard and its client in one process, on a world in memory.
type rig struct {
	*guard.Client
	world  *world
	ledger *faults.Ledger
	served chan error
}

func newRig(t *testing.T, w *world, dir string) *rig {
	t.Helper()
	r, err := startRig(t.Context(), w, dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func startRig(ctx context.Context, w *world, dir string) (*rig, error) {
	l, err := faults.OpenLedger(dir)
	if err != nil {
		return nil, err
	}
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	r := &rig{world: w, ledger: l, served: make(chan error, 1), Client: guard.Connect(inWrite, outRead)}
	go func() {
		err := guard.Serve(ctx, inRead, outWrite, guard.Options{Kinds: w.kinds(), Ledger: l, Version: "test"})
		outWrite.Close()
		inRead.CloseWithError(io.ErrClosedPipe)
		r.served <- err
	}()
	return r, nil
}

// end closes the client and returns what the guard says in the end.
func (r *rig) end(t *testing.T) error {
	t.Helper()
	if err := r.Close(context.Background()); err != nil {
		t.Errorf("closing: %v", err)
	}
	return <-r.served
}

func (r *rig) ledgerIDs(t *testing.T) []string {
	t.Helper()
	all, err := r.ledger.Standing()
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

func (r *rig) mustBeClean(t *testing.T) {
	t.Helper()
	if ids := r.world.ids(); len(ids) > 0 {
		t.Errorf("still standing: %v", ids)
	}
	if ids := r.ledgerIDs(t); len(ids) > 0 {
		t.Errorf("still in the ledger: %v", ids)
	}
}

func ask(id, kind, config string) guard.InjectRequest {
	return guard.InjectRequest{ID: id, Run: "run", Fault: id, Kind: kind, Config: json.RawMessage(config),
		Place: faults.Place{Name: "place"}, Lease: 10 * time.Second, Deadline: time.Minute}
}

func mustInject(t *testing.T, r *rig, q guard.InjectRequest) guard.Injected {
	t.Helper()
	got, err := r.Inject(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func event(t *testing.T, r *rig, want guard.EventType, id string) guard.Event {
	t.Helper()
	e, ok := <-r.Events()
	if !ok || e.Type != want || e.ID != id {
		t.Fatalf("event %+v, want %s of %s", e, want, id)
	}
	return e
}

// bubble runs a test on a clock of its own, with a guard.
func bubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ledger")
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t, newWorld(), dir)) })
}

func TestHello(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w, err := r.Hello(t.Context())
		if err != nil || w.Version != "test" || !slices.Equal(w.Kinds, []string{"fake", "ending", "net", "final"}) || w.PID == 0 {
			t.Errorf("%+v, %v", w, err)
		}
		if err := r.end(t); err != nil {
			t.Error(err)
		}
	})
}

// TestFailuresLeaveNothing injects faults that fail at every step.
func TestFailuresLeaveNothing(t *testing.T) {
	tests := map[string]struct {
		kind, config string
		want         string // in the error
		is           error
	}{
		"unknown kind":        {"fak", `{}`, `no fault kind "fak"`, nil},
		"unknown parameter":   {"fake", `{"zzz":1}`, "zzz", nil},
		"garbage parameters":  {"fake", `[]`, "reading the parameters", nil},
		"invalid parameter":   {"fake", `{"bad":"validate"}`, "It is bad.", nil},
		"bind fails":          {"fake", `{"bad":"bind"}`, "bind fails", nil},
		"foreign state":       {"fake", `{"bad":"undo"}`, "in the way", faults.ErrForeign},
		"half applied":        {"fake", `{"inject":"fail"}`, "fails halfway", nil},
		"unproven":            {"fake", `{"effect":"never"}`, "nothing seen", guard.ErrUnproven},
		"proof fails":         {"fake", `{"effect":"fail"}`, "effect fails", nil},
		"final, half applied": {"final", `{"inject":"fail"}`, "fails halfway", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				mustInject(t, r, ask("bystander", "fake", `{}`))
				_, err := r.Inject(t.Context(), ask("i1", tt.kind, tt.config))
				if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if errors.Is(err, guard.ErrResidue) {
					t.Errorf("%v says that something is left", err)
				}
				if tt.kind != "final" && !slices.Equal(r.world.ids(), []string{"bystander"}) {
					t.Errorf("standing: %v", r.world.ids())
				}
				if ids := r.ledgerIDs(t); tt.kind != "final" && !slices.Equal(ids, []string{"bystander"}) {
					t.Errorf("in the ledger: %v", ids)
				}
				if err := r.end(t); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for name, change := range map[string]func(*guard.InjectRequest){
			"path":        func(q *guard.InjectRequest) { q.ID = "../../etc/x" },
			"no lease":    func(q *guard.InjectRequest) { q.Lease = 0 },
			"no deadline": func(q *guard.InjectRequest) { q.Deadline = 0 },
		} {
			q := ask("i1", "fake", `{}`)
			change(&q)
			if _, err := r.Inject(t.Context(), q); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		mustInject(t, r, ask("i1", "fake", `{}`))
		if _, err := r.Inject(t.Context(), ask("i1", "fake", `{}`)); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("the same id twice: %v", err)
		}
		if failed, err := r.Renew(t.Context(), time.Second, "i1", "i2"); err != nil || len(failed) != 1 ||
			!errors.Is(failed["i2"], guard.ErrUnknown) {
			t.Errorf("renewing: %v, %v", failed, err)
		}
		if _, err := r.Renew(t.Context(), 0, "i1"); err == nil {
			t.Error("a lease of 0 was accepted")
		}
		if _, err := r.Effect(t.Context(), "i2", 0); !errors.Is(err, guard.ErrUnknown) {
			t.Errorf("effect: %v", err)
		}
		if err := r.end(t); err != nil {
			t.Error(err)
		}
		r.mustBeClean(t)
	})
}

// TestLongProofKeepsTheLease proves an effect after more than a lease, without help of the client.
func TestLongProofKeepsTheLease(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		q := ask("i1", "fake", `{"effect":"late"}`)
		q.Lease = time.Second
		got := mustInject(t, r, q)
		if got.Effect.Summary != "4 looks" || got.Proof <= 0 {
			t.Errorf("%+v", got)
		}
		if ids := r.world.ids(); len(ids) != 1 {
			t.Errorf("it lapsed while it was proven: %v", ids)
		}
		<-time.After(1100 * time.Millisecond) // of the bubble's clock
		event(t, r, guard.EventReverted, "i1")
		r.mustBeClean(t)
		if err := r.end(t); err != nil {
			t.Error(err)
		}
	})
}

func TestFinalFaultsAreNotHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		q := ask("i1", "final", `{}`)
		q.Lease, q.Deadline = 0, 0
		mustInject(t, r, q)
		held, err := r.List(t.Context())
		if err != nil || len(held) != 0 || len(r.ledgerIDs(t)) != 0 {
			t.Errorf("held %v, %v; ledger %v", held, err, r.ledgerIDs(t))
		}
		if _, err := r.Inject(t.Context(), ask("i2", "final", `{"effect":"never"}`)); !errors.Is(err, guard.ErrUnproven) {
			t.Errorf("unproven: %v", err)
		}
		if err := r.end(t); err != nil {
			t.Error(err)
		}
	})
}

// TestEndings lets faults end by themselves, fail to, and lapse.
func TestFaultsEndByThemselves(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		mustInject(t, r, ask("i1", "ending", `{"watch":3000000000}`))
		if e := event(t, r, guard.EventOver, "i1"); e.Effect == nil || e.Effect.Summary != "it is over" {
			t.Errorf("%+v", e)
		}
		mustInject(t, r, ask("i2", "ending", `{"watch":-3000000000}`))
		if e := event(t, r, guard.EventReverted, "i2"); !strings.Contains(e.Why, "watch fails") {
			t.Errorf("%+v", e)
		}
		mustInject(t, r, ask("i3", "fake", `{}`))
		r.world.lapse("i3")
		failed, err := r.Renew(t.Context(), time.Minute, "i3")
		if err != nil || !errors.Is(failed["i3"], faults.ErrLapsed) {
			t.Errorf("renewing: %v, %v", failed, err)
		}
		event(t, r, guard.EventLapsed, "i3")
		r.mustBeClean(t)
		if err := r.end(t); err != nil {
			t.Error(err)
		}
	})
}

// TestReverseOrder ends a guard with three faults.
func TestReverseOrder(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for _, id := range []string{"i1", "i2", "i3"} {
			mustInject(t, r, ask(id, "fake", `{}`))
		}
		if err := r.end(t); err != nil {
			t.Error(err)
		}
		if want := []string{"i3", "i2", "i1"}; !slices.Equal(r.world.reverts, want) {
			t.Errorf("reverted in order %v, want %v", r.world.reverts, want)
		}
		r.mustBeClean(t)
	})
}

// TestResidue cannot revert one fault of two: it says so, tries again, and leaves its entry to others.
func TestResidue(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		mustInject(t, r, ask("good", "fake", `{}`))
		mustInject(t, r, ask("bad", "fake", `{"revert":"fail"}`))
		err := r.Revert(t.Context(), "bad")
		if !errors.Is(err, guard.ErrResidue) || !strings.Contains(err.Error(), "revert fails") {
			t.Errorf("reverting: %v", err)
		}
		held, err := r.List(t.Context())
		if err != nil || len(held) != 2 || held[0].Residue || !held[1].Residue {
			t.Errorf("held: %+v, %v", held, err)
		}
		event(t, r, guard.EventResidue, "bad") // the first retry, a second later
		failed, err := r.Renew(t.Context(), time.Minute, "good", "bad")
		if err != nil || failed["good"] != nil || failed["bad"] == nil {
			t.Errorf("renewing: %v, %v", failed, err)
		}
		if err := r.end(t); !errors.Is(err, guard.ErrResidue) || !strings.Contains(err.Error(), "bad") {
			t.Errorf("the guard ends with %v", err)
		}
		all, err := r.ledger.Standing()
		if err != nil || len(all) != 1 || all[0].ID != "bad" || !all[0].Orphaned {
			t.Errorf("ledger: %+v, %v", all, err)
		}
	})
}

// TestHangingRevert has a revert that never returns: it costs ten seconds, and the others nothing.
func TestHangingRevert(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		mustInject(t, r, ask("i1", "fake", `{}`))
		r.world.set(func() { r.world.hang = true })
		began := time.Now()
		if err := r.end(t); !errors.Is(err, guard.ErrResidue) {
			t.Errorf("the guard ends with %v", err)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestManyAtOnce ends a guard with many faults whose reverts take their time: all are gone within the second that the
// kill matrix holds one to, unless they stand at one place, where the newest goes first.
func TestManyAtOnce(t *testing.T) {
	const each = 300 * time.Millisecond
	for name, c := range map[string]struct {
		request func(n int) guard.InjectRequest
		most    time.Duration
	}{
		"many places": {func(n int) guard.InjectRequest {
			return at(ask(fmt.Sprint("i", n), "fake", `{}`), fmt.Sprint("place", n))
		}, time.Second},
		"many hosts": {func(n int) guard.InjectRequest {
			return onHost(ask(fmt.Sprint("i", n), "fake", `{}`), fmt.Sprint("host", n))
		}, time.Second},
		"one network": {func(n int) guard.InjectRequest { return ask(fmt.Sprint("i", n), "net", `{}`) }, time.Second},
		"one process": {func(n int) guard.InjectRequest { return ask(fmt.Sprint("i", n%5), "fake", `{}`) }, 5*each + time.Second},
		"kinds at once": {func(n int) guard.InjectRequest {
			return at(ask(fmt.Sprint("i", n), "ending", `{"watch":60000000000}`), fmt.Sprint("place", n))
		}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				seen := map[string]bool{}
				for n := range 200 {
					if q := c.request(n); !seen[q.ID] {
						seen[q.ID] = true
						mustInject(t, r, q)
					}
				}
				r.world.set(func() { r.world.slow = each })
				began := time.Now()
				if err := r.end(t); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > c.most || took < each {
					t.Errorf("took %v, want at most %v", took, c.most)
				}
				r.mustBeClean(t)
			})
		})
	}
}

func at(q guard.InjectRequest, place string) guard.InjectRequest {
	q.Place.Name = place
	return q
}

func onHost(q guard.InjectRequest, host string) guard.InjectRequest {
	q.Place.Host = host
	return q
}

// TestHangingRevertHarmsNobody ends a guard in which many reverts hang, some of them at the place of one that does not.
func TestHangingRevertHarmsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		mustInject(t, r, ask("same", "fake", `{}`))
		mustInject(t, r, at(ask("elsewhere", "fake", `{}`), "elsewhere"))
		var hanging []string
		for n := range 12 {
			hanging = append(hanging, fmt.Sprintf("hangs%02d", n))
			mustInject(t, r, ask(hanging[n], "fake", `{"revert":"hang"}`))
		}
		gone := make(chan time.Duration, 1)
		began := time.Now()
		go func() {
			for slices.Contains(r.world.ids(), "elsewhere") {
				time.Sleep(10 * time.Millisecond)
			}
			gone <- time.Since(began)
		}()
		if err := r.end(t); !errors.Is(err, guard.ErrResidue) {
			t.Errorf("the guard ends with %v", err)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("took %v", took)
		}
		if took := <-gone; took > time.Second {
			t.Errorf("what stands elsewhere is gone after %v", took)
		}
		if left := r.ledgerIDs(t); !slices.Equal(left, hanging) {
			t.Errorf("in the ledger: %v, want %v", left, hanging)
		}
	})
}

// TestCancelledCalls gives up on an injection that hangs: the stream goes on and the fault is reverted.
func TestCancelledCalls(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Inject(ctx, ask("i1", "fake", `{"inject":"hang"}`)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("injecting: %v", err)
		}
		synctest.Wait()
		r.mustBeClean(t)
		mustInject(t, r, ask("i2", "fake", `{}`))
		if e, err := r.Effect(t.Context(), "i2", time.Second); err != nil || !e.Proven {
			t.Errorf("%+v, %v", e, err)
		}
		if err := r.end(t); err != nil {
			t.Error(err)
		}
		r.mustBeClean(t)
	})
}

// TestEndDuringInjection ends a guard in the middle of an injection.
func TestEndDuringInjection(t *testing.T) {
	for _, config := range []string{`{"inject":"hang"}`, `{"effect":"never"}`} {
		bubble(t, func(t *testing.T, r *rig) {
			failed := make(chan error, 1)
			go func() {
				_, err := r.Inject(t.Context(), ask("i1", "fake", config))
				failed <- err
			}()
			synctest.Wait()
			if ids := r.world.ids(); len(ids) != 1 {
				t.Fatalf("standing: %v", ids)
			}
			if err := r.end(t); err != nil {
				t.Error(err)
			}
			if err := <-failed; err == nil {
				t.Error("the injection succeeded")
			}
			r.mustBeClean(t)
		})
	}
}

// TestPanicEndsTheGuard has one kind panic at each step: the other fault is reverted, and the panic told.
func TestPanicEndsTheGuard(t *testing.T) {
	for name, config := range map[string]string{"inject": `{"inject":"panic"}`, "effect": `{"effect":"panic"}`} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				mustInject(t, r, ask("other", "fake", `{}`))
				_, err := r.Inject(t.Context(), ask("i1", "fake", config))
				if err == nil || !strings.Contains(err.Error(), "panics") {
					t.Errorf("injecting: %v", err)
				}
				if err := <-r.served; err == nil || !strings.Contains(err.Error(), "panics") || errors.Is(err, guard.ErrResidue) {
					t.Errorf("the guard ends with %v", err)
				}
				r.mustBeClean(t)
				<-r.Ended()
				if _, err := r.List(t.Context()); err == nil {
					t.Error("the guard goes on after a panic")
				}
				if err := r.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestNobodyReads has a client that sends, never reads, and renews nothing: faults are reverted all the same.
func TestNobodyReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		l, err := faults.OpenLedger(dir)
		if err != nil {
			t.Fatal(err)
		}
		inRead, inWrite := io.Pipe()
		outRead, outWrite := io.Pipe()
		served := make(chan error, 1)
		go func() {
			served <- guard.Serve(t.Context(), inRead, outWrite, guard.Options{Kinds: w.kinds(), Ledger: l})
		}()
		line, err := json.Marshal(map[string]any{"seq": 1, "op": "inject", "inject": ask("i1", "fake", `{}`)})
		if err != nil {
			t.Fatal(err)
		}
		garbage := []string{"not json", "{}", `{"seq":3,"op":"what"}`, `{"seq":4,"op":"inject"}`, string(line)}
		for _, s := range append(garbage, slices.Repeat([]string{`{"seq":5,"op":"list"}`}, 3000)...) {
			if _, err := io.WriteString(inWrite, s+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if ids := w.ids(); len(ids) != 1 {
			t.Fatalf("standing: %v", ids)
		}
		<-time.After(11 * time.Second) // of the bubble's clock: past the lease
		synctest.Wait()
		if ids := w.ids(); len(ids) != 0 || len(w.reverts) != 1 {
			t.Errorf("standing after the lease: %v, reverts %v", ids, w.reverts)
		}
		inWrite.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		outRead.Close()
		synctest.Wait()
	})
}

// TestInjectAgain injects a fault as soon as the answer or the event says that it is gone: it never is held yet.
func TestInjectAgain(t *testing.T) {
	r := newRig(t, newWorld(), filepath.Join(t.TempDir(), "ledger"))
	q := ask("i1", "fake", `{}`)
	for range 100 {
		mustInject(t, r, q)
		if err := r.Revert(t.Context(), q.ID); err != nil {
			t.Fatal(err)
		}
	}
	q.Lease = time.Millisecond
	for range 100 {
		if _, err := r.Inject(t.Context(), q); errors.Is(err, faults.ErrLapsed) {
			continue // a busy machine is slower than the lease
		} else if err != nil {
			t.Fatal(err)
		}
		event(t, r, guard.EventReverted, q.ID)
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}
