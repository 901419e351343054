package podlogs

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"io"
	"strconv"
	"sync"
)

const (
	// mark begins a line of a message.
	mark = "gameday-runner:1 "
	// chunk is how many bytes of a packed message go into one line, and MaxLine the longest line that comes of it: container runtimes
	// cut lines at 16 KiB.
	chunk   = 9 << 10
	MaxLine = 14 << 10
	// kept is how much of a line that has not ended is kept: the beginning of a longer one is no message.
	kept = 2 * MaxLine
)

// Marked reports whether a line may have a message in it.
func Marked(line []byte) bool { return bytes.Contains(line, []byte(mark)) }

// Printer prints messages. It may be used from any goroutine.
type Printer struct {
	mu      sync.Mutex
	out     io.Writer
	key     Key
	session Session
	lines   uint64 // printed
}

// NewPrinter returns a printer of one runner's session.
func NewPrinter(out io.Writer, key Key, session Session) *Printer {
	return &Printer{out: out, key: key, session: session}
}

// Print prints one message, which may be empty, and confirms the first orders, so many.
func (p *Printer) Print(message []byte, confirmed uint64) error {
	var rest []byte
	if len(message) > 0 {
		rest = packed(message)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for first := true; ; first = false {
		part := rest[:min(len(rest), chunk)]
		rest = rest[len(part):]
		p.lines++
		text := fmt.Appendf(nil, "%s %d %d %c %s", p.session, p.lines, confirmed, placeOf(first, len(rest) == 0), encoding.EncodeToString(part))
		line := fmt.Appendf(nil, "%s%s %s\n", mark, text, encoding.EncodeToString(code(p.key.up, text)))
		if _, err := p.out.Write(line); err != nil { // in one piece, so that nothing else gets in between
			return fmt.Errorf("printing for the game day: %w", err)
		}
		if len(rest) == 0 {
			return nil
		}
	}
}

// The places of a line in its message.
const (
	whole  = '.'
	begins = '('
	goesOn = '-'
	ends   = ')'
)

func placeOf(first, last bool) byte {
	switch {
	case first && last:
		return whole
	case first:
		return begins
	case last:
		return ends
	}
	return goesOn
}

// Message is what a runner has printed.
type Message struct {
	Text      []byte // empty when it only confirms
	Confirmed uint64 // orders
	// Lost is how many lines before it are missing in the log.
	Lost uint64
}

// Reader finds one runner's messages in its log. It belongs to one goroutine.
type Reader struct {
	key     Key
	line    []byte // that has not ended
	session *Session
	last    uint64 // number of the last line that counted
	text    []byte // of the message that has begun
	parts   int    // lines of it
	lost    uint64 // lines, not told yet
	others  bool   // lines of another session were there
}

// NewReader returns a reader of one runner's log.
func NewReader(key Key) *Reader { return &Reader{key: key} }

// Session returns whose messages they are; false before the first.
func (r *Reader) Session() (Session, bool) {
	if r.session == nil {
		return Session{}, false
	}
	return *r.session, true
}

// Others reports whether another life of the runner, which does not count, has printed too.
func (r *Reader) Others() bool { return r.others }

// Take takes the next piece of the log, wherever it was cut, and returns the messages that are whole now, and what else was printed.
func (r *Reader) Take(piece []byte) (messages []Message, rest []byte) {
	for len(piece) > 0 {
		i := bytes.IndexByte(piece, '\n')
		if i < 0 {
			r.line = append(r.line, piece...)
			if over := len(r.line) - kept; over > kept {
				rest = append(rest, r.line[:over]...)
				r.line = append(r.line[:0], r.line[over:]...)
			}
			return messages, rest
		}
		r.line = append(r.line, piece[:i]...)
		piece = piece[i+1:]
		m, other := r.one(r.line)
		if m != nil {
			messages = append(messages, *m)
		}
		rest = append(rest, other...)
		r.line = r.line[:0]
	}
	return messages, rest
}

// End returns what is left of a line that never ended.
func (r *Reader) End() []byte {
	rest := r.line
	r.line = nil
	return rest
}

// one takes a whole line. What something else has printed before a message without ending its own line is not the message's.
func (r *Reader) one(line []byte) (m *Message, rest []byte) {
	at := bytes.LastIndex(line, []byte(mark))
	if at >= 0 {
		if l, ok := r.parse(line[at+len(mark):]); ok {
			m = r.count(l)
			if line = line[:at]; len(line) == 0 {
				return m, nil
			}
		}
	}
	return m, append(append([]byte(nil), line...), '\n')
}

// printed is a line as it was printed.
type printed struct {
	session           Session
	number, confirmed uint64
	place             byte
	part              []byte
}

// parse reads what follows the mark: session, number, how many orders are confirmed, place, part, code.
func (r *Reader) parse(b []byte) (l printed, ok bool) {
	b = bytes.TrimSuffix(b, []byte("\r")) // a terminal's
	cut := bytes.LastIndexByte(b, ' ')
	if cut < 0 || len(b) > MaxLine {
		return l, false
	}
	given, err := encoding.DecodeString(string(b[cut+1:]))
	if err != nil || !hmac.Equal(given, code(r.key.up, b[:cut])) {
		return l, false
	}
	f := bytes.Split(b[:cut], []byte(" "))
	if len(f) != 5 || len(f[3]) != 1 {
		return l, false
	}
	var err1, err2, err3 error
	l.session, ok = readSession(f[0])
	l.number, err1 = strconv.ParseUint(string(f[1]), 10, 64)
	l.confirmed, err2 = strconv.ParseUint(string(f[2]), 10, 64)
	l.place = f[3][0]
	l.part, err3 = encoding.DecodeString(string(f[4]))
	return l, ok && err1 == nil && err2 == nil && err3 == nil && l.number > 0
}

// count takes a line where it belongs, and returns the message that it ends.
func (r *Reader) count(l printed) *Message {
	switch {
	case r.session == nil:
		r.session = &l.session
	case *r.session != l.session:
		r.others = true
		return nil
	}
	if l.number <= r.last {
		return nil // it was here before
	}
	if gap := l.number - r.last - 1; gap > 0 {
		r.lost += gap
		r.drop()
	}
	r.last = l.number
	switch l.place {
	case whole, begins:
		r.drop()
	case goesOn, ends:
		if r.parts == 0 {
			r.lost++ // what it goes on with is lost
			return nil
		}
	}
	r.text, r.parts = append(r.text, l.part...), r.parts+1
	if len(r.text) > maxMessage {
		r.drop()
		return nil
	}
	if l.place == begins || l.place == goesOn {
		return nil
	}
	text, err := []byte(nil), error(nil)
	if len(r.text) > 0 {
		text, err = unpacked(r.text, maxMessage)
	}
	if err != nil {
		r.drop()
		return nil
	}
	m := &Message{Text: text, Confirmed: l.confirmed, Lost: r.lost}
	r.text, r.parts, r.lost = r.text[:0], 0, 0
	return m
}

// drop counts the lines of a message that cannot be put together as lost.
func (r *Reader) drop() {
	r.lost += uint64(r.parts)
	r.text, r.parts = r.text[:0], 0
}
