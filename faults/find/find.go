// Package find finds places on the machine it runs on: processes by their entries in /proc, and the machine itself. A
// gameday finds its own machine's places with it, and a guard those of the host that it stands on.
package find

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/procfs"

	"gameday/faults"
)

// Found is a place, and one line about it for people: "pid 4127 /usr/local/bin/shop payments".
type Found struct {
	Place faults.Place `json:"place"`
	Text  string       `json:"text"`
}

// Result is what a selector finds: the places in a stable order, and when there are none perhaps a hint why.
type Result struct {
	Found []Found `json:"found,omitempty"`
	Hint  string  `json:"hint,omitempty"`
}

// Query asks a guard for places: processes, or without a selector the machine itself.
type Query struct {
	Process *Process `json:"process,omitempty"`
}

// Answer answers a Query in JSON with a Result in JSON, as a guard does for its client. Processes that belong to the
// guard, or that it comes from, are not found.
func Answer(ctx context.Context, query json.RawMessage) (json.RawMessage, error) {
	var q Query
	if err := json.Unmarshal(query, &q); err != nil {
		return nil, fmt.Errorf("reading what to find: %w", err)
	}
	r, err := q.Run(ctx, Related)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// Run finds the places now. Own reports processes that belong to gameday itself, which are never found; nil spares only
// this process.
func (q Query) Run(ctx context.Context, own func(pid int) bool) (Result, error) {
	if q.Process == nil {
		return host()
	}
	return Processes(ctx, q.Process, own)
}

// Processes finds processes by their entries in /proc, sorted by pid. Own is as for Query.Run.
func Processes(ctx context.Context, s *Process, own func(pid int) bool) (Result, error) {
	match, err := s.matcher()
	if err != nil {
		return Result{}, err
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return Result{}, fmt.Errorf("listing processes: %w", err)
	}
	slices.SortFunc(all, func(a, b procfs.Proc) int { return a.PID - b.PID })
	var sockets map[uint64]bool
	if s.Listen != 0 {
		if sockets = listeners(all, uint16(s.Listen)); len(sockets) == 0 {
			return Result{Hint: "nothing listens on that port here"}, nil
		}
	}
	var out Result
	unreadable := 0
	for _, p := range all {
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if p.PID == os.Getpid() || !match(p) {
			continue
		}
		if sockets != nil {
			holds, err := holdsSocket(p, sockets)
			if errors.Is(err, os.ErrPermission) {
				unreadable++
			}
			if !holds {
				continue
			}
		}
		if own != nil && own(p.PID) {
			continue
		}
		found, err := place(p)
		if err != nil {
			continue // it ended while we looked
		}
		out.Found = append(out.Found, found)
	}
	if len(out.Found) == 0 && unreadable > 0 {
		out.Hint = fmt.Sprintf("%d processes belong to other users and could not be looked into; run gameday as their user or as root", unreadable)
	}
	return out, nil
}

// place describes a live process as a place.
func place(p procfs.Proc) (Found, error) {
	stat, err := p.Stat()
	if err != nil {
		return Found{}, err
	}
	if stat.State == "Z" {
		return Found{}, errors.New("it has ended")
	}
	network, err := Namespace(p.PID)
	if err != nil {
		return Found{}, err
	}
	line, _ := p.CmdLine()
	exe, _ := p.Executable()
	out := Found{Text: fmt.Sprintf("pid %d %s", p.PID, strings.Join(line, " "))}
	out.Place.Process = &faults.Process{PID: p.PID, Start: stat.Starttime, Exe: exe, Command: strings.Join(line, " ")}
	out.Place.Network = network
	out.Place.Addresses, err = Addresses(p.PID)
	return out, err
}

// host finds the machine itself: the network of its first process, or as far as that may not be looked at our own, which
// for somebody who has just come through SSH is the same.
func host() (Result, error) {
	boot, err := BootID()
	if err != nil {
		return Result{}, err
	}
	member := 1
	network, err := Namespace(member)
	if errors.Is(err, os.ErrPermission) {
		member = os.Getpid()
		network, err = Namespace(member)
	}
	if err != nil {
		return Result{}, err
	}
	addresses, err := Addresses(member)
	if err != nil {
		return Result{}, err
	}
	name, err := os.Hostname()
	if err != nil {
		return Result{}, fmt.Errorf("reading the host's name: %w", err)
	}
	texts := []string{name}
	for _, a := range addresses {
		texts = append(texts, a.String())
	}
	return Result{Found: []Found{{Text: strings.Join(texts, " "), Place: faults.Place{
		Network: network, Addresses: addresses, Node: &faults.Node{Name: name, BootID: boot}}}}}, nil
}

// BootID returns the kernel's id of the present boot.
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("reading the boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// Related reports whether a process is this one, or one that this one comes from, or one that comes from this one.
func Related(pid int) bool { return ancestor(pid, os.Getpid()) || ancestor(os.Getpid(), pid) }

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
