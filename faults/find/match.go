package find

import (
	"fmt"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// matcher returns the conditions that need no sockets. Threads of the kernel's own never match.
func (s *Process) matcher() (func(procfs.Proc) bool, error) {
	command, err := regexp.Compile(s.Command)
	if err != nil {
		return nil, err
	}
	pid, err := s.pid()
	if err != nil {
		return nil, err
	}
	uid, err := s.uid()
	if err != nil {
		return nil, err
	}
	return func(p procfs.Proc) bool {
		if s.PIDFile != "" && p.PID != pid {
			return false
		}
		if s.Exe != "" {
			exe, err := p.Executable()
			if err != nil || (exe != s.Exe && filepath.Base(exe) != s.Exe) {
				return false
			}
		}
		if s.Command != "" {
			line, err := p.CmdLine()
			if err != nil || len(line) == 0 || !command.MatchString(strings.Join(line, " ")) {
				return false
			}
		}
		if s.User != "" {
			status, err := p.NewStatus()
			if err != nil || status.UIDs[0] != uid {
				return false
			}
		}
		if s.Unit != "" || s.Cgroup != "" {
			groups, err := p.Cgroups()
			if err != nil || (s.Unit != "" && !inUnit(groups, unitName(s.Unit))) || (s.Cgroup != "" && !inCgroup(groups, path.Clean(s.Cgroup))) {
				return false
			}
		}
		return !kernelThread(p)
	}, nil
}

// kernelThreadFlag is PF_KTHREAD of the kernel's include/linux/sched.h.
const kernelThreadFlag = 0x00200000

// kernelThread reports whether a process is a thread of the kernel's own, such as a kworker: it belongs to root, and cannot be
// killed, stopped or limited. One that has ended is told by whoever looks next.
func kernelThread(p procfs.Proc) bool {
	stat, err := p.Stat()
	return err == nil && stat.Flags&kernelThreadFlag != 0
}

func (s *Process) pid() (int, error) {
	if s.PIDFile == "" {
		return 0, nil
	}
	b, err := os.ReadFile(s.PIDFile)
	if err != nil {
		return 0, fmt.Errorf("reading the pidfile: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("the pidfile %s holds no pid", s.PIDFile)
	}
	return pid, nil
}

func (s *Process) uid() (uint64, error) {
	if s.User == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(s.User, 10, 32); err == nil {
		return n, nil
	}
	u, err := user.Lookup(s.User)
	if err != nil {
		return 0, fmt.Errorf("looking up user %q: %w", s.User, err)
	}
	return strconv.ParseUint(u.Uid, 10, 32)
}
