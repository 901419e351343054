package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"gameday/faults"
	"gameday/loadgen"
)

// world is a target in memory: what stands in it, and what was done to it.
type world struct {
	start time.Time

	mu       sync.Mutex
	standing map[string]bool
	injected []string                   // fault names, in order
	reverted []string                   // fault names, in order
	renewed  map[string][]time.Duration // since start, by fault name
	dead     bool                       // no revert gets through, as when the guard is killed
	stuck    bool                       // nor does a later one
	fast     string                     // a place where nothing is slow
}

func newWorld() *world {
	return &world{standing: map[string]bool{}, renewed: map[string][]time.Duration{}}
}

func (w *world) with(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) stands() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.standing))
}

func (w *world) kinds() []faults.Kind {
	config := func(ends bool) func() faults.Config {
		if ends {
			return func() faults.Config { return &endingConfig{held: held{world: w}} }
		}
		return func() faults.Config { return &held{world: w} }
	}
	return []faults.Kind{
		{Name: "hold", Summary: "holds", Needs: faults.NeedProcess, Reversible: true, Undoing: "undone by guard", New: config(false),
			Revert: w.revert},
		{Name: "boot", Summary: "ends by itself", Needs: faults.NeedProcess, Reversible: true, Undoing: "ends by itself",
			New: config(true), Revert: w.revert},
		{Name: "kill", Summary: "cannot be undone", Needs: faults.NeedProcess, Undoing: "cannot be undone", New: config(false)},
		{Name: "split", Summary: "stands between", Needs: faults.NeedNetwork, Between: true, Reversible: true, Undoing: "undone by guard",
			New: config(false), Revert: w.revert},
	}
}

func (w *world) revert(_ context.Context, e faults.Entry) error {
	var c held
	if err := json.Unmarshal(e.Config, &c); err != nil {
		return err
	}
	if c.Way == "sluggish" {
		time.Sleep(sluggish) // on the bubble's clock
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead || w.stuck {
		return errors.New("the target does not let go")
	}
	delete(w.standing, e.ID)
	w.reverted = append(w.reverted, e.Fault)
	return nil
}

// sluggish is how long a revert takes that is told to.
const sluggish = 4 * time.Second

// held is a fault that does as told.
type held struct {
	world *world
	Way   string `hcl:"way,optional" json:"way,omitempty"` // "foreign", "foreign_later", "slow", "never", "sluggish"
}

func (h *held) Validate() error { return nil }
func (h *held) Bind(p faults.Place) (faults.Injection, error) {
	return &holding{held: h, place: p}, nil
}

type holding struct {
	*held
	place faults.Place
	id    string
}

func (h *holding) Undo(ctx context.Context) (json.RawMessage, error) {
	if h.Way == "foreign" || h.Way == "foreign_later" && !h.world.start.IsZero() && time.Since(h.world.start) > time.Second {
		return nil, fmt.Errorf("table gameday is there: %w", faults.ErrForeign)
	}
	h.id = faults.OwnerOf(ctx).Injection
	return json.RawMessage(`{}`), nil
}

func (h *holding) Inject(context.Context, time.Duration) error {
	h.world.with(func() {
		h.world.standing[h.id] = true
		h.world.injected = append(h.world.injected, h.id)
	})
	return nil
}

// Effect proves itself after three seconds when the fault is slow, and never when it is that.
func (h *holding) Effect(ctx context.Context) (faults.Effect, error) {
	switch {
	case h.Way == "never":
		<-ctx.Done()
		return faults.Effect{Summary: "nothing was seen"}, nil
	case h.Way == "slow" && h.place.Name != h.world.fast && time.Since(h.world.start) < slowUntil:
		<-ctx.Done()
		return faults.Effect{}, nil
	}
	return faults.Effect{Proven: true, Summary: "it shows"}, nil
}

// slowUntil is when, since a run's start, slow effects show.
const slowUntil = 10 * time.Second

func (h *holding) Renew(context.Context, time.Duration) error {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	if !h.world.standing[h.id] {
		return faults.ErrLapsed
	}
	h.world.renewed[h.id] = append(h.world.renewed[h.id], time.Since(h.world.start))
	return nil
}

// endingConfig is a fault that ends by itself after four seconds.
type endingConfig struct {
	held
	Lasts string `hcl:"lasts,optional" json:"lasts,omitempty"`
}

func (e *endingConfig) Ends() time.Duration { return 4 * time.Second }
func (e *endingConfig) Bind(p faults.Place) (faults.Injection, error) {
	return &ending{&holding{held: &e.held, place: p}}, nil
}

type ending struct{ *holding }

func (e *ending) Watch(ctx context.Context) (faults.Effect, error) {
	t := time.NewTimer(4 * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
		return faults.Effect{Proven: true, Summary: "boot id 1 → 2"}, nil
	case <-ctx.Done():
		return faults.Effect{}, ctx.Err()
	}
}

// sender is a generator that emits a window a second, by a real pacer that is told what the generator is.
type sender struct {
	// errors is the share of failed requests in the n-th second, from 0; below 0 the window is missing.
	errors func(second int) float64
	lost   func(second int) bool // the second of three runners is missing in the n-th second; nil is never
	dies   time.Duration         // when it breaks, since its start; 0 never
	// carries is the multiple above which every request fails; 0 is none.
	carries float64
	tardy   map[string]time.Duration // by how much more windows of a stream come late
	bundle  map[string]int           // so many windows of a stream come together, one if it is not there
	silent  map[string]int           // from which second on no window of a stream comes

	mu       sync.Mutex
	specs    map[string]loadgen.Spec // by stream
	commands []command
}

type command struct {
	stream string
	at     time.Duration
	loadgen.Command
}

func (s *sender) Check(context.Context, loadgen.Spec) []loadgen.Problem { return nil }

func (s *sender) Run(_ context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	s.mu.Lock()
	if s.specs == nil {
		s.specs = map[string]loadgen.Spec{}
	}
	s.specs[spec.Stream] = spec
	s.mu.Unlock()
	spec.Ready()
	start := time.Now()
	pacer := loadgen.NewPacer(loadgen.Arrivals{Rate: spec.Rate, Idle: spec.Idle, Poisson: spec.Poisson, Seed: spec.Seed})
	var died <-chan time.Time
	if s.dies > 0 {
		died = time.After(s.dies)
	}
	var held []loadgen.Window
	for n := 0; ; n++ {
		// A moment after the second is over, so that nothing depends on which of two goroutines wakes first.
		next := time.After(time.Until(start.Add(time.Duration(n+1)*time.Second + 10*time.Millisecond + s.tardy[spec.Stream])))
	wait:
		select {
		case c := <-spec.Commands:
			s.mu.Lock()
			s.commands = append(s.commands, command{spec.Stream, time.Since(start), c})
			s.mu.Unlock()
			if c.Stop {
				return nil
			}
			pacer.Ramp(time.Since(start), c.To, c.Over, c.Then...)
			goto wait
		case <-died:
			return errors.New("the engine broke")
		case <-next:
		}
		share := 0.0
		if s.errors != nil {
			share = s.errors(n)
		}
		if s.carries > 0 && pacer.Multiple(time.Duration(n+1)*time.Second-1) > s.carries {
			share = 1
		}
		if from, ok := s.silent[spec.Stream]; share >= 0 && (!ok || n < from) {
			end := time.Duration(n+1) * time.Second
			due := pacer.Due(end) - pacer.Due(end-time.Second)
			w := second(spec.Stream, start.Add(end-time.Second), due, pacer.Multiple(end-1), share)
			if s.lost != nil && s.lost(n) {
				w.Missing, w.Of, w.Started = []string{"runner-2"}, 3, w.Due*2/3
			}
			held = append(held, w)
		}
		if s.bundle[spec.Stream] > 0 && (n+1)%s.bundle[spec.Stream] != 0 {
			continue
		}
		for _, w := range held {
			emit(w)
		}
		held = nil
	}
}

// second is a window in which a share of n requests failed, each after 20 ms.
func second(stream string, at time.Time, n uint64, multiple, share float64) loadgen.Window {
	w := loadgen.Window{Stream: stream, Start: at, Multiple: multiple, Due: n, Started: n, Completed: n}
	failed := uint64(math.Round(float64(n) * share))
	for i := range n {
		if i < failed {
			w.Failed.Record(20*time.Millisecond, 20*time.Millisecond)
		} else {
			w.OK.Record(20*time.Millisecond, 20*time.Millisecond)
		}
	}
	return w
}

// during is 100 % errors in the seconds from one to before another, and none else.
func during(from, to int) func(int) float64 {
	return func(n int) float64 {
		if n >= from && n < to {
			return 1
		}
		return 0
	}
}

// fakeListener accepts what is dialled in memory.
type fakeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newFakeListener() *fakeListener {
	return &fakeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *fakeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *fakeListener) Addr() net.Addr { return &net.UnixAddr{Name: "control", Net: "unix"} }
