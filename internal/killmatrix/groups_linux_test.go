package killmatrix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// groupsVariable lists the sandbox's control groups for its worker.
const groupsVariable = "GAMEDAY_KILLMATRIX_GROUPS"

// groupRoot is where control groups are mounted.
const groupRoot = "/sys/fs/cgroup"

// sandboxGroups are control groups of the sandbox's own, one in each hierarchy where one can be made, below the one
// that it was started in. Whatever kinds make lands in them, so that it can be told from what others make.
type sandboxGroups []string

// makeGroups makes them. Where none can be made, kinds cannot make one either.
func makeGroups() sandboxGroups {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var made sandboxGroups
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || strings.HasPrefix(f[2], "/..") {
			continue
		}
		parent := filepath.Join(groupRoot, strings.TrimPrefix(f[1], "name="), f[2])
		if _, err := os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
			continue
		}
		dir, err := os.MkdirTemp(parent, "killmatrix-")
		if err != nil {
			continue
		}
		if f[1] == "cpuset" { // a new group has no processors to run on, and no kind needs one
			_ = os.Remove(dir)
			continue
		}
		made = append(made, dir)
	}
	return made
}

func (g sandboxGroups) list() string { return strings.Join(g, ":") }

// remove removes the groups, when all that was in them has ended, and reports whether it could.
func (g sandboxGroups) remove() bool {
	all := true
	for _, dir := range g {
		all = until(time.Second, func() bool {
			err := os.Remove(dir)
			return err == nil || errors.Is(err, fs.ErrNotExist)
		}) && all
	}
	return all
}

func ownGroups() sandboxGroups {
	if list := os.Getenv(groupsVariable); list != "" {
		return strings.Split(list, ":")
	}
	return nil
}

// enterGroups moves this process to the sandbox's groups.
func enterGroups() error {
	for _, dir := range ownGroups() {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("entering the sandbox's control group: %w", err)
		}
	}
	return nil
}

// listGroups lists what was made below the sandbox's control groups, and which of them are frozen.
func listGroups() ([]string, error) {
	var lines []string
	for _, root := range ownGroups() {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil //nolint:nilerr // a group that vanished while it was looked at
			}
			line := "control group " + path
			for _, file := range []string{"freezer.state", "cgroup.freeze"} {
				if text, err := os.ReadFile(filepath.Join(path, file)); err == nil {
					line += ", " + file + " " + strings.TrimSpace(string(text))
				}
			}
			lines = append(lines, line)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return lines, nil
}
