package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	latenessLimit = 20.0 // milliseconds, of the 99th percentile
	latenessEvery = 200 * time.Millisecond
	victims       = 10 // each is hit every two seconds
)

// burnScript keeps as many processors busy as it has virtual users.
const burnScript = `export const options = { vus: %d, duration: '10m' };
export default function () { const end = Date.now() + 20; while (Date.now() < end) {} }
`

// lateness measures how late injections are sent while k6 takes one processor, and for comparison all of them.
func (b *bench) lateness(ctx context.Context) (rows []row, err error) {
	helpers, err := b.start(roleSupervisor, fmt.Sprint(victims))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, helpers.stop()) }()
	count := 150
	if b.quick {
		count = 40
	}
	for _, busy := range []int{1, 2} {
		s, err := b.runLateness(ctx, busy, count)
		if err != nil {
			return nil, err
		}
		p99 := s.late.quantile(0.99)
		r := row{
			what:   fmt.Sprintf("k6 on %d processor(s) (%.2f used), %d injections: p99, ms", busy, s.generator.median(), len(s.late)),
			figure: fmt.Sprintf("%.2f (median %.2f, largest %.2f)", p99, s.late.median(), s.late.quantile(1)),
		}
		if busy == 1 {
			r.target, r.met = fmt.Sprintf("< %g", latenessLimit), met(p99, latenessLimit)
		}
		rows = append(rows, r)
		if len(s.refused) > 0 {
			b.say("%d injection(s) failed, the first: %s", len(s.refused), s.refused[0])
		}
	}
	return rows, nil
}

func (b *bench) runLateness(ctx context.Context, busy, count int) (*seen, error) {
	script := filepath.Join(b.dir, "burn.js")
	if err := os.WriteFile(script, fmt.Appendf(nil, burnScript, busy), 0o600); err != nil {
		return nil, err
	}
	_, s, err := b.gameDay(ctx, "lateness", latenessScenario(count))
	if err != nil {
		return nil, err
	}
	if len(s.late) < count*9/10 {
		return nil, fmt.Errorf("only %d of %d faults were injected: %q", len(s.late), count, s.refused)
	}
	return s, nil
}

// latenessScenario has one fault every 200 ms, each on another victim than those before.
func latenessScenario(count int) string {
	var t strings.Builder
	fmt.Fprintf(&t, `scenario "lateness" {
  timeline {
    baseline = "2s"
    ramp     = "0s"
    load     = "%s"
    recovery = "0s"
  }
  traffic "busy" {
    script         = "burn.js"
    multiple       = 1
    keep_executors = true
  }
`, 2*time.Second+time.Duration(count)*latenessEvery)
	for i := range victims {
		fmt.Fprintf(&t, "  target \"victim-%d\" {\n    process { command = \"%s\" }\n  }\n", i, victimName(i))
	}
	for i := range count {
		fmt.Fprintf(&t, "  fault \"process_kill\" \"kill-%d\" {\n    target = target.victim-%d\n    at = \"%s\"\n"+
			"    restarts_within = \"2s\"\n  }\n", i, i%victims, time.Second+time.Duration(i)*latenessEvery)
	}
	t.WriteString("}\n")
	return t.String()
}
