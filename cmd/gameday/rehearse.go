package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/faults"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/scenarios"
)

// rehearseFlags are the flags of `gameday rehearse`.
type rehearseFlags struct {
	fence
	runs, audit  string
	heal, show   bool
	asJSON       bool
	bundle, sign string
}

func (a *app) rehearseCmd() *cobra.Command {
	f := &rehearseFlags{}
	c := &cobra.Command{
		Use:   "rehearse FILE [NAME]",
		Short: "Run what of a rehearsal is not go yet, and judge over all: go, no-go, or not yet known",
		Long: "Runs the scenarios of a rehearsal as `gameday run` does, those of a lane one after the other, lanes beside each other. What passed and is\n" +
			"fresh is not run again; after an interruption the same command goes on. Then one scorecard over all says go, no-go or not yet known,\n" +
			"with the reasons, and how it went beside the rehearsal before.\n\n" +
			"--show runs nothing, and judges what there is. --bundle packs the evidence into one archive, which `gameday verify` takes.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			cal, r, err := a.rehearsalOf(args)
			if err != nil {
				return err
			}
			return a.rehearse(f, cal, r)
		},
	}
	f.fence.flags(c)
	c.Flags().StringVar(&f.runs, "runs", runsDir, "folder for the records, where what was run before is looked for")
	c.Flags().StringVar(&f.audit, "audit", "", "file of the audit log (default: audit.jsonl beside the ledger)")
	c.Flags().BoolVar(&f.heal, "heal", false, "first revert faults that an earlier run left standing")
	c.Flags().BoolVar(&f.show, "show", false, "run nothing: judge what records show")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the scorecard over all as JSON on standard output; what the runs print goes to standard error")
	c.Flags().StringVar(&f.bundle, "bundle", "", "pack the evidence into this file, such as launch.zip")
	c.Flags().StringVar(&f.sign, "sign", "", "with --bundle: sign it with this SSH key, by ssh-keygen; a public key's file names one in the agent")
	return c
}

// rehearsalOf loads a calendar and picks a rehearsal: the one that is named, or the only one.
func (a *app) rehearsalOf(args []string) (*scenarios.Calendar, *rehearsals.Rehearsal, error) {
	c, err := a.calendar(args[0])
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, r := range c.Rehearsals {
		names = append(names, r.Name)
	}
	switch {
	case len(names) == 0:
		return nil, nil, usage("%s has no rehearsal; one is written as rehearsal \"launch\" { scenarios = [\"checkout.hcl\"] }", args[0])
	case len(args) == 1 && len(names) == 1:
		return c, c.Rehearsals[0], nil
	case len(args) == 1:
		return nil, nil, usage("%s has %d rehearsals: %s; name one", args[0], len(names), strings.Join(names, ", "))
	}
	if r := c.Rehearsal(args[1]); r != nil {
		return c, r, nil
	}
	hint := ""
	if near := faults.Nearest(args[1], names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, nil, usage("%s has no rehearsal %q; it has %s%s", args[0], args[1], strings.Join(names, ", "), hint)
}

// rehearsing is one call of `gameday rehearse`.
type rehearsing struct {
	*app
	flags *rehearseFlags
	what  *rehearsals.Rehearsal

	mu      sync.Mutex
	stopped string // why nothing further is begun
	code    int    // the worst of the runs
	failed  []error
}

func (a *app) rehearse(f *rehearseFlags, cal *scenarios.Calendar, what *rehearsals.Rehearsal) error {
	if f.sign != "" && f.bundle == "" {
		return usage("--sign signs a bundle; name its file with --bundle")
	}
	if f.bundle != "" {
		if info, err := os.Stat(filepath.Dir(f.bundle)); err != nil || !info.IsDir() {
			return usage("%s cannot be written: there is no folder %s", f.bundle, filepath.Dir(f.bundle))
		}
	}
	r := &rehearsing{app: a, flags: f, what: what}
	if !f.show {
		if err := r.run(); err != nil {
			return err
		}
	}
	seen, err := a.seen(f.runs, what, time.Now())
	if err != nil {
		return err
	}
	if err := a.printCard(seen.card, f.asJSON); err != nil {
		return err
	}
	if !f.show { // whoever only looks tells nobody
		a.tellRehearsal(cal, what, seen.card, f.audit)
	}
	if f.bundle != "" {
		if err := a.pack(f, what, seen); err != nil {
			return err
		}
	}
	code := seen.card.Exit
	if r.code == exitResidue { // also when a run was killed, and nobody knows what it left
		code = exitResidue
	}
	if err := errors.Join(r.failed...); err != nil || code != 0 {
		return &codeError{code: worse(code, map[bool]int{true: exitInconclusive}[err != nil]), err: err}
	}
	return nil
}

// printCard prints a scorecard over all.
func (a *app) printCard(c *rehearsals.Scorecard, asJSON bool) error {
	if !asJSON {
		return rehearsals.Text(a.out, c)
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("printing the scorecard: %w", err)
	}
	return nil
}

// run runs what is not go yet.
func (r *rehearsing) run() error {
	signal.Ignore(syscall.SIGPIPE) // somebody who stops reading must not stop the runs
	unlock, err := lockRehearsal(r.flags.runs, r.what.Name)
	if err != nil {
		return err
	}
	defer unlock()
	found, err := kept.Scan(r.flags.runs, goesOn)
	if err != nil {
		return usage("%w", err)
	}
	plan := rehearsals.Next(r.what, found.Rehearsals[r.what.Name], time.Now())
	r.announce(plan)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case s := <-signals:
			r.stop("signal " + s.String())
		case <-over:
		}
	}()
	var lanes sync.WaitGroup
	for _, l := range plan.Lanes {
		lanes.Go(func() { r.lane(l, len(plan.Lanes) > 1) })
	}
	lanes.Wait()
	return nil
}

// announce says what is run and what is not.
func (r *rehearsing) announce(p rehearsals.Plan) {
	if len(p.Fresh) > 0 {
		r.say("go already, and not run again: %s", strings.Join(p.Fresh, ", "))
	}
	if len(p.Running) > 0 {
		r.say("run by somebody else now, and left to them: %s", strings.Join(p.Running, ", "))
	}
	for _, l := range p.Lanes {
		in := ""
		if l.Name != "" {
			in = " in lane " + l.Name
		}
		r.say("to be run%s: %s", in, strings.Join(l.Scenarios, ", "))
	}
}

func (r *rehearsing) stop(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == "" {
		r.stopped = why
	}
}

// halted returns why nothing further is begun; empty is go on.
func (r *rehearsing) halted() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// lane runs the scenarios of a lane.
func (r *rehearsing) lane(l rehearsals.Lane, beside bool) {
	if len(l.After) > 0 {
		var err error
		if l, err = r.after(l); err != nil {
			r.fails(err)
			r.stop("a mistake in lane " + l.Name)
		}
	}
	for i, s := range l.Steps {
		if why := r.halted(); why != "" {
			r.say("not run, after %s: %s", why, strings.Join(l.Scenarios[i:], ", "))
			return
		}
		code, err := r.step(s, beside)
		r.mu.Lock()
		r.code = worse(r.code, code)
		r.mu.Unlock()
		if err != nil {
			r.fails(err)
			r.stop("a mistake with " + s.Name())
		} else if r.what.StopOn.After(code) {
			r.stop(fmt.Sprintf("%s ended with %d", s.Name(), code))
		}
	}
}

func (r *rehearsing) fails(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, err)
}

// after waits until what somebody else runs in a lane has ended, and returns what is to be run in it then.
func (r *rehearsing) after(l rehearsals.Lane) (rehearsals.Lane, error) {
	r.say("waiting for what somebody else runs in the same lane: %s", strings.Join(l.After, ", "))
	for {
		found, err := kept.Scan(r.flags.runs, goesOn)
		if err != nil {
			return l, err
		}
		shown := found.Rehearsals[r.what.Name]
		var busy []string
		for _, name := range l.After {
			for _, run := range shown[name] {
				if run.Running {
					busy = append(busy, found.Dirs[run.Record])
				}
			}
		}
		if len(busy) == 0 {
			return r.left(l, shown), nil
		}
		for slices.ContainsFunc(busy, func(dir string) bool { return kept.Busy(dir) || goesOn(dir) }) {
			if r.halted() != "" {
				return l, nil
			}
			time.Sleep(awaitEvery)
		}
	}
}

// awaitEvery is how often it is looked whether what somebody else runs has ended.
const awaitEvery = time.Second

// left returns what is left to be run in a lane in which somebody else's runs have ended, unless they stop everything.
func (r *rehearsing) left(l rehearsals.Lane, shown rehearsals.Shown) rehearsals.Lane {
	for _, name := range l.After {
		if last := rehearsals.Newest(shown[name]); last != nil && r.what.StopOn.AfterRun(last) {
			r.stop(fmt.Sprintf("the run %s of %s, which ended %s", last.Record, name, last.Verdict))
		}
	}
	for _, x := range rehearsals.Next(r.what, shown, time.Now()).Lanes {
		if x.Name == l.Name {
			return x
		}
	}
	return rehearsals.Lane{Name: l.Name}
}

// step runs one scenario, with a label in its record that says for what.
func (r *rehearsing) step(s rehearsals.Step, beside bool) (int, error) {
	dir, held, err := r.label(s)
	if err != nil {
		return 0, err
	}
	x := itemRun{item: s.Item, record: dir, fence: r.flags.fence, audit: r.flags.audit, heal: r.flags.heal, in: os.Stdin, out: r.app.out, errw: r.app.errw, held: held}
	if r.flags.asJSON {
		x.out = r.app.errw
	}
	if beside { // several print at once
		x.in = nil
		out := &prefixed{mu: &r.mu, to: x.out, head: s.Name() + " | "}
		errw := &prefixed{mu: &r.mu, to: x.errw, head: s.Name() + " | "}
		defer out.flush()
		defer errw.flush()
		x.out, x.errw = out, errw
	}
	code, err := r.app.runItem(x)
	held.Close()
	kept.Unlabel(dir) // of a run that was refused
	return code, err
}

// label makes the folder of a record with its label, which it holds.
func (r *rehearsing) label(s rehearsals.Step) (dir string, held *os.File, err error) {
	for range 5 { // another rehearsal may take the same name in the same second
		now := time.Now()
		dir = recordIn(r.flags.runs, s.Name(), now)
		l := kept.Label{Rehearsal: r.what.Name, Scenario: s.Name(), Lane: s.Lane, Variables: s.Item.Vars, Fingerprint: s.Fingerprint, At: now.UTC().Round(0)}
		if err = kept.WriteLabel(dir, l); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err == nil {
		held, err = kept.Hold(dir)
	}
	return dir, held, err
}

// prefixed writes whole lines, each with a head. Its lock is shared with others that write to the same place.
type prefixed struct {
	mu   *sync.Mutex
	to   io.Writer
	head string
	rest []byte
}

// Write takes what it is given, and writes the lines that are whole.
func (p *prefixed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		_, _ = fmt.Fprintf(p.to, "%s%s\n", p.head, p.rest[:i]) // whoever stopped reading must not stop the run
		p.rest = p.rest[i+1:]
	}
}

func (p *prefixed) flush() {
	if len(p.rest) > 0 {
		_, _ = p.Write([]byte("\n"))
	}
}

// lockRehearsal keeps two calls from running one rehearsal at the same time.
func lockRehearsal(runs, name string) (unlock func(), err error) {
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return nil, usage("making the folder for the records: %w", err)
	}
	l, err := os.OpenFile(filepath.Join(runs, ".rehearse-"+name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, usage("locking the rehearsal: %w", err)
	}
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		l.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, usage("somebody runs rehearsal %s in %s now; wait for them, or look with --show", name, runs)
		}
		return nil, usage("locking the rehearsal: %w", err)
	}
	return func() { l.Close() }, nil
}

// goesOn reports whether the run of a record answers. One that has just begun, or is about to end, holds its label.
func goesOn(dir string) bool {
	_, err := conductor.Ask(context.Background(), dir, conductor.Request{Do: "status"})
	return err == nil
}

// sight is what somebody sees of a rehearsal.
type sight struct {
	found  *kept.Found
	signed []rehearsals.SignOff
	card   *rehearsals.Scorecard
}

// seen judges a rehearsal by what records show.
func (a *app) seen(runs string, what *rehearsals.Rehearsal, now time.Time) (*sight, error) {
	found, err := kept.Scan(runs, goesOn)
	if err != nil {
		return nil, usage("%w", err)
	}
	signed, broken, err := kept.SignOffs(runs)
	if err != nil {
		return nil, usage("%w", err)
	}
	if broken > 0 {
		a.say("%d line(s) of %s cannot be read and are left out", broken, filepath.Join(runs, kept.SignOffsFile))
	}
	shown := found.Rehearsals[what.Name]
	s := &sight{found: found, signed: rehearsals.SignedBy(signed, what.Name)}
	s.card = rehearsals.Judge(what, shown, s.signed, now)
	if broken > 0 && len(what.SignOff) > 0 {
		s.card.Doubt(fmt.Sprintf("%d line(s) of %s cannot be read, and may refuse to sign: mend them, or have them signed anew and take them out", broken, filepath.Join(runs, kept.SignOffsFile)))
	}
	for _, why := range found.Skipped {
		s.card.Doubt(why + ", so that the run may be of this rehearsal: mend it, or move the record away")
	}
	if with := rehearsals.Before(what, found.Rehearsals); with != "" {
		s.card.Compared = rehearsals.Compare(with, shown, found.Rehearsals[with])
		if s.card.Compared == nil && what.CompareWith != "" {
			a.say("there is nothing to compare with: no scenario was run both for %s and for %s in %s", what.Name, with, runs)
		}
	}
	return s, nil
}
