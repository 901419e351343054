package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/loadgen/baseline"
	"gameday/report"
	"gameday/scenarios"
)

// baselinesVariable tells the conductor inside a lab what 1x was measured to be outside of it.
const baselinesVariable = "GAMEDAY_BASELINES"

// errUnmeasured says that a game day cannot run: whatever three times nothing known is, it is no traffic.
var errUnmeasured = &codeError{code: exitInconclusive, err: errors.New("1x is not known; nothing was touched")}

// measure finds out 1x of the streams of which it is not given. The run begins at an instant; zero is now.
func measure(s *scenarios.Scenario, at time.Time) error {
	return conductor.MeasureBaselines(context.Background(), s, conductor.Measuring{Runs: runsDir, Now: time.Now(), When: at})
}

// measured makes 1x known for a run: it is measured once, outside of the lab if there is one.
func (a *app) measured(s *scenarios.Scenario, isInside bool) error {
	if isInside {
		defer os.Unsetenv(baselinesVariable) // it is nothing to hosts and scripts
		return conductor.TakeBaselines(s, os.Getenv(baselinesVariable))
	}
	if err := measure(s, time.Time{}); err != nil {
		a.say("%v", err)
		return errUnmeasured
	}
	for _, t := range s.Traffic {
		if t.Measured != nil {
			a.say("%s", s.Redact(fmt.Sprintf("traffic %s: 1x is %s; from %s", t.Name, t.Measured.Words(), t.Measured.Origin())))
		}
	}
	text, err := conductor.Baselines(s)
	if err != nil || s.Lab == nil {
		return err
	}
	return os.Setenv(baselinesVariable, text)
}

func (a *app) baselineCmd() *cobra.Command {
	l := &loading{}
	log := baseline.DefaultLog()
	var format, over string
	var asJSON bool
	c := &cobra.Command{
		Use:   "baseline [FILE]",
		Short: "Show what 1x is now, how sure that is, and where it comes from; touches nothing",
		Long: "Measures the baselines of a scenario as plan and run do, and prints nothing else. With --access-log it looks at a log before there\n" +
			"is a scenario. Exits 3 when 1x is not known.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == (log.Path != "") {
				return usage("name a scenario file, or a log with --access-log")
			}
			if log.Path != "" {
				var err error
				least := baseline.MinLogSteps * log.Step
				if log.Over, err = baseline.ParseSpan(over); err != nil || log.Over < least {
					return usage("--over %q is not a duration of %s or more, such as 1h", over, least)
				}
				log.Format = baseline.Format(format)
				return a.showBaselines([]report.TrafficPlan{logPlan(log)}, asJSON)
			}
			_, s, err := l.one(a, args[0], false)
			if err != nil {
				return err
			}
			_ = measure(s, time.Time{}) // what fails is shown with the rest
			return a.showBaselines(conductor.MakePlan(s).Traffic, asJSON)
		},
	}
	l.flags(c)
	l.pick(c)
	c.Flags().StringVar(&log.Path, "access-log", "", "look at this log instead of a scenario")
	c.Flags().StringVar(&format, "format", string(log.Format), "how its lines are written: combined, common, json or regexp")
	c.Flags().StringVar(&log.Pattern, "pattern", "", "of --format regexp, with groups (?P<time>…), method, path, status")
	c.Flags().StringVar(&over, "over", baseline.Span(log.Over), "how far to look back from its newest line")
	c.Flags().BoolVar(&asJSON, "json", false, "print the streams with their baselines as JSON")
	return c
}

// logPlan measures a log that is named on the command line.
func logPlan(l baseline.Log) report.TrafficPlan {
	now := time.Now()
	p := &report.BaselinePlan{Kind: "access_log", Source: l.Path, PerIteration: 1, At: now.UTC().Truncate(time.Second)}
	var err error
	if p.Measured, err = l.Measure(context.Background(), now); err != nil {
		p.Error = err.Error()
	}
	return report.TrafficPlan{Name: filepath.Base(l.Path), Rate: p.Rate(), Baseline: p}
}

// showBaselines prints streams with their baselines.
func (a *app) showBaselines(traffic []report.TrafficPlan, asJSON bool) error {
	var err error
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(traffic)
	} else {
		err = conductor.WriteBaselines(a.out, traffic)
	}
	for _, t := range traffic {
		if err == nil && t.Baseline != nil && t.Baseline.Error != "" {
			err = errUnmeasured
		}
	}
	return err
}
