package conductor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/scenarios"
)

const (
	// lateWindows is how late windows may come and still be looked at while the run goes on.
	lateWindows = 10 * time.Second
	// stillSpeaks is for how long a stream of which no window comes is waited for. Then it has no data, rather than its old one.
	stillSpeaks = 3 * time.Second
	// commandBacklog is how many commands a stream may be behind.
	commandBacklog = 16
)

// traffic runs the streams and holds their latest windows.
type traffic struct {
	run       *run
	generator loadgen.Generator
	streams   []*stream
	started   bool
	keep      int // windows of each stream held in memory; the record has all of them

	mu      sync.Mutex
	windows []loadgen.Window     // of all streams, in order of arrival
	last    map[string]time.Time // the newest second of each
	heard   map[string]time.Time // when a window of each last came
	first   time.Time            // the begin of the first window that came of any
	arrived chan struct{}        // closed and replaced when windows arrive
	strain  map[string]*strain
}

// strain is the account of one stream's generator: whether it is at its own limit.
type strain struct {
	windows []loadgen.Window // the last few
	said    bool
}

// strained is over how many seconds a generator is looked at, while the run goes on.
const strained = 5

// look takes another second, and returns what is to be said: when the generator has come to its limit, and when it has recovered.
func (s *strain) look(w loadgen.Window) (level, message string) {
	if s.windows = append(s.windows, w); len(s.windows) > strained {
		s.windows = s.windows[1:]
	}
	if len(s.windows) < strained {
		return "", ""
	}
	why := report.Saturation(s.windows)
	switch {
	case why != "" && !s.said:
		s.said = true
		return "warning", "the generator is at its own limit (" + why + "): what is measured now is its own as " +
			"much as the system's, and will count as unknown"
	case why == "" && s.said:
		s.said = false
		return "info", "the generator is within its limits again"
	}
	return "", ""
}

// stream is one traffic block on its way.
type stream struct {
	scenarios.Traffic
	program  loadgen.Program // of the load phase, in multiples
	commands chan loadgen.Command
	ready    chan struct{}
	done     chan struct{}
	err      error // why it ended; read after done
}

func newTraffic(r *run) *traffic {
	f := r.fleet()
	f.Muster = r.muster
	t := &traffic{run: r, generator: f, last: map[string]time.Time{}, heard: map[string]time.Time{}, strain: map[string]*strain{},
		arrived: make(chan struct{}), keep: lookBack(r.Scenario, r.Search)}
	for _, s := range r.Scenario.Traffic {
		t.streams = append(t.streams, &stream{Traffic: s, program: s.Multiples(),
			commands: make(chan loadgen.Command, commandBacklog), ready: make(chan struct{}),
			done: make(chan struct{})})
	}
	return t
}

// lookBack returns how many seconds conditions may look back: the longest sliding window, or the baseline phase, over which
// the steady state is judged at once. Memory does not grow with the run beyond that, and what is looked at late: seconds that come late, as late
// as others do.
func lookBack(s *scenarios.Scenario, search *Search) int {
	longest := s.Timeline.Baseline
	for _, e := range s.Expects {
		longest = max(longest, e.That.Over)
	}
	if search != nil {
		longest = max(longest, search.Step, search.Confirm)
	}
	for _, a := range s.Aborts {
		longest = max(longest, a.When.Over)
	}
	for _, source := range s.AlarmSources {
		for _, rule := range source.Rules {
			longest = max(longest, rule.Over)
		}
	}
	return int((longest + 2*lateWindows) / time.Second)
}

// start sets every stream going at 1x and returns when all of them send, or with what went wrong.
func (t *traffic) start() error {
	for _, s := range t.streams {
		if err := os.MkdirAll(t.dir(s), 0o755); err != nil {
			return fmt.Errorf("making room for traffic %q: %w", s.Name, err)
		}
	}
	t.started = true
	for _, s := range t.streams {
		go t.send(s)
	}
	for _, s := range t.streams {
		select {
		case <-s.ready:
		case <-s.done:
			if s.err == nil {
				return fmt.Errorf("traffic %q ended before it began", s.Name)
			}
			return fmt.Errorf("traffic %q did not start: %w", s.Name, s.err)
		case <-t.run.ctx.Done():
			return context.Cause(t.run.ctx)
		}
	}
	return nil
}

// dir is the folder of a stream's archive and log.
func (t *traffic) dir(s *stream) string { return filepath.Join(t.run.Dir, "traffic", s.Name) }

// send runs one stream. A stream that ends before it is told to ends the run: without traffic nothing can be judged.
func (t *traffic) send(s *stream) {
	defer close(s.done)
	spec := s.Spec()
	spec.Dir, spec.Commands, spec.Ready = t.dir(s), s.commands, sync.OnceFunc(func() { close(s.ready) })
	if r := t.run; r.Search != nil {
		spec.PeakMultiple = r.Search.Bounds.Max / r.base()
	}
	spec.Sharing = len(t.streams)
	spec.Seed = loadgen.SeedFor(uint64(t.run.seed()), s.Name)
	var mu sync.Mutex         // several generators speak at the same time
	said := map[string]bool{} // a script with its own executors runs twice, and says all twice
	spec.Log = func(level, message string) {
		mu.Lock()
		first := !said[message]
		said[message] = true
		mu.Unlock()
		if first {
			t.run.rec.add(report.GeneratorSaid, report.GeneratorNote{Stream: s.Name, Level: level, Message: message})
		}
	}
	// The stream outlives the run's context: it goes on while faults are reverted, and is stopped by command.
	ctx := context.WithoutCancel(t.run.ctx)
	if s.KeepExecutors {
		s.err = t.sendKept(ctx, s, spec)
	} else {
		s.err = t.generator.Run(ctx, spec, t.window)
	}
	if s.err == nil {
		return
	}
	level := "error"
	if errors.Is(s.err, loadgen.ErrEnded) {
		level = "warning"
	}
	t.run.rec.add(report.GeneratorSaid, report.GeneratorNote{Stream: s.Name, Level: level, Message: s.err.Error()})
	how := "ended before the run"
	select {
	case <-s.ready:
	default:
		how = "did not start"
	}
	t.run.end(report.EndTraffic, fmt.Errorf("traffic %q %s: %w", s.Name, how, s.err))
}

// sendKept runs a script with its own executors, whose scale is fixed when it begins: once at 1x, and from the ramp on
// again at the multiple. A script that comes to its own end before the run does begins anew, as often as it takes.
func (t *traffic) sendKept(ctx context.Context, s *stream, spec loadgen.Spec) error {
	for {
		commands := make(chan loadgen.Command, 1)
		spec.Commands = commands
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- t.generator.Run(ctx, spec, t.window) }()
		var err error
		select {
		case err = <-ended:
			if !errors.Is(err, loadgen.ErrEnded) {
				return err
			}
			if time.Since(began) < time.Second {
				return err // nothing but beginnings
			}
		case c := <-s.commands:
			commands <- loadgen.Command{Stop: true}
			if err = <-ended; err != nil && !errors.Is(err, loadgen.ErrEnded) {
				return err
			}
			if c.Stop {
				return nil
			}
			spec.Factor = c.To
		}
	}
}

// window takes one second of one stream.
func (t *traffic) window(w loadgen.Window) {
	t.run.rec.add(report.WindowClosed, w)
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.Start.After(t.last[w.Stream]) {
		t.last[w.Stream] = w.Start
	}
	t.heard[w.Stream] = t.run.rec.now()
	if t.first.IsZero() {
		t.first = w.Start
	}
	if t.windows = append(t.windows, w); len(t.windows) > 2*t.keep*len(t.streams) {
		t.windows = slices.DeleteFunc(t.windows, func(old loadgen.Window) bool {
			return t.last[old.Stream].Sub(old.Start) >= time.Duration(t.keep)*time.Second
		})
	}
	close(t.arrived)
	t.arrived = make(chan struct{})
	if t.strain[w.Stream] == nil {
		t.strain[w.Stream] = &strain{}
	}
	if level, message := t.strain[w.Stream].look(w); message != "" {
		t.run.rec.add(report.GeneratorSaid, report.GeneratorNote{Stream: w.Stream, Level: level, Message: message})
	}
}

// waitFor waits until every stream has closed the second before end, at most for patience: windows come a moment late.
func (t *traffic) waitFor(ctx context.Context, end time.Time, patience time.Duration) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	last := end.Truncate(time.Second).Add(-time.Second)
	for {
		t.mu.Lock()
		arrived, missing := t.arrived, false
		for _, s := range t.streams {
			missing = missing || t.last[s.Name].Before(last)
		}
		t.mu.Unlock()
		if !missing {
			return nil
		}
		select {
		case <-arrived:
		case <-timeout.C:
			return nil // what is missing makes the expectations unknown
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// between merges the windows that lie wholly between two instants.
func (t *traffic) between(from, to time.Time) *sli.Aggregate {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := &sli.Aggregate{}
	for _, w := range t.windows {
		if !w.Start.Before(from) && !w.Start.Add(time.Second).After(to) {
			a.Add(w)
		}
	}
	return a
}

// closed returns the end of the last second that all of some streams have closed, or all there are if none is named: of a second that some have
// closed and others have not it is not known how it was. Those that do not speak any more, or are too late, are left out; it is zero when none is left.
// Up to whole, no stream has yet to tell of a second that it can still tell of in time.
func (t *traffic) closed(now time.Time, streams ...string) (end, whole time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.streams {
		if len(streams) > 0 && !slices.Contains(streams, s.Name) {
			continue
		}
		last, told := t.last[s.Name]
		if last = last.Add(time.Second); !told {
			last = t.first // it has yet to begin
		}
		if last.IsZero() || now.Sub(last) > lateWindows {
			continue
		}
		if whole.IsZero() || last.Before(whole) {
			whole = last
		}
		if told && now.Sub(t.heard[s.Name]) <= stillSpeaks && (end.IsZero() || last.Before(end)) {
			end = last
		}
	}
	return end, whole
}

// upTo merges as many whole seconds before an instant as over holds, one at least.
func (t *traffic) upTo(end time.Time, over time.Duration) *sli.Aggregate {
	if end.IsZero() {
		return &sli.Aggregate{}
	}
	return t.between(end.Add(-max(time.Second, over.Truncate(time.Second))), end)
}

// ramp takes every stream to the multiple that its program begins with, but those that start later.
func (t *traffic) ramp(over time.Duration) {
	for _, s := range t.streams {
		if !s.Late() {
			t.command(s, loadgen.Command{To: s.program.From, Over: max(0, over-s.lead())})
		}
	}
}

// load tells streams their program, at the begin of the load phase, or before it those that must know before. One that is steady has what
// it needs.
func (t *traffic) load(before bool) {
	for _, s := range t.streams {
		switch {
		case (s.lead() > 0) != before:
		case s.Late():
			begin := []loadgen.Leg{{To: s.program.From}}
			t.command(s, loadgen.Command{To: 0, Over: s.Start, Then: append(begin, s.program.Legs...)})
		case len(s.program.Legs) > 0:
			t.command(s, loadgen.Command{To: s.program.From, Then: s.program.Legs})
		}
	}
}

// again takes the streams that start later back to nothing, so that the load phase can begin a second time.
func (t *traffic) again(before bool) {
	for _, s := range t.streams {
		if s.Late() && (s.lead() > 0) == before {
			t.command(s, loadgen.Command{To: 0})
		}
	}
}

// hold keeps every stream whose program is not over at the multiple that it has now, so long after the begin of the
// load phase.
func (t *traffic) hold(since time.Duration) {
	for _, s := range t.streams {
		if own := since + s.lead() - max(0, s.Start); own < s.program.Length() {
			t.command(s, loadgen.Command{To: s.program.At(own)})
		}
	}
}

func (t *traffic) command(s *stream, c loadgen.Command) {
	select {
	case s.commands <- c:
	case <-s.done:
	}
}

// stop ends every stream and waits for them, at most for patience.
func (t *traffic) stop(patience time.Duration) {
	if t == nil || !t.started {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range t.streams {
		select {
		case s.commands <- loadgen.Command{Stop: true}:
		case <-s.done:
		case <-ctx.Done():
		}
	}
	for _, s := range t.streams {
		select {
		case <-s.done:
		case <-ctx.Done():
			t.run.rec.add(report.GeneratorSaid, report.GeneratorNote{Stream: s.Name, Level: "warning",
				Message: fmt.Sprintf("it has not ended %s after it was told to, and nobody waits any longer: a teardown may be cut off", patience)})
		}
	}
}
