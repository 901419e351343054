package lab

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

const (
	noticeSuffix   = ".lab"
	noticeDraft    = ".draft-lab-"          // a ledger sweeps drafts that a crash left
	maxNotice      = 64 << 10               // bytes
	noticePatience = 250 * time.Millisecond // another one who looks holds the lock for an instant
)

// Notice is a file in the folder of a machine's ledger that names the ledger of a lab. Most of what is injected in a lab ends
// with it, but not the cgroups that a fault made, nor what a frozen process keeps: whoever looks after the machine must find the
// lab's ledger when everybody in the lab was killed. The lab's first process holds the file's lock for life: a notice that is
// not locked is that of a lab that is gone.
//
//	<machine's ledger>/<random>.lab: {"ledger": "/home/ann/runs/shop/ledger", "posted": …}
//
// A Notice is for one goroutine.
type Notice struct {
	Ledger string    `json:"ledger"` // folder of the lab's own ledger
	Posted time.Time `json:"posted"`

	path string
	file *os.File // nil when it is given away
}

// PostNotice writes a notice, on disk before it returns, in the folder of a machine's ledger, which must be there. The caller
// holds its lock until EnterOptions hands it to a lab.
func PostNotice(machine, own string) (_ *Notice, err error) {
	n := &Notice{Ledger: own, Posted: time.Now().UTC().Round(0), path: filepath.Join(machine, rand.Text()+noticeSuffix)}
	text, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("noting the lab in %s: %w", machine, err)
	}
	f, err := os.CreateTemp(machine, noticeDraft+"*")
	if err != nil {
		return nil, fmt.Errorf("noting the lab in the machine's ledger: %w", err)
	}
	name := f.Name()
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		if _, err = f.Write(append(text, '\n')); err == nil {
			err = f.Sync()
		}
	}
	if err == nil {
		if err = os.Rename(name, n.path); err == nil {
			name, err = n.path, syncFolder(machine)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("noting the lab in the machine's ledger: %w", errors.Join(err, os.Remove(name), f.Close()))
	}
	n.file = f
	return n, nil
}

// Path returns the file.
func (n *Notice) Path() string { return n.path }

// Withdraw removes the notice: nothing of the lab is left. The lock is given up last.
func (n *Notice) Withdraw() error {
	err := os.Remove(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = syncFolder(filepath.Dir(n.path))
	}
	if err = errors.Join(err, n.Release()); err != nil {
		return fmt.Errorf("withdrawing the notice of a lab: %w", err)
	}
	return nil
}

// Release gives up the lock and leaves the notice.
func (n *Notice) Release() error {
	if n.file == nil {
		return nil
	}
	err := n.file.Close()
	n.file = nil
	return err
}

// Gone returns the notices in the folder of a machine's ledger whose labs are gone, and holds their locks: each must be withdrawn
// or released. Those that somebody else looks after just now are left out. Errors are joined: they name the files that cannot be
// read.
func Gone(machine string) ([]*Notice, error) {
	files, err := os.ReadDir(machine)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for labs that are gone: %w", err)
	}
	var out []*Notice
	var errs []error
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") || !strings.HasSuffix(f.Name(), noticeSuffix) {
			continue
		}
		path := filepath.Join(machine, f.Name())
		n, err := claimNotice(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading the notice of a lab, %s: %w; look at the file, then remove it", path, err))
		} else if n != nil {
			out = append(out, n)
		}
	}
	return out, errors.Join(errs...)
}

// claimNotice returns nil when the lab lives, or the notice was withdrawn.
func claimNotice(path string) (*Notice, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := &Notice{path: path, file: f}
	open, err := f.Stat()
	if err == nil && !open.Mode().IsRegular() {
		err = errors.New("not a plain file")
	}
	if err != nil {
		return nil, errors.Join(err, n.Release())
	}
	if !faults.LockFile(f, noticePatience) {
		return nil, n.Release()
	}
	if named, err := os.Lstat(path); err != nil || !os.SameFile(open, named) {
		return nil, n.Release()
	}
	text, err := io.ReadAll(io.LimitReader(f, maxNotice))
	if err == nil {
		err = json.Unmarshal(text, n)
	}
	if err == nil && !filepath.IsAbs(n.Ledger) {
		err = fmt.Errorf("it names no ledger: %q", n.Ledger)
	}
	if err != nil {
		return nil, errors.Join(err, n.Release())
	}
	return n, nil
}

// syncFolder puts a folder's names on disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
