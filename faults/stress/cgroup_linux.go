package stress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// group is the cgroup of this process as one controller sees it.
type group struct {
	dir     string // its folder
	top     string // the folder at which its hierarchy is mounted
	unified bool   // of cgroup v2
}

// errNoGroup says that no folder of the controller's hierarchy can be seen.
var errNoGroup = errors.New("no cgroup of this process can be seen")

// ownGroup finds the cgroup of this process: in the controller's own hierarchy if it has one (cgroup v1), else in the
// unified one.
func ownGroup(controller string) (group, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return group{}, fmt.Errorf("finding the own cgroup: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return group{}, fmt.Errorf("finding the own cgroup: %w", err)
	}
	return findGroup(string(own), string(mounts), controller)
}

// findGroup reads lines "4:memory:/a/b" and "0::/a/b", and those of mountinfo.
func findGroup(own, mounts, controller string) (group, error) {
	unifiedPath, path, unified := "", "", true
	for line := range strings.Lines(own) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[0] == "0" && fields[1] == "":
			unifiedPath = fields[2]
		case slices.Contains(strings.Split(fields[1], ","), controller):
			path, unified = fields[2], false
		}
	}
	if unified {
		path = unifiedPath
	}
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/..") {
		return group{}, errNoGroup
	}
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 || left[3] != "/" && !inside(path, left[3]) {
			continue
		}
		mine := right[0] == "cgroup2"
		if !unified {
			mine = right[0] == "cgroup" && slices.Contains(strings.Split(right[2], ","), controller)
		}
		if mine {
			rel := path
			if left[3] != "/" {
				rel = strings.TrimPrefix(path, left[3])
			}
			return group{dir: filepath.Join(left[4], rel), top: left[4], unified: unified}, nil
		}
	}
	return group{}, errNoGroup
}

// inside reports whether path is dir or below it.
func inside(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// newGroup returns the folder that a group of the controller would get, or "" where none can be made.
func newGroup(controller, token string) string {
	g, err := ownGroup(controller)
	if err != nil || readOnly(g.dir) {
		return ""
	}
	for _, path := range []string{g.dir, filepath.Join(g.dir, "cgroup.procs")} {
		if unix.Access(path, unix.W_OK) != nil {
			return ""
		}
	}
	return filepath.Join(g.dir, markOf(token))
}

func readOnly(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) != nil || st.Flags&unix.ST_RDONLY != 0
}

// makeGroup makes a cgroup that did not exist, and sets what limits its controller has. A limit that cannot be set is
// left out: the worker bounds itself too.
func makeGroup(dir string, limits map[string]string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("making the load's cgroup: %w", err)
	}
	for file, value := range limits {
		f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
		if err == nil {
			_, _ = f.WriteString(value)
			f.Close()
		}
	}
	return nil
}

// removeGroup removes a cgroup whose workers have ended. Processes that somebody else put there stay, and so does it.
func removeGroup(ctx context.Context, dir string) error {
	for end := time.Now().Add(time.Second); ; {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || ctx.Err() != nil || time.Now().After(end) {
			inside, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if pids := strings.Fields(string(inside)); len(pids) > 0 {
				return fmt.Errorf("removing the cgroup %s: %w: processes %s were put there; move them away, then revert again",
					dir, faults.ErrForeign, strings.Join(pids, ", "))
			}
			return fmt.Errorf("removing the cgroup %s: %w", dir, err)
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// removeFile removes the name that a worker gave its file for an instant, if the worker was killed in it.
func removeFile(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing the load's file: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("removing the load's file: %w: %s is not a file", faults.ErrForeign, path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the load's file: %w", err)
	}
	return nil
}

// pause waits for d, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
