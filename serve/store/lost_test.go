package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLostFolder loses the folder of records, or has nothing in its place but an empty one, as when its disk is not mounted: what it had is kept
// until it is there again, also by who opens the database meanwhile. One that never was there has no records.
func TestLostFolder(t *testing.T) {
	from := Source{Runs: folder(t)}
	path := filepath.Join(t.TempDir(), "serve.db")
	s, _ := opened(t, Options{Path: path})
	synced(t, s, Source{Runs: filepath.Join(from.Runs, "none")})
	synced(t, s, from)
	before := dumped(t, s)
	remaining(t, os.Rename(from.Runs, from.Runs+"-away"))
	for _, mounted := range []bool{false, true} {
		if mounted {
			remaining(t, errors.Join(os.Mkdir(from.Runs, 0o755), s.Close()))
			s, _ = opened(t, Options{Path: path})
		}
		if err := s.Sync(t.Context(), from); err == nil || !strings.Contains(err.Error(), from.Runs) {
			t.Errorf("without its folder, an empty one in its place %v: %v", mounted, err)
		}
		if after := dumped(t, s); strings.Join(after, "\n") != strings.Join(before, "\n") {
			t.Errorf("there were %d rows and are %d, with an empty folder %v", len(before), len(after), mounted)
		}
	}
	remaining(t, os.Remove(from.Runs))
	remaining(t, os.Rename(from.Runs+"-away", from.Runs))
	synced(t, s, from)
	same(t, s, from)
}
