package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"gameday/rehearsals/kept"
	"gameday/schedules/claims"
)

// occasions keeps what is new of occasions, and forgets those whose claims are gone.
func (s *Store) occasions(ctx context.Context, all map[string][]claims.Kept) error {
	type change struct {
		key  occasionKey
		kept *claims.Kept
	}
	var changed []change
	there := map[occasionKey]bool{}
	for calendar, list := range all {
		for i := range list {
			k := occasionKey{calendar, list[i].Schedule, list[i].Occasion}
			there[k] = true
			if old, ok := s.known.occasions[k]; !ok || old != markOf(&list[i]) {
				changed = append(changed, change{k, &list[i]})
			}
		}
	}
	var gone []occasionKey
	for k := range s.known.occasions {
		if _, read := all[k.calendar]; read && !there[k] {
			gone = append(gone, k)
		}
	}
	if len(changed)+len(gone) == 0 {
		return nil
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		for _, k := range gone {
			if _, err := tx.ExecContext(ctx, "DELETE FROM occasions WHERE calendar = ? AND schedule = ? AND occasion = ?", k.calendar, k.schedule, k.occasion); err != nil {
				return err
			}
		}
		for _, c := range changed {
			still := *c.kept
			still.Running = false // which only looking tells
			text, err := json.Marshal(still)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO occasions (calendar, schedule, occasion, at, opens, closes, kept) VALUES (?, ?, ?, ?, ?, ?, ?)",
				c.key.calendar, c.key.schedule, c.key.occasion, nanos(still.At), nanos(still.Opens), nanos(later(still.Closes, still.At)), string(text)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range gone {
		delete(s.known.occasions, k)
	}
	for _, c := range changed {
		s.known.occasions[c.key] = markOf(c.kept)
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// signoffs keeps the sign-offs, all of them anew when their file has changed.
func (s *Store) signoffs(ctx context.Context, runs string) error {
	sig := fileSignature(filepath.Join(runs, kept.SignOffsFile))
	if sig == s.known.signoffs {
		return nil
	}
	all, broken, err := kept.SignOffs(runs)
	if err != nil {
		return fmt.Errorf("deriving who signed: %w", err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM signoffs"); err != nil {
			return err
		}
		for i, x := range all {
			text, err := json.Marshal(x)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO signoffs (place, rehearsal, signed) VALUES (?, ?, ?)", i, x.Rehearsal, string(text)); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO meta (name, value) VALUES ('broken_signoffs', ?)", fmt.Sprint(broken))
		return err
	})
	if err != nil {
		return err
	}
	s.known.signoffs = sig
	return nil
}
