package conductor

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/report"
	"gameday/responders"
	"gameday/targets"
)

// desked is a desk that is told of an alarm that fires when more than half of all fails.
const desked = `
responders "desk" "ops" {
  level { people = ["ann"] }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "Failing" {
    when   = sli.error_ratio > 0.5
    over   = "1s"
    held   = "1s"
    keep   = "1s"
    labels = { severity = "page" }
  }
}
`

// acknowledges has somebody acknowledge the first page, through the run's own socket.
func acknowledges(d *day) <-chan error {
	paged := make(chan string, 1)
	d.options.Observe = func(e report.Event) {
		if e.Kind == report.ResponseSeen {
			select {
			case paged <- "":
			default:
			}
		}
	}
	acked := make(chan error, 1)
	go func() {
		<-paged
		_, err := Ask(context.Background(), d.options.Dir, Request{Do: "act",
			Act: &responders.Action{Verb: responders.DoAcknowledge, By: "ann"}})
		acked <- err
	}()
	return acked
}

// TestBuiltinPagesDesk runs in real time, with a real desk behind a real port: an alarm fires and clears, its webhooks open
// and resolve a page, and somebody acknowledges it through the run's own socket.
func TestBuiltinPagesDesk(t *testing.T) {
	t.Parallel()
	d := newDay(t, desked, "")
	d.options.Scenario.Timeline.Ramp = 0
	d.options.Scenario.Timeline.Baseline = time.Second
	d.options.Scenario.Timeline.Load = 12 * time.Second // a busy machine sees it fire late, and clear late
	d.options.Scenario.Timeline.Recovery = time.Second
	d.sender.errors = during(1, 7)
	d.options.Machine = &targets.Machine{}
	acked := acknowledges(d)
	if err := Run(t.Context(), d.options); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	rec, err := report.Read(d.options.Dir)
	if err != nil {
		t.Fatal(err)
	}
	wantEnd(t, rec, report.EndComplete)
	select {
	case err := <-acked:
		if err != nil {
			t.Errorf("acknowledging: %v", err)
		}
	default:
		t.Error("no page was opened")
	}
	var states []alarms.State
	for _, a := range seen[report.AlarmSighting](t, rec, report.AlarmSeen) {
		if a.Source != "builtin.main" || a.Labels["alertname"] != "Failing" {
			t.Errorf("sighting %+v", a)
		}
		states = append(states, a.State)
	}
	for _, want := range []alarms.State{alarms.StatePending, alarms.StateFiring, alarms.StatePaged, alarms.StateInactive} {
		if !slices.Contains(states, want) {
			t.Errorf("the alarm was never %s: %v", want, states)
		}
	}
	pagedAndResolved(t, rec)
}

// pagedAndResolved looks at what the desk told while it happened, and at the accounts of the source and of the desk.
func pagedAndResolved(t *testing.T, rec *report.Record) {
	t.Helper()
	var told []responders.Kind
	for _, r := range seen[responders.Event](t, rec, report.ResponseSeen) {
		told = append(told, r.Kind)
	}
	for _, want := range []responders.Kind{responders.Opened, responders.Notified, responders.Acknowledged, responders.Resolved} {
		if !slices.Contains(told, want) {
			t.Errorf("nothing was %s: %v", want, told)
		}
	}
	histories := seen[report.AlarmRecord](t, rec, report.AlarmHistory)
	if len(histories) != 1 || len(histories[0].Episodes) != 1 || histories[0].Episodes[0].Ended.IsZero() ||
		histories[0].Episodes[0].Paged.IsZero() {
		t.Errorf("the source's account: %+v", histories)
	}
	accounts := seen[report.ResponseAccount](t, rec, report.ResponseRecord)
	if len(accounts) != 1 || len(accounts[0].Events) != len(told) {
		t.Errorf("the desk's account has not the %d events seen: %+v", len(told), accounts)
	}
}

func TestWebhookAddress(t *testing.T) {
	for in, want := range map[string]string{
		"0.0.0.0:9911": "http://127.0.0.1:9911/webhook", "[::]:9911": "http://127.0.0.1:9911/webhook",
		"198.18.0.2:80": "http://198.18.0.2:80/webhook", "127.0.0.1:1": "http://127.0.0.1:1/webhook",
	} {
		if got := webhook(in); got != want {
			t.Errorf("webhook(%q) = %q, want %q", in, got, want)
		}
	}
}
