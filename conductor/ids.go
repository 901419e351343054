package conductor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Parts of an injection's id, in bytes. With a number of places they stay within the 128 of a ledger's id.
const (
	maxRunPart   = 64
	maxFaultPart = 48
	digestPart   = 10 // hexadecimal digits that stand for what was left out
)

// injectionID returns the ledger's id of a fault's injection at its n-th place, from 0. Names that fit are in it as they are. Of
// one that is too long, or has letters that an id cannot have, a digest keeps it apart from others that look the same.
func injectionID(run, fault string, n int) string {
	return fmt.Sprintf("%s-%s-%d", idOfRun(run), shortened(fault, maxFaultPart), n+1)
}

// idOfRun returns what the ids of a run's injections begin with.
func idOfRun(run string) string { return shortened(run, maxRunPart) }

// shortened returns a name in letters that an id may have, of so many bytes at most.
func shortened(name string, most int) string {
	safe := safeID(name)
	if safe == name && len(safe) <= most {
		return safe
	}
	sum := sha256.Sum256([]byte(name))
	return safe[:min(len(safe), most-digestPart-1)] + "-" + hex.EncodeToString(sum[:])[:digestPart]
}
