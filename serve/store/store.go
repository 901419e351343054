// Package store keeps in one SQLite file what a server's pages are made of: the history of runs, what became of occasions, what records
// show of rehearsals, and who signed. All of it is derived from the folder of records and from claims; nothing is kept here alone. So the
// file may be deleted at any time, and is made anew when it is damaged, or of another version of the tables.
//
// What decides which game day begins never asks this package: a database that cannot be written keeps nothing from running.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
)

const (
	// applicationID marks the file as one of gameday's: "gday".
	applicationID = 0x67646179
	// tablesVersion changes when the tables do, or what is in them.
	tablesVersion = 1
)

// tables are made in a new file. Times are nanoseconds since 1970, so that they can be compared; a folder is relative to the folder of
// records, with slashes.
const tables = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE records (
	folder TEXT PRIMARY KEY,
	signature TEXT NOT NULL,
	scenario TEXT NOT NULL,
	started INTEGER NOT NULL,
	over INTEGER NOT NULL,
	blind INTEGER NOT NULL,
	entry TEXT,
	why TEXT NOT NULL,
	rehearsal TEXT NOT NULL,
	rehearsed TEXT
) STRICT;
CREATE INDEX records_rehearsal ON records (rehearsal);
CREATE TABLE occasions (
	calendar TEXT NOT NULL,
	schedule TEXT NOT NULL,
	occasion TEXT NOT NULL,
	at INTEGER NOT NULL,
	opens INTEGER NOT NULL,
	closes INTEGER NOT NULL,
	kept TEXT NOT NULL,
	PRIMARY KEY (calendar, schedule, occasion)
) STRICT;
CREATE INDEX occasions_closes ON occasions (closes);
CREATE TABLE signoffs (place INTEGER PRIMARY KEY, rehearsal TEXT NOT NULL, signed TEXT NOT NULL) STRICT;
`

// Options say where the database is, and whom to tell.
type Options struct {
	Path string
	// Version is that of the program: what another one derived is derived again.
	Version string
	// Remember is what history.Options.Version is: empty to remember nothing beside records.
	Remember string
	// From names what it is derived from: the folders, by absolute paths. It binds the file: that is for one Store at a time, and what was derived
	// from something else is thrown away, which is said. Empty binds nothing.
	From string
	// Anew throws away what there is.
	Anew bool
	// Say tells the operator what was done with the file, a sentence each; nil tells nobody.
	Say func(text string)
}

// ErrForeign says that the file is a database of something else. It is left alone.
var ErrForeign = errors.New("it is a database, and not one of gameday's")

// Store is the database. It is safe for concurrent use; Sync is for one goroutine at a time.
type Store struct {
	Options

	mu      sync.RWMutex // which database is used
	db      *sql.DB
	spare   bool // it is one in memory, for the file cannot be written
	trouble string

	whole   atomic.Bool // all was derived since it was opened or made anew
	damaged atomic.Bool // somebody who read has seen it
	opened  os.FileInfo // the file that is open; of Sync alone
	lock    *os.File    // of the file; nil when nothing is bound, or it could not be taken yet
	known   known       // of Sync alone

	state  atomic.Uint64            // changes when the records that are kept may have
	wrote  atomic.Int64             // when records were last kept or forgotten; 0 is never
	recent atomic.Pointer[recorded] // what they told last
}

// Open opens the database, and makes it if there is none. One that is damaged is set aside, one with other tables is made anew; both are
// said. When it cannot be written, one in memory takes its place until it can be: see Trouble. An error says that the file belongs to
// something else.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	s := &Store{Options: o}
	if o.Anew {
		if err := s.discard(ctx); err != nil {
			return nil, errors.Join(err, s.unlock())
		}
	}
	db, err := s.file(ctx)
	switch {
	case errors.Is(err, ErrForeign), errors.Is(err, ErrTaken):
		return nil, errors.Join(fmt.Errorf("opening %s: %w; name another file", o.Path, err), s.unlock())
	case err != nil:
		if db, err = s.memory(ctx, nil, err); err != nil {
			return nil, errors.Join(err, s.unlock())
		}
		s.spare = true
	}
	s.db = db
	if err := s.recall(ctx); err != nil {
		return nil, errors.Join(err, db.Close(), s.unlock())
	}
	return s, nil
}

// discard throws away what there is.
func (s *Store) discard(ctx context.Context) error {
	err := check(ctx, s.Path)
	if !errors.Is(err, ErrForeign) {
		err = s.own() // where there is no folder yet there is nothing to own
	}
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrTaken) {
		return fmt.Errorf("opening %s: %w; name another file", s.Path, err)
	}
	if err := remove(s.Path); err != nil {
		return fmt.Errorf("making %s anew: %w", s.Path, err)
	}
	return nil
}

// Close closes the database. What was written is in it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.db.Close(), s.unlock())
}

func (s *Store) unlock() error {
	if s.lock == nil {
		return nil
	}
	l := s.lock
	s.lock = nil
	return l.Close()
}

// Trouble says why the file cannot be written; empty when it can be. Meanwhile everything is derived as always, and kept in memory.
func (s *Store) Trouble() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.trouble
}

// Whole reports whether all that there is was derived at least once since the database was opened, made anew or given up for one in memory.
// Until then it may tell of a part alone.
func (s *Store) Whole() bool { return s.whole.Load() }

// Wrote returns when records were last kept or forgotten since the database was opened, for whoever wants to know whether Sync gets on; zero is
// never.
func (s *Store) Wrote() time.Time {
	if n := s.wrote.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// use lends the database that is in use.
func (s *Store) use(do func(db *sql.DB) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	err := do(s.db)
	if damage(err) {
		s.damaged.Store(true)
	}
	return err
}

// The primary codes of SQLite's errors that say something about the file.
const (
	codeReadOnly, codeIO, codeCorrupt, codeFull, codeCannotOpen, codeNotADatabase = 8, 10, 11, 13, 14, 26
	codePermission, codeBusy, codeLocked                                          = 3, 5, 6
)

func codeOf(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// damage reports whether an error says that the file is no whole database.
func damage(err error) bool {
	c := codeOf(err)
	return c == codeCorrupt || c == codeNotADatabase
}

// unwritable reports whether an error says that the file cannot be written now.
func unwritable(err error) bool {
	switch codeOf(err) {
	case codeReadOnly, codeIO, codeFull, codeCannotOpen, codePermission, codeBusy, codeLocked:
		return true
	}
	return false
}

// source names a file for the driver.
func source(path string, write bool) string {
	v := url.Values{"_pragma": {"busy_timeout(5000)", "synchronous(NORMAL)", "journal_size_limit(8388608)"}, "_txlock": {"immediate"}}
	if write {
		v["_pragma"] = append(v["_pragma"], "journal_mode(WAL)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
}

// openings bounds the connections to the file: one writes, and pages read.
const openings = 4

// connect opens a file. Nothing is read or made before it is used.
func connect(path string, write bool) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", source(abs, write))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(openings)
	db.SetMaxIdleConns(openings)
	return db, nil
}

var (
	errDamaged = errors.New("it is damaged")
	errOther   = errors.New("its tables are of another version")
	errEmpty   = errors.New("there is nothing in it")
)

// check looks whether a file is a whole database of ours. It changes nothing but what an interrupted transaction left.
func check(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errEmpty
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", path)
	}
	db, err := connect(path, false)
	if err != nil {
		return err
	}
	defer db.Close()
	var id, version, made int
	var sound string
	for _, q := range []struct {
		text string
		into any
	}{{"PRAGMA application_id", &id}, {"PRAGMA user_version", &version}, {"SELECT count(*) FROM sqlite_schema", &made}} {
		if err := db.QueryRowContext(ctx, q.text).Scan(q.into); damage(err) {
			return fmt.Errorf("%w: %w", errDamaged, err)
		} else if err != nil {
			return err
		}
	}
	switch {
	case made == 0 && (id == 0 || id == applicationID):
		return errEmpty
	case id != applicationID:
		return ErrForeign
	case version != tablesVersion:
		return fmt.Errorf("%w (%d, and here they have %d)", errOther, version, tablesVersion)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&sound); err != nil && !damage(err) {
		return err
	} else if err != nil || sound != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, strings.TrimSpace(sound+" "+errorText(err)))
	}
	return nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// file opens the file for writing, after what is wrong with it was made good.
func (s *Store) file(ctx context.Context) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o700); err != nil {
		return nil, fmt.Errorf("making the database's folder: %w", err)
	}
	if err := s.own(); err != nil {
		return nil, err
	}
	err := check(ctx, s.Path)
	if err == nil {
		err = s.fromSame(ctx)
	}
	empty := errors.Is(err, errEmpty)
	switch {
	case err == nil, empty:
	case errors.Is(err, errDamaged):
		aside := s.Path + ".damaged"
		if e := setAside(s.Path, aside); e != nil {
			return nil, e
		}
		s.Say(fmt.Sprintf("the database %s cannot be read (%v); it is set aside as %s and made anew from the records", s.Path, err, filepath.Base(aside)))
		empty = true
	case errors.Is(err, errOther), errors.Is(err, errElsewhere):
		if e := remove(s.Path); e != nil {
			return nil, e
		}
		s.Say(fmt.Sprintf("the database %s is made anew from the records: %v", s.Path, err))
		empty = true
	default:
		return nil, err
	}
	db, err := connect(s.Path, true)
	if err == nil && empty {
		err = create(ctx, db, s.From)
	}
	if err == nil {
		err = probe(ctx, db)
	}
	if err == nil {
		s.opened, err = os.Stat(s.Path)
	}
	if err != nil {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
		return nil, err
	}
	return db, nil
}

// gone reports whether the file that is open is not there any more, or another one is in its place: what is written to it then nobody finds, and
// connections that are opened from now on are to something else.
func (s *Store) gone() bool {
	info, err := os.Stat(s.Path)
	return errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(info, s.opened)
}

// create makes the tables, and writes what they will be derived from: all of it, or nothing.
func create(ctx context.Context, db *sql.DB, from string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, tables+fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, tablesVersion)); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	if from != "" {
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES (?, ?)", sourceName, from); err != nil {
			return fmt.Errorf("making the database: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	return nil
}

// probe writes something that matters to nobody, to learn whether it can be.
func probe(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('probe', '0') ON CONFLICT (name) DO UPDATE SET value = 1 - value")
	if err != nil {
		return fmt.Errorf("writing to the database: %w", err)
	}
	return nil
}

// memory makes a database in memory, with what is in another one, if it can be read.
func (s *Store) memory(ctx context.Context, from *sql.DB, why error) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file::memory:?_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("making a database in memory: %w", err)
	}
	db.SetMaxOpenConns(1) // each connection would have a database of its own
	db.SetMaxIdleConns(1)
	if err := create(ctx, db, ""); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if from != nil {
		_ = transfer(ctx, from, db) // what cannot be read is derived again
	}
	if s.trouble == "" { // else it never went back to the file for good
		s.Say(fmt.Sprintf("the database %s cannot be written, and what the pages show is kept in memory until it can be: %v", s.Path, why))
	}
	s.trouble = why.Error()
	return db, nil
}

// sidecars are the files that SQLite keeps beside a database. They go before it: of another one they would be taken for its own.
func sidecars(path string) []string { return []string{path + "-shm", path + "-wal", path + "-journal"} }

// remove removes a database.
func remove(path string) error {
	for _, p := range append(sidecars(path), path) {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// setAside gives a damaged database another name, for whoever wants to know what was in it.
func setAside(path, to string) error {
	for _, p := range sidecars(path) {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(path, to)
}
