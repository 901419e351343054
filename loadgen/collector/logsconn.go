package collector

import (
	"bytes"
	"io"
	"time"

	"gameday/loadgen"
)

// Read returns what the runner has said, line by line, and io.EOF once its log has come to its end.
func (p *printing) Read(b []byte) (int, error) {
	for {
		p.mu.Lock()
		n := copy(b, p.unread)
		p.unread = p.unread[n:]
		if len(p.unread) == 0 {
			p.unread = nil
		}
		over := p.over
		p.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case over:
			return 0, io.EOF
		}
		<-p.news
	}
}

// Write takes lines for the runner. The first is the stream, which the runner has been given with its pod. An empty one says that the game day is
// there, which is passed on every so often.
func (p *printing) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return 0, io.ErrClosedPipe
	}
	for rest := b; len(rest) > 0; {
		part, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		if p.handed || len(p.order) == 0 { // of the stream nothing is kept
			p.order = append(p.order, part...)
		}
		if !whole {
			break
		}
		line := p.order
		p.order = nil
		switch {
		case len(line) == 0 && time.Since(p.posted) < renewal:
			continue
		case len(line) > 0 && !p.handed:
			p.handed = true
		case len(line) > 0:
			p.put(line)
		}
		if err := p.tell(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// underway is an order on its way.
type underway struct {
	number uint64
	at     time.Time
	change bool // of what is sent, or its end; not a question
}

// put adds a line to what the runner is to be told.
func (p *printing) put(line []byte) {
	p.outbox.Put(line)
	p.orders++
	p.sent = append(p.sent, underway{number: p.orders, at: time.Now(), change: bytes.HasPrefix(line, []byte(`{"order"`))})
}

// confirmed takes note that the runner has the first orders, so many, and of a change that it heard of only after it was to count.
func (p *printing) confirmed(n uint64) {
	p.outbox.Confirmed(n)
	for len(p.sent) > 0 && p.sent[0].number <= n {
		if took := time.Since(p.sent[0].at); p.sent[0].change && took > loadgen.LogsLead {
			p.late = max(p.late, took)
		}
		p.sent = p.sent[1:]
	}
}

// tell has the runner told all that it has not confirmed.
func (p *printing) tell() error {
	sealed, err := p.outbox.Sealed()
	if err != nil {
		p.fail(err)
		return err
	}
	p.posted = time.Now()
	if p.post != nil {
		p.post(p.index, sealed)
	}
	return nil
}

// Close ends the conversation: nothing more is read or told.
func (p *printing) Close() error {
	p.mu.Lock()
	p.over, p.unread = true, nil
	p.mu.Unlock()
	p.wake()
	return nil
}
