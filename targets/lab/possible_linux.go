package lab

import (
	"fmt"
	"os"
	"strings"
)

// restrictions are the kernel's switches that forbid user namespaces, and the setting that allows them.
var restrictions = []struct{ name, forbids, allow string }{
	{"kernel.unprivileged_userns_clone", "0", "1"},
	{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"},
	{"user.max_user_namespaces", "0", "15000"},
	{"user.max_net_namespaces", "0", "15000"},
	{"user.max_pid_namespaces", "0", "15000"},
	{"user.max_mnt_namespaces", "0", "15000"},
}

// diagnose says what keeps a lab from being made and what to do, given what went wrong.
func diagnose(err error) error {
	return diagnoseWith(err, mayMakeNamespaces(), os.Geteuid(), func(name string) string {
		value, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(value))
	})
}

// diagnoseWith is diagnose on given facts; setting returns a sysctl's value, or nothing when there is none.
func diagnoseWith(err error, privileged bool, uid int, setting func(string) string) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "operation not supported"):
		return fmt.Errorf("a lab cannot be made here: %w; the kernel lacks a part that labs need: load it with "+
			"`sudo modprobe -a bridge veth`", err)
	case privileged:
		return fmt.Errorf("a lab cannot be made here, though this is root: %w", err)
	}
	for _, r := range restrictions {
		if setting(r.name) != r.forbids {
			continue
		}
		return fmt.Errorf("a lab cannot be made here: %w; %s is %s: allow it with `sudo sysctl -w %s=%s`, "+
			"or run gameday with sudo", err, r.name, r.forbids, r.name, r.allow)
	}
	if uid == 0 {
		return fmt.Errorf("a lab cannot be made here: %w; this root has no right to administer the system, as in most "+
			"containers: start the container with --privileged", err)
	}
	return fmt.Errorf("a lab cannot be made here: %w; something other than a sysctl forbids namespaces to user %d, "+
		"such as a container's seccomp profile: run gameday with sudo, or start the container with --privileged", err, uid)
}

// runProbe makes all that a lab needs and goes away with it.
func runProbe() (int, error) {
	err := mountLab()
	if err == nil {
		var network *coreNetwork
		if network, err = newCoreNetwork(); err == nil {
			_, err = network.attach("probe", nodeAddress(0), 1)
		}
	}
	if err != nil {
		tell(status{Error: err.Error()})
		return 1, nil
	}
	tell(status{})
	return 0, nil
}
