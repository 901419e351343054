package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrTaken says that another process has the database for itself.
var ErrTaken = errors.New("another gameday serve uses it")

var errElsewhere = errors.New("it was made from other folders")

// How long one waits for the lock of a process that was killed this moment: one that it was starting has it until it runs.
const (
	lockPatience = 5 * time.Second
	lockEvery    = 50 * time.Millisecond
)

// own takes the file for this process, until Close or its death. Two of them would forget what the other one has derived.
func (s *Store) own() error {
	if s.From == "" || s.lock != nil {
		return nil
	}
	l, err := os.OpenFile(s.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the database: %w", err)
	}
	for until := time.Now().Add(lockPatience); ; time.Sleep(lockEvery) {
		err = syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			s.lock = l
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return errors.Join(fmt.Errorf("locking the database: %w", err), l.Close())
		}
		if time.Now().After(until) {
			return errors.Join(ErrTaken, l.Close())
		}
	}
}

// sourceName is where it is written in the database what that is derived from.
const sourceName = "source"

// fromSame looks whether what is in the file is derived from the same as this is to be. Of an old one nobody knows.
func (s *Store) fromSame(ctx context.Context) error {
	if s.From == "" {
		return nil
	}
	db, err := connect(s.Path, false)
	if err != nil {
		return err
	}
	defer db.Close()
	var from string
	err = db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", sourceName).Scan(&from)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w, or by an older gameday", errElsewhere)
	case damage(err):
		return fmt.Errorf("%w: %w", errDamaged, err)
	case err != nil:
		return err
	case from != s.From:
		return fmt.Errorf("%w: %s", errElsewhere, from)
	}
	return nil
}
