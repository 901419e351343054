package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAmend replaces an undo: the ledger has the new one, nobody sees the entry without its lock, and nothing else is left.
func TestAmend(t *testing.T) {
	l, err := OpenLedger(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.Open(Entry{ID: "run-a-1", Kind: "process_pause", Undo: json.RawMessage(`{"n":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	done, seen := make(chan struct{}), make(chan string, 1)
	go func() { // a lister that looks all the time never misses the entry, and never takes it for an orphan
		defer close(seen)
		for {
			all, err := l.Standing()
			if err != nil || len(all) != 1 || all[0].Orphaned || all[0].Err != nil {
				b, _ := json.Marshal(all)
				b = append(b, errorText(err)...)
				seen <- string(b)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	for range 200 {
		if err := Amend(WithAmend(t.Context(), h.Amend), json.RawMessage(`{"n":2}`)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	if odd, ok := <-seen; ok {
		t.Errorf("a lister saw %s", odd)
	}
	if got := string(h.Entry().Undo); got != `{"n":2}` {
		t.Errorf("the holder has %s", got)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	claimed, err := l.Claim("run-a-1")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(string(claimed.Entry().Undo)), ""); got != `{"n":2}` {
		t.Errorf("the ledger has %s", got)
	}
	if err := claimed.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(l.Dir(), "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestAmendFails keeps the entry as it was when the new undo is too large, or there is no room for it.
func TestAmendFails(t *testing.T) {
	if err := Amend(t.Context(), nil); err == nil {
		t.Error("amended nothing")
	}
	l, err := OpenLedger(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.Open(Entry{ID: "run-a-1", Undo: json.RawMessage(`{"n":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	big, _ := json.Marshal(strings.Repeat("x", maxEntrySize))
	if err := h.Amend(big); err == nil || !strings.Contains(err.Error(), "are allowed") {
		t.Errorf("too large: %v", err)
	}
	if err := os.Rename(l.Dir(), l.Dir()+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := h.Amend(json.RawMessage(`{"n":2}`)); err == nil {
		t.Error("written to a folder that is gone")
	}
	if err := os.Rename(l.Dir()+"-away", l.Dir()); err != nil {
		t.Fatal(err)
	}
	all, err := l.Standing()
	if err != nil || len(all) != 1 || all[0].Orphaned || string(h.Entry().Undo) != `{"n":1}` {
		t.Errorf("%+v, %v", all, err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}
