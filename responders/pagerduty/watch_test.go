package pagerduty

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/responders"
	"gameday/sources/hook"
)

const secret = "hook-SECRET-1"

// listening is a change to a configuration that takes webhooks.
func listening(c *Config) { c.Webhook = &Webhook{Listen: "127.0.0.1:0", Secret: secret} }

// hooked writes a webhook about an incident.
func hooked(id, kind, incident string, at time.Time, agent object) string {
	who := "null"
	if agent != nil {
		who = fmt.Sprintf(`{"id":%q,"type":%q,"summary":"x"}`, agent["id"], agent["type"])
	}
	return fmt.Sprintf(`{"event":{"id":%q,"event_type":%q,"resource_type":"incident","occurred_at":%q,"agent":%s,"client":null,"data":{"id":%q,"type":"incident","service":{"id":%q}}}}`,
		id, kind, at.UTC().Format("2006-01-02T15:04:05.000Z"), who, incident, svc)
}

// sign signs a body.
func sign(key, body string) string {
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(body))
	return "v1=" + hex.EncodeToString(sum.Sum(nil))
}

// post posts a webhook, and returns the status.
func post(s *Source, body, signature string) int {
	server := hook.Server{Signed: s.signed, Take: s.take}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Webhook-Id", "W1")
	if signature != "" {
		r.Header.Set("X-PagerDuty-Signature", signature)
	}
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, r)
	return rec.Code
}

func TestSignatures(t *testing.T) {
	_, s := newFake(t, listening)
	body := hooked("E1", "incident.acknowledged", "PI1", time.Now(), user(ann))
	for name, c := range map[string]struct {
		signature string
		want      int
	}{
		"right":              {sign(secret, body), 204},
		"one of several":     {sign("old", body) + "," + sign(secret, body), 204},
		"with spaces":        {sign("old", body) + ", " + sign(secret, body), 204},
		"wrong":              {sign("old", body), 401},
		"none":               {"", 401},
		"of another version": {"v0=" + sign(secret, body)[3:], 401},
		"of another body":    {sign(secret, body+" "), 401},
		"no hexadecimal":     {"v1=zz", 401},
	} {
		if got := post(s, body, c.signature); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if len(s.posted.events) != 1 {
		t.Errorf("%d events of one that was delivered again and again", len(s.posted.events))
	}
	for _, bad := range []string{"{", "{}", `{"event":{"id":"E2"}}`, `{"event":{"id":"E2","event_type":"incident.resolved","occurred_at":"noon"}}`} {
		if got := post(s, bad, sign(secret, bad)); got != 400 {
			t.Errorf("%s: %d", bad, got)
		}
	}
	ping := `{"event":{"id":"E3","event_type":"pagey.ping","occurred_at":"2026-11-20T14:00:00Z","agent":null,"data":{"type":"ping","message":"hello"}}}`
	if got := post(s, ping, sign(secret, ping)); got != 204 || len(s.posted.events) != 1 {
		t.Errorf("a test of the subscription: %d, %+v", got, s.posted.events)
	}
	_, unset := newFake(t)
	if got := post(unset, body, sign("", body)); got != 401 {
		t.Errorf("without a secret: %d", got)
	}
}

// TestWebhooksSharpen: webhooks that come twice and in any order give the log's events their milliseconds, and nothing else.
func TestWebhooksSharpen(t *testing.T) {
	f, s := newFake(t, listening)
	at := f.now().Add(-5 * time.Minute).Truncate(time.Second)
	f.open("PI1", at, down).assign(at, ann).by("acknowledge_log_entry", at.Add(40*time.Second), ann, "mobile").by("resolve_log_entry", at.Add(80*time.Second), ann, "mobile")
	before, _ := told(t, s)
	integration := object{"id": "PINT1", "type": "inbound_integration_reference"}
	for _, body := range []string{
		hooked("E3", "incident.resolved", "PI1", at.Add(80*time.Second+700*time.Millisecond), user(ann)),
		hooked("E2", "incident.acknowledged", "PI1", at.Add(40*time.Second+250*time.Millisecond), user(ann)),
		hooked("E2", "incident.acknowledged", "PI1", at.Add(40*time.Second+250*time.Millisecond), user(ann)),
		hooked("E1", "incident.triggered", "PI1", at.Add(500*time.Millisecond), integration),
	} {
		if got := post(s, body, sign(secret, body)); got != 204 {
			t.Fatal(got)
		}
	}
	after, c := told(t, s)
	if len(after) != len(before) || len(c.Why) != 1 {
		t.Fatalf("%d events, and %d without webhooks: %q", len(after), len(before), c.Why)
	}
	for i := range after {
		x, y := before[i], after[i]
		sharper := y.At.Hi.Sub(y.At.Lo) < x.At.Hi.Sub(x.At.Lo)-500*time.Millisecond
		if x.ID != y.ID || x.Kind != y.Kind || x.Actor != y.Actor || !sharper && y.Kind != responders.Noted {
			t.Errorf("%+v became %+v", x, y)
		}
		truth, told := map[responders.Kind]time.Time{responders.Opened: at.Add(500 * time.Millisecond), responders.Acknowledged: at.Add(40*time.Second + 250*time.Millisecond),
			responders.Resolved: at.Add(80*time.Second + 700*time.Millisecond)}[y.Kind]
		if told && (y.At.Lo.After(truth) || y.At.Hi.Before(truth)) {
			t.Errorf("%s was at %s, not %+v", y.Kind, truth, y.At)
		}
	}
}

// TestWebhookAlone: what a webhook told and no log does counts, but not as a person's deed, and leaves a hole.
func TestWebhookAlone(t *testing.T) {
	f, s := newFake(t, listening)
	at := f.now().Add(-5 * time.Minute)
	f.open("PI1", at, down)
	told(t, s)
	body := hooked("E1", "incident.acknowledged", "PI1", at.Add(time.Minute), user(ann))
	post(s, body, sign(secret, body))
	other := strings.ReplaceAll(hooked("E2", "incident.acknowledged", "PI9", at, user(ann)), svc, "PELSE")
	post(s, other, sign(secret, other))
	events, c := told(t, s)
	if len(events) != 2 || words(events[1]) != "acknowledged by unknown PANN1 B" || events[1].Labels["alertname"] != "PaymentsDown" {
		t.Errorf("%+v", events)
	}
	holed(t, c, at.Add(time.Minute), "a webhook told that page PI1 was acknowledged")
	holed(t, c, at, "")
}

// TestLook emits what is new, once, whatever fails in between; and a webhook's own word when no log has it.
func TestLook(t *testing.T) {
	f, s := newFake(t, listening)
	f.open("POLD", f.now().Add(-time.Hour), down).by("acknowledge_log_entry", f.now().Add(-time.Minute), ann, "sms")
	var got []string
	w := s.watcher(func(e responders.Event) { got = append(got, e.Page+" "+string(e.Kind)) })
	look := func(want ...string) {
		t.Helper()
		got = nil
		w.look(t.Context())
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	look()
	i := f.open("PI1", f.now(), down)
	look("PI1 opened")
	look()
	f.forbidden = "/incidents/PI1"
	i.by("acknowledge_log_entry", f.now(), ann, "mobile")
	look()
	f.forbidden = ""
	look("PI1 acknowledged")
	i.by("resolve_log_entry", f.now(), ann, "mobile") // it is in the list of open ones no more
	look("PI1 resolved")
	look()
	soon := []byte(hooked("E1", "incident.unacknowledged", "PI1", f.now(), nil))
	if err := s.take(soon, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	look() // its entry may be on the way
	late := []byte(hooked("E2", "incident.escalated", "PI1", f.now(), nil))
	if err := s.take(late, nil, time.Now().Add(-DefaultSettle)); err != nil {
		t.Fatal(err)
	}
	look("PI1 escalated")
	look()
	unread := []byte(hooked("E3", "incident.triggered", "PI7", f.now(), nil)) // of an incident that is in no list
	if err := s.take(unread, nil, time.Now().Add(-DefaultSettle)); err != nil {
		t.Fatal(err)
	}
	look()
	headless := f.open("PI8", f.now(), down).assign(f.now(), ann)
	trigger := headless.log[0]
	headless.log = headless.log[1:]
	look() // which alarm it is about is still on the way
	headless.log = append([]object{trigger}, headless.log...)
	look("PI8 opened", "PI8 noted")
}

// TestWatch goes on until it is told to stop, and is woken by a webhook.
func TestWatch(t *testing.T) {
	f, s := newFake(t, listening, func(c *Config) { c.Poll = "1h" })
	f.open("PI1", f.now().Add(time.Second), down)
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	err := s.Watch(ctx, func(e responders.Event) {
		seen = append(seen, e.Page)
		switch e.Page {
		case "PI1": // of the first look; the next would be in an hour
			f.open("PI2", f.now().Add(time.Second), down)
			if err := s.take([]byte(hooked("E1", "incident.triggered", "PI2", f.now(), nil)), nil, time.Now()); err != nil {
				t.Error(err)
			}
		case "PI2":
			cancel()
		}
	})
	if err != nil || !slices.Equal(seen, []string{"PI1", "PI2"}) {
		t.Errorf("%q, %v", seen, err)
	}
}
