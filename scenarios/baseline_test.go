package scenarios

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gameday/loadgen/baseline"
)

// TestBaselines reads back where 1x is to be measured, value by value.
func TestBaselines(t *testing.T) {
	f := Load("testdata/good/baselines.hcl", testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata/good")
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	usual := func(name string) *baseline.Log {
		return &baseline.Log{Path: filepath.Join(dir, name), Format: baseline.Combined, Fields: baseline.DefaultFields(), Over: time.Hour,
			Step: 10 * time.Second, Quantile: 0.95, Zone: time.UTC}
	}
	pattern := usual("access.log")
	pattern.Format, pattern.Pattern = baseline.Regexp, `^(?P<time>\S+) (?P<path>\S+)`
	want := map[string]*Baseline{
		"metric": {PerIteration: 1, Assumed: true, Source: "prometheus.main", Metrics: &baseline.Metrics{Query: "sum(rate(http_requests_total[5m]))",
			Over: 14 * day, Step: 5 * time.Minute, Quantile: 0.95, At: baseline.SameHour, Zone: time.UTC}},
		"peak": {PerIteration: 2.5, MaxAge: 30 * time.Minute, Source: "prometheus.main", Metrics: &baseline.Metrics{
			Query: "sum(rate(http_requests_total[1m]))", Over: 9*day + 12*time.Hour, Step: 10 * time.Minute, Quantile: 0.5, At: baseline.Peak,
			Zone: berlin, MaxAge: 30 * time.Minute}},
		"day": {PerIteration: 1, Assumed: true, Source: "prometheus.main", Metrics: &baseline.Metrics{Query: "sum(rate(http_requests_total[1d]))",
			Over: 14 * day, Step: day, Quantile: 0.95, At: baseline.Any, Zone: time.UTC}},
		"log": {PerIteration: 1, Assumed: true, Log: usual("logs/access.log")},
		"json": {PerIteration: 1, Assumed: true, MaxAge: 30 * day, Log: &baseline.Log{Path: "/var/log/caddy/access.log", Format: baseline.JSON,
			Fields: baseline.Fields{Time: "ts", Method: "request.method", Path: "request.uri", Status: "status"}, Over: 2 * time.Hour, Step: time.Minute,
			Quantile: 0.9, MaxAge: 30 * day, MaxGap: 40 * time.Minute, Zone: berlin}},
		"pattern": {PerIteration: 1, Assumed: true, Log: pattern},
		"flows":   {PerIteration: 1.5, Log: usual("access.log")}, // three of one request to one of three
		"again":   {PerIteration: 1, Run: LatestRun},
		"named":   {PerIteration: 1, Run: "20261120-140212-measured", MaxAge: 90 * day},
		"kept":    {PerIteration: 1, Run: filepath.Join(dir, "runs/20261120-140212-measured")},
	}
	got := map[string]*Baseline{}
	for _, s := range f.Scenarios[0].Traffic {
		if s.Rate != 0 || s.Measured != nil {
			t.Errorf("%s is at %g/s before anybody was asked", s.Name, s.Rate)
		}
		got[s.Name] = s.Baseline
	}
	zones := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	if diff := cmp.Diff(want, got, zones, cmpopts.IgnoreFields(Baseline{}, "Range")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
