package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gameday/announce"
	"gameday/announce/crier"
	"gameday/announce/deliver"
	"gameday/announce/told"
	"gameday/audit"
	"gameday/faults"
	"gameday/rehearsals"
	"gameday/report"
	"gameday/report/fresh"
	past "gameday/report/history"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// announceFlags are the flags of `gameday announce`.
type announceFlags struct {
	test               bool
	to                 []string
	state, runs, audit string
}

func (a *app) announceCmd() *cobra.Command {
	f := &announceFlags{}
	c := &cobra.Command{
		Use:   "announce FILE",
		Short: "Tell a calendar's people what is ahead and what could not be told yet; try its channels",
		Long: `Tells the channels of a calendar's notify blocks what is due: game days ahead, one that did not come to its end because gameday was
killed, scenarios that have not passed for too long, and whatever could not be delivered before. Call it every hour, by a timer; schedule
run and rehearse tell the rest themselves. What was told is not told again, however often and wherever this is called, as long as the
state folder is the same.

With --test each channel, or each that --to names, is sent a message that says that it is a test, and what it answered is printed.

The exit code is 0 when everything that was due was taken, and 1 otherwise.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cal, err := a.calendar(args[0])
			if err != nil {
				return err
			}
			if len(cal.Notify) == 0 {
				return usage("%s has no notify block, so that nobody can be told; one is written as notify \"slack\" \"sre\" { url_env = \"SLACK_URL\" }", args[0])
			}
			if f.test {
				return a.tryChannels(f, cal)
			}
			if len(f.to) > 0 {
				return usage("--to says which channels are tried, with --test")
			}
			return a.announceDue(f, cal)
		},
	}
	c.Flags().BoolVar(&f.test, "test", false, "send a test message to the channels, and print what each answered")
	c.Flags().StringArrayVar(&f.to, "to", nil, "with --test: only this channel, such as sre or slack.sre (may be given several times)")
	c.Flags().StringVar(&f.state, "state", "", "folder of what ran and of what was told (default $"+stateVariable+", else schedules beside the ledger)")
	c.Flags().StringVar(&f.runs, "runs", runsDir, "folder of the records, for what has not passed for too long")
	c.Flags().StringVar(&f.audit, "audit", "", "file of the audit log (default: audit.jsonl beside the ledger)")
	return c
}

// tryChannels sends a test message to channels, and prints what each answered.
func (a *app) tryChannels(f *announceFlags, cal *scenarios.Calendar) error {
	chosen, err := chosenChannels(cal.Notify, f.to)
	if err != nil {
		return err
	}
	sender := &deliver.Sender{Getenv: os.Getenv, Version: versionText()} // one try: whoever tries wants to see
	ctx, stop := untilSignal()
	defer stop()
	failed := 0
	var rows [][]string
	for _, c := range chosen {
		d := c.Try(audit.Me().String(), time.Now())
		out := sender.Send(ctx, c, &d.Message)
		l := told.Line{What: told.Delivered, Why: out.Text}
		if out.Err != nil {
			failed++
			l.What, l.Why = told.GivenUp, out.Err.Error()
		}
		a.auditTold(f.audit, told.Report{Draft: d, Line: l})
		rows = append(rows, []string{c.ID(), string(c.To), map[bool]string{true: "not taken", false: "taken"}[out.Err != nil], report.PlainText(l.Why)})
	}
	var b strings.Builder
	if err := report.Table(&b, []report.Column{{Head: "CHANNEL"}, {Head: "FOR"}, {Head: ""}, {Head: "ANSWER", Width: 70}}, rows); err != nil {
		return fmt.Errorf("drawing the list: %w", err)
	}
	if _, err := fmt.Fprint(a.out, b.String()); err != nil {
		return err
	}
	if failed > 0 {
		return &codeError{code: 1}
	}
	return nil
}

// chosenChannels returns the channels that some names stand for; all when there are none.
func chosenChannels(all []*announce.Channel, names []string) ([]*announce.Channel, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []*announce.Channel
	var known, near []string
	for _, c := range all {
		known = append(known, c.ID())
		near = append(near, c.Name)
	}
	for _, name := range names {
		found := false
		for _, c := range all {
			if name == c.Name || name == c.ID() || name == string(c.Kind)+"."+c.Name {
				out, found = append(out, c), true
			}
		}
		if !found {
			hint := ""
			if one := faults.Nearest(name, append(near, known...)); one != "" {
				hint = fmt.Sprintf("; did you mean %q?", one)
			}
			return nil, usage("--to %q is none of the channels; there are %s%s", name, strings.Join(known, ", "), hint)
		}
	}
	return out, nil
}

// announceDue tells what is due.
func (a *app) announceDue(f *announceFlags, cal *scenarios.Calendar) error {
	dir, err := stateDir(f.state, cal.Name)
	if err != nil {
		return err
	}
	folder, err := claims.Open(dir)
	if err != nil {
		return usage("%w", err)
	}
	var done []told.Report
	box, err := told.Open(announcementsDir(dir))
	if err != nil {
		return usage("%w", err)
	}
	c := a.crierOf(box, cal.Notify, f.audit)
	record := c.Done
	c.Done = func(r told.Report) {
		record(r)
		done = append(done, r)
	}
	seed, unread := seedOf(dir)
	if unread == nil {
		unread = a.tellDue(c, cal, folder.Reader(), seed)
	}
	a.tellStale(c, cal, f.runs)
	ctx, stop := untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, tellLast)
	defer cancel()
	next := c.Flush(ctx) // what is kept is told, whatever cannot be read
	if left := c.Unready(); unread == nil || len(done)+len(left) > 0 {
		err = a.printTold(done, left, next)
	}
	if unread != nil {
		return unread
	}
	return err
}

// tellDue posts what is ahead, what did not come to its end, and what was skipped without anybody being told.
func (a *app) tellDue(c *crier.Crier, cal *scenarios.Calendar, reader *claims.Reader, seed schedules.Seed) error {
	kept, state, err := reader.Read()
	if err != nil {
		return usage("%w", err)
	}
	c.Coming(cal.Schedules, state, seed, true)
	c.Recall(cal.Schedules, kept, seed)
	held, err := others() // what goes on did not die, and nothing else is asked of it
	if err != nil {
		return usage("%w", err)
	}
	c.Unfinished(cal.Schedules, claims.Died(kept), held)
	return nil
}

// tellStale posts which scenarios have not passed for too long.
func (a *app) tellStale(c *crier.Crier, cal *scenarios.Calendar, runs string) {
	if !c.Limited() {
		return
	}
	var ask fresh.Ask
	for _, s := range cal.Schedules {
		for _, x := range s.Items {
			ask.Scenarios = append(ask.Scenarios, x.Scenario)
		}
	}
	entries, skipped, err := past.List(runs, past.Options{Version: release()})
	if err != nil {
		a.say("nobody knows what has not passed for too long: %v", err)
		return
	}
	passed := map[string]time.Time{}
	for _, row := range fresh.Of(entries, skipped, ask, time.Now()).Scenarios {
		if row.Passed != nil {
			passed[row.Name] = row.Passed.Started
		}
	}
	for _, s := range cal.Schedules {
		var ages []announce.Age
		for _, x := range s.Items {
			ages = append(ages, announce.Age{Scenario: x.Scenario, Blind: x.Blind, Passed: passed[x.Scenario], Unread: len(skipped)})
		}
		c.Stale(s.Name, ages)
	}
}

// printTold prints what became of what was due, and which channels could not be told from here.
func (a *app) printTold(done []told.Report, left map[string]string, next time.Time) error {
	failed := len(left) > 0
	for _, id := range slices.Sorted(maps.Keys(left)) {
		if _, err := fmt.Fprintf(a.out, "left  %s  %s\n", id, left[id]); err != nil {
			return err
		}
	}
	for _, r := range done {
		text := r.Line.What
		if r.Line.What == told.Delivered {
			text = "told"
		} else {
			failed = true
		}
		if _, err := fmt.Fprintf(a.out, "%s  %s  %s\n", text, r.Draft.Channel, r.Draft.Message.Title); err != nil {
			return err
		}
	}
	if len(done)+len(left) == 0 {
		until := ""
		if !next.IsZero() {
			until = "; the next is at " + next.Local().Format("2006-01-02 15:04:05 MST")
		}
		if _, err := fmt.Fprintf(a.out, "nothing is to be told now%s\n", until); err != nil {
			return err
		}
	}
	if failed {
		return &codeError{code: 1}
	}
	return nil
}

// judgement returns what an audience may know of a rehearsal: everyone hears no reason that is about a blind scenario, for one that is not go is to be run,
// or run again, and of who signed no more than the role: what they said, and what was run since, may name one.
func judgement(what *rehearsals.Rehearsal, card *rehearsals.Scorecard, to announce.Audience) announce.Judgement {
	j := announce.Judgement{Rehearsal: what.Name, State: card.State.String(), Residue: card.Residue, Digest: card.Digest, At: card.Now,
		Command: fmt.Sprintf("gameday rehearse %s %s --show (on %s)", what.File, what.Name, audit.Me().Host)}
	blind := map[string]bool{}
	for _, s := range what.Steps {
		blind[s.Name()] = s.Item.Blind
	}
	for i := range card.Steps {
		s := &card.Steps[i]
		if to != announce.Facilitators && blind[s.Scenario] && s.State != rehearsals.Go {
			continue
		}
		for _, r := range s.Reasons {
			j.Why = append(j.Why, s.Scenario+": "+r.Text)
		}
	}
	for _, s := range card.SignOffs {
		switch {
		case s.State == rehearsals.Go:
		case to != announce.Facilitators && s.Last != nil:
			j.Why = append(j.Why, "sign-off of "+s.Role+": "+s.State.String())
		default:
			j.Why = append(j.Why, "sign-off of "+s.Role+": "+s.Text)
		}
	}
	beside := card.Beside()
	if to != announce.Facilitators && len(beside) > 0 { // a record may be one of a blind scenario
		beside = []string{"there is something about none of its scenarios, of which only facilitators are told more."}
	}
	for _, why := range beside {
		j.Why = append(j.Why, strings.TrimSuffix(why, "."))
	}
	return j
}

// tellRehearsal tells people what a rehearsal has come to.
func (a *app) tellRehearsal(cal *scenarios.Calendar, what *rehearsals.Rehearsal, card *rehearsals.Scorecard, auditFile string) {
	channels := cal.RehearsalChannels(what.Name)
	if len(channels) == 0 {
		return
	}
	dir, err := stateDir("", cal.Name)
	if err != nil {
		a.say("nobody is told what the rehearsal has come to: %v", err)
		return
	}
	c := a.crierFor(channels, dir, auditFile)
	c.Rehearsed(scenarios.RehearsalScope(what.Name), func(to announce.Audience) announce.Judgement { return judgement(what, card, to) })
	lastTold(c, tellLast)
}

// sayMissing names the channels of a calendar whose secrets are not at hand here.
func (a *app) sayMissing(cal *scenarios.Calendar) {
	sender := &deliver.Sender{Getenv: os.Getenv}
	for _, c := range cal.Notify {
		for _, what := range sender.Missing(c) {
			a.say("%s cannot be told from here: %s", c.ID(), what)
		}
	}
}
