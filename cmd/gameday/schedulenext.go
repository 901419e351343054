package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gameday/report"
	"gameday/scenarios"
	"gameday/schedules"
)

// nextFlags are the flags of `gameday schedule next`.
type nextFlags struct {
	until, now, state string
	count             int
	asJSON, tell      bool
}

func (a *app) scheduleNextCmd() *cobra.Command {
	f := &nextFlags{}
	c := &cobra.Command{
		Use:   "next FILE [NAME]",
		Short: "List the coming occasions of a calendar's schedules, and those that are frozen or in each other's way",
		Long: `Lists when the schedules of a calendar come next, each in its own time zone: the hours in which a run lies, and the moment at
which it begins. Random moments of blind scenarios are shown with --facilitator only; without it the hours are all that is
told. What will not begin, or has begun already, is listed with its reason. "now" is an occasion whose moment has passed, and
which still begins as soon as anything looks after it.

Random moments are drawn from the seed in the state folder, or from $GAMEDAY_SCHEDULE_SEED. Where there is none yet it is made
with --facilitator, and not without.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error { return a.scheduleNext(f, args) },
	}
	c.Flags().StringVar(&f.until, "until", "", "how far to look: 30d, 12w, or a date such as 2027-03-31, which is included")
	c.Flags().IntVar(&f.count, "count", 0, "how many of each schedule at most (default 5; without a bound when --until is given)")
	c.Flags().StringVar(&f.now, "now", "", "list what is open or opens from this time on, such as 2026-12-01T09:00:00Z (default: now)")
	c.Flags().StringVar(&f.state, "state", "", "folder of what ran and of the seed (default $"+stateVariable+", else schedules beside the ledger)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print it as JSON")
	c.Flags().BoolVar(&f.tell, "facilitator", false, "show the random moments of blind scenarios as well; do not look over a responder's shoulder")
	return c
}

func (a *app) scheduleNext(f *nextFlags, args []string) error {
	cal, err := a.calendar(args[0])
	if err != nil {
		return err
	}
	list := cal.Schedules
	if len(args) > 1 {
		_, s, err := a.scheduleOf(args[0], args[1])
		if err != nil {
			return err
		}
		list = []*schedules.Schedule{s}
	}
	coming := schedules.Coming{From: time.Now(), Count: f.count}
	if f.now != "" {
		if coming.From, err = time.Parse(time.RFC3339, f.now); err != nil {
			return usage("--now %q is not a time such as 2026-12-01T09:00:00Z", f.now)
		}
	}
	if coming.Until, err = untilWhen(f.until, coming.From); err != nil {
		return err
	}
	a.outdated(list, coming.From)
	if f.count < 0 || f.count > 1000 {
		return usage("--count %d is not between 1 and 1000", f.count)
	}
	if f.count == 0 && f.until == "" {
		coming.Count = 5
	}
	if coming.Count == 0 {
		coming.Count = 10_000
	}
	dir, err := stateDir(f.state, cal.Name)
	if err != nil {
		return err
	}
	seed, err := knownSeed(dir)
	if err == nil && seed == nil && f.tell {
		seed, err = seedOf(dir)
	}
	if err != nil {
		return err
	}
	// All schedules are forecast, also when one is asked for: the others may be in its way.
	state, err := knownState(dir)
	if err != nil {
		return err
	}
	all := schedules.Forecast(cal.Schedules, coming, state, seed, func(s *schedules.Schedule) bool { return seed != nil && (f.tell || !s.Blind()) })
	all = slices.DeleteFunc(all, func(p schedules.Planned) bool {
		return !slices.ContainsFunc(list, func(s *schedules.Schedule) bool { return s.Name == p.Schedule.Name })
	})
	if f.asJSON {
		return a.nextJSON(cal, all)
	}
	return a.nextText(all, seed != nil)
}

// untilWhen reads --until.
func untilWhen(text string, from time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if len(text) < 2 {
		text = " " + text
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	days := map[byte]int{'d': 1, 'w': 7}[text[len(text)-1]]
	if err != nil || days == 0 || n < 1 || n > 4000 {
		return time.Time{}, usage("--until %q is neither a number of days or weeks, such as 30d or 12w, nor a date such as 2027-03-31", text)
	}
	return from.AddDate(0, 0, n*days), nil
}

func (a *app) nextText(all []schedules.Planned, seeded bool) error {
	var b strings.Builder
	columns := []report.Column{{Head: "SCHEDULE"}, {Head: "OCCASION"}, {Head: "HOURS"}, {Head: "MOMENT"}, {Head: "", Width: 46}}
	var rows [][]string
	hidden := false
	for i := range all {
		p := &all[i]
		moment, note := "", p.Why
		switch {
		case p.Why != "":
			moment = "–"
		case p.Late:
			moment = "now"
		case p.Known:
			moment = p.Occasion.Moment.In(p.Schedule.Zone).Format("Mon 2006-01-02 15:04:05 MST")
		default:
			moment, hidden = "random", true
		}
		if note == "" && len(p.Maybe) > 0 {
			note = strings.Join(p.Maybe, "; ")
		}
		rows = append(rows, []string{p.Schedule.Name, p.Occasion.ID, hoursText(p), moment, note})
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.out, "No occasion in that time.")
		return err
	}
	if err := report.Table(&b, columns, rows); err != nil {
		return fmt.Errorf("drawing the list: %w", err)
	}
	switch {
	case hidden && !seeded:
		b.WriteString("\nRandom moments are drawn when there is a seed: at the first run, or with --facilitator.\n")
	case hidden:
		b.WriteString("\nRandom moments of blind scenarios are for facilitators: --facilitator shows them.\n")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// hoursText prints the hours of an occasion: the whole of one, or of several the first and the last.
func hoursText(p *schedules.Planned) string {
	z := p.Schedule.Zone
	one := func(s schedules.Span) string {
		from, to := s.From.In(z), s.To.In(z)
		end := to.Format("15:04")
		if from.Format(time.DateOnly) != to.Format(time.DateOnly) {
			end = to.Format("Mon 15:04")
		}
		return from.Format("Mon 2006-01-02 15:04") + "–" + end
	}
	w := p.Occasion.Windows
	if p.Schedule.Window == nil {
		return w[0].From.In(z).Format("Mon 2006-01-02 15:04")
	}
	if len(w) == 1 {
		return one(w[0])
	}
	return fmt.Sprintf("%s … %s", one(w[0]), one(w[len(w)-1]))
}

// nextEntry is one occasion as --json prints it.
type nextEntry struct {
	Schedule  string       `json:"schedule"`
	Occasion  string       `json:"occasion"`
	Scenarios []string     `json:"scenarios"`
	TimeZone  string       `json:"time_zone"`
	Hours     []nextSpan   `json:"hours"`
	Random    bool         `json:"random"`
	Blind     bool         `json:"blind"`
	Moment    *time.Time   `json:"moment"` // null when it may not be told, or does not come
	Length    float64      `json:"length_seconds"`
	Begins    bool         `json:"begins"`        // as things are planned
	Now       bool         `json:"now,omitempty"` // its moment has passed, and it may still begin
	Why       string       `json:"why,omitempty"`
	Maybe     []string     `json:"may_collide,omitempty"`
	Freezes   []nextFreeze `json:"freezes,omitempty"`
}

type nextSpan struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

type nextFreeze struct {
	Name string    `json:"name"`
	File string    `json:"file"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func (a *app) nextJSON(cal *scenarios.Calendar, all []schedules.Planned) error {
	out := struct {
		Calendar  string      `json:"calendar"`
		Occasions []nextEntry `json:"occasions"`
	}{cal.Name, []nextEntry{}}
	for i := range all {
		p := &all[i]
		z := p.Schedule.Zone
		e := nextEntry{Schedule: p.Schedule.Name, Occasion: p.Occasion.ID, TimeZone: z.String(), Random: p.Schedule.Moment == schedules.AtRandom,
			Blind: p.Schedule.Blind(), Length: p.Schedule.Length().Seconds(), Begins: p.Why == "", Now: p.Late, Why: p.Why, Maybe: p.Maybe}
		for _, x := range p.Schedule.Items {
			e.Scenarios = append(e.Scenarios, x.Scenario)
		}
		for _, w := range p.Occasion.Windows {
			e.Hours = append(e.Hours, nextSpan{w.From.In(z), w.To.In(z)})
		}
		for _, x := range p.Occasion.Frozen {
			e.Freezes = append(e.Freezes, nextFreeze{x.Name, x.File, x.From.In(z), x.To.In(z)})
		}
		if p.Known && !p.Late {
			m := p.Occasion.Moment.In(z)
			e.Moment = &m
		}
		out.Occasions = append(out.Occasions, e)
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("printing the list: %w", err)
	}
	return nil
}
