package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/faults"
)

func (a *app) auditCmd() *cobra.Command {
	var since, path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "audit",
		Short: "Print the audit log: who ran what, where, when, and what was reverted",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			from, err := sinceWhen(since, time.Now())
			if err != nil {
				return err
			}
			if path == "" {
				dir, err := faults.DefaultLedgerDir()
				if err != nil {
					return usage("%w", err)
				}
				path = audit.DefaultFile(dir)
			}
			lines, broken, err := audit.Read(path, from)
			if err != nil {
				return usage("%w", err)
			}
			if broken > 0 {
				a.say("%d line(s) of %s cannot be read and are left out", broken, path)
			}
			if asJSON {
				return a.auditJSON(lines)
			}
			return a.auditTable(lines)
		},
	}
	c.Flags().StringVar(&since, "since", "", "only what happened since: 24h, 2026-11-20, or 2026-11-20T09:00:00Z")
	c.Flags().BoolVar(&asJSON, "json", false, "print the lines as JSON, one a line")
	c.Flags().StringVar(&path, "audit", "", "the log (default: audit.jsonl beside the ledger)")
	return c
}

// sinceWhen reads an instant, or how long ago it was.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--since %q is neither a duration (24h) nor a date (2026-11-20)", text)
}

func (a *app) auditJSON(lines []audit.Line) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) auditTable(lines []audit.Line) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if len(lines) > 0 {
		fmt.Fprintln(w, "TIME\tWHO\tWHAT\tRUN\tFAULT\tPLACE\tDETAIL")
	}
	for _, l := range lines {
		what := strings.ReplaceAll(l.What, "_", " ")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.At.UTC().Format("2006-01-02 15:04:05Z"), printable(l.Who.String()), what,
			printable(cmp.Or(l.Run, l.Scenario)), printable(l.Fault), printable(l.Place), printable(detail(l)))
	}
	return w.Flush()
}

// detail is what only lines of that sort have.
func detail(l audit.Line) string {
	var parts []string
	switch l.What {
	case audit.RunBegan, audit.RunRefused:
		parts = append(parts, fmt.Sprintf("%s (%.8s)", l.File, l.Digest))
		for _, p := range l.Policies {
			parts = append(parts, fmt.Sprintf("policy %s (%.8s)", p.File, p.Digest))
		}
		if l.ApprovedBy != "" {
			parts = append(parts, "approved by "+l.ApprovedBy)
		}
	case audit.Overrode, audit.SignedOff:
		parts = append(parts, l.Item+" "+l.Verdict)
	case audit.Verdict:
		parts = append(parts, l.Verdict)
	case audit.Injecting:
		parts = append(parts, l.Kind)
	}
	if l.Why != "" {
		parts = append(parts, l.Why)
	}
	return strings.Join(parts, "; ")
}

// printable keeps a text to its cell: one line, no tabs, nothing that moves a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}
