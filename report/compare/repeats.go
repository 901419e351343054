package compare

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"gameday/clock"
	"gameday/report"
	"gameday/report/stats"
)

// leastRuns is how many runs each arm must have for a probability to be given: with fewer, no table is unlikely enough.
const leastRuns = 5

// Arm counts the runs in which an alarm fired within its limit, of those that can tell.
type Arm struct {
	Fired   int `json:"fired"`
	Runs    int `json:"runs"`
	Unknown int `json:"unknown,omitempty"` // runs that cannot tell, which are not among them
}

// Repeats is what several runs of one scenario show together of one alarm: whether it comes more often with its fault than without.
type Repeats struct {
	Alarm   string `json:"alarm"`
	Cause   string `json:"cause"`
	Fault   Arm    `json:"fault"`
	Control Arm    `json:"control"`
	// Chance is the one-sided p-value of Fisher's exact test: how likely it fires in at least so many of the runs with the fault when
	// the fault makes no difference. Nil when either arm has fewer than five runs.
	Chance *float64 `json:"chance,omitempty"`
}

// RepeatsOf puts the scorecards of runs of one scenario together, by alarm in the order of first mention.
func RepeatsOf(cards []*report.Scorecard) []Repeats {
	out := []Repeats{}
	for _, c := range cards {
		for _, t := range c.Trials() {
			i := slices.IndexFunc(out, func(r Repeats) bool { return r.Alarm == t.Alarm && r.Cause == t.Cause })
			if i < 0 {
				i, out = len(out), append(out, Repeats{Alarm: t.Alarm, Cause: t.Cause})
			}
			out[i].Fault.add(t.Fault)
			out[i].Control.add(t.Control)
		}
	}
	for i := range out {
		out[i].Chance = out[i].byChance()
	}
	return out
}

// byChance returns the probability of Chance.
func (r Repeats) byChance() *float64 {
	if r.Fault.Runs < leastRuns || r.Control.Runs < leastRuns {
		return nil
	}
	_, p := stats.Fisher(r.Control.Fired, r.Control.Runs, r.Fault.Fired, r.Fault.Runs)
	return &p
}

func (a *Arm) add(o clock.Outcome) {
	switch o {
	case clock.Unknown:
		a.Unknown++
		return
	case clock.Met:
		a.Fired++
	}
	a.Runs++
}

// words print an arm: "4 of 5 runs, 1 unknown".
func (a Arm) words() string {
	text := fmt.Sprintf("%d of %d", a.Fired, a.Runs)
	if a.Unknown > 0 {
		text += fmt.Sprintf(", %d unknown", a.Unknown)
	}
	return text
}

// WriteRepeats prints them for a terminal.
func WriteRepeats(w io.Writer, scenario string, runs int, list []Repeats) error {
	var b strings.Builder
	report.Paragraph(&b, " ", fmt.Sprintf("%s, runs: %d. In how many of those that can tell an alarm fired within its limit, after the onset of its fault and in the control phase",
		scenario, runs))
	b.WriteByte('\n')
	columns := []report.Column{{Head: "ALARM", Width: 30}, {Head: "FAULT"}, {Head: "WITH IT"}, {Head: "WITHOUT"}, {Head: "BY CHANCE", Width: 40}}
	var rows [][]string
	for _, r := range list {
		chance := fmt.Sprintf("not given below %d runs each", leastRuns)
		if r.Chance != nil {
			chance = fmt.Sprintf("p = %.3g (Fisher, one-sided)", *r.Chance)
		}
		rows = append(rows, []string{report.PlainText(r.Alarm), report.PlainText(r.Cause), r.Fault.words(), r.Control.words(), chance})
	}
	if err := report.Table(&b, columns, rows); err != nil {
		return fmt.Errorf("drawing the table of repeats: %w", err)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
