// Package badge draws a small picture of how a scenario last ended, and how long ago that was. It is pure: the clock and the runs are given.
//
// A badge is never green for lack of data: where there is no run that has ended, or none for too long, it says that nobody knows.
package badge

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"gameday/report"
	"gameday/report/history"
)

// DefaultLimit is how long ago a run may have begun to be told of, where nobody says otherwise.
const DefaultLimit = 30 * 24 * time.Hour

// longestName is how much of a scenario's name is drawn, in characters.
const longestName = 40

// Badge is what is drawn.
type Badge struct {
	Scenario string
	Text     string // "passed 3 days ago"
	Title    string // the same in a sentence, with why it is unknown
	Tone     Tone
}

// Tone is what a badge says at a glance.
type Tone string

// The tones.
const (
	Good   Tone = "good"
	Bad    Tone = "bad"
	Unsure Tone = "unsure" // inconclusive
	Ended  Tone = "ended"  // aborted
	Dark   Tone = "dark"   // nobody knows
)

// fills are the colours of the tones, each with at least 4.5 to 1 below white.
var fills = map[Tone]string{Good: "#176e41", Bad: "#b3262b", Unsure: "#8a5000", Ended: "#71389b", Dark: "#5f6873"}

// Of makes the badge of a scenario. Of all runs, in any order, the one counts that began last and has ended: one that goes on, or was
// killed, changes nothing. Neither does a search for the capacity, which has no verdict. What began longer ago than the limit is not
// told; 0 is DefaultLimit.
func Of(scenario string, runs []history.Entry, limit time.Duration, now time.Time) Badge {
	if limit <= 0 {
		limit = DefaultLimit
	}
	b := Badge{Scenario: report.CleanText(strings.ReplaceAll(scenario, "\n", " ")), Text: "unknown", Tone: Dark}
	var last *history.Entry
	for i := range runs {
		e := &runs[i]
		if e.Scenario != scenario || e.Search || e.End == report.EndInterrupted || e.End == "" || e.Started.After(now) {
			continue
		}
		if last == nil || e.Started.After(last.Started) {
			last = e
		}
	}
	switch {
	case last == nil:
		b.Title = b.Scenario + ": unknown, for there is no run of it that has ended"
		return b
	case now.Sub(last.Started) > limit:
		b.Title = fmt.Sprintf("%s: unknown, for it was last run %s, and what is older than %s is not told", b.Scenario, Ago(now.Sub(last.Started)), days(limit))
		return b
	}
	word, tone := last.Verdict.String(), tones[last.Verdict]
	if last.Residue {
		word, tone = word+", residue", Bad
	}
	if tone == "" {
		tone = Dark
	}
	b.Text, b.Tone = word+" "+Ago(now.Sub(last.Started)), tone
	b.Title = b.Scenario + ": " + b.Text
	return b
}

var tones = map[report.Verdict]Tone{report.Passed: Good, report.Failed: Bad, report.Inconclusive: Unsure, report.Aborted: Ended}

// Ago says how long ago something was: "within the hour", "5 h ago", "3 days ago".
func Ago(d time.Duration) string {
	switch {
	case d < 0:
		return "still to come"
	case d < time.Hour:
		return "within the hour"
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return days(d) + " ago"
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return report.Length(d.Truncate(time.Minute))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// drawn is what the template sees: a name and a text in two fields, with their measures in pixels.
type drawn struct {
	Badge
	Name                         string
	Fill                         string
	Left, Right, Width           int
	RightAt                      string
	LeftLength, RightLength, All int
}

// svg draws two fields side by side. Texts are stretched to their measure, so that it looks the same in every typeface. It has no style
// and no script, and asks for nothing.
var svg = template.Must(template.New("badge").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="20" viewBox="0 0 {{.Width}} 20" role="img" aria-label="{{.Title}}">
<title>{{.Title}}</title>
<rect width="{{.Width}}" height="20" rx="4" fill="#2b333d"/>
<path d="M{{.Left}} 0h{{.All}}a4 4 0 0 1 4 4v12a4 4 0 0 1 -4 4h-{{.All}}z" fill="{{.Fill}}"/>
<g fill="#ffffff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">
<text x="8" y="14" textLength="{{.LeftLength}}" lengthAdjust="spacingAndGlyphs">{{.Name}}</text>
<text x="{{.RightAt}}" y="14" textLength="{{.RightLength}}" lengthAdjust="spacingAndGlyphs">{{.Text}}</text>
</g>
</svg>
`))

// SVG writes the badge as a picture of its own.
func SVG(w io.Writer, b Badge) error {
	d := drawn{Badge: b, Name: cut(b.Scenario), Fill: fills[b.Tone]}
	if d.Fill == "" {
		d.Fill = fills[Dark]
	}
	d.LeftLength, d.RightLength = wide(d.Name), wide(d.Text)
	d.Left, d.Right = d.LeftLength+16, d.RightLength+16
	d.Width, d.All, d.RightAt = d.Left+d.Right, d.Right-4, fmt.Sprint(d.Left+8)
	if err := svg.Execute(w, d); err != nil {
		return fmt.Errorf("drawing the badge of %s: %w", b.Scenario, err)
	}
	return nil
}

// cut shortens a name to what a badge has room for.
func cut(name string) string {
	if utf8.RuneCountInString(name) <= longestName {
		return name
	}
	return string([]rune(name)[:longestName-1]) + "…"
}

// wide returns about how wide a text is in 11 pixels of Verdana.
func wide(text string) int {
	w := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune("iljft.,:;'|!()[] ", r):
			w += 4.3
		case strings.ContainsRune("mwMW@%", r):
			w += 10.5
		case r >= 'A' && r <= 'Z':
			w += 7.8
		case r > 0x2e80: // of the scripts whose letters are square
			w += 11.5
		default:
			w += 6.8
		}
	}
	return int(math.Ceil(w))
}
