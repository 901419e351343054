package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/clock"
	"gameday/faults"
	"gameday/responders"
)

var policy = Config{
	Levels: []Level{{People: []string{"ann"}, EscalateAfter: "5m"}, {People: []string{"bob", "cy"},
		EscalateAfter: "10m"}},
	Automation: []string{"slackbot"}, Repeat: 1,
}

// working returns a desk that works without a listener, stopped with the test.
func working(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New("desk.ops", c)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.begin()
	s.mu.Unlock()
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// hook writes a webhook with one alarm.
func hook(status, name string, starts time.Time) string {
	return fmt.Sprintf(`{"version":"4","groupKey":"{}:{}","status":%q,"receiver":"desk",
		"alerts":[{"status":%q,"labels":{"alertname":%q},
		"annotations":{"summary":"it is down"},"startsAt":%q,"endsAt":"0001-01-01T00:00:00Z","fingerprint":"fp-%s"}]}`,
		status, status, name, starts.Format(time.RFC3339Nano), name)
}

// post sends JSON to the desk's handler and returns the status and the body.
func post(t *testing.T, s *Source, path, body string) (int, string) {
	t.Helper()
	return send(t, s, "POST", path, "application/json", body)
}

func send(t *testing.T, s *Source, method, path, kind, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s answers with %q", method, path, got)
	}
	return w.Code, w.Body.String()
}

// told lists events as "kind level actor".
func told(events []responders.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", e.Kind, e.Level, e.Actor.ID, strings.Join(e.Targets,
			"+"))))
	}
	return out
}

// TestPolicy walks the whole policy: nobody answers, twice round, until nobody is left.
func TestPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := working(t, policy)
		start := time.Now()
		if code, body := post(t, s, "/webhook", hook("firing", "Down", start)); code != 200 {
			t.Fatalf("webhook: %d %s", code, body)
		}
		pass(5*time.Minute - time.Second)
		synctest.Wait()
		if p := s.Pages()[0]; p.Level != 1 || len(p.Events) != 2 {
			t.Errorf("a second before its time the page is at level %d: %v", p.Level, told(p.Events))
		}
		pass(time.Hour)
		synctest.Wait()
		p := s.Pages()[0]
		want := []string{
			"opened 1 webhook", "notified 1 desk ann",
			"escalated 2 policy", "notified 2 desk bob+cy",
			"escalated 1 policy", "notified 1 desk ann",
			"escalated 2 policy", "notified 2 desk bob+cy",
			"noted 2 policy",
		}
		if diff := cmp.Diff(want, told(p.Events)); diff != "" {
			t.Error(diff)
		}
		for i, after := range []time.Duration{0, 0, 5, 5, 15, 15, 20, 20, 30} {
			if got := p.Events[i].At.Lo.Sub(start); got != after*time.Minute {
				t.Errorf("event %d at %v, want %v", i, got, after*time.Minute)
			}
		}
	})
}

// TestPeople acts on a page in every way and checks who counts as what.
func TestPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := working(t, policy)
		post(t, s, "/webhook", hook("firing", "Down", time.Now()))
		for _, step := range []struct {
			path, body string
			code       int
		}{
			{"1/acknowledge", `{"by":"slackbot"}`, 200},
			{"1/acknowledge", `{"by":"slackbot"}`, 409},
			{"1/acknowledge", `{"by":"ann","kind":"human"}`, 200},
			{"1/note", `{"by":"ann","text":"looking"}`, 200},
			{"1/bridge", `{"by":"ann","text":"https://meet.example/1"}`, 200},
			{"1/escalate", `{"by":"ann","text":"need help"}`, 200},
			{"1/escalate", `{"by":"ann"}`, 409},
			{"newest/acknowledge", `{"by":"bob"}`, 200},
			{"1/mark", `{"by":"deploy","kind":"bot","text":"rolled back"}`, 200},
			{"1/resolve", `{"by":"bot:closer"}`, 200},
			{"1/acknowledge", `{"by":"ann"}`, 409},
			{"1/resolve", `{"by":"ann"}`, 409},
			{"1/note", `{"by":"ann","text":"write-up to follow"}`, 200},
			{"newest/note", `{"by":"ann","text":"x"}`, 404},
		} {
			if code, body := post(t, s, "/pages/"+step.path, step.body); code != step.code {
				t.Errorf("%s %s: %d %s, want %d", step.path, step.body, code, body, step.code)
			}
		}
		pass(time.Hour)
		synctest.Wait()
		p := s.Pages()[0]
		want := []string{"opened 1 webhook", "notified 1 desk ann", "acknowledged 1 slackbot", "acknowledged 1 ann",
			"noted 1 ann",
			"marked 1 ann", "noted 1 ann", "escalated 2 ann", "notified 2 desk bob+cy", "acknowledged 2 bob", "marked 2 deploy",
			"resolved 2 bot:closer", "noted 2 ann"}
		if diff := cmp.Diff(want, told(p.Events)); diff != "" {
			t.Error(diff)
		}
		kinds := map[string]responders.ActorKind{}
		for i, e := range p.Events {
			kinds[e.Actor.ID] = e.Actor.Kind
			wantGrade := "B"
			if e.Actor.ID == "webhook" || e.Actor.ID == "desk" {
				wantGrade = "A"
			}
			if e.Grade != wantGrade || e.ID != fmt.Sprintf("1.%d", i+1) || e.Page != "1" || e.Labels["alertname"] != "Down" {
				t.Errorf("event %d is %+v", i, e)
			}
		}
		for who, kind := range map[string]responders.ActorKind{"ann": responders.Human, "slackbot": responders.Bot,
			"deploy": responders.Bot, "bot:closer": responders.Bot, "webhook": responders.Integration} {
			if kinds[who] != kind {
				t.Errorf("%s counts as %s, want %s", who, kinds[who], kind)
			}
		}
		if p.Events[5].Text != BridgeOpened || p.Events[1].Delivered != "yes" {
			t.Errorf("bridge is %q, delivery %q", p.Events[5].Text, p.Events[1].Delivered)
		}
	})
}

// TestWebhooks sends repetitions, duplicates, returns and resolutions in and out of order.
func TestWebhooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := working(t, policy)
		first := time.Now()
		states := func(want ...State) {
			t.Helper()
			got := []State{}
			for _, p := range s.Pages() {
				got = append(got, p.State)
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages are %v, want %v", got, want)
			}
		}
		send := func(status string, starts time.Time) {
			t.Helper()
			if code, body := post(t, s, "/webhook", hook(status, "Down", starts)); code != 200 {
				t.Errorf("webhook: %d %s", code, body)
			}
		}
		send("firing", first)
		send("firing", first)
		states(Open)
		later := first.Add(time.Minute)
		send("firing", later)
		states(Open) // never resolved in between: the same page, with a note
		if got := told(s.Pages()[0].Events); got[len(got)-1] != "noted 1 webhook" {
			t.Errorf("the return is told as %v", got)
		}
		send("resolved", later)
		states(Resolved)
		if e := s.Pages()[0].Events; e[len(e)-1].Actor.Kind != responders.Integration {
			t.Errorf("resolved by %+v", e[len(e)-1].Actor)
		}
		send("resolved", later)
		send("firing", later) // a repetition that came late
		states(Resolved)
		send("firing", later.Add(time.Minute))
		states(Resolved, Open)
		if page, err := s.Act(Action{Verb: Resolve, By: "ann"}); err != nil || !strings.HasPrefix(page, "page 2 (") {
			t.Errorf("%q, %v", page, err)
		}
		send("firing", later.Add(time.Minute)) // it fires still, but somebody closed the page
		send("resolved", first.Add(time.Hour)) // of an alarm that was never seen
		states(Resolved, Resolved)
	})
}

// TestRefusals checks that every wrong request has a clear answer and changes nothing.
func TestRefusals(t *testing.T) {
	s := working(t, policy)
	starts := time.Now()
	two := strings.Replace(hook("firing", "A", starts), `"alerts":[`,
		`"alerts":[{"status":"firing","labels":{"alertname":"B"},
		"startsAt":"2026-01-01T00:00:00Z","fingerprint":"fp-B"},`, 1)
	if _, err := s.Act(Action{Verb: Note, By: "ann", Text: "hm"}); err == nil || !strings.Contains(err.Error(),
		"the desk has no pages") {
		t.Errorf("an action without pages: %v", err)
	}
	if code, body := post(t, s, "/webhook", two); code != 200 {
		t.Fatal(body)
	}
	if _, err := s.Act(Action{Verb: Acknowledge, By: "ann"}); err == nil || !strings.Contains(err.Error(),
		"2 A (open), 1 B (open)") {
		t.Errorf("the newest of two that came at once: %v", err)
	}
	before := len(s.log)
	for _, c := range []struct {
		method, path, kind, body string
		code                     int
		says                     string
	}{
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":" "}`, 400, "by is empty"},
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":"a\u0000b"}`, 400, "control characters"},
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":"` + strings.Repeat("a", 101) + `"}`, 400, "bytes"},
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":"ann"`, 400, "must be JSON"},
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":"ann","who":"x"}`, 400, "unknown field"},
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":"ann"} {}`, 400, "after the JSON"},
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":"ann","kind":"god"}`, 400, "kind is"},
		{"POST", "/pages/1/acknowledge", "text/plain", `{"by":"ann"}`, 415, "application/json"},
		{"POST", "/pages/1/acknowledge", "application/json", `{"by":"` + strings.Repeat("a", actionLimit) + `"}`, 413,
			"64 KB"},
		{"POST", "/pages/1/dance", "application/json", `{"by":"ann"}`, 404, "there is no action"},
		{"POST", "/pages/1/mark", "application/json", `{"by":"ann"}`, 400, "mark needs text"},
		{"POST", "/pages/9/acknowledge", "application/json", `{"by":"ann"}`, 404, "there is no page"},
		{"GET", "/pages/9", "", "", 404, "there is no page"},
		{"GET", "/", "", "", 404, "there are POST /webhook"},
		{"POST", "/webhook", "application/json", `{"version":"3","alerts":[{}]}`, 400, `version "4"`},
		{"POST", "/webhook", "application/json", `{"version":"4"}`, 400, "no alerts"},
		{"POST", "/webhook", "application/json", `[`, 400, "not an Alertmanager webhook"},
		{"POST", "/webhook", "application/json", `{"version":"4","alerts":[{"status":"odd","labels":{"a":"b"}}]}`, 400,
			"status"},
		{"POST", "/webhook", "application/json", `{"version":"4","alerts":[{"status":"firing"}]}`, 400, "no labels"},
	} {
		code, body := send(t, s, c.method, c.path, c.kind, c.body)
		var answer struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || code != c.code || !strings.Contains(answer.Error,
			c.says) {
			t.Errorf("%s %s %.60s: %d %s, want %d and %q", c.method, c.path, c.body, code, body, c.code, c.says)
		}
	}
	if len(s.log) != before {
		t.Errorf("refused requests left %d events", len(s.log)-before)
	}
	if code, body := send(t, s, "GET", "/pages/1/events", "", ""); code != 200 || !strings.Contains(body,
		`"kind":"opened"`) {
		t.Errorf("events: %d %s", code, body)
	}
	if code, body := send(t, s, "GET", "/pages", "", ""); code != 200 || !strings.Contains(body, `"fingerprint":"fp-B"`) {
		t.Errorf("pages: %d %s", code, body)
	}
}

// TestWatchAndHistory listens on a real port, streams to two subscribers, and asks for the coverage over a pause.
func TestWatchAndHistory(t *testing.T) {
	s, err := New("desk.ops", policy)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address, err := s.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(ctx); err == nil {
		t.Error("it started twice")
	}
	streams := make([]chan responders.Event, 2)
	done := make(chan error, 2)
	for i := range streams {
		streams[i] = make(chan responders.Event, 100)
		go func() { done <- s.Watch(ctx, func(e responders.Event) { streams[i] <- e }) }()
	}
	for _, body := range []string{hook("firing", "Down", begun), hook("resolved", "Down", begun)} {
		response, err := http.Post("http://"+address+"/webhook", "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
			t.Fatal(err, response.Status)
		}
		response.Body.Close()
	}
	for _, stream := range streams {
		for _, want := range []responders.Kind{responders.Opened, responders.Notified, responders.Resolved} {
			if e := <-stream; e.Kind != want || e.Source != "desk.ops" {
				t.Errorf("streamed %+v, want %s", e, want)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	for range streams {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	ended := time.Now()
	span := clock.Span{Start: begun.Add(-time.Hour), End: ended.Add(time.Hour)}
	events, coverage, err := s.History(t.Context(), span)
	if err != nil || len(events) != 3 || len(coverage.Spans) != 1 || len(coverage.Why) != 2 {
		t.Errorf("history: %d events, %+v, %v", len(events), coverage, err)
	}
	if events, _, _ := s.History(t.Context(), clock.Span{Start: ended.Add(time.Minute), End: span.End}); len(events) != 0 {
		t.Errorf("%d events after the end", len(events))
	}
	if f, err := s.Preflight(t.Context()); err != nil || len(f) != 1 || !f[0].Blocks {
		t.Errorf("preflight of a stopped desk: %+v, %v", f, err)
	}
}

// TestValidate checks that each mistake is named by its field.
func TestValidate(t *testing.T) {
	for _, c := range []struct {
		config Config
		fields []string
	}{
		{policy, nil},
		{Config{}, []string{"level"}},
		{Config{Listen: "9199", Levels: []Level{{People: []string{"ann"}}}}, []string{"listen"}},
		{Config{Levels: []Level{{}, {People: []string{""}, EscalateAfter: "soon"}}, Repeat: -1},
			[]string{"people", "escalate_after", "people", "escalate_after", "repeat"}},
		{Config{Levels: []Level{{People: []string{"ann"}}}, Repeat: 1}, []string{"escalate_after"}},
	} {
		got := []string{}
		if err := c.config.Validate(); err != nil {
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				got = append(got, e.(*faults.FieldError).Field)
			}
		}
		if !slices.Equal(got, c.fields) {
			t.Errorf("%+v: %v, want %v", c.config, got, c.fields)
		}
		if _, err := New("desk.x", c.config); (err == nil) != (len(c.fields) == 0) {
			t.Errorf("New accepts what Validate does not: %v", err)
		}
	}
}

// FuzzWebhook holds what decode accepts to its promises, and lets the desk take it.
func FuzzWebhook(f *testing.F) {
	f.Add([]byte(hook("firing", "Down", time.Unix(1_700_000_000, 0))))
	f.Add([]byte(hook("resolved", "Down", time.Unix(1_700_000_000, 0))))
	f.Add([]byte(`{"version":"4","alerts":[{"status":"firing","labels":{"":""},"startsAt":"0001-01-01T00:00:00Z"}]}`))
	f.Add([]byte(`{"version":"4","alerts":[null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := decode(body)
		if err != nil {
			return
		}
		firing := 0
		for _, a := range w.Alerts {
			if a.Fingerprint == "" || len(a.Labels) == 0 {
				t.Fatalf("accepted an alarm that cannot be told apart: %+v", a)
			}
			if a.Status == "firing" {
				firing++
			}
		}
		s := working(t, policy)
		if err := s.receive(w); err != nil {
			t.Fatal(err)
		}
		opened := len(s.Pages())
		if opened > firing {
			t.Fatalf("%d firing alarms opened %d pages", firing, opened)
		}
		events := len(s.log)
		if err := s.receive(w); err != nil {
			t.Fatal(err)
		}
		if len(s.Pages()) != opened {
			t.Fatalf("the same webhook again opened %d pages more", len(s.Pages())-opened)
		}
		for _, p := range s.Pages() {
			if p.State == Resolved || len(p.Events) == 0 {
				continue
			}
			if p.Events[0].Kind != responders.Opened {
				t.Fatalf("page %s begins with %s of %d events", p.ID, p.Events[0].Kind, events)
			}
		}
	})
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }
