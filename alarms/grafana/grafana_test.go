package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
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

// TestPreflightFindings checks each finding that a Grafana can cause.
func TestPreflightFindings(t *testing.T) {
	now := time.Now()
	ok := func(instances ...string) []string { return []string{group("Down", "ok", now, "", instances...)} }
	silence := `{"id":"s-1","createdBy":"ann","comment":"maintenance","startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-02T00:00:00Z","status":{"state":%q},
		"matchers":[{"name":%q,"value":"Down","isRegex":false,"isEqual":true}]}`
	for _, c := range []struct {
		name   string
		fake   *fake
		config Config
		blocks int
		says   []string
		absent bool
	}{
		{name: "ready", fake: &fake{rules: ok()}},
		{name: "on page two", fake: &fake{rules: []string{group("Full", "ok", now, ""), group("Down", "ok", now, "")}, perPage: 1}},
		{name: "refused once", fake: &fake{rules: ok(), refuse: []int{429}}},
		{name: "broken once", fake: &fake{rules: ok(), refuse: []int{500}}},
		{name: "refused", fake: &fake{refuse: slices.Repeat([]int{429}, 60)}, blocks: 1, says: []string{"cannot be read", "429 Too Many Requests"}},
		{name: "not allowed", fake: &fake{refuse: []int{403}}, blocks: 1, says: []string{"check token"}},
		{name: "half a JSON", fake: &fake{body: `{"status":"success","data":{"gro`}, blocks: 1, says: []string{"unexpected end of JSON input"}},
		{name: "another page", fake: &fake{body: "<html>Please sign in</html>"}, blocks: 1, says: []string{"Please sign in"}},
		{name: "no success", fake: &fake{body: `{"status":"error","error":"gone"}`}, blocks: 1, says: []string{"gone"}},
		{name: "90 s ahead", fake: &fake{rules: []string{group("Down", "ok", now.Add(90*time.Second), "")}, ahead: 90 * time.Second}, blocks: 1, says: []string{"ahead of"}},
		{name: "no such rule", fake: &fake{rules: []string{group("Dowm", "ok", now, "")}, readsAll: true}, says: []string{"no rule is named Down", "Did you mean Dowm?"}, absent: true},
		{name: "no such rule that is shown", fake: &fake{rules: []string{group("Full", "ok", now, "")}}, blocks: 1, says: []string{"alert.rules:read on all folders"}},
		{name: "other labels", fake: &fake{rules: []string{strings.Replace(group("Down", "ok", now, ""), `"severity":"page"`, `"severity":"page","team":"b"`, 1)}, readsAll: true},
			says: []string{"can never have the labels", `team="b"`}, absent: true},
		{name: "paused", fake: &fake{rules: []string{group("Down", "ok", now, `,"isPaused":true`)}}, blocks: 1, says: []string{"is paused"}},
		{name: "failing", fake: &fake{rules: []string{group("Down", "error", now, "")}}, blocks: 1, says: []string{"the rule Down fails", "boom"}},
		{name: "no data", fake: &fake{rules: []string{group("Down", "nodata", now, "")}}, blocks: 1, says: []string{"has no data", "no_data_is_quiet"}},
		{name: "no data is quiet", fake: &fake{rules: []string{group("Down", "nodata", now, "", stands("Down", "Normal (NoData)", now))}}, config: Config{NoDataIsQuiet: []string{"Down"}}},
		{name: "alerting for want of data", fake: &fake{rules: ok(stands("Down", "Alerting (NoData)", now))}, blocks: 1, says: []string{"cannot tell: its rule had no data"}},
		{name: "alerting by an error", fake: &fake{rules: ok(stands("Down", "Alerting (Error)", now))}, blocks: 1, says: []string{"cannot tell: its rule failed"}},
		{name: "an unknown state", fake: &fake{rules: ok(stands("Down", "Perplexed", now))}, blocks: 1, says: []string{`its state "Perplexed" is not known here`}},
		{name: "never evaluated", fake: &fake{rules: []string{group("Down", "unknown", time.Time{}, "")}}, blocks: 1, says: []string{"not evaluated yet"}},
		{name: "stale", fake: &fake{rules: []string{group("Down", "ok", now.Add(-time.Minute), "")}}, blocks: 1, says: []string{"not evaluated any more"}},
		{name: "firing", fake: &fake{rules: ok(stands("Down", "Alerting", now))}, blocks: 1, says: []string{"is firing already"}},
		{name: "pending", fake: &fake{rules: ok(stands("Down", "Pending", now))}, blocks: 1, says: []string{"is pending already"}},
		{name: "silenced", fake: &fake{rules: ok(), silences: fmt.Sprintf(silence, "active", "alertname")}, blocks: 1, says: []string{"is silenced", `Silence s-1 by ann ("maintenance")`}},
		{name: "silenced soon", fake: &fake{rules: ok(), silences: fmt.Sprintf(silence, "pending", "alertname")}, says: []string{"will be silenced"}},
		{name: "silenced perhaps", fake: &fake{rules: ok(), silences: fmt.Sprintf(silence, "active", "team")}, says: []string{"may be silenced"}},
		{name: "notifications are not kept", fake: &fake{rules: ok(), noHistory: true}, says: []string{"the notifications of grafana.main cannot be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Token = "hush-hush"
			e := expectation("Down")
			if c.name == "other labels" {
				e.Match["team"] = "a"
			}
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
			if strings.Contains(text, "hush-hush") {
				t.Errorf("the token is printed:\n%s", text)
			}
		})
	}
}

// verdicts are the items of a run in words: "met hit", "missed missed", "unknown unobserved".
func verdict(it *report.Item) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s", it.Outcome, it.Class))
}

// judged is what a Grafana has to tell, and what is to become of an alarm and its page by it.
type judged struct {
	name                  string
	fake                  *fake
	config                Config
	watched               bool
	fired, paged, cleared string
	why                   string // of what was not met
}

// check has a run judged whose fault began at an instant.
func (c judged) check(t *testing.T, t0 time.Time) {
	if c.fake.rules == nil {
		c.fake.rules = []string{group("Down", "ok", time.Now().Add(c.fake.ahead), "")}
	}
	s := faked(t, c.fake, c.config)
	s.wanted.Expect([]alarms.Expectation{expectation("Down")})
	if c.watched {
		for n := -180; n < 700; n += 5 {
			s.account.Good(t0.Add(time.Duration(n) * time.Second))
		}
	}
	items := judgerig.Around(t0, expectation("Down")).Alarms(t, s, nil)
	for what, want := range map[string]string{"fired": c.fired, "paged": c.paged, "cleared": c.cleared} {
		it := items[what]
		if got := verdict(it); got != want {
			t.Errorf("%s is %q, want %q: %s", what, got, want, it.Why)
		}
	}
	if whys := items["fired"].Why + items["paged"].Why + items["cleared"].Why; !strings.Contains(whys, c.why) {
		t.Errorf("it does not say %q: %s", c.why, whys)
	}
}

// TestJudged has a run judged by what a Grafana tells of it, good and bad. Nobody looked during the run, but where watched says so.
func TestJudged(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute).Round(10 * time.Second)
	sec := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }
	labels := map[string]string{"alertname": "Down", "severity": "page"}
	change := func(n int, prev, next string) row { return row{at: sec(n), prev: prev, next: next, labels: labels} }
	course := []row{change(10, "Normal", "Pending"), change(30, "Pending", "Alerting"), change(260, "Alerting", "Normal")}
	page := note{at: sec(40), receiver: "pager", outcome: "success", labels: labels}
	failed := page
	failed.outcome = "error"
	nodata := row{at: sec(-60), prev: "Normal", next: "NoData", labels: map[string]string{"alertname": "Down", "severity": "page", "datasource_uid": "x"}}
	back := row{at: sec(150), prev: "NoData", next: "Normal (MissingSeries)", labels: nodata.labels}
	up := sec(-7200)
	for _, c := range []judged{
		{name: "hit", fake: &fake{rows: course, notes: []note{page}, started: up}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "hit, 50 s ahead", fake: &fake{rows: course, notes: []note{page}, started: up, ahead: 50 * time.Second}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "hosted", fake: &fake{rows: course, notes: []note{page}}, config: Config{Hosted: true}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "told twice and in any order", fake: &fake{rows: append(slices.Clone(course), course[1], course[0]), notes: []note{page, page}, started: up},
			fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "in many pages", fake: &fake{rows: append(course, many(t0)...), notes: []note{page}, started: up, most: 100}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "refused and broken in between", fake: &fake{rows: course, notes: []note{page}, started: up, refuse: []int{429, 500}}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "to another contact point", fake: &fake{rows: course, notes: []note{page}, started: up}, config: Config{Receivers: []string{"chat"}}, fired: "met hit", paged: "missed missed",
			cleared: "met hit"},
		{name: "about another rule", fake: &fake{rows: course, notes: []note{{sec(35), "pager", "success", map[string]string{"alertname": "Other"}}, page}, started: up}, fired: "met hit", paged: "met hit",
			cleared: "met hit"},
		{name: "not delivered", fake: &fake{rows: course, notes: []note{failed}, started: up}, fired: "met hit", paged: "missed missed", cleared: "met hit"},
		{name: "pages are not told", fake: &fake{rows: course, started: up, noHistory: true}, fired: "met hit", paged: "unknown hit", cleared: "met hit",
			why: "notification history is not switched on"},
		{name: "missed", fake: &fake{started: up}, fired: "missed missed", paged: "missed missed", cleared: "unknown missed"},
		{name: "missed, hosted", fake: &fake{}, config: Config{Hosted: true}, fired: "missed missed", paged: "missed missed", cleared: "unknown missed"},
		{name: "nobody knows whether it ran", fake: &fake{}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "hosted = true"},
		{name: "it was started later", fake: &fake{started: sec(30)}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "was not running yet"},
		{name: "watched", fake: &fake{}, watched: true, fired: "missed missed", paged: "missed missed", cleared: "unknown missed"},
		{name: "no data at the onset", fake: &fake{rows: []row{nodata, back}, started: up}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "had no data"},
		{name: "no data, then firing", fake: &fake{rows: []row{change(-60, "Normal", "Normal (NoData)"), change(20, "Normal (NoData)", "Alerting"), change(260, "Alerting", "Normal")}, started: up},
			fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "may have been there before"},
		{name: "alerting by an error is none", fake: &fake{rows: []row{change(20, "Normal", "Alerting (Error)"), change(260, "Alerting (Error)", "Normal")}, started: up},
			fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "its rule failed"},
		{name: "no data is quiet", fake: &fake{rows: []row{change(-60, "Normal", "Normal (NoData)")}, started: up}, config: Config{NoDataIsQuiet: []string{"Down"}},
			fired: "missed missed", paged: "missed missed", cleared: "unknown missed"},
		{name: "an unknown state", fake: &fake{rows: []row{change(10, "Normal", "Perplexed")}, started: up}, fired: "unknown unobserved", paged: "unknown unobserved",
			cleared: "unknown unobserved", why: "not known here"},
		{name: "firing from before", fake: &fake{rows: []row{change(260, "Alerting", "Normal")}, started: up}, fired: "unknown preexisting", paged: "unknown preexisting",
			cleared: "unknown preexisting"},
		{name: "pending from before", fake: &fake{rows: []row{change(-20, "Normal", "Pending"), change(10, "Pending", "Alerting")}, started: up}, fired: "unknown primed",
			paged: "unknown primed", cleared: "unknown primed"},
		{name: "late", fake: &fake{rows: []row{change(100, "Normal", "Alerting")}, notes: []note{{sec(110), "pager", "success", labels}}, started: up}, fired: "missed late",
			paged: "met hit", cleared: "missed stuck"},
		{name: "annotations", fake: &fake{rows: course, annotations: true, started: up, notes: []note{page}}, fired: "met hit", paged: "met hit", cleared: "unknown hit",
			why: "does not tell when there was no data"},
		{name: "annotations, nothing", fake: &fake{annotations: true, started: up}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved"},
		{name: "half a JSON", fake: &fake{body: `{"schema":{"fields":[{"na`}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved",
			why: "unexpected end of JSON input"},
		{name: "no frame", fake: &fake{body: `{"status":"success","data":{"groups":[]}}`}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved"},
		{name: "away", fake: &fake{refuse: slices.Repeat([]int{503}, 200)}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "503"},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, t0) })
	}
}

// many are changes of another alarm, more than one answer holds.
func many(t0 time.Time) []row {
	var out []row
	for i := range 450 {
		out = append(out, row{at: t0.Add(time.Duration(i) * time.Second), prev: "Normal", next: "Pending", labels: map[string]string{"alertname": "Down", "instance": fmt.Sprint(i)}})
	}
	return out
}

// TestLate asks before and after a change has been written: until it can have been, the end of the run is not covered.
func TestLate(t *testing.T) {
	t0 := time.Now().Add(-70 * time.Second)
	labels := map[string]string{"alertname": "Down", "severity": "page"}
	f := &fake{started: t0.Add(-time.Hour), rules: []string{group("Down", "ok", time.Now(), "")},
		rows: []row{{at: t0.Add(40 * time.Second), prev: "Normal", next: "Alerting", labels: labels, hidden: true}}}
	s := faked(t, f, Config{Settle: "60s"})
	s.wanted.Expect([]alarms.Expectation{expectation("Down")})
	run := judgerig.Around(t0, expectation("Down"))
	run.Gone, run.End = t0.Add(50*time.Second), time.Now()
	if it := run.Alarms(t, s, nil)["fired"]; verdict(it) != "unknown unobserved" || !strings.Contains(it.Why, "not complete yet") {
		t.Errorf("before it was written: %s: %s", verdict(it), it.Why)
	}
	f.mu.Lock()
	f.rows[0].hidden = false
	f.mu.Unlock()
	if it := run.Alarms(t, s, nil)["fired"]; verdict(it) != "met hit" {
		t.Errorf("afterwards: %s: %s", verdict(it), it.Why)
	}
}

// TestNotWritten finds that the history lacks what was seen live: it proves nothing then.
func TestNotWritten(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute)
	s := faked(t, &fake{started: t0.Add(-time.Hour), rules: []string{group("Down", "ok", time.Now(), ""), group("Other", "ok", time.Now(), "")}}, Config{})
	other := expectation("Other")
	s.wanted.Expect([]alarms.Expectation{expectation("Down"), other})
	for _, o := range []alarms.Observation{{At: clock.At(t0), State: alarms.StateFiring}, {At: clock.At(t0.Add(time.Minute)), State: alarms.StateInactive}} {
		o.Key, o.Labels = "{alertname=\"Other\"}", other.Match
		s.memory.Add(o)
	}
	it := judgerig.Around(t0, expectation("Down")).Alarms(t, s, nil)["fired"]
	if verdict(it) != "unknown unobserved" || !strings.Contains(it.Why, "lacks what was seen live") {
		t.Errorf("%s: %s", verdict(it), it.Why)
	}
}

// TestAbsent judges an alarm that no rule can raise.
func TestAbsent(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute)
	s := faked(t, &fake{started: t0.Add(-time.Hour), readsAll: true}, Config{})
	findings, err := s.Preflight(t.Context(), []alarms.Expectation{expectation("Down")})
	if err != nil {
		t.Fatal(err)
	}
	if it := judgerig.Around(t0, expectation("Down")).Alarms(t, s, findings)["fired"]; it.Outcome != clock.Missed || !strings.Contains(it.Why, "no rule is named Down") {
		t.Errorf("%s: %s", verdict(it), it.Why)
	}
}

// TestLook reads what stands now, with its silences and reasons.
func TestLook(t *testing.T) {
	now := time.Now()
	since := now.Add(-30 * time.Second).Round(time.Second)
	for _, c := range []struct {
		name string
		fake *fake
		want []string
	}{
		{"quiet", &fake{rules: []string{group("Down", "ok", now, "", stands("Down", "Normal", since))}}, nil},
		{"pending", &fake{rules: []string{group("Down", "ok", now, "", stands("Down", "Pending", since))}}, []string{"pending began"}},
		{"firing", &fake{rules: []string{group("Down", "ok", now, "", stands("Down", "Alerting", since))}}, []string{"firing fired"}},
		{"recovering", &fake{rules: []string{group("Down", "ok", now, "", stands("Down", "Recovering", since))}}, []string{"firing fired"}},
		{"silenced", &fake{rules: []string{group("Down", "ok", now, "", stands("Down", "Alerting", since))},
			alerts: `{"labels":{"alertname":"Down","severity":"page","__x__":"y"},"status":{"state":"suppressed","silencedBy":["s-1"],"mutedBy":["nights"]}}`},
			[]string{"suppressed fired silenced by s-1; muted by nights"}},
		{"no data", &fake{rules: []string{group("Down", "ok", now, "", stands("Down", "Alerting (NoData)", since))}}, []string{"wrong: the rule Down cannot tell"}},
		{"another", &fake{rules: []string{group("Down", "ok", now, ""), group("Up", "ok", now, "", stands("Up", "Alerting", since))}}, nil},
		{"gone", &fake{rules: []string{group("Up", "ok", now, "")}}, []string{"wrong: no rule is named Down"}},
	} {
		s := faked(t, c.fake, Config{})
		s.wanted.Expect([]alarms.Expectation{expectation("Down")})
		if _, _, err := s.clock.FromDates(t.Context(), s.health); err != nil {
			t.Fatal(err)
		}
		l, err := s.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if l.Wrong != "" {
			got = append(got, "wrong: "+strings.SplitN(l.Wrong, ":", 2)[0])
			got[0] = strings.SplitN(got[0], ". ", 2)[0]
			if !l.Holds(expectation("Down").Match) || l.Holds(expectation("Up").Match) {
				t.Errorf("%s: it holds the wrong alarms", c.name)
			}
		}
		for _, one := range l.Standing {
			words := string(one.State)
			if !one.Began.IsZero() && !one.Began.Lo.After(since) && !one.Began.Hi.Before(since) {
				words += " began"
			}
			if !one.Fired.IsZero() && !one.Fired.Lo.After(since) && !one.Fired.Hi.Before(since) {
				words += " fired"
			}
			got = append(got, strings.TrimSpace(words+" "+one.Why))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if _, err := faked(t, &fake{body: "[{"}, Config{}).look(t.Context()); err == nil {
		t.Error("half a JSON is no look")
	}
}

// TestNoise tells of alarms that nobody expects, and asks about all rules for them.
func TestNoise(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute)
	labels := map[string]string{"alertname": "Other", "severity": "page"}
	for _, annotations := range []bool{false, true} {
		f := &fake{started: t0.Add(-time.Hour), annotations: annotations, rules: []string{group("Down", "ok", time.Now(), ""), group("Other", "ok", time.Now(), "")},
			rows: []row{{at: t0, prev: "Normal", next: "Alerting", labels: labels}, {at: t0, prev: "Normal", next: "Alerting", labels: map[string]string{"alertname": "Chat"}}}}
		s := faked(t, f, Config{}, "page")
		s.wanted.Expect([]alarms.Expectation{expectation("Down")})
		episodes, _, err := s.History(t.Context(), clock.Span{Start: t0.Add(-time.Minute), End: t0.Add(5 * time.Minute)})
		if err != nil || len(episodes) != 1 || episodes[0].Labels["alertname"] != "Other" || episodes[0].Notes["summary"] == "" || episodes[0].Notes["__dashboardUid__"] != "" {
			t.Errorf("annotations %v: %+v, %v", annotations, episodes, err)
		}
	}
}

// TestConfig names each mistake by its field, and hides secrets.
func TestConfig(t *testing.T) {
	c := Config{URL: "ftp://x", Token: "hush", Username: "u", Password: "hush", Poll: "-1s", Timeout: "soon", Settle: "0", Receivers: []string{""}, PerMinute: -1, Namespace: "a/b"}
	got := fields(c.Validate())
	for _, want := range []string{"url", "token", "poll", "timeout", "settle", "receivers", "requests_per_minute", "namespace"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	b, err := json.Marshal(c)
	for _, text := range []string{string(b), fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c)} {
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

// FuzzFrame reads frames that a server may send: whatever they are, an answer is understood whole or an error.
func FuzzFrame(f *testing.F) {
	f.Add(`{"schema":{"fields":[{"name":"time"},{"name":"line"},{"name":"labels"}]},"data":{"values":[[1700000000000],[{"current":"Alerting","labels":{"alertname":"Down"}}],[{}]]}}`)
	f.Add(`{"schema":{"fields":[{"name":"time"},{"name":"text"},{"name":"prev"},{"name":"next"},{"name":"data"}]},"data":{"values":[[1700000000000000],["Down {alertname=Down, a=b, c} - A=1"],["Normal"],["Alerting"],["{}"]]}}`)
	f.Add(`{"schema":{"fields":[{"name":"time"},{"name":"line"}]},"data":{"values":[]}}`)
	f.Add(`{"schema":{"fields":[{"name":"time"},{"name":"line"}]},"data":{"values":[[1],["\"x"]]}}`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, text string) {
		var fr frame
		if json.Unmarshal([]byte(text), &fr) != nil {
			return
		}
		list, _, err := fr.read("Down")
		if err != nil {
			return
		}
		_, rows, err := fr.columns()
		if err != nil || rows != len(list) {
			t.Fatalf("%d of %d rows, %v", len(list), rows, err)
		}
		for _, one := range list {
			if one.At.Year() < 1973 || one.Next == "" && one.Previous == "" && one.Labels == nil {
				t.Fatalf("%+v", one)
			}
		}
	})
}
