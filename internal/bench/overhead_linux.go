package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

const (
	overheadRate  = 1000 // iterations per second
	overheadUsers = 100
	overheadLimit = 1.03
	baseline      = 2 * time.Second
)

// overheadScript is what both run. Its options are for plain k6; gameday replaces its scenarios.
const overheadScript = `import http from 'k6/http';
import { check } from 'k6';
export const options = { scenarios: { s: { executor: 'constant-arrival-rate', rate: %d, preAllocatedVUs: %d,
  duration: __ENV.DURATION || '1s' } } };
export default function () { check(http.get('http://%s/'), { ok: (r) => r.status === 200 }); }
`

// overheadScenario is a game day with one of everything, at a constant rate: its load phase follows the baseline
// without a ramp, and one fault makes sure that a guard runs.
const overheadScenario = `responders "desk" "ops" {
  level {
    people = ["ann"]
  }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "Failing" {
    when   = sli.error_ratio > 0.2
    held   = "2s"
    labels = { severity = "page" }
  }
}
scenario "overhead" {
  timeline {
    baseline = "%s"
    ramp     = "0s"
    load     = "%s"
    recovery = "0s"
  }
  traffic "visitors" {
    script   = "overhead.js"
    multiple = 1
    max_vus  = %d
    baseline {
      rate = %d
    }
  }
  steady_state {
    expect "availability" { that = sli.error_ratio < 0.5 }
  }
  capacity {
    expect "latency" { that = sli.p95 < seconds("500ms") }
  }
  target "victim" {
    process { command = "%s" }
  }
  fault "process_kill" "crash" {
    target          = target.victim
    at              = "1s"
    restarts_within = "5s"
  }
  alarm "Failing" {
    source       = alarms.builtin.main
    fires_within = "30s"
  }
}
`

// rival is one of those that are compared.
type rival struct {
	name string
	run  func(ctx context.Context, length time.Duration) (cost, uint64, error)
	per  spread // milliseconds of processor time for 1,000 iterations, by round
	// start is the processor time that does not depend on the length of a run, in milliseconds.
	start spread
}

// overhead compares gameday with k6, and with the k6 that is inside gameday-k6, by the processor time that more of the same
// traffic takes: what a long run took more than a short one, for the iterations that it made more.
func (b *bench) overhead(ctx context.Context) (rows []row, err error) {
	k6, err := b.buildK6(ctx)
	if err != nil {
		return nil, err
	}
	server, err := b.start(roleServer)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	victims, err := b.start(roleSupervisor, "1")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, victims.stop()) }()
	script := filepath.Join(b.dir, "overhead.js")
	text := fmt.Sprintf(overheadScript, overheadRate, overheadUsers, server.said)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return nil, err
	}
	rivals := []*rival{
		{name: "gameday", run: b.runOverhead},
		{name: "k6, the command", run: func(ctx context.Context, d time.Duration) (cost, uint64, error) {
			return b.plain(ctx, exec.Command(k6), script, d)
		}},
		{name: "k6 inside gameday-k6", run: func(ctx context.Context, d time.Duration) (cost, uint64, error) {
			return b.inside(ctx, script, d)
		}},
	}
	short, long := b.length(4*time.Second, 4*time.Second), b.length(16*time.Second, 10*time.Second)
	strays := 0
	for round := range b.rounds {
		n, err := oneRound(ctx, rivals, short, long, round%2 == 1)
		if err != nil {
			return nil, err
		}
		strays += n
		for _, r := range rivals {
			b.say("round %d: %s %.1f ms", round+1, r.name, r.per[round])
		}
	}
	if strays > 0 {
		b.say("%d process(es) were not waited for by their parents; their time is in the figures", strays)
	}
	return overheadRows(rivals), nil
}

func overheadRows(rivals []*rival) (rows []row) {
	for _, r := range rivals {
		rows = append(rows, row{what: r.name + ", ms", figure: r.per.text(1)})
	}
	for _, r := range rivals[1:] {
		ratio := ratios(rivals[0].per, r.per)
		rows = append(rows, row{"gameday / " + r.name, ratio.text(3), fmt.Sprintf("≤ %.2f", overheadLimit),
			met(ratio.median(), overheadLimit)})
	}
	for _, r := range rivals {
		rows = append(rows, row{what: "once per run: " + r.name + ", ms", figure: r.start.text(0)})
	}
	return rows
}

// oneRound runs each rival short and long, the other way round in every second round.
func oneRound(ctx context.Context, rivals []*rival, short, long time.Duration, backwards bool) (strays int, err error) {
	order := slices.Clone(rivals)
	if backwards {
		slices.Reverse(order)
	}
	type used struct {
		cpu        time.Duration
		iterations uint64
	}
	first := map[*rival]used{}
	for _, length := range []time.Duration{short, long} {
		for _, r := range order {
			k, n, err := r.run(ctx, length)
			if err != nil {
				return 0, fmt.Errorf("%s, %s: %w", r.name, length, err)
			}
			if want := overheadRate * length.Seconds(); float64(n) < 0.95*want {
				return 0, fmt.Errorf("%s: only %d of %.0f iterations: the machine is too busy", r.name, n, want)
			}
			strays += k.strays
			f, again := first[r]
			if !again {
				first[r] = used{k.cpu, n}
				continue
			}
			each := float64(k.cpu-f.cpu) / float64(n-f.iterations)
			r.per = append(r.per, each*1000/float64(time.Millisecond))
			r.start = append(r.start, (float64(f.cpu)-each*float64(f.iterations))/float64(time.Millisecond))
		}
	}
	return strays, nil
}

func (b *bench) runOverhead(ctx context.Context, length time.Duration) (cost, uint64, error) {
	text := fmt.Sprintf(overheadScenario, baseline, length-baseline, overheadUsers, overheadRate, victimName(0))
	k, s, err := b.gameDay(ctx, "overhead", text)
	if err != nil {
		return k, 0, err
	}
	if s.injected != 1 || s.failed > s.requests/100 {
		return k, 0, fmt.Errorf("%d injections, want 1 %q; %d of %d requests failed", s.injected, s.refused, s.failed, s.requests)
	}
	return k, s.iterations, nil
}

// buildK6 builds the k6 command of the version that gameday is built with, with the same flags.
func (b *bench) buildK6(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "k6")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "go.k6.io/k6/v2")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building k6: %w: %s", err, out)
	}
	return path, nil
}

// iterationsLine is where k6's summary says how many iterations it made.
var iterationsLine = regexp.MustCompile(`(?m)^\s*iterations\.*: (\d+)`)

// plain runs k6 with its defaults, except that it neither calls home nor reads the user's own configuration.
func (b *bench) plain(ctx context.Context, c *exec.Cmd, script string, length time.Duration) (cost, uint64, error) {
	config := filepath.Join(b.dir, "k6.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return cost{}, 0, err
	}
	c.Args = append(c.Args, "run", "-e", "DURATION="+length.String(), script)
	c.Dir = b.dir
	c.Env = append(append(plainEnvironment(), c.Env...), "K6_CONFIG="+config, "K6_NO_USAGE_REPORT=true",
		"K6_AUTO_EXTENSION_RESOLUTION=false")
	k, err := b.measure(ctx, c)
	if err != nil {
		return k, 0, err
	}
	found := iterationsLine.FindStringSubmatch(k.output)
	if k.code != 0 || found == nil {
		return k, 0, fmt.Errorf("k6 ended with exit code %d and no count of iterations: %s", k.code, k.output)
	}
	n, err := strconv.ParseUint(found[1], 10, 64)
	return k, n, err
}

// inside runs plain k6 from within gameday-k6, in the role of a traffic generator that is given an ordinary
// command line. It wants two descriptors: where its events go, and where commands come from.
func (b *bench) inside(ctx context.Context, script string, length time.Duration) (cost, uint64, error) {
	events, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return cost{}, 0, err
	}
	defer events.Close()
	commands, hold, err := os.Pipe()
	if err != nil {
		return cost{}, 0, err
	}
	defer commands.Close()
	defer hold.Close()
	c := exec.Command(b.beside("gameday-k6"))
	c.Env = []string{"GAMEDAY_GENERATOR=k6"}
	c.ExtraFiles = []*os.File{events, commands}
	return b.plain(ctx, c, script, length)
}
