// Package cluster is gameday's end of what it says to Kubernetes clusters: it finds the program that speaks to them, starts it as a
// guard, and asks it. It links no Kubernetes client itself.
//
//	gameday ──guard's protocol, queries in its Find──▶ gameday-kubernetes ──▶ API server
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/programs"
)

// grudge is for how long a program that could not be started is not started again.
const grudge = time.Second

// Program is gameday-kubernetes: started when it is first needed, and once. The zero value looks for it, and lets it look only. Its
// methods are safe for concurrent use.
type Program struct {
	// Path is the program's file; empty to look for it beside this program, then in $PATH.
	Path string
	// Ledger is the folder of the ledger in which the faults in clusters stand. Empty is for somebody who only looks: an empty
	// folder is made for the program, and goes with Close.
	Ledger string
	// Halt is the file that stops all injections while it is there; empty is the one beside the ledger.
	Halt string
	// Watch, if set, is called when a folder was made for somebody who only looks, and what it returns when that is gone: in between, an
	// end by a signal should call Abandon.
	Watch func() (stop func())

	mu      sync.Mutex
	client  *guard.Client
	failed  error // the last attempt
	at      time.Time
	scratch *scratch // the ledger of somebody who only looks
}

// Find returns the program's file. An error that wraps programs.ErrMissing says where it was looked for.
func Find() (string, error) {
	path, err := programs.Find(cluster.Program)
	if errors.Is(err, programs.ErrMissing) {
		return "", fmt.Errorf("%w. gameday speaks to Kubernetes through it; build it from gameday's source with `make build`, "+
			"or put it beside gameday", err)
	}
	return path, err
}

// Guard returns the program as a guard. It is started when first needed, and again when it has ended.
func (p *Program) Guard(ctx context.Context) (*guard.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		select {
		case <-p.client.Ended():
		default:
			return p.client, nil
		}
	}
	if p.failed != nil && time.Since(p.at) < grudge {
		return nil, p.failed
	}
	p.client, p.failed = p.start(ctx)
	p.at = time.Now()
	return p.client, p.failed
}

// start needs the lock.
func (p *Program) start(ctx context.Context) (*guard.Client, error) {
	path := p.Path
	if path == "" {
		var err error
		if path, err = Find(); err != nil {
			return nil, err
		}
	}
	ledger := p.Ledger
	if ledger == "" {
		if p.scratch == nil {
			made, err := newScratch()
			if err != nil {
				return nil, fmt.Errorf("starting %s: %w", cluster.Program, err)
			}
			if p.Watch != nil {
				made.unwatch = p.Watch()
			}
			p.scratch = made
		}
		ledger = p.scratch.dir
	}
	args := []string{"--ledger", ledger}
	if p.Halt != "" {
		args = append(args, "--halt", p.Halt)
	}
	// It outlives the context of whoever needed it first: it must revert what it holds.
	client, err := guard.Start(ctx, exec.Command(path, args...))
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", cluster.Program, err)
	}
	welcome, err := client.Hello(ctx)
	if err == nil {
		err = sameVersion(path, welcome.Version, guard.Version())
	}
	if err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // it holds nothing
		defer cancel()
		_ = client.Close(closing)
		return nil, err
	}
	return client, nil
}

// sameVersion refuses a program of another version. A build that does not know its own is taken to be the same.
func sameVersion(path, theirs, ours string) error {
	if programs.Same(theirs, ours) {
		return nil
	}
	return fmt.Errorf("%s is of version %s, and this gameday of %s: what one means the other may not know. Install both of one version; "+
		"`make build` builds both", path, theirs, ours)
}

// Close ends the program, which reverts what it holds, and waits for that as guard.Client's Close does.
func (p *Program) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.client != nil {
		if err = p.client.Close(ctx); err != nil {
			err = fmt.Errorf("%s: %w", cluster.Program, err)
		}
	}
	if p.scratch != nil {
		err = errors.Join(err, p.scratch.remove())
		p.scratch = nil
	}
	return err
}

// Abandon removes what was made for somebody who only looks, for a process that is about to end: the program ends with it. Whoever uses p
// afterwards waits for ever.
func (p *Program) Abandon() {
	p.mu.Lock()
	if p.scratch != nil {
		_ = os.RemoveAll(p.scratch.dir) // else the next one does
	}
}

// ask asks the program, and decodes its answer.
func ask[T any](ctx context.Context, p *Program, q cluster.Query) (answer T, err error) {
	query, err := json.Marshal(q)
	if err != nil {
		return answer, fmt.Errorf("encoding what to ask %s: %w", cluster.Program, err)
	}
	client, err := p.Guard(ctx)
	if err != nil {
		return answer, err
	}
	raw, err := client.Find(ctx, query)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) { // and not what the program says, which may come in that moment
			err = errors.New("the cluster did not answer in time")
		}
		return answer, fmt.Errorf("%s%w", via(q.Access), err)
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return answer, fmt.Errorf("reading what %s answers: %w", cluster.Program, err)
	}
	return answer, nil
}

// via names the context in front of an error, where one was asked for.
func via(a faults.Access) string {
	if a.Context == "" {
		return ""
	}
	return "context " + a.Context + ": "
}

// Find finds places. Exactly one of the query's selectors is set.
func (p *Program) Find(ctx context.Context, q cluster.Query) (find.Result, error) {
	return ask[find.Result](ctx, p, q)
}

// Validate returns what of some faults cannot be done in a cluster. No cluster is contacted.
func (p *Program) Validate(ctx context.Context, a faults.Access, all []cluster.Fault) ([]cluster.Mistake, error) {
	return ask[[]cluster.Mistake](ctx, p, cluster.Query{Access: a, Validate: all})
}

// Render returns what injections would put into the cluster. No cluster is contacted.
func (p *Program) Render(ctx context.Context, a faults.Access, all []guard.InjectRequest) ([]cluster.Rendered, error) {
	return ask[[]cluster.Rendered](ctx, p, cluster.Query{Access: a, Render: all})
}

// Radius returns what a manifest would hit now, by the rules by which Chaos Mesh selects. It touches nothing.
func (p *Program) Radius(ctx context.Context, a faults.Access, m *cluster.ChaosMesh) (*faults.Radius, error) {
	return ask[*faults.Radius](ctx, p, cluster.Query{Access: a, Radius: m})
}

// Preflight asks whether injections could be made now. It touches nothing.
func (p *Program) Preflight(ctx context.Context, a faults.Access, of cluster.Preflight) ([]cluster.Finding, error) {
	return ask[[]cluster.Finding](ctx, p, cluster.Query{Access: a, Preflight: &of})
}

// Ours returns the objects of gameday in the cluster, those of a run or with an empty one of all. Where not all of the cluster may be
// looked into, it is the namespaces that are.
func (p *Program) Ours(ctx context.Context, a faults.Access, run string, namespaces ...string) ([]cluster.Object, error) {
	return ask[[]cluster.Object](ctx, p, cluster.Query{Access: a, Ours: &cluster.Ours{Run: run, Namespaces: namespaces}})
}

// SeesAll returns an error when some of what gameday may have in the cluster, of a run or with an empty one of all, cannot be seen.
func (p *Program) SeesAll(ctx context.Context, a faults.Access, run string) error {
	_, err := ask[[]cluster.Object](ctx, p, cluster.Query{Access: a, Ours: &cluster.Ours{Run: run, Whole: true}})
	return err
}

// Lift removes objects of gameday from the cluster, and says what became of each.
func (p *Program) Lift(ctx context.Context, a faults.Access, of cluster.Lift) ([]cluster.Lifted, error) {
	return ask[[]cluster.Lifted](ctx, p, cluster.Query{Access: a, Lift: &of})
}
