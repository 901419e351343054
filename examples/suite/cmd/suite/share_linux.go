package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	autogroupTries = 20          // the kernel lets somebody who is not root change it ten times a second
	spendWithin    = time.Minute // on a machine that has no time at all
)

// beNice makes all threads of this process give way to others. Where the kernel shares processors among sessions first
// (autogroups), niceness counts within a session only, so the session's own is set as well.
func beNice(nice int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("being nice: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		// What threads start later is as nice as they are.
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, nice); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("being nice: %w", err)
		}
	}
	for range autogroupTries {
		err = os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(nice)), 0)
		if !errors.Is(err, unix.EAGAIN) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("being nice: %w", err)
	}
	return nil
}

// spendCPU uses so much processor time, however long that takes.
func spendCPU(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	block := make([]byte, 4<<10)
	began := time.Now()
	for end := threadTime() + d; threadTime() < end && time.Since(began) < spendWithin; {
		burn(block)
	}
}

// threadTime is the processor time that the present thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
