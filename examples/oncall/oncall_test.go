package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeDesk lists pages and notes what was done about them.
type fakeDesk struct {
	pages []page
	fail  int // answer this many requests to act with 500 first
	gone  bool
	done  []string // "p1 acknowledge bob"
}

func (f *fakeDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.gone {
		http.Error(w, "not here", http.StatusBadGateway)
		return
	}
	if r.Method == http.MethodGet && r.URL.Path == "/pages" {
		_ = json.NewEncoder(w).Encode(f.pages)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var body struct{ By, Text string }
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(parts) != 3 || r.Method != http.MethodPost {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	if f.fail > 0 {
		f.fail--
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	for i := range f.pages {
		if g := &f.pages[i]; g.ID == parts[1] {
			if g.State == stateResolved {
				http.Error(w, "resolved already", http.StatusConflict)
				return
			}
			if parts[2] == "acknowledge" {
				g.State = "acknowledged"
			}
		}
	}
	f.done = append(f.done, strings.TrimSpace(strings.Join([]string{parts[1], parts[2], body.By, body.Text}, " ")))
	w.WriteHeader(http.StatusNoContent)
}

// told are the events of a page that was passed from one person to the next.
func told(people ...string) []event {
	out := []event{{Kind: "opened"}}
	for _, p := range people {
		out = append(out, event{Kind: "notified", Targets: []string{p}}, event{Kind: "noted", Targets: []string{"carol"}})
	}
	return out
}

var t0 = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// play lets a person with these flags look at the desk at each of the given seconds.
func play(t *testing.T, f *fakeDesk, flags []string, seconds ...float64) *person {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	s, err := parse(append([]string{"-desk", srv.URL + "/"}, flags...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p := newPerson(s, &paging{base: s.desk, client: srv.Client()}, slog.New(slog.DiscardHandler))
	for _, at := range seconds {
		p.look(t.Context(), t0.Add(time.Duration(at*float64(time.Second))))
	}
	return p
}

func TestPersonFollowsTheScript(t *testing.T) {
	open := page{ID: "p1", State: "open", Level: 2, Events: told("ann", "bob")}
	tests := []struct {
		name    string
		page    page
		flags   []string
		seconds []float64
		want    []string
	}{
		{"waits", open, []string{"-person", "bob", "-after", "3s"}, []float64{0, 1, 2.9}, nil},
		{"acknowledges once", open, []string{"-person", "bob", "-after", "3s"}, []float64{0, 3, 4, 5},
			[]string{"p1 acknowledge bob"}},
		{"does everything in order", open,
			[]string{"-person", "bob", "-after", "1s", "-bridge", "-note", "on it", "-then", "runbook", "-then", "join=incident lead", "-resolve", "5s"}, []float64{0, 1, 5.9, 6},
			[]string{"p1 acknowledge bob", "p1 bridge bob", "p1 note bob on it", "p1 runbook bob", "p1 join bob incident lead", "p1 resolve bob"}},
		{"sleeps", open, []string{"-person", "ann", "-never", "-bridge"}, []float64{0, 10, 100}, nil},
		{"is not concerned", open, []string{"-person", "carol", "-after", "0s"}, []float64{0, 10}, nil},
		{"leaves it to who was first", page{ID: "p1", State: "acknowledged", Events: told("bob")},
			[]string{"-person", "bob", "-after", "0s"}, []float64{0, 10}, nil},
		{"leaves what is over", page{ID: "p1", State: "resolved", Events: told("bob")},
			[]string{"-person", "bob", "-after", "0s"}, []float64{0, 10}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeDesk{pages: []page{tt.page}}
			play(t, f, tt.flags, tt.seconds...)
			if !slices.Equal(f.done, tt.want) {
				t.Errorf("done %q, want %q", f.done, tt.want)
			}
		})
	}
}

func TestPersonTriesAgainWhenTheDeskFails(t *testing.T) {
	f := &fakeDesk{pages: []page{{ID: "p1", State: "open", Events: told("bob")}}, fail: 1}
	play(t, f, []string{"-person", "bob", "-after", "0s", "-bridge"}, 0, 1)
	want := []string{"p1 acknowledge bob", "p1 bridge bob"}
	if !slices.Equal(f.done, want) {
		t.Errorf("done %q, want %q", f.done, want)
	}
}

func TestPersonSurvivesADeskThatIsAwayAndForgetsOldPages(t *testing.T) {
	f := &fakeDesk{gone: true}
	p := play(t, f, []string{"-person", "bob", "-after", "0s"}, 0)
	if !p.deaf {
		t.Error("a desk that does not answer was not noticed")
	}
	f.gone = false
	f.pages = []page{{ID: "p1", State: "open", Events: told("bob")}}
	p.look(t.Context(), t0)
	if want := []string{"p1 acknowledge bob"}; !slices.Equal(f.done, want) {
		t.Errorf("done %q, want %q", f.done, want)
	}
	f.pages = nil
	p.look(t.Context(), t0)
	if len(p.due) != 0 {
		t.Errorf("still remembers %v", p.due)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "who is on call?"},
		{"-person bob -desk nowhere", "must be the desk's URL"},
		{"-person bob -desk ftp://x", "must be the desk's URL"},
		{"-person bob -after -1s", "cannot be negative"},
		{"-person bob -poll 1ms", "at least 10ms"},
		{"-person bob please", "everything is said by flags"},
		{"-person bob -after soon", "invalid value"},
	} {
		if _, err := parse(strings.Fields(tt.args), io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q", tt.args, err, tt.want)
		}
	}
	got, err := parse(strings.Fields("-person ann -never -desk http://x:1/"), io.Discard)
	want := script{desk: "http://x:1", person: "ann", after: 3 * time.Second, never: true, poll: 250 * time.Millisecond}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
