package pagerduty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// object is a JSON object.
type object = map[string]any

// fake is a server that answers as PagerDuty does, or badly. Its answers, and what it is asked, are held to the published
// description when that is there: see spec_test.go.
type fake struct {
	t     *testing.T
	mu    sync.Mutex
	asked []string // paths with their queries

	ahead     time.Duration // of its clock
	noDate    bool
	incidents []*fakeIncident
	oncalls   []object
	status    string // of the service
	perPage   int    // the most that it gives at once; 0 is what is asked for
	refuse    []int  // statuses of the next answers
	after     string // how many seconds it then asks to wait
	body      string // of all answers, instead of what they should be
	only      string // refuse and body are for paths with this in them alone
	forbidden string // a path that the token may not read
	moving    int    // how many more answers have another total each
	ascending bool   // it gives the oldest entry of a log first
	unheld    []string
}

// fakeIncident is an incident with its log.
type fakeIncident struct {
	object
	log    []object // the oldest first
	alerts []object
	notes  []object
}

const (
	token   = "tok-SECRET-1"
	svc     = "PSVC1"
	pol     = "PPOL1"
	ann     = "PANN1"
	bob     = "PBOB1"
	machine = "PBOT1"
)

func user(id string) object {
	return object{"id": id, "type": "user_reference", "summary": people1[id], "self": nil, "html_url": nil}
}

// people1 are the names of the fake's users.
var people1 = map[string]string{ann: "Ann Lee", bob: "Bob Ray", machine: "slackbot"}

func serviceRef() object {
	return object{"id": svc, "type": "service_reference", "summary": "Checkout", "self": nil, "html_url": nil}
}

func policyRef() object {
	return object{"id": pol, "type": "escalation_policy_reference", "summary": "On-call", "self": nil, "html_url": nil}
}

func turn(level int, id string) object {
	return object{"escalation_level": level, "user": user(id), "escalation_policy": policyRef(), "start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
}

// newFake returns a service with ann on call at level 1 and bob at level 2, and a source that reads it.
func newFake(t *testing.T, change ...func(*Config)) (*fake, *Source) {
	t.Helper()
	f := &fake{t: t, status: "active", after: "0.001", oncalls: []object{turn(1, ann), turn(2, bob)}}
	server := httptest.NewServer(described(t, f))
	t.Cleanup(server.Close)
	c := Config{URL: server.URL, Token: token, Services: []string{svc}, Pages: "dry", Timeout: "2s", Patience: "3s", PerMinute: 600_000, Automation: []string{machine}}
	for _, one := range change {
		one(&c)
	}
	s, err := New("pagerduty.ops", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return f, s
}

// now is the fake's time, as it writes it.
func (f *fake) now() time.Time { return time.Now().Add(f.ahead) }

// open adds an incident that Alertmanager opened, with the labels of its alarm.
func (f *fake) open(id string, at time.Time, labels map[string]string) *fakeIncident {
	text := "Labels:\n"
	for name, value := range labels {
		text += " - " + name + " = " + value + "\n"
	}
	text += "Annotations:\n - summary = x\nSource: http://prometheus.example\n"
	i := &fakeIncident{object: object{"id": id, "type": "incident", "summary": "[#1] Payments", "self": nil, "html_url": nil, "incident_number": 1,
		"title": "[FIRING:1] Payments (page)", "status": "triggered", "created_at": stamp(at), "last_status_change_at": stamp(at), "service": serviceRef(),
		"escalation_policy": policyRef(), "urgency": "high", "incident_key": "k"}}
	details := object{"num_firing": 1, "num_resolved": 0, "nested": object{"deep": []any{1, nil, true}}} // integrations write what they like
	if labels != nil {
		details["firing"] = text
		details["resolved"] = "Labels:\n - alertname = Another\n"
	}
	i.add("trigger_log_entry", at, object{"agent": serviceRef(), "channel": object{"type": "api", "summary": "Payments", "details": details},
		"event_details": object{"description": "Payments"}})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.incidents = append(f.incidents, i)
	return i
}

// add adds an entry to the log.
func (i *fakeIncident) add(kind string, at time.Time, more object) *fakeIncident {
	e := object{"id": fmt.Sprintf("L%s%d", i.object["id"], 99-len(i.log)), // ids tell of no order
		"type": kind, "summary": "by " + people1[ann], "self": nil, "html_url": nil, "created_at": stamp(at),
		"agent": serviceRef(), "channel": object{"type": "auto"}, "service": serviceRef(), "teams": []any{}, "contexts": []any{},
		"incident": object{"id": i.object["id"], "type": "incident_reference", "summary": "x", "self": nil, "html_url": nil}}
	for name, value := range more {
		e[name] = value
	}
	i.log = append(i.log, e)
	switch kind {
	case "resolve_log_entry":
		i.object["status"], i.object["last_status_change_at"] = "resolved", stamp(at)
	case "acknowledge_log_entry":
		i.object["status"], i.object["last_status_change_at"] = "acknowledged", stamp(at)
	}
	return i
}

func (i *fakeIncident) assign(at time.Time, id string) *fakeIncident {
	return i.add("assign_log_entry", at, object{"assignees": []any{user(id)}})
}

func (i *fakeIncident) notify(at time.Time, id, how, status string) *fakeIncident {
	return i.add("notify_log_entry", at, object{"user": user(id), "channel": object{"type": "auto", "notification": object{"type": how, "status": status, "address": "+1 956-821-0372"}}})
}

func (i *fakeIncident) by(kind string, at time.Time, id, through string) *fakeIncident {
	return i.add(kind, at, object{"agent": user(id), "channel": object{"type": through}})
}

func (i *fakeIncident) escalate(at time.Time, id string) *fakeIncident {
	return i.add("escalate_log_entry", at, object{"assignees": []any{user(id)}})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.URL.Path+"?"+r.URL.RawQuery)
	if !f.noDate {
		w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	} else {
		w.Header()["Date"] = nil
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "Token token="+token || r.Header.Get("Accept") != accept {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"message":"%s","code":2006}}`, r.Header.Get("Authorization"))
		return
	}
	ours := strings.Contains(r.URL.Path, f.only)
	switch {
	case f.forbidden != "" && strings.HasPrefix(r.URL.Path, f.forbidden):
		w.WriteHeader(http.StatusForbidden)
	case len(f.refuse) > 0 && ours:
		w.Header().Set("Retry-After", f.after)
		status := f.refuse[0]
		f.refuse = f.refuse[1:]
		w.WriteHeader(status)
		fmt.Fprintf(w, "you sent %s", token)
	case f.body != "" && ours:
		w.Header().Set("Undescribed", "on purpose")
		fmt.Fprint(w, f.body)
	default:
		f.answer(w, r)
	}
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	write := func(v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			f.t.Error(err)
		}
	}
	var one *fakeIncident
	if len(parts) > 1 && parts[0] == "incidents" {
		n := slices.IndexFunc(f.incidents, func(i *fakeIncident) bool { return i.object["id"] == parts[1] })
		if n < 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		one = f.incidents[n]
	}
	switch {
	case r.URL.Path == "/services/"+svc:
		write(object{"service": object{"id": svc, "type": "service", "name": "Checkout", "status": f.status, "escalation_policy": policyRef(), "acknowledgement_timeout": 1800,
			"auto_resolve_timeout": 14400, "incident_urgency_rule": object{"type": "constant", "urgency": "high"}}})
	case r.URL.Path == "/escalation_policies/"+pol:
		rule := object{"id": "R1", "escalation_delay_in_minutes": 5, "targets": []any{user(ann)}}
		write(object{"escalation_policy": object{"id": pol, "type": "escalation_policy", "name": "On-call", "num_loops": 1, "escalation_rules": []any{rule, rule}}})
	case r.URL.Path == "/teams/PTEAM1":
		write(object{"team": object{"id": "PTEAM1", "type": "team", "name": "Shop"}})
	case r.URL.Path == "/oncalls":
		f.page(w, r, "oncalls", f.oncalls)
	case r.URL.Path == "/incidents":
		f.page(w, r, "incidents", f.selected(r))
	case one != nil && len(parts) == 2:
		write(object{"incident": one.object})
	case one != nil && parts[2] == "log_entries":
		newest := slices.Clone(one.log)
		if !f.ascending {
			slices.Reverse(newest)
		}
		f.page(w, r, "log_entries", newest)
	case one != nil && parts[2] == "notes":
		write(object{"notes": append([]object{}, one.notes...)})
	case one != nil && parts[2] == "alerts":
		f.page(w, r, "alerts", one.alerts)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// selected returns the incidents that a query is for, the oldest first.
func (f *fake) selected(r *http.Request) []object {
	q := r.URL.Query()
	var out []object
	for _, i := range f.incidents {
		at := i.object["created_at"].(string)
		status, resolved := q["statuses[]"], i.object["status"].(string)
		switch {
		case len(status) > 0 && !slices.Contains(status, resolved),
			q.Get("date_range") == "" && (at < q.Get("since") || at > q.Get("until")):
		default:
			out = append(out, i.object)
		}
	}
	slices.SortStableFunc(out, func(a, b object) int { return strings.Compare(a["created_at"].(string), b["created_at"].(string)) })
	return out
}

// page writes a part of a list.
func (f *fake) page(w http.ResponseWriter, r *http.Request, field string, all []object) {
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if f.perPage > 0 {
		limit = min(limit, f.perPage)
	}
	for _, kind := range f.unheld {
		if kind == "" || slices.ContainsFunc(all, func(o object) bool { return o["type"] == kind }) {
			w.Header().Set("Undescribed", "on purpose")
		}
	}
	end := min(offset+limit, len(all))
	part := []object{}
	if offset < end {
		part = append(part, all[offset:end]...)
	}
	total := len(all)
	if f.moving > 0 {
		f.moving--
		total += 1000 + f.moving
	}
	if err := json.NewEncoder(w).Encode(object{field: part, "limit": limit, "offset": offset, "more": end < len(all), "total": total}); err != nil {
		f.t.Error(err)
	}
}

// undescribed takes a kind of entry, or all, out of what is held to the description: it is for what is not in it, or is
// wrong on purpose.
func (f *fake) undescribed(kind string) { f.unheld = append(f.unheld, kind) }
