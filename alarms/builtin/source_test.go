package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/loadgen/sli"
	"gameday/responders/desk"
)

// above is the condition "indicator x above limit".
func above(name string, limit float64) *sli.Expr {
	return &sli.Expr{Op: ">", Args: []*sli.Expr{{SLI: name}, {Const: &limit}}}
}

// readings answers with fixed values; what is missing has no data.
type readings map[string]float64

func (r readings) Read(_, name string) (float64, bool) {
	v, ok := r[name]
	return v, ok
}

// over answers the same over every window.
func (r readings) over(*sli.Expr, time.Duration) sli.Readings { return r }

func rules(held, keep time.Duration) Config {
	return Config{Rules: []Rule{{Name: "Slow", When: above("p95", 1), Held: held, Keep: keep,
		Labels: map[string]string{"severity": "page"}, Annotations: map[string]string{"summary": "slow"}}}}
}

// play evaluates once a second: '+' true, '-' false, '?' no data. It returns the changes as "second state".
func play(s *Source, start time.Time, story string) []string {
	return playEvery(s, start, time.Second, story)
}

// playEvery is play with so much time from one evaluation to the next.
func playEvery(s *Source, start time.Time, every time.Duration, story string) []string {
	for i, c := range story {
		r := readings{}
		switch c {
		case '+':
			r["p95"] = 2
		case '-':
			r["p95"] = 0.5
		}
		s.Evaluate(start.Add(time.Duration(i)*every), r.over)
	}
	out := []string{}
	for _, o := range s.queue {
		out = append(out, fmt.Sprintf("%d %s", int(o.At.Hi.Sub(start).Round(time.Second).Seconds()), o.State))
	}
	return out
}

// TestPhases follows one rule through its phases.
func TestPhases(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name, story string
		held, keep  time.Duration
		want        []string
		episodes    int
	}{
		{"quiet", "-----", 3 * time.Second, 0, []string{}, 0},
		{"fires when held, ends at once", "-++++-", 3 * time.Second, 0, []string{"1 pending", "4 firing", "5 inactive"}, 1},
		{"fires at once", "-+-", 0, 0, []string{"1 pending", "1 firing", "2 inactive"}, 1},
		{"not held", "-++-++-", 3 * time.Second, 0, []string{"1 pending", "3 inactive", "4 pending", "6 inactive"}, 2},
		{"a flap inside keep is one episode", "+--+---+----", 0, 3 * time.Second, []string{"0 pending", "0 firing",
			"11 inactive"}, 1},
		{"a flap outside keep is two", "+----+----", 0, 3 * time.Second,
			[]string{"0 pending", "0 firing", "4 inactive", "5 pending", "5 firing", "9 inactive"}, 2},
		{"no data does not advance", "++???++", 3 * time.Second, 0, []string{"0 pending"}, 1},
		{"and then it goes on", "++???+++", 3 * time.Second, 0, []string{"0 pending", "7 firing"}, 1},
		{"no data does not clear", "+-??--", 0, 2 * time.Second, []string{"0 pending", "0 firing"}, 1},
		{"and then it clears", "+-??---", 0, 2 * time.Second, []string{"0 pending", "0 firing", "6 inactive"}, 1},
	} {
		s, err := New("builtin.main", rules(c.held, c.keep))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, play(s, start, c.story)); diff != "" {
			t.Errorf("%s: %s\n%s", c.name, c.story, diff)
		}
		span := clock.Span{Start: start, End: start.Add(time.Minute)}
		episodes, _, err := s.History(t.Context(), span)
		if err != nil || len(episodes) != c.episodes {
			t.Errorf("%s: %d episodes, want %d", c.name, len(episodes), c.episodes)
		}
		for _, e := range episodes {
			if e.Labels[alertName] != "Slow" || e.Labels["severity"] != "page" || e.Notes["summary"] != "slow" {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
	}
}

// TestTicksOfARealClock evaluates a moment early or late, as a ticker of real time does: the alarm fires, is repeated and ends at the seconds that it would
// have.
func TestTicksOfARealClock(t *testing.T) {
	for _, early := range []time.Duration{0, 20 * time.Microsecond, 10 * time.Millisecond, -10 * time.Millisecond} {
		c := rules(time.Second, 2*time.Second)
		c.Notify, c.Repeat = []string{"http://hook.example"}, 2*time.Second
		s, err := New("builtin.main", c)
		if err != nil {
			t.Fatal(err)
		}
		got := playEvery(s, time.Unix(1_700_000_000, 0), time.Second-early, "-++++---")
		if diff := cmp.Diff([]string{"1 pending", "2 firing", "7 inactive"}, got); diff != "" {
			t.Errorf("ticks come %s early: %s", early, diff)
		}
		if sent := len(s.senders[0].waiting); sent != 4 { // at 2, 4, 6 and 7
			t.Errorf("ticks come %s early: %d are sent", early, sent)
		}
	}
}

// TestCoverage counts the seconds in which the rule could be evaluated.
func TestCoverage(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	s, err := New("builtin.main", rules(time.Second, 0))
	if err != nil {
		t.Fatal(err)
	}
	play(s, start, "-----?????-----")
	span := clock.Span{Start: start, End: start.Add(14 * time.Second)}
	_, coverage, err := s.History(t.Context(), span)
	if err != nil || len(coverage.Spans) != 2 || len(coverage.Why) != 1 || !strings.Contains(coverage.Why[0],
		"no data for sli.p95 > 1") {
		t.Errorf("coverage %+v, %v", coverage, err)
	}
	if share := clock.Share(coverage.Spans, span); share < 0.57 || share > 0.58 {
		t.Errorf("coverage is %.3f of 14 s, want the 8 s between good evaluations", share)
	}
}

// TestWindow evaluates each rule over its own window.
func TestWindow(t *testing.T) {
	c := rules(0, 0)
	c.Rules[0].Over = 30 * time.Second
	s, err := New("builtin.main", c)
	if err != nil {
		t.Fatal(err)
	}
	var asked []time.Duration
	s.Evaluate(time.Now(), func(_ *sli.Expr, d time.Duration) sli.Readings {
		asked = append(asked, d)
		return readings{}
	})
	if !slices.Equal(asked, []time.Duration{30 * time.Second}) {
		t.Errorf("asked for the windows %v", asked)
	}
}

// TestOrder checks, for any story, that phases come in order and that no rule fires before it was held.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := time.Duration(rapid.IntRange(0, 4).Draw(t, "held")) * time.Second
		keep := time.Duration(rapid.IntRange(0, 4).Draw(t, "keep")) * time.Second
		story := rapid.StringOfN(rapid.RuneFrom([]rune("+-?")), 0, 60, -1).Draw(t, "story")
		s, err := New("builtin.main", rules(held, keep))
		if err != nil {
			t.Fatal(err)
		}
		play(s, time.Unix(1_700_000_000, 0), story)
		phase, pending := alarms.StateInactive, time.Time{}
		for _, o := range s.queue {
			switch {
			case o.State == alarms.StatePending && phase == alarms.StateInactive:
				pending = o.At.Hi
			case o.State == alarms.StateFiring && phase == alarms.StatePending:
				if o.At.Lo.Sub(pending) < held {
					t.Fatalf("fired %v after pending, held %v", o.At.Lo.Sub(pending), held)
				}
			case o.State == alarms.StateInactive && phase != alarms.StateInactive:
			default:
				t.Fatalf("%s after %s", o.State, phase)
			}
			phase = o.State
		}
	})
}

// TestRetries fails an address three times, and for good, and checks that Evaluate never waits for it.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rules(0, 0)
		c.Notify, c.Repeat = []string{"http://hook.example/secret-path"}, time.Hour
		s, err := New("builtin.main", c)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var bodies []string
		fail := 3
		s.senders[0].post = func(_ context.Context, _ string, body []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if fail > 0 {
				fail--
				return errors.New("503 Service Unavailable")
			}
			bodies = append(bodies, string(body))
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		done := make(chan error)
		go func() {
			done <- s.Watch(ctx, func(o alarms.Observation) { seen = append(seen, string(o.State)+" "+o.Why) })
		}()
		start := time.Now()
		s.Evaluate(time.Now(), readings{"p95": 2}.over)
		if time.Now() != start {
			t.Error("Evaluate waited")
		}
		pass(10 * time.Second)
		want := []string{"pending ", "firing ", "broken notifying http://hook.example: 503 Service Unavailable",
			"reachable notifications reach http://hook.example again", "paged webhook taken by http://hook.example"}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
		for range 2 {
			pass(time.Hour)
			s.Evaluate(time.Now(), readings{"p95": 2}.over)
		}
		s.Evaluate(time.Now(), readings{"p95": 0}.over)
		synctest.Wait()
		if len(bodies) != 4 || !strings.Contains(bodies[3], `"status":"resolved"`) {
			t.Errorf("%d webhooks, want the first, two repetitions, and that it is quiet: %v", len(bodies), bodies)
		}
		fail = 1 << 30
		seen = nil
		s.Evaluate(time.Now(), readings{"p95": 2}.over)
		pass(5 * time.Minute)
		if n := len(seen); n < 3 || !strings.HasSuffix(seen[n-1], "; given up") {
			t.Errorf("a dead address ends in %v", seen)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestQueue fills a sender's queue: the oldest message gives way, and that is said.
func TestQueue(t *testing.T) {
	var said []string
	s := newSender("http://hook.example", func(o alarms.Observation) { said = append(said, o.Why) })
	for i := range queueLimit + 2 {
		s.put(message{key: fmt.Sprint(i)})
	}
	if len(s.waiting) != queueLimit || s.waiting[0].key != "2" || len(said) != 2 {
		t.Errorf("%d wait from %s on; said %v", len(s.waiting), s.waiting[0].key, said)
	}
}

// TestToDesk sends a rule's alarm to a real desk over HTTP: one page, opened and resolved.
func TestToDesk(t *testing.T) {
	d, err := desk.New("desk.ops", desk.Config{Levels: []desk.Level{{People: []string{"ann"}}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d.Handler())
	defer server.Close()
	c := rules(0, 0)
	c.Notify = []string{server.URL + "/webhook"}
	s, err := New("builtin.main", c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, paged := make(chan error, 1), make(chan alarms.Observation, 1)
	go func() {
		done <- s.Watch(ctx, func(o alarms.Observation) {
			if o.State == alarms.StatePaged {
				paged <- o
			}
		})
	}()
	s.Evaluate(time.Now(), readings{"p95": 2}.over)
	o := <-paged
	pages := d.Pages()
	if len(pages) != 1 || pages[0].State != desk.Open || pages[0].Fingerprint != fingerprint(pages[0].Labels) {
		t.Fatalf("pages %+v", pages)
	}
	if at := pages[0].OpenedAt; at.Before(o.At.Lo) || at.After(o.At.Hi) {
		t.Errorf("the desk received at %v, not in %v to %v", at, o.At.Lo, o.At.Hi)
	}
	events := make(chan desk.State, 1)
	go func() {
		watching, stop := context.WithCancel(ctx)
		defer stop()
		for p := range resolvedPages(watching, d) {
			events <- p
			return
		}
	}()
	s.Evaluate(time.Now(), readings{"p95": 0}.over)
	if got := <-events; got != desk.Resolved {
		t.Errorf("the page is %s", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	client.CloseIdleConnections()
}

// TestPayload compares a webhook with what Alertmanager documents.
func TestPayload(t *testing.T) {
	got := make(chan map[string]any, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got <- body
	}))
	defer server.Close()
	start := time.Date(2026, 11, 20, 14, 2, 0, 0, time.UTC)
	st := &state{rule: rules(0, 0).Rules[0], labels: map[string]string{"alertname": "Slow", "severity": "page"},
		started: start}
	m := compose(Config{Receiver: "gameday"}, st, firing, start)
	if err := post(t.Context(), server.URL, m.body); err != nil {
		t.Fatal(err)
	}
	labels := map[string]any{"alertname": "Slow", "severity": "page"}
	want := map[string]any{"version": "4", "groupKey": `{}:{alertname="Slow"}`, "truncatedAlerts": 0.0, "status": "firing",
		"receiver": "gameday", "groupLabels": map[string]any{"alertname": "Slow"}, "commonLabels": labels,
		"commonAnnotations": map[string]any{"summary": "slow"}, "externalURL": "",
		"alerts": []any{map[string]any{"status": "firing", "labels": labels, "annotations": map[string]any{"summary": "slow"},
			"startsAt": "2026-11-20T14:02:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
			"fingerprint": fingerprint(st.labels)}}}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Error(diff)
	}
	m = compose(Config{Drill: "This is a drill."}, st, firing, start)
	if err := post(t.Context(), server.URL, m.body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"summary": "[drill] slow", "drill": "This is a drill."}, (<-got)["commonAnnotations"]); diff != "" {
		t.Error(diff)
	}
	if st.rule.Annotations["summary"] != "slow" {
		t.Errorf("the rule itself was marked: %v", st.rule.Annotations)
	}
	if err := post(t.Context(), server.URL+"\x00", nil); err == nil || strings.Contains(err.Error(), server.URL) {
		t.Errorf("a bad address: %v", err)
	}
	client.CloseIdleConnections()
}

// TestPreflight names what is wrong with an expectation.
func TestPreflight(t *testing.T) {
	s, err := New("builtin.main", rules(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for match, want := range map[[2]string]string{
		{"Slow", "page"}: "", {"Slwo", "page"}: "Did you mean Slow?", {"Slow", "ticket"}: `Rule Slow has severity="page"`,
		{"Elsewhere", "page"}: "Its rules are Slow.",
	} {
		e := alarms.Expectation{Name: "a", Match: map[string]string{"alertname": match[0], "severity": match[1]}}
		f, err := s.Preflight(t.Context(), []alarms.Expectation{e})
		if err != nil || (want == "") != (len(f) == 0) || (want != "" && (f[0].Absent != "a" || f[0].Blocks ||
			!strings.Contains(f[0].Detail, want))) {
			t.Errorf("%v: %+v, %v; want %q", match, f, err, want)
		}
	}
	s.Evaluate(time.Now(), readings{"p95": 2}.over)
	e := alarms.Expectation{Name: "a", Match: map[string]string{"alertname": "Slow"}}
	if f, _ := s.Preflight(t.Context(), []alarms.Expectation{e}); len(f) != 1 ||
		f[0].Summary != "alarm a is firing already" {
		t.Errorf("a firing alarm: %+v", f)
	}
}

// TestValidate checks that each mistake is named by its field.
func TestValidate(t *testing.T) {
	bad := Config{Rules: []Rule{{Held: -1, Keep: -1}, {Name: "A", When: &sli.Expr{Op: "odd"},
		Labels: map[string]string{"alertname": "B"}},
		{Name: "A", When: above("p95", 1)}}, Notify: []string{"hook.example"}, Repeat: -1}
	var got []string
	for _, e := range bad.Validate().(interface{ Unwrap() []error }).Unwrap() {
		got = append(got, e.(*faults.FieldError).Field)
	}
	want := []string{"rule", "when", "held", "keep", "when", "labels", "rule", "notify", "repeat"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if (Config{}).Validate() == nil {
		t.Error("a configuration without rules is accepted")
	}
}

// pass lets the bubble's time pass, and what is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// resolvedPages yields the state of the desk's first page once it is resolved.
func resolvedPages(ctx context.Context, d *desk.Source) <-chan desk.State {
	out := make(chan desk.State, 1)
	go func() {
		defer close(out)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if p := d.Pages(); len(p) > 0 && p[0].State == desk.Resolved {
					out <- p[0].State
					return
				}
			}
		}
	}()
	return out
}
