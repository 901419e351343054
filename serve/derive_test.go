package serve

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/schedules"
)

// slowly is a context that takes a while to be asked.
type slowly struct{ context.Context }

func (s slowly) Err() error {
	time.Sleep(2 * time.Minute)
	return s.Context.Err()
}

// TestPart has pages say that they show a part for as long as not all was derived, and that they may be old when deriving takes long.
func TestPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", never(t))
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		if err := os.WriteFile(c.Runs, nil, 0o600); err != nil { // no folder: nothing can be derived
			t.Fatal(err)
		}
		e, end := r.serve(c)
		defer end()
		time.Sleep(90 * time.Second)
		part := func() (n int) {
			for _, x := range e.Troubles() {
				if strings.Contains(x.Text, "do not show all of them") {
					n++
				}
			}
			return n
		}
		if part() != 1 || len(e.Troubles()) != 2 {
			t.Errorf("before anything was derived: %+v", e.Troubles())
		}
		if err := os.Remove(c.Runs); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		if len(e.Troubles()) != 0 {
			t.Errorf("when all was derived: %+v", e.Troubles())
		}
		end() // it would derive beside
		r.says()
		done := make(chan error)
		go func() { done <- e.Derive(slowly{t.Context()}) }()
		time.Sleep(30 * time.Second)
		if text := r.says(); text != "" || len(e.Troubles()) != 0 {
			t.Errorf("after half a minute it says %q, troubles %+v", text, e.Troubles())
		}
		time.Sleep(time.Minute)
		if text, all := r.says(), e.Troubles(); !strings.Contains(text, "records are being read since") || len(all) != 1 || !strings.Contains(all[0].Text, "may be old") {
			t.Errorf("after more than a minute it says %q, troubles %+v", text, all)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(e.Troubles()) != 0 {
			t.Errorf("when it has been derived: %+v", e.Troubles())
		}
	})
}

// hangs is a context that takes ten minutes to be asked.
type hangs struct{ context.Context }

func (h hangs) Err() error {
	time.Sleep(10 * time.Minute)
	return h.Context.Err()
}

// TestFilling: that the database is being filled is no reason to begin the server anew, and that nothing comes of it is.
func TestFilling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", never(t))
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		e, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		ask := observed(t, e)
		want := func(when string, health int, part bool) {
			t.Helper()
			got, _ := ask("/healthz")
			_, page := ask("/")
			if told := strings.Contains(page, "do not show all of them"); got != health || told != part {
				t.Errorf("%s its health is answered %d, and that pages show a part is told: %v", when, got, told)
			}
		}
		want("before the first look", 200, true)
		done := make(chan error)
		go func() { done <- e.Derive(hangs{t.Context()}) }()
		time.Sleep(4 * time.Minute)
		want("while records are read", 200, true)
		time.Sleep(2 * time.Minute)
		want("when nothing came of it for long", 503, true)
		if err := <-done; err != nil {
			t.Error(err)
		}
		want("when all was derived", 200, false)
	})
}

// TestTroubleStands: whoever signs, and runs out of time while records are read, takes no trouble away that stands, nor makes one.
func TestTroubleStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", never(t))
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		e, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		ask := observed(t, e)
		signs := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			return e.SignOff(slowly{ctx}, rehearsals.SignOff{Rehearsal: "west", Role: "sre", By: "ann"})
		}
		want := func(when string, health, troubles int) {
			t.Helper()
			got, _ := ask("/healthz")
			if all := e.Troubles(); got != health || len(all) != troubles {
				t.Errorf("%s its health is answered %d, troubles %+v", when, got, all)
			}
		}
		if err := e.Derive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := signs(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whoever signs is told %v", err)
		}
		want("when nothing is the matter", 200, 0)
		if err := os.WriteFile(c.Runs, nil, 0o600); err != nil { // no folder: nothing can be derived
			t.Fatal(err)
		}
		if err := e.Derive(t.Context()); err == nil {
			t.Fatal("records are derived of what is no folder")
		}
		want("when nothing can be derived", 503, 1)
		if err := signs(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whoever signs is told %v", err)
		}
		want("when somebody has tried to sign", 503, 1)
		if err := os.Remove(c.Runs); err != nil {
			t.Fatal(err)
		}
		if err := e.Derive(t.Context()); err != nil {
			t.Error(err)
		}
		want("when all was derived", 200, 0)
	})
}

// releases is a context that lets go of something when it is asked.
type releases struct {
	context.Context
	release func()
}

func (r releases) Err() error {
	r.release()
	return r.Context.Err()
}

// TestTakenMeanwhile has somebody be at a run that is over, from when its record is to be derived until just after that was left out: pages go on showing
// the run until there is something derived of it.
func TestTakenMeanwhile(t *testing.T) {
	r := newRig(t)
	r.calendar("one", never(t))
	c := r.config(r.file("days.hcl", "one"))
	c.Store = aStore(t)
	dir := filepath.Join(c.Runs, "one")
	recorded(t, dir, nil)
	if err := kept.WriteLabel(dir, kept.Label{Rehearsal: "west", Scenario: "shop", Fingerprint: "f", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.leaving["one"] = goingRun{Running: Running{Run: "one", Scenario: "shop", At: time.Now()}, folder: "one", dir: dir}
	want := func(when string, over bool) {
		t.Helper()
		if all, err := e.Runs(t.Context()); err != nil || len(all.All) != 1 || all.All[0].Over != over {
			t.Errorf("%s there are %+v, %v", when, all, err)
		}
	}
	var at *os.File
	took := 0
	c.Store.Say = func(string) { // of the file that is gone: deriving has begun, and no record was looked at
		took++
		if at, err = kept.Hold(dir); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(c.Store.Path); err != nil {
		t.Fatal(err)
	}
	if err := e.Derive(releases{t.Context(), func() {
		if at != nil {
			at.Close()
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if all, _, err := c.Store.Records(t.Context()); err != nil || took != 1 || len(all) != 0 || kept.Busy(dir) {
		t.Fatalf("it was taken %d times, and is let go of: %v; derived are %+v, %v", took, !kept.Busy(dir), all, err)
	}
	want("when its record was left out", false)
	if err := e.Derive(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("when it was derived", true)
	if len(e.leaving) != 0 {
		t.Errorf("it stays as what is over and not derived: %+v", e.leaving)
	}
}

// TestNobodySignsLate: whoever signs while records are read for long is told that nothing was signed, and then nothing is.
func TestNobodySignsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		plan := &rehearsals.Rehearsal{Name: "west", File: "days.hcl", SignOff: []string{"sre"}}
		r.calendars["one"] = func(file string) *Calendar {
			return &Calendar{Name: "days", File: file, Schedules: []*schedules.Schedule{never(t)}, Rehearsals: []*rehearsals.Rehearsal{plan}}
		}
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		e, end := r.serve(c)
		time.Sleep(time.Second)
		end() // it would derive beside
		all, err := e.Rehearsals(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v %v", all, err)
		}
		done := make(chan error)
		go func() { done <- e.Derive(hangs{t.Context()}) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err = e.SignOff(ctx, rehearsals.SignOff{Rehearsal: "west", Role: "sre", By: "ann", Saw: all[0].Judge(time.Now()).Digest})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second {
			t.Errorf("after %s whoever signs is told %v", took, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if signed, _, err := kept.SignOffs(c.Runs); err != nil || len(signed) != 0 {
			t.Errorf("on disk: %+v %v", signed, err)
		}
	})
}
