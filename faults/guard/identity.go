package guard

import (
	"os"
	"os/user"
	"strconv"
	"strings"
)

// capabilities are those that kinds of fault ask for, by their numbers in the kernel's linux/capability.h.
var capabilities = []struct {
	name string
	bit  uint
}{
	{"CAP_KILL", 5}, {"CAP_NET_ADMIN", 12}, {"CAP_SYS_PTRACE", 19}, {"CAP_SYS_ADMIN", 21}, {"CAP_SYS_RESOURCE", 24},
}

// lacking returns the capabilities that a process's /proc/PID/status does not have in effect; none if it does not say.
func lacking(status string) []string {
	for line := range strings.Lines(status) {
		text, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err != nil {
			return nil
		}
		var out []string
		for _, c := range capabilities {
			if set&(1<<c.bit) == 0 {
				out = append(out, c.name)
			}
		}
		return out
	}
	return nil
}

// me names the guard's user, and the capabilities that it lacks.
func me() (name string, lacks []string) {
	name = strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return name, nil
	}
	return name, lacking(string(status))
}
