package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
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

// custom is a mapping as a user writes one.
var custom = Config{Listen: "127.0.0.1:0", Beat: "30s", Automation: []string{"autobot"}, Map: []Mapping{{
	ID: "id", Kind: "event.type", Page: "incident.id", At: "event.at", Actor: "event.by", ActorKind: "event.by_type",
	Kinds: map[string]string{"incident.opened": "opened", "incident.paged": "notified", "incident.acked": "acknowledged", "incident.closed": "resolved",
		"incident.raised": "escalated", "note": "noted", "call": "marked", "ping": "ignore"},
	Actors: map[string]string{"person": "human", "rule": "timeout"}, Level: "event.step", Targets: "event.to",
	Delivered: "event.state", Deliveries: map[string]string{"ok": "yes", "bounced": "no"}, Text: "event.text", Channel: "event.via",
	Labels: map[string]string{"alertname": "incident.title"}}}}

func open(t testing.TB, change ...func(*Config)) *Source {
	t.Helper()
	c := custom
	c.Map = slices.Clone(c.Map)
	for _, f := range change {
		f(&c)
	}
	s, err := New("webhook.rota", c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// post posts a body and returns the status.
func post(s *Source, body string, change ...func(*http.Request)) int {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Host = "127.0.0.1:9099"
	r.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return w.Code
}

// said is one posting, of something that happened so long ago.
func said(id, kind, page, more string, ago time.Duration) string {
	return fmt.Sprintf(`{"id":%q,"event":{"type":%q,"at":%q%s},"incident":{"id":%q,"title":"PaymentsDown"}}`, id, kind,
		time.Now().Add(-ago).UTC().Format(time.RFC3339Nano), more, page)
}

func history(t testing.TB, s *Source, span clock.Span) ([]responders.Event, responders.Coverage) {
	t.Helper()
	e, c, err := s.History(context.Background(), span)
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

func TestMapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		began := time.Now()
		time.Sleep(time.Minute)
		// Out of order, and one of them twice: the acknowledgement comes before the page that it is about.
		at := time.Now()
		for _, body := range []string{
			said("3", "incident.acked", "7", `,"by":"ann","by_type":"person","via":"mobile"`, time.Second),
			said("1", "incident.opened", "7", `,"by":"prometheus","by_type":"integration"`, 20*time.Second),
			said("2", "incident.paged", "7", `,"to":["ann","bob"],"state":"ok","step":1,"by":"rule 5","by_type":"rule"`, 18*time.Second),
			said("3", "incident.acked", "7", `,"by":"ann","by_type":"person","via":"mobile"`, time.Second),
			said("4", "incident.paged", "7", `,"to":"cy","state":"bounced","step":2`, 0),
			said("5", "incident.acked", "7", `,"by":"autobot","by_type":"person"`, 0),
			said("6", "note", "7", `,"by":"dora","by_type":"alien","text":"it is the ledger, ring 956-821-0372, token=abc123"`, 0),
			said("7", "ping", "", "", 0),
		} {
			if got := post(s, body); got != http.StatusNoContent {
				t.Fatalf("%d: %s", got, body)
			}
		}
		events, _ := history(t, s, clock.Span{Start: began, End: time.Now()})
		labels := map[string]string{"alertname": "PaymentsDown"}
		ago := func(d time.Duration) clock.Interval {
			i := clock.At(at.Add(-d)).Widen(2 * time.Second)
			if i.Hi.After(at) {
				i.Hi = at
			}
			return i
		}
		want := []responders.Event{
			{ID: "1", Kind: responders.Opened, At: ago(20 * time.Second), Actor: responders.Actor{ID: "prometheus", Kind: responders.Integration}},
			{ID: "2", Kind: responders.Notified, At: ago(18 * time.Second), Actor: responders.Actor{ID: "rule 5", Kind: responders.Timeout}, Level: 1,
				Targets: []string{"ann", "bob"}, Delivered: "yes"},
			{ID: "3", Kind: responders.Acknowledged, At: ago(time.Second), Actor: responders.Actor{ID: "ann", Kind: responders.Human}, Channel: "mobile"},
			{ID: "4", Kind: responders.Notified, At: ago(0), Actor: responders.Actor{Kind: responders.UnknownKind}, Level: 2, Targets: []string{"cy"}, Delivered: "no"},
			{ID: "5", Kind: responders.Acknowledged, At: ago(0), Actor: responders.Actor{ID: "autobot", Kind: responders.Bot}},
			{ID: "6", Kind: responders.Noted, At: ago(0), Actor: responders.Actor{ID: "dora", Kind: responders.UnknownKind}, Text: "it is the ledger, ring [phone], [secret]"},
		}
		if len(events) != len(want) {
			t.Fatalf("%+v", events)
		}
		for i, w := range want {
			e := events[i]
			w.Source, w.Page, w.Labels, w.Grade = "webhook.rota", "7", labels, "B"
			if !e.At.Lo.Equal(w.At.Lo) || !e.At.Hi.Equal(w.At.Hi) {
				t.Errorf("%s at %v, want %v", e.ID, e.At, w.At)
			}
			e.At, w.At = clock.Interval{}, clock.Interval{}
			if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", w) {
				t.Errorf("%+v, want %+v", e, w)
			}
		}
	})
}

// TestWithoutIDs takes what is the same to the letter for the same, and everything else for another.
func TestWithoutIDs(t *testing.T) {
	s := open(t, func(c *Config) { c.Map[0].ID = "" })
	for _, id := range []string{"a", "a", "b"} {
		if got := post(s, fmt.Sprintf(`{"event":{"type":"note","at":"2026-11-20T14:03:00Z","text":%q}}`, id)); got != http.StatusNoContent {
			t.Fatal(got)
		}
	}
	if len(s.events) != 2 {
		t.Errorf("%+v", s.events)
	}
}

// TestSilence covers the time between signs of life, less what may still be on its way, what could not be read, and what happened
// to a page of which nobody knows which alarm it is about.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		began := time.Now()
		beat := func() {
			if got := post(s, said("", "ping", "", "", 0)); got != http.StatusNoContent {
				t.Fatal(got)
			}
		}
		for range 21 { // from 0:00 to 10:00
			beat()
			time.Sleep(30 * time.Second)
		}
		span := clock.Span{Start: began, End: time.Now()}
		covered := func() (sec float64, why string) {
			_, c := history(t, s, span)
			return clock.Share(c.Spans, span) * span.Length().Seconds(), strings.Join(c.Why, "\n")
		}
		if got, why := covered(); got != 590 || !strings.Contains(why, "the last 10s") {
			t.Errorf("covered %v s, %s", got, why)
		}
		// Posted 25 s after it happened: the sender is later than it promised, so it may be so again.
		time.Sleep(25 * time.Second)
		post(s, said("late", "incident.opened", "1", "", 27*time.Second))
		if got, _ := covered(); got < 605-1 || got > 605+1 { // until the posting at 10:55, less 25 s, in a span that ends at 10:30
			t.Errorf("covered %v s", got)
		}
		// Taken out: from the good posting at 10:55 to the one that nobody understands, and 25 s before either gap.
		span.End = time.Now().Add(40 * time.Second)
		time.Sleep(10 * time.Second)
		if got := post(s, said("9", "incident.exploded", "1", "", 0)); got != http.StatusBadRequest {
			t.Errorf("an unknown kind: %d", got)
		}
		time.Sleep(20 * time.Second)
		beat()
		if got, why := covered(); !strings.Contains(why, "of which kinds says nothing") || got != 630 {
			t.Errorf("covered %v s, %s", got, why)
		}
		if got := post(s, `{"id":"8","event":{"type":"incident.acked","at":`+fmt.Sprint(began.Add(2*time.Minute).Unix())+`,"by":"ann","by_type":"person"},"incident":{"id":"x"}}`); got != http.StatusNoContent {
			t.Fatal(got)
		}
		if _, why := covered(); !strings.Contains(why, "page x, and which alarm") {
			t.Error(why)
		}
		if _, c := history(t, open(t, func(c *Config) { c.Beat = "" }), span); len(c.Spans) != 0 || len(c.Why) == 0 {
			t.Errorf("without a heartbeat it covers %v", c.Spans)
		}
	})
}

// TestWatch keeps back what happened to a page until its alarm is known.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan error)
		go func() {
			done <- s.Watch(ctx, func(e responders.Event) { got = append(got, e.ID+e.Labels["alertname"]) })
		}()
		at := time.Now().Unix()
		post(s, fmt.Sprintf(`{"id":"1","event":{"type":"incident.acked","at":%d},"incident":{"id":"7"}}`, at))
		post(s, fmt.Sprintf(`{"id":"2","event":{"type":"note","at":%d,"text":"hello"}}`, at))
		synctest.Wait()
		if !slices.Equal(got, []string{"2"}) {
			t.Errorf("%q", got)
		}
		post(s, fmt.Sprintf(`{"id":"3","event":{"type":"incident.opened","at":%d},"incident":{"id":"7","title":"Down"}}`, at))
		synctest.Wait()
		if !slices.Equal(got, []string{"2", "1Down", "3Down"}) {
			t.Errorf("%q", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPostingsRefused(t *testing.T) {
	sign := func(secret string, body []byte) string {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(body)
		return hex.EncodeToString(m.Sum(nil))
	}
	good := `{"id":"1","event":{"type":"note","at":"2026-11-20T14:03:00Z","text":"x"}}`
	signed := open(t, func(c *Config) { c.Signatures = []Signature{{Header: "X-Signature", Secret: "s3cret", Prefix: "v1="}} })
	open := open(t, func(c *Config) { c.Token = "s3cret" })
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	bearer := header("Authorization", "Bearer s3cret")
	replace := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for name, c := range map[string]struct {
		source *Source
		body   string
		change func(*http.Request)
		status int
	}{
		"good":              {open, good, bearer, http.StatusNoContent},
		"no token":          {open, good, func(*http.Request) {}, http.StatusUnauthorized},
		"signed":            {signed, good, header("X-Signature", "v0=00, v1="+sign("s3cret", []byte(good))), http.StatusNoContent},
		"signed otherwise":  {signed, good, header("X-Signature", "v1="+sign("another", []byte(good))), http.StatusUnauthorized},
		"without prefix":    {signed, good, header("X-Signature", sign("s3cret", []byte(good))), http.StatusUnauthorized},
		"of another body":   {signed, good + " ", header("X-Signature", "v1="+sign("s3cret", []byte(good))), http.StatusUnauthorized},
		"token for signing": {signed, good, bearer, http.StatusUnauthorized},
		"cut off":           {open, good[:30], bearer, http.StatusBadRequest},
		"a list":            {open, "[" + good + "]", bearer, http.StatusBadRequest},
		"90 s ahead":        {open, replace("2026-11-20T14:03:00Z", time.Now().Add(90*time.Second).Format(time.RFC3339)), bearer, http.StatusBadRequest},
		"no time":           {open, replace("2026-11-20T14:03:00Z", "noon"), bearer, http.StatusBadRequest},
		"no page":           {open, replace("note", "incident.acked"), bearer, http.StatusBadRequest},
		"no id":             {open, replace(`"1"`, `""`), bearer, http.StatusBadRequest},
		"no level":          {open, replace(`"text"`, `"step":1.5,"text"`), bearer, http.StatusBadRequest},
		"unknown kind":      {open, replace("note", "burnt"), bearer, http.StatusBadRequest},
		"no mark":           {open, replace(`note","at":"2026-11-20T14:03:00Z","text":"x"`, `call","at":"2026-11-20T14:03:00Z"`), bearer, http.StatusBadRequest},
	} {
		if got := post(c.source, c.body, c.change); got != c.status {
			t.Errorf("%s: %d, want %d", name, got, c.status)
		}
	}
}

func TestListens(t *testing.T) {
	s := open(t)
	address, err := s.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post("http://"+address+"/", "application/json", strings.NewReader(said("1", "note", "", `,"text":"hi"`, 0)))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if len(s.events) != 1 {
		t.Errorf("%d, %+v", r.StatusCode, s.events)
	}
	if found, err := s.Preflight(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, takes := any(s).(responders.Receiver); takes || Kind().Receives {
		t.Error("alarms are sent to it")
	}
	mute := open(t, func(c *Config) { c.Signatures = []Signature{{Header: "X"}} })
	if found, _ := mute.Preflight(t.Context()); len(found) != 1 || !found[0].Blocks {
		t.Errorf("without a secret: %+v", found)
	}
	if got := post(mute, `{}`, func(r *http.Request) { r.Header.Set("X", "") }); got != http.StatusUnauthorized {
		t.Errorf("without a secret: %d", got)
	}
	if found, _ := open(t, func(c *Config) { c.Beat = "" }).Preflight(t.Context()); len(found) != 1 || found[0].Blocks {
		t.Errorf("without a heartbeat: %+v", found)
	}
}

func TestConfig(t *testing.T) {
	with := func(f func(*Config)) Config {
		c := custom
		c.Map = slices.Clone(c.Map)
		f(&c)
		return c
	}
	for want, c := range map[string]Config{
		"host:port":              with(func(c *Config) { c.Listen = "here" }),
		"one mapping block":      {Listen: ":0"},
		"not a duration":         with(func(c *Config) { c.Delay = "-1s" }),
		"no grade":               with(func(c *Config) { c.Grade = "E" }),
		"one signature block":    with(func(c *Config) { c.Signatures = make([]Signature, 2) }),
		"give one of them":       with(func(c *Config) { c.Token, c.Signatures = "x", []Signature{{Header: "X", Secret: "y"}} }),
		"in which header":        with(func(c *Config) { c.Signatures = []Signature{{Secret: "x"}} }),
		"no kind of event":       with(func(c *Config) { c.Map[0].Kinds = map[string]string{"x": "closed"} }),
		"page = \"incident.id\"": with(func(c *Config) { c.Map[0].Page = "" }),
		"Say where an event's":   with(func(c *Config) { c.Map[0].Kinds = nil }),
		"no kind of actor":       with(func(c *Config) { c.Map[0].Actors = map[string]string{"x": "dog"} }),
		"none of them":           with(func(c *Config) { c.Map[0].Deliveries = map[string]string{"x": "perhaps"} }),
		"which alarm a page":     with(func(c *Config) { c.Map[0].Labels = nil }),
		"A mark has a name":      with(func(c *Config) { c.Map[0].Text = "" }),
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if err := custom.Validate(); err != nil {
		t.Error(err)
	}
	if got := custom.Tells(); !slices.Equal(got, []responders.Kind{responders.Marked}) {
		t.Errorf("it tells of %v", got)
	}
}

// TestScore plays game days: somebody acknowledges in time, too late, not at all; and the source hears nothing any more.
func TestScore(t *testing.T) {
	opened := func(s *Source) {
		post(s, said("1", "incident.opened", "7", "", 0))
		post(s, said("2", "incident.paged", "7", `,"to":["ann"],"state":"ok","step":1`, 0))
	}
	ack := func(s *Source) { post(s, said("3", "incident.acked", "7", `,"by":"ann","by_type":"person"`, 0)) }
	for name, c := range map[string]struct {
		acked, silent time.Duration // from when on; 0 is never
		failure       error
		want          clock.Outcome
	}{
		"in time":            {60 * time.Second, 0, nil, clock.Met},
		"too late":           {160 * time.Second, 0, nil, clock.Missed},
		"nobody":             {0, 0, nil, clock.Missed},
		"nobody was heard":   {0, 70 * time.Second, nil, clock.Unknown},
		"it does not answer": {60 * time.Second, 0, errors.New("connection refused"), clock.Unknown},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t)
			run := callrig.Run{Began: time.Now(), Length: 5 * time.Minute,
				Asks: report.ResponsePlan{Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: time.Minute, Weight: 1}}}}
			for at := time.Duration(0); at <= run.Length; at += 10 * time.Second {
				if c.silent == 0 || at < c.silent {
					post(s, said("", "ping", "", "", 0))
				}
				if at == 40*time.Second {
					opened(s)
				}
				if at == c.acked && at > 0 {
					ack(s)
				}
				time.Sleep(10 * time.Second)
			}
			events, coverage := history(t, s, run.Span())
			it := callrig.Item(t, run.Score(t, "webhook.rota", events, coverage, c.failure), "acknowledge")
			if it.Outcome != c.want {
				t.Errorf("%s: %v, %s", name, it.Outcome, it.Why)
			}
		})
	}
}

// TestOrderIsNothing gives the same account of the same postings in any order and number.
func TestOrderIsNothing(t *testing.T) {
	received := time.Date(2026, 11, 20, 14, 10, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var bodies []string
		for i := range rapid.IntRange(1, 8).Draw(t, "events") {
			bodies = append(bodies, fmt.Sprintf(`{"id":"%d","event":{"type":%q,"at":"2026-11-20T14:0%d:00Z"},"incident":{"id":"%d","title":"T"}}`, i,
				rapid.SampledFrom([]string{"incident.opened", "incident.acked", "incident.closed"}).Draw(t, "kind"), i, i%2))
		}
		account := func(list []string) string {
			s, err := New("webhook.rota", custom)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range list {
				if err := s.take([]byte(b), nil, received); err != nil {
					t.Fatal(err)
				}
			}
			events, _, _ := s.History(context.Background(), clock.Span{Start: received.Add(-time.Hour), End: received})
			return fmt.Sprintf("%+v", events)
		}
		twice := append(slices.Clone(bodies), bodies...)
		if a, b := account(bodies), account(rapid.Permutation(twice).Draw(t, "order")); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

// FuzzRead reads anything: what it takes for an event has an id, a kind, a grade, an actor and an instant that is not to come.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"id":"3","event":{"type":"incident.paged","at":1763647380,"to":["a"],"state":true,"step":2},"incident":{"id":"7","title":"x"}}`))
	f.Add([]byte(`{"event":{"type":"note","at":"2026-11-20T14:03:00Z","text":"x"}}`))
	f.Add([]byte(`[]`))
	c := custom
	s, err := c.parse()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Unix(1_800_000_000, 0)
		list, err := s.read(body, now)
		if err != nil {
			return
		}
		for _, e := range list {
			if e.ID == "" || e.Kind == "" || e.Grade == "" || e.Actor.Kind == "" || e.At.Hi.After(now) || e.At.Hi.Before(e.At.Lo) || e.Level < 0 ||
				e.Kind.OfPage() && e.Page == "" || len(e.Text) > mostText+8 || e.Actor.Kind == responders.Human && e.Actor.ID == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}
