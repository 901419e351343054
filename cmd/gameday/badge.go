package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"gameday/report/badge"
	past "gameday/report/history"
)

func (a *app) badgeCmd() *cobra.Command {
	var runs, file, within, at string
	c := &cobra.Command{
		Use:   "badge SCENARIO",
		Short: "Draw a scenario's last verdict and its age as a small picture, for a page that others read",
		Long: `Reads the runs in runs/ or another folder and prints an SVG of how the scenario's last run ended, and how long ago that was. A run that
goes on, or was killed, changes nothing. Where there is no run that has ended, or it began too long ago, the badge says unknown.

  gameday badge checkout -o checkout.svg`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			now, limit := time.Now(), time.Duration(0)
			var err error
			if at != "" {
				if now, err = time.Parse(time.RFC3339, at); err != nil {
					return usage("--now %q is not a time such as 2026-11-20T09:00:00Z", at)
				}
			}
			if within != "" {
				if limit, err = ageOf("--fresh-within", within); err != nil {
					return err
				}
			}
			entries, _, err := past.List(runs, past.Options{Scenario: args[0], Version: release()})
			if err != nil {
				return usage("%w", err)
			}
			write := func(w io.Writer) error { return badge.SVG(w, badge.Of(args[0], entries, limit, now)) }
			if file == "" || file == stdout {
				return write(a.out)
			}
			return writeFile(file, write)
		},
	}
	c.Flags().StringVar(&runs, "runs", runsDir, "folder of the records")
	c.Flags().StringVarP(&file, "output", "o", "", "write it to this file")
	c.Flags().StringVar(&within, "fresh-within", "", "what began longer ago is not told: 36h, 30d, 4w (default 30d)")
	c.Flags().StringVar(&at, "now", "", "count up to this time, such as 2026-11-20T09:00:00Z (default: now)")
	return c
}
