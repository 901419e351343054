package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gameday/responders"
	"gameday/responders/desk"
)

// The scripted person gets along with the desk that game days use.
func TestPersonAnswersTheDesk(t *testing.T) {
	source, err := desk.New("desk.ops", desk.Config{Levels: []desk.Level{{People: []string{"bob"}}}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(source.Handler())
	defer srv.Close()
	send := func(status string) {
		t.Helper()
		hook := fmt.Sprintf(`{"version":"4","status":%q,"alerts":[{"status":%q,"labels":{"alertname":"CheckoutSlow"},
			"startsAt":"2026-05-04T12:00:00Z","fingerprint":"f1"}]}`, status, status)
		res, err := srv.Client().Post(srv.URL+"/webhook", "application/json", strings.NewReader(hook))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("webhook: status %d", res.StatusCode)
		}
	}
	flags := []string{"-person", "bob", "-after", "2s", "-bridge", "-note", "on it", "-resolve", "5s"}
	s, err := parse(append(flags, "-desk", srv.URL), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p := newPerson(s, &paging{base: s.desk, client: srv.Client()}, slog.New(slog.DiscardHandler))

	p.look(t.Context(), t0)
	send("firing")
	for _, at := range []time.Duration{0, 1, 2, 3, 7, 8} {
		p.look(t.Context(), t0.Add(at*time.Second))
	}
	pages := source.Pages()
	if len(pages) != 1 || pages[0].State != desk.Resolved {
		t.Fatalf("pages %+v, want one that is resolved", pages)
	}
	var got []string
	for _, e := range pages[0].Events {
		if e.Actor.ID == "bob" {
			if e.Actor.Kind != responders.Human {
				t.Errorf("%s by %s, who counts as %s", e.Kind, e.Actor.ID, e.Actor.Kind)
			}
			got = append(got, strings.TrimSpace(string(e.Kind)+" "+e.Text))
		}
	}
	want := "[acknowledged marked bridge opened noted on it resolved]"
	if fmt.Sprint(got) != want {
		t.Errorf("bob did %v, want %s", got, want)
	}
}
