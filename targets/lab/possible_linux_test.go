package lab

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestDiagnose(t *testing.T) {
	tests := []struct {
		name       string
		err        string
		privileged bool
		uid        int
		settings   map[string]string
		want       string
	}{
		{"debian", "clone: operation not permitted", false, 1000, map[string]string{"kernel.unprivileged_userns_clone": "0"},
			"sudo sysctl -w kernel.unprivileged_userns_clone=1`, or run gameday with sudo"},
		{"ubuntu", "making mounts private: permission denied", false, 1000,
			map[string]string{"kernel.unprivileged_userns_clone": "1", "kernel.apparmor_restrict_unprivileged_userns": "1"},
			"sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run gameday with sudo"},
		{"none allowed", "clone: no space left on device", false, 1000, map[string]string{"user.max_user_namespaces": "0"},
			"sudo sysctl -w user.max_user_namespaces=15000`, or"},
		{"container root", "mounting /proc: operation not permitted", false, 0, nil, "start the container with --privileged"},
		{"seccomp", "clone: operation not permitted", false, 1000, map[string]string{"user.max_user_namespaces": "96365"},
			"seccomp profile: run gameday with sudo"},
		{"no module", "making the lab's bridge: operation not supported", true, 0, nil, "sudo modprobe -a bridge veth"},
		{"root", "mounting /proc: busy", true, 0, map[string]string{"user.max_user_namespaces": "0"},
			"though this is root: mounting /proc: busy"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cause := errors.New(test.err)
			got := diagnoseWith(cause, test.privileged, test.uid, func(name string) string { return test.settings[name] })
			if !errors.Is(got, cause) || !strings.Contains(got.Error(), test.want) || strings.Contains(got.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", got, test.want)
			}
		})
	}
}

// TestForbiddenNamespaces meets the real refusal: a user namespace in which no more of them are allowed.
func TestForbiddenNamespaces(t *testing.T) {
	u := user{uid: -1}
	if os.Geteuid() == 0 {
		u.uid = 65534
	}
	dir := u.folder(t)
	inner := u.command(t, dir)
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("this test needs unshare of util-linux")
	}
	cmd := exec.Command(unshare, "--user", "--map-root-user", "sh", "-c",
		`echo 0 > /proc/sys/user/max_user_namespaces && `+
			`exec setpriv --reuid=0 --bounding-set=-all --inh-caps=-all "$0"`, inner.Path)
	cmd.Env, cmd.Dir = inner.Env, inner.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: inner.SysProcAttr.Credential}
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 98 {
		t.Fatalf("entering a lab gave %v, %s", err, out)
	}
	text := strings.TrimSpace(string(out))
	if !strings.Contains(text, "sysctl -w user.max_user_namespaces=") || strings.Contains(text, "\n") {
		t.Errorf("the refusal is %q", text)
	}
}

func TestPossibleNeedsRunRole(t *testing.T) {
	defer func(known bool) { roleKnown = known }(roleKnown)
	roleKnown = false
	if err := Possible(); err != errNoRole {
		t.Errorf("Possible says %v", err)
	}
	if _, err := Enter(EnterOptions{}); err != errNoRole {
		t.Errorf("Enter says %v", err)
	}
}

func TestRoleOutsideALabIsRefused(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{roleInit, roleNode, roleProbe} {
		cmd := exec.Command(self)
		cmd.Env = []string{roleVariable + "=" + role, partVariable + "=none"}
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "unset it") {
			t.Errorf("%s as an ordinary process: %v, %s", role, err, out)
		}
	}
	before := mounts(t)
	if Possible() == nil && mounts(t) != before {
		t.Error("Possible left a mount")
	}
}
