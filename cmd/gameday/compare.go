package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gameday/report"
	"gameday/report/compare"
	past "gameday/report/history"
)

// comparison are the flags that say what counts in a comparison, and how it is printed; compare and regress share them.
type comparison struct {
	json, markdown, all bool
	junit               string
	tolerances          []string
}

func (p *comparison) flags(c *cobra.Command) {
	c.Flags().BoolVar(&p.json, "json", false, "print the comparison as JSON")
	c.Flags().BoolVar(&p.markdown, "markdown", false, "print it as Markdown, for a comment on a pull request")
	c.Flags().BoolVar(&p.all, "all", false, "print every row, and not only those that count or differ")
	c.Flags().StringVar(&p.junit, "junit", "", "also write a JUnit file for CI")
	c.Flags().StringArrayVar(&p.tolerances, "tolerance", nil, "instead of what the scenario tolerates: p95=20%, "+
		"ttd=ignore (may be given several times)")
}

// check reports flags that cannot be, and files that cannot be written, before anything is done for them.
func (p *comparison) check() error {
	if p.json && p.markdown {
		return usage("--json and --markdown both go to standard output; give one of them")
	}
	if _, err := p.options(); err != nil {
		return err
	}
	return (&output{junit: p.junit}).check()
}

// options reads the tolerances.
func (p *comparison) options() (compare.Options, error) {
	o := compare.Options{Tolerances: map[string]report.Tolerance{}}
	for _, text := range p.tolerances {
		name, value, _ := strings.Cut(text, "=")
		y, known := report.YardstickOf(name)
		if !known {
			var names []string
			for _, y := range report.Yardsticks() {
				names = append(names, y.Name)
			}
			return o, usage("--tolerance %q: there is no yardstick %q; there are %s", text, name, strings.Join(names, ", "))
		}
		t, err := y.ParseTolerance(value)
		if err != nil {
			return o, usage("--tolerance %w", err)
		}
		o.Tolerances[name] = t
	}
	return o, nil
}

// write prints the comparison and writes what was asked for. Its verdict is the error's code.
func (p *comparison) write(a *app, c *compare.Comparison) error {
	var err error
	switch {
	case p.json:
		err = compare.JSON(a.out, c)
	case p.markdown:
		err = compare.Markdown(a.out, c)
	default:
		err = compare.Text(a.out, c, compare.TextOptions{Color: color(a.out), All: p.all})
	}
	if p.junit != "" {
		err = errors.Join(err, writeFile(p.junit, func(w io.Writer) error { return compare.JUnit(w, c) }))
	}
	if err == nil && c.Exit != 0 {
		err = &codeError{code: c.Exit}
	}
	return err
}

func (a *app) compareCmd() *cobra.Command {
	p := &comparison{}
	var base, head []string
	c := &cobra.Command{
		Use:   "compare BASE HEAD | --base RECORD… --head RECORD…",
		Short: "Tell whether one set of runs is better or worse than another, by tests",
		Long: `Compares two runs, or two sets of runs, from their records alone. Each side is a record's folder, a folder of
records, several with commas between them, or a pattern in quotes. For each figure: both values, the difference with
its 95 % interval, and better, same, worse or unknown by a test against what the scenario tolerates.

  gameday compare runs/20261120-140212-shop runs/20261121-090145-shop
  gameday compare --base runs/main-* --head runs/branch-*

Exits 0 when nothing is worse, 1 when something is, and 3 when that cannot be told.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(base) == 0 && len(head) == 0 && len(args) == 2 {
				base, head, args = args[:1], args[1:], nil
			}
			if len(base) == 0 || len(head) == 0 || len(args) > 0 {
				return usage("name two sides: `gameday compare BASE HEAD`, or --base and --head with records behind each")
			}
			if err := p.check(); err != nil {
				return err
			}
			return a.compare(p, base, head)
		},
	}
	p.flags(c)
	c.Flags().StringArrayVar(&base, "base", nil, "records to compare with; several may follow")
	c.Flags().StringArrayVar(&head, "head", nil, "records to compare; several may follow")
	return c
}

func (a *app) compare(p *comparison, base, head []string) error {
	var folders [2][]string
	for i, args := range [][]string{base, head} {
		found, err := report.Find(args...)
		if err != nil {
			return usage("%w", err)
		}
		folders[i] = found
	}
	few := len(folders[0]) < compare.MinRuns || len(folders[1]) < compare.MinRuns
	var sides [2][]*compare.Run
	for i, names := range folders {
		for _, name := range names {
			rec, err := report.Read(name)
			if err != nil {
				return usage("%w", err)
			}
			sides[i] = append(sides[i], compare.Measure(name, rec, few))
		}
	}
	o, err := p.options()
	if err != nil {
		return err
	}
	c, err := compare.Compare(sides[0], sides[1], o)
	if err != nil {
		return usage("%w", err)
	}
	return p.write(a, c)
}

// spread gives each of several words behind --base or --head a flag of its own, so that what a shell makes of a pattern
// can be written behind one.
func spread(args []string) []string {
	var out []string
	flag := ""
	for i, arg := range args {
		switch {
		case arg == "--":
			return append(out, args[i:]...)
		case arg == "--base" || arg == "--head":
			flag = arg
		case strings.HasPrefix(arg, "-"):
			flag = ""
			out = append(out, arg)
		case flag != "":
			out = append(out, flag+"="+arg)
		default:
			out = append(out, arg)
		}
	}
	if n := len(args); n > 0 && slices.Contains([]string{"--base", "--head"}, args[n-1]) {
		out = append(out, args[n-1]) // nothing behind it, of which the flags complain
	}
	return out
}

func (a *app) historyCmd() *cobra.Command {
	var o past.Options
	var since string
	var asJSON, noCache bool
	c := &cobra.Command{
		Use:   "history [DIR]",
		Short: "List the runs in runs/ or another folder, newest first, with their scores and times",
		Long: `Lists the runs in a folder of records, newest first: when, scenario, verdict, score, capacity, and the longest of the
times to detect and to recover; then each scenario's score, p95 and capacity over its runs. What is no record, or cannot
be read, is named on standard error and skipped. It remembers what it found in each record's folder, as summary.json,
which may be deleted at any time.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := runsDir
			if len(args) > 0 {
				dir = args[0]
			}
			var err error
			if o.Since, err = sinceWhen(since, time.Now()); err != nil {
				return err
			}
			if o.Last < 0 {
				return usage("--last is how many runs to list: 1 or more")
			}
			if o.Version = release(); noCache {
				o.Version = ""
			}
			return a.history(dir, o, asJSON)
		},
	}
	c.Flags().StringVar(&o.Scenario, "scenario", "", "only runs of this scenario")
	c.Flags().StringVar(&since, "since", "", "only what began since: 24h, 2026-11-20, or 2026-11-20T09:00:00Z")
	c.Flags().IntVar(&o.Last, "last", 0, "only so many, the newest")
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	c.Flags().BoolVar(&noCache, "no-cache", false, "read every record anew, and remember nothing")
	return c
}

func (a *app) history(dir string, o past.Options, asJSON bool) error {
	entries, skipped, err := past.List(dir, o)
	if err != nil {
		return usage("%w", err)
	}
	for _, s := range skipped {
		a.say("%s is skipped: %s", printable(s.Folder), printable(s.Why))
	}
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			Runs    []past.Entry   `json:"runs"`
			Skipped []past.Skipped `json:"skipped,omitempty"`
		}{append([]past.Entry{}, entries...), skipped})
	}
	if len(entries) == 0 {
		a.say("no such run in %s", dir)
		return nil
	}
	return past.Text(a.out, entries)
}

// release returns the version of this program if it names what it was built from, and nothing otherwise: what two
// builds of the same name find may differ.
func release() string {
	v := versionText()
	if v == "development" || strings.HasSuffix(v, "-dirty") {
		return ""
	}
	return fmt.Sprintf("gameday %s", v)
}
