package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	heartbeatAlarm = "Watchdog"         // always firing: its arrival is the sign of life
	silenceAlarm   = "MonitoringSilent" // raised when it does not arrive any more
	alertsPath     = "/api/v2/alerts"   // where Alertmanager takes alarms; anywhere else takes its webhook
	watchmanTick   = 500 * time.Millisecond
	watchmanTries  = 3 // to page, a tick apart; then nobody is
)

// watchman is a dead man's switch: it pages when it hears no heartbeat any more, and by a way of its own. It is armed by the
// first heartbeat. It is safe for concurrent use.
type watchman struct {
	patience time.Duration // how long may pass between two heartbeats
	page     string        // URL that the page about silence goes to
	tell     string        // URL that its state goes to at every tick, as signs of its own life; empty tells nobody
	client   *http.Client
	log      *slog.Logger

	mu     sync.Mutex
	beat   time.Time // the last one; zero before the first
	silent time.Time // since when it knows of the silence; zero while all is well
	paged  bool      // what was to be sent about the present state was, or was given up
	tries  int
}

// alert is one alarm in Alertmanager's words.
type alert struct {
	Status      string            `json:"status,omitempty"` // firing, resolved
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
	Fingerprint string            `json:"fingerprint,omitempty"`
}

// notification is Alertmanager's webhook, version 4, as far as anybody reads it.
type notification struct {
	Version string  `json:"version"`
	Status  string  `json:"status"`
	Alerts  []alert `json:"alerts"`
}

// watchmanRole listens for heartbeats until ctx ends.
func watchmanRole(ctx context.Context, args []string, log io.Writer) error {
	w := &watchman{client: &http.Client{Timeout: watchmanTick}, log: slog.New(slog.NewTextHandler(log, nil)), paged: true}
	flags := flag.NewFlagSet("watchman", flag.ContinueOnError)
	listen := flags.String("listen", ":9403", "address to listen on for the heartbeat, an Alertmanager webhook at /beat")
	flags.DurationVar(&w.patience, "patience", 3*time.Second, "how long may pass between two heartbeats")
	flags.StringVar(&w.page, "page", "", "URL that takes the page: an Alertmanager webhook, or an Alertmanager when its path is "+alertsPath)
	flags.StringVar(&w.tell, "tell", "", "URL that takes its state as an Alertmanager webhook, again and again")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	switch {
	case w.page == "":
		return &usageError{"whom shall it page? say -page http://gameday:9911/webhook"}
	case w.patience < watchmanTick:
		return &usageError{fmt.Sprintf("-patience must be at least %s", watchmanTick)}
	}
	walking, stop := context.WithCancel(ctx)
	var walk sync.WaitGroup
	walk.Go(func() { w.walk(walking) })
	defer walk.Wait()
	defer stop()
	return serve(ctx, *listen, w.routes(time.Now), log)
}

func (w *watchman) routes(now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /beat", func(rw http.ResponseWriter, r *http.Request) {
		var n notification
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			fail(rw, http.StatusBadRequest, "a heartbeat is an Alertmanager webhook: "+err.Error())
			return
		}
		for _, a := range n.Alerts {
			if a.Labels["alertname"] == heartbeatAlarm && a.Status == "firing" {
				w.hear(now())
			}
		}
		rw.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// hear books a heartbeat.
func (w *watchman) hear(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beat = now
}

// walk makes its rounds until ctx ends.
func (w *watchman) walk(ctx context.Context) {
	tick := time.NewTicker(watchmanTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.round(ctx, time.Now())
		}
	}
}

// round looks once whether a heartbeat is overdue, says so to whom it concerns, and shows that it is alive itself.
func (w *watchman) round(ctx context.Context, now time.Time) {
	state, due := w.look(now)
	if due {
		err := w.post(ctx, w.page, state)
		w.sent(err)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("the page did not get through", "to", w.page, "error", err)
		}
	}
	if w.tell != "" {
		if err := w.post(ctx, w.tell, state); err != nil && ctx.Err() == nil {
			w.log.Warn("nobody takes the state", "error", err)
		}
	}
}

// look returns the alarm about silence as it stands, and whether somebody must still be told.
func (w *watchman) look(now time.Time) (state alert, due bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	overdue := !w.beat.IsZero() && now.Sub(w.beat) > w.patience
	switch {
	case overdue && w.silent.IsZero():
		w.silent, w.paged, w.tries = now, false, 0
	case !overdue && !w.silent.IsZero():
		w.silent, w.paged, w.tries = time.Time{}, false, 0
	}
	state = alert{
		Status: "resolved",
		Labels: map[string]string{"alertname": silenceAlarm, "severity": "page", "team": "observability"},
		Annotations: map[string]string{
			"summary":     "No heartbeat from monitoring: until it is back, no other alarm can come.",
			"runbook_url": "https://runbooks.example/monitoring-silent",
		},
		StartsAt: now, EndsAt: now, Fingerprint: silenceAlarm,
	}
	if !w.silent.IsZero() {
		state.Status, state.StartsAt, state.EndsAt = "firing", w.silent, time.Time{}
	}
	return state, !w.paged
}

// sent books how a try to page went.
func (w *watchman) sent(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries++
	w.paged = err == nil || w.tries >= watchmanTries
}

// post sends an alarm as whoever is at the URL takes it.
func (w *watchman) post(ctx context.Context, to string, a alert) error {
	var v any = notification{Version: "4", Status: a.Status, Alerts: []alert{a}}
	if strings.HasSuffix(to, alertsPath) {
		a.Status, a.Fingerprint = "", ""
		v = []alert{a}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	code, _, err := ask(ctx, w.client, http.MethodPost, to, body)
	if err == nil && code/100 != 2 {
		err = fmt.Errorf("status %d", code)
	}
	return err
}
