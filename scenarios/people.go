package scenarios

import (
	"maps"
	"slices"
	"strings"
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
	out.Labels, out.Annotations, out.Links, out.Receiver = a.Labels, a.Annotations, a.Links, a.Receiver
	for _, l := range a.Links {
		if strings.TrimSpace(l) == "" {
			d.errorf(attrRange(a.Body, "links", a.DefRange), "Empty name", "links names annotations that hold addresses, such as \"runbook_url\".")
		}
	}
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
	if out.First = a.First; a.First && !given(a.PagesVia) {
		d.errorf(attrRange(a.Body, "first", a.DefRange), "First where?", "An alarm is the first to page in the source where its page is seen: say which one with pages_via and pages_within.")
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
	for _, name := range []string{"cause", "fires_within", "pages_via", "pages_within", "clears_within", "max_flaps", "first", "labels", "annotations", "links", "receiver"} {
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
	if n.Person != nil && *n.Person < 0 {
		d.errorf(attrRange(n.Body, "per_person", n.DefRange), "Invalid per_person", "Nobody can get fewer than 0 pages.")
	}
	if n.Person != nil && len(d.out.Responders) == 0 {
		d.errorf(attrRange(n.Body, "per_person", n.DefRange), "Nobody knows who is paged", "per_person counts what responders sources tell, and the file "+
			"declares none. Add one, or take it out.")
	}
	for _, k := range slices.Sorted(maps.Keys(n.Pages)) {
		if v, both := n.Watch[k]; both && v != n.Pages[k] {
			d.errorf(attrRange(n.Body, "pages", n.DefRange), "Nothing of what is watched pages", "What is watched has %s = %q, so that nothing of it has %q.", k, v, n.Pages[k])
		}
	}
	for _, labels := range n.Collateral {
		if len(labels) == 0 {
			d.errorf(attrRange(n.Body, "collateral", n.DefRange), "Everything is collateral", "Say which alarms are, by their labels: collateral = [{ service = \"ledger\" }].")
		}
	}
	out := Noise{Range: n.DefRange}
	out.Collateral = n.Collateral
	out.Pages, out.PerPerson = n.Pages, n.Person
	out.Watch, out.Allow, out.AtMost, out.Weight = n.Watch, n.Allow, n.AtMost, d.weight(n.Weight, n.Body, n.DefRange)
	d.out.Noise = &out
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
