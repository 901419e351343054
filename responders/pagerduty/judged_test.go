package pagerduty

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/report"
)

// day is a game day that began ten minutes ago and took eight. The fault took effect in its second minute, and the alarm
// fired twenty seconds later.
type day struct {
	t     *testing.T
	began time.Time
	rec   *report.Record
	hooks []string // what webhooks told
}

const length = 480 * time.Second

func newDay(t *testing.T) *day {
	d := &day{t: t, began: time.Now().Add(-10 * time.Minute).Truncate(time.Second)}
	sec := func(n int) time.Duration { return time.Duration(n) * time.Second }
	limit := func(n int) report.DeadlinePlan { return report.DeadlinePlan{Within: sec(n), Weight: 1} }
	d.rec = &report.Record{Plan: &report.Plan{Scenario: "small", File: "small.hcl",
		Phases:  []report.PhasePlan{{Phase: report.Baseline, Length: sec(30)}, {Phase: report.Load, At: sec(30), Length: sec(300)}, {Phase: report.Recovery, At: sec(330), Length: sec(150)}},
		Traffic: []report.TrafficPlan{{Name: "users", Engine: "k6", Rate: 10, Multiple: 1}},
		Faults:  []report.FaultPlan{{Name: "cut", Kind: "network_partition", Targets: []string{"db"}, At: sec(30), Duration: sec(200), Reversible: true}},
		Alarms:  []report.AlarmPlan{{Name: "Down", Source: "prometheus.main", Match: down, Cause: "cut", FiresWithin: sec(60), Weight: 1}},
		Responses: []report.ResponsePlan{{Name: "on-call", Source: "pagerduty.ops", To: "Down",
			Acknowledge: &report.AckPlan{DeadlinePlan: limit(60), Level: 1},
			Escalate:    &report.EscalatePlan{DeadlinePlan: limit(150), ToLevel: 2, OnlyAfter: sec(70)},
			Resolve:     &report.ResolvePlan{DeadlinePlan: limit(300)}}},
		Score: report.ScorePlan{Pass: 80}}}
	d.add(0, report.RunStarted, report.Started{Run: "small", At: d.began})
	d.add(0, report.PhaseStarted, report.PhaseChange{Phase: report.Baseline})
	d.add(30, report.PhaseStarted, report.PhaseChange{Phase: report.Load})
	in := report.Injection{ID: "run/cut", Fault: "cut", Kind: "network_partition", Place: "db"}
	d.add(60, report.Injecting, in)
	in.Onset, in.Effect = clock.At(d.at(60)), &faults.Effect{Proven: true, Summary: "cut"}
	d.add(60, report.Injected, in)
	in.Effect = nil
	d.add(260, report.Reverting, in)
	in.Onset, in.Gone = clock.Interval{}, clock.At(d.at(260))
	d.add(260, report.Reverted, in)
	d.add(330, report.PhaseStarted, report.PhaseChange{Phase: report.Recovery})
	d.add(480, report.AlarmHistory, report.AlarmRecord{Source: "prometheus.main", Span: d.span(),
		Episodes: []alarms.Episode{{Source: "prometheus.main", Key: "1", Labels: down, Pending: clock.At(d.at(70)), Firing: clock.At(d.at(80)), Ended: clock.At(d.at(270))}},
		Coverage: alarms.Coverage{Spans: []clock.Span{d.span()}, Resolution: time.Second}})
	return d
}

func (d *day) at(sec int) time.Time { return d.began.Add(time.Duration(sec) * time.Second) }

func (d *day) span() clock.Span { return clock.Span{Start: d.began, End: d.began.Add(length)} }

func (d *day) add(sec int, kind report.EventKind, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		d.t.Fatal(err)
	}
	d.rec.Events = append(d.rec.Events, report.Event{Seq: uint64(len(d.rec.Events) + 1), At: d.at(sec), T: time.Duration(sec) * time.Second, Kind: kind, Data: raw})
}

// judge asks the source as the conductor does, and scores the record.
func (d *day) judge(s *Source) map[string]*report.Item {
	s.Expect([]map[string]string{down})
	for _, body := range d.hooks {
		if err := s.take([]byte(body), nil, time.Now()); err != nil {
			d.t.Fatal(err)
		}
	}
	events, coverage, err := s.History(d.t.Context(), d.span())
	a := report.ResponseAccount{Source: "pagerduty.ops", Span: d.span(), Events: events, Coverage: coverage}
	if err != nil {
		a.Error = err.Error()
	}
	d.add(480, report.ResponseRecord, a)
	d.add(480, report.RunEnded, report.Ended{Reason: report.EndComplete})
	out := map[string]*report.Item{}
	for _, it := range report.Score(d.rec).Items() {
		if what, ok := strings.CutPrefix(it.ID, "response.on-call."); ok {
			out[what] = it
		}
	}
	return out
}

// TestJudged takes PagerDuty's answers all the way to the score: what was done is met, what was not is missed, and what
// could not be seen is unknown.
func TestJudged(t *testing.T) {
	const met, missed, unknown = clock.Met, clock.Missed, clock.Unknown
	for name, c := range map[string]struct {
		happens              func(f *fake, d *day)
		ack, escalate, close clock.Outcome
		why                  string // of the acknowledgement
	}{
		"acknowledged and closed": {func(f *fake, d *day) {
			d.paged(f).by("acknowledge_log_entry", d.at(120), ann, "mobile").by("resolve_log_entry", d.at(200), ann, "website")
		}, met, met, met, ""},
		"by a clock that is ahead": {func(f *fake, d *day) {
			f.ahead = 90 * time.Second
			d.began = d.began.Add(f.ahead)
			d.paged(f).by("acknowledge_log_entry", d.at(120), ann, "mobile").by("resolve_log_entry", d.at(200), ann, "website")
			d.began = d.began.Add(-f.ahead)
		}, met, met, met, ""},
		"with webhooks": {func(f *fake, d *day) {
			d.paged(f).by("acknowledge_log_entry", d.at(120), ann, "mobile").by("resolve_log_entry", d.at(200), ann, "website")
			d.hooks = []string{hooked("E1", "incident.triggered", "PI1", d.at(85).Add(900*time.Millisecond), serviceRef()),
				hooked("E2", "incident.acknowledged", "PI1", d.at(120).Add(100*time.Millisecond), user(ann))}
		}, met, met, met, ""},
		"nobody answers, the next level does": {func(f *fake, d *day) {
			d.paged(f).escalate(d.at(186), bob).notify(d.at(188), bob, "sms_notification", "success").by("acknowledge_log_entry", d.at(190), bob, "phone")
		}, missed, met, missed, "level 2 does not count"},
		"nobody at all": {func(f *fake, d *day) { d.paged(f) }, missed, missed, missed, "nobody acknowledged"},
		"too late":      {func(f *fake, d *day) { d.paged(f).by("acknowledge_log_entry", d.at(152), ann, "mobile") }, missed, met, missed, "limit"},
		"by a machine": {func(f *fake, d *day) { d.paged(f).by("acknowledge_log_entry", d.at(100), machine, "mobile") }, missed, missed, missed,
			"not a person"},
		"by an API key": {func(f *fake, d *day) { d.paged(f).by("acknowledge_log_entry", d.at(100), ann, "api") }, unknown, unknown, unknown,
			"who that was cannot be told"},
		"not delivered": {func(f *fake, d *day) {
			f.open("PI1", d.at(85), down).assign(d.at(85), ann).notify(d.at(87), ann, "phone_notification", "failed")
		}, missed, missed, missed, "nobody was paged"},
		"no page": {func(f *fake, d *day) {}, missed, missed, missed, "nobody was paged"},
		"a page about what nobody knows": {func(f *fake, d *day) {
			f.open("PI1", d.at(85), nil).assign(d.at(85), ann).notify(d.at(87), ann, "phone_notification", "success")
		}, unknown, unknown, unknown, "has no label alertname"},
		"a page from before": {func(f *fake, d *day) {
			f.open("PI1", d.at(-3000), down).by("acknowledge_log_entry", d.at(120), ann, "mobile")
		}, unknown, unknown, unknown, "was open from before cut"},
		"something that nobody understands": {func(f *fake, d *day) {
			f.undescribed("teleport_log_entry")
			d.paged(f).add("teleport_log_entry", d.at(110), nil)
		}, unknown, unknown, unknown, "teleport_log_entry"},
		"a PagerDuty that fails": {func(f *fake, d *day) {
			d.paged(f).by("acknowledge_log_entry", d.at(120), ann, "mobile")
			f.only, f.body = "log_entries", `{"log_entries":[`
		}, unknown, unknown, unknown, "log_entries"},
		"a PagerDuty that may not be read": {func(f *fake, d *day) { d.paged(f); f.forbidden = "/services" }, unknown, unknown, unknown, http.StatusText(http.StatusForbidden)},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			d := newDay(t)
			c.happens(f, d)
			got := d.judge(s)
			for what, want := range map[string]clock.Outcome{"acknowledge": c.ack, "escalate": c.escalate, "resolve": c.close} {
				if got[what] == nil || got[what].Outcome != want {
					t.Errorf("%s: %+v, want %s", what, got[what], want)
				}
			}
			if !strings.Contains(got["acknowledge"].Why, c.why) {
				t.Errorf("%q does not say %q", got["acknowledge"].Why, c.why)
			}
		})
	}
}

// paged adds the page about the alarm, which reached ann at level 1.
func (d *day) paged(f *fake) *fakeIncident {
	return f.open("PI1", d.at(85), down).assign(d.at(85), ann).notify(d.at(87), ann, "phone_notification", "success")
}

// TestJudgedByRoster asks for somebody on call, for good evidence, and for customers to be told.
func TestJudgedByRoster(t *testing.T) {
	const met, missed, unknown = clock.Met, clock.Missed, clock.Unknown
	told := object{"agent": user(bob), "channel": object{"type": "website"}, "message": "we know"}
	for name, c := range map[string]struct {
		happens        func(f *fake, d *day)
		ack, customers clock.Outcome
		why            string
	}{
		"on call, and told": {func(f *fake, d *day) {
			d.paged(f).by("acknowledge_log_entry", d.at(120), ann, "mobile").add("status_update_log_entry", d.at(150), told)
		}, met, met, ""},
		"not on call": {func(f *fake, d *day) { d.paged(f).by("acknowledge_log_entry", d.at(120), "PELSE", "mobile") }, missed, unknown, "not on call"},
		"from a chat": {func(f *fake, d *day) { d.paged(f).by("acknowledge_log_entry", d.at(120), ann, "slack") }, unknown, unknown, "evidence of grade B only"},
		"nobody knows who is on call": {func(f *fake, d *day) {
			d.paged(f).by("acknowledge_log_entry", d.at(120), ann, "mobile")
			f.oncalls = nil
		}, unknown, unknown, "who was on call is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			f.undescribed("status_update_log_entry")
			d := newDay(t)
			r := &d.rec.Plan.Responses[0]
			r.Acknowledge = &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: time.Minute, Weight: 1, MinEvidence: "A"}, OnCall: true}
			r.Steps = []report.StepPlan{{Step: report.StepCustomers, DeadlinePlan: report.DeadlinePlan{Within: 2 * time.Minute, Weight: 1}}}
			c.happens(f, d)
			duties, err := s.OnCall(t.Context())
			seen := report.OnCallRecord{Source: "pagerduty.ops", Duties: duties}
			if err != nil {
				seen.Error = err.Error()
			}
			d.add(60, report.OnCallSeen, seen)
			got := d.judge(s)
			for what, want := range map[string]clock.Outcome{"acknowledge": c.ack, "customers": c.customers} {
				if got[what] == nil || got[what].Outcome != want {
					t.Errorf("%s: %+v, want %s", what, got[what], want)
				}
			}
			if !strings.Contains(got["acknowledge"].Why, c.why) {
				t.Errorf("%q does not say %q", got["acknowledge"].Why, c.why)
			}
		})
	}
}
