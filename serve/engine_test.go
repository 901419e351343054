package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/store"
	"gameday/serve/web"
)

// minutely is a schedule that comes each minute.
func minutely(t testing.TB, name string, length time.Duration, holds ...string) *schedules.Schedule {
	return &schedules.Schedule{Name: name, Items: item(length, holds...), Cron: cron(t, "* * * * *"), Zone: time.UTC}
}

// counted returns how many occasions of each schedule were begun and skipped.
func (r *rig) counted() (begun, skipped map[string]int) {
	begun, skipped = map[string]int{}, map[string]int{}
	for _, k := range r.kept() {
		if k.Outcome == schedules.Begun {
			begun[k.Schedule]++
		} else {
			skipped[k.Schedule]++
		}
	}
	return begun, skipped
}

// TestEdited changes the calendar's file while it is served: it is read again, and one with a mistake goes on as it was, also after a new
// start.
func TestEdited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("one", minutely(t, "one", time.Second))
		r.calendar("two", minutely(t, "two", time.Second))
		path := r.file("days.hcl", "one")
		e, end := r.serve(r.config(path))
		time.Sleep(3*time.Minute + 30*time.Second)
		if begun, _ := r.counted(); begun["one"] != 4 {
			t.Fatalf("begun: %v", begun)
		}
		r.file("days.hcl", "nonsense")
		time.Sleep(2 * time.Minute)
		text := r.says()
		if begun, _ := r.counted(); begun["one"] != 6 || strings.Count(text, "\n") != 0 || !strings.Contains(text, `days.hcl goes on as it was, for what is in it now does not count: days.hcl:1: "nonsense"`) {
			t.Errorf("with a mistake: begun %v, it says %q", begun, text)
		}
		if all := e.Troubles(); len(all) != 1 || strings.Contains(all[0].Text, "nonsense") || !strings.Contains(all[0].Detail, "nonsense") {
			t.Errorf("troubles: %+v", all)
		}
		end()
		e, end = r.serve(r.config(path))
		time.Sleep(2 * time.Minute)
		if begun, _ := r.counted(); begun["one"] != 8 || !strings.Contains(r.says(), "goes on as it was") {
			t.Errorf("started again with a mistake: begun %v", begun)
		}
		r.file("days.hcl", "two")
		time.Sleep(2 * time.Minute)
		if begun, _ := r.counted(); begun["one"] != 8 || begun["two"] != 3 || !strings.Contains(r.says(), "counts again") || len(e.Troubles()) != 0 {
			t.Errorf("mended: begun %v, troubles %v", begun, e.Troubles())
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if begun, _ := r.counted(); begun["two"] != 5 || strings.Count(r.says(), "no such file") != 1 {
			t.Errorf("gone: begun %v", begun)
		}
		end()
		if _, err := New(r.config(r.file("other.hcl", "nonsense"))); err == nil {
			t.Error("a calendar that never was good is served")
		}
	})
}

// TestNames refuses calendars that would share what ran.
func TestNames(t *testing.T) {
	r := newRig(t)
	r.calendar("one", minutely(t, "one", time.Second))
	_, err := New(r.config(r.file("a.hcl", "one"), r.file("b.hcl", "one")))
	if err == nil || !strings.Contains(err.Error(), `its name is "days"`) {
		t.Errorf("it says %v", err)
	}
}

// TestTwoServers has the state folder for one server at a time.
func TestTwoServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("one", minutely(t, "one", time.Second))
		path := r.file("days.hcl", "one")
		_, end := r.serve(r.config(path))
		if _, err := New(r.config(path)); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), r.dir) {
			t.Errorf("the second is told %v", err)
		}
		end()
		_, end = r.serve(r.config(path))
		end()
	})
}

// TestInTheWay has two schedules come at the same instants that hold the same: what is settled first is begun, and the other one skipped.
func TestInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("both", minutely(t, "first", 40*time.Second, "shop"), minutely(t, "second", 40*time.Second, "shop"), minutely(t, "third", 90*time.Second, "till"))
		_, end := r.serve(r.config(r.file("days.hcl", "both")))
		defer end()
		time.Sleep(10*time.Minute + 30*time.Second)
		begun, skipped := r.counted()
		if begun["first"] != 11 || skipped["second"] != 11 || begun["third"] != 6 || skipped["third"] != 5 {
			t.Errorf("begun %v, skipped %v", begun, skipped)
		}
	})
}

// TestOtherRuns skips what a run that somebody started by hand holds, and begins nothing while nobody knows which runs there are.
func TestOtherRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("one", &schedules.Schedule{Name: "one", Items: item(time.Second, "shop"), Cron: cron(t, "*/5 * * * *"), Zone: time.UTC})
		c := r.config(r.file("days.hcl", "one"))
		var known atomic.Bool
		c.Running = func() ([]Running, error) {
			if !known.Load() {
				return nil, errors.New("the list is gone")
			}
			return nil, nil
		}
		e, end := r.serve(c)
		defer end()
		time.Sleep(6 * time.Minute)
		if begun, _ := r.counted(); begun["one"] != 0 || len(r.called()) != 0 || len(e.Troubles()) != 1 || !strings.Contains(e.Troubles()[0].Detail, "the list is gone") {
			t.Errorf("begun %v by %v, troubles %v", begun, r.called(), e.Troubles())
		}
		known.Store(true)
		time.Sleep(2 * time.Minute)
		if begun, _ := r.counted(); begun["one"] != 1 || len(e.Troubles()) != 0 {
			t.Errorf("begun %v, troubles %v", begun, e.Troubles())
		}
	})
}

// TestUndecided has processes that cannot decide: it is tried again each minute, said once, and begun as soon as it goes.
func TestUndecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("daily", &schedules.Schedule{Name: "daily", Items: item(time.Minute), Every: every(t, "1d"), Zone: time.UTC, Window: &schedules.Window{From: 0, To: clock(2, 0)}},
			minutely(t, "beside", time.Second))
		r.code = 2
		e, end := r.serve(r.config(r.file("days.hcl", "daily")))
		defer end()
		time.Sleep(10*time.Minute + 30*time.Second)
		text := r.says()
		if strings.Count(text, "daily of days is due, and the process that decides about it ended with 2: gameday: it does not like it") != 1 {
			t.Errorf("it says %q", text)
		}
		tried := 0
		for _, c := range r.called() {
			if c.Schedule == "daily" {
				tried++
			}
		}
		if tried < 9 || tried > 12 {
			t.Errorf("it was tried %d times in ten minutes", tried)
		}
		if len(e.Troubles()) == 0 {
			t.Error("nobody is told that something is in trouble")
		}
		r.mu.Lock()
		r.code = 0
		r.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if begun, _ := r.counted(); begun["daily"] != 1 || begun["beside"] < 1 || len(e.Troubles()) != 0 {
			t.Errorf("begun %v, troubles %v", begun, e.Troubles())
		}
	})
}

// TestUnreadState begins nothing of a calendar while one of its claims cannot be read.
func TestUnreadState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("one", minutely(t, "one", time.Second))
		e, end := r.serve(r.config(r.file("days.hcl", "one")))
		defer end()
		time.Sleep(90 * time.Second)
		bad := filepath.Join(r.dir, "state", "days", "one@2001-01-01T0000.json")
		if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if text := r.says(); strings.Count(text, "nothing of the calendar days is begun") != 1 || len(e.Troubles()) != 1 {
			t.Errorf("it says %q, troubles %v", text, e.Troubles())
		}
		if err := os.Remove(bad); err != nil {
			t.Fatal(err)
		}
		if begun, _ := r.counted(); begun["one"] != 2 {
			t.Errorf("begun %v", begun)
		}
		time.Sleep(2 * time.Minute)
		if begun, _ := r.counted(); begun["one"] < 3 || len(e.Troubles()) != 0 || !strings.Contains(r.says(), "can be read again") {
			t.Errorf("begun %v, troubles %v", begun, e.Troubles())
		}
	})
}

// fakeRoom is a room that nobody is in.
type fakeRoom struct {
	http.Handler
	id, run, dir string
	followed     chan struct{}
}

func (f *fakeRoom) Follow(ctx context.Context) {
	<-ctx.Done()
	close(f.followed)
}

func (f *fakeRoom) Look() (paged, over bool) { return true, false }

// TestRooms opens a room for each run below the folder of records, and closes it half an hour after the run's end.
func TestRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", &schedules.Schedule{Name: "one", Items: item(time.Second), Cron: cron(t, "0 0 1 1 *"), Zone: time.UTC})
		c := r.config(r.file("days.hcl", "one"))
		var opened []*fakeRoom
		c.OpenRoom = func(id, run, dir string) Opened {
			f := &fakeRoom{id: id, run: run, dir: dir, followed: make(chan struct{})}
			opened = append(opened, f)
			return f
		}
		dir := filepath.Join(c.Runs, "20000101-000000-x")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		on := []Running{{Run: "a", Scenario: "x", Dir: dir, At: time.Now()}, {Run: "b", Scenario: "y", Dir: "/elsewhere/b", At: time.Now()}}
		var over atomic.Bool
		c.Running = func() ([]Running, error) {
			if over.Load() {
				return nil, nil
			}
			return on, nil
		}
		e, end := r.serve(c)
		defer end()
		time.Sleep(time.Minute)
		list, _ := e.Rooms(t.Context())
		if len(list) != 1 || len(opened) != 1 || list[0].ID != opened[0].id || list[0].Run != "20000101-000000-x" || list[0].Scenario != "x" || !list[0].Blind || !list[0].Paged ||
			list[0].Handler == nil || opened[0].dir != dir || len(list[0].ID) < 20 || strings.ToLower(list[0].ID) != list[0].ID {
			t.Fatalf("rooms: %+v, opened %+v", list, opened)
		}
		over.Store(true)
		time.Sleep(29 * time.Minute)
		if list, _ := e.Rooms(t.Context()); len(list) != 1 {
			t.Error("the room is closed before anybody has read how it ended")
		}
		time.Sleep(3 * time.Minute)
		if list, _ := e.Rooms(t.Context()); len(list) != 0 {
			t.Error("the room is never closed")
		}
		<-opened[0].followed
	})
}

// TestRoomsSoon has a run begin and end between two looks at the calendars: its room is there within seconds, and so is its end.
func TestRoomsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", &schedules.Schedule{Name: "one", Items: item(time.Second), Cron: cron(t, "0 0 1 1 *"), Zone: time.UTC})
		c := r.config(r.file("days.hcl", "one"))
		c.OpenRoom = func(id, run, dir string) Opened {
			return &fakeRoom{id: id, run: run, dir: dir, followed: make(chan struct{})}
		}
		dir := filepath.Join(c.Runs, "20000101-000000-x")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		on := []Running{{Run: "a", Scenario: "x", Dir: dir, At: time.Now()}}
		var goes atomic.Bool
		c.Running = func() ([]Running, error) {
			if goes.Load() {
				return on, nil
			}
			return nil, nil
		}
		e, end := r.serve(c)
		defer end()
		going := func() int {
			synctest.Wait()
			return len(e.seen().going)
		}
		time.Sleep(61 * time.Second)
		for _, want := range []int{1, 0} {
			goes.Store(want == 1)
			time.Sleep(2 * filesEvery)
			if n := going(); n != want {
				t.Errorf("after %s %d runs are told of, want %d", 2*filesEvery, n, want)
			}
			if list, _ := e.Rooms(t.Context()); len(list) != 1 {
				t.Errorf("rooms: %+v", list)
			}
		}
	})
}

// TestRoomsUnlisted has nobody know for a while which runs go on: they go on, and their rooms stay open for as long after their end as ever.
func TestRoomsUnlisted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.calendar("one", &schedules.Schedule{Name: "one", Items: item(time.Second), Cron: cron(t, "0 0 1 1 *"), Zone: time.UTC})
		c := r.config(r.file("days.hcl", "one"))
		c.OpenRoom = func(id, run, dir string) Opened {
			return &fakeRoom{id: id, run: run, dir: dir, followed: make(chan struct{})}
		}
		dir := filepath.Join(c.Runs, "20000101-000000-x")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		on := []Running{{Run: "a", Scenario: "x", Dir: dir, At: time.Now()}}
		const goes, unknown, over = 0, 1, 2
		var now atomic.Int32
		c.Running = func() ([]Running, error) {
			switch now.Load() {
			case unknown:
				return nil, errors.New("the list is gone")
			case over:
				return nil, nil
			}
			return on, nil
		}
		e, end := r.serve(c)
		defer end()
		time.Sleep(2 * time.Minute)
		now.Store(unknown)
		time.Sleep(40 * time.Minute)
		if n := len(e.seen().going); n != 1 {
			t.Errorf("while nobody can tell %d runs go on, want the one of before", n)
		}
		now.Store(goes)
		time.Sleep(2 * time.Minute)
		now.Store(over)
		time.Sleep(2 * time.Minute)
		if list, _ := e.Rooms(t.Context()); len(list) != 1 {
			t.Errorf("two minutes after the end: %+v", list)
		}
	})
}

// TestAsked compares what pages are told of occasions with what happened.
func TestAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		blind := minutely(t, "blind", 20*time.Second)
		blind.Items[0].Blind = true
		frozen := minutely(t, "frozen", 20*time.Second)
		frozen.Freezes = []schedules.Freezer{freezes{{Name: "rest", File: "f.ics", From: time.Now().Add(-time.Hour), To: time.Now().Add(24 * time.Hour)}}}
		hourly := &schedules.Schedule{Name: "hourly", Items: item(5 * time.Minute), Cron: cron(t, "0 * * * *"), Zone: zone(t, "Europe/Berlin")}
		r.calendar("all", blind, frozen, hourly)
		begin := time.Now()
		c := r.config(r.file("days.hcl", "all"))
		c.Store = aStore(t)
		e, end := r.serve(c)
		defer end()
		time.Sleep(time.Minute + 10*time.Second)
		all, err := e.Occasions(t.Context(), begin, begin.Add(90*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		fates := map[string]web.Occasion{}
		for _, o := range all {
			if _, twice := fates[o.Schedule+" "+o.ID]; twice {
				t.Errorf("%s %s is there twice", o.Schedule, o.ID)
			}
			fates[o.Schedule+" "+o.ID] = o
		}
		for key, want := range map[string]web.Fate{"blind 2000-01-01T00:00": web.Done, "blind 2000-01-01T00:01": web.Going, "blind 2000-01-01T00:05": web.Planned,
			"frozen 2000-01-01T00:00": web.Skipped, "frozen 2000-01-01T00:30": web.Skipped, "hourly 2000-01-01T01:00": web.Going, "hourly 2000-01-01T02:00": web.Planned} {
			o, ok := fates[key]
			if !ok || o.Fate != want {
				t.Errorf("%s: %q, and should be %q (there: %v)", key, o.Fate, want, ok)
			}
			if strings.HasPrefix(key, "frozen") != o.Frozen || strings.HasPrefix(key, "blind") != o.Blind {
				t.Errorf("%s: frozen %v, blind %v", key, o.Frozen, o.Blind)
			}
		}
		if got, err := e.Freezes(t.Context(), begin, begin.Add(time.Hour)); err != nil || len(got) != 1 {
			t.Errorf("freezes: %v %v", got, err)
		}
		// A server that was away for long tells of what nobody has settled yet, and of what was there before nobody's time not at all.
		before, err := e.Occasions(t.Context(), begin.Add(-24*time.Hour), begin.Add(-2*time.Hour))
		if err != nil || len(before) != 0 {
			t.Errorf("before it was there: %d occasions, %v", len(before), err)
		}
	})
}

// TestKilledRun calls an occasion broken when whoever began it was killed.
func TestKilledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &schedules.Schedule{Name: "one", Items: item(time.Minute), Cron: cron(t, "0 * * * *"), Zone: time.UTC}
		r.calendar("one", s)
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		claim := claims.Claim{Schedule: "one", Occasion: "2000-01-01T00:00", Outcome: schedules.Begun, At: time.Now(), Opens: time.Now(), Closes: time.Now().Add(time.Hour)}
		text, err := json.Marshal(claim) // nobody has its lock, and nothing tells of its end
		if err != nil {
			t.Fatal(err)
		}
		days := filepath.Join(c.State, "days")
		if err := errors.Join(os.MkdirAll(days, 0o700), os.WriteFile(filepath.Join(days, "one@2000-01-01T0000.json"), text, 0o600)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		e, end := r.serve(c)
		defer end()
		time.Sleep(2 * time.Minute)
		all, err := e.Occasions(t.Context(), begin, begin.Add(time.Minute))
		if err != nil || len(all) != 1 || all[0].Fate != web.Broken || all[0].Exit != nil {
			t.Errorf("%+v %v", all, err)
		}
		if len(r.called()) != 0 {
			t.Errorf("it was begun again: %v", r.called())
		}
	})
}

// aStore returns a database in the test's folder.
func aStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "serve.db"), Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestNarrow begins what can begin in one second alone, although a process takes a while to start.
func TestNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		s := &schedules.Schedule{Name: "narrow", Items: item(10 * time.Minute), Every: every(t, "1d"), Zone: time.UTC, Window: &schedules.Window{From: clock(1, 0), To: clock(1, 10)}}
		r.calendar("one", s)
		r.starts = 3 * time.Second
		_, end := r.serve(r.config(r.file("days.hcl", "one")))
		defer end()
		time.Sleep(49 * time.Hour)
		if begun, skipped := r.counted(); begun["narrow"] != 2 || skipped["narrow"] != 0 {
			t.Errorf("begun %v, skipped %v", begun, skipped)
		}
	})
}
