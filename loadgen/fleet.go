package loadgen

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Here is the SSH of a Node that is this machine.
const Here = "here"

// Node is a machine that a stream can be sent from. Nodes are comparable.
type Node struct {
	SSH     string // as the user's own ssh understands it, or Here
	Config  string // file for ssh -F; empty for the user's own
	Install string // folder on the machine that the program is copied to; empty for the usual one
	Program string // path of the program there; empty to copy it
}

// IsHere reports whether the node is this machine.
func (n Node) IsHere() bool { return n.SSH == Here }

// Names returns a name for each node of a stream: its destination, and from the second time on with a number.
func Names(nodes []Node) []string {
	var out []string
	for _, n := range nodes {
		name := n.SSH
		for i := 2; slices.Contains(out, name); i++ {
			name = fmt.Sprintf("%s-%d", n.SSH, i)
		}
		out = append(out, name)
	}
	return out
}

// Fleet sends streams by one generator here, or by several, here and elsewhere, when they ask for it.
type Fleet struct {
	Generator // sends from this machine
	// There returns what sends from another machine.
	There func(Node) Generator
	// Muster has the runners of a packed stream with RunOn started, and returns what each of them sends by, one for each segment.
	// They are gone when dismiss has returned.
	Muster func(ctx context.Context, spec Spec) (all []Runner, dismiss func(), err error)
}

// Run sends the stream. Of several generators each sends a segment; they begin together, and their windows are merged. The
// first that fails ends the stream: from then on what is sent is not what was asked for. Runners are many, and strangers' machines:
// the stream goes on without one that is lost after it began, and its windows say so.
func (f Fleet) Run(ctx context.Context, spec Spec, emit func(Window)) error {
	if spec.RunOn != nil {
		return f.runners(ctx, spec, emit)
	}
	if len(spec.Generators) == 0 {
		return f.Generator.Run(ctx, spec, emit)
	}
	if slices.ContainsFunc(spec.Generators, func(n Node) bool { return !n.IsHere() }) {
		p, ok := f.Generator.(Packer)
		if !ok || f.There == nil {
			return fmt.Errorf("running traffic %q: it can be sent from this machine only", spec.Stream)
		}
		var err error
		if spec, err = p.Pack(ctx, spec); err != nil {
			return err
		}
	}
	s := newSeveral(spec, emit)
	for i, name := range Names(spec.Generators) {
		p, err := s.part(i, name)
		if err != nil {
			return err
		}
		p.generator, p.spec.Files = f.Generator, nil // here files are where they are
		if n := spec.Generators[i]; !n.IsHere() {
			p.generator, p.spec.Files = f.There(n), spec.Files
		}
	}
	return s.run(ctx)
}

// runners sends the stream by those that somebody else starts.
func (f Fleet) runners(ctx context.Context, spec Spec, emit func(Window)) error {
	p, ok := f.Generator.(Packer)
	if !ok || f.Muster == nil {
		return fmt.Errorf("running traffic %q: no runners can be started for it here", spec.Stream)
	}
	spec, err := p.Pack(ctx, spec)
	if err != nil {
		return err
	}
	all, dismiss, err := f.Muster(ctx, spec)
	if err != nil {
		return err
	}
	defer dismiss()
	s := newSeveral(spec, emit)
	s.goOn, s.way = true, spec.RunOn.Way()
	for i, r := range all {
		p, err := s.part(i, r.Name)
		if err != nil {
			return err
		}
		p.generator, p.spec.RunOn, p.spec.Segment = r, nil, Segment{Index: i, Of: len(all)}
		p.spec.Sharing = 1 // a pod is a machine of its own
		if spec.RunOn.Kind == Processes {
			p.spec.Sharing = max(1, spec.Sharing) * len(all)
		}
	}
	return s.run(ctx)
}

// beside returns how many of the nodes are the same machine as the i-th, with it.
func beside(nodes []Node, i int) (n int) {
	for _, other := range nodes {
		if other.SSH == nodes[i].SSH {
			n++
		}
	}
	return n
}

// part makes the i-th generator's part of the stream, with a folder of its own.
func (s *several) part(i int, name string) (*part, error) {
	p := &part{name: name, commands: make(chan Command, partBacklog), begin: make(chan time.Time, 1)}
	p.spec = s.spec
	p.spec.Generators, p.spec.Segment = nil, Segment{Index: i, Of: len(s.spec.Generators)}
	p.spec.Sharing = max(1, s.spec.Sharing) * beside(s.spec.Generators, i)
	p.spec.Dir = filepath.Join(s.spec.Dir, fmt.Sprintf("generator-%d", i+1)) // a destination need not be a file name
	if err := os.MkdirAll(p.spec.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("making room for generator %s: %w", name, err)
	}
	p.spec.Commands, p.spec.Begin = p.commands, p.begin
	p.spec.Prepared = func() { s.news <- news{part: i, prepared: true} }
	p.spec.Ready = func() { s.news <- news{part: i, ready: true} }
	if log := s.spec.Log; log != nil {
		p.spec.Log = func(level, message string) { log(level, name+": "+message) }
	}
	s.parts = append(s.parts, p)
	return p, nil
}
