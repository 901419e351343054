package report

import (
	"strings"
	"time"

	"gameday/clock"
)

// Timed returns how long the item took, when that is known; ok is false otherwise. An item that is unknown although it
// is far from its limit may have had a predecessor that went unseen, so what was measured of it is not what it took.
func (i *Item) Timed() (l clock.Latency, ok bool) {
	if i.Latency == nil || i.Outcome == clock.Unknown && !(i.Within > 0 && i.Latency.Within(i.Within) == clock.Unknown) {
		return clock.Latency{}, false
	}
	return clock.Latency{Lo: max(0, i.Latency.Lo), Hi: max(0, i.Latency.Hi)}, true
}

// When prints an instant of the run as a time of day in the zone that it was recorded in: "14:04:05.2 ± 0.6".
func (c *Scorecard) When(i clock.Interval) string { return c.tl.around(i) }

// Since prints an instant as time since the run's start: "1:42", or "-0:03" of one before it.
func (c *Scorecard) Since(t time.Time) string { return c.tl.since(t) }

// Zone returns the zone that the run was recorded in, without its name.
func (c *Scorecard) Zone() *time.Location { return c.tl.zone() }

// ScoreWords prints the score: "64–71 of 100".
func (c *Scorecard) ScoreWords() string { return scoreWords(c) }

// VerdictWords prints the verdict in capitals, with RESIDUE where a fault was left standing.
func (c *Scorecard) VerdictWords() string { return verdictWords(c) }

// Percent prints a ratio in percent, and never rounds a small part to nothing.
func Percent(v float64) string { return percent(v) }

// Share prints a share in whole percent, cut off so that only everything is 100 %.
func Share(v float64) string { return share(v) }

// Length prints a length of time: "30s", "4m40s".
func Length(d time.Duration) string { return span(d) }

// LatencyWords prints a latency: "9.2 s ± 1.0".
func LatencyWords(l clock.Latency) string { return latency(l) }

// PointWords prints the points of an item: "5/10", or "?/10" of one that is unknown.
func (i *Item) PointWords() string { return pointWords(i) }

// Markdown makes a text that others wrote harmless in Markdown and in the HTML that it becomes, on one line: no markup, no
// cell of a table, no link, also none that is made of a bare address.
func Markdown(s string) string {
	var b strings.Builder
	text := strings.Join(strings.Fields(PlainText(s)), " ")
	for i, r := range text {
		switch r {
		case '\\', '`', '*', '_', '{', '}', '[', ']', '<', '>', '#', '|', '~', '@', '!', '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '&':
			b.WriteString("&amp;")
		case ':':
			if strings.HasPrefix(text[i:], "://") {
				b.WriteByte('\\')
			}
			b.WriteByte(':')
		case '.':
			if i >= 3 && strings.EqualFold(text[i-3:i], "www") {
				b.WriteByte('\\')
			}
			b.WriteByte('.')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
