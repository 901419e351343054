package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// MomentKind says what sort of thing happened at a Moment.
type MomentKind string

// The kinds of moment.
const (
	MomentBegan    MomentKind = "began"     // the run
	MomentBlocked  MomentKind = "preflight" // a finding that blocked the run
	MomentPhase    MomentKind = "phase"     // a phase began
	MomentRefused  MomentKind = "refused"   // a fault could not be injected, or not be taken away
	MomentFault    MomentKind = "fault"     // a fault took effect
	MomentOutside  MomentKind = "outside"   // users were outside the objectives from here
	MomentFired    MomentKind = "fired"     // an alarm
	MomentPaged    MomentKind = "paged"     // a notification about an alarm left, or somebody was told
	MomentAck      MomentKind = "acknowledged"
	MomentResponse MomentKind = "response" // anything else that was done about a page
	MomentMark     MomentKind = "mark"
	MomentGone     MomentKind = "gone"    // a fault is over
	MomentInside   MomentKind = "inside"  // users were inside the objectives again
	MomentCleared  MomentKind = "cleared" // an alarm is quiet again
	MomentAborted  MomentKind = "aborted"
	MomentSteered  MomentKind = "steered" // a facilitator held the timeline, skipped a wait, or had a fault injected
	MomentReleased MomentKind = "released"
	MomentStopped  MomentKind = "stopped"
	MomentEnded    MomentKind = "ended"
)

// momentOrder orders what happened at the same instant: causes before what follows from them.
var momentOrder = []MomentKind{MomentBegan, MomentBlocked, MomentPhase, MomentReleased, MomentSteered, MomentRefused, MomentFault, MomentOutside,
	MomentFired, MomentPaged, MomentAck, MomentResponse, MomentMark, MomentGone, MomentInside, MomentCleared,
	MomentAborted, MomentStopped, MomentEnded}

// Moment is one thing that happened in a run, in words. People in it have their pseudonyms, unless the plan keeps names.
// What others wrote is in its texts as they wrote it: whoever prints them escapes them.
type Moment struct {
	At     clock.Interval
	Kind   MomentKind
	Of     string // the phase, the fault, the alarm or the page
	Text   string // without a full stop
	Source string // who tells of it
	Lines  []int  // of record.jsonl
	// Until is the end of what lasts: of a fault's effect or of a stretch outside the objectives. It is zero of what has no
	// length, and of what was not seen to end.
	Until clock.Interval
}

// Moments returns what happened in the run, by time. It holds no judgement.
func (c *Scorecard) Moments() []Moment {
	t := teller{j: c.by, tl: c.tl}
	t.run(c)
	for _, f := range c.tl.Faults {
		for _, in := range f.Injections {
			t.injection(f, in)
		}
	}
	for i := range c.tl.Alarms {
		t.alarms(&c.tl.Alarms[i])
	}
	for i := range c.tl.Responses {
		t.responses(&c.tl.Responses[i])
	}
	for _, m := range c.tl.Marks {
		text := fmt.Sprintf("%s marked %q", t.j.people.name(m.V.By), t.j.people.scrub(m.V.Name))
		if m.V.Text != "" {
			text += ": " + t.j.people.scrub(m.V.Text)
		}
		t.add(Moment{At: clock.At(m.At), Kind: MomentMark, Of: t.j.people.scrub(m.V.Name), Text: text,
			Source: "gameday mark", Lines: []int{m.line()}})
	}
	t.objectives(c.Outside())
	slices.SortStableFunc(t.out, func(a, b Moment) int {
		return cmp.Or(middle(a.At).Compare(middle(b.At)),
			cmp.Compare(slices.Index(momentOrder, a.Kind), slices.Index(momentOrder, b.Kind)), cmp.Compare(a.Text, b.Text))
	})
	return t.out
}

func middle(i clock.Interval) time.Time { return i.Lo.Add(i.Hi.Sub(i.Lo) / 2) }

// teller puts moments together.
type teller struct {
	j   *judge
	tl  *Timeline
	out []Moment
}

func (t *teller) add(m Moment) { t.out = append(t.out, m) }

// run tells of the run itself: its begin and end, its phases, and what stopped it.
func (t *teller) run(c *Scorecard) {
	t.add(Moment{At: clock.At(t.tl.Start), Kind: MomentBegan, Of: c.Run, Text: "the run began", Source: "gameday"})
	for _, p := range t.tl.Phases {
		t.add(Moment{At: clock.At(p.Start), Kind: MomentPhase, Of: string(p.Phase), Text: string(p.Phase) + " began",
			Source: "gameday"})
	}
	for _, f := range t.tl.Findings {
		if f.V.Blocks {
			t.add(Moment{At: clock.At(f.At), Kind: MomentBlocked, Of: f.V.What, Source: "gameday", Lines: []int{f.line()},
				Text: t.j.people.scrub("the preflight stopped the run: " + f.V.What + ": " + f.V.Summary)})
		}
	}
	for _, a := range t.tl.Aborts {
		text := fmt.Sprintf("%s held for %s (%s%s)", a.V.Name, span(a.V.Held), a.V.When, valueWords(a.V.Values))
		if a.V.Held == 0 && len(a.V.Values) == 0 { // an incident, and no condition
			text = t.j.people.scrub(a.V.When)
		}
		t.add(Moment{At: clock.At(a.At), Kind: MomentAborted, Of: a.V.Name, Source: "gameday", Lines: []int{a.line()},
			Text: "the run was aborted: " + text})
	}
	t.steering()
	for _, s := range t.tl.Stops {
		text := "the run was stopped by " + t.j.people.scrub(s.V.By)
		if s.V.Abandoned || s.V.By == powerFailure {
			text = "the gameday that started the run was killed"
		} else if s.V.Why != "" {
			text += ": " + t.j.people.scrub(s.V.Why)
		}
		t.add(Moment{At: clock.At(s.At), Kind: MomentStopped, Of: c.Run, Text: text, Source: "gameday",
			Lines: []int{s.line()}})
	}
	text := "the run ended as planned"
	switch c.End {
	case EndComplete:
	case EndInterrupted:
		text = "the record stops here: gameday was killed"
	default:
		text = "the run ended before its time (" + string(c.End) + ")"
	}
	t.add(Moment{At: clock.At(t.tl.End), Kind: MomentEnded, Of: c.Run, Text: text, Source: "gameday"})
}

// steering tells what facilitators did to the timeline.
func (t *teller) steering() {
	for _, s := range t.j.steered() {
		m := Moment{At: clock.At(s.At), Kind: MomentSteered, Of: cmp.Or(s.Fault, string(s.Phase)), Text: s.Words(), Source: "gameday", Lines: s.Lines}
		if s.Until.IsZero() {
			t.add(m)
			continue
		}
		m.Until = clock.At(s.Until)
		t.add(m)
		if s.Ended != "" || s.Lapse {
			t.add(Moment{At: m.Until, Kind: MomentReleased, Of: string(s.Phase), Text: "the timeline of the " + string(s.Phase) + " phase went on",
				Source: "gameday", Lines: s.Lines})
		}
	}
}

// injection tells of a fault at one place.
func (t *teller) injection(f *FaultLife, in *InjectionLife) {
	m := Moment{Of: f.Name, Source: "guard", Lines: in.Lines}
	what := fmt.Sprintf("%s (%s)", f.Name, f.Kind)
	if in.Onset.IsZero() {
		m.At, m.Kind = clock.At(cmpTime(in.Sent, t.tl.End)), MomentRefused
		m.Text = fmt.Sprintf("%s did not take effect on %s: %s", what, in.Place,
			t.j.people.scrub(cmp.Or(in.Failed, "nothing shows that it did")))
		t.add(m)
		return
	}
	m.At, m.Kind, m.Until = in.Onset, MomentFault, in.over()
	m.Text = fmt.Sprintf("%s took effect on %s", what, in.Place)
	if in.Effect != nil && in.Effect.Summary != "" {
		m.Text += ": " + t.j.people.scrub(in.Effect.Summary)
	}
	t.add(m)
	m.Until = clock.Interval{}
	if in.Residue != "" && in.Gone.IsZero() {
		m.At, m.Kind = clock.At(cmpTime(in.RevertSent, t.tl.End)), MomentRefused
		m.Text = fmt.Sprintf("%s could not be taken away from %s: %s", f.Name, in.Place, t.j.people.scrub(in.Residue))
		t.add(m)
	}
	if !in.Gone.IsZero() {
		m.At, m.Kind, m.Text = in.Gone, MomentGone, f.Name+" was gone from "+in.Place
		if in.Lapsed {
			m.Text = fmt.Sprintf("%s lapsed on %s, before it was told to", f.Name, in.Place)
		}
		t.add(m)
	}
	if r := f.Ready; r != nil && !r.At.IsZero() && in == f.Injections[len(f.Injections)-1] { // once for the fault
		m.At, m.Kind, m.Text = r.At, MomentGone, "the pods that "+f.Name+" had hit were Ready again"
		m.Lines = []int{f.readyLine}
		t.add(m)
	}
	if !in.Back.IsZero() {
		m.At, m.Kind, m.Text = in.Back, MomentGone, in.Place+" came back after "+f.Name+t.j.effectWords(in.BackEffect)
		if in.BackLine != 0 {
			m.Lines = []int{in.BackLine}
		}
		t.add(m)
	}
}

// alarms tells of the episodes of one source.
func (t *teller) alarms(a *alarmAccount) {
	for i := range a.Episodes {
		e := &a.Episodes[i]
		m := Moment{Of: e.name(), Source: a.Source, Lines: e.lines}
		held := ""
		if len(e.SuppressedBy) > 0 {
			held = ", held back by " + t.j.people.scrub(list(e.SuppressedBy))
		}
		switch {
		case !e.fired():
		case e.Firing.Hi.Before(t.tl.Start):
			m.At, m.Kind = clock.At(t.tl.Start), MomentFired
			m.Text = fmt.Sprintf("%s was firing already, since %s%s", e.name(),
				e.Firing.Lo.In(t.tl.zone()).Format("2006-01-02 15:04:05"), held)
			t.add(m)
		case !t.echo(a, e):
			m.At, m.Kind, m.Text = e.Firing, MomentFired, e.name()+" fired"+t.classWords(e)+held
			t.add(m)
		}
		if !e.Paged.IsZero() && !e.Paged.Hi.Before(t.tl.Start) {
			m.At, m.Kind, m.Text = e.Paged, MomentPaged, "a page about "+e.name()+" left "+a.Source
			t.add(m)
		}
		if e.fired() && !e.Ended.IsZero() && !t.echo(a, e) {
			m.At, m.Kind, m.Text = e.Ended, MomentCleared, e.name()+" was quiet again"
			t.add(m)
		}
	}
}

func (t *teller) classWords(e *episode) string {
	if class := t.j.classes[e.id()]; class != "" {
		return " (" + strings.ReplaceAll(string(class), "_", " ") + ")"
	}
	return ""
}

// echo reports whether a source that pages tells again what another source told: the router behind a rule engine.
func (t *teller) echo(a *alarmAccount, e *episode) bool {
	routes := func(p AlarmPlan) bool { return p.PagesVia == a.Source && p.Source != a.Source }
	if !slices.ContainsFunc(t.j.plan.Alarms, routes) {
		return false
	}
	for i := range t.tl.Alarms {
		other := &t.tl.Alarms[i]
		if other.Source == a.Source {
			continue
		}
		for k := range other.Episodes {
			o := &other.Episodes[k]
			if o.name() == e.name() && o.fired() && !e.Firing.Before(o.Firing) &&
				(o.Ended.IsZero() || !o.Ended.Before(e.Firing)) {
				return true
			}
		}
	}
	return false
}

// responses tells of what people did about the pages of one source.
func (t *teller) responses(a *responseAccount) {
	for i := range a.Events {
		e := &a.Events[i]
		m := Moment{At: e.At, Of: e.Page, Source: a.Source, Lines: lineList(e.line), Kind: MomentResponse}
		page := "page " + cmp.Or(e.Page, "?")
		if name := e.Labels["alertname"]; name != "" {
			page += " about " + name
		}
		who := t.j.people.actor(e.Actor)
		text := t.j.people.scrub(e.Text)
		switch e.Kind {
		case responders.Opened:
			m.Text = page + " was opened"
		case responders.Notified:
			m.Kind, m.Text = MomentPaged, page+" was sent"
			if len(e.Targets) > 0 {
				m.Text += " to " + list(t.j.names(e.Targets))
			}
			m.Text += levelWords(e.Level) + deliveredWords(e.Delivered)
		case responders.Acknowledged:
			m.Kind, m.Text = MomentAck, page+" was acknowledged by "+who
		case responders.Unacknowledged:
			m.Text = "the acknowledgement of " + page + " ended (" + who + ")"
		case responders.Escalated:
			m.Text = fmt.Sprintf("%s was escalated%s", page, levelWords(e.Level))
		case responders.Marked:
			m.Kind, m.Of, m.Text = MomentMark, text, fmt.Sprintf("%s marked %q", who, text)
		case responders.Resolved:
			m.Text = page + " was resolved by " + who
		default:
			m.Text = who + " " + cmp.Or(besideWords[e.Kind], string(e.Kind))
			if text != "" {
				m.Text += ": " + text
			}
		}
		t.add(m)
	}
}

// besideWords are what people did beside answering pages; the actor stands before them.
var besideWords = map[responders.Kind]string{
	responders.Noted: "noted", responders.Joined: "joined", responders.RoomOpened: "opened a channel",
	responders.BridgeOpened: "opened a bridge", responders.Told: "told customers", responders.Diagnosed: "said what is wrong",
	responders.RunbookOpened: "opened the runbook", responders.Filed: "filed a post-mortem",
}

func deliveredWords(delivered string) string {
	switch delivered {
	case "yes":
		return ""
	case "no":
		return ", and not delivered"
	}
	return ", delivery not confirmed"
}

// objectives tells when users were outside the objectives. It is known to a second.
func (t *teller) objectives(o Outside) {
	for _, s := range o.Spans {
		begin := clock.Between(s.Start, earlierOf(s.End, s.Start.Add(second)))
		end := clock.Between(laterOf(s.Start, s.End.Add(-second)), s.End)
		m := Moment{At: begin, Kind: MomentOutside, Of: "objectives", Source: "traffic",
			Text: "users are outside the objectives", Until: end}
		t.add(m)
		if !s.End.Before(t.tl.End) {
			continue
		}
		m = Moment{At: end, Kind: MomentInside, Of: "objectives", Source: "traffic",
			Text: "users are inside the objectives again"}
		if slices.ContainsFunc(o.Blind, func(b clock.Span) bool { return b.Start.Equal(s.End) }) {
			m.Text = "whether users are outside the objectives cannot be told from here on"
		}
		t.add(m)
	}
}
