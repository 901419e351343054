// Package pairs runs two builds of a system in turn, each against a world of its own, until what their records show is
// decided. It decides nothing itself: compare.Sequential does, from the pairs so far.
package pairs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gameday/report"
	"gameday/report/compare"
	"gameday/report/stats"
)

// Side is one of the two builds.
type Side struct {
	Name string // "base" or "head"
	// Ref is what is checked out of version control; empty for none, and the folder is then the one regress runs in.
	Ref string
	// Command is a shell command that makes the world ready before each run of the side; empty for none.
	Command string
}

// Scenario is what is known of the scenario before it runs.
type Scenario struct {
	Plan *report.Plan
	// Build is the command that builds a checkout, as the scenario says; empty for none.
	Build string
	// Files are its file and its scripts, and Folders those in which they lie, absolute.
	Files, Folders []string
}

// Options say what runs. Load, Run and Say are given by the caller: this package knows no language and no terminal.
type Options struct {
	Base, Head Side
	// Scenario is the path of its file, as it is in this folder and in each checkout.
	Scenario string
	// FromBase takes the scenario of base for both sides, instead of that of head.
	FromBase bool
	Build    string // shell command, at the root of a checkout; empty for the scenario's own
	Ready    string // shell command that exits 0 once the world of a side is ready; empty when Command ends by then
	// ReadyWithin is how long that may take.
	ReadyWithin time.Duration
	Cleanup     string        // shell command after each run of either side; empty for none
	Pairs       int           // at most
	Budget      time.Duration // no pair is begun that would end later; 0 for no bound
	Dir         string        // folder for the records and the logs
	Compare     compare.Options

	Load func(path string) (*Scenario, error)
	// Run runs the scenario in a folder and keeps its record. It returns the exit code of a run, and has undone everything
	// by then, also when the context ends.
	Run func(ctx context.Context, folder, scenario, record string, log io.Writer) (code int, err error)
	Say func(format string, args ...any)
}

// Exit codes of a run that end a sequence. Those of verdicts do not.
const (
	codeUsage   = 2
	codeResidue = 5
)

// ErrResidue says that a run has left a fault standing.
var ErrResidue = errors.New("a fault is left standing; `gameday revert` removes it")

// ErrUsage says that nothing can be compared this way; nothing is left standing.
var ErrUsage = errors.New("regress cannot be run")

// stopLimit bounds what is done after the context has ended: cleaning up.
const stopLimit = time.Minute

// runner is one call of Run.
type runner struct {
	Options
	sides   [2]*place
	pairs   []compare.Pair
	began   time.Time     // after building
	longest time.Duration // of a pair so far
	most    int           // pairs, as the budget allows
}

// place is where a side runs.
type place struct {
	Side
	folder   string // in which the scenario's path is right
	root     string // of its checkout; empty without one
	scenario string
}

// Run runs base and head in turn until the answer is known, the pairs or the budget are used up, or the context ends.
// The comparison is that of the pairs that were completed; it is nil when there was none. Whatever it started and
// checked out is gone when it returns; the records stay.
func Run(ctx context.Context, o Options) (c *compare.Comparison, err error) {
	r := &runner{Options: o, most: min(o.Pairs, stats.MostPairs)}
	sweep(o.Say)
	trees, err := newWorktrees()
	if err != nil {
		return nil, err
	}
	defer func() {
		// It is no reason to keep the answer back, nor to change it.
		if err := trees.remove(); err != nil {
			o.Say("the checkouts in %s cannot be removed; remove them, and run `git worktree prune`: %v", trees.dir, err)
		}
	}()
	if err := r.prepare(ctx, trees); err != nil {
		return nil, err
	}
	r.began = time.Now()
	for i := 0; i < r.most; i++ {
		if err := r.pair(ctx, i); err != nil {
			return c, err
		}
		if c, err = (compare.Sequential{Most: r.most, Options: o.Compare}).Judge(r.pairs); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUsage, err)
		}
		r.Say("%s", c.Progress())
		if c.Decided {
			return c, nil
		}
		if i == 0 {
			if err := r.plan(c); err != nil {
				return nil, err
			}
		} else if left, over := r.left(); over {
			c.Why = append([]string{fmt.Sprintf("the budget of %s is spent (%s are left, and a pair takes %s)", o.Budget,
				left.Round(time.Second),
				r.longest.Round(time.Second))}, c.Why...)
			return c, nil
		}
	}
	return c, nil
}

// plan fits the number of pairs into the budget, once the first has shown how long one takes. It does not change after
// that: the bounds of the looks depend on it.
func (r *runner) plan(c *compare.Comparison) error {
	if r.Budget <= 0 {
		return nil
	}
	left, _ := r.left()
	r.most = min(r.most, 1+max(0, int(left/r.longest)))
	counting := 0
	for i := range c.Rows {
		if c.Rows[i].Counts {
			counting++
		}
	}
	if err := (compare.Sequential{Most: r.most}).Check(counting); err != nil {
		return fmt.Errorf("%w: a pair takes %s, so that the budget of %s has room for %d: %w", ErrUsage,
			r.longest.Round(time.Second), r.Budget, r.most, err)
	}
	return nil
}

// left returns how much of the budget is left, and whether that is too little for another pair.
func (r *runner) left() (left time.Duration, over bool) {
	left = r.Budget - time.Since(r.began)
	return left, r.Budget > 0 && left < r.longest
}

// pair runs both sides once. Which goes first changes from pair to pair, so that what the first leaves behind, warm or
// dirty, falls on both alike.
func (r *runner) pair(ctx context.Context, i int) error {
	began := time.Now()
	var p compare.Pair
	order := []int{0, 1}
	if i%2 == 1 {
		order = []int{1, 0}
	}
	for _, k := range order {
		run, err := r.one(ctx, r.sides[k], i)
		if err != nil {
			return err
		}
		if k == 0 {
			p.Base = run
		} else {
			p.Head = run
		}
	}
	r.pairs = append(r.pairs, p)
	r.longest = max(r.longest, time.Since(began))
	return nil
}

// one runs one side once, in a fresh world, and measures its record.
func (r *runner) one(ctx context.Context, s *place, i int) (run *compare.Run, err error) {
	name := fmt.Sprintf("%02d-%s", i+1, s.Name)
	record := filepath.Join(r.Dir, name)
	logPath := filepath.Join(r.Dir, name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("keeping a log: %w", err)
	}
	defer log.Close()
	w := &world{side: s, pair: i + 1, ready: r.Ready, within: r.ReadyWithin, grace: endWithin, cleanup: r.Cleanup,
		log: log, say: r.Say}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := w.start(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w%s", name, err, tail(logPath))
	}
	began := time.Now()
	code, err := r.Options.Run(ctx, s.folder, s.scenario, record, log)
	switch {
	case code == codeResidue: // also of a run that was stopped
		return nil, errors.Join(fmt.Errorf("%s: %w", name, ErrResidue), context.Cause(ctx))
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%s: %w%s", name, err, tail(logPath))
	case code == codeUsage:
		return nil, fmt.Errorf("%w: %s could not begin%s", ErrUsage, name, tail(logPath))
	}
	rec, err := report.Read(record)
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", name, err, tail(logPath))
	}
	run = compare.Measure(shown(record), rec, false)
	if err := w.failed(); err != nil && run.Unharmed() {
		return nil, fmt.Errorf("%s: the world ended during the run (%w), and yet no request failed: something else answers "+
			"in its place; end that first, with --cleanup if a run leaves it%s", name, err, tail(logPath))
	}
	r.Say("%s: %s, %s", name, run.Verdict, time.Since(began).Round(time.Second))
	return run, nil
}

// shown returns a path as people write it: relative where that is shorter.
func shown(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// tailLines is how much of a log is shown with an error.
const tailLines = 15

// tailBytes is how much of it is looked at: a world may have written a lot.
const tailBytes = 64 << 10

// tail returns the end of a log, to be put behind an error.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = f.Seek(-tailBytes, io.SeekEnd)
	}
	b, err := io.ReadAll(io.LimitReader(f, tailBytes))
	if err != nil || len(strings.TrimSpace(string(b))) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return fmt.Sprintf("; the end of %s:\n%s", shown(path), strings.Join(lines[max(0, len(lines)-tailLines):], "\n"))
}
