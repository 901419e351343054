// Package postmortem drafts the post-mortem of a game day in Markdown, from its scorecard alone: what happened, what was
// expected, what it cost, and what to do. What only people know is asked for and left open; nothing is made up.
package postmortem

import (
	"fmt"
	"io"
	"strings"
	"time"

	"gameday/clock"
	"gameday/report"
)

// mostMoments bounds the timeline. A table with more is read by nobody, and the record has them all.
const mostMoments = 300

// Write writes the draft. The same scorecard gives the same draft, byte for byte. Everything that a scenario's author, a
// source or a responder wrote is escaped, and people have their pseudonyms unless the plan keeps names.
func Write(w io.Writer, c *report.Scorecard) error {
	d := draft{c: c}
	d.head()
	d.impact()
	d.timeline()
	d.items()
	d.outcomes()
	d.actions()
	d.questions()
	_, err := io.WriteString(w, d.b.String())
	return err
}

type draft struct {
	c *report.Scorecard
	b strings.Builder
}

var esc = report.Markdown

func (d *draft) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

// stopped ends a text with a full stop. It begins as it is, for its first word may be a name.
func stopped(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

func (d *draft) head() {
	c := d.c
	began := c.Started.In(c.Zone())
	d.printf("# Post-mortem: %s, %s\n\n", esc(c.Scenario), began.Format("2006-01-02"))
	d.printf("*A draft, written from the record of a game day and nothing else. What it leaves open is for the people who were there.*\n\n")
	d.printf("| | |\n|---|---|\n")
	row := func(name, text string) {
		if text != "" {
			d.printf("| %s | %s |\n", name, text)
		}
	}
	row("Date", fmt.Sprintf("%s, %s", began.Format("2006-01-02 15:04 -07:00"), report.Length(c.Length.Round(time.Second))))
	row("Scenario", esc(c.Scenario)+" ("+esc(c.File)+")")
	row("Asked", esc(c.Summary))
	row("Team", esc(c.Owner))
	row("Run", esc(c.Run)+", gameday "+esc(c.Version))
	row("Verdict", fmt.Sprintf("**%s**, %s, coverage %s", c.VerdictWords(), c.ScoreWords(), report.Share(c.Coverage)))
	d.printf("\n")
	for _, why := range c.Why {
		d.printf("- %s\n", stopped(esc(why)))
	}
	d.printf("- Safety: %s.\n\n", esc(c.Safety.Text))
}

// impact says in figures what users had of it.
func (d *draft) impact() {
	d.printf("## Impact\n\n")
	for _, v := range d.c.Volumes() {
		what := "requests"
		if v.Iterations {
			what = "iterations (it made no request that is counted)"
		}
		switch {
		case v.Why != "":
			d.printf("- %s: unknown. %s\n", esc(v.Stream), stopped(esc(v.Why)))
		case v.Requests == 0:
			d.printf("- %s: no %s.\n", esc(v.Stream), what)
		default:
			d.printf("- %s: %d of %d %s failed (%s)%s.\n", esc(v.Stream), v.Failed, v.Requests, what,
				report.Percent(float64(v.Failed)/float64(v.Requests)), recordedWords(v.Recorded))
		}
	}
	d.printf("- %s\n", d.outside())
	d.levels()
}

func recordedWords(share float64) string {
	if share >= 1 {
		return ""
	}
	return fmt.Sprintf("; only %s of the run's traffic is in the record", report.Percent(share))
}

// outside says for how long users were outside the objectives.
func (d *draft) outside() string {
	o := d.c.Outside()
	switch {
	case len(o.Objectives) == 0:
		return "Outside the objectives: unknown, for the scenario has no steady state."
	case o.Of == 0:
		return "Outside the objectives: unknown, for no phase was reached."
	}
	var names []string
	var longest time.Duration
	for _, e := range o.Objectives {
		names = append(names, esc(e.Name))
		longest = max(longest, e.Over)
	}
	text := fmt.Sprintf("Outside the objectives (%s) for %s of %s", strings.Join(names, ", "), report.Length(round(o.Total)),
		report.Length(round(o.Of)))
	if len(o.Spans) > 0 {
		text += fmt.Sprintf(", each second judged over the %s before it", report.Length(longest))
	}
	if o.Unknown >= time.Second {
		text += fmt.Sprintf("; for %s it cannot be told", report.Length(round(o.Unknown)))
	}
	return text + "."
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// levels writes the service levels by stretch of the run.
func (d *draft) levels() {
	levels := d.c.Levels()
	if len(levels) == 0 {
		d.printf("\n")
		return
	}
	d.printf("\n| over | for | failed | p95 |\n|---|---:|---:|---:|\n")
	var notes []string
	for _, l := range levels {
		name := esc(l.Name)
		switch {
		case l.Fault:
			name = "while " + name + " stood"
		case l.Name == string(report.Load):
			name += ", no fault felt"
		}
		cell := func(indicator string, words func(float64) string) string {
			v, _, why := l.Read("", indicator)
			if why == "" {
				return words(v)
			}
			for i, n := range notes {
				if n == why {
					return fmt.Sprintf("unknown [%d]", i+1)
				}
			}
			notes = append(notes, why)
			return fmt.Sprintf("unknown [%d]", len(notes))
		}
		d.printf("| %s | %s | %s | %s |\n", name, report.Length(round(l.Length())), cell("error_ratio", report.Percent),
			cell("p95", secondsWords))
	}
	d.printf("\n")
	for i, n := range notes {
		d.printf("[%d] %s\n", i+1, stopped(esc(n)))
	}
	if len(notes) > 0 {
		d.printf("\n")
	}
}

func secondsWords(v float64) string {
	y, _ := report.YardstickOf("p95")
	return y.Amount(v)
}

// timeline writes what happened, by time.
func (d *draft) timeline() {
	c := d.c
	moments := c.Moments()
	d.printf("## Timeline\n\nTimes of day are %s; the second column counts from the begin of the run.\n\n",
		c.Started.In(c.Zone()).Format("-07:00"))
	d.printf("| time | | what | told by |\n|---|---:|---|---|\n")
	for i, m := range moments {
		if i == mostMoments {
			break
		}
		mid := m.At.Lo.Add(m.At.Hi.Sub(m.At.Lo) / 2)
		text := esc(m.Text)
		if m.Kind == report.MomentFault || m.Kind == report.MomentOutside || m.Kind == report.MomentRefused {
			text = "**" + text + "**"
		}
		d.printf("| %s | %s | %s | %s |\n", c.When(m.At), c.Since(mid), text, esc(m.Source))
	}
	d.printf("\n")
	if n := len(moments) - mostMoments; n > 0 {
		d.printf("%d more are left out here; the record has them.\n\n", n)
	}
}

// items writes for each item what was expected and what happened.
func (d *draft) items() {
	d.printf("## What was expected, and what happened\n\n")
	if len(d.c.Parts) == 0 {
		d.printf("The scenario promises nothing that could be judged.\n\n")
		return
	}
	d.printf("`gameday explain` shows the evidence behind each line.\n\n")
	d.printf("| | expected | happened | limit | | points |\n|---|---|---|---|---|---:|\n")
	for _, p := range d.c.Parts {
		for i := range p.Items {
			it := &p.Items[i]
			outcome := it.Outcome.String()
			if it.Required {
				outcome += ", required"
			}
			d.printf("| **%s** %s | %s | %s | %s | %s | %s |\n", p.Part, esc(it.Title), esc(it.Expected), esc(it.Measured),
				esc(it.Limit), outcome, it.PointWords())
		}
	}
	d.printf("\n")
}

// outcomes sorts the items by what came of them.
func (d *draft) outcomes() {
	d.section("What went well", clock.Met, "Nothing that was promised can be said to have been kept.")
	d.section("What did not", clock.Missed, "Nothing that was promised was missed.")
	d.section("What could not be told", clock.Unknown, "Everything that was promised could be judged.")
}

func (d *draft) section(title string, outcome clock.Outcome, none string) {
	d.printf("## %s\n\n", title)
	n := 0
	for _, it := range d.c.Items() {
		if it.Outcome != outcome {
			continue
		}
		n++
		d.printf("- %s: %s", esc(it.Title), esc(it.Measured))
		if it.Limit != "" && it.Limit != "–" {
			d.printf(" (limit %s)", esc(it.Limit))
		}
		if it.Why != "" {
			d.printf("; %s", strings.TrimSuffix(esc(it.Why), "."))
		}
		d.printf(".\n")
	}
	if outcome == clock.Missed && !d.c.Safety.Clean {
		n++
		d.printf("- Safety: %s.\n", esc(d.c.Safety.Text))
	}
	if n == 0 {
		d.printf("%s\n", none)
	}
	d.printf("\n")
}

// actions turns the advice into items whose owners are left open.
func (d *draft) actions() {
	d.printf("## Action items\n\n")
	for _, a := range d.c.Next {
		d.printf("- [ ] %s\n", stopped(esc(a.Text)))
		if len(a.Items) > 0 {
			ids := make([]string, len(a.Items))
			for i, id := range a.Items {
				ids[i] = esc(id)
			}
			d.printf("  - for: %s\n", strings.Join(ids, ", "))
		}
		d.printf("  - owner:\n  - due:\n")
	}
	if len(d.c.Next) == 0 {
		d.printf("The run itself suggests none.\n")
	}
	d.printf("\n")
}

// mostAsked bounds how many items of a sort are asked about, for a meeting has an hour.
const mostAsked = 5

// questions asks what the record cannot tell.
func (d *draft) questions() {
	d.printf("## Questions for the review\n\nThe record cannot answer these.\n\n")
	ask := func(format string, args ...any) {
		d.printf("- "+format+"\n  - answer:\n", args...)
	}
	d.about(clock.Missed, func(titles string) {
		ask("Missed: %s. What led to it, and would it have gone the same way without the exercise?", titles)
	})
	d.about(clock.Unknown, func(titles string) {
		ask("Could not be told: %s. What has to be there before the next run, so that it can be?", titles)
	})
	if len(d.c.Faults) > 0 {
		ask("What did those who responded believe was wrong, and when did they know what was?")
		ask("What did they look at first, and what did they look for in vain?")
	}
	ask("What went well by luck rather than by design?")
	ask("Which of the action items would have helped most, and who takes it on?")
	ask("When is this run again?")
}

// about asks about the items of an outcome. Those with the same reason share a question.
func (d *draft) about(outcome clock.Outcome, ask func(titles string)) {
	var whys []string
	titles := map[string][]string{}
	for _, it := range d.c.Items() {
		if it.Outcome != outcome {
			continue
		}
		if titles[it.Why] == nil {
			whys = append(whys, it.Why)
		}
		titles[it.Why] = append(titles[it.Why], quoted(it.Title))
	}
	for _, why := range whys[:min(len(whys), mostAsked)] {
		ask(strings.Join(titles[why], ", "))
	}
}

func quoted(title string) string { return "“" + esc(title) + "”" }
