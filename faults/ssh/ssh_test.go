package ssh

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/internal/scriptrig"
)

// fakeSSH stands in for ssh: a shell script that gets its arguments.
func fakeSSH(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	scriptrig.Write(t, filepath.Join(dir, "ssh"), "#!/bin/sh\n"+script+"\n")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestRun passes script, arguments and input on, whatever is in them, and nothing of them is taken for an option.
func TestRun(t *testing.T) {
	// What the real one does: the words after the destination go to a shell as one.
	fakeSSH(t, `while [ "$1" != -- ]; do echo "$1" >>"$TEST_OPTIONS"; shift; done; shift; echo "$1" >>"$TEST_OPTIONS"; shift; exec sh -c "$*"`)
	options := filepath.Join(t.TempDir(), "options")
	t.Setenv("TEST_OPTIONS", options)
	out, err := Run(t.Context(), faults.SSH{Destination: "ops@web1", Config: "/etc/a config"}, strings.NewReader("input"),
		`printf '%s|' "$@"; cat`, "it's", "two words", "$HOME", "-n", "")
	if want := "it's|two words|$HOME|-n||input"; err != nil || out != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
	b, err := os.ReadFile(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"BatchMode=yes", "ServerAliveInterval=2", "ServerAliveCountMax=2", "ControlPath=none", "\n-F\n/etc/a config\n", "\nops@web1\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("ssh was not told %q:\n%s", want, b)
		}
	}
}

// TestErrors tells a host that cannot be reached from a command that fails on it.
func TestErrors(t *testing.T) {
	to := faults.SSH{Destination: "web1", Config: "my_config"}
	for _, c := range []struct {
		script      string
		unreachable bool
		want        string
	}{
		{`echo "ssh: connect to host web1 port 22: Connection refused" >&2; exit 255`, true, "does sshd run there"},
		{`echo "Host key verification failed." >&2; exit 255`, true, "connect once by hand (`ssh -F my_config web1`)"},
		{"printf '@@@@@\\r\\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\\n' >&2; exit 255", true, "why it has another key"},
		{`echo "something new" >&2; exit 255`, true, "something new; try `ssh -F my_config web1 true`"},
		{`echo "mkdir: no" >&2; exit 1`, false, "host web1: mkdir: no"},
		{`exit 7`, false, "the command ended with 7"},
		{`kill -9 $$`, true, "killed"},
	} {
		fakeSSH(t, c.script)
		_, err := Run(t.Context(), to, nil, "true")
		var exit *ExitError
		if err == nil || errors.Is(err, ErrUnreachable) != c.unreachable || errors.As(err, &exit) == c.unreachable || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.script, err)
		}
	}
	fakeSSH(t, `exec sleep 60`)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, to, nil, "true"); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("an ssh that hangs: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Run(t.Context(), to, nil, "true"); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "install OpenSSH") {
		t.Errorf("no ssh: %v", err)
	}
}
