package poll

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// Wanted is which alarms a source is asked about. The zero value wants all. It is safe for concurrent use.
type Wanted struct {
	Noise map[string]string // labels of alarms that nobody expects, and that are told of all the same; set before its first use

	mu       sync.Mutex
	expected []alarms.Expectation
	absent   map[string]bool
}

// Expect says what is expected, and forgets what was marked as absent.
func (w *Wanted) Expect(list []alarms.Expectation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected, w.absent = slices.Clone(list), map[string]bool{}
}

// Absent marks an expected alarm as one that no rule can raise.
func (w *Wanted) Absent(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.absent == nil {
		w.absent = map[string]bool{}
	}
	w.absent[name] = true
}

// Expected returns what is expected, without what no rule can raise.
func (w *Wanted) Expected() []alarms.Expectation {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []alarms.Expectation
	for _, e := range w.expected {
		if !w.absent[e.Name] {
			out = append(out, e)
		}
	}
	return out
}

// Wants reports whether an alarm with these labels is expected or is noise; every one is, without either.
func (w *Wanted) Wants(labels map[string]string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.expected {
		if e.Matches(labels) {
			return true
		}
	}
	return len(w.expected) == 0 && len(w.Noise) == 0 || alarms.Match(w.Noise, labels)
}

// Clock keeps how far another clock is from ours. The zero value is ready. It is safe for concurrent use.
type Clock struct {
	mu       sync.Mutex
	offset   clock.Offset
	measured bool
}

// dateProbes is how often a Date header is asked for.
const dateProbes = 3

// FromDates measures the clock by the Date headers of answers, which are cut to the second; told is false when they have none.
func (c *Clock) FromDates(ctx context.Context, ask func(context.Context) (web.Reply, error)) (o clock.Offset, told bool, err error) {
	var asked []clock.Probe
	for range dateProbes {
		r, err := ask(ctx)
		if err != nil {
			return clock.Offset{}, false, err
		}
		if stamp, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			asked = append(asked, clock.Probe{Sent: r.Sent, Stamp: stamp, Received: r.Received})
		}
	}
	o, told = c.Take(asked, time.Second)
	return o, told, nil
}

// Take estimates the offset from probes whose stamps are cut to a granularity. A measurement that disagrees with an earlier one
// widens the uncertainty: the clock was set in between.
func (c *Clock) Take(probes []clock.Probe, granularity time.Duration) (o clock.Offset, told bool) {
	o, told = clock.EstimateOffset(probes, granularity)
	if !told {
		return c.Offset(), false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.measured {
		if apart := (o.Ahead - c.offset.Ahead).Abs(); apart > o.Err+c.offset.Err {
			o = clock.Offset{Ahead: (o.Ahead + c.offset.Ahead) / 2, Err: apart/2 + max(o.Err, c.offset.Err)}
		}
	}
	c.offset, c.measured = o, true
	return o, true
}

// unmeasured is how well a clock is known that nobody could measure.
const unmeasured = 2 * time.Second

// Offset returns what was measured last; when nothing was, the clock is taken to be right, and not to the instant.
func (c *Clock) Offset() clock.Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measured {
		return clock.Offset{Err: unmeasured}
	}
	return c.offset
}

const (
	// skewWorthSaying is the clock offset from which it is reported, skewTooLarge the one that blocks.
	skewWorthSaying = 2 * time.Second
	skewTooLarge    = 60 * time.Second
)

// Skew reports a clock that is too far from ours, or not told.
func Skew(name string, o clock.Offset, told bool) []alarms.Finding {
	if !told {
		return []alarms.Finding{{Summary: "the clock of " + name + " is not known",
			Detail: fmt.Sprintf("Its answers have no Date header; does a proxy remove it? Its clock is taken to be right to %s.", unmeasured)}}
	}
	by := o.Ahead.Abs()
	if by-o.Err <= skewWorthSaying {
		return nil
	}
	where := "ahead of"
	if o.Ahead < 0 {
		where = "behind"
	}
	return []alarms.Finding{{Blocks: by > skewTooLarge,
		Summary: fmt.Sprintf("the clock of %s is %s %s this machine's", name, by.Round(100*time.Millisecond), where),
		Detail:  "Times are corrected by it. Synchronise both clocks with NTP."}}
}

// Unanswered is the finding for a source that cannot be read.
func Unanswered(name string, err error) alarms.Finding {
	return alarms.Finding{Blocks: true, Summary: name + " cannot be read",
		Detail: fmt.Sprintf("%v. Is the url right, and may the credentials read this?", err)}
}

// Covered says for which part of a span a source could have seen alarms: looks that were close enough together, joined with the
// stretches for which its history is proof, less those in which an expected alarm could not be seen. blind are stretches of the
// history, otherwise the reason for what nothing explains.
func Covered(account *looks.Account, span clock.Span, proven []clock.Span, blind []looks.Fault, slack time.Duration, otherwise string) ([]clock.Span, []string) {
	faults := slices.Clone(blind)
	cut := make([]clock.Span, 0, len(blind))
	for _, f := range blind {
		cut = append(cut, f.Span)
	}
	for _, f := range account.Faults() {
		faults = append(faults, f)
		// What was only out of our reach is repaired by the history; what could not know is not.
		if len(f.Why) < len(Unreachable) || f.Why[:len(Unreachable)] != Unreachable {
			cut = append(cut, f.Span)
		}
	}
	spans := looks.Clip(looks.Without(append(slices.Clone(proven), account.Spans()...), cut), span)
	return spans, looks.Explain(spans, span, faults, slack, otherwise)
}

// Consistent reports whether two sets of labels may be of one alarm: no label has two values.
func Consistent(a, b map[string]string) bool {
	for name, value := range a {
		if other, ok := b[name]; ok && other != value {
			return false
		}
	}
	return true
}

// Notes remembers what alarms said of themselves. The zero value is ready. It is safe for concurrent use.
type Notes struct {
	mu   sync.Mutex
	kept map[string]map[string]string
}

// Keep keeps an alarm's annotations, when it has any.
func (n *Notes) Keep(key string, notes map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil {
		n.kept = map[string]map[string]string{}
	}
	if len(notes) > 0 {
		n.kept[key] = maps.Clone(notes)
	}
}

// Of returns the annotations of an alarm.
func (n *Notes) Of(key string) map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept[key]
}
