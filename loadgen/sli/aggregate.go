package sli

import (
	"time"

	"gameday/loadgen"
)

// Name is an indicator that traffic has.
type Name struct {
	Name    string
	Summary string // one line: what it is, and its unit
}

// Names lists the indicators that Aggregate and Recent answer for, in the order they are printed.
func Names() []Name {
	return []Name{
		{"rate", "iterations started per second"},
		{"error_ratio", "failed requests, of all requests"},
		{"p50", "response time that half of the requests stay under, in seconds"},
		{"p90", "response time that 90 % of the requests stay under, in seconds"},
		{"p95", "response time that 95 % of the requests stay under, in seconds"},
		{"p99", "response time that 99 % of the requests stay under, in seconds"},
		{"max", "longest response time, in seconds"},
		{"dropped_ratio", "iterations given up because too many waited already, of those due"},
		{"reached_ratio", "iterations started, of those due: 1 when the rate asked for was reached"},
		{"check_ratio", "failed checks of the script, of all its checks"},
	}
}

var quantiles = map[string]float64{"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}

// Aggregate sums windows of one or several streams, and answers for the whole of them. Response times are from the
// intended start and cover all outcomes. The zero value is empty and ready. It is not safe for concurrent use.
type Aggregate struct {
	sums map[string]*sum // by stream
	all  sum             // of all streams, when known says so
	// known is set when somebody asked for all streams, until another window comes.
	known bool
}

// Add counts one window. It keeps nothing of w.
func (a *Aggregate) Add(w loadgen.Window) {
	s := a.sums[w.Stream]
	if s == nil {
		if a.sums == nil {
			a.sums = map[string]*sum{}
		}
		s = &sum{}
		a.sums[w.Stream] = s
	}
	s.addWindow(&w)
	a.known = false
}

// Reset empties the aggregate and keeps its memory.
func (a *Aggregate) Reset() {
	for _, s := range a.sums {
		s.reset()
	}
	a.known = false
}

// of returns the sum of a stream, or of all for "". It is nil of a stream without windows.
func (a *Aggregate) of(stream string) *sum {
	if s := a.sums[stream]; stream != "" || s != nil && len(a.sums) == 1 {
		return s
	}
	if !a.known {
		a.all.reset()
		for _, s := range a.sums {
			a.all.add(s)
		}
		a.known = true
	}
	return &a.all
}

// Read answers what an indicator of a stream is over everything that was added; the stream "" is all of them. ok is
// false without data: no requests, nothing due, no checks, or an unknown name.
func (a *Aggregate) Read(stream, name string) (value float64, ok bool) {
	if s := a.of(stream); s != nil {
		return s.read(name)
	}
	return 0, false
}

// Of returns how many requests, arrivals or checks an indicator's value is of, and 0 for a rate, which is of time.
func (a *Aggregate) Of(stream, name string) uint64 {
	s := a.of(stream)
	if s == nil {
		return 0
	}
	switch name {
	case "rate":
		return 0
	case "dropped_ratio", "reached_ratio":
		return s.due
	case "check_ratio":
		return s.checks
	}
	return s.requests
}

// Seconds returns how many seconds a stream has windows for; the stream "" is all of them.
func (a *Aggregate) Seconds(stream string) int {
	if s := a.of(stream); s != nil {
		return s.seconds.count()
	}
	return 0
}

// sum is what the indicators are computed from.
type sum struct {
	seconds               seconds
	due, started, dropped uint64
	requests, failed      uint64
	checks, checksFailed  uint64
	response              loadgen.Histogram
}

func (s *sum) addWindow(w *loadgen.Window) {
	at := w.Start.Round(time.Second).Unix()
	s.seconds.add(at, at+1)
	s.due += w.Due
	s.started += w.Started
	s.dropped += w.Dropped
	s.requests += w.OK.Count + w.Failed.Count
	s.failed += w.Failed.Count
	s.checks += w.ChecksPassed + w.ChecksFailed
	s.checksFailed += w.ChecksFailed
	s.response.Merge(w.OK.Response)
	s.response.Merge(w.Failed.Response)
}

func (s *sum) add(o *sum) {
	for _, r := range o.seconds {
		s.seconds.add(r.from, r.to)
	}
	s.due += o.due
	s.started += o.started
	s.dropped += o.dropped
	s.requests += o.requests
	s.failed += o.failed
	s.checks += o.checks
	s.checksFailed += o.checksFailed
	s.response.Merge(&o.response)
}

func (s *sum) reset() {
	seconds, response := s.seconds[:0], s.response
	response.Reset()
	*s = sum{seconds: seconds, response: response}
}

func (s *sum) read(name string) (float64, bool) {
	if q, ok := quantiles[name]; ok {
		return s.response.Quantile(q).Seconds(), s.response.Count() > 0
	}
	switch name {
	case "max":
		return s.response.Max().Seconds(), s.response.Count() > 0
	case "rate":
		return ratio(s.started, uint64(s.seconds.count()))
	case "error_ratio":
		return ratio(s.failed, s.requests)
	case "dropped_ratio":
		return ratio(s.dropped, s.due)
	case "reached_ratio":
		return ratio(s.started, s.due)
	case "check_ratio":
		return ratio(s.checksFailed, s.checks)
	}
	return 0, false
}

func ratio(part, whole uint64) (float64, bool) {
	if whole == 0 {
		return 0, false
	}
	return float64(part) / float64(whole), true
}

var _ Readings = (*Aggregate)(nil)
