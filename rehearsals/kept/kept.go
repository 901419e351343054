// Package kept keeps what a rehearsal knows in a folder of records: a label in each record that was made for one, and a file of sign-offs.
// There is nothing else: who has the folder, has all of it. While a run goes on, its process holds a lock on its label.
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

// WriteLabel makes a record's folder with its label, on disk before it returns. Nobody ever sees a part of a label.
func WriteLabel(dir string, l Label) error {
	l.Format = 1
	b, err := json.MarshalIndent(l, "", "  ")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = create(filepath.Join(dir, LabelFile), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("labelling the record: %w", err)
	}
	return nil
}

// create makes a file that must not be there, whole. Its draft is beside the folder, not in it: whoever is killed meanwhile leaves nothing
// in the record.
func create(path string, data []byte) error {
	dir := filepath.Dir(path)
	draft, err := os.CreateTemp(filepath.Dir(dir), ".label-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(data)
	if err = errors.Join(err, draft.Chmod(0o644), draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := place(draft.Name(), path); err != nil {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))) // the folder is new as well
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// place gives a draft its name, which nobody may have. Where there are no hard links, two that do so at the same instant may both get it.
func place(draft, path string) error {
	err := os.Link(draft, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fs.ErrExist
	}
	return os.Rename(draft, path)
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

// Scan looks through a folder of records. running says, besides the hold on its label, whether the run of a record goes on; nil adds nothing. A
// folder that is not there has none.
func Scan(runs string, running func(dir string) bool) (*Found, error) {
	out := &Found{Rehearsals: map[string]rehearsals.Shown{}, Dirs: map[string]string{}}
	if _, err := os.Stat(runs); errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	dirs, others, err := report.Folders(runs)
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
		out.add(runs, dir, l, Busy(dir) || running != nil && running(dir))
	}
	for _, dir := range others { // a run that has not written anything yet
		if l, err := ReadLabel(dir); err == nil && Busy(dir) {
			out.add(runs, dir, l, true)
		}
	}
	return out, nil
}

func (f *Found) add(runs, dir string, l Label, running bool) {
	name, err := filepath.Rel(runs, dir)
	if err != nil || name == "." {
		name = filepath.Base(dir)
	}
	name = filepath.ToSlash(name)
	if f.Rehearsals[l.Rehearsal] == nil {
		f.Rehearsals[l.Rehearsal] = rehearsals.Shown{}
	}
	shown := f.Rehearsals[l.Rehearsal]
	shown[l.Scenario] = append(shown[l.Scenario], Show(dir, name, l, running))
	f.Dirs[name] = dir
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
