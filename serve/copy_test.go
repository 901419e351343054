package serve

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestCopyIsGone takes away what a server keeps of its calendars, while the file is good and while it has a mistake: it is kept anew, and what comes
// due after the next minute is begun.
func TestCopyIsGone(t *testing.T) {
	for _, text := range []string{"one", "nonsense"} {
		t.Run(text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				r.calendar("one", minutely(t, "one", time.Second))
				_, end := r.serve(r.config(r.file("days.hcl", "one")))
				defer end()
				time.Sleep(90*time.Second + 70*time.Millisecond) // not at the instant of a look
				r.file("days.hcl", text)
				time.Sleep(time.Minute)
				if err := os.RemoveAll(filepath.Join(OwnDir(filepath.Join(r.dir, "state")), "calendars")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(8 * time.Minute)
				if begun, _ := r.counted(); begun["one"] < 9 {
					t.Errorf("begun %v", begun)
				}
			})
		})
	}
}
