package trends

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"gameday/report"
)

//go:embed page.html.tmpl
var pageText string

//go:embed page.css
var extraStyle string

// page is the parsed template; its text is part of the program, so it cannot fail at run time.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":   func() template.CSS { return template.CSS(report.Style()) },
	"extra":   func() template.CSS { return template.CSS(extraStyle) },
	"words":   func(v *Value) string { return v.words() },
	"of":      func(s Series) string { return s.ofWords() },
	"way":     func(s Series) string { return s.wayWords() },
	"verb":    func(s Series) string { return s.Kind.verb() },
	"since":   func(s Scenario) string { return s.sinceWords() },
	"date":    func(r *Run) string { return r.dateWords() },
	"verdict": func(r *Run) string { return r.verdictWords() },
	"last":    func(a Alarm) string { return a.lastWords() },
	"plot":    plot,
}).Parse(pageText))

// HTML writes the trends as one page that needs nothing else, in the look of the report.
func HTML(w io.Writer, t *Trends) error {
	if err := page.Execute(w, shownOf(t)); err != nil {
		return fmt.Errorf("writing the page of trends: %w", err)
	}
	return nil
}

// Sections returns the tables of that page for another one, which has Style behind that of the report.
func Sections(t *Trends) (template.HTML, error) {
	var b strings.Builder
	if err := page.ExecuteTemplate(&b, "sections", shownOf(t)); err != nil {
		return "", fmt.Errorf("writing the tables of trends: %w", err)
	}
	return template.HTML(b.String()), nil
}

// Style returns the style of the tables, beside that of the report.
func Style() string { return extraStyle }

// shown is what the page's template sees.
type shown struct {
	*Trends
	Exercised string
	Groups    []group
}

func shownOf(t *Trends) shown { return shown{t, t.exercisedWords(), groups(t.Series)} }

// group is all series of one scenario.
type group struct {
	Scenario string
	Series   []Series
}

func groups(all []Series) []group {
	var out []group
	for _, s := range all {
		if n := len(out); n == 0 || out[n-1].Scenario != s.Scenario {
			out = append(out, group{Scenario: s.Scenario})
		}
		out[len(out)-1].Series = append(out[len(out)-1].Series, s)
	}
	return out
}

// The measures of a small picture of a series, in units of its view box.
const (
	plotWidth, plotHeight = 240, 44
	plotMost              = 40 // runs, the newest
)

// bar is one run in a picture: an interval, or a sign that there is none.
type bar struct {
	X, Y, Height float64
	Never        bool
	Unknown      bool
	Title        string
}

// plotted is what the template draws of a series.
type plotted struct {
	Width, Height int
	Bars          []bar
	Label         string
}

// plot lays out a series' newest runs from left to right, the time from the bottom up.
func plot(s Series) plotted {
	points := s.Points[max(0, len(s.Points)-plotMost):]
	most := 0.0
	for _, p := range points {
		if p.Value != nil && p.Value.High != nil {
			most = math.Max(most, *p.Value.High)
		}
	}
	out := plotted{Width: plotWidth, Height: plotHeight, Label: fmt.Sprintf("%s %s over the last %d runs; the table has its figures",
		s.Of, s.Kind.verb(), len(points))}
	const top, bottom = 10.0, plotHeight - 4.0
	step := math.Min(12, float64(plotWidth-12)/float64(max(1, len(points))))
	for i, p := range points {
		b := bar{X: round(6 + step*float64(i)), Title: p.Started.Format("2006-01-02") + ": "}
		switch {
		case p.Value == nil:
			b.Unknown, b.Y = true, bottom
			b.Title += "unknown"
		case p.Value.High == nil:
			b.Never, b.Y = true, 6
			b.Title += "never"
		default:
			y := func(v float64) float64 { return bottom - (bottom-top)*v/math.Max(most, 1e-9) }
			b.Y = round(math.Min(y(*p.Value.High), bottom-2))
			b.Height = round(math.Max(3, y(*p.Value.Low)-y(*p.Value.High)))
			b.Title += p.Value.words()
		}
		out.Bars = append(out.Bars, b)
	}
	return out
}

func round(v float64) float64 { return math.Round(v*10) / 10 }
