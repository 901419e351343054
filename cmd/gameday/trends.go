package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	past "gameday/report/history"
	"gameday/report/trends"
)

func (a *app) trendsCmd() *cobra.Command {
	var o past.Options
	var since, at, html string
	var asJSON, noCache bool
	c := &cobra.Command{
		Use:   "trends [DIR]",
		Short: "Tell how game days go over time: what passed when, times to detect and acknowledge, alarms never seen",
		Long: `Reads the runs in runs/ or another folder and prints, by scenario, how many passed and how long ago the last one did;
the times to detect and to acknowledge over the runs, by alarm and by fault, with whether newer runs are slower or faster
where there are enough to tell; and which of the expected alarms a game day ever saw fire. What is no record, or cannot be
read, is named. It remembers what it found in each record's folder, as history does.`,
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
			if o.Since, err = sinceWhen(since, now); err != nil {
				return err
			}
			if err := (&output{html: html}).check(); err != nil {
				return err
			}
			if o.Version = release(); noCache {
				o.Version = ""
			}
			return a.trends(dir, o, now, asJSON, html)
		},
	}
	c.Flags().StringVar(&o.Scenario, "scenario", "", "only runs of this scenario")
	c.Flags().StringVar(&since, "since", "", "only what began since: 24h, 2026-11-20, or 2026-11-20T09:00:00Z")
	c.Flags().StringVar(&at, "now", "", "count days up to this time, such as 2026-11-20T09:00:00Z (default: now)")
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	c.Flags().StringVar(&html, "html", "", "also write it as one HTML page")
	c.Flags().BoolVar(&noCache, "no-cache", false, "read every record anew, and remember nothing")
	return c
}

func (a *app) trends(dir string, o past.Options, now time.Time, asJSON bool, html string) error {
	entries, skipped, err := past.List(dir, o)
	if err != nil {
		return usage("%w", err)
	}
	t := trends.Of(entries, skipped, now)
	if html != "" {
		if err := writeFile(html, func(w io.Writer) error { return trends.HTML(w, t) }); err != nil {
			return err
		}
	}
	if !asJSON {
		return trends.Text(a.out, t)
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(t); err != nil {
		return fmt.Errorf("printing the trends: %w", err)
	}
	return nil
}
