// Package loadgen holds what every traffic engine shares: schedules of arrivals, one-second windows with histograms,
// and the Generator interface. It knows nothing of k6.
package loadgen

import (
	"context"
	"time"
)

// Spec describes one traffic stream to a Generator.
type Spec struct {
	Stream string `json:"stream"` // the traffic block's name; stamped on every Window
	// Script is the absolute path of a k6 script. Without one, Flows are what iterations do, and Wire and Data go with them.
	Script string    `json:"script,omitempty"`
	Flows  []Flow    `json:"flows,omitempty"`
	Wire   Wire      `json:"wire,omitzero"`
	Data   []DataSet `json:"data,omitempty"`
	// Files are what was packed for a machine where the files are not: the script's archive, and what flows name, by path.
	Files map[string][]byte `json:"files,omitempty"`
	// Seed makes what is drawn by chance the same in each run with the same one.
	Seed uint64            `json:"seed"`
	Env  map[string]string `json:"env,omitempty"` // environment the script sees as __ENV, on top of nothing
	// Rate is 1x in iterations per second, shared among the script's functions in the script's own proportions. It is not
	// used with KeepExecutors.
	Rate float64 `json:"rate"`
	// Generators are the machines that share the stream; none is this one. Segment is the part of it that one of them
	// sends. Rate and MaxVUs are the whole stream's all the same.
	Generators []Node  `json:"-"`
	Segment    Segment `json:"segment,omitzero"`
	// RunOn says who starts the runners that share the stream, instead of Generators; nil is nobody.
	RunOn *RunOn `json:"-"`
	// Idle makes the stream begin at a multiple of 0, instead of 1: it is ready, and sends nothing until a command.
	Idle bool `json:"idle,omitempty"`
	// Poisson makes arrivals come by chance instead of evenly; see Arrivals.
	Poisson bool `json:"poisson,omitempty"`
	// KeepExecutors keeps the script's own scenarios and scales them by Factor once, instead of replacing them by a
	// schedule of arrivals that can change while it runs.
	KeepExecutors bool    `json:"keep_executors,omitempty"`
	Factor        float64 `json:"factor,omitempty"`
	// MaxVUs bounds how many iterations may run at once; 0 lets the engine choose from Rate and PeakMultiple.
	MaxVUs int `json:"max_vus,omitempty"`
	// Memory bounds what the generator's process may hold, in bytes: at the bound it ends, with an error that says so. 0 is half of
	// what its machine has, or may have in its control group, divided by Sharing: how many generators, with this one, are
	// there; 0 is 1.
	Memory  uint64 `json:"memory,omitempty"`
	Sharing int    `json:"sharing,omitempty"`
	// PeakMultiple is the largest multiple the run plans to ask for, to size the pool of virtual users.
	PeakMultiple float64 `json:"peak_multiple,omitempty"`
	// Dir is a folder of the engine's own for archives and logs; it exists.
	Dir string `json:"-"`
	// SetupWithin bounds how long the script may take from its start until its set-up is done; 0 is 60 s.
	SetupWithin time.Duration `json:"setup_within,omitempty"`
	// Grace is how long iterations that run may go on after a stop before they are interrupted; 0 is 2 s.
	Grace time.Duration `json:"grace,omitempty"`
	// Commands steer the stream while it runs. Closing the channel is a Stop.
	Commands <-chan Command `json:"-"`
	// Begin, when not nil, gives the stream its first instant, for several to begin together: without it that is the next
	// whole second. Prepared is called once when the stream could begin.
	Begin    <-chan time.Time `json:"-"`
	Prepared func()           `json:"-"`
	// Ready, when not nil, is called once, when set-up is done and the schedule's first instant has come.
	Ready func() `json:"-"`
	// Log, when not nil, hears what the script and the engine say: each message once, and not more than a few.
	Log func(level, message string) `json:"-"`
}

// Arrivals returns the arrivals of a part of the stream that has a share of the rate. By chance each part has its own:
// several Poisson processes, each with its share, make together one with all of it.
func (s Spec) Arrivals(part string, share float64) Arrivals {
	return Arrivals{Rate: s.Rate * share, Idle: s.Idle, Poisson: s.Poisson, Seed: SeedFor(s.Seed, part), Segment: s.Segment}
}

// Command changes a running stream.
type Command struct {
	// At is the time since the stream's first instant at which it counts; 0 is when it comes.
	At time.Duration
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

// Packer is a Generator that can pack what it reads from files, for a generator on another machine.
type Packer interface {
	// Pack returns the stream with Files.
	Pack(ctx context.Context, spec Spec) (Spec, error)
}
