package conductor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gameday/clock"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/report"
	"gameday/targets"
)

// recoveryPoll is how often a killed target is looked for; it is the resolution of recovery times.
const recoveryPoll = 50 * time.Millisecond

// awaitEnd waits for a fault that ends by itself, and ends it when it does not.
func (r *run) awaitEnd(f *faultRun, standing []*injection) {
	last := time.Now().Add(f.Lasts() + endMargin(f.Config))
	renew := time.NewTicker(f.Lease / 5)
	defer renew.Stop()
	for _, in := range standing {
		for done := false; !done; {
			select {
			case e := <-in.over:
				r.endedByItself(in, e)
				done = true
			case <-renew.C:
				r.renew(standing)
				done = r.isGone(in)
			case <-time.After(time.Until(last)):
				r.revert(in)
				done = true
			case <-r.ctx.Done():
				return
			}
		}
	}
}

func (r *run) endedByItself(in *injection, e guard.Event) {
	if !r.forget(in) {
		return
	}
	told := r.known(in)
	now, unseen := r.rec.now(), unseenFor(e.Effect)
	told.Gone = clock.Between(now.Add(-unseen), now)
	r.rec.add(report.Reverted, told)
	r.rec.add(report.Recovered, report.Comeback{Fault: in.Fault, Place: in.Place,
		At: clock.Between(now.Add(-pollOf(in)-unseen), now), Effect: e.Effect})
}

// unseenFor is for how long nobody could see whether a fault had come to its end before it was seen to have.
func unseenFor(e *faults.Effect) time.Duration {
	if e == nil {
		return 0
	}
	d, err := time.ParseDuration(e.Details[faults.UnseenDetail])
	if err != nil {
		return 0 // mostly there is none
	}
	return max(0, d)
}

// awaitRestart looks for the target of a fault that cannot be undone until it is back. The fault counts as over when it
// is, or when its limit has passed; the search goes on to the end of the run.
func (r *run) awaitRestart(f *faultRun, hit []*injection) {
	if len(hit) == 0 || f.Kind.Needs != faults.NeedProcess {
		return
	}
	found := make(chan struct{})
	r.work.Go(func() {
		defer close(found)
		r.searchRestarted(f, hit)
	})
	if f.RestartsWithin == 0 {
		return
	}
	limit := time.NewTimer(f.RestartsWithin)
	defer limit.Stop()
	select {
	case <-found:
	case <-limit.C:
	case <-r.ctx.Done():
	}
}

// pollOf is how often what was hit is looked for.
func pollOf(in *injection) time.Duration {
	if inCluster(in.place) {
		return clusterPoll
	}
	return recoveryPoll
}

// searchRestarted polls the target until it finds as many processes, or ready pods, as before the fault, none of them one that was hit.
func (r *run) searchRestarted(f *faultRun, hit []*injection) {
	killed := map[individual]bool{}
	for _, in := range hit {
		killed[identity(in.place)] = true
	}
	target := r.target(f.Targets[0])
	if !r.Scenario.Target(f.Targets[0]).Pick.All() || inCluster(hit[0].place) {
		target = r.all(f.Targets[0]) // a pick of those that are left would look like a comeback, and more pods than before are one
	}
	r.searchIn(target, f, hit, killed)
}

// searchIn is searchRestarted in what a target finds.
func (r *run) searchIn(target targets.Target, f *faultRun, hit []*injection, killed map[individual]bool) {
	last := r.rec.now()
	for {
		if r.sleep(pollOf(hit[0])) != nil {
			return
		}
		select {
		case <-r.checks.done:
			return
		default:
		}
		looked := r.rec.now()
		places, err := target.Places(r.ctx)
		places = alive(places)
		if err == nil && len(places) >= max(len(f.before), len(hit)) && !slices.ContainsFunc(places, func(p targets.Place) bool {
			return killed[identity(p)]
		}) {
			fresh := slices.DeleteFunc(slices.Clone(places), func(p targets.Place) bool { return f.before[identity(p)] })
			if len(fresh) < len(hit) {
				fresh = places // somebody else had ended before, and what is here stands for it
			}
			r.recovered(f, hit, fresh, clock.Between(last, r.rec.now()))
			return
		}
		if answered(err) { // else it may have come back since the last answer
			last = looked
		}
	}
}

// answered reports whether a target was looked for, and not merely asked for in vain.
func answered(err error) bool {
	empty, many := (*targets.EmptyError)(nil), (*targets.TooManyError)(nil)
	return err == nil || errors.As(err, &empty) || errors.As(err, &many)
}

func (r *run) recovered(f *faultRun, hit []*injection, places []targets.Place, at clock.Interval) {
	for i, in := range hit {
		r.rec.add(report.Recovered, report.Comeback{Fault: f.Name, Place: in.Place, At: at, Effect: &faults.Effect{
			Proven: true, Summary: comeback(in.place.Where(), places[i].Where())}})
	}
}

// alive leaves out pods that are not ready: they serve nobody yet, or no longer.
func alive(places []targets.Place) []targets.Place {
	return slices.DeleteFunc(slices.Clone(places), func(p targets.Place) bool {
		c := p.Where().Cluster
		return c != nil && c.Pod != nil && !c.Pod.Ready
	})
}

// comeback says what stands for what was hit.
func comeback(hit, now faults.Place) string {
	switch {
	case hit.Process != nil && now.Process != nil:
		return fmt.Sprintf("pid %d → %d", hit.Process.PID, now.Process.PID)
	case hit.Cluster == nil || now.Cluster == nil || hit.Cluster.Pod == nil || now.Cluster.Pod == nil:
		return "it is there again"
	}
	old, pod := hit.Cluster.Pod, now.Cluster.Pod
	if old.UID == pod.UID {
		return fmt.Sprintf("pod %s is ready again, with containers started anew", pod.Name)
	}
	return fmt.Sprintf("pod %s → %s, which is ready", old.Name, pod.Name)
}
