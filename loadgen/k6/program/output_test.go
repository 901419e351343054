package program

import (
	"testing"
	"time"

	"go.k6.io/k6/v2/metrics"

	"gameday/loadgen/internal/child"
)

// What the output keeps must not grow with the number of requests.
func TestOutputKeepsNoSamples(t *testing.T) {
	c := newGenerator(child.NewVoice(nil))
	c.tally.Open(time.Now().Add(-time.Hour))
	registry := metrics.NewRegistry()
	o := &sums{child: c, builtin: metrics.RegisterBuiltinMetrics(registry)}
	tags := registry.RootTagSet()
	batch := make([]metrics.SampleContainer, 0, 300)
	for range 100 {
		batch = append(batch, metrics.Sample{
			TimeSeries: metrics.TimeSeries{Metric: o.builtin.Checks, Tags: tags},
			Time:       time.Now(), Value: 1, Metadata: map[string]string{vuKey: "1"},
		}, &ended{user: c.user("1"), at: time.Now()})
	}
	o.AddMetricSamples(batch)
	allocated := testing.AllocsPerRun(100, func() {
		c.user("1").begin(&iteration{began: time.Now()})
		batch[1].(*ended).at = time.Now()
		o.AddMetricSamples(batch)
		o.child.tally.Take(time.Now(), child.Settle, false)
	})
	if perIteration := allocated / 100; perIteration > 3 {
		t.Errorf("an iteration allocates %.1f times in the output", perIteration)
	}
	if n := len(c.user("1").iterations); n > 2 {
		t.Errorf("%d iterations are kept", n)
	}
}
