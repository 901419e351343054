package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gameday/report/fresh"
	past "gameday/report/history"
)

func (a *app) freshCmd() *cobra.Command {
	var ask fresh.Ask
	var over, at string
	var asJSON, noCache bool
	c := &cobra.Command{
		Use:   "fresh [DIR]",
		Short: "Tell how long ago each scenario and each service last passed; fail over a limit",
		Long: `Reads the runs in runs/ or another folder and prints how many days ago each scenario last passed, and each service: a target
that faults of a run that passed were aimed at. What never passed is never fresh, and neither is one that is asked for by name
and that no record tells of.

With --fail-over the exit code is 0 when all that is told of passed within that time, and 1 otherwise, also when there is no
run at all. Without it the exit code is 0.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := runsDir
			if len(args) > 0 {
				dir = args[0]
			}
			now := time.Now()
			var err error
			if at != "" {
				if now, err = time.Parse(time.RFC3339, at); err != nil {
					return usage("--now %q is not a time such as 2026-11-20T09:00:00Z", at)
				}
			}
			if over != "" {
				if ask.Limit, err = ageOf("--fail-over", over); err != nil {
					return err
				}
			}
			o := past.Options{Version: release()}
			if noCache {
				o.Version = ""
			}
			return a.fresh(dir, o, ask, now, asJSON)
		},
	}
	c.Flags().StringVar(&over, "fail-over", "", "exit with 1 when something last passed longer ago than that: 30d, 4w, 36h")
	c.Flags().StringArrayVar(&ask.Scenarios, "scenario", nil, "tell of this scenario (may be given several times)")
	c.Flags().StringArrayVar(&ask.Services, "service", nil, "tell of this service (may be given several times)")
	c.Flags().StringVar(&at, "now", "", "count up to this time, such as 2026-11-20T09:00:00Z (default: now)")
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	c.Flags().BoolVar(&noCache, "no-cache", false, "read every record anew, and remember nothing")
	return c
}

var ageForm = regexp.MustCompile(`^([1-9][0-9]{0,3})([hdw])$`)

// ageOf reads how old something may be. Days have 24 hours here.
func ageOf(flag, text string) (time.Duration, error) {
	m := ageForm.FindStringSubmatch(text)
	if m == nil {
		return 0, usage("%s %q is not a number of hours, days or weeks, such as 36h, 30d or 4w", flag, text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, err
	}
	return time.Duration(n) * map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]], nil
}

func (a *app) fresh(dir string, o past.Options, ask fresh.Ask, now time.Time, asJSON bool) error {
	entries, skipped, err := past.List(dir, o)
	if err != nil {
		return usage("%w", err)
	}
	b := fresh.Of(entries, skipped, ask, now)
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(b)
	} else {
		err = fresh.Text(a.out, b)
	}
	if err != nil {
		return fmt.Errorf("printing what is fresh: %w", err)
	}
	if b.Stale() > 0 {
		return &codeError{code: 1}
	}
	return nil
}
