// Package hosts brings guards to machines that are reached by SSH: with the system's ssh and the user's own
// configuration, without a daemon and without an open port.
//
//	gameday ──ssh──▶ sh: what is there? ──▶ (copy the guard, verify its digest)
//	gameday ──ssh──▶ guard, which speaks over standard input and output, and reverts everything when that ends
package hosts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gameday/faults"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/faults/ssh"
)

const (
	// pingEvery is how often a guard hears of us when there is nothing to say.
	pingEvery = 5 * time.Second
	// silence is how long a guard on a host waits for that before it takes us for dead. Leases are shorter: it is for
	// the guard that holds nothing, and would stay for ever behind a connection that ended without a word.
	silence = 30 * time.Second
	// grudge is for how long a host that could not be reached is not tried again.
	grudge = time.Second
)

// Settings say how a host is reached and where its guard stands. They are comparable: the same settings are the same host.
type Settings struct {
	SSH faults.SSH
	// Guard is the path of a guard that is on the host already; empty to copy one.
	Guard string
	// Install is the folder that the guard is copied to; empty for DefaultInstall.
	Install string
}

func (s Settings) install() string { return cmp.Or(s.Install, DefaultInstall) }

// Pool keeps one connection to each host. Its methods are safe for concurrent use.
type Pool struct {
	// Programs are the guards that can be copied; nil for those beside the program.
	Programs *Programs
	// ReadOnly copies nothing: a host without a guard gives ErrNotInstalled.
	ReadOnly bool
	// Version is this program's, of which what generates traffic on hosts must be; empty for tests.
	Version string

	generators *Programs
	scripts    *Programs
	mu         sync.Mutex
	hosts      map[Settings]*Host
}

// Host returns the host of the settings. Nobody is contacted yet.
func (p *Pool) Host(s Settings) *Host {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Programs == nil {
		p.Programs = &Programs{}
	}
	if p.generators == nil {
		p.generators, p.scripts = Generators(), Scripts()
		p.generators.Version, p.scripts.Version = p.Version, p.Version
	}
	if p.hosts == nil {
		p.hosts = map[Settings]*Host{}
	}
	if p.hosts[s] == nil {
		p.hosts[s] = &Host{settings: s, pool: p}
	}
	return p.hosts[s]
}

// Close ends all guards, at once, and waits for them to revert what they hold.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	var all []*Host
	for _, h := range p.hosts {
		all = append(all, h)
	}
	p.mu.Unlock()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, h := range all {
		wg.Go(func() { errs[i] = h.close(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Host is one machine that is reached by SSH.
type Host struct {
	settings Settings
	pool     *Pool

	mu     sync.Mutex
	client *guard.Client
	failed error // the last attempt
	at     time.Time
	names  []string // see Names
}

// Settings returns how the host is reached.
func (h *Host) Settings() Settings { return h.settings }

// String returns the destination as the user wrote it.
func (h *Host) String() string { return h.settings.SSH.Destination }

// Guard returns the guard on the host. It is copied and started when first needed, and a new one is started when the last
// one's connection has ended. Every error names the host.
func (h *Host) Guard(ctx context.Context) (*guard.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client != nil {
		select {
		case <-h.client.Ended():
		default:
			return h.client, nil
		}
	}
	if h.failed != nil && time.Since(h.at) < grudge {
		return nil, h.failed
	}
	client, err := h.start(ctx)
	h.failed, h.at = err, time.Now()
	if err != nil {
		return nil, err
	}
	h.client = client
	go ping(client)
	return client, nil
}

// run starts the guard in $1. Sudo takes away what tells the guard of the path that it must not cut.
const (
	run     = `case $1 in "~/"*) set -- "$HOME/${1#??}" "$2";; esac; exec "$1" --silence "$2"`
	runRoot = `case $1 in "~/"*) set -- "$HOME/${1#??}" "$2";; esac; exec sudo -n "$1" --silence "$2" --ssh "$SSH_CONNECTION"`
)

func (h *Host) start(ctx context.Context) (*guard.Client, error) {
	path, _, err := h.ready(ctx, !h.pool.ReadOnly)
	if err != nil {
		return nil, err
	}
	script := run
	if h.settings.SSH.Sudo {
		script = runRoot
	}
	// The guard outlives the context of whoever needed it first.
	client, err := guard.Start(ctx, ssh.Command(context.Background(), h.settings.SSH, script, path, silence.String()))
	if err == nil {
		return client, nil
	}
	advice := ""
	switch {
	case strings.Contains(err.Error(), "sudo:"):
		advice = "; allow it in sudoers without a password (see docs/targets/host.md), or leave sudo out"
	case h.settings.Guard != "":
		advice = "; is there a guard of this version at " + path + "? Leave guard out, and it is copied"
	}
	return nil, fmt.Errorf("host %s: %w%s", h, err, advice)
}

// ping lets the guard know that somebody is there, until it has ended.
func ping(c *guard.Client) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-c.Ended():
			return
		case <-t.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), pingEvery)
		_, _ = c.Hello(ctx) // the renewals of faults notice when it does not answer
		cancel()
	}
}

func (h *Host) close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client == nil {
		return nil
	}
	if err := h.client.Close(ctx); err != nil {
		return fmt.Errorf("host %s: %w", h, err)
	}
	return nil
}

// Find finds places on the host: the guard looks there.
func (h *Host) Find(ctx context.Context, q find.Query) (find.Result, error) {
	query, err := json.Marshal(q)
	if err != nil {
		return find.Result{}, fmt.Errorf("host %s: encoding what to find: %w", h, err)
	}
	client, err := h.Guard(ctx)
	if err != nil {
		return find.Result{}, err
	}
	answer, err := client.Find(ctx, query)
	if err != nil {
		return find.Result{}, fmt.Errorf("host %s: %w", h, err)
	}
	var r find.Result
	if err := json.Unmarshal(answer, &r); err != nil {
		return find.Result{}, fmt.Errorf("host %s: reading what was found: %w", h, err)
	}
	if len(r.Found) == 0 && r.Hint != "" && !h.settings.SSH.Sudo && strings.Contains(r.Hint, "other users") {
		r.Hint += ", or set sudo = true for the host"
	}
	return r, nil
}

// Standing returns the entries of the host's ledger.
func (h *Host) Standing(ctx context.Context) ([]guard.Standing, error) {
	client, err := h.Guard(ctx)
	if err != nil {
		return nil, err
	}
	all, err := client.Standing(ctx)
	if err != nil {
		return nil, fmt.Errorf("host %s: reading its ledger: %w", h, err)
	}
	return all, nil
}

// Clean reverts what dead guards left on the host, or only the entries of the ids.
func (h *Host) Clean(ctx context.Context, ids ...string) ([]guard.Cleaned, error) {
	client, err := h.Guard(ctx)
	if err != nil {
		return nil, err
	}
	done, err := client.Clean(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("host %s: reverting what was left: %w", h, err)
	}
	return done, nil
}
