package network

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"gameday/faults"
)

// undo is what the ledger holds of the table: the name and the mark of the only one that the fault adds. Its present
// state, which a revert restores, is that there is no such table.
type undo struct {
	Table string `json:"table"`
	Mark  string `json:"mark"`
}

// digest is what all names of an injection's objects are made from.
func digest(o faults.Owner) [sha256.Size]byte {
	return sha256.Sum256([]byte(o.Run + "\x00" + o.Injection))
}

// newUndo names the table after the injection, so that it can be found in `nft list ruleset` and never belongs to
// two.
func newUndo(o faults.Owner) undo {
	sum := digest(o)
	mark := fmt.Sprintf("gameday run %s injection %s", o.Run, o.Injection)
	return undo{Table: "gameday-" + hex.EncodeToString(sum[:6]), Mark: mark[:min(len(mark), maxMark)]}
}

// maxMark keeps the mark within one byte of length, which is what nftables' user data allow.
const maxMark = 200

func readUndo(e faults.Entry) (undo, error) {
	var u undo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return u, fmt.Errorf("reading the ledger's undo: %w", err)
	}
	if !strings.HasPrefix(u.Table, "gameday-") || u.Mark == "" {
		return u, fmt.Errorf("reading the ledger's undo: %q is not a table of ours", u.Table)
	}
	return u, nil
}
