package conductor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/clock"
	"gameday/report"
	"gameday/responders"
)

// lateDesk takes its time for whatever somebody does, and tells it afterwards.
type lateDesk struct {
	pagesPast
	takes time.Duration
	done  []responders.Event
}

func (d *lateDesk) Act(a responders.Action) (string, error) {
	time.Sleep(d.takes)
	d.done = append(d.done, responders.Event{Actor: responders.Actor{ID: a.By}})
	return "page 1", nil
}

func (d *lateDesk) History(context.Context, clock.Span) ([]responders.Event, responders.Coverage, error) {
	return d.done, responders.Coverage{}, nil
}

// TestLastAct acknowledges something as the run ends: it is either in the desk's account, or answered as too late for the run.
func TestLastAct(t *testing.T) {
	for name, c := range map[string]struct {
		begun time.Duration // after the account was asked for
		kept  bool
	}{
		"while the run goes on":    {-2 * time.Second, true},
		"as the account is asked":  {-500 * time.Millisecond, true},
		"when the account is made": {time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, events := openedAt(t, t.TempDir(), newFakeListener())
				d := &lateDesk{takes: time.Second}
				r.sources.responders = []namedResponders{{id: "desk.ops", Source: d}}
				answered := make(chan error, 1)
				time.AfterFunc(3*time.Second+c.begun, func() {
					_, err := r.control.do(Request{Do: "act", Act: &responders.Action{Verb: responders.DoAcknowledge, By: "ann"}})
					answered <- err
				})
				time.Sleep(3 * time.Second)
				r.sources.accounts()
				if err := <-answered; (err == nil) != c.kept || err != nil && !errors.Is(err, errOver) {
					t.Errorf("it is answered %v", err)
				}
				kept := false
				for _, e := range *events {
					kept = kept || e.Kind == report.ResponseRecord && strings.Contains(string(e.Data), `"ann"`)
				}
				if kept != c.kept || (len(d.done) > 0) != c.kept {
					t.Errorf("in the account: %v, done: %v; want %v", kept, len(d.done) > 0, c.kept)
				}
			})
		})
	}
}
