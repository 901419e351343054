package k6

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.k6.io/k6/v2/cmd"
	"go.k6.io/k6/v2/errext"
	"go.k6.io/k6/v2/errext/exitcodes"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/output"

	"gameday/loadgen"
)

// orphanLimit is how long a child may go on once its parent is gone, for iterations and teardown to end.
const orphanLimit = 20 * time.Second

// gcPercent lets the child's heap grow to three times what is in use, instead of twice.
const gcPercent = 200

var (
	errStopped = errors.New("the run was told to stop before its schedule began")
	errOrphan  = errors.New("the process that started the traffic is gone")
)

// IsChild reports whether this process was started to be a traffic generator. Then main must call RunChild before it
// does anything else.
func IsChild() bool { return os.Getenv(childVariable) == "1" }

// RunChild makes this process the k6 command and never returns. Descriptor 3 must be writable and 4 readable.
func RunChild() {
	if err := scriptEnvironment(); err != nil {
		fmt.Fprintln(os.Stderr, "gameday: reading the script's environment:", err)
		os.Exit(1)
	}
	// Without k6's own sinks the heap stays so small that the collector would run more often than under plain k6.
	debug.SetGCPercent(gcPercent)
	syscall.CloseOnExec(eventsFD)
	syscall.CloseOnExec(commandsFD)
	c := newChild(os.NewFile(eventsFD, "events"))
	output.RegisterExtension(outputName, c.newOutput)
	lib.RegisterExecutorConfigType(arrivalsType, c.newArrivals)
	lib.RegisterExecutorConfigType(keptType, c.newKept)
	go c.obey(os.NewFile(commandsFD, "commands"))
	cmd.Execute()
}

// scriptEnvironment turns the script's environment into flags for k6, inside the process, and takes what made us a
// child out of the environment.
func scriptEnvironment() error {
	text := os.Getenv(scriptVariable)
	for _, name := range []string{childVariable, scriptVariable} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	if text == "" {
		return nil
	}
	var env map[string]string
	if err := json.Unmarshal([]byte(text), &env); err != nil {
		return err
	}
	for name, value := range env {
		os.Args = append(os.Args, "-e", name+"="+value)
	}
	return nil
}

// child is what the parts inside k6 share.
type child struct {
	events  *json.Encoder
	sending sync.Mutex // guards events

	stop    chan struct{} // closed when no new iterations may begin
	stopped sync.Once

	mu        sync.Mutex
	reason    endReason // set when stop is closed
	abort     func(error)
	start     time.Time // the schedule's first instant; zero before
	announced bool
	schedules []*loadgen.Schedule
	ramp      *command // the last one, for schedules that begin after it came
	created   int      // executors made, and those that have returned
	returned  int
	state     *lib.ExecutionState
	maxVUs    int64
	kept      bool
	logged    map[string]bool
	tally     *tally

	// users are the virtual users that make samples, by number.
	users sync.Map // of string to *user
	// requests is set once the script has made one: from then on iterations do not stand for requests.
	requests atomic.Bool
}

func newChild(events *os.File) *child {
	return &child{
		events: json.NewEncoder(events),
		stop:   make(chan struct{}),
		logged: map[string]bool{},
		tally:  newTally(),
	}
}

// send writes one line to the parent. A parent that is gone is noticed on the other descriptor.
func (c *child) send(e event) {
	c.sending.Lock()
	defer c.sending.Unlock()
	_ = c.events.Encode(e)
}

// obey carries out commands until they end.
func (c *child) obey(commands *os.File) {
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		var cmd command
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			c.log("error", "a command that cannot be read: "+err.Error())
			continue
		}
		if cmd.Stop {
			c.halt(endStopped, errStopped)
			continue
		}
		c.mu.Lock()
		c.ramp = &cmd
		for _, s := range c.schedules {
			s.Ramp(cmd.To, cmd.Over)
		}
		c.mu.Unlock()
	}
	time.AfterFunc(orphanLimit, func() { os.Exit(int(exitcodes.ExternalAbort)) })
	c.halt(endOrphan, errOrphan)
}

// halt lets no new iteration begin. Before the schedule's first instant there is no executor to end the run by itself,
// and k6 is told to abort.
func (c *child) halt(reason endReason, why error) {
	c.stopped.Do(func() {
		c.mu.Lock()
		c.reason = reason
		abort, begun := c.abort, !c.start.IsZero()
		for _, s := range c.schedules {
			s.Stop()
		}
		c.mu.Unlock()
		close(c.stop)
		switch {
		case begun:
		case abort != nil:
			abort(errext.WithExitCodeIfNone(why, exitcodes.ExternalAbort))
		case reason == endOrphan: // k6 has not begun to run the test: nothing to clean up
			os.Exit(int(exitcodes.ExternalAbort))
		}
	})
}

// begin returns the schedule's first instant, the same for all executors: the next whole second, so that windows are
// whole and those of several streams cover the same seconds.
func (c *child) begin(es *lib.ExecutionState) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start.IsZero() {
		now := time.Now()
		c.start = now.Add(time.Second - time.Duration(now.Nanosecond()))
		c.state = es
		c.tally.open(c.start)
	}
	return c.start
}

// announce tells the parent, once, that the first instant has come.
func (c *child) announce() {
	c.mu.Lock()
	first := !c.announced
	c.announced = true
	start := c.start
	c.mu.Unlock()
	if first {
		c.send(event{Ready: &start})
	}
}

// enlist puts a schedule under the parent's commands.
func (c *child) enlist(s *loadgen.Schedule) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schedules = append(c.schedules, s)
	if c.ramp != nil {
		s.Ramp(c.ramp.To, c.ramp.Over)
	}
	if c.reason != "" {
		s.Stop()
	}
}

// finished counts executors that have returned; after the last one windows end.
func (c *child) finished() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.returned++; c.returned == c.created {
		c.tally.close(time.Now())
	}
}

// log passes a message on, if it is new and there were not too many.
func (c *child) log(level, text string) {
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	c.mu.Lock()
	is := c.isNew(text)
	if is {
		c.logged[text] = true
	}
	c.mu.Unlock()
	if is {
		c.send(event{Log: &message{Level: level, Text: text}})
	}
}

// isNew reports whether a message would be passed on. c.mu must be held.
func (c *child) isNew(text string) bool { return len(c.logged) < maxLogs && !c.logged[text] }

// worthLogging reports whether an exception is to be printed at all: one that throws in every iteration would cost
// more than the iterations.
func (c *child) worthLogging(text string) bool {
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isNew(text)
}
