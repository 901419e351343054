package podlogs

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxOrders bounds what orders come to as they are kept: all annotations of an object may have 256 KiB.
const MaxOrders = 192 << 10

// Orders are what a runner is to be told, all that it has not confirmed. They take the place of those before them.
type Orders struct {
	Session Session
	// Beat grows with each: who sees an older one, or the same, has heard nothing.
	Beat uint64
	// First is the number of the first of Lines, from 1.
	First uint64
	Lines []json.RawMessage
}

// wireOrders is that as it is written.
type wireOrders struct {
	Session string            `json:"session"`
	Beat    uint64            `json:"beat"`
	First   uint64            `json:"first,omitempty"`
	Lines   []json.RawMessage `json:"lines,omitempty"`
}

// Seal writes orders so that only the runner takes them, and only from who knows the key. It fails when they are larger than MaxOrders.
func (k Key) Seal(o Orders) (string, error) {
	text, err := json.Marshal(wireOrders{Session: o.Session.String(), Beat: o.Beat, First: o.First, Lines: o.Lines})
	if err != nil {
		return "", fmt.Errorf("writing orders: %w", err)
	}
	body := encoding.EncodeToString(packed(text))
	sealed := body + " " + encoding.EncodeToString(code(k.down, []byte(body)))
	if len(sealed) > MaxOrders {
		return "", fmt.Errorf("what a runner is to be told comes to %d KiB, and an annotation of its pod holds %d: send less by one command, such as "+
			"a program of fewer legs", len(sealed)>>10, MaxOrders>>10)
	}
	return sealed, nil
}

// ErrOrders says that a text is no orders for this runner.
var ErrOrders = errors.New("these are no orders of this run for this runner")

// Open reads orders.
func (k Key) Open(sealed []byte) (o Orders, err error) {
	sealed = bytes.TrimSpace(sealed)
	body, given, ok := bytes.Cut(sealed, []byte(" "))
	if !ok || len(sealed) > MaxOrders {
		return Orders{}, ErrOrders
	}
	sum, err := encoding.DecodeString(string(given))
	if err != nil || !hmac.Equal(sum, code(k.down, body)) {
		return Orders{}, ErrOrders
	}
	b, err := encoding.DecodeString(string(body))
	if err == nil {
		b, err = unpacked(b, maxMessage)
	}
	var w wireOrders
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	if err != nil {
		return Orders{}, fmt.Errorf("reading orders: %w", err)
	}
	s, ok := readSession([]byte(w.Session))
	if !ok {
		return Orders{}, ErrOrders
	}
	return Orders{Session: s, Beat: w.Beat, First: w.First, Lines: w.Lines}, nil
}

// Outbox keeps what a runner is to be told until it confirms that it has it. It belongs to one goroutine.
type Outbox struct {
	Key     Key
	Session Session
	beat    uint64
	first   uint64 // number of the first of lines, less 1
	lines   []json.RawMessage
}

// Put adds a line.
func (b *Outbox) Put(line []byte) { b.lines = append(b.lines, append(json.RawMessage(nil), line...)) }

// Confirmed takes out the first lines, so many of all that there were.
func (b *Outbox) Confirmed(n uint64) {
	for b.first < n && len(b.lines) > 0 {
		b.first, b.lines = b.first+1, b.lines[1:]
	}
}

// Waiting returns how many lines are not confirmed.
func (b *Outbox) Waiting() int { return len(b.lines) }

// Sealed returns all of it as orders, with a new beat.
func (b *Outbox) Sealed() (string, error) {
	b.beat++
	return b.Key.Seal(Orders{Session: b.Session, Beat: b.beat, First: b.first + 1, Lines: b.lines})
}

// Inbox is the other end. It belongs to one goroutine.
type Inbox struct {
	Key     Key
	Session Session
	beat    uint64
	taken   uint64
}

// Taken returns how many lines were taken in all: those are confirmed.
func (b *Inbox) Taken() uint64 { return b.taken }

// Take takes what a file with orders has, and returns the lines that are new. Heard reports whether they come from a game day that is
// there: the same orders once more do not.
func (b *Inbox) Take(sealed []byte) (lines []json.RawMessage, heard bool) {
	o, err := b.Key.Open(sealed)
	if err != nil || o.Session != b.Session || o.Beat <= b.beat {
		return nil, false
	}
	b.beat = o.Beat
	for i, l := range o.Lines {
		if n := o.First + uint64(i); n == b.taken+1 { // none is left out: what is not confirmed is in all orders
			b.taken = n
			lines = append(lines, l)
		}
	}
	return lines, true
}
