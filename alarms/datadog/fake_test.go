package datadog

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/alarms"
)

// fake is a server that answers as Datadog does, or badly.
type fake struct {
	mu       sync.Mutex
	ahead    time.Duration // of its clock
	monitors []string      // JSON
	events   []happened
	perPage  int    // events on a page
	status   string // of a search
	refuse   []int  // statuses of the next answers
	body     string // instead of every answer but that of validate
	searches int
	noEvents bool // the key may not read them
}

// happened is an event.
type happened struct {
	at      time.Time // by a clock that is right
	kind    string    // of the transition
	groups  []string
	message string
	status  string // where there is no transition
	hidden  bool   // it is not found yet
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	if r.Header.Get("DD-API-KEY") != "hush-api" || r.Header.Get("DD-APPLICATION-KEY") != "hush-app" {
		http.Error(w, `{"errors":["Forbidden"]}`, http.StatusForbidden)
		return
	}
	if len(f.refuse) > 0 {
		status := f.refuse[0]
		f.refuse = f.refuse[1:]
		w.Header().Set("X-RateLimit-Reset", "0.01")
		http.Error(w, `{"errors":["not now, hush-app"]}`, status)
		return
	}
	switch {
	case r.URL.Path == "/api/v1/validate":
		fmt.Fprint(w, `{"valid":true}`)
	case f.body != "":
		fmt.Fprint(w, f.body)
	case r.URL.Path == "/api/v1/monitor":
		f.list(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/monitor/"):
		for _, m := range f.monitors {
			if strings.Contains(m, `"id":`+strings.TrimPrefix(r.URL.Path, "/api/v1/monitor/")+",") {
				fmt.Fprint(w, m)
				return
			}
		}
		http.Error(w, `{"errors":["Monitor not found"]}`, http.StatusNotFound)
	case r.URL.Path == "/api/v2/events/search":
		f.search(w, r)
	default:
		http.NotFound(w, r)
	}
}

// list answers with the monitors whose name contains a text, a page at a time.
func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
	var hits []string
	for _, m := range f.monitors {
		var named struct{ Name string }
		_ = json.Unmarshal([]byte(m), &named)
		if strings.Contains(named.Name, r.URL.Query().Get("name")) {
			hits = append(hits, m)
		}
	}
	from := min(page*size, len(hits))
	fmt.Fprintf(w, "[%s]", strings.Join(hits[from:min(from+size, len(hits))], ","))
}

// search answers with a page of events.
func (f *fake) search(w http.ResponseWriter, r *http.Request) {
	if f.noEvents {
		http.Error(w, `{"errors":["Forbidden"]}`, http.StatusForbidden)
		return
	}
	f.searches++
	var q struct {
		Filter struct{ Query, From, To string }
		Page   struct {
			Limit  int
			Cursor string
		}
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	from, _ := strconv.ParseInt(q.Filter.From, 10, 64)
	to, _ := strconv.ParseInt(q.Filter.To, 10, 64)
	var hits []any
	for i, e := range f.events {
		ms := e.at.Add(f.ahead).UnixMilli()
		if e.hidden || ms < from || ms > to || !strings.HasSuffix(q.Filter.Query, ":1") {
			continue
		}
		a := map[string]any{"timestamp": ms, "title": "[Triggered] Payments down", "status": e.status, "monitor_id": 1, "monitor_groups": e.groups}
		if e.kind != "" {
			a["monitor"] = map[string]any{"id": 1, "groups": e.groups, "transition": map[string]string{"trans_name": "Triggered", "trans_type": e.kind}}
		}
		hits = append(hits, map[string]any{"id": strconv.Itoa(i), "type": "event",
			"attributes": map[string]any{"timestamp": time.UnixMilli(ms).UTC(), "message": e.message, "attributes": a}})
	}
	begin, _ := strconv.Atoi(q.Page.Cursor)
	size := q.Page.Limit
	if f.perPage > 0 {
		size = f.perPage
	}
	end := min(begin+size, len(hits))
	page := map[string]any{}
	if end < len(hits) {
		page["after"] = strconv.Itoa(end)
	}
	data := hits[min(begin, len(hits)):end]
	if data == nil {
		data = []any{}
	}
	status := "done"
	if f.status != "" {
		status = f.status
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "meta": map[string]any{"status": status, "page": page}})
}

// mon writes a monitor with one group.
func mon(id int, name, status string, triggered, resolved time.Time, more string) string {
	stamp := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.Unix()
	}
	return fmt.Sprintf(`{"id":%d,"name":%q,"type":"query alert","query":"x","message":"no payments @pagerduty-shop","tags":["team:shop","env:prod"],"overall_state":%q,
		"options":{"on_missing_data":"show_no_data"%s},"state":{"groups":{"host:a":{"name":"host:a","status":%q,"last_triggered_ts":%d,"last_resolved_ts":%d}}}}`,
		id, name, status, more, status, stamp(triggered), stamp(resolved))
}

func expectation(name string) alarms.Expectation {
	return alarms.Expectation{Name: name, Match: map[string]string{"alertname": name}}
}

func faked(t *testing.T, f *fake, c Config) *Source {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c.URL, c.APIKey, c.AppKey = server.URL, "hush-api", "hush-app"
	if c.Timeout == "" {
		c.Timeout = "2s"
	}
	s, err := New("datadog.main", c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
