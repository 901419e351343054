package web_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/internal/siterig"
	"gameday/rehearsals"
	"gameday/report"
	"gameday/report/history"
	"gameday/room"
	"gameday/schedules"
	"gameday/serve/web"
)

// filler fills values of any type: every text with a word that is found nowhere else, every number with its own.
type filler struct {
	salt  string
	words []string
	n     int64
}

func (f *filler) word() string {
	f.n++
	w := fmt.Sprintf("zq%sx%dqz", f.salt, f.n)
	f.words = append(f.words, w)
	return w
}

func (f *filler) fill(v reflect.Value, depth int) {
	if depth > 10 || !v.CanSet() {
		return
	}
	switch v.Interface().(type) {
	case time.Time, *time.Location, http.Handler:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.word())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.n++
		v.SetInt(f.n % 3)
	case reflect.Float32, reflect.Float64:
		f.n++
		v.SetFloat(float64(f.n % 100))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(k, depth+1)
		f.fill(e, depth+1)
		v.SetMapIndex(k, e)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), depth+1)
		}
	}
}

func filled[T any](f *filler) T {
	var v T
	f.fill(reflect.ValueOf(&v).Elem(), 0)
	return v
}

// blindRun is a blind run that is not over, with words of its own in every field.
func blindRun(f *filler, at time.Time, going bool) web.Run {
	r := filled[web.Run](f)
	r.Started, r.Blind, r.Over, r.Going, r.Search = at, true, false, going, false
	r.Entry.End = report.EndInterrupted
	return r
}

// occasion is one of a blind schedule, within hours that everybody may know.
func occasion(f *filler, at time.Time, fate web.Fate, runs ...string) web.Occasion {
	o := filled[web.Occasion](f)
	o.Opens, o.Closes, o.Moment, o.Zone = at.Add(time.Duration(f.n%50)*time.Minute), at.Add(4*time.Hour-time.Duration(f.n%50)*time.Minute), at.Add(time.Duration(f.n%200)*time.Minute), time.UTC
	o.Blind, o.Fate, o.Frozen, o.Runs = true, fate, false, runs
	return o
}

// hidden adds all that may not show to those who play.
func hidden(d *siterig.Data, f *filler) {
	going, killed := blindRun(f, siterig.Now.Add(-10*time.Minute), true), blindRun(f, siterig.Now.AddDate(0, 0, -3), false)
	d.R.All = append(d.R.All, going, killed)
	d.R.Skipped = append(d.R.Skipped, filled[history.Skipped](f))
	day := siterig.Now.Truncate(24 * time.Hour)
	d.O = append(d.O, occasion(f, day.Add(12*time.Hour), web.Going, going.Folder), occasion(f, day.AddDate(0, 0, 7).Add(12*time.Hour), web.Planned),
		occasion(f, day.AddDate(0, 0, -3).Add(12*time.Hour), web.Broken, killed.Folder), occasion(f, day.AddDate(0, 0, -10).Add(12*time.Hour), web.Missed))
	// One of its scenarios is over already, and another is still to come.
	d.O = append(d.O, occasion(f, day.AddDate(0, 0, -1).Add(12*time.Hour), web.Going, d.R.All[0].Folder))
	unreasoned := web.Occasion{Schedule: "open", Scenarios: []string{"open"}, Opens: day.AddDate(0, 0, -1), Closes: day.AddDate(0, 0, -1).Add(time.Hour), Zone: time.UTC, Fate: web.Skipped,
		Why: "held by " + f.word(), Maybe: []string{f.word()}}
	d.O = append(d.O, unreasoned)
	closed := filled[web.Room](f)
	closed.Blind, closed.Over, closed.Paged = true, false, false
	told := filled[web.Room](f)
	told.Blind, told.Over, told.Paged, told.ID = true, false, true, "r7"
	d.Open = append(d.Open, closed, told)
	halt := filled[web.Halt](f)
	d.Halted = &halt
	d.Trouble = append(d.Trouble, web.Trouble{Text: "The database cannot be written.", Detail: f.word()}, web.Trouble{Text: f.word(), Detail: f.word(), Blind: true})
	d.Plans = append(d.Plans, web.Scheduled{Scenario: f.word(), Blind: true})
	step := filled[rehearsals.Step](f)
	step.Item.Blind = true
	plan := &rehearsals.Rehearsal{Name: "launch-blind", File: f.word(), SignOff: []string{"sre"}, Steps: []rehearsals.Step{step, {Item: schedules.Item{Scenario: "open"}}}}
	run := filled[rehearsals.Run](f)
	run.Record, run.Fingerprint, run.Started = killed.Folder, step.Fingerprint, killed.Started
	d.L = append(d.L, web.Rehearsal{Plan: plan, Shown: rehearsals.Shown{step.Name(): {run}}, Signed: []rehearsals.SignOff{filled[rehearsals.SignOff](f)},
		All: map[string]rehearsals.Shown{f.word(): {step.Name(): {run}}}})
}

// everything is all that can be asked for, with what is known to be there, and what is hidden.
func everything(d *siterig.Data) [][2]string {
	out := [][2]string{{"GET", "/"}, {"GET", "/screen"}, {"GET", "/calendar"}, {"GET", "/calendar?week=-6"}, {"GET", "/runs"}, {"GET", "/runs?page=2"}, {"GET", "/trends"}, {"GET", "/fresh"},
		{"GET", "/rehearsals"}, {"GET", "/people"}, {"GET", "/stop"}, {"POST", "/stop"}, {"POST", "/lift"}, {"GET", "/healthz"}, {"GET", "/site.css"}, {"GET", "/site.js"}, {"GET", "/in/abc"},
		{"POST", "/in"}, {"POST", "/links"}, {"POST", "/revoke"}, {"GET", "/nothing"}, {"PUT", "/"}}
	for _, v := range []string{"passed", "failed", "inconclusive", "aborted", "in progress", "not ended", "x"} {
		out = append(out, [2]string{"GET", "/runs?verdict=" + url.QueryEscape(v)})
	}
	for _, r := range d.R.All {
		folder := (&url.URL{Path: r.Folder}).EscapedPath()
		out = append(out, [2]string{"GET", "/runs/" + folder}, [2]string{"GET", "/reports/" + folder}, [2]string{"POST", "/reveal/" + folder},
			[2]string{"GET", "/badge/" + url.PathEscape(r.Scenario) + ".svg"})
	}
	for _, l := range d.L {
		name := url.PathEscape(l.Plan.Name)
		out = append(out, [2]string{"GET", "/rehearsals/" + name}, [2]string{"POST", "/rehearsals/" + name + "/sign"})
	}
	return append(out, [2]string{"GET", "/rooms/nothing/"})
}

// fetched returns all that a role is told by everything that it can ask, but for the addresses that it asked for.
func (k *rig) fetched(role room.Role, all [][2]string) string {
	var b bytes.Buffer
	form := url.Values{"text": {"hm"}, "as": {"sre"}, "saw": {"9534236b"}, "name": {"x"}, "role": {"observer"}}
	for _, e := range all {
		w := k.ask(role, e[0], e[1], form)
		fmt.Fprintln(&b, w.Code, w.Header())
		_, _ = io.Copy(&b, w.Body)
	}
	return b.String()
}

var blindRoles = []room.Role{room.Responder, room.Observer, nobody}

// TestBlindRolesSeeNoHiddenWord fills everything that is hidden with words of its own, and looks for each in all that those who play can
// fetch.
func TestBlindRolesSeeNoHiddenWord(t *testing.T) {
	d, f := siterig.Autumn(keptRecord(t)), &filler{salt: "a"}
	hidden(d, f)
	k := rigged(t, d)
	asked := everything(d)
	for _, role := range blindRoles {
		all := k.fetched(role, asked)
		for _, r := range d.R.All { // a badge says for which scenario it is, as it was asked
			all = strings.ReplaceAll(all, r.Scenario+": unknown", "")
			if r.Blind && !r.Over {
				all = strings.ReplaceAll(all, ">"+r.Scenario+"</text>", "")
			}
		}
		for _, w := range append(slices.Clone(f.words), "redis-fills", "surprise", "replica") {
			if w == "replica" { // it was blind, and is over: known to all
				if role != nobody && !strings.Contains(all, w) {
					t.Errorf("%s is not told of a blind run that is over", role)
				}
				continue
			}
			if i := strings.Index(all, w); i >= 0 {
				t.Fatalf("%s is told a word that is hidden: …%q", role, all[max(0, i-300):i+30])
			}
		}
	}
	all := k.fetched(room.Facilitator, asked)
	seen := 0
	for _, w := range f.words {
		if strings.Contains(all, w) {
			seen++
		}
	}
	if seen < 30 {
		t.Errorf("the facilitator is told %d of the words, want far more", seen)
	}
}

// TestEverythingIsTried: no address is served that these tests do not ask for.
func TestEverythingIsTried(t *testing.T) {
	k := rigged(t, siterig.Autumn(keptRecord(t)))
	asked := everything(k.data)
	for _, pattern := range k.Patterns() {
		if pattern == "POST /out" { // after which nobody is in
			continue
		}
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = "GET", pattern
		}
		path = strings.TrimSuffix(path, "{$}")
		stem, _, wild := strings.Cut(path, "{")
		if !slices.ContainsFunc(asked, func(e [2]string) bool {
			at, _, _ := strings.Cut(e[1], "?")
			return e[0] == method && (at == path || wild && strings.HasPrefix(at, stem))
		}) {
			t.Errorf("%s is not asked for: add it to everything", pattern)
		}
	}
}

// happens adds a blind occasion and a blind rehearsal, and of what may happen hidden from those who play all whose bit is set in change.
func happens(d *siterig.Data, f *filler, change int) {
	// What there is always: an occasion and a rehearsal that are blind, and a run that was killed or is not there yet.
	day := siterig.Now.Truncate(24 * time.Hour)
	o := occasion(f, day.Add(12*time.Hour), web.Planned)
	past := occasion(f, day.AddDate(0, 0, -9).Add(12*time.Hour), web.Done)
	step := rehearsals.Step{Item: schedules.Item{Scenario: f.word(), Blind: true}, Fingerprint: "f", Lane: f.word()}
	l := web.Rehearsal{Plan: &rehearsals.Rehearsal{Name: "launch-blind", SignOff: []string{"sre"}, Steps: []rehearsals.Step{step, {Item: schedules.Item{Scenario: "open"}}}}, Shown: rehearsals.Shown{}}
	on := func(bit int) bool { return change&(1<<bit) != 0 }
	run := blindRun(f, siterig.Now.Add(-time.Minute), true)
	if on(0) {
		d.R.All = append(d.R.All, run)
		o.Fate, o.Runs = web.Going, []string{run.Folder}
	}
	if on(1) {
		o.Fate, o.Late = web.Skipped, true
	}
	if on(2) {
		dead := blindRun(f, siterig.Now.AddDate(0, 0, -9), false)
		d.R.All = append(d.R.All, dead)
		past.Fate, past.Runs = web.Broken, []string{dead.Folder}
		l.Shown[step.Name()] = []rehearsals.Run{{Record: dead.Folder, Verdict: report.Failed, Residue: true, End: report.EndComplete}}
	}
	if on(3) {
		l.Signed = append(l.Signed, rehearsals.SignOff{Rehearsal: l.Plan.Name, Role: "sre", By: f.word(), Saw: "x", Refused: true})
	}
	if on(4) {
		r := filled[web.Room](f)
		r.Blind, r.Over, r.Paged = true, false, false
		d.Open = append(d.Open, r)
	}
	if on(5) {
		d.R.Skipped = append(d.R.Skipped, filled[history.Skipped](f))
		d.Plans = append(d.Plans, web.Scheduled{Scenario: f.word(), Blind: true})
	}
	if on(6) {
		o.Fate = web.Missed
	}
	if on(7) { // one that passed is no better than one that failed
		good := blindRun(f, siterig.Now.Add(-48*time.Hour), false)
		good.Scenario, good.Verdict, good.Residue, good.Services = "one-zone-lost", report.Passed, false, []string{"edge"}
		good.Entry.End = report.EndComplete
		d.R.All = append(d.R.All, good)
	}
	open := web.Occasion{Schedule: "open", Scenarios: []string{"open"}, Opens: day.Add(9 * time.Hour), Closes: day.Add(18 * time.Hour), Zone: time.UTC, Moment: day.Add(16 * time.Hour),
		Fate: web.Planned, Forecast: true}
	if on(8) { // what is hidden will be in its way
		open.Fate, open.Why, open.Maybe = web.Skipped, f.word(), []string{f.word()}
	}
	if on(9) {
		d.Trouble = append(d.Trouble, web.Trouble{Text: f.word(), Detail: f.word(), Blind: true})
	}
	if on(10) { // the newest rehearsal with a scenario in common is one that nobody may know of
		secret := blindRun(f, siterig.Now.Add(-3*time.Hour), false)
		secret.Scenario = "checkout-loses-payments"
		d.R.All = append(d.R.All, secret)
		d.L[0].All[f.word()] = rehearsals.Shown{secret.Scenario: {{Record: secret.Folder, Started: secret.Started, Verdict: report.Passed, End: report.EndComplete, Low: 90, High: 90}}}
	}
	d.O, d.L = append(d.O, o, past, open), append(d.L, l)
}

// TestWhatIsHiddenChangesNothing: what those who play can fetch is the same to the byte, whatever happens that is hidden from them.
func TestWhatIsHiddenChangesNothing(t *testing.T) {
	dir := keptRecord(t)
	some := siterig.Autumn(dir)
	some.R.All = some.R.All[len(some.R.All)-2:]
	asked := everything(some)
	rapid.Check(t, func(t *rapid.T) {
		var told [2]map[room.Role]string
		for i, change := range []int{0, rapid.IntRange(0, 1<<11-1).Draw(t, "changes")} {
			d := siterig.Autumn(dir)
			happens(d, &filler{salt: []string{"a", "bb"}[i], n: int64(rapid.IntRange(0, 40).Draw(t, "begin"))}, change)
			k := rigged(t, d)
			told[i] = map[room.Role]string{}
			for _, role := range blindRoles {
				told[i][role] = k.fetched(role, append(asked, [2]string{"GET", "/rehearsals/launch-blind"}, [2]string{"GET", "/badge/one-zone-lost.svg"}))
			}
		}
		for _, role := range blindRoles {
			a, b := told[0][role], told[1][role]
			if a == b {
				continue
			}
			n := 0
			for n < min(len(a), len(b)) && a[n] == b[n] {
				n++
			}
			t.Fatalf("what is hidden shows to %s:\n…%s\n…%s", role, a[max(0, n-300):min(len(a), n+100)], b[max(0, n-300):min(len(b), n+100)])
		}
	})
}

// TestReveal: a blind run that was killed is hidden for good, until a facilitator shows it to everybody; and one that may go on is not shown.
func TestReveal(t *testing.T) {
	d, f := siterig.Autumn(keptRecord(t)), &filler{salt: "a"}
	killed, going := blindRun(f, siterig.Now.AddDate(0, 0, -2), false), blindRun(f, siterig.Now, true)
	d.R.All = append(d.R.All, killed, going)
	dir := record(t)
	d.Dirs[killed.Folder], d.Dirs[going.Folder] = dir, t.TempDir()
	d.O = append(d.O, occasion(f, siterig.Now.Truncate(24*time.Hour).AddDate(0, 0, -2).Add(9*time.Hour), web.Broken, killed.Folder))
	k := rigged(t, d)
	reveal := func(role room.Role, folder string) int {
		return k.ask(role, http.MethodPost, "/reveal/"+folder, nil).Code
	}
	hidden := func() {
		t.Helper()
		for _, path := range []string{"/runs", "/calendar", "/"} {
			if strings.Contains(k.get(t, room.Observer, path), killed.Scenario) {
				t.Errorf("%s shows it to an observer", path)
			}
		}
		if w := k.ask(room.Observer, http.MethodGet, "/runs/"+killed.Folder, nil); w.Code != http.StatusNotFound {
			t.Errorf("its page is answered %d", w.Code)
		}
	}
	if got := reveal(room.Facilitator, killed.Folder); got != http.StatusConflict { // its record was written just now
		t.Errorf("one that may go on: %d", got)
	}
	hidden()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, report.EventsFile), old, old); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		role   room.Role
		folder string
		want   int
	}{{room.Responder, killed.Folder, http.StatusForbidden}, {room.Observer, killed.Folder, http.StatusForbidden}, {nobody, killed.Folder, http.StatusUnauthorized},
		{room.Facilitator, going.Folder, http.StatusConflict}, {room.Facilitator, d.R.All[0].Folder, http.StatusConflict}, {room.Facilitator, "nothing", http.StatusConflict}} {
		if got := reveal(x.role, x.folder); got != x.want {
			t.Errorf("%s revealing %s: %d, want %d", x.role, x.folder, got, x.want)
		}
	}
	hidden()
	k.lines = nil
	if !strings.Contains(k.get(t, room.Facilitator, "/runs/"+killed.Folder), "Reveal it to everybody") || reveal(room.Facilitator, killed.Folder) != http.StatusSeeOther {
		t.Error("a facilitator cannot reveal it")
	}
	if len(k.lines) != 1 || !strings.Contains(k.lines[0], "revealed the run "+killed.Folder) {
		t.Errorf("the audit log has %q", k.lines)
	}
	for path, want := range map[string]string{"/runs": killed.Scenario, "/runs/" + killed.Folder: killed.Scenario, "/calendar": "begun, and its end is not known"} {
		if !strings.Contains(k.get(t, room.Observer, path), want) {
			t.Errorf("%s lacks %q for an observer", path, want)
		}
	}
	if strings.Contains(k.get(t, room.Facilitator, "/runs/"+killed.Folder), "Reveal it to everybody") {
		t.Error("it can be revealed twice")
	}
}
