package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/conductor/pairs"
	"gameday/report"
	"gameday/report/compare"
	"gameday/scenarios"
)

// regressing are the flags of `gameday regress`.
type regressing struct {
	loading
	comparison
	fence
	base, head               string
	baseCommand, headCommand string
	from, build              string
	ready, cleanup, dir      string
	readyWithin, budget      time.Duration
	pairs                    int
	unasked                  *scenarios.Scenario // until 1x and what is replayed are known
	asked                    []string            // what came of it, for every run
}

func (a *app) regressCmd() *cobra.Command {
	f := &regressing{}
	c := &cobra.Command{
		Use:   "regress --base REF --head REF SCENARIO",
		Short: "Run two builds in turn until it is known whether the second is worse",
		Long: `Runs base and head in turn, each against a fresh world, until the answer is significant or the budget is spent. A side
is a git ref, which is checked out into a temporary worktree and built; or a shell command that makes its world ready
before each run; or both.
The scenario is that of head for both sides. Every run is kept as a record; checkouts and processes go, also on Ctrl-C.

Exits 0 when head is not worse by more than the scenario tolerates, 1 when it is, 3 when the budget did not suffice to
tell, 2 when something is wrong with the command, the scenario or a build, and 5 when a run left a fault standing.`,
		Example: "  gameday regress --base origin/main --head HEAD --build 'make build' examples/shop/game-day.hcl\n" +
			"  gameday regress --base-command 'IMAGE=shop:1.2 ./deploy' --head-command 'IMAGE=shop:1.3 ./deploy' shop.hcl",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.regress(f, args[0])
		},
	}
	f.loading.flags(c)
	f.pick(c)
	f.comparison.flags(c)
	f.fence.flags(c)
	c.Flags().StringVar(&f.base, "base", "", "git ref to compare with")
	c.Flags().StringVar(&f.head, "head", "", "git ref to compare")
	c.Flags().StringVar(&f.baseCommand, "base-command", "", "shell command that makes base's world ready before each of "+
		"its runs")
	c.Flags().StringVar(&f.headCommand, "head-command", "", "the same for head")
	c.Flags().StringVar(&f.build, "build", "", "shell command that builds a checkout, run at its root (default: the "+
		"scenario's)")
	c.Flags().StringVar(&f.from, "scenario-from", "head", "whose scenario both sides run: head or base")
	c.Flags().StringVar(&f.ready, "ready", "", "shell command that exits 0 once a world is ready; without it the side's "+
		"command must end by then")
	c.Flags().DurationVar(&f.readyWithin, "ready-within", time.Minute, "how long --ready may take")
	c.Flags().StringVar(&f.cleanup, "cleanup", "", "shell command after each run of either side")
	c.Flags().IntVar(&f.pairs, "pairs", compare.DefaultPairs, "pairs of runs at most, up to 20")
	c.Flags().DurationVar(&f.budget, "budget", time.Hour, "time at most, building not counted; 0 for no bound")
	c.Flags().StringVar(&f.dir, "records", "", "folder for the records (default runs/<time>-regress-<scenario>)")
	return c
}

// check reports flags that cannot be, before anything is done for them.
func (f *regressing) check() error {
	switch {
	case f.base == "" && f.baseCommand == "", f.head == "" && f.headCommand == "":
		return usage("name two sides: --base and --head with git refs, or --base-command and --head-command")
	case f.from != "head" && f.from != "base":
		return usage("--scenario-from is head or base, not %q", f.from)
	case f.budget < 0 || f.readyWithin <= 0:
		return usage("--budget and --ready-within are times such as 30m")
	case f.pairs < 1 || f.pairs > 20:
		return usage("--pairs is from 1 to 20: the bounds of a sequence are computed exactly up to there")
	}
	return f.comparison.check()
}

func (a *app) regress(f *regressing, path string) error {
	dir := f.dir
	if dir == "" {
		name := folderName(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
		dir = filepath.Join(runsDir, time.Now().Format("20060102-150405")+"-regress-"+name)
	}
	if records, _, err := report.Folders(dir); err == nil && len(records) > 0 {
		return usage("%s holds records already; name another folder with --records", dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return usage("finding the folder for the records: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usage("making the folder for the records: %w", err)
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	defer os.Remove(dir) // only when nothing was kept
	ctx, stop := a.interrupted()
	defer stop()
	c, err := pairs.Run(ctx, pairs.Options{
		Base:     pairs.Side{Name: "base", Ref: f.base, Command: f.baseCommand},
		Head:     pairs.Side{Name: "head", Ref: f.head, Command: f.headCommand},
		Scenario: path, FromBase: f.from == "base", Build: f.build, Ready: f.ready, ReadyWithin: f.readyWithin,
		Cleanup: f.cleanup,
		Pairs:   f.pairs, Budget: f.budget, Dir: dir, Compare: o,
		Load: func(path string) (*pairs.Scenario, error) { return f.scenarioAt(a, path) },
		Run: func(ctx context.Context, folder, scenario, record string, log io.Writer) (int, error) {
			if err := f.ask(ctx, a); err != nil {
				return 0, err
			}
			return f.gameDay(ctx, folder, scenario, record, log)
		},
		Say: a.say,
	})
	if c != nil {
		err = errors.Join(err, f.keep(dir, c))
	}
	switch {
	case err == nil:
		return f.comparison.write(a, c)
	case errors.Is(err, pairs.ErrResidue):
		return &codeError{code: exitResidue, err: err}
	case errors.Is(err, pairs.ErrUsage):
		return usage("%w", err)
	}
	var code *codeError // of the scenario's mistakes, which are printed
	if errors.As(err, &code) {
		return err
	}
	return &codeError{code: exitInconclusive, err: err}
}

// keep writes what came out beside the records.
func (f *regressing) keep(dir string, c *compare.Comparison) error {
	asJSON := func(w io.Writer) error { return compare.JSON(w, c) }
	asMarkdown := func(w io.Writer) error { return compare.Markdown(w, c) }
	return errors.Join(writeFile(filepath.Join(dir, "comparison.json"), asJSON),
		writeFile(filepath.Join(dir, "comparison.md"), asMarkdown))
}

// interrupted returns a context that ends with the first signal to stop. To another one it says what is waited for: the
// run in progress is reverting what stands.
func (a *app) interrupted() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ownSignals.Store(true)
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Somebody who stops reading what we say must not stop the cleaning up, nor change the exit code. It is not ignored, for
	// what is started would ignore it too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		for sig := range c {
			if ctx.Err() != nil {
				a.say("still waiting for the run in progress to undo what it did")
			}
			cancel(fmt.Errorf("%s: stopped; the runs so far are kept", sig))
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(c)
		cancel(nil)
	}
}

// scenarioAt loads the scenario of a checkout. Mistakes in it are printed.
func (f *regressing) scenarioAt(a *app, path string) (*pairs.Scenario, error) {
	_, s, err := f.one(a, path, false)
	if err != nil {
		return nil, err
	}
	f.unasked = s
	out := &pairs.Scenario{Plan: conductor.MakePlan(s), Files: []string{path}, Folders: []string{s.Dir}}
	if s.Regression != nil {
		out.Build = s.Regression.Build
	}
	for _, t := range s.Traffic {
		if t.Script == "" {
			continue
		}
		out.Files = append(out.Files, t.Script)
		if folder := filepath.Dir(t.Script); !slices.Contains(out.Folders, folder) {
			out.Folders = append(out.Folders, folder)
		}
	}
	return out, nil
}

// ask finds out, when the first world is ready, what 1x is and what is replayed. All runs shall send the same: two answers would
// make a difference that no build has made.
func (f *regressing) ask(ctx context.Context, a *app) (err error) {
	if f.unasked == nil {
		return nil
	}
	if err := a.askBefore(ctx, f.unasked, true); err != nil {
		return err
	}
	f.asked, err = conductor.Answers(f.unasked)
	f.unasked = nil
	return err
}

// gameDay runs the scenario by this same program.
func (f *regressing) gameDay(ctx context.Context, folder, scenario, record string, log io.Writer) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("finding gameday itself: %w", err)
	}
	args := []string{"run", "--record", record}
	asked := os.Environ()
	for i, text := range f.asked {
		asked = append(asked, askedVariable+strconv.Itoa(i)+"="+text)
	}
	for _, v := range f.vars {
		args = append(args, "--var", v)
	}
	for _, v := range f.varFiles {
		if abs, err := filepath.Abs(v); err == nil {
			v = abs
		}
		args = append(args, "--var-file", v)
	}
	policy := f.policy
	if abs, err := filepath.Abs(policy); err == nil && policy != "" {
		policy = abs
	}
	for _, flag := range [][2]string{{"--scenario", f.scenario}, {"--policy", policy}, {"--approved-by", f.approvedBy}} {
		if flag[1] != "" {
			args = append(args, flag[0], flag[1])
		}
	}
	cmd := exec.CommandContext(ctx, self, append(args, scenario)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = folder, asked, log, log
	// A Ctrl-C reaches it once, from here; and when this program is killed, it is stopped as well, where that can be told.
	cmd.SysProcAttr = pairs.Group()
	// It reverts what stands and reports, however long that takes: nothing may be left because somebody was impatient.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}
