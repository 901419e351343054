package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/targets/lab/power"
)

// Machine is this machine, or the part of it that a lab shows: /proc as it is seen from here, and the lab's nodes.
type Machine struct {
	// Lab is the lab's switchboard; nil outside a lab.
	Lab *power.Client
	// Stand returns the guard of this machine, started when first needed.
	Stand func(context.Context) (*guard.Client, error)
	// Own reports processes that belong to gameday itself: they are never selected. Nil spares only this process.
	Own func(pid int) bool
}

// Target returns what a scenario's target block selects on this machine.
func (m *Machine) Target(name string, s Selector, atMost int) Target {
	return &localTarget{machine: m, name: name, selector: s, atMost: atMost}
}

type localTarget struct {
	machine  *Machine
	name     string
	selector Selector
	atMost   int
}

// localPlace is a place on this machine.
type localPlace struct {
	faults.Place
	text  string
	stand func(context.Context) (*guard.Client, error)
}

func (p *localPlace) Where() faults.Place { return p.Place }
func (p *localPlace) Describe() string    { return p.text }
func (p *localPlace) Guard(ctx context.Context) (*guard.Client, error) {
	return p.stand(ctx)
}

// Places resolves the target now.
func (t *localTarget) Places(ctx context.Context) ([]Place, error) {
	var found []*localPlace
	var hint string
	var err error
	switch s := t.selector.(type) {
	case *Process:
		found, hint, err = t.machine.processes(ctx, s)
	case *Node:
		found, hint, err = t.machine.node(ctx, s)
	default:
		err = fmt.Errorf("no way to find a %s on this machine", t.selector.Kind())
	}
	if err != nil {
		return nil, fmt.Errorf("resolving target %q: %w", t.name, err)
	}
	if len(found) == 0 {
		return nil, &EmptyError{Target: t.name, Selector: t.selector.String(), Hint: hint}
	}
	out := make([]Place, len(found))
	texts := make([]string, len(found))
	for i, p := range found {
		p.Name = t.name
		if len(found) > 1 {
			p.Name = fmt.Sprintf("%s/%d", t.name, i+1)
		}
		p.stand = t.machine.Stand
		out[i], texts[i] = p, p.text
	}
	if len(found) > t.atMost {
		return nil, &TooManyError{Target: t.name, Selector: t.selector.String(), AtMost: t.atMost, Found: texts}
	}
	return out, nil
}

// node finds a node of the lab.
func (m *Machine) node(ctx context.Context, s *Node) ([]*localPlace, string, error) {
	if m.Lab == nil {
		return nil, "nodes stand in a lab, and none runs", nil
	}
	nodes, err := m.Lab.Nodes(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, n := range nodes {
		if n.Name != s.Name {
			continue
		}
		if !n.On {
			return nil, "the node is off; " + n.Trouble, nil
		}
		return []*localPlace{{Place: n.Place(m.Lab.Path()), text: n.Address.String()}}, "", nil
	}
	return nil, "", nil
}

// processes finds processes by their entries in /proc, sorted by pid.
func (m *Machine) processes(ctx context.Context, s *Process) ([]*localPlace, string, error) {
	match, err := s.matcher()
	if err != nil {
		return nil, "", err
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, "", fmt.Errorf("listing processes: %w", err)
	}
	slices.SortFunc(all, func(a, b procfs.Proc) int { return a.PID - b.PID })
	var sockets map[uint64]bool
	if s.Listen != 0 {
		if sockets = listeners(all, s.Listen); len(sockets) == 0 {
			return nil, "nothing listens on that port here", nil
		}
	}
	var out []*localPlace
	unreadable := 0
	for _, p := range all {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if p.PID == os.Getpid() || (m.Own != nil && m.Own(p.PID)) || !match(p) {
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
		place, err := place(p)
		if err != nil {
			continue // it ended while we looked
		}
		out = append(out, place)
	}
	hint := ""
	if len(out) == 0 && unreadable > 0 {
		hint = fmt.Sprintf("%d processes belong to other users and could not be looked into; run gameday as their user or as root", unreadable)
	}
	return out, hint, nil
}

// matcher returns the conditions that need no sockets.
func (s *Process) matcher() (func(procfs.Proc) bool, error) {
	command, err := regexp.Compile(s.Command)
	if err != nil {
		return nil, err
	}
	pid, err := s.pid()
	if err != nil {
		return nil, err
	}
	uid, err := s.uid()
	if err != nil {
		return nil, err
	}
	return func(p procfs.Proc) bool {
		if s.PIDFile != "" && p.PID != pid {
			return false
		}
		if s.Exe != "" {
			exe, err := p.Executable()
			if err != nil || (exe != s.Exe && filepath.Base(exe) != s.Exe) {
				return false
			}
		}
		if s.Command != "" {
			line, err := p.CmdLine()
			if err != nil || len(line) == 0 || !command.MatchString(strings.Join(line, " ")) {
				return false
			}
		}
		if s.User != "" {
			status, err := p.NewStatus()
			if err != nil || status.UIDs[0] != uid {
				return false
			}
		}
		return true
	}, nil
}

func (s *Process) pid() (int, error) {
	if s.PIDFile == "" {
		return 0, nil
	}
	b, err := os.ReadFile(s.PIDFile)
	if err != nil {
		return 0, fmt.Errorf("reading the pidfile: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("the pidfile %s holds no pid", s.PIDFile)
	}
	return pid, nil
}

func (s *Process) uid() (uint64, error) {
	if s.User == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(s.User, 10, 32); err == nil {
		return n, nil
	}
	u, err := user.Lookup(s.User)
	if err != nil {
		return 0, fmt.Errorf("looking up user %q: %w", s.User, err)
	}
	return strconv.ParseUint(u.Uid, 10, 32)
}

// place describes a live process as a place.
func place(p procfs.Proc) (*localPlace, error) {
	stat, err := p.Stat()
	if err != nil {
		return nil, err
	}
	if stat.State == "Z" {
		return nil, errors.New("it has ended")
	}
	network, err := namespace(p.PID)
	if err != nil {
		return nil, err
	}
	line, _ := p.CmdLine()
	exe, _ := p.Executable()
	out := &localPlace{text: fmt.Sprintf("pid %d %s", p.PID, strings.Join(line, " "))}
	out.Process = &faults.Process{PID: p.PID, Start: stat.Starttime, Exe: exe, Command: strings.Join(line, " ")}
	out.Network = network
	out.Addresses, err = addresses(p.PID)
	return out, err
}
