package alarmclass

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/alarms/alertmanager"
	"gameday/alarms/prometheus"
	"gameday/clock"
	"gameday/faults"
	"gameday/internal/promrig"
	"gameday/report"
)

// patience is how long the servers may take for one step.
const patience = 40 * time.Second

// stage is a game day whose alarms are real and whose fault is not: it keeps the record as a run does.
type stage struct {
	t     *testing.T
	began time.Time

	mu     sync.Mutex
	events []report.Event
	seen   []report.AlarmSighting
	pages  map[string]int // notifications by alarm
	hook   *httptest.Server
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, began: time.Now(), pages: map[string]int{}}
	s.hook = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var posted struct {
			Alerts []struct {
				Status string            `json:"status"`
				Labels map[string]string `json:"labels"`
			} `json:"alerts"`
		}
		if err := json.NewDecoder(r.Body).Decode(&posted); err != nil {
			t.Errorf("a page that nobody can read: %v", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range posted.Alerts {
			if a.Status == "firing" {
				s.pages[a.Labels["alertname"]]++
			}
		}
	}))
	t.Cleanup(s.hook.Close)
	return s
}

// add puts an event into the record.
func (s *stage) add(kind report.EventKind, data any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, err := json.Marshal(data)
	if err != nil {
		s.t.Error(err)
		return
	}
	at := time.Since(s.began)
	s.events = append(s.events, report.Event{Seq: uint64(len(s.events) + 1), At: s.began.Add(at).UTC().Round(0), T: at, Kind: kind, Data: raw})
}

// source is a source of alarms under test.
type source interface {
	alarms.Source
	Close()
}

// watch follows a source until the test ends, or what is returned is called.
func (s *stage) watch(name string, src source) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- src.Watch(ctx, func(o alarms.Observation) {
			sighting := report.AlarmSighting{Source: name, Observation: o}
			s.add(report.AlarmSeen, sighting)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen = append(s.seen, sighting)
		})
	}()
	once := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("watching %s: %v", name, err)
		}
		src.Close()
	})
	s.t.Cleanup(once)
	return once
}

// count returns how often a source was seen to say that an alarm is in a state; of the source itself without a name.
func (s *stage) count(source, alarm string, state alarms.State) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.seen {
		if o.Source == source && o.Labels["alertname"] == alarm && o.State == state {
			n++
		}
	}
	return n
}

// until waits until that was seen n times.
func (s *stage) until(source, alarm string, state alarms.State, n int) {
	s.t.Helper()
	promrig.Eventually(s.t, patience, fmt.Sprintf("%s says %d times that %s is %s", source, n, alarm, state),
		func() bool { return s.count(source, alarm, state) >= n })
}

// past waits until an instant is over.
func (s *stage) past(at time.Time) {
	s.t.Helper()
	promrig.Eventually(s.t, patience, at.Format(time.TimeOnly), func() bool { return time.Now().After(at) })
}

func (s *stage) paged(alarm string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages[alarm]
}

// silence silences an alarm in an Alertmanager.
func (s *stage) silence(address, alarm string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"createdBy": "ann", "comment": "maintenance", "startsAt": time.Now().Add(-time.Second), "endsAt": time.Now().Add(time.Hour),
		"matchers": []map[string]any{{"name": "alertname", "value": alarm, "isRegex": false, "isEqual": true}}})
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.Post(address+"/api/v2/silences", "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("silencing %s: %s", alarm, response.Status)
	}
}

// judge writes the record, reads it back as a report does, and scores it.
func (s *stage) judge(plan *report.Plan) *report.Scorecard {
	s.t.Helper()
	dir := s.t.TempDir()
	b, err := json.Marshal(plan)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, report.PlanFile), b, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, report.EventsFile))
	if err != nil {
		s.t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	for _, e := range s.events {
		line, err := json.Marshal(e)
		if err != nil {
			s.t.Fatal(err)
		}
		out.Write(append(line, '\n')) // an error stays, and Flush returns it
	}
	if err := out.Flush(); err != nil {
		s.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return report.Score(rec)
}

// pair is a Prometheus with an Alertmanager, and the sources that watch them.
type pair struct {
	prom   *promrig.Prometheus
	router *promrig.Alertmanager
	rules  *prometheus.Source
	pages  *alertmanager.Source
	name   string       // of both sources
	seen   []clock.Span // the coverage of rules, once it was accounted for
	stop   []func()
}

// page are the labels of what pages.
var page = map[string]string{"severity": "page"}

// pair starts both servers and returns them unwatched. router is what stands in the Alertmanager's configuration beside the
// one receiver; without "yes" there is no Alertmanager.
func (s *stage) pair(name string, program promrig.Program, target *promrig.Target, rules string, routed bool, router ...string) *pair {
	s.t.Helper()
	p := &pair{name: name}
	o := promrig.Options{Program: program, Targets: []string{target.Address()}, Rules: rules}
	if routed {
		p.router = promrig.StartAlertmanager(s.t, s.hook.URL, router...)
		o.Alertmanager = p.router.URL
		var err error
		if p.pages, err = alertmanager.New("alertmanager."+name, alertmanager.Config{URL: p.router.URL, Poll: "250ms"}, page); err != nil {
			s.t.Fatal(err)
		}
	}
	p.prom = promrig.StartPrometheus(s.t, o)
	var err error
	if p.rules, err = prometheus.New("prometheus."+name, prometheus.Config{URL: p.prom.URL, Poll: "250ms", Timeout: "1s"}, page); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// open prepares both sources as a run does, and watches them.
func (s *stage) open(p *pair, expected []alarms.Expectation) {
	s.t.Helper()
	for name, src := range p.sources() {
		found, err := src.Preflight(s.t.Context(), expected)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, f := range found {
			s.add(report.PreflightFound, report.Found{What: "alarms " + name, Blocks: f.Blocks, Summary: f.Summary, Detail: f.Detail, Absent: f.Absent})
		}
		p.stop = append(p.stop, s.watch(name, src))
	}
}

func (p *pair) sources() map[string]source {
	out := map[string]source{"prometheus." + p.name: p.rules}
	if p.pages != nil {
		out["alertmanager."+p.name] = p.pages
	}
	return out
}

// account adds what the sources tell of the run.
func (s *stage) account(p *pair, run clock.Span) {
	for name, src := range p.sources() {
		episodes, coverage, err := src.History(s.t.Context(), run)
		if err != nil {
			s.t.Errorf("%s: %v", name, err)
		}
		if src == p.rules {
			p.seen = coverage.Spans
		}
		s.add(report.AlarmHistory, report.AlarmRecord{Source: name, Span: run, Episodes: episodes, Coverage: coverage})
	}
}

// injection is the fault of every game day here.
func injection() report.Injection {
	return report.Injection{ID: "1", Fault: "cut", Kind: "network_partition", Place: "payments", Effect: &faults.Effect{Summary: "conditions are true"}}
}
