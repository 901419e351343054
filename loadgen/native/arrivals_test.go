package native

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gameday/loadgen"
)

func quiet(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestProgram starts a stream idle, tells it a program once, and lets it go to its end.
func TestProgram(t *testing.T) {
	x := begin(t, t.Context(), loadgen.Spec{Rate: 50, Idle: true, PeakMultiple: 3, Flows: flows(get(quiet(t)))})
	if before := x.seconds(t, 2); before.Due != 0 || before.Multiple != 0 {
		t.Errorf("idle, %d were due at %gx", before.Due, before.Multiple)
	}
	x.commands <- loadgen.Command{Over: time.Second / 2, Then: []loadgen.Leg{{To: 1}, {To: 1, Over: time.Second},
		{To: 3},
		{To: 1, Over: time.Second}, {To: 0}}}
	x.until(t, func(multiple float64) bool { return multiple > 0 })
	x.until(t, func(multiple float64) bool { return multiple == 0 })
	// The last one is due at the very end, and may be lost to rounding.
	if all := x.stop(t); all.Due < 149 || all.Due > 150 || all.Completed != all.Due {
		t.Errorf("due %d, completed %d", all.Due, all.Completed)
	}
}

// TestChance compares what was due in each second with what the seed says.
func TestChance(t *testing.T) {
	spec := loadgen.Spec{Rate: 80, Poisson: true, Seed: 9, Flows: flows(get(quiet(t)))}
	x := begin(t, t.Context(), spec)
	x.seconds(t, 3)
	x.stop(t)
	p := loadgen.NewPacer(spec.Arrivals(role, 1))
	for i, w := range x.all[:3] {
		end := time.Duration(i+1) * time.Second
		if want := p.Due(end) - p.Due(end-time.Second); w.Due != want {
			t.Errorf("in second %d %d were due, and the seed says %d", i, w.Due, want)
		}
	}
}
