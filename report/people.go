package report

import (
	"regexp"
	"slices"
	"strings"

	"gameday/responders"
)

// people gives the persons in a record their pseudonyms. Processes and teams are judged, not persons: unless the plan
// says otherwise, a report speaks of "responder A", in the order in which they first appear.
type people struct {
	named bool
	names map[string]string // by identity
	find  *regexp.Regexp    // any identity, as a whole word; nil without any
}

func newPeople(rec *Record, tl *Timeline) *people {
	p := &people{named: rec.Plan.Named, names: map[string]string{}}
	add := func(id string) {
		if id, _ = signed(id); id != "" && p.names[id] == "" {
			p.names[id] = "responder " + letters(len(p.names))
		}
	}
	for _, a := range tl.Responses {
		for _, e := range a.Events {
			if person(e.Actor.Kind) {
				add(e.Actor.ID)
			}
			for _, t := range e.Targets {
				add(t)
			}
		}
	}
	for _, r := range tl.OnCall {
		for _, d := range r.V.Duties {
			add(d.Who)
		}
	}
	for _, m := range tl.Marks {
		add(m.V.By)
	}
	for _, s := range tl.Stops {
		by, user := strings.CutPrefix(s.V.By, "user ")
		if _, role := signed(by); user || role != "" { // and no signal
			add(by)
		}
	}
	for _, s := range tl.Steered {
		add(s.By)
		add(s.Ended)
	}
	if p.named || len(p.names) == 0 {
		return p
	}
	words := make([]string, 0, len(p.names))
	for _, id := range sortedKeys(p.names) {
		words = append(words, regexp.QuoteMeta(id))
	}
	// The longest identity first, so that "ann lee" is not left as "responder A lee".
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	p.find = regexp.MustCompile(`(?i)(^|[^\pL\pN_])(` + strings.Join(words, "|") + `)($|[^\pL\pN_])`)
	return p
}

// person reports whether an actor may be a human being; one of unknown kind may.
func person(k responders.ActorKind) bool {
	return k != responders.Bot && k != responders.Integration && k != responders.Timeout
}

// name returns what a report calls a person.
func (p *people) name(id string) string {
	switch {
	case id == "":
		return "somebody"
	case p.named:
		return id
	}
	id, role := signed(id)
	return p.names[id] + role
}

// signed returns who somebody is that did something in a room, and as what, as in " (responder)": they are the same person when they do
// something elsewhere. The role is empty for all others.
func signed(by string) (id, role string) {
	for _, r := range []string{" (facilitator)", " (responder)", " (observer)"} {
		if id, ok := strings.CutSuffix(by, r); ok && id != "" {
			return id, r
		}
	}
	return by, ""
}

// actor returns what a report calls an actor: a pseudonym, or a machine's own name with its kind.
func (p *people) actor(a responders.Actor) string {
	switch {
	case a.Kind == responders.Timeout:
		return "the policy's timeout"
	case !person(a.Kind):
		return string(a.Kind) + " " + p.scrub(a.ID)
	case a.Kind == responders.Human:
		return p.name(a.ID)
	default:
		return p.name(a.ID) + " (not known to be a person)"
	}
}

// scrub replaces the identities in a text that others wrote.
func (p *people) scrub(text string) string {
	if p.find == nil {
		return text
	}
	var out strings.Builder
	for {
		m := p.find.FindStringSubmatchIndex(text)
		if m == nil {
			return out.String() + text
		}
		// Go on right after the identity: what separates it from the next word may precede another one.
		out.WriteString(text[:m[4]])
		out.WriteString(p.lookup(text[m[4]:m[5]]))
		text = text[m[5]:]
	}
}

func (p *people) lookup(id string) string {
	if n := p.names[id]; n != "" {
		return n
	}
	for _, k := range sortedKeys(p.names) {
		if strings.EqualFold(k, id) {
			return p.names[k]
		}
	}
	return "somebody"
}

// unname replaces the identities in what sources say of their own gaps, which are the reasons of many items.
func (j *judge) unname() {
	for i := range j.tl.Alarms {
		a := &j.tl.Alarms[i]
		a.Coverage.Why, a.Error = j.scrubAll(a.Coverage.Why), j.people.scrub(a.Error)
	}
	for i := range j.tl.Responses {
		a := &j.tl.Responses[i]
		a.Coverage.Why, a.Error = j.scrubAll(a.Coverage.Why), j.people.scrub(a.Error)
	}
}

// letters counts A, B, … Z, AA, AB, …
func letters(n int) string {
	s := ""
	for n++; n > 0; n = (n - 1) / 26 {
		s = string(rune('A'+(n-1)%26)) + s
	}
	return s
}
