package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

// TestShapes reads back every kind of shape.
func TestShapes(t *testing.T) {
	f := Load("testdata/good/shapes.hcl", testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	const s = time.Second
	wants := map[string]struct {
		start   time.Duration
		poisson bool
		words   string
		program loadgen.Program
	}{
		"plain":  {withTheRun, false, "", loadgen.Steady(3)},
		"steady": {withTheRun, true, "", loadgen.Steady(2)},
		"ramp":   {0, false, "ramp 1 to 4 over 1m", loadgen.Program{From: 1, Legs: []loadgen.Leg{{To: 4, Over: 60 * s}}}},
		"steps": {withTheRun, false, "steps 1 0 2.5 hold 20s ramp 2s", loadgen.Program{From: 1, Legs: []loadgen.Leg{{To: 1, Over: 20 * s}, {To: 0, Over: 2 * s},
			{To: 0, Over: 20 * s}, {To: 2.5, Over: 2 * s}, {To: 2.5, Over: 20 * s}}}},
		"spike": {30 * s, false, "spike 3 to 10 at 20s hold 20s", loadgen.Program{From: 3, Legs: []loadgen.Leg{{To: 3, Over: 20 * s}, {To: 10, Over: s},
			{To: 10, Over: 20 * s}, {To: 3, Over: 5 * s}}}},
		"sine": {30 * s, false, "sine 1 to 3 every 1m from 2", loadgen.Sine(1, 3, 2, 60*s, 90*s)}, // what is left of two minutes
		"replayed": {withTheRun, false, "replay of rates.csv 60 times as fast 2 times as much", loadgen.Program{From: 2,
			Legs: []loadgen.Leg{{To: 3, Over: 60 * s}, {To: 1, Over: 60 * s}}}},
		"asked": {withTheRun, false, "replay of prometheus.main over the last 24h 720 times as fast", loadgen.Steady(3)},
	}
	for _, got := range f.Scenarios[0].Traffic {
		want := wants[got.Name]
		if got.Start != want.start || got.Poisson != want.poisson || got.Shape != want.words {
			t.Errorf("%s: start %v, poisson %v, %q", got.Name, got.Start, got.Poisson, got.Shape)
		}
		if diff := cmp.Diff(want.program, got.Multiples()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", got.Name, diff)
		}
		delete(wants, got.Name)
		if got.Name == "asked" {
			if diff := cmp.Diff(&Replay{"prometheus.main", "sum(rate(http_requests_total[1m]))", 24 * time.Hour, time.Minute, 720, 1}, got.Replay); diff != "" {
				t.Errorf("what is asked for (-want +got):\n%s", diff)
			}
			if err := got.Follow([]loadgen.Point{{Value: 20}, {At: time.Hour, Value: 50}}); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(loadgen.Program{From: 2, Legs: []loadgen.Leg{{To: 5, Over: 5 * s}}}, got.Multiples()); diff != "" {
				t.Errorf("once it is known (-want +got):\n%s", diff)
			}
		}
	}
	for name := range wants {
		t.Errorf("there is no traffic %s", name)
	}
}

// TestSeriesIsBounded checks that a file which is no series at all, but a log of a day, is not read.
func TestSeriesIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big.csv")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxSeries+1); err != nil {
		t.Fatal(err)
	}
	if _, err := series(path); err == nil || !strings.Contains(err.Error(), "16777217 bytes") {
		t.Errorf("the error is %v", err)
	}
}
