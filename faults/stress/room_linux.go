package stress

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gameday/sizes"
)

// noLimit is more than any limit that somebody set: cgroup v1 says "none" with a huge number.
const noLimit = 1 << 60

// memory is what there is of it.
type memory struct {
	total     uint64
	available uint64 // to this process: what its cgroups leave, if that is less than what the machine has
}

// gauge measures memory for processes of one cgroup.
type gauge struct {
	group  group
	groups bool // the cgroup can be seen
}

// newGauge measures from the cgroup that this process is in now.
func newGauge() *gauge {
	g, err := ownGroup("memory")
	return &gauge{group: g, groups: err == nil}
}

// above measures for the cgroup's parent.
func (g *gauge) above() *gauge {
	up := *g
	up.group.dir = filepath.Dir(g.group.dir)
	return &up
}

// read looks at the machine's MemAvailable, and at the limits of the cgroup and all above it.
func (g *gauge) read() (memory, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return memory{}, fmt.Errorf("reading the available memory: %w", err)
	}
	m, err := parseMeminfo(string(text))
	if err != nil || !g.groups {
		return m, err
	}
	for dir := g.group.dir; inside(dir, g.group.top); dir = filepath.Dir(dir) {
		left, limit, err := g.left(dir)
		if err != nil {
			return memory{}, err
		}
		m.available, m.total = min(m.available, left), min(m.total, limit)
		if dir == g.group.top {
			break
		}
	}
	return m, nil
}

// parseMeminfo reads lines "MemAvailable:   24090748 kB".
func parseMeminfo(text string) (memory, error) {
	var m memory
	found := 0
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemTotal:" && fields[0] != "MemAvailable:" {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 50)
		if err != nil {
			return memory{}, fmt.Errorf("reading the available memory: %w", err)
		}
		if found++; fields[0] == "MemTotal:" {
			m.total = n << 10
		} else {
			m.available = n << 10
		}
	}
	if found != 2 {
		return memory{}, errors.New("reading the available memory: /proc/meminfo does not say")
	}
	return m, nil
}

// left returns what a cgroup leaves below its limit, and the limit. Page cache counts as left, as it does in
// MemAvailable.
func (g *gauge) left(dir string) (left, limit uint64, err error) {
	limitFile, usageFile, prefix := "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
	if g.group.unified {
		limitFile, usageFile, prefix = "memory.max", "memory.current", ""
	}
	limit, err = readNumber(filepath.Join(dir, limitFile))
	if errors.Is(err, fs.ErrNotExist) {
		return noLimit, noLimit, nil // the top, or without the controller
	}
	if err != nil || limit >= noLimit {
		return noLimit, noLimit, err
	}
	used, err := readNumber(filepath.Join(dir, usageFile))
	if err != nil {
		return 0, 0, err
	}
	stat, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory of a cgroup: %w", err)
	}
	for line := range strings.Lines(string(stat)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == prefix+"inactive_file" || name == prefix+"active_file" {
			n, _ := strconv.ParseUint(value, 10, 63)
			used = sub(used, n)
		}
	}
	return sub(limit, used), limit, nil
}

// readNumber reads a cgroup's file; "max" is no limit.
func readNumber(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a cgroup: %w", err)
	}
	word := strings.TrimSpace(string(text))
	if word == "max" {
		return noLimit, nil
	}
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a cgroup: %w", err)
	}
	return n, nil
}

// space is what a file system has.
type space struct {
	total, free uint64 // free to users other than root
	inMemory    bool   // its files live in memory
}

func readSpace(path string) (space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return space{}, fmt.Errorf("reading the free space of %s: %w", path, err)
	}
	unit := uint64(st.Bsize)
	memory := int64(st.Type) == unix.TMPFS_MAGIC || int64(st.Type) == unix.RAMFS_MAGIC
	return space{total: st.Blocks * unit, free: st.Bavail * unit, inMemory: memory}, nil
}

// keep finds a reason to let go: too little space is free, or where files live in memory too little of that.
func (s space) keep(reserve uint64) error {
	if s.free < reserve {
		return fmt.Errorf("%s are free on the file system, less than the reserve of %s", sizes.Show(s.free), sizes.Show(reserve))
	}
	return nil
}
