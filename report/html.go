package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"gameday/clock"
)

//go:embed page.html.tmpl
var pageText string

//go:embed page.css
var pageStyle string

// page is the parsed template; its text is part of the program, so it cannot fail at run time.
var page = template.Must(template.New("page").Funcs(pageFuncs).Parse(pageText))

var pageFuncs = template.FuncMap{
	"verdict": verdictWords, "score": scoreWords, "share": share, "points": pointWords, "part": partWords,
	"note": tagWords, "outcome": outcomeWord,
	"span": span, "offset": offsetWords, "raw": rawWords, "capital": func(s string) string { return capital(s, true) },
	"worth": nearTenth, "percent": percent, "number": number,
	"join":  func(s []string) string { return strings.Join(s, ", ") },
	"class": func(c Class) string { return strings.ReplaceAll(string(c), "_", " ") },
	"mark": func(o clock.Outcome) string {
		return map[clock.Outcome]string{clock.Met: "✓", clock.Missed: "✗", clock.Unknown: "?"}[o]
	},
	"sign": func(v Verdict) string {
		return map[Verdict]string{Passed: "✓", Failed: "✗", Aborted: "■", Inconclusive: "?"}[v]
	},
	"megabytes": func(b uint64) string { return fmt.Sprintf("%d MB", b>>20) },
	"decimal":   func(f float64) string { return fmt.Sprintf("%.2f", f) },
	"style":     func() template.CSS { return template.CSS(pageStyle) },
	"width":     func(v float64) string { return fmt.Sprintf("%.2f", clamp(v/100)*100) },
	"limit":     func(e ExpectPlan) string { return limitOf(e) },
	"prose":     prose,
	"nonzero":   func(i clock.Interval) bool { return !i.IsZero() },
	"levelName": func(i int) string { return []string{"arrivals", "errors", "p50", "p95", "p99"}[i] },
	"plus":      func(a, b int) int { return a + b },
}

// view is what the page's template sees: the scorecard, and the parts that only the page draws.
type view struct {
	*Scorecard
	Charts []template.HTML
	Groups []clockGroup
	Plan   *Plan
	tl     *Timeline
	levels []*Levels
	number map[string]int // of each item, by its id
}

// HTML writes the scorecard as one page that needs nothing else: style and pictures are in it, nothing is fetched, and
// there is no script. It reads on a phone as on a desk, on paper, in the light and in the dark.
func HTML(w io.Writer, c *Scorecard) error {
	v := view{Scorecard: c, Plan: c.rec.Plan, tl: c.tl, Groups: c.clockGroups(), levels: c.Levels(), number: map[string]int{}}
	for i, it := range c.Items() {
		v.number[it.ID] = i + 1
	}
	for _, text := range drawCharts(c) {
		// The picture escapes whatever others wrote while it is drawn.
		v.Charts = append(v.Charts, template.HTML(text))
	}
	if err := writePage(w, page, v); err != nil {
		return fmt.Errorf("writing the report page: %w", err)
	}
	return nil
}

// writePage writes a page without the control characters that others may have written into it, which could turn its text
// around or confuse what reads it.
func writePage(w io.Writer, t *template.Template, data any) error {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return err
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = PlainText(lines[i])
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n"))
	return err
}

// Anchor returns the place in the page where all about an item is.
func (v view) Anchor(i *Item) string { return fmt.Sprintf("item-%d", v.number[i.ID]) }

// AnchorOf is Anchor for an item's id; empty for one that is not an item's.
func (v view) AnchorOf(id string) string {
	if n := v.number[id]; n > 0 {
		return fmt.Sprintf("item-%d", n)
	}
	return ""
}

// Titled returns the title of the item with an id.
func (v view) Titled(id string) string {
	for _, it := range v.Items() {
		if it.ID == id {
			return it.Title
		}
	}
	return id
}

// When returns when the run began, in the zone it was recorded in.
func (v view) When() string { return v.Started.In(v.tl.zone()).Format("2006-01-02 15:04 -07:00") }

// Long returns how long the run took.
func (v view) Long() string { return span(v.Length.Round(second)) }

// Around prints an instant of the record.
func (v view) Around(i clock.Interval) string { return v.tl.around(i) }

// moment is an instant as the clocks showed it, and as time since the run's start.
type moment struct{ Clock, When string }

// Moment puts an instant of the record into words; nil for none.
func (v view) Moment(i clock.Interval) *moment {
	if i.IsZero() {
		return nil
	}
	return &moment{v.tl.around(i), v.tl.since(i.Lo.Add(i.Hi.Sub(i.Lo) / 2))}
}

// At prints an instant of the plan.
func (v view) At(d time.Duration) string { return elapsed(d) }

// Tally returns how many of a part's items were met, missed and unknown, in words.
func (v view) Tally(p PartScore) string {
	n := map[clock.Outcome]int{}
	for _, it := range p.Items {
		n[it.Outcome]++
	}
	words := []string{fmt.Sprintf("%d of %d met", n[clock.Met], len(p.Items))}
	for _, o := range []clock.Outcome{clock.Missed, clock.Unknown} {
		if n[o] > 0 {
			words = append(words, fmt.Sprintf("%d %s", n[o], o))
		}
	}
	return strings.Join(words, ", ")
}

// Fill returns how full a part's bar is, in percent.
func (v view) Fill(points float64, p PartScore) string {
	if p.Points == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f", math.Min(100, 100*points/p.Points))
}

// Gap returns how much of a part's bar could still be earned, in percent.
func (v view) Gap(p PartScore) string {
	if p.Points == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f", math.Max(0, math.Min(100, 100*(p.High-p.Low)/p.Points)))
}

// Ref returns a pointer to an item of a part, which is what everything that prints items takes.
func (v view) Ref(i Item) *Item { return &i }

// Events returns the name of the file that the record's lines are in.
func (v view) Events() string { return EventsFile }

// tagWords are what noteWords are beside an outcome in words, which says itself that something was late.
func tagWords(i *Item) string {
	words := strings.Split(noteWords(i), ", ")
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == outcomeWord(i) }), ", ")
}

// rawWords names the lines of the record that something was read from.
func rawWords(lines []int) string { return rawLines(&Item{Evidence: []Evidence{{Lines: lines}}}) }

// prose returns a sentence with what stands between backquotes as code; everything else in it is escaped.
func prose(s string) template.HTML {
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 {
		return template.HTML(template.HTMLEscapeString(s))
	}
	var b strings.Builder
	for i, p := range parts {
		p = template.HTMLEscapeString(p)
		if i%2 == 1 {
			p = "<code>" + p + "</code>"
		}
		b.WriteString(p)
	}
	return template.HTML(b.String())
}
