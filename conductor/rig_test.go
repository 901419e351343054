package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/alarms"
	"gameday/alarms/builtin"
	"gameday/clock"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/loadgen"
	"gameday/report"
	"gameday/responders"
	"gameday/responders/desk"
	"gameday/scenarios"
	"gameday/targets"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// pair is how long two processes sleep that are selected together, by what only theirs have in their command line.
var pair = fmt.Sprintf("121.%07d", os.Getpid())

// sleepers are processes that faults may be aimed at. No fault of these tests touches them.
var sleepers []*exec.Cmd

func TestMain(m *testing.M) {
	if path := os.Getenv(ownerVariable); path != "" {
		os.Exit(ownerGuard(path))
	}
	flag.Parse()
	for _, length := range []string{"120", "120", "120", pair, pair} {
		c := exec.Command("sleep", length)
		if err := c.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "starting a target:", err)
			os.Exit(1)
		}
		sleepers = append(sleepers, c)
	}
	code := m.Run()
	for _, c := range sleepers {
		c.Process.Kill()
		c.Wait()
	}
	os.Exit(code)
}

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
	for n := 0; ; n++ {
		// A moment after the second is over, so that nothing depends on which of two goroutines wakes first.
		next := time.After(time.Until(start.Add(time.Duration(n+1)*time.Second + 10*time.Millisecond)))
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
		if share >= 0 {
			end := time.Duration(n+1) * time.Second
			due := pacer.Due(end) - pacer.Due(end-time.Second)
			w := second(spec.Stream, start.Add(end-time.Second), due, pacer.Multiple(end-1), share)
			if s.lost != nil && s.lost(n) {
				w.Missing, w.Of, w.Started = []string{"runner-2"}, 3, w.Due*2/3
			}
			emit(w)
		}
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

// day is one whole run in a bubble of fake time.
type day struct {
	t       *testing.T
	world   *world
	sender  *sender
	probe   *probe
	options Options
	stop    chan report.Stop
	pidfile string // of target web
	// on is called with every event as it is recorded, with the recorder locked.
	on func(report.Event)

	serve  context.CancelFunc
	served chan struct{}
	client *guard.Client
	hears  *io.PipeWriter
	events []report.Event
	err    error // of Run
}

// text puts a scenario together: a timeline of 3 + 2 + 20 + 5 seconds, one stream, targets web and db.
func text(dir, outer, inner string) string {
	return fmt.Sprintf(`%s
scenario "day" {
  summary = "A day."
  timeline {
    baseline = "3s"
    ramp     = "2s"
    load     = "20s"
    recovery = "5s"
  }
  traffic "shop" {
    script   = "get.js"
    multiple = 3
    baseline { rate = 10 }
  }
  target "web" {
    process { pidfile = %q }
  }
  target "db" {
    process { pidfile = %q }
  }
  %s
}
`, outer, filepath.Join(dir, "web.pid"), filepath.Join(dir, "db.pid"), inner)
}

const steadyBlock = `
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.1
      over = "2s"
    }
  }
`

func writePid(t *testing.T, path string, pid int) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newDay loads a scenario. It is called outside the bubble.
func newDay(t *testing.T, outer, inner string) *day {
	t.Helper()
	dir := t.TempDir()
	d := &day{t: t, world: newWorld(), sender: &sender{}, probe: &probe{},
		pidfile: filepath.Join(dir, "web.pid")}
	writePid(t, d.pidfile, sleepers[0].Process.Pid)
	writePid(t, filepath.Join(dir, "db.pid"), sleepers[1].Process.Pid)
	s, sources := d.loadScenario(dir, text(dir, outer, inner))
	ledger, err := faults.OpenLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	d.options = Options{Scenario: s, Sources: sources, Dir: filepath.Join(dir, "rec"), Run: "run-1", Version: "test",
		Generator: d.sender, Ledger: ledger, Kinds: d.world.kinds()}
	if err := os.Mkdir(d.options.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *day) loadScenario(dir, text string) (*scenarios.Scenario, map[string]*hcl.File) {
	d.t.Helper()
	path := filepath.Join(dir, "day.hcl")
	for name, body := range map[string]string{path: text, filepath.Join(dir, "get.js"): "export default function () {}\n"} {
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
	f := scenarios.Load(path, scenarios.Options{
		Catalogue: scenarios.Catalogue{Faults: d.world.kinds(), Alarms: []alarms.SourceKind{builtin.Kind(), d.probe.kind()},
			Responders: []responders.SourceKind{desk.Kind()}},
		Getenv: func(name string) string { return map[string]string{"TOKEN": secretValue, "PIN": "1000"}[name] },
	})
	if f.Diags.HasErrors() {
		var b bytes.Buffer
		scenarios.WriteText(&b, []*scenarios.File{f}, 100, false)
		d.t.Fatalf("the scenario does not load:\n%s", b.String())
	}
	return f.Scenarios[0], f.Sources
}

// secretValue has characters that JSON writes in other ways.
const secretValue = `s3cr<et&"va\lue`

// stand starts the guard, once; a new one when the first has died.
func (d *day) stand(context.Context) (*guard.Client, error) {
	if d.client != nil {
		return d.client, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	served := make(chan struct{})
	d.serve, d.served, d.hears = cancel, served, outWrite
	go func() {
		defer close(served)
		guard.Serve(ctx, inRead, outWrite, guard.Options{Kinds: d.options.Kinds, Ledger: d.options.Ledger, Version: "test"})
		inRead.Close()
		outWrite.Close()
	}()
	d.client = guard.Connect(inWrite, outRead)
	return d.client, nil
}

// killGuard ends the guard as a kill does: it reverts nothing and says nothing; its locks go.
func (d *day) killGuard() {
	d.world.with(func() { d.world.dead = true })
	d.hears.Close()
	d.serve()
	<-d.served
	d.world.with(func() { d.world.dead = false })
}

// at does something at an instant of the run.
func (d *day) at(when time.Duration, f func()) {
	go func() {
		select {
		case <-time.After(when):
			f()
		case <-d.t.Context().Done():
		}
	}()
}

// conduct runs the scenario to its end, in a bubble, and reads the record back.
func (d *day) conduct(ctx context.Context) *report.Record {
	d.t.Helper()
	d.world.start = time.Now()
	d.options.Machine = &targets.Machine{Stand: d.stand}
	d.options.Stop = d.stop
	if d.options.listen == nil {
		d.options.listen = func(string) (net.Listener, error) { return newFakeListener(), nil }
	}
	d.options.Observe = func(e report.Event) {
		d.events = append(d.events, e)
		if d.on != nil {
			d.on(e)
		}
	}
	d.err = Run(ctx, d.options)
	if d.client != nil {
		d.client.Close(context.Background())
		<-d.served
	}
	rec, err := report.Read(d.options.Dir)
	if err != nil {
		d.t.Fatalf("the record cannot be read: %v", err)
	}
	return rec
}

// play runs a scenario in a bubble and then looks at the record.
func play(t *testing.T, outer, inner string, set func(*day), look func(*day, *report.Record)) {
	t.Helper()
	d := newDay(t, outer, inner)
	synctest.Test(t, func(t *testing.T) {
		d.t, d.stop = t, make(chan report.Stop, 1)
		if set != nil {
			set(d)
		}
		rec := d.conduct(t.Context())
		if d.err != nil {
			t.Fatalf("Run: %v", d.err)
		}
		look(d, rec)
	})
}

// seen returns the data of the events of a kind.
func seen[T any](t *testing.T, rec *report.Record, kinds ...report.EventKind) []T {
	t.Helper()
	var out []T
	for _, e := range rec.Events {
		if slices.Contains(kinds, e.Kind) {
			var v T
			if err := json.Unmarshal(e.Data, &v); err != nil {
				t.Fatalf("event %d: %v", e.Seq, err)
			}
			out = append(out, v)
		}
	}
	return out
}

// ended returns how the run ended.
func ended(t *testing.T, rec *report.Record) report.Ended {
	t.Helper()
	all := seen[report.Ended](t, rec, report.RunEnded)
	if len(all) != 1 {
		t.Fatalf("%d ends in the record", len(all))
	}
	return all[0]
}

func wantEnd(t *testing.T, rec *report.Record, want report.EndReason) report.Ended {
	t.Helper()
	e := ended(t, rec)
	if e.Reason != want {
		t.Fatalf("the run ended as %q (%s), want %q", e.Reason, e.Error, want)
	}
	return e
}

// steps lists what happened to faults: "injected cut 5.0".
func steps(t *testing.T, rec *report.Record, kinds ...report.EventKind) []string {
	t.Helper()
	var out []string
	for _, e := range rec.Events {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		var v struct{ Fault string }
		if err := json.Unmarshal(e.Data, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %.1f", e.Kind, v.Fault, e.T.Seconds()))
	}
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// probe is an alarm source that answers queries as told.
type probe struct {
	query  func(context.Context) (float64, bool, error)
	beside map[string]string // the labels of alarms to tell of although nobody expects them, as it was opened with
	err    error             // of Preflight
	finds  []alarms.Finding
	series int // how many Range yields
	// history answers for the run afterwards; nil has seen all of it, and nothing in it.
	history func(clock.Span) ([]alarms.Episode, alarms.Coverage, error)
	// advise makes it a source that knows its rules.
	advise func(context.Context, alarms.Inquiry) (alarms.Advice, error)
	// past answers for the time before the run; nil has no history of its own.
	past func(clock.Span) ([]alarms.Episode, alarms.Coverage, error)
	// standing is how many sources were opened and not closed.
	standing atomic.Int64
}

type probeConfig struct {
	Token string `hcl:"token,optional"`
}

func (*probeConfig) Validate() error { return nil }

func (p *probe) kind() alarms.SourceKind {
	return alarms.SourceKind{Name: "probe", Summary: "answers as told", New: func() alarms.Config { return &probeConfig{} },
		Open: func(_ string, _ alarms.Config, beside map[string]string) (alarms.Source, error) {
			p.standing.Add(1)
			p.beside = beside
			if p.advise != nil {
				return probeAdviser{probeSource{p}}, nil
			}
			return probeSource{p}, nil
		}}
}

type probeSource struct{ *probe }

// probeAdviser is a probe that knows its rules.
type probeAdviser struct{ probeSource }

func (p probeAdviser) Advise(ctx context.Context, ask alarms.Inquiry) (alarms.Advice, error) {
	return p.advise(ctx, ask)
}

func (p probeSource) Preflight(context.Context, []alarms.Expectation) ([]alarms.Finding, error) {
	return p.finds, p.err
}

func (p probeSource) Watch(ctx context.Context, _ func(alarms.Observation)) error {
	<-ctx.Done()
	return nil
}

func (p probeSource) History(_ context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	if p.history != nil {
		return p.history(span)
	}
	return nil, alarms.Coverage{Spans: []clock.Span{span}}, nil
}

func (p probeSource) Past(_ context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	if p.past == nil {
		return nil, alarms.Coverage{}, errors.New("it forgets")
	}
	return p.past(span)
}

// Close is called once.
func (p probeSource) Close() { p.standing.Add(-1) }

func (p probeSource) Query(ctx context.Context, _ string) (float64, bool, error) { return p.query(ctx) }

// inBubble is play for tests that conduct the run themselves.
func inBubble(t *testing.T, d *day, f func(context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d.t, d.stop = t, make(chan report.Stop, 1)
		f(t.Context())
	})
}
