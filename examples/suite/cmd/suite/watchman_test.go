package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// newWatchman makes one that pages and tells the given URLs.
func newWatchman(page, tell string) *watchman {
	return &watchman{patience: 3 * time.Second, page: page, tell: tell, client: http.DefaultClient, paged: true, log: slog.New(slog.DiscardHandler)}
}

// It is armed by the first heartbeat, tells of silence once, of its end once, and of each again only while that did not get
// through.
func TestWatchmanLooks(t *testing.T) {
	lost := errors.New("lost")
	type step struct {
		at     time.Duration
		beat   bool
		status string
		due    bool
		sent   error
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"never armed", []step{{at: 0, status: "resolved"}, {at: time.Hour, status: "resolved"}}},
		{"on time", []step{{at: 0, beat: true, status: "resolved"}, {at: 3 * time.Second, status: "resolved"}}},
		{"silence, and its end", []step{{at: 0, beat: true, status: "resolved"},
			{at: 3100 * time.Millisecond, status: "firing", due: true}, {at: 4 * time.Second, status: "firing"},
			{at: 5 * time.Second, beat: true, status: "resolved", due: true}, {at: 6 * time.Second, status: "resolved"}}},
		{"the page is lost twice", []step{{at: 0, beat: true, status: "resolved"}, {at: 4 * time.Second, status: "firing", due: true, sent: lost},
			{at: 5 * time.Second, status: "firing", due: true, sent: lost}, {at: 6 * time.Second, status: "firing", due: true}, {at: 7 * time.Second, status: "firing"}}},
		{"the page is given up", []step{{at: 0, beat: true, status: "resolved"}, {at: 4 * time.Second, status: "firing", due: true, sent: lost},
			{at: 5 * time.Second, status: "firing", due: true, sent: lost}, {at: 6 * time.Second, status: "firing", due: true, sent: lost}, {at: 7 * time.Second, status: "firing"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatchman("", "")
			for _, s := range tt.steps {
				now := noon.Add(s.at)
				if s.beat {
					w.hear(now)
				}
				state, due := w.look(now)
				if state.Status != s.status || due != s.due {
					t.Fatalf("after %s: %s, due %v, want %s, %v", s.at, state.Status, due, s.status, s.due)
				}
				if due {
					w.sent(s.sent)
				}
			}
		})
	}
}

// catcher keeps what is posted to it.
type catcher struct {
	*httptest.Server
	mu  sync.Mutex
	got []string
}

func newCatcher(t *testing.T) *catcher {
	c := &catcher{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, r.URL.Path+" "+string(body))
	}))
	t.Cleanup(c.Close)
	return c
}

// A webhook gets a notification, an Alertmanager a list of alarms; and its state is told at every round.
func TestWatchmanPages(t *testing.T) {
	for _, path := range []string{"/webhook", alertsPath} {
		c := newCatcher(t)
		w := newWatchman(c.URL+path, c.URL+"/state")
		h := w.routes(func() time.Time { return noon })
		beat := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/beat",
			strings.NewReader(`{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Watchdog"}}]}`))
		answered := httptest.NewRecorder()
		if h.ServeHTTP(answered, beat); answered.Code != http.StatusNoContent || !w.beat.Equal(noon) {
			t.Fatalf("the heartbeat: %d, heard at %s", answered.Code, w.beat)
		}
		w.round(t.Context(), noon.Add(time.Second))
		w.round(t.Context(), noon.Add(4*time.Second))
		w.round(t.Context(), noon.Add(5*time.Second))
		var paths []string
		for _, g := range c.got {
			to, body, _ := strings.Cut(g, " ")
			paths = append(paths, to)
			if to != path {
				continue
			}
			var hook notification
			var list []alert
			err := json.Unmarshal([]byte(body), &hook)
			if path == alertsPath {
				err = json.Unmarshal([]byte(body), &list)
			} else {
				list = hook.Alerts
			}
			if err != nil || len(list) != 1 || list[0].Labels["alertname"] != silenceAlarm || !list[0].StartsAt.Equal(noon.Add(4*time.Second)) {
				t.Errorf("%s got %s (%v)", path, body, err)
			}
		}
		if want := []string{"/state", path, "/state", "/state"}; !slices.Equal(paths, want) {
			t.Errorf("posted to %q, want %q", paths, want)
		}
	}
}

// What is no heartbeat does not count as one.
func TestWatchmanHearsHeartbeatsOnly(t *testing.T) {
	w := newWatchman("", "")
	for body, want := range map[string]int{
		`{"alerts":[{"status":"resolved","labels":{"alertname":"Watchdog"}}]}`:    http.StatusNoContent,
		`{"alerts":[{"status":"firing","labels":{"alertname":"PricesMissing"}}]}`: http.StatusNoContent,
		`beat`: http.StatusBadRequest,
	} {
		rec := httptest.NewRecorder()
		w.routes(time.Now).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/beat", strings.NewReader(body)))
		if rec.Code != want || !w.beat.IsZero() {
			t.Errorf("%s: %d, heard at %s, want %d and nothing", body, rec.Code, w.beat, want)
		}
	}
}

func TestWatchmanFlags(t *testing.T) {
	for _, args := range []string{"", "-page http://x -patience 1ms"} {
		if code := run(t.Context(), append([]string{"watchman"}, strings.Fields(args)...), io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
}
