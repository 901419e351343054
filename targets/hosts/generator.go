package hosts

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"gameday/faults/ssh"
)

// copyLimit bounds bringing the generator to a host: it is a large program.
const copyLimit = 5 * time.Minute

const (
	generate = `case $1 in "~/"*) set -- "$HOME/${1#??}";; esac; exec "$1" generator`
	version  = `case $1 in "~/"*) set -- "$HOME/${1#??}";; esac; exec "$1" --version`
)

// InstallGenerator sees to it that the host can generate traffic, by the program at a given path, or when that is empty by
// a copy of this one, which is left for the next time. A pool that only reads gives ErrNotInstalled when there is none. It
// returns what the program says its version is.
func (h *Host) InstallGenerator(ctx context.Context, given string) (says string, err error) {
	path, err := h.generator(ctx, given)
	if err != nil {
		return "", err
	}
	out, err := ssh.Run(ctx, h.settings.SSH, nil, version, path)
	if err != nil {
		return "", fmt.Errorf("asking the generator for its version: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n") // a login script may have said more before
	return lines[len(lines)-1], nil
}

// Generator returns the command that generates traffic on the host, not started. It speaks as package loadgen/remote does, and
// is killed when ctx ends.
func (h *Host) Generator(ctx context.Context, given string) (*exec.Cmd, error) {
	path, err := h.generator(ctx, given)
	if err != nil {
		return nil, err
	}
	return ssh.Command(ctx, h.settings.SSH, generate, path), nil
}

// Explain turns the end of a command on the host, with what it said on standard error, into an error.
func (h *Host) Explain(err error, said string) error {
	return ssh.Explain(context.Background(), h.settings.SSH, err, said)
}

func (h *Host) generator(ctx context.Context, given string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, copyLimit)
	defer cancel()
	path, _, err := h.readyOf(ctx, h.pool.generators, given, !h.pool.ReadOnly)
	return path, err
}
