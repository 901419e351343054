package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gameday/clock"
	"gameday/loadgen"
)

// safety looks at what is left: the gate before every verdict. A fault is left standing when its revert failed and no
// later one succeeded, or when the run itself said so at its end. In a record without an end nobody knows; that is no
// residue yet.
func (j *judge) safety() Safety {
	var s Safety
	var open, down []string
	for _, f := range j.tl.Faults {
		if f.Onset().IsZero() && !f.attempted() {
			continue
		}
		if !f.Onset().IsZero() {
			s.Injected++
		}
		left := false
		for _, in := range f.Injections {
			if in.Residue != "" && in.Gone.IsZero() {
				s.Residue = append(s.Residue, fmt.Sprintf("%s on %s: %s", f.Name, in.Place, j.people.scrub(in.Residue)))
				left = true
			}
		}
		switch {
		case left || f.Onset().IsZero():
		case !f.Gone().IsZero():
			s.Gone++
		case !f.Reversible():
			down = append(down, f.Name)
		default:
			open = append(open, f.Name)
		}
	}
	if e := j.tl.Ended; e != nil {
		for _, r := range e.Residue {
			if !slices.ContainsFunc(s.Residue, func(have string) bool { return strings.HasPrefix(have, r) }) {
				s.Residue = append(s.Residue, r)
			}
		}
		s.Unseen = j.people.scrub(e.Unseen)
	}
	s.Clean = len(s.Residue) == 0 && len(open) == 0 && s.Unseen == ""
	s.lab = len(s.Residue) > 0 && !slices.ContainsFunc(s.Residue, j.outlivesLab)
	s.Text = s.words(open, down)
	return s
}

// outlivesLab reports whether something left standing may be there when the lab, if there was one, is gone.
func (j *judge) outlivesLab(residue string) bool {
	i := slices.IndexFunc(j.plan.Faults, func(f FaultPlan) bool { return strings.HasPrefix(residue, f.Name+" on ") })
	return !j.tl.Started.Lab || i < 0 || j.plan.Faults[i].Machine
}

// attempted reports whether an injection was at least tried.
func (f *FaultLife) attempted() bool { return len(f.Injections) > 0 }

func (s Safety) words(open, down []string) string {
	if s.Injected == 0 && len(s.Residue) == 0 {
		if s.Unseen != "" {
			return "no fault was injected; " + s.Unseen
		}
		return "no fault was injected"
	}
	text, more := fmt.Sprintf("%s injected, %d gone; ", count(s.Injected, "fault"), s.Gone), ""
	if s.Unseen != "" {
		more = "; " + s.Unseen
	}
	switch {
	case len(s.Residue) > 0 && s.lab:
		return text + "LEFT STANDING: " + strings.Join(s.Residue, "; ") + " (in the lab, and gone with it)"
	case len(s.Residue) > 0:
		return text + "LEFT STANDING: " + strings.Join(s.Residue, "; ") + " (run `gameday revert`)" + more
	case len(open) > 0:
		return text + list(open) + " not proven to be gone (see `gameday revert`)" + more
	case s.Unseen != "":
		return text + "nothing is known to be left, but " + s.Unseen
	case len(down) > 0:
		return text + "nothing of ours is left, but what " + list(down) + " took down has not come back"
	}
	return text + "nothing left on any target"
}

// reasons says why the verdict is what it is, the decisive reason first.
func (j *judge) reasons(c *Scorecard) []string {
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if c.Residue {
		add("a fault was left standing: %s.", strings.Join(c.Safety.Residue, "; "))
	} else if c.Safety.Unseen != "" {
		add("it is not known that nothing is left: %s.", c.Safety.Unseen)
	}
	items := c.Items()
	for _, it := range items {
		if it.Required && it.Outcome == clock.Missed {
			add("%s: %s (required).", it.Title, it.Why)
		}
	}
	switch c.Verdict {
	case Passed:
		add("%s points are no less than the pass mark of %s, and nothing required was missed.", points(c.Low), number(c.Pass))
		return why
	case Failed:
		if c.High < c.Pass-rounding {
			add("even with everything unknown in its favour, %s of 100 points do not reach the pass mark of %s.", points(c.High),
				number(c.Pass))
			for _, it := range worst(items) {
				add("%s: %s.", it.Title, it.Why)
			}
		}
	}
	why = append(why, j.ending(c)...)
	said := map[string]string{}
	for _, u := range c.untested {
		add("%s.", u.why)
		said[u.why] = u.brief
	}
	early := c.End != EndComplete && c.End != EndInterrupted && c.Safety.Injected == 0
	if len(why) > 0 && (c.Verdict == Failed || c.Verdict == Aborted || early) {
		return why // what is unknown did not decide it, or only follows from the end
	}
	why = append(why, requiredUnknowns(items, said)...)
	if len(c.Parts) == 0 {
		add("the plan promises nothing that could be judged.")
	} else if c.Low < c.Pass-rounding && c.High >= c.Pass-rounding {
		add("the pass mark of %s lies between %s and %s points: too much is unknown.", number(c.Pass), points(c.Low),
			points(c.High))
	}
	return why
}

// requiredUnknowns says which required items are unknown and why, those with the same cause in one sentence. A cause
// that was told before is repeated only in brief.
func requiredUnknowns(items []*Item, said map[string]string) []string {
	var causes []string
	titles := map[string][]string{}
	for _, it := range items {
		if !it.Required || it.Outcome != clock.Unknown {
			continue
		}
		if titles[it.Why] == nil {
			causes = append(causes, it.Why)
		}
		titles[it.Why] = append(titles[it.Why], it.Title)
	}
	var out []string
	for _, cause := range causes {
		t, are := titles[cause], "are"
		switch n := len(t); {
		case n == 1:
			are = "is"
		case n > 3:
			t = append(t[:2:2], fmt.Sprintf("%d more", n-2))
		}
		out = append(out, fmt.Sprintf("%s %s required and unknown: %s.", list(t), are, cmp.Or(said[cause], cause)))
	}
	return out
}

// worst returns the missed items that cost most, at most three and not those that are required: they have their line.
func worst(items []*Item) []*Item {
	var out []*Item
	for _, it := range items {
		if it.Outcome == clock.Missed && !it.Required {
			out = append(out, it)
		}
	}
	slices.SortStableFunc(out, byLoss)
	return out[:min(3, len(out))]
}

// powerFailure is who asks a run in a lab to stop when the gameday outside of the lab has died.
const powerFailure = "signal power failure"

// fullStop ends a text with a full stop, unless it ends as a sentence does.
func fullStop(text string) string {
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}

// ending says in words what an end other than the planned one means.
func (j *judge) ending(c *Scorecard) []string {
	var why []string
	for _, a := range j.tl.Aborts {
		if a.V.Held == 0 && len(a.V.Values) == 0 { // an incident, and no condition
			why = append(why, fmt.Sprintf("aborted at %s: %s.", j.tl.since(a.At), j.people.scrub(a.V.When)))
			continue
		}
		why = append(why, fmt.Sprintf("aborted at %s: %s held for %s (%s%s).", j.tl.since(a.At), a.V.Name, span(a.V.Held),
			a.V.When,
			valueWords(a.V.Values)))
	}
	killed := false
	for _, s := range j.tl.Stops {
		if s.V.Abandoned || s.V.By == powerFailure {
			if !killed {
				why = append(why, fmt.Sprintf("the gameday that started this run was killed at %s.", j.tl.since(s.At)))
			}
			killed = true
			continue
		}
		text := fmt.Sprintf("stopped at %s by %s", j.tl.since(s.At), j.people.scrub(s.V.By))
		if s.V.Why != "" {
			text += ": " + j.people.scrub(s.V.Why)
		}
		why = append(why, text+".")
	}
	switch c.End {
	case EndComplete:
		return nil
	case EndUnsteady:
		why = append(why, "the steady state did not hold in the baseline phase, so nothing was injected.")
	case EndPreflight:
		for _, f := range j.tl.Findings {
			if f.V.Blocks {
				why = append(why, "the preflight stopped the run: "+f.V.What+": "+fullStop(f.V.Summary))
			}
		}
		if len(why) == 0 {
			why = append(why, "the preflight stopped the run.")
		}
	case EndTraffic:
		why = append(why, cmp.Or(c.EndError, "the traffic ended, and no reason is in the record")+".")
	case EndError:
		if killed {
			break
		}
		why = append(why, "gameday itself failed: "+cmp.Or(c.EndError, "no reason is in the record")+".")
	case EndInterrupted:
		why = append(why, "the record has no end: gameday was killed.")
	case EndAborted, EndStopped:
		if len(why) == 0 {
			why = append(why, "the run was "+string(c.End)+" before its planned end.")
		}
	}
	return why
}

func valueWords(values map[string]float64) string {
	s := ""
	for _, k := range sortedKeys(values) {
		s += fmt.Sprintf("; %s = %s", k, number(values[k]))
	}
	return s
}

// points prints points without flattery: cut off, not rounded up.
func points(v float64) string { return fmt.Sprintf("%.0f", math.Floor(v+rounding)) }

// maxAdvice bounds the list of what to do next.
const maxAdvice = 5

// advice collects the items' hints, the required ones and those that cost most first; items with the same hint share
// one.
func advice(c *Scorecard) []Advice {
	items := c.Items()
	slices.SortStableFunc(items, byLoss)
	out := []Advice{}
	switch {
	case c.Safety.lab:
		out = append(out, Advice{Text: "What was left standing went with the lab, so there is nothing to revert. Find out " +
			"why it could not be: on a host that lasts it would still stand.", Items: []string{}})
	case !c.Safety.Clean:
		out = append(out, Advice{Text: "Run `gameday revert` now: it finds what may still stand, takes it away and " +
			"proves that it is gone.",
			Items: []string{}})
	}
	if c.End == EndUnsteady {
		out = append(out, Advice{Text: unsteadyAdvice(c), Items: []string{}})
	}
	for _, it := range items {
		if it.Hint == "" || it.Outcome == clock.Met {
			continue
		}
		if i := slices.IndexFunc(out, func(a Advice) bool { return a.Text == it.Hint }); i >= 0 {
			out[i].Items = append(out[i].Items, it.ID)
			out[i].Lost += it.Lost()
			continue
		}
		out = append(out, Advice{Text: it.Hint, Items: []string{it.ID}, Lost: it.Lost()})
	}
	return out[:min(len(out), maxAdvice)]
}

// unsteadyAdvice says what to do when the system was not well before anything was touched.
func unsteadyAdvice(c *Scorecard) string {
	if away := c.load.absences("", clock.Span{End: c.load.end()}); len(away) > 0 {
		return fmt.Sprintf("Nothing was touched: %s of %s was lost before it could be known whether the system is well. See the notes for what became of it, and run it again.",
			away[0].name, away[0].stream)
	}
	var silent []string
	for _, name := range c.load.streams {
		var sum loadgen.Window
		for w := range c.load.of(name) {
			sum.OK.Count += w.OK.Count
			sum.Failed.Count += w.Failed.Count
		}
		if sum.OK.Count == 0 && sum.Failed.Count > 0 {
			silent = append(silent, name)
		}
	}
	if len(silent) > 0 {
		return "Every request of " + list(silent) + " failed already at 1x, before anything was touched. See that what is called is up, and " +
			"that addresses and script are right; the notes say what went wrong."
	}
	return "Nothing was touched: the system is not well at 1x, or the steady state asks too much of it. Mend one of the two."
}

// facts fills in what the pages show beside the judgement.
func (j *judge) facts(c *Scorecard) {
	c.Faults, c.Alarms, c.Sources, c.Engines = []FaultFact{}, []AlarmFact{}, []Source{}, []Engine{}
	for _, f := range j.tl.Faults {
		for _, in := range f.Injections {
			c.Faults = append(c.Faults, j.faultFact(f, in))
		}
	}
	run := clock.Span{Start: j.tl.Start, End: j.tl.End}
	for _, a := range j.tl.Alarms {
		for _, e := range a.Episodes {
			c.Alarms = append(c.Alarms, AlarmFact{Source: a.Source, Name: e.name(), Class: j.classes[e.id()], Pending: e.Pending,
				Firing: e.Firing, Paged: e.Paged, Ended: e.Ended, Held: j.scrubAll(e.SuppressedBy), Lines: e.lines})
		}
		c.Sources = append(c.Sources, Source{Name: a.Source, Kind: "alarms", Coverage: clock.Share(a.Coverage.Spans, run),
			Resolution: a.Coverage.Resolution, Offset: a.Coverage.Offset, Seen: len(a.Episodes), Why: a.Coverage.Why,
			Error: a.Error, Lines: lineList(a.Line)})
	}
	for _, a := range j.tl.Responses {
		c.Sources = append(c.Sources, Source{Name: a.Source, Kind: "responses", Coverage: clock.Share(a.Coverage.Spans, run),
			Offset: a.Coverage.Offset, Seen: len(a.Events), Why: a.Coverage.Why, Error: a.Error,
			Lines: lineList(a.Line)})
	}
	for _, name := range j.load.streams {
		c.Engines = append(c.Engines, j.engine(name))
	}
	for _, t := range j.plan.Traffic {
		if t.KeepExecutors {
			c.Remarks = append(c.Remarks, t.Name+" keeps its script's own executors. Virtual users that wait for answers are a closed "+
				"model: it slows down with the system, so its rate is no promise and its response times leave out the waiting.")
		}
	}
	c.Steered = j.steered()
	for _, s := range c.Steered {
		c.Remarks = append(c.Remarks, fmt.Sprintf("At %s %s.", j.tl.since(s.At), strings.TrimSuffix(s.Words(), ".")))
	}
	c.Attached = j.attached()
	for _, a := range c.Attached {
		c.Remarks = append(c.Remarks, fmt.Sprintf("At %s %s", j.tl.since(a.At), a.Words()))
	}
	for _, r := range j.tl.Remarks {
		c.Remarks = append(c.Remarks, j.people.scrub(r.V.Text))
	}
	for _, name := range sortedKeys(j.lost) {
		c.Remarks = append(c.Remarks, fmt.Sprintf("%s made no request that was counted, although its script said %q: "+
			"its iterations were counted instead, so its errors and response times say nothing of the service.",
			name, j.lost[name]))
	}
	c.Remarks = append(c.Remarks, j.partial()...)
	for _, n := range j.tl.Notes {
		ended := c.End == EndTraffic && strings.Contains(j.tl.Ended.Error, n.V.Message)
		if n.V.Level != "info" && !ended && len(c.Remarks) < maxRemarks {
			c.Remarks = append(c.Remarks, n.V.Stream+": "+j.people.scrub(n.V.Message))
		}
	}
	if c.Torn {
		c.Remarks = append(c.Remarks, "The record's last line was cut off and left out.")
	}
}

// maxRemarks bounds how many complaints of a script are repeated; they tend to come once a request.
const maxRemarks = 20

func lineList(n int) []int {
	if n == 0 {
		return nil
	}
	return []int{n}
}

func (j *judge) scrubAll(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, j.people.scrub(w))
	}
	return out
}

func (j *judge) faultFact(f *FaultLife, in *InjectionLife) FaultFact {
	x := FaultFact{Fault: f.Name, Kind: f.Kind, Place: in.Place, Onset: in.Onset, Gone: in.over(), Lines: in.Lines}
	if in.Effect != nil {
		x.Effect = j.people.scrub(in.Effect.Summary)
		for _, k := range sortedKeys(in.Effect.Details) {
			x.Details = append(x.Details, k+": "+j.people.scrub(in.Effect.Details[k]))
		}
	}
	switch {
	case in.Residue != "" && in.Gone.IsZero():
		x.State = "left standing: " + j.people.scrub(in.Residue)
	case in.Onset.IsZero() && in.Failed != "":
		x.State = "not injected: " + j.people.scrub(in.Failed)
	case in.Onset.IsZero():
		x.State = "not proven to have taken effect"
	case in.Lapsed:
		x.State = "lapsed at " + j.tl.around(in.Gone) + ", before it was told to"
	case !in.Gone.IsZero():
		x.State = "gone at " + j.tl.around(in.Gone)
	case !in.Back.IsZero():
		x.State = "came back at " + j.tl.around(in.Back) + j.effectWords(in.BackEffect)
	case !f.Reversible():
		x.State = "has not come back"
	default:
		x.State = "not proven to be gone"
	}
	return x
}

// engine adds up what one stream's generator did and used in the load phase, or in the whole run when there was none.
func (j *judge) engine(name string) Engine {
	e := Engine{Stream: name}
	for _, p := range j.plan.Traffic {
		if p.Name == name {
			e.Engine, e.Script, e.Rate, e.Multiple, e.Manner = p.Engine, p.Script, p.Rate, p.Multiple, p.Manner()
			if b := p.Baseline; b != nil {
				e.Baseline = b.Words() + "; from " + b.Origin() + b.doubts()
			}
		}
	}
	ws := j.load.of(name)
	if load, ok := j.tl.Phase(Load); ok {
		ws = j.load.during(name, load.Span)
	}
	var queue loadgen.Histogram
	for w := range ws {
		e.Due += w.Due
		e.Started += w.Started
		e.Dropped += w.Dropped
		e.Thrown += w.Thrown
		queue.Merge(w.Queue)
	}
	u := use(ws)
	e.Cores, e.Waiting, e.Paused, e.Lateness = u.cores, u.waiting, u.paused, u.lateness
	e.VUs, e.MaxVUs, e.Memory = u.vus, u.maxVUs, u.memory
	e.QueueP50, e.QueueP99 = queue.Quantile(0.5), queue.Quantile(0.99)
	return e
}
