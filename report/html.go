package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
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
	"note": noteWords,
	"span": span, "offset": offsetWords, "raw": rawLines, "capital": func(s string) string { return capital(s, true) },
	"worth": nearTenth, "percent": percent, "number": number, "join": func(s []string) string {
		return strings.Join(s,
			", ")
	},
	"class": func(c Class) string { return strings.ReplaceAll(string(c), "_", " ") },
	"mark": func(o clock.Outcome) string {
		return map[clock.Outcome]string{clock.Met: "✓", clock.Missed: "✗", clock.Unknown: "?"}[o]
	},
	"megabytes": func(b uint64) string { return fmt.Sprintf("%d MB", b>>20) },
	"decimal":   func(f float64) string { return fmt.Sprintf("%.2f", f) },
	"style":     func() template.CSS { return template.CSS(pageStyle) },
	"width":     func(v float64) string { return fmt.Sprintf("%.2f", clamp(v/100)*100) },
	"limit":     func(e ExpectPlan) string { return limitOf(e) },
	"prose":     prose,
	"nonzero":   func(i clock.Interval) bool { return !i.IsZero() },
}

// view is what the page's template sees: the scorecard, and the parts that only the page draws.
type view struct {
	*Scorecard
	Chart template.HTML
	Plan  *Plan
	tl    *Timeline
}

// HTML writes the scorecard as one page that needs nothing else: style and picture are in it, nothing is fetched, and
// there is no script. It reads on a phone as on a desk, in the light and in the dark.
func HTML(w io.Writer, c *Scorecard) error {
	v := view{Scorecard: c, Plan: c.rec.Plan, tl: c.tl}
	// The picture escapes whatever others wrote while it is drawn.
	v.Chart = template.HTML(drawChart(c))
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("writing the report page: %w", err)
	}
	return nil
}

// When returns when the run began, in the zone it was recorded in.
func (v view) When() string { return v.Started.In(v.tl.zone()).Format("2006-01-02 15:04 -07:00") }

// Long returns how long the run took.
func (v view) Long() string { return span(v.Length.Round(second)) }

// Around prints an instant of the record.
func (v view) Around(i clock.Interval) string { return v.tl.around(i) }

// At prints an instant of the plan.
func (v view) At(d time.Duration) string { return elapsed(d) }

// Unknown returns the width, in percent, of what is neither earned nor lost.
func (v view) Unknown() string { return fmt.Sprintf("%.2f", max(0, v.High-v.Low)) }

// Met returns how many of a part's items were met, in words.
func (v view) Met(p PartScore) string {
	met := 0
	for _, it := range p.Items {
		if it.Outcome == clock.Met {
			met++
		}
	}
	return fmt.Sprintf("%d of %d met", met, len(p.Items))
}

// Fill returns how full a part's bar is, in percent.
func (v view) Fill(points float64, p PartScore) string {
	if p.Points == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f", math.Min(100, 100*points/p.Points))
}

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
