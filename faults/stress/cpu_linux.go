package stress

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// userHZ is the unit of times in /proc/PID/stat: USER_HZ, 100 on every architecture that Go knows.
const userHZ = 100

// quotaPeriod is the kernel's own default, in microseconds.
const quotaPeriod = 100_000

// cpuLoad is cpu_stress on this machine.
type cpuLoad struct {
	cpuPlan
	asked float64
	first cpuSample
}

// cpuSample is what a process has used by an instant.
type cpuSample struct {
	at           time.Time
	used, waited time.Duration
	stalled      time.Duration // PSI: somebody on the machine waited for a processor
}

func (p cpuPlan) bind() (faults.Injection, error) { return newLoad(&cpuLoad{cpuPlan: p}), nil }

func (c *cpuLoad) check() error {
	_, err := c.here()
	return err
}

func (c *cpuLoad) here() (*cpuJob, error) {
	cpus, err := allowedCPUs()
	if err != nil {
		return nil, err
	}
	return c.job(cpus)
}

func (c *cpuLoad) mark(u *undo) { u.Group = newGroup("cpu", u.Token) }

func (c *cpuLoad) begin(ctx context.Context, l *load, lease time.Duration) error {
	j, err := c.here()
	if err != nil {
		return err
	}
	c.asked = j.asked()
	// A little more than what is asked for, so that the quota bounds the load and does not shape it.
	quota := strconv.Itoa(int((c.asked*1.05 + 0.1) * quotaPeriod))
	dir, err := l.group(ctx, map[string]string{
		"cpu.cfs_quota_us": quota, "cpu.max": fmt.Sprintf("%s %d", quota, quotaPeriod)})
	if err != nil {
		return err
	}
	_, err = l.start(ctx, job{Lease: lease, Group: dir, CPU: j})
	return err
}

// effect compares the worker's processor time, as the kernel counts it, with what was asked for.
func (c *cpuLoad) effect(ctx context.Context, l *load) (faults.Effect, error) {
	pid := l.crew[0].cmd.Process.Pid
	if c.first.at.IsZero() {
		s, err := sampleCPU(pid)
		if err != nil {
			return faults.Effect{}, err
		}
		c.first = s
	}
	pause(ctx, time.Until(c.first.at.Add(cpuWindow)))
	now, err := sampleCPU(pid)
	if err != nil {
		return faults.Effect{}, err
	}
	u := cpuUse{over: now.at.Sub(c.first.at), used: now.used - c.first.used, waited: now.waited - c.first.waited}
	e := faults.Effect{Details: map[string]string{
		"pid":             strconv.Itoa(pid),
		"asked_cores":     fmt.Sprintf("%.2f", c.asked),
		"busy_cores":      fmt.Sprintf("%.2f", u.used.Seconds()/max(u.over.Seconds(), 1e-9)),
		"waiting_cores":   fmt.Sprintf("%.2f", u.waited.Seconds()/max(u.over.Seconds(), 1e-9)),
		"measured_over":   u.over.Round(time.Millisecond).String(),
		"pressure_some":   fmt.Sprintf("%.2f", (now.stalled-c.first.stalled).Seconds()/max(u.over.Seconds(), 1e-9)),
		"cgroup":          l.undo.Group,
		"processors_seen": strconv.Itoa(runtime.NumCPU()),
	}}
	e.Proven, e.Summary = judgeCPU(c.asked, u)
	return e, nil
}

func sampleCPU(pid int) (cpuSample, error) {
	s := cpuSample{at: time.Now()}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, fmt.Errorf("reading the load's processor time: %w", err)
	}
	if s.used, err = statCPU(stat); err != nil {
		return s, err
	}
	threads, _ := readNames(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range threads {
		// "time on processor, time in the run queue, timeslices", in ns; absent where the kernel does not count.
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t))
		if fields := strings.Fields(string(line)); len(fields) == 3 {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			s.waited += time.Duration(n)
		}
	}
	pressure, _ := os.ReadFile("/proc/pressure/cpu") // absent without CONFIG_PSI
	s.stalled = parsePressure(string(pressure))
	return s, nil
}

// statCPU returns the user and system time from /proc/PID/stat: fields 14 and 15, counted from the last parenthesis.
func statCPU(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading the load's processor time: stat has %d fields after the name", len(fields))
	}
	user, errU := strconv.ParseInt(string(fields[11]), 10, 64)
	system, errS := strconv.ParseInt(string(fields[12]), 10, 64)
	if errU != nil || errS != nil {
		return 0, fmt.Errorf("reading the load's processor time: %q and %q are no times", fields[11], fields[12])
	}
	return time.Duration(user+system) * time.Second / userHZ, nil
}

// statIdentity returns the state and the start time from /proc/PID/stat: fields 3 and 22.
func statIdentity(stat []byte) (state byte, start uint64, err error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return 0, 0, fmt.Errorf("stat has %d fields after the name, 20 are needed", len(fields))
	}
	start, err = strconv.ParseUint(string(fields[19]), 10, 64)
	return fields[0][0], start, err
}

// parsePressure returns the total of a line "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345", in µs there.
func parsePressure(text string) time.Duration {
	line, _, _ := strings.Cut(text, "\n")
	_, total, _ := strings.Cut(line, "total=")
	n, _ := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
	return time.Duration(n) * time.Microsecond
}

// allowedCPUs lists the processors that this process may use.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("reading which processors may be used: %w", err)
	}
	var cpus []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus, nil
}

// run spins until the process ends.
func (j *cpuJob) run(say func(report)) error {
	runtime.GOMAXPROCS(len(j.Duties) + 2) // the lease must be heard however busy the others are
	for i, duty := range j.Duties {
		cpu := -1
		if i < len(j.CPUs) {
			cpu = j.CPUs[i]
		}
		go j.spin(duty, cpu)
	}
	say(report{Step: stepStanding})
	select {}
}

// spin is busy for its share of each period, counted in the thread's own processor time.
func (j *cpuJob) spin(duty float64, cpu int) {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, j.Nice) // of this thread
	if cpu >= 0 {
		var set unix.CPUSet
		set.Set(cpu)
		_ = unix.SchedSetaffinity(0, &set) // else the kernel chooses
	}
	work := time.Duration(duty * float64(cpuPeriod))
	for x := uint64(1); ; {
		began, used := time.Now(), threadTime()
		for threadTime()-used < work && time.Since(began) < cpuPeriod {
			for range 20_000 {
				x = x*6364136223846793005 + 1442695040888963407
			}
		}
		sink.Store(x)
		if duty < 1 {
			time.Sleep(time.Until(began.Add(cpuPeriod)))
		}
	}
}

func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
