// Package prometheus reads alarms from a Prometheus, or from anything that answers its API. What it reports after a run
// is taken from the ALERTS and ALERTS_FOR_STATE series, because the list of active alerts forgets.
package prometheus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// Source is one Prometheus. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name   string
	server string // its address
	poll   time.Duration
	api    *web.Client
	// noise are the labels of alarms that nobody expects but that History must return as well.
	noise map[string]string

	account *looks.Account
	memory  fold.Memory
	notes   fold.Notes // as last seen with an active alert, by when its pending phase began

	mu       sync.Mutex
	expected []alarms.Expectation
	absent   map[string]bool // names of expected alarms that no rule can raise, as Preflight found
	offset   clock.Offset
	measured bool // offset is set
}

var (
	_ alarms.Source  = (*Source)(nil)
	_ alarms.Querier = (*Source)(nil)
	_ alarms.Ranger  = (*Source)(nil)
	_ alarms.Adviser = (*Source)(nil)
)

// New returns a source, named as in "prometheus.main". noise are the labels of the alarms to report although nobody
// expects them, such as severity = "page"; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	options, poll, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(options)
	if err != nil {
		return nil, err
	}
	return &Source{
		name: name, server: c.URL, poll: poll, api: api, noise: maps.Clone(noise),
		account: looks.New(poll),
	}, nil
}

// Expect says which alarms Watch and History are to look for. Preflight does it too; Expect is for a process that only
// asks for history.
func (s *Source) Expect(expected []alarms.Expectation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected, s.absent = slices.Clone(expected), map[string]bool{}
}

// markAbsent notes that no rule can raise an expected alarm.
func (s *Source) markAbsent(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent[name] = true
}

// check judges the rules of all the expected alarms that can be raised at all. now is the time by the server's clock.
func (s *Source) check(rules []rule, now time.Time, each func(mine []rule, wrong *problem)) {
	s.mu.Lock()
	expected, absent := s.expected, maps.Clone(s.absent)
	s.mu.Unlock()
	for _, e := range expected {
		if !absent[e.Name] {
			each(judge(e, rules, now))
		}
	}
}

// expectations returns what is expected.
func (s *Source) expectations() []alarms.Expectation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expected
}

// wanted reports whether an alarm with these labels is expected or is noise. Without either, every alarm is wanted.
func (s *Source) wanted(labels map[string]string) bool {
	expected := s.expectations()
	if len(expected) == 0 && len(s.noise) == 0 {
		return true
	}
	for _, e := range expected {
		if e.Matches(labels) {
			return true
		}
	}
	return alarms.Match(s.noise, labels)
}

// selectors returns the label matchers, in PromQL's form, of the series that History reads. An expected alarm is
// selected by its name alone where it has one: the other labels are the scorer's business, which can then say what
// differed.
func (s *Source) selectors() []string {
	var out []string
	add := func(match map[string]string) {
		parts := make([]string, 0, len(match))
		for _, name := range slices.Sorted(maps.Keys(match)) {
			parts = append(parts, name+"="+strconv.Quote(match[name]))
		}
		if sel := "{" + strings.Join(parts, ",") + "}"; !slices.Contains(out, sel) {
			out = append(out, sel)
		}
	}
	for _, e := range s.expectations() {
		if name := e.Match[alertName]; name != "" {
			add(map[string]string{alertName: name})
		} else if len(e.Match) > 0 {
			add(e.Match)
		}
	}
	if len(s.noise) > 0 {
		add(s.noise)
	}
	if len(out) == 0 {
		add(nil)
	}
	return out
}

// alertName is the label that Prometheus gives every alert.
const alertName = "alertname"

// probes is how often the other clock is asked.
const probes = 5

// measure estimates the server's clock offset from the answers to time(), which are cut to the millisecond, and keeps
// it. A later measurement that disagrees with an earlier one widens the uncertainty: the clock was set during the run.
func (s *Source) measure(ctx context.Context) (clock.Offset, error) {
	var asked []clock.Probe
	for range probes {
		stamp, reply, err := s.serverTime(ctx)
		if err != nil {
			return clock.Offset{}, err
		}
		asked = append(asked, clock.Probe{Sent: reply.Sent, Stamp: stamp, Received: reply.Received})
	}
	o, _ := clock.EstimateOffset(asked, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measured {
		if apart := (o.Ahead - s.offset.Ahead).Abs(); apart > o.Err+s.offset.Err {
			o = clock.Offset{Ahead: (o.Ahead + s.offset.Ahead) / 2, Err: apart/2 + max(o.Err, s.offset.Err)}
		}
	}
	s.offset, s.measured = o, true
	return o, nil
}

// knownOffset returns the offset measured last; zero when none was.
func (s *Source) knownOffset() clock.Offset {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

// Query returns the value of an instant query that yields one number.
func (s *Source) Query(ctx context.Context, query string) (value float64, ok bool, err error) {
	value, ok, err = s.number(ctx, query)
	if err != nil {
		return 0, false, fmt.Errorf("asking %s for %q: %w", s.name, query, err)
	}
	return value, ok, nil
}

// Range returns the values of a query over a span, at each step. What the server warns of makes the answer incomplete.
func (s *Source) Range(ctx context.Context, query string, span clock.Span, step time.Duration) ([]alarms.Series, error) {
	found, warnings, err := s.span(ctx, query, span.Start, span.End, step)
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("the answer may be incomplete: the server warns: %s", strings.Join(warnings, "; "))
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for %q: %w", s.name, query, err)
	}
	out := make([]alarms.Series, len(found))
	for i, f := range found {
		out[i].Labels = f.Metric
		for _, v := range f.Samples {
			out[i].Samples = append(out[i].Samples, alarms.Sample(v))
		}
	}
	return out, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }
