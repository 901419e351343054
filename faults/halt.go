package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// haltName is the file that stops every game day, beside the ledger's folder.
const haltName = "halt"

// maxHaltSize bounds a halt file, in bytes.
const maxHaltSize = 64 << 10

// ErrHalted says that every game day on this machine was stopped, and that nothing may be injected until that is lifted.
var ErrHalted = errors.New("game days are stopped on this machine")

// Halt is a stop of every game day on a machine: runs end, new ones do not start, and guards inject nothing until it is
// lifted. It is a file, so that it outlives whoever set it, and the machine's next boot.
type Halt struct {
	By   string    `json:"by"`
	Host string    `json:"host,omitempty"`
	At   time.Time `json:"at"`
	Why  string    `json:"why,omitempty"`
}

// Error returns who stopped, when and why, and how it is lifted. It wraps ErrHalted.
func (h *Halt) Error() string {
	why := h.Why
	if why == "" {
		why = "no reason given"
	}
	return fmt.Sprintf("stopped by %s at %s: %s; lift it with `gameday stop --lift`", h.By, h.At.UTC().Format("2006-01-02 15:04:05 MST"), why)
}

// Unwrap returns ErrHalted.
func (h *Halt) Unwrap() error { return ErrHalted }

// HaltFile returns the path of the halt that belongs to a ledger's folder.
func HaltFile(ledgerDir string) string {
	return filepath.Join(filepath.Dir(filepath.Clean(ledgerDir)), haltName)
}

// MachineHalt is where root stops the game days of all users.
const MachineHalt = "/var/lib/gameday/" + haltName

// Halted returns the first of the halts that stands, or nil. A halt that is there and cannot be read stands all the same.
// One in a folder that may not be looked into does not: it was not set for this user.
func Halted(paths ...string) *Halt {
	for _, path := range paths {
		if h := readHalt(path); h != nil {
			return h
		}
	}
	return nil
}

func readHalt(path string) *Halt {
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	h := &Halt{By: "somebody", At: info.ModTime(), Why: path + " is there, and cannot be read"}
	if !info.Mode().IsRegular() || info.Size() > maxHaltSize {
		return h
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // lifted in this moment
	}
	var read Halt
	if err != nil || json.Unmarshal(data, &read) != nil {
		return h
	}
	return &read
}

// SetHalt stops every game day that looks at the path. It is on disk when SetHalt returns. A halt that stands already is
// replaced. Others may read it, also where the folder was for its owner alone: entries of the ledger stay private, as they
// lie in a folder of their own.
func SetHalt(path string, h Halt) (err error) {
	data, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return fmt.Errorf("stopping all game days: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("stopping all game days: %w", err)
	}
	if path == MachineHalt {
		if err := os.Chmod(dir, 0o755); err != nil {
			return fmt.Errorf("stopping all game days: %w", err)
		}
	}
	f, err := os.CreateTemp(dir, ".halt-*")
	if err != nil {
		return fmt.Errorf("stopping all game days: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("stopping all game days: %w", errors.Join(err, removeIfThere(f.Name())))
		}
	}()
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return (&Ledger{dir: dir}).sync()
}

// LiftHalt lets game days run again and returns the halt that stood, or nil when none did.
func LiftHalt(path string) (*Halt, error) {
	h := readHalt(path)
	if h == nil {
		return nil, nil
	}
	if err := removeIfThere(path); err != nil {
		return h, fmt.Errorf("lifting the stop of all game days: %w", err)
	}
	return h, nil
}
