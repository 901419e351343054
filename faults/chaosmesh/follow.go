package chaosmesh

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// sight is what was last seen of an object.
type sight struct {
	object *unstructured.Unstructured // the last that was seen, also of one that is gone; nil before anything was
	gone   bool                       // it is not there, or another one of its name is
	since  time.Time                  // set while the API server cannot be asked, and since when
	why    error                      // why it cannot be asked
	at     time.Time                  // when it was seen
	before time.Time                  // set when nothing was known just before this sight, and since when
	blame  error                      // why nothing was
}

// follower keeps the newest sight of one object, by a watch that is taken up again whenever it ends. It outlives absences of the API
// server: what was last seen stays, with the time since when nothing is known. Safe for concurrent use.
type follower struct {
	mu      sync.Mutex
	now     sight
	changed chan struct{} // closed at the next change
	ready   bool          // it has been looked at once
}

// follow begins to follow an object until ctx ends. A uid other than "" is that of the one object that is meant.
func (c *client) follow(ctx context.Context, at schema.GroupVersionResource, namespace, name string, uid types.UID) *follower {
	f := &follower{changed: make(chan struct{})}
	go f.run(ctx, c, at, namespace, name, uid)
	return f
}

// see returns the newest sight, whether there is one yet, and a channel that is closed when there is a newer one.
func (f *follower) see() (sight, bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now, f.ready, f.changed
}

// await blocks until done says of a sight that it is what is waited for, or fails. It returns the last sight in any case.
func (f *follower) await(ctx context.Context, done func(sight) (bool, error)) (sight, error) {
	for {
		s, ready, changed := f.see()
		if ready {
			if ok, err := done(s); ok || err != nil {
				return s, err
			}
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-changed:
		}
	}
}

func (f *follower) set(change func(*sight)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.now)
	f.ready = true
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *follower) trouble(c *client, err error) {
	f.set(func(s *sight) {
		if s.since.IsZero() {
			s.since = time.Now()
		}
		s.why = c.plain(err)
	})
}

func (f *follower) seen(u *unstructured.Unstructured, gone bool) {
	f.set(func(s *sight) {
		if u != nil {
			s.object = u
		}
		s.at, s.before, s.blame = time.Now(), s.since, s.why
		s.gone, s.since, s.why = gone, time.Time{}, nil
	})
}

// run looks at the object, watches it from there, and begins anew when the watch ends.
func (f *follower) run(ctx context.Context, c *client, at schema.GroupVersionResource, namespace, name string, uid types.UID) {
	pause := firstPause
	for ctx.Err() == nil {
		u, err := c.Resource(at).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && served(err):
			f.seen(nil, true)
			if uid != "" {
				return // it cannot come back: another one would have another uid
			}
		case err != nil:
			if ctx.Err() != nil {
				return
			}
			f.trouble(c, err)
		case uid != "" && u.GetUID() != uid:
			f.seen(nil, true)
			return
		default:
			f.seen(u, false)
			pause = firstPause
			if ended := f.watch(ctx, c, at, u); ended && uid != "" {
				return
			}
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// watch takes in changes until the watch ends. It reports whether the object is gone.
func (f *follower) watch(ctx context.Context, c *client, at schema.GroupVersionResource, u *unstructured.Unstructured) bool {
	limit := int64(watchLimit / time.Second)
	ctx, cancel := context.WithTimeout(ctx, watchLimit+requestLimit)
	defer cancel()
	w, err := c.watching.Resource(at).Namespace(u.GetNamespace()).Watch(ctx, metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector("metadata.name", u.GetName()).String(),
		ResourceVersion: u.GetResourceVersion(), TimeoutSeconds: &limit,
	})
	if err != nil {
		if ctx.Err() == nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			f.trouble(c, err)
		}
		return false
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case e, open := <-w.ResultChan():
			if !open {
				return false
			}
			o, is := e.Object.(*unstructured.Unstructured)
			switch {
			case !is || e.Type == watch.Error || e.Type == watch.Bookmark:
				return false // an error, such as that the version is too old: look again
			case o.GetUID() != u.GetUID():
				continue
			}
			f.seen(o, e.Type == watch.Deleted)
			if e.Type == watch.Deleted {
				return true
			}
		}
	}
}

// blind is for how long nothing was known just before the newer of two sights, which is as old as what is new in it may be, and why.
func blind(a, b sight) (time.Duration, error) {
	if b.at.After(a.at) {
		a = b
	}
	if a.before.IsZero() {
		return 0, nil
	}
	return a.at.Sub(a.before), a.blame
}

// late says of what is new in a sight how much older it may be, and why nobody looked sooner; or nothing when somebody did.
func (s sight) late() string {
	if s.before.IsZero() {
		return ""
	}
	return fmt.Sprintf("; that was seen after %v in which nobody could look: %v", s.at.Sub(s.before).Round(time.Millisecond), s.blame)
}

// unseen says of a sight for how long nothing is known, or nothing when all is.
func (s sight) unseen() string {
	if s.since.IsZero() {
		return ""
	}
	return fmt.Sprintf("the API server cannot be asked for %v: %v", time.Since(s.since).Round(time.Second), s.why)
}
