package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"gameday/faults"
	"gameday/targets/lab/power"
)

// nodes are all the nodes of the lab, kept by lab init.
type nodes struct {
	children *children
	network  *coreNetwork

	change sync.Mutex // held over a whole start or stop

	mu   sync.Mutex // guards what follows
	name string
	all  []*node
	logs *os.File
}

func newNodes(c *children, network *coreNetwork) *nodes {
	return &nodes{children: c, network: network}
}

// start boots the nodes of the plan and waits until all are ready.
func (n *nodes) start(ctx context.Context, p plan) error {
	n.change.Lock()
	defer n.change.Unlock()
	n.mu.Lock()
	running := n.name
	started := n.all != nil
	n.mu.Unlock()
	if started {
		return fmt.Errorf("starting lab %s: lab %s is there already; stop it first", p.Name, running)
	}
	if err := n.prepare(p); err != nil {
		return fmt.Errorf("starting lab %s: %w", p.Name, err)
	}
	// Booting is bound by the processor, and a crowd of half-booted nodes would only wait for each other.
	turns := make(chan struct{}, 2*runtime.NumCPU())
	if err := each(n.list(), func(one *node) error {
		turns <- struct{}{}
		defer func() { <-turns }()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return one.powerOn()
	}); err != nil {
		return fmt.Errorf("starting lab %s: %w", p.Name, err)
	}
	if err := each(n.list(), func(one *node) error { return one.awaitReady(ctx) }); err != nil {
		return fmt.Errorf("starting lab %s: %w", p.Name, err)
	}
	return nil
}

// prepare makes everything that the nodes of the plan share.
func (n *nodes) prepare(p plan) error {
	if len(p.Nodes) == 0 {
		return errors.New("it has no nodes")
	}
	if err := os.MkdirAll(p.Logs, 0o755); err != nil {
		return fmt.Errorf("making the folder for logs: %w", err)
	}
	logs, err := os.Open(p.Logs)
	if err != nil {
		return fmt.Errorf("opening the folder for logs: %w", err)
	}
	err = n.network.setPrefix(p.Prefix)
	if err == nil {
		// In place: the file is mounted over /etc/hosts in every node.
		err = os.WriteFile(hostsFile, []byte(p.hosts()), 0o644)
	}
	if err != nil {
		return errors.Join(err, logs.Close())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.name, n.logs = p.Name, logs
	for i, np := range p.Nodes {
		n.all = append(n.all, &node{plan: np, cable: fmt.Sprintf("node%d", i+1), nodes: n, logs: logs})
	}
	return nil
}

// stop ends all nodes and forgets them.
func (n *nodes) stop() error {
	n.change.Lock()
	defer n.change.Unlock()
	err := each(n.list(), func(one *node) error { return one.shutDown() })
	if err != nil {
		return fmt.Errorf("stopping the lab: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.logs != nil {
		err = n.logs.Close()
	}
	n.name, n.all, n.logs = "", nil, nil
	return errors.Join(err, os.WriteFile(hostsFile, []byte(plan{}.hosts()), 0o644))
}

// each calls do for all nodes at once and joins the errors in the nodes' order.
func each(all []*node, do func(*node) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, one := range all {
		wg.Go(func() { errs[i] = do(one) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (n *nodes) list() []*node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.all)
}

// find returns a node by name.
func (n *nodes) find(name string) (*node, error) {
	all := n.list()
	i := slices.IndexFunc(all, func(one *node) bool { return one.plan.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w: %q; it has %s", power.ErrUnknownNode, name, names(all))
	}
	return all[i], nil
}

// names lists the nodes for people.
func names(all []*node) string {
	if len(all) == 0 {
		return "none"
	}
	text := ""
	for i, one := range all {
		switch {
		case i == 10:
			return text + fmt.Sprintf(" and %d more", len(all)-i)
		case i > 0:
			text += ", "
		}
		text += one.plan.Name
	}
	return text
}

// states returns what is known of all nodes, in order.
func (n *nodes) states() []power.State {
	// Nodes know their processes by the pids that these have there. One walk over /proc finds what they are here.
	type key struct{ init, inner int }
	here := map[key]int{}
	all, err := processes("/proc")
	if err == nil {
		for _, e := range all {
			if e.inner != 0 && !e.zombie {
				here[key{e.parent, e.inner}] = e.pid
			}
		}
	}
	out := []power.State{}
	for _, one := range n.list() {
		out = append(out, one.state(func(init, inner int) faults.Process {
			pid := here[key{init, inner}]
			if pid == 0 {
				return faults.Process{}
			}
			return describe(pid)
		}))
	}
	return out
}
