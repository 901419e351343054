package scenarios

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/report"
)

// withhold is the word by which a scenario asks the first level not to acknowledge.
const withhold = "withhold"

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
		out.Also = d.also(r, out.Source)
		d.steps(&out, r)
		d.beside(&out, r)
		d.withheld(&out, r)
		if len(out.Deadlines()) == 0 {
			d.errorf(r.DefRange, "Nothing expected", "Say what people must do: acknowledge { within = \"5m\" }, escalate, engage, bridge, channel, runbook, customers, "+
				"diagnose, mitigate, mark, resolve, postmortem.")
		}
		d.out.Responses = append(d.out.Responses, out)
	}
}

// also reads the other sources that tell of what people do.
func (d *decoding) also(r responseBlock, source string) []string {
	if !given(r.Also) {
		return nil
	}
	items, diags := hcl.ExprList(bare(r.Also))
	if diags.HasErrors() {
		items = []hcl.Expression{r.Also}
	}
	var out []string
	for _, e := range items {
		switch id := d.sourceReference(e, "responders"); {
		case id == "":
		case id == source || slices.Contains(out, id):
			d.errorf(e.Range(), "Named twice", "%s is asked already.", id)
		default:
			out = append(out, id)
		}
	}
	return out
}

// withheld reads a drill in which nobody is to acknowledge at first.
func (d *decoding) withheld(out *Response, r responseBlock) {
	if r.Ack == nil {
		return
	}
	at := attrRange(r.Body, "ack", r.DefRange)
	if out.Withhold = *r.Ack == withhold; !out.Withhold {
		d.errorf(at, "Invalid ack", "ack = %q says that the first level is asked beforehand not to acknowledge. Without it they may.", withhold)
		return
	}
	if out.Escalate == nil {
		d.errorf(at, "Nothing to test", "When nobody acknowledges, the page must be escalated: add escalate { within = \"12m\" }.")
	}
	if a := out.Acknowledge; a != nil && a.Level < 2 {
		d.errorf(r.Acknowledge[0].DefRange, "Asked not to, and to", "The first level is asked not to acknowledge (ack = %q), so who must? Say level = 2, or leave acknowledge out.", withhold)
	}
}

// taken says which attributes each block of a response takes, beside within, weight and required.
var taken = map[string][]string{
	"acknowledge": {"level", "on_call", "min_evidence"}, "escalate": {"to_level", "team", "only_after", "min_evidence"},
	"resolve": {"after_service", "min_evidence"}, "engage": {"people", "roles", "min_evidence"}, "diagnose": {"expect"}, "mitigate": nil,
	"bridge": {"min_evidence"}, "channel": {"min_evidence"}, "runbook": {"min_evidence"}, "customers": {"min_evidence"}, "postmortem": {"min_evidence"},
}

// step returns the only block of a sort, once it is checked; nil without one.
func (d *decoding) step(blocks []stepBlock, name string) *stepBlock {
	if !one(d.loader, blocks, name, func(s stepBlock) hcl.Range { return s.DefRange }) {
		return nil
	}
	s := &blocks[0]
	for _, field := range []string{"level", "on_call", "to_level", "team", "only_after", "people", "roles", "expect", "after_service", "min_evidence"} {
		if !slices.Contains(taken[name], field) && present(s.Body, field) {
			d.errorf(attrRange(s.Body, field, s.DefRange), "Unsupported argument", "An argument named %q is not expected in %s.", field, name)
		}
	}
	return s
}

func (d *decoding) deadline(s *stepBlock) report.DeadlinePlan {
	return report.DeadlinePlan{
		Within: d.duration(s.Within, s.Body, "within", s.DefRange, time.Second),
		Weight: d.weight(s.Weight, s.Body, s.DefRange), Required: s.Required,
		MinEvidence: d.evidence(s.MinEvidence, s.Body, s.DefRange),
	}
}

// evidence checks a grade of evidence.
func (d *decoding) evidence(grade string, body hcl.Body, at hcl.Range) string {
	if grade != "" && !slices.Contains([]string{"A", "B", "C", "D"}, grade) {
		d.errorf(attrRange(body, "min_evidence", at), "Unknown grade", "%q is no grade of evidence; they are A (a system of record, a human actor), B (the actor may be another), "+
			"C (a text was interpreted) and D (somebody's word).", grade)
		return ""
	}
	return grade
}

// steps reads what is done about the page itself.
func (d *decoding) steps(out *Response, r responseBlock) {
	if s := d.step(r.Acknowledge, "acknowledge"); s != nil {
		out.Acknowledge = &report.AckPlan{DeadlinePlan: d.deadline(s), Level: s.Level, OnCall: s.OnCall}
		if s.Level < 0 {
			d.errorf(attrRange(s.Body, "level", s.DefRange), "Invalid level", "Levels count from 1.")
		}
	}
	if s := d.step(r.Escalate, "escalate"); s != nil {
		d.escalation(out, s)
	}
	if s := d.step(r.Resolve, "resolve"); s != nil {
		out.Resolve = &report.ResolvePlan{DeadlinePlan: d.deadline(s), AfterService: s.AfterService}
		if s.AfterService {
			d.needsSteady(attrRange(s.Body, "after_service", s.DefRange))
		}
	}
	seen := map[string]hcl.Range{}
	for _, m := range r.Marks {
		if !d.unique(seen, "mark", m.Name, m.DefRange) {
			continue
		}
		d.title("mark", m.Name, m.DefRange)
		if m.Use != "" {
			d.errorf(attrRange(m.Body, "use", m.DefRange), "Unsupported argument", "An argument named \"use\" is not expected in mark.")
		}
		out.Marks = append(out.Marks, report.MarkPlan{Name: m.Name, DeadlinePlan: d.labelled(m)})
	}
}

func (d *decoding) labelled(m markBlock) report.DeadlinePlan {
	return report.DeadlinePlan{Within: d.duration(m.Within, m.Body, "within", m.DefRange, time.Second),
		Weight: d.weight(m.Weight, m.Body, m.DefRange), Required: m.Required, MinEvidence: d.evidence(m.MinEvidence, m.Body, m.DefRange)}
}

func (d *decoding) escalation(out *Response, s *stepBlock) {
	e := &report.EscalatePlan{DeadlinePlan: d.deadline(s), ToLevel: s.ToLevel, Team: s.Team,
		OnlyAfter: d.optional(s.OnlyAfter, s.Body, "only_after", s.DefRange, 0, 0)}
	out.Escalate = e
	if s.ToLevel == 0 {
		e.ToLevel = 2
	}
	if e.ToLevel < 2 {
		d.errorf(attrRange(s.Body, "to_level", s.DefRange), "Invalid level", "The first page goes to level 1; an escalation goes to level 2 or above.")
	}
	if e.OnlyAfter > e.Within {
		d.errorf(attrRange(s.Body, "only_after", s.DefRange), "Impossible deadline", "only_after (%s) is later than within (%s), so no escalation could be right.",
			e.OnlyAfter, e.Within)
	}
}

// beside reads what is done beside answering the page.
func (d *decoding) beside(out *Response, r responseBlock) {
	if s := d.step(r.Engage, "engage"); s != nil {
		out.Engage = &report.EngagePlan{DeadlinePlan: d.deadline(s), People: s.People, Roles: s.Roles}
		if s.People < 0 || s.People > 1000 {
			d.errorf(attrRange(s.Body, "people", s.DefRange), "Invalid number", "From 1 to 1000 people can be asked for.")
		}
		if s.People == 0 && len(s.Roles) == 0 {
			d.errorf(s.DefRange, "Nobody asked for", "Say how many must take part, people = 2, or as what: roles = [\"incident lead\"].")
		}
		for _, role := range s.Roles {
			if strings.TrimSpace(role) == "" {
				d.errorf(attrRange(s.Body, "roles", s.DefRange), "Empty role", "A role has a name.")
			}
		}
	}
	blocks := map[report.StepName][]stepBlock{report.StepBridge: r.Bridge, report.StepChannel: r.Channel, report.StepRunbook: r.Runbook,
		report.StepCustomers: r.Customers, report.StepPostMortem: r.PostMortem}
	for _, name := range report.StepNames() {
		if s := d.step(blocks[name], string(name)); s != nil {
			out.Steps = append(out.Steps, report.StepPlan{Step: name, DeadlinePlan: d.deadline(s)})
		}
	}
	if s := d.step(r.Diagnose, "diagnose"); s != nil {
		out.Diagnose = &report.DiagnosePlan{DeadlinePlan: d.deadline(s), Expect: s.Expect}
		if strings.TrimSpace(s.Expect) == "" {
			d.errorf(s.DefRange, "Nothing to find", "Say in words what the responders should find: expect = \"network between payments and ledger\".")
		}
	}
	if s := d.step(r.Mitigate, "mitigate"); s != nil {
		p := d.deadline(s)
		out.Mitigate = &p
		d.needsSteady(s.DefRange)
	}
	d.withouts(out, r)
}

func (d *decoding) withouts(out *Response, r responseBlock) {
	seen := map[string]hcl.Range{}
	for _, w := range r.Without {
		if !d.unique(seen, "without", w.Name, w.DefRange) {
			continue
		}
		d.title("without", w.Name, w.DefRange)
		p := report.WithoutPlan{Down: w.Name, Use: w.Use, DeadlinePlan: d.labelled(w)}
		if strings.TrimSpace(w.Use) == "" {
			d.errorf(w.DefRange, "No alternative", "%s counts as down. Say what must be used in its place: use = \"bridge\", another channel, or the name of a mark.", w.Name)
		}
		if strings.EqualFold(w.Use, w.Name) {
			d.errorf(attrRange(w.Body, "use", w.DefRange), "No alternative", "%s cannot be used in its own place.", w.Name)
		}
		out.Without = append(out.Without, p)
	}
}

// needsSteady reports that the service's own state is asked about, and is not defined.
func (d *decoding) needsSteady(at hcl.Range) {
	if !slices.ContainsFunc(d.out.Expects, func(e Expect) bool { return e.Part == report.PartSteady }) {
		d.errorf(at, "No steady state", "Whether the service is back is told by its steady state: declare steady_state { expect … }.")
	}
}

func (d *decoding) aborts(b *scenarioBlock) {
	seen := map[string]hcl.Range{}
	for _, a := range b.Aborts {
		if !d.unique(seen, "abort", a.Name, a.DefRange) {
			continue
		}
		d.title("abort", a.Name, a.DefRange)
		if given(a.Incident) {
			d.incident(a)
			continue
		}
		if !given(a.When) {
			d.errorf(a.DefRange, "No condition", "Say when the run must end: when = sli.error_ratio > 0.5; or incident = responders.pagerduty.ops, a real one that opens there.")
			continue
		}
		if present(a.Body, "match") {
			d.errorf(attrRange(a.Body, "match", a.DefRange), "Unsupported argument", "match goes with incident.")
		}
		c := d.condition(a.When, d.in)
		c.Over = d.over(a.Over, a.Body, a.DefRange)
		d.out.Aborts = append(d.out.Aborts, Abort{Name: a.Name, When: c, Range: a.DefRange,
			Held: d.optional(a.Held, a.Body, "held", a.DefRange, 0, 0)})
	}
}

// incident reads an abort by a page, or an alarm, that this scenario does not account for.
func (d *decoding) incident(a abortBlock) {
	for _, field := range []string{"when", "held", "over"} {
		if present(a.Body, field) {
			d.errorf(attrRange(a.Body, field, a.DefRange), "Two conditions", "An incident ends the run at once: it has no %s. Use another abort block.", field)
		}
	}
	out := Incident{Name: a.Name, Source: d.sourceReference(a.Incident, "responders", "alarms"), Match: a.Match, Range: a.DefRange}
	if t, diags := hcl.AbsTraversalForExpr(bare(a.Incident)); !diags.HasErrors() && t.RootName() == "alarms" {
		if out.Alarms = true; len(a.Match) == 0 {
			d.errorf(a.DefRange, "Any alarm", "Not every alarm is an incident. Say which are: match = { severity = \"page\" }.")
		}
	}
	d.out.Incidents = append(d.out.Incidents, out)
	if _, ok := d.out.Beside(out.Source); !ok {
		d.errorf(attrRange(a.Body, "match", a.DefRange), "It would not be seen", "%s is asked for the alarms that are expected of it, for noise, and for incidents, and these must have a label in "+
			"common: repeat one of noise's watch in match, such as severity = \"page\".", out.Source)
	}
}
