package netns_test

import (
	"strings"
	"testing"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// prefix begins the names of the test's tables.
const prefix = "gameday-"

// TestUndo names tables after injections, and reads from a ledger only what could be such a table.
func TestUndo(t *testing.T) {
	one, other := faults.Owner{Run: "r", Injection: "i1"}, faults.Owner{Run: "r", Injection: "i2"}
	a, b := netns.NewUndo(prefix, one), netns.NewUndo(prefix, other)
	if a.Table == b.Table || a != netns.NewUndo(prefix, one) || !strings.HasPrefix(a.Table, prefix) {
		t.Errorf("%+v and %+v", a, b)
	}
	long := netns.NewUndo(prefix, faults.Owner{Run: strings.Repeat("r", 500), Injection: "i"})
	if len(long.Mark) > 255 || long.Table == a.Table {
		t.Errorf("%+v: nftables' user data hold 255 bytes", long)
	}
	here := faults.Place{Network: &faults.Namespace{Inode: 1}}
	for _, text := range []string{"", "{}", `{"table":"filter","mark":"x"}`, `{"table":"","mark":"x"}`, `{"table":"gameday-0a"}`} {
		if u, err := netns.ReadUndo(prefix, faults.Entry{Undo: []byte(text), Place: here}); err == nil {
			t.Errorf("%q is read as %+v", text, u)
		}
	}
	good := faults.Entry{Undo: []byte(`{"table":"gameday-0a","mark":"x"}`), Place: here}
	if u, err := netns.ReadUndo(prefix, good); err != nil || u != (netns.Undo{Table: "gameday-0a", Mark: "x"}) {
		t.Errorf("%+v, %v", u, err)
	}
	good.Place = faults.Place{}
	if u, err := netns.ReadUndo(prefix, good); err == nil {
		t.Errorf("nowhere, and read as %+v", u)
	}
}
