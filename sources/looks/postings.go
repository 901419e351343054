package looks

import (
	"slices"
	"sync"
	"time"

	"gameday/clock"
)

// mostGarbled bounds the stretches that are kept of what could not be read.
const mostGarbled = 1_000

// Postings is the account of what was posted to a source: its silence says something only where the sender gives signs of
// life, and what could not be read may have been what is asked for. It is safe for concurrent use.
type Postings struct {
	beat    time.Duration
	account *Account

	mu      sync.Mutex
	garbled []Fault
}

// NewPostings returns an empty account. beat is how often something is posted at least; 0 when nothing says so.
func NewPostings(beat time.Duration) *Postings {
	return &Postings{beat: beat, account: New(max(beat, time.Second))}
}

// Good books a posting that was read.
func (p *Postings) Good(at time.Time) { p.account.Good(at) }

// Garbled books one that could not be: something may be in it, of any time since the one before.
func (p *Postings) Garbled(at time.Time, why string) {
	from := at
	switch last := p.account.Last(); {
	case last.IsZero():
	case last.Before(at):
		from = last
	default: // another came while this one was read: the one before it is no further away than counts as covered
		from = at.Add(-2 * p.beat)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := Fault{Span: clock.Span{Start: from, End: at.Add(time.Second)}, Why: "what was posted cannot be read: " + why}
	if n := len(p.garbled); n == mostGarbled {
		p.garbled[n-1].Span.End = f.Span.End
		return
	}
	p.garbled = append(p.garbled, f)
}

// Cover returns the parts of a span in which something would have been heard, less the stretches in unclear, and what is
// missing in words. Without a beat nothing is covered.
func (p *Postings) Cover(span clock.Span, unclear []Fault) (covered []clock.Span, why []string) {
	if p.beat == 0 {
		return []clock.Span{}, []string{"it has no heartbeat, so silence says nothing"}
	}
	p.mu.Lock()
	faults := append(slices.Clone(p.garbled), unclear...)
	p.mu.Unlock()
	cut := make([]clock.Span, len(faults))
	for i, f := range faults {
		cut[i] = f.Span
	}
	covered = Without(Clip(p.account.Spans(), span), cut)
	return covered, Explain(covered, span, faults, 2*p.beat, "nothing was posted, not even a heartbeat")
}
