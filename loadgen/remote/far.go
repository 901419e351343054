package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// Errors with which the far end stops.
var (
	errGone   = errors.New("the connection to the game day ended")
	errSilent = fmt.Errorf("nothing was heard of the game day for %s", Silence)
)

// memory is a folder that is no disk, where there is one.
const memory = "/dev/shm"

// Serve sends one stream by an engine, as it is told on in, and says on out what happens. It returns when the stream has
// ended: because it was told so, or because in ended or fell silent. What the engine reads from files is in a folder of its
// own only until the engine is prepared, in memory where the machine has that.
func Serve(version string, engine loadgen.Generator, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxStream)
	var first toFar
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &first) != nil || first.Stream == nil {
		return errors.New("this verb is for gameday itself, which starts it on machines that generate traffic")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	f := &far{over: ctx.Done(), lines: make(chan toNear, 256), heard: make(chan struct{}, 1),
		commands: make(chan loadgen.Command, 256), begin: make(chan time.Time, 1)}
	written := make(chan struct{})
	go f.write(out, written)
	defer func() {
		f.mu.Lock()
		f.closed = true
		close(f.lines)
		f.mu.Unlock()
		select {
		case <-written:
		case <-ctx.Done(): // nobody takes it any more
		}
	}()
	if first.Stream.Version != version {
		f.end(child.EndFailed, fmt.Sprintf("it is gameday %s, and the game day is of %s", version, first.Stream.Version))
		return nil
	}
	go f.listen(lines, cancel)
	go f.watch(ctx, cancel)
	return f.run(ctx, engine, first.Stream.Spec)
}

// far is the far end.
type far struct {
	over   <-chan struct{} // closed when nobody listens any more
	lines  chan toNear
	mu     sync.RWMutex // for saying something, and for closing lines
	closed bool

	heard    chan struct{}
	commands chan loadgen.Command
	begin    chan time.Time
}

// say queues a line. What blocks behind a connection that is stuck must not keep the stream from being stopped.
func (f *far) say(l toNear) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return
	}
	select {
	case f.lines <- l:
	case <-f.over:
	}
}

func (f *far) write(out io.Writer, written chan<- struct{}) {
	defer close(written)
	e := json.NewEncoder(out)
	for l := range f.lines {
		_ = e.Encode(l) // a near end that is gone is noticed by the input's end
	}
}

func (f *far) end(why child.EndReason, text string) {
	f.say(toNear{Event: &child.Event{End: &child.Ending{Reason: why, Error: text}}})
}

// listen hands on what the near end says.
func (f *far) listen(lines *bufio.Scanner, cancel context.CancelCauseFunc) {
	defer cancel(errGone)
	for lines.Scan() {
		var l toFar
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			cancel(fmt.Errorf("reading what the game day says: %w", err))
			return
		}
		select {
		case f.heard <- struct{}{}:
		default:
		}
		switch {
		case l.Probe > 0:
			f.say(toNear{Answer: &answer{Probe: l.Probe, Now: time.Now()}})
		case l.Order == nil:
		case l.Order.Begin != nil:
			select {
			case f.begin <- *l.Order.Begin:
			default: // told before
			}
		default:
			c := l.Order
			f.commands <- loadgen.Command{At: c.At, To: c.To, Over: c.Over, Then: c.Then, Stop: c.Stop}
		}
	}
}

// watch ends the stream when nothing is heard any more.
func (f *far) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	t := time.NewTimer(Silence)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.heard:
			t.Reset(Silence)
		case <-t.C:
			cancel(errSilent)
			return
		}
	}
}

func (f *far) run(ctx context.Context, engine loadgen.Generator, spec loadgen.Spec) (err error) {
	parent := ""
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		parent = memory
	}
	dir, err := os.MkdirTemp(parent, "gameday-generator-")
	if err != nil {
		if dir, err = os.MkdirTemp("", "gameday-generator-"); err != nil {
			return fmt.Errorf("making room for the stream: %w", err)
		}
	}
	remove := sync.OnceValue(func() error { return os.RemoveAll(dir) })
	defer func() { err = errors.Join(err, remove()) }()
	spec.Dir, spec.Commands, spec.Begin = dir, f.commands, f.begin
	spec.Prepared = func() {
		if err := remove(); err != nil {
			spec.Log("warning", "removing what the stream was read from: "+err.Error())
		}
		f.say(toNear{Event: &child.Event{Prepared: true}})
	}
	spec.Ready = func() {
		now := time.Now()
		f.say(toNear{Event: &child.Event{Ready: &now}})
	}
	spec.Log = func(level, text string) {
		f.say(toNear{Event: &child.Event{Log: &child.Message{Level: level, Text: text}}})
	}
	ran := engine.Run(ctx, spec, func(w loadgen.Window) { f.say(toNear{Event: &child.Event{Window: &w}}) })
	switch {
	case ran == nil:
		f.end(child.EndStopped, "")
	case errors.Is(ran, loadgen.ErrEnded):
		f.end(child.EndAborted, ran.Error())
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		text, _, _ := strings.Cut(ran.Error(), " (see "+dir) // it is gone
		f.end(child.EndFailed, text)
	}
	return nil
}
