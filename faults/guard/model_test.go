package guard_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gameday/faults"
	"gameday/faults/guard"
)

// model is what should be true: for each fault the instant at which it must be gone.
type model map[string]*expected

type expected struct {
	lease, deadline time.Time
}

func (m model) standing() []string {
	now := time.Now()
	maps.DeleteFunc(m, func(_ string, e *expected) bool { return !now.Before(e.lease) || !now.Before(e.deadline) })
	return slices.Sorted(maps.Keys(m))
}

// TestModel plays random sequences of requests, waits, lapses, ends and kills, and compares guard, ledger and
// target with the model after each. Leases, deadlines and waits are chosen so that no two instants coincide.
func TestModel(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rounds := 3 // of a hundred sequences each, unless told otherwise
	if given("rapid.checks") != "" {
		rounds = 1
	}
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			dir := filepath.Join(root, fmt.Sprint(runs))
			// A failure is a panic, which has to leave the bubble before rapid can make the sequence shorter.
			var failure any
			synctest.Test(t, func(*testing.T) {
				defer func() { failure = recover() }()
				play(rt, dir)
			})
			if failure != nil {
				panic(failure)
			}
		})
	}
}

// given returns a flag's value if the flag was given, else "".
func given(name string) (value string) {
	flag.Visit(func(f *flag.Flag) {
		if f.Name == name {
			value = f.Value.String()
		}
	})
	return value
}

func play(t *rapid.T, dir string) {
	ctx := context.Background()
	w, m := newWorld(), model{}
	r, err := startRig(ctx, w, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-r.served; err != nil {
			t.Errorf("the guard ends with %v", err)
		}
		if len(w.ids()) > 0 {
			t.Errorf("left at the end: %v", w.ids())
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	ids := rapid.SampledFrom([]string{"i1", "i2", "i3", "i4"})
	lease := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(1, 8).Draw(t, "lease"))*time.Second + 33*time.Millisecond
	})
	deadline := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(1, 20).Draw(t, "deadline"))*time.Second + 77*time.Millisecond
	})
	t.Repeat(map[string]func(*rapid.T){
		"inject": func(t *rapid.T) {
			q := ask(ids.Draw(t, "id"), "fake", `{}`)
			q.Lease, q.Deadline = lease.Draw(t, "l"), deadline.Draw(t, "d")
			broken := rapid.SampledFrom([]string{"", "", "", `{"inject":"fail"}`, `{"effect":"fail"}`}).Draw(t, "broken")
			if broken != "" {
				q.Config = []byte(broken)
			}
			taken := slices.Contains(m.standing(), q.ID)
			_, err := r.Inject(ctx, q)
			if (err != nil) != (taken || broken != "") {
				t.Fatalf("injecting %s (held: %v, broken: %q): %v", q.ID, taken, broken, err)
			}
			if err == nil {
				now := time.Now()
				m[q.ID] = &expected{now.Add(q.Lease), now.Add(q.Deadline)}
			}
		},
		"renew": func(t *rapid.T) {
			list := rapid.SliceOfNDistinct(ids, 0, 4, rapid.ID[string]).Draw(t, "ids")
			l, held := lease.Draw(t, "l"), m.standing()
			failed, err := r.Renew(ctx, l, list...)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range list {
				if slices.Contains(held, id) != (failed[id] == nil) {
					t.Fatalf("renewing %s, held %v: %v", id, held, failed[id])
				}
				if failed[id] == nil {
					m[id].lease = time.Now().Add(l)
				}
			}
		},
		"revert": func(t *rapid.T) {
			id := ids.Draw(t, "id")
			held := slices.Contains(m.standing(), id)
			err := r.Revert(ctx, id)
			if held && err != nil || !held && !errors.Is(err, guard.ErrUnknown) {
				t.Fatalf("reverting %s (held: %v): %v", id, held, err)
			}
			delete(m, id)
		},
		"lapse": func(t *rapid.T) { // the kernel lets go too early; the next renewal finds out
			held := m.standing()
			if len(held) == 0 {
				t.Skip("nothing stands")
			}
			id := rapid.SampledFrom(held).Draw(t, "id")
			w.lapse(id)
			failed, err := r.Renew(ctx, time.Second, id)
			if err != nil || !errors.Is(failed[id], faults.ErrLapsed) {
				t.Fatalf("renewing %s after it lapsed: %v, %v", id, failed, err)
			}
			delete(m, id)
		},
		"wait": func(t *rapid.T) {
			tenths := rapid.IntRange(1, 60).Draw(t, "tenths")
			<-time.After(time.Duration(tenths) * 100 * time.Millisecond) // of the bubble's clock
		},
		"kill": func(t *rapid.T) { // the guard dies; a new one finds its orphans
			held := m.standing()
			w.set(func() { w.dead = true })
			if err := r.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if err := <-r.served; (err != nil) != (len(held) > 0) {
				t.Fatalf("killed with %v standing: %v", held, err)
			}
			w.set(func() { w.dead = false })
			if got := orphans(t, r.ledger); !slices.Equal(got, held) {
				t.Fatalf("orphans %v, want %v", got, held)
			}
			results, err := faults.RevertOrphans(ctx, r.ledger, w.kinds(), nil)
			if err != nil || len(results) != len(held) {
				t.Fatalf("reverting orphans: %+v, %v", results, err)
			}
			clear(m)
			if r, err = startRig(ctx, w, dir); err != nil {
				t.Fatal(err)
			}
		},
		"": func(t *rapid.T) {
			synctest.Wait()
			want := m.standing()
			if got := w.ids(); !slices.Equal(got, want) {
				t.Fatalf("standing %v, want %v", got, want)
			}
			all, err := r.ledger.Standing()
			if err != nil {
				t.Fatal(err)
			}
			var inLedger []string
			for _, s := range all {
				if s.Err != nil || s.Orphaned {
					t.Fatalf("ledger: %+v", s)
				}
				inLedger = append(inLedger, s.ID)
			}
			if slices.Sort(inLedger); !slices.Equal(inLedger, want) {
				t.Fatalf("in the ledger %v, want %v", inLedger, want)
			}
			held, err := r.List(ctx)
			if err != nil || len(held) != len(want) {
				t.Fatalf("held %v, %v, want %v", held, err, want)
			}
		},
	})
}

func orphans(t *rapid.T, l *faults.Ledger) []string {
	all, err := l.Standing()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range all {
		if s.Orphaned {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
