// Package export tells other systems of a run: metrics in Prometheus' text format, by remote write or by OTLP, and
// annotations for Grafana. Everything that is told comes from the scorecard, and so from the record alone.
//
// What is unknown has no sample. A value that stands for it, be it 0 or NaN, would be averaged, alerted on and drawn by
// somebody who does not know; a series that is not there is seen to be missing.
package export

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gameday/clock"
	"gameday/report"
)

// Family is all samples of one metric. All of them are gauges: they are of one run, and nothing goes on counting.
type Family struct {
	Name    string // by Prometheus' conventions, with its unit last
	Help    string // one line
	Unit    string // "seconds", "ratio", or empty
	Samples []Sample
}

// Sample is one value. Labels are by name, and without the metric's own.
type Sample struct {
	Labels []Label
	Value  float64
}

// Label is one label of a sample.
type Label struct{ Name, Value string }

// Metrics are those of a run.
type Metrics struct {
	Families []Family // by name
	// At is the end of the run: the time of every sample where samples have a time.
	At time.Time
}

const (
	// mostItems bounds the series of a run: a scenario has so many items, alarms, responses, faults and streams each at
	// most, or what is beyond is left out and counted.
	mostItems = 500
	// longestValue bounds a label's value, in bytes.
	longestValue = 200
)

// Of returns the metrics of a run.
//
// Labels are of what the plan names and of nothing else: alarms that nobody expected are counted by an item, and what a
// source calls them is in no label. The run's id is a label of gameday_run_info alone, so every other series goes on from
// run to run.
func Of(c *report.Scorecard) *Metrics {
	b := &builder{scenario: c.Scenario, families: map[string]*Family{}}
	b.run(c)
	if c.Plan().Search != nil {
		b.capacity(c)
		return b.done(c)
	}
	b.score(c)
	for i, it := range c.Items() {
		if i < mostItems {
			b.item(it)
		}
	}
	b.leftOut(len(c.Items()))
	b.people(c)
	b.traffic(c)
	return b.done(c)
}

type builder struct {
	scenario string
	families map[string]*Family
	left     int
}

// add adds a sample with the scenario's label and those given as name and value, name and value.
func (b *builder) add(name, help string, value float64, labels ...string) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return // not known
	}
	f := b.families[name]
	if f == nil {
		f = &Family{Name: name, Help: help}
		for _, unit := range []string{"seconds", "ratio"} {
			if strings.HasSuffix(name, "_"+unit) {
				f.Unit = unit
			}
		}
		b.families[name] = f
	}
	s := Sample{Value: value, Labels: []Label{{"scenario", clean(b.scenario)}}}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels = append(s.Labels, Label{labels[i], clean(labels[i+1])})
	}
	slices.SortFunc(s.Labels, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	same := func(o Sample) bool { return slices.Equal(o.Labels, s.Labels) }
	if slices.ContainsFunc(f.Samples, same) { // two names that were cut to the same: neither may pass for both
		b.left++
		return
	}
	f.Samples = append(f.Samples, s)
}

// clean makes a text fit to be a label's value: on one line, valid, and not longer than systems take.
func clean(s string) string {
	s = strings.TrimSpace(report.PlainText(s))
	if len(s) <= longestValue {
		return s
	}
	cut := longestValue - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// leftOut counts what is beyond the bound.
func (b *builder) leftOut(n int) { b.left += max(0, n-mostItems) }

func (b *builder) done(c *report.Scorecard) *Metrics {
	b.add("gameday_series_left_out", "How many series, or items, alarms, responses, faults and streams, were left out because "+
		"there were too many of them or their names are alike.", float64(b.left))
	m := &Metrics{At: c.Ended()}
	for _, f := range b.families {
		m.Families = append(m.Families, *f)
	}
	slices.SortFunc(m.Families, func(a, b Family) int { return cmp.Compare(a.Name, b.Name) })
	return m
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (b *builder) run(c *report.Scorecard) {
	b.add("gameday_run_info", "The run that the other series are of; always 1.", 1, "run", c.Run, "version", c.Version,
		"end", cmp.Or(string(c.End), "interrupted"))
	b.add("gameday_run_start_timestamp_seconds", "When the run began.", seconds(c.Started))
	b.add("gameday_run_end_timestamp_seconds", "When the run ended, or the last instant that its record speaks of.",
		seconds(c.Ended()))
	b.add("gameday_run_residue", "Whether the run left a fault standing: 1 if it did.", truth(c.Residue))
}

// capacity tells of a search, which has no verdict and no score.
func (b *builder) capacity(c *report.Scorecard) {
	for _, f := range c.Figures() {
		if f.Yardstick != report.MaxRate || f.State != report.FigureSeen {
			continue
		}
		b.add("gameday_capacity_arrivals_per_second", "The highest rate that kept the objectives, of all traffic together.",
			f.Low, "fault", f.Of)
		b.add("gameday_capacity_is_lower_bound", "Whether the generator was the limit, so that the capacity may be higher: "+
			"1 if it was.", truth(math.IsInf(f.High, 1)), "fault", f.Of)
	}
}

func (b *builder) score(c *report.Scorecard) {
	for _, v := range []report.Verdict{report.Passed, report.Failed, report.Inconclusive, report.Aborted} {
		b.add("gameday_run_verdict", "The run's verdict: 1 for the one that it has, 0 for the others.", truth(v == c.Verdict),
			"verdict", v.String())
	}
	b.add("gameday_score_pass_mark_ratio", "The score from which on the run passes, of 1.", c.Pass/100)
	if len(c.Parts) == 0 {
		return // nothing is scored, which is neither 0 nor 1
	}
	b.add("gameday_score_low_ratio", "The score if everything unknown was missed, of 1.", c.Low/100)
	b.add("gameday_score_high_ratio", "The score if everything unknown was met in full, of 1.", c.High/100)
	b.add("gameday_score_coverage_ratio", "The share of the points that could be judged, of 1.", c.Coverage)
	for _, p := range c.Parts {
		if p.Points == 0 {
			continue
		}
		b.add("gameday_part_score_low_ratio", "What a part earned if everything unknown was missed, of what it is worth.",
			p.Low/p.Points, "part", string(p.Part))
		b.add("gameday_part_score_high_ratio", "What a part earned if everything unknown was met in full, of what it is worth.",
			p.High/p.Points, "part", string(p.Part))
		b.add("gameday_part_coverage_ratio", "The share of a part's points that could be judged.", p.Coverage, "part",
			string(p.Part))
	}
}

func (b *builder) item(it *report.Item) {
	labels := []string{"item", it.ID, "part", string(it.Part)}
	for _, o := range []clock.Outcome{clock.Met, clock.Missed, clock.Unknown} {
		b.add("gameday_item_outcome", "An item's outcome: 1 for the one that it has, 0 for the others.",
			truth(o == it.Outcome), append(labels[:4:4], "outcome", o.String())...)
	}
	b.add("gameday_item_required", "Whether missing the item fails the run: 1 if it does.", truth(it.Required), labels...)
	b.add("gameday_item_weight_ratio", "What the item is worth, of the whole score.", it.Points/100, labels...)
	if it.Outcome != clock.Unknown {
		b.add("gameday_item_value_ratio", "What the item earned, of what it is worth. Absent when it is unknown.", it.Value,
			labels...)
	}
	if l, ok := it.Timed(); ok {
		b.add("gameday_item_measured_low_seconds", "The shortest that the item can have taken. Absent when it was not measured.",
			l.Lo.Seconds(), labels...)
		b.add("gameday_item_measured_high_seconds", "The longest that the item can have taken. Absent when it was not measured.",
			l.Hi.Seconds(), labels...)
	}
	if it.Count != nil && it.Outcome != clock.Unknown {
		b.add("gameday_item_occurrences", "What the item counts: pages that nobody expected, flaps. Absent when it is unknown.",
			float64(*it.Count), labels...)
	}
	if it.Within > 0 {
		b.add("gameday_item_limit_seconds", "The item's limit, of those that have one in time.", it.Within.Seconds(), labels...)
	}
}

// people adds the times by which game days are known, under names of their own.
func (b *builder) people(c *report.Scorecard) {
	items := map[string]*report.Item{}
	for _, it := range c.Items() {
		items[it.ID] = it
	}
	timed := func(id, name, what, label, value string) {
		it := items[id]
		if it == nil {
			return
		}
		if l, ok := it.Timed(); ok {
			b.add(name+"_low_seconds", "The shortest time "+what+". Absent when it did not happen, or was not measured.",
				l.Lo.Seconds(), label, value)
			b.add(name+"_high_seconds", "The longest time "+what+". Absent when it did not happen, or was not measured.",
				l.Hi.Seconds(), label, value)
		}
	}
	p := c.Plan()
	for _, a := range p.Alarms[:min(len(p.Alarms), mostItems)] {
		timed("alarm."+a.Name+".fired", "gameday_alarm_detection", "from the onset of the fault to the alarm", "alarm", a.Name)
		timed("alarm."+a.Name+".paged", "gameday_alarm_page", "from the onset of the fault to the page", "alarm", a.Name)
		timed("alarm."+a.Name+".cleared", "gameday_alarm_clear", "from the end of the fault to the end of the alarm", "alarm",
			a.Name)
	}
	for _, r := range p.Responses[:min(len(p.Responses), mostItems)] {
		timed("response."+r.Name+".acknowledge", "gameday_response_acknowledge",
			"from the page to its acknowledgement by a human", "response", r.Name)
	}
	for _, f := range p.Faults[:min(len(p.Faults), mostItems)] {
		timed("recovery."+f.Name+".steady_state", "gameday_fault_recovery", "from the end of the fault to the steady state",
			"fault", f.Name)
		timed("recovery."+f.Name+".restarted", "gameday_fault_restart", "from the onset of the fault to the return of its target",
			"fault", f.Name)
	}
	b.leftOut(len(p.Alarms))
	b.leftOut(len(p.Responses))
	b.leftOut(len(p.Faults))
}

// traffic adds what users had of the run.
func (b *builder) traffic(c *report.Scorecard) {
	volumes := c.Volumes()
	b.leftOut(len(volumes))
	for _, v := range volumes[:min(len(volumes), mostItems)] {
		b.add("gameday_traffic_recorded_ratio", "The share of the run for which the stream's traffic is in the record.",
			v.Recorded, "stream", v.Stream)
		if v.Why != "" {
			continue
		}
		b.add("gameday_traffic_requests", "Requests that were answered or failed over the whole run, as far as it was "+
			"recorded.", float64(v.Requests), "stream", v.Stream)
		b.add("gameday_traffic_failed_requests", "Requests that failed over the whole run, as far as it was recorded.",
			float64(v.Failed), "stream", v.Stream)
	}
	o := c.Outside()
	if len(o.Objectives) == 0 || o.Of == 0 {
		return
	}
	b.add("gameday_outside_objectives_low_seconds", "For how long users were outside the steady state's objectives, at least.",
		o.Total.Seconds())
	b.add("gameday_outside_objectives_high_seconds", "For how long users were outside the steady state's objectives, at most: "+
		"with the time for which it could not be told.", (o.Total + o.Unknown).Seconds())
}
