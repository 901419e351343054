package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/internal/promrig"
	"gameday/responders"
	"gameday/responders/desk"
)

// watching runs Watch beside a test and keeps what it emits.
type watching struct {
	t    *testing.T
	mu   sync.Mutex
	seen []alarms.Observation
}

func watch(t *testing.T, s *Source) *watching {
	t.Helper()
	w := &watching{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Watch(ctx, func(o alarms.Observation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, o)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return w
}

// count returns how often a state was seen of one alarm, or of the source for an empty name.
func (w *watching) count(name string, state alarms.State) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, o := range w.seen {
		if o.State == state && o.Labels["alertname"] == name {
			n++
		}
	}
	return n
}

func (w *watching) until(name string, state alarms.State) {
	w.t.Helper()
	promrig.Eventually(w.t, 25*time.Second, name+" "+string(state), func() bool { return w.count(name, state) > 0 })
}

func expectation(name string) alarms.Expectation {
	return alarms.Expectation{Name: name, Match: map[string]string{"alertname": name}}
}

// hush silences an alarm and returns the silence's id.
func hush(t *testing.T, address, name string) string {
	t.Helper()
	body := fmt.Sprintf(`{"matchers":[{"name":"alertname","value":%q,"isRegex":false,"isEqual":true}],
		"startsAt":%q,"endsAt":%q,
		"createdBy":"ann","comment":"maintenance"}`,
		name, time.Now().Add(-time.Second).Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))
	response, err := http.Post(address+"/api/v2/silences", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var made struct {
		ID string `json:"silenceID"`
	}
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil || made.ID == "" {
		t.Fatalf("no silence: %v %s", err, response.Status)
	}
	return made.ID
}

// onDuty is a desk with one person, and where it is.
func onDuty(t *testing.T) (d *desk.Source, address string) {
	t.Helper()
	d, err := desk.New("desk.ops", desk.Config{Levels: []desk.Level{{People: []string{"ann"}}}})
	if err != nil {
		t.Fatal(err)
	}
	address, err = d.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d, address
}

// hushed silences the alarm Hushed of an Alertmanager that is quiet, and returns the silence's id. What is told beforehand is nothing,
// and then the silence.
func hushed(t *testing.T, s *Source, address string, expected []alarms.Expectation) (id string) {
	t.Helper()
	findings, err := s.Preflight(t.Context(), expected)
	if err != nil || len(findings) != 0 {
		t.Fatalf("preflight of a quiet Alertmanager: %+v, %v", findings, err)
	}
	id = hush(t, address, "Hushed")
	findings, err = s.Preflight(t.Context(), expected)
	if err != nil || len(findings) != 1 || !findings[0].Blocks || !strings.Contains(findings[0].Detail, id) ||
		!strings.Contains(findings[0].Detail, `by ann ("maintenance")`) {
		t.Fatalf("preflight with a silence: %+v, %v", findings, err)
	}
	return id
}

// judgePages judges what the history tells: of Down a page that was opened when it says, of Hushed none, and that there was a restart.
func judgePages(t *testing.T, s *Source, span clock.Span, id string, opened time.Time) {
	episodes, coverage, err := s.History(t.Context(), span)
	if err != nil || len(episodes) != 2 {
		t.Fatalf("%d episodes, %v: %+v", len(episodes), err, episodes)
	}
	for _, e := range episodes {
		if e.Labels["alertname"] == "Hushed" {
			if len(e.SuppressedBy) == 0 || !strings.Contains(e.SuppressedBy[0], id) || !e.Paged.IsZero() {
				t.Errorf("Hushed: %+v, want it suppressed by %s and not paged", e, id)
			}
			continue
		}
		if opened.Before(e.Paged.Lo) || opened.After(e.Paged.Hi) {
			t.Errorf("the page left at %v, which is not in %v to %v", opened, e.Paged.Lo, e.Paged.Hi)
		}
		t.Logf("firing %v, paged %v to %v, received %v after start", e.Firing.Hi.Sub(span.Start), e.Paged.Lo.Sub(span.Start),
			e.Paged.Hi.Sub(span.Start), opened.Sub(span.Start))
	}
	if share := clock.Share(coverage.Spans, span); share > 0.98 || len(coverage.Why) == 0 {
		t.Errorf("coverage %.3f over a restart, why %q", share, coverage.Why)
	}
	t.Logf("coverage %.2f %q", clock.Share(coverage.Spans, span), coverage.Why)
}

// TestRealPages takes an alarm all the way: real Prometheus, real Alertmanager, the desk. It compares the page's time
// as the Alertmanager's counters tell it with the time the desk received it, silences another alarm, and restarts the
// Alertmanager.
func TestRealPages(t *testing.T) {
	d, address := onDuty(t)
	target := promrig.NewTarget(t)
	target.Set("Down", 0)
	target.Set("Hushed", 0)
	am := promrig.StartAlertmanager(t, "http://"+address+"/webhook")
	promrig.StartPrometheus(t, promrig.Options{Targets: []string{target.Address()}, Alertmanager: am.URL,
		Rules: promrig.Rule("Down", "1s", nil) + promrig.Rule("Hushed", "0s", nil)})
	s, err := New("alertmanager.main", Config{URL: am.URL, Receivers: []string{"desk"}, Poll: "250ms"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)

	expected := []alarms.Expectation{expectation("Down"), expectation("Hushed")}
	id := hushed(t, s, am.URL, expected)

	start := time.Now()
	w := watch(t, s)
	promrig.Eventually(t, 5*time.Second, "the first look", func() bool { return !s.account.Last().IsZero() })
	target.Set("Down", 1)
	target.Set("Hushed", 1)
	w.until("Down", alarms.StatePaged)
	w.until("Hushed", alarms.StateSuppressed)
	pages := d.Pages()
	if len(pages) != 1 || pages[0].Labels["alertname"] != "Down" {
		t.Fatalf("the desk has %+v, want one page about Down", pages)
	}
	if findings, err := s.Preflight(t.Context(), expected); err != nil || len(findings) != 3 {
		t.Errorf("preflight with both firing: %+v, %v", findings, err)
	}

	am.Stop()
	w.until("", alarms.StateUnreachable)
	<-time.After(time.Second)
	am.Start()
	w.until("", alarms.StateReachable)
	if n := w.count("Down", alarms.StateInactive); n != 0 {
		t.Errorf("an Alertmanager that forgot its alarms was taken for %d quiet ones", n)
	}
	target.Set("Down", 0)
	promrig.Eventually(t, 25*time.Second, "the page is resolved",
		func() bool { return d.Pages()[0].State == desk.Resolved })
	if n := len(d.Pages()); n != 1 {
		t.Errorf("the desk has %d pages, want 1: a restart is no new page", n)
	}

	span := clock.Span{Start: start, End: time.Now()}
	judgePages(t, s, span, id, pages[0].OpenedAt)
	events, _, err := d.History(t.Context(), span)
	if err != nil || events[len(events)-1].Kind != responders.Resolved ||
		events[len(events)-1].Actor.Kind != responders.Integration {
		t.Errorf("the desk's events end with %+v", events[len(events)-1])
	}
}
