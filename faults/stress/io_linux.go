package stress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// ioLoad is io_stress on this machine.
type ioLoad struct {
	ioPlan
	first ioSample
}

// ioSample is what a process has moved by an instant.
type ioSample struct {
	at            time.Time
	written, read uint64        // bytes to and from the disk, by /proc/PID/io
	stalled       time.Duration // PSI: somebody on the machine waited for a disk
}

func (p ioPlan) bind() (faults.Injection, error) { return newLoad(&ioLoad{ioPlan: p}), nil }

func (i *ioLoad) check() error {
	_, err := i.here()
	return err
}

func (i *ioLoad) here() (*ioJob, error) {
	if err := stillThere(i.node); err != nil {
		return nil, err
	}
	s, err := usable(i.path)
	if err != nil {
		return nil, err
	}
	if s.inMemory {
		return nil, fmt.Errorf("io_stress: %s lives in memory, there is no disk to keep busy; name a folder on a disk", i.path)
	}
	return i.job(s.total, s.free)
}

func (i *ioLoad) mark(u *undo) { u.File = fileIn(i.path, u.Token) }

func (i *ioLoad) begin(ctx context.Context, l *load, lease time.Duration) error {
	j, err := i.here()
	if err != nil {
		return err
	}
	j.File = l.undo.File
	_, err = l.start(ctx, job{Lease: lease, IO: j})
	return err
}

// effect reads what the kernel counted: bytes that the worker caused to go to and come from a disk.
func (i *ioLoad) effect(ctx context.Context, l *load) (faults.Effect, error) {
	pid := l.crew[0].cmd.Process.Pid
	if i.first.at.IsZero() {
		s, err := sampleIO(pid)
		if err != nil {
			return faults.Effect{}, err
		}
		i.first = s
	}
	pause(ctx, time.Until(i.first.at.Add(ioWindow)))
	now, err := sampleIO(pid)
	if err != nil {
		return faults.Effect{}, err
	}
	over := now.at.Sub(i.first.at)
	written, read := now.written-i.first.written, now.read-i.first.read
	e := faults.Effect{Details: map[string]string{
		"pid":           strconv.Itoa(pid),
		"written_bytes": strconv.FormatUint(written, 10),
		"read_bytes":    strconv.FormatUint(read, 10),
		"measured_over": over.Round(time.Millisecond).String(),
		"pressure_some": fmt.Sprintf("%.2f", (now.stalled-i.first.stalled).Seconds()/max(over.Seconds(), 1e-9)),
	}}
	e.Proven, e.Summary = judgeIO(i.rate, over, written+read)
	return e, nil
}

func sampleIO(pid int) (ioSample, error) {
	s := ioSample{at: time.Now()}
	f, err := os.Open(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return s, fmt.Errorf("reading what the load wrote: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		n, _ := strconv.ParseUint(value, 10, 64)
		switch name {
		case "write_bytes":
			s.written = n
		case "read_bytes":
			s.read = n
		}
	}
	pressure, _ := os.ReadFile("/proc/pressure/io") // absent without CONFIG_PSI
	s.stalled = parsePressure(string(pressure))
	return s, nil
}

// run works on one file, each of its workers on a part of its own, until too little space is left for others or a
// request fails.
func (j *ioJob) run(say func(report)) error {
	f, err := unlinked(j.Path, j.File)
	if err != nil {
		return err
	}
	part := int64(j.Size/uint64(j.Workers)) / int64(j.Block) * int64(j.Block)
	// The whole space is taken first: a disk that fills up later cannot fail the load then.
	for w := range int64(j.Workers) {
		if err := j.keep(); err != nil {
			return err
		}
		if err := allocate(f, w*part, part); err != nil {
			return fmt.Errorf("the file system gave no more: %w", err)
		}
	}
	if j.Mode != ioWrite {
		if err := fill(f, part*int64(j.Workers)); err != nil {
			return err
		}
	}
	failed := make(chan error, j.Workers)
	for w := range int64(j.Workers) {
		go func() { failed <- j.labour(f, w*part, part) }()
	}
	say(report{Step: stepStanding, FD: int(f.Fd())})
	return stand(func() error {
		select {
		case err := <-failed:
			return err
		default:
			return j.keep()
		}
	})
}

func (j *ioJob) keep() error {
	s, err := readSpace(j.Path)
	if err != nil {
		return err
	}
	return s.keep(j.Reserve)
}

// fill writes the file once, so that there is something to read.
func fill(f *os.File, size int64) error {
	b := make([]byte, 1<<20)
	noise := rand.NewChaCha8([32]byte{2})
	for at := int64(0); at < size; at += int64(len(b)) {
		b = b[:min(int64(len(b)), size-at)]
		_, _ = noise.Read(b)
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("filling the load's file: %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("filling the load's file: %w", err)
	}
	return unix.Fadvise(int(f.Fd()), 0, size, unix.FADV_DONTNEED)
}

// labour makes one request after the other, each waited for, round and round within a part of the file. It keeps to its
// share of the rate, and does not catch up on what a slow disk made it miss.
func (j *ioJob) labour(f *os.File, start, size int64) error {
	block := make([]byte, j.Block)
	noise := rand.NewChaCha8([32]byte{3})
	each := time.Duration(float64(j.Block) * float64(j.Workers) / float64(j.Rate) * float64(time.Second))
	due := time.Now()
	for n := int64(0); ; n++ {
		at := start + n*int64(j.Block)%size
		write := j.Mode == ioWrite || j.Mode == ioBoth && n%2 == 0
		var err error
		if write {
			_, _ = noise.Read(block)
			err = writeThrough(f, block, at)
		} else {
			_, err = f.ReadAt(block, at)
		}
		if err != nil {
			return fmt.Errorf("working on the disk: %w", err)
		}
		// Out of the page cache, so that the next round comes from the disk.
		if err := unix.Fadvise(int(f.Fd()), at, int64(j.Block), unix.FADV_DONTNEED); err != nil {
			return fmt.Errorf("working on the disk: %w", err)
		}
		due = due.Add(each)
		if late := time.Since(due); late > each {
			due = due.Add(late)
		}
		time.Sleep(time.Until(due))
	}
}

// writeThrough returns when the disk has the bytes.
func writeThrough(f *os.File, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwritev2(int(f.Fd()), [][]byte{b}, at, unix.RWF_DSYNC)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
			if n, err = f.WriteAt(b, at); err != nil {
				return err
			}
			if err = f.Sync(); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		b, at = b[max(n, 0):], at+int64(max(n, 0))
	}
	return nil
}
