package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gameday/faults"
)

// radiusLimit bounds finding out what a fault hits that says so by itself.
const radiusLimit = 20 * time.Second

// errToldToRevert is why an injection is given up whose names were still being looked up.
var errToldToRevert = errors.New("it was told to revert before its host names were looked up")

// lookUp returns what must be looked up before policies can judge a request, or nil. What a fault hits that says so by itself is found
// out here, whatever the client says that it is, and where that fails it is unknown.
func (s *server) lookUp(k faults.Kind, r *InjectRequest) func(ctx context.Context) error {
	names := faults.LookUpOf(k, r.Config)
	var radius func(context.Context, faults.Place) *faults.Radius
	if k.Needs == faults.NeedCluster {
		radius = faults.RadiusOf(k, r.Config)
	}
	if r.Place.Cluster != nil {
		there := *r.Place.Cluster
		there.Radius, r.Place.Cluster = nil, &there
	}
	s.mu.Lock()
	judged := len(s.opt.Policies)+len(s.policies) > 0
	s.mu.Unlock()
	if radius == nil || r.Place.Cluster == nil || !judged {
		return names
	}
	return func(ctx context.Context) error {
		if names != nil {
			if err := names(ctx); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, radiusLimit)
		defer cancel()
		r.Place.Cluster.Radius, r.reached = radius(ctx, r.Place), true
		return nil
	}
}

// admit hands a request about an injection to then, on the guard's loop. Names in its settings are looked up first and
// beside the loop: a slow name server must not keep the guard from hearing that its client died, that game days are
// stopped, or that another fault is to be reverted.
func (s *server) admit(r request, then func(request)) {
	k, err := s.kind(r.Inject)
	if err != nil {
		then(r)
		return
	}
	look := s.lookUp(k, r.Inject)
	if look == nil {
		then(r)
		return
	}
	id := r.Inject.ID
	refuse := func(err error) { s.reply(r.Seq, message{Error: toWire(fmt.Errorf("fault %s: %w", id, err))}) }
	ctx, cancel := context.WithCancel(s.base)
	s.mu.Lock()
	busy := s.looking[id] != nil
	if !busy {
		s.looking[id] = cancel
	}
	s.mu.Unlock()
	if busy {
		cancel()
		refuse(errors.New("it is being asked for already"))
		return
	}
	var missing error
	admitted := func() {
		reverted := ctx.Err() != nil
		s.mu.Lock()
		delete(s.looking, id)
		s.mu.Unlock()
		cancel()
		switch {
		case reverted:
			refuse(errToldToRevert)
		case missing != nil:
			refuse(missing)
		default:
			then(r)
		}
	}
	go func() {
		missing = faults.Protect(func() error { return look(ctx) })
		select {
		case s.ready <- admitted:
		case <-s.base.Done(): // the guard ends, and nothing new goes in
			cancel()
		}
	}()
}
