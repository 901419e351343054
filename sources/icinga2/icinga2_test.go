package icinga2

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/clock"
)

// TestParse reads the events of Icinga 2.13.6 as they were sent, and refuses what it cannot understand.
func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		`{"acknowledgement":false,"check_result":{"execution_end":1795921567.004405,"output":"broken pipe","vars_after":{"reachable":true}},"downtime_depth":1,"host":"payments","service":"checkout","state":2,"state_type":1,"timestamp":1795921567.004761,"type":"StateChange"}`: "StateChange payments!checkout 2 true downtime 1795921567004761",
		`{"check_result":{"execution_end":1795921567.0,"vars_after":{"reachable":false}},"host":"payments","state":1,"state_type":0,"timestamp":1795921567.5,"type":"StateChange"}`:                                                                                                 "StateChange payments 1 false unreachable 1795921567500000",
		`{"author":"","command":"note","host":"payments","notification_type":"PROBLEM","service":"checkout","text":"","timestamp":1795921567.005017,"type":"Notification","users":["ann"]}`:                                                                                         "Notification payments!checkout PROBLEM [ann] note 1795921567005017",
		`{"acknowledgement_type":2,"author":"ann","comment":"on it","host":"payments","service":"checkout","state":2,"state_type":1,"timestamp":1795921575.032501,"type":"AcknowledgementSet"}`:                                                                                     "AcknowledgementSet payments!checkout 2 false ann: on it 1795921575032501",
		`{"comment":{"author":"ann","entry_time":1795921575.02959,"entry_type":4,"host_name":"payments","service_name":"checkout","text":"on it"},"timestamp":1795921575.031746,"type":"CommentAdded"}`:                                                                             "CommentAdded payments!checkout ann: on it (acknowledges) 1795921575031746",
		`{"comment":{"author":"ann","entry_type":1,"host_name":"payments","service_name":"","text":"x"},"timestamp":1795921575.0,"type":"CommentAdded"}`:                                                                                                                            "CommentAdded payments ann: x 1795921575000000",
		`{"downtime":{"author":"bob","comment":"maint","host_name":"payments","service_name":"checkout"},"timestamp":1795921576.161846,"type":"DowntimeStarted"}`:                                                                                                                   "DowntimeStarted payments!checkout bob: maint 1795921576161846",
		`{"host":"payments","is_flapping":true,"service":"flappy","state":0,"timestamp":1795921756.758398,"type":"Flapping"}`:                                                                                                                                                       "Flapping payments!flappy flapping 1795921756758398",
		`{"host":"payments","timestamp":1.0,"type":"StateChange"}`:                "error: it has no state",
		`{"host":"payments","timestamp":1.0,"type":"Notification"}`:               "error: it has no notification_type",
		`{"host":"payments","timestamp":1.0,"type":"AcknowledgementSet"}`:         "error: it has no state",
		`{"host":"payments","timestamp":1.0,"type":"Flapping"}`:                   "error: it does not say whether it is flapping",
		`{"comment":"x","host":"payments","timestamp":1.0,"type":"CommentAdded"}`: "error: it has no comment",
		`{"timestamp":1.0,"type":"DowntimeAdded"}`:                                "error: it has no downtime",
		`{"service":"checkout","timestamp":1.0,"type":"CheckResult"}`:             "error: it is about no host",
		`{"host":"payments","type":"CheckResult"}`:                                "error: it has no time",
		`{"host":"payments","timestamp":1.0,"type":"ObjectDeleted"}`:              "error: it is of no type that was asked for",
		`{"host":"payments","timest`:                                              "error: a line of the event stream is not an event",
		`<html>`:                                                                  "error: a line of the event stream is not an event",
	} {
		e, err := parse([]byte(line))
		got := ""
		switch {
		case err != nil:
			got = "error: " + err.Error()
		default:
			got = show(e)
		}
		if got != want && (!strings.HasPrefix(want, "error: ") || !strings.Contains(got, strings.TrimPrefix(want, "error: "))) {
			t.Errorf("%s\n is %s\nwant %s", line, got, want)
		}
	}
}

func show(e Event) string {
	out := []string{string(e.Type), e.Checkable}
	add := func(is bool, text string) {
		if is {
			out = append(out, text)
		}
	}
	add(e.about(StateChange, AcknowledgementSet), fmt.Sprintf("%d %t", e.State, e.Hard))
	add(e.Downtime, "downtime")
	add(e.Unreachable, "unreachable")
	add(e.Notification != "", fmt.Sprintf("%s %v %s", e.Notification, e.Users, e.Command))
	add(e.Author != "", e.Author+": "+e.Text)
	add(e.Acknowledges, "(acknowledges)")
	add(e.IsFlapping, "flapping")
	return strings.Join(append(out, fmt.Sprint(e.Stamp.UnixMicro())), " ")
}

// FuzzParse never takes a line for an event about nothing, or at no time.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"host":"payments","state":1,"state_type":0,"timestamp":1795921567.5,"type":"StateChange"}`))
	f.Add([]byte(`{"comment":{"host_name":"a","service_name":"b"},"timestamp":1e300,"type":"CommentAdded"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, err := parse(line); err == nil && (e.Checkable == "" || strings.HasPrefix(e.Checkable, "!") || e.Stamp.IsZero() || !slices.Contains(eventTypes, e.Type)) {
			t.Errorf("%q is %+v", line, e)
		}
	})
}

func TestPermissions(t *testing.T) {
	p := Permissions{"objects/query/service (filtered)", "status/*", "events/StateCh?nge"}
	for what, want := range map[string][2]bool{"objects/query/Service": {true, true}, "status/query": {true, false}, "events/StateChange": {true, false},
		"events/Notification": {}, "objects/query/Host": {}} {
		if has, some := p.Has(what); has != want[0] || some != want[1] {
			t.Errorf("%s: %t %t", what, has, some)
		}
	}
	if has, some := append(p, "*").Has("objects/query/Service"); !has || some {
		t.Error("another permission lifts the filter")
	}
}

// TestCounting makes every gap of a stream longer than the second that is forgiven to those who look.
func TestCounting(t *testing.T) {
	end := time.Unix(1000, 0)
	for length, want := range map[time.Duration]time.Duration{time.Millisecond: 2100 * time.Millisecond, 2 * time.Second: 2100 * time.Millisecond, time.Minute: time.Minute} {
		if got := counting(clock.Span{Start: end.Add(-length), End: end}, 2*time.Second); got.Length() != want || got.End != end {
			t.Errorf("%s is %s", length, got.Length())
		}
	}
	if got := counting(clock.Span{Start: end, End: end}, time.Millisecond); got.Length() <= time.Second {
		t.Errorf("%s", got.Length())
	}
}

func TestLevels(t *testing.T) {
	all := []*Notification{{Name: "late", Begin: time.Hour, Problems: true}, {Name: "b", Problems: true}, {Name: "a", Problems: true},
		{Name: "soon", Begin: time.Minute, Problems: true}, {Name: "recovery", Begin: time.Second}}
	levels(all)
	var got []string
	for _, n := range all {
		got = append(got, fmt.Sprintf("%s %d", n.Name, n.Level))
	}
	if want := "recovery 0, a 1, b 1, soon 2, late 3"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestStatusTime(t *testing.T) {
	var s Status
	now, err := s.read([]statusPart{{"CIB", json.RawMessage(`{"uptime":100.5}`)}, {"CheckerComponent", json.RawMessage(`{"checkercomponent":{"checker":{"idle":4}}}`)},
		{"NotificationComponent", json.RawMessage(`{"notificationcomponent":{}}`)},
		{"IcingaApplication", json.RawMessage(`{"icingaapplication":{"app":{"program_start":1795921467.234644,"version":"r2.13.6-1","enable_notifications":true}}}`)}})
	if err != nil || now.UnixMicro() != 1795921567734644 || !s.Checker || s.Notifier || !s.Notifications || s.Version != "2.13.6-1" {
		t.Errorf("%v %v %+v", now, err, s)
	}
	if _, err := s.read(nil); err == nil {
		t.Error("a status without a time has one")
	}
}

// fake is an Icinga that does what it is told to.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	checkout map[string]any // its attributes
	bad      string         // the path that is answered with half an answer
	streams  []chan string
	opened   int
}

func newFake(t *testing.T) *fake {
	f := &fake{checkout: map[string]any{"name": "checkout", "host_name": "payments", "state": 0.0, "state_type": 1.0, "last_reachable": true,
		"last_state_change": 1000.0, "last_hard_state_change": 1000.0, "last_state_ok": 1001.0}}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	bad := f.bad == r.URL.Path
	attrs := maps.Clone(f.checkout)
	f.mu.Unlock()
	results := func(v ...any) {
		text, _ := json.Marshal(map[string]any{"results": v})
		if bad {
			text = text[:len(text)/2]
		}
		w.Write(text)
	}
	object := func(name string, attrs any) any { return map[string]any{"name": name, "attrs": attrs} }
	switch r.URL.Path {
	case "/v1":
		results(map[string]any{"permissions": []string{"*"}})
	case "/v1/status":
		now := float64(time.Now().UnixMicro()) / 1e6
		results(map[string]any{"name": "CIB", "status": map[string]any{"uptime": 1}}, map[string]any{"name": "IcingaApplication",
			"status": map[string]any{"icingaapplication": map[string]any{"app": map[string]any{"program_start": now - 1}}}})
	case "/v1/objects/services":
		results(object("payments!checkout", attrs))
	case "/v1/objects/hosts":
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":404,"status":"No objects found."}`)
	case "/v1/events":
		c := make(chan string, 10)
		f.mu.Lock()
		f.streams, f.opened = append(f.streams, c), f.opened+1
		f.mu.Unlock()
		w.(http.Flusher).Flush()
		for {
			select {
			case <-r.Context().Done():
				return
			case line := <-c:
				if line == "cut" {
					panic(http.ErrAbortHandler)
				}
				io.WriteString(w, line+"\n")
				w.(http.Flusher).Flush()
			}
		}
	}
}

// send sends a line to all streams that were opened last.
func (f *fake) send(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.streams[len(f.streams)-1]
	c <- line
}

func (f *fake) set(name string, value any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkout[name] = value
}

// heardBy keeps what a handler was told.
type heardBy struct {
	mu   sync.Mutex
	told []string
}

func (h *heardBy) add(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, text)
}
func (h *heardBy) Begin(_ *Snapshot, gap clock.Span) {
	h.add(fmt.Sprintf("begin %t", !gap.Start.IsZero()))
}
func (h *heardBy) Event(_ context.Context, e Event, _ *Checkable) {
	h.add(string(e.Type))
}
func (h *heardBy) Look(map[string]*Checkable, clock.Interval)     {}
func (h *heardBy) Health(to Health, why string, _ clock.Interval) { h.add(string(to) + " " + why) }
func (h *heardBy) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.told, func(s string) bool { return strings.Contains(s, text) })
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for !yes() {
		select {
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// brief is next to no patience with an event that is on its way.
const brief = 200 * time.Millisecond

// follow follows a fake.
func follow(t *testing.T, f *fake, patience time.Duration) (*Watcher, *heardBy) {
	t.Helper()
	o, err := Settings{URL: f.URL, Username: "gameday", Insecure: true, Poll: "20ms", Timeout: "2s"}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	w, h := NewWatcher(c, false), &heardBy{}
	w.patience = patience
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { w.Follow(ctx, Select(), h) })
	t.Cleanup(func() { cancel(); work.Wait(); c.Close() })
	eventually(t, "it began", func() bool { return h.has("begin false") })
	return w, h
}

// TestBreaks has bad days: each breaks the stream in its way, after which it is opened anew and the time between is not covered.
func TestBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*fake)
		says string
	}{
		"cut":              {func(f *fake) { f.send("cut") }, "it broke"},
		"half a line":      {func(f *fake) { f.send(`{"host":"pay`) }, "is not an event"},
		"an unknown event": {func(f *fake) { f.send(`{"host":"payments","timestamp":1.0,"type":"Surprise"}`) }, "not understood"},
		"dead, though it stands": {func(f *fake) {
			f.set("last_state_change", 2000.0)
			f.set("state", 2.0)
		}, "it did not tell of it when payments!checkout changed its state"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			w, h := follow(t, f, brief)
			start := time.Now()
			eventually(t, "something is covered", func() bool {
				spans, _ := w.Covered(t.Context(), clock.Span{Start: start, End: time.Now()})
				return len(spans) > 0
			})
			c.harm(f)
			eventually(t, "it began anew", func() bool { return h.has("begin true") })
			if !h.has("unreachable ") || !h.has(c.says) || !h.has("reachable") {
				t.Errorf("told %q", h.told)
			}
			span := clock.Span{Start: start, End: time.Now()}
			spans, why := w.Covered(t.Context(), span)
			if clock.Share(spans, span) >= 1 || !strings.Contains(strings.Join(why, "; "), c.says) {
				t.Errorf("covered %v of %v: %v", spans, span, why)
			}
		})
	}
}

// TestLate takes an event that comes late, as long as it comes: then nothing was missed.
func TestLate(t *testing.T) {
	f := newFake(t)
	w, h := follow(t, f, 5*time.Second)
	f.set("last_state_change", 2000.0)
	f.set("state", 2.0)
	time.AfterFunc(60*time.Millisecond, func() {
		f.send(`{"check_result":{"execution_end":2000.0,"vars_after":{"reachable":true}},"host":"payments","service":"checkout","state":2,"state_type":0,"timestamp":2000.0,"type":"StateChange"}`)
	})
	eventually(t, "it is told", func() bool { return h.has("StateChange") })
	w.mu.Lock()
	missed := slices.Concat(w.cuts, w.account.Faults()) // but not what passed between two looks, which others on this machine can hold up
	w.mu.Unlock()
	if h.has("begin true") || len(missed) > 0 {
		t.Errorf("told %q, and %v", h.told, missed)
	}
}

// TestBlindLooks leaves a gap where the server does not answer, although the stream stands.
func TestBlindLooks(t *testing.T) {
	f := newFake(t)
	w, h := follow(t, f, brief)
	f.mu.Lock()
	f.bad = "/v1/objects/services"
	f.mu.Unlock()
	eventually(t, "it is unreachable", func() bool { return h.has("unreachable GET") })
	from := time.Now()
	eventually(t, "a while has passed", func() bool { return time.Since(from) > 200*time.Millisecond })
	f.mu.Lock()
	f.bad = ""
	f.mu.Unlock()
	eventually(t, "it is reachable again", func() bool { return h.has("reachable ") && len(h.told) > 2 })
	spans, why := w.Covered(t.Context(), clock.Span{Start: from, End: time.Now()})
	if clock.Share(spans, clock.Span{Start: from, End: from.Add(150 * time.Millisecond)}) > 0 || !strings.Contains(strings.Join(why, "; "), "not the JSON expected") {
		t.Errorf("covered %v: %v", spans, why)
	}
	if h.has("begin true") {
		t.Error("the stream was opened anew, and had not broken")
	}
}

// TestOverdue does not count a server as watching that does not check.
func TestOverdue(t *testing.T) {
	f := newFake(t)
	f.set("enable_active_checks", true)
	f.set("next_check", float64(time.Now().Unix()-200))
	w, h := follow(t, f, brief)
	eventually(t, "it is broken", func() bool { return h.has("broken the check of payments!checkout is overdue by") })
	start := time.Now()
	if spans, _ := w.Covered(t.Context(), clock.Span{Start: start, End: start.Add(time.Second)}); len(spans) > 0 {
		t.Errorf("covered %v", spans)
	}
}

// TestSelectEvery takes everything in, and still tells the states apart where the scenario speaks of one.
func TestSelectEvery(t *testing.T) {
	some := Select(map[string]string{"service": "http", LabelState: "CRITICAL"})
	http, disk := &Checkable{Labels: map[string]string{"service": "http"}}, &Checkable{Labels: map[string]string{"service": "disk"}}
	if !some.Wanted(http) || some.Wanted(disk) {
		t.Error("a selection takes in what it does not name")
	}
	if every := some.Every(); !every.Wanted(disk) || !every.Split(http) || every.Split(disk) {
		t.Error("a selection of everything does not take in everything, split as before")
	}
}
