package netns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"gameday/faults"
)

// Seen is a place's network namespace together with the processes by which it was seen. The kernel gives a namespace's
// number to the next one as soon as it is free, so only a process that has been in it all along tells which one is meant.
// It is a value, safe for concurrent use.
type Seen struct {
	place     string
	network   faults.Namespace
	witnesses []witness
}

// witness is a process that was in the namespace.
type witness struct {
	pid   int
	start uint64 // clock ticks since boot; 0 when there was no such process
}

// See notes who was seen in the place's namespace: its process, and the first one of its node, which carry their start
// times; else the process that the namespace was read from, whose start time is the present one. To be called as early as
// may be. The place must have a network namespace.
func See(p faults.Place) Seen {
	s := Seen{place: p.Name, network: *p.Network}
	add := func(pid int, start uint64) {
		if pid > 0 && !slices.ContainsFunc(s.witnesses, func(w witness) bool { return w.pid == pid }) {
			s.witnesses = append(s.witnesses, witness{pid, start})
		}
	}
	if p.Process != nil {
		add(p.Process.PID, p.Process.Start)
	}
	if p.Node != nil {
		add(p.Node.Init.PID, p.Node.Init.Start)
	}
	if start, err := startOf(p.Network.PID); err == nil {
		add(p.Network.PID, start)
	}
	return s
}

// passed reports whether a pid belongs to somebody else by now: the place's process of that pid began at another time.
func passed(p faults.Place, pid int) bool {
	known := []faults.Process{}
	if p.Process != nil {
		known = append(known, *p.Process)
	}
	if p.Node != nil {
		known = append(known, p.Node.Init)
	}
	i := slices.IndexFunc(known, func(k faults.Process) bool { return k.PID == pid && k.Start > 0 })
	if i < 0 {
		return false
	}
	start, err := startOf(pid)
	return err == nil && start != known[i].Start
}

// gone says that nobody vouches for the namespace any more.
func (s Seen) gone() error {
	pid := s.network.PID
	if len(s.witnesses) > 0 {
		pid = s.witnesses[0].pid
	}
	return fmt.Errorf("%w: the process by which %s was looked at, %d, is gone or in another one; nothing was touched: let the "+
		"target be looked for again", ErrGone, s.place, pid)
}

// startOf reads when a process began, in clock ticks since boot: field 22 of /proc/PID/stat.
func startOf(pid int) (uint64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses, which may hold anything: the third is the first after the last one.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const start = 22 - 3
	if len(fields) <= start {
		return 0, errors.New("reading when a process began: its stat is too short")
	}
	return strconv.ParseUint(string(fields[start]), 10, 64)
}
