package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/loadgen"
	"gameday/report"
	"gameday/report/export"
	"gameday/scenarios"
)

// capacityPage is the picture's name in the record's folder.
const capacityPage = "capacity.html"

// searching are the flags of `gameday capacity`.
type searching struct {
	maxRate, precision, atLeast float64
	maxDuration, step, confirm  time.Duration
	fault                       string
	search                      *conductor.Search // made by apply
}

func (a *app) capacityCmd() *cobra.Command {
	f := &runFlags{search: &searching{}}
	c := &cobra.Command{
		Use:   "capacity FILE",
		Short: "Find the highest rate that keeps a scenario's objectives",
		Long: "Sends the scenario's traffic at growing rates until an objective (an expectation of its " +
			"steady_state or capacity blocks) does not\n" +
			"hold, closes in on the highest rate that keeps them all, and confirms it by holding it for longer. " +
			"Prints the curve and names\n" +
			"its knee; the picture is kept in the record's folder. When the generator itself comes to its limit " +
			"first it says \"at least\".\n\n" +
			"With --fault the scenario's fault of that name stands all the while: the capacity with one node " +
			"lost. No other fault is\n" +
			"injected, and nothing is expected of alarms and people. The scenario's abort conditions end the " +
			"search.\n\n" +
			"Exits 0 when a rate was confirmed (with --at-least, when it is no less than that), 1 when it is " +
			"less, 3 when that is not known.",
		Example: "  gameday capacity game-day.hcl\n  gameday capacity --fault cut game-day.hcl            # with " +
			"a fault standing\n  gameday capacity --at-least 400 --max-duration 5m game-day.hcl   # in CI",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.run(f, args[0]) },
	}
	f.loading.flags(c)
	f.pick(c)
	f.fence.flags(c)
	s := f.search
	c.Flags().BoolVar(&f.output.json, "json", false, "print the answer as JSON")
	c.Flags().StringVar(&f.output.html, "html", "", "also write the picture as one HTML file (always kept in the "+
		"record's folder too)")
	c.Flags().StringVar(&f.audit, "audit", "", "file of the audit log (default: audit.jsonl beside the ledger)")
	c.Flags().StringVar(&f.record, "record", "", "folder for the record (default runs/<time>-<scenario>)")
	c.Flags().BoolVar(&f.heal, "heal", false, "first revert faults that an earlier run left standing")
	c.Flags().Int64Var(&f.seed, "seed", 0, "decides which places a pick takes (default made of the scenario's name)")
	c.Flags().StringVar(&s.fault, "fault", "", "this fault of the scenario stands all the while")
	c.Flags().Float64Var(&s.atLeast, "at-least", 0, "the capacity that is needed, in iterations per second of "+
		"all traffic together")
	c.Flags().Float64Var(&s.maxRate, "max-rate", 0, "never send more than this (default: the scenario's, or 100x)")
	c.Flags().DurationVar(&s.maxDuration, "max-duration", 0, "end the search after this long (default: the "+
		"scenario's, or 10m)")
	c.Flags().DurationVar(&s.step, "step", 0, "how long each rate is measured (default: the scenario's, or 10s)")
	c.Flags().DurationVar(&s.confirm, "confirm", 0, "how long the rate that is found is held (default: the "+
		"scenario's, or 30s)")
	c.Flags().Float64Var(&s.precision, "precision", 0, "how close to come, as a share (default: the scenario's, "+
		"or 0.05)")
	return c
}

// apply turns the scenario into one that is searched.
func (f *searching) apply(s *scenarios.Scenario) (*scenarios.Scenario, error) {
	base := 0.0
	for _, t := range s.Traffic {
		base += t.Rate
	}
	limits := s.Search.With(scenarios.SearchLimits{MaxRate: f.maxRate, MaxDuration: f.maxDuration, Step: f.step,
		Confirm: f.confirm, Precision: f.precision}, base)
	switch {
	case limits.MaxRate < base:
		return nil, usage("a maximum of %g/s is less than the baseline, %g/s", limits.MaxRate, base)
	case limits.Precision <= 0 || limits.Precision >= 1:
		return nil, usage("a precision of %g is not a share between 0 and 1", limits.Precision)
	case limits.Step < 2*time.Second, limits.Confirm < limits.Step, f.atLeast < 0:
		return nil, usage("a step takes at least 2s, a confirmation at least as long as a step, and a capacity is more than 0")
	case limits.MaxDuration < limits.Step+limits.Confirm:
		return nil, usage("in %s no rate can be found and confirmed: a step takes %s and a confirmation %s; raise --max-duration",
			limits.MaxDuration, limits.Step, limits.Confirm)
	case f.atLeast > limits.MaxRate:
		return nil, usage("--at-least %g is more than the search may send (%g/s): raise --max-rate", f.atLeast,
			limits.MaxRate)
	}
	f.search = &conductor.Search{Bounds: loadgen.SearchBounds{Start: base, Max: limits.MaxRate,
		Precision: limits.Precision},
		Step: limits.Step, Confirm: limits.Confirm, Settle: limits.Settle, MaxDuration: limits.MaxDuration,
		Standing: f.fault}
	out, err := conductor.ForSearch(s, f.search)
	if err != nil {
		return nil, usage("%w", err)
	}
	return out, nil
}

// found reads a search's record and prints its answer.
func (a *app) found(dir string, f *runFlags) error {
	rec, err := report.Read(dir)
	if err != nil {
		return usage("%w", err)
	}
	return a.curve(rec, dir, &f.output, f.search.atLeast)
}

// curve prints the answer in a search's record, and returns it as an exit code.
func (a *app) curve(rec *report.Record, dir string, out *output, atLeast float64) error {
	c, err := report.CurveOf(rec)
	if err != nil {
		return usage("%s: %w", dir, err)
	}
	if err := errors.Join(a.writeCurve(dir, c, out), a.curveMetrics(rec, out)); err != nil {
		a.say("%v", err) // the answer stands all the same
	}
	if code := c.ExitCode(atLeast); code != 0 {
		return &codeError{code: code}
	}
	return nil
}

// curveMetrics writes what a search has of metrics. It has no post-mortem, for nothing in it was expected.
func (a *app) curveMetrics(rec *report.Record, out *output) error {
	if out.postmortem != "" {
		a.say("there is no post-mortem of a search for the capacity")
	}
	text := func(w io.Writer) error { return export.Text(w, export.Of(report.Score(rec))) }
	switch out.metrics {
	case "":
		return nil
	case stdout:
		return text(a.out)
	}
	return writeFile(out.metrics, text)
}

func (a *app) writeCurve(dir string, c *report.Curve, out *output) error {
	page := func(w io.Writer) error { return report.CurveHTML(w, c) }
	kept := writeFile(filepath.Join(dir, capacityPage), page) == nil
	var errs []error
	if out.html != "" {
		errs = append(errs, writeFile(out.html, page))
	}
	if out.toStdout() > 0 {
		return errors.Join(errs...)
	}
	if out.json {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		if err := e.Encode(c); err != nil {
			errs = append(errs, fmt.Errorf("printing the answer: %w", err))
		}
		return errors.Join(errs...)
	}
	shown := dir
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, dir); err == nil && filepath.IsLocal(rel) {
			shown = rel
		}
	}
	return errors.Join(append(errs, report.CurveText(a.out, c, report.TextOptions{Color: color(a.out),
		Record: shown, Page: kept}))...)
}
