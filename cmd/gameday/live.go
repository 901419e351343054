package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/faults"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/report"
	"gameday/responders"
)

// ask puts a request to the run in a folder, or to the newest run in progress, and prints its answer.
func (a *app) ask(dir string, req conductor.Request) error {
	if dir == "" {
		var err error
		dir, err = newest(func(dir string) bool {
			_, err := conductor.Ask(context.Background(), dir, conductor.Request{Do: "status"})
			return err == nil
		})
		if err != nil {
			return usage("no run is in progress in %q; name its record's folder with --run", runsDir)
		}
	}
	text, err := conductor.Ask(context.Background(), dir, req)
	if errors.Is(err, conductor.ErrNoRun) && req.Do == "mark" {
		text, err = conductor.MarkAfter(context.Background(), dir, report.Mark{Name: req.Name, By: req.By, Text: req.Text})
	}
	switch {
	case errors.Is(err, conductor.ErrNoRun) && req.Do == "act":
		return usage("no run is in progress in %s: what is done about a page can be said only while it runs; other marks, and "+
			"`gameday override`, are for afterwards", dir)
	case err != nil:
		return usage("%w", err)
	}
	fmt.Fprintln(a.out, text)
	return nil
}

// verbs are what can be done about a page.
var verbs = responders.Verbs()

func (a *app) markCmd() *cobra.Command {
	var dir, by, page, channel string
	c := &cobra.Command{
		Use:   "mark VERB [TEXT…] | mark NAME [TEXT…]",
		Short: "Tell a run in progress what people do: acknowledge, escalate, bridge, diagnose, or any other mark",
		Long: `Tells a run in progress what people do. The verbs acknowledge, escalate, note, bridge, channel, join, runbook, customers, diagnose and
resolve go to the paging desk and concern a page: the newest open one, or --page. Anything else is a mark of that name, for the record.

  gameday mark acknowledge --by ann
  gameday mark join "incident lead" --by bob
  gameday mark diagnose "network between payments and ledger" --by bob
  gameday mark "diagnosis right" --by fay        (the facilitator, about what was said last)
  gameday mark "customers told" --by ann

With --run a mark can also be put into the record of a run that is over, such as "post-mortem filed" or "diagnosis right"; it counts
from now.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if by == "" {
				by = whoami()
			}
			text := strings.Join(args[1:], " ")
			req := conductor.Request{Do: "mark", Name: args[0], By: by, Text: text}
			if channel != "" && page == "" && !slices.Contains(verbs, responders.Verb(args[0])) {
				return usage("a mark for the record has no channel; use a verb (gameday mark bridge --channel %s), or say which page with --page", channel)
			}
			if v := responders.Verb(args[0]); slices.Contains(verbs, v) {
				req = conductor.Request{Do: "act", Act: &responders.Action{Page: page, Verb: v, By: by, Text: text, Channel: channel}}
			} else if page != "" {
				req = conductor.Request{Do: "act", Act: &responders.Action{Page: page, Verb: responders.DoMark, By: by, Text: args[0], Channel: channel}}
			}
			if err := a.ask(dir, req); err != nil {
				return err
			}
			if v := meantVerb(args[0]); v != "" {
				a.say("that is a mark of this name, and no page was touched; the verb is %q", v)
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "run", "", "the run's record folder (default: the newest run in progress in runs/)")
	c.Flags().StringVar(&by, "by", "", "who does it (default: your user name)")
	c.Flags().StringVar(&channel, "channel", "", "how it is done, where that matters: chat, bridge, phone")
	c.Flags().StringVar(&page, "page", "", "which page (default: the newest open one)")
	return c
}

// meantVerb returns the verb that a mark's name was probably meant to be: its begin, or nearly it.
func meantVerb(name string) responders.Verb {
	if name == report.DiagnosisMark {
		return ""
	}
	var near []string
	for _, v := range verbs {
		if string(v) == name {
			return ""
		}
		if len(name) > 2 && strings.HasPrefix(string(v), strings.ToLower(name)) {
			return v
		}
		near = append(near, string(v))
	}
	return responders.Verb(faults.Nearest(name, near))
}

func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// guardCmd is the role in which the program stands on a target and holds faults. People do not call it.
func (a *app) guardCmd() *cobra.Command {
	return &cobra.Command{
		Use:                "guard",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			p := guard.Program{Kinds: allKinds(), Find: find.Answer}
			if code := p.Main(args, os.Stdin, os.Stdout, os.Stderr); code != 0 {
				return &codeError{code: code}
			}
			return nil
		},
	}
}
