package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

type amendKey struct{}

// WithAmend returns a context with which Amend calls write. The guard calls Inject with one.
func WithAmend(ctx context.Context, write func(undo json.RawMessage) error) context.Context {
	return context.WithValue(ctx, amendKey{}, write)
}

// Amend replaces what undoes the fault in its ledger entry. Inject calls it when it finds more to touch than was there when
// Undo looked, before it touches that; and to take back from the entry what turns out to be somebody else's. When it fails,
// nothing more may be touched.
func Amend(ctx context.Context, undo json.RawMessage) error {
	write, ok := ctx.Value(amendKey{}).(func(json.RawMessage) error)
	if !ok {
		return errors.New("amending the ledger: nobody keeps one for this injection")
	}
	return write(undo)
}

// Amend replaces the entry's undo, on disk before it returns. The entry is never seen unlocked, torn or absent: what is
// written is a new file that takes over the name, and the lock goes with it.
func (h *Held) Amend(undo json.RawMessage) error {
	e := h.entry
	e.Undo = undo
	data, err := json.MarshalIndent(e, "", "  ")
	if err == nil && len(data) >= maxEntrySize {
		err = fmt.Errorf("it has %d bytes, %d are allowed", len(data), maxEntrySize)
	}
	if err != nil {
		return fmt.Errorf("amending ledger entry %s: %w", e.ID, err)
	}
	file, err := h.ledger.draft(e.ID, append(data, '\n'))
	if err != nil {
		return fmt.Errorf("amending ledger entry %s: %w", e.ID, err)
	}
	if err := os.Rename(file.Name(), h.ledger.path(e.ID)); err != nil {
		return fmt.Errorf("amending ledger entry %s: %w", e.ID, errors.Join(err, removeIfThere(file.Name()), file.Close()))
	}
	old := h.file
	*h = *h.ledger.hold(e, file)
	_ = letGo(old) // its name is gone, and with it whatever could fail here
	if err := h.ledger.sync(); err != nil {
		return fmt.Errorf("amending ledger entry %s: %w", e.ID, err)
	}
	return nil
}
