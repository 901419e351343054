// Package loadgen holds what every traffic engine shares: schedules of arrivals, one-second windows with histograms,
// and the Generator interface. It knows nothing of k6.
package loadgen

import (
	"context"
	"time"
)

// Spec describes one traffic stream to a Generator.
type Spec struct {
	Stream string // the traffic block's name; stamped on every Window
	// Script is the absolute path of a k6 script. Without one, Flows are what iterations do, and Wire and Data go with them.
	Script string
	Flows  []Flow
	Wire   Wire
	Data   []DataSet
	// Seed makes what is drawn by chance the same in each run with the same one.
	Seed uint64
	Env  map[string]string // environment the script sees as __ENV, on top of nothing
	// Rate is 1x in iterations per second, shared among the script's functions in the script's own proportions. It is not
	// used with KeepExecutors.
	Rate float64
	// Idle makes the stream begin at a multiple of 0, instead of 1: it is ready, and sends nothing until a command.
	Idle bool
	// Poisson makes arrivals come by chance instead of evenly; see Arrivals.
	Poisson bool
	// KeepExecutors keeps the script's own scenarios and scales them by Factor once, instead of replacing them by a
	// schedule of arrivals that can change while it runs.
	KeepExecutors bool
	Factor        float64
	// MaxVUs bounds how many iterations may run at once; 0 lets the engine choose from Rate and PeakMultiple.
	MaxVUs int
	// PeakMultiple is the largest multiple the run plans to ask for, to size the pool of virtual users.
	PeakMultiple float64
	// Dir is a folder of the engine's own for archives and logs; it exists.
	Dir string
	// SetupWithin bounds how long the script may take from its start until its set-up is done; 0 is 60 s.
	SetupWithin time.Duration
	// Grace is how long iterations that run may go on after a stop before they are interrupted; 0 is 2 s.
	Grace time.Duration
	// Commands steer the stream while it runs. Closing the channel is a Stop.
	Commands <-chan Command
	// Ready, when not nil, is called once, when set-up is done and the schedule's first instant has come.
	Ready func()
	// Log, when not nil, hears what the script and the engine say: each message once, and not more than a few.
	Log func(level, message string)
}

// Arrivals returns the arrivals of a part of the stream that has a share of the rate. By chance each part has its own:
// several Poisson processes, each with its share, make together one with all of it.
func (s Spec) Arrivals(part string, share float64) Arrivals {
	return Arrivals{Rate: s.Rate * share, Idle: s.Idle, Poisson: s.Poisson, Seed: SeedFor(s.Seed, part)}
}

// Command changes a running stream.
type Command struct {
	// To is the multiple to reach, and Over how long to take about it; the rate in between is linear.
	To   float64
	Over time.Duration
	// Then are the legs to follow after that, by the stream's own clock, until the next command.
	Then []Leg
	// Stop ends the stream: no new iterations, those in flight may finish within the engine's grace period, teardown runs.
	Stop bool
}

// Generator is a traffic engine.
type Generator interface {
	// Check finds what is wrong with the stream without sending a request.
	Check(ctx context.Context, spec Spec) []Problem
	// Run sends traffic until it is told to stop or ctx ends, and emits a Window for every second, in order, from one
	// goroutine. It returns nil when it was told to stop, ErrEnded when the script came to an end by itself, and otherwise
	// what went wrong.
	Run(ctx context.Context, spec Spec, emit func(Window)) error
}

// Problem is a mistake in a script, or in a request, placed.
type Problem struct {
	Request string // the request's name: "buy/add", or "home" when it is a flow of its own; empty for a script
	Field   string // the request's attribute that is wrong; empty when it is not one
	File    string
	Line    int // from 1; 0 when unknown
	Column  int // from 1; 0 when unknown
	Summary string
	Detail  string
	Source  string // the line's text, when known
}
