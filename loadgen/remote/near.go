package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// vague is an uncertainty about another clock that makes its windows' seconds those of their neighbours.
const vague = 200 * time.Millisecond

// firstWord is how long the far end may take until it is heard: the stream has to get there.
const firstWord = 90 * time.Second

// maxSaid bounds what is kept of what the far end says on standard error.
const maxSaid = 4 << 10

// Generator sends streams, packed ones, from one other machine. Its methods may be called from any goroutine.
type Generator struct {
	// Version is this program's; the far end must be of the same.
	Version string
	// Start returns the program over there on its way, not started; it is killed when ctx ends.
	Start func(ctx context.Context) (*exec.Cmd, error)
	// Explain turns the program's end, and what it said, into an error; nil leaves it.
	Explain func(err error, said string) error
}

var _ loadgen.Generator = (*Generator)(nil)

// Check finds nothing: the stream was checked here.
func (g *Generator) Check(context.Context, loadgen.Spec) []loadgen.Problem { return nil }

// Run sends the stream from over there until it is told to stop or ctx ends. Windows begin at whole seconds of this
// machine's clock. It returns when the program over there is gone, or is not heard any more.
func (g *Generator) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	cmd, err := g.Start(life)
	if err != nil {
		return err
	}
	said := &tail{}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("starting the generator: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting the generator: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the generator: %w", err)
	}
	n := &near{spec: spec, emit: emit, lines: make(chan toNear, 64),
		orders: make(chan []byte, 256), broken: make(chan error, 1)}
	done := make(chan struct{})
	go n.read(out, done)
	go n.write(in, done)
	err = n.follow(ctx, g.Version)
	close(done)
	if err != nil && !errors.Is(err, errLost) {
		kill() // the program over there hears of it by the end of the connection
	}
	timer := time.AfterFunc(child.KillAfter, kill)
	waited := cmd.Wait()
	timer.Stop()
	switch {
	case !errors.Is(err, errLost):
		return err
	case len(n.probes) > 0:
		return fmt.Errorf("it ended without a word, or the connection to it did: %w", explained(waited, said.String()))
	case g.Explain != nil:
		return g.Explain(waited, said.String())
	}
	return explained(waited, said.String())
}

// errLost says that the far end has no more to say, and has not said why.
var errLost = errors.New("it ended without a word")

func explained(waited error, said string) error {
	switch {
	case waited == nil:
		return errLost
	case said != "":
		return fmt.Errorf("%w: %s", waited, strings.TrimSpace(said))
	}
	return waited
}

// near is the near end of one stream.
type near struct {
	spec   loadgen.Spec
	emit   func(loadgen.Window)
	orders chan []byte // lines to the far end
	lines  chan toNear
	broken chan error // why lines was closed, if it was not the end

	probes   []clock.Probe
	probe    int // number of the question that is not answered yet, or 0
	asked    time.Time
	offset   clock.Offset
	prepared bool // the far end is
	passed   bool // that was passed on
	ending   *child.Ending
}

// read decodes what the far end says, until its end.
func (n *near) read(out io.Reader, done <-chan struct{}) {
	defer close(n.lines)
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	begun := false
	for lines.Scan() {
		var l toNear
		err := json.Unmarshal(lines.Bytes(), &l)
		if err != nil && !begun {
			continue // a login script said it
		}
		if err != nil {
			if lines.Scan() { // else it was cut off by the end
				n.broken <- fmt.Errorf("reading what the generator says: %w", err)
			}
			return
		}
		begun = true
		select {
		case n.lines <- l:
		case <-done:
			return
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		n.broken <- fmt.Errorf("reading what the generator says: %w", err)
	}
}

// write sends lines to the far end; closing its input at the end stops it, if nothing else did.
func (n *near) write(in io.WriteCloser, done <-chan struct{}) {
	defer in.Close()
	for {
		select {
		case line := <-n.orders:
			if _, err := in.Write(line); err != nil {
				return // its end is noticed by what it says
			}
		case <-done:
			return
		}
	}
}

func (n *near) tell(l toFar) error {
	line, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("telling the generator: %w", err)
	}
	select {
	case n.orders <- append(line, '\n'):
		return nil
	default:
		return errors.New("it takes no more orders")
	}
}

// follow hands the stream over, and passes on what each side says until the far end has no more to say.
func (n *near) follow(ctx context.Context, version string) error {
	if err := n.tell(toFar{Stream: &stream{Version: version, Spec: n.spec}}); err != nil {
		return err
	}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	silence := time.NewTimer(firstWord)
	defer silence.Stop()
	limit := firstWord
	commands := n.spec.Commands
	err := n.ask()
	for err == nil {
		select {
		case l, ok := <-n.lines:
			if !ok {
				return n.outcome()
			}
			limit = Silence
			silence.Reset(limit)
			err = n.hear(l)
		case c, ok := <-commands:
			if c.Stop = c.Stop || !ok; c.Stop {
				commands = nil
			}
			err = n.tell(toFar{Order: &child.Command{At: c.At, To: c.To, Over: c.Over, Then: c.Then, Stop: c.Stop}})
		case at := <-n.spec.Begin:
			theirs := at.Round(0).Add(n.offset.Ahead)
			err = n.tell(toFar{Order: &child.Command{Begin: &theirs}})
		case <-ticker.C:
			err = n.ask()
		case <-silence.C:
			err = fmt.Errorf("nothing was heard of it for %s", limit)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	return err
}

// ask puts another question, unless one is open.
func (n *near) ask() error {
	if n.probe != 0 {
		return nil
	}
	n.probe, n.asked = len(n.probes)+1, time.Now()
	return n.tell(toFar{Probe: n.probe})
}

// hear takes one line from the far end.
func (n *near) hear(l toNear) error {
	switch e := l.Event; {
	case l.Answer != nil && l.Answer.Probe == n.probe:
		n.probe = 0
		if n.passed {
			return nil
		}
		n.probes = append(n.probes, clock.Probe{Sent: n.asked, Stamp: l.Answer.Now, Received: time.Now()})
		if len(n.probes) < clockProbes {
			return n.ask()
		}
		n.ready()
	case e == nil:
	case e.Prepared:
		n.prepared = true
		n.ready()
	case e.Window != nil:
		e.Window.Stream = n.spec.Stream
		e.Window.Start = e.Window.Start.Add(-n.offset.Ahead)
		n.emit(*e.Window)
	case e.Ready != nil && n.spec.Ready != nil:
		n.spec.Ready()
	case e.Log != nil && n.spec.Log != nil:
		n.spec.Log(e.Log.Level, e.Log.Text)
	case e.End != nil:
		n.ending = e.End
	}
	return nil
}

// ready passes on that the far end is prepared, once its clock is known.
func (n *near) ready() {
	if n.passed || !n.prepared || len(n.probes) < clockProbes {
		return
	}
	n.passed = true
	n.offset, _ = clock.EstimateOffset(n.probes, 0)
	if n.offset.Err > vague && n.spec.Log != nil {
		n.spec.Log("warning", fmt.Sprintf("its clock is known to ±%s only: what it does in one second may count in the next",
			n.offset.Err.Round(time.Millisecond)))
	}
	if n.spec.Prepared != nil {
		n.spec.Prepared()
	}
}

// outcome says how the stream ended, when the far end has no more to say.
func (n *near) outcome() error {
	select {
	case err := <-n.broken:
		return err
	default:
	}
	switch {
	case n.ending == nil:
		return errLost
	case n.ending.Reason == child.EndStopped:
		return nil
	case n.ending.Reason == child.EndAborted:
		return fmt.Errorf("%s: %w", strings.TrimSuffix(n.ending.Error, ": "+loadgen.ErrEnded.Error()), loadgen.ErrEnded)
	}
	return errors.New(n.ending.Error)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps it.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - maxSaid; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
	}
	return len(p), nil
}

// String returns it.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
