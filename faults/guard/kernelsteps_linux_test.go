package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"pgregory.net/rapid"

	"gameday/faults"
	"gameday/faults/guard"
)

// modelled is one fault as it should be.
type modelled struct {
	state stateOf
	guard int           // who holds it
	lease time.Duration // its last
	brief bool          // its lease is short: it may be gone by now
	table string        // of a partition
}

// stateOf is where a fault is in its life.
type stateOf int

const (
	absent stateOf = iota
	held
	orphaned
	unsure // an orphan whose guard may have been killed amid its work: its entry stands, the fault may or may not
)

// kernelModel is what should be true in one sequence.
type kernelModel struct {
	w      *kernelWorld
	dir    string
	ledger *faults.Ledger
	guards []*kernelGuard // one or two
	faults map[string]*modelled
	tornAs []string // entries that cannot be read
}

func newKernelModel(t *rapid.T, w *kernelWorld) *kernelModel {
	w.sequences++
	m := &kernelModel{w: w, dir: filepath.Join(w.dir, fmt.Sprint(w.sequences)), faults: map[string]*modelled{}}
	for _, id := range w.ids {
		m.faults[id] = &modelled{}
	}
	var err error
	if m.ledger, err = faults.OpenLedger(m.dir); err != nil {
		t.Fatal(err)
	}
	m.guards = append(m.guards, startKernelGuard(t, m.dir))
	return m
}

// leases draws a long lease, or one that runs out soon: no shorter than a pause needs for its proof.
func (m *kernelModel) leases(t *rapid.T) (time.Duration, bool) {
	if rapid.IntRange(0, 2).Draw(t, "lease") > 0 {
		return longLease, false
	}
	return 200 * time.Millisecond, true
}

func (m *kernelModel) id(t *rapid.T) string { return rapid.SampledFrom(m.w.ids).Draw(t, "id") }
func (m *kernelModel) pick(t *rapid.T) int {
	return rapid.IntRange(0, len(m.guards)-1).Draw(t, "guard")
}
func (m *kernelModel) of(guard int) []string      { return m.those(held, guard) }
func (m *kernelModel) client(n int) *guard.Client { return m.guards[n].Client }

// those returns the faults in a state, of one guard or with -1 of all.
func (m *kernelModel) those(state stateOf, guard int) []string {
	var ids []string
	for _, id := range m.w.ids {
		if f := m.faults[id]; f.state == state && (guard < 0 || f.guard == guard) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *kernelModel) inject(t *rapid.T) {
	id, g := m.id(t), m.pick(t)
	lease, brief := m.leases(t)
	f := m.faults[id]
	_, err := m.client(g).Inject(t.Context(), m.w.ask(id, lease))
	switch {
	case errors.Is(err, guard.ErrResidue):
		t.Fatalf("injecting %s: %v", id, err)
	case err == nil && (f.state == absent || f.state == held && f.brief):
		*f = modelled{state: held, guard: g, lease: lease, brief: brief, table: m.w.tableOf(t, m.ledger, id)}
	case err == nil:
		t.Fatalf("%s was injected although it was %+v", id, *f)
	case f.state == absent && !brief: // a busy machine may be too slow for a short lease
		t.Fatalf("injecting %s: %v", id, err)
	}
}

func (m *kernelModel) renew(t *rapid.T) {
	g := m.pick(t)
	lease, brief := m.leases(t)
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom(m.w.ids), 1, len(m.w.ids), rapid.ID[string]).Draw(t, "ids")
	failed, err := m.client(g).Renew(t.Context(), lease, ids...)
	if err != nil {
		t.Fatalf("renewing %v: %v", ids, err)
	}
	for _, id := range ids {
		f, err := m.faults[id], failed[id]
		mine := f.state == held && f.guard == g
		switch {
		case err == nil && mine:
			f.lease, f.brief = lease, brief
		case err == nil:
			t.Fatalf("%s was renewed although it was %+v", id, *f)
		case mine && !f.brief, errors.Is(err, guard.ErrResidue):
			t.Fatalf("renewing %s: %v", id, err)
		case !errors.Is(err, guard.ErrUnknown) && !errors.Is(err, faults.ErrLapsed):
			t.Fatalf("renewing %s, which is %+v: %v", id, *f, err)
		case mine:
			*f = modelled{}
		}
	}
}

func (m *kernelModel) revert(t *rapid.T) {
	id, g := m.id(t), m.pick(t)
	f := m.faults[id]
	err := m.client(g).Revert(t.Context(), id)
	mine := f.state == held && f.guard == g
	switch {
	case err == nil && !mine, err != nil && mine && !f.brief, err != nil && !errors.Is(err, guard.ErrUnknown):
		t.Fatalf("reverting %s, which is %+v, by guard %d: %v", id, *f, g, err)
	case mine:
		*f = modelled{}
	}
}

// leaseWait waits until every short lease is over: guards have reverted theirs, and the kernel has let go of orphans'
// partitions although nobody holds them.
func (m *kernelModel) leaseWait(t *rapid.T) {
	var briefs []string
	for _, id := range m.w.ids {
		if m.faults[id].brief {
			briefs = append(briefs, id)
		}
	}
	if len(briefs) == 0 {
		t.Skip("no lease is short")
	}
	for _, id := range briefs {
		f := m.faults[id]
		if f.state == held {
			m.w.eventually(t, id+" is reverted when its lease is over", func() bool {
				list, err := m.client(f.guard).List(t.Context())
				return err == nil && !slices.ContainsFunc(list, func(h guard.Held) bool { return h.ID == id }) && !m.hasEntry(id)
			})
			*f = modelled{}
			continue
		}
		m.lapses(t, id)
	}
}

// lapses waits until the kernel has let go of a partition. Nothing else lets go by itself.
func (m *kernelModel) lapses(t *rapid.T, id string) {
	if f := m.faults[id]; f.table != "" {
		m.w.eventually(t, id+" lapses in the kernel", func() bool { return m.w.elements(t, f.table) == 0 })
	}
}

func (m *kernelModel) hasEntry(id string) bool {
	_, err := os.Lstat(filepath.Join(m.dir, id+".json"))
	return !errors.Is(err, fs.ErrNotExist)
}

// kill kills a guard between two pieces of its work. All that it held is there, and nobody's.
func (m *kernelModel) kill(t *rapid.T) { m.killed(t, m.pick(t), "") }

// killed kills guard g and starts another in its place. amid is the fault that it was working on.
func (m *kernelModel) killed(t *rapid.T, g int, amid string) {
	m.guards[g].kill()
	for _, id := range m.of(g) {
		f := m.faults[id]
		switch there := m.hasEntry(id); {
		case there && f.brief: // it may have been about to revert it
			f.state = unsure
		case there:
			f.state = orphaned
		case f.brief, id == amid:
			*f = modelled{}
		default:
			t.Fatalf("%s has no entry after its guard was killed", id)
		}
	}
	if f := m.faults[amid]; amid != "" && m.hasEntry(amid) {
		*f = modelled{state: unsure, table: m.w.tableOf(t, m.ledger, amid)}
	}
	m.guards[g] = startKernelGuard(t, m.dir)
}

// killAmidInject kills a guard at some instant of an injection. Without an entry nothing may have been injected.
func (m *kernelModel) killAmidInject(t *rapid.T) {
	id := m.id(t)
	if m.faults[id].state != absent {
		t.Skip("it is there")
	}
	g := m.pick(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = m.client(g).Inject(context.Background(), m.w.ask(id, longLease))
	}()
	pause(rapid.IntRange(0, 40).Draw(t, "tenths of a millisecond"))
	m.killed(t, g, id)
	<-done
}

// killAmidRevert kills a guard at some instant of a revert.
func (m *kernelModel) killAmidRevert(t *rapid.T) {
	g := m.pick(t)
	ids := m.of(g)
	if len(ids) == 0 {
		t.Skip("nothing stands")
	}
	id := rapid.SampledFrom(ids).Draw(t, "id")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = m.client(g).Revert(context.Background(), id)
	}()
	pause(rapid.IntRange(0, 30).Draw(t, "tenths of a millisecond"))
	m.killed(t, g, id)
	<-done
}

// pause lets others work for a moment, whose length is what the test varies.
func pause(tenths int) { <-time.After(time.Duration(tenths) * 100 * time.Microsecond) }

// stop hangs a guard. The kernel lets go of its short leases nevertheless; then it goes on, and reverts what is overdue.
func (m *kernelModel) stop(t *rapid.T) {
	g := m.pick(t)
	m.guards[g].signal(t, syscall.SIGSTOP)
	defer m.guards[g].signal(t, syscall.SIGCONT)
	for _, id := range m.of(g) {
		if f := m.faults[id]; f.brief {
			m.lapses(t, id)
		}
	}
	m.check(t)
}

// endOfFile lets a guard see the end of its input, as if the conductor had died.
func (m *kernelModel) endOfFile(t *rapid.T) {
	g := m.pick(t)
	m.guards[g].end(t)
	for _, id := range m.of(g) {
		*m.faults[id] = modelled{}
	}
	m.check(t)
	m.guards[g] = startKernelGuard(t, m.dir)
}

// secondGuard starts another guard on the ledger, or ends it.
func (m *kernelModel) secondGuard(t *rapid.T) {
	if len(m.guards) == 1 {
		m.guards = append(m.guards, startKernelGuard(t, m.dir))
		return
	}
	m.guards[1].end(t)
	for _, id := range m.of(1) {
		*m.faults[id] = modelled{}
	}
	m.guards = m.guards[:1]
}

// torn leaves a file that a lost write may leave: the first half of an entry, under another name.
func (m *kernelModel) torn(t *rapid.T) {
	if len(m.tornAs) > 2 {
		t.Skip("there are enough")
	}
	text := []byte(`{"id":"torn","run":"run","undo":{"table":"gameday-`)
	for _, id := range m.w.ids {
		if whole, err := os.ReadFile(filepath.Join(m.dir, id+".json")); err == nil {
			text = whole[:len(whole)/2]
			break
		}
	}
	name := fmt.Sprintf("torn-%d", len(m.tornAs))
	if err := os.WriteFile(filepath.Join(m.dir, name+".json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	m.tornAs = append(m.tornAs, name)
}

// revertOrphans does what gameday revert does: it mends what nobody holds, and nothing else.
func (m *kernelModel) revertOrphans(t *rapid.T) {
	want := append(append(m.those(orphaned, -1), m.those(unsure, -1)...), m.tornAs...)
	results, err := faults.RevertOrphans(t.Context(), m.ledger, kernelKinds(), nil)
	if err != nil {
		t.Fatalf("reverting orphans: %v", err)
	}
	var got []string
	for _, r := range results {
		torn := slices.Contains(m.tornAs, r.ID)
		if r.Reverted == torn || (r.Err == nil) == torn {
			t.Fatalf("reverting orphan %s (torn: %v): %v, %v", r.ID, torn, r.Reverted, r.Err)
		}
		got = append(got, r.ID)
		if !torn {
			*m.faults[r.ID] = modelled{}
		}
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Fatalf("orphans %v, want %v", got, want)
	}
}
