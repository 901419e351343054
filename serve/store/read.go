package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/rehearsals"
	"gameday/report/history"
	"gameday/schedules/claims"
)

// Record is what one record tells.
type Record struct {
	history.Entry
	Blind bool // also where that cannot be told
	Over  bool // the record has the run's end
}

// recorded is what all records told in a state of the store.
type recorded struct {
	state   uint64
	all     []Record
	skipped []history.Skipped
}

// Records returns what all records tell, the newest first, and the folders that tell nothing. It is shared by all who ask: nobody changes it.
func (s *Store) Records(ctx context.Context) (all []Record, skipped []history.Skipped, err error) {
	state := s.state.Load() // before anything is read
	if r := s.recent.Load(); r != nil && r.state == state {
		return r.all, r.skipped, nil
	}
	all, skipped, err = s.readRecords(ctx)
	if err == nil {
		s.recent.Store(&recorded{state, all, skipped})
	}
	return all, skipped, err
}

func (s *Store) readRecords(ctx context.Context) (all []Record, skipped []history.Skipped, err error) {
	err = s.use(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT folder, over, blind, entry, why FROM records ORDER BY started DESC, folder")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r Record
			var folder, why string
			var entry sql.NullString
			if err := rows.Scan(&folder, &r.Over, &r.Blind, &entry, &why); err != nil {
				return err
			}
			if !entry.Valid {
				skipped = append(skipped, history.Skipped{Folder: folder, Why: why})
				continue
			}
			if err := json.Unmarshal([]byte(entry.String), &r.Entry); err != nil {
				return fmt.Errorf("record %s: %w", folder, err)
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the history: %w", err)
	}
	return all, skipped, nil
}

// Occasion is an occasion of a calendar of which it is settled what became of it. Running is never set: that is not in the database.
type Occasion struct {
	Calendar string
	claims.Kept
}

// Occasions returns the settled occasions whose windows, or runs, have an instant in [from, to), in the order in which they opened.
func (s *Store) Occasions(ctx context.Context, from, to time.Time) (all []Occasion, err error) {
	err = s.use(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT calendar, kept FROM occasions WHERE closes >= ? AND opens < ? ORDER BY opens, calendar, schedule, occasion", nanos(from), nanos(to))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o Occasion
			var text string
			if err := rows.Scan(&o.Calendar, &text); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(text), &o.Kept); err != nil {
				return fmt.Errorf("an occasion of %s: %w", o.Calendar, err)
			}
			all = append(all, o)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading what became of occasions: %w", err)
	}
	return all, nil
}

// Rehearsed returns what records show of rehearsals, by the rehearsal's name and the scenario's, and how many labels cannot be read.
func (s *Store) Rehearsed(ctx context.Context) (all map[string]rehearsals.Shown, broken int, err error) {
	all = map[string]rehearsals.Shown{}
	err = s.use(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT rehearsal, rehearsed FROM records WHERE rehearsal <> '' ORDER BY folder")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var text sql.NullString
			if err := rows.Scan(&name, &text); err != nil {
				return err
			}
			if !text.Valid {
				broken++
				continue
			}
			var l labelled
			if err := json.Unmarshal([]byte(text.String), &l); err != nil {
				return fmt.Errorf("a run for %s: %w", name, err)
			}
			if all[name] == nil {
				all[name] = rehearsals.Shown{}
			}
			all[name][l.Scenario] = append(all[name][l.Scenario], l.Run)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading what was rehearsed: %w", err)
	}
	return all, broken, nil
}

// Signed returns all sign-offs in the order in which they were made, and how many cannot be read.
func (s *Store) Signed(ctx context.Context) (all []rehearsals.SignOff, broken int, err error) {
	err = s.use(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT signed FROM signoffs ORDER BY place")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			var x rehearsals.SignOff
			if err := json.Unmarshal([]byte(text), &x); err != nil {
				return err
			}
			all = append(all, x)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		err = db.QueryRowContext(ctx, "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'broken_signoffs'").Scan(&broken)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading who signed: %w", err)
	}
	return all, broken, nil
}

// transfer copies all tables from one database into an empty one.
func transfer(ctx context.Context, from, to *sql.DB) error {
	tx, err := to.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, table := range []string{"meta", "records", "occasions", "signoffs"} {
		err := rowsOf(ctx, from, table, func(columns []string, values []any) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")", values...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// rowsOf goes through a table.
func rowsOf(ctx context.Context, db *sql.DB, table string, do func(columns []string, values []any) error) error {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := do(columns, values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Dump returns all that is in the database, a line for each row, sorted: two databases of the same records and claims have the same.
func (s *Store) Dump(ctx context.Context) (lines []string, err error) {
	err = s.use(func(db *sql.DB) error {
		for _, table := range []string{"meta", "records", "occasions", "signoffs"} {
			err := rowsOf(ctx, db, table, func(columns []string, values []any) error {
				if table == "meta" && values[0] == "probe" {
					return nil
				}
				var b strings.Builder
				b.WriteString(table)
				for i, v := range values {
					fmt.Fprintf(&b, " %s=%v", columns[i], v)
				}
				lines = append(lines, b.String())
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the database: %w", err)
	}
	slices.SortFunc(lines, cmp.Compare[string])
	return lines, nil
}

// Sound looks whether the database is whole: every page of it, and every index.
func (s *Store) Sound(ctx context.Context) error {
	return s.use(func(db *sql.DB) error {
		var text string
		if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&text); err != nil {
			return fmt.Errorf("looking whether the database is whole: %w", err)
		}
		if text != "ok" {
			return fmt.Errorf("the database is damaged: %s", text)
		}
		return nil
	})
}
