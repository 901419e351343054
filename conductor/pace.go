package conductor

import (
	"context"
	"sync"
	"time"

	"gameday/report"
)

// pace is the run's timeline, by which phases end and faults begin. It goes with the clock, stands still while a facilitator
// holds it, and jumps when one skips a wait. Each phase counts from its own begin.
type pace struct {
	mu      sync.Mutex
	stage   report.Phase  // empty before the baseline phase
	began   time.Time     // of the phase
	length  time.Duration // of the phase, as planned
	still   time.Duration // how long the phase was held, before the hold in progress
	skipped time.Duration // of the phase
	before  time.Duration // how long earlier phases were held
	told    bool          // runners were told of the next phase, which begins at its time now
	turning bool          // the phase is just beginning, or its time is over
	hold    *standstill   // in progress; nil is none
	holds   int           // so far
	changed chan struct{} // closed, and replaced, when somebody holds, releases or skips
	// skip, inject and moved are when somebody did so last.
	skip, inject, moved *deed
}

// standstill is a hold in progress.
type standstill struct {
	by    string
	since time.Time
	until time.Time
	lapse *time.Timer
}

// deed is what a facilitator did last of a kind.
type deed struct {
	by, what string
	at       time.Time
}

// enter begins a phase, which nobody can hold before open. Nobody holds the timeline then: a hold in progress keeps the phase before
// from ending.
func (p *pace) enter(stage report.Phase, length time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before += p.still
	p.stage, p.began, p.length, p.still, p.skipped, p.told, p.turning = stage, now, length, 0, 0, false, true
}

// at returns how far the timeline is in the phase. It needs the lock, as do all that follow.
func (p *pace) at(now time.Time) time.Duration {
	if p.hold != nil {
		now = p.hold.since
	}
	return now.Sub(p.began) - p.still + p.skipped
}

// clock returns when the timeline is so far, if nobody holds it or skips anything from now on.
func (p *pace) clock(at time.Duration) time.Time { return p.began.Add(at + p.still - p.skipped) }

// held returns how long the run was held until now.
func (p *pace) held(now time.Time) time.Duration {
	sum := p.before + p.still
	if p.hold != nil {
		sum += now.Sub(p.hold.since)
	}
	return sum
}

// turned tells everybody who waits that the timeline goes another way.
func (p *pace) turned() {
	if p.changed != nil {
		close(p.changed)
	}
	p.changed = make(chan struct{})
}

// turns is closed when the timeline goes another way.
func (p *pace) turns() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// arrive waits until the timeline has come so far into the phase, or until now is closed, and then calls then, during which
// nobody can hold it or skip. It returns the reason when the run must unwind.
func (r *run) arrive(at time.Duration, now <-chan struct{}, then func()) error {
	for {
		over, left, turns := r.arrived(at, now, then)
		if over {
			return nil
		}
		if err := r.await(left, now, turns); err != nil {
			return err
		}
	}
}

// arrived reports whether arrive is over, and else how long to wait at most, less than 0 for as long as it takes, and what may change that.
func (r *run) arrived(at time.Duration, now <-chan struct{}, then func()) (over bool, left time.Duration, turns <-chan struct{}) {
	p := &r.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	left = at - p.at(r.rec.now())
	if p.hold == nil && left <= 0 || closed(now) {
		if then != nil {
			then()
		}
		return true, 0, nil
	}
	if p.hold != nil {
		left = -1
	}
	return false, left, p.turns()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (r *run) await(left time.Duration, now, turns <-chan struct{}) error {
	var due <-chan time.Time
	if left >= 0 {
		t := time.NewTimer(left)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
	case <-now:
	case <-turns:
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	return nil
}

// open lets facilitators hold and skip, once the streams were told of the phase.
func (p *pace) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turning = false
}

// pass waits for the planned end of the phase. From then on nobody can hold or skip until the next one is open.
func (r *run) pass() error {
	return r.arrive(r.pace.length, nil, func() { r.pace.turning = true })
}

// planned returns when the phase is to end, as it is now, and since when it has lasted for as long as planned then.
func (p *pace) planned() (from, end time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from = p.clock(0)
	if from.Before(p.began) {
		from = p.began
	}
	return from, p.clock(p.length)
}

// position returns how far the timeline is in the phase.
func (r *run) position() time.Duration {
	r.pace.mu.Lock()
	defer r.pace.mu.Unlock()
	return r.pace.at(r.rec.now())
}

// heldFor returns how long the run was held until now.
func (r *run) heldFor() time.Duration {
	r.pace.mu.Lock()
	defer r.pace.mu.Unlock()
	if r.pace.hold == nil {
		return r.pace.held(time.Time{})
	}
	return r.pace.held(r.rec.now())
}

// letGo ends the watch over a hold, at the end of the run: what is left of it is nobody's any more.
func (r *run) letGo() {
	r.pace.mu.Lock()
	defer r.pace.mu.Unlock()
	if h := r.pace.hold; h != nil {
		h.lapse.Stop()
	}
}
