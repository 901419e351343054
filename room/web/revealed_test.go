package web

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/report"
	"gameday/room"
)

// TestRevealedInTheRoom: a run that was killed is never over, and shows to everybody once a facilitator has revealed it; one that is not blind, or that
// nobody has revealed, changes by nothing that lies in its record.
func TestRevealedInTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		g := &grow{t: t, dir: t.TempDir()}
		g.plan(small(true))
		g.add(0, report.RunStarted, report.Started{Run: "r1"})
		g.add(time.Second, report.Injected, cut("crash"))
		k := newRig(t, g.dir)
		go k.Follow(ctx)
		page := func(role room.Role, path string) string {
			t.Helper()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			w := k.ask(role, http.MethodGet, path, nil)
			if w.Code != http.StatusOK {
				t.Fatalf("%s of %s: %d", path, role, w.Code)
			}
			return w.Body.String()
		}
		file := filepath.Join(g.dir, report.RevealedFile)
		if err := os.Mkdir(file, 0o700); err != nil { // a folder reveals nothing
			t.Fatal(err)
		}
		for _, role := range []room.Role{room.Responder, room.Observer} {
			if text := page(role, "/"); strings.Contains(text, "checkout") || strings.Contains(text, "payments") {
				t.Errorf("it shows to %s before anybody has revealed it", role)
			}
		}
		if err := errors.Join(os.Remove(file), os.WriteFile(file, []byte("{}\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, role := range []room.Role{room.Responder, room.Observer} {
			for _, path := range []string{"/", "/screen"} {
				if text := page(role, path); !strings.Contains(text, "checkout") || !strings.Contains(text, "payments") || strings.Contains(text, "is hidden until the end") {
					t.Errorf("%s hides it from %s though it was revealed:\n%s", path, role, text)
				}
			}
		}
	})
}
