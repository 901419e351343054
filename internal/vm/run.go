package vm

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"gameday/internal/vm/wire"
)

// Command is a command for a machine. It runs as root in a session of its own.
type Command struct {
	Args           []string
	Env            []string // added to the machine's own, as NAME=value
	Dir            string   // "/" if empty
	Stdin          io.Reader
	Stdout, Stderr io.Writer // nil discards
}

// Exec runs a command and returns its exit code, or 128 and the number of the signal that ended it. A command that
// cannot be started, whose time is up (by ctx, or after a minute if that has no deadline) or under which the machine
// goes down gives an error: the last is ErrDown. It waits for a machine that is booting.
func (m *Machine) Exec(ctx context.Context, c Command) (int, error) {
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, commandLimit)
		defer cancel()
		ctx = limited
	}
	code, err := m.exec(ctx, c)
	if err != nil {
		return code, fmt.Errorf("running %s in the machine: %w", strings.Join(c.Args, " "), err)
	}
	return code, nil
}

func (m *Machine) exec(ctx context.Context, c Command) (int, error) {
	s, err := m.await(ctx, "")
	if err != nil {
		return -1, err
	}
	stdout, stderr := c.Stdout, c.Stderr
	if stdout == nil {
		stdout = io.Discard
	}
	if stderr == nil {
		stderr = io.Discard
	}
	id, running, err := s.begin(wire.Start{Args: c.Args, Env: c.Env, Dir: c.Dir, Stdin: c.Stdin != nil}, stdout, stderr)
	if err != nil {
		return -1, err
	}
	fed := make(chan error, 1)
	if c.Stdin != nil {
		go func() {
			fed <- s.feed(id, running, c.Stdin)
			_ = s.send(wire.Frame{Kind: wire.KindStdinEnd, Command: id})
		}()
	} else {
		fed <- nil
	}
	code, err := s.wait(ctx, id, running)
	if err != nil {
		return code, err
	}
	select {
	case err = <-fed:
	default: // the command ended without wanting more
	}
	return code, err
}

// Result is what a command left.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command and keeps what it prints. See Exec for limits and errors.
func (m *Machine) Run(ctx context.Context, args ...string) (Result, error) {
	var out, errs bytes.Buffer
	code, err := m.Exec(ctx, Command{Args: args, Stdout: &out, Stderr: &errs})
	return Result{Stdout: out.String(), Stderr: errs.String(), Code: code}, err
}

// Must runs a command that has to succeed, and returns what it printed without the space around it.
func (m *Machine) Must(t testing.TB, args ...string) string {
	t.Helper()
	r, err := m.Run(t.Context(), args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%s ended with %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(r.Stdout)
}

// Copy copies a file of this machine there, with its permissions; the folder is made. It stands under its name at once
// and whole.
func (m *Machine) Copy(ctx context.Context, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying into the machine: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("copying into the machine: %w", err)
	}
	return m.take(ctx, f, fmt.Sprintf(`mkdir -p "$1" && cat >"$2.part" && chmod %o "$2.part" && mv "$2.part" "$2"`,
		info.Mode().Perm()), path.Dir(to), to)
}

// CopyFolder copies a folder of this machine and all in it there.
func (m *Machine) CopyFolder(ctx context.Context, from, to string) error {
	r, w := io.Pipe()
	go func() {
		archive := tar.NewWriter(w)
		err := archive.AddFS(os.DirFS(from))
		w.CloseWithError(errors.Join(err, archive.Close()))
	}()
	defer r.Close()
	return m.take(ctx, r, `mkdir -p "$1" && tar -x -C "$1"`, to)
}

// take runs a shell script that takes its standard input.
func (m *Machine) take(ctx context.Context, in io.Reader, script string, args ...string) error {
	var said bytes.Buffer
	code, err := m.Exec(ctx, Command{Args: append([]string{"sh", "-c", script, "sh"}, args...), Stdin: in, Stderr: &said})
	if err == nil && code != 0 {
		err = fmt.Errorf("it ended with %d: %s", code, said.String())
	}
	if err != nil {
		return fmt.Errorf("copying into the machine: %w", err)
	}
	return nil
}

// ShiftClock moves the machine's wall clock at once, back if by is negative. A boot sets it to this machine's again.
func (m *Machine) ShiftClock(ctx context.Context, by time.Duration) error {
	r, err := m.Run(ctx, "shift-clock", by.String())
	if err == nil && r.Code != 0 {
		err = errors.New(strings.TrimSpace(r.Stderr))
	}
	return err
}
