package scenarios

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"gameday/report"
)

func (d *decoding) alarms(b *scenarioBlock) {
	seen := map[string]hcl.Range{}
	for _, a := range b.Alarms {
		if d.unique(seen, "alarm", a.Name, a.DefRange) {
			d.identifier("alarm", a.Name, a.DefRange)
			d.alarm(a, d.faultNames)
		}
	}
}

func (d *decoding) alarm(a alarmBlock, faults []string) {
	out := Alarm{Range: a.DefRange}
	out.Name = a.Name
	out.Source = d.sourceReference(a.Source, "alarms")
	out.Match = a.Match
	if len(a.Match) == 0 {
		out.Match = map[string]string{"alertname": a.Name}
	}
	if a.Expect != nil {
		d.quiet(&out, a)
		return
	}
	out.Labels, out.Annotations = a.Labels, a.Annotations
	switch {
	case given(a.Cause):
		out.Cause = d.reference(a.Cause, "fault", "a fault", faults)
	case len(faults) == 1:
		out.Cause = faults[0]
	case len(faults) > 1:
		d.errorf(a.DefRange, "No cause", "The scenario has several faults. Say which one this alarm must detect: cause = fault.%s.", faults[0])
	}
	out.FiresWithin = d.optional(a.FiresWithin, a.Body, "fires_within", a.DefRange, time.Second, 0)
	out.PagesWithin = d.optional(a.PagesWithin, a.Body, "pages_within", a.DefRange, time.Second, 0)
	out.ClearsWithin = d.optional(a.ClearsWithin, a.Body, "clears_within", a.DefRange, time.Second, 0)
	if given(a.PagesVia) {
		out.PagesVia = d.sourceReference(a.PagesVia, "alarms", "responders")
	}
	if present(a.Body, "pages_within") != given(a.PagesVia) {
		d.errorf(a.DefRange, "Half an expectation", "pages_within says how soon, pages_via says where the page is seen: they go together.")
	}
	if !present(a.Body, "fires_within", "pages_within", "clears_within") {
		d.errorf(a.DefRange, "Nothing expected", "Say what the alarm must do: fires_within = \"30s\", pages_within, clears_within; or expect = \"quiet\".")
	}
	if a.MaxFlaps != nil {
		if *a.MaxFlaps < 0 {
			d.errorf(attrRange(a.Body, "max_flaps", a.DefRange), "Invalid max_flaps", "An alarm flaps 0 times or more.")
		}
		out.MaxFlaps = a.MaxFlaps
	}
	out.Weight = d.weight(a.Weight, a.Body, a.DefRange)
	out.Required = a.Required
	d.out.Alarms = append(d.out.Alarms, out)
}

// quiet decodes an alarm that must not fire. Nothing else can be asked of it.
func (d *decoding) quiet(out *Alarm, a alarmBlock) {
	if *a.Expect != "quiet" {
		d.errorf(attrRange(a.Body, "expect", a.DefRange), "Invalid expectation", "What can be expected in a word is expect = \"quiet\": the alarm must not fire. "+
			"Without it the alarm must fire: fires_within says how soon.")
		return
	}
	for _, name := range []string{"cause", "fires_within", "pages_via", "pages_within", "clears_within", "max_flaps", "labels", "annotations"} {
		if present(a.Body, name) {
			d.errorf(attrRange(a.Body, name, a.DefRange), "Two expectations", "An alarm that must stay quiet has no %s. Use another alarm block for when it must fire.", name)
		}
	}
	out.Quiet, out.Required = true, a.Required
	out.Weight = d.weight(a.Weight, a.Body, a.DefRange)
	d.out.Alarms = append(d.out.Alarms, *out)
}

func (d *decoding) noise(b *scenarioBlock) {
	if !one(d.loader, b.Noise, "noise", func(n noiseBlock) hcl.Range { return n.DefRange }) {
		return
	}
	n := b.Noise[0]
	if len(n.Watch) == 0 && d.decodes(n.Body, "watch", cty.Map(cty.String)) {
		d.errorf(attrRange(n.Body, "watch", n.DefRange), "Nothing to watch", "Say which alarms page: watch = { severity = \"page\" }.")
	}
	if n.AtMost < 0 {
		d.errorf(attrRange(n.Body, "at_most", n.DefRange), "Invalid at_most", "The budget of unexpected pages is 0 or more.")
	}
	out := Noise{Range: n.DefRange}
	out.Watch, out.Allow, out.AtMost, out.Weight = n.Watch, n.Allow, n.AtMost, d.weight(n.Weight, n.Body, n.DefRange)
	d.out.Noise = &out
}

func (d *decoding) responses(b *scenarioBlock) {
	var names []string
	for _, a := range d.out.Alarms {
		if !a.Quiet { // it pages nobody
			names = append(names, a.Name)
		}
	}
	seen := map[string]hcl.Range{}
	for _, r := range b.Responses {
		if !d.unique(seen, "response", r.Name, r.DefRange) {
			continue
		}
		d.title("response", r.Name, r.DefRange)
		out := Response{Range: r.DefRange}
		out.Name = r.Name
		out.Source = d.sourceReference(r.Source, "responders")
		out.To = d.reference(r.To, "alarm", "an alarm", names)
		d.steps(&out, r)
		if out.Acknowledge == nil && out.Escalate == nil && out.Resolve == nil && len(out.Marks) == 0 {
			d.errorf(r.DefRange, "Nothing expected", "Say what people must do: acknowledge { within = \"5m\" }, escalate, mark, resolve.")
		}
		d.out.Responses = append(d.out.Responses, out)
	}
}

func (d *decoding) steps(out *Response, r responseBlock) {
	at := func(s stepBlock) hcl.Range { return s.DefRange }
	if one(d.loader, r.Acknowledge, "acknowledge", at) {
		s := r.Acknowledge[0]
		d.refuse(s, s.ToLevel != 0, "to_level", "acknowledge")
		d.refuse(s, s.OnlyAfter != nil, "only_after", "acknowledge")
		out.Acknowledge = &report.AckPlan{DeadlinePlan: d.deadline(s), Level: s.Level}
	}
	if one(d.loader, r.Escalate, "escalate", at) {
		s := r.Escalate[0]
		d.refuse(s, s.Level != 0, "level", "escalate")
		out.Escalate = &report.EscalatePlan{DeadlinePlan: d.deadline(s), ToLevel: s.ToLevel,
			OnlyAfter: d.optional(s.OnlyAfter, s.Body, "only_after", s.DefRange, 0, 0)}
		if s.ToLevel == 0 {
			out.Escalate.ToLevel = 2
		}
		if out.Escalate.ToLevel < 2 {
			d.errorf(attrRange(s.Body, "to_level", s.DefRange), "Invalid level", "The first page goes to level 1; an escalation goes to level 2 or above.")
		}
		if out.Escalate.OnlyAfter > out.Escalate.Within {
			d.errorf(attrRange(s.Body, "only_after", s.DefRange), "Impossible deadline", "only_after (%s) is later than within (%s), so no escalation could be right.",
				out.Escalate.OnlyAfter, out.Escalate.Within)
		}
	}
	if one(d.loader, r.Resolve, "resolve", at) {
		s := r.Resolve[0]
		d.refuse(s, s.ToLevel != 0, "to_level", "resolve")
		d.refuse(s, s.Level != 0, "level", "resolve")
		d.refuse(s, s.OnlyAfter != nil, "only_after", "resolve")
		p := d.deadline(s)
		out.Resolve = &p
	}
	seen := map[string]hcl.Range{}
	for _, m := range r.Marks {
		if !d.unique(seen, "mark", m.Name, m.DefRange) {
			continue
		}
		d.title("mark", m.Name, m.DefRange)
		out.Marks = append(out.Marks, report.MarkPlan{Name: m.Name, DeadlinePlan: report.DeadlinePlan{
			Within: d.duration(m.Within, m.Body, "within", m.DefRange, time.Second),
			Weight: d.weight(m.Weight, m.Body, m.DefRange), Required: m.Required}})
	}
}

// refuse reports an attribute that this step does not have; the steps share their decoding.
func (d *decoding) refuse(s stepBlock, is bool, field, block string) {
	if is {
		d.errorf(attrRange(s.Body, field, s.DefRange), "Unsupported argument", "An argument named %q is not expected in %s.", field, block)
	}
}

func (d *decoding) deadline(s stepBlock) report.DeadlinePlan {
	return report.DeadlinePlan{
		Within: d.duration(s.Within, s.Body, "within", s.DefRange, time.Second),
		Weight: d.weight(s.Weight, s.Body, s.DefRange), Required: s.Required,
	}
}

func (d *decoding) aborts(b *scenarioBlock) {
	seen := map[string]hcl.Range{}
	for _, a := range b.Aborts {
		if !d.unique(seen, "abort", a.Name, a.DefRange) {
			continue
		}
		d.title("abort", a.Name, a.DefRange)
		c := d.condition(a.When, d.in)
		c.Over = d.over(a.Over, a.Body, a.DefRange)
		d.out.Aborts = append(d.out.Aborts, Abort{Name: a.Name, When: c, Range: a.DefRange,
			Held: d.optional(a.Held, a.Body, "held", a.DefRange, 0, 0)})
	}
}

func (d *decoding) score(b *scenarioBlock) {
	d.out.Score = report.ScorePlan{Pass: 80, Weights: report.DefaultWeights()}
	if !one(d.loader, b.Score, "score", func(s scoreBlock) hcl.Range { return s.DefRange }) {
		return
	}
	s := b.Score[0]
	if s.Pass != nil {
		d.out.Score.Pass = *s.Pass
		if *s.Pass < 0 || *s.Pass > 100 {
			d.errorf(attrRange(s.Body, "pass", s.DefRange), "Invalid pass mark", "The pass mark is from 0 to 100.")
		}
	}
	var parts []string
	for p := range report.DefaultWeights() {
		parts = append(parts, string(p))
	}
	slices.Sort(parts)
	for _, name := range slices.Sorted(maps.Keys(s.Weights)) {
		at := attrRange(s.Body, "weights", s.DefRange)
		if !slices.Contains(parts, name) {
			d.errorf(at, "Unknown part", "There is no part %q.%s The parts are %s.", name, suggest(name, parts), list(parts))
			continue
		}
		if w := s.Weights[name]; w < 0 || w > 1000 {
			d.errorf(at, "Invalid weight", "The weight of %s is from 0 to 1000.", name)
			continue
		}
		d.out.Score.Weights[report.Part(name)] = s.Weights[name]
	}
}
