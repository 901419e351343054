package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.k6.io/k6/v2/cmd"
	"go.k6.io/k6/v2/errext"
	"go.k6.io/k6/v2/errext/exitcodes"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/output"
	"go.k6.io/k6/v2/secretsource"

	"gameday/loadgen/internal/child"
	"gameday/loadgen/k6/internal/wire"
)

// gcPercent lets the child's heap grow to three times what is in use, instead of twice.
const gcPercent = 200

var (
	errStopped = errors.New("the run was told to stop before its schedule began")
	errOrphan  = errors.New("the process that started the traffic is gone")
)

// IsChild reports whether this process was started to be a traffic generator. Then main must call RunChild before it
// does anything else.
func IsChild() bool { return child.Role() == wire.Role }

// RunChild makes this process the k6 command and never returns. Descriptor 3 must be writable and 4 readable.
func RunChild() {
	env, err := scriptEnvironment()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gameday: reading the script's environment:", err)
		os.Exit(1)
	}
	// Without k6's own sinks the heap stays so small that the collector would run more often than under plain k6.
	debug.SetGCPercent(gcPercent)
	secretsource.RegisterExtension(wire.SecretsName, (&secrets{env}).source)
	voice, err := child.Speak()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gameday: becoming a traffic generator:", err)
		os.Exit(1)
	}
	if os.Getenv(wire.JobVariable) != "" {
		if err := prepare(os.Stdin, voice); err != nil {
			voice.Send(child.Event{End: &child.Ending{Reason: child.EndFailed, Error: err.Error()}})
			os.Exit(1)
		}
	}
	c := newGenerator(voice)
	output.RegisterExtension(wire.OutputName, c.newOutput)
	lib.RegisterExecutorConfigType(arrivalsType, c.newArrivals)
	lib.RegisterExecutorConfigType(keptType, c.newKept)
	go voice.Hear(c.obey, int(exitcodes.ExternalAbort), func() { c.halt(child.EndOrphan, errOrphan) })
	cmd.Execute()
}

// scriptEnvironment turns the script's environment into flags for k6, inside the process, and returns it.
func scriptEnvironment() (env map[string]string, err error) {
	text := os.Getenv(wire.ScriptVariable)
	if err := os.Unsetenv(wire.ScriptVariable); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &env); err != nil {
		return nil, err
	}
	for name, value := range env {
		os.Args = append(os.Args, "-e", name+"="+value)
	}
	return env, nil
}

// generator is what the parts inside k6 share.
type generator struct {
	*child.Voice

	helm child.Helm
	gun  *child.Gun

	stop    chan struct{} // closed when no new iterations may begin
	stopped sync.Once

	beginning sync.Once

	mu        sync.Mutex
	reason    child.EndReason // set when stop is closed
	abort     func(error)
	start     time.Time // the schedule's first instant; zero before
	announced bool
	created   int // executors made, and those that have returned
	returned  int
	state     *lib.ExecutionState
	maxVUs    int64
	kept      bool
	calls     bool // the script speaks of gRPC: iterations that end are looked at
	tally     *child.Tally

	// users are the virtual users that make samples, by number.
	users sync.Map // of string to *user
	// requests is set once the script has made one: from then on iterations do not stand for requests.
	requests atomic.Bool
	// exceptions counts those under k6's own executors that no iteration was charged with yet.
	exceptions atomic.Int64
}

func newGenerator(v *child.Voice) *generator {
	return &generator{Voice: v, gun: child.NewGun(os.Getenv(wire.HeldVariable) != ""), stop: make(chan struct{}), tally: child.NewTally()}
}

// obey carries out one command.
func (c *generator) obey(cmd child.Command) {
	switch {
	case cmd.Stop:
		c.halt(child.EndStopped, errStopped)
	case cmd.Begin != nil:
		c.gun.Fire(*cmd.Begin)
	default:
		c.helm.Turn(cmd)
	}
}

// halt lets no new iteration begin. Before the schedule's first instant there is no executor to end the run by itself,
// and k6 is told to abort.
func (c *generator) halt(reason child.EndReason, why error) {
	c.stopped.Do(func() {
		c.mu.Lock()
		c.reason = reason
		abort, begun := c.abort, !c.start.IsZero()
		c.mu.Unlock()
		c.helm.Stop()
		close(c.stop)
		switch {
		case begun:
		case abort != nil:
			abort(errext.WithExitCodeIfNone(why, exitcodes.ExternalAbort))
		case reason == child.EndOrphan: // k6 has not begun to run the test: nothing to clean up
			os.Exit(int(exitcodes.ExternalAbort))
		}
	})
}

// begin returns the schedule's first instant, the same for all executors; false when the run was stopped before.
func (c *generator) begin(es *lib.ExecutionState) (time.Time, bool) {
	c.beginning.Do(func() {
		start, ok := c.gun.Wait(func() { c.Send(child.Event{Prepared: true}) }, c.stop)
		if !ok {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.start, c.state = start, es
		c.tally.Open(start)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start, !c.start.IsZero()
}

// announce tells the parent, once, that the first instant has come.
func (c *generator) announce() {
	c.mu.Lock()
	first := !c.announced
	c.announced = true
	start := c.start
	c.mu.Unlock()
	if first {
		c.Send(child.Event{Ready: &start})
	}
}

// finished counts executors that have returned; after the last one windows end.
func (c *generator) finished() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.returned++; c.returned == c.created {
		c.tally.Close(time.Now())
	}
}
