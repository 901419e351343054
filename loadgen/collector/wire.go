// Package collector is where the runners of a stream report: gameday listens, and runners, which may only reach out, dial in.
//
//	runner ──TLS──▶ collector    hello: the token, its segment, who it is      a line of JSON
//	       ◀───────              welcome, or refused and why                   a line of JSON
//	       ◀──the stream, then commands and questions, a line each──           as package remote has it
//	       ──answers and windows, a line each──────────────────────▶
//
// The collector makes a key pair for each run, and the token holds the digest of its certificate beside a secret: a runner knows whom
// it tells the secret, and what goes over the wire (scripts, what they have for an environment) is for nobody else, without any
// authority for certificates. A segment is given out once. A second runner that claims it, be it a pod that was started again, is refused:
// the first one may still be sending, where it only cannot be heard, and one that begins anew has neither its place in
// the schedule nor its connections. What the first one told stays; what it owes from then on is missing, and is counted as that.
package collector

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"gameday/loadgen"
)

const (
	// Protocol is the version of what is said before the stream. What comes after is of one version of gameday at both ends.
	Protocol = 1
	// maxHello bounds the first line of each side, in bytes.
	maxHello = 4 << 10
	// maxSegments bounds how many runners share a stream.
	maxSegments = 1024
	// maxWho bounds a runner's word about itself, in bytes.
	maxWho = 128
	// maxSaid bounds what is told of a runner, in bytes.
	maxSaid = 1 << 10
	// secretBytes is how much of a token is random.
	secretBytes = 32
)

// hello is the first line of a runner.
type hello struct {
	Protocol int             `json:"protocol"`
	Version  string          `json:"version"` // of gameday
	Secret   string          `json:"secret"`
	Segment  loadgen.Segment `json:"segment"`
	Who      string          `json:"who"` // a pod, a process
}

// welcome is the collector's answer. Refused is why not.
type welcome struct {
	Protocol int    `json:"protocol"`
	Refused  string `json:"refused,omitempty"`
}

var errGarbage = errors.New("that is no runner's greeting")

// readHello reads a runner's first line. What it returns is within bounds, and as yet nobody's.
func readHello(line []byte) (hello, error) {
	var h hello
	if len(line) > maxHello || !bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) || json.Unmarshal(line, &h) != nil {
		return hello{}, errGarbage
	}
	if h.Segment.Of < 1 || h.Segment.Of > maxSegments || h.Segment.Index < 0 || h.Segment.Index >= h.Segment.Of {
		return hello{}, errGarbage
	}
	h.Who, h.Version = plain(h.Who), plain(h.Version)
	return h, nil
}

// plain cuts what somebody says of himself to what can be printed.
func plain(s string) string { return printable(s, maxWho) }

// printable cuts a text to what can be printed, and to a length in bytes.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// token is what a runner is given: a secret, and by what it knows the collector.
type token struct {
	secret [secretBytes]byte
	pin    [sha256.Size]byte // of the collector's certificate
}

var encoding = base64.RawURLEncoding.Strict()

// String returns the token as it is handed to runners. It must not be printed or recorded.
func (t token) String() string { return t.word() + "." + encoding.EncodeToString(t.pin[:]) }

// word is the secret as a runner tells it.
func (t token) word() string { return encoding.EncodeToString(t.secret[:]) }

// is reports, in a time that tells nothing of how much is right, whether a word is the token's.
func (t token) is(word string) bool {
	given, own := sha256.Sum256([]byte(word)), sha256.Sum256([]byte(t.word()))
	return subtle.ConstantTimeCompare(given[:], own[:]) == 1
}

// ErrToken says that a token is none. It never tells what it was.
var ErrToken = errors.New("the token is not one of a collector: take the whole of it, as it was given")

func readToken(s string) (t token, err error) {
	secret, pin, ok := strings.Cut(strings.TrimSpace(s), ".")
	if !ok || encoding.DecodedLen(len(secret)) != len(t.secret) || encoding.DecodedLen(len(pin)) != len(t.pin) {
		return token{}, ErrToken
	}
	if _, err := encoding.Decode(t.secret[:], []byte(secret)); err != nil {
		return token{}, ErrToken
	}
	if _, err := encoding.Decode(t.pin[:], []byte(pin)); err != nil {
		return token{}, ErrToken
	}
	return t, nil
}
