package k6

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"gameday/loadgen/k6/internal/wire"
	"gameday/programs"
)

// askLimit bounds asking the program for its version, which takes some 15 ms.
const askLimit = 30 * time.Second

// Program is the name of the program that runs scripts.
const Program = wire.Program

// asked remembers what the program said, as long as its file does not change. It is safe for concurrent use.
type asked struct {
	mu   sync.Mutex
	path string
	file stamp
	err  error
}

// Find returns the file of the program that runs scripts. An error that wraps programs.ErrMissing says where it was looked for.
func Find() (string, error) {
	path, err := programs.Find(Program)
	if errors.Is(err, programs.ErrMissing) {
		return "", fmt.Errorf("%w. gameday runs k6 scripts by it; build it from gameday's source with `make build`, or put it beside gameday", err)
	}
	return path, err
}

// Ready returns why no script can be run here: the program that does is not there, cannot be started, or is of another version than this
// one. It runs no script.
func (e *Engine) Ready(ctx context.Context) error {
	_, err := e.program(ctx)
	return err
}

// program returns the file of the program, once it is known to be of our version.
func (e *Engine) program(ctx context.Context) (path string, err error) {
	if path = e.Program; path == "" {
		if path, err = Find(); err != nil {
			return "", err
		}
	}
	if e.Version == "" {
		return path, nil
	}
	e.asked.mu.Lock()
	defer e.asked.mu.Unlock()
	if file := stampOf(path); path != e.asked.path || file != e.asked.file {
		err := e.sameVersion(ctx, path)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		e.asked.path, e.asked.file, e.asked.err = path, file, err
	}
	return path, e.asked.err
}

// sameVersion asks the program for its version.
func (e *Engine) sameVersion(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, wire.VersionFlag)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr[:min(len(exit.Stderr), 500)])))
		}
		return fmt.Errorf("%s cannot be started: %w. Is it whole, and built for this machine? `make build` builds it beside gameday", path, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	theirs, ok := strings.CutPrefix(line, wire.Says)
	switch {
	case !ok:
		return fmt.Errorf("%s is no %s of gameday's: asked for its version it says %q. Put the one beside gameday that was built with it", path, Program,
			line[:min(len(line), 100)])
	case !programs.Same(theirs, e.Version):
		return fmt.Errorf("%s is of version %s, and this gameday of %s: what one means the other may not know. Install both of one version; "+
			"`make build` builds both", path, theirs, e.Version)
	}
	return nil
}
