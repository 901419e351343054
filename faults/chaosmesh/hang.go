package chaosmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults/cluster"
)

// blocked says what keeps an object from going: which finalizer, which record of which target, why, and who does not do their part.
// The deletion stays asked for, so Chaos Mesh goes on by itself once it can.
func (c *client) blocked(ctx context.Context, o *unstructured.Unstructured, s sight) error {
	what := titleOf(o)
	if u := s.unseen(); u != "" {
		return fmt.Errorf("%s was to be deleted, and whether it is gone is unknown: %s; Chaos Mesh lifts it when its duration is over, if it has one", what, u)
	}
	if s.object == nil {
		return fmt.Errorf("%s was to be deleted, and there was no time to see it go", what)
	}
	aside, cancel := context.WithTimeout(context.WithoutCancel(ctx), asideLimit)
	defer cancel()
	return errors.New(what + " " + c.stuck(aside, s.object) + ". The deletion stays asked for, and Chaos Mesh goes on with it when it can. `" +
		c.forcing(o) + "` takes the finalizers off; whatever Chaos Mesh did not undo stays then")
}

// forcing is the command that forces an object off.
func (c *client) forcing(o *unstructured.Unstructured) string {
	return c.reverting(o.GetAnnotations()[cluster.AnnotationRun]) + " --force"
}

// reverting is the command that lifts what a run has in the cluster.
func (c *client) reverting(run string) string {
	command := "gameday revert --kubernetes"
	if c.access.Context != "" {
		command += " --context " + c.access.Context
	}
	if run != "" {
		command += " --run " + run
	}
	return command
}

// stuck describes an object whose deletion hangs, as the rest of a sentence.
func (c *client) stuck(ctx context.Context, o *unstructured.Unstructured) string {
	st, err := stateOf(o)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	if t := o.GetDeletionTimestamp(); t != nil {
		fmt.Fprintf(&b, "is being deleted since %s", t.UTC().Format("15:04:05 MST"))
	} else {
		b.WriteString("is not being deleted yet")
	}
	if len(st.finalizers) > 0 {
		b.WriteString(" and hangs on finalizer " + strings.Join(st.finalizers, ", "))
	}
	if !slices.Contains(st.finalizers, recordsFinalizer) {
		if len(st.finalizers) > 0 {
			b.WriteString(", which is not Chaos Mesh's own: whoever set it must take it off")
		}
		return b.String()
	}
	var lines, nodes []string
	for _, r := range st.status.Experiment.Records {
		if r.Phase == v1alpha1.NotInjected {
			continue
		}
		line := recordLine(r)
		if why := c.podFault(ctx, r.Id, o); why != "" {
			line += "; " + why
		}
		lines = append(lines, line)
		if node := c.nodeOf(ctx, r.Id); needsDaemon(o) && node != "" && !slices.Contains(nodes, node) {
			nodes = append(nodes, node)
		}
	}
	if len(lines) > 0 {
		b.WriteString(", because of " + few(lines, 3))
	}
	stopped := st.status.Experiment.DesiredPhase == v1alpha1.StoppedPhase
	switch cp := c.controlPlane(ctx); {
	case cp.dead():
		b.WriteString("; " + cp.text())
	case !stopped && st.deleting:
		b.WriteString("; " + notTakenUp + ", its desired phase is still " + cmp.Or(string(st.status.Experiment.DesiredPhase), "unset") +
			": chaos-controller-manager seems gone (" + cp.text() + ")")
	default:
		b.WriteString("; " + cp.text())
	}
	for _, node := range nodes {
		if err := c.daemonOn(ctx, node); err != nil {
			b.WriteString("; " + err.Error())
		}
	}
	return b.String()
}

// nodeOf returns the node of the pod that a record is about, if it can be seen.
func (c *client) nodeOf(ctx context.Context, id string) string {
	parts := strings.Split(id, "/")
	if len(parts) < 2 {
		return ""
	}
	pod, err := c.pod(ctx, parts[0], parts[1])
	if err != nil {
		return ""
	}
	return pod.Spec.NodeName
}

// perPod are the objects in which Chaos Mesh collects, for each pod, what its daemon is to do there on behalf of objects of a kind, and
// the lists in their specs whose members name where they came from.
var perPod = map[string]struct {
	kind  string
	lists []string
}{
	v1alpha1.KindNetworkChaos: {"PodNetworkChaos", []string{"ipsets", "iptables", "tcs"}},
	v1alpha1.KindIOChaos:      {"PodIOChaos", []string{"actions"}},
	v1alpha1.KindHTTPChaos:    {"PodHttpChaos", []string{"rules"}},
}

// behind reports whether what Chaos Mesh collected for a pod still has something of an object that is to go, or was changed and not
// looked at since: the controllers of that kind have an eye on the API server of their own. It is not known of those that cannot be read
// now, which count as behind; who may not read them at all goes by whether Chaos Mesh says that it failed.
func (c *client) behind(ctx context.Context, o *unstructured.Unstructured) bool {
	per, has := perPod[o.GetKind()]
	st, err := stateOf(o)
	if !has || err != nil {
		return false
	}
	aside, cancel := context.WithTimeout(ctx, asideLimit)
	defer cancel()
	for _, r := range st.status.Experiment.Records {
		parts := strings.Split(r.Id, "/")
		if r.Phase == v1alpha1.NotInjected || len(parts) < 2 {
			continue
		}
		u, err := c.Resource(resource(per.kind)).Namespace(parts[0]).Get(aside, parts[1], metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || apierrors.IsForbidden(err) && failedToRecover(r):
			continue
		case err != nil:
			return true
		}
		seen, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		if seen < u.GetGeneration() || without(u, per.lists, o.GetNamespace()+"/"+o.GetName()) {
			return true
		}
	}
	return false
}

// failedToRecover reports whether the last thing that Chaos Mesh did to a target was to fail to lift the fault.
func failedToRecover(r *v1alpha1.Record) bool {
	if len(r.Events) == 0 {
		return false
	}
	last := r.Events[len(r.Events)-1]
	return last.Operation == v1alpha1.Recover && last.Type == v1alpha1.TypeFailed
}

// podFault returns what the pod's own object says went wrong on behalf of o.
func (c *client) podFault(ctx context.Context, id string, o *unstructured.Unstructured) string {
	per, has := perPod[o.GetKind()]
	parts := strings.Split(id, "/")
	if !has || len(parts) < 2 {
		return ""
	}
	u, err := c.Resource(resource(per.kind)).Namespace(parts[0]).Get(ctx, parts[1], metav1.GetOptions{})
	if err != nil {
		return ""
	}
	failed, _, _ := unstructured.NestedString(u.Object, "status", "failedMessage")
	if failed == "" {
		return ""
	}
	return "its " + per.kind + " says: " + oneLine(failed)
}

// force takes the finalizers off an object that hangs: first as Chaos Mesh documents it, by an annotation that its controllers act on,
// then by itself. What was collected for its pods goes too: else a daemon that comes back would begin the fault anew. It returns what is
// left behind.
func (c *client) force(ctx context.Context, o *unstructured.Unstructured) (left string, err error) {
	what := titleOf(o)
	err = c.annotate(ctx, o, forceAnnotation, forceValue)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("annotating %s with %s=%s: %w", what, forceAnnotation, forceValue, err)
	}
	follow, cancel := context.WithCancel(ctx)
	defer cancel()
	f := c.follow(follow, resource(o.GetKind()), o.GetNamespace(), o.GetName(), o.GetUID())
	gone := func(s sight) (bool, error) { return s.gone, nil }
	s, err := awaitFor(ctx, f, forceLimit, gone)
	if err != nil {
		if err := c.bare(ctx, o); err != nil && !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("taking the finalizers off %s: %w", what, err)
		}
		if s, err = awaitFor(ctx, f, forceLimit, gone); err != nil {
			return "", c.blocked(ctx, o, s)
		}
	}
	last := s.object
	if last == nil {
		last = o
	}
	st, err := stateOf(last)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, r := range st.status.Experiment.Records {
		if r.Phase != v1alpha1.NotInjected {
			lines = append(lines, recordLine(r))
		}
	}
	if err := c.strip(ctx, last, st); err != nil {
		return few(lines, 3), err
	}
	return few(lines, 3), nil
}

// letGo tells those objects to go that nobody has told yet, and gives Chaos Mesh the time to lift them as it should: they do not hang.
func (c *client) letGo(ctx context.Context, list []unstructured.Unstructured) error {
	var told []unstructured.Unstructured
	for _, o := range list {
		if o.GetDeletionTimestamp() != nil {
			continue
		}
		if err := c.ask(ctx, resource(o.GetKind()), &o); err != nil {
			return err
		}
		told = append(told, o)
	}
	wait, cancel := context.WithTimeout(ctx, forceLimit)
	defer cancel()
	for _, o := range told {
		f := c.follow(wait, resource(o.GetKind()), o.GetNamespace(), o.GetName(), o.GetUID())
		_, _ = f.await(wait, func(s sight) (bool, error) { return s.gone, nil }) // those that stay are forced
	}
	return nil
}

// awaitFor is await within a limit.
func awaitFor(ctx context.Context, f *follower, limit time.Duration, done func(sight) (bool, error)) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f.await(ctx, done)
}

// bare takes all finalizers off an object that is being deleted.
func (c *client) bare(ctx context.Context, o *unstructured.Unstructured) error {
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"finalizers":null}}`, o.GetUID())
	return c.steadily(ctx, func(ctx context.Context) error {
		_, err := c.Resource(resource(o.GetKind())).Namespace(o.GetNamespace()).Patch(ctx, o.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// strip removes from the objects of pods what they have of an object that is gone, and of no other.
func (c *client) strip(ctx context.Context, o *unstructured.Unstructured, st state) error {
	per, has := perPod[o.GetKind()]
	if !has {
		return nil
	}
	source := o.GetNamespace() + "/" + o.GetName()
	done := map[string]bool{}
	var errs []error
	for _, r := range st.status.Experiment.Records {
		parts := strings.Split(r.Id, "/")
		if len(parts) < 2 || done[parts[0]+"/"+parts[1]] {
			continue
		}
		done[parts[0]+"/"+parts[1]] = true
		err := c.steadily(ctx, func(ctx context.Context) error {
			at := c.Resource(resource(per.kind)).Namespace(parts[0])
			u, err := at.Get(ctx, parts[1], metav1.GetOptions{})
			if err != nil || !without(u, per.lists, source) {
				return err
			}
			_, err = at.Update(ctx, u, metav1.UpdateOptions{})
			return err
		})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("taking what came from %s out of %s %s/%s: %w", source, per.kind, parts[0], parts[1], err))
		}
	}
	return errors.Join(errs...)
}

// without removes the members of a source from lists of a spec, and reports whether there were any.
func without(u *unstructured.Unstructured, lists []string, source string) bool {
	changed := false
	for _, name := range lists {
		list, has, err := unstructured.NestedSlice(u.Object, "spec", name)
		if err != nil || !has {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(list), func(m any) bool {
			entry, _ := m.(map[string]any)
			return entry["source"] == source
		})
		if len(kept) != len(list) {
			changed = true
			_ = unstructured.SetNestedSlice(u.Object, kept, "spec", name) // a list that was read can be written
		}
	}
	return changed
}
