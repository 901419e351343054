package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
)

// Limits of lifting.
const (
	revertLimit = 10 * time.Second // of what an injection lifts by itself
	abortLimit  = 5 * time.Second  // until a workflow that is told to abort has none of its faults left
	asideLimit  = 3 * time.Second  // of looking why something hangs, or whether a pod is Ready
	forceLimit  = 5 * time.Second  // until Chaos Mesh takes off a finalizer that it is told to
	settlePause = time.Second      // between two looks for children that must both find none
	// noticeLimit is how long after a deletion controllers may leave it alone. Those that lost the API server look again after pauses that
	// grow to between 30 and 60 seconds, as client-go's reflectors have them, and then catch up.
	noticeLimit = 70 * time.Second
	hangLimit   = 10 * time.Second // from when they have taken it up until an object is said to hang
	quietLimit  = 3 * time.Second  // of waiting before it is said what for
)

// lifting is how an object of ours is removed: told to Chaos Mesh by deleting it, and waited for until it is gone, which Chaos Mesh
// allows once its targets are recovered.
//
// The deletion is in the background. In the foreground, an object carries a second finalizer that the cluster's garbage collector must
// take off, and the webhook of Chaos Mesh 2.8.4 and older forbids the collector just that in its security mode. What Schedules and
// Workflows made is deleted one by one instead, since each must be seen to recover.
type lifting struct {
	c         *client
	undo      undo
	run       string
	injection string
}

// revert is Revert and RevertInCluster of every kind.
func revert(ctx context.Context, e faults.Entry) error {
	u, err := readUndo(e.Undo)
	if err != nil {
		return err
	}
	c, err := u.connect()
	if err != nil {
		return err
	}
	if err := u.sameCluster(ctx, c); err != nil {
		return err
	}
	if err := (lifting{c: c, undo: u, run: e.Run, injection: e.ID}).lift(ctx); err != nil {
		return err
	}
	if e.Place.Cluster != nil && e.Place.Cluster.Pod != nil && u.Kind == v1alpha1.KindPodChaos {
		c.noteUnready(ctx, *e.Place.Cluster.Pod)
	}
	return nil
}

// lift removes the object and what was made for it. It may be called again after it failed, and when nothing is there.
func (l lifting) lift(ctx context.Context) error {
	there, err := l.get(ctx)
	if apierrors.IsNotFound(err) && served(err) && sleep(ctx, settlePause) {
		there, err = l.get(ctx) // a request to make it, whose answer nobody waited for, may be carried out only now
	}
	switch {
	case apierrors.IsNotFound(err):
		if !served(err) {
			if err := l.c.withoutKind(ctx, l.undo.Kind); err != nil {
				return fmt.Errorf("looking for %s: %w", l.undo.title(), err)
			}
			faults.Note(ctx, fmt.Sprintf("the cluster does not serve %s any more: whether Chaos Mesh lifted it before that, nobody can tell", l.undo.Kind))
			return nil
		}
		return l.children(ctx)
	case err != nil:
		return fmt.Errorf("looking for %s: %w", l.undo.title(), err)
	case !mine(there, l.run, l.injection):
		return fmt.Errorf("%s is not of this injection: %s; it was left alone: look at it, and delete it by hand if it is what is to go",
			l.undo.title(), whose(there))
	}
	l.calm(ctx, there)
	if err := l.c.removeObject(ctx, l.undo.at(), there); err != nil {
		return err
	}
	return l.children(ctx)
}

func (l lifting) get(ctx context.Context) (there *unstructured.Unstructured, err error) {
	err = l.c.steadily(ctx, func(ctx context.Context) (err error) {
		there, err = l.c.Resource(l.undo.at()).Namespace(l.undo.Namespace).Get(ctx, l.undo.Name, metav1.GetOptions{})
		return err
	})
	return there, err
}

// calm keeps a Schedule or a Workflow from making more while what it made is removed. A workflow that is deleted without being aborted
// makes its faults anew for a while. It does what it can: where the webhook does not answer, nothing may be changed, but deleted all the
// same, and nobody makes anything then.
func (l lifting) calm(ctx context.Context, there *unstructured.Unstructured) {
	var key string
	switch l.undo.Kind {
	case v1alpha1.KindSchedule:
		key = v1alpha1.PauseAnnotationKey
	case v1alpha1.KindWorkflow:
		key = v1alpha1.WorkflowAnnotationAbort
	default:
		return
	}
	wait, cancel := context.WithTimeout(ctx, min(abortLimit, attemptLimit(ctx)))
	defer cancel()
	if there.GetDeletionTimestamp() == nil && there.GetAnnotations()[key] != "true" && l.c.annotate(wait, there, key, "true") != nil {
		return
	}
	if l.undo.Kind != v1alpha1.KindWorkflow {
		return
	}
	for {
		found, err := l.c.childrenOf(wait, l.undo)
		if err == nil && len(found) == 0 || !sleep(wait, settlePause/2) {
			return // what is left is removed one by one
		}
	}
}

// children removes what Chaos Mesh made for the object, until two looks in a row find none: one may be made while the first looks.
func (l lifting) children(ctx context.Context) error {
	if len(l.undo.Children) == 0 {
		return nil
	}
	for none := 0; ; {
		found, err := l.c.childrenOf(ctx, l.undo)
		if err != nil {
			return fmt.Errorf("looking for what %s made: %w", l.undo.title(), err)
		}
		var errs []error
		for _, child := range found { // all of them first, so that one that hangs keeps none of the others from being lifted
			if child.GetDeletionTimestamp() == nil {
				errs = append(errs, l.c.ask(ctx, resource(child.GetKind()), &child))
			}
		}
		for _, child := range found {
			errs = append(errs, l.c.removeObject(ctx, resource(child.GetKind()), &child))
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%s is gone, what it made is not: %w", l.undo.title(), err)
		}
		if none++; len(found) > 0 {
			none = 0
		}
		if none == 2 {
			return nil
		}
		if !sleep(ctx, settlePause) {
			return fmt.Errorf("looking whether %s made more: %w", l.undo.title(), ctx.Err())
		}
	}
}

// childrenOf lists what Chaos Mesh made for a Schedule or Workflow: the objects of the kinds that it may make whose labels say so.
func (c *client) childrenOf(ctx context.Context, u undo) ([]unstructured.Unstructured, error) {
	var out []unstructured.Unstructured
	for _, kind := range u.Children {
		var list *unstructured.UnstructuredList
		err := c.steadily(ctx, func(ctx context.Context) (err error) {
			list, err = c.Resource(resource(kind)).Namespace(u.Namespace).List(ctx, metav1.ListOptions{})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			if descends(&o, u.Name) {
				out = append(out, o)
			}
		}
	}
	return out, nil
}

// descends reports whether an object was made for the Schedule or Workflow of a name: directly, or by a Workflow that a Schedule made,
// whose name begins with the Schedule's. Chaos Mesh goes by the same labels.
func descends(o *unstructured.Unstructured, name string) bool {
	if len(o.GetOwnerReferences()) == 0 {
		return false
	}
	for _, label := range []string{v1alpha1.LabelManagedBy, v1alpha1.LabelWorkflow} {
		if v := o.GetLabels()[label]; v == name || strings.HasPrefix(v, name+"-") {
			return true
		}
	}
	return false
}

// removeObject deletes an object, of the uid that it was seen with and no other, and waits until it is gone. Its error says what blocks.
func (c *client) removeObject(ctx context.Context, at schema.GroupVersionResource, o *unstructured.Unstructured) error {
	uid := o.GetUID()
	if o.GetDeletionTimestamp() == nil {
		if err := c.ask(ctx, at, o); err != nil {
			return err
		}
	}
	faults.Reach(ctx, faults.MidRevert)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	now := time.Now()
	g := goes{notice: c.noticeOf(ctx, o), began: now, asked: now, forever: at.Group != v1alpha1.SchemeGroupVersion.Group, behind: c.behind}
	s, err := g.awaitGone(ctx, c.follow(ctx, at, o.GetNamespace(), o.GetName(), uid))
	if err != nil {
		return c.blocked(ctx, o, s)
	}
	c.noteUnlifted(ctx, s, o)
	return nil
}

// noticeOf is how long controllers have to take up a deletion from now on. When it was asked for long ago the API server may have been away
// since, so that they have as long again, but for those of which the cluster itself says that none is ready.
func (c *client) noticeOf(ctx context.Context, o *unstructured.Unstructured) time.Duration {
	if age(o) <= noticeLimit {
		return noticeLimit
	}
	aside, cancel := context.WithTimeout(ctx, asideLimit)
	defer cancel()
	if c.controlPlane(aside).dead() {
		return hangLimit
	}
	return noticeLimit
}

// goes is what is seen of an object whose deletion was asked for.
type goes struct {
	notice  time.Duration // that its controllers have to take it up
	began   time.Time
	asked   time.Time // when they could begin to see it: later than began when the API server was away
	heeded  time.Time // when they were first seen to have taken it up, and nothing else was left to be taken up
	freed   time.Time // when it was first seen to be lifted
	forever bool      // nothing is known of how long its controllers take
	// behind reports whether other controllers have still to take up their part.
	behind func(context.Context, *unstructured.Unstructured) bool
}

// awaitGone waits for the end of an object whose deletion is asked for, and says what it waits for. It gives up at the end of ctx, and
// before that when there is nothing to be hoped for: when Chaos Mesh's controllers took the deletion up and hang, or have not for longer
// than they need to look again after an outage. While the API server cannot be asked, nothing counts as hanging.
func (g *goes) awaitGone(ctx context.Context, f *follower) (sight, error) {
	look := time.NewTicker(settlePause)
	defer look.Stop()
	for {
		s, ready, changed := f.see()
		if ready {
			if s.gone {
				return s, nil
			}
			why, hangs := g.judge(ctx, s)
			if hangs {
				return s, context.DeadlineExceeded
			}
			if why != "" && time.Since(g.began) >= quietLimit {
				faults.Waiting(ctx, why)
			}
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-changed:
		case <-look.C:
		}
	}
}

// judge says what an object that is still there waits for, if that is worth a word, and whether it hangs.
func (g *goes) judge(ctx context.Context, s sight) (why string, hangs bool) {
	now := time.Now()
	late := !now.Before(g.asked.Add(g.notice))
	switch {
	case !s.since.IsZero():
		g.asked, g.heeded, g.freed = now, time.Time{}, time.Time{}
		return s.unseen(), false
	case g.forever:
		return "", false
	case ignored(s.object):
		return titleOf(s.object) + " is to go, and " + notTakenUp + " yet", late
	case free(s.object): // each is for a moment, before its finalizer goes
		if g.freed.IsZero() {
			g.freed = now
		}
		return titleOf(s.object) + " is lifted, and the controllers have not let it go yet", late && !now.Before(g.freed.Add(hangLimit))
	case g.heeded.IsZero():
		g.heeded = now
	}
	if now.Before(g.heeded.Add(hangLimit)) {
		return "", false
	}
	if !late && g.behind(ctx, s.object) { // each kind's controllers look again at a moment of their own
		g.heeded = now
		return titleOf(s.object) + " is to go, and what is collected for its pods was not taken up yet", false
	}
	return "", true
}

// ignored reports whether the controllers have not taken up the deletion of an object that only they let go.
func ignored(o *unstructured.Unstructured) bool {
	st, err := stateOf(o)
	return err == nil && slices.Contains(st.finalizers, recordsFinalizer) && st.status.Experiment.DesiredPhase != v1alpha1.StoppedPhase
}

// free reports whether nothing of an object is left but the finalizer of its controllers. They may have lifted it before they knew that it
// is to go, when its duration was over.
func free(o *unstructured.Unstructured) bool {
	st, err := stateOf(o)
	return err == nil && slices.Equal(st.finalizers, []string{recordsFinalizer}) && st.recovered()
}

// age is for how long the deletion of an object has been asked for, by the cluster's clock and ours.
func age(o *unstructured.Unstructured) time.Duration {
	if t := o.GetDeletionTimestamp(); t != nil {
		return max(0, time.Since(t.Time))
	}
	return 0
}

// ask asks for the deletion of one object, until it is heard. One that is gone already is none to be asked for.
func (c *client) ask(ctx context.Context, at schema.GroupVersionResource, o *unstructured.Unstructured) error {
	err := c.steadily(ctx, func(ctx context.Context) error { return c.delete(ctx, at, o) })
	if err != nil && (!apierrors.IsNotFound(err) || !served(err)) {
		return fmt.Errorf("deleting %s: %w", titleOf(o), err)
	}
	return nil
}

// delete asks for the deletion of one object, of that uid.
func (c *client) delete(ctx context.Context, at schema.GroupVersionResource, o *unstructured.Unstructured) error {
	background, uid := metav1.DeletePropagationBackground, o.GetUID()
	err := c.Resource(at).Namespace(o.GetNamespace()).Delete(ctx, o.GetName(),
		metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsConflict(err) { // it is of another uid, or was changed meanwhile
		there, get := c.Resource(at).Namespace(o.GetNamespace()).Get(ctx, o.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(get) || get == nil && there.GetUID() != uid {
			return nil
		}
	}
	return err
}

// noteUnlifted notes of an object that is gone what its last records say was not lifted: somebody took its finalizer off.
func (c *client) noteUnlifted(ctx context.Context, s sight, before *unstructured.Unstructured) {
	last := s.object
	if last == nil {
		last = before
	}
	st, err := stateOf(last)
	if err != nil || s.object == nil || !st.touched() {
		return
	}
	var lines []string
	for _, r := range st.status.Experiment.Records {
		if r.Phase != v1alpha1.NotInjected {
			lines = append(lines, recordLine(r))
		}
	}
	faults.Note(ctx, fmt.Sprintf("%s is gone, and its last records do not say that the fault was lifted: %s", titleOf(last), few(lines, 3)))
}

// annotate sets one annotation.
func (c *client) annotate(ctx context.Context, o *unstructured.Unstructured, key, value string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"annotations":{%q:%q}}}`, o.GetUID(), key, value)
	return c.steadily(ctx, func(ctx context.Context) error {
		_, err := c.Resource(resource(o.GetKind())).Namespace(o.GetNamespace()).Patch(ctx, o.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// noteUnready notes when a pod that a fault took down is not Ready yet. Its own controller brings it back; nothing waits for that here.
func (c *client) noteUnready(ctx context.Context, p faults.Pod) {
	ctx, cancel := context.WithTimeout(ctx, asideLimit)
	defer cancel()
	pod, err := c.pod(ctx, p.Namespace, p.Name)
	switch where := p.Namespace + "/" + p.Name; {
	case apierrors.IsNotFound(err):
		faults.Note(ctx, fmt.Sprintf("pod %s is gone: another one takes its place, if anything cares for that", where))
	case err != nil:
		faults.Note(ctx, fmt.Sprintf("whether pod %s is Ready again cannot be seen: %v", where, c.plain(err)))
	case !readyPod(pod):
		faults.Note(ctx, fmt.Sprintf("pod %s is not Ready yet: %s", where, phaseOf(pod)))
	}
}

// workflowDone reports whether a Workflow has come to its end.
func workflowDone(o *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		if m["type"] == string(v1alpha1.WorkflowConditionAccomplished) && m["status"] == string(corev1.ConditionTrue) {
			return true
		}
	}
	return false
}
