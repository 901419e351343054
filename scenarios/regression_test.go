package scenarios

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/report"
)

// TestRegression reads a block that has everything back, value by value.
func TestRegression(t *testing.T) {
	s := Load("testdata/good/everything.hcl", testOptions()).Scenarios[0]
	want := report.RegressionPlan{
		Tolerances: map[string]report.Tolerance{
			"completed": {}, "error_ratio": {Absolute: 0.002, Counts: true}, "p50": {Absolute: 0.001, Counts: true},
			"p95": {Relative: 0.10, Absolute: 0.005, Counts: true}, "p99": {Relative: 0.20, Counts: true},
			"rate": {Relative: 0.05, Absolute: 10, Counts: true}, "reached_ratio": {Absolute: 0.01, Counts: true},
			"dropped_ratio": {Counts: true}, "capacity": {Relative: 0.03, Counts: true}, "ttd": {Absolute: 5, Counts: true},
			"tta": {Relative: 0.20, Absolute: 10}, "ttr": {Relative: 0.50, Absolute: 2, Counts: true},
			"score": {Absolute: 2.5, Counts: true},
		},
		Phases: []report.Phase{report.Load, report.Recovery}, EachTraffic: true,
	}
	if d := cmp.Diff(want, s.Regression.RegressionPlan); d != "" {
		t.Error(d)
	}
	if s.Regression.Build != "make build" {
		t.Errorf("build is %q", s.Regression.Build)
	}
}

// The block has an attribute for each yardstick, and no other.
func TestRegressionHasEveryYardstick(t *testing.T) {
	var want []string
	for _, y := range report.Yardsticks() {
		want = append(want, y.Name)
	}
	slices.Sort(want)
	if d := cmp.Diff(want, slices.Sorted(maps.Keys((&regressionBlock{}).given()))); d != "" {
		t.Error(d)
	}
}
