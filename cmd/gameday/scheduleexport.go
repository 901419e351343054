package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gameday/schedules/export"
)

func (a *app) scheduleExportCmd() *cobra.Command {
	var systemd, cronjob, github, gitlab bool
	o := export.Options{}
	c := &cobra.Command{
		Use:   "export FILE [NAME]",
		Short: "Print what starts a calendar's schedules: systemd units, CronJobs, or a workflow",
		Long: "Prints what calls `gameday schedule run` when the hours of each schedule begin. It may call more often than a schedule comes: the\n" +
			"verb knows when nothing is due. Nothing is installed.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			name := ""
			if len(args) > 1 {
				name = args[1]
			}
			cal, err := a.calendar(args[0])
			if err == nil && name != "" {
				_, _, err = a.scheduleOf(args[0], name)
			}
			if err != nil {
				return err
			}
			o.Calendar, o.Name, o.File, o.Announce = cal.Name, name, args[0], len(cal.Notify) > 0
			if systemd {
				if o.File, err = filepath.Abs(args[0]); err != nil {
					return usage("%w", err)
				}
				if o.Program, err = os.Executable(); err != nil {
					return usage("%w", err)
				}
				if o.Dir, err = os.Getwd(); err != nil {
					return usage("%w", err)
				}
			}
			var text string
			switch {
			case systemd:
				text, err = export.Systemd(cal.Schedules, o)
			case cronjob:
				text, err = export.CronJob(cal.Schedules, o)
			case github:
				text, err = export.GitHub(cal.Schedules, o)
			case gitlab:
				text, err = export.GitLab(cal.Schedules, o)
			}
			if err != nil {
				return usage("%w", err)
			}
			_, err = fmt.Fprint(a.out, text)
			return err
		},
	}
	c.Flags().BoolVar(&systemd, "systemd", false, "print a service and a timer for each schedule")
	c.Flags().BoolVar(&cronjob, "cronjob", false, "print a CronJob of Kubernetes for each schedule")
	c.Flags().BoolVar(&github, "github-actions", false, "print a workflow of GitHub Actions")
	c.Flags().BoolVar(&gitlab, "gitlab", false, "print jobs for .gitlab-ci.yml, and the pipeline schedules that they need")
	c.Flags().StringVar(&o.Image, "image", "gameday", "image for --cronjob and --gitlab")
	c.MarkFlagsOneRequired("systemd", "cronjob", "github-actions", "gitlab")
	c.MarkFlagsMutuallyExclusive("systemd", "cronjob", "github-actions", "gitlab")
	return c
}
