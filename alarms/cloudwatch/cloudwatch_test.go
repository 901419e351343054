package cloudwatch

import (
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

// TestPreflightFindings checks each finding that a CloudWatch can cause.
func TestPreflightFindings(t *testing.T) {
	down := standing{name: "Down", state: "OK", actions: []string{pager}}
	with := func(change func(*standing)) []standing {
		a := down
		change(&a)
		return []standing{a}
	}
	for _, c := range []struct {
		name   string
		fake   *fake
		config Config
		match  map[string]string
		blocks int
		says   []string
	}{
		{name: "ready", fake: &fake{alarms: []standing{down}}},
		{name: "composite", fake: &fake{alarms: with(func(a *standing) { a.composite = true })}},
		{name: "by a dimension", fake: &fake{alarms: []standing{down}}, match: map[string]string{"Service": "payments", "region": "eu-central-1"}},
		{name: "on page two", fake: &fake{alarms: []standing{{name: "Up", state: "OK"}, down}, perPage: 1}},
		{name: "throttled once", fake: &fake{alarms: []standing{down}, refuse: []string{"Throttling", "ThrottlingException"}}},
		{name: "broken once", fake: &fake{alarms: []standing{down}, refuse: []string{"500"}}},
		{name: "throttled", fake: &fake{refuse: slices.Repeat([]string{"Throttling"}, 60)}, blocks: 1, says: []string{"cannot be read", "asked too often"}},
		{name: "not allowed", fake: &fake{refuse: []string{"AccessDenied"}}, blocks: 1, says: []string{"cloudwatch:DescribeAlarms and cloudwatch:DescribeAlarmHistory"}},
		{name: "expired", fake: &fake{refuse: []string{"ExpiredToken"}}, blocks: 1, says: []string{"are the credentials still good"}},
		{name: "half an answer", fake: &fake{alarms: []standing{down}, cut: true}, blocks: 1, says: []string{"cannot be read"}},
		{name: "90 s ahead", fake: &fake{alarms: []standing{down}, ahead: 90 * time.Second}, blocks: 1, says: []string{"ahead of"}},
		{name: "no such alarm", fake: &fake{alarms: []standing{{name: "Dowm", state: "OK"}}}, blocks: 1, says: []string{"no alarm is named Down", "Did you mean Dowm?", "composite"}},
		{name: "other labels", fake: &fake{alarms: []standing{down}}, match: map[string]string{"Service": "shop"}, blocks: 1, says: []string{"can never have the labels"}},
		{name: "no data", fake: &fake{alarms: with(func(a *standing) { a.state = "INSUFFICIENT_DATA" })}, blocks: 1, says: []string{"insufficient data", "no_data_is_quiet"}},
		{name: "no data is quiet", fake: &fake{alarms: with(func(a *standing) { a.state = "INSUFFICIENT_DATA" })}, config: Config{NoDataIsQuiet: []string{"Down"}}},
		{name: "an unknown state", fake: &fake{alarms: with(func(a *standing) { a.state = "PERPLEXED" })}, blocks: 1, says: []string{`"PERPLEXED" is not known here`}},
		{name: "not evaluated", fake: &fake{alarms: with(func(a *standing) { a.evaluation = "EVALUATION_ERROR" })}, blocks: 1, says: []string{"EVALUATION_ERROR"}},
		{name: "firing", fake: &fake{alarms: with(func(a *standing) { a.state = "ALARM" })}, blocks: 1, says: []string{"is firing already"}},
		{name: "actions off", fake: &fake{alarms: with(func(a *standing) { a.off = true })}, blocks: 1, says: []string{"is held back", "switched off"}},
		{name: "held back by another", fake: &fake{alarms: with(func(a *standing) { a.composite, a.by = true, "Maintenance" })}, blocks: 1, says: []string{"held back by Maintenance"}},
		{name: "no actions", fake: &fake{alarms: with(func(a *standing) { a.actions = nil })}, says: []string{"has no actions"}},
		{name: "pages nobody", fake: &fake{alarms: with(func(a *standing) { a.actions = []string{chat} })}, config: Config{Pages: []string{pager}}, says: []string{"does not page"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := expectation("Down")
			for k, v := range c.match {
				e.Match[k] = v
			}
			f, err := faked(t, c.fake, c.config).Preflight(t.Context(), []alarms.Expectation{e})
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
			if blocks != c.blocks || len(c.says) == 0 && text != "" {
				t.Errorf("%d findings block, want %d:\n%s", blocks, c.blocks, text)
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, text)
				}
			}
			if strings.Contains(text, "hush") || strings.Contains(text, "AKIDTEST") {
				t.Errorf("a key is printed:\n%s", text)
			}
		})
	}
}

func verdict(it *report.Item) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s", it.Outcome, it.Class))
}

// TestJudged has a run judged by what a CloudWatch tells of it, good and bad.
func TestJudged(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute).Round(time.Second)
	sec := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }
	fires, ends := state("Down", sec(20), "OK", "ALARM"), state("Down", sec(260), "ALARM", "OK")
	paged := acted("Down", sec(21), pager, "Succeeded")
	told := acted("Down", sec(261), pager, "Succeeded") // that it is over
	summary := entry{name: "Down", kind: "Action", at: sec(21), summary: "Successfully executed action " + pager}
	odd := entry{name: "Down", kind: "Action", at: sec(21), summary: "Something about an action", data: "{}"}
	unread := fires
	unread.data = "{}"
	for _, c := range []struct {
		name                  string
		fake                  *fake
		config                Config
		fired, paged, cleared string
		why                   string
	}{
		{name: "hit", fake: &fake{entries: []entry{fires, paged, ends, told}}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "hit, 50 s ahead", fake: &fake{entries: []entry{fires, paged, ends}, ahead: 50 * time.Second}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "told twice, in any order, page by page", fake: &fake{entries: []entry{ends, paged, fires, fires, ends}, perPage: 1}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "throttled and broken in between", fake: &fake{entries: []entry{fires, paged, ends}, refuse: []string{"Throttling", "500", "RequestLimitExceeded"}}, fired: "met hit", paged: "met hit",
			cleared: "met hit"},
		{name: "told in words", fake: &fake{entries: []entry{fires, summary, ends}}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "only told that it is over", fake: &fake{entries: []entry{fires, ends, told}}, fired: "met hit", paged: "missed missed", cleared: "met hit"},
		{name: "not carried out", fake: &fake{entries: []entry{fires, acted("Down", sec(21), pager, "Failed"), ends}}, fired: "met hit", paged: "missed missed", cleared: "met hit"},
		{name: "another action", fake: &fake{entries: []entry{fires, acted("Down", sec(21), chat, "Succeeded"), ends}}, config: Config{Pages: []string{pager}}, fired: "met hit", paged: "missed missed",
			cleared: "met hit"},
		{name: "an action that cannot be read", fake: &fake{entries: []entry{fires, odd, ends}}, fired: "met hit", paged: "unknown hit", cleared: "met hit", why: "what became of an action"},
		{name: "missed", fake: &fake{}, fired: "missed missed", paged: "missed missed", cleared: "unknown missed"},
		{name: "no data at the onset", fake: &fake{entries: []entry{state("Down", sec(-100), "OK", "INSUFFICIENT_DATA"), state("Down", sec(100), "INSUFFICIENT_DATA", "OK")}},
			fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "insufficient data"},
		{name: "no data, then firing", fake: &fake{entries: []entry{state("Down", sec(-100), "OK", "INSUFFICIENT_DATA"), state("Down", sec(20), "INSUFFICIENT_DATA", "ALARM"), paged, ends}},
			fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "may have been there before"},
		{name: "no data is quiet", fake: &fake{entries: []entry{state("Down", sec(-100), "OK", "INSUFFICIENT_DATA"), state("Down", sec(20), "INSUFFICIENT_DATA", "ALARM"), paged, ends}},
			config: Config{NoDataIsQuiet: []string{"Down"}}, fired: "met hit", paged: "met hit", cleared: "met hit"},
		{name: "an entry that cannot be read", fake: &fake{entries: []entry{unread, ends}}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "of no known form"},
		{name: "an unknown state", fake: &fake{entries: []entry{state("Down", sec(20), "OK", "PERPLEXED")}}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved",
			why: "not known here"},
		{name: "deleted", fake: &fake{entries: []entry{{name: "Down", kind: "ConfigurationUpdate", at: sec(5), data: `{"version":"1.0","type":"Delete"}`}}}, fired: "unknown unobserved",
			paged: "unknown unobserved", cleared: "unknown unobserved", why: "was deleted"},
		{name: "firing from before", fake: &fake{entries: []entry{ends}}, fired: "unknown preexisting", paged: "unknown preexisting", cleared: "unknown preexisting"},
		{name: "late", fake: &fake{entries: []entry{state("Down", sec(100), "OK", "ALARM"), acted("Down", sec(101), pager, "Succeeded")}}, fired: "missed late", paged: "met hit", cleared: "missed stuck"},
		{name: "it stands, by its state alone", fake: &fake{alarms: []standing{{name: "Down", state: "ALARM", since: sec(20)}}}, fired: "met hit", paged: "missed missed", cleared: "missed stuck"},
		{name: "its actions are off", fake: &fake{alarms: []standing{{name: "Down", state: "ALARM", since: sec(20), off: true}}, entries: []entry{fires}}, fired: "met hit", paged: "missed suppressed",
			cleared: "missed stuck", why: "switched off"},
		{name: "no data now, and nobody watched", fake: &fake{alarms: []standing{{name: "Down", state: "INSUFFICIENT_DATA"}}}, fired: "unknown unobserved", paged: "unknown unobserved",
			cleared: "unknown unobserved", why: "insufficient data"},
		{name: "half an answer", fake: &fake{entries: []entry{fires}, cut: true}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved"},
		{name: "away", fake: &fake{refuse: slices.Repeat([]string{"500"}, 100)}, fired: "unknown unobserved", paged: "unknown unobserved", cleared: "unknown unobserved", why: "500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.fake.alarms == nil {
				c.fake.alarms = []standing{{name: "Down", state: "OK", actions: []string{pager}}}
			}
			s := faked(t, c.fake, c.config)
			s.wanted.Expect([]alarms.Expectation{expectation("Down")})
			items := judgerig.Around(t0, expectation("Down")).Alarms(t, s, nil)
			for what, want := range map[string]string{"fired": c.fired, "paged": c.paged, "cleared": c.cleared} {
				if got := verdict(items[what]); got != want {
					t.Errorf("%s is %q, want %q: %s", what, got, want, items[what].Why)
				}
			}
			if whys := items["fired"].Why + items["paged"].Why + items["cleared"].Why; !strings.Contains(whys, c.why) {
				t.Errorf("it does not say %q: %s", c.why, whys)
			}
		})
	}
}

// TestLate asks before and after an entry is there.
func TestLate(t *testing.T) {
	t0 := time.Now().Add(-70 * time.Second)
	f := &fake{alarms: []standing{{name: "Down", state: "OK"}}, entries: []entry{state("Down", t0.Add(40*time.Second), "OK", "ALARM")}}
	f.entries[0].hidden = true
	s := faked(t, f, Config{})
	s.wanted.Expect([]alarms.Expectation{expectation("Down")})
	run := judgerig.Around(t0, expectation("Down"))
	run.Gone, run.End = t0.Add(50*time.Second), time.Now()
	if it := run.Alarms(t, s, nil)["fired"]; verdict(it) != "unknown unobserved" || !strings.Contains(it.Why, "not complete yet") {
		t.Errorf("before it is there: %s: %s", verdict(it), it.Why)
	}
	f.mu.Lock()
	f.entries[0].hidden = false
	f.mu.Unlock()
	if it := run.Alarms(t, s, nil)["fired"]; verdict(it) != "met hit" {
		t.Errorf("afterwards: %s: %s", verdict(it), it.Why)
	}
}

// TestLook reads what stands now. What counts is when the state became another, not when its reason did.
func TestLook(t *testing.T) {
	since := time.Now().Add(-time.Minute)
	for _, c := range []struct {
		alarm standing
		want  string
	}{
		{standing{name: "Down", state: "OK", since: since}, ""},
		{standing{name: "Down", state: "ALARM", since: since}, "firing"},
		{standing{name: "Down", state: "ALARM", since: since, off: true}, "suppressed its actions are switched off"},
		{standing{name: "Down", state: "ALARM", since: since, composite: true, by: "Maintenance"}, "suppressed its actions are held back by Maintenance (Alarm)"},
		{standing{name: "Down", state: "INSUFFICIENT_DATA", since: since}, "wrong"},
		{standing{name: "Up", state: "ALARM", since: since}, "wrong"}, // Down is gone
	} {
		s := faked(t, &fake{alarms: []standing{c.alarm}, ahead: 5 * time.Second}, Config{})
		s.wanted.Expect([]alarms.Expectation{expectation("Down")})
		if _, err := s.alarms(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, told := s.measure(); !told {
			t.Fatal("the clock is not told")
		}
		l, err := s.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if l.Wrong != "" {
			got = "wrong"
			if !l.Holds(expectation("Down").Match) {
				t.Errorf("%+v: it may stand all the same", c.alarm)
			}
		}
		for _, one := range l.Standing {
			got += strings.TrimSpace(string(one.State) + " " + one.Why)
			if one.Fired.Lo.After(since) || one.Fired.Hi.Before(since) {
				t.Errorf("%+v: fired %v, want %v", c.alarm, one.Fired, since)
			}
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.alarm, got, c.want)
		}
	}
}

// TestNoise tells of alarms that nobody expects, by one question for all.
func TestNoise(t *testing.T) {
	t0 := time.Now().Add(-20 * time.Minute)
	f := &fake{alarms: []standing{{name: "Down", state: "OK"}, {name: "Other", state: "OK"}}, entries: []entry{state("Other", t0, "OK", "ALARM"), state("Gone", t0, "OK", "ALARM")}}
	s := faked(t, f, Config{})
	s.wanted.Noise = map[string]string{"Service": "payments"}
	s.wanted.Expect([]alarms.Expectation{expectation("Down")})
	episodes, _, err := s.History(t.Context(), clock.Span{Start: t0.Add(-time.Minute), End: t0.Add(5 * time.Minute)})
	if err != nil || len(episodes) != 1 || episodes[0].Labels["alertname"] != "Other" || episodes[0].Notes["description"] != "no payments" || len(f.asked) != 2 {
		t.Errorf("%+v, %v, asked %v", episodes, err, f.asked)
	}
}

// TestConfig names each mistake by its field.
func TestConfig(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   []string
	}{
		{Config{}, nil},
		{Config{Region: "eu-central-1", Endpoint: "https://vpce-1.monitoring.eu-central-1.vpce.amazonaws.com"}, nil},
		{Config{Region: "https://eu", Endpoint: "vpce-1", Poll: "x", Settle: "-1s", Timeout: "0", Pages: []string{"pager"}}, []string{"endpoint", "pages_to", "poll", "region", "settle", "timeout"}},
	} {
		got := fields(c.config.Validate())
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.config, got, c.want)
		}
	}
}

// TestNoRegion says so instead of guessing one.
func TestNoRegion(t *testing.T) {
	s := faked(t, &fake{}, Config{})
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	s.config.Region = ""
	f, err := s.Preflight(t.Context(), nil)
	if err != nil || len(f) != 1 || !f[0].Blocks || !strings.Contains(f[0].Detail, "AWS_REGION") {
		t.Errorf("%+v, %v", f, err)
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

// FuzzItem reads entries of a history: what is no known form is an error or not told, never a quiet alarm or a page.
func FuzzItem(f *testing.F) {
	for _, text := range []string{`{"version":"1.0","oldState":{"stateValue":"OK"},"newState":{"stateValue":"ALARM"}}`, `{"actionState":"Succeeded","notificationResource":"arn:x"}`, `{}`, ``,
		`{"type":"Delete"}`} {
		f.Add(text, "Successfully executed action arn:x")
	}
	f.Fuzz(func(t *testing.T, data, summary string) {
		i := item{name: "Down", kind: "StateUpdate", data: data, summary: summary}
		if _, after, err := i.update(); err == nil && after == "" {
			t.Fatal("a change to nothing")
		}
		if _, done, ok := i.action(); done && !ok {
			t.Fatal("carried out, and not told")
		}
		if i.deleted() {
			t.Fatal("a change of state deletes nothing")
		}
	})
}
