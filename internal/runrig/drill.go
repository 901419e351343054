package runrig

import (
	"encoding/json"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/report"
	"gameday/responders"
)

// HostileAlarm is the name of an alarm in a Drill that is markup wherever it is not escaped.
const HostileAlarm = "Slow | `checkout` [now](https://evil.example) <b>\"x\"</b>"

// Drill makes the record of a run in which not all went well: an alarm that is paged about and acknowledged late, one that
// never fires, one whose source was out of sight, one that nobody expected and whose name is hostile, and deadlines that lie
// after the end. ann, bob and carol are people.
func (w *World) Drill(name string, at time.Time) *report.Record {
	w.Crash = true
	rec := w.Run(name, at, 1)
	d := &drill{rec: rec, began: at, end: float64(w.Baseline + 2 + w.Load + w.Recovery), onset: float64(w.Baseline + 2 + w.Load/3)}
	d.plan()
	d.alarms()
	d.people()
	last := rec.Events[len(rec.Events)-1]
	rec.Events = append(rec.Events[:len(rec.Events)-1], d.more...)
	rec.Events = append(rec.Events, last)
	slices.SortStableFunc(rec.Events, func(a, b report.Event) int { return a.At.Compare(b.At) })
	return rec
}

type drill struct {
	rec        *report.Record
	began      time.Time
	onset, end float64 // seconds since the begin
	more       []report.Event
}

func (d *drill) at(sec float64) time.Time {
	return d.began.Add(time.Duration(sec * float64(time.Second)))
}

func (d *drill) about(sec float64) clock.Interval { return clock.Between(d.at(sec-0.5), d.at(sec+0.5)) }

func (d *drill) add(sec float64, kind report.EventKind, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err) // plain structures of the record
	}
	d.more = append(d.more, report.Event{At: d.at(sec), T: time.Duration(sec * float64(time.Second)), Kind: kind, Data: raw})
}

func (d *drill) plan() {
	p := d.rec.Plan
	p.Summary, p.Owner = "The shop comes back by itself, and on-call hears of it.", "team-shop"
	a := &p.Alarms[0]
	a.PagesVia, a.PagesWithin, a.ClearsWithin = "alertmanager.main", time.Minute, time.Minute
	p.Alarms = append(p.Alarms,
		report.AlarmPlan{Name: "CheckoutErrors", Source: "prometheus.main", Cause: "crash", FiresWithin: 20 * time.Second, Weight: 1,
			Match: map[string]string{"alertname": "CheckoutErrors"}},
		report.AlarmPlan{Name: "ShopProbe", Source: "icinga2.main", Cause: "crash", FiresWithin: 20 * time.Second, Weight: 1,
			Match: map[string]string{"alertname": "ShopProbe"}})
	p.Noise = &report.NoisePlan{Watch: map[string]string{"severity": "page"}}
	within := func(d time.Duration) report.DeadlinePlan { return report.DeadlinePlan{Within: d, Weight: 1} }
	ack := within(20 * time.Second)
	ack.Required = true
	resolve := report.ResolvePlan{DeadlinePlan: within(30 * time.Minute)}
	p.Responses = []report.ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "ShopDown",
		Acknowledge: &report.AckPlan{DeadlinePlan: ack}, Marks: []report.MarkPlan{{Name: "bridge opened", DeadlinePlan: within(time.Minute)}},
		Resolve: &resolve}}
}

func (d *drill) alarms() {
	whole := clock.Span{Start: d.began, End: d.at(d.end)}
	page := map[string]string{"severity": "page"}
	labels := func(name string) map[string]string {
		return map[string]string{"alertname": name, "severity": page["severity"]}
	}
	d.add(d.end, report.AlarmHistory, report.AlarmRecord{Source: "alertmanager.main", Span: whole,
		Coverage: alarms.Coverage{Spans: []clock.Span{whole}, Resolution: time.Second},
		Episodes: []alarms.Episode{
			{Source: "alertmanager.main", Key: "ShopDown", Labels: labels("ShopDown"), Firing: d.about(d.onset + 7),
				Paged: d.about(d.onset + 8), Ended: d.about(d.onset + 12)},
			{Source: "alertmanager.main", Key: "slow", Labels: labels(HostileAlarm), Firing: d.about(d.onset + 9),
				Paged: d.about(d.onset + 10), Ended: d.about(d.onset + 14)}}})
	blind := clock.Span{Start: d.began, End: d.at(d.onset - 5)}
	d.add(d.end, report.AlarmHistory, report.AlarmRecord{Source: "icinga2.main", Span: whole,
		Coverage: alarms.Coverage{Spans: []clock.Span{blind}, Resolution: time.Second,
			Why: []string{"unreachable from then on: connection refused, says bob"}}})
}

func (d *drill) people() {
	whole := clock.Span{Start: d.began, End: d.at(d.end)}
	did := func(sec float64, kind responders.Kind, who string) responders.Event {
		return responders.Event{Source: "desk.ops", ID: string(kind) + who, Page: "#1", Kind: kind, At: d.about(d.onset + sec),
			Labels: map[string]string{"alertname": "ShopDown", "severity": "page"}, Grade: "A",
			Actor: responders.Actor{ID: who, Kind: responders.Human}}
	}
	opened, told := did(8, responders.Opened, "desk"), did(8.5, responders.Notified, "desk")
	opened.Actor.Kind, told.Actor.Kind = responders.Integration, responders.Integration
	told.Targets, told.Delivered, told.Level = []string{"ann"}, "yes", 1
	marked := did(40, responders.Marked, "bob")
	marked.Text = "bridge opened"
	noted := did(35, responders.Noted, "bob")
	noted.Text = "ann's phone was off | see <wiki>"
	said := did(36, responders.Diagnosed, "bob")
	said.Page, said.Labels, said.Text = "", nil, "the shop's process died, ann thinks"
	d.add(d.end, report.ResponseRecord, report.ResponseAccount{Source: "desk.ops", Span: whole,
		Coverage: responders.Coverage{Spans: []clock.Span{whole}},
		Events:   []responders.Event{opened, told, did(33, responders.Acknowledged, "bob"), noted, said, marked}})
	d.add(d.onset+20, report.Marked, report.Mark{Name: "the wrong dashboard", By: "carol", Text: "ann looked at search"})
}
