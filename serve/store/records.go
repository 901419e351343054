package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/report/history"
)

// row is what is kept of one record.
type row struct {
	folder, signature  string
	entry              *history.Entry // nil when it tells nothing, and why says why
	why                string
	blind              bool
	label              *kept.Label
	rehearsed          *rehearsals.Run
	labelUnread, other bool // the label cannot be read; there is no record at all
}

// records derives the rows of records that are new or have changed, and removes those of records that are gone.
func (s *Store) records(ctx context.Context, from Source) error {
	folders, foreign, err := report.Folders(from.Runs)
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || len(s.known.records) > 0) { // a disk that is not there has not lost its records
		return fmt.Errorf("deriving the history: %w", err)
	}
	if n := len(s.known.records); err == nil && n > 0 && len(folders)+len(foreign) == 0 {
		if left, err := os.ReadDir(from.Runs); err == nil && len(left) == 0 { // so is where a disk was mounted
			return fmt.Errorf("deriving the history: %s is empty, and had %d records; if somebody removed them all, start the server with --rebuild", from.Runs, n)
		}
	}
	there := map[string]bool{}
	var changed []row
	dirs := map[string]string{}
	look := func(dir string, other bool) {
		folder := relative(from.Runs, dir)
		if from.Going[dir] || kept.Busy(dir) {
			there[folder] = true
			if from.LeftOut != nil {
				from.LeftOut(folder)
			}
			return
		}
		r := row{folder: folder, signature: "none", other: other}
		if !other {
			r.signature = signature(dir)
		}
		there[folder] = true
		if s.known.records[folder] != r.signature {
			changed, dirs[folder] = append(changed, r), dir
		}
	}
	for _, dir := range folders {
		look(dir, false)
	}
	for _, dir := range foreign {
		look(dir, true)
	}
	var gone []string
	for folder := range s.known.records {
		if !there[folder] {
			gone = append(gone, folder)
		}
	}
	if err := s.forget(ctx, gone); err != nil {
		return err
	}
	return s.derive(ctx, changed, dirs)
}

// derive reads records side by side, and writes what they tell in batches.
func (s *Store) derive(ctx context.Context, changed []row, dirs map[string]string) error {
	for begin := 0; begin < len(changed); begin += batch {
		part := changed[begin:min(len(changed), begin+batch)]
		next := make(chan *row)
		var readers sync.WaitGroup
		for range min(mostReaders, runtime.GOMAXPROCS(0), len(part)) {
			readers.Go(func() {
				for r := range next {
					r.read(dirs[r.folder], s.Remember)
				}
			})
		}
		for i := range part {
			if ctx.Err() != nil {
				break
			}
			next <- &part[i]
		}
		close(next)
		readers.Wait()
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.put(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// mostReaders bounds how many records are read at once: each is wholly in memory while it is.
const mostReaders = 4

// read derives what one record tells.
func (r *row) read(dir, remember string) {
	r.blind = true // unless it is known that it is not
	if r.other {
		r.why = history.NoRecord
		return
	}
	if f, err := report.Follow(dir); err == nil {
		r.blind = f.Plan().Blind
		_ = f.Close() // nothing of it was read
	}
	e, err := history.One(dir, remember)
	if err != nil {
		r.why = err.Error()
	} else {
		e.Folder = r.folder
		r.entry = &e
	}
	l, err := kept.ReadLabel(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		r.labelUnread = true
	default:
		run := kept.Show(dir, r.folder, l, false)
		r.label, r.rehearsed = &l, &run
	}
}

// signature stands for the files of a record that anything here depends on: their sizes, times and identities.
func signature(dir string) string {
	var b strings.Builder
	for _, name := range []string{report.PlanFile, report.EventsFile, report.BegunMark, report.WholeMark, kept.LabelFile} {
		b.WriteString(fileSignature(filepath.Join(dir, name)))
	}
	return b.String()
}

func fileSignature(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "-;"
	}
	return fmt.Sprintf("%d %d %d;", info.Size(), info.ModTime().UnixNano(), inode(info))
}

func relative(dir, folder string) string {
	rel, err := filepath.Rel(dir, folder)
	if err != nil {
		rel = folder
	}
	return filepath.ToSlash(rel)
}

// forget removes the rows of records that are not there any more.
func (s *Store) forget(ctx context.Context, folders []string) error {
	if len(folders) == 0 {
		return nil
	}
	defer s.state.Add(1)
	err := s.write(ctx, func(tx *sql.Tx) error {
		for _, f := range folders {
			if _, err := tx.ExecContext(ctx, "DELETE FROM records WHERE folder = ?", f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range folders {
		delete(s.known.records, f)
	}
	s.wrote.Store(time.Now().UnixNano())
	return nil
}

// put writes rows of records.
func (s *Store) put(ctx context.Context, rows []row) error {
	defer s.state.Add(1)
	err := s.write(ctx, func(tx *sql.Tx) error {
		for i := range rows {
			if err := rows[i].insert(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		s.known.records[r.folder] = r.signature
	}
	s.wrote.Store(time.Now().UnixNano())
	return nil
}

// brokenLabel is what takes the place of a rehearsal's name where a label cannot be read. No rehearsal is called so.
const brokenLabel = "?"

func (r *row) insert(ctx context.Context, tx *sql.Tx) error {
	var entry, rehearsed any
	var scenario, rehearsal string
	var started int64
	over := false
	if r.entry != nil {
		text, err := json.Marshal(r.entry)
		if err != nil {
			return err
		}
		entry, scenario, started, over = string(text), r.entry.Scenario, nanos(r.entry.Started), r.entry.End != report.EndInterrupted
	}
	if r.labelUnread {
		rehearsal = brokenLabel
	}
	if r.rehearsed != nil {
		text, err := json.Marshal(labelled{r.label.Scenario, *r.rehearsed})
		if err != nil {
			return err
		}
		rehearsal, rehearsed = r.label.Rehearsal, string(text)
	}
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO records (folder, signature, scenario, started, over, blind, entry, why, rehearsal, rehearsed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.folder, r.signature, scenario, started, over, r.blind, entry, r.why, rehearsal, rehearsed)
	return err
}

// labelled is a run that was made for a rehearsal.
type labelled struct {
	Scenario string         `json:"scenario"`
	Run      rehearsals.Run `json:"run"`
}
