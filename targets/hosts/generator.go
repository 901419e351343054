package hosts

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"gameday/faults/ssh"
)

// copyLimit bounds bringing the generator to a host: it is a large program, and so is the one for scripts.
const copyLimit = 5 * time.Minute

// Of the generator in $1 and of the file in $2, which runs scripts there and is "-" when that is for the generator to find.
const (
	homes       = `case $1 in "~/"*) set -- "$HOME/${1#??}" "$2";; esac; `
	generate    = homes + `case $2 in -) exec "$1" generator;; esac; exec "$1" generator --k6 "$2"`
	version     = homes + `exec "$1" --version`
	runsScripts = homes + `case $2 in -) exec "$1" generator --runs-scripts;; esac; exec "$1" generator --runs-scripts --k6 "$2"`
)

// InstallGenerator sees to it that the host can generate traffic, by the program at a given path, or when that is empty by
// a copy of this one, which is left for the next time; for k6 scripts with a copy of the program that runs them. A pool that only reads
// gives ErrNotInstalled when there is none. It returns what the program says its version is.
func (h *Host) InstallGenerator(ctx context.Context, given string, scripts bool) (says string, err error) {
	path, k6, err := h.generator(ctx, given, scripts)
	if err != nil {
		return "", err
	}
	out, err := ssh.Run(ctx, h.settings.SSH, nil, version, path, k6)
	if err != nil {
		return "", fmt.Errorf("asking the generator for its version: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n") // a login script may have said more before
	return lines[len(lines)-1], nil
}

// RunsScripts returns why the generator on the host cannot run k6 scripts, which is of this version and installed.
func (h *Host) RunsScripts(ctx context.Context, given string) error {
	path, k6, err := h.generator(ctx, given, true)
	if err != nil {
		return err
	}
	var failed *ssh.ExitError
	switch _, err := ssh.Run(ctx, h.settings.SSH, nil, runsScripts, path, k6); {
	case errors.As(err, &failed) && failed.Said != "":
		return fmt.Errorf("host %s: no k6 script can be run there: %s", h, strings.TrimPrefix(failed.Said, "gameday: "))
	default:
		return err
	}
}

// Generator returns the command that generates traffic on the host, of k6 scripts or not, not started. It speaks as package
// loadgen/remote does, and is killed when ctx ends.
func (h *Host) Generator(ctx context.Context, given string, scripts bool) (*exec.Cmd, error) {
	path, k6, err := h.generator(ctx, given, scripts)
	if err != nil {
		return nil, err
	}
	return ssh.Command(ctx, h.settings.SSH, generate, path, k6), nil
}

// Explain turns the end of a command on the host, with what it said on standard error, into an error.
func (h *Host) Explain(err error, said string) error {
	return ssh.Explain(context.Background(), h.settings.SSH, err, said)
}

// generator returns the paths of the generator and of what runs scripts for it, which is "-" when it is to find that itself, or needs
// none. They are copied if need be, and may.
func (h *Host) generator(ctx context.Context, given string, scripts bool) (path, k6 string, err error) {
	if given != "" {
		return given, "-", nil
	}
	ctx, cancel := context.WithTimeout(ctx, copyLimit)
	defer cancel()
	t, err := h.look(ctx)
	if err != nil {
		return "", "", err
	}
	path, _, err = h.readyOf(ctx, t, h.pool.generators, !h.pool.ReadOnly)
	if err != nil || !scripts {
		return path, "-", err
	}
	k6, _, err = h.readyOf(ctx, t, h.pool.scripts, !h.pool.ReadOnly)
	return path, k6, err
}
