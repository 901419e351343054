package guard

import (
	"context"
	"errors"
	"fmt"

	"gameday/faults"
)

// errToldToRevert is why an injection is given up whose names were still being looked up.
var errToldToRevert = errors.New("it was told to revert before its host names were looked up")

// admit hands a request about an injection to then, on the guard's loop. Names in its settings are looked up first and
// beside the loop: a slow name server must not keep the guard from hearing that its client died, that game days are
// stopped, or that another fault is to be reverted.
func (s *server) admit(r request, then func(request)) {
	k, err := s.kind(r.Inject)
	if err != nil {
		then(r)
		return
	}
	look := faults.LookUpOf(k, r.Inject.Config)
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
