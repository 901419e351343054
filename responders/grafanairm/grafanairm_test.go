package grafanairm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/internal/judgerig"
	"gameday/internal/promrig"
	"gameday/report"
	"gameday/responders"
)

// fake is a server that answers as Grafana IRM does, or badly.
type fake struct {
	mu      sync.Mutex
	ahead   time.Duration // of its clock
	groups  []opened
	perPage int
	onCall  []string // users' ids
	refuse  []int    // statuses of the next answers
	body    string   // instead of every answer
	host    string   // of the next page, instead of its own
}

// opened is an alert group; times are by a clock that is right.
type opened struct {
	id, state, ackBy, resolvedBy string
	created, acked, resolved     time.Time
	silenced                     time.Time
	slack                        bool
	hidden                       bool // it is not told yet
	title                        string
	labels                       map[string]string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	if r.Header.Get("Authorization") != "hush-hush" {
		http.Error(w, `{"detail":"Invalid token."}`, http.StatusForbidden)
		return
	}
	if len(f.refuse) > 0 {
		status := f.refuse[0]
		f.refuse = f.refuse[1:]
		w.Header().Set("Retry-After", "0.01")
		http.Error(w, `{"detail":"not now, hush-hush"}`, status)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/oncall/api/v1/")
	switch {
	case f.body != "":
		fmt.Fprint(w, f.body)
	case path == "alert_groups/":
		f.list(w, r)
	case path == "users/U1/":
		fmt.Fprint(w, `{"id":"U1","username":"ann"}`)
	case path == "users/U2/":
		fmt.Fprint(w, `{"id":"U2","username":"robot"}`)
	case path == "schedules/S1/":
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "S1", "name": "payments", "on_call_now": f.onCall})
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	lo, hi, _ := strings.Cut(q.Get("started_at"), "_")
	from, err1 := time.Parse(rangeForm, lo)
	to, err2 := time.Parse(rangeForm, hi)
	if err1 != nil || err2 != nil || q.Get("integration_id") != "CI" {
		http.Error(w, `{"detail":"bad question"}`, http.StatusBadRequest)
		return
	}
	when := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t.Add(f.ahead).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	var hits []any
	for _, g := range slices.Backward(f.groups) {
		at := g.created.Add(f.ahead)
		if g.hidden || at.Before(from) || at.After(to) {
			continue
		}
		links := map[string]any{}
		if g.slack {
			links["slack"] = "https://example.slack.com/archives/C1/p1"
		}
		null := func(text string) any {
			if text == "" {
				return nil
			}
			return text
		}
		hits = append(hits, map[string]any{"id": g.id, "integration_id": "CI", "team_id": "T1", "route_id": "R1", "state": g.state, "title": g.title, "created_at": when(g.created),
			"acknowledged_at": when(g.acked), "acknowledged_by": null(g.ackBy), "resolved_at": when(g.resolved), "resolved_by": null(g.resolvedBy), "silenced_at": when(g.silenced),
			"permalinks": links, "labels": []any{}, "last_alert": map[string]any{"payload": map[string]any{"commonLabels": g.labels}}})
	}
	size := 50
	if f.perPage > 0 {
		size = f.perPage
	}
	page, _ := strconv.Atoi(q.Get("page"))
	page = max(page, 1)
	end := min(page*size, len(hits))
	var next any
	if end < len(hits) {
		q.Set("page", strconv.Itoa(page+1))
		host := "http://" + r.Host
		if f.host != "" {
			host = f.host
		}
		next = host + r.URL.Path + "?" + q.Encode()
	}
	results := hits[min((page-1)*size, len(hits)):end]
	if results == nil {
		results = []any{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"count": len(hits), "next": next, "results": results})
}

func faked(t *testing.T, f *fake, change ...func(*Config)) *Source {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c := Config{URL: server.URL + "/oncall", Token: "hush-hush", Pages: "dry", Integ: "CI", Timeout: "2s", PerMinute: 100_000}
	for _, one := range change {
		one(&c)
	}
	s, err := New("grafana_irm.ops", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestPreflightFindings checks each finding that it can cause.
func TestPreflightFindings(t *testing.T) {
	now := time.Now()
	down := map[string]string{"alertname": "Down"}
	schedule := func(c *Config) { c.Schedules = []string{"S1"} }
	for _, c := range []struct {
		name   string
		fake   *fake
		change func(*Config)
		blocks int
		says   []string
	}{
		{name: "ready", fake: &fake{onCall: []string{"U1"}}, change: schedule},
		{name: "refused once", fake: &fake{refuse: []int{429}}},
		{name: "broken once", fake: &fake{refuse: []int{500}}},
		{name: "refused", fake: &fake{refuse: slices.Repeat([]int{429}, 60)}, blocks: 1, says: []string{"cannot be read", "429 Too Many Requests"}},
		{name: "not allowed", fake: &fake{}, change: func(c *Config) { c.Token = "hush-other" }, blocks: 1, says: []string{"check token"}},
		{name: "half a JSON", fake: &fake{body: `{"results":[{"id`}, blocks: 1, says: []string{"not the JSON expected"}},
		{name: "no results", fake: &fake{body: `{"detail":"?"}`}, blocks: 1, says: []string{"has no results"}},
		{name: "a group without a time", fake: &fake{body: `{"results":[{"id":"I1"}],"next":null}`}, blocks: 1, says: []string{"is no time"}},
		{name: "90 s ahead", fake: &fake{ahead: 90 * time.Second}, blocks: 1, says: []string{"the clock of grafana_irm.ops is 1m"}},
		{name: "nobody on call", fake: &fake{}, change: schedule, says: []string{"nobody is on call at level 1"}},
		{name: "no such schedule", fake: &fake{}, change: func(c *Config) { c.Schedules = []string{"S9"} }, blocks: 1, says: []string{"the schedule S9"}},
		{name: "open already", fake: &fake{groups: []opened{{id: "I1", state: "new", created: now.Add(-time.Hour), labels: down}}}, says: []string{"page I1", "is open already"}},
		{name: "another is open", fake: &fake{groups: []opened{{id: "I1", state: "new", created: now.Add(-time.Hour), labels: map[string]string{"alertname": "Up"}}}}},
		{name: "one was resolved", fake: &fake{groups: []opened{{id: "I1", state: "resolved", created: now.Add(-time.Hour), labels: down}}}},
	} {
		change := c.change
		if change == nil {
			change = func(*Config) {}
		}
		s := faked(t, c.fake, change)
		s.Expect([]map[string]string{down})
		f, err := s.Preflight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		blocks, text := 0, ""
		for _, one := range f {
			text += one.Summary + ": " + one.Detail + "\n"
			if one.Blocks {
				blocks++
			}
		}
		if blocks != c.blocks || len(c.says) == 0 && text != "" || strings.Contains(text, "hush") {
			t.Errorf("%s: %d findings block, want %d:\n%s", c.name, blocks, c.blocks, text)
		}
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: lacks %q:\n%s", c.name, want, text)
			}
		}
	}
}

// inTime is the response that is expected of people.
var inTime = report.ResponsePlan{Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: 3 * time.Minute}},
	Escalate: &report.EscalatePlan{DeadlinePlan: report.DeadlinePlan{Within: 5 * time.Minute}, ToLevel: 2, OnlyAfter: 3 * time.Minute},
	Resolve:  &report.ResolvePlan{DeadlinePlan: report.DeadlinePlan{Within: 8 * time.Minute}}}

// judged is what a Grafana IRM has to tell, and what is to become of the response to a page by it.
type judged struct {
	name                   string
	fake                   *fake
	change                 func(*Config)
	watched                bool
	ack, escalate, resolve string
	why                    string
}

// check has the response judged to a fault that began at an instant.
func (c judged) check(t *testing.T, t0 time.Time) {
	change := c.change
	if change == nil {
		change = func(*Config) {}
	}
	s := faked(t, c.fake, change)
	if c.watched {
		for n := -180; n < 700; n += 10 {
			s.account.Good(t0.Add(time.Duration(n) * time.Second))
		}
	}
	items := judgerig.Around(t0, alarms.Expectation{Name: "Down", Match: map[string]string{"alertname": "Down"}}).Responses(t, s, inTime)
	whys := ""
	for what, want := range map[string]string{"acknowledge": c.ack, "escalate": c.escalate, "resolve": c.resolve} {
		it := items[what]
		whys += it.Why + "; "
		if it.Outcome.String() != want {
			t.Errorf("%s is %s, want %s: %s", what, it.Outcome, want, it.Why)
		}
	}
	if !strings.Contains(whys, c.why) {
		t.Errorf("it does not say %q: %s", c.why, whys)
	}
}

// TestJudged has the response to a page judged by what it tells, good and bad. Somebody looked during the run where watched says so.
func TestJudged(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute)
	sec := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }
	down := map[string]string{"alertname": "Down"}
	page := func(change ...func(*opened)) []opened {
		g := opened{id: "I1", state: "new", created: sec(20), labels: down, title: "Payments down"}
		for _, c := range change {
			c(&g)
		}
		return []opened{g}
	}
	acked := func(n int, by string) func(*opened) {
		return func(g *opened) { g.state, g.acked, g.ackBy = "acknowledged", sec(n), by }
	}
	resolved := func(g *opened) { g.state, g.resolved = "resolved", sec(300) }
	atOnce := func(c *Config) { c.Notifies = "30s" }
	for _, c := range []judged{
		{name: "acknowledged and resolved", fake: &fake{groups: page(acked(60, "U1"), resolved)}, watched: true, ack: "met", escalate: "unknown", resolve: "met", why: "at which step of its escalation chain"},
		{name: "50 s ahead", fake: &fake{groups: page(acked(60, "U1"), resolved), ahead: 50 * time.Second}, watched: true, ack: "met", escalate: "unknown", resolve: "met"},
		{name: "on page two", fake: &fake{groups: append(page(acked(60, "U1"), resolved), opened{id: "I0", created: sec(100), labels: map[string]string{"alertname": "Up"}, state: "new"}), perPage: 1},
			watched: true, ack: "met", escalate: "unknown", resolve: "met"},
		{name: "refused and broken in between", fake: &fake{groups: page(acked(60, "U1"), resolved), refuse: []int{429, 500}}, watched: true, ack: "met", escalate: "unknown", resolve: "met"},
		{name: "by a machine", fake: &fake{groups: page(acked(60, "U2"))}, change: func(c *Config) { c.Automation = []string{"robot"}; c.Notifies = "30s" }, watched: true, ack: "missed", escalate: "unknown",
			resolve: "missed", why: "bot robot does not count"},
		{name: "by nobody that is told", fake: &fake{groups: page(acked(60, ""))}, change: atOnce, watched: true, ack: "unknown", escalate: "unknown", resolve: "missed", why: "not known to be a person"},
		{name: "nobody answers, and whom it notified is not told", fake: &fake{groups: page()}, watched: true, ack: "unknown", escalate: "unknown", resolve: "unknown", why: "say notifies_within"},
		{name: "nobody answers", fake: &fake{groups: page()}, change: atOnce, watched: true, ack: "missed", escalate: "unknown", resolve: "missed"},
		{name: "nobody answers, and nobody watched", fake: &fake{groups: page()}, change: atOnce, ack: "unknown", escalate: "unknown", resolve: "unknown", why: "taken back is forgotten"},
		{name: "late", fake: &fake{groups: page(acked(300, "U1"))}, change: atOnce, watched: true, ack: "unknown", escalate: "unknown", resolve: "unknown",
			why: "too close to the limit"}, // it may have reached somebody just before
		{name: "late, and nobody watched", fake: &fake{groups: page(acked(300, "U1"))}, change: atOnce, ack: "unknown", escalate: "unknown", resolve: "unknown"},
		{name: "no page", fake: &fake{}, watched: true, ack: "missed", escalate: "missed", resolve: "missed", why: "nobody was paged"},
		{name: "a page about another alarm", fake: &fake{groups: page(func(g *opened) { g.labels = map[string]string{"alertname": "Up"} })}, watched: true, ack: "missed", escalate: "missed", resolve: "missed"},
		{name: "by its title", fake: &fake{groups: page(acked(60, "U1"), resolved, func(g *opened) { g.labels, g.title = nil, "Down" })}, watched: true, ack: "met", escalate: "unknown", resolve: "met"},
		{name: "by a path", fake: &fake{groups: page(acked(60, "U1"), resolved, func(g *opened) { g.labels, g.title = map[string]string{"rule": "Down"}, "x" })},
			change: func(c *Config) { c.Labels = map[string]string{"alertname": "last_alert.payload.commonLabels.rule"} }, watched: true, ack: "met", escalate: "unknown", resolve: "met"},
		{name: "an unknown state", fake: &fake{groups: page(func(g *opened) { g.state = "perplexed" })}, change: atOnce, watched: true, ack: "unknown", escalate: "unknown", resolve: "unknown",
			why: "not known here"},
		{name: "an older page is open", fake: &fake{groups: page(acked(60, "U1"), func(g *opened) { g.created = sec(-600) })}, watched: true, ack: "unknown", escalate: "unknown", resolve: "unknown",
			why: "was open from before"},
		{name: "half a JSON", fake: &fake{body: `{"results":[{"id`}, ack: "unknown", escalate: "unknown", resolve: "unknown", why: "could not be read"},
		{name: "the next page is elsewhere", fake: &fake{groups: append(page(), opened{id: "I0", created: sec(100), state: "new"}), perPage: 1, host: "http://elsewhere.example"}, ack: "unknown",
			escalate: "unknown", resolve: "unknown", why: "which is not on"},
		{name: "away", fake: &fake{refuse: slices.Repeat([]int{503}, 200)}, ack: "unknown", escalate: "unknown", resolve: "unknown", why: "503"},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, t0) })
	}
}

// TestLate asks before and after a page is told of.
func TestLate(t *testing.T) {
	t0 := time.Now().Add(-70 * time.Second)
	f := &fake{groups: []opened{{id: "I1", state: "acknowledged", created: t0.Add(5 * time.Second), acked: t0.Add(40 * time.Second), ackBy: "U1", labels: map[string]string{"alertname": "Down"}, hidden: true}}}
	s := faked(t, f)
	run := judgerig.Around(t0, alarms.Expectation{Name: "Down", Match: map[string]string{"alertname": "Down"}})
	run.Gone, run.End = t0.Add(50*time.Second), time.Now()
	want := report.ResponsePlan{Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: time.Minute}}}
	if it := run.Responses(t, s, want)["acknowledge"]; it.Outcome != clock.Unknown {
		t.Errorf("before it is told: %s: %s", it.Outcome, it.Why)
	}
	f.mu.Lock()
	f.groups[0].hidden = false
	f.mu.Unlock()
	if it := run.Responses(t, s, want)["acknowledge"]; it.Outcome != clock.Met {
		t.Errorf("afterwards: %s: %s", it.Outcome, it.Why)
	}
}

// TestTakenBack looks while an acknowledgement comes and goes: the API forgets it, Watch does not.
func TestTakenBack(t *testing.T) {
	now := time.Now()
	f := &fake{groups: []opened{{id: "I1", state: "new", created: now.Add(-50 * time.Second), slack: true, labels: map[string]string{"alertname": "Down"}}}}
	s := faked(t, f)
	acked := map[string]responders.Event{}
	var got []responders.Event
	look := func(last time.Time) time.Time {
		asked := time.Now()
		list, reply, err := s.groups(t.Context(), now.Add(-time.Hour), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		s.look(t.Context(), list, now.Add(-time.Hour), last, reply.Received, acked, func(e responders.Event) { got = append(got, e) })
		s.account.Good(asked)
		return asked
	}
	first := look(time.Time{})
	f.groups[0].state, f.groups[0].acked, f.groups[0].ackBy = "acknowledged", now.Add(-20*time.Second), "U1"
	second := look(first)
	f.groups[0].state, f.groups[0].acked, f.groups[0].ackBy = "new", time.Time{}, ""
	look(second)
	look(time.Now())
	var kinds []string
	for _, e := range got {
		kinds = append(kinds, string(e.Kind)+" "+e.Actor.ID)
	}
	if want := []string{"opened CI", "room_opened slack", "acknowledged ann", "unacknowledged "}; !slices.Equal(kinds, want) {
		t.Errorf("%q, want %q", kinds, want)
	}
	if back := got[len(got)-1].At; back.Lo.Before(second) || !back.Hi.After(second) {
		t.Errorf("taken back %v, after %v", back, second)
	}
	if room := got[1].At; !room.Lo.Before(now.Add(-49*time.Second)) || room.Hi.After(second) {
		t.Errorf("the thread was there at %v", room)
	}
	events, c, err := s.History(t.Context(), clock.Span{Start: now.Add(-time.Minute), End: time.Now()})
	if err != nil || len(events) != 4 || events[0].Grade != "B" || events[0].Team != "T1" {
		t.Errorf("%+v, %v", events, err)
	}
	var blind []string
	for _, b := range c.Blind {
		blind = append(blind, string(b.To))
	}
	if want := []string{"acknowledged", "escalated", "notified", "resolved"}; !slices.Equal(blind, want) {
		t.Errorf("blind to %q, want %q", blind, want)
	}
}

// TestWatch emits what is there once, and keeps account of looks that had no answer.
func TestWatch(t *testing.T) {
	f := &fake{groups: []opened{{id: "I0", state: "acknowledged", created: time.Now().Add(-time.Hour), slack: true}, // an old one, acknowledged nobody knows when
		{id: "I1", state: "new", created: time.Now(), labels: map[string]string{"alertname": "Down"}}}}
	s := faked(t, f, func(c *Config) { c.Poll = "5ms" })
	ctx, cancel := context.WithCancel(t.Context())
	events, ended := make(chan responders.Event, 10), make(chan error, 1)
	go func() { ended <- s.Watch(ctx, func(e responders.Event) { events <- e }) }()
	if e := <-events; e.ID != "I1/opened" {
		t.Errorf("%+v", e)
	}
	f.mu.Lock()
	f.body = "half"
	f.mu.Unlock()
	promrig.Eventually(t, 10*time.Second, "a look without an answer", func() bool { return len(s.account.Faults()) > 0 })
	f.mu.Lock()
	f.body, f.groups[1].state, f.groups[1].resolved = "", "resolved", time.Now()
	f.mu.Unlock()
	if e := <-events; e.Kind != responders.Resolved || e.Actor.Kind != responders.Integration {
		t.Errorf("%+v", e)
	}
	cancel()
	if err := <-ended; err != nil || len(events) > 0 {
		t.Errorf("%v, and %d events more", err, len(events))
	}
}

// TestOnCall names the people of each schedule, and says whether pages are real.
func TestOnCall(t *testing.T) {
	s := faked(t, &fake{onCall: []string{"U1", "U9"}}, func(c *Config) { c.Schedules, c.Pages = []string{"S1"}, "real" })
	duties, err := s.OnCall(t.Context())
	if want := []responders.Duty{{Who: "ann", Level: 1, Team: "payments"}, {Who: "U9", Level: 1, Team: "payments"}}; err != nil || !slices.Equal(duties, want) {
		t.Errorf("%+v, %v", duties, err)
	}
	if !s.RealPages() || faked(t, &fake{}).RealPages() {
		t.Error("whether pages are real is wrong")
	}
	if _, err := faked(t, &fake{refuse: slices.Repeat([]int{503}, 50)}, func(c *Config) { c.Schedules = []string{"S1"} }).OnCall(t.Context()); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

// TestConfig names each mistake by its field, and hides secrets.
func TestConfig(t *testing.T) {
	good := Config{URL: "https://oncall.example/oncall/", Token: "hush", Pages: "dry"}
	for _, c := range []struct {
		change func(*Config)
		want   []string
	}{
		{func(*Config) {}, nil},
		{func(c *Config) { c.URL += "api/v1" }, nil},
		{func(c *Config) { c.Pages = "" }, []string{"pages"}},
		{func(c *Config) { c.Pages = "loud" }, []string{"pages"}},
		{func(c *Config) { c.URL = "x" }, []string{"url"}},
		{func(c *Config) { c.Token = "a\n" }, []string{"token"}},
		{func(c *Config) {
			c.Poll, c.Settle, c.Timeout, c.Notifies, c.Integ, c.Schedules, c.PerMinute = "x", "x", "x", "x", "a/b", []string{""}, -1
		}, []string{"integration", "notifies_within", "poll", "requests_per_minute", "schedules", "settle", "timeout"}},
		{func(c *Config) { c.Labels = map[string]string{"": "x"} }, []string{"labels"}},
	} {
		config := good
		c.change(&config)
		got := fields(config.Validate())
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
	b, err := json.Marshal(good)
	for _, text := range []string{string(b), fmt.Sprint(good), fmt.Sprintf("%+v %#v", good, good)} {
		if err != nil || strings.Contains(text, "hush") {
			t.Errorf("a secret shows: %s", text)
		}
	}
}

func fields(err error) []string {
	var out []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, fields(e)...)
		}
		return out
	}
	var f *faults.FieldError
	if errors.As(err, &f) {
		out = append(out, f.Field)
	}
	return out
}

// TestActor takes nobody for a person who may be one of those that automation names: what a user is called may not be readable.
func TestActor(t *testing.T) {
	for name, c := range map[string]struct {
		id         string
		automation []string
		refuse     []int
		want       responders.Actor
	}{
		"a person":                          {"U1", []string{"robot"}, nil, responders.Actor{ID: "ann", Kind: responders.Human}},
		"named as automation":               {"U2", []string{"robot"}, nil, responders.Actor{ID: "robot", Kind: responders.Bot}},
		"named by id":                       {"U9", []string{"U9"}, nil, responders.Actor{ID: "U9", Kind: responders.Bot}},
		"not told, and there are machines":  {"U9", []string{"robot"}, nil, responders.Actor{ID: "U9", Kind: responders.UnknownKind}},
		"refused, and there are machines":   {"U2", []string{"robot"}, []int{http.StatusForbidden}, responders.Actor{ID: "U2", Kind: responders.UnknownKind}},
		"not told, and there is no machine": {"U9", nil, nil, responders.Actor{ID: "U9", Kind: responders.Human}},
	} {
		s := faked(t, &fake{refuse: c.refuse}, func(config *Config) { config.Automation = c.automation })
		for range 2 { // the second time it is remembered
			if got := s.actor(t.Context(), c.id); got != c.want {
				t.Errorf("%s: %+v, want %+v", name, got, c.want)
			}
		}
	}
	s := faked(t, &fake{refuse: []int{http.StatusBadRequest}}, func(c *Config) { c.Automation = []string{"robot"} })
	first, second := s.actor(t.Context(), "U2"), s.actor(t.Context(), "U2")
	if first.Kind != responders.UnknownKind || second.Kind != responders.Bot {
		t.Errorf("after an answer that failed: %+v, then %+v", first, second)
	}
}

// TestUnmeasured does not take a clock for right to the instant that nobody could compare.
func TestUnmeasured(t *testing.T) {
	s := faked(t, &fake{})
	if got := s.events(t.Context(), group{ID: "I1", State: "new", Created: "2026-11-20T14:03:05.000000Z"}, s.clock.Offset(), time.Now())[0].At; got.Hi.Sub(got.Lo) < 2*time.Second {
		t.Errorf("it was opened at %v, and nobody knows its clock", got)
	}
}
