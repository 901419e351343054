package report

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// linked judges that the addresses in an alarm's annotations answer: a runbook that is gone helps nobody at three in the morning.
func (j *judge) linked(f *alarmFinding) Item {
	it := f.item("links", "has links that answer", time.Duration(0))
	it.Limit, it.Expected = "–", fmt.Sprintf("%s carries %s, and the address answers", f.plan.Name, list(f.plan.Links))
	if j.barred(f, &it) {
		return it
	}
	if f.first == nil {
		it.unknown("it was not seen to fire")
		return it
	}
	var dead, unsure []string
	for _, name := range f.plan.Links {
		lacks := false
		for i := range f.own {
			if lacks = strings.TrimSpace(f.own[i].Notes[name]) == ""; lacks {
				j.episodeSeen(&it, &f.own[i])
				break
			}
		}
		if lacks {
			if f.account.Line == 0 || f.account.Error != "" {
				unsure = append(unsure, "what it carried was not recorded, for "+f.plan.Source+" did not answer at the end")
			} else {
				dead = append(dead, "it has no "+name)
			}
			continue
		}
		d, u := j.answered(&it, f.plan.Name, name)
		dead, unsure = append(dead, d...), append(unsure, u...)
	}
	switch {
	case len(dead) > 0:
		it.Measured = count(len(dead), "link") + " dead"
		it.missed(j.people.scrub(strings.Join(dead, "; ")))
		it.Hint = fmt.Sprintf("Mend the links in the rule of %s: %s.", f.plan.Name, j.people.scrub(strings.Join(dead, "; ")))
	case len(unsure) > 0:
		it.unknown(j.people.scrub(strings.Join(slices.Compact(unsure), "; ")))
	default:
		it.Measured = "yes"
		it.met()
	}
	return it
}

// answered says of one link of an alarm what is wrong with it, or why that cannot be told. Who must sign in first sees that
// something is there.
func (j *judge) answered(it *Item, alarm, name string) (dead, unsure []string) {
	asked := false
	for _, l := range j.tl.Links {
		if l.V.Alarm != alarm || l.V.Annotation != name {
			continue
		}
		asked = true
		text := l.V.URL + ": " + l.V.Error
		if l.V.Status != 0 {
			text = fmt.Sprintf("%s: %d %s", l.V.URL, l.V.Status, http.StatusText(l.V.Status))
		}
		it.saw("gameday", j.people.scrub(text), l.line())
		switch s := l.V.Status; {
		case l.V.Invalid:
			dead = append(dead, text)
		case s == 0:
			unsure = append(unsure, text+": from here it cannot be told whether it answers those who are paged")
		case s == http.StatusProxyAuthRequired:
			unsure = append(unsure, text+": a proxy answers in its place")
		case s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusTooManyRequests:
		case s >= 400:
			dead = append(dead, text)
		}
	}
	if !asked {
		unsure = append(unsure, name+" was not asked")
	}
	return dead, unsure
}

// routed judges that the alarm goes to whom it must.
func (j *judge) routed(f *alarmFinding) Item {
	it := f.item("receiver", "goes to "+f.plan.Receiver, time.Duration(0))
	it.Limit, it.Expected = "–", fmt.Sprintf("%s is routed to %s", f.plan.Name, f.plan.Receiver)
	if j.barred(f, &it) {
		return it
	}
	source := f.plan.Source
	if a := j.tl.alarmSource(f.plan.PagesVia); a != nil {
		source = f.plan.PagesVia
	}
	a := j.tl.alarmSource(source)
	wrong, right := map[string]bool{}, 0
	for i := range a.Episodes {
		e := &a.Episodes[i]
		if !matches(f.plan.Match, e.Labels) || !e.fired() || e.Firing.Before(f.t0) || e.Firing.Lo.After(f.window.End) || e.Receivers == nil {
			continue
		}
		j.episodeSeen(&it, e)
		it.saw(source, "routed to "+j.people.scrub(list(e.Receivers)), e.lines...)
		if slices.Contains(e.Receivers, f.plan.Receiver) {
			right++
		} else {
			wrong[j.people.scrub(list(e.Receivers))] = true
		}
	}
	switch {
	case len(wrong) > 0:
		it.Measured = strings.Join(sortedKeys(wrong), "; ")
		it.missed("it was routed to " + it.Measured)
		it.Hint = fmt.Sprintf("Look at the routes for %s: which of them takes it before the one to %s?", pairs(f.plan.Match), f.plan.Receiver)
	case right > 0:
		it.Measured = f.plan.Receiver
		it.met()
	default:
		it.unknown(source + " did not say to whom it is routed")
		it.Hint = "Alertmanager says it: name one in pages_via."
	}
	return it
}
