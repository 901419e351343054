package main

import (
	"strings"

	"github.com/prometheus/procfs"

	"gameday/faults/find"
)

// labPrefix begins the name under which the lab's own processes run.
const labPrefix = "gameday-lab-"

// ownProcess reports whether a process belongs to gameday itself and must never be a target: this one, those it comes
// from, those that come from it (guard, generator), and those that hold the lab.
func ownProcess(pid int) bool {
	if find.Related(pid) {
		return true
	}
	p, err := procfs.NewProc(pid)
	if err != nil {
		return false
	}
	line, err := p.CmdLine()
	return err == nil && len(line) > 0 && strings.HasPrefix(line[0], labPrefix)
}
