package incidentio

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

const token = "inc_SECRET_1"

// fake is a server that answers as incident.io does, or badly.
type fake struct {
	t           *testing.T
	mu          sync.Mutex
	asked       []string
	ahead       time.Duration
	noDate      bool
	incidents   []object
	logs        map[string][]object // by incident
	escalations []object
	perPage     int
	refuse      []int
	after       string // how many seconds it then asks to wait
	body        string // of all answers, instead of what they should be
	only        string // refuse and body are for paths with this in them alone
	forbidden   string
}

func newFake(t *testing.T, change ...func(*Config)) (*fake, *Source) {
	t.Helper()
	f := &fake{t: t, logs: map[string][]object{}, after: "0.001"}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c := Config{URL: server.URL, Token: token, Pages: "dry", Timeout: "2s", Patience: "3s", PerMinute: 600_000, Automation: []string{"UBOT", "Robot"}}
	for _, one := range change {
		one(&c)
	}
	s, err := New("incident_io.main", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return f, s
}

func (f *fake) now() time.Time { return time.Now().Add(f.ahead) }

// wire writes an instant as incident.io does.
func wire(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func user(id string) object {
	return object{"id": id, "name": "Name of " + id, "email": id + "@example.org"}
}

func by(id string) object { return object{"user": user(id)} }

func inStatus(category string) object { return object{"id": "S", "name": "?", "category": category} }

// open adds an incident.
func (f *fake) open(id string, at time.Time, name string, creator object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.incidents = append(f.incidents, object{"id": id, "reference": "INC-1", "name": name, "created_at": wire(at), "last_activity_at": wire(at), "creator": creator,
		"incident_status": inStatus("live"), "slack_channel_name": "inc-1-payments", "postmortem_document_url": "https://docs.example.org/1", "mode": "standard"})
}

// log adds an entry to an incident's log.
func (f *fake) log(incident, kind string, at time.Time, content object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := object{"id": fmt.Sprintf("%s-%d", incident, len(f.logs[incident])), "incident_id": incident, "type": kind, "occurred_at": wire(at), "created_at": wire(at), "title": "Name of UANN did it"}
	if content != nil {
		e["content"] = object{kind: content}
	}
	f.logs[incident] = append(f.logs[incident], e)
}

// page adds an escalation, related to incidents.
func (f *fake) page(id string, at time.Time, alert object, incidents []string, events ...object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	related := []object{}
	for _, i := range incidents {
		related = append(related, object{"id": i, "name": "x"})
	}
	for n, e := range events {
		e["id"] = fmt.Sprintf("%d-%s", 9-n, id) // ids tell of no order
	}
	alerts := []object{}
	if alert != nil {
		alerts = append(alerts, alert)
	}
	f.escalations = append(f.escalations, object{"id": id, "title": "Payments are down", "created_at": wire(at), "escalation_path_id": "PATH1", "status": "acked", "events": events,
		"related_alerts": alerts, "related_incidents": related})
}

func event(kind string, at time.Time, users ...string) object {
	e := object{"event": kind, "occurred_at": wire(at)}
	for _, u := range users {
		list, _ := e["users"].([]object)
		e["users"] = append(list, user(u))
	}
	return e
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.URL.Path+"?"+r.URL.RawQuery)
	w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	if f.noDate {
		w.Header()["Date"] = nil
	}
	ours := strings.Contains(r.URL.Path, f.only)
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		w.WriteHeader(http.StatusUnauthorized)
	case f.forbidden != "" && strings.Contains(r.URL.Path, f.forbidden):
		w.WriteHeader(http.StatusForbidden)
	case len(f.refuse) > 0 && ours:
		w.Header().Set("Retry-After", f.after)
		w.WriteHeader(f.refuse[0])
		f.refuse = f.refuse[1:]
		fmt.Fprintf(w, "you sent %s", token)
	case f.body != "" && ours:
		fmt.Fprint(w, f.body)
	case r.URL.Path == "/v2/incidents":
		f.list(w, r, "incidents", slices.DeleteFunc(slices.Clone(f.incidents), func(i object) bool {
			open := r.URL.Query()["status_category[one_of]"]
			return len(open) > 0 && !slices.Contains(open, i["incident_status"].(object)["category"].(string)) || i["created_at"].(string) < r.URL.Query().Get("created_at[gte]")
		}))
	case r.URL.Path == "/v2/escalations":
		f.list(w, r, "escalations", slices.DeleteFunc(slices.Clone(f.escalations), func(e object) bool {
			open := r.URL.Query()["status[one_of]"]
			return len(open) > 0 && !slices.Contains(open, e["status"].(string)) || e["created_at"].(string) < r.URL.Query().Get("created_at[gte]")
		}))
	case r.URL.Path == "/v2/incident_activity_log_entries":
		f.list(w, r, "incident_activity_log_entries", f.logs[r.URL.Query().Get("incident_id")])
	default:
		http.NotFound(w, r)
	}
}

// list writes the part of a list that follows an element.
func (f *fake) list(w http.ResponseWriter, r *http.Request, field string, all []object) {
	size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
	if f.perPage > 0 {
		size = f.perPage
	}
	from := 0
	if after := r.URL.Query().Get("after"); after != "" {
		from = 1 + slices.IndexFunc(all, func(o object) bool { return o["id"] == after })
	}
	end := min(from+size, len(all))
	meta := object{"page_size": size}
	if end < len(all) {
		meta["after"] = all[end-1]["id"]
	}
	body := object{field: append([]object{}, all[from:end]...), "pagination_meta": meta}
	if field == logField && len(all) == 0 {
		delete(body, field) // it is optional in the published description
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		f.t.Error(err)
	}
}
