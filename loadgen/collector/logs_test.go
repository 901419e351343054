package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/podlogs"
)

// clusterless is a cluster in a bubble: pods whose logs take a while to be read and whose annotations take a while to be files, and an API
// server that can be away.
type clusterless struct {
	logs *Logs
	up   time.Duration // from a line to who reads it
	down time.Duration // from an order to its pod

	away atomic.Bool
	deaf atomic.Bool // logs cannot be read, and orders arrive
	mu   sync.Mutex  // for logs
	pods []*logPod
}

// logPod is the pod of a runner.
type logPod struct {
	c      *clusterless
	index  int
	log    []byte // since the API server was away
	told   sync.Mutex
	orders []byte
	posted string
	slower time.Duration
	end    context.CancelFunc
	result chan error
	over   bool // it has ended
	engine heeding
}

// heeding is an engine that notes how long before it counts it hears of a change.
type heeding struct {
	clockwork
	ahead []time.Duration
}

func (e *heeding) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	begin, commands := make(chan time.Time, 1), make(chan loadgen.Command, 8)
	begun, given := spec.Begin, spec.Commands
	spec.Begin, spec.Commands = begin, commands
	done := make(chan struct{})
	defer close(done)
	go func() {
		var start time.Time
		for {
			select {
			case start = <-begun:
				begin <- start
			case c := <-given:
				if !c.Stop {
					e.ahead = append(e.ahead, time.Until(start.Add(c.At)))
				}
				commands <- c
			case <-done:
				return
			}
		}
	}()
	return e.clockwork.Run(ctx, spec, emit)
}

// Write prints.
func (p *logPod) Write(b []byte) (int, error) {
	p.c.mu.Lock()
	p.log = append(p.log, b...)
	p.c.mu.Unlock()
	time.AfterFunc(p.c.up, p.c.flush)
	return len(b), nil
}

// flush has what was printed read, unless nobody can.
func (c *clusterless) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pods {
		if c.deaf.Load() {
			break
		}
		if !c.away.Load() && len(p.log) > 0 {
			c.logs.heard(p.index, p.log)
			p.log = nil
		}
		if !c.away.Load() && p.over {
			c.logs.ended(p.index)
		}
	}
}

func (c *clusterless) post(i int, sealed string) {
	p := c.pods[i]
	p.told.Lock()
	p.posted = sealed
	down := c.down + p.slower
	p.told.Unlock()
	if !c.away.Load() {
		time.AfterFunc(down, func() { p.arrive(sealed) })
	}
}

func (p *logPod) arrive(sealed string) {
	p.told.Lock()
	defer p.told.Unlock()
	p.orders = []byte(sealed)
}

func (c *clusterless) leave() { c.away.Store(true) }

// back brings the API server back, which is given the newest orders.
func (c *clusterless) back() {
	c.away.Store(false)
	for _, p := range c.pods {
		p.told.Lock()
		p.orders = []byte(p.posted)
		p.told.Unlock()
	}
	c.flush()
}

func (p *logPod) read() ([]byte, error) {
	p.told.Lock()
	defer p.told.Unlock()
	return bytes.Clone(p.orders), nil
}

// logRig is a stream of three runners that print.
type logRig struct {
	*clusterless
	t        *testing.T
	commands chan loadgen.Command
	ready    chan struct{}
	result   chan error

	mu      sync.Mutex
	windows []loadgen.Window
	said    []string
}

func (r *logRig) say(level, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, level+": "+text)
}

func (r *logRig) words() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// startLogs begins a stream in a bubble.
func startLogs(t *testing.T, up, down time.Duration, runnerVersion string) *logRig {
	t.Helper()
	r := &logRig{t: t, commands: make(chan loadgen.Command, 8), ready: make(chan struct{}), result: make(chan error, 1)}
	l, err := NewLogs(version, 3, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r.clusterless = &clusterless{logs: l, up: up, down: down}
	dir := t.TempDir()
	t.Setenv(FilesVariable, dir)
	on := loadgen.RunOn{Kind: loadgen.Jobs, Collector: loadgen.Logs, Parallelism: 3}
	spec := loadgen.Spec{Stream: "clockwork", Rate: 30, RunOn: &on, Commands: r.commands, Log: r.say, Ready: func() { close(r.ready) }, Dir: dir}
	content, err := podlogs.PackStream(version, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, StreamFile), content, 0o600); err != nil {
		t.Fatal(err)
	}
	fleet := loadgen.Fleet{Generator: &clockwork{}, Muster: func(context.Context, loadgen.Spec) ([]loadgen.Runner, func(), error) {
		l.posts(r.post)
		for i := range 3 {
			r.pods = append(r.pods, &logPod{c: r.clusterless, index: i, result: make(chan error, 1)})
		}
		for _, p := range r.pods {
			ctx, end := context.WithCancel(context.Background())
			p.end = end
			go func() {
				one := &Runner{Collector: loadgen.Logs, Token: l.Token(), Segment: loadgen.Segment{Index: p.index, Of: 3}, Who: fmt.Sprint("pod-", p.index+1), Version: runnerVersion,
					Patience: 2 * time.Minute, out: p, orders: p.read}
				p.result <- one.Run(ctx, &p.engine)
				l.Lost(p.index, errors.New("its pod has ended"))
				r.clusterless.mu.Lock()
				p.over = true
				r.clusterless.mu.Unlock()
				time.AfterFunc(r.up+time.Second, r.flush)
			}()
		}
		return l.Runners(), l.Close, nil
	}}
	go func() {
		r.result <- fleet.Run(context.Background(), spec, func(w loadgen.Window) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.windows = append(r.windows, w)
		})
	}()
	return r
}

func (r *logRig) begun() {
	r.t.Helper()
	select {
	case <-r.ready:
	case err := <-r.result:
		r.t.Fatalf("it did not begin: %v\n%s", err, r.words())
	}
}

func (r *logRig) stop() {
	r.t.Helper()
	r.commands <- loadgen.Command{Stop: true}
	if err := <-r.result; err != nil {
		r.t.Errorf("it ended with %v", err)
	}
}

// TestByLogs sends a stream by three runners that print: a change counts for all in the same instant, every second is whole, and all stop.
func TestByLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(20 * time.Second)
		r.stop()
		if len(r.windows) < 19 {
			t.Fatalf("%d seconds", len(r.windows))
		}
		for i, w := range r.windows[:19] {
			if w.Due != 30 || w.Missing != nil || len(w.Generators) != 3 {
				t.Errorf("second %d: %d due, missing are %v", i, w.Due, w.Missing)
			}
		}
		for _, p := range r.pods {
			if err := <-p.result; err != nil {
				t.Errorf("a runner ended with %v", err)
			}
		}
		t.Log(r.words())
	})
}

// TestLogsOutage has the API server away for half a minute: traffic goes on, nothing is known meanwhile, and then every second is there as it was.
func TestLogsOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(5 * time.Second)
		r.leave()
		r.mu.Lock()
		before := len(r.windows)
		r.mu.Unlock()
		time.Sleep(30 * time.Second)
		r.mu.Lock()
		if during := len(r.windows); during > before+1 {
			t.Errorf("%d seconds were known although nobody could read of them", during-before)
		}
		r.mu.Unlock()
		r.back()
		time.Sleep(5 * time.Second)
		r.stop()
		if len(r.windows) < 39 {
			t.Fatalf("%d seconds of 40", len(r.windows))
		}
		for i, w := range r.windows[:39] {
			if w.Due != 30 || w.Started != 30 || w.Missing != nil || w.OK.Response.Count() != 30 || i > 0 && w.Start.Sub(r.windows[i-1].Start) != time.Second {
				t.Errorf("second %d at %s: %d of %d, missing are %v", i, w.Start, w.Started, w.Due, w.Missing)
			}
		}
	})
}

// TestLogsCommand checks that a change is with all runners before it counts, so that no second is a mixture.
func TestLogsCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 1500*time.Millisecond, version)
		r.begun()
		time.Sleep(3 * time.Second)
		r.commands <- loadgen.Command{To: 2}
		time.Sleep(5 * time.Second)
		r.commands <- loadgen.Command{To: 3}
		time.Sleep(5 * time.Second)
		if s := r.words(); strings.Contains(s, "too late") {
			t.Errorf("it says:\n%s", s)
		}
		for _, p := range r.pods {
			p.told.Lock()
			p.slower = 5 * time.Second
			p.told.Unlock()
		}
		r.commands <- loadgen.Command{To: 2}
		time.Sleep(10 * time.Second)
		if s := r.words(); strings.Count(s, "it was not seen to have what it was told until 6.") != 3 {
			t.Errorf("it says:\n%s", s)
		}
		r.stop()
		for i, p := range r.pods {
			if err := <-p.result; err != nil {
				t.Error(err)
			}
			// A runner believes of its clock what was measured, which is right to within half of what it takes to tell it something.
			if len(p.engine.ahead) != 3 || p.engine.ahead[0] < time.Second || p.engine.ahead[0] > loadgen.LogsLead || (p.engine.ahead[1]-p.engine.ahead[0]).Abs() > 2*orderLook {
				t.Errorf("runner %d heard of changes %s before they counted", i+1, p.engine.ahead)
			}
		}
	})
}

// TestLogsLost kills a runner: it is named, and what it owed stays due.
func TestLogsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(5 * time.Second)
		r.pods[1].end()
		time.Sleep(10 * time.Second)
		r.stop()
		w := r.windows[10]
		if len(w.Missing) != 1 || w.Missing[0] != "runner-2" || w.Due != 30 || w.Started != 20 || w.Of != 3 {
			t.Errorf("a second without it: missing %v of %d, %d of %d", w.Missing, w.Of, w.Started, w.Due)
		}
		if s := r.words(); !strings.Contains(s, "(it was pod-2)") || !strings.Contains(s, "From ") {
			t.Errorf("it says:\n%s", s)
		}
	})
}

// TestLogsSilent has nobody renew the runners' lease, as when gameday and what speaks to the cluster for it were killed: they stop by themselves.
func TestLogsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(7 * time.Second)
		r.leave()
		at := time.Now()
		for i, p := range r.pods {
			err := <-p.result
			if !errors.Is(err, errLapsed) {
				t.Errorf("runner %d ended with %v", i+1, err)
			}
		}
		if d := time.Since(at); d > loadgen.LogsLease+time.Second || d < loadgen.LogsLease-renewal-2*time.Second {
			t.Errorf("they stopped after %s", d)
		}
		r.back()
		if err := <-r.result; err == nil {
			t.Error("it ended well")
		}
	})
}

// TestLogsUnheard has the log of runners that go on not be readable any more: they are taken for dead when they must have stopped.
func TestLogsUnheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(5 * time.Second)
		r.leave()
		at := time.Now()
		err := <-r.result
		if err == nil || !strings.Contains(err.Error(), "nothing was heard of it for 1m40s") {
			t.Errorf("it ended with %v", err)
		}
		if d := time.Since(at); d < loadgen.LogsLease || d > unheard+3*time.Second {
			t.Errorf("after %s", d)
		}
		for _, p := range r.pods {
			<-p.result
		}
	})
}

// TestLogsVersion refuses a runner of another version, before anything is sent.
func TestLogsVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, "0.0.1")
		err := <-r.result
		if err == nil || !strings.Contains(err.Error(), " is gameday 0.0.1, and the game day is of "+version) {
			t.Errorf("it ended with %v", err)
		}
		for _, p := range r.pods {
			p.end()
			<-p.result
		}
	})
}

// TestLogsSlow has orders take longer than they may: the stream does not begin.
func TestLogsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 6*time.Second, version)
		if err := <-r.result; err == nil || !strings.Contains(err.Error(), "its answers take 6.1s, so that what it is told would come too late: that may take 4s (it was pod-") {
			t.Errorf("it ended with %v", err)
		}
		for _, p := range r.pods {
			p.end()
			<-p.result
		}
	})
}

// TestLogsStopUnheard stops a stream while the API server is away: it is given up after a while, and said that the last is not known.
func TestLogsStopUnheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(5 * time.Second)
		r.leave()
		at := time.Now()
		r.stop()
		if d := time.Since(at); d > lastWords+3*time.Second {
			t.Errorf("after %s", d)
		}
		if s := r.words(); !strings.Contains(s, "its log does not say 30s after it was told to stop that it has") || !strings.Contains(s, "what it did last is not known") {
			t.Errorf("it says:\n%s", s)
		}
		for _, p := range r.pods {
			p.end()
			<-p.result
		}
	})
}

// TestLogsGap loses lines of one runner's log: that is said, and those seconds are missing.
func TestLogsGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(5500 * time.Millisecond)
		r.leave()
		time.Sleep(4 * time.Second)
		r.clusterless.mu.Lock()
		r.pods[2].log = nil // its node has rotated it away
		r.clusterless.mu.Unlock()
		r.back()
		time.Sleep(5 * time.Second)
		r.stop()
		missing := 0
		for _, w := range r.windows[:14] {
			if len(w.Missing) == 1 && w.Missing[0] == "runner-3" {
				missing++
			} else if w.Missing != nil {
				t.Errorf("missing are %v", w.Missing)
			}
			if w.Due != 30 {
				t.Errorf("%d were due", w.Due)
			}
		}
		if s := r.words(); missing != 4 || !strings.Contains(s, "runner-3: ") || !strings.Contains(s, "lines of what it printed are gone from its log") {
			t.Errorf("%d seconds are missing, and it says:\n%s", missing, s)
		}
	})
}

// TestLogsBeginGone has the begin of a runner's log rotated away before it was read: that is the cause that is told, and no other.
func TestLogsBeginGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.leave()
		time.Sleep(time.Second)
		r.clusterless.mu.Lock()
		r.pods[1].log = nil
		r.clusterless.mu.Unlock()
		r.back()
		err := <-r.result
		if err == nil || !strings.Contains(err.Error(), "runner-2: the begin of its log, which says who it is, was gone before it was read") ||
			strings.Contains(err.Error(), "image") {
			t.Errorf("it ended with %v", err)
		}
		for _, p := range r.pods {
			p.end()
			<-p.result
		}
	})
}
