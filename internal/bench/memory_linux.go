package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	memoryRate  = 500 // iterations per second
	memoryLimit = 1.10
)

// memoryScenario is traffic at a constant rate.
const memoryScenario = `scenario "memory" {
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
  capacity {
    expect "latency" { that = sli.p95 < seconds("500ms") }
  }
}
`

// memory compares the peaks of a long run with those of a short one.
func (b *bench) memory(ctx context.Context) (rows []row, err error) {
	server, err := b.start(roleServer)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	text := fmt.Sprintf(overheadScript, memoryRate, overheadUsers, server.said)
	if err := os.WriteFile(filepath.Join(b.dir, "overhead.js"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	lengths := []time.Duration{b.length(time.Minute, 20*time.Second), b.length(10*time.Minute, 2*time.Minute)}
	var found []peaks
	for _, length := range lengths {
		p, err := b.runMemory(ctx, length)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", length, err)
		}
		b.say("%s: generator %.1f MiB, conductor %.1f MiB, with scoring %.1f MiB", length, mib(p.generator), mib(p.conductor),
			mib(p.conductorWithScoring))
		found = append(found, p)
	}
	of := fmt.Sprintf(", MiB, %s → %s", lengths[0], lengths[1])
	add := func(what string, short, long uint64) {
		r := row{what: what + of, figure: fmt.Sprintf("%.1f → %.1f: ×%.3f", mib(short), mib(long), float64(long)/float64(short))}
		r.target, r.met = fmt.Sprintf("≤ %.2f", memoryLimit), met(float64(long)/float64(short), memoryLimit)
		rows = append(rows, r)
	}
	add("generator", found[0].generator, found[1].generator)
	add("conductor, during the run", found[0].conductor, found[1].conductor)
	add("conductor, with scoring", found[0].conductorWithScoring, found[1].conductorWithScoring)
	return rows, nil
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

// runMemory runs one scenario and watches its processes.
func (b *bench) runMemory(ctx context.Context, length time.Duration) (peaks, error) {
	dir := filepath.Join(b.dir, "record-memory")
	if err := os.RemoveAll(dir); err != nil {
		return peaks{}, err
	}
	file := filepath.Join(b.dir, "memory.hcl")
	text := fmt.Sprintf(memoryScenario, baseline, length-baseline, overheadUsers, memoryRate)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return peaks{}, err
	}
	c := b.command("run", "--record", dir, file)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return peaks{}, err
	}
	b.helpers[c.Process.Pid] = true
	defer delete(b.helpers, c.Process.Pid)
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Signal(os.Interrupt) })
	defer stop()
	done, result := make(chan struct{}), make(chan peaks, 1)
	go func() { result <- watch(c.Process.Pid, done) }()
	_ = c.Wait() // how the run ended is in its record
	close(done)
	p := <-result
	if ctx.Err() != nil {
		return peaks{}, context.Cause(ctx)
	}
	_, s, err := b.judge(cost{output: out.String()}, dir)
	if err != nil {
		return peaks{}, err
	}
	if want := memoryRate * length.Seconds(); float64(s.iterations) < 0.95*want {
		return peaks{}, fmt.Errorf("only %d of %.0f iterations", s.iterations, want)
	}
	return p, nil
}
