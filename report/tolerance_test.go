package report

import (
	"math"
	"strings"
	"testing"
)

func TestParseTolerance(t *testing.T) {
	for _, c := range []struct {
		yardstick, text string
		want            Tolerance
		words           string // empty when it must be refused
	}{
		{"p95", "10%", Tolerance{Relative: 0.1, Counts: true}, "10 %"},
		{"p95", "5ms", Tolerance{Absolute: 0.005, Counts: true}, "5 ms"},
		{"p95", "10% and 5ms", Tolerance{Relative: 0.1, Absolute: 0.005, Counts: true}, "10 % and 5 ms"},
		{"p95", "5ms and 10%", Tolerance{Relative: 0.1, Absolute: 0.005, Counts: true}, "10 % and 5 ms"},
		{"p95", "0%", Tolerance{Counts: true}, "0 s"},
		{"p95", "ignore", Tolerance{Relative: 0.1, Absolute: 0.002}, "10 % and 2 ms"},
		{"error_ratio", "0.2%", Tolerance{Absolute: 0.002, Counts: true}, "0.20 %"},
		{"capacity", "5% and 10/s", Tolerance{Relative: 0.05, Absolute: 10, Counts: true}, "5 % and 10/s"},
		{"score", "2.5 points", Tolerance{Absolute: 2.5, Counts: true}, "2.5 points"},
		{"completed", "ignore", Tolerance{}, "none"},
		{yardstick: "p95", text: ""}, {yardstick: "p95", text: "10"}, {yardstick: "p95", text: "10% and 20%"},
		{yardstick: "p95", text: "5ms and"}, {yardstick: "p95", text: "-5ms"}, {yardstick: "p95", text: "NaN%"},
		{yardstick: "p95", text: "2000%"}, {yardstick: "p95", text: "48h"}, {yardstick: "error_ratio", text: "5ms"},
		{yardstick: "error_ratio", text: "101%"}, {yardstick: "rate", text: "5"}, {yardstick: "rate", text: "Inf/s"},
		{yardstick: "capacity", text: "100%"}, {yardstick: "score", text: "10%"}, {yardstick: "score", text: "5"}, {yardstick: "completed", text: "10%"},
	} {
		y, ok := YardstickOf(c.yardstick)
		if !ok {
			t.Fatalf("there is no yardstick %q", c.yardstick)
		}
		got, err := y.ParseTolerance(c.text)
		switch {
		case c.words == "" && err == nil:
			t.Errorf("%s = %q was read as %+v", c.yardstick, c.text, got)
		case c.words == "" && !strings.Contains(err.Error(), c.yardstick):
			t.Errorf("%s = %q: %v", c.yardstick, c.text, err)
		case c.words == "":
		case err != nil:
			t.Errorf("%s = %q: %v", c.yardstick, c.text, err)
		case got != c.want || y.Words(got) != c.words:
			t.Errorf("%s = %q was read as %+v, %q; want %+v, %q", c.yardstick, c.text, got, y.Words(got), c.want, c.words)
		}
	}
}

// What may be lost is a share of what there was: of 100/s, 20 % tolerate 80/s and not 100/1.2.
func TestToleranceInLogarithms(t *testing.T) {
	for _, c := range []struct {
		yardstick string
		relative  float64
		want      float64 // how many times as much is just tolerated
	}{{"p95", 0.2, 1.2}, {"p95", 0, 1}, {"capacity", 0.2, 0.8}, {"rate", 0.5, 0.5}, {"capacity", 0, 1},
		{"capacity", 3, 0.01}} {
		y, _ := YardstickOf(c.yardstick)
		got := math.Exp(y.InLogarithms(Tolerance{Relative: c.relative}))
		if y.Higher {
			got = 1 / got
		}
		if math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s by %g: %g times as much, want %g", c.yardstick, c.relative, got, c.want)
		}
	}
}

// What a scenario gives goes before the defaults, which stay for the rest.
func TestTolerancesOf(t *testing.T) {
	p := &Plan{Regression: &RegressionPlan{Tolerances: map[string]Tolerance{"p95": {Relative: 0.5, Counts: true},
		"ttd": {}}}}
	got, defaults := TolerancesOf(p), TolerancesOf(&Plan{})
	if got["p95"].Relative != 0.5 || got["ttd"].Counts || got["error_ratio"] != defaults["error_ratio"] {
		t.Errorf("%+v", got)
	}
	if !defaults["p95"].Counts || defaults["p50"].Counts || len(defaults) != len(Yardsticks()) {
		t.Errorf("defaults: %+v", defaults)
	}
}

// FuzzParseTolerance: nothing panics, and what is read is a number that can be compared with.
func FuzzParseTolerance(f *testing.F) {
	for _, y := range Yardsticks() {
		for _, text := range []string{"10%", "5ms", "10% and 5ms", "10/s", "5 points", "ignore"} {
			f.Add(y.Name, text)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		y, ok := YardstickOf(name)
		if !ok {
			t.Skip()
		}
		got, err := y.ParseTolerance(text)
		if err != nil {
			return
		}
		for _, v := range []float64{got.Relative, got.Absolute} {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Errorf("%s = %q was read as %+v", name, text, got)
			}
		}
		if y.Words(got) == "" {
			t.Errorf("%s = %q cannot be printed", name, text)
		}
	})
}
