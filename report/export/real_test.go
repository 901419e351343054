package export

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"gameday/internal/promrig"
)

// flat returns all samples by their series.
func flat(m *Metrics) map[string]float64 {
	out := map[string]float64{}
	for _, f := range m.Families {
		for _, s := range f.Samples {
			labels := map[string]string{"__name__": f.Name}
			for _, l := range s.Labels {
				if l.Value != "" {
					labels[l.Name] = l.Value
				}
			}
			out[series(labels)] = s.Value
		}
	}
	return out
}

func series(labels map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		words = append(words, name+"="+strconv.Quote(labels[name]))
	}
	return strings.Join(words, ",")
}

// queried asks a Prometheus for all series of ours at an instant.
func queried(t *testing.T, base string, at time.Time) map[string]float64 {
	t.Helper()
	return ask(t, base, `{__name__=~"gameday_.+"}`, at)
}

func ask(t *testing.T, base, query string, at time.Time) map[string]float64 {
	t.Helper()
	q := url.Values{"query": {query}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}
	answer, err := http.Get(base + "/api/v1/query?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var a struct {
		Status string
		Data   struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&a); err != nil || a.Status != "success" {
		t.Fatalf("%v: %+v", err, a)
	}
	out := map[string]float64{}
	for _, r := range a.Data.Result {
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		out[series(r.Metric)] = v
	}
	return out
}

// TestRealPrometheus pushes to a real Prometheus, and asks for what was pushed.
func TestRealPrometheus(t *testing.T) { promrig.Each(t, pushed) }

func pushed(t *testing.T, program promrig.Program) {
	prom := promrig.StartPrometheus(t, promrig.Options{Program: program, Rules: promrig.Rule("Never", "1h", nil), Targets: []string{"127.0.0.1:1"},
		Receiver: true})
	to := Destination{URL: prom.URL + "/api/v1/write", TokenFrom: "GAMEDAY_X_TOKEN", HeaderFrom: "GAMEDAY_X_HEADERS"}
	rec := small().Drill("20261120-140200-shop", time.Now().Add(-2*time.Minute).Truncate(time.Millisecond))
	rec.Plan.Alarms[0].Name = `Shop "Down" \ é` + "\nhere"
	m := Of(scored(t, rec))
	for i := range 2 { // the second finds all of it there
		if err := RemoteWrite(t.Context(), to, m); err != nil {
			t.Fatalf("push %d: %v", i+1, err)
		}
	}
	want := flat(m)
	promrig.Eventually(t, 10*time.Second, "Prometheus answers with what it took", func() bool {
		return len(queried(t, prom.URL, m.At)) > 0
	})
	if d := cmp.Diff(want, queried(t, prom.URL, m.At)); d != "" || len(want) < 50 {
		t.Errorf("%d series; other than pushed (-pushed +asked):\n%s", len(want), d)
	}
	askedOnPage(t, prom.URL)
	changed := *m
	changed.Families = slices.Clone(m.Families)
	changed.Families[0].Samples = []Sample{{Labels: m.Families[0].Samples[0].Labels, Value: 99}}
	for name, c := range map[string]struct {
		m    *Metrics
		to   string
		says string
	}{
		"judged anew":  {&changed, to.URL, "It has other values for the same run already"},
		"long ago":     {Of(drill(t, time.Now().Add(-5*time.Hour))), to.URL, "that is too old for it"},
		"a wrong path": {m, prom.URL + "/api/v1/wrong", "Is the path of the address right"},
		"no receiver":  {m, promrig.StartPrometheus(t, promrig.Options{Program: program, Rules: promrig.Rule("Never", "1h", nil), Targets: []string{"127.0.0.1:1"}}).URL + "/api/v1/write", "is what takes this switched on there?"},
	} {
		to := to
		to.URL = c.to
		err := RemoteWrite(t.Context(), to, c.m)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: it says %v, want %q", name, err, c.says)
		}
	}
}

// askedOnPage asks what docs/reports.md says to ask, an hour later.
func askedOnPage(t *testing.T, base string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for line := range strings.Lines(string(page)) {
		q, is := strings.CutPrefix(line, "    ")
		if !is || !strings.Contains(q, "over_time(") {
			continue
		}
		q, _, _ = strings.Cut(q, "#")
		got := ask(t, base, strings.TrimSpace(q), time.Now().Add(time.Hour))
		if len(got) != 1 {
			t.Errorf("%s yields %v", q, got)
		}
		asked++
	}
	if asked < 2 {
		t.Errorf("the page has %d questions", asked)
	}
}

// TestOTLP has the receiver's own types read what is sent, and refuses what they do not know.
func TestOTLP(t *testing.T) {
	card := drill(t, time.Now().Add(-time.Minute).Truncate(time.Millisecond))
	m := Of(card)
	var got map[string]float64
	answer := "{}"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/metrics" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Scope-Orgid") != "team" {
			t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = received(t, body, m.At)
		w.Header().Set("Content-Type", "application/json")
		if _, err := io.WriteString(w, answer); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	to := Destination{URL: server.URL, Header: http.Header{"X-Scope-Orgid": {"team"}}}
	if err := OTLP(t.Context(), to, m, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(flat(m), got); d != "" {
		t.Errorf("other than sent (-sent +received):\n%s", d)
	}
	for given, says := range map[string]string{
		"":                      "",
		`{"partialSuccess":{}}`: "",
		`{"partialSuccess":{"rejectedDataPoints":"0","errorMessage":"a warning"}}`: "",
		`{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}`:   `it refused 3 of the points: "too old"`,
		`{"partialSuccess":{"rejectedDataPoints":4}}`:                              "it refused 4 of the points",
		`{"partialSuccess":{"rejectedDataPoints":"many"}}`:                         "cannot be read",
		`{"partialSucc`:    "cannot be told",
		"<html>":           "cannot be told",
		"\x0a\x02\x08\x03": "cannot be told",
	} {
		answer = given
		err := OTLP(t.Context(), to, m, "1")
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: it says %v, want %q", given, err, says)
		}
	}
}

// received decodes a request strictly, and returns its points by their series.
func received(t *testing.T, body []byte, at time.Time) map[string]float64 {
	var q collector.ExportMetricsServiceRequest
	if err := (protojson.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(body, &q); err != nil {
		t.Errorf("not a request: %v", err)
		return nil
	}
	out := map[string]float64{}
	for _, r := range q.ResourceMetrics {
		if r.Resource.Attributes[0].Key != "service.name" || r.Resource.Attributes[0].Value.GetStringValue() != "gameday" {
			t.Errorf("the resource is %v", r.Resource)
		}
		for _, s := range r.ScopeMetrics {
			for _, metric := range s.Metrics {
				if strings.HasSuffix(metric.Name, "_seconds") != (metric.Unit == "s") || metric.Description == "" {
					t.Errorf("%s has unit %q and description %q", metric.Name, metric.Unit, metric.Description)
				}
				for _, p := range metric.GetGauge().DataPoints {
					labels := map[string]string{"__name__": metric.Name}
					for _, a := range p.Attributes {
						if a.Value.GetStringValue() != "" {
							labels[a.Key] = a.Value.GetStringValue()
						}
					}
					if p.TimeUnixNano != uint64(at.UnixNano()) {
						t.Errorf("%s is of %d, not of the run's end", metric.Name, p.TimeUnixNano)
					}
					out[series(labels)] = p.GetAsDouble()
				}
			}
		}
	}
	return out
}

// TestOTLPLive sends to the current Prometheus, which takes OTLP, and asks it back.
func TestOTLPLive(t *testing.T) {
	prom := promrig.StartPrometheus(t, promrig.Options{Program: promrig.Current, Rules: promrig.Rule("Never", "1h", nil), Targets: []string{"127.0.0.1:1"}, Receiver: true})
	m := Of(drill(t, time.Now().Add(-2*time.Minute).Truncate(time.Millisecond)))
	if err := OTLP(t.Context(), Destination{URL: prom.URL + "/api/v1/otlp"}, m, "1"); err != nil {
		t.Fatal(err)
	}
	want := flat(m)
	promrig.Eventually(t, 10*time.Second, "Prometheus answers with what it took", func() bool {
		return len(queried(t, prom.URL, m.At)) == len(want)
	})
	got := map[string]float64{}
	for k, v := range queried(t, prom.URL, m.At) {
		k = strings.ReplaceAll(strings.ReplaceAll(k, `,job="gameday"`, ""), `job="gameday",`, "")
		got[k] = v
	}
	if d := cmp.Diff(want, got); d != "" || len(want) < 50 {
		t.Errorf("%d series; other than sent (-sent +asked):\n%s", len(want), d)
	}
}
