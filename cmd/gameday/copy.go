package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gameday/conductor"
	"gameday/report"
	"gameday/report/archive"
)

// copying is a record that is copied elsewhere when its run is over.
type copying struct {
	to      string // the folder that was named; empty copies nothing
	begun   *archive.Copy
	from    string
	stopped chan struct{} // closed when a signal has come
	failed  error         // of the copy
}

func (c *copying) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.to, "copy-to", "", "also copy the record into a folder below this one when the run is over; a bucket mounted as files will do")
}

// check reports a folder that is not there before anything is done.
func (c *copying) check() error {
	if c.to == "" {
		return nil
	}
	if info, err := os.Stat(c.to); err != nil || !info.IsDir() {
		return usage("--copy-to %s: there is no such folder; is it mounted?", c.to)
	}
	return nil
}

// begin makes the copy's folder, before anything is touched: a place that takes no files is known then, and not at the end.
func (c *copying) begin(dir, run string) error {
	if c.to == "" {
		return nil
	}
	var err error
	if c.begun, err = archive.Begin(c.to, dir, run, time.Now()); err != nil {
		return usage("--copy-to %s: %w", c.to, err)
	}
	c.from = dir
	return nil
}

// listen closes stopped at the first signal that ends a run, and keeps signals from ending this process, until the function it returns is
// called. It is for a run whose conductor is another process.
func (c *copying) listen() (quiet func()) {
	c.stopped = make(chan struct{})
	signals, over := make(chan os.Signal, 1), make(chan struct{})
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as under nohup
			signal.Notify(signals, s)
		}
	}
	go func() {
		select {
		case <-signals:
			close(c.stopped)
		case <-over:
		}
	}()
	return sync.OnceFunc(func() {
		signal.Stop(signals)
		close(over)
	})
}

// finish copies the record. What stands in the way is said with what to do, and changes no verdict.
func (c *copying) finish(a *app) {
	if c.begun == nil {
		return
	}
	if _, err := os.Stat(filepath.Join(c.from, report.PlanFile)); err != nil { // what a run writes first
		a.say("the run ended before it had a record, and nothing was copied: %s has only the mark of a copy that was begun", c.begun.Dir)
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- c.begun.Finish(ctx, c.from, time.Now()) }()
	stopped := c.stopped
	var late <-chan time.Time
	for c.failed == nil {
		select {
		case err := <-done:
			if c.failed = err; err == nil {
				a.say("the record was copied to %s", c.begun.Dir)
				return
			}
		case <-stopped:
			stopped, late = nil, time.After(archive.Patience)
		case <-late: // a write to what does not answer cannot be taken back, and ends with this process
			c.failed = fmt.Errorf("copying the record to %s took longer than the %s that there are once gameday is told to stop", c.begun.Dir, archive.Patience)
			cancel(c.failed)
		}
	}
	a.say("%v\ngameday: the record is whole in %s, and what there is of its copy is marked as a part; `gameday copy %s %s` goes on with it. "+
		"The verdict stands; the exit code of a run that passed is 3", c.failed, c.from, shownPath(c.from), c.to)
}

// outcome returns a run's end with what the copy makes of its exit code: a run that passed, and whose record is not where somebody asked
// for it, has not done all that was asked.
func (c *copying) outcome(err error) error {
	if c.failed == nil {
		return err
	}
	if err == nil {
		return &codeError{code: exitInconclusive}
	}
	return err
}

// shownPath is a path as people would write it here.
func shownPath(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

func (a *app) copyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "copy RECORD DIR",
		Short: "Copy the record of a run that is over into a folder, such as a bucket mounted as files",
		Long: "Copies a record into a folder below DIR that has its name. Each file is written once, from beginning to end, under its final name,\n" +
			"and read back; nothing is appended to, renamed or locked, so that a bucket mounted as files will do. The last file marks the copy\n" +
			"as whole: without it report and history take it for what it is. A copy that was begun before is gone on with.",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return a.copyRecord(args[0], args[1]) },
	}
}

func (a *app) copyRecord(dir, to string) error {
	if _, err := conductor.Ask(context.Background(), dir, conductor.Request{Do: "status"}); err == nil {
		return usage("the run in %s is still in progress; wait for its end, or stop it with `gameday stop %s`", dir, dir)
	}
	if report.IsCopy(dir) {
		return usage("%s is a copy itself: copy the record that it is of", dir)
	}
	rec, err := report.Read(dir)
	if err != nil {
		return usage("%w", err)
	}
	c, err := archive.Again(to, dir, report.Score(rec).Run, time.Now()) // no id when it was killed before it had one
	if err != nil {
		return usage("%w", err)
	}
	err = c.Finish(context.Background(), dir, time.Now())
	if errors.Is(err, archive.ErrChanged) {
		return usage("%w", err)
	}
	if err != nil {
		return &codeError{code: exitInconclusive, err: fmt.Errorf("%w; what was written stays, and is marked as a part: `gameday copy` goes on with it", err)}
	}
	a.say("copied to %s", c.Dir)
	return nil
}
