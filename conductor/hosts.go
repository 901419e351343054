package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/scenarios"
	"gameday/targets"
	remote "gameday/targets/hosts"
)

const (
	// installLimit bounds reaching a host for the first time: the guard may have to be copied.
	installLimit = 2 * time.Minute
	// lookLimit bounds looking into a host's ledger at the end.
	lookLimit = 15 * time.Second
	// hostPoll is how often a host is asked again that does not answer, or whose guard is still letting go.
	hostPoll = 250 * time.Millisecond
)

// HostsOf returns how the hosts are reached that a scenario's faults land on, in the order of its targets.
func HostsOf(s *scenarios.Scenario) []remote.Settings {
	var out []remote.Settings
	for _, t := range s.Targets {
		h, ok := t.Selector.(*targets.Host)
		if !ok || !slices.ContainsFunc(s.Faults, func(f scenarios.Fault) bool { return slices.Contains(f.Targets, t.Name) }) {
			continue
		}
		for _, settings := range h.Settings() {
			if !slices.Contains(out, settings) {
				out = append(out, settings)
			}
		}
	}
	return out
}

// checkHosts reaches every host, and brings a guard to those that have none. It tells of other game days there.
func (r *run) checkHosts() bool {
	all := HostsOf(r.Scenario)
	if len(all) == 0 {
		return true
	}
	if r.Machine.Hosts == nil {
		r.found("hosts", true, "no host can be reached from here", "Nothing was touched.")
		return false
	}
	ctx, cancel := context.WithTimeout(r.ctx, installLimit)
	defer cancel()
	errs, standing := make([]error, len(all)), make([][]guard.Standing, len(all))
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { standing[i], errs[i] = r.Machine.Hosts.Host(all[i]).Standing(ctx) })
	}
	wg.Wait()
	for i, s := range all {
		if errs[i] != nil {
			r.found("hosts", true, errs[i].Error(), "No fault was injected anywhere.")
			continue
		}
		for _, o := range otherRuns(localStanding(standing[i]), r.Run) {
			r.found("host "+s.SSH.Destination, false, fmt.Sprintf("another game day stands there: run %s, %s", o.run, counted(len(o.faults), "fault")),
				fmt.Sprintf("Scenario %s has %s. Faults on the same places are refused while it does.", o.scenario, strings.Join(o.faults, ", ")))
		}
	}
	return errors.Join(errs...) == nil
}

// localStanding turns what a guard tells of its ledger into what one tells of our own.
func localStanding(all []guard.Standing) []faults.Standing {
	var out []faults.Standing
	for _, s := range all {
		l := faults.Standing{ID: s.ID, Entry: s.Entry, Orphaned: s.Orphaned}
		if s.Error != "" {
			l.Err = errors.New(s.Error)
		}
		out = append(out, l)
	}
	return out
}

// follow hands the reports of a guard to the injections they speak of, once for each guard.
func (r *run) follow(c *guard.Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.followed[c] {
		r.followed[c] = true
		go r.followGuard(c)
	}
}

// stands reports whether the ledger that an injection is in, here or on its host, has its entry still. Where that cannot
// be seen it may.
func (r *run) stands(ctx context.Context, in *injection) bool {
	if in.host == nil {
		return r.entryStands(in.ID)
	}
	all, err := in.host.Standing(ctx)
	return err != nil || slices.ContainsFunc(all, func(s guard.Standing) bool { return s.ID == in.ID })
}

// revertOnHost reverts an entry on a host whose guard is dead, or no longer heard, through a new one. It tries until the
// host answers and the entry is gone: a guard that still lives there lets go at the end of the lease. At the end of ctx
// it returns cause, with what stood in the way.
func (r *run) revertOnHost(ctx context.Context, in *injection, cause error) error {
	var why error
	t := time.NewTicker(hostPoll)
	defer t.Stop()
	for {
		done, err := in.host.Clean(ctx, in.ID)
		for _, d := range done {
			if d.Error != "" {
				err = errors.Join(err, errors.New(d.Error))
			}
		}
		if err == nil && !r.stands(ctx, in) {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			why = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %s: %w", in.host, errors.Join(cause, why))
		case <-t.C:
		}
	}
}

// restartsHost reports whether an injection is the restart of a host.
func (in *injection) restartsHost() bool {
	n := in.place.Where().Node
	return n != nil && n.SSH != nil
}

// patienceWith returns how much longer than usual it may take to revert an injection: because its host is being restarted, or because
// it is in a cluster.
func (r *run) patienceWith(in *injection) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	longest := time.Duration(0)
	if inCluster(in.place) {
		longest = clusterRevert
	}
	for _, o := range r.standing {
		if o.restartsHost() && o.place.Where().Host == in.place.Where().Host {
			longest = max(longest, endMargin(o.fault.Config))
		}
	}
	return longest
}

// residueOnHosts lists what the run left on hosts, and what it may have left on those that cannot be seen.
func (r *run) residueOnHosts() []string {
	r.mu.Lock()
	used, unsure := slices.Clone(r.used), slices.Clone(r.standing)
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), lookLimit)
	defer cancel()
	var out []string
	for _, h := range used {
		all, err := h.Standing(ctx)
		for _, s := range all {
			if s.Entry.Run == r.Run {
				out = append(out, fmt.Sprintf("%s on %s (host %s)", s.Entry.Fault, s.Entry.Place.Name, h))
			}
		}
		for _, in := range unsure {
			if err != nil && in.host == h {
				out = append(out, fmt.Sprintf("%s on %s (host %s, which cannot be seen: %v)", in.Fault, in.Place, h, err))
			}
		}
	}
	return out
}

// endMargin is how much longer than planned a fault that ends by itself may take before it is ended.
func endMargin(c faults.Config) time.Duration {
	if o, ok := c.(faults.Overdue); ok {
		return max(selfEndMargin, o.Overdue())
	}
	return selfEndMargin
}
