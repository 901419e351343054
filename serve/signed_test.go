package serve

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/audit"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/schedules"
)

// TestSignedThough signs, and then what is new cannot be derived: whoever signed is not told that they did not.
func TestSignedThough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		plan := &rehearsals.Rehearsal{Name: "west", File: "days.hcl", StopOn: rehearsals.DefaultStops, SignOff: []string{"sre"},
			Steps: []rehearsals.Step{{Item: schedules.Item{File: "shop.hcl", Scenario: "shop"}, Fingerprint: "f"}}}
		r.calendars["one"] = func(file string) *Calendar {
			return &Calendar{Name: "days", File: file, Schedules: []*schedules.Schedule{never(t)}, Rehearsals: []*rehearsals.Rehearsal{plan}}
		}
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		dir := filepath.Join(c.Runs, "one")
		recorded(t, dir, nil)
		if err := kept.WriteLabel(dir, kept.Label{Rehearsal: "west", Scenario: "shop", Fingerprint: "f", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.Audit = func(audit.Line) error { // it is on disk
			cancel()
			return nil
		}
		var told []string
		c.Signed = func(what *rehearsals.Rehearsal) { told = append(told, what.Name) }
		e, end := r.serve(c)
		defer end()
		time.Sleep(time.Second)
		all, err := e.Rehearsals(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v %v", all, err)
		}
		saw := rehearsals.Judge(all[0].Plan, all[0].Shown, all[0].Signed, time.Now()).Digest
		if err := e.SignOff(t.Context(), rehearsals.SignOff{Rehearsal: "west", Role: "sre", By: "ann", Saw: "something else"}); err == nil || len(told) != 0 {
			t.Errorf("what nobody has signed is told of: %v, %v", told, err)
		}
		if err := e.SignOff(ctx, rehearsals.SignOff{Rehearsal: "west", Role: "sre", By: "ann", Saw: saw}); err != nil || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("who has signed is told %v", err)
		}
		if signed, _, err := kept.SignOffs(c.Runs); err != nil || len(signed) != 1 {
			t.Errorf("on disk: %+v %v", signed, err)
		}
		if len(told) != 1 || told[0] != "west" {
			t.Errorf("it is told of %q", told)
		}
		if text := r.says(); !strings.Contains(text, "a sign-off is kept, and not yet on the pages") {
			t.Errorf("it says %q", text)
		}
		time.Sleep(time.Second)
		if all, err := e.Rehearsals(t.Context()); err != nil || len(all[0].Signed) != 1 {
			t.Errorf("a moment later the pages have %+v, %v", all, err)
		}
	})
}
