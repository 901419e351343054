package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
)

// quiet judges that an alarm which must not fire did not, from the first onset to the end of the run; in a scenario without
// a fault, from its begin. One that fired before all that proves nothing: it may be why it is quiet no longer.
func (j *judge) quietAlarm(p *AlarmPlan) (it Item) {
	it = Item{ID: "alarm." + p.Name + ".quiet", Title: p.Name + " stays quiet", Weight: weight(p.Weight), Required: p.Required,
		Measured: "unknown", Limit: "–", Expected: p.Name + " does not fire from the first onset to the end of the run", absence: true}
	if j.null() {
		it.Expected = p.Name + " does not fire in the run"
	}
	a := j.tl.alarmSource(p.Source)
	if found, line := j.absent(p.Name); found != nil {
		it.saw(p.Source, strings.TrimSpace(found.Summary+". "+found.Detail), line)
		it.unknown("no rule can raise it, so its silence says nothing")
		it.Hint = fmt.Sprintf("No rule can raise %s: does the expectation name it as its rule does?", p.Name)
		return it
	}
	if a == nil || p.unasked {
		it.unknown(map[bool]string{true: "the run did not ask " + p.Source + " about it", false: "the record has nothing from " + p.Source}[p.unasked])
		return it
	}
	defer j.sourceOfAlarms(&it, a)
	from := j.noiseFrom()
	fired, before := 0, false
	for i := range a.Episodes {
		e := &a.Episodes[i]
		if !matches(p.Match, e.Labels) || !e.fired() || e.Firing.Lo.After(j.tl.End) {
			continue
		}
		j.episodeSeen(&it, e)
		switch over := !e.Ended.IsZero() && e.Ended.Hi.Before(from); {
		case !e.Firing.Lo.Before(j.firstOnset().Hi):
			fired++
		case !over:
			before = true
		}
	}
	need := clock.Span{Start: from, End: laterOf(from, earlierOf(j.tl.End, a.End))}
	switch {
	case fired > 0:
		it.Measured, it.Class = count(fired, "time"), ClassFalseAlarm
		it.missed("it fired, and was not to")
		it.Hint = fmt.Sprintf("%s fires for what it is not about: narrow its expression, or inhibit it by the alarm that is.", p.Name)
	case before:
		it.unknown("it was firing, or may have been, before any fault took effect")
	case !a.watch().all(need):
		it.unknown(gap(a.Source, a.Coverage.Spans, a.Coverage.Why, laterOf(a.End, j.tl.End), need, true))
	case need.Length() == 0:
		it.unknown("no fault was injected, so nothing was put to the test")
	default:
		it.Measured = "quiet"
		it.met()
	}
	return it
}

// carried judges that the alarm said what whoever is paged needs: the labels that route it, and the annotations that say what to do.
// Every episode that the fault raised must.
func (j *judge) carried(f *alarmFinding) []Item {
	var out []Item
	if len(f.plan.Labels) > 0 {
		out = append(out, j.says(f, "labels", "has its labels", "is "+pairs(f.plan.Labels), func(e episode) []string {
			var wrong []string
			for _, k := range sortedKeys(f.plan.Labels) {
				switch got, ok := e.Labels[k]; {
				case !ok:
					wrong = append(wrong, "it has no label "+k)
				case got != f.plan.Labels[k]:
					wrong = append(wrong, fmt.Sprintf("its %s is %q, not %q", k, got, f.plan.Labels[k]))
				}
			}
			return wrong
		}))
	}
	if len(f.plan.Annotations) > 0 {
		out = append(out, j.says(f, "annotations", "says what to do", "carries "+list(f.plan.Annotations), func(e episode) []string {
			var wrong []string
			for _, k := range f.plan.Annotations {
				if strings.TrimSpace(e.Notes[k]) == "" {
					wrong = append(wrong, "it has no "+k)
				}
			}
			return wrong
		}))
	}
	if len(f.plan.Links) > 0 {
		out = append(out, j.linked(f))
	}
	if f.plan.Receiver != "" {
		out = append(out, j.routed(f))
	}
	return out
}

// says judges what the alarm's episodes hold, by what is wrong with each.
func (j *judge) says(f *alarmFinding, what, title, expected string, wrong func(episode) []string) Item {
	it := f.item(what, title, time.Duration(0))
	it.Limit, it.Expected = "–", f.plan.Name+" "+expected+" when it fires"
	if j.barred(f, &it) {
		return it
	}
	if f.first == nil {
		it.unknown("it was not seen to fire")
		j.sourceOfAlarms(&it, f.account)
		return it
	}
	var all []string
	for i := range f.own {
		j.episodeSeen(&it, &f.own[i])
		if what == "annotations" && f.own[i].Notes == nil && (f.account.Line == 0 || f.account.Error != "") {
			it.unknown("what it carried was not recorded, for " + f.plan.Source + " did not answer at the end")
			return it
		}
		all = append(all, wrong(f.own[i])...)
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		it.Measured = "yes"
		it.met()
		return it
	}
	if it.Measured = count(len(all), "thing") + " missing"; what == "labels" {
		it.Measured = count(len(all), "label") + " wrong"
	}
	it.missed(j.people.scrub(strings.Join(all, "; ")))
	it.Hint = fmt.Sprintf("Have the rule of %s say all that its page must: %s.", f.plan.Name, j.people.scrub(strings.Join(all, "; ")))
	return it
}

// pairs prints labels as "severity page, team shop".
func pairs(labels map[string]string) string {
	var out []string
	for _, k := range sortedKeys(labels) {
		out = append(out, k+" "+labels[k])
	}
	return strings.Join(out, ", ")
}
