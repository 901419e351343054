package export

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
	"gameday/report"
)

// Annotation is one of Grafana's: a point in time, or a region.
type Annotation struct {
	Key  string // the same for the same thing in the same run, also when it was judged anew
	At   time.Time
	End  time.Time // of a region; zero of a point
	Text string    // HTML is escaped, for Grafana shows it as such
	Tags []string  // the first is "gameday", the second names the run, the last is the key
}

// The tags by which annotations are found again, and those that tell what they are about.
const (
	tagAll, tagRun, tagKey       = "gameday", "gameday-run:", "gameday-key:"
	tagScenario, tagWhat, longTo = "scenario:", "gameday-", 80
)

// mostAnnotations bounds how many a run has: a picture with more says nothing.
const mostAnnotations = 1000

// Annotations returns what a run shows on dashboards: a region for the run, one for each fault from its onset to its end,
// one for each stretch outside the objectives or in which somebody held the timeline, and points where it was skipped or injected into by hand, alarms fired, pages left, somebody acknowledged, and for
// the verdict. left is how many there were no room for.
func Annotations(c *report.Scorecard) (list []Annotation, left int) {
	b := annotating{c: c, seen: map[string]int{}}
	words := c.VerdictWords() + ", " + c.ScoreWords()
	if c.Plan().Search != nil {
		words = "a search for the capacity"
	}
	b.add("run", "", clock.At(c.Started), clock.At(c.Ended()), "game day "+c.Scenario+" ("+c.Run+"): "+words)
	for _, m := range c.Moments() {
		switch m.Kind {
		case report.MomentFault:
			end := m.Until
			if end.IsZero() { // it stood when the record ends
				end = clock.At(c.Ended())
			}
			b.add("fault", m.Of, m.At, end, m.Text)
		case report.MomentOutside:
			b.add("outside", m.Of, m.At, m.Until, m.Text)
		case report.MomentSteered:
			b.add("steered", m.Of, m.At, m.Until, m.Text)
		case report.MomentFired, report.MomentPaged, report.MomentAck, report.MomentAborted:
			b.add(string(m.Kind), m.Of, m.At, clock.Interval{}, m.Text)
		}
	}
	if c.Plan().Search == nil {
		text := words
		if len(c.Why) > 0 {
			text += ": " + c.Why[0]
		}
		b.add("verdict", "", clock.At(c.Ended()), clock.Interval{}, text)
	}
	if len(b.out) > mostAnnotations { // the run stays, and the verdict, which is the last
		left = len(b.out) - mostAnnotations
		b.out = slices.Delete(b.out, mostAnnotations-1, len(b.out)-1)
	}
	return b.out, left
}

type annotating struct {
	c    *report.Scorecard
	out  []Annotation
	seen map[string]int // how many there are of a sort, by what and of what
}

func (b *annotating) add(what, of string, at, end clock.Interval, text string) {
	b.seen[what+"\x00"+of]++
	key := keyOf(b.c.Run, what, of, strconv.Itoa(b.seen[what+"\x00"+of]))
	a := Annotation{Key: key, At: middle(at), Text: escapeHTML(text),
		Tags: []string{tagAll, runTag(b.c.Run), tag(tagScenario, b.c.Scenario), tagWhat + what}}
	if d := at.Hi.Sub(at.Lo) / 2; d >= 50*time.Millisecond {
		a.Text += fmt.Sprintf(" (± %.1f s)", d.Seconds())
	}
	if !end.IsZero() {
		a.End = middle(end)
	}
	a.Tags = append(a.Tags, tagKey+key)
	b.out = append(b.out, a)
}

func middle(i clock.Interval) time.Time { return i.Lo.Add(i.Hi.Sub(i.Lo) / 2) }

func keyOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// runTag names a run. A name that was cut has its hash, so that no two runs share a tag.
func runTag(run string) string {
	if t := tag(tagRun, run); t == tagRun+run {
		return t
	}
	return tag(tagRun, run[:min(len(run), longTo/2)]+"-"+keyOf(run))
}

// tag cuts a tag to what Grafana keeps: a hundred bytes of it, and five hundred of all tags of an annotation.
func tag(prefix, value string) string {
	value = clean(value)
	if len(value) > longTo {
		value = strings.ToValidUTF8(value[:longTo], "")
	}
	return strings.TrimSpace(prefix + value)
}

// escapeHTML makes a text harmless where Grafana shows it as HTML.
func escapeHTML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(report.PlainText(s))
}
