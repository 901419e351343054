package loadgen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// paced counts the arrivals of a stream by the clock, and sends nothing: what every engine does around its requests.
type paced struct {
	prepare time.Duration           // until it could begin
	dies    time.Duration           // after its first instant; 0 is never
	refuses error                   // instead of beginning
	leaves  time.Duration           // after its first instant, as if it had been told to; 0 is never
	flushes bool                    // it tells of the second in which it dies, up to then
	hangs   time.Duration           // for how long nobody hears that it is dead
	lag     func(int) time.Duration // how much later than usual the window of a second comes

	mu       sync.Mutex
	arrivals []time.Duration // since the first instant
	counts   map[int]uint64
}

func (g *paced) Check(context.Context, Spec) []Problem { return nil }

func (g *paced) Run(ctx context.Context, spec Spec, emit func(Window)) error {
	time.Sleep(g.prepare)
	if g.refuses != nil {
		return g.refuses
	}
	spec.Prepared()
	var start time.Time
	select {
	case start = <-spec.Begin:
	case <-spec.Commands:
		return nil
	}
	schedule := NewSchedule(spec.Arrivals("x", 1), start)
	time.Sleep(time.Until(start))
	spec.Ready()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if g.dies > 0 {
		time.AfterFunc(g.dies, func() { cancel(errors.New("it was killed")) })
	}
	if g.leaves > 0 {
		time.AfterFunc(g.leaves, func() { cancel(errLeft) })
	}
	go func() {
		for c := range spec.Commands {
			schedule.RampAt(c.At, c.To, c.Over, c.Then...)
		}
		schedule.Stop()
	}()
	ended := make(chan time.Duration, 1)
	done := make(chan struct{})
	g.counts = map[int]uint64{}
	go func() {
		defer close(done)
		g.windows(ctx, spec, schedule, start, ended, emit)
	}()
	schedule.Run(ctx, func(at time.Time) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.arrivals = append(g.arrivals, at.Sub(start))
		g.counts[int(at.Sub(start)/time.Second)]++
	})
	ended <- time.Since(start)
	<-done
	switch err := context.Cause(ctx); {
	case err == nil, errors.Is(err, errLeft):
		return nil
	default:
		time.Sleep(g.hangs)
		return err
	}
}

var errLeft = errors.New("it left")

// windows emits each second a moment after its end.
func (g *paced) windows(ctx context.Context, spec Spec, schedule *Schedule, start time.Time, ended chan time.Duration, emit func(Window)) {
	end := Never
	for s := 0; time.Duration(s)*time.Second < end; s++ {
		over := start.Add(time.Duration(s+1) * time.Second)
		lag := 300 * time.Millisecond
		if g.lag != nil {
			lag += g.lag(s)
		}
		select {
		case <-time.After(time.Until(over.Add(lag))):
		case end = <-ended:
		}
		if ctx.Err() != nil && !g.flushes {
			return
		}
		g.mu.Lock()
		until := over
		if ctx.Err() != nil && time.Now().Before(over) {
			until = time.Now()
		}
		w := Window{Stream: spec.Stream, Start: over.Add(-time.Second).Round(0), Multiple: schedule.Multiple(over.Add(-1)),
			Due: schedule.Due(until) - schedule.Due(over.Add(-time.Second)), Started: g.counts[s]}
		g.mu.Unlock()
		w.Generator.CPU = time.Millisecond
		emit(w)
	}
}

// fleet runs a stream by several generators, in a bubble.
type fleet struct {
	commands chan Command
	windows  []Window
	when     []time.Time // each window came
	notes    []string
	ready    chan struct{}
	result   chan error

	dismissed bool // the runners are
}

func begin(t *testing.T, spec Spec, generators ...*paced) *fleet {
	t.Helper()
	f := &fleet{commands: make(chan Command, 4), ready: make(chan struct{}), result: make(chan error, 1)}
	spec.Stream, spec.Dir, spec.Commands, spec.Ready = "s", t.TempDir(), f.commands, func() { close(f.ready) }
	spec.Log = func(level, text string) { f.notes = append(f.notes, level+": "+text) }
	there := map[string]*paced{}
	for i, g := range generators {
		name := fmt.Sprintf("m%d", i)
		there[name] = g
		spec.Generators = append(spec.Generators, Node{SSH: name})
	}
	fl := Fleet{Generator: packing{}, There: func(n Node) Generator { return there[n.SSH] }}
	if spec.RunOn != nil {
		spec.Generators = nil
		fl.Muster = func(context.Context, Spec) (all []Runner, dismiss func(), err error) {
			for i, g := range generators {
				all = append(all, Runner{Name: RunnerName(i), Generator: g})
			}
			return all, func() { f.dismissed = true }, nil
		}
	}
	go func() {
		f.result <- fl.Run(t.Context(), spec, func(w Window) {
			f.windows, f.when = append(f.windows, w), append(f.when, time.Now())
		})
	}()
	return f
}

// packing has nothing to pack.
type packing struct{ Generator }

func (packing) Pack(_ context.Context, s Spec) (Spec, error) { return s, nil }

func (f *fleet) total() (due, started uint64) {
	for _, w := range f.windows {
		due, started = due+w.Due, started+w.Started
	}
	return due, started
}

// inOrder fails unless there is one window a second.
func (f *fleet) inOrder(t *testing.T) {
	t.Helper()
	for i, w := range f.windows {
		if want := f.windows[0].Start.Add(time.Duration(i) * time.Second); !w.Start.Equal(want) || w.Start.Nanosecond() != 0 {
			t.Errorf("window %d begins at %s, want %s", i, w.Start, want)
		}
		if w.Stream != "s" {
			t.Errorf("window %d is of stream %q", i, w.Stream)
		}
	}
}

func TestSeveralSendTheStream(t *testing.T) {
	for _, poisson := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(300 * time.Millisecond) // not at a whole second
			parts := []*paced{{}, {prepare: 3 * time.Second}, {prepare: time.Second}}
			spec := Spec{Rate: 100, Poisson: poisson, Seed: 7}
			f := begin(t, spec, parts...)
			<-f.ready
			time.Sleep(2500 * time.Millisecond)
			f.commands <- Command{To: 3, Over: time.Second, Then: []Leg{{To: 3, Over: time.Second}, {To: 0.5}}}
			time.Sleep(3999 * time.Millisecond) // no arrival is due at that very instant
			f.commands <- Command{Stop: true}
			if err := <-f.result; err != nil {
				t.Fatal(err)
			}
			f.inOrder(t)
			var together []time.Duration
			for _, p := range parts {
				together = append(together, p.arrivals...)
			}
			slices.Sort(together)
			whole := NewPacer(spec.Arrivals("x", 1))
			whole.Ramp(2600*time.Millisecond, 3, time.Second, Leg{To: 3, Over: time.Second}, Leg{To: 0.5}) // 2.5 s, and commandLead
			if n := whole.Due(6499 * time.Millisecond); n != uint64(len(together)) {
				t.Fatalf("%d arrivals, want %d", len(together), n)
			}
			for i, at := range together {
				if want := whole.Next(); at != want {
					t.Fatalf("arrival %d came at %s, want %s", i+1, at, want)
				}
				whole.Take()
			}
			due, started := f.total()
			if n := uint64(len(together)); due != n || started != n {
				t.Errorf("of %d arrivals %d were due and %d begun", n, due, started)
			}
			if w := f.windows[1]; len(w.Generators) != 3 || w.Generators[2].Name != "m2" || w.Generators[2].CPU != time.Millisecond || w.Generator.CPU != 3*time.Millisecond {
				t.Errorf("the generators used %+v, together %+v", w.Generators, w.Generator)
			}
		})
	}
}

// TestSeveralWhenOneDies checks that what the dead one owed is still due, that it is named, and that the stream ends.
func TestSeveralWhenOneDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90}, &paced{}, &paced{dies: 3510 * time.Millisecond}, &paced{})
		err := <-f.result
		if err == nil || !strings.Contains(err.Error(), "generator m1: it was killed") {
			t.Fatalf("error %v", err)
		}
		if len(f.notes) != 1 || !strings.HasPrefix(f.notes[0], "warning: generator m1: it was killed; the other generators stop") {
			t.Errorf("notes %q", f.notes)
		}
		f.inOrder(t)
		if len(f.windows) != 4 {
			t.Fatalf("%d windows", len(f.windows))
		}
		// What the dead one did in its last half second is not known, and was due all the same.
		if due, started := f.total(); due != 315 || started != 300 || f.windows[3].Due != 45 {
			t.Errorf("%d of %d were begun, and %d were due in the second of the death", started, due, f.windows[3].Due)
		}
	})
}

// TestSeveralWhenOneIsSlow checks that windows go on without one that falls silent for a while, and that nothing is lost or
// counted twice.
func TestSeveralWhenOneIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &paced{lag: func(second int) time.Duration {
			if second == 2 {
				return 5 * time.Second
			}
			return 0
		}}
		f := begin(t, Spec{Rate: 90}, &paced{}, slow, &paced{})
		<-f.ready
		time.Sleep(12005 * time.Millisecond)
		f.commands <- Command{Stop: true}
		if err := <-f.result; err != nil {
			t.Fatal(err)
		}
		f.inOrder(t)
		for i, w := range f.windows[:12] {
			if w.Due != 90 {
				t.Errorf("second %d: %d were due", i, w.Due)
			}
			if missing := i >= 2 && i < 6; missing != slices.Equal(w.Missing, []string{"m1"}) {
				t.Errorf("second %d: missing are %v", i, w.Missing)
			}
			if w.Generator.CPU > 3*time.Millisecond {
				t.Errorf("second %d: three generators of 1 ms each used %s", i, w.Generator.CPU)
			}
			if late := f.when[i].Sub(w.Start.Add(time.Second)); late > 2*time.Second {
				t.Errorf("second %d came %s after its end", i, late)
			}
		}
		if due, started := f.total(); due != 1080 || started != due {
			t.Errorf("%d of %d were begun", started, due)
		}
	})
}

// TestSeveralBehindOneNetwork checks that what a network has held up for a while, of all generators, is still merged second by
// second: they do not all come in the same moment.
func TestSeveralBehindOneNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := func(until time.Duration) *paced {
			return &paced{lag: func(second int) time.Duration {
				if second == 2 {
					return until
				}
				return 0
			}}
		}
		f := begin(t, Spec{Rate: 90}, held(5*time.Second), held(5200*time.Millisecond), held(5100*time.Millisecond))
		<-f.ready
		time.Sleep(12005 * time.Millisecond)
		f.commands <- Command{Stop: true}
		if err := <-f.result; err != nil {
			t.Fatal(err)
		}
		f.inOrder(t)
		for i, w := range f.windows[:12] {
			if w.Due != 90 || w.Started != 90 && i > 0 { // the first arrival is due after the first instant
				t.Errorf("second %d: %d of %d were begun", i, w.Started, w.Due)
			}
		}
	})
}

// TestSeveralReadByAnEndThatIsHeldUp has this end stand still for a while when one of three has told of a second and the others have not:
// they are not taken for late, since what they said was not looked at. One that really says nothing is missed all the same.
func TestSeveralReadByAnEndThatIsHeldUp(t *testing.T) {
	for name, mute := range map[string]bool{"all tell": false, "one is mute": true} {
		synctest.Test(t, func(t *testing.T) {
			lag := func(d time.Duration) *paced { return &paced{lag: func(int) time.Duration { return d }} }
			// The first tells of a second 100 ms after its end, and the second of the one before it 100 ms later, which ends that.
			parts := []*paced{lag(-200 * time.Millisecond), lag(900 * time.Millisecond), {}}
			if mute {
				parts[2] = &paced{lag: func(second int) time.Duration { return time.Duration(max(0, second-3)) * time.Hour }}
			}
			commands := make(chan Command, 1)
			var got []Window
			s := newSeveral(Spec{Stream: "s", Rate: 90, Dir: t.TempDir(), Commands: commands}, func(w Window) {
				if got = append(got, w); len(got) == 4 {
					time.Sleep(3 * time.Second) // the machine stands still
				}
				if len(got) == 10 {
					commands <- Command{Stop: true}
				}
			})
			s.spec.Generators = make([]Node, len(parts))
			for i, g := range parts {
				p, err := s.part(i, fmt.Sprintf("m%d", i))
				if err != nil {
					t.Fatal(err)
				}
				p.generator = g
			}
			if err := s.run(t.Context()); err != nil || len(got) < 10 {
				t.Fatalf("%d seconds, %v", len(got), err)
			}
			for i, w := range got[:10] {
				var want []string
				if mute && i >= 4 {
					want = []string{"m2"}
				}
				if w.Due != 90 || !slices.Equal(w.Missing, want) {
					t.Errorf("%s: second %d: %d were due, missing are %v", name, i, w.Due, w.Missing)
				}
			}
		})
	}
}

// TestSeveralHeldUpAgainAndAgain has this end held up for a moment every second: a second that one does not tell of is told of without it
// all the same, and not only when that ends.
func TestSeveralHeldUpAgainAndAgain(t *testing.T) {
	first := time.Now().Round(time.Second)
	var told []Window
	s := seconds{way: network, first: first, parts: []*part{{name: "a"}, {name: "b"}}, emit: func(w Window) { told = append(told, w) }}
	s.add(0, Window{Start: first, Due: 30}, first.Add(1100*time.Millisecond))
	for after := time.Second; after < time.Minute; after += 600 * time.Millisecond {
		s.awake = first.Add(after)
		s.flush(s.awake)
		if due := after > time.Second+network.Late+mostHeld; due != (len(told) == 1) {
			t.Fatalf("after %v %d were told of", after, len(told))
		}
	}
	if len(told) != 1 || !slices.Equal(told[0].Missing, []string{"b"}) || told[0].Due != 60 {
		t.Errorf("%+v", told)
	}
}

// TestSeveralHeldUpAfterAnOutage has this end held up when seconds of long ago are told of: they wait for the others as any do.
func TestSeveralHeldUpAfterAnOutage(t *testing.T) {
	first := time.Now().Round(time.Second)
	var told []Window
	s := seconds{way: printed, first: first, parts: []*part{{name: "a"}, {name: "b"}}, emit: func(w Window) { told = append(told, w) }}
	back := first.Add(30 * time.Second)
	s.add(0, Window{Start: first, Due: 30}, back)
	s.awake = back.Add(5 * time.Second)
	if s.flush(s.awake.Add(time.Millisecond)); len(told) > 0 {
		t.Errorf("%+v was told of at once", told)
	}
	s.add(1, Window{Start: first, Due: 30}, s.awake.Add(time.Second))
	if s.flush(s.awake.Add(time.Second)); len(told) != 1 || told[0].Missing != nil {
		t.Errorf("%+v", told)
	}
}

// TestSeveralGoByTheMonotonicClock checks that the first instant of all has a reading of it: else a command would come at another
// time when somebody sets the clock.
func TestSeveralGoByTheMonotonicClock(t *testing.T) {
	s := newSeveral(Spec{}, nil)
	s.begin()
	if !strings.Contains(s.start.String(), " m=") || s.start.Nanosecond() != 0 {
		t.Errorf("all begin at %s", s.start)
	}
}

func TestSeveralStoppedBeforeTheyBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90}, &paced{prepare: time.Hour}, &paced{})
		time.Sleep(time.Second)
		f.commands <- Command{Stop: true}
		if err := <-f.result; err != nil || len(f.windows) > 0 {
			t.Errorf("error %v, %d windows", err, len(f.windows))
		}
	})
}

func TestNamesOfGenerators(t *testing.T) {
	got := Names([]Node{{SSH: Here}, {SSH: "web1"}, {SSH: Here}, {SSH: Here}})
	if want := []string{"here", "web1", "here-2", "here-3"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

// TestSeveralShareTheirMachines checks that generators on one machine do not each count on all of it.
func TestSeveralShareTheirMachines(t *testing.T) {
	nodes := []Node{{SSH: Here}, {SSH: "web1"}, {SSH: Here}}
	for streams, want := range map[int][]int{0: {2, 1, 2}, 3: {6, 3, 6}} {
		s := newSeveral(Spec{Generators: nodes, Sharing: streams, Dir: t.TempDir()}, nil)
		for i, name := range Names(nodes) {
			p, err := s.part(i, name)
			if err != nil {
				t.Fatal(err)
			}
			if p.spec.Sharing != want[i] {
				t.Errorf("of %d streams, generator %s shares its machine among %d, want %d", streams, name, p.spec.Sharing, want[i])
			}
		}
	}
}
