package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/alarms"
	"gameday/alarms/prometheus"
	"gameday/loadgen/baseline"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets/lab"
)

// saturday is when the plans of these tests are made.
var saturday = time.Date(2026, 11, 28, 20, 40, 0, 0, time.UTC)

// metric answers range queries with a rate that goes up and down between 38 and 42, and only to those who know the token. The
// query 0 is answered by nothing.
func metric(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Header.Get("Authorization") != "Bearer "+secretValue {
			http.Error(w, "who are you? "+q.Get("query"), http.StatusUnauthorized)
			return
		}
		if q.Get("query") == "0" {
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
			return
		}
		number := func(name string) float64 {
			v, err := strconv.ParseFloat(q.Get(name), 64)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return v
		}
		var values []string
		for at, step := number("start"), number("step"); at <= number("end"); at += step {
			values = append(values, fmt.Sprintf(`[%.3f,"%g"]`, at, 38+float64(int(at/step)*7%41)/10))
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[%s]}]}}`, strings.Join(values, ","))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// accessLog writes the log of an hour at eight requests a second, up to saturday.
func accessLog(t *testing.T, path string) {
	t.Helper()
	var b bytes.Buffer
	for i := range 8 * 3600 {
		request, status := fmt.Sprintf("GET /items/%d HTTP/1.1", i), 200
		switch {
		case i%12 == 0:
			request = fmt.Sprintf("GET /page%c HTTP/1.1", 'a'+i/12%26)
		case i%9 == 0:
			request, status = "POST /cart/17/pay HTTP/1.1", 503
		}
		at := saturday.Add(time.Duration(i-8*3600) * time.Second / 8)
		fmt.Fprintf(&b, "10.0.0.7 - - [%s] %q %d 512 \"-\" \"-\"\n", at.Format("02/Jan/2006:15:04:05 -0700"), request, status)
		if i%1000 == 17 {
			b.WriteString("not a line of it\n")
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// measuredText is a scenario with these baseline blocks, one for each stream.
func measuredText(url string, baselines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "alarms \"prometheus\" \"main\" {\n  url = %q\n  token = secret(\"TOKEN\")\n}\nscenario \"day\" {\n  timeline {\n    baseline = \"3s\"\n"+
		"    load = \"20s\"\n    recovery = \"5s\"\n  }\n", url)
	for i, block := range baselines {
		fmt.Fprintf(&b, "  traffic \"t%d\" {\n    script = \"get.js\"\n    baseline {\n%s\n    }\n  }\n", i+1, block)
	}
	return b.String() + "}\n"
}

// replayed ends a baseline block, and begins the shape of its stream.
func replayed(from string) string {
	if from == "file" {
		return "\n}\nshape \"replay\" {\n file = \"rates.csv\""
	}
	return "\n}\nshape \"replay\" {\n prometheus {\n source = alarms.prometheus.main\n query = \"sum(y)\"\n over = \"1h\"\n }\n speed = 600"
}

// loadMeasured loads a scenario whose alarm source is a Prometheus.
func loadMeasured(t *testing.T, dir, text string) *scenarios.Scenario {
	t.Helper()
	path := filepath.Join(dir, "day.hcl")
	for name, body := range map[string]string{path: text, filepath.Join(dir, "get.js"): "export default function () {}\n"} {
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := scenarios.Load(path, scenarios.Options{Catalogue: scenarios.Catalogue{Alarms: []alarms.SourceKind{prometheus.Kind()}},
		Getenv: func(string) string { return secretValue }})
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	return f.Scenarios[0]
}

// TestMeasuredPlan compares what is printed of baselines that were measured, and of some that were not.
func TestMeasuredPlan(t *testing.T) {
	dir := t.TempDir()
	accessLog(t, filepath.Join(dir, "access.log"))
	s := loadMeasured(t, dir, measuredText(metric(t),
		"prometheus {\n source = alarms.prometheus.main\n query = \"sum(rate(http_requests_total[5m]))\"\n}",
		"requests_per_iteration = 2.5\nprometheus {\n source = alarms.prometheus.main\n query = \"sum(rate(http_requests_total{path=\\\"/checkout\\\"}[5m]))\"\n at = \"any\"\n}",
		"access_log { path = \"access.log\" }",
		"rate = 12",
		"prometheus {\n source = alarms.prometheus.main\n query = \"0\"\n}",
		"run = \"latest\"",
	))
	err := MeasureBaselines(t.Context(), s, Measuring{Runs: "no-such-folder", Now: saturday, When: saturday.Add(time.Hour)})
	if err == nil || !strings.Contains(err.Error(), "traffic t5: 1x from prometheus.main: 0 is not known: there are no samples") ||
		!strings.Contains(err.Error(), "traffic t6: 1x from run latest is not known: no-such-folder has no run of day") {
		t.Errorf("the error is %v", err)
	}
	if err := (Options{Scenario: s}).Check(); err == nil || !strings.Contains(err.Error(), "not measured of traffic t5, t6") {
		t.Errorf("a run would begin: %v", err)
	}
	p := MakePlan(s)
	p.File, p.Traffic[2].Baseline.Source = "day.hcl", "logs/access.log"
	var b bytes.Buffer
	if err := WritePlan(&b, p); err != nil {
		t.Fatal(err)
	}
	golden(t, "measured.txt", b.Bytes())
	b.Reset()
	if err := WriteBaselines(&b, p.Traffic[2:4]); err != nil {
		t.Fatal(err)
	}
	golden(t, "baselines.txt", b.Bytes())
	s.Traffic[4].Absolute = true // as a replayed file is
	if unknown := MakePlan(s).Traffic[4]; unknown.Multiple != 0 || unknown.Program != nil {
		t.Errorf("of a baseline that is not known something is a multiple: %+v", unknown)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"kind":"access_log"`, `"at":"2026-11-28T20:40:00Z"`, `"requests_per_iteration":2.5`, `"route":"GET /items/:id"`, `"unread":29`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the plan lacks %s", want)
		}
	}
}

// TestHandedOn takes what was measured over to another process: its plan is the same, and it asks nobody.
func TestHandedOn(t *testing.T) {
	dir, text := t.TempDir(), measuredText(metric(t), "prometheus {\n source = alarms.prometheus.main\n query = \"sum(x)\"\n}", "rate = 12",
		"rate = 10\n"+replayed("prometheus"))
	outside := loadMeasured(t, dir, text)
	if err := MeasureBaselines(t.Context(), outside, Measuring{Now: saturday}); err != nil {
		t.Fatal(err)
	}
	if err := AskReplays(t.Context(), outside); err != nil {
		t.Fatal(err)
	}
	told, err := Answers(outside)
	if err != nil || len(told) != 2 {
		t.Fatalf("%q, %v", told, err)
	}
	inside := loadMeasured(t, dir, text)
	sources := inside.AlarmSources
	inside.AlarmSources = nil // nobody is asked
	if err := TakeAnswers(inside, told); err != nil {
		t.Fatal(err)
	}
	inside.AlarmSources = sources
	if diff := cmp.Diff(MakePlan(outside), MakePlan(inside)); diff != "" || inside.Traffic[0].Rate < 38 || inside.Traffic[1].Rate != 12 {
		t.Errorf("inside it is another plan:\n%s", diff)
	}
	if p := MakePlan(inside).Traffic[2]; p.Program == nil || p.Multiple < 3 || inside.Traffic[2].Pending() {
		t.Errorf("what is replayed is not known inside: %+v", p)
	}
	if err := (Options{Scenario: inside}).Check(); err != nil {
		t.Error(err)
	}
	if err := TakeAnswers(inside, []string{""}); err == nil {
		t.Error("nothing is taken for baselines")
	}
}

// TestOutsideOfALab says of a source that cannot be asked, and of one that is asked in two places, where the lab is.
func TestOutsideOfALab(t *testing.T) {
	s := loadMeasured(t, t.TempDir(), measuredText("http://127.0.0.1:1", "prometheus {\n source = alarms.prometheus.main\n query = \"sum(x)\"\n}",
		"rate = 10\n"+replayed("prometheus")))
	s.Lab = &lab.Config{}
	err := errors.Join(MeasureBaselines(t.Context(), s, Measuring{Now: saturday}), AskReplays(t.Context(), s))
	if err == nil || strings.Count(err.Error(), "connection refused. It is asked from outside of the lab") != 2 {
		t.Errorf("the error is %v", err)
	}
	const twice = "Source prometheus.main is asked for the past outside of the lab, and during the run inside of it"
	if w := strings.Join(warnings(s), "\n"); strings.Contains(w, twice) {
		t.Errorf("of a source that is asked before the run it warns %q", w)
	}
	s.SLIs = []scenarios.OwnSLI{{Name: "queue", Source: "prometheus.main"}}
	if w := strings.Join(warnings(s), "\n"); !strings.Contains(w, twice) {
		t.Errorf("it warns %q", w)
	}
}

// TestMeasuredFits refuses a rate that could not be given, and one of which what is replayed is no multiple.
func TestMeasuredFits(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rates.csv"), []byte("0,50\n60,90000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const query = "prometheus {\n source = alarms.prometheus.main\n query = \"sum(x)\"\n}"
	s := loadMeasured(t, dir, measuredText(metric(t), "requests_per_iteration = 0.00001\n"+query, query+replayed("file"), query))
	err := MeasureBaselines(t.Context(), s, Measuring{Now: saturday, When: saturday.Add(time.Hour)})
	for _, want := range []string{"traffic t1: 1x from prometheus.main: sum(x) is not known: it would be 4.172e+06 iterations a second, and 1000000 are the most",
		"traffic t2: 1x from prometheus.main: sum(x) is not known: it would be 41.72/s, and of what is replayed the highest rate is 90000 a second, 2157 times"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
	if t3 := s.Traffic[2]; t3.Rate != 41.72 || len(unmeasured(s)) != 2 {
		t.Errorf("the third is %g/s, and unmeasured are %q", t3.Rate, unmeasured(s))
	}
	notes := strings.Join(s.Traffic[2].Measured.Measured.Notes, "; ")
	if !strings.Contains(notes, "an iteration of the script is taken for one request") {
		t.Errorf("the notes are %q", notes)
	}
}

// TestBaselineKeepsSecrets fails to measure with secrets in the query and the token: neither is in the error or the plan.
func TestBaselineKeepsSecrets(t *testing.T) {
	s := loadMeasured(t, t.TempDir(), measuredText(metric(t)+"/elsewhere", "prometheus {\n source = alarms.prometheus.main\n query = secret(\"QUERY\")\n}"))
	s.AlarmSources[0].Config.(*prometheus.Config).Token = "wrong-token"
	err := MeasureBaselines(t.Context(), s, Measuring{Now: saturday})
	raw, jsonErr := json.Marshal(MakePlan(s))
	if err == nil || jsonErr != nil || !strings.Contains(err.Error(), "[secret ") || !strings.Contains(err.Error(), "check token") {
		t.Fatalf("%v, %v", err, jsonErr)
	}
	quoted := strings.Trim(strconv.Quote(secretValue), `"`)
	for _, said := range []string{err.Error(), string(raw)} {
		if strings.Contains(said, secretValue) || strings.Contains(said, quoted) || strings.Contains(said, "wrong-token") {
			t.Errorf("a secret shows: %s", said)
		}
	}
}

// TestOnlyBefore tells sources that only baselines and replays name.
func TestOnlyBefore(t *testing.T) {
	for _, block := range []string{"prometheus {\n source = alarms.prometheus.main\n query = \"sum(x)\"\n}", "rate = 10\n" + replayed("prometheus")} {
		s := loadMeasured(t, t.TempDir(), measuredText("http://127.0.0.1:9", block))
		if !onlyBefore(s, "prometheus.main") || onlyBefore(s, "prometheus.other") {
			t.Error("a source that a stream names, or one that it does not name")
		}
		s.Expects = []scenarios.Expect{{Name: "fast", Part: report.PartCapacity}}
		if searched, err := ForSearch(s, &Search{MaxDuration: time.Minute}); err != nil || len(searched.AlarmSources) != 0 || len(s.AlarmSources) != 1 {
			t.Errorf("a search asks it: %v", err)
		}
		s.SLIs = []scenarios.OwnSLI{{Name: "queue", Source: "prometheus.main"}}
		if onlyBefore(s, "prometheus.main") {
			t.Error("an indicator is asked of it")
		}
		s.SLIs, s.Alarms = nil, []scenarios.Alarm{{AlarmPlan: report.AlarmPlan{PagesVia: "prometheus.main"}}}
		if onlyBefore(s, "prometheus.main") {
			t.Error("pages are seen there")
		}
	}
}

// record runs a day into a folder of runs.
func record(t *testing.T, runs, name string, set func(*day)) (began time.Time) {
	t.Helper()
	d := newDay(t, "", steadyBlock)
	d.options.Dir = filepath.Join(runs, name)
	if err := os.MkdirAll(d.options.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(d)
	}
	inBubble(t, d, func(ctx context.Context) {
		began = time.Now()
		d.conduct(ctx)
	})
	return began
}

// rewrite changes the events of a record.
func rewrite(t *testing.T, dir, old, replacement string) {
	t.Helper()
	path := filepath.Join(dir, report.EventsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.ReplaceAll(b, []byte(old), []byte(replacement))
	if bytes.Equal(b, changed) {
		t.Fatalf("%s has no %s", path, old)
	}
	if err := os.WriteFile(path, changed, 0o644); err != nil {
		t.Fatal(err)
	}
}

// rewriteOne changes the first place that a text has in a file.
func rewriteOne(t *testing.T, path, old, replacement string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte(old))
	if i < 0 {
		t.Fatalf("%s has no %s", path, old)
	}
	b = slices.Concat(b[:i], []byte(replacement), b[i+len(old):])
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBaselineOfAPartOfAPhase refuses a run of whose baseline phase the beginning or the end is not known.
func TestBaselineOfAPartOfAPhase(t *testing.T) {
	runs := t.TempDir()
	for name, c := range map[string]struct{ old, replacement, want string }{
		"begin": {`"at":"2000-01-01T00:00:00Z","t":0,"kind":"phase_started"`, `"at":"1999-12-31T23:59:55Z","t":-5000000000,"kind":"phase_started"`,
			"nothing is known of the seconds from 23:59:55 to 00:00:00"},
		"end": {`"at":"2000-01-01T00:00:03.01Z","t":3010000000,"kind":"phase_ended"`, `"at":"2000-01-01T00:00:08Z","t":8000000000,"kind":"phase_ended"`,
			"nothing is known of the seconds from 00:00:03 to 00:00:08"},
	} {
		dir := filepath.Join(runs, name)
		record(t, runs, name, nil)
		rewrite(t, dir, c.old, c.replacement)
		for _, second := range "34567" { // what came later belongs to something else
			start := fmt.Sprintf(`"start":"2000-01-01T00:00:0%cZ"`, second)
			rewrite(t, dir, `"stream":"shop",`+start, `"stream":"other",`+start)
		}
		if m, err := reached(dir, "shop"); err == nil || err.Error() != c.want {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// earlierRuns are real runs, most of which tell nothing of a baseline.
func earlierRuns(t *testing.T) (runs string, began time.Time) {
	t.Helper()
	runs = t.TempDir()
	began = record(t, runs, "1-steady", nil)
	record(t, runs, "2-unsteady", func(d *day) { d.sender.errors = during(0, 3) })
	record(t, runs, "3-holed", func(d *day) {
		d.sender.errors = func(n int) float64 {
			if n == 1 {
				return -1
			}
			return 0
		}
	})
	record(t, runs, "4-slow", nil)
	rewrite(t, filepath.Join(runs, "4-slow"), `"started":10`, `"started":9`)
	record(t, runs, "5-other", nil)
	record(t, runs, "6-short", func(d *day) {
		d.sender.errors = func(n int) float64 {
			if n == 0 {
				return -1
			}
			return 0
		}
	})
	// Chance: 11 and 9 in the first two seconds, of a stream that was told to send 10.25.
	record(t, runs, "7-chance", nil)
	for _, started := range []string{"11", "9"} {
		rewriteOne(t, filepath.Join(runs, "7-chance", report.EventsFile), `"started":10`, `"started":`+started)
	}
	rewriteOne(t, filepath.Join(runs, "7-chance", report.PlanFile), `"rate": 10,`, `"rate": 10.25,`)
	plan := filepath.Join(runs, "5-other", report.PlanFile)
	b, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plan, bytes.Replace(b, []byte(`"scenario": "day"`), []byte(`"scenario": "night"`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(runs, "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return runs, began
}

// TestBaselineOfRuns measures what real runs reached in their baseline phase, and refuses those that tell nothing.
func TestBaselineOfRuns(t *testing.T) {
	runs, began := earlierRuns(t)
	s := &scenarios.Scenario{Name: "day"}
	at := func(run, stream string, age, most time.Duration) (string, *baseline.Measured, error) {
		traffic := &scenarios.Traffic{Name: stream, Baseline: &scenarios.Baseline{Run: run, PerIteration: 1, MaxAge: most}}
		return Measuring{Runs: runs, Now: began.Add(age)}.earlier(s, traffic)
	}
	for _, c := range []struct {
		name, run, stream string
		age, most         time.Duration
		want              string
	}{
		{"unsteady", "2-unsteady", "shop", time.Hour, 0, "no baseline phase that came to its end in steady state"},
		{"a hole", "3-holed", "shop", time.Hour, 0, "nothing is known of the seconds from"},
		{"not reached", "4-slow", "shop", time.Hour, 0, "it started only 27 of the 30 iterations"},
		{"another stream", "1-steady", "search", time.Hour, 0, `it has no traffic "search" in its baseline phase; it has shop`},
		{"old", "1-steady", "shop", 31 * 24 * time.Hour, 0, "the run is 30d23h59m"},
		{"older than allowed", "1-steady", "shop", time.Hour, time.Minute, "1m is the most that is allowed"},
		{"too short", "6-short", "shop", time.Hour, 0, "its baseline phase has 2 whole seconds, and 3 are needed"},
		{"no such run", "9-none", "shop", time.Hour, 0, "not a record of a run"},
		{"no such folder", filepath.Join(runs, "nowhere", "none"), "shop", time.Hour, 0, "not a record of a run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, m, err := at(c.run, c.stream, c.age, c.most)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v; want %q", m, err, c.want)
			}
		})
	}
	if _, m, err := at("7-chance", "shop", time.Hour, 0); err != nil || m.Rate != 10.25 || !(m.Low < 10) || !(m.High > 10.25) {
		t.Errorf("by chance a stream sent 30 in three seconds: %+v, %v", m, err)
	}
	if ours := (Measuring{Runs: runs}).ours(); len(ours) != 7 || !ours[0].Start.Equal(began) || ours[0].Length() != 30*time.Second {
		t.Errorf("the game days were %v", ours)
	}
	if ours := (Measuring{Runs: filepath.Dir(runs)}).ours(); len(ours) != 7 {
		t.Errorf("one folder further up they were %v", ours)
	}
	// The clock of every run begins at the same instant, so the order of the folder decides between them.
	for _, name := range []string{"3-holed", "4-slow", "6-short", "7-chance"} {
		if err := os.RemoveAll(filepath.Join(runs, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"1-steady", filepath.Join(runs, "1-steady"), scenarios.LatestRun} {
		dir, m, err := at(run, "shop", time.Hour, 0)
		if err != nil || filepath.Base(dir) != "1-steady" || m.Rate != 10 || m.Low != 10 || m.High != 10 || m.Samples != 3 ||
			m.Chosen != "of its baseline phase of 3s" || !m.From.Equal(began) {
			t.Errorf("%s: %s, %+v, %v", run, dir, m, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(runs, "1-steady")); err != nil {
		t.Fatal(err)
	}
	if _, m, err := at(scenarios.LatestRun, "shop", time.Hour, 0); err == nil || !strings.Contains(err.Error(), "has no run of day with a complete baseline phase (1 without)") {
		t.Errorf("%+v, %v", m, err)
	}
}
