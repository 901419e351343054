package kubernetes

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

// change is one of the TestRun: what it is now, or was last.
type change struct {
	run  *unstructured.Unstructured
	gone bool
}

// watch sends each change of the TestRun, until ctx ends. The operator deletes a TestRun as soon as it has given it up or is done with it:
// whoever only looks from time to time sees that it is gone, and not why.
func (s *server) watch(ctx context.Context, out chan<- change) {
	again := time.NewTicker(look)
	defer again.Stop()
	version := "" // where to go on; without one it begins with what is there
	told := false
	for ctx.Err() == nil {
		w, err := s.Resource(testRuns).Namespace(s.order.RunOn.Namespace).Watch(ctx, metav1.ListOptions{LabelSelector: s.order.selector(), ResourceVersion: version})
		if err == nil {
			version = pass(ctx, w, version, out)
		} else if apierrors.IsForbidden(err) && !told && ctx.Err() == nil {
			told = true
			s.said("warning", "the TestRun cannot be watched, so that why it is gone may not be seen: %s", explained(err))
		}
		select { // a server that ends all watches at once is not asked without a pause
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// pass sends what a watch sees until it ends, and returns where the next is to go on.
func pass(ctx context.Context, w watch.Interface, version string, out chan<- change) string {
	defer w.Stop()
	for {
		select {
		case e, open := <-w.ResultChan():
			if !open {
				return version
			}
			run, ok := e.Object.(*unstructured.Unstructured)
			if e.Type == watch.Error || !ok {
				return "" // most of all: too much has happened since
			}
			version = run.GetResourceVersion()
			select {
			case out <- change{run, e.Type == watch.Deleted}:
			case <-ctx.Done():
				return version
			}
		case <-ctx.Done():
			return version
		}
	}
}

// changed says what is new of the TestRun.
func (s *server) changed(ctx context.Context, c change, seen *sight) {
	s.stage(c.run, seen)
	switch {
	case c.gone:
		s.missing(seen)
	case seen.stage == stageError:
		s.look(ctx, seen) // its pods are there for a moment only
	}
}

// missing says that the TestRun is gone, if that is news. The operator itself deletes what is over.
func (s *server) missing(seen *sight) {
	if seen.gone {
		return
	}
	seen.gone = true
	if seen.stage != stageFinished && seen.stage != stageError {
		const why = "the TestRun is gone, and somebody else has deleted it"
		s.said("error", "%s: its runners go with it", why)
		s.loseAll(seen, why)
	}
}
