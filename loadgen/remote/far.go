package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// Errors with which the far end stops.
var (
	errGone     = errors.New("the connection to the game day ended")
	errSilent   = fmt.Errorf("nothing was heard of the game day for %s", Silence)
	errStranger = errors.New("this verb is for gameday itself, which starts it on machines that generate traffic")
)

// Serve sends one stream by an engine, as it is told on in, and says on out what happens. It returns when the stream has
// ended: because it was told so, because in ended or fell silent, or because ctx ended. What the engine reads from files is in a
// folder of its own only until the engine is prepared, in memory where the machine has that.
func Serve(ctx context.Context, version string, engine loadgen.Generator, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &far{over: ctx.Done(), lines: make(chan toNear, 256), heard: make(chan struct{}, 1), clock: newSteady(),
		commands: make(chan loadgen.Command, 256), begin: make(chan time.Time, 1)}
	go f.watch(ctx, cancel)
	from := bufio.NewReader(ear{in, f.heard})
	first, err := receive(ctx, from)
	if err != nil {
		return err
	}
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
	if first.Version != version {
		f.end(child.EndFailed, fmt.Sprintf("it is gameday %s, and the game day is of %s", version, first.Version))
		return nil
	}
	go f.listen(from, cancel)
	return f.run(ctx, engine, first.Spec)
}

// receive takes the stream, which may be long and come slowly.
func receive(ctx context.Context, from *bufio.Reader) (*stream, error) {
	got := make(chan *stream, 1)
	go func() {
		var l toFar
		if json.Unmarshal(firstLine(from), &l) != nil {
			l.Stream = nil
		}
		got <- l.Stream
	}()
	select {
	case s := <-got:
		if s == nil {
			return nil, errStranger
		}
		return s, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// firstLine returns a line of any length up to the bound, and nothing when there is none. What it took to read it is not kept.
func firstLine(from *bufio.Reader) []byte {
	var out []byte
	for {
		part, err := from.ReadSlice('\n')
		out = append(out, part...)
		switch {
		case len(out) > maxStream, err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil
		case err == nil:
			return out
		}
	}
}

// ear tells of everything that is read.
type ear struct {
	io.Reader
	heard chan<- struct{}
}

// Read reads, and tells.
func (e ear) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if n > 0 {
		select {
		case e.heard <- struct{}{}:
		default:
		}
	}
	return n, err
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
	clock    steady
	shift    atomic.Int64 // from this machine's clock, as it was at the begin, to the steady one
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
func (f *far) listen(from io.Reader, cancel context.CancelCauseFunc) {
	defer cancel(errGone)
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var l toFar
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			cancel(fmt.Errorf("reading what the game day says: %w", err))
			return
		}
		switch {
		case l.Probe > 0:
			f.say(toNear{Answer: &answer{Probe: l.Probe, Now: f.clock.now()}})
		case l.Order == nil:
		case l.Order.Begin != nil:
			f.fire(*l.Order.Begin)
		default:
			c := l.Order
			f.commands <- loadgen.Command{At: c.At, To: c.To, Over: c.Over, Then: c.Then, Stop: c.Stop}
		}
	}
}

// fire passes the first instant on, by this machine's clock, which is what the engine goes by. The engine says when each of its
// seconds began by what that clock said then, however it was set later.
func (f *far) fire(begin time.Time) {
	now := time.Now()
	at := now.Add(begin.Sub(f.clock.at(now)))
	f.shift.Store(int64(begin.Sub(at.Round(0))))
	select {
	case f.begin <- at:
	default: // told before
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
	room, err := newRoom()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.remove()) }()
	spec.Dir, spec.Commands, spec.Begin = room.dir, f.commands, f.begin
	spec.Prepared = func() {
		if err := room.remove(); err != nil {
			spec.Log("warning", "removing what the stream was read from: "+err.Error())
		}
		clear(spec.Files) // nor are they needed in memory
		f.say(toNear{Event: &child.Event{Prepared: true}})
	}
	spec.Ready = func() {
		now := time.Now()
		f.say(toNear{Event: &child.Event{Ready: &now}})
	}
	spec.Log = func(level, text string) {
		f.say(toNear{Event: &child.Event{Log: &child.Message{Level: level, Text: text}}})
	}
	ran := engine.Run(ctx, spec, func(w loadgen.Window) {
		w.Start = w.Start.Add(time.Duration(f.shift.Load()))
		f.say(toNear{Event: &child.Event{Window: &w}})
	})
	switch {
	case ran == nil:
		f.end(child.EndStopped, "")
	case errors.Is(ran, loadgen.ErrEnded):
		f.end(child.EndAborted, ran.Error())
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		text, _, _ := strings.Cut(ran.Error(), " (see "+room.dir) // it is gone
		f.end(child.EndFailed, text)
	}
	return nil
}
