package conductor

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gameday/loadgen/sli"
	"gameday/report"
)

// TestAbortOverlooksNoSecond checks that what a stop condition asks for is looked at for every second, whenever that is told of: windows of one
// stream come later than those of another, and several at a time. How long it has held is what the seconds say.
func TestAbortOverlooksNoSecond(t *testing.T) {
	late := func(stream string, by time.Duration) func(*sender) {
		return func(s *sender) { s.tardy = map[string]time.Duration{stream: by} }
	}
	bundles := func(n int) func(*sender) {
		return func(s *sender) { s.bundle = map[string]int{"shop": n, "tail": n} }
	}
	for name, c := range map[string]struct {
		set      func(*sender)
		when     string
		held     int
		from, to int // the seconds that are bad
		want     string
	}{
		"two at a time":              {bundles(2), "sli.error_ratio", 0, 10, 11, "abort  13.0"},
		"the first, two at a time":   {bundles(2), "sli.error_ratio", 0, 0, 1, "abort  3.0"},
		"a late stream's own":        {late("tail", 1200*time.Millisecond), "sli.tail.error_ratio", 0, 10, 11, "abort  13.0"},
		"a very late stream's own":   {late("tail", 4*time.Second), "sli.tail.error_ratio", 0, 10, 11, "abort  16.0"},
		"all, of which one is late":  {late("tail", 1200*time.Millisecond), "sli.error_ratio", 0, 10, 11, "abort  13.0"},
		"a late stream beside it":    {late("shop", 1200*time.Millisecond), "sli.tail.error_ratio", 0, 10, 11, "abort  12.0"},
		"late, and two at a time":    {func(s *sender) { late("tail", 1200*time.Millisecond)(s); bundles(2)(s) }, "sli.tail.error_ratio", 0, 10, 11, "abort  14.0"},
		"another stream has no data": {func(s *sender) { s.silent = map[string]int{"shop": 5} }, "sli.tail.error_ratio", 0, 10, 11, "abort  12.0"},
		// Of seconds 10 to 15 all is known at 16.
		"five seconds at a time":       {bundles(8), "sli.error_ratio", 5, 10, 30, "abort  17.0"},
		"over two bundles":             {bundles(8), "sli.error_ratio", 10, 10, 30, "abort  25.0"},
		"told of by another later":     {func(s *sender) { s.bundle = map[string]int{"tail": 5} }, "sli.tail.error_ratio > 0.5 || sli.shop.p95 > 2 || sli.tail.error_ratio", 0, 11, 12, "abort  16.0"},
		"too few of five at a time":    {bundles(8), "sli.error_ratio", 6, 10, 16, ""},
		"one, and then nothing of one": {func(s *sender) { s.silent = map[string]int{"tail": 11} }, "sli.error_ratio", 2, 10, 11, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inner := strings.Replace(stormBlock, "sli.error_ratio", c.when, 1) // which ends in > 0.5
			inner = strings.Replace(inner, `"3s"`, fmt.Sprintf(`"%ds"`, c.held), 1)
			play(t, "", another("tail", "multiple = 2")+inner, func(d *day) { d.sender.errors = during(c.from, c.to); c.set(d.sender) },
				func(d *day, rec *report.Record) {
					if c.want == "" {
						wantEnd(d.t, rec, report.EndComplete)
						return
					}
					wantEnd(d.t, rec, report.EndAborted)
					same(d.t, "steps", steps(d.t, rec, report.AbortSeen), []string{c.want})
				})
		})
	}
}

// TestRuleBesideLateStream checks that a rule of an alarm does not wait for a stream that it does not ask about.
func TestRuleBesideLateStream(t *testing.T) {
	var fired [2]string
	for i, late := range []time.Duration{0, 2200 * time.Millisecond} {
		rules := "alarms \"builtin\" \"main\" {\n rule \"Bad\" {\n when = sli.shop.error_ratio > 0.5\n over = \"1s\"\n }\n}\n"
		play(t, rules, another("tail", "multiple = 2"), func(d *day) {
			d.sender.errors, d.sender.tardy = during(10, 15), map[string]time.Duration{"tail": late}
		}, func(d *day, rec *report.Record) {
			wantEnd(d.t, rec, report.EndComplete)
			fired[i] = strings.Join(steps(d.t, rec, report.AlarmSeen), ", ")
		})
	}
	if fired[0] == "" || fired[0] != fired[1] {
		t.Errorf("alone: %s; beside a late stream: %s", fired[0], fired[1])
	}
}

const queueSLI = `
alarms "probe" "main" {}
sli "queue" {
  source = alarms.probe.main
  query  = "queue_depth"
}
`

// TestAbortOfOwnAndTraffic checks that a stop condition of both takes what was so in the same second, whenever that is told of, and that how long it
// has held without traffic is not reckoned from a second of traffic.
func TestAbortOfOwnAndTraffic(t *testing.T) {
	for name, c := range map[string]struct {
		when     string
		held     int
		high     [2]int // seconds in which the queue is long
		from, to int    // seconds in which the tail fails, which tells of each three seconds late
		silent   int    // from which second on it tells of nothing
		want     string
	}{
		"at one time":     {"sli.queue > 100 && sli.tail.error_ratio > 0.5", 0, [2]int{13, 15}, 13, 15, 99, "abort  18.0"},
		"one after other": {"sli.queue > 100 && sli.tail.error_ratio > 0.5", 0, [2]int{16, 20}, 13, 15, 99, ""},
		"then no traffic": {"sli.queue > 100 || sli.tail.error_ratio > 0.5", 3, [2]int{15, 17}, 50, 50, 12, ""},
		"no traffic long": {"sli.queue > 100 || sli.tail.error_ratio > 0.5", 3, [2]int{15, 30}, 50, 50, 12, "abort"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := fmt.Sprintf("abort \"storm\" {\n when = %s\n over = \"1s\"\n held = \"%ds\"\n}\n", c.when, c.held)
			play(t, queueSLI, another("tail", "multiple = 2")+inner, func(d *day) {
				began := time.Now()
				d.probe.query = func(context.Context) (float64, bool, error) {
					if s := int(time.Since(began).Seconds()); s >= c.high[0] && s < c.high[1] {
						return 1000, true, nil
					}
					return 0, true, nil
				}
				d.sender.errors, d.sender.silent = during(c.from, c.to), map[string]int{"tail": c.silent}
				d.sender.tardy = map[string]time.Duration{"tail": 3 * time.Second}
			}, func(d *day, rec *report.Record) {
				got := strings.Join(steps(d.t, rec, report.AbortSeen), ", ")
				if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
					d.t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

// TestNoAbortAtTheEnd checks that a stop condition which is met while a run ends anyway is no abort of it.
func TestNoAbortAtTheEnd(t *testing.T) {
	for _, over := range []bool{false, true} {
		d := newDay(t, queueSLI, "abort \"long queue\" { when = sli.queue > 100 }")
		rec, err := newRecorder(d.options.Dir, time.Now(), func(s string) string { return s }, func(report.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{Options: d.options, rec: rec, traffic: &traffic{}}
		r.ctx, r.cancel = context.WithCancelCause(t.Context())
		r.over.Store(over)
		c := newChecks(r)
		for range 2 {
			c.stop(time.Now(), r.Scenario.Aborts[0], &sums{traffic: r.traffic, known: map[span]*sli.Aggregate{}}, map[string]float64{"queue": 1000})
		}
		if want := map[bool]uint64{false: 1, true: 0}[over]; rec.seq != want {
			t.Errorf("over %t: %d aborts, want %d", over, rec.seq, want)
		}
		r.cancel(nil)
		if err := rec.close(); err != nil {
			t.Error(err)
		}
	}
}
