package report

import (
	"bytes"
	"strings"
	"testing"

	"gameday/clock"
	"gameday/responders"
)

// TestSaidInWords shows beside a deed what was said, who is a pseudonym, and no limit where there is none.
func TestSaidInWords(t *testing.T) {
	b := smallRun(t, smallPlan(func(p *Plan) {
		a := downAlarm
		a.Annotations = []string{"summary"}
		p.Alarms = []AlarmPlan{a}
		p.Responses = []ResponsePlan{{Name: "on-call", Source: "desk.ops", To: "Down", Acknowledge: &AckPlan{DeadlinePlan: DeadlinePlan{Within: sec(30)}, Level: 2},
			Diagnose: &DiagnosePlan{DeadlinePlan: DeadlinePlan{Within: sec(30)}, Expect: "the network"}}}
	}), nil)
	b.alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 30, ends: 45})
	page := func(sec float64, kind responders.Kind, who, text string) responders.Event {
		return responders.Event{Source: "desk.ops", ID: string(kind) + who, Page: "1", Labels: map[string]string{"alertname": "Down"}, Kind: kind, At: clock.At(at(sec)),
			Actor: responders.Actor{ID: who, Kind: responders.Human}, Level: 1, Targets: []string{"ann"}, Delivered: "yes", Text: text, Grade: "B"}
	}
	b.responses(100, smallWhole, page(31, responders.Opened, "desk", ""), page(31, responders.Notified, "desk", ""), page(35, responders.Acknowledged, "ann", ""),
		page(36, responders.Diagnosed, "ann", "it is the cable, says ann"))
	c := Score(b.record())
	explained := func(item string) string {
		var out bytes.Buffer
		if err := Explain(&out, c, item, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(out.String()), " ")
	}
	said := explained("response.on-call.diagnose")
	if !strings.Contains(said, `said what is wrong: "it is the cable, says responder B"`) || strings.Contains(said, " ann") {
		t.Errorf("a diagnosis reads %s", said)
	}
	acked := explained("response.on-call.acknowledge")
	if !strings.Contains(acked, "a human being at level 2 acknowledges") || strings.Contains(acked, "Nobody acknowledged the page") {
		t.Errorf("an acknowledgement at another level reads %s", acked)
	}
	if fired := explained("alarm.Down.fired"); !strings.Contains(fired, ", limit 20s") {
		t.Errorf("a limit reads %s", fired)
	}
	if says := explained("alarm.Down.annotations"); strings.Contains(says, "limit") {
		t.Errorf("where there is no limit it reads %s", says)
	}
}

// TestAbortedHint does not advise to watch for longer what an abort ended.
func TestAbortedHint(t *testing.T) {
	b := newBuilder(t, smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })).phases(30)
	b.traffic("users", 0, 30, steady(10)).fault("cut", "network_partition", "db", 20, 29).end(30, EndAborted)
	b.alarms("prometheus.main", 30, []clock.Span{during(0, 30)})
	if hint := item(t, Score(b.record()), "alarm.Down.fired").Hint; !strings.Contains(hint, "was aborted before Down") {
		t.Errorf("the hint is %q", hint)
	}
}
