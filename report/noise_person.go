package report

import (
	"fmt"
	"strings"

	"gameday/clock"
	"gameday/responders"
)

// pagesOf is how many pages reached one person in the run: lo for certain, hi at the most.
type pagesOf struct{ lo, hi int }

// personPages counts how many pages each person got, from all sources of responses, by what the sources call the person. Several
// notifications of one page count once. untold is how many pages went to nobody knows whom: any of them may have been anybody's.
func (j *judge) personPages() (by map[string]pagesOf, untold int, lines map[string][]int) {
	type key struct{ who, source, page string }
	sure, perhaps := map[key]bool{}, map[key]bool{}
	lines = map[string][]int{}
	for _, a := range j.tl.Responses {
		for _, e := range a.Events {
			if e.Kind != responders.Notified || e.Delivered == "no" || e.At.Hi.Before(j.tl.Start) || e.At.Lo.After(j.tl.End) {
				continue
			}
			page := e.Page
			if page == "" {
				page = "event " + e.ID
			}
			targets := e.Targets
			if len(targets) == 0 {
				targets = []string{""}
			}
			for _, who := range targets {
				k := key{who, a.Source, page}
				perhaps[k] = true
				sure[k] = sure[k] || e.Delivered == "yes" && !e.At.Lo.Before(j.tl.Start) && !e.At.Hi.After(j.tl.End)
				lines[who] = append(lines[who], e.line)
			}
		}
	}
	by = map[string]pagesOf{}
	for k := range perhaps {
		if k.who == "" {
			untold++
			continue
		}
		n := by[k.who]
		n.hi++
		if sure[k] {
			n.lo++
		}
		by[k.who] = n
	}
	return by, untold, lines
}

// words prints a count that may not be known.
func (n pagesOf) words() string {
	if n.lo == n.hi {
		return count(n.lo, "page")
	}
	return fmt.Sprintf("%d to %s", n.lo, count(n.hi, "page"))
}

// perPerson judges that nobody was paged too often in the run, by whatever. It is worth
//
//	1 − (n − most) / (1 + most)
//
// and never less than nothing, where n is how many pages the person got who got most.
func (j *judge) perPerson() (it Item, ok bool) {
	if j.plan.Noise == nil || j.plan.Noise.PerPerson == nil {
		return it, false
	}
	most := *j.plan.Noise.PerPerson
	it = Item{ID: "noise.per_person", Title: "pages per person", Weight: weight(j.plan.Noise.Weight), Limit: count(most, "page"), Measured: "unknown",
		Expected: "nobody is paged for more than " + count(most, "page") + " while the game day lasts", absence: true}
	by, untold, lines := j.personPages()
	var top pagesOf
	var who []string
	for _, id := range sortedKeys(by) {
		n := by[id]
		n.hi += untold
		top.lo, top.hi = max(top.lo, n.lo), max(top.hi, n.hi)
		if by[id].lo > most {
			who = append(who, j.people.name(id))
		}
		it.sawAs("A", "pages", j.people.name(id)+": "+by[id].words(), lines[id]...)
	}
	if untold > 0 {
		top.hi = max(top.hi, untold)
		it.saw("pages", count(untold, "page")+" to nobody knows whom", lines[""]...)
	}
	for i := range j.tl.Responses {
		j.sourceOfResponses(&it, &j.tl.Responses[i])
	}
	it.Measured = top.words() + " at most"
	worth := func(n int) float64 { return max(0, min(1, 1-float64(n-most)/float64(1+most))) }
	switch why := j.unwatchedPages(); {
	case top.lo > most:
		it.missed(fmt.Sprintf("%s got %s", list(who), top.words()))
		it.Value, it.best = worth(top.hi), worth(top.lo)
		if why != "" {
			it.Value = 0 // there may have been more
		}
		it.Hint = "The same people were paged again and again: inhibit alarms by the one that says why, group them, or share the load."
	case why != "":
		if top.hi == 0 {
			it.Measured = "none seen"
		}
		it.unknown(why)
	case top.hi > most:
		it.unknown("whether all of it reached " + map[bool]string{true: "anybody", false: "the same person"}[untold == 0] + " is not known")
	default:
		it.met()
	}
	return it, true
}

// unwatchedPages says which source of responses was not watched well enough for its silence to count.
func (j *judge) unwatchedPages() string {
	if len(j.tl.Responses) == 0 {
		return "the record has nothing from any source of responses"
	}
	for _, r := range j.plan.Responses {
		if j.tl.responseSource(r.Source) == nil {
			return "the record has nothing from " + r.Source
		}
	}
	for _, a := range j.tl.Responses {
		if !j.pages(&a) {
			continue
		}
		need := clock.Span{Start: j.tl.Start, End: laterOf(j.tl.Start, earlierOf(j.tl.End, a.End))}
		if !a.watch().all(need) {
			return gap(a.Source, a.Coverage.Spans, a.Coverage.Why, laterOf(a.End, j.tl.End), need, true)
		}
	}
	return ""
}

// pages reports whether a source tells of pages: the plan looks there for them, or it told of one. Others tell of what is done
// beside answering them.
func (j *judge) pages(a *responseAccount) bool {
	for _, r := range j.plan.Responses {
		if r.Source == a.Source {
			return true
		}
	}
	for _, p := range j.plan.Alarms {
		if p.PagesVia == a.Source {
			return true
		}
	}
	also := false
	for _, r := range j.plan.Responses {
		for _, name := range r.Also {
			also = also || name == a.Source
		}
	}
	for _, e := range a.Events {
		also = also && e.Kind != responders.Notified
	}
	return !also
}

// units count what fires unexpectedly in fifths of a page: what pages counts one, what does not a fifth.
const wholePage, noPage = 5, 1

// units is how much an episode counts as noise.
func (n *NoisePlan) units(e *episode) int {
	if len(n.Pages) == 0 || matches(n.Pages, e.Labels) {
		return wholePage
	}
	return noPage
}

// unitWords prints so many fifths of a page.
func unitWords(n int) string {
	if n%wholePage == 0 {
		return count(n/wholePage, "page")
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/wholePage), ".0") + " pages"
}
