package process

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gameday/faults"
)

// sigstop and sigkill are the bits of two signals in the masks of /proc/PID/status.
const (
	sigkill = 1 << (9 - 1)
	sigstop = 1 << (19 - 1)
)

// signaled is PF_SIGNALED of the kernel's include/linux/sched.h: the thread ends by a signal, and is told so no more.
const signaled = 0x00000400

// family returns a process, which must still be the one that was chosen, and with tree its descendants that live: parents
// before their children, children of one parent by age.
func family(root faults.Process, tree bool) ([]faults.Process, error) {
	if !Alive(root) {
		return nil, vanished(root)
	}
	if !tree {
		return []faults.Process{root}, nil
	}
	return grow([]faults.Process{root})
}

// grow appends the descendants of processes that are not among them yet: parents before their children, children of one
// parent by age.
func grow(out []faults.Process) ([]faults.Process, error) {
	children, err := byParent()
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(out); i++ {
		if !Alive(out[i]) {
			continue // whoever has its pid now has children of his own
		}
		for _, c := range children[out[i].PID] {
			if c.Start < out[i].Start || slices.ContainsFunc(out, func(p faults.Process) bool { return same(p, c) }) {
				continue
			}
			if out = append(out, c); len(out) > maxFamily {
				return nil, fmt.Errorf("pid %d has more than %d descendants: choose a process further down, or leave out tree",
					out[0].PID, maxFamily-1)
			}
		}
	}
	return out, nil
}

func same(p, q faults.Process) bool { return p.PID == q.PID && p.Start == q.Start }

// byParent returns the pids and starts of all processes that live, by their parents' pids, each list by age.
func byParent() (map[int][]faults.Process, error) {
	folder, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	out := map[int][]faults.Process{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		s, err := readStat(pid)
		if err != nil || s.state == 'Z' || s.state == 'X' {
			continue // it ended while we looked, or has ended
		}
		out[s.parent] = append(out[s.parent], faults.Process{PID: pid, Start: s.start})
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b faults.Process) int { return cmp.Or(cmp.Compare(a.Start, b.Start), a.PID-b.PID) })
	}
	return out, nil
}

// named fills in what people know a process by. One that ended meanwhile stays as it is.
func named(p faults.Process) faults.Process {
	if q, err := Identify(p.PID); err == nil && same(p, q) {
		return q
	}
	return p
}

// look is what is seen of a process at one instant, over all its threads.
type look struct {
	gone    bool
	stopped bool // every thread is in state T
	some    bool // at least one is, or a SIGSTOP waits to be acted upon
	killed  bool // a SIGKILL waits to be acted upon, or has been: it is about to end
	traced  bool // at least one thread is in state t
	state   byte // of the first thread that is not stopped, else T
}

// lookAt reads the states of a process's threads.
func lookAt(p faults.Process) look {
	if !Alive(p) {
		return look{gone: true}
	}
	l := look{stopped: true, state: 'T'}
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID))
	seen := 0
	for _, t := range threads {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", p.PID, t.Name()))
		if err != nil {
			continue // a thread that ended while we looked
		}
		s, err := parseStat(data)
		if err != nil || s.state == 'Z' || s.state == 'X' {
			continue
		}
		seen++
		switch s.state {
		case 'T':
			l.some = true
		case 't':
			l.traced, l.stopped, l.state = true, false, 't'
		default:
			l.stopped, l.state = false, s.state
		}
	}
	pending := pendingSignals(p.PID)
	now, err := readStat(p.PID) // after what is pending: the kernel takes a signal from there, and then marks who ends by it
	if seen == 0 || err != nil || !now.lives(p) {
		return look{gone: true}
	}
	l.some = l.some || pending&sigstop != 0
	l.killed = pending&sigkill != 0 || now.flags&signaled != 0
	return l
}

// ran returns how long a process has run on all processors: nanoseconds, or ticks where the kernel does not count those.
func ran(p faults.Process) uint64 {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID))
	var sum uint64
	for _, f := range files {
		data, _ := os.ReadFile(f)
		first, _, _ := strings.Cut(string(data), " ")
		n, _ := strconv.ParseUint(first, 10, 64)
		sum += n
	}
	if s, err := readStat(p.PID); sum == 0 && err == nil {
		return s.cpu
	}
	return sum
}

// pendingSignals returns the mask of signals sent to a process, or to its first thread, that were not acted upon.
func pendingSignals(pid int) uint64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	thread, _ := strconv.ParseUint(statusField(data, "SigPnd"), 16, 64)
	process, _ := strconv.ParseUint(statusField(data, "ShdPnd"), 16, 64)
	return thread | process
}

// statusField returns the value of a line of /proc/PID/status, or "".
func statusField(data []byte, name string) string {
	for line := range bytes.Lines(data) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(key) == name {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// untouched returns why a process is somebody else's already: stopped, traced or frozen. It is not to be touched then.
func untouched(p faults.Process, in []hierarchy) error {
	l := lookAt(p)
	switch {
	case l.gone:
		return vanished(p)
	case l.some:
		return foreignError("pid %d is stopped already; continue it with kill -CONT %d, or choose another", p.PID, p.PID)
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return vanished(p)
	}
	if by := statusField(data, "TracerPid"); l.traced || (by != "" && by != "0") {
		return foreignError("pid %d is being traced by pid %s, which would see the pause first", p.PID, by)
	}
	return thawed(p.PID, in)
}

// allUntouched applies untouched to each. Those of a family that ended since are left out, all but the first, who was chosen.
func allUntouched(all []faults.Process) ([]faults.Process, error) {
	in, err := freezers()
	if err != nil {
		return nil, err
	}
	var out []faults.Process
	for i, p := range all {
		if p.PID == os.Getpid() {
			return nil, fmt.Errorf("the guard itself, pid %d, descends from pid %d and could not undo the pause",
				p.PID, all[0].PID)
		}
		err := untouched(p, in)
		if err != nil && (i == 0 || Alive(p)) {
			return nil, err
		}
		if err == nil {
			out = append(out, named(p))
		}
	}
	return out, nil
}
