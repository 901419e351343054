package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	svg "github.com/ajstarks/svgo"

	"gameday/loadgen"
)

//go:embed capacity.html.tmpl
var curvePageText string

var curvePage = template.Must(template.New("capacity").Funcs(pageFuncs).Funcs(template.FuncMap{
	"millis": millis, "rate": func(v float64) string { return number(round3(v)) }, "knee": kneeWords,
	"byRate": byRate, "broken": brokenBy,
	"mark": func(p CurvePoint) string { return outcomeMark(p, false) },
}).Parse(curvePageText))

// CurveHTML writes a search's answer as a page of one file: the capacity, the picture of the curve, and the table behind it. It
// needs no network.
func CurveHTML(w io.Writer, c *Curve) error {
	err := writePage(w, curvePage, struct {
		*Curve
		Chart template.HTML
	}{c, template.HTML(drawCurve(c))}) // made by svgo, which escapes texts
	if err != nil {
		return fmt.Errorf("writing the page of the curve: %w", err)
	}
	return nil
}

// The picture's measures, in units of its own view box.
const (
	curveWidth  = 900
	curveHeight = 420
	curveLeft   = 80
	curveRight  = curveWidth - 24
	curveTop    = 30
	curveBottom = curveHeight - 56
)

// curveAxes turn rates and response times into places: rates in proportion, times by their logarithms.
type curveAxes struct{ most, low, high float64 }

func (a curveAxes) x(rate float64) int {
	return curveLeft + int(math.Round(rate/a.most*float64(curveRight-curveLeft)))
}

func (a curveAxes) y(seconds float64) int {
	at := math.Log(max(seconds, a.low)/a.low) / math.Log(a.high/a.low)
	return curveBottom - int(math.Round(at*float64(curveBottom-curveTop)))
}

// drawCurve returns the picture of the curve as one svg element, or "" when there is nothing to draw.
func drawCurve(c *Curve) string {
	points := byRate(c.Points)
	a := curveAxes{low: math.Inf(1)}
	for _, p := range points {
		if p.P50 > 0 {
			a.low, a.high, a.most = min(a.low, p.P50), max(a.high, p.P99), max(a.most, p.Rate)
		}
	}
	if a.most == 0 || a.high <= 0 {
		return ""
	}
	a.low, a.high = math.Pow(10, math.Floor(math.Log10(a.low))), math.Pow(10, math.Ceil(math.Log10(a.high*1.0001)))
	a.most *= 1.04
	var out bytes.Buffer
	s := svg.New(&out)
	s.Startview(curveWidth, curveHeight, 0, 0, curveWidth, curveHeight)
	s.Title("Response times over the rate")
	s.Desc(fmt.Sprintf("Capacity %s. p50, p95 and p99 of the response time at %d rates up to %s arrivals per "+
		"second, on a logarithmic scale.", c.Headline(), len(points),
		number(round3(a.most))))
	drawGrid(s, a)
	if c.Found.Rate > 0 {
		x := a.x(c.Found.Rate)
		s.Line(x, curveTop, x, curveBottom, `class="line main"`)
		s.Text(x-6, curveTop-8, "capacity", `class="panel-name end"`)
	}
	if k := c.Knee; k != nil {
		x := a.x(k.Rate)
		s.Line(x, curveTop, x, curveBottom, `class="limit"`)
		s.Text(x+6, curveBottom-8, "knee", `class="limit-text"`)
	}
	for i, line := range []struct {
		name, class string
		of          func(CurvePoint) float64
	}{{"p50", "second", func(p CurvePoint) float64 { return p.P50 }}, {"p95", "main",
		func(p CurvePoint) float64 { return p.P95 }},
		{"p99", "bad", func(p CurvePoint) float64 { return p.P99 }}} {
		drawLine(s, a, points, line.class, line.of)
		x := curveLeft + 10 + 60*i
		s.Line(x, curveTop-12, x+20, curveTop-12, fmt.Sprintf(`class="line %s"`, line.class))
		s.Text(x+25, curveTop-8, line.name)
	}
	s.End()
	text := out.String()
	return strings.Replace(text[strings.Index(text, "<svg"):], "<svg ", `<svg class="chart" role="img" `, 1)
}

func drawGrid(s *svg.SVG, a curveAxes) {
	for v := a.low; v <= a.high*1.0001; v *= 10 {
		y := a.y(v)
		s.Line(curveLeft, y, curveRight, y, `class="grid"`)
		s.Text(curveLeft-8, y+4, millis(v), `class="lane-name"`)
	}
	step := niceStep(a.most / 6)
	for v := 0.0; v <= a.most; v += step {
		x := a.x(v)
		s.Line(x, curveBottom, x, curveBottom+5, `class="axis"`)
		s.Text(x, curveBottom+20, number(v), `class="middle"`)
	}
	s.Line(curveLeft, curveBottom, curveRight, curveBottom, `class="axis"`)
	s.Text((curveLeft+curveRight)/2, curveHeight-10, "arrivals per second", `class="middle"`)
}

// niceStep returns 1, 2 or 5 times a power of ten, not below v.
func niceStep(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*base >= v {
			return m * base
		}
	}
	return 10 * base
}

func drawLine(s *svg.SVG, a curveAxes, points []CurvePoint, class string, of func(CurvePoint) float64) {
	var xs, ys []int
	for _, p := range points {
		if of(p) <= 0 {
			continue
		}
		x, y := a.x(p.Rate), a.y(of(p))
		xs, ys = append(xs, x), append(ys, y)
		dot := "held"
		if p.Outcome != loadgen.Held {
			dot = "broke"
		}
		s.Circle(x, y, 3, fmt.Sprintf(`class="%s"`, dot))
	}
	if len(xs) == 0 {
		return
	}
	s.Polyline(xs, ys, fmt.Sprintf(`class="line %s"`, class))
}
