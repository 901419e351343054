package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// RuleAdvice is what a run tells about the rule behind an expected alarm: no part of the score.
type RuleAdvice struct {
	Alarm  string `json:"alarm"`
	Source string `json:"source"`
	Rule   string `json:"rule"`
	Query  string `json:"query,omitempty"`
	// Held is from the onset until the condition was true in the data: the earliest that it could have fired. Found is from
	// there until an evaluation found it, Waited from there until it fired. They are nil when they are not known.
	Held   *clock.Latency `json:"held,omitempty"`
	Found  *clock.Latency `json:"found,omitempty"`
	Waited *clock.Latency `json:"waited,omitempty"`
	// Better is a threshold that would have caught what this one did not; Tighter one that nothing ever came near.
	Better  *Threshold `json:"better,omitempty"`
	Tighter *Threshold `json:"tighter,omitempty"`
	Text    []string   `json:"text"` // all of it, as sentences
	Lines   []int      `json:"lines,omitempty"`
}

// Threshold is another threshold for a rule, with what it would have made of the run and of the past.
type Threshold struct {
	Value float64 `json:"value"`
	Was   float64 `json:"was"`
	// Fires is when it would have fired in this run, from the onset; nil when it would not have, or nobody can tell.
	Fires *clock.Latency `json:"fires,omitempty"`
	// Fired is how often it would have fired in the two weeks before the run, and Data for how much of them there were values.
	// Without data nothing is known.
	Fired int           `json:"fired"`
	Data  time.Duration `json:"data"`
}

// RuleList is which rules of a source fired in a run, and which nothing shows to have.
type RuleList struct {
	Source string   `json:"source"`
	Server string   `json:"server,omitempty"` // its address
	Fired  []string `json:"fired"`
	Quiet  []string `json:"quiet"`
	Of     int      `json:"of"` // how many rules it has; not all are listed of very many
	// Why says why it is not known which rules fired; both lists are empty then.
	Why   string `json:"why,omitempty"`
	Lines []int  `json:"lines,omitempty"`
}

// advise fills in what the sources' studies of their rules tell.
func (j *judge) advise(c *Scorecard) {
	for _, r := range latestStudies(j.rec) {
		if r.V.Error != "" {
			c.RuleLists = append(c.RuleLists, RuleList{Source: r.V.Source, Fired: []string{}, Quiet: []string{},
				Why: "it did not tell of its rules: " + j.people.scrub(r.V.Error), Lines: []int{r.line()}})
			continue
		}
		for i := range r.V.Advice.Studies {
			s := &r.V.Advice.Studies[i]
			if f := j.alarms[s.Alarm]; f != nil && f.plan.Source == r.V.Source && !f.plan.Quiet {
				a := ruled{judge: j, f: f, s: s, rec: &r.V}.advice()
				a.Lines = []int{r.line()}
				c.Rules = append(c.Rules, a)
				c.tell(a)
			}
		}
		c.RuleLists = append(c.RuleLists, j.ruleList(r))
	}
}

// latestStudies returns the last study of each source.
func latestStudies(rec *Record) []seen[RuleRecord] {
	var out []seen[RuleRecord]
	for _, r := range all[RuleRecord](rec, RulesStudied) {
		out = slices.DeleteFunc(out, func(o seen[RuleRecord]) bool { return o.V.Source == r.V.Source })
		out = append(out, r)
	}
	return out
}

// tell adds the advice to the alarm's item, and what would have caught it to what there is to do next.
func (c *Scorecard) tell(a RuleAdvice) {
	id := "alarm." + a.Alarm + ".fired"
	for _, it := range c.Items() {
		if it.ID == id && len(a.Text) > 0 {
			it.saw(a.Source, strings.Join(a.Text, " "), a.Lines...)
		}
	}
	for i := range c.Next {
		if a.Better != nil && slices.Contains(c.Next[i].Items, id) {
			c.Next[i].Text += " " + a.better()
		}
	}
}

// ruleList compares the rules that a source has with what fired: by its own account, or as the record has it.
func (j *judge) ruleList(r seen[RuleRecord]) RuleList {
	u := RuleList{Source: r.V.Source, Server: r.V.Advice.Server, Fired: []string{}, Quiet: []string{}, Of: len(r.V.Advice.Rules) + r.V.Advice.More, Lines: []int{r.line()}}
	if !r.V.Advice.Fired {
		u.Why = "which of its rules fired is not known"
		for _, w := range r.V.Advice.Why {
			u.Why += ": " + j.people.scrub(w)
			break
		}
		return u
	}
	fired := map[string]bool{}
	for _, a := range j.tl.Alarms {
		for _, e := range a.Episodes {
			if a.Source == r.V.Source && e.fired() {
				fired[e.name()] = true
			}
		}
	}
	for _, rule := range r.V.Advice.Rules {
		if rule.Fired || fired[rule.Name] {
			u.Fired = append(u.Fired, rule.Name)
		} else {
			u.Quiet = append(u.Quiet, rule.Name)
		}
	}
	return u
}

// RuleWords returns all that is to be said about rules, a paragraph each.
func (c *Scorecard) RuleWords() []string {
	var out []string
	for _, a := range c.Rules {
		if len(a.Text) > 0 {
			out = append(out, strings.Join(a.Text, " "))
		}
	}
	for _, u := range c.RuleLists {
		if w := u.Words(); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// mostNamed bounds how many rules are named in one sentence.
const mostNamed = 12

// Words says it in a sentence; it is empty when every rule fired, and when there are none.
func (u RuleList) Words() string {
	switch {
	case u.Why != "":
		return u.Source + ": " + u.Why + "."
	case len(u.Quiet) == 0:
		return ""
	}
	names := strings.Join(u.Quiet[:min(len(u.Quiet), mostNamed)], ", ")
	if more := len(u.Quiet) - mostNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s has %s, and nothing shows that this run made these fire: %s. A rule that no game day has made fire is a hope.",
		u.Source, count(u.Of, "alerting rule"), names)
}

// ruled is one study beside what the record tells of its alarm.
type ruled struct {
	*judge
	f   *alarmFinding
	s   *alarms.RuleStudy
	rec *RuleRecord
}

// advice puts together all that is to be said about a rule.
func (r ruled) advice() RuleAdvice {
	a := RuleAdvice{Alarm: r.s.Alarm, Source: r.rec.Source, Rule: r.s.Rule, Query: r.s.Query, Text: []string{}}
	say := func(format string, args ...any) {
		a.Text = append(a.Text, r.people.scrub(fmt.Sprintf(format, args...)))
	}
	if r.f.skip == "" {
		r.timing(&a, say)
		r.thresholds(&a, say)
	}
	r.raise(&a, say)
	if r.s.NoLimit != "" && (r.f.class == ClassMissed || r.f.class == ClassLate) {
		say("Other thresholds cannot be tried for %s: %s.", r.s.Rule, r.s.NoLimit)
	}
	for _, w := range r.s.Why {
		say("Not known of %s: %s.", r.s.Rule, strings.TrimRight(w, "."))
	}
	return a
}

// timing takes the time from the onset to firing apart.
func (r ruled) timing(a *RuleAdvice, say func(string, ...any)) {
	held := r.heldFor(r.f.first)
	e := r.f.first
	switch {
	case r.s.Looks == (clock.Span{}):
		return
	case e == nil && (r.f.class == ClassMissed || r.f.class == ClassUnobserved):
		r.neverFired(a, say)
		return
	case e == nil || held == nil || e.Pending.IsZero():
		return
	}
	began := r.instant(held.Start)
	felt := floor(began.Sub(r.f.t0))
	found, waited := floor(e.Pending.Sub(began)), floor(e.Firing.Sub(e.Pending))
	a.Held, a.Found, a.Waited = &felt, &found, &waited
	hold := "it has no `for`"
	if r.s.For > 0 {
		hold = fmt.Sprintf("its `for` of %s took %s", span(r.s.For), latency(waited))
	}
	say("%s could have fired %s after the onset at the earliest, when its condition held in the data%s. An evaluation found it %s later (every %s), and %s.",
		a.Alarm, latency(felt), r.scrapes(), latency(found), span(r.s.Interval), hold)
}

// scrapes says how often there are samples, if that is known.
func (r ruled) scrapes() string {
	if r.s.Scrape <= 0 {
		return ""
	}
	return " (a new sample every " + span(r.s.Scrape) + ")"
}

// floor takes what cannot be out of a latency: nothing ends before it begins.
func floor(l clock.Latency) clock.Latency { return clock.Latency{Lo: max(0, l.Lo), Hi: max(0, l.Hi)} }

// instant is when something changed that the look at an instant was the first to see.
func (r ruled) instant(at time.Time) clock.Interval {
	return clock.Between(at.Add(-r.s.Step), at).Widen(r.s.Error)
}

// heldFor returns the stretch in which the condition held that an episode began with; nil when there is none, or it began
// before the onset.
func (r ruled) heldFor(e *episode) *clock.Span {
	if e == nil {
		return nil
	}
	for i := range r.s.Held {
		h := &r.s.Held[i]
		begin := e.begin()
		if h.Start.Add(-r.s.Step-r.s.Error).After(begin.Hi) || h.End.Add(r.s.Step+r.s.Error).Before(begin.Lo) || h.Start.Before(r.f.t0.Lo) {
			continue
		}
		return h
	}
	return nil
}

// neverFired says how far the condition of an alarm came that did not fire.
func (r ruled) neverFired(a *RuleAdvice, say func(string, ...any)) {
	need := clock.Span{Start: r.f.t0.Lo, End: earlierOf(r.f.window.End, r.s.Looks.End)}
	var longest *clock.Span
	for i := range r.s.Held {
		h := &r.s.Held[i]
		if h.End.Before(need.Start) || h.Start.After(need.End) {
			continue
		}
		if longest == nil || h.Length() > longest.Length() {
			longest = h
		}
	}
	if longest == nil {
		near := ""
		if v, ok := r.nearest(need); ok && r.s.Limit != nil {
			near = fmt.Sprintf(": it came to %s, and fires at %s %s", number(v), r.s.Limit.Op, number(r.s.Limit.Threshold))
		}
		say("The condition of %s never held after the onset%s.", a.Alarm, near)
		return
	}
	held := longest.Length() + r.s.Step
	if first := r.instant(longest.Start); !longest.Start.Before(r.f.t0.Lo) {
		felt := floor(first.Sub(r.f.t0))
		a.Held = &felt
		say("%s could have fired %s after the onset at the earliest, when its condition held in the data%s.", a.Alarm, latency(felt), r.scrapes())
	}
	if held <= r.s.For+r.s.Interval {
		say("Its condition held for at most %s at a time, and its `for` asks for %s, looked at every %s.", span(held), span(r.s.For), span(r.s.Interval))
	}
}

// nearest returns the value of the rule's measure in a span that came nearest to firing.
func (r ruled) nearest(need clock.Span) (v float64, ok bool) {
	for _, t := range r.s.Values {
		for _, p := range t.Points {
			at := r.at(p)
			if at.Before(need.Start) || at.After(need.End) || r.s.Limit == nil {
				continue
			}
			if !ok || (p[1] > v) == r.s.Limit.Up() && p[1] != v {
				v, ok = p[1], true
			}
		}
	}
	return v, ok
}

func (r ruled) at(point [2]float64) time.Time {
	return r.rec.Span.Start.Add(time.Duration(point[0] * float64(time.Second)))
}

// thresholds looks for one that would have caught in time what this one did not: the one nearest to it.
func (r ruled) thresholds(a *RuleAdvice, say func(string, ...any)) {
	limit := cmp.Or(r.f.plan.FiresWithin, r.f.plan.PagesWithin)
	if r.s.Limit == nil || limit == 0 || r.f.class != ClassMissed && r.f.class != ClassLate || len(r.s.Values) == 0 {
		return
	}
	own, tried := r.s.Limit.Threshold, 0
	if fires, ok := r.fires(own); ok && fires.Within(limit) == clock.Met {
		say("By what it measures %s should have fired %s after the onset: did the server evaluate it in time?", r.s.Rule, latency(fires))
		return
	}
	var best *alarms.Level
	var when clock.Latency
	for i := range r.s.Levels {
		l := &r.s.Levels[i]
		if !r.looser(l.Threshold, own) {
			continue
		}
		tried++
		fires, ok := r.fires(l.Threshold)
		if !ok || fires.Within(limit) != clock.Met {
			continue
		}
		if best == nil || math.Abs(l.Threshold-own) < math.Abs(best.Threshold-own) {
			best, when = l, fires
		}
	}
	if best == nil {
		if tried > 0 {
			say("None of %s tried would have caught it within %s without firing before the fault: shorten its `for`, or look at another measure.",
				count(tried, "other threshold"), span(limit))
		}
		return
	}
	a.Better = &Threshold{Value: best.Threshold, Was: own, Fires: &when, Fired: best.Fired}
	if r.s.Past != nil {
		a.Better.Data = r.s.Past.Data
	}
	say("%s", a.better())
	if p := r.s.Past; p != nil && p.Data > 0 {
		say("Its own of %s %s then. Looks at the past are %s apart, so that what was shorter may be left out; earlier game days count.", number(own),
			times(r.fired(own)), span(p.Step))
	}
}

// better words a threshold that would have caught the fault.
func (a RuleAdvice) better() string {
	b := a.Better
	return fmt.Sprintf("A threshold of %s instead of %s would have made %s fire %s after the onset; %s.", number(b.Value), number(b.Was), a.Rule,
		latency(*b.Fires), b.before())
}

// before words what a threshold would have made of the past.
func (t Threshold) before() string {
	if t.Data <= 0 {
		return "how often it would have fired in the two weeks before is not known, for there is no data"
	}
	return fmt.Sprintf("in the two weeks before, of which there is data for %s, it %s", days(t.Data), times(t.Fired))
}

// times says how often something would have fired.
func times(n int) string {
	switch n {
	case 0:
		return "would never have fired"
	case 1:
		return "would have fired once"
	}
	return fmt.Sprintf("would have fired %d times", n)
}

// days prints a length of the past.
func days(d time.Duration) string {
	switch {
	case d < 2*time.Hour:
		return span(d.Round(second))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

// fired returns how often a threshold that was tried would have fired.
func (r ruled) fired(threshold float64) int {
	for _, l := range r.s.Levels {
		if l.Threshold == threshold {
			return l.Fired
		}
	}
	return 0
}

// looser reports whether a threshold fires before another one does.
func (r ruled) looser(threshold, than float64) bool {
	if r.s.Limit.Up() {
		return threshold < than
	}
	return threshold > than
}

// fires tells when a threshold would have made the rule fire, from the onset. ok is false when it would not have for
// certain, and when it would have fired, or been pending, before the onset.
func (r ruled) fires(threshold float64) (when clock.Latency, ok bool) {
	hold := r.s.For
	if r.s.Interval > 0 {
		hold = (hold + r.s.Interval - 1) / r.s.Interval * r.s.Interval
	}
	var first clock.Interval
	for _, t := range r.s.Values {
		var since, last time.Time
		for _, p := range t.Points {
			at := r.at(p)
			if apart := at.Sub(last); !r.s.Limit.Over(p[1], threshold) || !last.IsZero() && apart > r.s.Step+r.s.Step/2 {
				since = time.Time{}
			}
			last = at
			if !r.s.Limit.Over(p[1], threshold) {
				continue
			}
			if since.IsZero() {
				since = at
			}
			if since.Before(r.f.t0.Lo) {
				if at.Sub(since) >= r.s.For {
					return when, false
				}
				continue
			}
			// However evaluations fall, it held at all of them.
			if at.Sub(since) >= hold+r.s.Interval {
				fire := r.instant(since)
				fire = clock.Between(fire.Lo.Add(hold), fire.Hi.Add(hold+r.s.Interval))
				if first.IsZero() || fire.Hi.Before(first.Hi) {
					first = fire
				}
				break
			}
		}
	}
	if first.IsZero() {
		return when, false
	}
	return floor(first.Sub(r.f.t0)), true
}

// What must be known before a threshold is called too far away.
const (
	enoughPast = 24 * time.Hour
	farAway    = 4 // times as far as the measure ever went from its middle
)

// raise says when a threshold could be tightened, because the measure never came near it in the two weeks before, nor in
// the calm of the run.
func (r ruled) raise(a *RuleAdvice, say func(string, ...any)) {
	p, c := r.s.Past, r.s.Limit
	if p == nil || c == nil || a.Better != nil || p.Data < enoughPast || r.fired(c.Threshold) > 0 {
		return
	}
	worst := p.Worst
	if v, ok := r.nearest(r.rec.Calm); ok && r.looser(worst, v) {
		worst = v
	}
	gap := math.Abs(c.Threshold - worst)
	if !r.looser(worst, c.Threshold) || gap < farAway*math.Abs(worst-p.Middle) {
		return
	}
	var best *alarms.Level
	far := func(l *alarms.Level) float64 { return math.Abs(l.Threshold - (worst+c.Threshold)/2) }
	for i := range r.s.Levels {
		l := &r.s.Levels[i]
		if l.Fired == 0 && r.looser(l.Threshold, c.Threshold) && r.looser(worst, l.Threshold) && (best == nil || far(l) < far(best)) {
			best = l
		}
	}
	if best == nil {
		return
	}
	a.Tighter = &Threshold{Value: best.Threshold, Was: c.Threshold, Data: p.Data}
	text := fmt.Sprintf("Its threshold of %s could be tightened to %s: in the two weeks before, of which there is data for %s, and before the fault it never came nearer than %s.",
		number(c.Threshold), number(best.Threshold), days(p.Data), number(worst))
	if r.f.skip == "" {
		if fires, ok := r.fires(best.Threshold); ok {
			a.Tighter.Fires = &fires
			text += fmt.Sprintf(" It would have fired %s after the onset.", latency(fires))
		}
	}
	say("%s", text)
}
