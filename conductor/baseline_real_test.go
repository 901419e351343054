package conductor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"gameday/internal/promrig"
	"gameday/scenarios"
)

// TestBaselineOfPrometheus asks a real Prometheus that remembers two weeks of two counters: one that goes up by day and down by
// night, busier on Saturdays, and one that was not scraped for a day.
func TestBaselineOfPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Prometheus")
	}
	const scrape = time.Minute
	now := time.Now().UTC().Truncate(scrape) // hours and days of the week are those of UTC where a baseline names no zone
	rate := func(at time.Time) float64 {
		r := 20 + 10*math.Sin(2*math.Pi*at.Sub(now).Hours()/24)
		if at.Weekday() == now.Weekday() && at.Hour() == now.Hour() {
			r *= 2
		}
		return r
	}
	var b strings.Builder
	b.WriteString("# TYPE http_requests counter\n")
	for _, instance := range []string{"a", "b", "gone"} {
		total := 0.0
		for at := now.Add(-15*24*time.Hour - time.Hour); !at.After(now); at = at.Add(scrape) {
			total += scrape.Seconds() * rate(at.UTC()) / 2
			ago := now.Sub(at)
			if instance == "gone" && (ago < 8*24*time.Hour || ago > 12*24*time.Hour) {
				continue
			}
			fmt.Fprintf(&b, "http_requests_total{instance=%q} %.3f %d\n", instance, total, at.Unix())
		}
	}
	b.WriteString("# EOF\n")
	server := promrig.StartPrometheus(t, promrig.Options{History: b.String(), Targets: []string{"127.0.0.1:1"}})
	block := func(query, more string) string {
		return fmt.Sprintf("prometheus {\n source = alarms.prometheus.main\n query = %q\n %s\n}", query, more)
	}
	both := `sum(rate(http_requests_total{instance!="gone"}[5m]))`
	s := loadMeasured(t, t.TempDir(), measuredText(server.URL,
		block(both, ""), block(both, `at = "any"`+"\n quantile = 0.5"), block(both, `at = "peak"`),
		block(`rate(http_requests_total[5m])`, ""),
		block(`sum(rate(http_requests_total{instance="gone"}[5m]))`, `at = "any"`),
		block(`sum(rate(http_request_total[5m]))`, ""),
		block(`sum(rate(http_requests_total[5m])`, ""),
		block(`sum(rate(http_requests_total[5m])) / 0`, ""),
	))
	if err := MeasureBaselines(t.Context(), s, Measuring{Now: now}); err == nil {
		t.Error("everything was measured")
	}
	for i, want := range []struct {
		low, high float64 // bounds of the rate
		samples   int
		err       string
	}{
		{30, 60, 24, ""}, {15, 25, 4032, ""}, {28, 60, 168, ""},
		{err: `the query yields 2 series, where one is needed: {instance="a"}, {instance="b"}. Add them up: sum(rate(`},
		{err: "the newest sample is 8d"}, {err: "there are no samples"}, {err: "400 Bad Request"}, {err: "samples are no rates, the first one +Inf"},
	} {
		stream := s.Traffic[i]
		switch m := stream.Measured.Measured; {
		case want.err != "":
			if !strings.Contains(stream.Measured.Error, want.err) {
				t.Errorf("%s: %q, want %q", stream.Name, stream.Measured.Error, want.err)
			}
		case m == nil:
			t.Errorf("%s: %s", stream.Name, stream.Measured.Error)
		case m.Samples < want.samples-2 || m.Samples > want.samples || m.Rate < want.low || m.Rate > want.high || m.Low > m.Rate:
			t.Errorf("%s: %s", stream.Name, stream.Measured.Words())
		}
	}
	server.Freeze()
	began := time.Now()
	one := &scenarios.Scenario{Traffic: s.Traffic[:1], AlarmSources: s.AlarmSources}
	if err := MeasureBaselines(t.Context(), one, Measuring{Now: time.Now()}); err == nil || !strings.Contains(err.Error(), "no answer within 5s") {
		t.Errorf("a frozen server: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to give up", took)
	}
	server.Thaw()
}
