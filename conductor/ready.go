package conductor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/faults"
	"gameday/report"
	"gameday/targets"
)

// podsBefore are the pods that a fault may hit, as they were before it.
type podsBefore struct {
	ready []faults.Peer   // those that were Ready
	known map[string]bool // all that its targets or its manifest found, by their uids
}

// podsBefore looks at the pods of a fault that is about to be injected at some places. It is nothing for a fault that hits none, and for
// kills, whose targets' return is judged.
func (r *run) podsBefore(f *faultRun, places []targets.Place) podsBefore {
	b := podsBefore{ready: podsOf(places), known: map[string]bool{}}
	if len(b.ready) == 0 || !f.Kind.Reversible || selfEnding(f.Config) {
		return podsBefore{}
	}
	all, err := r.podsNow(f)
	if err != nil { // those that are hit are known at least
		all = b.ready
	}
	for _, p := range slices.Concat(all, b.ready) {
		if p.Cluster != nil && p.Cluster.Pod != nil {
			b.known[p.Cluster.Pod.UID] = true
		}
	}
	return b
}

// podsOf returns the pods that a fault may hit at some places, on every side, and that are Ready: those that have to be again.
func podsOf(places []targets.Place) []faults.Peer {
	var out []faults.Peer
	seen := map[string]bool{}
	add := func(p faults.Peer) {
		if p.Cluster == nil || p.Cluster.Pod == nil || !p.Cluster.Pod.Ready || seen[p.Cluster.Pod.UID] {
			return
		}
		seen[p.Cluster.Pod.UID] = true
		out = append(out, p)
	}
	for _, p := range places {
		w := p.Where()
		add(w.Peer())
		for _, peer := range w.Peers {
			add(peer)
		}
		if w.Cluster != nil && w.Cluster.Radius != nil {
			for _, peer := range w.Cluster.Radius.Finds() {
				add(peer)
			}
		}
	}
	return out
}

// hitOf leaves those of some pods of which the proof of an effect tells; all, when it tells of none by its name, as of what a Schedule made.
func hitOf(pods []faults.Peer, hit []*injection) []faults.Peer {
	told := slices.DeleteFunc(slices.Clone(pods), func(p faults.Peer) bool {
		name := p.Cluster.Pod.Namespace + "/" + p.Cluster.Pod.Name
		return !slices.ContainsFunc(hit, func(in *injection) bool {
			if in.Effect == nil {
				return false
			}
			for key := range in.Effect.Details {
				if key, _, _ = strings.Cut(key, " "); key == name || strings.HasPrefix(key, name+"/") {
					return true
				}
			}
			return false
		})
	})
	if len(told) == 0 {
		return pods
	}
	return told
}

// watchReady looks, once a fault on pods is over, until each that it hit and that was Ready before is Ready again, or another one stands
// for it. When the run ends first, it says how things stood. Since is an instant at which the fault still stood.
func (r *run) watchReady(f *faultRun, b podsBefore, hit []*injection, since time.Time) {
	if len(hit) == 0 {
		return
	}
	before := hitOf(b.ready, hit)
	if len(before) == 0 {
		return
	}
	r.work.Go(func() {
		told := report.Readiness{Fault: f.Name, Since: since}
		for _, p := range before {
			told.Pods = append(told.Pods, p.Cluster.Pod.Namespace+"/"+p.Cluster.Pod.Name)
		}
		slices.Sort(told.Pods)
		r.untilReady(f, before, b.known, &told)
		r.rec.add(report.PodsReady, told)
	})
}

// untilReady fills in what is seen of the pods.
func (r *run) untilReady(f *faultRun, before []faults.Peer, known map[string]bool, told *report.Readiness) {
	last := told.Since
	for {
		looked := r.rec.now()
		now, err := r.podsNow(f)
		if err == nil {
			told.Looked, told.Error = looked, ""
			if told.Not, told.Replaced = notReady(before, now, known); len(told.Not) == 0 {
				told.At = clock.Between(last, r.rec.now())
				return
			}
			last = looked
		} else if r.ctx.Err() == nil {
			told.Error = err.Error()
		}
		if r.sleep(clusterPoll) != nil {
			return
		}
		select {
		case <-r.checks.done:
			return
		default:
		}
	}
}

// podsNow returns what a fault's targets, or its manifest's selectors, find now.
func (r *run) podsNow(f *faultRun) ([]faults.Peer, error) {
	ctx, cancel := context.WithTimeout(r.ctx, clusterResolve)
	defer cancel()
	if f.Kind.Needs == faults.NeedCluster {
		places, err := r.Options.resolve(ctx, f.Fault)
		if err != nil {
			return nil, err
		}
		radius := radiusOf(places[0])
		if radius == nil || len(radius.Unknown) > 0 {
			return nil, errors.New("what its manifest selects cannot be seen")
		}
		return radius.Finds(), nil
	}
	var out []faults.Peer
	for _, name := range f.Targets {
		places, err := r.all(name).Places(ctx)
		if !answered(err) {
			return nil, err
		}
		for _, p := range places {
			out = append(out, p.Where().Peer())
		}
	}
	return out, nil
}

// notReady compares pods with those that were Ready before: which are not, by their names, and which new ones stand for some that are gone.
// A pod that is gone counts as not Ready until as many are Ready that were not known before.
func notReady(before, now []faults.Peer, known map[string]bool) (not, replaced []string) {
	state := map[string]*faults.Pod{}
	var fresh []string
	for _, p := range now {
		if p.Cluster == nil || p.Cluster.Pod == nil || state[p.Cluster.Pod.UID] != nil {
			continue
		}
		pod := p.Cluster.Pod
		state[pod.UID] = pod
		if !known[pod.UID] && pod.Ready {
			fresh = append(fresh, pod.Namespace+"/"+pod.Name)
		}
	}
	slices.Sort(fresh)
	for _, p := range before {
		pod := p.Cluster.Pod
		switch now := state[pod.UID]; {
		case now != nil && now.Ready:
		case now == nil && len(fresh) > 0:
			replaced, fresh = append(replaced, fresh[0]), fresh[1:]
		default:
			not = append(not, pod.Namespace+"/"+pod.Name)
		}
	}
	slices.Sort(not)
	return not, replaced
}
