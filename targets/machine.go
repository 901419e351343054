package targets

import (
	"context"
	"fmt"

	"gameday/faults"
	"gameday/faults/find"
	"gameday/faults/guard"
	near "gameday/targets/cluster"
	"gameday/targets/hosts"
	"gameday/targets/lab/power"
)

// Machine is this machine, or the part of it that a lab shows: /proc as it is seen from here, and the lab's nodes; and the
// hosts that are reached from here.
type Machine struct {
	// Lab is the lab's switchboard; nil outside a lab.
	Lab *power.Client
	// Stand returns the guard of this machine, started when first needed.
	Stand func(context.Context) (*guard.Client, error)
	// Own reports processes that belong to gameday itself: they are never selected. Nil spares only this process.
	Own func(pid int) bool
	// Hosts are the machines that are reached by SSH; nil when there are none.
	Hosts *hosts.Pool
	// Cluster speaks to Kubernetes clusters; nil when nothing does.
	Cluster *near.Program
}

// Target returns what a scenario's target block selects on this machine, on the hosts that it names, or in a cluster.
func (m *Machine) Target(name string, s Selector, c Choice) Target {
	return &localTarget{machine: m, name: name, selector: s, choice: c}
}

type localTarget struct {
	machine  *Machine
	name     string
	selector Selector
	choice   Choice
}

// localPlace is a place on this machine, on a host, or in a cluster.
type localPlace struct {
	faults.Place
	text  string
	stand func(context.Context) (*guard.Client, error)

	host  *hosts.Host  // nil on this machine
	order int          // of the host in its target
	whole *faults.Node // the host itself, when that is the place
}

func (p *localPlace) Where() faults.Place { return p.Place }
func (p *localPlace) Describe() string    { return p.text }
func (p *localPlace) Guard(ctx context.Context) (*guard.Client, error) {
	return p.stand(ctx)
}

// Places resolves the target now.
func (t *localTarget) Places(ctx context.Context) ([]Place, error) {
	r, err := t.Resolve(ctx)
	return r.Picked, err
}

// Resolve resolves the target now.
func (t *localTarget) Resolve(ctx context.Context) (Resolution, error) {
	var found []*localPlace
	var result find.Result
	var err error
	stand := t.machine.Stand
	switch s := t.selector.(type) {
	case *Process:
		result, err = find.Processes(ctx, s, t.machine.Own)
	case *Container:
		result, err = t.machine.containers(ctx, s)
	case *Node:
		result, err = t.machine.node(ctx, s)
	case *Host:
		found, result.Hint, err = t.machine.onHosts(ctx, s)
	case InCluster:
		if result, err = t.machine.inCluster(ctx, s.query()); err == nil {
			stand = t.machine.Cluster.Guard
		}
	default:
		err = fmt.Errorf("no way to find a %s on this machine", t.selector.Kind())
	}
	if err != nil {
		return Resolution{}, fmt.Errorf("resolving target %q: %w", t.name, err)
	}
	for _, f := range result.Found {
		found = append(found, &localPlace{Place: f.Place, text: f.Text, stand: stand})
	}
	if len(found) == 0 {
		return Resolution{}, &EmptyError{Target: t.name, Selector: t.selector.String(), Hint: result.Hint}
	}
	return t.choose(found)
}

// node finds a node of the lab.
func (m *Machine) node(ctx context.Context, s *Node) (find.Result, error) {
	if m.Lab == nil {
		return find.Result{Hint: "nodes stand in a lab, and none runs"}, nil
	}
	nodes, err := m.Lab.Nodes(ctx)
	if err != nil {
		return find.Result{}, err
	}
	for _, n := range nodes {
		if n.Name != s.Name {
			continue
		}
		if !n.On {
			return find.Result{Hint: "the node is off; " + n.Trouble}, nil
		}
		return find.Result{Found: []find.Found{{Place: n.Place(m.Lab.Path()), Text: n.Address.String()}}}, nil
	}
	return find.Result{}, nil
}
