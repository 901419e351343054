package k6

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
	"gameday/loadgen/k6/internal/wire"
)

// Engine runs k6 scripts. Its methods may be called from any goroutine; one Engine serves any number of streams. It
// must not be copied once used.
type Engine struct {
	// Program is the file of gameday-k6, or of another program that becomes what package program says; empty to look for it.
	Program string
	// Version is this program's, and must be gameday-k6's too. Empty is for tests: nobody is asked.
	Version string

	checks checks
	asked  asked
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
	program, err := e.program(ctx)
	if err != nil {
		return fmt.Errorf("running %s: %w", spec.Script, err)
	}
	log, err := child.OpenLog(filepath.Join(spec.Dir, "k6.log"))
	if err != nil {
		return err
	}
	r := &run{program: program, spec: spec, emit: emit, log: log}
	err = r.archived(ctx)
	if err == nil {
		err = r.traffic(ctx)
	}
	return errors.Join(err, log.Close())
}

// Pack archives the script with all that it reads.
func (e *Engine) Pack(ctx context.Context, spec loadgen.Spec) (loadgen.Spec, error) {
	program, err := e.program(ctx)
	if err != nil {
		return spec, fmt.Errorf("packing %s: %w", spec.Script, err)
	}
	log, err := child.OpenLog(filepath.Join(spec.Dir, "k6.log"))
	if err != nil {
		return spec, err
	}
	r := &run{program: program, spec: spec, log: log}
	if err := errors.Join(r.archive(ctx), log.Close()); err != nil {
		return spec, err
	}
	made, err := os.ReadFile(r.made())
	if err != nil {
		return spec, fmt.Errorf("reading the script's archive: %w", err)
	}
	spec.Files = map[string][]byte{spec.Script: made}
	return spec, nil
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
	program string
	spec    loadgen.Spec
	emit    func(loadgen.Window)
	log     *child.Log
	hidden  string // what k6 calls the script's folder in an archive; empty before that is known
}

func (r *run) logPath() string { return filepath.Join(r.spec.Dir, "k6.log") }

func (r *run) said() string { return lastError(r.log.Tail()) }

// ownPaths puts the paths of scripts back as they are: in archives k6 hides the names of home folders.
func (r *run) ownPaths(text string) string {
	dir := filepath.Dir(r.spec.Script)
	for _, hidden := range []string{dir, r.hidden} {
		if hidden != "" {
			text = strings.ReplaceAll(text, "file://"+hidden+"/", dir+"/")
		}
	}
	return strings.TrimSpace(text)
}

// made is where k6 puts the script's archive.
func (r *run) made() string { return filepath.Join(r.spec.Dir, "script.tar") }

// archived makes the archive, or takes the one that was packed.
func (r *run) archived(ctx context.Context) error {
	packed, ok := r.spec.Files[r.spec.Script]
	if !ok {
		return r.archive(ctx)
	}
	if err := os.WriteFile(r.made(), packed, 0o600); err != nil {
		return fmt.Errorf("writing the script's archive: %w", err)
	}
	return nil
}

// words makes of what k6 says of loading a script what helps people.
func (r *run) words(text string) string {
	text = r.ownPaths(text)
	for _, doing := range []string{"could not initialize '", "could not load JS test '"} { // which is what the error says already
		text = strings.TrimPrefix(text, doing+r.spec.Script+"': ")
	}
	if strings.Contains(text, "couldn't be retrieved") {
		text += ". Modules from elsewhere are fetched each time that the script is loaded. Keep a copy beside the script and import that"
	}
	return text
}

// archive lets k6 archive the script.
func (r *run) archive(ctx context.Context) error {
	p, err := r.start(nil, "archive", "--exclude-env-vars", "-O", r.made(), r.spec.Script)
	if err != nil {
		return err
	}
	defer p.Close()
	limit := r.setupWithin()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.Exited:
	case <-ctx.Done():
		p.End()
		return context.Cause(ctx)
	case <-timer.C:
		p.End()
		return fmt.Errorf("loading %s: its top level did not end within %s", r.spec.Script, limit)
	}
	if died := p.Died(); died != "" {
		return child.Failure("loading "+r.spec.Script, died, r.said(), r.logPath(), r.words)
	}
	return nil
}

// setupWithin bounds loading the script; for its set-up k6 may know better, from the script.
func (r *run) setupWithin() time.Duration {
	if r.spec.SetupWithin > 0 {
		return r.spec.SetupWithin
	}
	return defaultSetup
}

// traffic changes the archive and runs it.
func (r *run) traffic(ctx context.Context) error {
	changed := filepath.Join(r.spec.Dir, "run.tar")
	job := &wire.Job{From: r.made(), To: changed, Spec: r.spec}
	job.Spec.Files, job.Spec.Env = nil, nil
	p, err := r.start(job, "run", "--summary-mode=disabled", "--no-thresholds",
		"--include-system-env-vars=false", "--out", wire.OutputName, changed)
	if err != nil {
		return err
	}
	defer p.Close()
	f := &child.Follower{
		Spec: r.spec, Emit: r.emit, Subject: r.spec.Script, Log: r.logPath(), Said: r.said, Words: r.ownPaths,
		Script:      func(s child.Script) { r.hidden = s.Folder },
		SetupWithin: r.setupWithin(), EndWithin: defaultEnd,
	}
	return f.Follow(ctx, p)
}

// start runs k6 with the arguments, and with what the script is to see as its environment, after a job, if there is one.
func (r *run) start(job *wire.Job, args ...string) (*child.Process, error) {
	config := filepath.Join(r.spec.Dir, "k6-config.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("preparing the traffic generator: %w", err)
	}
	script, err := json.Marshal(r.spec.Env)
	if err != nil {
		return nil, fmt.Errorf("preparing the traffic generator: %w", err)
	}
	env := []string{
		wire.ScriptVariable + "=" + string(script),
		"K6_CONFIG=" + config, // else the user's own would be mixed in
		"K6_NO_USAGE_REPORT=true",
		"K6_AUTO_EXTENSION_RESOLUTION=false", // else an unknown import would replace the program by a download
	}
	if r.spec.Begin != nil {
		env = append(env, wire.HeldVariable+"=1")
	}
	var input io.Reader
	if job != nil {
		text, err := json.Marshal(job)
		if err != nil {
			return nil, fmt.Errorf("preparing the traffic generator: %w", err)
		}
		env, input = append(env, wire.JobVariable+"=1"), bytes.NewReader(text)
	}
	return child.Start{Self: r.program, Engine: wire.Role, Log: r.log, Memory: child.Bound(r.spec), Env: env, Input: input,
		Args: append(args, "--quiet", "--log-format=json", "--secret-source="+wire.SecretsName)}.Run()
}

const (
	// defaultSetup is what loading a script may take, and its set-up as long as nobody knows better.
	defaultSetup = time.Minute
	// defaultEnd is what a stopped child may take before it has said what its script may.
	defaultEnd = time.Minute
)
