package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// role is this engine's, as child.Role tells it.
const role = "native"

const (
	defaultGrace = 2 * time.Second
	// setupLimit bounds how long a child may take until its first instant: it reads files and contacts nobody.
	setupLimit = 30 * time.Second
)

// Engine sends the requests of flows. Its methods may be called from any goroutine; one Engine serves any number of streams.
type Engine struct {
	// Self is the program to start as a child, whose main calls RunChild when IsChild; empty is this program.
	Self string
}

var _ loadgen.Generator = (*Engine)(nil)

// Check compiles the flows: texts, addresses, conditions, and the files they name. It sends nothing.
func (e *Engine) Check(_ context.Context, spec loadgen.Spec) []loadgen.Problem {
	_, programError := compile(spec)
	_, wireError := newWire(spec.Wire)
	var out []loadgen.Problem
	for _, err := range flat(errors.Join(programError, wireError)) {
		p := loadgen.Problem{Summary: "Mistake in a request"}
		var at *requestError
		if errors.As(err, &at) {
			p.Request, p.Field, err = at.request, at.field, at.err
		}
		text := err.Error()
		p.Detail = strings.ToUpper(text[:1]) + text[1:] + "."
		out = append(out, p)
	}
	return out
}

// flat returns the errors that were joined, however deep.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flat(e)...)
	}
	return out
}

// Run sends the flows' requests from a child until it is told to stop or ctx ends. Windows begin with the schedule's first
// instant, which is a whole second of the clock, and cover every second until the last iteration has ended. The child's log,
// native.log, stays in the spec's folder; the flows, which may hold secrets, go to the child by a pipe and to no file.
//
// Service time is from the send, with getting a connection, to the last byte; response time is that and how late its
// iteration began. A request has failed when it got no answer within its timeout, when its status is not what is expected,
// or when a condition on the answer does not hold.
//
// It returns nil when it was told to stop, the context's cause when ctx ended, and otherwise what went wrong.
func (e *Engine) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	subject := fmt.Sprintf("traffic %q", spec.Stream)
	switch {
	case spec.Dir == "":
		return fmt.Errorf("running %s: no folder was given for its log", subject)
	case !(spec.Rate > 0):
		return fmt.Errorf("running %s: a rate of %g iterations per second sends nothing; give one above 0",
			subject, spec.Rate)
	}
	spec, err := unpack(spec)
	if err != nil {
		return err
	}
	log, err := child.OpenLog(filepath.Join(spec.Dir, "native.log"))
	if err != nil {
		return err
	}
	return errors.Join(e.follow(ctx, spec, subject, log, emit), log.Close())
}

func (e *Engine) follow(ctx context.Context, spec loadgen.Spec, subject string, log *child.Log, emit func(loadgen.Window)) error {
	orders, err := json.Marshal(ordersOf(spec))
	if err != nil {
		return fmt.Errorf("running %s: %w", subject, err)
	}
	p, err := child.Start{Self: e.Self, Engine: role, Input: bytes.NewReader(orders), Log: log, Memory: child.Bound(spec)}.Run()
	if err != nil {
		return err
	}
	defer p.Close()
	f := &child.Follower{Spec: spec, Emit: emit, Subject: subject, Log: filepath.Join(spec.Dir, "native.log"),
		Said:        func() string { return crash(log.Tail()) },
		SetupWithin: setupLimit, EndWithin: graceOf(spec) + child.KillAfter}
	return f.Follow(ctx, p)
}

func graceOf(spec loadgen.Spec) time.Duration {
	if spec.Grace > 0 {
		return spec.Grace
	}
	return defaultGrace
}

// crash finds in a log where Go reports the end of a program.
func crash(log string) string {
	for line := range strings.Lines(log) {
		if word := child.Died(line); word != "" {
			return word
		}
	}
	return ""
}

// orders are what a child is told on its standard input.
type orders struct {
	loadgen.Spec
	Held bool `json:"held,omitempty"` // it waits to be told its first instant
}

func ordersOf(s loadgen.Spec) orders {
	s.Grace = graceOf(s)
	return orders{Spec: s, Held: s.Begin != nil}
}

// size is how much a crew may hold.
type size struct {
	MaxVUs  int // users, and so requests under way
	Backlog int // arrivals that may wait for a user
}

const (
	// mostVUs is how many users there may be when nobody said.
	mostVUs = 10_000
	// longestIteration is how long the requests of an iteration are taken to last at most when users are counted, longestPause how
	// long its pauses, and backlogTime how much traffic at the peak may wait for a user before arrivals are dropped.
	longestIteration = 8 * time.Second
	longestPause     = time.Hour
	backlogTime      = 5 * time.Second
)

// pauses returns how long an iteration waits between its requests at most: a user who thinks is one more who must be there.
func pauses(flows []loadgen.Flow) time.Duration {
	most := time.Duration(0)
	for _, f := range flows {
		sum := time.Duration(0)
		for i, r := range f.Requests {
			if i < len(f.Requests)-1 && f.Weight > 0 {
				sum = min(sum+min(r.Think.Max, longestPause), longestPause)
			}
		}
		most = max(most, sum)
	}
	return most
}

func sizeOf(s loadgen.Spec) size {
	peak := s.Rate * max(1, s.PeakMultiple) * s.Segment.Share()
	out := size{Backlog: int(min(max(100, peak*backlogTime.Seconds()), 100_000))}
	if s.MaxVUs > 0 {
		out.MaxVUs = s.Segment.Part(s.MaxVUs)
	} else {
		out.MaxVUs = int(min(max(50, peak*(longestIteration+pauses(s.Flows)).Seconds()), mostVUs))
	}
	return out
}

// IsChild reports whether this process was started to be a native generator. Then main must call RunChild before it does
// anything else.
func IsChild() bool { return child.Role() == role }

// RunChild makes this process a generator and never returns. Descriptor 3 must be writable and 4 readable.
func RunChild() {
	voice, err := child.Speak()
	if err == nil {
		err = serve(voice)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gameday:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
