package collector

import (
	"bytes"
	"io"
	"time"
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
			p.outbox.Put(line)
		}
		if err := p.tell(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
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
