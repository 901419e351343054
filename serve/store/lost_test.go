package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLostFolder loses the folder of records, as when its disk is not mounted: what it had is kept until it is there again. One that never was
// there has no records.
func TestLostFolder(t *testing.T) {
	from := Source{Runs: folder(t)}
	s, _ := opened(t, Options{Path: filepath.Join(t.TempDir(), "serve.db")})
	synced(t, s, Source{Runs: filepath.Join(from.Runs, "none")})
	synced(t, s, from)
	before := dumped(t, s)
	remaining(t, os.Rename(from.Runs, from.Runs+"-away"))
	if err := s.Sync(t.Context(), from); err == nil || !strings.Contains(err.Error(), from.Runs) {
		t.Errorf("without its folder: %v", err)
	}
	if after := dumped(t, s); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("there were %d rows and are %d", len(before), len(after))
	}
	remaining(t, os.Rename(from.Runs+"-away", from.Runs))
	synced(t, s, from)
	same(t, s, from)
}
