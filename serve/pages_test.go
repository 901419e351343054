package serve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/gate"
	"gameday/schedules"
	"gameday/serve/web"
)

// madeAt is the time that a page was made at.
var madeAt = regexp.MustCompile(`As of [^.]*\.`)

// observed is asked for an observer.
func observed(t testing.TB, e *Engine) func(path string) (status int, text string) {
	t.Helper()
	return asked(t, e, room.Observer)
}

// asked returns what somebody of a role is answered on the pages of an engine, but for the time that they were made at.
func asked(t testing.TB, e *Engine, role room.Role) func(path string) (status int, text string) {
	t.Helper()
	g := gate.New(gate.Config{For: gate.Server, Door: door.New()})
	site := web.New(web.Config{Data: e, Gate: g})
	token, err := g.Door.Link(door.Guest{Name: "ann", Role: role, Run: gate.Server}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := g.Door.Enter(token, gate.Server, 48*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
		r.AddCookie(&http.Cookie{Name: g.Cookie, Value: cookie})
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		return w.Code, madeAt.ReplaceAllString(w.Body.String(), "")
	}
}

// midday is a schedule that comes each day at a random moment between 10:00 and 16:00, and holds the shop for an hour.
func midday(t testing.TB, name string) *schedules.Schedule {
	return &schedules.Schedule{Name: name, Items: item(time.Hour, "shop"), Every: every(t, "1d"), Zone: time.UTC, Moment: schedules.AtRandom,
		Window: &schedules.Window{From: clock(10, 0), To: clock(16, 0)}}
}

// TestInTheWayOfAnother has a blind schedule begin within its hours, and be in the way of one that is not blind: until the moment of that one
// no page of an observer's tells, neither by a forecast beforehand nor by its going away.
func TestInTheWayOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		seed := schedules.Seed("a seed of the tests")
		moment := func(s *schedules.Schedule) time.Time {
			o, ok := s.Next(time.Now(), seed)
			if !ok {
				t.Fatal("it never comes")
			}
			return o.Moment
		}
		surprise := midday(t, "surprise")
		surprise.Items[0].Blind = true
		begins := moment(surprise)
		var open *schedules.Schedule
		for n := 0; open == nil; n++ {
			if n > 1000 {
				t.Fatal("no name draws a moment at which the blind one goes on")
			}
			if s := midday(t, fmt.Sprint("open-", n)); moment(s).Sub(begins) > 10*time.Minute && moment(s).Sub(begins) < 50*time.Minute {
				open = s
			}
		}
		until := moment(open)
		r.calendar("both", surprise, open)
		c := r.config(r.file("days.hcl", "both"))
		c.Store = aStore(t)
		e, end := r.serve(c)
		defer end()
		ask := observed(t, e)
		time.Sleep(10*time.Hour + 90*time.Second)
		all, err := e.Occasions(t.Context(), time.Now(), time.Now().Add(time.Hour))
		if err != nil || len(all) != 2 || !all[0].Forecast || !all[1].Forecast {
			t.Fatalf("%v: %+v", err, all)
		}
		for _, o := range all {
			if want := map[string]web.Fate{"surprise": web.Planned, open.Name: web.Skipped}[o.Schedule]; o.Fate != want {
				t.Errorf("a facilitator is told that %s is %s, want %s", o.Schedule, o.Fate, want)
			}
		}
		if got := e.Scheduled(); len(got) != 2 || got[0] != (web.Scheduled{Scenario: "x", Blind: true}) || got[1] != (web.Scheduled{Scenario: "x"}) {
			t.Errorf("scenarios in schedules: %+v", got)
		}
		first := map[string]string{}
		looks := 0
		for ; time.Now().Before(until); time.Sleep(time.Minute) {
			looks++
			for _, path := range []string{"/", "/calendar"} {
				status, text := ask(path)
				if status != http.StatusOK {
					t.Fatal(path, status, text)
				}
				if first[path] == "" {
					first[path] = text
				}
				if text != first[path] {
					t.Fatalf("%s shows at %s that a blind game day has begun at %s:\n%s\nand before it was\n%s", path, time.Now(), begins, text, first[path])
				}
			}
		}
		if begun, _ := r.counted(); begun["surprise"] != 1 || looks < 10 {
			t.Errorf("begun %v in %d looks: the test shows little", begun, looks)
		}
	})
}

// TestUndecidedBlind has a blind game day that comes due and cannot be begun: facilitators are told, and neither those who play nor whatever
// watches the server learns of the moment by it. Of one that is not blind everybody learns.
func TestUndecidedBlind(t *testing.T) {
	for name, blind := range map[string]bool{"blind": true, "open": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.children.Wait()
				s := midday(t, "midday")
				s.Items[0].Blind = blind
				r.calendar("one", s)
				r.code = 2
				c := r.config(r.file("days.hcl", "one"))
				c.Store = aStore(t)
				e, end := r.serve(c)
				defer end()
				ask := observed(t, e)
				o, ok := s.Next(time.Now(), schedules.Seed("a seed of the tests"))
				if !ok {
					t.Fatal("it never comes")
				}
				time.Sleep(time.Until(o.Moment) + 90*time.Second)
				if all := e.Troubles(); len(all) != 1 || all[0].Blind != blind {
					t.Errorf("a facilitator is told %+v", all)
				}
				_, page := ask("/")
				health, _ := ask("/healthz")
				if told := strings.Contains(page, "Something is due"); told == blind || (health == http.StatusOK) != blind {
					t.Errorf("an observer is told of it: %v; and the server's health is answered %d", told, health)
				}
			})
		})
	}
}

// TestBesideWhatIsKnown compares a rehearsal, for an observer, with the last one that they may know of, while a blind run for another one is hidden.
func TestBesideWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		plan := &rehearsals.Rehearsal{Name: "west", File: "days.hcl", StopOn: rehearsals.DefaultStops,
			Steps: []rehearsals.Step{{Item: schedules.Item{File: "shop.hcl", Scenario: "shop"}, Fingerprint: "f"}}}
		r.calendars["one"] = func(file string) *Calendar {
			return &Calendar{Name: "days", File: file, Schedules: []*schedules.Schedule{never(t)}, Rehearsals: []*rehearsals.Rehearsal{plan}}
		}
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		run := func(rehearsal string, change func(*report.Record)) {
			t.Helper()
			dir := filepath.Join(c.Runs, rehearsal)
			recorded(t, dir, change)
			if err := kept.WriteLabel(dir, kept.Label{Rehearsal: rehearsal, Scenario: "shop", Fingerprint: "f", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		run("east", nil)
		run("west", nil)
		e, end := r.serve(c)
		defer end()
		ask := observed(t, e)
		time.Sleep(90 * time.Second)
		if _, page := ask("/rehearsals/west"); !strings.Contains(page, "Beside east") {
			t.Fatalf("it is beside no other:\n%s", page)
		}
		run("north", func(rec *report.Record) { rec.Plan.Blind, rec.Events = true, rec.Events[:4] })
		all, err := e.Rehearsals(t.Context())
		if err != nil || len(all) != 1 || len(all[0].All["north"]["shop"]) != 1 {
			t.Fatalf("%v: %+v", err, all)
		}
		if _, page := ask("/rehearsals/west"); !strings.Contains(page, "Beside east") {
			t.Errorf("a blind run that is hidden changes what it is beside:\n%s", page)
		}
	})
}

// TestWasBlind takes the blindness out of a calendar while a blind game day goes on: that one stays hidden, and what comes next is told of.
func TestWasBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		blind, open := midday(t, "midday"), midday(t, "midday")
		blind.Items[0].Blind = true
		r.calendar("blind", blind)
		r.calendar("open", open)
		c := r.config(r.file("days.hcl", "blind"))
		c.Store = aStore(t)
		o, ok := blind.Next(time.Now(), schedules.Seed("a seed of the tests"))
		if !ok {
			t.Fatal("it never comes")
		}
		e, end := r.serve(c)
		defer end()
		time.Sleep(time.Until(o.Moment) + 90*time.Second)
		r.file("days.hcl", "open")
		for _, fate := range []web.Fate{web.Going, web.Done} {
			time.Sleep(5 * time.Minute)
			all, err := e.Occasions(t.Context(), o.Opens(), o.Closes().Add(24*time.Hour))
			if err != nil || len(all) != 2 {
				t.Fatalf("%v: %+v", err, all)
			}
			for _, x := range all {
				if now := x.ID == o.ID; x.Blind != now || now && x.Fate != fate {
					t.Errorf("%s is %s, and blind: %v", x.ID, x.Fate, x.Blind)
				}
			}
			time.Sleep(time.Hour)
		}
	})
}

// TestHoursAreToldToTheirEnd has the hours of a blind schedule end at twenty past, which nobody who plays is told: it goes from their start
// page at the full hour.
func TestHoursAreToldToTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		s := midday(t, "midday")
		s.Items[0].Blind, s.Window.To = true, clock(16, 20)
		r.calendar("one", s)
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		e, end := r.serve(c)
		defer end()
		ask := observed(t, e)
		time.Sleep(16*time.Hour + 90*time.Second)
		for _, want := range []bool{true, true, true, false} { // at 16:01, 16:22, 16:43 and 17:04
			_, page := ask("/")
			if there := strings.Contains(page, "<b>Sat 1 Jan 2000</b> game day between 10:00 and 17:00 UTC"); there != want {
				t.Errorf("at %s it is there: %v\n%s", time.Now().Format("15:04"), there, page)
			}
			time.Sleep(21 * time.Minute)
		}
	})
}

// TestMadeUpFor has a blind game day that was missed, and is made up for the day after: that it begins then shows to nobody who plays.
func TestMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		s := midday(t, "monthly")
		s.Items[0].Blind, s.Every, s.Cron, s.CatchUp = true, nil, cron(t, "0 10 1 * *"), schedules.CatchUpOnce
		r.calendar("one", s)
		c := r.config(r.file("days.hcl", "one"))
		c.Store = aStore(t)
		_, end := r.serve(c)
		time.Sleep(time.Minute)
		end()
		time.Sleep(18 * time.Hour) // its hours are over, and nobody was there
		e, end := r.serve(c)
		defer end()
		ask := observed(t, e)
		time.Sleep(15 * time.Hour) // from 18:01 to 09:01 of the next day
		if begun, _ := r.counted(); begun["monthly"] != 0 {
			t.Fatalf("begun %v", begun)
		}
		for _, path := range []string{"/", "/calendar"} {
			if _, text := ask(path); strings.Contains(text, "did not take place") {
				t.Errorf("%s says that it did not take place, while it may be made up for:\n%s", path, text)
			}
		}
		_, before := ask("/calendar")
		time.Sleep(75 * time.Minute)
		if begun, _ := r.counted(); begun["monthly"] != 1 {
			t.Fatalf("begun %v", begun)
		}
		if _, text := ask("/calendar"); text != before {
			t.Errorf("that it is made up for shows:\n%s\nand before it was\n%s", text, before)
		}
	})
}
