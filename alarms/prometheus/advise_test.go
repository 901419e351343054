package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/internal/promrig"
)

// pastOf writes two weeks of conditions before an instant, a sample a minute: their usual values, and in each peak, which
// begins so many minutes before the end, the other one for some minutes.
func pastOf(end time.Time, usual map[string]float64, peaks map[string]map[int]float64, minutes int) string {
	var b strings.Builder
	b.WriteString("# TYPE condition gauge\n")
	for name, v := range usual {
		for m := 14 * 24 * 60; m > 0; m-- {
			value := v
			for begin, peak := range peaks[name] {
				if m <= begin && m > begin-minutes {
					value = peak
				}
			}
			fmt.Fprintf(&b, "condition{name=%q} %g %d\n", name, value, end.Add(-time.Duration(m)*time.Minute).Unix())
		}
	}
	return b.String() + "# EOF\n"
}

// near is a rule that fires above a threshold.
func near(name, threshold, hold string) string {
	return strings.Replace(promrig.Rule(name, hold, map[string]string{"severity": "page"}), "> 0", "> "+threshold, 1)
}

// TestRealAdvice has a real Prometheus tell what its rules could have seen: one that fires, one whose threshold is too
// high, one that compares for equality, one that nobody asks about.
func TestRealAdvice(t *testing.T) {
	t.Parallel()
	promrig.Each(t, realAdvice)
}

func realAdvice(t *testing.T, program promrig.Program) {
	target := promrig.NewTarget(t)
	calm := map[string]float64{"Hit": 1, "High": 1, "Odd": 1, "Idle": 0}
	for name, v := range calm {
		target.Set(name, v)
	}
	peaks := map[string]map[int]float64{"High": {20_000: 8, 9_000: 8, 500: 8}}
	p := promrig.StartPrometheus(t, promrig.Options{Program: program, Targets: []string{target.Address()},
		History: pastOf(time.Now().Add(-10*time.Minute), map[string]float64{"Hit": 1, "High": 1}, peaks, 10),
		Rules: near("Hit", "5", "2s") + near("High", "10", "2s") + strings.Replace(near("Odd", "7", "0s"), "> 7", "== 7", 1) +
			near("Idle", "0", "0s")})
	s := source(t, Config{URL: p.URL, Poll: "250ms"}, nil)
	expected := []alarms.Expectation{expectation("Hit"), expectation("High"), expectation("Odd"), expectation("Nobody")}
	promrig.Eventually(t, 10*time.Second, "the rules are evaluated", func() bool {
		f, err := s.Preflight(t.Context(), expected)
		value, scraped, _ := s.Query(t.Context(), `min(condition{name="Odd"})`)
		return err == nil && len(f) == 1 && scraped && value == 1
	})
	w := watch(t, s)
	start := time.Now()
	wait(t, 4*time.Second)
	t0 := time.Now()
	target.Set("Hit", 9)
	target.Set("High", 6)
	target.Set("Odd", 7)
	w.until("Hit", alarms.StateFiring, 1)
	wait(t, 2*time.Second)
	run := clock.Span{Start: start, End: time.Now()}

	begun := time.Now()
	advice, err := s.Advise(t.Context(), alarms.Inquiry{Run: run, Calm: clock.Span{Start: start, End: t0}, Alarms: expected})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("advice took %s", time.Since(begun))
	uses := fmt.Sprint(advice.Rules)
	if uses != "[{High false} {Hit true} {Idle false} {Odd true}]" || !advice.Fired || len(advice.Why) > 0 || len(advice.Studies) != 3 {
		t.Errorf("rules %s, fired known %v, %d studies, why %q", uses, advice.Fired, len(advice.Studies), advice.Why)
	}
	hit, high, odd := advice.Studies[0], advice.Studies[1], advice.Studies[2]
	if hit.Limit == nil || *hit.Limit != (alarms.Comparison{Left: `condition{name="Hit"}`, Op: ">", Threshold: 5}) ||
		hit.For != 2*time.Second || hit.Interval != time.Second || hit.Scrape != time.Second || hit.Step != time.Second || len(hit.Why) > 0 {
		t.Errorf("Hit: %+v", hit)
	}
	scraped := firstOf(t, s, `condition{name="Hit"}[1m]`, 9)
	if len(hit.Held) != 1 || hit.Held[0].Start.Before(t0) || hit.Held[0].Start.After(scraped.Add(1500*time.Millisecond)) || hit.Held[0].End.Before(run.End.Add(-2*time.Second)) {
		t.Errorf("Hit held %v, the onset was at %v, it was first scraped at %v and the run ended at %v", hit.Held, t0, scraped, run.End)
	}
	if len(high.Held) > 0 || high.Past == nil || len(high.Values) != 1 {
		t.Fatalf("High: %+v", high)
	}
	if d := high.Past.Data; d < 13*24*time.Hour || high.Past.Worst != 8 || high.Past.Middle != 1 || high.Past.Step > time.Minute {
		t.Errorf("the past of High: %+v", high.Past)
	}
	fired := map[float64]int{}
	for _, l := range high.Levels {
		fired[l.Threshold] = l.Fired
		if l.Fired == 3 && (l.Firing < 28*time.Minute || l.Firing > 32*time.Minute) {
			t.Errorf("High above %v would have fired for %s, want half an hour", l.Threshold, l.Firing)
		}
	}
	if n, ok := fired[10]; !ok || n != 0 || fired[9] != 0 || len(fired) < 10 {
		t.Errorf("High's thresholds: %+v", high.Levels)
	}
	for threshold, n := range fired {
		if threshold < 8 && n != 3 {
			t.Errorf("a threshold of %v would have fired %d times, want 3", threshold, n)
		}
	}
	if last := high.Values[0].Points; last[len(last)-1][1] != 6 || last[0][1] != 1 {
		t.Errorf("High went %v, want from 1 to 6", last)
	}
	if odd.Limit != nil || !strings.Contains(odd.NoLimit, "equal") || len(odd.Held) != 1 {
		t.Errorf("Odd: %+v", odd)
	}
	if hit.Past == nil || hit.Past.Worst != 1 {
		t.Errorf("the past of Hit: %+v", hit.Past)
	}
}

// firstOf returns when a value was first scraped, of a series in a range: a busy machine leaves out scrapes.
func firstOf(t *testing.T, s *Source, query string, value float64) time.Time {
	t.Helper()
	found, err := s.matrix(t.Context(), query, time.Now())
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %+v, %v", query, found, err)
	}
	i := slices.IndexFunc(found[0].Samples, func(x sample) bool { return x.Value == value })
	if i < 0 {
		t.Fatalf("%s was never %g: %+v", query, value, found[0].Samples)
	}
	return found[0].Samples[i].At
}
