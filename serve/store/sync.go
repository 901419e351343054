package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gameday/schedules/claims"
)

// Source is what the database is derived from.
type Source struct {
	Runs string // the folder of records; one that is not there, or in which nothing is, has none, and that is an error if it had some
	// Going are the folders of records that are being written: they are left out until their runs are over.
	Going map[string]bool
	// LeftOut is told the folder below Runs of each record that is left out, for it is being written; it may be told twice. Nil is told nothing.
	LeftOut func(folder string)
	// Occasions are what is kept of them, by calendar. Calendars that are not in it keep what they have.
	Occasions map[string][]claims.Kept
}

// known is what Sync has found before, so that nothing is read twice.
type known struct {
	records   map[string]string // signatures, by folder
	occasions map[occasionKey]occasionMark
	signoffs  string // signature of their file
}

type occasionKey struct{ calendar, schedule, occasion string }

// occasionMark changes when what is kept of an occasion does.
type occasionMark struct {
	at     int64
	ended  bool
	unread string
}

func markOf(k *claims.Kept) occasionMark {
	return occasionMark{nanos(k.At), k.End != nil, k.Unread}
}

// nanos returns a time as it is in the database; 0 is none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// batch bounds how many records are written at a time.
const batch = 32

// Sync derives what is new or has changed. What cannot be written goes into memory meanwhile, and back when there is room again; that is
// said, and is no error.
func (s *Store) Sync(ctx context.Context, from Source) error {
	if err := s.mend(ctx); err != nil {
		return err
	}
	err := s.sync(ctx, from)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		s.caughtUp()
		return nil
	case damage(err):
		s.damaged.Store(true)
		if err := s.mend(ctx); err != nil {
			return err
		}
	case unwritable(err):
		if err := s.toMemory(ctx, err); err != nil {
			return err
		}
	default:
		return err
	}
	if err := s.sync(ctx, from); err != nil {
		return err
	}
	s.caughtUp()
	return nil
}

// caughtUp notes that the database has all that there is. The file can be written again once it has what memory had.
func (s *Store) caughtUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole.Store(true)
	if !s.spare && s.trouble != "" {
		s.trouble = ""
		s.Say(fmt.Sprintf("the database %s can be written again", s.Path))
	}
}

// mend makes a damaged database anew, and goes back to the file when it can be written again: see caughtUp.
func (s *Store) mend(ctx context.Context) error {
	gone := !s.spare && s.gone()
	if !s.damaged.Load() && !s.spare && !gone {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // whoever asks may go away, and a database that was closed has to be opened
	if !s.spare {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = s.db.Close() // what it says of a damaged file, or of one that is gone, matters to nobody
		open := s.damagedFile
		if gone {
			s.Say(fmt.Sprintf("the database %s was removed or replaced while it was in use; what is not in it now is derived anew from the records", s.Path))
			open = s.fileInPlace
		}
		db, err := open(ctx)
		if err != nil {
			if db, err = s.memory(ctx, nil, err); err != nil {
				return err
			}
			s.spare = true
		}
		s.db = db
		s.damaged.Store(false)
		return s.recall(ctx)
	}
	db, err := s.file(ctx)
	if err != nil {
		return nil // not yet
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.db.Close() // it is in memory
	s.db, s.spare = db, false
	s.damaged.Store(false)
	return s.recall(ctx)
}

// fileInPlace opens the file that is in the place of the one that was open. What that one left beside it would be taken for its own.
func (s *Store) fileInPlace(ctx context.Context) (*sql.DB, error) {
	for _, p := range sidecars(s.Path) {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return s.file(ctx)
}

// damagedFile makes a file anew that was seen to be damaged, also when a quick look finds nothing.
func (s *Store) damagedFile(ctx context.Context) (*sql.DB, error) {
	if err := check(ctx, s.Path); err == nil {
		aside := s.Path + ".damaged"
		if err := setAside(s.Path, aside); err != nil {
			return nil, err
		}
		s.Say(fmt.Sprintf("the database %s was found to be damaged; it is set aside as %s and made anew from the records", s.Path, filepath.Base(aside)))
	}
	return s.file(ctx)
}

// toMemory goes on in memory.
func (s *Store) toMemory(ctx context.Context, why error) error {
	if s.spare {
		return fmt.Errorf("keeping in memory what the pages show: %w", why)
	}
	ctx = context.WithoutCancel(ctx) // as in mend
	s.mu.Lock()
	defer s.mu.Unlock()
	db, err := s.memory(ctx, s.db, why)
	if err != nil {
		return err
	}
	_ = s.db.Close() // what it cannot write is derived again
	s.db, s.spare = db, true
	return s.recall(ctx)
}

// recall reads what there is already, so that Sync derives the rest. What another version of gameday derived is derived again.
func (s *Store) recall(ctx context.Context) error {
	s.whole.Store(false)
	s.state.Add(1)
	s.known = known{records: map[string]string{}, occasions: map[occasionKey]occasionMark{}}
	var version string
	err := s.db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'version'").Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading the database: %w", err)
	}
	rows, err := s.db.QueryContext(ctx, "SELECT folder, signature FROM records")
	if err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var folder, signature string
		if err := rows.Scan(&folder, &signature); err != nil {
			return fmt.Errorf("reading the database: %w", err)
		}
		if version != s.Version {
			signature = ""
		}
		s.known.records[folder] = signature
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	return s.recallOccasions(ctx)
}

func (s *Store) recallOccasions(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, "SELECT calendar, kept FROM occasions")
	if err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var calendar, text string
		var k claims.Kept
		if err := rows.Scan(&calendar, &text); err != nil {
			return fmt.Errorf("reading the database: %w", err)
		}
		if json.Unmarshal([]byte(text), &k) == nil {
			s.known.occasions[occasionKey{calendar, k.Schedule, k.Occasion}] = markOf(&k)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	return nil
}

func (s *Store) sync(ctx context.Context, from Source) error {
	if err := s.records(ctx, from); err != nil {
		return err
	}
	if err := s.occasions(ctx, from.Occasions); err != nil {
		return err
	}
	if err := s.signoffs(ctx, from.Runs); err != nil {
		return err
	}
	return s.use(func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('version', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value", s.Version)
		if err != nil {
			return fmt.Errorf("writing to the database: %w", err)
		}
		return nil
	})
}

// write carries out a transaction: all of it, or nothing.
func (s *Store) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	return s.use(func(db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("writing to the database: %w", err)
		}
		defer tx.Rollback()
		if err := do(tx); err != nil {
			return fmt.Errorf("writing to the database: %w", err)
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("writing to the database: %w", err)
		}
		return nil
	})
}
