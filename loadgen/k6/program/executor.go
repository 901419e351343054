package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"go.k6.io/k6/v2/errext"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/lib/executor"
	"go.k6.io/k6/v2/metrics"

	"gameday/loadgen"
)

// forever is how long our executor says it takes: until it is told to stop.
const forever = 10 * 365 * 24 * time.Hour

// arrivalsConfig is a scenario under our executor, as k6 wants it.
type arrivalsConfig struct {
	executor.BaseConfig
	arrivalOptions
	child *generator
}

func (c *generator) newArrivals(name string, raw []byte) (lib.ExecutorConfig, error) {
	a := &arrivalsConfig{BaseConfig: executor.NewBaseConfig(name, arrivalsType), child: c}
	if err := lib.StrictJSONUnmarshal(raw, a); err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", name, err)
	}
	c.mu.Lock()
	c.calls = a.Calls
	c.mu.Unlock()
	return a, nil
}

// Validate checks what k6 itself asks of a scenario, and our options.
func (a *arrivalsConfig) Validate() []error {
	errs := a.BaseConfig.Validate()
	if a.Rate < 0 || math.IsNaN(a.Rate) || a.PlannedVUs < 1 || a.MaxVUs < a.PlannedVUs || a.Backlog < 1 {
		errs = append(errs, errors.New("its rate or its virtual users make no sense"))
	}
	return errs
}

// GetDescription is what k6 would print.
func (a *arrivalsConfig) GetDescription(*lib.ExecutionTuple) string {
	return fmt.Sprintf("%.2f iterations/s times the multiple, maxVUs: %d", a.Rate, a.MaxVUs)
}

// GetExecutionRequirements says how many virtual users k6 makes before the test, and how many may follow.
func (a *arrivalsConfig) GetExecutionRequirements(*lib.ExecutionTuple) []lib.ExecutionStep {
	return []lib.ExecutionStep{
		{PlannedVUs: uint64(a.PlannedVUs), MaxUnplannedVUs: uint64(a.MaxVUs - a.PlannedVUs)},
		{TimeOffset: forever},
	}
}

// HasWork is true: there is always something to do.
func (a *arrivalsConfig) HasWork(*lib.ExecutionTuple) bool { return true }

// MarshalJSON writes the scenario as newArrivals reads it.
func (a *arrivalsConfig) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		executor.BaseConfig
		arrivalOptions
	}{a.BaseConfig, a.arrivalOptions})
}

// NewExecutor returns what runs the scenario.
func (a *arrivalsConfig) NewExecutor(es *lib.ExecutionState, log *logrus.Entry) (lib.Executor, error) {
	a.child.mu.Lock()
	defer a.child.mu.Unlock()
	a.child.created++
	a.child.maxVUs += a.MaxVUs
	return &arrivals{
		BaseExecutor: executor.NewBaseExecutor(a, es, log),
		config:       a,
		child:        a.child,
		state:        es,
		log:          log,
		queue:        make(chan time.Time, a.Backlog),
		more:         make(chan struct{}, 1),
	}, nil
}

// arrivals starts an iteration for each arrival of a schedule, on whichever virtual user is free. When none is, the
// arrival waits in the queue, and the time it waits counts as response time; when the queue is full, it is dropped.
type arrivals struct {
	*executor.BaseExecutor
	config *arrivalsConfig
	child  *generator
	state  *lib.ExecutionState
	log    *logrus.Entry

	queue    chan time.Time // intended starts
	more     chan struct{}  // asks for another virtual user
	busy     atomic.Int64
	users    atomic.Int64 // virtual users there are
	counter  atomic.Uint64
	workers  sync.WaitGroup
	returned sync.WaitGroup // virtual users that k6 has not got back
}

// Run follows the schedule until it is stopped.
func (x *arrivals) Run(parent context.Context, out chan<- metrics.SampleContainer) error {
	defer x.child.finished()
	start, ok := x.child.begin(x.state)
	if !ok {
		return nil
	}
	ctx, interrupt := context.WithCancel(lib.WithScenarioState(parent, &lib.ScenarioState{
		Name: x.config.Name, Executor: x.config.Type, StartTime: start,
		ProgressFn: func() (float64, []string) { return 0, nil },
	}))
	defer func() {
		interrupt()
		x.returned.Wait()
	}()
	for range x.config.PlannedVUs {
		vu, err := x.state.GetPlannedVU(x.log, false)
		if err != nil {
			close(x.queue)
			return fmt.Errorf("preparing virtual users: %w", err)
		}
		x.employ(ctx, vu, out)
	}
	if !x.wait(ctx, start) {
		close(x.queue)
		x.workers.Wait()
		return nil
	}
	schedule := loadgen.NewSchedule(x.config.Arrivals, start)
	x.child.helm.Enlist(schedule)
	x.child.announce()

	growing, done := context.WithCancel(ctx)
	var grower sync.WaitGroup
	grower.Go(func() { x.grow(growing, ctx, out) })
	owed := schedule.Run(ctx, x.arrive)
	done()
	grower.Wait()
	x.drop(owed + x.drain())
	close(x.queue)

	idle := make(chan struct{})
	go func() { x.workers.Wait(); close(idle) }()
	grace := time.NewTimer(x.config.Grace)
	defer grace.Stop()
	select {
	case <-idle:
	case <-grace.C:
		interrupt()
		<-idle
	}
	return nil
}

// wait sleeps until the first instant; false when the run was stopped before.
func (x *arrivals) wait(ctx context.Context, start time.Time) bool {
	timer := time.NewTimer(time.Until(start))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-x.child.stop:
	case <-ctx.Done():
	}
	return false
}

// arrive queues one arrival.
func (x *arrivals) arrive(intended time.Time) {
	select {
	case x.queue <- intended:
	default:
		x.drop(1)
	}
	if users := x.users.Load(); users < x.config.MaxVUs && x.busy.Load()+int64(len(x.queue)) > users {
		select {
		case x.more <- struct{}{}:
		default: // one is being made already
		}
	}
}

func (x *arrivals) drop(n uint64) {
	if n > 0 {
		x.child.tally.At(time.Now(), func(w *loadgen.Window) { w.Dropped += n })
	}
}

// drain empties the queue and returns how many it held.
func (x *arrivals) drain() (n uint64) {
	for {
		select {
		case <-x.queue:
			n++
		default:
			return n
		}
	}
}

// grow makes virtual users in the background, one at a time, as long as arrivals wait for one.
func (x *arrivals) grow(ctx, users context.Context, out chan<- metrics.SampleContainer) {
	for {
		select {
		case <-x.more:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && x.users.Load() < x.config.MaxVUs && len(x.queue) > 0 {
			vu, err := x.state.GetUnplannedVU(ctx, x.log)
			if err != nil {
				x.child.Log("warning", "making another virtual user: "+err.Error())
				return
			}
			x.employ(users, vu, out)
		}
	}
}

// employ gives a virtual user a goroutine that takes arrivals off the queue.
func (x *arrivals) employ(ctx context.Context, vu lib.InitializedVU, out chan<- metrics.SampleContainer) {
	x.returned.Add(1)
	active := vu.Activate(&lib.VUActivationParams{
		RunContext: ctx,
		Scenario:   x.config.Name,
		Exec:       x.config.GetExec(),
		Env:        x.config.GetEnv(),
		Tags:       x.config.GetTags(),
		DeactivateCallback: func(u lib.InitializedVU) {
			x.state.ReturnVU(u, false)
			x.returned.Done()
		},
		GetNextIterationCounters: func() (uint64, uint64) {
			n := x.counter.Add(1)
			return n - 1, x.config.Segment.Nth(n) - 1
		},
	})
	x.users.Add(1)
	u := x.child.user(strconv.FormatUint(vu.GetID(), 10))
	x.workers.Go(func() {
		for intended := range x.queue {
			if ctx.Err() != nil {
				x.drop(1)
				continue
			}
			x.iterate(ctx, active, u, intended, out)
		}
	})
}

// iterate runs the script's function once.
func (x *arrivals) iterate(
	ctx context.Context, vu lib.ActiveVU, u *user, intended time.Time, out chan<- metrics.SampleContainer,
) {
	now := time.Now()
	delay := max(0, now.Sub(intended))
	x.child.tally.At(now, func(w *loadgen.Window) { w.Begin(delay) })
	x.busy.Add(1)
	x.state.ModCurrentlyActiveVUsCount(+1)
	long := u.begin(&iteration{began: now, delay: delay})
	err := vu.RunOnce()
	x.state.ModCurrentlyActiveVUsCount(-1)
	x.busy.Add(-1)
	at := time.Now()
	interrupted, thrown := false, false
	switch {
	case ctx.Err() != nil:
		interrupted = true
	case errext.IsInterruptError(err):
		interrupted = true
		x.abort(err)
	case err != nil:
		thrown = true
		x.complain(err)
	}
	x.count(at, interrupted, thrown)
	if thrown || long || x.config.Calls || !x.child.requests.Load() {
		out <- &ended{user: u, at: at, thrown: thrown, interrupted: interrupted}
	}
}

// count counts an iteration that ended.
func (x *arrivals) count(at time.Time, interrupted, thrown bool) {
	if interrupted {
		x.state.AddInterruptedIterations(1)
	} else {
		x.state.AddFullIterations(1)
	}
	x.child.tally.At(at, func(w *loadgen.Window) {
		switch {
		case interrupted:
			w.Interrupted++
			return
		case thrown:
			w.Thrown++
		}
		w.Completed++
	})
}

// abort ends the whole test, as the script asked for.
func (x *arrivals) abort(err error) {
	x.child.mu.Lock()
	abort := x.child.abort
	x.child.mu.Unlock()
	if abort != nil {
		abort(err)
	}
}

// complain prints an exception, unless it was printed before.
func (x *arrivals) complain(err error) {
	text, fields := errext.Format(err)
	if x.child.Fresh(text) {
		x.log.WithFields(fields).Error(text)
	}
}

var _ lib.Executor = (*arrivals)(nil)
