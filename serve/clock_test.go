package serve

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/web"
)

// TestJumps has the clock jump, and looks every half minute as an engine does: whatever it jumps to, nothing is begun before it has stayed for a
// while, and nothing is kept of when schedules are first seen. It is said once, and over by itself.
func TestJumps(t *testing.T) {
	for name, x := range map[string]struct {
		by    time.Duration
		holds bool
	}{
		"ahead by days":   {50 * time.Hour, true},
		"back by an hour": {-time.Hour, true},
		"a little":        {3 * time.Minute, false},
		"not at all":      {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				r.calendar("one", minutely(t, "one", time.Second))
				e, err := New(r.config(r.file("days.hcl", "one")))
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				calls := func() int { return len(r.called()) }
				look := func(by time.Duration) {
					t.Helper()
					e.look(t.Context(), time.Now().Add(by))
					time.Sleep(30 * time.Second)
				}
				for range 4 {
					look(0)
				}
				before := calls()
				if before == 0 || r.says() != "" {
					t.Fatalf("before it jumps %d processes are started", before)
				}
				for range 4 { // it stays for a minute and a half
					look(x.by)
				}
				if n := calls() - before; (n == 0) != x.holds {
					t.Errorf("%d processes are started while the clock is off by %s", n, x.by)
				}
				if text := r.says(); strings.Contains(text, "the clock has jumped by "+x.by.String()) != x.holds || strings.Count(text, "jumped") > 1 {
					t.Errorf("it says %q", text)
				}
				if all := e.Troubles(); slices.ContainsFunc(all, func(t web.Trouble) bool { return strings.Contains(t.Detail, "jumped") }) != x.holds {
					t.Errorf("troubles: %+v", all)
				}
				before = calls()
				for range 5 { // it is put right again, and nothing is begun for two minutes more
					look(0)
				}
				if n := calls() - before; x.holds && n > 1 {
					t.Errorf("%d processes are started right after the clock jumped back", n)
				}
				before = calls()
				for range 4 {
					look(0)
				}
				if n := calls() - before; n == 0 || len(e.Troubles()) != 0 {
					t.Errorf("%d processes are started after the clock is right again, troubles %+v", n, e.Troubles())
				}
				for _, k := range r.kept() {
					if x.holds && time.Until(k.At).Abs() > 20*time.Minute {
						t.Errorf("something is dated %s: %+v", k.At, k)
					}
				}
			})
		})
	}
}

// TestAhead finds claims and times that are dated by a clock that was ahead: it is said once, with what to do, until the clock has come there or
// somebody has done that.
func TestAhead(t *testing.T) {
	for name, write := range map[string]func(days string, at time.Time) error{
		"since": func(days string, at time.Time) error {
			return os.WriteFile(filepath.Join(days, "since.json"), []byte(`{"one":"`+at.Format(time.RFC3339)+`"}`), 0o600)
		},
		"a claim": func(days string, at time.Time) error {
			f, err := claims.Open(days)
			if err == nil {
				_, err = f.Claim(claims.Claim{Schedule: "one", Occasion: "2000-01-01T03:00", Outcome: schedules.Skipped, Why: "missed", At: at})
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				r.calendar("one", minutely(t, "one", time.Second))
				c := r.config(r.file("days.hcl", "one"))
				days := filepath.Join(c.State, "days")
				until := time.Now().Add(3 * time.Hour)
				if err := errors.Join(os.MkdirAll(days, 0o700), write(days, until)); err != nil {
					t.Fatal(err)
				}
				e, end := r.serve(c)
				defer end()
				time.Sleep(10*time.Minute + time.Second)
				text := r.says()
				if strings.Count(text, "dated until 2000-01-01T03:00:00Z, which is to come") != 1 || !strings.Contains(text, days) || !strings.Contains(text, "since.json") {
					t.Errorf("it says %q", text)
				}
				if all := e.Troubles(); len(all) != 1 || !strings.Contains(all[0].Detail, "2000-01-01T03:00:00Z") || strings.Contains(all[0].Text, c.State) {
					t.Errorf("troubles: %+v", all)
				}
				time.Sleep(time.Until(until) + time.Minute)
				if all := e.Troubles(); len(all) != 0 || r.says() != "" {
					t.Errorf("when the clock has come there, troubles: %+v", all)
				}
				time.Sleep(2 * time.Minute)
				if begun, _ := r.counted(); begun["one"] == 0 {
					t.Errorf("begun: %v", begun)
				}
			})
		})
	}
}
