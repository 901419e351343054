package main

import (
	"os"
	"strings"

	"github.com/prometheus/procfs"
)

// labPrefix begins the name under which the lab's own processes run.
const labPrefix = "gameday-lab-"

// ownProcess reports whether a process belongs to gameday itself and must never be a target: this one, those it comes
// from, those that come from it (guard, generator), and those that hold the lab.
func ownProcess(pid int) bool {
	if ancestor(pid, os.Getpid()) || ancestor(os.Getpid(), pid) {
		return true
	}
	p, err := procfs.NewProc(pid)
	if err != nil {
		return false
	}
	line, err := p.CmdLine()
	return err == nil && len(line) > 0 && strings.HasPrefix(line[0], labPrefix)
}

// ancestor reports whether a process is another one, or its parent, or the parent's, and so on.
func ancestor(of, pid int) bool {
	for range 1000 { // deeper than any chain of processes; the table may change while it is walked
		if pid == of {
			return true
		}
		p, err := procfs.NewProc(pid)
		if err != nil {
			return false
		}
		stat, err := p.Stat()
		if err != nil || stat.PPID <= 0 {
			return false
		}
		pid = stat.PPID
	}
	return false
}
