package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gameday/report"
	"gameday/report/compare"
	"gameday/report/export"
	"gameday/report/postmortem"
)

// output are the flags that say how a scorecard is printed; run and report share them.
type output struct {
	json       bool
	junit      string
	html       string
	metrics    string
	postmortem string
}

func (o *output) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.json, "json", false, "print the scorecard as JSON")
	c.Flags().StringVar(&o.junit, "junit", "", "also write a JUnit file for CI")
	c.Flags().StringVar(&o.html, "html", "", "also write the report as one HTML file")
	c.Flags().StringVar(&o.metrics, "metrics", "", "also write metrics in Prometheus' text format (- for standard output, "+
		"instead of the scorecard)")
	c.Flags().StringVar(&o.postmortem, "postmortem", "", "also write the draft of a post-mortem as Markdown (- for "+
		"standard output, instead of the scorecard)")
}

// htmlFile is the report's name in the record's folder.
const htmlFile = "report.html"

// check reports files that cannot be written before anything is done for them.
func (o *output) check() error {
	if n := o.toStdout(); n > 1 || n == 1 && o.json {
		return usage("only one of --json, --metrics - and --postmortem - can go to standard output")
	}
	if o.junit == stdout || o.html == stdout {
		return usage("--junit and --html write files: standard output is for the scorecard, --json, --metrics - or --postmortem -")
	}
	for _, path := range []string{o.junit, o.html, o.metrics, o.postmortem} {
		if path == "" || path == stdout {
			continue
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return usage("%s cannot be written: there is no folder %s", path, filepath.Dir(path))
		}
	}
	return nil
}

// write prints the scorecard on standard output and writes the files that were asked for.
func (o *output) write(a *app, dir string, card *report.Scorecard) error {
	html := func(w io.Writer) error { return report.HTML(w, card) }
	// The folder may be read-only, as in an archive of old runs: then there is no file and no complaint.
	// In a copy nothing is written, for its files are counted; it may have the page already.
	kept := !report.IsCopy(dir) && writeFile(filepath.Join(dir, htmlFile), html) == nil
	return errors.Join(o.print(a, dir, card, kept), o.files(card))
}

// files writes the files that were asked for.
func (o *output) files(card *report.Scorecard) error {
	var errs []error
	if o.html != "" {
		errs = append(errs, writeFile(o.html, func(w io.Writer) error { return report.HTML(w, card) }))
	}
	if o.junit != "" {
		errs = append(errs, writeFile(o.junit, func(w io.Writer) error { return report.JUnit(w, card) }))
	}
	for _, f := range o.drafts(card) {
		if f.path != "" && f.path != stdout {
			errs = append(errs, writeFile(f.path, f.write))
		}
	}
	return errors.Join(errs...)
}

// stdout is the name of standard output where a file can be named.
const stdout = "-"

// draft is a file that may go to standard output instead.
type draft struct {
	path  string
	write func(io.Writer) error
}

func (o *output) drafts(card *report.Scorecard) []draft {
	return []draft{{o.metrics, func(w io.Writer) error { return export.Text(w, export.Of(card)) }},
		{o.postmortem, func(w io.Writer) error { return postmortem.Write(w, card) }}}
}

// toStdout returns how many files shall go to standard output.
func (o *output) toStdout() (n int) {
	for _, path := range []string{o.metrics, o.postmortem} {
		if path == stdout {
			n++
		}
	}
	return n
}

// print writes the scorecard as text or JSON. kept says that the page is in the record's folder.
func (o *output) print(a *app, dir string, card *report.Scorecard, kept bool) error {
	if o.json {
		return report.JSON(a.out, card)
	}
	for _, f := range o.drafts(card) {
		if f.path == stdout {
			return f.write(a.out)
		}
	}
	shown := dir
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, dir); err == nil && filepath.IsLocal(rel) {
			shown = rel
		}
	}
	return report.Text(a.out, card, report.TextOptions{Color: color(a.out), Record: shown, Page: kept})
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gameday-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (a *app) reportCmd() *cobra.Command {
	o := &output{}
	c := &cobra.Command{
		Use:   "report [RECORD]",
		Short: "Score a record again and print it",
		Long: "Judges a run from its record alone, and exits with its verdict. The same folder gives the same report, byte for byte. Without\n" +
			"a folder it takes the newest in runs/.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := recordDir(args)
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			return a.score(dir, o)
		},
	}
	o.flags(c)
	return c
}

func (a *app) explainCmd() *cobra.Command {
	o := report.TextOptions{}
	var over []string
	c := &cobra.Command{
		Use:   "explain [RECORD] [ITEM]",
		Short: "Explain a scorecard, or one line of it: what was expected, what was seen, from where, and what to do",
		Long: "Says for every item of a scorecard, or for one, what was expected, what was seen and from which lines of the record, why it scored\n" +
			"what it scored, and what to do about it. An item is named by its id, or as much of it as is clear. Without a folder it takes the\n" +
			"newest in runs/.\n\n" +
			"--over runs/ puts the runs of the same scenario in a folder together instead: in how many an alarm fired with its fault, and in how\n" +
			"many without it, in the control phase.",
		Args: cobra.MaximumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			named, item := args, ""
			if len(args) == 2 || len(args) == 1 && !isRecord(args[0]) {
				named, item = args[:len(args)-1], args[len(args)-1]
			}
			dir, err := recordDir(named)
			if err != nil {
				return err
			}
			rec, err := report.Read(dir)
			if err != nil {
				return usage("%w", err)
			}
			if len(over) > 0 {
				return a.repeats(rec.Plan.Scenario, over)
			}
			o.Color = color(a.out)
			if err := report.Explain(a.out, report.Score(rec), item, o); err != nil {
				return usage("%w", err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&o.Raw, "raw", false, "also print those lines of the record")
	c.Flags().StringArrayVar(&over, "over", nil, "put the runs of this scenario in these folders together")
	return c
}

// repeats prints what the runs of a scenario in some folders show together of its alarms.
func (a *app) repeats(scenario string, over []string) error {
	dirs, err := report.Find(over...)
	if err != nil {
		return usage("%w", err)
	}
	var cards []*report.Scorecard
	for _, dir := range dirs {
		rec, err := report.Read(dir)
		switch {
		case err != nil:
			a.say("%s is left out: %v", dir, err)
		case rec.Plan.Scenario == scenario && rec.Plan.Search == nil:
			cards = append(cards, report.Score(rec))
		}
	}
	return compare.WriteRepeats(a.out, scenario, len(cards), compare.RepeatsOf(cards))
}

// isRecord reports whether a path is the folder of a record.
func isRecord(path string) bool {
	_, err := os.Stat(filepath.Join(path, report.PlanFile))
	return err == nil
}

// recordDir returns the folder that was named, or the newest record.
func recordDir(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	return newest(func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, report.EventsFile))
		return err == nil
	})
}
