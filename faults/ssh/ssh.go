// Package ssh runs commands on other machines with the system's ssh, so that the user's own configuration, agent, jump
// hosts and known hosts are in force. Nothing is asked on a terminal: a key that is not known, or a password that would
// be needed, is an error with ssh's own words.
package ssh

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gameday/faults"
)

// Dead is how long ssh may take to see that the machine at the other end is not there any more: two questions without an
// answer, two seconds apart, and the wait for the second answer.
const Dead = 6 * time.Second

// connectTimeout bounds reaching a machine when the context does not do so earlier.
const connectTimeout = 15 * time.Second

// ErrUnreachable says that ssh did not get through: no address, no answer, an unknown host key, no permission. The error
// that wraps it has ssh's own words.
var ErrUnreachable = errors.New("cannot be reached by ssh")

// ExitError says that a command was run on the machine and failed.
type ExitError struct {
	Code int
	Said string // the end of its standard error
}

// Error returns what the command said, or its exit code.
func (e *ExitError) Error() string {
	if e.Said != "" {
		return e.Said
	}
	return fmt.Sprintf("the command ended with %d", e.Code)
}

// Command returns ssh on its way to run a shell script with arguments, as $1 and so on. It is not started. It gets a
// session of its own, so that a signal to our terminal does not end it; when ctx ends, it is killed.
func Command(ctx context.Context, to faults.SSH, script string, args ...string) *exec.Cmd {
	connect := connectTimeout
	if end, limited := ctx.Deadline(); limited {
		connect = min(connect, max(time.Second, time.Until(end)))
	}
	line := []string{"-T", "-o", "BatchMode=yes", "-o", "LogLevel=INFO", "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2",
		"-o", fmt.Sprintf("ConnectTimeout=%d", int(connect.Seconds())), "-o", "ControlMaster=no", "-o", "ControlPath=none",
		"-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-e", "none"}
	if to.Config != "" {
		line = append(line, "-F", home(to.Config))
	}
	// The words of the remote command are put together by ssh and taken apart by the user's shell there, whichever that is.
	words := []string{"exec", "sh", "-c", Quote(script), "gameday"}
	for _, a := range args {
		words = append(words, Quote(a))
	}
	cmd := exec.CommandContext(ctx, "ssh", append(line, "--", to.Destination, strings.Join(words, " "))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second // a proxy command may hold its output open
	return cmd
}

// Run runs a shell script and returns what it printed. In may be nil. The error wraps ErrUnreachable or is an *ExitError,
// or is that of ctx.
func Run(ctx context.Context, to faults.SSH, in io.Reader, script string, args ...string) (string, error) {
	cmd := Command(ctx, to, script, args...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &said
	err := cmd.Run()
	return out.String(), Explain(ctx, to, err, said.String())
}

// Explain turns the end of a Command, with what it said on standard error, into one of the errors of Run.
func Explain(ctx context.Context, to faults.SSH, err error, said string) error {
	if err == nil {
		return nil
	}
	words := clean(said)
	said = cmp.Or(words, "ssh said nothing")
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("host %s %w: no answer in time; %s", to.Destination, ErrUnreachable, said)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("host %s %w: there is no program ssh here; install OpenSSH's client", to.Destination, ErrUnreachable)
	case errors.As(err, &exit) && exit.ExitCode() == 255:
		return fmt.Errorf("host %s %w: %s; %s", to.Destination, ErrUnreachable, said, Advice(said, to))
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return fmt.Errorf("host %s: %w", to.Destination, &ExitError{Code: exit.ExitCode(), Said: words})
	}
	return fmt.Errorf("host %s %w: %w; %s", to.Destination, ErrUnreachable, err, said)
}

// Advice says what to do about words of ssh's own.
func Advice(said string, to faults.SSH) string {
	by := "ssh "
	if to.Config != "" {
		by += "-F " + to.Config + " "
	}
	by += to.Destination
	for _, a := range []struct{ when, what string }{
		{"REMOTE HOST IDENTIFICATION HAS CHANGED", "find out why it has another key before you take out the old one with ssh-keygen -R"},
		{"Host key verification failed", "its key is not known here: connect once by hand (`" + by + "`) and compare the key"},
		{"Permission denied", "a key must open it without a password: try `" + by + " true`, and load the key into your agent"},
		{"Could not resolve hostname", "is it spelt as in your ~/.ssh/config, or as its name in DNS?"},
		{"Connection refused", "does sshd run there, on that port?"},
		{"timed out", "is it up, and does the network let you through?"},
		{"No route to host", "is it up, and does the network let you through?"},
		{"Can't open user config file", "the file is named by config"},
	} {
		if strings.Contains(said, a.when) {
			return a.what
		}
	}
	return "try `" + by + " true` by hand"
}

// Quote writes a word so that any POSIX shell, and csh and fish as well, takes it as it is.
func Quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// home replaces a leading ~/ as a shell does.
func home(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if dir, err := os.UserHomeDir(); ok && err == nil {
		return filepath.Join(dir, rest)
	}
	return path
}

// clean keeps the last lines of what ssh or a command said, as one.
func clean(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(strings.TrimRight(line, "\r\n"))
		if line != "" && strings.Trim(line, "@") != "" {
			lines = append(lines, strings.TrimSuffix(strings.Trim(line, "@ "), "."))
		}
	}
	if len(lines) > 8 {
		lines = lines[len(lines)-8:]
	}
	return strings.Join(lines, "; ")
}
