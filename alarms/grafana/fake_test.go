package grafana

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

// fake is a server that answers as Grafana does, or badly.
type fake struct {
	mu          sync.Mutex
	ahead       time.Duration // of its clock
	rules       []string      // JSON, one group each
	perPage     int           // groups on a page; 0 is all
	alerts      string
	silences    string
	rows        []row
	annotations bool      // the history is kept so
	started     time.Time // of the process; zero hides the metrics
	notes       []note
	noHistory   bool // notifications are not kept
	readsAll    bool
	most        int    // rows in an answer, as a backend's own limit
	refuse      []int  // statuses of the next answers
	body        string // instead of every answer
	asked       []string
}

// row is a change in the history.
type row struct {
	at         time.Time // by a clock that is right
	prev, next string
	labels     map[string]string
	hidden     bool // it is not written yet
}

// note is a notification.
type note struct {
	at       time.Time
	receiver string
	outcome  string
	labels   map[string]string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.URL.Path)
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	if len(f.refuse) > 0 {
		status := f.refuse[0]
		f.refuse = f.refuse[1:]
		w.Header().Set("Retry-After", "0.01")
		http.Error(w, `{"message":"not now, `+r.Header.Get("Authorization")+`"}`, status)
		return
	}
	if f.body != "" {
		fmt.Fprint(w, f.body)
		return
	}
	switch r.URL.Path {
	case "/api/health":
		fmt.Fprint(w, `{"database":"ok"}`)
	case "/api/prometheus/grafana/api/v1/rules":
		f.page(w, r)
	case "/api/alertmanager/grafana/api/v2/alerts":
		fmt.Fprint(w, "["+f.alerts+"]")
	case "/api/alertmanager/grafana/api/v2/silences":
		fmt.Fprint(w, "["+f.silences+"]")
	case "/api/v1/rules/history":
		f.history(w, r)
	case "/api/access-control/user/permissions":
		if !f.readsAll {
			fmt.Fprint(w, `{"alert.rules:read":["folders:uid:shop"]}`)
			return
		}
		fmt.Fprint(w, `{"alert.rules:read":["folders:*"]}`)
	case "/metrics":
		if f.started.IsZero() {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n", float64(f.started.Add(f.ahead).UnixMilli())/1000)
	case "/apis/historian.alerting.grafana.app/v0alpha1/namespaces/default/notification/query",
		"/apis/historian.alerting.grafana.app/v0alpha1/namespaces/default/notifications/queryalerts":
		f.notified(w, r)
	default:
		http.NotFound(w, r)
	}
}

// page answers with the rules, a page of groups at a time.
func (f *fake) page(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("group_next_token"))
	to, next := len(f.rules), ""
	if f.perPage > 0 && from+f.perPage < to {
		to = from + f.perPage
		next = strconv.Itoa(to)
	}
	fmt.Fprintf(w, `{"status":"success","data":{"groups":[%s],"groupNextToken":%q}}`, strings.Join(f.rules[from:to], ","), next)
}

// history answers with a frame of what changed between from and to.
func (f *fake) history(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, _ := strconv.ParseInt(q.Get("from"), 10, 64)
	to, _ := strconv.ParseInt(q.Get("to"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	if f.most > 0 {
		limit = f.most
	}
	uid := q.Get("ruleUID")
	if f.annotations && uid == "" {
		http.Error(w, `{"message":"ruleUID is required to query annotations"}`, http.StatusInternalServerError)
		return
	}
	var hits []row
	for _, one := range f.rows {
		at := one.at.Add(f.ahead)
		if !one.hidden && (uid == "" || uid == "uid-"+one.labels["alertname"]) && at.Unix() >= from && at.Unix() <= to {
			hits = append(hits, one)
		}
	}
	if limit > 0 && len(hits) > limit {
		hits = hits[len(hits)-limit:] // the newest
	}
	names := []string{"time", "line", "labels"}
	if f.annotations {
		names = []string{"time", "text", "prev", "next", "data"}
	}
	values := make([][]any, len(names))
	for i := range values {
		values[i] = []any{}
	}
	for _, one := range hits {
		ms := one.at.Add(f.ahead).UnixMilli()
		cells := []any{ms, map[string]any{"schemaVersion": 1, "previous": one.prev, "current": one.next, "labels": one.labels, "ruleUID": "uid-" + one.labels["alertname"]}, map[string]string{"from": "state-history"}}
		if f.annotations {
			var parts []string
			for k, v := range one.labels {
				parts = append(parts, k+"="+v)
			}
			cells = []any{ms * 1000, one.labels["alertname"] + " {" + strings.Join(parts, ", ") + "} - A=1.0", one.prev, one.next, "{}"}
		}
		for i, c := range cells {
			values[i] = append(values[i], c)
		}
	}
	fields := []map[string]string{}
	for _, n := range names {
		fields = append(fields, map[string]string{"name": n})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"schema": map[string]any{"name": "states", "fields": fields}, "data": map[string]any{"values": values}})
}

// notified answers for the history of notifications.
func (f *fake) notified(w http.ResponseWriter, r *http.Request) {
	if f.noHistory {
		http.Error(w, `{"message":"disabled"}`, http.StatusUnprocessableEntity)
		return
	}
	var question struct {
		UUID     string
		From, To time.Time
	}
	_ = json.NewDecoder(r.Body).Decode(&question)
	if strings.HasSuffix(r.URL.Path, "queryalerts") {
		i, _ := strconv.Atoi(question.UUID)
		_ = json.NewEncoder(w).Encode(map[string]any{"alerts": []any{map[string]any{"status": "firing", "labels": f.notes[i].labels}}})
		return
	}
	entries := []any{}
	for i, n := range f.notes {
		if at := n.at.Add(f.ahead); !at.Before(question.From) && !at.After(question.To) {
			entries = append(entries, map[string]any{"timestamp": at, "uuid": strconv.Itoa(i), "receiver": n.receiver, "status": "firing", "outcome": n.outcome, "duration": 1e8, "ruleUIDs": []string{"uid-" + n.labels["alertname"]}})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"entries": entries})
}

// group writes a group with one rule, evaluated every ten seconds. instances are JSON.
func group(name, health string, evaluated time.Time, more string, instances ...string) string {
	return fmt.Sprintf(`{"name":"g","interval":10,"rules":[{"uid":%q,"name":%q,"type":"alerting","health":%q,"lastError":"boom","lastEvaluation":%q,"evaluationTime":0.05,
		"labels":{"severity":"page"},"annotations":{"summary":"no {{ $labels.instance }}","__dashboardUid__":"d"},"alerts":[%s]%s}]}`,
		"uid-"+name, name, health, evaluated.Format(time.RFC3339Nano), strings.Join(instances, ","), more)
}

// stands writes an instance.
func stands(name, state string, since time.Time) string {
	return fmt.Sprintf(`{"labels":{"alertname":%q,"severity":"page","__alert_rule_uid__":"x"},"annotations":{"summary":"no payments"},"state":%q,"activeAt":%q,"value":""}`,
		name, state, since.Format(time.RFC3339Nano))
}

func expectation(name string) alarms.Expectation {
	return alarms.Expectation{Name: name, Match: map[string]string{"alertname": name}}
}

func faked(t *testing.T, f *fake, c Config, noise ...string) *Source {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c.URL = server.URL
	if c.Timeout == "" {
		c.Timeout = "2s"
	}
	var watch map[string]string
	if len(noise) > 0 {
		watch = map[string]string{"severity": noise[0]}
	}
	s, err := New("grafana.main", c, watch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
