package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// hierarchy is a mounted hierarchy of cgroups that has a freezer.
type hierarchy struct {
	version int    // 1 or 2
	mount   string // the folder
	top     string // the cgroup that the folder shows; "/" but in some containers
}

// freezers returns this machine's hierarchies that have a freezer, version 2 first.
func freezers() ([]hierarchy, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("looking for cgroups: %w", err)
	}
	return parseMounts(string(data)), nil
}

// parseMounts reads the lines of a mountinfo, each
//
//	31 24 0:26 /top /mount rw,relatime shared:9 - cgroup2 source options
//
// in which the fields before the dash vary in number, and spaces in names are written as \040.
func parseMounts(text string) []hierarchy {
	var out []hierarchy
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		h := hierarchy{top: unescape(fields[3]), mount: unescape(fields[4])}
		switch {
		case kind[0] == "cgroup2":
			h.version = 2
		case kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), "freezer"):
			h.version = 1
		default:
			continue
		}
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(a, b hierarchy) int { return b.version - a.version })
	return out
}

// unescape replaces the octal escapes of mountinfo.
func unescape(s string) string {
	for _, e := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

// folder returns the folder of the cgroup that a process is in, out of its /proc/PID/cgroup. It fails where that lies
// outside of what the mount shows.
func (h hierarchy) folder(groups string) (string, error) {
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if h.version == 2 && parts[0] != "0" || h.version == 1 && !slices.Contains(strings.Split(parts[1], ","), "freezer") {
			continue
		}
		below, err := filepath.Rel(h.top, parts[2])
		if err != nil || strings.HasPrefix(parts[2], "/..") || strings.HasSuffix(parts[2], " (deleted)") ||
			below == ".." || strings.HasPrefix(below, "../") {
			return "", fmt.Errorf("its cgroup %s does not show below %s", parts[2], h.mount)
		}
		return filepath.Join(h.mount, below), nil
	}
	return "", fmt.Errorf("it is in no cgroup of %s", h.mount)
}

// folderOf returns the folder of the cgroup that a pid is in.
func (h hierarchy) folderOf(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	return h.folder(string(data))
}

// thawed returns why a process counts as frozen by somebody else, in one of the hierarchies.
func thawed(pid int, in []hierarchy) error {
	for _, h := range in {
		folder, err := h.folderOf(pid)
		if err != nil {
			continue // what cannot be seen from here cannot be told
		}
		if frozen, _ := isFrozen(h.version, folder); frozen {
			return foreignError("pid %d is frozen already, by its cgroup %s", pid, folder)
		}
	}
	return nil
}

// isFrozen reports whether the processes of a cgroup are frozen, or about to be, because of it or of one above it; and
// whether it was told to freeze itself.
func isFrozen(version int, folder string) (frozen, self bool) {
	if version == 2 {
		events, _ := os.ReadFile(filepath.Join(folder, "cgroup.events"))
		own, _ := os.ReadFile(filepath.Join(folder, "cgroup.freeze"))
		self = strings.TrimSpace(string(own)) == "1"
		return self || strings.Contains(string(events), "frozen 1"), self
	}
	state, _ := os.ReadFile(filepath.Join(folder, "freezer.state"))
	own, _ := os.ReadFile(filepath.Join(folder, "freezer.self_freezing"))
	text := strings.TrimSpace(string(state))
	return text == "FROZEN" || text == "FREEZING", strings.TrimSpace(string(own)) == "1"
}

// settledFrozen reports whether the kernel says that every process of a cgroup has come to rest.
func settledFrozen(version int, folder string) bool {
	if version == 2 {
		events, _ := os.ReadFile(filepath.Join(folder, "cgroup.events"))
		return strings.Contains(string(events), "frozen 1")
	}
	state, _ := os.ReadFile(filepath.Join(folder, "freezer.state"))
	return strings.TrimSpace(string(state)) == "FROZEN"
}

// setFrozen freezes or thaws a cgroup.
func setFrozen(version int, folder string, frozen bool) error {
	file, text := "cgroup.freeze", map[bool]string{true: "1", false: "0"}[frozen]
	if version == 1 {
		file, text = "freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}[frozen]
	}
	return writeTo(filepath.Join(folder, file), text)
}

// freezerFile is what must be writable to freeze a cgroup; the top one of a hierarchy has none.
func freezerFile(version int, folder string) string {
	if version == 1 {
		return filepath.Join(folder, "freezer.state")
	}
	return filepath.Join(folder, "cgroup.freeze")
}

// writeTo writes to a file that is there: os.WriteFile would make one in the wrong kind of folder.
func writeTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// pidsIn returns the processes of one cgroup, without those of the ones below.
func pidsIn(folder string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var out []int
	for field := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", folder, err)
		}
		out = append(out, pid) // 0 is a process of another pid namespace
	}
	return out, nil
}

// pidsBelow returns the processes of a cgroup and of all below it. One below that is removed meanwhile has nobody in it: the
// kernel removes none that has. Whoever left it for a cgroup that was read already is missed, as he is when the one that he left
// stays; so who is there is read again before and after a freeze.
func pidsBelow(folder string) ([]int, error) {
	var out []int
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			var pids []int
			pids, err = pidsIn(path)
			out = append(out, pids...)
		}
		if errors.Is(err, syscall.EOPNOTSUPP) { // a threaded cgroup's processes are those of the one above
			return nil
		}
		if path != folder && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)) { // the latter from its open file
			return nil
		}
		return err
	})
	return out, err
}

// inodeOf returns what tells a folder from a later one of the same name, or 0 when there is none.
func inodeOf(folder string) (uint64, error) {
	var st syscall.Stat_t
	err := syscall.Stat(folder, &st)
	if errors.Is(err, syscall.ENOENT) {
		return 0, nil
	}
	return st.Ino, err
}
