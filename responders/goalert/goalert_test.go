package goalert

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gameday/clock"
	"gameday/internal/callrig"
	"gameday/report"
	"gameday/responders"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// ahead is how far the fake's clock is.
const ahead = 90 * time.Second

// fake answers Query as GoAlert does: alerts two to a page, newest first, and of each the latest that happened.
type fake struct {
	t      testing.TB
	alerts []fakeAlert
	oncall string
	none   bool // there is no such service
	limit  int  // of what is told of an alert; 100
}

type fakeAlert struct {
	id               int
	summary, details string
	status           string // StatusClosed
	at               time.Time
	log              []happened
}

type happened struct {
	at, told    time.Time // told from then on
	text, state string
}

func theirs(at time.Time) string { return at.Add(ahead).UTC().Format(time.RFC3339Nano) }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Query     string
		Variables struct {
			Service, After string
			Since          time.Time
		}
	}
	switch err := json.NewDecoder(r.Body).Decode(&q); {
	case err != nil || r.Method != http.MethodPost || r.URL.Path != "/prefix/api/graphql":
		f.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		return
	case r.Header.Get("Authorization") != "Bearer hush-hush":
		w.WriteHeader(http.StatusUnauthorized)
		return
	case q.Query != Query:
		fmt.Fprint(w, `{"errors":[{"message":"wrong query for API key"}],"data":null}`)
		return
	}
	service := fmt.Sprintf(`{"name":"Payments","onCallUsers":[%s]}`, f.oncall)
	if f.none {
		service = "null"
	}
	var list []string
	for _, a := range slices.Backward(f.alerts) {
		if !time.Now().Before(a.at) && !a.at.Add(ahead).Before(q.Variables.Since) {
			list = append(list, f.alert(a))
		}
	}
	from, _ := strconv.Atoi(q.Variables.After)
	to := min(len(list), from+2)
	fmt.Fprintf(w, `{"data":{"service":%s,"alerts":{"nodes":[%s],"pageInfo":{"hasNextPage":%v,"endCursor":"%d"}}}}`, service, strings.Join(list[from:to], ","), to < len(list), to)
}

func (f *fake) alert(a fakeAlert) string {
	var list []string
	for i, h := range a.log {
		if state := h.state; !time.Now().Before(h.at) && !time.Now().Before(h.told) {
			if state == "" {
				state = "null"
			}
			list = append(list, fmt.Sprintf(`{"id":%d,"timestamp":%q,"message":%q,"state":%s}`, 100*a.id+i, theirs(h.at), h.text, state))
		}
	}
	slices.Reverse(list)
	more := f.limit > 0 && len(list) > f.limit
	if more {
		list = list[:f.limit]
	}
	return fmt.Sprintf(`{"alertID":%d,"status":%q,"summary":%q,"details":%q,"createdAt":%q,"recentEvents":{"nodes":[%s],"pageInfo":{"hasNextPage":%v}}}`, a.id, cmp.Or(a.status, "StatusClosed"), a.summary, a.details,
		theirs(a.at), strings.Join(list, ","), more)
}

// asked returns a source that asks a fake.
func asked(t testing.TB, f *fake, change ...func(*Config)) (*Source, *callrig.Server) {
	t.Helper()
	f.t = t
	server := &callrig.Server{Handler: f, Ahead: ahead}
	c := Config{URL: "https://goalert.example/prefix", Token: "hush-hush", Service: "11111111-2222", Pages: "dry", Matches: map[string]string{"alertname": `^\[FIRING\] (\S+)`},
		Automation: []string{"Robot"}}
	for _, f := range change {
		f(&c)
	}
	s, err := New("goalert.ops", c)
	if err != nil {
		t.Fatal(err)
	}
	s.options.Transport = server
	if err := s.connect(); err != nil {
		t.Fatal(err)
	}
	return s, server
}

// night is an alert as the trial with a real GoAlert showed them, and what else its source can say.
func night(began time.Time) *fake {
	at := func(sec float64) time.Time { return began.Add(time.Duration(sec * float64(time.Second))) }
	log := func(sec float64, text, state string) happened { return happened{at: at(sec), text: text, state: state} }
	return &fake{oncall: `{"userName":"bob","stepNumber":1},{"userName":"ann","stepNumber":0}`, alerts: []fakeAlert{
		{id: 5, summary: "[FIRING] Old", at: at(-7 * 3600), log: []happened{log(10, "Closed by ann (Web)", "")}},
		{id: 6, summary: "[FIRING] Earlier", at: at(-3600), log: []happened{log(-3600, "Created via Alertmanager integration", ""), log(20, "Closed by ann (Web)", "")}},
		{id: 7, summary: "[FIRING] PaymentsDown (ask ann@shop.example)", at: at(30), log: []happened{
			log(30, "Created via Alertmanager integration", ""),
			log(34, "Escalated to step #1", ""),
			log(36.8, "Notification sent to ann (Webhook)", `{"details":"contact method disabled","status":"ERROR"}`),
			log(37, "Notification sent to dora (SMS)", `{"details":"Delivered","status":"OK"}`),
			log(38, "Notification sent to eve (Voice)", `{"details":"Sent: queued","status":"OK"}`),
			log(39, "Notification sent to #oncall (Slack)", `{"details":"Pending","status":null}`),
			log(50, "Escalation requested by ann (Web)", ""),
			log(54.4, "Escalated to step #2 due to manual escalation by ann (Web)", ""),
			log(55, "No notification sent to bob (no immediate rule)", ""),
			log(60, "Acknowledged by bob (Web)", ""),
			log(61, "Acknowledged by Robot (Web)", ""),
			log(62, "Acknowledged via Deploys integration", ""),
			log(63, "Acknowledged by [unknown]", ""),
			log(64, "Suppressed duplicate: created via Alertmanager integration", ""),
			log(70, "Assigned to bob", ""),
			log(80, "Escalated to step #3 automatically after 5 minutes", `{"details":"No one was on-call","status":"WARN"}`),
			log(90, "Escalated to step #1 (policy repeat) automatically after 5 minutes", ""),
			log(100, "Policy updated", ""),
			log(120, "Closed by Bob (from IT) (SMS)", ""),
		}},
	}}
}

// show writes an event on one line, with its time in seconds from an instant.
func show(e responders.Event, began time.Time) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s page %s of %s level %d %s %s to %v %s %s %q %s", e.At.Sub(clock.At(began)), e.Kind, e.Page, e.Labels["alertname"],
		e.Level, e.Actor.Kind, e.Actor.ID, e.Targets, e.Delivered, e.Channel, e.Text, e.Grade)), " ")
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s, server := asked(t, night(began))
		time.Sleep(400 * time.Second)
		server.Next(nil, callrig.Busy(5*time.Second), callrig.Status(http.StatusInternalServerError))
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		events, c, err := s.History(t.Context(), span)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, show(e, began))
			if e.Source != "goalert.ops" || e.Team != "Payments" {
				t.Errorf("%+v", e)
			}
		}
		golden(t, "history", strings.Join(got, "\n")+"\n")
		if gap := 300 * (1 - clock.Share(c.Spans, span)); gap < 2.5 || gap > 3.5 || len(c.Why) != 1 || !strings.Contains(c.Why[0], "Assigned to bob") {
			t.Errorf("not covered %v s: %q", gap, c.Why)
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
			"no answer":     {0, callrig.Gone, "connection refused"},
			"half of it":    {3, callrig.Cut, "not whole"},
			"half, page 2":  {4, callrig.Cut, "not whole"},
			"busy for long": {3, callrig.Busy(2 * time.Minute), "asked too often"},
			"forbidden":     {3, callrig.Status(http.StatusForbidden), "check token"},
		} {
			f := night(began)
			f.alerts = append(f.alerts, f.alerts[1], f.alerts[2])
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
		whole := `{"data":{"service":{"name":"S","onCallUsers":[]},"alerts":{"nodes":[%s],"pageInfo":{"hasNextPage":%s,"endCursor":""}}}}`
		for body, says := range map[string]string{
			`{}`: "lacks a part",
			`{"data":{"alerts":{"nodes":[],"pageInfo":{"hasNextPage":false}}}}`:                                   "no such service",
			`{"data":{"service":{},"alerts":{"nodes":[],"pageInfo":{"hasNextPage":false}}}}`:                      "who is on call",
			fmt.Sprintf(strings.Replace(whole, `"data"`, `"errors":[{"message":"oops"}],"data"`, 1), "", "false"): "GoAlert says: oops",
			fmt.Sprintf(whole, "", "true"): "does not say where",
			fmt.Sprintf(whole, "", "null"): "lacks a part",
			fmt.Sprintf(whole, `{"alertID":1,"createdAt":"2000-01-01T00:00:00Z"}`, "false"): "what happened to alert 1",
			fmt.Sprintf(whole, `{"alertID":1,"createdAt":"noon"}`, "false"):                 "no time",
		} {
			s, server := asked(t, night(began))
			server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) })
			if _, _, err := s.History(t.Context(), span); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", body, err)
			}
		}
	})
}

// TestCutShort knows that what is not told of an alert may be what is asked for.
func TestCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := night(began)
		f.alerts[2].log[14].text = "Policy updated" // what nobody understands
		f.limit = 4
		time.Sleep(400 * time.Second)
		s, _ := asked(t, f)
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		_, c, err := s.History(t.Context(), span)
		if gap := 300 * (1 - clock.Share(c.Spans, span)); err != nil || gap < 50 || gap > 53 || !strings.Contains(strings.Join(c.Why, "\n"), "the first of it is missing") {
			t.Errorf("not covered %v s: %q, %v", gap, c.Why, err)
		}
	})
}

func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := night(began)
		f.alerts = f.alerts[2:]
		f.alerts[0].log = []happened{{at: began.Add(60 * time.Second), told: began.Add(90 * time.Second), text: "Acknowledged by bob (Web)"}}
		s, _ := asked(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		seen := map[responders.Kind]time.Duration{}
		go s.Watch(ctx, func(e responders.Event) { seen[e.Kind] = time.Since(began).Round(time.Second) })
		time.Sleep(85 * time.Second)
		span := clock.Span{Start: began, End: time.Now()}
		if events, c, err := s.History(t.Context(), span); err != nil || len(events) != 1 || clock.Share(c.Spans, span) > 26.0/85 {
			t.Errorf("%+v, %+v, %v", events, c, err)
		}
		time.Sleep(60 * time.Second)
		cancel()
		synctest.Wait()
		if len(seen) != 2 || seen[responders.Opened] != 30*time.Second || seen[responders.Acknowledged] != 90*time.Second {
			t.Errorf("%v", seen)
		}
	})
}

// TestUnclear does not take an alert of which nobody knows what it is about for none.
func TestUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := night(began)
		f.alerts[2].log = f.alerts[2].log[9:10]
		time.Sleep(400 * time.Second)
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		s, _ := asked(t, f, func(c *Config) { c.Matches = nil })
		s.Expect([]map[string]string{{"alertname": "PaymentsDown"}})
		_, c, err := s.History(t.Context(), span)
		if err != nil || clock.Share(c.Spans, span) > 295.0/300 || !strings.Contains(strings.Join(c.Why, "\n"), `labels = { alertname = "summary" }`) {
			t.Errorf("%+v, %v", c, err)
		}
		s, _ = asked(t, f)
		s.Expect([]map[string]string{{"alertname": "PaymentsDown"}})
		if events, c, err := s.History(t.Context(), span); err != nil || len(events) != 2 || clock.Share(c.Spans, span) != 1 {
			t.Errorf("%+v, %+v, %v", events, c, err)
		}
	})
}

func TestPreflight(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fake, *callrig.Server)
		config func(*Config)
		says   string
		blocks bool
	}{
		"all well":       {func(*fake, *callrig.Server) {}, func(*Config) {}, "", false},
		"nobody on call": {func(f *fake, _ *callrig.Server) { f.oncall = `{"userName":"bob","stepNumber":1}` }, func(*Config) {}, "nobody is on call at the first step", false},
		"an open alert":  {func(f *fake, _ *callrig.Server) { f.alerts[1].status = "StatusUnacknowledged" }, func(*Config) {}, "alert 6 (Earlier) is open already", false},
		"no service":     {func(f *fake, _ *callrig.Server) { f.none = true }, func(*Config) {}, "no such service", true},
		"another query": {func(f *fake, s *callrig.Server) {
			s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"errors":[{"message":"wrong query for API key"}]}`)
			})
		}, func(*Config) {}, "to the letter", true},
		"token":      {func(*fake, *callrig.Server) {}, func(c *Config) { c.Token = "another-key" }, "401", true},
		"no answer":  {func(_ *fake, s *callrig.Server) { s.Next(callrig.Gone) }, func(*Config) {}, "refused", true},
		"90 s ahead": {func(_ *fake, s *callrig.Server) { s.Ahead = ahead }, func(*Config) {}, "1m30s off", true},
	} {
		f := night(time.Now())
		s, server := asked(t, f, c.config)
		server.Ahead = 0
		c.change(f, server)
		found, err := s.Preflight(t.Context())
		text := fmt.Sprintf("%+v", found)
		if err != nil || (c.says == "") != (len(found) == 0) || !strings.Contains(text, c.says) || len(found) > 0 && found[0].Blocks != c.blocks || strings.Contains(text, "another-key") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	s, _ := asked(t, night(time.Now()))
	duties, err := s.OnCall(t.Context())
	if want := []responders.Duty{{Who: "ann", Level: 1, Team: "Payments"}, {Who: "bob", Level: 2, Team: "Payments"}}; err != nil || !slices.Equal(duties, want) || s.RealPages() {
		t.Errorf("%+v, %v", duties, err)
	}
}

func TestScore(t *testing.T) {
	for name, c := range map[string]struct {
		acked, escalated, unknown int
		bounced                   bool
		how                       callrig.Mishap
		ack, esc                  clock.Outcome
	}{
		"acknowledged":                       {acked: 60, ack: clock.Met, esc: clock.Met},
		"too late, and escalated":            {acked: 200, escalated: 160, ack: clock.Missed, esc: clock.Met},
		"escalated too early":                {acked: 70, escalated: 50, ack: clock.Met, esc: clock.Missed},
		"nobody":                             {ack: clock.Missed, esc: clock.Missed},
		"it reached nobody":                  {bounced: true, ack: clock.Missed, esc: clock.Missed},
		"nobody, and something nobody knows": {unknown: 80, ack: clock.Unknown, esc: clock.Unknown},
		"it does not answer":                 {acked: 60, how: callrig.Gone, ack: clock.Unknown, esc: clock.Unknown},
		"half an answer":                     {acked: 60, how: callrig.Cut, ack: clock.Unknown, esc: clock.Unknown},
	} {
		synctest.Test(t, func(t *testing.T) {
			run := callrig.Run{Began: time.Now(), Length: 10 * time.Minute, Asks: report.ResponsePlan{
				Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: 90 * time.Second, Weight: 1}, Level: 1},
				Escalate:    &report.EscalatePlan{DeadlinePlan: report.DeadlinePlan{Within: 3 * time.Minute, Weight: 1}, ToLevel: 2, OnlyAfter: 100 * time.Second}}}
			at := func(sec int) time.Time { return run.Began.Add(time.Duration(sec) * time.Second) }
			state := `{"details":"Delivered","status":"OK"}`
			if c.bounced {
				state = `{"details":"no such number","status":"ERROR"}`
			}
			log := []happened{{at: at(33), text: "Created via Alertmanager integration"}, {at: at(34), text: "Escalated to step #1"},
				{at: at(35), text: "Notification sent to ann (SMS)", state: state}}
			for text, sec := range map[string]int{"Acknowledged by ann (SMS)": c.acked, "Escalated to step #2 automatically after 2 minutes": c.escalated, "Something else": c.unknown} {
				if sec > 0 {
					log = append(log, happened{at: at(sec), text: text})
				}
			}
			slices.SortStableFunc(log, func(a, b happened) int { return a.at.Compare(b.at) })
			s, server := asked(t, &fake{alerts: []fakeAlert{{id: 7, summary: "[FIRING] PaymentsDown", at: at(33), log: log}}})
			time.Sleep(run.Length + 2*time.Minute)
			server.Next(nil, nil, nil, c.how)
			events, coverage, err := s.History(t.Context(), run.Span())
			card := run.Score(t, "goalert.ops", events, coverage, err)
			for id, want := range map[string]clock.Outcome{"acknowledge": c.ack, "escalate": c.esc} {
				if it := callrig.Item(t, card, id); it.Outcome != want {
					t.Errorf("%s: %s is %v: %s", name, id, it.Outcome, it.Why)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "https://goalert.example", Token: "x", Service: "s", Pages: "real"}
	for want, change := range map[string]func(*Config){
		"wakes people":          func(c *Config) { c.Pages = "" },
		"begin with http":       func(c *Config) { c.URL = "goalert" },
		"No service":            func(c *Config) { c.Service = "" },
		"longer than nothing":   func(c *Config) { c.Poll = "0s" },
		"more than nothing":     func(c *Config) { c.PerMinute = -1 },
		"with one group":        func(c *Config) { c.Matches = map[string]string{"alertname": "x"} },
		"labels names for each": func(c *Config) { c.Labels = map[string]string{"alertname": ""} },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	s, err := New("goalert.ops", good)
	if err != nil || !s.RealPages() {
		t.Error(err)
	}
}

// TestQueryOnPage holds the page to the query that keys must be made for.
func TestQueryOnPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/responders/goalert.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "```graphql\n"+Query+"\n```") {
		t.Error("docs/responders/goalert.md does not have the query that is asked")
	}
}

// TestNames reads whatever name a user has.
func TestNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[\pL0-9][\pL0-9 .@'#-]{0,20}[\pL0-9]`).Draw(t, "name")
		class := rapid.SampledFrom([]string{"", "Web", "SMS", "Voice", "Email"}).Draw(t, "class")
		text := "Acknowledged by " + name
		if class != "" {
			text += " (" + class + ")"
		}
		if strings.HasSuffix(name, " integration") || strings.HasSuffix(name, " heartbeat monitor") {
			return
		}
		d, ok := read(text)
		if !ok || d.what != "Acknowledged" || d.name != name || d.class != class {
			t.Fatalf("%q is %+v", text, d)
		}
	})
}

// FuzzMessage reads any words: what is not taken for something that is known is a gap.
func FuzzMessage(f *testing.F) {
	for _, h := range night(time.Unix(0, 0)).alerts[2].log {
		f.Add(h.text, h.state)
	}
	f.Add("Notification sent to  (", `{"status":"OK","details":"Delivered"}`)
	s, err := New("goalert.ops", Config{URL: "https://goalert.example", Token: "x", Service: "s", Pages: "dry"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, state string) {
		e := entry{ID: 1, Message: text}
		_ = json.Unmarshal([]byte(state), &e.State)
		out, gap := s.event(&alert{ID: 7, labels: map[string]string{"alertname": "X"}}, e, clock.At(time.Unix(1_800_000_000, 0)), &progress{})
		switch {
		case gap != nil && (out.Kind != responders.Noted || out.Grade != "D" || gap.Span.Length() < time.Second):
			t.Errorf("%q: %+v, %+v", text, out, gap)
		case out.Page == "" || out.ID == "" || out.Actor.Kind == "" || out.Kind == responders.Escalated && out.Level < 2 || out.Kind == responders.Notified && out.Delivered == "" ||
			out.Actor.Kind == responders.Human && out.Actor.ID == "":
			t.Errorf("%q: %+v", text, out)
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
