package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"
)

// What a scaler goes by.
const (
	byQueue = "queue"
	byCPU   = "cpu"
)

const (
	scaleEvery  = 500 * time.Millisecond
	queueTarget = 100 * time.Millisecond // that a payment may wait for a cashier
	cpuTarget   = 0.6                    // of a processor, for each cashier
	clockTick   = 10 * time.Millisecond  // USER_HZ, in which /proc counts processor time
)

// scaler starts cashiers as it sees fit. It only ever adds some: to take them away again is another game day's business.
type scaler struct {
	by          string
	least, most int
	start       func() (pid int, err error)
	queueTime   func() time.Duration
	log         io.Writer

	pids []int
	used time.Duration // processor time of all of them, at the last look
}

// run keeps the scaler looking until ctx ends.
func (s *scaler) run(ctx context.Context) {
	s.grow(s.least)
	for last := time.Now(); wait(ctx, scaleEvery) == nil; {
		now := time.Now()
		load, words := s.measure(now.Sub(last))
		last = now
		if n := wanted(len(s.pids), load, s.most); n > len(s.pids) {
			fmt.Fprintf(s.log, "%s: from %d to %d cashiers\n", words, len(s.pids), n)
			s.grow(n)
		}
	}
}

// grow starts cashiers until there are n.
func (s *scaler) grow(n int) {
	for len(s.pids) < n {
		pid, err := s.start()
		if err != nil {
			fmt.Fprintf(s.log, "starting a cashier: %v\n", err)
			return
		}
		s.pids = append(s.pids, pid)
	}
}

// wanted is how many there should be, by the usual formula: as many times more as the load is above its target, where 1 is the
// target. At most twice as many at a time, and never fewer.
func wanted(now int, load float64, most int) int {
	n := int(math.Ceil(float64(now) * min(load, 2)))
	return min(max(n, now), max(most, now))
}

// measure returns the load as a share of its target, and in words.
func (s *scaler) measure(over time.Duration) (load float64, words string) {
	if s.by == byQueue {
		q := s.queueTime()
		return float64(q) / float64(queueTarget), fmt.Sprintf("payments waited up to %s for a cashier", q.Round(time.Millisecond))
	}
	var used time.Duration
	for _, pid := range s.pids {
		used += cpuOf(pid)
	}
	busy := (used - s.used).Seconds() / over.Seconds() / float64(len(s.pids))
	s.used = used
	return busy / cpuTarget, fmt.Sprintf("cashiers use %.0f %% of a processor", 100*busy)
}

// cpuOf is the processor time that a process has used, by /proc; 0 when it cannot be told.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// Fields 14 and 15, counted from the name's last parenthesis, for a name may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * clockTick
}
