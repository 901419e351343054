package conductor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gameday/faults"
)

// registryName is the folder that lists the runs in progress, beside the ledger's.
const registryName = "running"

// Running is a run in progress, as others on its machine find it.
type Running struct {
	Run      string    `json:"run"`
	Scenario string    `json:"scenario"`
	Dir      string    `json:"dir"` // its record's folder, where its control socket is
	By       string    `json:"by"`
	At       time.Time `json:"at"` // of its begin
	// Hosts are the machines reached by SSH that its faults may land on, as one writes them after ssh.
	Hosts []string `json:"hosts,omitempty"`
}

// labLedger is the folder of a lab's ledger in its run's record.
const labLedger = "ledger"

// InLab reports whether a run has a lab: its ledger lies in its record then.
func (e Running) InLab() bool {
	info, err := os.Stat(filepath.Join(e.Dir, labLedger))
	return err == nil && info.IsDir()
}

// Left returns what stands of a run by the ledgers on this machine: that in ledgerDir, and its lab's. Nobody is asked, so that
// it is true also of a run that hangs or was killed. An entry that cannot be read counts if its name is one of the run's. Ledgers
// on other machines are not looked at.
func (e Running) Left(ledgerDir string) ([]faults.Standing, error) {
	var out []faults.Standing
	for _, dir := range []string{ledgerDir, filepath.Join(e.Dir, labLedger)} {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		ledger, err := faults.OpenLedger(dir)
		if err != nil {
			return out, fmt.Errorf("looking for what run %s left: %w", e.Run, err)
		}
		standing, err := ledger.Standing()
		if err != nil {
			return out, fmt.Errorf("looking for what run %s left: %w", e.Run, err)
		}
		for _, s := range standing {
			if s.Entry.Run == e.Run || (s.Err != nil && strings.HasPrefix(s.ID, idOfRun(e.Run)+"-")) {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// RegistryDir returns the folder of runs in progress for a ledger's folder.
func RegistryDir(ledgerDir string) string {
	return filepath.Join(filepath.Dir(filepath.Clean(ledgerDir)), registryName)
}

// Register lists a run until release is called or this process dies: the entry's file is locked as long as its run lives,
// whatever becomes of process ids.
func Register(dir string, e Running) (release func(), err error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("listing the run: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("listing the run: %w", err)
	}
	f, err := os.CreateTemp(dir, ".draft-*")
	if err != nil {
		return nil, fmt.Errorf("listing the run: %w", err)
	}
	name := filepath.Join(dir, e.Run+".json")
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX) // whoever looks at it has its lock for a moment
	if err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return nil, fmt.Errorf("listing the run: %w", errors.Join(err, os.Remove(f.Name()), f.Close()))
	}
	return func() {
		_ = os.Remove(name) // whoever lists the runs next takes away what is left
		_ = f.Close()
	}, nil
}

// Runs lists the runs in progress, the oldest first, and takes away what dead ones left. No folder means no runs. With an error those are
// returned that could be read.
func Runs(dir string) ([]Running, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for runs: %w", err)
	}
	var out []Running
	var unread error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) {
			continue // it ended while we looked, or is none of ours
		}
		if err != nil {
			unread = errors.Join(unread, fmt.Errorf("looking for runs: %w", err))
			continue
		}
		switch r, alive, err := look(f, e.Name()); {
		case err != nil:
			unread = errors.Join(unread, fmt.Errorf("looking for runs: %s: %w", path, err))
		case alive:
			out = append(out, r)
		case old(f):
			_ = os.Remove(path)
		}
		f.Close()
	}
	slices.SortFunc(out, func(a, b Running) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Run, b.Run)) })
	return out, unread
}

// look reads an entry whose run holds its lock. What cannot be read of one that does is an error: it goes on, and nobody knows what it is.
func look(f *os.File, name string) (r Running, alive bool, err error) {
	if !strings.HasSuffix(name, ".json") || strings.HasPrefix(name, ".") {
		return r, false, nil
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return r, false, nil
	}
	err = json.NewDecoder(f).Decode(&r)
	return r, err == nil, err
}

// old reports whether a file that no run holds is one that a dead run left, and not one just being made.
func old(f *os.File) bool {
	info, err := f.Stat()
	if err == nil && !strings.HasSuffix(info.Name(), ".json") && time.Since(info.ModTime()) < time.Minute {
		return false // its run is about to lock it
	}
	locked := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
	return err == nil && info.Mode().IsRegular() && !locked
}
