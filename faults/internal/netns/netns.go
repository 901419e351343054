// Package netns is what the faults of the network share: a target's network namespace, a conversation with the kernel in
// it, and the one nftables table that an injection adds there and takes away again.
package netns

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gameday/faults"
)

// ErrGone says that no process and no name keeps the namespace any more, so the kernel has freed all that was in it.
var ErrGone = errors.New("the network namespace is gone")

// Same reports whether both are the same namespace; no namespace is the same as any.
func Same(a, b *faults.Namespace) bool {
	return a != nil && b != nil && a.Inode == b.Inode && a.Device == b.Device
}

// Undo is what the ledger holds of a table: the name and the mark of the only one that the fault adds. The present
// state, which a revert restores, is that there is no such table.
type Undo struct {
	Table string `json:"table"`
	Mark  string `json:"mark"` // the comment of each of its rules, and of its sets where the kernel keeps that
}

// maxMark keeps the mark within one byte of length, which is what nftables' user data allow.
const maxMark = 200

// Digest is what all names of an injection's objects are made from.
func Digest(o faults.Owner) [sha256.Size]byte {
	return sha256.Sum256([]byte(o.Run + "\x00" + o.Injection))
}

// NewUndo names a table after the injection, so that it can be found in `nft list ruleset` and never belongs to two.
func NewUndo(prefix string, o faults.Owner) Undo {
	sum := Digest(o)
	mark := fmt.Sprintf("gameday run %s injection %s", o.Run, o.Injection)
	return Undo{Table: prefix + hex.EncodeToString(sum[:6]), Mark: mark[:min(len(mark), maxMark)]}
}

// ReadUndo reads what NewUndo made from a ledger entry, which must also say in which namespace the table stands.
func ReadUndo(prefix string, e faults.Entry) (Undo, error) {
	var u Undo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return u, fmt.Errorf("reading the ledger's undo: %w", err)
	}
	if !strings.HasPrefix(u.Table, prefix) || u.Mark == "" {
		return u, fmt.Errorf("reading the ledger's undo: %q is not a table of ours", u.Table)
	}
	if e.Place.Network == nil {
		return u, errors.New("the entry names no network namespace")
	}
	return u, nil
}
