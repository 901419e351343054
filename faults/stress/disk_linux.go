package stress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/sizes"
)

// diskSteps is in how many pieces space is taken, each with a look at what is left.
const diskSteps = 64

// diskLoad is disk_fill on this machine.
type diskLoad struct {
	diskPlan
	bytes  uint64
	before space
}

func (p diskPlan) bind() (faults.Injection, error) { return newLoad(&diskLoad{diskPlan: p}), nil }

func (d *diskLoad) check() error {
	_, err := d.here()
	return err
}

func (d *diskLoad) here() (*diskJob, error) {
	err := stillThere(d.node)
	if err != nil {
		return nil, err
	}
	if d.before, err = usable(d.path); err != nil {
		return nil, err
	}
	j, err := d.job(d.before.total, d.before.free)
	if err != nil || !d.before.inMemory {
		return j, err
	}
	m, err := newGauge().read()
	if err != nil {
		return nil, err
	}
	if j.Floor = defaultFloor(m.total); j.Bytes+j.Floor > m.available {
		return nil, fmt.Errorf("disk_fill: %s lives in memory, of which %s are available; %s cannot be taken without going below "+
			"a floor of %s; ask for less", d.path, sizes.Show(m.available), sizes.Show(j.Bytes), sizes.Show(j.Floor))
	}
	return j, nil
}

// usable looks whether files can be made in a folder, without making one.
func usable(dir string) (space, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return space{}, fmt.Errorf("looking at the folder to load: %w", err)
	}
	if !st.IsDir() {
		return space{}, fmt.Errorf("looking at the folder to load: %s is none; name a folder", dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return space{}, fmt.Errorf("the guard may not make files in %s: %w; run it as another user, or name another folder", dir, err)
	}
	return readSpace(dir)
}

func (d *diskLoad) mark(u *undo) { u.File = fileIn(d.path, u.Token) }

func (d *diskLoad) begin(ctx context.Context, l *load, lease time.Duration) error {
	j, err := d.here()
	if err != nil {
		return err
	}
	d.bytes, j.File = j.Bytes, l.undo.File
	_, err = l.start(ctx, job{Lease: lease, Disk: j})
	return err
}

// effect looks at the worker's file through /proc: what the kernel has allocated to it.
func (d *diskLoad) effect(_ context.Context, l *load) (faults.Effect, error) {
	w := l.crew[0]
	said, _ := w.now()
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", w.cmd.Process.Pid, said.FD), &st); err != nil {
		return faults.Effect{}, fmt.Errorf("looking at the load's file: %w", err)
	}
	now, err := readSpace(d.path)
	if err != nil {
		return faults.Effect{}, err
	}
	taken := uint64(st.Blocks) * 512
	e := faults.Effect{Proven: taken >= d.bytes && st.Nlink == 0, Details: map[string]string{
		"pid":         strconv.Itoa(w.cmd.Process.Pid),
		"asked":       strconv.FormatUint(d.bytes, 10),
		"allocated":   strconv.FormatUint(taken, 10),
		"free_before": strconv.FormatUint(d.before.free, 10),
		"free_now":    strconv.FormatUint(now.free, 10),
	}}
	e.Summary = fmt.Sprintf("%s allocated, of %s asked for; free space went from %s to %s",
		sizes.Show(taken), sizes.Show(d.bytes), sizes.Show(d.before.free), sizes.Show(now.free))
	return e, nil
}

// run takes the space, piece by piece, and keeps it until too little is left for others.
func (j *diskJob) run(say func(report)) error {
	f, err := unlinked(j.Path, j.File)
	if err != nil {
		return err
	}
	g := newGauge()
	step := max(j.Bytes/diskSteps, leastDisk)
	for got := uint64(0); got < j.Bytes; {
		n := min(step, j.Bytes-got)
		if err := j.keep(g, n); err != nil {
			return err
		}
		if err := allocate(f, int64(got), int64(n)); err != nil {
			return fmt.Errorf("the file system gave %s and no more: %w", sizes.Show(got), err)
		}
		got += n
	}
	say(report{Step: stepStanding, FD: int(f.Fd())})
	err = stand(func() error { return j.keep(g, 0) })
	return errors.Join(err, f.Close())
}

// keep finds a reason to let go, when so much more is to be taken.
func (j *diskJob) keep(g *gauge, more uint64) error {
	s, err := readSpace(j.Path)
	if err != nil {
		return err
	}
	if err := s.keep(j.Reserve + more); err != nil || j.Floor == 0 {
		return err
	}
	return (&memoryJob{Floor: j.Floor}).keep(g, more)
}

// unlinked opens a new file in a folder that has no name, so that its space is free when its last descriptor is closed.
// Where the file system cannot do that, the file has the given name for an instant.
func unlinked(dir, name string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("making the load's file: %w", err)
	}
	if f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, fmt.Errorf("making the load's file: %w", err)
	}
	if err := os.Remove(name); err != nil {
		return nil, errors.Join(fmt.Errorf("making the load's file: %w", err), f.Close())
	}
	return f, nil
}

// allocate takes space for a part of the file. A file system that cannot promise space is written to, with bytes that
// do not compress.
func allocate(f *os.File, at, n int64) error {
	err := unix.EINTR
	for errors.Is(err, unix.EINTR) {
		err, _ = unix.Fallocate(int(f.Fd()), 0, at, n).(unix.Errno)
	}
	if err == 0 {
		return nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	noise := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 1<<20)
	for end := at + n; at < end; at += int64(len(b)) {
		b = b[:min(int64(len(b)), end-at)]
		_, _ = noise.Read(b)
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
	}
	return f.Sync()
}
