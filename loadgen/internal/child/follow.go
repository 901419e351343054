package child

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gameday/loadgen"
)

// Follower passes on what a child says and what it is to be told, from its start to its end.
type Follower struct {
	Spec loadgen.Spec
	Emit func(loadgen.Window)
	// Subject is what runs, for errors: a script's path, or the stream.
	Subject string
	// Log is the log's path, for errors, and Said finds in its end what a child died of, or "".
	Log  string
	Said func() string
	// Words changes what a child says into what people know; nil leaves it.
	Words func(string) string
	// Script hears what the child has learnt of a script; nil leaves it.
	Script func(Script)
	// SetupWithin bounds what comes before the first instant, and EndWithin what comes after a stop.
	SetupWithin, EndWithin time.Duration

	child  *Process
	ending *Ending // what the child said last
	told   bool    // it was told to stop
}

// Follow returns when the child is gone: nil when it was told to stop, an error that wraps loadgen.ErrEnded when it came to
// its end before, ctx's cause when ctx ended, and otherwise what went wrong.
func (f *Follower) Follow(ctx context.Context, p *Process) error {
	f.child = p
	done := make(chan struct{})
	defer close(done)
	events, broken := make(chan Event, 16), make(chan error, 1)
	go func() { broken <- readEvents(p.events, events, done) }()
	if err := f.steer(ctx, events); err != nil {
		p.End()
		for e := range events { // what it has said before
			f.hear(e)
		}
		return err
	}
	<-p.Exited
	if err := <-broken; err != nil {
		return f.failure(err.Error())
	}
	return f.outcome()
}

// steer passes windows on and commands down until the child has no more to say.
func (f *Follower) steer(ctx context.Context, events <-chan Event) error {
	// An engine bounds its set-up itself; this is for what comes before it, and for what cannot be interrupted.
	timer := time.NewTimer(f.SetupWithin + KillAfter)
	defer timer.Stop()
	late := func() error {
		return fmt.Errorf("preparing %s: its setup did not end within %s", f.Subject, f.SetupWithin)
	}
	commands, begin := f.Spec.Commands, f.Spec.Begin
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return nil
			}
			f.hear(e)
			switch {
			case f.told:
			case e.Ready != nil, e.Prepared:
				timer.Stop()
			case e.Script != nil:
				timer.Reset(f.SetupWithin + KillAfter)
			}
		case c, ok := <-commands:
			if f.tell(Command{At: c.At, To: c.To, Over: c.Over, Then: c.Then, Stop: c.Stop || !ok}) {
				commands = nil // nothing comes after a stop
				timer.Reset(f.EndWithin)
				late = func() error {
					return fmt.Errorf("stopping %s: its teardown did not end within %s", f.Subject, f.EndWithin)
				}
			}
		case at := <-begin:
			f.tell(Command{Begin: &at})
			begin = nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return late()
		}
	}
}

// tell sends one command, and reports whether it was a stop. A child that is gone is noticed by its events' end.
func (f *Follower) tell(c Command) (stop bool) {
	f.told = f.told || c.Stop
	_ = f.child.Tell(c)
	return c.Stop
}

// hear takes one line from the child.
func (f *Follower) hear(e Event) {
	switch {
	case e.Window != nil:
		e.Window.Stream = f.Spec.Stream
		f.Emit(*e.Window)
	case e.Prepared && f.Spec.Prepared != nil:
		f.Spec.Prepared()
	case e.Ready != nil && f.Spec.Ready != nil:
		f.Spec.Ready()
	case e.Script != nil:
		f.SetupWithin, f.EndWithin = e.Script.SetupWithin, e.Script.EndWithin
		if f.Script != nil {
			f.Script(*e.Script)
		}
	case e.Log != nil && f.Spec.Log != nil:
		f.Spec.Log(e.Log.Level, f.words(e.Log.Text))
	case e.End != nil:
		f.ending = e.End
	}
}

func (f *Follower) words(text string) string {
	if f.Words == nil {
		return text
	}
	return f.Words(text)
}

// outcome turns the end of the child into an error.
func (f *Follower) outcome() error {
	if f.ending == nil {
		died := f.child.Died()
		if died == "" {
			died = "it ended without a word"
		}
		return f.failure(died)
	}
	switch f.ending.Reason {
	case EndStopped:
		if f.ending.Error == "" {
			return nil
		}
	case EndEnded:
		return fmt.Errorf("running %s: %w", f.Subject, loadgen.ErrEnded)
	case EndOrphan: // said to one who is there all the same
		return fmt.Errorf("running %s: %s", f.Subject, silent())
	case EndAborted:
		return fmt.Errorf("running %s: %s: %w", f.Subject, f.words(f.ending.Error), loadgen.ErrEnded)
	}
	return fmt.Errorf("running %s: %s (see %s)", f.Subject, f.words(f.ending.Error), f.Log)
}

// failure is an error about a child without a last word: what it logged, or how it came to its end.
func (f *Follower) failure(cause string) error {
	return Failure("running "+f.Subject, cause, f.said(), f.Log, f.Words)
}

func (f *Follower) said() string {
	if f.Said == nil {
		return ""
	}
	return f.Said()
}

// wordPrefix begins the line with which a child says in its log what it ends of.
const wordPrefix = "gameday: "

// Died finds in a line of a child's log what it died of: its own last word, or Go's.
func Died(line string) string {
	line = strings.TrimSpace(line)
	if word, ok := strings.CutPrefix(line, wordPrefix); ok {
		return word
	}
	for _, begin := range []string{"panic:", "fatal error:", "runtime:"} {
		if strings.HasPrefix(line, begin) {
			return line
		}
	}
	return ""
}

// Failure is an error about a child: what it said in its log, if anything, or else the cause. Words may be nil.
func Failure(doing, cause, said, log string, words func(string) string) error {
	if said != "" {
		if strings.Contains(cause, "signal") {
			said += "; " + cause
		}
		cause = said
	}
	if words != nil {
		cause = words(cause)
	}
	return fmt.Errorf("%s: %s (see %s)", doing, cause, log)
}
