package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gameday/schedules/claims"
)

// TestGone removes the file of a database that is in use, and puts another one in its place: all is derived anew, into the file that is there, and
// that is said.
func TestGone(t *testing.T) {
	from := Source{Runs: folder(t), Occasions: map[string][]claims.Kept{"days": occasions(9)}}
	for name, harm := range map[string]func(path string) error{
		"removed":                os.Remove,
		"removed, nothing stays": remove,
		"another one": func(path string) error {
			none := filepath.Join(t.TempDir(), "none")
			s, err := Open(t.Context(), Options{Path: path + ".other", Version: "1"})
			if err != nil {
				return err
			}
			return errors.Join(s.Sync(t.Context(), Source{Runs: none}), s.Close(), os.Rename(path+".other", path))
		},
		"an empty one": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "serve.db")
			s, said := opened(t, Options{Path: path})
			synced(t, s, from)
			remaining(t, harm(path))
			synced(t, s, from)
			same(t, s, from)
			if text := strings.Join(*said, "\n"); len(*said) != 1 || !strings.Contains(text, path+" was removed or replaced") {
				t.Errorf("it says %q", text)
			}
			synced(t, s, from)
			if len(*said) != 1 || s.Trouble() != "" {
				t.Errorf("it says it again: %q, trouble %q", *said, s.Trouble())
			}
			lines := dumped(t, s)
			remaining(t, s.Close())
			again, _ := opened(t, Options{Path: path})
			if got := dumped(t, again); strings.Join(got, "\n") != strings.Join(lines, "\n") {
				t.Errorf("the next one finds %d rows, and there were %d", len(got), len(lines))
			}
		})
	}
}

// TestGoneAsker has whoever asks that what is new is derived go away before it is: the others are answered, of a file that is gone as well.
func TestGoneAsker(t *testing.T) {
	from := Source{Runs: folder(t), Occasions: map[string][]claims.Kept{"days": occasions(9)}}
	path := filepath.Join(t.TempDir(), "serve.db")
	s, _ := opened(t, Options{Path: path})
	synced(t, s, from)
	remaining(t, os.Remove(path))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Sync(ctx, from); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone away is told %v", err)
	}
	if all, err := s.Occasions(t.Context(), began, began.AddDate(0, 0, 1)); err != nil || len(all) != 9 {
		t.Errorf("the others: %d occasions, %v", len(all), err)
	}
	synced(t, s, from)
	same(t, s, from)
}
