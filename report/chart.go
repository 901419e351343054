package report

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	svg "github.com/ajstarks/svgo"

	"gameday/clock"
	"gameday/responders"
)

// The picture's measures, in units of its own view box.
const (
	panelGap   = 34
	maxLanes   = 12
	markLane   = 22  // height of a lane without a name
	letterWide = 6.3 // of the picture's small type, on average
)

// chartSize is how the picture is laid out: the page shows the one that fits, so that its type is never too small.
type chartSize struct {
	class       string
	width, left int
	lane        int  // height of a lane
	above       bool // a lane's name stands above it, and not in the margin
	points      int  // most points of a line
	ticks       int  // most marks on the axis of time
}

// chartSizes are those for a desk, for paper and tablets, and for a phone.
var chartSizes = []chartSize{
	{class: "desk", width: 1120, left: 128, lane: 22, points: maxPoints, ticks: 12},
	{class: "sheet", width: 720, left: 112, lane: 22, points: maxPoints, ticks: 8},
	{class: "phone", width: 340, left: 52, lane: 34, above: true, points: 200, ticks: 4},
}

// chart draws what happened in a run on one axis of time: phases, faults, traffic, alarms, and what people did.
type chart struct {
	c      *Scorecard
	size   chartSize
	tl     *Timeline
	run    clock.Span
	s      *svg.SVG
	out    bytes.Buffer
	y      int // where the next thing goes
	passed int // phases that are drawn no more
	rows   []markRow
	more   int // marks for which there is no row

	points []point
	step   time.Duration // of a point
}

// drawCharts returns the picture in every size, each as one svg element; none of a run of no length. Everything that others
// wrote is escaped in it.
func drawCharts(c *Scorecard) []string {
	var out []string
	var last *chart
	for _, size := range chartSizes {
		k := &chart{c: c, size: size, tl: c.tl, run: clock.Span{Start: c.tl.Start, End: c.tl.End}}
		if k.run.Length() == 0 {
			return nil
		}
		if last != nil && last.size.points == size.points { // adding up a long run takes a while
			k.points, k.step = last.points, last.step
		} else {
			k.points, k.step = c.load.steps(k.run, size.points)
		}
		out, last = append(out, k.draw()), k
	}
	return out
}

func (k *chart) draw() string {
	size := k.size
	k.rows = k.marks()
	k.s = svg.New(&k.out)
	height := k.height()
	k.s.Startview(size.width, height, 0, 0, size.width, height)
	k.s.Title("What happened in the run, on one axis of time")
	k.s.Desc(k.describe())
	bottom := height - 40
	k.phases(bottom)
	k.faultLanes()
	k.bands(bottom)
	k.panels()
	k.alarmLanes()
	k.markLanes()
	k.axis(bottom)
	k.s.End()
	text := k.out.String()
	// Inside a page the document's own head has no place, nor do fixed measures.
	if i := strings.Index(text, "<svg"); i >= 0 {
		text = text[i:]
	}
	return strings.Replace(text, fmt.Sprintf(`width="%d" height="%d"`, size.width, height),
		fmt.Sprintf(`role="img" class="chart %s"`, size.class), 1)
}

func (k *chart) right() int { return k.size.width - 18 }

// barTop returns where the strip of a lane begins that its bar is in.
func (k *chart) barTop() int { return k.y + k.size.lane - markLane }

func (k *chart) describe() string {
	var words []string
	for _, f := range k.c.Faults {
		words = append(words, fmt.Sprintf("%s on %s: %s", f.Fault, f.Place, f.State))
	}
	for _, a := range k.c.Alarms {
		if !a.Firing.IsZero() {
			words = append(words, fmt.Sprintf("%s fired at %s", a.Name, k.tl.since(a.Firing.Lo)))
		}
	}
	return strings.Join(words, "; ")
}

const panelHeights = 110 + 84 + 110

func (k *chart) height() int {
	h := 30 + k.size.lane*len(k.injections()) + 3*panelGap + panelHeights
	if n := len(k.lanes()); n > 0 {
		h += panelGap + n*k.size.lane
	}
	if n := len(k.rows); n > 0 {
		h += panelGap + n*markLane
	}
	return h + 54
}

// x returns where an instant lies.
func (k *chart) x(t time.Time) int {
	share := float64(t.Sub(k.run.Start)) / float64(k.run.Length())
	return k.size.left + int(math.Round(clamp(share)*float64(k.right()-k.size.left)))
}

func (k *chart) phases(bottom int) {
	for i, p := range k.tl.Phases {
		class := "phase"
		if (i+k.passed)%2 == 1 {
			class = "phase alt"
		}
		x, w := k.x(p.Start), k.x(p.End)-k.x(p.Start)
		k.s.Rect(x, 24, w, bottom-24, attr("class", class))
		if float64(w) > letterWide*float64(len(p.Phase)) {
			k.s.Text(x+w/2, 16, string(p.Phase), attr("class", "phase-name"))
		}
	}
	k.y = 30
}

func (k *chart) injections() []*InjectionLife {
	var out []*InjectionLife
	for _, f := range k.tl.Faults {
		for _, in := range f.Injections {
			if !in.Onset.IsZero() && len(out) < maxLanes {
				out = append(out, in)
			}
		}
	}
	return out
}

// felt returns from when to when an injection stood.
func (k *chart) felt(in *InjectionLife) (from, to time.Time) {
	to = k.run.End
	if over := in.over(); !over.IsZero() {
		to = over.Hi
	}
	return in.Onset.Lo, to
}

func (k *chart) faultLanes() {
	for _, in := range k.injections() {
		from, to := k.felt(in)
		x, w := k.x(from), max(3, k.x(to)-k.x(from))
		k.s.Group(attr("class", "fault"))
		k.s.Title(fmt.Sprintf("%s: %s on %s", in.Fault, in.Kind, in.Place))
		k.s.Roundrect(x, k.barTop()+4, w, 14, 3, 3, attr("class", "fault-bar"))
		k.s.Gend()
		k.named(x, x+w, in.Fault, in.Kind+" "+in.Place)
		k.y += k.size.lane
	}
}

// beside writes a text to the right of a bar, or to its left where there is no room.
func (k *chart) beside(from, to, y int, text, class string) {
	text = short(text, min(60, k.room(from, to)))
	if float64(to)+8+textWide(text) > float64(k.right()) {
		k.s.Text(from-6, y, text, attr("class", class+" end"))
		return
	}
	k.s.Text(to+6, y, text, attr("class", class))
}

// room returns how many letters fit on the roomier side of a bar.
func (k *chart) room(from, to int) int {
	// To the left the picture's edge cuts off what is wider than the average letter; to the right there is a margin.
	return max(8, int(float64(k.right()-to-10)/letterWide), (from-10)/7)
}

func textWide(s string) float64 { return letterWide * float64(utf8.RuneCountInString(s)) }

func short(s string, most int) string {
	s = PlainText(s)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// named writes a lane's name into the left margin and what else there is to say beside its bar; or both above the bar.
func (k *chart) named(from, to int, name, more string) {
	if !k.size.above {
		fits := int(float64(k.size.left-14) / letterWide)
		k.s.Text(k.size.left-10, k.y+15, short(name, fits), attr("class", "lane-name"))
		k.beside(from, to, k.y+15, more, "lane-text")
		return
	}
	fits := k.right() / 7 // less than with the average letter, for nothing is to be cut off here
	k.s.Text(4, k.y+12, short(name+": "+more, fits), attr("class", "lane-above"))
}

// bands shades the time of each fault across all panels.
func (k *chart) bands(bottom int) {
	for _, in := range k.injections() {
		from, to := k.felt(in)
		k.s.Rect(k.x(from), 24, max(2, k.x(to)-k.x(from)), bottom-24, attr("class", "fault-band"))
	}
}

func (k *chart) panels() {
	points, step := k.points, k.step
	var rate, errs float64
	least, most := math.Inf(1), 0.0
	for _, p := range points {
		rate = max(rate, p.due, p.started)
		if !math.IsNaN(p.errors) {
			errs = max(errs, p.errors)
		}
		if p.p50 > 0 && p.p95 > 0 {
			least, most = min(least, p.p50), max(most, p.p95)
		}
	}
	k.panel(panel{title: "arrivals per second", height: 110, scale: linear(rate), unit: number, points: points, step: step,
		lines: []line{{"due", "dashed", func(p point) float64 { return blank(p.empty, p.due) }},
			{"started", "main", func(p point) float64 { return blank(p.empty, p.started) }}}})
	k.panel(panel{title: "failed requests", height: 84, scale: linear(min(1, max(0.01, errs))), unit: percent,
		points: points,
		step:   step, limits: k.limits("error_ratio"),
		lines: []line{{"errors", "bad fill", func(p point) float64 { return p.errors }}}})
	s := spread(least, max(most, 0.001))
	title := "response time"
	if s.log {
		title += " (log)"
	}
	k.panel(panel{title: title, height: 110, scale: s, unit: func(v float64) string { return brief("p95", v) },
		points: points, step: step, limits: k.limits("p95"),
		lines: []line{{"p50", "second", func(p point) float64 { return p.p50 }}, {"p95", "main",
			func(p point) float64 { return p.p95 }}}})
}

func blank(empty bool, v float64) float64 {
	if empty {
		return math.NaN()
	}
	return v
}

// limits returns the steady state's upper limits for an indicator over all streams.
func (k *chart) limits(name string) []float64 {
	var out []float64
	for _, e := range k.c.rec.Plan.Expects {
		if e.Part != PartSteady {
			continue
		}
		parts, _ := comparisons(e.That)
		for _, p := range parts {
			if stream, n, op, limit, ok := p.Comparison(); ok && stream == "" && n == name && strings.HasPrefix(op, "<") {
				out = append(out, limit)
			}
		}
	}
	return out
}

// panel is one of the diagrams that share the axis of time.
type panel struct {
	title  string
	height int
	scale  scale
	unit   func(float64) string
	points []point
	step   time.Duration
	lines  []line
	limits []float64
}

type line struct {
	name, class string
	of          func(point) float64
}

func (k *chart) panel(p panel) {
	top := k.y + panelGap - 8
	title := p.title
	if p.step > second && !k.size.above {
		title += ", " + span(p.step) + " a point"
	}
	k.s.Text(k.size.left, top-8, title, attr("class", "panel-name"))
	x := k.right()
	for i := len(p.lines) - 1; i >= 0; i-- {
		l := p.lines[i]
		x -= int(textWide(l.name)) + 8
		k.s.Text(x, top-8, l.name, attr("class", "legend"))
		k.s.Line(x-22, top-12, x-5, top-12, attr("class", "line "+strings.ReplaceAll(l.class, " fill", "")))
		x -= 32
	}
	height := func(v float64) int { return top + p.height - int(math.Round(p.scale.at(v)*float64(p.height))) }
	for _, v := range p.scale.ticks() {
		y := height(v)
		k.s.Line(k.size.left, y, k.right(), y, attr("class", "grid"))
		k.s.Text(k.size.left-8, y+4, p.unit(v), attr("class", "tick end"))
	}
	for _, v := range p.limits {
		if v > p.scale.lo && v <= p.scale.hi {
			k.s.Line(k.size.left, height(v), k.right(), height(v), attr("class", "limit"))
			y := height(v) - 4
			if y < top+6 { // the legend is there
				y = height(v) + 13
			}
			k.s.Text(k.right()-4, y, "limit "+p.unit(v), attr("class", "limit-text end"))
		}
	}
	for _, l := range p.lines {
		for _, d := range k.paths(p, l, height, top+p.height) {
			k.s.Path(d.area, attr("class", "area"))
			k.s.Path(d.line, attr("class", "line "+strings.ReplaceAll(l.class, " fill", "")))
		}
	}
	k.y = top + p.height
}

type path struct{ line, area string }

// paths draws a line in pieces, broken where there is no data. The area under it is drawn for lines of class fill only.
func (k *chart) paths(p panel, l line, height func(float64) int, floor int) []path {
	var out []path
	var xs, ys []int
	flush := func() {
		if len(xs) == 0 {
			return
		}
		if len(xs) == 1 {
			xs, ys = append(xs, xs[0]+2), append(ys, ys[0])
		}
		var b strings.Builder
		for i := range xs {
			verb := "L"
			if i == 0 {
				verb = "M"
			}
			fmt.Fprintf(&b, "%s%d %d", verb, xs[i], ys[i])
		}
		d := path{line: b.String(), area: "M0 0"}
		if strings.Contains(l.class, "fill") {
			d.area = fmt.Sprintf("%sL%d %dL%d %dZ", b.String(), xs[len(xs)-1], floor, xs[0], floor)
		}
		out = append(out, d)
		xs, ys = nil, nil
	}
	for _, pt := range p.points {
		v := l.of(pt)
		if math.IsNaN(v) {
			flush()
			continue
		}
		xs = append(xs, k.x(k.run.Start.Add(pt.at+p.step/2)))
		ys = append(ys, height(v))
	}
	flush()
	return out
}

// alarmLane is one alarm of one source.
type alarmLane struct {
	name     string
	episodes []AlarmFact
}

func (k *chart) lanes() []alarmLane {
	var out []alarmLane
	for _, a := range k.c.Alarms {
		name := a.Name
		i := slices.IndexFunc(out, func(l alarmLane) bool { return l.name == name && l.episodes[0].Source == a.Source })
		if i < 0 {
			if len(out) == maxLanes {
				continue
			}
			out = append(out, alarmLane{name: name})
			i = len(out) - 1
		}
		out[i].episodes = append(out[i].episodes, a)
	}
	return out
}

func (k *chart) alarmLanes() {
	lanes := k.lanes()
	if len(lanes) == 0 {
		return
	}
	k.heading("alarms: pending, then firing")
	for _, l := range lanes {
		end := k.size.left
		var words []string
		for _, e := range l.episodes {
			end = max(end, k.episode(e))
			if e.Class != "" && !slices.Contains(words, strings.ReplaceAll(string(e.Class), "_", " ")) {
				words = append(words, strings.ReplaceAll(string(e.Class), "_", " "))
			}
		}
		first := l.episodes[0]
		begin := k.x(cmpTime(first.Pending.Lo, first.Firing.Lo))
		k.named(begin, end, l.name, strings.Join(append([]string{first.Source}, words...), ", "))
		k.y += k.size.lane
	}
}

// heading begins a block of lanes.
func (k *chart) heading(text string) {
	k.y += panelGap
	k.s.Text(k.size.left, k.y-8, text, attr("class", "panel-name"))
}

// episode draws one episode and returns where it ends.
func (k *chart) episode(e AlarmFact) int {
	stop := k.run.End
	if !e.Ended.IsZero() {
		stop = e.Ended.Lo
	}
	k.s.Group(attr("class", "alarm "+string(e.Class)))
	k.s.Title(fmt.Sprintf("%s, %s", e.Name, e.Source))
	end := k.x(stop)
	if !e.Pending.IsZero() {
		to := stop
		if !e.Firing.IsZero() {
			to = e.Firing.Lo
		}
		k.s.Rect(k.x(e.Pending.Lo), k.barTop()+8, max(1, k.x(to)-k.x(e.Pending.Lo)), 6, attr("class", "pending"))
	}
	if !e.Firing.IsZero() {
		from := k.x(e.Firing.Lo)
		class := "firing"
		if len(e.Held) > 0 {
			class = "firing held"
		}
		end = max(end, from+3)
		k.s.Roundrect(from, k.barTop()+4, end-from, 14, 3, 3, attr("class", class))
	}
	if !e.Paged.IsZero() {
		x, y := k.x(e.Paged.Lo), k.barTop()+11
		k.s.Polygon([]int{x - 5, x + 5, x}, []int{y - 6, y - 6, y + 4}, attr("class", "paged"))
	}
	k.s.Gend()
	return end
}

// mark is one thing that happened at an instant, for the lanes of people.
type mark struct {
	at          time.Time
	text, class string
}

type markRow struct {
	marks []mark
	end   float64 // where the row's last text ends
}

// marks puts what people did into as few rows as it takes for no text to cover another.
func (k *chart) marks() []markRow {
	var list []mark
	people := k.c.people
	for _, a := range k.tl.Responses {
		for _, e := range a.Events {
			m := mark{at: e.At.Lo.Add(e.At.Hi.Sub(e.At.Lo) / 2), class: string(e.Kind)}
			switch e.Kind {
			case responders.Notified:
				m.text = "paged" + levelWords(e.Level)
			case responders.Acknowledged:
				m.text = "acknowledged by " + people.actor(e.Actor)
				if e.Actor.Kind != responders.Human {
					m.class += " machine"
				}
			case responders.Escalated:
				m.text = fmt.Sprintf("escalated to level %d", e.Level)
			case responders.Marked:
				m.text = people.scrub(e.Text)
			case responders.Resolved:
				m.text = "resolved"
			case responders.Opened, responders.Unacknowledged, responders.Noted:
				continue
			default:
				m.text = people.deed(e.Event)
			}
			list = append(list, m)
		}
	}
	for _, m := range k.tl.Marks {
		list = append(list, mark{m.At, people.scrub(m.V.Name), "marked"})
	}
	for _, s := range k.c.Steered {
		list = append(list, mark{s.At, s.Brief(), "steered"})
	}
	for _, a := range k.tl.Aborts {
		list = append(list, mark{a.At, "abort: " + a.V.Name, "aborted"})
	}
	for _, s := range k.tl.Stops {
		list = append(list, mark{s.At, "stopped", "aborted"})
	}
	slices.SortStableFunc(list, func(a, b mark) int { return a.at.Compare(b.at) })
	var rows []markRow
	for _, m := range list {
		if m.at.Before(k.run.Start) || m.at.After(k.run.End) {
			continue
		}
		m.text = short(m.text, min(44, k.room(k.x(m.at)-4, k.x(m.at)+4)))
		x := float64(k.x(m.at))
		left, right := x-8, x+12+textWide(m.text)
		if right > float64(k.right()) {
			left, right = x-12-textWide(m.text), x+8
		}
		i := slices.IndexFunc(rows, func(r markRow) bool { return r.end < left })
		if i < 0 {
			if len(rows) == maxLanes {
				k.more++
				continue
			}
			rows, i = append(rows, markRow{}), len(rows)
		}
		rows[i].marks, rows[i].end = append(rows[i].marks, m), right
	}
	return rows
}

func (k *chart) markLanes() {
	if len(k.rows) == 0 {
		return
	}
	head := "people"
	if k.more > 0 {
		head += fmt.Sprintf(" (%d more in the list below)", k.more)
	}
	k.heading(head)
	for _, r := range k.rows {
		for _, m := range r.marks {
			x := k.x(m.at)
			k.s.Circle(x, k.y+markLane/2, 5, attr("class", "mark "+m.class))
			k.beside(x-4, x+4, k.y+15, m.text, "lane-text")
		}
		k.y += markLane
	}
}

func (k *chart) axis(bottom int) {
	k.s.Line(k.size.left, bottom, k.right(), bottom, attr("class", "axis"))
	step := timeTicks(k.run.Length(), k.size.ticks)
	if k.step > second && k.size.above {
		k.s.Text(k.right(), bottom+34, "each point of a line is "+span(k.step), attr("class", "tick end"))
	}
	for d := time.Duration(0); d <= k.run.Length(); d += step {
		x := k.x(k.run.Start.Add(d))
		k.s.Line(x, bottom, x, bottom+5, attr("class", "axis"))
		k.s.Text(x, bottom+19, elapsed(d), attr("class", "tick middle"))
	}
}

// attr writes an attribute whose value is one of the package's own constants, made safe all the same.
func attr(name, value string) string {
	safe := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '_' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, value)
	return name + `="` + safe + `"`
}
