package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/scenarios"
)

// signFlags are the flags of `gameday sign-off`.
type signFlags struct {
	runs, role, by, saw, why string
	refuse, asJSON           bool
}

func (a *app) signOffCmd() *cobra.Command {
	f := &signFlags{}
	c := &cobra.Command{
		Use:   "sign-off FILE [NAME] --as ROLE --by WHO --saw DIGEST",
		Short: "Sign for what a rehearsal shows, or refuse to",
		Long: "Adds to the sign-offs who signed for a role, when, and what they saw: the digest that stands below the scorecard of `gameday rehearse`,\n" +
			"or its first eight characters at least. When anything that was judged changes, the sign-off does not count any more. The last one of a\n" +
			"role counts; --refuse says no. Then it prints the scorecard. It is written to the audit log.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			cal, r, err := a.rehearsalOf(args)
			if err != nil {
				return err
			}
			return a.signOff(f, cal, r)
		},
	}
	c.Flags().StringVar(&f.runs, "runs", runsDir, "folder of the records")
	c.Flags().StringVar(&f.role, "as", "", "the role that it is signed for, one of those that the rehearsal asks for")
	c.Flags().StringVar(&f.by, "by", "", "who signs")
	c.Flags().StringVar(&f.saw, "saw", "", "the digest of the scorecard that they saw")
	c.Flags().StringVar(&f.why, "why", "", "what they say to it")
	c.Flags().BoolVar(&f.refuse, "refuse", false, "say no: it is no-go until the role signs")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the scorecard as JSON")
	return c
}

var sawForm = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

func (a *app) signOff(f *signFlags, cal *scenarios.Calendar, what *rehearsals.Rehearsal) error {
	switch {
	case len(what.SignOff) == 0:
		return usage("rehearsal %s asks for no sign-off; write sign_off = [\"sre\"] in %s", what.Name, what.File)
	case !slices.Contains(what.SignOff, f.role):
		return usage("--as %q: rehearsal %s asks for the sign-off of %s", f.role, what.Name, strings.Join(what.SignOff, ", "))
	case strings.TrimSpace(f.by) == "" || len(f.by) > 200:
		return usage("say who signs: --by NAME")
	case f.refuse && strings.TrimSpace(f.why) == "":
		return usage("say why it is refused: --why TEXT")
	case len(f.why) > 2000:
		return usage("--why has %d characters, and 2000 are allowed", len(f.why))
	case !sawForm.MatchString(f.saw):
		return usage("say what was seen: --saw with the digest below the scorecard of `gameday rehearse %s %s --show`, or its first eight characters at least", what.File, what.Name)
	}
	now := time.Now()
	before, err := a.seen(f.runs, what, now)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(before.card.Digest, f.saw) {
		return usage("what was seen (%s) is not what there is now (%s): look again, with `gameday rehearse %s %s --show`. Nothing was signed", f.saw, before.card.Digest[:16], what.File, what.Name)
	}
	me := audit.Me()
	s := rehearsals.SignOff{Rehearsal: what.Name, Role: f.role, By: f.by, As: me.String(), Host: me.Host, At: now.UTC().Round(0), Saw: before.card.Digest, Showed: before.card.State,
		Refused: f.refuse, Why: f.why}
	if err := kept.Sign(f.runs, s); err != nil {
		return usage("%w", err)
	}
	l := audit.Line{What: audit.SignedOff, Scenario: what.Name, File: what.File, Item: "as " + f.role, Verdict: "signed", Why: "by " + f.by + ", who saw " + s.Saw}
	if abs, err := filepath.Abs(what.File); err == nil {
		l.File = abs
	}
	if f.refuse {
		l.Verdict = "refused"
	}
	if f.why != "" {
		l.Why += ": " + f.why
	}
	a.auditOne(l)
	after, err := a.seen(f.runs, what, now)
	if err != nil {
		return err
	}
	if err := a.printCard(after.card, f.asJSON); err != nil {
		return fmt.Errorf("it was signed: %w", err)
	}
	a.tellRehearsal(cal, what, after.card, "")
	if after.card.Exit != 0 {
		return &codeError{code: after.card.Exit}
	}
	return nil
}
