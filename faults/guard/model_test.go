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

// play plays one sequence, in a folder of its own.
func play(t *rapid.T, dir string) {
	p := &player{ctx: context.Background(), dir: dir, world: newWorld(), model: model{}}
	var err error
	if p.rig, err = startRig(p.ctx, p.world, dir); err != nil {
		t.Fatal(err)
	}
	defer p.end(t)
	t.Repeat(map[string]func(*rapid.T){
		"inject": p.inject,
		"renew":  p.renew,
		"revert": p.revert,
		"lapse":  p.lapse,
		"wait":   p.wait,
		"kill":   p.kill,
		"":       p.agree,
	})
}

// What a sequence is made of.
var (
	anyID    = rapid.SampledFrom([]string{"i1", "i2", "i3", "i4"})
	anyLease = rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(1, 8).Draw(t, "lease"))*time.Second + 33*time.Millisecond
	})
	anyDeadline = rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(1, 20).Draw(t, "deadline"))*time.Second + 77*time.Millisecond
	})
)

// player is one sequence: a guard on a world, and what should be true of them.
type player struct {
	ctx   context.Context
	dir   string
	world *world
	model model
	rig   *rig // the guard that lives
}

// end is the end of a sequence, after which nothing is left.
func (p *player) end(t *rapid.T) {
	if err := p.rig.Close(p.ctx); err != nil {
		t.Error(err)
	}
	if err := <-p.rig.served; err != nil {
		t.Errorf("the guard ends with %v", err)
	}
	if len(p.world.ids()) > 0 {
		t.Errorf("left at the end: %v", p.world.ids())
	}
	if err := os.RemoveAll(p.dir); err != nil {
		t.Error(err)
	}
}

// inject asks for a fault, of which some are broken and some are held already.
func (p *player) inject(t *rapid.T) {
	q := ask(anyID.Draw(t, "id"), "fake", `{}`)
	q.Lease, q.Deadline = anyLease.Draw(t, "l"), anyDeadline.Draw(t, "d")
	broken := rapid.SampledFrom([]string{"", "", "", `{"inject":"fail"}`, `{"effect":"fail"}`}).Draw(t, "broken")
	if broken != "" {
		q.Config = []byte(broken)
	}
	taken := slices.Contains(p.model.standing(), q.ID)
	_, err := p.rig.Inject(p.ctx, q)
	if (err != nil) != (taken || broken != "") {
		t.Fatalf("injecting %s (held: %v, broken: %q): %v", q.ID, taken, broken, err)
	}
	if err == nil {
		now := time.Now()
		p.model[q.ID] = &expected{now.Add(q.Lease), now.Add(q.Deadline)}
	}
}

// renew renews faults, of which some stand and some do not.
func (p *player) renew(t *rapid.T) {
	list := rapid.SliceOfNDistinct(anyID, 0, 4, rapid.ID[string]).Draw(t, "ids")
	l, held := anyLease.Draw(t, "l"), p.model.standing()
	failed, err := p.rig.Renew(p.ctx, l, list...)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range list {
		if slices.Contains(held, id) != (failed[id] == nil) {
			t.Fatalf("renewing %s, held %v: %v", id, held, failed[id])
		}
		if failed[id] == nil {
			p.model[id].lease = time.Now().Add(l)
		}
	}
}

// revert takes a fault back, whether it stands or not.
func (p *player) revert(t *rapid.T) {
	id := anyID.Draw(t, "id")
	held := slices.Contains(p.model.standing(), id)
	err := p.rig.Revert(p.ctx, id)
	if held && err != nil || !held && !errors.Is(err, guard.ErrUnknown) {
		t.Fatalf("reverting %s (held: %v): %v", id, held, err)
	}
	delete(p.model, id)
}

// lapse is a kernel that lets go too early; the next renewal finds out.
func (p *player) lapse(t *rapid.T) {
	held := p.model.standing()
	if len(held) == 0 {
		t.Skip("nothing stands")
	}
	id := rapid.SampledFrom(held).Draw(t, "id")
	p.world.lapse(id)
	failed, err := p.rig.Renew(p.ctx, time.Second, id)
	if err != nil || !errors.Is(failed[id], faults.ErrLapsed) {
		t.Fatalf("renewing %s after it lapsed: %v, %v", id, failed, err)
	}
	delete(p.model, id)
}

// wait lets up to six seconds pass.
func (p *player) wait(t *rapid.T) {
	tenths := rapid.IntRange(1, 60).Draw(t, "tenths")
	<-time.After(time.Duration(tenths) * 100 * time.Millisecond) // of the bubble's clock
}

// kill is the death of the guard; a new one finds its orphans.
func (p *player) kill(t *rapid.T) {
	held := p.model.standing()
	p.world.set(func() { p.world.dead = true })
	if err := p.rig.Close(p.ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-p.rig.served; (err != nil) != (len(held) > 0) {
		t.Fatalf("killed with %v standing: %v", held, err)
	}
	p.world.set(func() { p.world.dead = false })
	if got := orphans(t, p.rig.ledger); !slices.Equal(got, held) {
		t.Fatalf("orphans %v, want %v", got, held)
	}
	results, err := faults.RevertOrphans(p.ctx, p.rig.ledger, p.world.kinds(), nil)
	if err != nil || len(results) != len(held) {
		t.Fatalf("reverting orphans: %+v, %v", results, err)
	}
	clear(p.model)
	if p.rig, err = startRig(p.ctx, p.world, p.dir); err != nil {
		t.Fatal(err)
	}
}

// agree compares the target, the ledger and the guard with the model.
func (p *player) agree(t *rapid.T) {
	synctest.Wait()
	want := p.model.standing()
	if got := p.world.ids(); !slices.Equal(got, want) {
		t.Fatalf("standing %v, want %v", got, want)
	}
	all, err := p.rig.ledger.Standing()
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
	held, err := p.rig.List(p.ctx)
	if err != nil || len(held) != len(want) {
		t.Fatalf("held %v, %v, want %v", held, err, want)
	}
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
