package find

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// ErrElsewhere says that a pid which a container engine names does not belong to its container on this machine.
var ErrElsewhere = errors.New("it is not that container's process here")

// Container finds a container's first process by the pid that its engine names, and makes sure that it is: one of the
// process's control groups bears the container's whole id, as every engine of Docker's kind sets it. Otherwise the pid is that
// of another machine, or of another process namespace, and here of somebody else; the error is ErrElsewhere then, or when
// there is no such process.
func Container(ctx context.Context, pid int, id string) (Found, error) {
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
	known := begun(ctx, p)
	f, err := place(p)
	if err == nil && f.Place.Process.Start != before.Starttime {
		err = fmt.Errorf("pid %d: %w", pid, ErrElsewhere) // it ended, and another one got its pid
	}
	if err == nil && !known {
		f.Text = fmt.Sprintf("pid %d, whose program does not run yet", pid)
		f.Place.Process.Exe, f.Place.Process.Command = "", ""
	}
	return f, err
}

// lookAgain is the time between two looks at a process that is to become a container's program.
const lookAgain = 5 * time.Millisecond

// begun waits until a container's first process is the container's program, or has ended, and reports whether it came to that.
func begun(ctx context.Context, p procfs.Proc) bool {
	for {
		if stat, err := p.Stat(); err != nil || stat.State == "Z" {
			return true
		}
		own := prepares(p)
		line, err := p.CmdLine()
		if !own && (err != nil || len(line) > 0) { // the kernel gives it its arguments a moment after its program
			return true
		}
		select {
		case <-ctx.Done():
			return !own
		case <-time.After(lookAgain):
		}
	}
}
