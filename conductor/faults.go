package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gameday/clock"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	remote "gameday/targets/hosts"
)

const (
	// resolveAhead is how long before a fault is due its target is resolved: late enough to be true, early enough not to
	// delay the injection.
	resolveAhead = 500 * time.Millisecond
	// revertLimit bounds one revert, whatever the run's own context says.
	revertLimit = 15 * time.Second
	// selfEndMargin is how much longer than planned a fault that ends by itself may take before it is ended.
	selfEndMargin = 60 * time.Second
	// effectPatience bounds the last look at a fault's effect before it is reverted.
	effectPatience = 200 * time.Millisecond
)

// faultRun is one planned fault on its way.
type faultRun struct {
	*scenarios.Fault
	over     chan struct{} // closed when the fault is gone, or will not come
	once     sync.Once
	injected atomic.Bool // it took effect somewhere
	// due is its time in the load phase once timed is set. It is claimed when it is being injected, and called when a facilitator
	// asked for that, which closes now. All are guarded by the pace's lock.
	due                    time.Duration
	timed, claimed, called bool
	now                    chan struct{}
	// before are the processes that the target found before any of them was killed, picked or not.
	before map[individual]bool
}

func (f *faultRun) finish() { f.once.Do(func() { close(f.over) }) }

// wait returns when the fault is over, or with the cause for which ctx ended.
func (f *faultRun) wait(ctx context.Context) error {
	select {
	case <-f.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// injection is one fault at one place.
type injection struct {
	report.Injection
	fault *faultRun
	place targets.Place
	guard *guard.Client
	host  *remote.Host     // whose guard it is; nil for this machine's
	over  chan guard.Event // what the guard says of it by itself
	// settled is closed when the guard has answered: until then the embedded Injection belongs to injectAt.
	settled  chan struct{}
	gone     bool      // guarded by run.mu
	refused  bool      // the guard could not revert it when it was told to; guarded by run.mu
	tries    int       // of reverting it while the run unwinds; guarded by run.mu
	orphaned sync.Once // its guard was found dead
	// reverting is held while the fault is reverted, so that its end and that of the run do not both do it.
	reverting sync.Mutex
}

// startFaults sets every fault on its way. They wait for the load phase.
func (r *run) startFaults() {
	for i := range r.Scenario.Faults {
		r.faults = append(r.faults, &faultRun{Fault: &r.Scenario.Faults[i], over: make(chan struct{}), now: make(chan struct{})})
	}
	for _, f := range r.faults {
		r.work.Go(func() {
			defer f.finish()
			r.conductFault(f)
		})
	}
}

// conductFault waits until the fault is due, injects it, lets it stand, and reverts it. When the run's context ends it
// returns at once and leaves the reverting to unwind, which keeps the order.
func (r *run) conductFault(f *faultRun) {
	if !r.due(f) {
		return
	}
	var places []targets.Place
	var ready podsBefore
	var due time.Time
	for due.IsZero() {
		holds, err := r.holdsSoFar(), error(nil)
		places, err = r.resolve(f.Fault)
		if err == nil {
			f.before, err = r.original(f.Fault, places)
		}
		if err != nil {
			r.injectFailed(f, "", r.dueAt(f), err)
			return
		}
		ready = r.podsBefore(f, places)
		if r.arrive(f.due, f.now, func() { due = r.claim(f, holds) }) != nil {
			return
		}
	}
	standing := r.inject(f, places, due)
	since := r.rec.now()
	switch {
	case !f.Kind.Reversible:
		r.awaitRestart(f, standing)
	case selfEnding(f.Config):
		r.awaitEnd(f, standing)
	default:
		if r.stand(f, standing) {
			r.revertAll(standing, func(in *injection) {
				r.lookAgain(in)
				r.revert(in)
			})
			r.watchReady(f, ready, standing, since)
		}
	}
}

func selfEnding(c faults.Config) bool {
	_, ok := c.(faults.SelfEnding)
	return ok
}

// due waits for what the fault waits for, until shortly before its time. It returns false when it will not be injected.
func (r *run) due(f *faultRun) bool {
	select {
	case <-r.loadBegan:
	case <-r.ctx.Done():
		return false
	}
	if f.After != "" {
		before := r.faults[slices.IndexFunc(r.faults, func(g *faultRun) bool { return g.Name == f.After })]
		if before.wait(r.ctx) != nil {
			return false
		}
		if !before.injected.Load() {
			r.rec.add(report.Noted, report.Note{Fault: f.Name, Text: fmt.Sprintf("fault %s was not injected: it comes after %s, which was not", f.Name, f.After)})
			return false
		}
	}
	if !r.time(f) {
		r.rec.add(report.Noted, report.Note{Fault: f.Name, Text: fmt.Sprintf("fault %s was not injected: the load phase ends before it is due", f.Name)})
		return false
	}
	return r.arrive(f.due-resolveAhead, f.now, nil) == nil
}

// time gives a fault its time in the load phase, and returns false when that is later than the phase ends. What a facilitator has
// skipped makes no fault too late.
func (r *run) time(f *faultRun) bool {
	p := &r.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	late := f.At
	f.due = f.At
	if f.After != "" {
		f.due = p.at(r.rec.now()) + f.Wait
		late = f.due - p.skipped
	}
	f.timed = late <= r.Scenario.Timeline.Load
	return f.timed
}

// dueAt returns when a fault is due, as it is now.
func (r *run) dueAt(f *faultRun) time.Time {
	r.pace.mu.Lock()
	defer r.pace.mu.Unlock()
	return r.pace.clock(f.due)
}

// holdsSoFar counts the holds of the run.
func (r *run) holdsSoFar() int {
	r.pace.mu.Lock()
	defer r.pace.mu.Unlock()
	return r.pace.holds
}

// claim takes a fault for injection and returns when it was due. It is not taken when the timeline was held since its target was looked
// for: that was too long ago. It needs the pace's lock.
func (r *run) claim(f *faultRun, holds int) (due time.Time) {
	p := &r.pace
	if p.hold == nil && p.holds != holds {
		return time.Time{}
	}
	f.claimed = true
	if f.called {
		return r.rec.now()
	}
	return p.clock(f.due)
}

// resolve finds the places of a fault, within the run's time.
func (r *run) resolve(f *scenarios.Fault) ([]targets.Place, error) {
	limit := 5 * time.Second
	if r.Scenario.InCluster(f) {
		limit = clusterResolve
	}
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	return r.Options.resolve(ctx, f)
}

// withPeers is a place with the other side of a fault between targets.
type withPeers struct {
	targets.Place
	peers []faults.Peer
}

// Unwrap returns the place itself.
func (p withPeers) Unwrap() targets.Place { return p.Place }

// Where returns the place with its peers.
func (p withPeers) Where() faults.Place {
	w := p.Place.Where()
	w.Peers = p.peers
	return w
}

// inject applies the fault at all its places at once and returns what stands.
func (r *run) inject(f *faultRun, places []targets.Place, due time.Time) []*injection {
	out := make([]*injection, len(places))
	var wg sync.WaitGroup
	for i, p := range places {
		wg.Go(func() { out[i] = r.injectAt(f, p, i, due) })
	}
	r.keepUntil(&wg, f)
	return slices.DeleteFunc(out, func(in *injection) bool { return in == nil })
}

// keepUntil waits for the injections of a fault and meanwhile renews those that stand already, which must not lapse while
// another place's proof takes long.
func (r *run) keepUntil(wg *sync.WaitGroup, f *faultRun) {
	all := make(chan struct{})
	go func() {
		wg.Wait()
		close(all)
	}()
	renew := time.NewTicker(f.Lease / 5)
	defer renew.Stop()
	for {
		select {
		case <-all:
			return
		case <-renew.C:
			r.mu.Lock()
			standing := slices.Clone(r.standing)
			r.mu.Unlock()
			r.renew(slices.DeleteFunc(standing, func(in *injection) bool { return in.fault != f || !in.isSettled() }))
		}
	}
}

func (in *injection) isSettled() bool {
	select {
	case <-in.settled:
		return true
	default:
		return false
	}
}

// request is what is asked of the guard at the n-th place of a fault.
func (r *run) request(f *scenarios.Fault, p targets.Place, n int) (guard.InjectRequest, error) {
	request, err := r.bareRequest(f, p, n)
	request.Claims = r.claims(f, p)
	return request, err
}

// bareRequest is request without what policies ask for.
func (o Options) bareRequest(f *scenarios.Fault, p targets.Place, n int) (guard.InjectRequest, error) {
	config, err := json.Marshal(f.Config)
	if err != nil {
		return guard.InjectRequest{}, fmt.Errorf("encoding the fault's settings: %w", err)
	}
	slow, proof := patienceAt(f.Config, p)
	return guard.InjectRequest{
		ID: injectionID(o.Run, f.Name, n), Run: o.Run, Scenario: o.Scenario.Name, Fault: f.Name,
		Kind: f.Kind.Name, Config: config, Place: p.Where(), Lease: f.Lease, EffectTimeout: proof,
		Deadline: f.Lasts() + f.Lease + overdueAt(f.Config, p) + slow + proof,
	}, nil
}

// patience returns how long a fault may take to inject and to prove, if it says so; else 0, which leaves it to the guard.
func patience(c faults.Config) (inject, proof time.Duration) {
	if p, ok := c.(faults.Patient); ok {
		return p.Patience()
	}
	return 0, 0
}

func (r *run) injectAt(f *faultRun, p targets.Place, n int, due time.Time) *injection {
	where := p.Where()
	in := &injection{fault: f, place: p, host: targets.HostOf(p), over: make(chan guard.Event, 4), settled: make(chan struct{})}
	defer close(in.settled)
	request, err := r.request(f.Fault, p, n)
	if err == nil {
		err = r.forbidden(f.Fault, request)
	}
	if err != nil {
		r.injectFailed(f, where.Name, due, err)
		return nil
	}
	in.Injection = report.Injection{
		ID: request.ID, Fault: f.Name, Kind: f.Kind.Name, Place: where.Name, Planned: due.Sub(r.rec.start),
	}
	if in.guard, err = r.guardOf(p); err != nil {
		r.injectFailed(f, where.Name, due, err)
		return nil
	}
	if err := r.auditFirst(in.Injection); err != nil {
		r.injectFailed(f, where.Name, due, err)
		return nil
	}
	r.mu.Lock()
	r.standing = append(r.standing, in)
	if where.Cluster != nil {
		r.intoCluster.Store(true)
	}
	if in.host != nil && !slices.Contains(r.used, in.host) {
		r.used = append(r.used, in.host)
	}
	r.mu.Unlock()
	sent := r.rec.now()
	r.touch(sent)
	r.rec.add(report.Injecting, in.Injection)
	// The guard finishes what it began even when the run ends meanwhile: a half-told injection would be reverted blind.
	slow, proof := patienceAt(f.Config, p)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), revertLimit+slow+proof)
	defer cancel()
	answer, err := in.guard.Inject(ctx, request)
	in.Onset = clock.Between(sent, r.rec.now())
	in.Effect = &answer.Effect
	if err != nil {
		in.Error, in.Hint = err.Error(), injectHint(err)
		r.rec.add(report.InjectFailed, in.Injection)
		if !errors.Is(err, guard.ErrResidue) && !r.stands(ctx, in) {
			r.forget(in)
			return nil
		}
		// The guard died, or fell silent, in the middle of it: what it may have done is in the ledger.
		r.work.Go(func() { r.revert(in) })
		return nil
	}
	f.injected.Store(true)
	if !f.Kind.Reversible {
		r.forget(in)
	}
	r.rec.add(report.Injected, in.Injection)
	r.work.Go(r.sources.onCall) // who is on call is asked when it matters
	return in
}

// injectHint says what to do about an injection that failed.
func injectHint(err error) string {
	switch {
	case errors.Is(err, guard.ErrForbidden):
		return "The policy of the machines' owner does not allow it. Nothing was touched."
	case errors.Is(err, faults.ErrHalted):
		return "Nothing was touched."
	case errors.Is(err, faults.ErrForeign):
		return "Somebody else's state is in the way. Nothing was touched; remove it, or choose another target."
	case errors.Is(err, guard.ErrUnproven):
		return "The fault was put in place and changed nothing that could be seen, so it was taken back. Does any traffic use that path?"
	case errors.Is(err, guard.ErrResidue):
		return "Run `gameday revert`."
	}
	return ""
}

// safeID keeps what may stand in a ledger id.
func safeID(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '_'
	}, name)
}

func (r *run) injectFailed(f *faultRun, place string, due time.Time, err error) {
	if r.ctx.Err() != nil {
		return
	}
	r.rec.add(report.InjectFailed, report.Injection{Fault: f.Name, Kind: f.Kind.Name, Place: place,
		Planned: due.Sub(r.rec.start), Error: err.Error(), Hint: injectHint(err)})
}

// forget takes an injection off the list of what stands. It returns false when it was off already: of all who notice the
// end of a fault, one records it.
func (r *run) forget(in *injection) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !in.gone
	in.gone = true
	r.standing = slices.DeleteFunc(r.standing, func(o *injection) bool { return o == in })
	return first
}

// stand renews the leases while the fault lasts. It returns false when the run must unwind.
func (r *run) stand(f *faultRun, standing []*injection) bool {
	if len(standing) == 0 {
		return r.ctx.Err() == nil
	}
	end := time.NewTimer(f.Duration)
	defer end.Stop()
	renew := time.NewTicker(f.Lease / 5)
	defer renew.Stop()
	for {
		select {
		case <-end.C:
			return true
		case <-r.ctx.Done():
			return false
		case <-renew.C:
			r.renew(standing)
		}
	}
}

// renew prolongs the leases of a fault, with one request to each guard. A guard that does not answer in time keeps the
// others waiting until the next renewal is due, and no longer.
func (r *run) renew(standing []*injection) {
	byGuard := map[*guard.Client][]*injection{}
	for _, in := range standing {
		if !r.isGone(in) {
			byGuard[in.guard] = append(byGuard[in.guard], in)
		}
	}
	var wg sync.WaitGroup
	for c, held := range byGuard {
		wg.Go(func() {
			lease := held[0].fault.Lease
			ctx, cancel := context.WithTimeout(r.ctx, lease/5)
			defer cancel()
			var ids []string
			for _, in := range held {
				ids = append(ids, in.ID)
			}
			refused, err := c.Renew(ctx, lease, ids...)
			for _, in := range held {
				r.notRenewed(in, errors.Join(err, refused[in.ID]))
			}
		})
	}
	wg.Wait()
}

// notRenewed notes a fault that is gone before its time. A guard that is dead renews nothing: what it left is reverted at
// once, from the ledger.
func (r *run) notRenewed(in *injection, err error) {
	if err == nil || r.ctx.Err() != nil {
		return
	}
	select {
	case <-in.guard.Ended():
		in.orphaned.Do(func() {
			r.rec.add(report.Noted, report.Note{Fault: in.Fault, Text: fmt.Sprintf("the guard of %s on %s is gone: %v", in.Fault, in.Place, err)})
			r.work.Go(func() { r.revert(in) })
		})
		return
	default:
	}
	unknown := errors.Is(err, guard.ErrUnknown) && !selfEnding(in.fault.Config) // the guard says so when one has ended by itself
	if unknown || errors.Is(err, faults.ErrLapsed) {
		r.lapsed(in, err.Error())
	}
}

func (r *run) isGone(in *injection) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return in.gone
}
