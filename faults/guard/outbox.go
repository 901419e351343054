package guard

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// outboxSize is how many messages wait for a client that does not read. More are dropped: a reply that nobody reads
// must not keep a fault standing.
const outboxSize = 1024

// outbox writes messages to the client without ever making the sender wait. Safe for concurrent use.
type outbox struct {
	done chan struct{} // closed when all is written

	mu     sync.Mutex
	closed bool
	lines  chan []byte
}

func newOutbox(w io.Writer) *outbox {
	o := &outbox{lines: make(chan []byte, outboxSize), done: make(chan struct{})}
	go func() {
		defer close(o.done)
		broken := false
		for line := range o.lines {
			if !broken {
				_, err := w.Write(line)
				broken = err != nil
			}
		}
	}()
	return o
}

// send queues one message; after close it does nothing.
func (o *outbox) send(m message) {
	line, err := json.Marshal(m)
	if err != nil {
		line, _ = json.Marshal(message{Seq: m.Seq, Error: &wireError{Text: "encoding the reply: " + err.Error()}})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	select {
	case o.lines <- append(line, '\n'):
	default:
	}
}

// close waits until all is written, but not for longer than patience.
func (o *outbox) close(patience time.Duration) {
	o.mu.Lock()
	if !o.closed {
		o.closed = true
		close(o.lines)
	}
	o.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-o.done:
	case <-t.C:
	}
}
