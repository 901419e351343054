// Package alarms reads alarms from the systems that raise them, as episodes with their pending and firing times and the
// coverage of the observation: never as "is it firing now", which forgets.
package alarms

import (
	"context"
	"time"

	"gameday/clock"
)

// Source is a system that raises alarms, or routes them.
type Source interface {
	// Preflight checks what can be checked before the first request: the source answers, it may be read, its clock, and
	// for each expectation that its rule exists, is healthy and is quiet.
	Preflight(ctx context.Context, expected []Expectation) ([]Finding, error)
	// Watch emits what it sees until ctx ends, from one goroutine. It carries on over failures of the source and says so in
	// observations of state StateUnreachable; it returns an error only when watching can never work.
	Watch(ctx context.Context, emit func(Observation)) error
	// History returns the episodes that overlap the span, from the source's own history where it has one, else from what
	// Watch saw, with the coverage of the span. Times are in this machine's clock.
	History(ctx context.Context, span clock.Span) ([]Episode, Coverage, error)
}

// Expectation is an alarm that a scenario waits for: the labels it must have.
type Expectation struct {
	Name  string            `json:"name"`
	Match map[string]string `json:"match"`
}

// Matches reports whether labels has every label of the expectation with the same value.
func (e Expectation) Matches(labels map[string]string) bool { return Match(e.Match, labels) }

// Match reports whether labels has every label of want with the same value. An empty want matches nothing.
func Match(want, labels map[string]string) bool {
	for k, v := range want {
		if labels[k] != v {
			return false
		}
	}
	return len(want) > 0
}

// Finding is one result of a preflight. A finding that Blocks must be mended (or overridden) before anything is injected.
type Finding struct {
	Blocks  bool   `json:"blocks"`
	Summary string `json:"summary"` // "alarm PaymentsDown is firing already"
	Detail  string `json:"detail"`  // cause and next step
	// Absent names an expected alarm that no rule of the source can raise. It does not block: the run goes on, and the
	// alarm is missed for certain, which is not the same as unknown.
	Absent string `json:"absent,omitempty"`
}

// State is what an alarm is doing.
type State string

// The states. Unreachable, Broken and Reachable speak of the source, not of an alarm.
const (
	StatePending     State = "pending"
	StateFiring      State = "firing"
	StateSuppressed  State = "suppressed" // firing, but silenced, inhibited or muted
	StatePaged       State = "paged"      // a notification left for a human
	StateInactive    State = "inactive"
	StateUnreachable State = "unreachable" // the source does not answer
	StateBroken      State = "broken"      // it answers, but cannot know: rule missing, unhealthy or stale
	StateReachable   State = "reachable"   // it answers again
)

// Observation is one change that Watch saw, for the live screen and the record.
type Observation struct {
	At     clock.Interval    `json:"at"`
	Key    string            `json:"key,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	State  State             `json:"state"`
	Why    string            `json:"why,omitempty"` // the error, the silence, the receiver
	// Receivers are to whom it is routed, where the source knows.
	Receivers []string `json:"receivers,omitempty"`
}

// Episode is one alarm from the moment its condition held until it was quiet again.
type Episode struct {
	Source string            `json:"source"` // "prometheus.main"
	Key    string            `json:"key"`    // the same for all episodes of one alarm
	Labels map[string]string `json:"labels"`
	Notes  map[string]string `json:"notes,omitempty"` // annotations: summary, runbook_url, …
	// Pending is when the condition began to hold, Firing when the alarm fired, Ended when it was quiet again. Each is zero
	// when it was not seen: an alarm that never fired, one that still fires.
	Pending clock.Interval `json:"pending,omitzero"`
	Firing  clock.Interval `json:"firing,omitzero"`
	Ended   clock.Interval `json:"ended,omitzero"`
	// Paged is when the first notification about it left; zero when none was seen.
	Paged        clock.Interval `json:"paged,omitzero"`
	SuppressedBy []string       `json:"suppressed_by,omitempty"` // silences, inhibitions
	// Receivers are to whom the source routes it, by the source's own names; nil where it does not say.
	Receivers []string `json:"receivers,omitempty"`
}

// Coverage says for which time a source could have seen an alarm.
type Coverage struct {
	Spans []clock.Span `json:"spans"`
	// Why names what is missing, in words: "unreachable 14:04:10 to 14:04:40: connection refused".
	Why []string `json:"why,omitempty"`
	// Resolution is how far apart looks at the source, or its evaluations, are.
	Resolution time.Duration `json:"resolution"`
	Offset     clock.Offset  `json:"offset"`
	// Blind names what could not be seen although the alarms themselves could, such as StatePaged: that none was seen says
	// nothing then.
	Blind []Blind `json:"blind,omitempty"`
}

// Blind is one thing that a source could not see for some time, or ever, while it saw the rest.
type Blind struct {
	To    State        `json:"to"`
	Spans []clock.Span `json:"spans"`
	Why   string       `json:"why"` // in words: "it does not tell of notifications"
}

// Remembering is implemented by sources that keep a history of their own, and so can tell of the time before anybody watched
// them.
type Remembering interface {
	// Past returns the episodes of what Preflight was asked about that overlap a span before the run, with the coverage of the
	// span: from the source's own history alone. A history that is not kept, or was cut off, is an error or a gap, never an
	// empty list. What the rules are now, they are taken to have been then.
	Past(ctx context.Context, span clock.Span) ([]Episode, Coverage, error)
}

// Querier is implemented by sources that can answer for an SLI of the scenario's own.
type Querier interface {
	// Query returns the value of a query that yields one number; ok is false when it yields none.
	Query(ctx context.Context, query string) (value float64, ok bool, err error)
}

// Ranger is implemented by sources that can answer for the past of a metric.
type Ranger interface {
	// Range returns the values of a query at the begin of a span and after each step, up to and with its end: at most some ten
	// thousand of each series. Where a series has no value it has no sample. Times are those of the source's clock. An answer
	// that the source itself calls incomplete is an error.
	Range(ctx context.Context, query string, span clock.Span, step time.Duration) ([]Series, error)
}

// Series is one of the series that a query yields.
type Series struct {
	Labels  map[string]string
	Samples []Sample // in order of time
}

// Sample is a value of a series.
type Sample struct {
	At    time.Time
	Value float64
}

// Server is implemented by sources that are told of alarms: they must be started before they can be.
type Server interface {
	// Start listens until Stop is called, and returns the address.
	Start(ctx context.Context) (address string, err error)
	// Stop ends listening and releases everything; it waits for what is under way.
	Stop() error
}
