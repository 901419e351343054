package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/listening"
)

// procEntry is a process as /proc shows it.
type procEntry struct {
	pid, parent int
	inner       int // its pid in the PID namespace below ours; 0 when it is in ours
	zombie      bool
}

// processes lists all processes that the /proc mounted at root shows. Those that end meanwhile are left out.
func processes(root string) ([]procEntry, error) {
	dirs, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var out []procEntry
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, d.Name(), "status"))
		if err != nil {
			continue
		}
		out = append(out, parseStatus(pid, string(text)))
	}
	return out, nil
}

// parseStatus reads what we need of /proc/PID/status.
func parseStatus(pid int, text string) procEntry {
	e := procEntry{pid: pid}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "State":
			e.zombie = fields[0] == "Z" || fields[0] == "X"
		case "PPid":
			e.parent, _ = strconv.Atoi(fields[0])
		case "NSpid": // from the namespace of this /proc inwards
			if len(fields) > 1 {
				e.inner, _ = strconv.Atoi(fields[1])
			}
		}
	}
	return e
}

// describe returns the process's identity, or zero when it is gone.
func describe(pid int) faults.Process {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return faults.Process{}
	}
	// The second field is the name in parentheses and may hold anything, so count from the last parenthesis: the next
	// field is the third.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const start = 22 - 3
	if len(fields) <= start {
		return faults.Process{}
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return faults.Process{}
	}
	p := faults.Process{PID: pid, Start: ticks}
	p.Exe, _ = os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		p.Command = strings.ReplaceAll(strings.TrimRight(string(argv), "\x00"), "\x00", " ")
	}
	return p
}

// networkOf returns the network namespace of a process.
func networkOf(pid int) (faults.Namespace, error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st); err != nil {
		return faults.Namespace{}, fmt.Errorf("finding the network namespace of pid %d: %w", pid, err)
	}
	return faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: pid}, nil
}

// listens reports whether some process in this network namespace listens on the TCP port.
func listens(port uint16) bool {
	sockets, err := listening.Sockets(os.Getpid(), port)
	return err == nil && len(sockets) > 0
}
