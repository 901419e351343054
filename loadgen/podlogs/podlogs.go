// Package podlogs is how a runner and a game day speak to each other where the runner can reach nobody: it prints, and whoever may
// read its pod's log hears it; what it is to be told lies in a file, which the cluster keeps like an annotation of the pod.
//
//	runner ──messages, in numbered lines of its log──▶ the cluster's API ──▶ game day
//	       ◀──one file with the orders that it has not confirmed──────────── an annotation
//
// Whatever else is in the log, a script's words or a crash's, is nobody's message: each line bears a code that only who knows the run's
// secret can make, and so do the orders. A line is shorter than what container runtimes cut in two. Lines have numbers: one that
// comes twice, because the log was read again from an earlier moment, counts once, and what was lost, because the node has rotated the log
// away, is counted.
package podlogs

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

const (
	// maxMessage bounds a message, unpacked.
	maxMessage = 16 << 20
	// codeBytes is how much of a line's code is kept: an attacker has one try a line, in a log that people read.
	codeBytes = 16
)

var encoding = base64.RawStdEncoding.Strict()

// Key makes and checks the codes of one runner's lines and orders.
type Key struct{ up, down [sha256.Size]byte }

// NewKey derives the key of the index-th runner, from 0, from a secret of the stream: what one runner prints is not another's.
func NewKey(secret []byte, index int) Key {
	return Key{up: derived(secret, "printed", index), down: derived(secret, "ordered", index)}
}

func derived(secret []byte, direction string, index int) (out [sha256.Size]byte) {
	m := hmac.New(sha256.New, secret)
	fmt.Fprintf(m, "gameday pod logs 1 %s %d", direction, index)
	m.Sum(out[:0])
	return out
}

func code(key [sha256.Size]byte, text []byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(text)
	return m.Sum(nil)[:codeBytes]
}

// Session names one life of a runner: a pod that is started anew has another.
type Session [8]byte

// NewSession returns a session that nobody has had.
func NewSession() (s Session) {
	_, _ = rand.Read(s[:]) // it never fails
	return s
}

// String writes it as lines have it.
func (s Session) String() string { return hex.EncodeToString(s[:]) }

func readSession(text []byte) (s Session, ok bool) {
	if len(text) != hex.EncodedLen(len(s)) {
		return s, false
	}
	_, err := hex.Decode(s[:], text)
	return s, err == nil
}

// packed compresses.
func packed(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.DefaultCompression) // the level is one that there is
	_, _ = w.Write(b)                                       // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

var errLarge = errors.New("it is larger than such a thing can be")

// unpacked is the other way round, up to a bound.
func unpacked(b []byte, most int64) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), most+1))
	if err == nil && int64(len(out)) > most {
		err = errLarge
	}
	return out, err
}
