// Package process holds the faults that hit one process, and tells processes from their successors.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"gameday/faults"
)

// Identify returns the process that has the pid now, so that it can be told from a later one with the same pid.
// Exe and Command are left empty where they cannot be read.
func Identify(pid int) (faults.Process, error) {
	s, err := readStat(pid)
	if err != nil {
		return faults.Process{}, fmt.Errorf("identifying pid %d: %w", pid, err)
	}
	p := faults.Process{PID: pid, Start: s.start}
	p.Exe, _ = os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		p.Command = strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	}
	return p, nil
}

// Alive reports whether the very process runs: same pid, same start, and neither dead nor waiting to be reaped.
// It is false where there is no /proc.
func Alive(p faults.Process) bool {
	s, err := readStat(p.PID)
	return err == nil && s.lives(p)
}

// stat is the part of /proc/PID/stat that matters here.
type stat struct {
	state  byte
	parent int
	flags  uint64 // PF_… of the kernel's include/linux/sched.h
	cpu    uint64 // clock ticks spent running, by all threads, in user and kernel mode
	start  uint64 // clock ticks since boot
}

// lives reports whether it is that of the very process, and that one has not ended.
func (s stat) lives(p faults.Process) bool {
	return s.start == p.Start && s.state != 'Z' && s.state != 'X'
}

// readStat reads /proc/PID/stat.
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// parseStat reads fields 3, 4, 9, 14, 15 and 22. They are counted from the last closing parenthesis, because field 2, the name,
// may hold spaces and parentheses.
func parseStat(data []byte) (stat, error) {
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return stat{}, errors.New("stat has no name in parentheses")
	}
	fields := bytes.Fields(data[i+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("stat has %d fields after the name, 20 are needed", len(fields))
	}
	var numbers [5]uint64
	for i, at := range []int{1, 6, 11, 12, 19} {
		n, err := strconv.ParseUint(string(fields[at]), 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("reading field %d of stat: %w", at+3, err)
		}
		numbers[i] = n
	}
	return stat{state: fields[0][0], parent: int(numbers[0]), flags: numbers[1], cpu: numbers[2] + numbers[3], start: numbers[4]}, nil
}
