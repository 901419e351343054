package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/loadgen/baseline"
	"gameday/report"
	"gameday/scenarios"
)

// askedVariable, with a number from 0 behind it, tells another gameday what was found out for it: that inside a lab what 1x was
// measured to be outside of it, and the runs that are compared what all of them shall send.
const askedVariable = "GAMEDAY_ASKED_"

// errUnmeasured says that a game day cannot run: whatever three times nothing known is, it is no traffic.
var errUnmeasured = &codeError{code: exitInconclusive, err: errors.New("1x is not known; nothing was touched")}

// errUnasked is the same of the rates of another day.
var errUnasked = &codeError{code: exitInconclusive, err: errors.New("what is to be replayed is not known; nothing was touched")}

// measure finds out 1x of the streams of which it is not given. The run begins at an instant; zero is now.
func measure(ctx context.Context, s *scenarios.Scenario, at time.Time) error {
	return conductor.MeasureBaselines(ctx, s, conductor.Measuring{Runs: runsDir, Now: time.Now(), When: at})
}

// measured makes 1x known for a run, and in a lab what is replayed: outside of it, where those are who can be asked. What was
// handed on is not asked again. A search replays nothing.
func (a *app) measured(s *scenarios.Scenario, isInside, search bool) error {
	texts := handedOn()
	if isInside || s.Lab == nil {
		for i := range texts { // they are nothing to hosts and scripts
			if err := os.Unsetenv(askedVariable + strconv.Itoa(i)); err != nil {
				return fmt.Errorf("taking what was asked: %w", err)
			}
		}
	}
	if isInside || len(texts) > 0 {
		return conductor.TakeAnswers(s, texts)
	}
	if err := a.askBefore(context.Background(), s, s.Lab != nil && !search); err != nil || s.Lab == nil {
		return err
	}
	told, err := conductor.Answers(s)
	for i, text := range told {
		err = errors.Join(err, os.Setenv(askedVariable+strconv.Itoa(i), text))
	}
	return err
}

// handedOn returns what another gameday has found out for this one.
func handedOn() (texts []string) {
	for {
		text, ok := os.LookupEnv(askedVariable + strconv.Itoa(len(texts)))
		if !ok {
			return texts
		}
		texts = append(texts, text)
	}
}

// askBefore finds out 1x, and what is replayed if that is wanted, and says what came of it.
func (a *app) askBefore(ctx context.Context, s *scenarios.Scenario, replays bool) error {
	if err := measure(ctx, s, time.Time{}); err != nil {
		a.say("%v", err)
		return errUnmeasured
	}
	for _, t := range s.Traffic {
		if t.Measured == nil {
			continue
		}
		a.say("%s", s.Redact(fmt.Sprintf("traffic %s: 1x is %s; from %s", t.Name, t.Measured.Words(), t.Measured.Origin())))
		for _, note := range t.Measured.Measured.Notes {
			a.say("%s", s.Redact(fmt.Sprintf("traffic %s: note: %s", t.Name, note)))
		}
	}
	if !replays {
		return nil
	}
	if err := conductor.AskReplays(ctx, s); err != nil {
		a.say("%s", s.Redact(err.Error()))
		return errUnasked
	}
	return nil
}

func (a *app) baselineCmd() *cobra.Command {
	l := &loading{unsent: true}
	log := baseline.DefaultLog()
	var format, over, maxAge string
	var asJSON bool
	c := &cobra.Command{
		Use:   "baseline [FILE]",
		Short: "Show what 1x is now, how sure that is, and where it comes from; touches nothing",
		Long: "Measures the baselines of a scenario as plan and run do, and prints nothing else. With --access-log it looks at a log before there\n" +
			"is a scenario. Exits 3 when 1x is not known.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (log.Path != "") {
				return usage("name a scenario file, or a log with --access-log")
			}
			if log.Path != "" {
				log.Format = baseline.Format(format)
				if err := logFlags(&log, over, maxAge); err != nil {
					return err
				}
				return a.showBaselines([]report.TrafficPlan{logPlan(log)}, asJSON)
			}
			if i := slices.IndexFunc(logOnly, c.Flags().Changed); i >= 0 {
				return usage("--%s is for --access-log; a scenario says that itself, in its access_log block", logOnly[i])
			}
			_, s, err := l.one(a, args[0], false)
			if err != nil {
				return err
			}
			_ = measure(context.Background(), s, time.Time{}) // what fails is shown with the rest
			return a.showBaselines(conductor.MakePlan(s).Traffic, asJSON)
		},
	}
	l.flags(c)
	l.pick(c)
	c.Flags().StringVar(&log.Path, "access-log", "", "look at this log instead of a scenario")
	c.Flags().StringVar(&format, "format", string(log.Format), "how its lines are written: combined, common, json or regexp")
	c.Flags().StringVar(&log.Pattern, "pattern", "", "of --format regexp, with groups (?P<time>…), method, path, status")
	c.Flags().StringVar(&over, "over", baseline.Span(log.Over), "how far to look back from its newest line")
	c.Flags().StringVar(&maxAge, "max-age", "1d", "how old its newest line may be")
	c.Flags().BoolVar(&asJSON, "json", false, "print the streams with their baselines as JSON")
	return c
}

// logOnly are the flags that say something of a log.
var logOnly = []string{"format", "pattern", "over", "max-age"}

// logFlags checks what is said of a log, and takes it.
func logFlags(log *baseline.Log, over, maxAge string) error {
	var err error
	least := baseline.MinLogSteps * log.Step
	if log.Over, err = baseline.ParseSpan(over); err != nil || log.Over < least || log.Over > baseline.MaxLogOver {
		return usage("--over %q is not a duration from %s to %s, such as 1h", over, baseline.Span(least),
			baseline.Span(baseline.MaxLogOver))
	}
	if log.MaxAge, err = baseline.ParseSpan(maxAge); err != nil || log.MaxAge <= 0 {
		return usage("--max-age %q is not a duration, such as 1d or 12h", maxAge)
	}
	if log.Format != baseline.Regexp && log.Pattern != "" {
		return usage("--pattern is for --format %s", baseline.Regexp)
	}
	if err := log.Check(); err != nil {
		return usage("%w", err)
	}
	return nil
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
