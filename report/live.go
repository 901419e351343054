package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	svg "github.com/ajstarks/svgo"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
)

// PageStyle returns the style of the report's page, which pages beside it share.
func PageStyle() string { return pageStyle }

// LiveStretch is how much of a run its live picture shows.
const LiveStretch = 5 * time.Minute

// lateFor is how long a second is kept open for windows that come late, as those of other machines may.
const lateFor = 60

// Strip is the last minutes of a run's traffic, a point a second over all of its streams. The zero value is empty and ready. It
// is not safe for concurrent use.
type Strip struct {
	points map[int64]point // by second since 1970
	open   map[int64][]loadgen.Window
	newest int64
}

// Add takes one window of one stream.
func (s *Strip) Add(w loadgen.Window) {
	at := w.Start.Unix()
	if s.points == nil {
		s.points, s.open = map[int64]point{}, map[int64][]loadgen.Window{}
	}
	if at <= s.newest-lateFor {
		return // the second was drawn without it long ago
	}
	w.OK.Service, w.Failed.Service = nil, nil
	s.open[at] = append(s.open[at], w)
	var sum sli.Aggregate
	s.points[at] = sumUp(&sum, s.open[at], time.Unix(at, 0))
	if at > s.newest {
		s.newest = at
		maps.DeleteFunc(s.open, func(t int64, _ []loadgen.Window) bool { return t <= at-lateFor })
		maps.DeleteFunc(s.points, func(t int64, _ point) bool { return t <= at-int64(LiveStretch/second) })
	}
}

// until returns the newest second that is drawn. Streams end their seconds at different times: until as many have told of one as of
// the second before it, it is not whole, and would look as if traffic fell.
func (s *Strip) until() int64 {
	if len(s.open[s.newest]) < len(s.open[s.newest-1]) {
		return s.newest - 1
	}
	return s.newest
}

// Last returns the newest second that all streams have told of, and what its traffic was: NaN is what nothing is known of. ok is false
// while there is none.
func (s *Strip) Last() (l LivePoint, ok bool) {
	at := s.until()
	p, ok := s.points[at]
	return LivePoint{At: time.Unix(at, 0), Due: p.due, Started: p.started, Errors: p.errors, P50: p.p50, P95: p.p95}, ok
}

// LivePoint is one second of all streams: arrivals a second, the share that failed, response times in seconds.
type LivePoint struct {
	At                             time.Time
	Due, Started, Errors, P50, P95 float64
}

// Words returns the point in words, with "unknown" for what is not known.
func (p LivePoint) Words() string {
	known := func(v float64, words func(float64) string) string {
		if math.IsNaN(v) {
			return "unknown"
		}
		return words(v)
	}
	ms := func(v float64) string { return brief("p95", v) }
	return fmt.Sprintf("%s of %s arrivals a second, failed requests %s, p50 %s, p95 %s", number(math.Round(p.Started)), number(math.Round(p.Due)),
		known(p.Errors, percent), known(p.P50, ms), known(p.P95, ms))
}

// Live is what one picture of a run that goes on is drawn from. Only what is in it can be in the picture.
type Live struct {
	Start time.Time     // of the run
	Now   time.Duration // since then
	Strip *Strip
	// Phases are drawn behind the traffic, Faults over it; and Limits are the steady state's. None of them is needed.
	Phases []PhaseSpan
	Faults []*FaultLife
	Limits []ExpectPlan
}

// LiveSizes are the sizes in which a picture is drawn, as classes of the page's style.
func LiveSizes() []string {
	var out []string
	for _, s := range chartSizes {
		out = append(out, s.class)
	}
	return out
}

// Draw returns the picture in one of the sizes as an svg element: rate, errors and latency, as the report draws them. It is empty
// for a size that there is not.
func (l Live) Draw(class string) string {
	i := slices.IndexFunc(chartSizes, func(s chartSize) bool { return s.class == class })
	if i < 0 {
		return ""
	}
	from := max(0, l.Now-LiveStretch).Truncate(second)
	k := &chart{size: chartSizes[i], step: second, c: &Scorecard{rec: &Record{Plan: &Plan{Expects: l.Limits}}},
		run: clock.Span{Start: l.Start.Add(from), End: l.Start.Add(from + LiveStretch)}}
	k.tl = &Timeline{Start: l.Start, End: l.Start.Add(l.Now), Faults: l.Faults}
	for _, p := range l.Phases {
		if p.End.After(k.run.Start) {
			p.Start = laterOf(p.Start, k.run.Start)
			k.tl.Phases = append(k.tl.Phases, p)
		} else {
			k.passed++
		}
	}
	k.points = l.points(k.run)
	k.s = svg.New(&k.out)
	height := 30 + 3*panelGap + panelHeights + 44
	bottom := height - 34
	k.s.Startview(k.size.width, height, 0, 0, k.size.width, height)
	k.s.Title("The last minutes of traffic")
	if last, ok := l.Strip.Last(); ok {
		k.s.Desc(last.Words())
	}
	k.phases(bottom)
	k.bandsUntil(bottom, l.Start.Add(l.Now))
	k.panels()
	k.liveAxis(bottom, from)
	k.s.End()
	text := k.out.String()
	if i := strings.Index(text, "<svg"); i >= 0 {
		text = text[i:]
	}
	return strings.Replace(text, fmt.Sprintf(`width="%d" height="%d"`, k.size.width, height), fmt.Sprintf(`role="img" class="chart %s"`, k.size.class), 1)
}

// points returns the strip's seconds within a span. Seconds without a window are empty, so that lines break there.
func (l Live) points(run clock.Span) []point {
	var out []point
	for at := run.Start.Unix(); at <= l.Strip.until(); at++ {
		p, ok := l.Strip.points[at]
		if !ok {
			p = point{empty: true, errors: math.NaN(), p50: math.NaN(), p95: math.NaN()}
		}
		if p.at = time.Unix(at, 0).Sub(run.Start); p.at >= 0 {
			out = append(out, p)
		}
	}
	return out
}

// bandsUntil shades the time of each fault: of one that stands, until now.
func (k *chart) bandsUntil(bottom int, now time.Time) {
	for _, in := range k.injections() {
		from, to := in.Onset.Lo, now
		if over := in.over(); !over.IsZero() {
			to = over.Hi
		}
		if to.After(k.run.Start) {
			k.s.Rect(k.x(from), 24, max(2, k.x(to)-k.x(from)), bottom-24, attr("class", "fault-band"))
		}
	}
}

// liveAxis is axis for a stretch that begins later than the run.
func (k *chart) liveAxis(bottom int, from time.Duration) {
	k.s.Line(k.size.left, bottom, k.right(), bottom, attr("class", "axis"))
	step := timeTicks(k.run.Length(), k.size.ticks)
	for d := (from + step - 1).Truncate(step); d <= from+k.run.Length(); d += step {
		x := k.x(k.run.Start.Add(d - from))
		k.s.Line(x, bottom, x, bottom+5, attr("class", "axis"))
		k.s.Text(x, bottom+19, elapsed(d), attr("class", "tick middle"))
	}
}
