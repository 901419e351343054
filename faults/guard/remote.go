package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gameday/faults"
)

// What a guard does for a client that stands on another machine: it looks there with its own eyes.

// Standing is one entry of the guard's ledger.
type Standing struct {
	ID       string       `json:"id"`
	Entry    faults.Entry `json:"entry"`
	Orphaned bool         `json:"orphaned,omitempty"` // its guard is dead
	Error    string       `json:"error,omitempty"`    // why the entry cannot be read
}

// Cleaned says what became of one orphan.
type Cleaned struct {
	ID       string       `json:"id"`
	Entry    faults.Entry `json:"entry"`
	Reverted bool         `json:"reverted,omitempty"`
	Error    string       `json:"error,omitempty"` // why the fault may still stand
}

// Find asks the guard for places on its machine. Query and answer are in the language of the guard's Options.Find. The guard gives up a
// little before ctx ends, so that it can still say what it waited for.
func (c *Client) Find(ctx context.Context, query json.RawMessage) (json.RawMessage, error) {
	r := request{Op: opFind, Query: query}
	if end, limited := ctx.Deadline(); limited {
		r.Timeout = max(1, time.Until(end)*9/10)
	}
	m, err := c.call(ctx, r)
	if err == nil && m.Found == nil {
		err = errors.New("the guard's answer says nothing of what it found")
	}
	return m.Found, err
}

// Standing returns all entries of the guard's ledger, whoever holds them.
func (c *Client) Standing(ctx context.Context) ([]Standing, error) {
	m, err := c.call(ctx, request{Op: opStanding})
	return m.Standing, err
}

// Clean reverts the orphans in the guard's ledger, the newest first, or only those of the ids.
func (c *Client) Clean(ctx context.Context, ids ...string) ([]Cleaned, error) {
	m, err := c.call(ctx, request{Op: opClean, IDs: ids})
	return m.Cleaned, err
}

// look answers what takes longer than a moment, beside the other requests.
func (s *server) look(r request) {
	ctx := s.base
	go func() {
		var m message
		err := faults.Protect(func() (err error) {
			switch r.Op {
			case opFind:
				if r.Timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, r.Timeout)
					defer cancel()
				}
				m.Found, err = s.finding(ctx, r.Query)
			case opStanding:
				m.Standing, err = s.standing()
			case opClean:
				m.Cleaned, err = s.clean(ctx, r.IDs)
			}
			return err
		})
		m.Error = toWire(err)
		s.reply(r.Seq, m)
	}()
}

func (s *server) finding(ctx context.Context, query json.RawMessage) (json.RawMessage, error) {
	if s.opt.Find == nil {
		return nil, errors.New("this guard cannot find places")
	}
	return s.opt.Find(ctx, query)
}

func (s *server) standing() ([]Standing, error) {
	all, err := s.opt.Ledger.Standing()
	out := make([]Standing, 0, len(all))
	for _, e := range all {
		out = append(out, Standing{ID: e.ID, Entry: e.Entry, Orphaned: e.Orphaned, Error: errorText(e.Err)})
	}
	return out, err
}

func (s *server) clean(ctx context.Context, ids []string) ([]Cleaned, error) {
	only := func(e faults.Entry) bool { return len(ids) == 0 || slices.Contains(ids, e.ID) }
	results, err := faults.RevertOrphans(context.WithoutCancel(ctx), s.opt.Ledger, s.opt.Kinds, only)
	if err != nil {
		return nil, fmt.Errorf("reverting what was left: %w", err)
	}
	out := make([]Cleaned, 0, len(results))
	for _, r := range results {
		out = append(out, Cleaned{ID: r.ID, Entry: r.Entry, Reverted: r.Reverted, Error: errorText(r.Err)})
	}
	return out, nil
}
