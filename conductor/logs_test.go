package conductor

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/report"
	"gameday/scenarios"
)

// TestToldBefore checks that runners which hear of a change late are told of it before: what is to be at the begin of a phase counts then, for
// them as for others.
func TestToldBefore(t *testing.T) {
	logs := &loadgen.RunOn{Kind: loadgen.Jobs, Parallelism: 3, Namespace: "load", Collector: loadgen.Logs}
	program := loadgen.Program{From: 2, Legs: []loadgen.Leg{{To: 4, Over: 30 * time.Second}}}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		rec, err := newRecorder(dir, began, func(s string) string { return s }, func(report.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{rec: rec, loadBegan: make(chan struct{}), Options: Options{Scenario: &scenarios.Scenario{Timeline: scenarios.Timeline{Ramp: 10 * time.Second,
			Control: 20 * time.Second, Load: time.Minute, Recovery: 10 * time.Second}}}}
		var cancel context.CancelCauseFunc
		r.ctx, cancel = context.WithCancelCause(t.Context())
		defer cancel(nil)
		r.traffic = &traffic{run: r}
		type told struct {
			at time.Duration
			c  loadgen.Command
		}
		all := make([][]told, 3)
		over := make(chan struct{})
		for i, on := range []*loadgen.RunOn{logs, nil, logs} {
			s := &stream{Traffic: scenarios.Traffic{Name: fmt.Sprint(i), RunOn: on, Start: -1}, program: program, commands: make(chan loadgen.Command)}
			if i == 2 {
				s.Start = 5 * time.Second
			}
			r.traffic.streams = append(r.traffic.streams, s)
			go func() {
				for {
					select {
					case c := <-s.commands:
						all[i] = append(all[i], told{time.Since(began), c})
					case <-over:
						return
					}
				}
			}()
		}
		for _, step := range []func() error{r.ramp, r.withoutFaults, r.load, r.recovery} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		close(over)
		synctest.Wait()
		if err := rec.file.Close(); err != nil {
			t.Fatal(err)
		}
		const s = time.Second
		lead := loadgen.LogsLead
		want := [][]told{
			{{0, loadgen.Command{To: 2, Over: 10*s - lead}}, {10*s - lead, loadgen.Command{To: 2, Then: program.Legs}},
				{30*s - lead, loadgen.Command{To: 2, Then: program.Legs}}},
			{{0, loadgen.Command{To: 2, Over: 10 * s}}, {10 * s, loadgen.Command{To: 2, Then: program.Legs}}, {30 * s, loadgen.Command{To: 2, Then: program.Legs}}},
			{{10*s - lead, loadgen.Command{Over: 5 * s, Then: append([]loadgen.Leg{{To: 2}}, program.Legs...)}}, {30*s - lead, loadgen.Command{}},
				{30*s - lead, loadgen.Command{Over: 5 * s, Then: append([]loadgen.Leg{{To: 2}}, program.Legs...)}}},
		}
		if got := fmt.Sprint(all); got != fmt.Sprint(want) {
			t.Errorf("they are told\n%v, not\n%v", all, want)
		}
	})
}

// packing is an engine whose streams are as large as it says.
type packing struct {
	loadgen.Generator
	size int
}

func (p packing) Pack(_ context.Context, s loadgen.Spec) (loadgen.Spec, error) {
	if _, err := os.Stat(s.Dir); err != nil {
		return s, err
	}
	b := make([]byte, p.size)
	for i, x := 0, uint32(1); i < len(b); i++ { // nothing that gets smaller
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	s.Files = map[string][]byte{"script.js": b}
	return s, nil
}

// TestFits checks that what does not fit into a Secret, or into an annotation, is found before anything is made, with its size.
func TestFits(t *testing.T) {
	logs := &loadgen.RunOn{Kind: loadgen.Jobs, Parallelism: 3, Namespace: "load", Collector: loadgen.Logs}
	day := make([]loadgen.Leg, 80_000)
	for i := range day {
		day[i] = loadgen.Leg{To: float64(i*7919%10007) / 1000, Over: time.Second}
	}
	for _, c := range []struct {
		name string
		on   *loadgen.RunOn
		size int
		legs []loadgen.Leg
		want string
	}{
		{"small", logs, 100 << 10, day[:1000], ""},
		{"large", logs, 2 << 20, nil, "comes to 2048 KiB"},
		{"a day by the second", logs, 10, day, "an annotation of its pod holds 192"},
		{"large, with a collector", &loadgen.RunOn{Kind: loadgen.Jobs, Collector: "10.0.0.5:7443"}, 2 << 20, day, ""},
	} {
		o := Options{Generator: packing{size: c.size}, Version: "test"}
		err := o.fits(t.Context(), loadgen.Spec{Stream: "shoppers", Script: "script.js", RunOn: c.on}, loadgen.Program{Legs: c.legs})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	s := &starter{}
	r := &run{Options: Options{Run: "run-1", Version: "test", Dir: t.TempDir(), Runners: map[string]collector.Starter{loadgen.Jobs: s},
		Scenario: &scenarios.Scenario{Name: "day"}}}
	all, dismiss, err := r.muster(t.Context(), loadgen.Spec{Stream: "shoppers", RunOn: logs})
	if err != nil || len(all) != 3 || s.order.Collector != loadgen.Logs || len(s.order.Content) == 0 || s.order.Logs == nil || s.order.Token == "" || s.order.Run != "run-1" {
		t.Fatalf("%d runners, %+v, %v", len(all), s.order, err)
	}
	s.leaves = collector.ErrLeft
	if dismiss(); !s.stopped || len(r.mayBeLeft) != 1 {
		t.Errorf("the runners were stopped: %t, and may be left: %q", s.stopped, r.mayBeLeft)
	}
}
