package datadog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/internal/judgerig"
	"gameday/report"
)

// TestPreflightFindings checks each finding that a Datadog can cause.
func TestPreflightFindings(t *testing.T) {
	never, now := time.Time{}, time.Now()
	ok := []string{mon(1, "Down", "OK", never, never, "")}
	downtime := func(scope string, from, to time.Time) []string {
		m := strings.Replace(ok[0], `"options"`, fmt.Sprintf(`"matching_downtimes":[{"id":7,"scope":[%q],"start":%d,"end":%d}],"options"`, scope, from.Unix(), to.Unix()), 1)
		return []string{m}
	}
	var many []string
	for i := range 450 {
		many = append(many, mon(1000+i, fmt.Sprint("Full ", i), "OK", never, never, ""))
	}
	for _, c := range []struct {
		name   string
		fake   *fake
		config Config
		match  map[string]string // besides the name
		blocks int
		says   []string
		absent bool
	}{
		{name: "ready", fake: &fake{monitors: ok}},
		{name: "by its id", fake: &fake{monitors: ok}, match: map[string]string{"monitor_id": "1"}},
		{name: "on page three", fake: &fake{monitors: append(many, ok[0])}},
		{name: "refused once", fake: &fake{monitors: ok, refuse: []int{429}}},
		{name: "broken once", fake: &fake{monitors: ok, refuse: []int{500}}},
		{name: "refused", fake: &fake{refuse: slices.Repeat([]int{429}, 60)}, blocks: 1, says: []string{"cannot be read", "429 Too Many Requests"}},
		{name: "half a JSON", fake: &fake{body: `[{"id":1,"na`}, blocks: 1, says: []string{"unexpected end of JSON input"}},
		{name: "another page", fake: &fake{body: "<html>Please sign in</html>"}, blocks: 1, says: []string{"Please sign in"}},
		{name: "90 s ahead", fake: &fake{monitors: ok, ahead: 90 * time.Second}, blocks: 1, says: []string{"ahead of"}},
		{name: "no such monitor", fake: &fake{monitors: []string{mon(1, "Dowm", "OK", never, never, "")}}, says: []string{"no monitor is named Down", "Did you mean Dowm?"}, absent: true},
		{name: "no such id", fake: &fake{monitors: ok}, match: map[string]string{"monitor_id": "9"}, says: []string{"there is no monitor 9"}, absent: true},
		{name: "other tags", fake: &fake{monitors: ok}, match: map[string]string{"team": "b"}, says: []string{"can never have the labels"}, absent: true},
		{name: "no data", fake: &fake{monitors: []string{mon(1, "Down", "No Data", never, never, "")}}, blocks: 1, says: []string{"cannot tell: its monitor had no data", "no_data_is_quiet"}},
		{name: "no data is quiet", fake: &fake{monitors: []string{mon(1, "Down", "No Data", never, never, "")}}, config: Config{NoDataIsQuiet: []string{"Down"}}},
		{name: "does not tell of no data", fake: &fake{monitors: []string{strings.Replace(ok[0], "show_no_data", "default", 1)}}, says: []string{"does not tell when it has no data"}},
		{name: "an unknown state", fake: &fake{monitors: []string{mon(1, "Down", "Perplexed", never, never, "")}}, blocks: 1, says: []string{`"Perplexed" is not known here`}},
		{name: "skipped", fake: &fake{monitors: []string{mon(1, "Down", "Skipped", never, never, "")}}, blocks: 1, says: []string{"was not evaluated"}},
		{name: "a draft", fake: &fake{monitors: []string{strings.Replace(ok[0], `"id":1`, `"id":1,"draft_status":"draft"`, 1)}}, blocks: 1, says: []string{"is a draft"}},
		{name: "firing", fake: &fake{monitors: []string{mon(1, "Down", "Alert", now, never, "")}}, blocks: 1, says: []string{"is firing already"}},
		{name: "warns", fake: &fake{monitors: []string{mon(1, "Down", "Warn", now, never, "")}}},
		{name: "warns, which is firing", fake: &fake{monitors: []string{mon(1, "Down", "Warn", now, never, "")}}, config: Config{WarnFires: true}, blocks: 1, says: []string{"is firing already"}},
		{name: "held back", fake: &fake{monitors: downtime("*", now.Add(-time.Hour), now.Add(time.Hour))}, blocks: 1, says: []string{"is held back", "downtime 7"}},
		{name: "held back perhaps", fake: &fake{monitors: downtime("host:b", now.Add(-time.Hour), now.Add(time.Hour))}, says: []string{"may be held back"}},
		{name: "held back elsewhere", fake: &fake{monitors: downtime("host:b", now.Add(-time.Hour), now.Add(time.Hour))}, match: map[string]string{"host": "a"}},
		{name: "held back yesterday", fake: &fake{monitors: downtime("*", now.Add(-2*time.Hour), now.Add(-time.Hour))}},
		{name: "muted", fake: &fake{monitors: []string{mon(1, "Down", "OK", never, never, `,"silenced":{"*":null}`)}}, blocks: 1, says: []string{"muted for *"}},
		{name: "pages nobody", fake: &fake{monitors: ok}, config: Config{Pages: []string{"@pagerduty"}}, says: []string{"does not page"}}, // another handle begins so
		{name: "pages", fake: &fake{monitors: ok}, config: Config{Pages: []string{"@pagerduty-shop"}}},
		{name: "events may not be read", fake: &fake{monitors: ok, noEvents: true}, blocks: 1, says: []string{"the events of datadog.main cannot be read", "events_read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := expectation("Down")
			maps.Copy(e.Match, c.match)
			f, err := faked(t, c.fake, c.config).Preflight(t.Context(), []alarms.Expectation{e})
			if err != nil {
				t.Fatal(err)
			}
			blocks, text, absent := 0, "", false
			for _, one := range f {
				text += one.Summary + ": " + one.Detail + "\n"
				absent = absent || one.Absent == "Down"
				if one.Blocks {
					blocks++
				}
			}
			if blocks != c.blocks || absent != c.absent || len(c.says) == 0 && text != "" {
				t.Errorf("%d findings block, want %d; absent %v:\n%s", blocks, c.blocks, absent, text)
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, text)
				}
			}
			if strings.Contains(text, "hush") {
				t.Errorf("a key is printed:\n%s", text)
			}
		})
	}
}

// TestKeys finds that keys are none, and prints neither.
func TestKeys(t *testing.T) {
	server := httptest.NewServer(&fake{})
	defer server.Close()
	c := Config{URL: server.URL, APIKey: "hush-other", AppKey: "hush-app"}
	s, err := New("datadog.main", c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := s.Preflight(t.Context(), nil)
	if err != nil || len(f) != 1 || !f[0].Blocks || !strings.Contains(f[0].Detail, "403") {
		t.Errorf("%+v, %v", f, err)
	}
	b, err := json.Marshal(c)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), string(b), fmt.Sprint(f)} {
		if err != nil || strings.Contains(text, "hush") {
			t.Errorf("a key shows: %s", text)
		}
	}
}

func verdict(it *report.Item) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s", it.Outcome, it.Class))
}

// judged is what a Datadog has to tell, and what is to become of an alarm and its page by it.
type judged struct {
	name                  string
	fake                  *fake
	config                Config
	watched, held         bool
	fired, paged, cleared string
	why                   string
}

// check has a run judged whose fault began at an instant.
func (c judged) check(t *testing.T, t0 time.Time) {
	sec := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }
	if c.fake.monitors == nil {
		c.fake.monitors = []string{mon(1, "Down", "OK", time.Time{}, time.Time{}, "")}
	}
	s := faked(t, c.fake, c.config)
	s.wanted.Expect([]alarms.Expectation{expectation("Down")})
	if c.watched {
		for n := -3700; n < 700; n += 15 {
			s.account.Good(sec(n))
		}
	}
	if c.held {
		labels := map[string]string{"alertname": "Down", "monitor_id": "1", "team": "shop", "env": "prod", "host": "a"}
		s.memory.Add(alarms.Observation{At: clock.Between(sec(15), sec(30)), Key: key(labels), Labels: labels, State: alarms.StateSuppressed, Why: "downtime 7"})
		s.memory.Add(alarms.Observation{At: clock.Between(sec(255), sec(270)), Key: key(labels), Labels: labels, State: alarms.StateInactive})
	}
	items := judgerig.Around(t0, expectation("Down")).Alarms(t, s, nil)
	for what, want := range map[string]string{"fired": c.fired, "paged": c.paged, "cleared": c.cleared} {
		if got := verdict(items[what]); got != want {
			t.Errorf("%s is %q, want %q: %s", what, got, want, items[what].Why)
		}
	}
	if whys := items["fired"].Why + items["paged"].Why + items["cleared"].Why; !strings.Contains(whys, c.why) {
		t.Errorf("it does not say %q: %s", c.why, whys)
	}
}

// TestJudged has a run judged by what a Datadog tells of it, good and bad. Somebody looked during the run where watched says so.
func TestJudged(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute).Round(time.Second)
	sec := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }
	host := []string{"host:a"}
	const text = "no payments @pagerduty-shop"
	fires := happened{at: sec(20), kind: "alert", groups: host, message: text}
	ends := happened{at: sec(260), kind: "alert recovery", groups: host}
	again := happened{at: sec(200), kind: "renotify", groups: host, message: text}
	pages := Config{Pages: []string{"@pagerduty-shop"}}
	silent := fires
	silent.message = "no payments"
	noData := func(n int, kind string) happened { return happened{at: sec(n), kind: kind, groups: host} }
	for _, c := range []judged{
		{name: "hit", fake: &fake{events: []happened{fires, again, ends}}, config: pages, watched: true, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "hit, 50 s behind", fake: &fake{events: []happened{fires, ends}, ahead: -50 * time.Second}, config: pages, watched: true, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "groups in another form", fake: &fake{events: []happened{{at: sec(20), kind: "alert", groups: []string{"host:a,env:prod"}, message: text},
			{at: sec(260), kind: "alert recovery", groups: []string{"env:prod", "host:a"}}}}, config: pages, watched: true, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "told twice, in any order, page by page", fake: &fake{events: []happened{ends, fires, fires, ends, again}, perPage: 2}, config: pages, watched: true,
			fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "refused and broken in between", fake: &fake{events: []happened{fires, ends}, refuse: []int{429, 500, 502}}, config: pages, watched: true, fired: "met hit",
			paged: "met hit", cleared: "met hit"},
		{name: "by statuses", fake: &fake{events: []happened{{at: sec(20), status: "error", groups: host}, {at: sec(100), status: "info", groups: host}, {at: sec(260), status: "ok", groups: host}}},
			fired: "met hit", paged: "unknown hit", cleared: "met hit"},
		{name: "which handles page is not said", fake: &fake{events: []happened{fires, ends}}, watched: true, fired: "met hit", paged: "unknown hit", cleared: "met hit", why: "say pages_to"},
		{name: "nobody watched for downtimes", fake: &fake{events: []happened{fires, ends}}, config: pages, fired: "met hit", paged: "unknown hit", cleared: "met hit", why: "downtime"},
		{name: "a notice without a handle", fake: &fake{events: []happened{silent, ends}}, config: pages, watched: true, fired: "met hit", paged: "unknown hit", cleared: "met hit",
			why: "does not tell whom it notified"},
		{name: "no handle at all", fake: &fake{events: []happened{fires, ends}}, config: Config{Pages: []string{"@opsgenie"}}, watched: true, fired: "met hit", paged: "unknown hit", cleared: "met hit",
			why: "names no handle"},
		{name: "held back", fake: &fake{events: []happened{fires, ends}}, config: pages, watched: true, held: true, fired: "met hit", paged: "missed suppressed", cleared: "met hit", why: "downtime 7"},
		{name: "missed", fake: &fake{}, fired: "missed missed", paged: "unknown missed", cleared: "unknown missed"},
		{name: "warned", fake: &fake{events: []happened{noData(20, "warning"), noData(260, "warning recovery")}}, fired: "missed missed", paged: "unknown missed", cleared: "unknown missed"},
		{name: "warned, which is firing", fake: &fake{events: []happened{noData(20, "warning"), noData(260, "warning recovery")}}, config: Config{WarnFires: true}, fired: "met hit",
			paged: "unknown hit", cleared: "met hit"},
		{name: "no data at the onset", fake: &fake{events: []happened{noData(-100, "no data"), noData(100, "no data recovery")}}, fired: "unknown unobserved", paged: "unknown unobserved",
			cleared: "unknown unobserved", why: "had no data"},
		{name: "no data from before", fake: &fake{events: []happened{noData(100, "no data recovery")}}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved",
			why: "from before"},
		{name: "an unknown kind", fake: &fake{events: []happened{noData(10, "perplexed")}}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved",
			why: "not known here"},
		{name: "firing from before", fake: &fake{events: []happened{ends}}, fired: "unknown preexisting", paged: "unknown preexisting", cleared: "unknown preexisting"},
		{name: "late", fake: &fake{events: []happened{{at: sec(100), kind: "alert", groups: host, message: text}}}, config: pages, watched: true, fired: "missed late", paged: "met hit",
			cleared: "missed stuck"},
		{name: "by its state alone", fake: &fake{monitors: []string{mon(1, "Down", "OK", sec(20), sec(260), "")}}, fired: "met hit", paged: "unknown hit", cleared: "met hit"},
		{name: "it stands still", fake: &fake{monitors: []string{mon(1, "Down", "Alert", sec(20), time.Time{}, "")}}, fired: "met hit", paged: "unknown hit", cleared: "missed stuck"},
		{name: "an answer that timed out", fake: &fake{events: []happened{fires}, status: "timeout"}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved",
			why: "incomplete"},
		{name: "half a JSON", fake: &fake{body: `{"data":[{"id"`}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "unexpected end of JSON input"},
		{name: "away", fake: &fake{refuse: slices.Repeat([]int{503}, 200)}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "503"},
		{name: "no data now, and nobody watched", fake: &fake{monitors: []string{mon(1, "Down", "No Data", time.Time{}, time.Time{}, "")}}, fired: "unknown unobserved",
			paged: "unknown unobserved", cleared: "unknown unobserved", why: "had no data"},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, t0) })
	}
}

// TestLate asks before and after an event can be found, and then without the state of the monitor, which has it at once.
func TestLate(t *testing.T) {
	t0 := time.Now().Add(-100 * time.Second)
	f := &fake{monitors: []string{mon(1, "Down", "OK", time.Time{}, time.Time{}, "")},
		events: []happened{{at: t0.Add(40 * time.Second), kind: "alert", groups: []string{"host:a"}, hidden: true}}}
	s := faked(t, f, Config{})
	s.wanted.Expect([]alarms.Expectation{expectation("Down")})
	run := judgerig.Around(t0, expectation("Down"))
	run.Gone, run.End = t0.Add(50*time.Second), time.Now()
	if it := run.Alarms(t, s, nil)["fired"]; verdict(it) != "unknown unobserved" || !strings.Contains(it.Why, "not complete yet") {
		t.Errorf("before it is found: %s: %s", verdict(it), it.Why)
	}
	f.mu.Lock()
	f.events[0].hidden = false
	f.mu.Unlock()
	if it := run.Alarms(t, s, nil)["fired"]; verdict(it) != "met hit" {
		t.Errorf("afterwards: %s: %s", verdict(it), it.Why)
	}
}

// TestLook reads what stands now, with its downtimes.
func TestLook(t *testing.T) {
	since := time.Now().Add(-30 * time.Second)
	firing := mon(1, "Down", "Alert", since, time.Time{}, "")
	for _, c := range []struct {
		name     string
		monitors []string
		want     string
	}{
		{"quiet", []string{mon(1, "Down", "OK", time.Time{}, time.Time{}, "")}, ""},
		{"firing", []string{firing}, "firing"},
		{"held back", []string{strings.Replace(firing, `"options"`, `"matching_downtimes":[{"id":7,"scope":["host:a"]}],"options"`, 1)}, "suppressed downtime 7"},
		{"held back elsewhere", []string{strings.Replace(firing, `"options"`, `"matching_downtimes":[{"id":7,"scope":["host:b"]}],"options"`, 1)}, "firing"},
		{"no data", []string{mon(1, "Down", "No Data", since, time.Time{}, "")}, "wrong"},
		{"another", []string{mon(1, "Down", "OK", time.Time{}, time.Time{}, ""), mon(2, "Down too", "Alert", since, time.Time{}, "")}, ""},
	} {
		s := faked(t, &fake{monitors: c.monitors}, Config{})
		s.wanted.Expect([]alarms.Expectation{expectation("Down")})
		l, err := s.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if l.Wrong != "" {
			got = "wrong"
			if !l.Holds(expectation("Down").Match) {
				t.Errorf("%s: an alarm may stand that is not listed", c.name)
			}
		}
		for _, one := range l.Standing {
			got += strings.TrimSpace(string(one.State) + " " + one.Why)
			if one.Fired.Lo.After(since) || one.Fired.Hi.Before(since.Truncate(time.Second)) {
				t.Errorf("%s: fired %v, want %v", c.name, one.Fired, since)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestConfig names each mistake by its field.
func TestConfig(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   []string
	}{
		{Config{}, nil},
		{Config{Site: "us5.datadoghq.com"}, nil},
		{Config{Site: "https://app.datadoghq.com"}, []string{"site"}},
		{Config{Site: "app.datadoghq.com"}, []string{"site"}},
		{Config{Site: "datadoghq.eu", URL: "http://127.0.0.1:1"}, []string{"site"}},
		{Config{Poll: "x", Settle: "-1s", Timeout: "0", Pages: []string{"pagerduty"}, PerMinute: -1}, []string{"poll", "settle", "timeout", "pages_to", "requests_per_minute"}},
		{Config{APIKey: "a\n"}, []string{"token"}},
	} {
		got := fields(c.config.Validate())
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.config, got, c.want)
		}
	}
	if at := (Config{Site: "datadoghq.eu"}).Address(); at != "https://api.datadoghq.eu" {
		t.Error(at)
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

// FuzzEvent reads events that a server may send: each becomes a change with a time, or none, or an error, and a state that is not
// known is never taken for a quiet one.
func FuzzEvent(f *testing.F) {
	for _, text := range []string{
		`{"id":"1","attributes":{"timestamp":"2026-11-20T14:00:00Z","attributes":{"timestamp":1700000000000,"monitor":{"id":1,"groups":["host:a"],"transition":{"trans_type":"alert"}}}}}`,
		`{"id":"1","attributes":{"timestamp":"2026-11-20T14:00:00Z","attributes":{"status":"ok"}}}`,
		`{"id":"1","attributes":{"attributes":{"monitor":{"transition":{"transition_type":"perplexed recovery"}}}}}`,
	} {
		f.Add(text)
	}
	s, err := New("datadog.main", Config{APIKey: "a", AppKey: "b"}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var e event
		if json.Unmarshal([]byte(text), &e) != nil {
			return
		}
		_, after, why, ok := s.change(e, monitor{ID: 1, Name: "Down"})
		if !ok {
			return
		}
		if after == alarms.StateBroken != (why != "") {
			t.Fatalf("%s, %q", after, why)
		}
		labels, at, _, err := e.of(monitor{ID: 1, Name: "Down"})
		if err == nil && (at.Year() < 1973 || labels["alertname"] != "Down" || labels["monitor_id"] != "1") {
			t.Fatalf("%v, %v", labels, at)
		}
	})
}
