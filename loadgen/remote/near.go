package remote

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// vague is an uncertainty about another clock that makes its windows' seconds those of their neighbours.
const vague = 200 * time.Millisecond

// firstWord is how long the far end may take until it is heard, once the stream is on its way and no more of it is taken.
const firstWord = 90 * time.Second

const (
	// gap is how far the other clock may have drifted away from a whole number of seconds until seconds are counted anew.
	gap = 750 * time.Millisecond
	// future is how far ahead a second may be that the far end tells of: one without bounds would take memory without bounds.
	future = time.Minute
	// chunk is how much of a line is written at a time.
	chunk = 64 << 10
)

// maxSaid bounds what is kept of what the far end says on standard error.
const maxSaid = 4 << 10

// Generator sends streams, packed ones, from one other machine. Its methods may be called from any goroutine.
type Generator struct {
	// Version is this program's; the far end must be of the same.
	Version string
	// Start returns the program over there on its way to send a stream, not started; it is killed when ctx ends.
	Start func(ctx context.Context, spec loadgen.Spec) (*exec.Cmd, error)
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
	cmd, err := g.Start(life, spec)
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
	n := newNear(spec, emit)
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

// Over sends the stream over a connection to a program that is there already, and waits for it. It returns as Generator.Run does;
// the connection is closed then.
func Over(ctx context.Context, version string, conn io.ReadWriteCloser, spec loadgen.Spec, emit func(loadgen.Window)) error {
	return Way{}.Over(ctx, version, conn, spec, emit)
}

// Over is that over a connection which is slow.
func (w Way) Over(ctx context.Context, version string, conn io.ReadWriteCloser, spec loadgen.Spec, emit func(loadgen.Window)) error {
	defer conn.Close()
	n := newNear(spec, emit)
	n.way = w
	done := make(chan struct{})
	defer close(done)
	go n.read(conn, done)
	go n.write(conn, done)
	err := n.follow(ctx, version)
	if errors.Is(err, errLost) {
		return errors.New("it ended without a word, or the connection to it did")
	}
	return err
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
	way    Way
	emit   func(loadgen.Window)
	orders chan []byte // lines to the far end
	lines  chan toNear
	broken chan error    // why lines was closed, if it was not the end
	moving atomic.Uint64 // chunks of a long line that were taken

	heard    bool
	quiet    int    // beats since something was heard
	moved    uint64 // moving at the last beat
	prepared bool   // the far end is
	passed   bool   // that was passed on
	ending   *child.Ending

	clock  steady
	probes []clock.Probe // the last ones
	probe  int           // number of the question that is not answered yet, or 0
	asks   int
	asked  time.Time
	begin  time.Time     // the first instant by the machine's clock, and by the steady one
	began  time.Time     // zero before it is known
	offset clock.Offset  // of the other clock, when the first instant was given out
	drift  time.Duration // since then, as whole seconds: what makes up for it
	told   bool          // of the drift
}

func newNear(spec loadgen.Spec, emit func(loadgen.Window)) *near {
	return &near{spec: spec, emit: emit, lines: make(chan toNear, 64), orders: make(chan []byte, 256), broken: make(chan error, 1),
		clock: newSteady()}
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

// write sends lines to the far end, and an empty one each second, whatever keeps this end from asking; closing its input at the
// end stops it, if nothing else did.
func (n *near) write(in io.WriteCloser, done <-chan struct{}) {
	defer in.Close()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		line := []byte{'\n'}
		select {
		case line = <-n.orders:
		case <-ticker.C:
		case <-done:
			return
		}
		for ; len(line) > chunk; line = line[chunk:] {
			if _, err := in.Write(line[:chunk]); err != nil {
				return
			}
			n.moving.Add(1)
		}
		if _, err := in.Write(line); err != nil {
			return // its end is noticed by what it says
		}
	}
}

func (n *near) tell(l toFar) error {
	line, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("telling the generator: %w", err)
	}
	if len(line) > maxStream {
		return fmt.Errorf("the stream takes %d MB with all that it reads from files, and a generator on another machine takes %d MB: "+
			"let the script read less", len(line)>>20, maxStream>>20)
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
	commands := n.spec.Commands
	err := n.ask()
	for err == nil {
		select {
		case l, ok := <-n.lines:
			if !ok {
				return n.outcome()
			}
			n.heard, n.quiet = true, 0
			err = n.hear(l)
		case c, ok := <-commands:
			if c.Stop = c.Stop || !ok; c.Stop {
				commands = nil
			}
			err = n.tell(toFar{Order: &child.Command{At: c.At, To: c.To, Over: c.Over, Then: c.Then, Stop: c.Stop}})
		case at := <-n.spec.Begin:
			err = n.fire(at)
		case <-ticker.C:
			if err = n.silent(); err == nil {
				err = n.ask()
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	return err
}

// fire tells the far end the first instant, by its clock as it is now: preparing may have taken a while.
func (n *near) fire(at time.Time) error {
	n.begin, n.began, n.offset = at.Round(0), n.clock.at(at), n.measured()
	theirs := n.began.Add(n.offset.Ahead)
	return n.tell(toFar{Order: &child.Command{Begin: &theirs}})
}

// silent counts another beat, and says when the far end is dead. It counts beats and not time: what came while this end was held
// up itself has not been looked at yet.
func (n *near) silent() error {
	if moving := n.moving.Load(); moving != n.moved {
		n.moved, n.quiet = moving, 0
	}
	n.quiet++
	silence := cmp.Or(n.way.Silence, Silence)
	switch quiet := time.Duration(n.quiet) * beat; {
	case n.heard && quiet > silence:
		return fmt.Errorf("nothing was heard of it for %s: the network to it is cut, or it stands still", silence)
	case !n.heard && quiet > firstWord:
		return fmt.Errorf("nothing was heard of it for %s after the stream was sent to it", firstWord)
	}
	return nil
}

// ask puts another question, unless one is open, or the last is too fresh for a way that is slow.
func (n *near) ask() error {
	since := n.clock.now().Sub(n.asked)
	if n.probe != 0 && (n.way.Pace == 0 || since < n.way.Pace) || len(n.probes) == clockProbes && since < n.way.Pace {
		return nil
	}
	n.asks++
	n.probe, n.asked = n.asks, n.clock.now()
	return n.tell(toFar{Probe: n.probe})
}

// hear takes one line from the far end.
func (n *near) hear(l toNear) error {
	switch e := l.Event; {
	case l.Answer != nil && l.Answer.Probe == n.probe:
		return n.answered(l.Answer.Now)
	case e == nil:
	case e.Prepared:
		n.prepared = true
		return n.ready()
	case e.Window != nil:
		return n.window(*e.Window)
	case e.Ready != nil && n.spec.Ready != nil:
		n.spec.Ready()
	case e.Log != nil && n.spec.Log != nil:
		n.spec.Log(e.Log.Level, e.Log.Text)
	case e.End != nil:
		n.ending = e.End
	}
	return nil
}

// window passes a second on.
func (n *near) window(w loadgen.Window) error {
	start := w.Start.Add(-n.offset.Ahead - n.drift)
	if n.began.IsZero() || start.Before(n.began.Add(-future)) || start.After(n.clock.now().Add(future)) {
		return fmt.Errorf("reading what the generator says: it tells of the second that began at %s by its clock, which is none of the stream",
			w.Start.Format(time.RFC3339))
	}
	w.Stream, w.Start = n.spec.Stream, n.begin.Add(start.Sub(n.began))
	n.emit(w)
	return nil
}

// answered takes an answer to the open question: what the other clock says.
func (n *near) answered(now time.Time) error {
	n.probe = 0
	n.probes = append(n.probes, clock.Probe{Sent: n.asked, Stamp: now, Received: n.clock.now()})
	if len(n.probes) < clockProbes {
		return n.ask()
	}
	n.probes = n.probes[len(n.probes)-clockProbes:]
	if n.began.IsZero() {
		return n.ready()
	}
	n.follows()
	return nil
}

// measured returns how far the other clock is ahead, by the quickest of the last answers, which leaves the least room.
func (n *near) measured() clock.Offset {
	o, _ := clock.EstimateOffset(n.probes, 0)
	return o
}

// follows sees how the other clock has drifted since the stream began. The stream over there goes by that clock, so its seconds
// begin earlier or later by ours: they are counted with those of ours that they are in by more than half.
func (n *near) follows() {
	o := n.measured()
	if o.Err > vague {
		return // nothing new is known
	}
	drift := o.Ahead - n.offset.Ahead
	if (drift - n.drift).Abs() > gap {
		n.drift = drift.Round(time.Second)
	}
	if drift.Abs() > vague+o.Err+n.offset.Err && !n.told && n.spec.Log != nil {
		n.told = true
		n.spec.Log("warning", fmt.Sprintf("its clock and this one's have come apart by %s since the stream began: what it does in one "+
			"second may count in the next", drift.Abs().Round(time.Millisecond)))
	}
}

// ready passes on that the far end is prepared, once its clock is known.
func (n *near) ready() error {
	if n.passed || !n.prepared || len(n.probes) < clockProbes {
		return nil
	}
	n.passed = true
	o := n.measured()
	if n.way.Slowest > 0 && 2*o.Err > n.way.Slowest {
		return fmt.Errorf("its answers take %s, so that what it is told would come too late: that may take %s", (2 * o.Err).Round(100*time.Millisecond), n.way.Slowest)
	}
	if o.Err > vague && n.spec.Log != nil {
		n.spec.Log("warning", fmt.Sprintf("its clock is known to ±%s only: what it does in one second may count in the next",
			o.Err.Round(time.Millisecond)))
	}
	if n.spec.Prepared != nil {
		n.spec.Prepared()
	}
	return nil
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
