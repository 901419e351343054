// Package kept keeps what a rehearsal knows in a folder of records: a label in each record that was made for one, and a file of sign-offs.
// There is nothing else: who has the folder, has all of it.
package kept

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/rehearsals"
	"gameday/report"
)

// LabelFile is the name of the file in a record that says for which rehearsal it was made.
const LabelFile = "rehearsal.json"

// maxLabel bounds a label, in bytes.
const maxLabel = 1 << 20

// Label says for which rehearsal a record was made. It is there before the run begins.
type Label struct {
	Format      int       `json:"format"` // of this structure: 1
	Rehearsal   string    `json:"rehearsal"`
	Scenario    string    `json:"scenario"`
	Lane        string    `json:"lane,omitempty"`
	Variables   []string  `json:"variables,omitempty"` // "name=value", as in the calendar
	Fingerprint string    `json:"fingerprint"`
	At          time.Time `json:"at"`
}

// WriteLabel makes a record's folder with its label, on disk before it returns.
func WriteLabel(dir string, l Label) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the record's folder: %w", err)
	}
	l.Format = 1
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("labelling the record: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, LabelFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("labelling the record: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("labelling the record: %w", err)
	}
	return nil
}

// Unlabel removes the label and the folder of a record of which there is nothing else: its run was refused before it began. What holds
// anything else stays as it is.
func Unlabel(dir string) {
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != LabelFile {
		return
	}
	_ = os.Remove(filepath.Join(dir, LabelFile))
	_ = os.Remove(dir)
}

// ReadLabel reads the label of a record. It returns fs.ErrNotExist when the record was made for no rehearsal.
func ReadLabel(dir string) (Label, error) {
	var l Label
	f, err := os.Open(filepath.Join(dir, LabelFile))
	if err != nil {
		return l, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLabel+1))
	if err == nil && len(b) > maxLabel {
		err = errors.New("it is too long for a label")
	}
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	if err == nil && (l.Format != 1 || l.Rehearsal == "" || l.Scenario == "") {
		err = errors.New("it names no rehearsal, or is of another format")
	}
	if err != nil {
		return l, fmt.Errorf("reading the label %s: %w", filepath.Join(dir, LabelFile), err)
	}
	return l, nil
}

// Found is what a folder of records has of rehearsals.
type Found struct {
	// Rehearsals are what records show, by the rehearsal's name.
	Rehearsals map[string]rehearsals.Shown
	// Dirs are the folders of the records, by the name that Run.Record has.
	Dirs map[string]string
	// Skipped are records with a label that cannot be read, and why: nobody knows for what they were made.
	Skipped []string
}

// Scan looks through a folder of records. running says whether the run of a record goes on. A folder that is not there has none.
func Scan(runs string, running func(dir string) bool) (*Found, error) {
	out := &Found{Rehearsals: map[string]rehearsals.Shown{}, Dirs: map[string]string{}}
	if _, err := os.Stat(runs); errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	dirs, _, err := report.Folders(runs)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		l, err := ReadLabel(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			out.Skipped = append(out.Skipped, err.Error())
			continue
		}
		name, err := filepath.Rel(runs, dir)
		if err != nil || name == "." {
			name = filepath.Base(dir)
		}
		name = filepath.ToSlash(name)
		run := Show(dir, name, l, running != nil && running(dir))
		if out.Rehearsals[l.Rehearsal] == nil {
			out.Rehearsals[l.Rehearsal] = rehearsals.Shown{}
		}
		out.Rehearsals[l.Rehearsal][l.Scenario] = append(out.Rehearsals[l.Rehearsal][l.Scenario], run)
		out.Dirs[name] = dir
	}
	return out, nil
}

// Show returns what one record shows.
func Show(dir, name string, l Label, running bool) rehearsals.Run {
	bare := rehearsals.Run{Record: name, Fingerprint: l.Fingerprint, Started: l.At, Running: running, Parts: []rehearsals.Part{}}
	if running {
		return bare
	}
	card, text, err := Score(dir)
	if err != nil {
		bare.Unread = err.Error()
		return bare
	}
	sum := sha256.Sum256(text)
	run := rehearsals.RunOf(name, l.Fingerprint, hex.EncodeToString(sum[:]), card)
	switch {
	case card.Scenario != l.Scenario:
		run.Unread = fmt.Sprintf("it is a record of scenario %q, and its label says %q", card.Scenario, l.Scenario)
	case run.Started.IsZero():
		run.Started = l.At
	}
	return run
}

// Score judges a record, and returns the scorecard with its JSON form.
func Score(dir string) (*report.Scorecard, []byte, error) {
	rec, err := report.Read(dir)
	if err != nil {
		return nil, nil, errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")) // the same wherever the record is
	}
	if rec.Plan.Search != nil {
		return nil, nil, errors.New("it is of a search for the capacity, which has no verdict")
	}
	card := report.Score(rec)
	var b bytes.Buffer
	if err := report.JSON(&b, card); err != nil {
		return nil, nil, err
	}
	return card, b.Bytes(), nil
}

// Names returns the names of the rehearsals that there are records of.
func (f *Found) Names() []string {
	var out []string
	for name := range f.Rehearsals {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
