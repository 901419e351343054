package prometheus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/internal/promrig"
)

// fake is a server that answers as Prometheus does, or badly.
type fake struct {
	mu      sync.Mutex
	ahead   time.Duration // of its clock
	rules   string        // JSON list of groups
	alerts  string        // JSON list of those that are active
	refuse  []int         // statuses of the next answers
	body    string        // instead of every answer, when not empty
	hang    chan struct{} // answers wait for it, when not nil
	hung    time.Time     // when the first of them began to
	refused int
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hang != nil {
		if f.hung.IsZero() {
			f.hung = time.Now()
		}
		select {
		case <-f.hang:
		case <-r.Context().Done():
			return
		}
	}
	if len(f.refuse) > 0 {
		status := f.refuse[0]
		f.refuse, f.refused = f.refuse[1:], f.refused+1
		w.Header().Set("Retry-After", "0.01")
		http.Error(w, `{"status":"error","error":"not now, `+r.Header.Get("Authorization")+`"}`, status)
		return
	}
	if f.body != "" {
		fmt.Fprint(w, f.body)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/rules"):
		fmt.Fprintf(w, `{"status":"success","data":{"groups":[%s]}}`, f.rules)
	case strings.HasSuffix(r.URL.Path, "/alerts"):
		fmt.Fprintf(w, `{"status":"success","data":{"alerts":[%s]}}`, f.alerts)
	case r.URL.Query().Get("query") == "time()":
		now := float64(time.Now().Add(f.ahead).UnixMilli()) / 1000
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%.3f,"%.3f"]}}`, now, now)
	default:
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
	}
}

// downFires is the alarm Down, as a list of active alerts has it.
const downFires = `{"labels":{"alertname":"Down","severity":"page"},"state":"firing","activeAt":"2026-11-20T14:00:00Z"}`

// set changes the fake.
func (f *fake) set(change func(f *fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// group writes a group with one rule.
func group(name, health string, evaluated time.Time) string {
	return fmt.Sprintf(`{"interval":1,"rules":[{"name":%q,"type":"alerting","health":%q,"lastError":"boom",
		"lastEvaluation":%q,
		"labels":{"severity":"page"},"alerts":[]}]}`, name, health, evaluated.Format(time.RFC3339Nano))
}

func faked(t *testing.T, f *fake, c Config) *Source {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return source(t, c, nil)
}

// findingCase is a server, and what is found of it.
type findingCase struct {
	name   string
	fake   *fake
	blocks int
	says   []string
}

// findingCases are servers whose rules were evaluated at an instant, or as long before it as they say.
func findingCases(now time.Time) []findingCase {
	return []findingCase{
		{"ready", &fake{rules: group("Down", "ok", now)}, 0, nil},
		{"refused once", &fake{rules: group("Down", "ok", now), refuse: []int{429}}, 0, nil},
		{"broken once", &fake{rules: group("Down", "ok", now), refuse: []int{500}}, 0, nil},
		{"refused", &fake{refuse: slices.Repeat([]int{429}, 20)}, 1, []string{"does not answer", "429 Too Many Requests"}},
		{"not allowed", &fake{refuse: []int{403}}, 1, []string{"check token"}},
		{"truncated", &fake{body: `{"status":"success","data":{"resul`}, 1, []string{"unexpected end of JSON input"}},
		{"garbage", &fake{body: "<html>Please sign in</html>"}, 1, []string{"not the JSON expected", "Please sign in"}},
		{"an error in 200", &fake{body: `{"status":"error","error":"gone"}`}, 1, []string{"gone"}},
		{"other data", &fake{body: `{"status":"success","data":7}`}, 1, []string{"not of the form expected"}},
		{"3 s ahead", &fake{rules: group("Down", "ok", now), ahead: 3 * time.Second}, 0, []string{"is 3s ahead of"}},
		{"90 s ahead", &fake{rules: group("Down", "ok", now.Add(90*time.Second)), ahead: 90 * time.Second}, 1,
			[]string{"is 1m30s ahead of"}},
		{"90 s behind", &fake{rules: group("Down", "ok", now), ahead: -90 * time.Second}, 1, []string{"is 1m30s behind"}},
		{"no rules", &fake{}, 0, []string{"no rule is named Down", "no alerting rules at all"}},
		{"other rules", &fake{rules: group("Full", "ok", now)}, 0, []string{"1 alerting rules: Full"}},
		{"unhealthy", &fake{rules: group("Down", "err", now)}, 1, []string{"the rule Down fails", "boom"}},
		{"never evaluated", &fake{rules: group("Down", "unknown", time.Time{})}, 1, []string{"not evaluated yet"}},
		{"stale", &fake{rules: group("Down", "ok", now.Add(-8*time.Second))}, 1, []string{"not evaluated any more"}},
	}
}

// TestPreflightFindings checks each finding that a server can cause. Each server's rules are as fresh as it is: those that were evaluated before
// the other servers were asked are stale once that took a while.
func TestPreflightFindings(t *testing.T) {
	for i := range findingCases(time.Time{}) {
		c := findingCases(time.Now())[i]
		t.Run(c.name, func(t *testing.T) {
			s := faked(t, c.fake, Config{Timeout: "2s", Token: "hush-hush"})
			f, err := s.Preflight(t.Context(), []alarms.Expectation{expectation("Down")})
			if err != nil {
				t.Fatal(err)
			}
			text := printed(f)
			if blocking(f) != c.blocks || (len(c.says) == 0 && len(f) > 0) {
				t.Errorf("%d findings block, want %d:\n%s", blocking(f), c.blocks, text)
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, text)
				}
			}
			if strings.Contains(text, "hush-hush") {
				t.Errorf("the token is printed:\n%s", text)
			}
		})
	}
}

// TestSlow asks a server that hangs: the first look that gets no answer in the time limit is an observation, and no quiet alarm.
func TestSlow(t *testing.T) {
	f := &fake{rules: group("Down", "ok", time.Now()), alerts: downFires}
	s := faked(t, f, Config{Timeout: "1s", Poll: "20ms"})
	s.Expect([]alarms.Expectation{expectation("Down")})
	w := watch(t, s)
	w.until("Down", alarms.StateFiring, 1)
	hang := make(chan struct{})
	f.set(func(f *fake) { f.hang = hang })
	var hung time.Time
	promrig.Eventually(t, 20*time.Second, "unreachable while it hangs", func() bool {
		f.set(func(f *fake) { hung = f.hung })
		return !hung.IsZero() && w.health().State == alarms.StateUnreachable
	})
	// A look that was begun by the time the first request hung was the first to be kept waiting. On a busy machine an earlier one may have been.
	if o := w.health(); o.At.Hi.After(hung) || !strings.Contains(o.Why, "no answer within 1s") {
		t.Errorf("told by a look %s after the first that hung: %s", o.At.Hi.Sub(hung), o.Why)
	}
	close(hang)
	promrig.Eventually(t, 20*time.Second, "reachable", func() bool {
		f.set(func(f *fake) { f.rules = group("Down", "ok", time.Now()) }) // which would be stale some seconds after it was evaluated
		return w.health().State == alarms.StateReachable
	})
	if n := w.count("Down", alarms.StateInactive); n != 0 {
		t.Errorf("it was taken for %d quiet alarms", n)
	}
}

// TestBroken takes a rule away while Watch runs: the source cannot know any more, and says so.
func TestBroken(t *testing.T) {
	f := &fake{rules: group("Down", "ok", time.Now())}
	s := faked(t, f, Config{Poll: "20ms"})
	expected := []alarms.Expectation{expectation("Down"), expectation("Never")}
	if _, err := s.Preflight(t.Context(), expected); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w := watch(t, s)
	promrig.Eventually(t, 5*time.Second, "a first look", func() bool { return !s.account.Last().IsZero() })
	f.set(func(f *fake) { f.rules = "" })
	promrig.Eventually(t, 5*time.Second, "broken", func() bool { return w.count("", alarms.StateBroken) == 1 })
	_, c, err := s.History(t.Context(), clock.Span{Start: start, End: time.Now()})
	if err != nil || len(c.Why) == 0 || !strings.Contains(c.Why[len(c.Why)-1], "no rule is named Down") {
		t.Errorf("coverage %+v, %v", c, err)
	}
}

// TestPast reads the time before the run: nothing at all where the server was not at work, and an error where it cannot be read or
// has no series of what it raises.
func TestPast(t *testing.T) {
	f := &fake{rules: group("Down", "ok", time.Now())}
	s := faked(t, f, Config{Poll: "20ms"})
	if _, err := s.Preflight(t.Context(), []alarms.Expectation{expectation("Down")}); err != nil {
		t.Fatal(err)
	}
	span := clock.Span{Start: time.Now().Add(-time.Hour), End: time.Now()}
	if episodes, c, err := s.Past(t.Context(), span); err != nil || len(episodes) != 0 || len(c.Spans) != 0 {
		t.Errorf("%v, %+v, %v", episodes, c, err)
	}
	w := watch(t, s)
	f.set(func(f *fake) { f.alerts = downFires })
	promrig.Eventually(t, 5*time.Second, "an alarm", func() bool { return w.count("Down", alarms.StateFiring) == 1 })
	if _, _, err := s.Past(t.Context(), span); err == nil || !strings.Contains(err.Error(), "keeps no history") {
		t.Errorf("it raises alarms without series: %v", err)
	}
	f.set(func(f *fake) { f.body = `{"status":"success","data":{"resultType":"matrix","result":[` })
	if _, _, err := s.Past(t.Context(), span); err == nil {
		t.Error("an answer that is cut off is an empty past")
	}
}

// TestQuery checks what is a number and what is not.
func TestQuery(t *testing.T) {
	for body, want := range map[string]string{
		`{"resultType":"scalar","result":[1,"2.5"]}`:                             "2.5 true",
		`{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}`:       "7 true",
		`{"resultType":"vector","result":[]}`:                                    "0 false",
		`{"resultType":"vector","result":[{"value":[1,"NaN"]}]}`:                 "0 false",
		`{"resultType":"vector","result":[{"value":[1,"+Inf"]}]}`:                "+Inf true",
		`{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"2"]}]}`: "yields 2 numbers",
		`{"resultType":"matrix","result":[]}`:                                    "yields a matrix",
		`{"resultType":"vector","result":[{"value":["x"]}]}`:                     "not of the form expected",
	} {
		s := faked(t, &fake{body: `{"status":"success","data":` + body + `}`}, Config{})
		value, ok, err := s.Query(t.Context(), "x")
		if got := fmt.Sprint(value, ok); err == nil && got != want {
			t.Errorf("%s gives %s, want %s", body, got, want)
		}
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// TestRange reads the past of a metric, and says of every answer that is none why.
func TestRange(t *testing.T) {
	matrix := func(result, more string) string {
		return `{"status":"success","data":{"resultType":"matrix","result":[` + result + `]}` + more + `}`
	}
	hang := make(chan struct{})
	for _, c := range []struct {
		name string
		fake *fake
		want string // what is read, or part of the error
	}{
		{"two series", &fake{body: matrix(`{"metric":{"job":"a"},"values":[[1700000000,"1.5"],[1700000300.5,"NaN"]]},{"metric":{},"values":[]}`, "")},
			"[{map[job:a] [{2023-11-14 22:13:20 +0000 UTC 1.5} {2023-11-14 22:18:20.5 +0000 UTC NaN}]} {map[] []}]"},
		{"nothing", &fake{body: matrix("", "")}, "[]"},
		{"with a remark", &fake{body: matrix("", `,"infos":["metric might not be a counter"]`)}, "[]"},
		{"incomplete", &fake{body: matrix("", `,"warnings":["store eu-1 is away","and eu-2"]`)}, "may be incomplete: the server warns: store eu-1 is away; and eu-2"},
		{"refused once", &fake{refuse: []int{429}}, "[]"},
		{"refused", &fake{refuse: slices.Repeat([]int{429}, 20)}, "429 Too Many Requests"},
		{"overloaded", &fake{refuse: slices.Repeat([]int{503}, 20)}, "503 Service Unavailable"},
		{"a mistake in the query", &fake{refuse: []int{400}}, "400 Bad Request"},
		{"not allowed", &fake{refuse: []int{401}}, "check token"},
		{"half a JSON", &fake{body: `{"status":"success","data":{"resultType":"matrix","result":[{"met`}, "not the JSON expected"},
		{"another page", &fake{body: "<html>Please sign in</html>"}, "Please sign in"},
		{"an instant", &fake{body: `{"status":"success","data":{"resultType":"vector","result":[]}}`}, `a matrix was expected, not a "vector"`},
		{"no number", &fake{body: matrix(`{"metric":{},"values":[[1,"many"]]}`, "")}, "not of the form expected"},
		{"no answer", &fake{hang: hang}, "no answer within 100ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			timeout := "5s" // six tries fit
			if c.fake.hang != nil {
				timeout = "100ms"
			}
			s := faked(t, c.fake, Config{Timeout: timeout, Token: "hush-hush"})
			end := time.Unix(1_700_000_600, 0)
			found, err := s.Range(t.Context(), "sum(x)", clock.Span{Start: end.Add(-10 * time.Minute), End: end}, 5*time.Minute)
			for i := range found {
				for n := range found[i].Samples {
					found[i].Samples[n].At = found[i].Samples[n].At.UTC()
				}
			}
			got := fmt.Sprint(found)
			if err != nil {
				got = err.Error()
				if !strings.HasPrefix(got, `asking prometheus.main for "sum(x)": `) || strings.Contains(got, "hush-hush") {
					t.Errorf("the error is %s", got)
				}
			}
			if err == nil && got != c.want || !strings.Contains(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	close(hang)
}

// TestConfig names each mistake by its field, and hides secrets.
func TestConfig(t *testing.T) {
	c := Config{URL: "ftp://x", Token: "hush", Username: "u", Password: "hush", Poll: "-1s", Timeout: "soon"}
	got := fields(c.Validate())
	if want := []string{"url", "token", "timeout", "poll"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := fields(Config{URL: "http://u:p@h"}.Validate()); !slices.Equal(got, []string{"url"}) {
		t.Errorf("credentials in the address: %v", got)
	}
	b, err := json.Marshal(c)
	for _, text := range []string{string(b), fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c)} {
		if err != nil || strings.Contains(text, "hush") {
			t.Errorf("a secret shows: %s", text)
		}
	}
}

// fields lists the fields of joined mistakes.
func fields(err error) []string {
	var out []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, fields(e)...)
		}
		return out
	}
	var f *faults.FieldError
	if errors.As(err, &f) {
		out = append(out, f.Field)
	}
	return out
}
