package report

import (
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
)

// TestSaturationNamesTheGenerator checks that one generator at its limit is found among others that are not, although all
// together would look at ease.
func TestSaturationNamesTheGenerator(t *testing.T) {
	window := func(web2 loadgen.Load) loadgen.Window {
		w := loadgen.Window{}
		for name, l := range map[string]loadgen.Load{"here": {CPU: 10 * time.Millisecond, VUs: 1, MaxVUs: 50}, "web2": web2} {
			w.Merge(loadgen.Window{Generator: l, Generators: []loadgen.NamedLoad{{Name: name, Load: l}}})
		}
		return w
	}
	for want, load := range map[string]loadgen.Load{
		"":                   {CPU: 800 * time.Millisecond, RunQueue: 500 * time.Millisecond, MaxVUs: 50},
		"web2: 1.0 cores":    {CPU: time.Second, RunQueue: 500 * time.Millisecond, MaxVUs: 50},
		"web2: its garbage":  {GCPause: 80 * time.Millisecond, MaxVUs: 50},
		"web2: starts were ": {Lateness: time.Second, VUs: 3, MaxVUs: 50},
	} {
		w := window(load)
		got := Saturation([]loadgen.Window{w, w, w})
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%+v: %q, want %q", load, got, want)
		}
	}
}
