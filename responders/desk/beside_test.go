package desk

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/responders"
)

// TestBesideAnswering takes what people do beside answering a page, each as its own kind of event.
func TestBesideAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := working(t, policy)
		post(t, s, "/webhook", hook("firing", "Down", time.Now()))
		for action, body := range map[string]string{
			"join": `{"by":"bob","text":"incident lead","channel":"chat"}`, "channel": `{"by":"bob","text":"inc-1"}`, "runbook": `{"by":"ann"}`,
			"customers": `{"by":"cy","text":"we look into it"}`, "diagnose": `{"by":"ann","text":"the ledger"}`,
		} {
			if code, answer := post(t, s, "/pages/newest/"+action, body); code != http.StatusOK {
				t.Errorf("%s: %d %s", action, code, answer)
			}
		}
		for action, body := range map[string]string{"diagnose": `{"by":"ann"}`, "join": `{"by":"ann","channel":"a\u0000"}`} {
			if code, answer := post(t, s, "/pages/newest/"+action, body); code != http.StatusBadRequest {
				t.Errorf("%s %s: %d %s", action, body, code, answer)
			}
		}
		got := map[responders.Kind]string{}
		for _, e := range s.Pages()[0].Events[2:] {
			got[e.Kind] = strings.TrimSpace(e.Actor.ID + " " + e.Text + " " + e.Channel + e.Grade)
		}
		want := map[responders.Kind]string{responders.Joined: "bob incident lead chatB", responders.RoomOpened: "bob inc-1 B", responders.RunbookOpened: "ann  B",
			responders.Told: "cy we look into it B", responders.Diagnosed: "ann the ledger B"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRunbookLink sends whoever opens it on to the alarm's runbook, and books it.
func TestRunbookLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := working(t, policy)
		noted := func(name, annotation string) {
			text := strings.Replace(hook("firing", name, time.Now()), `"summary":"it is down"`, annotation, 1)
			if code, answer := post(t, s, "/webhook", text); code != http.StatusOK {
				t.Fatal(code, answer)
			}
		}
		noted("Down", `"runbook_url":"https://runbooks.example/down"`)
		noted("Bare", `"summary":"no runbook"`)
		noted("Evil", `"runbook_url":"javascript:alert(1)"`)
		get := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w
		}
		if w := get("/pages/1/runbook?by=ann"); w.Code != http.StatusFound || w.Header().Get("Location") != "https://runbooks.example/down" ||
			w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		get("/pages/1/runbook")
		get("/pages/1/runbook?by=slackbot")
		for _, look := range []*http.Request{httptest.NewRequest(http.MethodHead, "/pages/1/runbook?by=cy", nil), httptest.NewRequest(http.MethodGet, "/pages/1/runbook?by=cy", nil)} {
			look.Header.Set("Sec-Purpose", "prefetch;prerender")
			if look.Method == http.MethodHead {
				look.Header.Del("Sec-Purpose")
			}
			w := httptest.NewRecorder()
			if s.Handler().ServeHTTP(w, look); w.Code != http.StatusFound {
				t.Errorf("%s: %d", look.Method, w.Code)
			}
		}
		for path, code := range map[string]int{"/pages/2/runbook": 404, "/pages/3/runbook": 404, "/pages/9/runbook": 404, "/pages/1/runbook?by=a%00": 400} {
			if w := get(path); w.Code != code {
				t.Errorf("%s: %d, want %d", path, w.Code, code)
			}
		}
		var got []responders.Actor
		for _, e := range s.Pages()[0].Events[2:] {
			if e.Kind != responders.RunbookOpened || e.Text != "https://runbooks.example/down" {
				t.Errorf("%+v", e)
			}
			got = append(got, e.Actor)
		}
		want := []responders.Actor{{ID: "ann", Kind: responders.Human}, {Kind: responders.UnknownKind}, {ID: "slackbot", Kind: responders.Bot}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOnCall has the policy for the desk's roster.
func TestOnCall(t *testing.T) {
	s, err := New("desk.ops", policy)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.OnCall(t.Context())
	want := []responders.Duty{{Who: "ann", Level: 1}, {Who: "bob", Level: 2}, {Who: "cy", Level: 2}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
