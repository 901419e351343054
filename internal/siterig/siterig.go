// Package siterig answers the questions of a server's pages with what it is told, and has a team's autumn of game days for them to show: for
// tests and pictures of the pages.
package siterig

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"gameday/clock"
	"gameday/rehearsals"
	"gameday/report"
	"gameday/report/history"
	"gameday/schedules"
	"gameday/serve/web"
)

// Data answers with its fields. What it is asked to do it keeps. It is safe for concurrent use while nobody changes the fields.
type Data struct {
	R        web.Runs
	O        []web.Occasion
	F        []schedules.Freeze
	L        []web.Rehearsal
	Open     []web.Room
	Halted   *web.Halt
	Trouble  []web.Trouble
	Plans    []web.Scheduled
	Dirs     map[string]string // by folder
	Err      error             // of every question
	Reply    string            // to what it is asked to do
	ReplyErr error

	mu     sync.Mutex
	asked  []string
	signed []rehearsals.SignOff
}

// Runs returns R.
func (d *Data) Runs(context.Context) (*web.Runs, error) { return &d.R, d.Err }

// Occasions returns those of O that reach into a span.
func (d *Data) Occasions(_ context.Context, from, to time.Time) ([]web.Occasion, error) {
	var out []web.Occasion
	for _, o := range d.O {
		if o.Opens.Before(to) && o.Closes.After(from) {
			out = append(out, o)
		}
	}
	return out, d.Err
}

// Freezes returns those of F that reach into a span.
func (d *Data) Freezes(_ context.Context, from, to time.Time) ([]schedules.Freeze, error) {
	return slices.DeleteFunc(slices.Clone(d.F), func(f schedules.Freeze) bool { return !f.From.Before(to) || !f.To.After(from) }), d.Err
}

// Rehearsals returns L.
func (d *Data) Rehearsals(context.Context) ([]web.Rehearsal, error) { return d.L, d.Err }

// Rooms returns Open.
func (d *Data) Rooms(context.Context) ([]web.Room, error) { return d.Open, d.Err }

// Halt returns Halted.
func (d *Data) Halt(context.Context) (*web.Halt, error) { return d.Halted, d.Err }

// Troubles returns Trouble.
func (d *Data) Troubles() []web.Trouble { return d.Trouble }

// Scheduled returns Plans.
func (d *Data) Scheduled() []web.Scheduled { return d.Plans }

// Dir returns the folder of a record.
func (d *Data) Dir(folder string) (string, error) {
	if dir, ok := d.Dirs[folder]; ok {
		return dir, nil
	}
	return "", errors.New("there is no record " + folder)
}

// Stop keeps that it was asked.
func (d *Data) Stop(_ context.Context, by, why string) (string, error) {
	d.keep("stop by " + by + ": " + why)
	return d.Reply, d.ReplyErr
}

// Lift keeps that it was asked.
func (d *Data) Lift(_ context.Context, by, why string) (string, error) {
	d.keep("lift by " + by + ": " + why)
	return d.Reply, d.ReplyErr
}

// SignOff keeps a sign-off.
func (d *Data) SignOff(_ context.Context, s rehearsals.SignOff) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ReplyErr == nil {
		d.signed = append(d.signed, s)
	}
	return d.ReplyErr
}

func (d *Data) keep(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, what)
}

// Asked returns what it was asked to do, and what was signed, and forgets it.
func (d *Data) Asked() (asked []string, signed []rehearsals.SignOff) {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked, signed = d.asked, d.signed
	d.asked, d.signed = nil, nil
	return asked, signed
}

// Now is when the autumn is looked at: a Wednesday afternoon.
var Now = time.Date(2026, 12, 2, 14, 20, 0, 0, time.UTC)

// autumn makes the runs of a team.
type autumn struct {
	*Data
	rng    *rand.Rand
	record string
	zone   *time.Location
}

// Autumn is a team's autumn: five scenarios, two schedules, one of them blind and with a run in progress, freezes, and a launch for which
// one scenario failed. record is the folder of a record that stands for all.
func Autumn(record string) *Data {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		zone = time.UTC
	}
	a := &autumn{&Data{Dirs: map[string]string{}}, rand.New(rand.NewPCG(7, 11)), record, zone}
	a.past()
	a.calendar()
	a.launch()
	return a.Data
}

// run adds a run that is over.
func (a *autumn) run(scenario string, at time.Time, v report.Verdict, low, high float64, services ...string) *web.Run {
	id := at.UTC().Format("20060102-150405") + "-" + scenario
	e := history.Entry{Folder: id, Run: id, Scenario: scenario, Started: at, Length: 9*time.Minute + time.Duration(a.rng.IntN(90))*time.Second, End: report.EndComplete,
		Verdict: v, Low: low, High: high, Services: services}
	if v == report.Aborted {
		e.End = report.EndAborted
	}
	took := time.Duration(a.rng.IntN(26)+14) * time.Second
	fired := clock.Met
	if v == report.Failed {
		fired = clock.Missed
	}
	x := history.Alarm{Name: map[string]string{"checkout-loses-payments": "PaymentsDown", "dns-gone": "ResolverSilent"}[scenario], Source: "prometheus.main", Fault: "cut", Fired: fired}
	if x.Name == "" {
		x.Name = "QueueGrows"
	}
	y := history.Answer{Name: "on-call", Alarm: x.Name, Fault: "cut", Came: fired}
	if fired == clock.Met {
		x.Took = &clock.Latency{Lo: took, Hi: took + time.Second}
		y.Took = &clock.Latency{Lo: 4 * took, Hi: 4*took + 2*time.Second}
	}
	e.Alarms, e.Answers = []history.Alarm{x}, []history.Answer{y}
	a.R.All = append(a.R.All, web.Run{Entry: e, Over: true})
	a.Dirs[id] = a.record
	return &a.R.All[len(a.R.All)-1]
}

func (a *autumn) past() {
	for week := range 12 {
		day := time.Date(2026, 9, 8, 9, 0, 0, 0, time.UTC).AddDate(0, 0, 7*week)
		verdict, low := report.Passed, 84+float64(a.rng.IntN(14))
		if week == 2 || week == 5 {
			verdict, low = report.Failed, 61
		}
		a.run("checkout-loses-payments", day.Add(time.Duration(a.rng.IntN(45))*time.Minute), verdict, low, low+float64(week%3), "payments", "ledger")
		if week%2 == 0 {
			a.run("dns-gone", day.AddDate(0, 0, 2).Add(40*time.Minute), report.Passed, 92, 92, "resolver")
		}
		if week%4 == 1 {
			a.run("queue-fills", day.AddDate(0, 0, 1).Add(3*time.Hour), []report.Verdict{report.Passed, report.Inconclusive, report.Aborted}[week/4], 70, 88, "redis")
		}
	}
	a.run("replica-lags", time.Date(2026, 9, 30, 13, 0, 0, 0, time.UTC), report.Passed, 88, 91, "postgres").Blind = true
	a.run("one-zone-lost", time.Date(2026, 10, 14, 10, 0, 0, 0, time.UTC), report.Failed, 48, 55, "edge", "ledger")
	going := web.Run{Entry: history.Entry{Folder: "20261202-140218-redis-fills", Run: "20261202-140218-redis-fills", Scenario: "redis-fills", Started: Now.Add(-18 * time.Minute)},
		Blind: true, Going: true, Room: "k3v9"}
	a.R.All = append(a.R.All, going)
	a.R.Skipped = []history.Skipped{{Folder: "20261104-091500-dns-gone", Why: "reading plan.json: unexpected end of JSON input"}}
	a.Open = []web.Room{{ID: "k3v9", Run: going.Folder, Scenario: going.Scenario, Began: going.Started, Blind: true, Paged: true}}
}

func (a *autumn) calendar() {
	at := func(day time.Time, h, m int) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day(), h, m, 0, 0, a.zone)
	}
	zero, one := 0, 1
	for week := range 12 {
		tue := time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 7*week)
		o := web.Occasion{Schedule: "weekly-checkout", ID: tue.Format("2006-01-02") + "T10:00", Scenarios: []string{"checkout-loses-payments"}, Opens: at(tue, 10, 0),
			Closes: at(tue, 12, 0), Zone: a.zone, Moment: at(tue, 10, 0), Fate: web.Planned}
		for i := range a.R.All {
			if r := &a.R.All[i]; r.Scenario == o.Scenarios[0] && r.Started.Format(time.DateOnly) == tue.Format(time.DateOnly) {
				o.Fate, o.Runs, o.Moment, o.Exit = web.Done, []string{r.Folder}, r.Started, &zero
				if r.Verdict == report.Failed {
					o.Exit = &one
				}
			}
		}
		switch {
		case o.Opens.After(time.Date(2026, 12, 18, 0, 0, 0, 0, a.zone)) && o.Opens.Before(time.Date(2027, 1, 5, 0, 0, 0, 0, a.zone)):
			o.Fate, o.Frozen, o.Why, o.Moment = web.Skipped, true, "frozen: Year's end, 18 Dec to 5 Jan", time.Time{}
		case o.Fate == web.Planned && o.Closes.Before(Now):
			o.Fate, o.Why = web.Skipped, "an incident is open: page 4711 of pagerduty.ops"
		}
		a.O = append(a.O, o)
		wed := tue.AddDate(0, 0, 1)
		b := web.Occasion{Schedule: "surprise", ID: wed.Format("2006-01-02") + "T13:00", Scenarios: []string{"redis-fills"}, Blind: true, Opens: at(wed, 13, 0), Closes: at(wed, 17, 0),
			Zone: a.zone, Moment: at(wed, 13, 0).Add(time.Duration(a.rng.IntN(200)) * time.Minute), Fate: web.Planned}
		switch {
		case wed.Format(time.DateOnly) == Now.Format(time.DateOnly):
			b.Moment, b.Fate, b.Runs = Now.Add(-18*time.Minute), web.Going, []string{"20261202-140218-redis-fills"}
		case b.Closes.Before(Now):
			b.Fate, b.Why = web.Missed, "missed: nobody was there to begin it"
		case b.Opens.After(time.Date(2026, 12, 18, 0, 0, 0, 0, a.zone)) && b.Opens.Before(time.Date(2027, 1, 5, 0, 0, 0, 0, a.zone)):
			b.Fate, b.Frozen, b.Why, b.Moment = web.Skipped, true, "frozen: Year's end, 18 Dec to 5 Jan", time.Time{}
		}
		a.O = append(a.O, b)
	}
	a.F = []schedules.Freeze{
		{Name: "Sales week", File: "freeze.ics", From: time.Date(2026, 11, 26, 0, 0, 0, 0, a.zone), To: time.Date(2026, 12, 1, 0, 0, 0, 0, a.zone)},
		{Name: "Year's end", File: "freeze.ics", From: time.Date(2026, 12, 18, 0, 0, 0, 0, a.zone), To: time.Date(2027, 1, 5, 0, 0, 0, 0, a.zone)},
	}
}

func (a *autumn) launch() {
	score, zones := 85.0, map[string]string{"checkout-loses-payments": "shop", "dns-gone": "shop", "queue-fills": "data", "replica-lags": "data", "one-zone-lost": "edge"}
	order := []string{"checkout-loses-payments", "dns-gone", "queue-fills", "replica-lags", "one-zone-lost"}
	plan := func(name string) *rehearsals.Rehearsal {
		r := &rehearsals.Rehearsal{Name: name, File: "launch.hcl", StopOn: rehearsals.DefaultStops, Require: rehearsals.Limits{Score: &score, FreshWithin: 14 * 24 * time.Hour},
			SignOff: []string{"sre", "checkout"}}
		for _, s := range order {
			r.Steps = append(r.Steps, rehearsals.Step{Item: schedules.Item{Scenario: s, File: s + ".hcl"}, Lane: zones[s], Fingerprint: "f-" + s})
		}
		return r
	}
	shown := func(region string, day int, verdicts map[string]report.Verdict) rehearsals.Shown {
		out := rehearsals.Shown{}
		for i, s := range order {
			v, ok := verdicts[s]
			if !ok {
				continue
			}
			low := map[report.Verdict]float64{report.Passed: 91, report.Failed: 58, report.Inconclusive: 70}[v] + float64(i)
			r := a.run(s, time.Date(2026, 11, day, 9, 7*i, 0, 0, time.UTC), v, low, low+float64(i%2), "edge")
			why := map[report.Verdict][]string{report.Failed: {"the required alarm ZoneDown was missed"}, report.Inconclusive: {"prometheus.main could not be reached while the fault stood"}}[v]
			out[s] = append(out[s], rehearsals.Run{Record: r.Folder, Run: r.Folder, Fingerprint: "f-" + s, Started: r.Started, Length: r.Length, End: report.EndComplete, Verdict: v, Low: r.Low,
				High: r.High, Coverage: 0.97, Parts: []rehearsals.Part{}, Why: why, Report: "9534236b"})
		}
		return out
	}
	all := map[string]report.Verdict{}
	for _, s := range order {
		all[s] = report.Passed
	}
	before := shown("eu-west-1", 4, all)
	all["one-zone-lost"], all["queue-fills"] = report.Failed, report.Inconclusive
	delete(all, "replica-lags")
	regions := map[string]rehearsals.Shown{"launch-eu-west-1": before, "launch-eu-west-2": shown("eu-west-2", 27, all)}
	two := web.Rehearsal{Plan: plan("launch-eu-west-2"), Shown: regions["launch-eu-west-2"], All: regions}
	digest := rehearsals.Judge(two.Plan, two.Shown, nil, Now).Digest
	two.Signed = []rehearsals.SignOff{{Rehearsal: "launch-eu-west-2", Role: "checkout", By: "ann", At: Now.Add(-4 * time.Hour), Saw: digest, Refused: true, Why: "the zone's alarm must fire first"}}
	a.L = []web.Rehearsal{two, {Plan: plan("launch-eu-west-1"), Shown: before, All: map[string]rehearsals.Shown{"launch-eu-west-1": before}}}
}
