package conductor

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/faults"
	"gameday/loadgen"
	afar "gameday/loadgen/remote"
	"gameday/report"
	"gameday/scenarios"
	remote "gameday/targets/hosts"
)

const (
	// bringLimit bounds bringing the generator to all machines, and seekLimit asking whether it is there.
	bringLimit = 5 * time.Minute
	seekLimit  = 30 * time.Second
)

// settingsOf returns how a machine is reached that sends traffic.
func settingsOf(n loadgen.Node) remote.Settings {
	return remote.Settings{SSH: faults.SSH{Destination: n.SSH, Config: n.Config}, Install: n.Install}
}

// generatorsOf returns the other machines that send a scenario's traffic, in the order of its streams.
func generatorsOf(s *scenarios.Scenario) []loadgen.Node {
	var out []loadgen.Node
	for _, t := range s.Traffic {
		for _, n := range t.Generators {
			if !n.IsHere() && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// sendsScripts reports whether a machine sends a stream of a k6 script.
func sendsScripts(s *scenarios.Scenario, n loadgen.Node) bool {
	return slices.ContainsFunc(s.Traffic, func(t scenarios.Traffic) bool { return t.Script != "" && slices.Contains(t.Generators, n) })
}

// GeneratorsOf returns how the other machines are reached that send a scenario's traffic.
func GeneratorsOf(s *scenarios.Scenario) []remote.Settings {
	var out []remote.Settings
	for _, n := range generatorsOf(s) {
		out = append(out, settingsOf(n))
	}
	return out
}

// fleet sends streams from here, and from the machines that they name.
func (o Options) fleet() loadgen.Fleet {
	f := loadgen.Fleet{Generator: o.Generator}
	if o.Machine == nil || o.Machine.Hosts == nil {
		return f
	}
	f.There = func(n loadgen.Node) loadgen.Generator {
		h := o.Machine.Hosts.Host(settingsOf(n))
		return &afar.Generator{Version: o.Version, Explain: h.Explain,
			Start: func(ctx context.Context, s loadgen.Spec) (*exec.Cmd, error) {
				return h.Generator(ctx, n.Program, s.Script != "")
			}}
	}
	return f
}

// reach asks all machines that send traffic whether they can. A pool that may copy brings them the program.
func (o Options) reach(ctx context.Context, all []loadgen.Node) []error {
	errs := make([]error, len(all))
	if o.Machine == nil || o.Machine.Hosts == nil {
		return append(errs[:0], errors.New("no other machine can be reached from here"))
	}
	var wg sync.WaitGroup
	for i, n := range all {
		wg.Go(func() {
			h, scripts := o.Machine.Hosts.Host(settingsOf(n)), sendsScripts(o.Scenario, n)
			says, err := h.InstallGenerator(ctx, n.Program, scripts)
			if err == nil && o.Version != "" && !strings.HasSuffix(says, o.Version) {
				next := "build the one beside gameday for such machines anew, from the same source"
				if n.Program != "" {
					next = "put this one's there, or leave program out of generator_hosts, and a run brings it"
				}
				err = fmt.Errorf("host %s: the program there says it is %q, and this is %s; %s", n.SSH, says, o.Version, next)
			}
			if err == nil && scripts {
				err = h.RunsScripts(ctx, n.Program)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errs
}

// checkGenerators reaches every machine that sends traffic, and brings the program to those that have none.
func (r *run) checkGenerators() bool {
	all := generatorsOf(r.Scenario)
	if len(all) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(r.ctx, bringLimit)
	defer cancel()
	ok := true
	for _, err := range r.reach(ctx, all) {
		if err != nil {
			r.found("generators", true, err.Error(), "Nothing was sent, and no fault was injected anywhere.")
			ok = false
		}
	}
	return ok
}

// planGenerators warns of machines that cannot send traffic now. One without the program is no reason to: a run copies it.
func planGenerators(ctx context.Context, o Options, p *report.Plan) {
	all := generatorsOf(o.Scenario)
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, seekLimit)
	defer cancel()
	for _, err := range o.reach(ctx, all) {
		if err != nil && !errors.Is(err, remote.ErrNotInstalled) {
			p.Warnings = append(p.Warnings, "A run would not begin: "+err.Error()+".")
		}
	}
}
