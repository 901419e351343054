// Package follow is what sources of responses share that are asked rather than told: asking every so often, the other clock, and
// for which time an answer is complete.
package follow

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/sources/looks"
	"gameday/sources/web"
)

const (
	// probes is how often the other clock is asked.
	probes = 3
	// mostRemembered bounds the events that Watch knows to have emitted.
	mostRemembered = 100_000
)

// Told is what a system tells of a stretch of time.
type Told struct {
	Events []responders.Event
	// Blind are stretches of which it may not have told everything.
	Blind []looks.Fault
}

// Unclear takes out of what is covered the times of events of which nobody knows what they are about: they may be what is asked for.
func (t *Told) Unclear(events []responders.Event, why string) {
	for _, e := range events {
		t.Blind = append(t.Blind, looks.Fault{Span: clock.Span{Start: e.At.Lo.Add(-time.Second), End: e.At.Hi.Add(time.Second)}, Why: why})
	}
}

// Follower asks one system. Fields are set before the first call; its methods may be called concurrently, Watch by one
// goroutine at a time.
type Follower struct {
	Name   string        // of the source: "slack.ops"
	Every  time.Duration // between two looks of Watch
	Settle time.Duration // after what time at the latest the system tells of what happened
	// Read asks for everything in a span of our time. What it cannot read is an error, or Told.Blind.
	Read func(ctx context.Context, span clock.Span) (Told, error)
	// Ask asks something small, for the sake of the answer's Date header.
	Ask func(ctx context.Context) (web.Reply, error)

	mu       sync.Mutex
	offset   clock.Offset
	measured bool
}

// Measure estimates the offset of the system's clock from the Date header of its answers, which is cut to the second, and keeps
// it. A later measurement that disagrees with an earlier one widens the uncertainty: the clock was set in between. ok is false
// when no answer has such a header.
func (f *Follower) Measure(ctx context.Context) (o clock.Offset, ok bool, err error) {
	var asked []clock.Probe
	for range probes {
		reply, err := f.Ask(ctx)
		if err != nil {
			return clock.Offset{}, false, err
		}
		if stamp, err := http.ParseTime(reply.Header.Get("Date")); err == nil {
			asked = append(asked, clock.Probe{Sent: reply.Sent, Stamp: stamp, Received: reply.Received})
		}
	}
	if o, ok = clock.EstimateOffset(asked, time.Second); !ok {
		return f.Offset(), false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.measured {
		if apart := (o.Ahead - f.offset.Ahead).Abs(); apart > o.Err+f.offset.Err {
			o = clock.Offset{Ahead: (o.Ahead + f.offset.Ahead) / 2, Err: apart/2 + max(o.Err, f.offset.Err)}
		} else if f.offset.Err < o.Err {
			o = f.offset // the better of two that agree
		}
	}
	f.offset, f.measured = o, true
	return o, true, nil
}

// Offset returns the offset that was measured last.
func (f *Follower) Offset() clock.Offset {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.measured {
		return clock.Offset{Err: Unmeasured}
	}
	return f.offset
}

// Ours converts a time of the system's, cut to a granularity, to ours.
func (f *Follower) Ours(stamp time.Time, granularity time.Duration) clock.Interval {
	return f.Offset().Ours(stamp, granularity)
}

// Theirs returns a span of our time as one of the system's, which has all of it.
func (f *Follower) Theirs(s clock.Span) clock.Span {
	o := f.Offset()
	return clock.Span{Start: s.Start.Add(o.Ahead - o.Err - time.Second), End: s.End.Add(o.Ahead + o.Err + time.Second)}
}

// Skew reports a clock that is too far from ours, or not told.
func (f *Follower) Skew(o clock.Offset, told bool) []responders.Finding { return Skew(f.Name, o, told) }

// key is what makes an event the same as another.
type key struct {
	id, page string
	kind     responders.Kind
}

// Watch emits what is new, every so often, until ctx ends. It asks again for the time that may not have been told of yet. It
// carries on over failures: what it missed is in History.
func (f *Follower) Watch(ctx context.Context, emit func(responders.Event)) error {
	ticker := time.NewTicker(f.Every)
	defer ticker.Stop()
	seen := map[key]bool{}
	began := time.Now()
	from := began
	for {
		now := time.Now()
		err := f.compare(ctx)
		var told Told
		if err == nil {
			told, err = f.Read(ctx, clock.Span{Start: from, End: now})
		}
		if err == nil && ctx.Err() == nil {
			slices.SortStableFunc(told.Events, byTime)
			for _, e := range told.Events {
				k := key{e.ID, e.Page, e.Kind}
				if e.At.Hi.Before(began) || seen[k] || len(seen) == mostRemembered {
					continue
				}
				seen[k] = true
				emit(e)
			}
			if next := now.Add(-f.Settle); next.After(from) {
				from = next
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// compare measures the clock if nobody has yet: without it the system would be asked for another time.
func (f *Follower) compare(ctx context.Context) error {
	f.mu.Lock()
	done := f.measured
	f.mu.Unlock()
	if done {
		return nil
	}
	_, _, err := f.Measure(ctx)
	return err
}

func byTime(a, b responders.Event) int {
	return cmp.Or(a.At.Lo.Compare(b.At.Lo), a.At.Hi.Compare(b.At.Hi), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind))
}

// History returns the events in the span, by time and each once, with the coverage of the span. The last of it is not covered
// until the system must have told of it.
func (f *Follower) History(ctx context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	asked := time.Now()
	offset, _, err := f.Measure(ctx)
	if err != nil {
		return nil, responders.Coverage{Offset: f.Offset()}, err
	}
	told, err := f.Read(ctx, span)
	if err != nil {
		return nil, responders.Coverage{Offset: offset}, err
	}
	slices.SortStableFunc(told.Events, byTime)
	events := []responders.Event{}
	seen := map[key]bool{}
	for _, e := range told.Events {
		k := key{e.ID, e.Page, e.Kind}
		if seen[k] || e.At.Hi.Before(span.Start) || e.At.Lo.After(span.End) {
			continue
		}
		seen[k] = true
		events = append(events, e)
	}
	faults := slices.Clone(told.Blind)
	if settled := asked.Add(-f.Settle); settled.Before(span.End) {
		faults = append(faults, looks.Fault{Span: clock.Span{Start: settled, End: span.End},
			Why: fmt.Sprintf("it may tell of this up to %s later: `gameday finalize` asks again", f.Settle)})
	}
	cut := make([]clock.Span, len(faults))
	for i, fault := range faults {
		cut[i] = fault.Span
	}
	c := responders.Coverage{Offset: offset, Spans: looks.Without([]clock.Span{span}, cut)}
	c.Why = looks.Explain(c.Spans, span, faults, 0, "it was not asked")
	return events, c, nil
}

// Failed returns the finding for a system that cannot be read.
func (f *Follower) Failed(ctx context.Context, found []responders.Finding, err error, next string) ([]responders.Finding, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return append(found, responders.Finding{Blocks: true, Summary: f.Name + " cannot be read", Detail: err.Error() + ". " + next}), nil
}
