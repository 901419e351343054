// Package audit keeps the log of what game days did on a machine: who ran what, where, when, under which policy, approved
// by whom, and what was reverted. It is append-only: one JSON object a line, each in one write and on disk before anything
// goes on. The log is for its machine's owner; a run's record says more, and may be deleted.
package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// fileName is the log's name beside the ledger's folder.
const fileName = "audit.jsonl"

// What a Line tells.
const (
	RunBegan     = "run"            // a run begins: nothing is touched yet
	RunRefused   = "refused"        // a run was refused before it touched anything
	Injecting    = "injecting"      // the command is about to be sent
	Injected     = "injected"       // the fault's effect is proven
	NotInjected  = "not_injected"   // with the reason
	Reverted     = "reverted"       // verified gone
	NotReverted  = "not_reverted"   // it may still stand
	Lapsed       = "lapsed"         // it let go before it was told to
	RunEnded     = "ended"          // with the reason
	Verdict      = "verdict"        // of the scorecard
	Overrode     = "override"       // somebody decided about an item of a scorecard
	SignedOff    = "sign_off"       // somebody signed for a rehearsal, or refused to
	Stopped      = "stopped"        // somebody asked a run to end
	Held         = "held"           // somebody made a run's timeline stand still
	Released     = "released"       // it goes on
	Skipped      = "skipped"        // somebody ended a wait
	InjectAsked  = "inject_asked"   // somebody asked for a fault before its time
	Halted       = "halted"         // somebody stopped every game day
	Lifted       = "lifted"         // and let them go on
	Room         = "room"           // somebody did something in a run's room, or was kept from it
	Announced    = "announced"      // a channel was told something
	NotAnnounced = "not_announced"  // it was not, and why
	OrphanGone   = "orphan_gone"    // a fault that a killed run had left was reverted
	OrphanStands = "orphan_remains" // and could not be
)

// Line is one line of the log. Texts of a scenario come without its secrets.
type Line struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
	Who
	Run        string   `json:"run,omitempty"`
	Scenario   string   `json:"scenario,omitempty"`
	File       string   `json:"file,omitempty"`     // absolute path of the scenario
	Digest     string   `json:"digest,omitempty"`   // SHA-256 of that file
	Record     string   `json:"record,omitempty"`   // folder
	Policies   []Policy `json:"policies,omitempty"` // all that were asked; none means there was none
	ApprovedBy string   `json:"approved_by,omitempty"`
	// Places are those that the run may touch, as far as they are known when it begins.
	Places  []string `json:"places,omitempty"`
	ID      string   `json:"id,omitempty"` // of an injection, as in the ledger
	Fault   string   `json:"fault,omitempty"`
	Kind    string   `json:"kind,omitempty"`
	Place   string   `json:"place,omitempty"`
	Verdict string   `json:"verdict,omitempty"`
	Item    string   `json:"item,omitempty"` // of the scorecard, that was decided about
	Why     string   `json:"why,omitempty"`  // reason or error
}

// Policy names a policy by its file and the SHA-256 of its text.
type Policy struct {
	File   string `json:"file"`
	Digest string `json:"digest"`
}

// Log is an open log. Its methods are safe for concurrent use, and several processes may write to one file.
type Log struct {
	mu   sync.Mutex
	file *os.File
	who  Who
}

// DefaultFile returns the log's path for a ledger's folder: beside it.
func DefaultFile(ledgerDir string) string {
	return filepath.Join(filepath.Dir(filepath.Clean(ledgerDir)), fileName)
}

// Open opens the log for appending and makes it, readable by its owner alone, if it is not there. Every line written
// through it says who this process works for.
func Open(path string) (*Log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a plain file", path)
	}
	if err == nil {
		err = f.Sync() // a disk that does not take anything shows before the run
	}
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", errors.Join(err, f.Close()))
	}
	return &Log{file: f, who: Me()}, nil
}

// torn reports whether the file's last line lacks its end: a crash or a full disk left it torn. What is written next must
// not be glued to it. Any writer may have left it, so it is looked up before each line.
func (l *Log) torn() bool {
	info, err := l.file.Stat()
	if err != nil || info.Size() == 0 {
		return err != nil // an empty line too many harms nobody
	}
	var last [1]byte
	_, err = l.file.ReadAt(last[:], info.Size()-1)
	return err != nil || last[0] != '\n'
}

// Path returns the log's path.
func (l *Log) Path() string { return l.file.Name() }

// Write appends lines, each in one write, and returns when they are on disk. At is set to now where it is zero, and who to
// this process's.
func (l *Log) Write(lines ...Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		if line.At.IsZero() {
			line.At = time.Now()
		}
		line.At = line.At.UTC().Round(0)
		if line.Who == (Who{}) {
			line.Who = l.who
		}
		raw, err := encode(line)
		if err == nil && l.torn() {
			raw = append([]byte("\n"), raw...)
		}
		if err == nil {
			_, err = l.file.Write(raw)
		}
		if err != nil {
			return fmt.Errorf("writing the audit log: %w", err)
		}
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	return nil
}

// Close closes the log.
func (l *Log) Close() error { return l.file.Close() }

// Read returns the lines of a log since an instant, in order, and how many lines could not be read: torn by a crash, or
// written by something else. A log that is not there has no lines.
func Read(path string, since time.Time) (lines []Line, broken int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the audit log: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, maxLine)
	for {
		raw, err := r.ReadBytes('\n')
		if text := bytes.TrimSpace(raw); len(text) > 0 {
			var l Line
			if json.Unmarshal(text, &l) != nil || l.What == "" {
				broken++
			} else if !l.At.Before(since) {
				lines = append(lines, l)
			}
		}
		if errors.Is(err, io.EOF) {
			return lines, broken, nil
		}
		if err != nil {
			return lines, broken, fmt.Errorf("reading the audit log: %w", err)
		}
	}
}
