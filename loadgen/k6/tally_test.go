package k6

import (
	"testing"
	"testing/synctest"
	"time"

	"go.k6.io/k6/v2/metrics"

	"gameday/loadgen"
)

func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTally()
		count := func(after time.Duration) {
			a.at(time.Now().Add(after), func(w *loadgen.Window) { w.Started++ })
		}
		count(0) // before there is a first instant
		a.open(time.Now().Add(time.Second))
		count(0)
		if _, _, ok := a.take(time.Now(), settle, true); ok {
			t.Error("a second came before the first instant")
		}
		time.Sleep(time.Second)
		var got []uint64
		for range 50 {
			count(0)
			count(-900 * time.Millisecond) // late, and before the first instant at first
			time.Sleep(100 * time.Millisecond)
			for {
				w, over, ok := a.take(time.Now(), settle, false)
				if !ok {
					break
				}
				if late := time.Since(over); late < settle || late > settle+100*time.Millisecond {
					t.Errorf("a second is handed out %s after its end", late)
				}
				got = append(got, w.Started)
			}
			if len(a.cells) > 2 {
				t.Fatalf("%d seconds are kept", len(a.cells))
			}
		}
		a.close(time.Now())
		time.Sleep(10 * time.Second)
		count(0) // in teardown: counts in the last second
		for {
			w, _, ok := a.take(time.Now(), settle, true)
			if !ok {
				break
			}
			got = append(got, w.Started)
		}
		sum := uint64(0)
		for _, n := range got {
			sum += n
		}
		if len(got) != 6 || sum != 50+41+1 {
			t.Errorf("%d seconds hold %d: %v", len(got), sum, got)
		}
	})
}

// What the output keeps must not grow with the number of requests.
func TestOutputKeepsNoSamples(t *testing.T) {
	c := newChild(nil)
	c.tally.open(time.Now().Add(-time.Hour))
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
		o.child.tally.take(time.Now(), settle, false)
	})
	if perIteration := allocated / 100; perIteration > 3 {
		t.Errorf("an iteration allocates %.1f times in the output", perIteration)
	}
	if n := len(c.user("1").iterations); n > 2 {
		t.Errorf("%d iterations are kept", n)
	}
}
