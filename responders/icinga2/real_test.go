package icinga2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/alarms"
	alarmsource "gameday/alarms/icinga2"
	"gameday/clock"
	"gameday/faults"
	"gameday/internal/icingarig"
	"gameday/internal/promrig"
	"gameday/internal/runrig"
	"gameday/report"
	"gameday/responders"
	"gameday/responders/icinga2"
)

// shop is a service whose check reads a file, and two levels of people who are told of it.
const shop = `
object CheckCommand "file" { command = [ "/bin/sh", "$dir/check" ] }
object NotificationCommand "note" { command = [ "/bin/true" ] }
object User "ann" { }
object User "bob" { }
object Host "payments" {
  check_command = "dummy"
  check_interval = 1s
  vars.dummy_state = 0
  vars.team = "shop"
}
object Service "checkout" {
  host_name = "payments"
  check_command = "file"
  check_interval = 0.3s
  retry_interval = 0.3s
  max_check_attempts = 2
  notes_url = "https://runbooks.example/checkout"
  action_url = "https://dashboards.example/checkout"
  vars.severity = "page"
}
object Notification "first" {
  host_name = "payments"
  service_name = "checkout"
  command = "note"
  users = [ "ann" ]
  interval = 0
}
object Notification "second" {
  host_name = "payments"
  service_name = "checkout"
  command = "note"
  users = [ "bob" ]
  times.begin = 1s
  interval = 0
}
`

// permissions are what docs/responders/icinga2.md says that the API user needs.
var permissions = []string{"status/query", "objects/query/Host", "objects/query/Service", "objects/query/Notification", "objects/query/User", "objects/query/Comment",
	"events/CheckResult", "events/StateChange", "events/Notification", "events/AcknowledgementSet", "events/AcknowledgementCleared", "events/CommentAdded",
	"events/DowntimeAdded", "events/DowntimeRemoved", "events/DowntimeStarted", "events/DowntimeTriggered", "events/Flapping"}

// world is a game day around a real Icinga 2, without the traffic.
type world struct {
	t      *testing.T
	icinga *icingarig.Icinga
	proxy  *icingarig.Proxy
	alarms *alarmsource.Source
	people *icinga2.Source
	start  time.Time

	mu     sync.Mutex
	seen   []report.Event // what the sources told live
	events []responders.Event
	onset  clock.Interval
	gone   clock.Interval
	stop   func()
}

// newWorld starts Icinga and lets both sources watch it, through a proxy.
func newWorld(t *testing.T) *world {
	w := &world{t: t, icinga: icingarig.Start(t, icingarig.Options{Config: shop, Permissions: permissions}), start: time.Now()}
	w.state(0, "fine")
	script := "read state text < " + filepath.Join(w.icinga.Dir, "state") + "\necho \"$text\"\nexit $state\n"
	if err := os.WriteFile(filepath.Join(w.icinga.Dir, "check"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	w.proxy = icingarig.NewProxy(t, strings.TrimPrefix(w.icinga.URL, "https://"))
	url := "https://" + w.proxy.Address
	var err error
	labels := map[string]string{"severity": "vars.severity", "team": "host.vars.team"}
	w.alarms, err = alarmsource.New("icinga2.main", alarmsource.Config{URL: url, Username: icingarig.Reader, Password: icingarig.Password, CAFile: w.icinga.CAFile,
		ServerName: icingarig.Node, Labels: labels, Poll: "1s"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.people, err = icinga2.New("icinga2.people", icinga2.Config{URL: url, Username: icingarig.Reader, Password: icingarig.Password, CAFile: w.icinga.CAFile,
		ServerName: icingarig.Node, Labels: labels, Poll: "1s", Pages: "dry"})
	if err != nil {
		t.Fatal(err)
	}
	w.people.Expect([]map[string]string{match})
	w.preflight()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := w.alarms.Watch(ctx, func(o alarms.Observation) {
			w.add(report.AlarmSeen, report.AlarmSighting{Source: "icinga2.main", Observation: o})
		}); err != nil {
			t.Error(err)
		}
	})
	watching.Go(func() {
		err := w.people.Watch(ctx, func(e responders.Event) {
			w.add(report.ResponseSeen, e)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		})
		if err != nil {
			t.Error(err)
		}
	})
	w.stop = func() { cancel(); watching.Wait(); w.alarms.Close(); w.people.Close() }
	t.Cleanup(w.stop)
	w.covered()
	return w
}

var match = map[string]string{"alertname": "checkout", "host": "payments", "severity": "page", "team": "shop"}

// state sets what the check reads, as one step.
func (w *world) state(state int, text string) (at clock.Interval) {
	w.t.Helper()
	name := filepath.Join(w.icinga.Dir, "state")
	if err := os.WriteFile(name+".new", []byte(string(rune('0'+state))+" "+text+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	before := time.Now()
	if err := os.Rename(name+".new", name); err != nil {
		w.t.Fatal(err)
	}
	return clock.Between(before, time.Now())
}

// preflight waits until nothing blocks: a service that has just been made has not been checked yet.
func (w *world) preflight() {
	w.t.Helper()
	var blocks string
	promrig.Eventually(w.t, 10*time.Second, "nothing blocks", func() bool {
		blocks = ""
		found, err := w.alarms.Preflight(w.t.Context(), []alarms.Expectation{{Name: "checkout", Match: match}})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range found {
			if f.Blocks || f.Absent != "" {
				blocks = f.Summary + ": " + f.Detail
			}
		}
		told, err := w.people.Preflight(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range told {
			if f.Blocks {
				blocks = f.Summary + ": " + f.Detail
			}
		}
		return blocks == ""
	})
}

// covered waits until both sources follow.
func (w *world) covered() {
	w.t.Helper()
	from := time.Now()
	promrig.Eventually(w.t, 10*time.Second, "both sources follow the stream", func() bool {
		span := clock.Span{Start: from, End: time.Now()}
		_, a, err := w.alarms.History(w.t.Context(), span)
		if err != nil {
			w.t.Fatal(err)
		}
		_, r, err := w.people.History(w.t.Context(), span)
		if err != nil {
			w.t.Fatal(err)
		}
		return len(a.Spans) > 0 && len(r.Spans) > 0
	})
}

func (w *world) add(kind report.EventKind, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.seen = append(w.seen, report.Event{At: now, T: now.Sub(w.start), Kind: kind, Data: raw})
}

// event waits for an event of a kind, and returns the first.
func (w *world) event(kind responders.Kind, level int) responders.Event {
	w.t.Helper()
	var out responders.Event
	promrig.Eventually(w.t, 15*time.Second, "the page is "+string(kind), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		i := slices.IndexFunc(w.events, func(e responders.Event) bool { return e.Kind == kind && e.Level == level })
		if i >= 0 {
			out = w.events[i]
		}
		return i >= 0
	})
	return out
}

// paged waits until the source of alarms has seen the page, too: each has a stream of its own, which may be late.
func (w *world) paged() {
	w.t.Helper()
	promrig.Eventually(w.t, 15*time.Second, "the alarm is paged", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.ContainsFunc(w.seen, func(e report.Event) bool {
			return e.Kind == report.AlarmSeen && bytes.Contains(e.Data, []byte(`"state":"paged"`))
		})
	})
}

// breakIt and mendIt are the fault.
func (w *world) breakIt() { w.onset = w.state(2, "payments does not answer") }
func (w *world) mendIt()  { w.gone = w.state(0, "fine") }

// score puts the game day through a record, and scores it.
func (w *world) score(acknowledge time.Duration) *report.Scorecard {
	w.t.Helper()
	// The run goes on for as long as deadlines last.
	span := clock.Span{Start: w.start, End: time.Now()}
	episodes, coverage, err := w.alarms.History(w.t.Context(), span)
	if err != nil {
		w.t.Fatal(err)
	}
	told, covered, err := w.people.History(w.t.Context(), span)
	if err != nil {
		w.t.Fatal(err)
	}
	w.stop()
	w.add(report.AlarmHistory, report.AlarmRecord{Source: "icinga2.main", Span: span, Episodes: episodes, Coverage: coverage})
	w.add(report.ResponseRecord, report.ResponseAccount{Source: "icinga2.people", Span: span, Events: told, Coverage: covered})
	w.add(report.RunEnded, report.Ended{Reason: report.EndComplete})
	rec := &report.Record{Plan: plan(acknowledge), Events: append(w.fault(), w.seen...)}
	slices.SortStableFunc(rec.Events, func(a, b report.Event) int { return a.At.Compare(b.At) })
	dir := w.t.TempDir()
	if err := runrig.Write(dir, rec); err != nil {
		w.t.Fatal(err)
	}
	read, err := report.Read(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	card := report.Score(read)
	var text bytes.Buffer
	if err := report.Text(&text, card, report.TextOptions{}); err != nil {
		w.t.Fatal(err)
	}
	for _, id := range []string{"alarm.checkout.fired", "alarm.checkout.paged", "response.on-call.acknowledge", "response.on-call.escalate"} {
		if err := report.Explain(&text, card, id, report.TextOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Log("\n" + text.String())
	return card
}

func plan(acknowledge time.Duration) *report.Plan {
	return &report.Plan{Scenario: "icinga", File: "icinga.hcl",
		Phases: []report.PhasePlan{{Phase: report.Load, Length: time.Minute}},
		Faults: []report.FaultPlan{{Name: "cut", Kind: "process_pause", Targets: []string{"payments"}, Duration: 30 * time.Second, Reversible: true, Lease: 10 * time.Second}},
		Alarms: []report.AlarmPlan{{Name: "checkout", Source: "icinga2.main", Match: match, Cause: "cut", FiresWithin: 5 * time.Second, PagesVia: "icinga2.main",
			PagesWithin: 5 * time.Second, ClearsWithin: 5 * time.Second, Annotations: []string{"runbook_url", "dashboard", "summary"}, Weight: 1, Required: true}},
		Responses: []report.ResponsePlan{{Name: "on-call", Source: "icinga2.people", To: "checkout",
			Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: acknowledge, Weight: 1, Required: true}},
			Escalate:    &report.EscalatePlan{DeadlinePlan: report.DeadlinePlan{Within: 10 * time.Second, Weight: 1, Required: true}, ToLevel: 2, OnlyAfter: 900 * time.Millisecond}}},
		Score: report.ScorePlan{Pass: 80, Weights: report.DefaultWeights()}}
}

// fault returns the life of the fault, as the record has it.
func (w *world) fault() []report.Event {
	var out []report.Event
	add := func(at time.Time, kind report.EventKind, v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, report.Event{At: at, T: at.Sub(w.start), Kind: kind, Data: raw})
	}
	in := report.Injection{ID: "run/cut", Fault: "cut", Kind: "process_pause", Place: "payments"}
	add(w.start, report.RunStarted, report.Started{Run: "run", Version: "test", At: w.start})
	add(w.start, report.PhaseStarted, report.PhaseChange{Phase: report.Load})
	add(w.onset.Lo, report.Injecting, in)
	in.Onset, in.Effect = w.onset, &faults.Effect{Proven: true, Summary: "the check fails"}
	add(w.onset.Hi, report.Injected, in)
	in.Onset, in.Effect = clock.Interval{}, nil
	add(w.gone.Lo, report.Reverting, in)
	in.Gone = w.gone
	add(w.gone.Hi, report.Reverted, in)
	return out
}

func items(card *report.Scorecard) map[string]*report.Item {
	out := map[string]*report.Item{}
	for _, i := range card.Items() {
		out[i.ID] = i
	}
	return out
}

// TestRealStory takes an alarm all the way through a real Icinga 2: level 1 is told, then level 2, a person acknowledges by name,
// and it recovers, after which Icinga itself has forgotten nearly all of it. All of it comes from the stream of events.
func TestRealStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.breakIt()
	page := w.event(responders.Opened, 0)
	first := w.event(responders.Notified, 1)
	second := w.event(responders.Escalated, 2)
	w.icinga.Act("acknowledge-problem", "payments", "checkout", map[string]any{"author": "ann", "comment": "on it", "notify": true})
	w.icinga.Act("add-comment", "payments", "checkout", map[string]any{"author": "carl", "comment": "the cable to ledger is out"})
	w.mendIt()
	over := w.event(responders.Resolved, 0)
	ack, note := w.event(responders.Acknowledged, 0), w.event(responders.Noted, 0)
	if !slices.Equal(first.Targets, []string{"ann"}) || second.Actor.Kind != responders.Timeout || ack.Actor != (responders.Actor{ID: "ann", Kind: responders.Human}) ||
		ack.Grade != "A" || ack.Text != "on it" || note.Grade != "B" || note.Text != "the cable to ledger is out" || over.Page != page.Page {
		t.Errorf("the story is\n%+v\n%+v\n%+v\n%+v\n%+v", first, second, ack, note, over)
	}
	told := []responders.Event{first, second, ack, over}
	for i := range told[1:] {
		if a, b := told[i], told[i+1]; !a.At.Lo.Before(b.At.Lo) {
			t.Errorf("%s at %v is not before %s at %v", a.Kind, a.At, b.Kind, b.At)
		}
	}
	if width := ack.At.Hi.Sub(ack.At.Lo); width > 200*time.Millisecond {
		t.Errorf("the acknowledgement is known to within %s", width)
	}
	card := w.score(20 * time.Second)
	for id, item := range items(card) {
		if item.Outcome != clock.Met {
			t.Errorf("%s is %s: %s", id, item.Outcome, item.Why)
		}
	}
	for _, id := range []string{"alarm.checkout.fired", "alarm.checkout.paged", "response.on-call.acknowledge", "response.on-call.escalate"} {
		if _, there := items(card)[id]; !there {
			t.Errorf("there is no item %s", id)
		}
	}
}

// TestRealCut has the stream cut while somebody acknowledges, and until Icinga has forgotten it. What was not seen is unknown, and
// not missed.
func TestRealCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.breakIt()
	w.event(responders.Notified, 1)
	second := w.event(responders.Notified, 2)
	w.paged()
	w.proxy.Cut()
	w.icinga.Act("acknowledge-problem", "payments", "checkout", map[string]any{"author": "ann", "comment": "on it"})
	limit := time.Since(second.At.Lo) // somebody acknowledged in time, and it was not seen
	w.mendIt()
	promrig.Eventually(t, 10*time.Second, "it has recovered and forgotten", func() bool { return w.icinga.State("payments", "checkout") == 0 })
	w.proxy.Mend()
	w.event(responders.Resolved, 0)
	card := w.score(limit)
	ack := items(card)["response.on-call.acknowledge"]
	if ack.Outcome != clock.Unknown || !strings.Contains(ack.Why, "the event stream was not there") {
		t.Errorf("the acknowledgement is %s: %s", ack.Outcome, ack.Why)
	}
	for _, id := range []string{"alarm.checkout.fired", "alarm.checkout.paged", "response.on-call.escalate"} {
		if item := items(card)[id]; item.Outcome != clock.Met {
			t.Errorf("%s is %s: %s", id, item.Outcome, item.Why)
		}
	}
	if card.Coverage >= 1 || card.Verdict == report.Failed {
		t.Errorf("coverage %v, %v", card.Coverage, card.Verdict)
	}
}
