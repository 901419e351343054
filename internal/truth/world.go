// Package truth makes up game days whose whole story is known, the records that they would leave, and what is true of
// every promise in them: for the test that a scorecard never says more than what happened. It knows the format of
// records and the words of docs/scoring.md, and shares nothing else with what judges them.
package truth

import (
	"fmt"
	"math/rand/v2"
	"time"

	"gameday/report"
)

// World is one game day. Instants are true times since the run's start, whatever the clocks in it say.
type World struct {
	*rand.Rand
	Seed    uint64
	length  time.Duration // of the run, as it was planned
	ended   time.Duration // when it came to its end
	reason  report.EndReason
	killed  bool          // and not by itself
	control time.Duration // how long the control phase before it lasted; 0 without one
	load    time.Duration // when the load phase began
	back    time.Duration // when the recovery phase began
	faults  []*fault

	alarms    []*alarm // that the plan expects
	strangers []*alarm // that it does not
	noise     *report.NoisePlan
	responses []*report.ResponsePlan
	pass      float64

	decided []report.Override // by people, after it

	rules, router, desk *source
	tells               bool // the desk tells of what is done beside answering pages
	rostered            bool // and of who is on call
	pages               []*page
	// shuffle, when it is set, puts what sources tell afterwards in another order.
	shuffle *rand.Rand
}

// span is a stretch of true time.
type span struct{ from, to time.Duration }

func (s span) holds(at time.Duration) bool { return at >= s.from && at < s.to }

// fault is one fault at one place.
type fault struct {
	name         string
	at, duration time.Duration // as planned
	fate         fate
	onset, gone  time.Duration // true; 0 when it never was
	// What the guard proves: from the command to the answer.
	told, over span
}

type fate int

const (
	stood     fate = iota // for as long as it was planned to
	refused               // it could not be injected
	lapsed                // it was gone long before its time
	left                  // it could not be reverted
	interrupt             // the run was stopped while it stood
)

// alarm is one alarm with all that its source ever did.
type alarm struct {
	plan   report.AlarmPlan // of an expected one
	labels map[string]string
	wait   time.Duration // its pending phase
	bouts  []bout
	hushed []span // silences
	apart  time.Duration
}

// bout is one time that the alarm's condition held. fired and ended are forever where that never came.
type bout struct{ pending, fired, ended time.Duration }

const forever = time.Duration(1 << 60)

func (b bout) firing() bool { return b.fired < b.ended && b.fired < forever }

// New makes up the world of a seed.
func New(seed uint64) *World {
	w := &World{Rand: rand.New(rand.NewPCG(seed, 0x7275746874)), Seed: seed, reason: report.EndComplete}
	w.load = w.between(20, 60)
	w.back = w.load + w.between(120, 420)
	w.length = w.back + w.between(60, 240)
	w.ended = w.length
	w.trouble()
	w.leaveOut()
	w.kill()
	w.sources()
	for i := range 1 + w.IntN(3) {
		w.expect(i)
	}
	for i := range w.IntN(3) {
		w.strange(i)
	}
	if w.chance(0.7) {
		w.noise = &report.NoisePlan{Watch: map[string]string{"severity": "page"}, Allow: []string{"Watchdog"},
			AtMost: w.IntN(2)}
		if w.chance(0.3) { // all of a team's alarms count, those that page nobody a fifth
			w.noise.Watch, w.noise.Pages = map[string]string{"team": "shop"}, map[string]string{"severity": "page"}
		}
		if w.chance(0.4) {
			n := w.IntN(4)
			w.noise.PerPerson = &n
		}
	}
	w.page()
	w.promise()
	w.pass = float64(50 + 5*w.IntN(10))
	w.decide()
	return w
}

func (w *World) chance(p float64) bool { return w.Float64() < p }

// between draws a time from a to b seconds, to the millisecond.
func (w *World) between(a, b float64) time.Duration {
	return time.Duration((a+w.Float64()*(b-a))*1000).Truncate(1) * time.Millisecond
}

// around draws a time near another one, so near now and then that clocks cannot tell them apart.
func (w *World) around(at time.Duration) time.Duration {
	spread := 0.5
	if w.chance(0.15) {
		spread = 0.02
	}
	d := time.Duration(float64(at) * (1 + spread*w.NormFloat64()))
	return max(time.Millisecond, d.Truncate(time.Millisecond))
}

// trouble injects the faults: none in a control run, else one or two that do not overlap.
func (w *World) trouble() {
	n := 1
	switch {
	case w.chance(0.08):
		n = 0
	case w.chance(0.2):
		n = 2
	}
	from := w.load + w.between(2, 20)
	room := (w.back - from) / time.Duration(max(1, n))
	for i := range n {
		f := &fault{name: fmt.Sprintf("cut-%d", i+1), at: from + room*time.Duration(i)}
		f.duration = time.Duration(float64(room) * (0.3 + 0.5*w.Float64())).Truncate(time.Millisecond)
		w.faults = append(w.faults, f)
		switch {
		case w.chance(0.04):
			f.fate = refused
			continue
		case w.chance(0.04):
			f.fate = lapsed
		case w.chance(0.02):
			f.fate = left
		case w.chance(0.03) && i == n-1:
			f.fate = interrupt
		}
		f.inject(w)
	}
}

func (f *fault) inject(w *World) {
	f.told = span{f.at, f.at + w.between(0.02, 1.5)}
	f.onset = f.told.from + time.Duration(w.Float64()*float64(f.told.to-f.told.from))
	stands := f.duration
	switch f.fate {
	case lapsed:
		stands = time.Duration(float64(f.duration) * (0.1 + 0.6*w.Float64()))
	case left:
		f.gone = forever
		return
	case interrupt:
		stands = time.Duration(float64(f.duration) * (0.1 + 0.6*w.Float64()))
		w.reason = report.EndStopped
		w.ended = f.told.to + stands + w.between(3, 8)
	}
	// A fault that runs its whole course is told to go its duration after the proof of its onset.
	f.over.from = f.told.to + stands
	f.over.to = f.over.from + w.between(0.02, 1)
	f.gone = f.over.from + time.Duration(w.Float64()*float64(f.over.to-f.over.from))
}

// expect adds an expected alarm with what it does.
func (w *World) expect(i int) {
	a := &alarm{labels: map[string]string{"alertname": fmt.Sprintf("Down%d", i+1), "severity": "page", "team": "shop"}, apart: w.apart()}
	zero := 0
	a.plan = report.AlarmPlan{Name: a.labels["alertname"], Source: w.rules.name, Match: map[string]string{
		"alertname": a.labels["alertname"]}, FiresWithin: w.between(8, 60), Weight: float64(1 + w.IntN(3)),
		Required: w.chance(0.4)}
	if w.chance(0.7) {
		a.plan.PagesWithin = a.plan.FiresWithin + w.between(2, 30)
		a.plan.PagesVia = w.router.name
		if w.chance(0.5) {
			a.plan.PagesVia = w.desk.name
		}
		a.plan.First = w.chance(0.3)
	}
	if w.chance(0.6) {
		a.plan.ClearsWithin = w.between(10, 60)
	}
	if w.chance(0.4) {
		a.plan.MaxFlaps = &zero
	}
	if w.rules.pending {
		a.wait = []time.Duration{0, 5 * time.Second, 15 * time.Second}[w.IntN(3)]
	}
	w.alarms = append(w.alarms, a)
	if len(w.faults) == 0 {
		if w.chance(0.3) {
			a.bout(w.between(0, 200), w.between(20, 100))
		}
		return
	}
	cause := w.faults[w.IntN(len(w.faults))]
	a.plan.Cause = cause.name
	w.behave(a, cause)
}

// bout adds a time in which the condition held, with the firing that comes of it, unless it is too close to the one
// before.
func (a *alarm) bout(from, long time.Duration) {
	if n := len(a.bouts); n > 0 && from < a.bouts[n-1].ended+a.apart {
		return
	}
	b := bout{pending: from, fired: from + a.wait, ended: from + long}
	if long == forever {
		b.ended = forever
	}
	switch {
	case b.fired >= b.ended:
		b.fired = forever
	case b.ended < forever:
		b.ended = max(b.ended, b.fired+a.apart)
	}
	a.bouts = append(a.bouts, b)
}

// apart is how long an alarm is quiet at the least between two bouts, and how long one lasts: longer than the slower source
// takes to look.
func (w *World) apart() time.Duration {
	return max(12*time.Second, max(w.rules.every, w.router.every)*5/4)
}

// behave draws how an alarm takes its fault.
func (w *World) behave(a *alarm, cause *fault) {
	t0, gone := cause.onset, cause.gone
	if cause.fate == refused {
		t0, gone = cause.at, cause.at+cause.duration
	}
	if gone == forever {
		gone = w.ended
	}
	stays := func(from time.Duration) time.Duration {
		return max(a.apart, gone-from+w.around(max(5*time.Second, a.plan.ClearsWithin)))
	}
	w.byItself(a)
	seen := t0 + max(0, w.around(a.plan.FiresWithin)-a.wait) // its condition holds
	if w.chance(0.5) {
		seen = t0 + w.between(0.1, max(0.2, (a.plan.FiresWithin-a.wait).Seconds()*0.8))
	}
	if w.chance(0.12) {
		a.bout(w.between(0, max(0.1, (t0-40*time.Second).Seconds())), w.between(13, 25)) // an old story, before the fault
	}
	switch p := w.Float64(); {
	case p < 0.55:
		a.bout(seen, stays(seen))
	case p < 0.65: // it sleeps, or wakes up too late to fire
		if a.wait > 0 && w.chance(0.5) {
			a.bout(seen, a.wait-time.Second)
		}
	case p < 0.72: // firing or pending before
		early := max(time.Millisecond, t0-w.around(a.wait+5*time.Second))
		a.bout(early, max(a.apart, gone-early+w.between(-20, 20)))
	case p < 0.76: // pending just before, so that it fires just after
		early := max(time.Millisecond, t0-w.between(0.001, max(0.002, a.wait.Seconds())))
		a.bout(early, stays(early))
	case p < 0.9: // it comes and goes
		at := seen
		for range 2 + w.IntN(3) {
			long := a.wait + a.apart + w.between(0, 20)
			a.bout(at, long)
			at += long + a.apart + w.between(0, 20)
		}
	case p < 0.95:
		a.bout(seen, forever)
	default:
		long := a.wait + a.apart + w.between(0, 10)
		a.bout(seen, long)
		a.bout(gone+w.between(1, 40), long) // once more, when the fault is gone
	}
	if w.chance(0.12) {
		s := span{w.between(0, t0.Seconds()+30), 0}
		s.to = s.from + w.between(30, 400)
		if w.chance(0.4) {
			s.to = forever
		}
		a.hushed = append(a.hushed, s)
	}
}

// strange adds an alarm that nobody expects.
func (w *World) strange(i int) {
	a := &alarm{labels: map[string]string{"alertname": fmt.Sprintf("Stranger%d", i+1), "severity": "page", "team": "shop"}, apart: w.apart()}
	switch w.IntN(5) {
	case 0:
		a.labels["severity"] = "info"
	case 1:
		a.labels["alertname"] = "Watchdog"
		for _, o := range w.strangers {
			if o.labels["alertname"] == "Watchdog" {
				a.labels["alertname"] = "Heartbeat"
			}
		}
	}
	if w.rules.pending {
		a.wait = []time.Duration{0, 5 * time.Second}[w.IntN(2)]
	}
	a.bout(w.between(0, w.length.Seconds()), a.wait+a.apart+w.between(0, 120))
	if w.chance(0.2) {
		a.hushed = []span{{0, forever}}
	}
	if w.chance(0.3) {
		a.plan = report.AlarmPlan{Name: a.labels["alertname"], Source: w.rules.name, Quiet: true, Weight: 1, Required: w.chance(0.4),
			Match: map[string]string{"alertname": a.labels["alertname"]}}
	}
	w.strangers = append(w.strangers, a)
}

// quiet reports whether the plan says that the alarm must not fire.
func (a *alarm) quiet() bool { return a.plan.Quiet }
