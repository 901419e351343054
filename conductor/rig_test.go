package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/alarms"
	"gameday/alarms/builtin"
	"gameday/clock"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/internal/bound"
	"gameday/report"
	"gameday/responders"
	"gameday/responders/desk"
	"gameday/scenarios"
	"gameday/targets"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// pair is how long two processes sleep that are selected together, by what only theirs have in their command line.
var pair = fmt.Sprintf("3601.%07d", os.Getpid())

// sleepers are processes that faults may be aimed at. No fault of these tests touches them. They sleep for longer than all tests take: one that has
// woken up is no target any more.
var sleepers []*exec.Cmd

func TestMain(m *testing.M) {
	if path := os.Getenv(ownerVariable); path != "" {
		os.Exit(ownerGuard(path))
	}
	flag.Parse()
	for _, length := range []string{"3600", "3600", "3600", pair, pair} {
		c := exec.Command("sleep", length)
		if err := bound.Start(c, syscall.SIGKILL); err != nil {
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
