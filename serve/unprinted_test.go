package serve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestUnprinted has processes that cannot decide, and print why, or nothing: only where they print nothing it is tried whether there is space to.
func TestUnprinted(t *testing.T) {
	for name, prints := range map[string]bool{"they print why": true, "they print nothing": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				r.calendar("one", minutely(t, "one", time.Second))
				r.code = 2
				c := r.config(r.file("days.hcl", "one"))
				c.Begin = func(call Call) (int, func() int, error) {
					pid, wait, err := r.begin(call)
					return pid, func() int {
						code := wait()
						if !prints {
							if err := os.Remove(call.Log); err != nil {
								t.Error(err)
							}
						}
						return code
					}, err
				}
				tried := filepath.Join(OwnDir(c.State), ".space") // what is tried takes its place
				if err := errors.Join(os.MkdirAll(OwnDir(c.State), 0o700), os.WriteFile(tried, nil, 0o600)); err != nil {
					t.Fatal(err)
				}
				_, end := r.serve(c)
				time.Sleep(90 * time.Second)
				end()
				why, text := "what it printed is not known", r.says()
				if prints {
					why = "gameday: it does not like it"
				}
				if !strings.Contains(text, "ended with 2: "+why) {
					t.Errorf("it says %q", text)
				}
				if _, err := os.Stat(tried); errors.Is(err, os.ErrNotExist) == prints {
					t.Errorf("whether there is space was tried: %v", errors.Is(err, os.ErrNotExist))
				}
			})
		})
	}
}
