package alertmanager

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/alarms"
	"gameday/clock"
)

// fake is a server that answers as an Alertmanager does, or badly.
type fake struct {
	mu       sync.Mutex
	ahead    time.Duration
	alerts   string
	silences string
	metrics  string
	refuse   []int
	body     string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	switch {
	case len(f.refuse) > 0:
		w.WriteHeader(f.refuse[0])
		f.refuse = f.refuse[1:]
	case f.body != "":
		fmt.Fprint(w, f.body)
	case r.URL.Path == "/metrics" && f.metrics == "":
		http.NotFound(w, r)
	case r.URL.Path == "/metrics":
		fmt.Fprint(w, f.metrics)
	case r.URL.Path == "/api/v2/alerts":
		fmt.Fprint(w, "["+f.alerts+"]")
	case r.URL.Path == "/api/v2/silences":
		fmt.Fprint(w, "["+f.silences+"]")
	default:
		fmt.Fprint(w, `{}`)
	}
}

func faked(t *testing.T, f *fake) *Source {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s, err := New("alertmanager.main", Config{URL: server.URL, Timeout: "2s"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// counted writes the metrics of a process that was started at a second and delivered n notifications.
func counted(started, n int) string {
	return fmt.Sprintf("# HELP x y\n%s{integration=\"webhook\"} %d\n%s{integration=\"webhook\"} 1\n%s %d\n",
		requests, n+1, requestsFailed, processStart, started)
}

// held writes an alarm.
func held(name, state, silencedBy, receiver string, starts time.Time) string {
	return fmt.Sprintf(`{"labels":{"alertname":%q},"annotations":{"summary":"s"},"startsAt":%q,"receivers":[{"name":%q}],
		"status":{"state":%q,"silencedBy":[%s],"inhibitedBy":[]}}`,
		name, starts.Format(time.RFC3339Nano), receiver, state, silencedBy)
}

// quieting writes a silence with one matcher.
func quieting(state, label, value string, regex, equal bool) string {
	return fmt.Sprintf(`{"id":"s-1","createdBy":"ann","comment":"maintenance",
		"startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-02T00:00:00Z",
		"status":{"state":%q},"matchers":[{"name":%q,"value":%q,"isRegex":%v,"isEqual":%v}]}`,
		state, label, value, regex, equal)
}

// TestPreflightFindings checks each finding that an Alertmanager can cause.
func TestPreflightFindings(t *testing.T) {
	metrics := counted(1, 0)
	for _, c := range []struct {
		name   string
		fake   *fake
		blocks int
		says   string
	}{
		{"ready", &fake{metrics: metrics}, 0, ""},
		{"refused once", &fake{metrics: metrics, refuse: []int{429}}, 0, ""},
		{"broken once", &fake{metrics: metrics, refuse: []int{500}}, 0, ""},
		{"refused", &fake{refuse: slices.Repeat([]int{503}, 50)}, 1, "does not answer"},
		{"garbage", &fake{body: "[{", metrics: metrics}, 1, "unexpected end of JSON input"},
		{"no metrics", &fake{}, 0, "cannot be counted"},
		{"other metrics", &fake{metrics: "up 1\n"}, 0, "cannot be counted"},
		{"90 s ahead", &fake{metrics: metrics, ahead: 90 * time.Second}, 1, "ahead of"},
		{"firing", &fake{metrics: metrics, alerts: held("Down", "active", "", "desk", time.Now())}, 1,
			"alarm Down is firing already"},
		{"suppressed", &fake{metrics: metrics, alerts: held("Down", "suppressed", `"s-1"`, "desk", time.Now())}, 1,
			"silenced by s-1"},
		{"another fires", &fake{metrics: metrics, alerts: held("Up", "active", "", "desk", time.Now())}, 0, ""},
		{"silenced", &fake{metrics: metrics, silences: quieting("active", "alertname", "Down", false, true)}, 1,
			`Silence s-1 by ann ("maintenance"), ends 2026`},
		{"silenced by pattern", &fake{metrics: metrics, silences: quieting("active", "alertname", "D.*", true, true)}, 1,
			"is silenced"},
		{"half a pattern", &fake{metrics: metrics, silences: quieting("active", "alertname", "D", true, true)}, 0, ""},
		{"silenced by absence", &fake{metrics: metrics, silences: quieting("active", "alertname", "Up", false, false)}, 1,
			"is silenced"},
		{"another is silenced", &fake{metrics: metrics, silences: quieting("active", "alertname", "Up", false, true)}, 0, ""},
		{"expired", &fake{metrics: metrics, silences: quieting("expired", "alertname", "Down", false, true)}, 0, ""},
		{"silenced soon", &fake{metrics: metrics, silences: quieting("pending", "alertname", "Down", false, true)}, 0,
			"will be silenced"},
		{"perhaps", &fake{metrics: metrics, silences: quieting("active", "team", "shop", false, true)}, 0, "may be silenced"},
	} {
		f, err := faked(t, c.fake).Preflight(t.Context(), []alarms.Expectation{expectation("Down")})
		if err != nil {
			t.Fatal(err)
		}
		blocks, text := 0, ""
		for _, one := range f {
			text += one.Summary + ": " + one.Detail + "\n"
			if one.Blocks {
				blocks++
			}
		}
		if blocks != c.blocks || !strings.Contains(text, c.says) || (c.says == "" && text != "") {
			t.Errorf("%s: %d block, want %d and %q:\n%s", c.name, blocks, c.blocks, c.says, text)
		}
	}
}

// TestLooks feeds a watcher one look after the other and compares what it emits.
func TestLooks(t *testing.T) {
	starts := time.Now().Add(-time.Minute)
	down := held("Down", "active", "", "desk", starts)
	hushed := held("Down", "suppressed", `"s-1"`, "desk", starts)
	type look struct {
		alerts, metrics string
	}
	for _, c := range []struct {
		name      string
		receivers []string
		looks     []look
		want      []string
	}{
		{"fires and pages", nil, []look{{"", counted(1, 0)}, {down, counted(1, 0)}, {down, counted(1, 1)}, {"", counted(1,
			2)}},
			[]string{"firing desk", "paged receiver desk; delivered by webhook", "inactive "}},
		{"pages at once", nil, []look{{"", counted(1, 4)}, {down, counted(1, 5)}},
			[]string{"firing desk", "paged receiver desk; delivered by webhook"}},
		{"stood before the first look", nil, []look{{down, counted(1, 4)}, {down, counted(1, 5)}}, []string{"firing desk"}},
		{"a repetition is no page", nil, []look{{"", counted(1, 0)}, {down, counted(1, 1)}, {down, counted(1, 2)}},
			[]string{"firing desk", "paged receiver desk; delivered by webhook"}},
		{"another receiver", []string{"phone"}, []look{{"", counted(1, 0)}, {down, counted(1, 1)}}, []string{"firing desk"}},
		{"silenced", nil, []look{{"", counted(1, 0)}, {hushed, counted(1, 1)}, {down, counted(1, 1)}, {down, counted(1, 2)}},
			[]string{"suppressed silenced by s-1", "firing desk", "paged receiver desk; delivered by webhook"}},
		{"not routed yet", nil, []look{{"", counted(1, 0)}, {strings.Replace(down, "active", "unprocessed", 1), counted(1,
			0)}}, nil},
		{"began again", nil, []look{{"", counted(1, 0)}, {down, counted(1, 0)}, {held("Down", "active", "", "desk",
			starts.Add(time.Second)), counted(1, 0)}},
			[]string{"firing desk", "inactive ", "firing desk"}},
		{"restarted and forgot", nil, []look{{"", counted(1, 0)}, {down, counted(1, 1)}, {"", counted(2, 0)}, {"",
			counted(2, 0)}, {down, counted(2, 0)}},
			[]string{"firing desk", "paged receiver desk; delivered by webhook"}},
		{"no counters", nil, []look{{"", ""}, {down, ""}},
			[]string{"broken notifications cannot be counted", "firing desk"}},
	} {
		f := &fake{}
		s := faked(t, f)
		s.receivers = c.receivers
		var got []string
		w := &watcher{source: s, held: map[string]*holding{}, health: alarms.StateReachable,
			emit: func(o alarms.Observation) {
				s.memory.Add(o)
				why, _, _ := strings.Cut(o.Why, ": ")
				got = append(got, string(o.State)+" "+why)
			}}
		begun := time.Now()
		for _, l := range c.looks {
			f.mu.Lock()
			f.alerts, f.metrics = l.alerts, l.metrics
			f.mu.Unlock()
			w.look(t.Context())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		episodes, _, err := s.History(t.Context(), clock.Span{Start: begun, End: time.Now()})
		fired := 0
		for _, e := range got {
			if strings.HasPrefix(e, "firing") || strings.HasPrefix(e, "suppressed") {
				fired++
			}
		}
		if c.name == "silenced" {
			fired = 1
		}
		if err != nil || len(episodes) != fired {
			t.Errorf("%s: %d episodes, want %d: %+v", c.name, len(episodes), fired, episodes)
		}
	}
}

// TestMetrics reads expositions, good and odd.
func TestMetrics(t *testing.T) {
	got := read([]byte(requests + "{integration=\"webhook\",receiver_name=\"a\"} 2\n" + requests +
		"{integration=\"webhook\",receiver_name=\"b\"} 3 1700000000\n" +
		requests + "{integration=\"email\"} NaN\n" + requests + "}{ 1\n" + requests + "\n# " + requests + " 9\n" +
		processStart + " 1.7e+09\nother 1\n"))
	want := map[string]map[string]float64{requests: {"webhook": 5}, processStart: {"": 1.7e9}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestConfig refuses what cannot work and hides secrets.
func TestConfig(t *testing.T) {
	c := Config{URL: "here", Token: "hush", Receivers: []string{""}, Poll: "x"}
	err := c.Validate()
	for _, field := range []string{"url", "receivers", "poll"} {
		if err == nil || !slices.ContainsFunc(strings.Split(err.Error(), "\n"),
			func(l string) bool { return strings.HasPrefix(l, field+": ") }) {
			t.Errorf("%s is not among %v", field, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "hush") {
		t.Errorf("the token shows: %s", text)
	}
	if err := (Config{URL: "http://127.0.0.1:9093"}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestNotesOfEach keeps to each episode the annotations that it came with, also when it began again between two looks.
func TestNotesOfEach(t *testing.T) {
	starts := time.Now().Add(-time.Minute)
	f := &fake{}
	s := faked(t, f)
	w := &watcher{source: s, held: map[string]*holding{}, health: alarms.StateReachable, emit: s.memory.Add}
	begun := time.Now()
	for i, summary := range []string{"", "first", "second", "", "third"} {
		f.mu.Lock()
		f.alerts, f.metrics = "", counted(1, 0)
		if summary != "" {
			f.alerts = strings.Replace(held("Down", "active", "", "desk", starts.Add(time.Duration(i)*time.Second)), `"s"`, `"`+summary+`"`, 1)
		}
		f.mu.Unlock()
		w.look(t.Context())
	}
	episodes, _, err := s.History(t.Context(), clock.Span{Start: begun, End: time.Now()})
	var got []string
	for _, e := range episodes {
		got = append(got, e.Notes["summary"])
	}
	if diff := cmp.Diff([]string{"first", "second", "third"}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}
