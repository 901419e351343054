package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gameday/faults"
	"gameday/internal/gcrig"
)

func entry(id string) faults.Entry {
	return faults.Entry{
		ID: id, Run: "run", Scenario: "s", Fault: "cut", Kind: "fake",
		Place: faults.Place{Name: "p", Network: &faults.Namespace{Inode: 1, Device: 2, PID: 3},
			Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}},
		Config: json.RawMessage(`{}`), Undo: json.RawMessage(`{"table":"x"}`),
		Opened: time.Unix(1000, 0).UTC(), Deadline: time.Unix(2000, 0).UTC(), Guard: 42,
	}
}

func openLedger(t *testing.T) *faults.Ledger {
	t.Helper()
	l, err := faults.OpenLedger(filepath.Join(t.TempDir(), "a", "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func standing(t *testing.T, l *faults.Ledger) []faults.Standing {
	t.Helper()
	s, err := l.Standing()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestForgotten has nobody refer to entries that are held: they are held all the same, as long as this process lives.
func TestForgotten(t *testing.T) {
	l := openLedger(t)
	for _, id := range []string{"opened", "amended", "claimed"} {
		h, err := l.Open(entry(id))
		if err != nil {
			t.Fatal(err)
		}
		switch id {
		case "amended":
			err = h.Amend(json.RawMessage(`{"table":"y"}`))
		case "claimed":
			if err = h.Release(); err == nil {
				_, err = l.Claim(id)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	gcrig.Collect(t)
	s := standing(t, l)
	if len(s) != 3 {
		t.Errorf("standing: %+v", s)
	}
	for _, s := range s {
		if s.Orphaned || s.Err != nil {
			t.Errorf("%s has nobody who holds it: %v", s.ID, s.Err)
		}
	}
}

func TestLedgerLife(t *testing.T) {
	l := openLedger(t)
	h, err := l.Open(entry("i1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(entry("i1")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("opening an id twice: %v", err)
	}
	s := standing(t, l)
	if len(s) != 1 || s[0].Orphaned || s[0].Err != nil {
		t.Fatalf("standing: %+v", s)
	}
	// The ledger's JSON is for people too, so raw fields are indented.
	compact := cmp.Transformer("compact", func(m json.RawMessage) string {
		return strings.Join(strings.Fields(string(m)), "")
	})
	if d := cmp.Diff(entry("i1"), s[0].Entry, compact, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Error(d)
	}
	if _, err := l.Claim("i1"); !errors.Is(err, faults.ErrHeld) {
		t.Errorf("claiming a held entry: %v", err)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	if s := standing(t, l); len(s) != 1 || !s[0].Orphaned {
		t.Fatalf("after release: %+v", s)
	}
	h, err = l.Claim("i1")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if s := standing(t, l); len(s) != 0 {
		t.Errorf("after close: %+v", s)
	}
	if _, err := l.Claim("i1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("claiming what is closed: %v", err)
	}
	files, err := os.ReadDir(l.Dir())
	if err != nil || len(files) != 0 {
		t.Errorf("files left: %v, %v", files, err)
	}
}

func TestLedgerRefusesPaths(t *testing.T) {
	l := openLedger(t)
	for _, id := range []string{"", ".", "..", "../x", "a/b", ".hidden", "-x", "a\x00", "a b", strings.Repeat("a", 129)} {
		if _, err := l.Open(entry(id)); err == nil {
			t.Errorf("id %q was opened", id)
		}
		if _, err := l.Claim(id); err == nil {
			t.Errorf("id %q was claimed", id)
		}
	}
}

// TestLedgerOddFiles puts things into the folder that no ledger writes: they are reported and do not hide the
// good one.
func TestLedgerOddFiles(t *testing.T) {
	l := openLedger(t)
	h, err := l.Open(entry("good"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	full, err := os.ReadFile(filepath.Join(l.Dir(), "good.json"))
	if err != nil {
		t.Fatal(err)
	}
	odd := map[string][]byte{
		"torn.json": full[:len(full)/2], "empty.json": nil, "other.json": full, "null.json": []byte("null"),
		".draft-x-1": full, "notes.txt": []byte("hello"),
	}
	for name, data := range odd {
		if err := os.WriteFile(filepath.Join(l.Dir(), name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(l.Dir(), "folder.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("good.json", filepath.Join(l.Dir(), "link.json")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(l.Dir(), "pipe.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, s := range standing(t, l) {
		got[s.ID] = s.Err == nil
	}
	want := map[string]bool{"good": true, "torn": false, "empty": false, "other": false, "null": false,
		"folder": false, "link": false, "pipe": false}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	results, err := faults.RevertOrphans(t.Context(), l, nil, nil)
	if err != nil || len(results) != 7 {
		t.Fatalf("reverting: %+v, %v", results, err)
	}
	for _, r := range results {
		if r.Err == nil || r.Reverted {
			t.Errorf("an entry that cannot be read counts as reverted: %+v", r)
		}
	}
}

func TestLedgerGone(t *testing.T) {
	l := openLedger(t)
	if err := os.Remove(l.Dir()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(entry("i1")); err == nil {
		t.Error("an entry was opened in no folder")
	}
	if _, err := l.Standing(); err == nil {
		t.Error("an unreadable ledger looks empty")
	}
}

// TestCloseAgain fails to close an entry, for its folder has moved: it stays held, and is closed when that is mended.
func TestCloseAgain(t *testing.T) {
	l := openLedger(t)
	h, err := l.Open(entry("i1"))
	if err != nil {
		t.Fatal(err)
	}
	away := l.Dir() + ".away"
	if err := os.Rename(l.Dir(), away); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("closing without the folder: %v", err)
	}
	if err := os.Rename(away, l.Dir()); err != nil {
		t.Fatal(err)
	}
	if s := standing(t, l); len(s) != 1 || s[0].Orphaned {
		t.Errorf("given up, although it is not closed: %+v", s)
	}
	if err := h.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if s := standing(t, l); len(s) != 0 {
		t.Errorf("after close: %+v", s)
	}
}

// TestStandingBut leaves out what its caller knows, unopened.
func TestStandingBut(t *testing.T) {
	l := openLedger(t)
	for _, id := range []string{"mine", "theirs"} {
		h, err := l.Open(entry(id))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
	}
	s, err := l.StandingBut(func(id string) bool { return id == "mine" })
	if err != nil || len(s) != 1 || s[0].ID != "theirs" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTornWrite cuts an entry's file at every length, as a machine that lost its power may leave it: whatever is read is
// whole, or reported; and the draft of an entry that was never finished is no entry.
func TestTornWrite(t *testing.T) {
	l := openLedger(t)
	h, err := l.Open(entry("i1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(l.Dir(), "i1.json")
	full, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := standing(t, l)[0].Entry
	for n := range full {
		if err := os.WriteFile(path, full[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s := standing(t, l)
		if len(s) != 1 || s[0].ID != "i1" {
			t.Fatalf("cut at %d: %+v", n, s)
		}
		if s[0].Err == nil && !cmp.Equal(whole, s[0].Entry, cmpopts.EquateComparable(netip.Addr{})) {
			t.Fatalf("cut at %d: read as %+v", n, s[0].Entry)
		}
		if s[0].Err == nil && n < len(full)-1 { // but for the line's end
			t.Fatalf("cut at %d of %d: not noticed", n, len(full))
		}
	}
	if err := os.Rename(path, filepath.Join(l.Dir(), ".draft-i1-7")); err != nil {
		t.Fatal(err)
	}
	if s := standing(t, l); len(s) != 0 {
		t.Errorf("a draft stands: %+v", s)
	}
}

func TestOldDraftsAreSwept(t *testing.T) {
	l := openLedger(t)
	for name, age := range map[string]time.Duration{".draft-old-1": 2 * time.Hour, ".draft-new-1": time.Minute} {
		path := filepath.Join(l.Dir(), name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := faults.OpenLedger(l.Dir()); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(l.Dir(), ".draft-*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != ".draft-new-1" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestRevertOrphansInClusters: faults in clusters are reverted at once, since each may have to be waited for, and told in the order of all.
func TestRevertOrphansInClusters(t *testing.T) {
	l := openLedger(t)
	var within atomic.Int32
	all := make(chan struct{})
	kinds := []faults.Kind{{Name: "fake", Reversible: true, RevertInCluster: func(ctx context.Context, _ faults.Entry) error {
		if within.Add(1) == 3 {
			close(all)
		}
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}}
	for i, id := range []string{"a", "b", "c"} {
		e := entry(id)
		e.Kind, e.Opened, e.Place.Cluster = "fake", time.Unix(int64(i), 0), &faults.Cluster{}
		h, err := l.Open(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Release(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	results, err := faults.RevertOrphans(ctx, l, kinds, nil)
	if err != nil || len(results) != 3 {
		t.Fatalf("%+v, %v", results, err)
	}
	for i, id := range []string{"c", "b", "a"} {
		if r := results[i]; r.ID != id || !r.Reverted {
			t.Errorf("%+v, want %s reverted", r, id)
		}
	}
}

func TestRevertOrphans(t *testing.T) {
	l := openLedger(t)
	var order []string
	kinds := []faults.Kind{
		{Name: "fake", Reversible: true, Revert: func(_ context.Context, e faults.Entry) error {
			order = append(order, e.ID)
			return nil
		}},
		{Name: "stuck", Reversible: true, Revert: func(context.Context, faults.Entry) error { return errors.New("no") }},
		{Name: "panics", Reversible: true, Revert: func(context.Context, faults.Entry) error { panic("oh") }},
		{Name: "kill"},
	}
	for i, kind := range []string{"fake", "fake", "stuck", "panics", "kill", "unheard-of"} {
		e := entry(string(rune('a'+i)) + "-" + kind)
		e.Kind, e.Opened = kind, time.Unix(int64(i), 0)
		h, err := l.Open(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Release(); err != nil {
			t.Fatal(err)
		}
	}
	results, err := faults.RevertOrphans(t.Context(), l, kinds, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		word := "failed"
		if r.Reverted {
			word = "reverted"
		}
		if (r.Err == nil) != r.Reverted {
			t.Errorf("%s: %v", r.ID, r.Err)
		}
		got = append(got, r.ID+" "+word)
	}
	want := []string{"f-unheard-of failed", "e-kill reverted", "d-panics failed",
		"c-stuck failed", "b-fake reverted", "a-fake reverted"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"b-fake", "a-fake"}, order); d != "" {
		t.Error(d)
	}
	for _, s := range standing(t, l) {
		if !s.Orphaned {
			t.Errorf("%s is still locked", s.ID)
		}
	}
	if n := len(standing(t, l)); n != 3 {
		t.Errorf("%d entries left, want the three that failed", n)
	}
}

func TestDefaultLedgerDir(t *testing.T) {
	t.Setenv(faults.LedgerVariable, "/x/y")
	if d, err := faults.DefaultLedgerDir(); d != "/x/y" || err != nil {
		t.Errorf("%q, %v", d, err)
	}
	t.Setenv(faults.LedgerVariable, "")
	t.Setenv("XDG_STATE_HOME", "/state")
	want := map[bool]string{true: "/var/lib/gameday/ledger", false: "/state/gameday/ledger"}
	mapped, err := os.ReadFile("/proc/self/uid_map")
	root := os.Geteuid() == 0 && (err != nil || strings.Join(strings.Fields(string(mapped)), " ") == "0 0 4294967295")
	if d, err := faults.DefaultLedgerDir(); d != want[root] || err != nil {
		t.Errorf("%q, %v; want %q", d, err, want[root])
	}
}

func TestNearest(t *testing.T) {
	choices := []string{"SIGKILL", "SIGTERM", "both", "in", "out"}
	for word, want := range map[string]string{
		"sigkill": "SIGKILL", "SIGTREM": "SIGTERM", "bath": "both",
		"ou": "out", "": "", "zebra": "",
	} {
		if got := faults.Nearest(word, choices); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// FuzzLedgerFile puts any bytes into an entry's file: listing and reverting never panic, and never hide another
// entry.
func FuzzLedgerFile(f *testing.F) {
	good, err := json.Marshal(entry("odd"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("null"))
	f.Add([]byte(`{"id":"odd","place":{"addresses":["x"]}}`))
	f.Add([]byte(`{"id":"../odd"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := faults.OpenLedger(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		h, err := l.Open(entry("good"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(l.Dir(), "odd.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := l.Standing()
		if err != nil || len(all) != 2 {
			t.Fatalf("%+v, %v", all, err)
		}
		for _, s := range all {
			if s.ID == "good" && s.Err != nil {
				t.Errorf("the good entry is hidden: %v", s.Err)
			}
			if s.Err == nil && s.Entry.ID != s.ID {
				t.Errorf("file %s is read as entry %s", s.ID, s.Entry.ID)
			}
		}
		if _, err := faults.RevertOrphans(t.Context(), l, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
