package guard_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"gameday/faults"
)

// check compares the ledger and the kernel with the model.
func (m *kernelModel) check(t *rapid.T) {
	all, err := m.ledger.Standing()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]faults.Standing{}
	for _, s := range all {
		found[s.ID] = s
	}
	stands := m.w.standing(t)
	for _, name := range m.tornAs {
		if s, there := found[name]; !there || s.Err == nil {
			t.Fatalf("the torn entry %s: %+v", name, s)
		}
		delete(found, name)
	}
	for _, id := range m.w.ids {
		f, s := m.faults[id], found[id]
		there, inLedger := stands.has(id, f.table), s.ID != ""
		delete(found, id)
		if f.state == held && f.brief { // whatever it is now
			continue
		}
		ok := false
		switch f.state {
		case absent:
			ok = !inLedger && !there
		case held:
			ok = inLedger && !s.Orphaned && s.Err == nil && there
		case orphaned:
			ok = inLedger && s.Orphaned && s.Err == nil && there
		case unsure:
			ok = inLedger && s.Orphaned && s.Err == nil
		}
		if !ok {
			t.Fatalf("%s should be %+v; in the kernel: %v; in the ledger: %+v", id, *f, there, s)
		}
	}
	if len(found) > 0 {
		t.Fatalf("the ledger has what nobody injected: %+v", found)
	}
	m.knowsAllTables(t, stands)
}

// knowsAllTables finds tables that no fault of the model accounts for.
func (m *kernelModel) knowsAllTables(t *rapid.T, stands kernelState) {
	for _, table := range stands.tables {
		known := slices.ContainsFunc(m.w.ids, func(id string) bool {
			f := m.faults[id]
			return f.state != absent && f.table == table
		})
		if !known {
			t.Fatalf("table %s is nobody's; all: %v", table, stands.tables)
		}
	}
}

// end ends the guards, mends what they could not, and looks that nothing at all is left.
func (m *kernelModel) end(t *rapid.T) {
	for g, c := range m.guards {
		if m.of(g) != nil || !c.dead {
			c.end(t)
		}
		for _, id := range m.of(g) {
			*m.faults[id] = modelled{}
		}
	}
	m.revertOrphans(t)
	for _, name := range m.tornAs {
		if err := os.Remove(filepath.Join(m.dir, name+".json")); err != nil {
			t.Error(err)
		}
	}
	m.tornAs = nil
	m.check(t)
	if left := m.w.residue(t); left != "" {
		t.Fatalf("left in the kernel:\n%s", left)
	}
	entries, err := os.ReadDir(m.dir)
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), ".draft-") })
	if err != nil || len(entries) > 0 {
		t.Fatalf("left in the ledger: %v, %v", entries, err)
	}
	if err := os.RemoveAll(m.dir); err != nil { // with drafts of guards that were killed, which nobody reads
		t.Error(err)
	}
}
