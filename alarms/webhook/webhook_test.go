package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/sources/hook"
)

// custom is a mapping as a user writes one.
var custom = Config{Listen: "127.0.0.1:0", Beat: "1m", Pages: true, Map: []Map{{
	Name: "data.title", State: "action", Firing: []string{"triggered"}, Quiet: []string{"resolved"}, At: "data.at",
	Labels: map[string]string{"severity": "data.level"}, Notes: map[string]string{"summary": "data.text"}}}}

func open(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New("webhook.main", c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// post posts a body and returns the status.
func post(s *Source, body string, change ...func(*http.Request)) int {
	r := httptest.NewRequest(http.MethodPost, "/anywhere", strings.NewReader(body))
	r.Host = "127.0.0.1:9099"
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return w.Code
}

func history(t *testing.T, s *Source, span clock.Span) ([]alarms.Episode, alarms.Coverage) {
	t.Helper()
	e, c, err := s.History(context.Background(), span)
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

// same compares instants, whatever clock they were read from.
func same(a, b clock.Interval) bool { return a.Lo.Equal(b.Lo) && a.Hi.Equal(b.Hi) }

const firing = `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Down","severity":"page"},"annotations":{"summary":"no payments"},"startsAt":"2000-01-01T00:00:10Z"}]}`

func TestAlertmanagerFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now() // 2000-01-01 in a bubble
		s := open(t, Config{Listen: "127.0.0.1:0", Format: "alertmanager"})
		time.Sleep(15 * time.Second)
		if code := post(s, firing); code != http.StatusNoContent {
			t.Fatal(code)
		}
		time.Sleep(time.Minute)
		post(s, firing) // a repetition
		resolved := strings.NewReplacer(`"firing"`, `"resolved"`, `"startsAt"`, `"endsAt":"2000-01-01T00:01:30Z","startsAt"`).Replace(firing)
		time.Sleep(20 * time.Second)
		post(s, resolved)
		post(s, resolved)
		episodes, c := history(t, s, clock.Span{Start: began, End: time.Now()})
		if len(episodes) != 1 {
			t.Fatalf("%+v", episodes)
		}
		e := episodes[0]
		at := func(n time.Duration) clock.Interval {
			return clock.At(began.Add(n * time.Second)).Widen(2 * time.Second)
		}
		if !same(e.Firing, at(10)) || !same(e.Ended, at(90)) || e.Labels["severity"] != "page" || e.Notes["summary"] != "no payments" ||
			!e.Paged.IsZero() {
			t.Errorf("%+v", e)
		}
		if len(c.Spans) != 0 || len(c.Why) == 0 {
			t.Errorf("without a heartbeat it covers %v", c.Spans)
		}
	})
}

func TestMapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := open(t, custom)
		time.Sleep(10 * time.Second)
		if code := post(s, `{"action":"triggered","data":{"title":"Shop slow","level":"page","text":"p95 is 2 s","at":946684805}}`); code != http.StatusNoContent {
			t.Fatal(code)
		}
		episodes, _ := history(t, s, clock.Span{Start: began, End: time.Now()})
		if len(episodes) != 1 {
			t.Fatalf("%+v", episodes)
		}
		e := episodes[0]
		if !same(e.Firing, clock.At(began.Add(5*time.Second)).Widen(2*time.Second)) || e.Labels["alertname"] != "Shop slow" ||
			e.Labels["severity"] != "page" || e.Notes["summary"] != "p95 is 2 s" || !same(e.Paged, clock.At(began.Add(10*time.Second))) {
			t.Errorf("%+v", e)
		}
		// Without a time it is a repetition. With a later one it began anew, and ended unseen in between.
		time.Sleep(30 * time.Second)
		post(s, `{"action":"triggered","data":{"title":"Shop slow","level":"page"}}`)
		if episodes, _ = history(t, s, clock.Span{Start: began, End: time.Now()}); len(episodes) != 1 {
			t.Errorf("%+v", episodes)
		}
		post(s, `{"action":"triggered","data":{"title":"Shop slow","level":"page","at":946684835}}`)
		if episodes, _ = history(t, s, clock.Span{Start: began, End: time.Now()}); len(episodes) != 2 || episodes[0].Ended.IsZero() {
			t.Errorf("%+v", episodes)
		}
	})
}

// TestWithoutATime tells an alarm that may be an old one, told of again, from one that was quiet before.
func TestWithoutATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		no := false
		frank := custom
		frank.Repeats = &no
		for name, c := range map[string]struct {
			config Config
			before string
			from   time.Duration // since the source began
		}{
			"heard of first":              {custom, "", -10 * time.Second},
			"quiet before":                {custom, `{"action":"resolved","data":{"title":"Slow"}}`, 20 * time.Second},
			"from who does not say again": {frank, "", 20 * time.Second},
		} {
			s := open(t, c.config)
			from := time.Now()
			time.Sleep(20 * time.Second)
			if c.before != "" {
				post(s, c.before)
			}
			time.Sleep(10 * time.Second)
			post(s, `{"action":"triggered","data":{"title":"Slow"}}`)
			episodes, _ := history(t, s, clock.Span{Start: began, End: time.Now()})
			if len(episodes) != 1 || !same(episodes[0].Firing, clock.Between(from.Add(c.from), time.Now())) {
				t.Errorf("%s: %+v", name, episodes)
			}
		}
	})
}

// TestSilence covers only the time in which something was posted as often as was promised, and could be read.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := open(t, custom)
		beat := func() { post(s, `{"action":"resolved","data":{"title":"heartbeat"}}`) }
		for range 5 { // until minute 5
			time.Sleep(time.Minute)
			beat()
		}
		time.Sleep(10 * time.Minute) // nothing until minute 15
		for range 5 {                // until minute 19
			beat()
			time.Sleep(time.Minute)
		}
		share := func() float64 {
			_, c := history(t, s, clock.Span{Start: began, End: began.Add(20 * time.Minute)})
			return clock.Share(c.Spans, clock.Span{Start: began, End: began.Add(20 * time.Minute)})
		}
		if got := share(); got != 8.0/20 {
			t.Errorf("covered %v of twenty minutes, and eight were watched", got)
		}
		post(s, `{"action":"exploded","data":{"title":"?"}}`) // in minute 20, after the last beat in minute 19
		time.Sleep(time.Second)
		beat()
		if got := share(); got > 8.02/20 {
			t.Errorf("covered %v, with something that nobody understood", got)
		}
		if _, c := history(t, s, clock.Span{Start: began, End: time.Now()}); !strings.Contains(strings.Join(c.Why, "\n"), "cannot be read") {
			t.Errorf("%q", c.Why)
		}
	})
}

func TestPostingsRefused(t *testing.T) {
	c := custom
	if got := post(open(t, c), `{"action":"resolved","data":{"title":"x"}}`, func(r *http.Request) { r.Host = "evil.example" }); got != http.StatusForbidden {
		t.Errorf("by a name that is not ours, without a token: %d", got)
	}
	c.Token = "s3cret"
	s := open(t, c)
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") }
	good := `{"action":"resolved","data":{"title":"x"}}`
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
	}{
		"good":           {good, bearer, http.StatusNoContent},
		"in the address": {good, func(r *http.Request) { r.URL.RawQuery = "token=s3cret" }, http.StatusNoContent},
		"no token":       {good, func(*http.Request) {}, http.StatusUnauthorized},
		"wrong token":    {good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cre") }, http.StatusUnauthorized},
		"get":            {good, func(r *http.Request) { bearer(r); r.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		"a form":         {good, func(r *http.Request) { bearer(r); r.Header.Set("Content-Type", "text/plain") }, http.StatusUnsupportedMediaType},
		"cut off":        {good[:20], bearer, http.StatusBadRequest},
		"no name":        {`{"action":"resolved"}`, bearer, http.StatusBadRequest},
		"unknown state":  {`{"action":"noted","data":{"title":"x"}}`, bearer, http.StatusBadRequest},
		"from to-morrow": {`{"action":"triggered","data":{"title":"x","at":"2999-01-01T00:00:00Z"}}`, bearer, http.StatusBadRequest},
		"no time":        {`{"action":"triggered","data":{"title":"x","at":"noon"}}`, bearer, http.StatusBadRequest},
		"a list":         {`[` + good + `]`, bearer, http.StatusBadRequest},
		"too long":       {`{"action":"` + strings.Repeat("x", hook.MostBody) + `"}`, bearer, http.StatusBadRequest},
	} {
		if got := post(s, c.body, c.change); got != c.status {
			t.Errorf("%s: %d, want %d", name, got, c.status)
		}
	}
}

func TestListens(t *testing.T) {
	s := open(t, custom)
	address, err := s.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan alarms.Observation)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan error)
	go func() { watched <- s.Watch(ctx, func(o alarms.Observation) { seen <- o }) }()
	r, err := http.Post("http://"+address+"/", "application/json", strings.NewReader(`{"action":"triggered","data":{"title":"Down"}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if o := <-seen; o.State != alarms.StateFiring || o.Labels["alertname"] != "Down" {
		t.Errorf("%+v", o)
	}
	if o := <-seen; o.State != alarms.StatePaged {
		t.Errorf("%+v", o)
	}
	found, err := s.Preflight(t.Context(), []alarms.Expectation{{Name: "Down", Match: map[string]string{"alertname": "Down"}}})
	if err != nil || len(found) != 1 || !found[0].Blocks {
		t.Errorf("%+v, %v", found, err)
	}
	cancel()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + address); err == nil {
		t.Error("it still listens")
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"no port":      {Config{Listen: "localhost", Format: "grafana"}, "host:port"},
		"format":       {Config{Listen: ":0", Format: "sentry"}, `no format "sentry"`},
		"both":         {Config{Listen: ":0", Format: "grafana", Map: custom.Map}, "either a format or a mapping"},
		"neither":      {Config{Listen: ":0"}, "one mapping block"},
		"durations":    {Config{Listen: ":0", Format: "grafana", Beat: "soon"}, `"soon" is not a duration`},
		"ambiguous":    {Config{Listen: ":0", Map: []Map{{Name: "n", State: "s", Firing: []string{"x"}, Quiet: []string{"x"}}}}, "firing and quiet"},
		"empty paths":  {Config{Listen: ":0", Map: []Map{{Firing: []string{"x"}, Quiet: []string{"y"}}}}, "are paths"},
		"empty states": {Config{Listen: ":0", Map: []Map{{Name: "n", State: "s"}}}, "what state means"},
	} {
		if err := c.config.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := custom.Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzRead reads anything: what it takes for an alarm has a name and an instant that is not to come.
func FuzzRead(f *testing.F) {
	f.Add([]byte(firing), true)
	f.Add([]byte(`{"action":"triggered","data":{"title":"x","at":1e12}}`), false)
	f.Add([]byte(`[]`), true)
	f.Fuzz(func(t *testing.T, body []byte, known bool) {
		c := custom
		if known {
			c = Config{Listen: ":0", Format: "grafana"}
		}
		s, err := c.parse()
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, 0)
		list, err := s.read(body, now)
		if err != nil {
			return
		}
		for _, p := range list {
			if p.labels["alertname"] == "" || p.at.Hi.After(now) || p.at.Hi.Before(p.at.Lo) {
				t.Errorf("%+v", p)
			}
		}
	})
}

// TestNotesOfEach keeps to each episode what it said of itself.
func TestNotesOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := open(t, custom)
		say := func(action, text string) {
			time.Sleep(10 * time.Second)
			body := `{"action":"` + action + `","data":{"title":"Down","level":"page","text":"` + text + `","at":"` + time.Now().UTC().Format(time.RFC3339) + `"}}`
			if status := post(s, body); status != http.StatusNoContent {
				t.Fatalf("%s is answered with %d", body, status)
			}
		}
		say("triggered", "no payments")
		say("resolved", "well again")
		say("triggered", "no payments, again")
		say("resolved", "well again")
		episodes, _ := history(t, s, clock.Span{Start: began, End: time.Now()})
		if len(episodes) != 2 || episodes[0].Notes["summary"] != "no payments" || episodes[1].Notes["summary"] != "no payments, again" {
			t.Errorf("%+v", episodes)
		}
	})
}
