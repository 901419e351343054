package jsm

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/clock"
	"gameday/internal/callrig"
	"gameday/report"
	"gameday/responders"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// ahead is how far the fake's clock is.
const ahead = 90 * time.Second

// fake answers as JSM Operations does, as far as it is asked here.
type fake struct {
	t      testing.TB
	alerts []fakeAlert
	oncall map[string]string // schedule → answer
	deaf   bool              // to size: pages of twenty
	old    bool              // in Opsgenie's words
	remove int               // alerts that vanish after the first page of the list
}

type fakeAlert struct {
	id, message, extra string
	at                 time.Time
	logs, notes        []fakeLine
}

type fakeLine struct {
	at, told    time.Time // told from then on
	text, owner string
}

func theirs(at time.Time) string { return at.Add(ahead).UTC().Format("2006-01-02T15:04:05.000Z") }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "bot@shop.example" || password != "hush-hush" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/jsm/ops/api/12345678-cloud/v1/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("size"))
	if f.deaf || size == 0 {
		size = 20
	}
	parts := strings.Split(path, "/")
	switch {
	case path == "alerts":
		f.list(w, q.Get("offset"), size)
	case parts[0] == "schedules":
		fmt.Fprint(w, f.oncall[parts[1]])
	case len(parts) == 2:
		a := f.find(parts[1])
		fmt.Fprintf(w, `{"id":%q,"message":%q,"description":"","extraProperties":%s}`, a.id, a.message, a.extra)
	case parts[2] == "logs":
		f.lines(w, f.find(parts[1]).logs, "log", q.Get("offset"), size)
	case parts[2] == "notes":
		f.lines(w, f.find(parts[1]).notes, "note", q.Get("offset"), size)
	default:
		f.t.Errorf("%s is not asked for", path)
	}
}

func (f *fake) find(id string) fakeAlert {
	return f.alerts[slices.IndexFunc(f.alerts, func(a fakeAlert) bool { return a.id == id })]
}

// list answers with a page of alerts, newest first.
func (f *fake) list(w http.ResponseWriter, offset string, size int) {
	var list []string
	for _, a := range slices.Backward(f.alerts) {
		if !time.Now().Before(a.at) {
			list = append(list, fmt.Sprintf(`{"id":%q,"tinyId":"7","message":%q,"createdAt":%q,"integrationName":"Prometheus","status":"open"}`, a.id, a.message, theirs(a.at)))
		}
	}
	from, _ := strconv.Atoi(offset)
	if from > 0 && f.remove > 0 {
		list = list[f.remove:]
		f.alerts = f.alerts[:len(f.alerts)-f.remove]
		f.remove = 0
	}
	from = min(from, len(list))
	fmt.Fprintf(w, `{"values":[%s],"count":%d}`, strings.Join(list[from:min(len(list), from+size)], ","), len(list))
}

// lines answers with a page of a log.
func (f *fake) lines(w http.ResponseWriter, all []fakeLine, name, offset string, size int) {
	var list []string
	past := offset == ""
	for i, l := range all {
		cursor := fmt.Sprintf("%s_%d", theirs(l.at), i)
		if past && len(list) < size && !time.Now().Before(l.told) && !time.Now().Before(l.at) {
			when := "logTime"
			if f.old || name == "note" {
				when = "createdAt"
			}
			list = append(list, fmt.Sprintf(`{%q:%q,"owner":%q,%q:%q,"offset":%q}`, name, l.text, l.owner, when, theirs(l.at), cursor))
		}
		past = past || cursor == offset
	}
	key := "values"
	if f.old {
		key = "data"
	}
	fmt.Fprintf(w, `{%q:[%s]}`, key, strings.Join(list, ","))
}

// asked returns a source that asks a fake.
func asked(t testing.TB, f *fake, change ...func(*Config)) (*Source, *callrig.Server) {
	t.Helper()
	f.t = t
	server := &callrig.Server{Handler: f, Ahead: ahead}
	c := Config{CloudID: "12345678-cloud", Username: "bot@shop.example", Token: "hush-hush", Pages: "dry", PerMinute: 60_000, Automation: []string{"robot@shop.example"}}
	for _, f := range change {
		f(&c)
	}
	s, err := New("jsm.ops", c)
	if err != nil {
		t.Fatal(err)
	}
	s.options.Transport = server
	if err := s.connect(); err != nil {
		t.Fatal(err)
	}
	return s, server
}

const down = `{"alertname":"PaymentsDown","severity":"page"}`

// show writes an event on one line, with its time in seconds from an instant.
func show(e responders.Event, began time.Time) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s page %s of %s level %d %s %s to %v %s %s %q %s", e.At.Sub(clock.At(began)), e.Kind, e.Page, e.Labels["alertname"],
		e.Level, e.Actor.Kind, e.Actor.ID, e.Targets, e.Delivered, e.Channel, e.Text, e.Grade)), " ")
}

// night is an alert that somebody acknowledged, in the words of JSM.
func night(began time.Time) *fake {
	at := func(sec int) time.Time { return began.Add(time.Duration(sec) * time.Second) }
	return &fake{alerts: []fakeAlert{
		{id: "old", message: "Old", extra: `{"alertname":"Old"}`, at: at(-40 * 3600), logs: []fakeLine{{at: at(50), text: "Alert closed", owner: "ann@shop.example"}}},
		{id: "a1", message: "PaymentsDown at ann@shop.example", extra: down, at: at(30), logs: []fakeLine{
			{at: at(30), text: "Alert created via Prometheus", owner: "Prometheus"},
			{at: at(33), text: "Paged [ann@shop.example] by voice", owner: "System"},
			{at: at(50), text: "Viewed on [mobile]", owner: "ann@shop.example"},
			{at: at(60), text: "Alert acknowledged via web", owner: "ann@shop.example"},
			{at: at(61), text: "Alert acknowledged via JSM", owner: "System"},
			{at: at(62), text: "Alert acknowledged via web", owner: "robot@shop.example"},
			{at: at(63), text: "Alert acknowledged via API", owner: "Deploy API"},
			{at: at(64), text: "Alert acknowledged via telepathy", owner: "cy@shop.example"},
			{at: at(70), text: "Alert unacknowledged", owner: "ann@shop.example"},
			{at: at(80), text: "Alert ownership assigned to [bob@shop.example] via web", owner: "ann@shop.example"},
			{at: at(90), text: "Moved to step 2", owner: "System"},
			{at: at(200), text: "Alert closed via integration", owner: "Prometheus"},
		}, notes: []fakeLine{{at: at(100), text: "it is the ledger, call +44 20 7946 0958", owner: "bob@shop.example"}}},
	}}
}

func TestHistory(t *testing.T) {
	taught := func(c *Config) {
		c.Logs = []Log{{Kind: "notified", Matches: `Paged \[(?P<who>[^\]]+)\] by (?P<channel>\w+)`, Level: 1, Delivered: "yes"},
			{Kind: "escalated", Matches: `Moved to step (?P<level>\d+)`}}
	}
	for name, c := range map[string]struct {
		change []func(*Config)
		old    bool
		golden string
	}{
		"not taught":          {nil, false, "history"},
		"taught":              {[]func(*Config){taught}, false, "history_taught"},
		"in the words of old": {[]func(*Config){taught}, true, "history_taught"},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
			time.Sleep(400 * time.Second)
			f := night(began)
			f.old = c.old
			s, server := asked(t, f, c.change...)
			server.Next(nil, callrig.Busy(5*time.Second), callrig.Status(http.StatusInternalServerError))
			events, coverage, err := s.History(t.Context(), span)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events {
				got = append(got, show(e, began))
			}
			golden(t, c.golden, strings.Join(got, "\n")+"\n")
			share := clock.Share(coverage.Spans, span) * 300
			if why := strings.Join(coverage.Why, "\n"); c.change == nil && (share > 295 || share < 292 || !strings.Contains(why, "Moved to step 2") || strings.Contains(why, "ann@")) ||
				c.change != nil && (share != 300 || why != "") {
				t.Errorf("%s: covered %v s, %s", name, share, why)
			}
		})
	}
}

// TestPages reads every page, whatever its size, and does not lose what moves between two.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		span := clock.Span{Start: began, End: began.Add(3000 * time.Second)}
		f := &fake{}
		for i := range 250 {
			extra := `{"alertname":"Other"}`
			if i%50 == 0 {
				extra = down
			}
			f.alerts = append(f.alerts, fakeAlert{id: fmt.Sprintf("a%d", i), message: "m", extra: extra, at: began.Add(time.Duration(i) * time.Second)})
		}
		for i := range 230 {
			f.alerts[0].logs = append(f.alerts[0].logs, fakeLine{at: began.Add(time.Duration(i) * time.Second), text: "Viewed on [web]", owner: "ann"})
		}
		time.Sleep(4000 * time.Second)
		for _, deaf := range []bool{false, true} {
			f.deaf = deaf
			s, server := asked(t, f)
			s.Expect([]map[string]string{{"alertname": "PaymentsDown"}})
			events, _, err := s.History(t.Context(), span)
			if err != nil || len(events) != 5+230 {
				t.Errorf("deaf %v: %d events, %v", deaf, len(events), err)
			}
			for _, a := range server.Asked() {
				if strings.Contains(a, "/a1/logs") {
					t.Errorf("the log of an alert that does not matter was read: %s", a)
				}
			}
			f.remove = 3 // three alerts are deleted between two pages
			if _, err := s.alerts(t.Context(), s.follow.Theirs(span)); err != nil {
				t.Errorf("deaf %v, and some deleted: %v", deaf, err)
			}
		}
	})
}

func TestBadAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		time.Sleep(400 * time.Second)
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		for name, c := range map[string]struct {
			at   int
			how  callrig.Mishap
			says string
		}{
			"no answer":        {0, callrig.Gone, "connection refused"},
			"half of the list": {3, callrig.Cut, "not whole"},
			"half an alert":    {4, callrig.Cut, "not whole"},
			"half a log":       {5, callrig.Cut, "not whole"},
			"half the notes":   {6, callrig.Cut, "not whole"},
			"busy for long":    {5, callrig.Busy(2 * time.Minute), "requests_per_minute"},
			"forbidden":        {3, callrig.Status(http.StatusForbidden), "what they may read"},
		} {
			f := night(began)
			f.alerts = f.alerts[1:]
			s, server := asked(t, f)
			for range c.at {
				server.Next(nil)
			}
			server.Next(c.how)
			events, coverage, err := s.History(t.Context(), span)
			if err == nil || !strings.Contains(err.Error(), c.says) || len(events) > 0 || len(coverage.Spans) > 0 || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s: %v; %d events, covered %v", name, err, len(events), coverage.Spans)
			}
		}
		for body, says := range map[string]string{
			`{}`:                      "no list",
			`{"values":[{"id":"x"}]}`: "neither RFC 3339",
			`{"values":[{"createdAt":"2000-01-01T00:00:00Z"}]}`: "has no id",
			`<html>`: "not whole",
		} {
			s, server := asked(t, night(began))
			server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) })
			if _, _, err := s.History(t.Context(), span); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", body, err)
			}
		}
	})
}

// TestLate emits what comes late, and covers no time of which it may not have been told.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := night(began)
		logs := f.alerts[1].logs
		f.alerts[1].logs = []fakeLine{logs[0], logs[3]}
		f.alerts[1].logs[1].told = began.Add(95 * time.Second) // 35 s late
		s, _ := asked(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		seen := map[responders.Kind]time.Duration{}
		go s.Watch(ctx, func(e responders.Event) { seen[e.Kind] = time.Since(began).Round(time.Second) })
		time.Sleep(90 * time.Second)
		span := clock.Span{Start: began, End: time.Now()}
		events, c, err := s.History(t.Context(), span)
		if err != nil || len(events) != 1 || clock.Share(c.Spans, span) > 31.0/90 {
			t.Errorf("%+v, %+v, %v", events, c, err)
		}
		time.Sleep(60 * time.Second)
		cancel()
		synctest.Wait()
		if want := map[responders.Kind]time.Duration{responders.Opened: 40 * time.Second, responders.Acknowledged: 100 * time.Second, responders.Noted: 100 * time.Second}; !maps.Equal(seen, want) {
			t.Errorf("%v, want %v", seen, want)
		}
	})
}

// TestUnclear does not take an alert of which nobody knows what it is about for none.
func TestUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := night(began)
		f.alerts[1].extra = `{}`
		f.alerts[1].logs = f.alerts[1].logs[3:4]
		f.alerts[1].notes = nil
		time.Sleep(400 * time.Second)
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		s, _ := asked(t, f)
		s.Expect([]map[string]string{{"alertname": "PaymentsDown"}})
		events, c, err := s.History(t.Context(), span)
		if err != nil || len(events) != 2 || clock.Share(c.Spans, span) > 295.0/300 || !strings.Contains(strings.Join(c.Why, "\n"), `labels = { alertname = "message" }`) {
			t.Errorf("%+v, %+v, %v", events, c, err)
		}
		s, _ = asked(t, f, func(c *Config) { c.Labels = map[string]string{"alertname": "message"} })
		if events, c, err = s.History(t.Context(), span); err != nil || events[0].Labels["alertname"] != "PaymentsDown at ann@shop.example" || clock.Share(c.Spans, span) != 1 {
			t.Errorf("%+v, %+v, %v", events, c, err)
		}
	})
}

func TestOnCall(t *testing.T) {
	s, _ := asked(t, &fake{oncall: map[string]string{"schedule-1": `{"onCallUsers":["5b10","5b11"]}`, "schedule-2": `{"data":{"onCallRecipients":["cy@shop.example"]}}`,
		"schedule-3": `{"onCallUsers":[]}`, "schedule-4": `{}`}},
		func(c *Config) {
			c.Schedules, c.People = []string{"schedule-1", "schedule-2"}, map[string]string{"ann@shop.example": "5b10"}
		})
	duties, err := s.OnCall(t.Context())
	want := []responders.Duty{{Who: "ann@shop.example", Level: 1, Team: "schedule-1"}, {Who: "5b11", Level: 1, Team: "schedule-1"}, {Who: "cy@shop.example", Level: 2, Team: "schedule-2"}}
	if err != nil || !slices.Equal(duties, want) {
		t.Errorf("%+v, %v", duties, err)
	}
	s.schedules = []string{"schedule-4"}
	if duties, err := s.OnCall(t.Context()); err == nil {
		t.Errorf("an answer that says nothing: %+v", duties)
	}
	if s.RealPages() {
		t.Error("dry pages are real")
	}
}

func TestPreflight(t *testing.T) {
	f := &fake{oncall: map[string]string{"schedule-1": `{"onCallUsers":["5b10"]}`, "schedule-3": `{"onCallUsers":[]}`}}
	s, server := asked(t, f, func(c *Config) { c.Schedules = []string{"schedule-1", "schedule-3"} })
	server.Ahead = 0
	found, err := s.Preflight(t.Context())
	if text := fmt.Sprintf("%+v", found); err != nil || len(found) != 2 || !strings.Contains(text, `people = {`) || !strings.Contains(text, "nobody is on call in schedule schedule-3") {
		t.Errorf("%s, %v", text, err)
	}
	f.alerts = []fakeAlert{{id: "a1", message: "m", extra: down, at: time.Now().Add(-time.Hour)}, {id: "a2", message: "m", extra: `{"alertname":"Other"}`, at: time.Now().Add(-time.Minute)}}
	s, server = asked(t, f)
	s.Expect([]map[string]string{{"alertname": "PaymentsDown"}})
	server.Ahead = 0
	if found, err := s.Preflight(t.Context()); err != nil || len(found) != 1 || found[0].Blocks || found[0].Summary != "alert 7 (PaymentsDown) is open already" {
		t.Errorf("an alert that is open: %+v, %v", found, err)
	}
	f.alerts = nil
	s, _ = asked(t, f)
	if found, err := s.Preflight(t.Context()); err != nil || len(found) != 1 || !found[0].Blocks || !strings.Contains(found[0].Summary, "1m30s off") {
		t.Errorf("a clock that is 90 s ahead: %+v, %v", found, err)
	}
	for _, how := range []callrig.Mishap{callrig.Gone, callrig.Status(http.StatusUnauthorized), callrig.Status(http.StatusNotFound)} {
		server.Next(how)
		s, server = asked(t, f)
		server.Next(how)
		if found, err := s.Preflight(t.Context()); err != nil || len(found) != 1 || !found[0].Blocks || !strings.Contains(found[0].Detail, "tenant_info") || strings.Contains(found[0].Detail, "hush") {
			t.Errorf("%+v, %v", found, err)
		}
	}
}

func TestScore(t *testing.T) {
	type told struct {
		acked, escalated int
		unknown          int
		how              callrig.Mishap
		ack, esc         clock.Outcome
	}
	for name, c := range map[string]told{
		"acknowledged":                       {acked: 60, ack: clock.Met, esc: clock.Met},
		"too late, and escalated":            {acked: 200, escalated: 160, ack: clock.Missed, esc: clock.Met},
		"nobody":                             {ack: clock.Missed, esc: clock.Missed},
		"nobody, and something nobody knows": {unknown: 80, ack: clock.Unknown, esc: clock.Unknown},
		"it does not answer":                 {acked: 60, how: callrig.Gone, ack: clock.Unknown, esc: clock.Unknown},
		"half an answer":                     {acked: 60, how: callrig.Cut, ack: clock.Unknown, esc: clock.Unknown},
	} {
		synctest.Test(t, func(t *testing.T) {
			run := callrig.Run{Began: time.Now(), Length: 10 * time.Minute, Asks: report.ResponsePlan{
				Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: 90 * time.Second, Weight: 1}},
				Escalate:    &report.EscalatePlan{DeadlinePlan: report.DeadlinePlan{Within: 3 * time.Minute, Weight: 1}, ToLevel: 2, OnlyAfter: 100 * time.Second}}}
			at := func(sec int) time.Time { return run.Began.Add(time.Duration(sec) * time.Second) }
			logs := []fakeLine{{at: at(35), text: "Paged [ann]", owner: "System"}}
			for text, sec := range map[string]int{"Alert acknowledged via mobile": c.acked, "Moved to step 2": c.escalated, "Something else": c.unknown} {
				if sec > 0 {
					logs = append(logs, fakeLine{at: at(sec), text: text, owner: "ann"})
				}
			}
			slices.SortFunc(logs, func(a, b fakeLine) int { return a.at.Compare(b.at) })
			f := &fake{alerts: []fakeAlert{{id: "a1", message: "m", extra: down, at: at(32), logs: logs}}}
			s, server := asked(t, f, func(c *Config) {
				c.Logs = []Log{{Kind: "notified", Matches: `Paged \[(?P<who>[^\]]+)\]`, Level: 1, Delivered: "yes"}, {Kind: "escalated", Matches: `Moved to step (?P<level>\d+)`}}
			})
			time.Sleep(run.Length + 2*time.Minute)
			server.Next(nil, nil, nil, nil, nil, c.how)
			events, coverage, err := s.History(t.Context(), run.Span())
			card := run.Score(t, "jsm.ops", events, coverage, err)
			for id, want := range map[string]clock.Outcome{"acknowledge": c.ack, "escalate": c.esc} {
				if it := callrig.Item(t, card, id); it.Outcome != want {
					t.Errorf("%s: %s is %v: %s", name, id, it.Outcome, it.Why)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	good := Config{CloudID: "12345678-cloud", Username: "a@b.c", Token: "x", Pages: "dry"}
	for want, change := range map[string]func(*Config){
		"wakes people":          func(c *Config) { c.Pages = "" },
		"tenant_info":           func(c *Config) { c.CloudID = "../x" },
		"e-mail address":        func(c *Config) { c.Username, c.Token = "", "" },
		"no id of a schedule":   func(c *Config) { c.Schedules = []string{"on call"} },
		"longer than nothing":   func(c *Config) { c.Settle = "-1s" },
		"more than nothing":     func(c *Config) { c.PerMinute = -1 },
		"a regular expression":  func(c *Config) { c.Logs = []Log{{Kind: "ignore", Matches: "("}} },
		"A line of a log is":    func(c *Config) { c.Logs = []Log{{Kind: "marked", Matches: "x"}} },
		"to which level":        func(c *Config) { c.Logs = []Log{{Kind: "escalated", Matches: "x"}} },
		"delivered is yes":      func(c *Config) { c.Logs = []Log{{Kind: "notified", Matches: "x", Delivered: "maybe"}} },
		"labels names for each": func(c *Config) { c.Labels = map[string]string{"alertname": ""} },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if b, err := json.Marshal(Config{Token: "hush-hush"}); err != nil || strings.Contains(string(b), "hush") {
		t.Errorf("%s, %v", b, err)
	}
}

// FuzzLog reads any line of a log: what it is not taken for something that is known is a gap, and no line is both nothing and no gap
// but for those that are known to tell of nothing.
func FuzzLog(f *testing.F) {
	for _, l := range night(time.Unix(0, 0)).alerts[1].logs {
		f.Add(l.text, l.owner)
	}
	f.Add("Paged [] by x", "")
	s, err := New("jsm.ops", Config{CloudID: "12345678-cloud", Username: "a@b.c", Token: "x", Pages: "dry",
		Logs: []Log{{Kind: "escalated", Matches: `Moved to step (?P<level>\d+)`}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, owner string) {
		at := clock.At(time.Unix(1_800_000_000, 0))
		e, ok, gap := s.event(&alert{ID: "a", Tiny: "1", labels: map[string]string{"alertname": "X"}}, line{id: "l", text: text, owner: owner, at: at})
		switch {
		case !ok && (gap != nil || !strings.HasPrefix(text, "Alert created")):
			t.Errorf("%q tells of nothing: %v", text, gap)
		case gap != nil && (e.Kind != responders.Noted || e.Grade != "D" || gap.Span.Length() < time.Second):
			t.Errorf("%q: %+v, %+v", text, e, gap)
		case ok && (e.ID == "" || e.Page == "" || e.Actor.Kind == "" || e.Kind == responders.Escalated && e.Level == 0 || e.Actor.Kind == responders.Human && e.Actor.ID == ""):
			t.Errorf("%q: %+v", text, e)
		}
	})
}

// golden compares a text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}
