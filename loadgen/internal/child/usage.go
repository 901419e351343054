package child

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"

	"gameday/loadgen"
)

// usage measures what this process took since it was last asked. It is not safe for concurrent use.
type usage struct {
	cpu     time.Duration
	gc      time.Duration
	cores   float64                  // how many it may use
	waiting map[string]time.Duration // by thread
}

func newUsage() *usage {
	u := &usage{waiting: map[string]time.Duration{}, cores: cores()}
	u.since()
	return u
}

// since returns what was used since the last call, and the memory now.
func (u *usage) since() loadgen.Load {
	cpu, gc := processorTime(), pauses()
	l := loadgen.Load{CPU: cpu - u.cpu, GCPause: gc - u.gc, RunQueue: u.runQueue(), Memory: resident(),
		Cores: u.cores}
	u.cpu, u.gc = cpu, gc
	return l
}

func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// pauses returns how long the collector has stopped the program so far: the runtime counts it on every processor.
func pauses() time.Duration {
	s := []metrics.Sample{{Name: "/cpu/classes/gc/pause:cpu-seconds"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64 {
		return 0
	}
	return time.Duration(s[0].Value.Float64() / float64(runtime.GOMAXPROCS(0)) * float64(time.Second))
}

// runQueue returns how long threads were ready but had no processor: the second number of schedstat. What a thread
// waited in the second it ended is lost.
func (u *usage) runQueue() time.Duration {
	files, _ := filepath.Glob("/proc/self/task/*/schedstat")
	var sum time.Duration
	seen := make(map[string]time.Duration, len(files))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fields := bytes.Fields(b)
		if len(fields) < 2 {
			continue
		}
		ns, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			continue
		}
		seen[file] = time.Duration(ns)
		sum += max(0, seen[file]-u.waiting[file])
	}
	u.waiting = seen
	return sum
}

func resident() uint64 {
	resident, _ := statm()
	return resident
}

// statm returns what of this process is in memory, and how much of that is files' and shared; 0 where there is no /proc.
func statm() (resident, shared uint64) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 3 {
		return 0, 0
	}
	page := uint64(os.Getpagesize())
	all, err := strconv.ParseUint(string(fields[1]), 10, 50)
	files, err2 := strconv.ParseUint(string(fields[2]), 10, 50)
	if err != nil || err2 != nil {
		return 0, 0
	}
	return all * page, files * page
}
