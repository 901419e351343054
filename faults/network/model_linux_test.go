package network_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/faults"
	"gameday/faults/network"
)

// TestShapeModel injects, renews, half-injects, half-reverts and reverts shapes of one node at random, and compares the
// kernel's state with a model after each step: which tables there are, which classes, and whether the root is ours.
func TestShapeModel(t *testing.T) {
	a, b := pair(t)
	before, tree := a.ruleset(t), a.tree(t)
	steps := 0
	rapid.Check(t, func(r *rapid.T) {
		m := &model{a: a, b: b, standing: map[string]*modelled{}}
		defer func() {
			for _, s := range m.standing {
				if err := s.kind.Revert(t.Context(), s.entry); err != nil {
					r.Fatal(err)
				}
			}
			if after := a.tree(t); after != tree || a.ruleset(t) != before {
				r.Fatalf("qdiscs before:\n%s\nafter:\n%s", tree, after)
			}
		}()
		r.Repeat(map[string]func(*rapid.T){
			"inject": func(r *rapid.T) { m.inject(t, r, "") },
			"half":   func(r *rapid.T) { m.inject(t, r, faults.MidInject) },
			"renew":  func(r *rapid.T) { m.renew(t, r) },
			"revert": func(r *rapid.T) { m.revert(t, r, "") },
			"torn":   func(r *rapid.T) { m.revert(t, r, faults.MidRevert) },
			"":       func(r *rapid.T) { steps++; m.check(t, r) },
		})
	})
	t.Logf("%d steps", steps)
}

// modelled is one injection, and which of its parts should be in the kernel.
type modelled struct {
	standingShape
	minor uint16
	table bool
}

type model struct {
	a, b     *node
	standing map[string]*modelled
}

// until runs f up to a checkpoint, or to its end if it comes to none of that name.
func until(at faults.Checkpoint, f func() error) error {
	type halt struct{}
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(halt); !ok {
				panic(v)
			}
		}
	}()
	haltAt = func(c faults.Checkpoint) {
		if c == at {
			panic(halt{})
		}
	}
	return f()
}

// haltAt is what the model's contexts call at checkpoints. Its test runs alone.
var haltAt func(faults.Checkpoint)

func (m *model) inject(t *testing.T, r *rapid.T, stop faults.Checkpoint) {
	id := fmt.Sprintf("m%d", rapid.IntRange(1, 4).Draw(r, "id"))
	ctx := faults.WithOwner(faults.WithReach(t.Context(), func(c faults.Checkpoint) { haltAt(c) }),
		faults.Owner{Run: "model", Injection: id})
	place := m.a.place(t, m.b)
	config := &network.Rate{Rate: rapid.SampledFrom([]string{"1mbit", "100mbit"}).Draw(r, "rate")}
	i, err := config.Bind(place)
	if err != nil {
		r.Fatal(err)
	}
	undo, err := i.Undo(ctx)
	if s := m.standing[id]; s != nil && s.table {
		if !errors.Is(err, faults.ErrForeign) {
			r.Fatalf("%s is injected a second time: %v", id, err)
		}
		return
	}
	if m.standing[id] != nil { // its tree stands: a guard refuses an id that its ledger has
		return
	}
	if err != nil {
		r.Fatal(err)
	}
	entry := faults.Entry{ID: id, Place: place, Undo: undo}
	if err := until(stop, func() error { return i.Inject(ctx, time.Minute) }); err != nil {
		r.Fatal(err)
	}
	m.standing[id] = &modelled{standingShape{i, network.RateKind(), entry}, branchOf(t, entry), stop == ""}
}

func (m *model) pick(r *rapid.T) (string, *modelled) {
	var ids []string
	for id := range m.standing {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		r.Skip("nothing stands")
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(r, "standing")
	return id, m.standing[id]
}

func (m *model) renew(t *testing.T, r *rapid.T) {
	id, s := m.pick(r)
	if err := s.renew(t, time.Minute); (err == nil) != s.table || err != nil && !errors.Is(err, faults.ErrLapsed) {
		r.Fatalf("renewing %s, whose table stands: %v: %v", id, s.table, err)
	}
}

func (m *model) revert(t *testing.T, r *rapid.T, stop faults.Checkpoint) {
	id, s := m.pick(r)
	ctx := faults.WithReach(t.Context(), func(c faults.Checkpoint) { haltAt(c) })
	for range rapid.IntRange(1, 2).Draw(r, "times") {
		if err := until(stop, func() error { return s.kind.Revert(ctx, s.entry) }); err != nil {
			r.Fatal(err)
		}
	}
	s.table = false
	if stop == "" {
		delete(m.standing, id)
	}
}

func (m *model) check(t *testing.T, r *rapid.T) {
	tree, rules := m.a.outline(t), m.a.ruleset(t)
	tables := 0
	for id, s := range m.standing {
		if !strings.Contains(tree, fmt.Sprintf("class htb 6ada%04x", s.minor)) {
			r.Fatalf("%s has no class %x:\n%s", id, s.minor, tree)
		}
		if s.table {
			tables++
		}
	}
	if got := strings.Count(tree, "class htb "); got != len(m.standing) {
		r.Fatalf("%d classes, want %d:\n%s", got, len(m.standing), tree)
	}
	if got := strings.Count("\n"+rules, "\ntable 1 gameday-"); got != tables {
		r.Fatalf("%d tables, want %d:\n%s", got, tables, rules)
	}
	if ours := strings.Contains(tree, "htb 6ada0000 parent ffffffff"); ours != (len(m.standing) > 0) {
		r.Fatalf("the root is ours: %v, and %d stand", ours, len(m.standing))
	}
}
