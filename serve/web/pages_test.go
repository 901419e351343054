package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/internal/siterig"
	"gameday/rehearsals"
	"gameday/report"
	"gameday/report/history"
	"gameday/room"
	"gameday/serve/web"
)

// TestPages looks for what each page must tell each role, and must not.
func TestPages(t *testing.T) {
	k := rigged(t, siterig.Autumn(record(t)))
	f, r, o := room.Facilitator, room.Responder, room.Observer
	for _, tt := range []struct {
		role      room.Role
		path      string
		has, lack []string
	}{
		{f, "/", []string{"/rooms/k3v9/", "redis-fills", "postgres", "passed 63 days ago", "Stop everything"}, nil},
		{r, "/", []string{"/rooms/k3v9/", "The room of a game day", "game day between 13:00 and 17:00 CET"}, []string{"redis-fills", "surprise", "Stop everything"}},
		{f, "/screen", []string{"The room of a game day"}, []string{"redis-fills"}},
		{f, "/calendar", []string{"surprise", "redis-fills", "Sales week", "Year&#39;s end", "an incident is open: page 4711", "missed: nobody was there", "will be skipped"}, nil},
		{o, "/calendar", []string{"game day", "Sales week", "weekly-checkout", "skipped", "is shown to facilitators", "does not take place"}, []string{"surprise", "redis-fills", "4711"}},
		{f, "/runs", []string{"redis-fills", "in progress", "1 to 25 of", "page=2", "20261104-091500-dns-gone"}, nil},
		{o, "/runs", []string{"1 to 25 of", "page=2"}, []string{"redis-fills", "20261104-091500-dns-gone"}},
		{o, "/runs?scenario=dns-gone&verdict=passed", []string{"1 to 8 of 8"}, []string{"page=2", "checkout-loses-payments</a>"}},
		{o, "/runs?scenario=none", []string{"There is no run like that that you may know of"}, nil},
		{o, "/trends", []string{"PaymentsDown", "Alarms exercised"}, []string{"redis-fills", "Left out"}},
		{f, "/trends", []string{"Left out"}, nil},
		{o, "/fresh", []string{"ledger", "stale"}, []string{"tell nothing"}},
		{f, "/rehearsals", []string{"launch-eu-west-2", "no-go", "launch-eu-west-1"}, nil},
		{f, "/rehearsals/launch-eu-west-2", []string{"NO-GO", "Lane shop", "the required alarm ZoneDown was missed", "it was not run yet", "ann refused", "Beside launch-eu-west-1", "Sign for what this page shows"}, nil},
		{r, "/rehearsals/launch-eu-west-2", []string{"NO-GO", "Sign for what this page shows"}, nil},
		{o, "/rehearsals/launch-eu-west-2", []string{"NO-GO", "ann refused"}, []string{"Sign for what this page shows"}},
		{f, "/people", []string{"Make a link"}, nil},
		{f, "/stop", []string{"Stop every game day now"}, nil},
	} {
		page := k.get(t, tt.role, tt.path)
		for _, want := range tt.has {
			if !strings.Contains(page, want) {
				t.Errorf("%s of %s lacks %q", tt.path, tt.role, want)
			}
		}
		for _, not := range tt.lack {
			if strings.Contains(page, not) {
				t.Errorf("%s of %s has %q", tt.path, tt.role, not)
			}
		}
	}
}

// TestRunAndReport: a run has its scorecard, and its report under a policy of its own.
func TestRunAndReport(t *testing.T) {
	dir := record(t)
	k := rigged(t, siterig.Autumn(dir))
	folder := k.data.R.All[0].Folder
	page := k.get(t, room.Observer, "/runs/"+folder)
	for _, want := range []string{"Share of its points", "points could be judged", "/reports/" + folder, "Of the same scenario"} {
		if !strings.Contains(page, want) {
			t.Errorf("the run's page lacks %q", want)
		}
	}
	made := k.ask(room.Observer, http.MethodGet, "/reports/"+folder, nil)
	if csp := made.Header().Get("Content-Security-Policy"); made.Code != http.StatusOK || !strings.HasPrefix(csp, "sandbox; default-src 'none'; style-src 'unsafe-inline'") || strings.Contains(csp, "script") {
		t.Errorf("the report is answered %d with %q", made.Code, csp)
	}
	kept := filepath.Join(dir, "report.html")
	put := func(text string, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(kept, []byte(text), 0o600), os.Chtimes(kept, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	put("kept", time.Now().Add(time.Hour))
	if got := k.get(t, room.Observer, "/reports/"+folder); got != "kept" {
		t.Errorf("the kept report is %.60q", got)
	}
	put("old", time.Now().Add(-240*time.Hour))
	if got := k.get(t, room.Observer, "/reports/"+folder); got != made.Body.String() {
		t.Errorf("a report that is older than its record is %.60q", got)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.Remove(kept), os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(secret, kept)); err != nil {
		t.Fatal(err)
	}
	if got := k.get(t, room.Observer, "/reports/"+folder); got != made.Body.String() {
		t.Errorf("a report that is a link is %.60q", got)
	}
	for _, path := range []string{"/runs/nothing", "/runs/..%2f..%2fetc%2fpasswd", "/reports/nothing", "/reports/" + folder + "/plan.json", "/rehearsals/nothing"} {
		if w := k.ask(room.Facilitator, http.MethodGet, path, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestNothingIsKnown: where nothing can be answered, that is said, and nothing looks as if nothing had happened.
func TestNothingIsKnown(t *testing.T) {
	d := &siterig.Data{Err: errors.New("the disk is gone")}
	k := rigged(t, d)
	page := k.get(t, room.Facilitator, "/")
	for _, want := range []string{"Which rooms are open is not known just now", "What comes next is not known just now", "What was run is not known just now", "Whether game days are stopped is not known", "the disk is gone"} {
		if !strings.Contains(page, want) {
			t.Errorf("the start page lacks %q", want)
		}
	}
	for _, not := range []string{"No room is open", "There is no run", "passed within"} {
		if strings.Contains(page, not) {
			t.Errorf("the start page says %q", not)
		}
	}
	if page := k.get(t, room.Observer, "/"); strings.Contains(page, "the disk is gone") {
		t.Error("an observer is told the error")
	}
	for _, path := range []string{"/calendar", "/runs", "/trends", "/fresh", "/rehearsals", "/runs/x"} {
		if w := k.ask(room.Observer, http.MethodGet, path, nil); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "the disk is gone") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if badge := k.get(t, room.Observer, "/badge/dns-gone.svg"); !strings.Contains(badge, "unknown") {
		t.Errorf("the badge says %s", badge)
	}
	empty := rigged(t, &siterig.Data{})
	page = empty.get(t, room.Observer, "/")
	for _, want := range []string{"There is no run, so that nothing is fresh", "There is no run yet", "No schedule has a game day in the next 60 days"} {
		if !strings.Contains(page, want) {
			t.Errorf("the start page of an empty server lacks %q", want)
		}
	}
}

// TestNotEverythingIsFresh: what is in a schedule and was never run is not fresh, and what nobody can read may have what is missed.
func TestNotEverythingIsFresh(t *testing.T) {
	d := &siterig.Data{}
	d.R.All = []web.Run{{Entry: history.Entry{Folder: "a", Run: "a", Scenario: "dns-gone", Started: siterig.Now.Add(-time.Hour), End: report.EndComplete, Verdict: report.Passed}, Over: true}}
	for _, tt := range []struct {
		plans     []web.Scheduled
		skipped   []history.Skipped
		role      room.Role
		path      string
		has, lack []string
	}{
		{nil, nil, room.Observer, "/fresh", []string{"Everything passed within 30 days"}, nil},
		{nil, nil, room.Facilitator, "/", []string{"All 1 scenarios and services passed within 30 days"}, []string{"cannot be read"}},
		{[]web.Scheduled{{Scenario: "dns-gone"}}, nil, room.Observer, "/fresh", []string{"Everything passed within 30 days"}, nil},
		{[]web.Scheduled{{Scenario: "never-ran"}}, nil, room.Observer, "/fresh", []string{"1 of what was ever run, or is in a schedule, did not pass", "never-ran", "never passed"}, []string{"Everything passed"}},
		{[]web.Scheduled{{Scenario: "never-ran"}}, nil, room.Observer, "/", []string{"never-ran", "never passed"}, []string{"services passed within"}},
		{[]web.Scheduled{{Scenario: "never-ran", Blind: true}}, nil, room.Facilitator, "/fresh", []string{"never-ran", "never passed"}, []string{"Everything passed"}},
		{[]web.Scheduled{{Scenario: "never-ran", Blind: true}}, nil, room.Observer, "/fresh", []string{"Everything passed within 30 days"}, []string{"never-ran"}},
		{nil, []history.Skipped{{Folder: "torn", Why: "half"}}, room.Facilitator, "/fresh", []string{"Everything of which there is something to read passed within 30 days", "torn"}, []string{"Everything passed"}},
		{nil, []history.Skipped{{Folder: "torn", Why: "half"}}, room.Facilitator, "/", []string{"1 folder</a> of records cannot be read", "of which there is something to read passed"}, nil},
		{nil, []history.Skipped{{Folder: "torn", Why: "half"}}, room.Observer, "/fresh", []string{"Everything passed within 30 days"}, []string{"torn"}},
	} {
		d.Plans, d.R.Skipped = tt.plans, tt.skipped
		page := rigged(t, d).get(t, tt.role, tt.path)
		for _, want := range tt.has {
			if !strings.Contains(page, want) {
				t.Errorf("%s of %s, with %v and %v, lacks %q", tt.path, tt.role, tt.plans, tt.skipped, want)
			}
		}
		for _, not := range tt.lack {
			if strings.Contains(page, not) {
				t.Errorf("%s of %s, with %v and %v, has %q", tt.path, tt.role, tt.plans, tt.skipped, not)
			}
		}
	}
}

// TestWhoMayDoWhat asks for everything that changes something as everybody.
func TestWhoMayDoWhat(t *testing.T) {
	k := rigged(t, siterig.Autumn(record(t)))
	k.data.Reply = "2 runs were told."
	digest := rehearsals.Judge(k.data.L[0].Plan, k.data.L[0].Shown, nil, siterig.Now).Digest
	sign := url.Values{"as": {"sre"}, "saw": {digest}, "say": {"sign"}, "text": {"seen"}}
	for _, role := range append(room.Roles(), nobody) {
		for path, form := range map[string]url.Values{"/stop": {"text": {"a real incident"}}, "/lift": {"text": {"it is over"}}, "/rehearsals/launch-eu-west-2/sign": sign,
			"/links": {"name": {"ann"}, "role": {"observer"}}, "/revoke": {"name": {"ann"}}} {
			may := role == room.Facilitator || role == room.Responder && strings.HasSuffix(path, "/sign")
			k.data.Asked()
			k.lines = nil
			w := k.ask(role, http.MethodPost, path, form)
			asked, signed := k.data.Asked()
			did := len(asked)+len(signed) > 0 || strings.HasPrefix(path, "/links") && strings.Contains(w.Body.String(), "/in/") || path == "/revoke" && w.Code == http.StatusOK
			if ok := w.Code == http.StatusOK || w.Code == http.StatusSeeOther; ok != may || did != may {
				t.Errorf("%s asking for %s: %d, and was it done: %v", role, path, w.Code, did)
			}
			if role == nobody && w.Code != http.StatusUnauthorized {
				t.Errorf("nobody asking for %s: %d", path, w.Code)
			}
			if role != nobody && !strings.HasSuffix(path, "/sign") && (len(k.lines) != 1 || !strings.Contains(k.lines[0], "some "+string(role))) {
				t.Errorf("%s asking for %s is in the audit log as %q", role, path, k.lines)
			}
		}
	}
	asked, _ := k.data.Asked()
	if len(asked) > 0 {
		t.Errorf("beside that: %q", asked)
	}
	k.ask(room.Facilitator, http.MethodPost, "/stop", url.Values{"text": {"a real incident"}})
	if asked, _ := k.data.Asked(); len(asked) != 1 || asked[0] != "stop by some facilitator (facilitator): a real incident" {
		t.Errorf("stopping is asked for as %q", asked)
	}
}

// TestKeptFromIsAudited: what somebody is kept from is a line of the audit log, with who it was and why.
func TestKeptFromIsAudited(t *testing.T) {
	d := siterig.Autumn(record(t))
	k := rigged(t, d)
	digest := rehearsals.Judge(d.L[0].Plan, d.L[0].Shown, nil, siterig.Now).Digest
	sign := "/rehearsals/launch-eu-west-2/sign"
	for _, tt := range []struct {
		role         room.Role
		method, path string
		form         url.Values
		want         string
	}{
		{room.Observer, http.MethodGet, "/stop", nil, "was kept from the page /stop"},
		{room.Responder, http.MethodGet, "/people", nil, "was kept from the page /people"},
		{room.Observer, http.MethodPost, "/stop", nil, "was kept from: stopping all game days"},
		{room.Observer, http.MethodPost, sign, url.Values{"as": {"sre"}, "saw": {digest}}, "was kept from signing for rehearsal launch-eu-west-2: That is not for you"},
		{room.Responder, http.MethodPost, sign, url.Values{"as": {"sre"}, "saw": {"x"}}, "was kept from signing for rehearsal launch-eu-west-2: What was seen is not what there is now"},
		{room.Facilitator, http.MethodPost, sign, url.Values{"as": {"nobody"}, "saw": {digest}}, "was kept from signing for rehearsal launch-eu-west-2: Say for which role"},
		{room.Facilitator, http.MethodPost, "/reveal/x", nil, `was kept from revealing "x"`},
	} {
		k.lines = nil
		k.ask(tt.role, tt.method, tt.path, tt.form)
		if len(k.lines) != 1 || !strings.Contains(k.lines[0], "some "+string(tt.role)) || !strings.Contains(k.lines[0], tt.want) {
			t.Errorf("%s %s by %s is in the audit log as %q, want %q", tt.method, tt.path, tt.role, k.lines, tt.want)
		}
	}
	k.Gate.People.Burst, k.Gate.People.Second = 0, 0
	k.lines = nil
	if w := k.ask(room.Observer, http.MethodGet, "/stop", nil); w.Code != http.StatusForbidden || len(k.lines) != 0 {
		t.Errorf("somebody who asks too much is answered %d, and fills the audit log with %q", w.Code, k.lines)
	}
	k.data.ReplyErr = web.ErrChanged
	k.Gate.People.Burst = 1e6
	k.ask(room.Facilitator, http.MethodPost, sign, url.Values{"as": {"sre"}, "saw": {digest}})
	if len(k.lines) != 1 || !strings.Contains(k.lines[0], "What was seen is not what there is now") {
		t.Errorf("what changed in the last moment is in the audit log as %q", k.lines)
	}
}

// TestStoppingIsNeverHeldUp: neither by what one may ask, nor by a text that cannot be read.
func TestStoppingIsNeverHeldUp(t *testing.T) {
	k := rigged(t, &siterig.Data{})
	k.Gate.People.Burst, k.Gate.Addresses.Burst, k.Gate.Addresses.Second, k.Gate.Inside.Burst = 0, 0, 0, 0
	for _, form := range []url.Values{nil, {"text": {strings.Repeat("x", 3000)}}, {"text": {strings.Repeat("x", 1<<20)}}, {"text": {"\xff"}}} {
		if w := k.ask(room.Facilitator, http.MethodPost, "/stop", form); w.Code != http.StatusOK {
			t.Errorf("stopping: %d %s", w.Code, w.Body)
		}
	}
	if asked, _ := k.data.Asked(); len(asked) != 4 {
		t.Errorf("stopping was asked for %d times", len(asked))
	}
	if w := k.ask(room.Facilitator, http.MethodPost, "/lift", nil); w.Code != http.StatusTooManyRequests {
		t.Errorf("letting go on: %d", w.Code)
	}
	k.data.ReplyErr, k.data.Reply = errors.New("run 7 does not answer"), "One run was told."
	if w := k.ask(room.Facilitator, http.MethodPost, "/stop", nil); w.Code == http.StatusOK || !strings.Contains(w.Body.String(), "run 7 does not answer") || !strings.Contains(w.Body.String(), "One run was told") {
		t.Errorf("when not all stop: %d %s", w.Code, w.Body)
	}
}

// TestSigning keeps what was seen, and nothing for what was not.
func TestSigning(t *testing.T) {
	d := siterig.Autumn(record(t))
	k := rigged(t, d)
	digest := rehearsals.Judge(d.L[0].Plan, d.L[0].Shown, nil, siterig.Now).Digest
	form := func(change map[string]string) url.Values {
		out := url.Values{"as": {"sre"}, "saw": {digest}, "say": {"sign"}, "text": {"fine by me"}}
		for name, v := range change {
			out.Set(name, v)
		}
		return out
	}
	const path = "/rehearsals/launch-eu-west-2/sign"
	for _, tt := range []struct {
		change map[string]string
		want   int
	}{
		{map[string]string{"as": "marketing"}, http.StatusBadRequest}, {map[string]string{"saw": digest[:8]}, http.StatusConflict}, {map[string]string{"saw": ""}, http.StatusConflict},
		{map[string]string{"say": "refuse", "text": " "}, http.StatusBadRequest}, {map[string]string{"text": strings.Repeat("x", 2001)}, http.StatusBadRequest},
	} {
		if w := k.ask(room.Responder, http.MethodPost, path, form(tt.change)); w.Code != tt.want {
			t.Errorf("%v: %d %s", tt.change, w.Code, w.Body)
		}
	}
	if _, signed := d.Asked(); len(signed) != 0 {
		t.Fatalf("signed for: %+v", signed)
	}
	w := k.ask(room.Responder, http.MethodPost, path, form(nil))
	_, signed := d.Asked()
	want := rehearsals.SignOff{Rehearsal: "launch-eu-west-2", Role: "sre", By: "some responder", As: "some responder (responder)", At: siterig.Now, Saw: digest, Showed: rehearsals.NoGo, Why: "fine by me"}
	if w.Code != http.StatusSeeOther || len(signed) != 1 || signed[0] != want {
		t.Errorf("%d, and kept is %+v, want %+v", w.Code, signed, want)
	}
	d.ReplyErr = fmt.Errorf("a run was begun: %w", web.ErrChanged)
	if w := k.ask(room.Responder, http.MethodPost, path, form(nil)); w.Code != http.StatusConflict {
		t.Errorf("what changed meanwhile: %d", w.Code)
	}
	d.ReplyErr = nil
	d.L[0].Plan.Steps[0].Item.Blind = true
	if w := k.ask(room.Responder, http.MethodPost, path, form(nil)); w.Code != http.StatusForbidden {
		t.Errorf("a responder signing for what is hidden from them: %d", w.Code)
	}
	if w := k.ask(room.Facilitator, http.MethodPost, path, form(nil)); w.Code != http.StatusSeeOther {
		t.Errorf("a facilitator signing for it: %d %s", w.Code, w.Body)
	}
}

// TestBadges are for those who are in, or for everybody, and never green for lack of data.
func TestBadges(t *testing.T) {
	k := rigged(t, siterig.Autumn(record(t)))
	if w := k.ask(nobody, http.MethodGet, "/badge/dns-gone.svg", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("nobody: %d", w.Code)
	}
	k.PublicBadges = true
	for scenario, want := range map[string]string{"dns-gone": "passed 5 days ago", "one-zone-lost": "failed 5 days ago", "redis-fills": "unknown", "none": "unknown", "replica-lags": "passed 28 days ago"} {
		w := k.ask(nobody, http.MethodGet, "/badge/"+scenario+".svg", nil)
		if h := w.Header(); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), ">"+want+"</text>") || h.Get("Content-Type") != "image/svg+xml; charset=utf-8" ||
			h.Get("Cache-Control") != "public, max-age=60" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Errorf("%s: %d %v\n%s", scenario, w.Code, h, w.Body)
		}
	}
	for _, path := range []string{"/badge/dns-gone", "/badge/.svg", "/badge/" + strings.Repeat("x", 300) + ".svg"} {
		if w := k.ask(nobody, http.MethodGet, path, nil); w.Code != http.StatusNotFound {
			t.Errorf("%.30s: %d", path, w.Code)
		}
	}
}

// TestRoomsBelow: a room of the site takes its sessions, and nobody's.
func TestRoomsBelow(t *testing.T) {
	k := rigged(t, &siterig.Data{})
	x := k.OpenRoom("r7", "20261202-140218-redis-fills", t.TempDir())
	k.data.Open = []web.Room{{ID: "r7", Run: "20261202-140218-redis-fills", Scenario: "redis-fills", Blind: true, Handler: x}}
	for _, role := range room.Roles() {
		page := k.get(t, role, "/rooms/r7/")
		if !strings.Contains(page, "some "+string(role)) || !strings.Contains(page, `href="/rooms/r7/room.css"`) || !strings.Contains(page, `<a href="/">All pages</a>`) || role != room.Facilitator && strings.Contains(page, "redis-fills") {
			t.Errorf("the room of %s: %s", role, page)
		}
	}
	if w := k.ask(nobody, http.MethodGet, "/rooms/r7/", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("nobody: %d", w.Code)
	}
	if w := k.ask(room.Observer, http.MethodPost, "/rooms/r7/do/stop", nil); w.Code != http.StatusForbidden {
		t.Errorf("an observer stopping: %d", w.Code)
	}
	if w := k.ask(room.Observer, http.MethodGet, "/rooms/r8/", nil); w.Code != http.StatusNotFound {
		t.Errorf("a room that is not there: %d", w.Code)
	}
	w := k.ask(room.Facilitator, http.MethodPost, "/rooms/r7/links", url.Values{"name": {"ann"}, "role": {"responder"}})
	_, token, _ := strings.Cut(w.Body.String(), `value="/in/`)
	token, _, _ = strings.Cut(token, `"`)
	if in := k.ask(nobody, http.MethodPost, "/in", url.Values{"token": {token}}); in.Code != http.StatusSeeOther || in.Header().Get("Location") != "/" || !strings.Contains(in.Header().Get("Set-Cookie"), "Path=/;") {
		t.Errorf("coming in by a link from the room: %d %v", in.Code, in.Header())
	}
}

// TestHealth says whether the server is well, to anybody, and not what is wrong.
func TestHealth(t *testing.T) {
	k := rigged(t, &siterig.Data{})
	if w := k.ask(nobody, http.MethodGet, "/healthz", nil); w.Code != http.StatusOK || w.Body.String() != "well\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	k.data.Trouble = []web.Trouble{{Text: "The database cannot be written.", Detail: "no space left"}}
	if w := k.ask(nobody, http.MethodGet, "/healthz", nil); w.Code != http.StatusServiceUnavailable || w.Body.String() != "in trouble\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if page := k.get(t, room.Observer, "/"); !strings.Contains(page, "The database cannot be written.") || strings.Contains(page, "no space left") {
		t.Error("an observer is told wrongly of trouble")
	}
}

// TestOthersText: what others wrote stays text.
func TestOthersText(t *testing.T) {
	const bad = `<script>alert(1)</script>"'><b>`
	d := &siterig.Data{}
	d.R.All = []web.Run{{Entry: history.Entry{Folder: "a/" + bad + "\u202e?#%", Run: bad, Scenario: bad, Started: siterig.Now.Add(-time.Hour), End: report.EndComplete, Verdict: report.Passed}, Over: true}}
	d.O = []web.Occasion{{Schedule: bad, Scenarios: []string{bad}, Opens: siterig.Now, Closes: siterig.Now.Add(time.Hour), Fate: web.Skipped, Why: bad}}
	k := rigged(t, d)
	for _, e := range everything(d) {
		w := k.ask(room.Facilitator, e[0], e[1], nil)
		if strings.Contains(w.Body.String(), "<script>alert") || strings.Contains(w.Body.String(), "\u202e") {
			t.Errorf("%v:\n%s", e, w.Body)
		}
	}
	page := k.get(t, room.Facilitator, "/runs")
	_, href, _ := strings.Cut(page, `<th scope="row"><a href="`)
	href, _, _ = strings.Cut(href, `"`)
	if w := k.ask(room.Facilitator, http.MethodGet, href, nil); w.Code != http.StatusOK {
		t.Errorf("the run's own address %s: %d", href, w.Code)
	}
}

// TestLongOccasions: one whose hours are of many days is on the day of its moment to those who may know it, and else on the first of them that
// is shown.
func TestLongOccasions(t *testing.T) {
	day := siterig.Now.Truncate(24 * time.Hour)
	d := &siterig.Data{O: []web.Occasion{
		{Schedule: "weekly", Scenarios: []string{"one"}, Blind: true, Opens: day.AddDate(0, 0, 5).Add(15 * time.Hour), Closes: day.AddDate(0, 0, 11).Add(19 * time.Hour), Moment: day.AddDate(0, 0, 8).Add(16 * time.Hour), Fate: web.Planned},
		{Schedule: "yearly", Scenarios: []string{"two"}, Blind: true, Opens: day.AddDate(0, -11, 0), Closes: day.AddDate(0, 2, 0), Moment: day.AddDate(0, -8, 0), Fate: web.Done},
	}}
	late := web.Run{Entry: history.Entry{Folder: "a", Scenario: "three", Started: day.AddDate(0, 0, -1).Add(7 * time.Hour), End: report.EndComplete}, Over: true}
	d.R.All = []web.Run{late}
	d.O = append(d.O, web.Occasion{Schedule: "late", Scenarios: []string{"three"}, Opens: day.AddDate(0, -11, 0), Closes: day.AddDate(0, 1, 0), Moment: day.AddDate(0, -11, 0), Fate: web.Done, Runs: []string{"a"}})
	k := rigged(t, d)
	lead, play := k.get(t, room.Facilitator, "/calendar"), k.get(t, room.Observer, "/calendar")
	for want, page := range map[string]string{`<th scope="row">Thu 10 Dec 2026</th>`: lead, "16:00:00 UTC": lead, `<th scope="row">Tue 1 Dec 2026</th>`: lead, "07:00:00 UTC": play, `<th scope="row">Mon 7 Dec 2026</th>`: play,
		"on a day until Sun 13 Dec 2026": play, "between 15:00 and 19:00 UTC, on a day from Mon 7 Dec to Sun 13 Dec 2026": play, `<th scope="row">Fri 2 Jan 2026</th>`: play} {
		if !strings.Contains(page, want) {
			t.Errorf("the calendar lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(lead, "yearly") { // it was in April
		t.Error("what began in April is in December to those who know when it was")
	}
	if n := strings.Count(play, `class="occasion`); n != 3 {
		t.Errorf("%d occasions are in the weeks of those who play, want 3", n)
	}
}

// TestEndsOutward: the start page has a blind occasion until the hours end that are told, and one that is not until its own do.
func TestEndsOutward(t *testing.T) {
	at := func(h, m int) time.Time { return time.Date(2026, 12, 2, h, m, 0, 0, time.UTC) }
	for closes, want := range map[time.Time]bool{at(13, 50): false, at(14, 10): true, at(14, 40): true} { // it is 14:20
		for _, blind := range []bool{true, false} {
			d := &siterig.Data{O: []web.Occasion{{Schedule: "surprise", Blind: blind, Opens: at(10, 30), Closes: closes, Zone: time.UTC, Fate: web.Missed}}}
			if !blind {
				d.O[0].Fate, want = web.Planned, closes.After(siterig.Now)
			}
			page := rigged(t, d).get(t, room.Observer, "/")
			if there := strings.Contains(page, "between 10:"); there != want {
				t.Errorf("closing at %s, and blind %v: it is there: %v", closes.Format("15:04"), blind, there)
			}
		}
	}
}

// TestOutward: whole hours that hold what is within them, and no more than need be.
func TestOutward(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		from := time.Unix(rapid.Int64Range(1.7e9, 1.9e9).Draw(t, "from"), 0).In(zone)
		to := from.Add(time.Duration(rapid.Int64Range(1, 200_000).Draw(t, "for")) * time.Second)
		a, b := web.Outward(from, to)
		if a.After(from) || b.Before(to) || from.Sub(a) >= time.Hour || b.Sub(to) >= time.Hour {
			t.Fatalf("%s to %s is %s to %s", from, to, a, b)
		}
	})
}

// TestHours puts spans into words.
func TestHours(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(d, h, m int) time.Time { return time.Date(2026, 12, d, h, m, 0, 0, berlin) }
	for want, span := range map[string][2]time.Time{
		"between 15:00 and 19:00 CET, on a day from Tue 1 Dec to Mon 7 Dec 2026": {at(1, 15, 0), at(7, 19, 0)},
		"between 22:00 and 02:00 CET, on a day from Tue 1 Dec to Mon 7 Dec 2026": {at(1, 22, 0), at(8, 2, 0)},
		"at some time, on a day from Tue 1 Dec to Thu 31 Dec 2026":               {at(1, 0, 0), at(32, 0, 0)},
		"between 10:00 and 16:00 CET":                                            {at(1, 10, 0), at(1, 16, 0)},
		"between 00:00 and 24:00 CET":                                            {at(1, 0, 0), at(2, 0, 0)},
		"between 22:00 and Wed 02:00 CET":                                        {at(1, 22, 0), at(2, 2, 0)},
	} {
		if got := web.HoursWords(span[0], span[1]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
