package k6

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.k6.io/k6/v2/lib"

	"gameday/loadgen"
)

// Engine runs k6 scripts. Its methods may be called from any goroutine; one Engine serves any number of streams. It
// must not be copied once used.
type Engine struct {
	// Self is the program to start as a child, whose main calls RunChild when IsChild; empty is this program.
	Self string

	checks checks
}

var _ loadgen.Generator = (*Engine)(nil)

// Run archives the script, changes its options in the archive, and runs that in a child until it is told to stop or ctx
// ends. Windows begin with the schedule's first instant, which is a whole second of the clock, and cover every second
// until the last iteration has ended. The archive and the child's log, k6.log, stay in the spec's folder.
//
// Response time is counted from the iteration's intended start: a request's own time, with getting a connection, and
// how late its iteration began. Requests are those of HTTP and gRPC; as long as a script has made none, its iterations
// count as requests, and so does an iteration that threw without a failed request. Requests in setup and teardown do
// not count. With KeepExecutors k6 does not say when an iteration should have begun: response time is service time,
// iterations count as started when they end, and a stop interrupts those that run.
//
// It returns nil when it was told to stop, an error that wraps loadgen.ErrEnded when the script ended before, the
// context's error when ctx ended, and otherwise what went wrong, in the script's own words where it has some.
func (e *Engine) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	if err := sane(spec); err != nil {
		return err
	}
	log, err := openLog(filepath.Join(spec.Dir, "k6.log"))
	if err != nil {
		return err
	}
	r := &run{engine: e, spec: spec, emit: emit, log: log}
	err = r.archive(ctx)
	if err == nil {
		err = r.traffic(ctx)
	}
	return errors.Join(err, log.Close())
}

func sane(spec loadgen.Spec) error {
	switch {
	case !filepath.IsAbs(spec.Script):
		return fmt.Errorf("running %s: the script's path must be absolute", spec.Script)
	case spec.Dir == "":
		return fmt.Errorf("running %s: no folder was given for its archive", spec.Script)
	case !spec.KeepExecutors && !(spec.Rate > 0):
		return fmt.Errorf("running %s: a rate of %g iterations per second sends nothing; give one above 0",
			spec.Script, spec.Rate)
	}
	return nil
}

// run is one Run of an Engine.
type run struct {
	engine *Engine
	spec   loadgen.Spec
	emit   func(loadgen.Window)
	log    *boundedLog
	child  *process
	ending *ending // what the child said last
	told   bool    // it was told to stop
}

// failure is an error about the script: what it said itself, or how the child came to its end.
func (r *run) failure(doing, cause string) error {
	if said := lastError(r.log.Tail()); said != "" {
		if strings.Contains(cause, "signal") {
			said += "; " + cause
		}
		cause = said
	}
	return fmt.Errorf("%s %s: %s (see %s)", doing, r.spec.Script, r.ownPaths(cause),
		filepath.Join(r.spec.Dir, "k6.log"))
}

// ownPaths puts the paths of scripts back as they are: in archives k6 hides the names of home folders.
func (r *run) ownPaths(text string) string {
	dir := filepath.Dir(r.spec.Script)
	for _, hidden := range []string{dir, lib.NormalizeAndAnonymizePath(dir)} {
		text = strings.ReplaceAll(text, "file://"+hidden+"/", dir+"/")
	}
	return strings.TrimSpace(text)
}

// archive makes the archive that traffic runs.
func (r *run) archive(ctx context.Context) error {
	made := filepath.Join(r.spec.Dir, "script.tar")
	child, err := r.engine.startChild(r.spec.Dir, r.spec.Env, r.log,
		"archive", "--quiet", "--log-format=json", "--exclude-env-vars", "-O", made, r.spec.Script)
	if err != nil {
		return err
	}
	defer child.close()
	limit := setupWithin(r.spec)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-child.exited:
	case <-ctx.Done():
		child.end()
		return context.Cause(ctx)
	case <-timer.C:
		child.end()
		return fmt.Errorf("loading %s: its top level did not end within %s", r.spec.Script, limit)
	}
	if died := child.died(); died != "" {
		return r.failure("loading", died)
	}
	return patchArchive(made, filepath.Join(r.spec.Dir, "run.tar"), r.spec)
}

// traffic runs the archive.
func (r *run) traffic(ctx context.Context) error {
	child, err := r.engine.startChild(r.spec.Dir, r.spec.Env, r.log,
		"run", "--quiet", "--log-format=json", "--summary-mode=disabled", "--no-thresholds",
		"--include-system-env-vars=false", "--out", outputName, filepath.Join(r.spec.Dir, "run.tar"))
	if err != nil {
		return err
	}
	r.child = child
	defer child.close()
	done := make(chan struct{})
	defer close(done)
	events, broken := make(chan event, 16), make(chan error, 1)
	go func() { broken <- readEvents(child.events, events, done) }()
	if err := r.steer(ctx, events); err != nil {
		child.end()
		r.rest(events)
		return err
	}
	<-child.exited
	if err := <-broken; err != nil {
		return r.failure("running", err.Error())
	}
	return r.outcome()
}

// steer passes windows on and commands down until the child has no more to say.
func (r *run) steer(ctx context.Context, events <-chan event) error {
	limit := setupWithin(r.spec)
	// k6 bounds setup() itself; this is for what comes before it, and for a script that cannot be interrupted.
	timer := time.NewTimer(limit + killAfter)
	defer timer.Stop()
	late := fmt.Errorf("preparing %s: its setup did not end within %s", r.spec.Script, limit)
	commands := r.spec.Commands
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return nil
			}
			if e.Ready != nil && !r.told {
				timer.Stop()
			}
			r.hear(e)
		case c, ok := <-commands:
			if r.tell(command{To: c.To, Over: c.Over, Stop: c.Stop || !ok}) {
				commands = nil // nothing comes after a stop
				timer.Reset(graceOf(r.spec) + teardownLimit)
				late = fmt.Errorf("stopping %s: its teardown did not end within %s", r.spec.Script, teardownLimit)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return late
		}
	}
}

// teardownLimit is how long a stopped child may take: k6 gives teardown a minute, if the script does not.
const teardownLimit = 75 * time.Second

// tell sends one command, and reports whether it was a stop. A child that is gone is noticed by its events' end.
func (r *run) tell(c command) (stop bool) {
	r.told = r.told || c.Stop
	_ = r.child.tell(c)
	return c.Stop
}

// hear takes one line from the child.
func (r *run) hear(e event) {
	switch {
	case e.Window != nil:
		e.Window.Stream = r.spec.Stream
		r.emit(*e.Window)
	case e.Ready != nil && r.spec.Ready != nil:
		r.spec.Ready()
	case e.Log != nil && r.spec.Log != nil:
		r.spec.Log(e.Log.Level, r.ownPaths(e.Log.Text))
	case e.End != nil:
		r.ending = e.End
	}
}

// rest hears what a child that was ended has said before.
func (r *run) rest(events <-chan event) {
	for e := range events {
		r.hear(e)
	}
}

// outcome turns the end of the child into an error.
func (r *run) outcome() error {
	died := r.child.died()
	if r.ending == nil {
		if died == "" {
			died = "it ended without a word"
		}
		return r.failure("running", died)
	}
	switch r.ending.Reason {
	case endStopped:
		if r.ending.Error == "" {
			return nil
		}
	case endEnded:
		return fmt.Errorf("running %s: %w", r.spec.Script, loadgen.ErrEnded)
	case endAborted:
		return fmt.Errorf("running %s: %s: %w", r.spec.Script, r.ownPaths(r.ending.Error), loadgen.ErrEnded)
	}
	return fmt.Errorf("running %s: %s (see %s)", r.spec.Script, r.ownPaths(r.ending.Error),
		filepath.Join(r.spec.Dir, "k6.log"))
}
