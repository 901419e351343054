package stress

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/sizes"
)

// sink keeps the compiler from leaving work out.
var sink atomic.Uint64

// memorySlack is what a worker needs besides what it takes: its program, page tables.
const memorySlack = 64 << 20

// memoryLoad is memory_stress on this machine.
type memoryLoad struct {
	memoryPlan
	bytes  uint64
	before memory
}

func (p memoryPlan) bind() (faults.Injection, error) { return newLoad(&memoryLoad{memoryPlan: p}), nil }

func (m *memoryLoad) check() error {
	_, err := m.here()
	return err
}

func (m *memoryLoad) here() (*memoryJob, error) {
	var err error
	if m.before, err = newGauge().read(); err != nil {
		return nil, err
	}
	return m.job(m.before.total, m.before.available)
}

func (m *memoryLoad) mark(u *undo) { u.Group = newGroup("memory", u.Token) }

func (m *memoryLoad) begin(ctx context.Context, l *load, lease time.Duration) error {
	j, err := m.here()
	if err != nil {
		return err
	}
	m.bytes = j.Bytes
	// With page tables, which are counted too: 8 bytes for each page of 4096.
	most := strconv.FormatUint(j.Bytes+j.Bytes/256+memorySlack, 10)
	dir, err := l.group(ctx, map[string]string{"memory.limit_in_bytes": most, "memory.max": most})
	if err != nil {
		return err
	}
	_, err = l.start(ctx, job{Lease: lease, Group: dir, Memory: j})
	return err
}

// effect reads the worker's resident memory, as the kernel counts it.
func (m *memoryLoad) effect(_ context.Context, l *load) (faults.Effect, error) {
	w := l.crew[0]
	resident, err := statusBytes(w.cmd.Process.Pid, "RssAnon")
	if err != nil {
		return faults.Effect{}, err
	}
	now, err := newGauge().read()
	if err != nil {
		return faults.Effect{}, err
	}
	said, _ := w.now()
	e := faults.Effect{Proven: resident >= m.bytes-m.bytes/50, Details: map[string]string{
		"pid":              strconv.Itoa(w.cmd.Process.Pid),
		"asked":            strconv.FormatUint(m.bytes, 10),
		"resident":         strconv.FormatUint(resident, 10),
		"locked":           strconv.FormatBool(said.Locked),
		"available_before": strconv.FormatUint(m.before.available, 10),
		"available_now":    strconv.FormatUint(now.available, 10),
		"cgroup":           l.undo.Group,
	}}
	e.Summary = fmt.Sprintf("%s resident, of %s asked for; available memory went from %s to %s",
		sizes.Show(resident), sizes.Show(m.bytes), sizes.Show(m.before.available), sizes.Show(now.available))
	return e, nil
}

// statusBytes reads a line such as "RssAnon:   102400 kB" of /proc/PID/status.
func statusBytes(pid int, name string) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the load's memory: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 50)
			if err != nil {
				return 0, fmt.Errorf("reading the load's memory: %w", err)
			}
			return n << 10, nil
		}
	}
	return 0, fmt.Errorf("reading the load's memory: the status of pid %d has no %s", pid, name)
}

// run takes the memory, piece by piece, and keeps it until too little is left for others.
func (j *memoryJob) run(say func(report)) error {
	g := newGauge()
	if g.groups && strings.HasPrefix(filepath.Base(g.group.dir), workerName+"-") {
		g = g.above() // the limit of the worker's own cgroup is no concern of others
	}
	locked := true
	for got := uint64(0); got < j.Bytes; {
		n := min(memoryChunk, j.Bytes-got)
		if err := j.keep(g, n); err != nil {
			return err
		}
		stays, err := take(int(n))
		if err != nil {
			return fmt.Errorf("the kernel gave %s and no more: %w", sizes.Show(got), err)
		}
		locked = locked && stays
		got += n
	}
	say(report{Step: stepStanding, Locked: locked})
	return stand(func() error { return j.keep(g, 0) })
}

// keep finds a reason to let go, when so much more is to be taken.
func (j *memoryJob) keep(g *gauge, more uint64) error {
	m, err := g.read()
	if err != nil {
		return err
	}
	if m.available < j.Floor+more {
		return fmt.Errorf("%s of memory are available, and the floor is %s", sizes.Show(m.available), sizes.Show(j.Floor))
	}
	return nil
}

// take maps memory and touches every page of it. It reports whether the memory is locked.
func take(n int) (locked bool, err error) {
	const page = 4096 // or a part of one, on machines whose pages are larger
	b, err := unix.Mmap(-1, 0, (n+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return false, err
	}
	_ = unix.Madvise(b, unix.MADV_DONTDUMP)
	for i := 0; i < len(b); i += page {
		// Pages that differ, so that neither deduplication nor compression gives the memory back.
		v := uint64(i)*0x9E3779B97F4A7C15 + uint64(time.Now().Nanosecond())
		for k := range 8 {
			b[i+k] = byte(v >> (8 * k))
		}
	}
	return unix.Mlock(b) == nil, nil
}
