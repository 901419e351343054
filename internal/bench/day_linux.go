package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"gameday/internal/simrun"
	"gameday/report"
)

const (
	dayLimit    = 5.0 // seconds
	dayPeak     = 300 // MB, of a million bytes
	dayMaxBytes = 512 << 20
)

// day measures how long `gameday report` takes over the record of a day, on one processor, and how much memory.
func (b *bench) day(ctx context.Context) ([]row, error) {
	dir := filepath.Join(b.dir, "day")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	length := b.length(24*time.Hour, time.Hour)
	began := time.Now()
	if err := (simrun.Run{Seed: 1, Length: length}).Write(dir); err != nil {
		return nil, err
	}
	info, err := os.Stat(filepath.Join(dir, report.EventsFile))
	if err != nil {
		return nil, err
	}
	size := float64(info.Size()) / 1e6
	b.say("simulated %s in %.1f s: %.0f MB", length, time.Since(began).Seconds(), size)
	if info.Size() > dayMaxBytes {
		return nil, fmt.Errorf("the record takes %.0f MB", size)
	}
	var wall, cpu, peak spread
	for range b.rounds {
		k, most, err := b.reportOn(ctx, dir)
		if err != nil {
			return nil, err
		}
		wall, cpu, peak = append(wall, k.wall.Seconds()), append(cpu, k.cpu.Seconds()), append(peak, float64(most)/1e6)
		b.say("%.2f s, of them %.2f s of the processor; %.0f MB", k.wall.Seconds(), k.cpu.Seconds(), float64(most)/1e6)
	}
	of := fmt.Sprintf(", of %s (%.0f MB)", length, size)
	return []row{
		{"gameday report on one processor, s" + of, wall.text(2), fmt.Sprintf("< %g", dayLimit),
			met(wall.median(), dayLimit)},
		{"of them processor time, user and system", cpu.text(2), "", ""},
		{"largest resident memory, MB", peak.text(0), fmt.Sprintf("< %d", dayPeak), met(peak.median(), dayPeak)},
	}, nil
}

// reportOn makes every form of the report on a record, and watches the memory of the process.
func (b *bench) reportOn(ctx context.Context, dir string) (k cost, peak uint64, err error) {
	c := b.command("report", "--json", "--junit", filepath.Join(b.dir, "day.xml"), dir) // the page it always writes
	c.Env = append(c.Env, "GOMAXPROCS=1")
	began := time.Now()
	if err := c.Start(); err != nil {
		return cost{}, 0, err
	}
	b.helpers[c.Process.Pid] = true
	defer delete(b.helpers, c.Process.Pid)
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Signal(syscall.SIGTERM) })
	defer stop()
	done, seen := make(chan struct{}), make(chan uint64, 1)
	go func() { seen <- peakUntil(c.Process.Pid, done) }()
	err = c.Wait()
	k.wall = time.Since(began)
	close(done)
	peak = <-seen
	if ctx.Err() != nil {
		return cost{}, 0, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 || err != nil && exit == nil {
		return cost{}, 0, fmt.Errorf("gameday report: %w", err)
	}
	k.cpu = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return k, peak, nil
}

// peakUntil reads the peak that the kernel keeps of a process, again and again: when the process has ended, it is gone.
func peakUntil(pid int, done <-chan struct{}) (peak uint64) {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for {
		peak = max(peak, peakOf(pid))
		select {
		case <-t.C:
		case <-done:
			return peak
		}
	}
}
