package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gameday/faults"
)

// world is a target in memory: the faults that stand in it, each with the instant at which its kernel lets go.
type world struct {
	mu       sync.Mutex
	standing map[string]time.Time
	reverts  []string      // in order
	dead     bool          // no revert gets through, as if the guard had been killed
	hang     bool          // reverts wait for the end of their context
	slow     time.Duration // a revert takes
	// inCluster reverts what is in a cluster.
	inCluster func(context.Context, faults.Entry) error
}

func newWorld() *world { return &world{standing: map[string]time.Time{}} }

// ids are the faults that stand now.
func (w *world) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	return slices.Sorted(maps.Keys(maps.Collect(func(yield func(string, bool) bool) {
		for id, until := range w.standing {
			if now.Before(until) && !yield(id, true) {
				return
			}
		}
	})))
}

// lapse makes the kernel let go before its time.
func (w *world) lapse(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.standing, id)
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) kinds() []faults.Kind {
	all := w.everyKind()
	for i := range all {
		all[i].RevertInCluster = func(ctx context.Context, e faults.Entry) error { return w.inCluster(ctx, e) }
	}
	return all
}

func (w *world) everyKind() []faults.Kind {
	return []faults.Kind{
		{Name: "fake", Needs: faults.NeedProcess, Reversible: true, Revert: w.revert,
			New: func() faults.Config { return &fake{world: w} }},
		{Name: "ending", Needs: faults.NeedNode, Reversible: true, Revert: w.revert,
			New: func() faults.Config { return &fake{world: w, ends: true} }},
		{Name: "net", Needs: faults.NeedNetwork, Reversible: true, Revert: w.revert,
			New: func() faults.Config { return &fake{world: w} }},
		{Name: "final", Needs: faults.NeedProcess,
			New: func() faults.Config { return &fake{world: w} }},
	}
}

func (w *world) revert(ctx context.Context, e faults.Entry) error {
	var c fake
	if err := json.Unmarshal(e.Config, &c); err != nil {
		return err
	}
	w.mu.Lock()
	hang, dead, slow := w.hang || c.Revert == "hang", w.dead, w.slow
	w.mu.Unlock()
	time.Sleep(slow) // on the bubble's clock
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reverts = append(w.reverts, e.ID)
	switch {
	case dead:
		return errors.New("dead")
	case c.Revert == "panic":
		panic("revert panics")
	case c.Revert == "fail":
		return errors.New("revert fails")
	}
	delete(w.standing, e.ID)
	return nil
}

// fake is a fault that misbehaves as told.
type fake struct {
	world  *world
	ends   bool
	Bad    string        `json:"bad,omitempty"`    // "validate", "bind", "undo"
	Inject string        `json:"inject,omitempty"` // "fail" after applying, "panic" after applying, "hang"
	Effect string        `json:"effect,omitempty"` // "never", "late", "panic", "fail"; "slow": takes slowRenewal from the second look on
	Revert string        `json:"revert,omitempty"` // "fail", "panic", "hang"
	Renew  string        `json:"renew,omitempty"`  // "late": takes slowRenewal to reach the kernel; "slow": takes it to answer
	Watch  time.Duration `json:"watch,omitempty"`  // ends after this; negative: fails after that
	Lapses bool          `json:"lapses,omitempty"` // it ends because its lease is over
	Names  time.Duration `json:"names,omitempty"`  // its name server takes this long; negative: and does not know the name
}

func (f *fake) LookUp() func(context.Context) error {
	if f.Names == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		t := time.NewTimer(max(f.Names, -f.Names))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if f.Names < 0 {
			return errors.New("no such host")
		}
		return nil
	}
}

func (f *fake) Validate() error {
	if f.Bad == "validate" {
		return &faults.FieldError{Field: "bad", Summary: "Invalid bad", Detail: "It is bad."}
	}
	return nil
}

func (f *fake) Bind(p faults.Place) (faults.Injection, error) {
	if f.Bad == "bind" {
		return nil, errors.New("bind fails")
	}
	i := &injection{fake: f, place: p}
	if f.ends {
		return &ending{i}, nil
	}
	return i, nil
}

type injection struct {
	*fake
	place faults.Place
	id    string
	looks int
}

func (i *injection) Undo(ctx context.Context) (json.RawMessage, error) {
	i.id = faults.OwnerOf(ctx).Injection
	if i.Bad == "undo" {
		return nil, faults.ErrForeign
	}
	return json.RawMessage(`{}`), nil
}

func (i *injection) apply(lease time.Duration) {
	i.world.set(func() { i.world.standing[i.id] = time.Now().Add(lease) })
}

func (i *injection) Inject(ctx context.Context, lease time.Duration) error {
	if i.ends {
		lease = time.Hour // does not lapse
	}
	i.apply(lease)
	switch i.fake.Inject {
	case "fail":
		return errors.New("inject fails halfway")
	case "panic":
		panic("inject panics halfway")
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (i *injection) Effect(ctx context.Context) (faults.Effect, error) {
	i.looks++
	switch i.fake.Effect {
	case "panic":
		panic("effect panics")
	case "fail":
		return faults.Effect{}, errors.New("effect fails")
	case "never":
		<-ctx.Done()
		return faults.Effect{Summary: "nothing seen"}, nil
	case "late":
		if i.looks < 4 {
			<-ctx.Done()
			return faults.Effect{Summary: "not yet"}, nil
		}
	case "slow":
		if i.looks > 1 {
			<-time.After(slowRenewal) // of the bubble's clock
		}
	}
	return faults.Effect{Proven: true, Summary: fmt.Sprintf("%d looks", i.looks)}, nil
}

// slowRenewal is how long a renewal takes that is told to, or a look.
const slowRenewal = 2 * time.Second

func (i *injection) Renew(_ context.Context, lease time.Duration) error {
	if i.fake.Renew == "late" {
		<-time.After(slowRenewal) // of the bubble's clock
	}
	if !slices.Contains(i.world.ids(), i.id) {
		return faults.ErrLapsed
	}
	i.apply(lease)
	if i.fake.Renew == "slow" {
		<-time.After(slowRenewal)
	}
	return nil
}

// ending hides Renew and comes to an end by itself.
type ending struct{ i *injection }

func (e *ending) Undo(ctx context.Context) (json.RawMessage, error) { return e.i.Undo(ctx) }
func (e *ending) Inject(ctx context.Context, l time.Duration) error { return e.i.Inject(ctx, l) }
func (e *ending) Effect(ctx context.Context) (faults.Effect, error) { return e.i.Effect(ctx) }
func (e *ending) Watch(ctx context.Context) (faults.Effect, error) {
	t := time.NewTimer(max(e.i.fake.Watch, -e.i.fake.Watch))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return faults.Effect{}, ctx.Err()
	case <-t.C:
	}
	if e.i.fake.Lapses {
		return faults.Effect{}, faults.ErrLapsed
	}
	if e.i.fake.Watch < 0 {
		return faults.Effect{}, errors.New("watch fails")
	}
	return faults.Effect{Proven: true, Summary: "it is over"}, nil
}

// marker is a fault for guards in processes of their own: a file in the folder that is the place's name.
func marker() faults.Kind {
	return faults.Kind{Name: "marker", Needs: faults.NeedProcess, Reversible: true,
		New: func() faults.Config { return &markerConfig{} },
		Revert: func(_ context.Context, e faults.Entry) error {
			if err := os.Remove(filepath.Join(e.Place.Name, e.ID)); !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return nil
		}}
}

type markerConfig struct {
	Panic bool `json:"panic,omitempty"`
}

func (*markerConfig) Validate() error { return nil }
func (m *markerConfig) Bind(p faults.Place) (faults.Injection, error) {
	return &markerInjection{panics: m.Panic, dir: p.Name}, nil
}

type markerInjection struct {
	panics bool
	dir    string
	path   string
}

func (m *markerInjection) Undo(ctx context.Context) (json.RawMessage, error) {
	m.path = filepath.Join(m.dir, faults.OwnerOf(ctx).Injection)
	return json.RawMessage(`{}`), nil
}

func (m *markerInjection) Inject(context.Context, time.Duration) error {
	if err := os.WriteFile(m.path, nil, 0o600); err != nil {
		return err
	}
	if m.panics {
		panic("on purpose")
	}
	return nil
}

func (m *markerInjection) Effect(context.Context) (faults.Effect, error) {
	return faults.Effect{Proven: true, Summary: "marked"}, nil
}
