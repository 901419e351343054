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
	streams map[string]*sum
}

// Add counts one window. It keeps nothing of w.
func (a *Aggregate) Add(w loadgen.Window) {
	if a.streams == nil {
		a.streams = map[string]*sum{}
	}
	for _, stream := range [...]string{w.Stream, ""} {
		s := a.streams[stream]
		if s == nil {
			s = &sum{}
			a.streams[stream] = s
		}
		s.addWindow(w)
		if w.Stream == "" {
			break
		}
	}
}

// Read answers what an indicator of a stream is over everything that was added; the stream "" is all of them. ok is
// false without data: no requests, nothing due, no checks, or an unknown name.
func (a *Aggregate) Read(stream, name string) (value float64, ok bool) {
	if s := a.streams[stream]; s != nil {
		return s.read(name)
	}
	return 0, false
}

// Seconds returns how many seconds a stream has windows for; the stream "" is all of them.
func (a *Aggregate) Seconds(stream string) int {
	if s := a.streams[stream]; s != nil {
		return len(s.seconds)
	}
	return 0
}

// sum is what the indicators are computed from.
type sum struct {
	seconds               map[int64]struct{}
	due, started, dropped uint64
	requests, failed      uint64
	checks, checksFailed  uint64
	response              loadgen.Histogram
}

func (s *sum) addWindow(w loadgen.Window) {
	if s.seconds == nil {
		s.seconds = map[int64]struct{}{}
	}
	s.seconds[w.Start.Round(time.Second).Unix()] = struct{}{}
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
	if s.seconds == nil {
		s.seconds = map[int64]struct{}{}
	}
	for t := range o.seconds {
		s.seconds[t] = struct{}{}
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

func (s *sum) read(name string) (float64, bool) {
	if q, ok := quantiles[name]; ok {
		return s.response.Quantile(q).Seconds(), s.response.Count() > 0
	}
	switch name {
	case "max":
		return s.response.Max().Seconds(), s.response.Count() > 0
	case "rate":
		return ratio(s.started, uint64(len(s.seconds)))
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
