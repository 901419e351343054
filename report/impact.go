package report

import (
	"fmt"
	"time"

	"gameday/clock"
	"gameday/loadgen/sli"
)

// Outside is for how long users were outside the objectives of the steady state, over all phases of a run. A second
// counts as outside when an expectation did not hold over its sliding window that ends with that second, as during a
// run; so a stretch reaches past what broke it by up to that window's length. What a generator at its own limit has
// spoilt counts neither as outside nor as inside, as everywhere.
type Outside struct {
	Objectives []ExpectPlan // none when the plan has no steady state: then nothing can be told
	Spans      []clock.Span // outside, by time
	Total      time.Duration
	Blind      []clock.Span  // it cannot be told: no traffic was recorded or counted, or a generator spoilt it
	Unknown    time.Duration // the length of Blind
	Of         time.Duration // of the whole: from the begin of the first phase to the end of the last
}

// Outside returns for how long users were outside the objectives. It is found once: a long run takes a while.
func (c *Scorecard) Outside() Outside {
	if c.by.outside == nil {
		o := c.by.findOutside()
		c.by.outside = &o
	}
	return *c.by.outside
}

func (j *judge) findOutside() Outside {
	o := Outside{Objectives: j.steadyExpects()}
	if len(o.Objectives) == 0 || len(j.tl.Phases) == 0 {
		return o
	}
	whole := clock.Span{Start: j.tl.Phases[0].Start, End: j.tl.Phases[len(j.tl.Phases)-1].End}
	o.Of = whole.Length()
	var told, bad []clock.Span
	j.eachSecond(o.Objectives, whole, func(s clock.Span, holds clock.Outcome) {
		if holds == clock.Unknown {
			return
		}
		told = append(told, s)
		if holds == clock.Missed {
			bad = append(bad, s)
		}
	})
	o.Spans = clock.Merge(bad)
	o.Total = total(o.Spans)
	o.Blind = without(whole, told)
	o.Unknown = total(o.Blind)
	return o
}

// eachSecond evaluates expectations second by second over their sliding windows, and tells of each second that traffic
// was recorded for: Missed when any of them does not hold, Unknown when one cannot be told, else Met.
func (j *judge) eachSecond(expects []ExpectPlan, whole clock.Span, tell func(clock.Span, clock.Outcome)) {
	slides := map[time.Duration]*sliding{}
	for _, e := range expects {
		slides[e.Over] = &sliding{over: max(e.Over, second), load: j.load}
	}
	strained := make([][]clock.Span, len(expects))
	for i, e := range expects {
		rest, _, _ := j.unstrained(j.spoilt(e), []clock.Span{whole})
		strained[i] = without(whole, rest)
	}
	ws := j.load.windows[j.load.from(whole.Start):]
	for len(ws) > 0 {
		s := clock.Span{Start: ws[0].Start, End: ws[0].Start.Add(second)}
		if !s.Start.Before(whole.End) {
			return
		}
		// Streams begin their seconds apart: those that begin within one are looked at together.
		last := s.End
		for len(ws) > 0 && ws[0].Start.Before(s.End.Add(-second/10)) {
			last = ws[0].Start.Add(second)
			ws = ws[1:]
		}
		for _, slide := range slides {
			slide.to(s.End, last)
		}
		if len(ws) > 0 && ws[0].Start.Before(s.End) { // the next second begins
			s.End = ws[0].Start
		}
		if s = s.Overlap(whole); s.Length() == 0 {
			continue
		}
		holds := clock.Met
		for i, e := range expects {
			now := j.holdsNow(e, slides[e.Over])
			for len(strained[i]) > 0 && !strained[i][0].End.After(slides[e.Over].span.Start) {
				strained[i] = strained[i][1:]
			}
			if now == clock.Missed && len(strained[i]) > 0 && strained[i][0].Start.Before(slides[e.Over].span.End) {
				now = clock.Unknown
			}
			holds = worseOf(holds, now)
		}
		tell(s, holds)
	}
}

func worseOf(a, b clock.Outcome) clock.Outcome {
	switch {
	case a == clock.Missed || b == clock.Missed:
		return clock.Missed
	case a == clock.Unknown || b == clock.Unknown:
		return clock.Unknown
	}
	return clock.Met
}

// holdsNow evaluates an expectation over its sliding window.
func (j *judge) holdsNow(e ExpectPlan, now *sliding) clock.Outcome {
	for _, s := range e.That.SLIs() {
		for lost := range j.lost {
			if ofRequests(s[1]) && (s[0] == "" || s[0] == lost) {
				return clock.Unknown
			}
		}
	}
	switch v := e.That.Eval(now); {
	case !v.Known || !v.IsBool:
		return clock.Unknown
	case v.Truth:
		return clock.Met
	}
	return clock.Missed
}

// sliding answers for the last seconds up to an instant that only goes on.
type sliding struct {
	over time.Duration
	load *traffic
	span clock.Span
	sum  sli.Aggregate
	now  *spanReadings // of the span; nil until it is asked for
}

// to moves to a second that ends at an instant, of streams the last of which ends it a little later.
func (s *sliding) to(end, last time.Time) {
	s.span, s.now = clock.Span{Start: end.Add(-s.over), End: last}, nil
}

// Read implements sli.Readings.
func (s *sliding) Read(stream, name string) (float64, bool) {
	if s.now == nil {
		s.now = s.load.into(&s.sum, []clock.Span{s.span})
	}
	return s.now.Read(stream, name)
}

// Volume is how much traffic a stream sent over the whole run, and how much of it failed.
type Volume struct {
	Stream   string
	Requests uint64
	Failed   uint64
	Recorded float64 // share of the run's phases for which traffic was recorded, 0 to 1
	// Why says why the numbers are no count of requests; empty when they are.
	Why string
	// Iterations says that the script made no request of its own that is counted, and the numbers are of its iterations.
	Iterations bool
}

// Volumes returns how much traffic each stream sent, in the plan's order.
func (c *Scorecard) Volumes() []Volume {
	j := c.by
	var phases []clock.Span
	for _, p := range j.tl.Phases {
		phases = append(phases, p.Span)
	}
	var out []Volume
	for _, name := range j.load.streams {
		v := Volume{Stream: name, Recorded: j.load.coverage(name, phases), Iterations: iterationsOnly(j.load.of(name))}
		for w := range j.load.of(name) {
			v.Requests += w.OK.Count + w.Failed.Count
			v.Failed += w.Failed.Count
		}
		if said, lost := j.lost[name]; lost {
			v.Why = fmt.Sprintf("%s made no request that was counted, although its script said %q", name, said)
		} else if v.Recorded == 0 {
			v.Why = "no traffic of " + name + " was recorded"
		}
		out = append(out, v)
	}
	return out
}
