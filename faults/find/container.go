package find

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/procfs"
)

// ErrElsewhere says that a pid which a container engine names does not belong to its container on this machine.
var ErrElsewhere = errors.New("it is not that container's process here")

// Container finds a container's first process by the pid that its engine names, and makes sure that it is: one of the
// process's control groups bears the container's whole id, as every engine of Docker's kind sets it. Otherwise the pid is that
// of another machine, or of another process namespace, and here of somebody else; the error is ErrElsewhere then, or when
// there is no such process.
func Container(pid int, id string) (Found, error) {
	p, err := procfs.NewProc(pid)
	if errors.Is(err, os.ErrNotExist) {
		return Found{}, fmt.Errorf("pid %d: %w", pid, ErrElsewhere)
	}
	if err != nil {
		return Found{}, err
	}
	before, err := p.Stat()
	if err != nil {
		return Found{}, fmt.Errorf("pid %d: %w", pid, ErrElsewhere)
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || len(id) < 12 || !strings.Contains(string(groups), id) {
		return Found{}, fmt.Errorf("pid %d: %w", pid, ErrElsewhere)
	}
	f, err := place(p)
	if err == nil && f.Place.Process.Start != before.Starttime {
		err = fmt.Errorf("pid %d: %w", pid, ErrElsewhere) // it ended, and another one got its pid
	}
	return f, err
}
