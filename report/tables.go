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

// maxRows bounds the tables of what was seen; the record has the rest.
const maxRows = 200

// levelRow is one stretch of the run with its service levels, for one stream or for all.
type levelRow struct {
	Name, When   string
	Fault        bool
	Values       []string // arrivals, errors, p50, p95, p99
	Unknown, Why string   // why some of it is unknown
}

// levelNames are the indicators of the table, in its order.
var levelNames = []string{"rate", "error_ratio", "p50", "p95", "p99"}

// ServiceLevels returns the service levels by phase and fault, of all streams together.
func (v view) ServiceLevels() []levelRow { return v.levelRows("") }

// StreamLevels is one stream's service levels.
type StreamLevels struct {
	Stream string
	Rows   []levelRow
}

// ByStream returns the service levels of each stream, where there are several.
func (v view) ByStream() []StreamLevels {
	if len(v.load.streams) < 2 {
		return nil
	}
	var out []StreamLevels
	for _, s := range v.load.streams {
		out = append(out, StreamLevels{s, v.levelRows(s)})
	}
	return out
}

func (v view) levelRows(stream string) []levelRow {
	var out []levelRow
	for _, l := range v.levels {
		r := levelRow{Name: l.Name, Fault: l.Fault, When: v.spans(l.Spans)}
		if l.Name == string(Load) && !l.Fault {
			r.When = "while no fault was felt: " + r.When
		}
		for _, name := range levelNames {
			x, _, why := l.Read(stream, name)
			if why != "" {
				r.Values, r.Why = append(r.Values, "unknown"), why
				continue
			}
			r.Values = append(r.Values, value(name, x))
		}
		if len(l.Spans) == 0 {
			r.When = ""
		}
		r.Why = v.people.scrub(r.Why)
		out = append(out, r)
	}
	return out
}

func (v view) spans(spans []clock.Span) string {
	const most = 4
	if len(spans) > most {
		return v.by.spans(spans[:most]) + fmt.Sprintf(" and %d more", len(spans)-most)
	}
	return v.by.spans(spans)
}

// promises is a table of items.
type promises struct {
	Name string
	Rows []promise
}

// promise is an item with its place in the page.
type promise struct {
	*Item
	Anchor string
}

// Promises returns the items of some parts as a table; nil when they have none.
func (v view) Promises(parts ...Part) *promises {
	p := &promises{}
	for _, it := range v.Of(parts...) {
		p.Rows = append(p.Rows, promise{it, v.Anchor(it)})
	}
	if len(p.Rows) == 0 {
		return nil
	}
	for _, x := range parts {
		p.Name = strings.TrimPrefix(p.Name+" and "+string(x), " and ")
	}
	return p
}

// CellNames are the clocks of an expected alarm, in the order of its cells.
func (v view) CellNames() []string { return []string{"fired", "paged", "cleared"} }

// alarmRow is one expected alarm with its items.
type alarmRow struct {
	Name, About, Source string
	Class               Class
	Cells               []*Item // fired, paged, cleared; nil where nothing is asked
	Others              []*Item
}

// Expected returns the alarms that the plan speaks of.
func (v view) Expected() []alarmRow {
	var out []alarmRow
	for _, a := range v.Scorecard.rec.Plan.Alarms {
		r := alarmRow{Name: a.Name, Source: a.Source, Cells: make([]*Item, 3), About: "of " + a.Cause}
		switch {
		case a.Quiet:
			r.About = "must stay quiet"
		case a.Cause == "":
			r.About = ""
		}
		begin := "alarm." + a.Name + "."
		for _, it := range v.Items() {
			what, ok := strings.CutPrefix(it.ID, begin)
			if !ok || strings.Contains(what, ".") {
				continue
			}
			r.Class = cmp.Or(r.Class, it.Class)
			if i := slices.Index([]string{"fired", "paged", "cleared"}, what); i >= 0 {
				r.Cells[i] = it
			} else {
				r.Others = append(r.Others, it)
			}
		}
		if len(r.Others) > 0 || slices.ContainsFunc(r.Cells, func(i *Item) bool { return i != nil }) {
			out = append(out, r)
		}
	}
	return out
}

// Noise returns the items of the detection part that are about no alarm of the plan.
func (v view) Noise() []*Item {
	said := map[*Item]bool{}
	for _, r := range v.Expected() {
		for _, it := range append(r.Cells, r.Others...) {
			said[it] = true
		}
	}
	var out []*Item
	for _, it := range v.Of(Detection) {
		if !said[it] {
			out = append(out, it)
		}
	}
	return out
}

// Of returns the items of a part.
func (v view) Of(parts ...Part) []*Item {
	var out []*Item
	for _, it := range v.Items() {
		if slices.Contains(parts, it.Part) {
			out = append(out, it)
		}
	}
	return out
}

// deed is one thing that somebody did, or a system did to somebody.
type deed struct {
	at          time.Time
	When, Clock string
	Page, What  string
	Who         string
	Grade       string
	Where       string
	Machine     bool
}

// Deeds returns what people did, and what was done to reach them, in order; and how many more there were.
func (v view) Deeds() (shown []deed) {
	shown = v.deeds()
	return shown[:min(len(shown), maxRows)]
}

// MoreDeeds returns how many deeds were left out.
func (v view) MoreDeeds() int { return max(0, len(v.deeds())-maxRows) }

func (v view) deeds() []deed {
	var out []deed
	for _, a := range v.tl.Responses {
		for _, e := range a.Events {
			d := v.deed(e.Event)
			d.at = e.At.Lo
			d.When, d.Clock = v.tl.since(e.At.Lo), v.tl.around(e.At)
			d.Page, d.Grade, d.Where = v.people.scrub(e.Page), e.Grade, rawLine(e.line)
			out = append(out, d)
		}
	}
	for _, m := range v.tl.Marks {
		out = append(out, deed{at: m.At, When: v.tl.since(m.At), Clock: v.tl.stamp(m.At), Who: v.people.name(m.V.By),
			What: fmt.Sprintf("marked “%s”", v.people.scrub(m.V.Name)), Where: rawLine(m.line())})
	}
	for _, s := range v.Steered {
		d := deed{at: s.At, When: v.tl.since(s.At), Clock: v.tl.stamp(s.At), Who: s.By, What: s.did()}
		if len(s.Lines) > 0 {
			d.Where = rawLine(s.Lines[0])
		}
		out = append(out, d)
	}
	for _, s := range v.tl.Stops {
		out = append(out, deed{at: s.At, When: v.tl.since(s.At), Clock: v.tl.stamp(s.At), Who: v.people.scrub(s.V.By),
			What: "stopped the run", Where: rawLine(s.line())})
	}
	slices.SortStableFunc(out, func(a, b deed) int { return a.at.Compare(b.at) })
	return out
}

func rawLine(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", EventsFile, n)
}

// deed puts an event into words.
func (v view) deed(e responders.Event) deed {
	d := deed{Who: v.people.actor(e.Actor), Machine: !person(e.Actor.Kind), What: v.people.deed(e)}
	level := levelWords(e.Level)
	switch e.Kind {
	case responders.Notified:
		d.What = "told " + cmp.Or(list(v.by.names(e.Targets)), "somebody") + level
		switch e.Delivered {
		case "yes":
			d.What += ": delivered"
		case "no":
			d.What += ": not delivered"
		default:
			d.What += ": not known to be delivered"
		}
	case responders.Acknowledged:
		d.What += level
	}
	if e.Channel != "" {
		d.What += ", by " + v.people.scrub(e.Channel)
	}
	return d
}

// deeds are the words for what people do, without and with what they said about it.
var deeds = map[responders.Kind]struct{ bare, with string }{
	responders.Opened: {"opened the page", ""}, responders.Noted: {"noted something", "noted “%s”"},
	responders.Marked: {"set a mark", "marked “%s”"}, responders.Joined: {"joined", "joined as “%s”"},
	responders.RoomOpened:    {"opened a channel", "opened the channel “%s”"},
	responders.BridgeOpened:  {"opened a bridge", "opened the bridge “%s”"},
	responders.Told:          {"told customers", "told customers “%s”"},
	responders.Diagnosed:     {"said what is wrong", "said what is wrong: “%s”"},
	responders.RunbookOpened: {"opened the runbook", "opened the runbook “%s”"},
	responders.Filed:         {"filed a post-mortem", "filed the post-mortem “%s”"},
}

// deed puts what somebody did into words, without who it was.
func (p *people) deed(e responders.Event) string {
	words, known := deeds[e.Kind]
	switch {
	case e.Kind == responders.Escalated:
		return fmt.Sprintf("escalated to level %d", e.Level)
	case known && e.Text != "" && words.with != "":
		return fmt.Sprintf(words.with, p.scrub(e.Text))
	case known:
		return words.bare
	}
	return strings.ReplaceAll(string(e.Kind), "_", " ")
}

// OnCall returns who was on call, as each source said it when it was asked, and where that changed.
func (v view) OnCall() []string {
	var out []string
	said := map[string]string{} // by source
	for _, r := range v.tl.OnCall {
		words := v.roster(r.V)
		if said[r.V.Source] != words {
			out = append(out, fmt.Sprintf("from %s on, by %s: %s", v.tl.since(r.At), r.V.Source, words))
		}
		said[r.V.Source] = words
	}
	return out
}

// roster puts one answer about who is on call into words.
func (v view) roster(r OnCallRecord) string {
	if r.Error != "" {
		return "it could not say (" + v.people.scrub(r.Error) + ")"
	}
	var who []string
	for _, d := range r.Duties {
		words := fmt.Sprintf("%s at level %d", v.people.name(d.Who), d.Level)
		if d.Team != "" {
			words += " of " + v.people.scrub(d.Team)
		}
		who = append(who, words)
	}
	return cmp.Or(list(who), "nobody")
}

// Episodes returns the episodes of alarms, at most maxRows.
func (v view) Episodes() []AlarmFact { return v.Alarms[:min(len(v.Alarms), maxRows)] }

// MoreEpisodes returns how many episodes were left out.
func (v view) MoreEpisodes() int { return max(0, len(v.Alarms)-maxRows) }
