// Package runrig makes records of runs that never took place, for tests of what is made of records: a queue of requests
// before a few workers, with the noise that real runs have. It knows nothing of how records are judged.
package runrig

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/report"
)

// World is a service on a machine, and how both vary.
type World struct {
	Workers int
	Service time.Duration // mean time that a worker takes for a request
	Errors  float64       // share of the requests that fail
	Rate    float64       // 1x, requests a second; the load phase is at three times that

	Baseline, Load, Recovery int // lengths in seconds; the ramp takes 2

	// Noise. Seconds hang together: the service time wanders by Wander from second to second, of which Memory stays. Runs
	// differ by Between, and one in Outliers of them is slower by a tenth to three tenths.
	Wander, Memory, Between float64
	Outliers                int

	// Crash adds a fault: the service is killed in the load phase, is back after some seconds, and an alarm notices.
	Crash bool

	Random *rand.Rand
}

// New returns a world with the noise of a usual machine, at three quarters of its capacity in the load phase.
func New(seed uint64) *World {
	return &World{Workers: 4, Service: 25 * time.Millisecond, Errors: 0.002, Rate: 40, Baseline: 8, Load: 60, Recovery: 8,
		Wander: 0.03, Memory: 0.8, Between: 0.02, Outliers: 20, Random: rand.New(rand.NewPCG(seed, 1))}
}

// Capacity returns how many requests a second the service can answer when its requests take slow times as long.
func (w *World) Capacity(slow float64) float64 {
	return float64(w.Workers) / (w.Service.Seconds() * slow)
}

// Chance draws what one run is like: how many times as long its requests take. Drift is what the machine adds by
// itself.
func (w *World) Chance(drift float64) float64 {
	slow := math.Exp(w.Random.NormFloat64()*w.Between) * (1 + drift)
	if w.Outliers > 0 && w.Random.IntN(w.Outliers) == 0 {
		slow *= 1.1 + 0.2*w.Random.Float64()
	}
	return slow
}

// Plan returns what the runs promise.
func (w *World) Plan() *report.Plan {
	limit := func(name string, v float64) *sli.Expr {
		return &sli.Expr{Op: "<", Args: []*sli.Expr{{SLI: name}, {Const: &v}}}
	}
	sec := func(n int) time.Duration { return time.Duration(n) * time.Second }
	load := w.Baseline + 2
	p := &report.Plan{
		Scenario: "shop", File: "shop.hcl", Score: report.ScorePlan{Pass: 80},
		Phases: []report.PhasePlan{
			{Phase: report.Baseline, Length: sec(w.Baseline)},
			{Phase: report.Ramp, At: sec(w.Baseline), Length: sec(2)},
			{Phase: report.Load, At: sec(load), Length: sec(w.Load)},
			{Phase: report.Recovery, At: sec(load + w.Load), Length: sec(w.Recovery)}},
		Traffic: []report.TrafficPlan{{Name: "shoppers", Engine: "k6", Script: "shoppers.js", Rate: w.Rate, Multiple: 3}},
		Expects: []report.ExpectPlan{
			{ID: "steady_state.availability", Name: "availability", Part: report.PartSteady, That: limit("error_ratio", 0.05),
				Over: sec(2), Weight: 1}},
	}
	if w.Crash {
		p.Faults = []report.FaultPlan{{Name: "crash", Kind: "process_kill", Targets: []string{"shop"},
			At: sec(load + w.Load/3), RestartsWithin: sec(15)}}
		p.Alarms = []report.AlarmPlan{{Name: "ShopDown", Source: "prometheus.main",
			Match: map[string]string{"alertname": "ShopDown"},
			Cause: "crash", FiresWithin: sec(30), Weight: 1}}
	}
	return p
}

// Run makes the record of one run of that name which begins at an instant, and in which requests take slow times as
// long as usual.
func (w *World) Run(name string, at time.Time, slow float64) *report.Record {
	r := &run{World: w, slow: slow, began: at, rec: &report.Record{Plan: w.Plan()}, free: make([]float64, w.Workers)}
	r.add(0, report.RunStarted, report.Started{Run: name, Version: "1", At: at, Host: "host"})
	for _, p := range r.rec.Plan.Phases {
		r.add(p.At.Seconds(), report.PhaseStarted, report.PhaseChange{Phase: p.Phase})
		r.add((p.At + p.Length).Seconds(), report.PhaseEnded, report.PhaseChange{Phase: p.Phase})
	}
	end := w.Baseline + 2 + w.Load + w.Recovery
	if w.Crash {
		r.crash(float64(w.Baseline+2+w.Load/3), float64(end))
	}
	r.traffic(end)
	r.add(float64(end), report.RunEnded, report.Ended{Reason: report.EndComplete})
	return r.rec
}

// run is one run being made.
type run struct {
	*World
	slow       float64
	began      time.Time
	rec        *report.Record
	free       []float64 // when each worker is free again, in seconds from the begin
	down, back float64   // while the service is dead
}

func (r *run) at(sec float64) time.Time {
	return r.began.Add(time.Duration(sec * float64(time.Second)))
}

func (r *run) add(sec float64, kind report.EventKind, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err) // plain structures of the record
	}
	r.rec.Events = append(r.rec.Events, report.Event{At: r.at(sec), T: time.Duration(sec * float64(time.Second)),
		Kind: kind, Data: raw})
}

// crash adds the life of the fault, and of the alarm that notices it.
func (r *run) crash(onset, end float64) {
	r.down, r.back = onset, onset+3+math.Abs(r.Random.NormFloat64())*0.3
	in := report.Injection{ID: "run/crash", Fault: "crash", Kind: "process_kill", Place: "shop"}
	r.add(onset-0.02, report.Injecting, in)
	in.Onset = clock.Between(r.at(onset-0.02), r.at(onset))
	in.Effect = &faults.Effect{Proven: true, Summary: "pid 1 is gone"}
	r.add(onset, report.Injected, in)
	r.add(r.back, report.Recovered, report.Comeback{Fault: "crash", Place: "shop", At: clock.At(r.at(r.back)),
		Effect: &faults.Effect{Proven: true, Summary: "pid 1 → 2"}})
	fired := onset + 6 + 0.5*r.Random.NormFloat64()
	about := func(sec float64) clock.Interval { return clock.Between(r.at(sec-0.5), r.at(sec+0.5)) }
	whole := clock.Span{Start: r.began, End: r.at(end)}
	r.add(end, report.AlarmHistory, report.AlarmRecord{Source: "prometheus.main", Span: whole,
		Coverage: alarms.Coverage{Spans: []clock.Span{whole}, Resolution: time.Second},
		Episodes: []alarms.Episode{{Source: "prometheus.main", Key: "ShopDown",
			Labels:  map[string]string{"alertname": "ShopDown"},
			Pending: about(onset + 3), Firing: about(fired), Ended: about(r.back + 8)}}})
}

// traffic sends requests through the queue, second by second.
func (r *run) traffic(end int) {
	wander := 0.0
	for s := range end {
		wander = r.Memory*wander + math.Sqrt(1-r.Memory*r.Memory)*r.Random.NormFloat64()*r.Wander
		rate := 3 * r.Rate
		if s < r.Baseline {
			rate = r.Rate
		} else if s < r.Baseline+2 {
			rate = 2 * r.Rate
		}
		win := loadgen.Window{Stream: "shoppers", Start: r.at(float64(s)), Multiple: rate / r.Rate}
		win.OK.Response, win.Failed.Response = &loadgen.Histogram{}, &loadgen.Histogram{}
		for at := r.Random.ExpFloat64() / rate; at < 1; at += r.Random.ExpFloat64() / rate {
			r.request(&win, float64(s)+at, r.slow*math.Exp(wander))
		}
		win.Started, win.Completed, win.Requests = win.Due, win.Due, win.Due
		r.rec.Windows = append(r.rec.Windows, win)
	}
}

// request queues one request: the first worker that is free takes it. Service times are log-normal.
func (r *run) request(win *loadgen.Window, at, slow float64) {
	win.Due++
	if at >= r.down && at < r.back {
		win.Failed.Count++
		win.Failed.Response.Record(2 * time.Millisecond)
		return
	}
	first := 0
	for i, free := range r.free {
		if free < r.free[first] {
			first = i
		}
	}
	const spread = 0.5
	took := r.Service.Seconds() * slow * math.Exp(spread*r.Random.NormFloat64()-spread*spread/2)
	done := max(at, r.free[first]) + took
	r.free[first] = done
	into := &win.OK
	if r.Random.Float64() < r.Errors {
		into = &win.Failed
	}
	into.Count++
	into.Response.Record(time.Duration((done - at) * float64(time.Second)))
}

// Write writes a record to a folder, as a run would have left it.
func Write(dir string, rec *report.Record) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	plan, err := json.MarshalIndent(rec.Plan, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, report.PlanFile), append(plan, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, report.EventsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	e := json.NewEncoder(f)
	for i, ev := range withWindows(rec) {
		ev.Seq = uint64(i + 1)
		if err := e.Encode(ev); err != nil {
			return fmt.Errorf("writing event %d: %w", i+1, err)
		}
	}
	return f.Close()
}

// withWindows returns the record's events with its windows among them.
func withWindows(rec *report.Record) []report.Event {
	began := rec.Events[0].At
	out := append([]report.Event(nil), rec.Events...)
	for _, w := range rec.Windows {
		raw, err := json.Marshal(w)
		if err != nil {
			panic(err) // as above
		}
		at := w.Start.Add(1050 * time.Millisecond)
		out = append(out, report.Event{At: at, T: at.Sub(began), Kind: report.WindowClosed, Data: raw})
	}
	last := out[len(rec.Events)-1]
	out = append(out[:len(rec.Events)-1], out[len(rec.Events):]...)
	slices.SortStableFunc(out, func(a, b report.Event) int { return a.At.Compare(b.At) })
	return append(out, last)
}
