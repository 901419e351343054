package export

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/internal/runrig"
	"gameday/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var began = time.Date(2026, 11, 20, 14, 2, 0, 0, time.FixedZone("", 3600))

func small() *runrig.World {
	w := runrig.New(1)
	w.Outliers = 0
	return w
}

func scored(t *testing.T, rec *report.Record) *report.Scorecard {
	t.Helper()
	dir := t.TempDir()
	if err := runrig.Write(dir, rec); err != nil {
		t.Fatal(err)
	}
	back, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return report.Score(back)
}

func drill(t *testing.T, at time.Time) *report.Scorecard {
	t.Helper()
	return scored(t, small().Drill("20261120-140200-shop", at))
}

func printed(t *testing.T, m *Metrics) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// value returns a sample's value by the metric and all labels but the scenario's, as name=value.
func value(m *Metrics, name string, labels ...string) (float64, bool) {
	for _, f := range m.Families {
		for _, s := range f.Samples {
			var have []string
			for _, l := range s.Labels {
				if l.Name != "scenario" {
					have = append(have, l.Name+"="+l.Value)
				}
			}
			if f.Name == name && strings.Join(have, " ") == strings.Join(labels, " ") {
				return s.Value, true
			}
		}
	}
	return math.NaN(), false
}

func TestGolden(t *testing.T) {
	card := drill(t, began)
	golden(t, "drill.prom", printed(t, Of(card)))
	list, left := Annotations(card)
	var b strings.Builder
	for _, a := range list {
		length := ""
		if !a.End.IsZero() {
			length = " for " + a.End.Sub(a.At).String()
		}
		fmt.Fprintf(&b, "%s%s\n  %s\n  %s\n", a.At.UTC().Format(time.RFC3339Nano), length, a.Text, strings.Join(a.Tags, "  "))
	}
	golden(t, "drill.annotations.txt", b.String())
	if left != 0 {
		t.Errorf("%d annotations are left out", left)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, d)
	}
}

// TestUnknownIsAbsent checks that nothing stands for what is not known.
func TestUnknownIsAbsent(t *testing.T) {
	m := Of(drill(t, began))
	for _, c := range []struct {
		name   string
		labels []string
		want   float64 // NaN: there is no such sample
	}{
		{"gameday_item_outcome", []string{"item=alarm.ShopProbe.fired", "outcome=unknown", "part=detection"}, 1},
		{"gameday_item_outcome", []string{"item=alarm.ShopProbe.fired", "outcome=missed", "part=detection"}, 0},
		{"gameday_item_value_ratio", []string{"item=alarm.ShopProbe.fired", "part=detection"}, math.NaN()},
		{"gameday_alarm_detection_low_seconds", []string{"alarm=ShopProbe"}, math.NaN()},
		{"gameday_item_outcome", []string{"item=alarm.CheckoutErrors.fired", "outcome=missed", "part=detection"}, 1},
		{"gameday_item_value_ratio", []string{"item=alarm.CheckoutErrors.fired", "part=detection"}, 0},
		{"gameday_alarm_detection_low_seconds", []string{"alarm=CheckoutErrors"}, math.NaN()},
		{"gameday_response_acknowledge_low_seconds", []string{"response=on-call"}, 23.5},
		{"gameday_response_acknowledge_high_seconds", []string{"response=on-call"}, 25.5},
		{"gameday_item_limit_seconds", []string{"item=response.on-call.acknowledge", "part=response"}, 20},
		{"gameday_run_verdict", []string{"verdict=failed"}, 1},
		{"gameday_run_verdict", []string{"verdict=passed"}, 0},
		{"gameday_outside_objectives_low_seconds", nil, 5},
		{"gameday_run_start_timestamp_seconds", nil, float64(began.Unix())},
		{"gameday_run_end_timestamp_seconds", nil, float64(began.Unix() + 78)},
		{"gameday_series_left_out", nil, 0},
	} {
		got, there := value(m, c.name, c.labels...)
		if there == math.IsNaN(c.want) || there && math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s%v is %v (there: %v), want %v", c.name, c.labels, got, there, c.want)
		}
	}
}

// TestScoreOfNothing checks that a run of which nothing is scored has no score, rather than one of 0.
func TestScoreOfNothing(t *testing.T) {
	w := small()
	rec := w.Run("x", began, 1)
	rec.Plan.Expects = nil
	m := Of(scored(t, rec))
	for _, name := range []string{"gameday_score_low_ratio", "gameday_outside_objectives_low_seconds"} {
		if v, there := value(m, name); there {
			t.Errorf("%s is %v", name, v)
		}
	}
	if v, _ := value(m, "gameday_traffic_requests", "stream=shoppers"); v == 0 {
		t.Error("it had requests all the same")
	}
}

// TestBounded checks that no name of a source's is in a label, and that a plan with very much in it has a bounded number
// of series, and says so.
func TestBounded(t *testing.T) {
	rec := small().Drill("x", began)
	if text := printed(t, Of(scored(t, rec))); strings.Contains(text, "evil.example") || strings.Contains(text, "carol") {
		t.Error("what a source or a person is called is in a label")
	}
	for i := range 3000 {
		a := rec.Plan.Alarms[0]
		a.Name, a.PagesVia, a.ClearsWithin = fmt.Sprintf("Alarm%d", i), "", 0
		rec.Plan.Alarms = append(rec.Plan.Alarms, a)
	}
	m := Of(scored(t, rec))
	n := 0
	for _, f := range m.Families {
		n += len(f.Samples)
	}
	if left, _ := value(m, "gameday_series_left_out"); n > 12*mostItems || left < 3000 {
		t.Errorf("%d series, and %v left out", n, left)
	}
	// Names that are alike once they are cut stand for nobody.
	for _, f := range m.Families {
		seen := map[string]bool{}
		for _, s := range f.Samples {
			if key := fmt.Sprint(s.Labels); seen[key] {
				t.Fatalf("%s%s is there twice", f.Name, key)
			} else {
				seen[key] = true
			}
		}
	}
}

// TestPromtool has Prometheus' own tool read and judge the metrics, with names that need escapes.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("needs promtool (Debian package prometheus)")
		}
		t.Skip("needs promtool (Debian package prometheus)")
	}
	rec := small().Drill("x", began)
	rec.Plan.Scenario = "a \"quoted\" \\ back\nslash {x=\"y\"} \xff é " + strings.Repeat("long", 100)
	rec.Plan.Alarms[0].Name = `"} 1` + "\nother 2"
	for name, card := range map[string]*report.Scorecard{"drill": scored(t, rec), "search": searched(t)} {
		c := exec.Command(tool, "check", "metrics")
		c.Stdin = strings.NewReader(printed(t, Of(card)))
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: promtool: %v\n%s", name, err, out)
		}
	}
}

// TestPage holds the page to the metrics that there are.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("`(gameday_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = true
	}
	written := map[string]bool{}
	for _, f := range append(Of(drill(t, began)).Families, Of(searched(t)).Families...) {
		written[strings.Replace(f.Name, "_high_", "_low_", 1)] = true
	}
	for name := range written {
		if !documented[name] {
			t.Errorf("docs/reports.md does not have %s", name)
		}
	}
	for name := range documented {
		if !written[name] {
			t.Errorf("docs/reports.md has %s, which is nowhere written", name)
		}
	}
}

// searched is a search that found a capacity, with the generator as its limit.
func searched(t *testing.T) *report.Scorecard {
	t.Helper()
	rec := small().Run("x", began, 1)
	rec.Plan.Search = &report.SearchPlan{Start: 40, Max: 400}
	found := report.CapacityAnswer{Base: 40}
	found.Rate, found.Confirmed, found.AtLeast = 140, true, true
	raw, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	last := rec.Events[len(rec.Events)-1]
	rec.Events = append(rec.Events[:len(rec.Events)-1], report.Event{At: last.At, T: last.T, Kind: report.CapacityFound, Data: raw}, last)
	return scored(t, rec)
}

// TestSearch checks that a search has its answer, and neither a verdict nor a score.
func TestSearch(t *testing.T) {
	m := Of(searched(t))
	rate, _ := value(m, "gameday_capacity_arrivals_per_second", "fault=")
	least, _ := value(m, "gameday_capacity_is_lower_bound", "fault=")
	if rate != 140 || least != 1 {
		t.Errorf("%v/s, at least: %v", rate, least)
	}
	for _, f := range m.Families {
		if strings.HasPrefix(f.Name, "gameday_score") || f.Name == "gameday_run_verdict" {
			t.Errorf("a search has %s", f.Name)
		}
	}
}

// TestTextIsOneLineASample holds every label to one line and its own quotes, whatever is in it.
func TestTextIsOneLineASample(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := &builder{scenario: rapid.String().Draw(r, "scenario"), families: map[string]*Family{}}
		v := rapid.String().Draw(r, "value")
		b.add("gameday_x", "help", 1, "a", v)
		m := &Metrics{}
		for _, f := range b.families {
			m.Families = append(m.Families, *f)
		}
		var out bytes.Buffer
		if err := Text(&out, m); err != nil {
			r.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 3 || !strings.HasSuffix(lines[2], `"} 1`) {
			r.Fatalf("%q", out.String())
		}
		bare := strings.NewReplacer(`\\`, "", `\"`, "").Replace(lines[2])
		if strings.Count(bare, `"`) != 4 {
			r.Fatalf("a quote is loose in %q", lines[2])
		}
	})
}
