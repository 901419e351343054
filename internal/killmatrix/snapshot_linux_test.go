package killmatrix

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gameday/faults/process"
)

// snapshot returns what the kernel says of everything in the sandbox that a fault could leave something in, as sorted
// lines of text in which pids, handles and the site's path are replaced by names, so that two of them can be compared
// literally. Processes in the map ours are left out.
func (w *world) snapshot(ours map[int]bool) (string, error) {
	var lines []string
	for _, part := range []func() ([]string, error){
		func() ([]string, error) { return w.processes(ours) },
		w.networks, w.mounts, w.files, listGroups, w.own,
	} {
		more, err := part()
		if err != nil {
			return "", err
		}
		lines = append(lines, more...)
	}
	slices.Sort(lines)
	text := strings.Join(lines, "\n")
	return strings.ReplaceAll(text, w.dir, "SITE"), nil
}

// processes lists every process of the sandbox but the worker, init and those of ours that may still run.
func (w *world) processes(ours map[int]bool) ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 || pid == os.Getpid() || ours[pid] {
			continue
		}
		line, err := w.process(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEnded) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking at pid %d: %w", pid, err)
		}
		lines = append(lines, line...)
	}
	return lines, nil
}

var errEnded = errors.New("the process has ended")

// process describes one process: what it is, whether it runs, and all that a fault may have changed about it.
func (w *world) process(pid int) ([]string, error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return nil, gone(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	state := "runs"
	switch fields[0] {
	case "Z", "X":
		return nil, errEnded
	case "T", "t":
		state = "stopped"
	}
	name := w.nameOf(pid)
	lines := []string{fmt.Sprintf("process %s: %s, nice %s", name, state, fields[16])}
	limits, err := os.ReadFile(dir + "limits")
	if err != nil {
		return nil, gone(err)
	}
	for l := range strings.Lines(string(limits)) {
		lines = append(lines, "process "+name+" limit "+strings.Join(strings.Fields(l), " "))
	}
	for _, file := range []string{"cgroup", "oom_score_adj", "timens_offsets"} {
		text, err := os.ReadFile(dir + file)
		if err != nil {
			return nil, gone(err)
		}
		for l := range strings.Lines(string(text)) {
			lines = append(lines, "process "+name+" "+file+" "+strings.TrimSpace(l))
		}
	}
	if slices.ContainsFunc(w.hosts, func(h *host) bool { return h.id.PID == pid }) {
		return lines, nil // its descriptors are connections that the harness makes
	}
	fds, err := os.ReadDir(dir + "fd")
	if err != nil {
		return nil, gone(err)
	}
	return append(lines, fmt.Sprintf("process %s has %d descriptors", name, len(fds))), nil
}

// gone turns the errors of a process that ends while it is looked at into one.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "no such process") {
		return errEnded
	}
	return err
}

// nameOf names the world's processes, and tells a stranger by its command line.
func (w *world) nameOf(pid int) string {
	for name, p := range w.procs {
		if p.id.PID == pid && process.Alive(p.id) {
			return name
		}
	}
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	role := ""
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := strings.CutPrefix(string(v), roleVariable+"="); ok {
			role = " as " + value
		}
	}
	return "unknown (" + strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))) + ")" + role
}

// mounts lists what is mounted in the sandbox's mount namespace, but for what changes from site to site.
func (w *world) mounts() ([]string, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var lines []string
	for l := range strings.Lines(string(info)) {
		f := strings.Fields(l)
		lines = append(lines, fmt.Sprintf("mount %s on %s, %s", f[3], f[4], strings.Join(f[5:], " ")))
	}
	return lines, nil
}

// files lists what is in the world's folder, with sizes, and what small files hold.
func (w *world) files() ([]string, error) { return listFiles(w.folder(), w.temp()) }

func listFiles(roots ...string) ([]string, error) {
	var lines []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil || d.IsDir() {
				lines = append(lines, "folder "+path)
				return nil
			}
			line := fmt.Sprintf("file %s, %v, %d bytes", path, info.Mode(), info.Size())
			if info.Mode().IsRegular() && info.Size() <= 1<<20 {
				data, err := os.ReadFile(path)
				if err == nil {
					line += fmt.Sprintf(", sum %x", sha256.Sum256(data))
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

// own is what the fixture adds.
func (w *world) own() ([]string, error) {
	if w.extra == nil {
		return nil, nil
	}
	return w.extra()
}

// difference returns the lines that only one of two snapshots has.
func difference(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "+ "+l)
		}
	}
	if len(out) == 0 && before != after {
		out = append(out, "a line is there more or less often than before")
	}
	if len(out) > 12 {
		out = append(out[:12], fmt.Sprintf("and %d lines more", len(out)-12))
	}
	return strings.Join(out, "\n")
}
