package network

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"gameday/faults"
)

func percent(v float64) *float64 { return &v }

func TestShapesValidate(t *testing.T) {
	tests := map[string]struct {
		config faults.Config
		fields []string
		want   string
	}{
		"delay": {&Delay{Delay: "80ms", Jitter: "10ms", Correlation: 25, Distribution: "pareto"}, nil, ""},
		"delay wrong": {&Delay{Delay: "fast", Jitter: "3s", Correlation: 101, Distribution: "norml", Direction: "in",
			To: []string{"x y"}, Ports: []int{0}},
			[]string{"direction", "to", "ports", "delay", "jitter", "correlation", "distribution"}, `Did you mean "normal"?`},
		"delay too long":    {&Delay{Delay: "1h"}, []string{"delay"}, "10µs to 1m0s"},
		"more jitter":       {&Delay{Delay: "5ms", Jitter: "6ms"}, []string{"jitter"}, "more than the delay"},
		"jitter missing":    {&Delay{Distribution: "uniform"}, []string{"jitter"}, "without jitter"},
		"loss all":          {&Loss{Percent: percent(100)}, nil, ""},
		"loss none":         {&Loss{Percent: percent(0)}, []string{"percent"}, "from 0.0001 to 100, not 0"},
		"loss not a number": {&Loss{Percent: percent(math.NaN())}, []string{"percent"}, ""},
		"loss both ways":    {&Loss{Direction: "both"}, []string{"direction"}, "put the fault on the sender"},
		"duplicate wrong":   {&Duplicate{Percent: percent(101), Correlation: -1}, []string{"percent", "correlation"}, ""},
		"corrupt wrong":     {&Corrupt{Percent: percent(-1)}, []string{"percent"}, ""},
		"reorder":           {&Reorder{Percent: percent(50), Gap: 5, Delay: "20ms"}, nil, ""},
		"reorder wrong":     {&Reorder{Percent: percent(200), Gap: -1, Delay: "0s"}, []string{"percent", "delay", "gap"}, ""},
		"rate":              {&Rate{Rate: "1.5 Mbit", Burst: "64kb"}, nil, ""},
		"rate wrong":        {&Rate{Rate: "10mb", Burst: "ten"}, []string{"rate", "burst"}, "bit, kbit, mbit, gbit"},
		"rate too low":      {&Rate{Rate: "1bit"}, []string{"rate"}, "8000 to 100000000000 bit"},
		"rate too high":     {&Rate{Rate: "1000gbit"}, []string{"rate"}, ""},
	}
	for name, tt := range tests {
		err := tt.config.Validate()
		if got := fieldsOf(t, err); !slices.Equal(got, tt.fields) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShapesPreview(t *testing.T) {
	to := []string{"198.18.0.2"}
	for want, c := range map[string]faults.Previewer{
		"198.18.0.2, delay 100ms": &Delay{To: to},
		"198.18.0.2, delay 1s ± 20ms uniform, correlation 25%": &Delay{To: to, Delay: "1s", Jitter: "20ms",
			Distribution: "uniform", Correlation: 25},
		"198.18.0.2, ports 80, loss 10%":                       &Loss{To: to, Ports: []int{80}},
		"198.18.0.2, duplicate 0.5%":                           &Duplicate{To: to, Percent: percent(0.5)},
		"198.18.0.2, corrupt 1%, correlation 3%":               &Corrupt{To: to, Correlation: 3},
		"198.18.0.2, reorder 25%, delay 10ms, gap 5":           &Reorder{To: to, Gap: 5},
		"198.18.0.2, rate 1mbit":                               &Rate{To: to},
		"nothing to shape":                                     &Rate{},
		"198.18.0.2, rate 10mbit, burst 128kb":                 &Rate{To: to, Rate: "10mbit", Burst: "128kb"},
		"198.18.0.2, reorder 50%, correlation 10%, delay 10ms": &Reorder{To: to, Percent: percent(50), Correlation: 10},
		"198.18.0.2, delay 100ms ± 5ms normal":                 &Delay{To: to, Jitter: "5ms"},
		"198.18.0.2, loss 10%, correlation 12.5%":              &Loss{To: to, Correlation: 12.5},
		"198.18.0.2, delay 100ms ± 5ms paretonormal": &Delay{To: to, Jitter: "5ms",
			Distribution: "paretonormal"},
		"198.18.0.2, ports 53 443, duplicate 10%, correlation 1%": &Duplicate{To: to, Ports: []int{443, 53}, Correlation: 1},
	} {
		if got := c.Preview(faults.Place{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestShapesTravel sends each kind's parameters through JSON, as they go to a guard.
func TestShapesTravel(t *testing.T) {
	for _, k := range []faults.Kind{DelayKind(), LossKind(), DuplicateKind(), CorruptKind(), ReorderKind(), RateKind()} {
		c := k.New()
		if err := json.Unmarshal([]byte(`{"to":["198.18.0.2"],"allow_self_cut":true,"direction":"out"}`), c); err != nil {
			t.Fatal(err)
		}
		s := c.(shaper)
		if got := s.selector(); got.kind != k.Name || !got.allowSelfCut || len(got.to) != 1 {
			t.Errorf("%s: %+v", k.Name, got)
		}
		if raw, err := json.Marshal(c); err != nil ||
			string(raw) != `{"to":["198.18.0.2"],"direction":"out","allow_self_cut":true}` {
			t.Errorf("%s: %s, %v", k.Name, raw, err)
		}
		what, err := s.shaping()
		if err != nil || what.words == "" || len(what.details) == 0 {
			t.Errorf("%s: %+v, %v", k.Name, what, err)
		}
		for _, direction := range []string{"in", "both"} {
			if err := onlyOut(direction); err == nil {
				t.Errorf("direction %s is let through", direction)
			}
		}
	}
}

func TestReadAmount(t *testing.T) {
	for text, want := range map[string]float64{"8000bit": 8000, "10mbit": 1e7, "1.5gbit": 1.5e9, "64 KBIT": 64000,
		"1e1mbit": 1e7} {
		if got, err := readAmount("rate", text, bitUnits, leastRate, mostRate); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	r := Rate{Rate: "20mbit"}
	if s, err := r.shaping(); err != nil || s.rate != 2_500_000 || s.burst != leastBurst {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzReadAmount(f *testing.F) {
	for _, s := range []string{"10mbit", "", "mbit", "-1kbit", "1e400gbit", "nanbit", "infbit", "0x1pbit"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readAmount("rate", s, bitUnits, leastRate, mostRate)
		if err == nil && !(got >= leastRate && got <= mostRate) {
			t.Errorf("%q is %v", s, got)
		}
	})
}

func TestShare(t *testing.T) {
	for p, want := range map[float64]uint32{0: 0, 100: math.MaxUint32, 50: 1 << 31, -1: 0, 200: math.MaxUint32,
		minPercent: 4295} {
		if got := share(p); got != want {
			t.Errorf("%v%% is %d, want %d", p, got, want)
		}
	}
}

// TestDistributions holds every table to its promise: mean 0, standard deviation 1, in order, and the shape of its
// name.
func TestDistributions(t *testing.T) {
	for _, name := range distributionNames() {
		table := distribution(name)
		if name == uniform {
			if table != nil {
				t.Error("uniform has a table")
			}
			continue
		}
		var sum, squares, cubes float64
		for _, v := range table {
			x := float64(v) / distUnit
			sum += x
			squares += x * x
			cubes += x * x * x
		}
		mean, deviation := sum/distSize, math.Sqrt(squares/distSize)
		if len(table) != distSize || math.Abs(mean) > 1e-3 || math.Abs(deviation-1) > 1e-3 || !slices.IsSorted(table) {
			t.Errorf("%s: %d elements, mean %v, deviation %v", name, len(table), mean, deviation)
		}
		skew := cubes / distSize
		if name == normal && math.Abs(skew) > 1e-3 || name != normal && skew < 0.5 {
			t.Errorf("%s: skewness %v", name, skew)
		}
	}
	// A normal variable is below one standard deviation with a probability of 84.13 %.
	table := distribution(normal)
	below, _ := slices.BinarySearch(table, distUnit)
	if got := float64(below) / distSize; math.Abs(got-0.8413) > 2e-3 {
		t.Errorf("normal: %v are below one standard deviation", got)
	}
}
