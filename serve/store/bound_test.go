package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"gameday/schedules/claims"
)

// TestBound has the file for one at a time, and throws away what was derived from something else.
func TestBound(t *testing.T) {
	runs := folder(t)
	path := filepath.Join(t.TempDir(), "state", "serve.db")
	here, there := Options{Path: path, From: "runs here"}, Options{Path: path, From: "runs there"}
	rows := func(s *Store) int {
		t.Helper()
		some, err := s.Occasions(t.Context(), began, began.AddDate(0, 0, 1))
		remaining(t, err)
		return len(some)
	}
	s, _ := opened(t, here)
	synced(t, s, Source{Runs: runs, Occasions: map[string][]claims.Kept{"days": occasions(9)}})
	remaining(t, s.Close())
	s, said := opened(t, here)
	if rows(s) != 9 || len(*said) != 0 {
		t.Errorf("from the same: %d rows, it says %q", rows(s), *said)
	}
	remaining(t, s.Close())
	s, said = opened(t, there)
	if text := strings.Join(*said, "\n"); rows(s) != 0 || len(*said) != 1 || !strings.Contains(text, path) || !strings.Contains(text, "made from other folders: runs here") {
		t.Errorf("from something else: %d rows, it says %q", rows(s), text)
	}
	synced(t, s, Source{Runs: runs})
	remaining(t, s.Close())
	s, _ = opened(t, Options{Path: path + ".old"}) // of a gameday that wrote nothing of it
	synced(t, s, Source{Runs: runs})
	remaining(t, errors.Join(s.Close(), os.Rename(path+".old", path)))
	_, said = opened(t, there)
	if text := strings.Join(*said, "\n"); len(*said) != 1 || !strings.Contains(text, "or by an older gameday") {
		t.Errorf("from nobody knows what: it says %q", text)
	}
}

// TestOwned refuses a database that somebody else has, also to make it anew, and leaves it alone.
func TestOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := folder(t)
		path := filepath.Join(t.TempDir(), "serve.db")
		s, _ := opened(t, Options{Path: path, From: "here"})
		synced(t, s, Source{Runs: runs})
		before := dumped(t, s)
		for _, anew := range []bool{false, true} {
			other, err := Open(t.Context(), Options{Path: path, Version: "1", From: "here", Anew: anew})
			if !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "name another file") {
				t.Errorf("anew %v: %v", anew, err)
			}
			if other != nil {
				remaining(t, other.Close())
			}
		}
		if after := dumped(t, s); strings.Join(after, "\n") != strings.Join(before, "\n") {
			t.Errorf("there were %d rows and are %d", len(before), len(after))
		}
		remaining(t, s.Close())
		s, said := opened(t, Options{Path: path, From: "here"})
		if after := dumped(t, s); strings.Join(after, "\n") != strings.Join(before, "\n") || len(*said) > 0 {
			t.Errorf("the next one finds %d rows, and says %q", len(after), *said)
		}
	})
}
