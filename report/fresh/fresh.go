// Package fresh tells how long ago game days last passed, by scenario and by service, from a folder of records, and which are
// over a limit. It is pure: the clock and the runs are given. What never passed is never fresh, and neither is what nobody has
// a record of.
package fresh

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gameday/report"
	"gameday/report/history"
)

// Board is all that is told. Its JSON form is the machine-readable one.
type Board struct {
	Now time.Time `json:"now"`
	// Limit is how long ago something may have passed to be fresh, in seconds; nil when that is not asked.
	Limit     *float64 `json:"limit_seconds"`
	Scenarios []Row    `json:"scenarios"` // by name
	// Services are the targets that faults of the runs were aimed at, by name.
	Services []Row `json:"services"`
	// Skipped are folders that tell nothing, and why: what is in them could be what is missed here.
	Skipped []history.Skipped `json:"skipped"`
}

// Row is how fresh one scenario or service is. Searches for the capacity have no verdict, and do not count.
type Row struct {
	Name string `json:"name"`
	Runs int    `json:"runs"`
	// Passed is the newest run that passed, and Last the newest one; nil when there is none.
	Passed *Run `json:"passed"`
	Last   *Run `json:"last"`
	// Days is how many whole days ago Passed began; nil when none did.
	Days *int `json:"days"`
	// Fresh is nil when no limit was asked for.
	Fresh *bool `json:"fresh"`
}

// Run is one run.
type Run struct {
	Folder   string         `json:"folder"`
	Scenario string         `json:"scenario"`
	Started  time.Time      `json:"started"`
	Verdict  report.Verdict `json:"verdict"`
	Residue  bool           `json:"residue,omitempty"`
}

// Ask says what is asked. With both lists empty everything in the records is told of; else those named, whether or not there is
// a record of them.
type Ask struct {
	Scenarios, Services []string
	// Planned are scenarios that are told of beside what is asked for, for they should be run: also those of which there is no record.
	Planned []string
	Limit   time.Duration // 0 is not asked
}

// Of makes the board of runs, whatever their order.
func Of(runs []history.Entry, skipped []history.Skipped, ask Ask, now time.Time) *Board {
	b := &Board{Now: now, Skipped: skipped, Scenarios: []Row{}, Services: []Row{}}
	if b.Skipped == nil {
		b.Skipped = []history.Skipped{}
	}
	if ask.Limit > 0 {
		s := ask.Limit.Seconds()
		b.Limit = &s
	}
	all := len(ask.Scenarios)+len(ask.Services) == 0
	scenarios, services := map[string]*Row{}, map[string]*Row{}
	for _, name := range slices.Concat(ask.Scenarios, ask.Planned) {
		scenarios[name] = &Row{Name: name}
	}
	for _, name := range ask.Services {
		services[name] = &Row{Name: name}
	}
	for i := range runs {
		e := &runs[i]
		if e.Search || e.Started.After(now) { // what is still to come has not passed
			continue
		}
		count(scenarios, e.Scenario, e, all)
		for _, s := range e.Services {
			count(services, s, e, all)
		}
	}
	b.Scenarios, b.Services = b.rows(scenarios, ask.Limit), b.rows(services, ask.Limit)
	return b
}

func count(rows map[string]*Row, name string, e *history.Entry, all bool) {
	r := rows[name]
	if r == nil {
		if !all {
			return
		}
		r = &Row{Name: name}
		rows[name] = r
	}
	r.Runs++
	run := &Run{e.Folder, e.Scenario, e.Started, e.Verdict, e.Residue}
	if r.Last == nil || run.Started.After(r.Last.Started) {
		r.Last = run
	}
	passed := e.Verdict == report.Passed && !e.Residue && e.End != report.EndInterrupted
	if passed && (r.Passed == nil || run.Started.After(r.Passed.Started)) {
		r.Passed = run
	}
}

func (b *Board) rows(by map[string]*Row, limit time.Duration) []Row {
	out := []Row{}
	for _, r := range by {
		if r.Passed != nil {
			days := int(b.Now.Sub(r.Passed.Started).Hours() / 24)
			r.Days = &days
		}
		if limit > 0 {
			fresh := r.Passed != nil && b.Now.Sub(r.Passed.Started) <= limit
			r.Fresh = &fresh
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(x, y Row) int { return cmp.Compare(x.Name, y.Name) })
	return out
}

// Stale counts what is not fresh. A board without a row has nothing that is: that counts as well.
func (b *Board) Stale() int {
	n := 0
	for _, r := range slices.Concat(b.Scenarios, b.Services) {
		if r.Fresh != nil && !*r.Fresh {
			n++
		}
	}
	if b.Limit != nil && len(b.Scenarios)+len(b.Services) == 0 {
		return 1
	}
	return n
}

// Text writes the board for a terminal.
func Text(w io.Writer, b *Board) error {
	var out strings.Builder
	for _, part := range []struct {
		head string
		rows []Row
	}{{"SCENARIO", b.Scenarios}, {"SERVICE", b.Services}} {
		if len(part.rows) == 0 {
			continue
		}
		if out.Len() > 0 {
			out.WriteByte('\n')
		}
		columns := []report.Column{{Head: part.head}, {Head: "LAST PASSED"}, {Head: "AGO", Right: true}, {Head: "RUNS", Right: true}, {Head: "LAST RUN"}, {}}
		var rows [][]string
		for i := range part.rows {
			rows = append(rows, part.rows[i].cells())
		}
		if err := report.Table(&out, columns, rows); err != nil {
			return fmt.Errorf("drawing what is fresh: %w", err)
		}
	}
	if out.Len() == 0 {
		out.WriteString("There is no run, so that nothing is fresh.\n")
	}
	for i, s := range b.Skipped {
		if i == 0 {
			out.WriteString("\n Folders that tell nothing\n")
		}
		report.Paragraph(&out, "  –  ", report.PlainText(s.Folder+": "+s.Why))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *Row) cells() []string {
	cells := []string{report.PlainText(r.Name), "never", "–", fmt.Sprint(r.Runs), "–", ""}
	if r.Passed != nil {
		cells[1] = r.Passed.Started.UTC().Format(time.DateOnly)
		cells[2] = fmt.Sprintf("%d days", *r.Days)
		if *r.Days == 1 {
			cells[2] = "1 day"
		}
	}
	if r.Last != nil {
		cells[4] = r.Last.Started.UTC().Format(time.DateOnly) + " " + r.Last.Verdict.String()
		if r.Last.Residue {
			cells[4] += ", residue"
		}
	}
	if r.Fresh != nil {
		cells[5] = map[bool]string{true: "fresh", false: "not fresh"}[*r.Fresh]
	}
	return cells
}
