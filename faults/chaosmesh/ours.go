package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// liftLimit is how long one object may take to go once its controllers can see that it is to; they have noticeLimit for that.
const liftLimit = 15 * time.Second

// kindAt is a kind and where the API server has it.
type kindAt struct {
	kind string
	at   schema.GroupVersionResource
	// owned says that objects of ours of this kind belong to others of ours, and go with them.
	owned bool
}

// loadKinds are those that sending traffic from a cluster leaves, in the order of removal: runners first.
var loadKinds = []kindAt{
	{kind: "TestRun", at: schema.GroupVersionResource{Group: "k6.io", Version: "v1alpha1", Resource: "testruns"}},
	{kind: "Job", at: batchv1.SchemeGroupVersion.WithResource("jobs")},
	{kind: "ConfigMap", at: corev1.SchemeGroupVersion.WithResource("configmaps"), owned: true},
	{kind: "Secret", at: corev1.SchemeGroupVersion.WithResource("secrets"), owned: true},
	{kind: "Service", at: corev1.SchemeGroupVersion.WithResource("services"), owned: true},
}

// ownersAmong reports whether kinds that own others are among those that nothing allows to list.
func ownersAmong(unseen []string) bool {
	return slices.ContainsFunc(loadKinds, func(k kindAt) bool { return !k.owned && slices.Contains(unseen, k.at.Resource) })
}

// found is an object of ours and where it is.
type found struct {
	kindAt
	object unstructured.Unstructured
}

// findOurs lists the objects of ours, of a run or of all: faults first, Schedules and Workflows before others, so that they make no
// more. It looks into all namespaces, and where that is forbidden into those that are named, or else into those where something may be
// listed. What the cluster does not serve has none; unseen names what nothing allows us to list, but for what goes with owners that are
// listed. Unless it is to be the whole, that leaves out what nothing allows us to make either: the run is taken to be of somebody who may
// as much.
func (c *client) findOurs(ctx context.Context, run string, whole bool, namespaces ...string) (out []found, unseen []string, err error) {
	kinds := []kindAt{{kind: v1alpha1.KindWorkflow, at: resource(v1alpha1.KindWorkflow)}, {kind: v1alpha1.KindSchedule, at: resource(v1alpha1.KindSchedule)}}
	for _, k := range kindsOfAPI() {
		kinds = append(kinds, kindAt{kind: k, at: resource(k)})
	}
	for _, k := range slices.Concat(kinds, loadKinds) {
		items, err := c.listOurs(ctx, k, metav1.NamespaceAll)
		if apierrors.IsForbidden(err) && namespaces == nil {
			namespaces = c.namespaces(ctx)
		}
		if apierrors.IsForbidden(err) && len(namespaces) > 0 {
			items, err = nil, nil
			for _, ns := range namespaces {
				some, failed := c.listOurs(ctx, k, ns)
				if apierrors.IsForbidden(failed) && run != "" && !whole && !c.couldMake(ctx, k, ns) {
					continue // nor can a run with these permissions have made one
				}
				items, err = append(items, some...), errors.Join(err, failed)
			}
		}
		switch {
		case apierrors.IsNotFound(err):
			continue
		case apierrors.IsForbidden(err) && k.owned && !ownersAmong(unseen): // its owners are seen
		case apierrors.IsForbidden(err):
			unseen = append(unseen, k.at.Resource)
		case err != nil:
			return nil, nil, fmt.Errorf("listing %s: %w", k.at.Resource, err)
		}
		for _, o := range items {
			of := o.GetAnnotations()[cluster.AnnotationRun]
			if of == "" || run != "" && of != run {
				continue // another tool may call itself so
			}
			if o.GetKind() == "" {
				o.SetKind(k.kind)
			}
			out = append(out, found{k, o})
		}
	}
	return out, unseen, nil
}

// listOurs lists what has our label, of a kind in a namespace or in all.
func (c *client) listOurs(ctx context.Context, k kindAt, namespace string) ([]unstructured.Unstructured, error) {
	var list *unstructured.UnstructuredList
	err := c.steadily(ctx, func(ctx context.Context) (err error) {
		list, err = c.Resource(k.at).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{cluster.LabelManaged: cluster.Manager}.String()})
		return err
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// couldMake reports whether we may create a kind in a namespace, or nobody knows.
func (c *client) couldMake(ctx context.Context, k kindAt, namespace string) bool {
	denied, err := c.may(ctx, []Permission{{Group: k.at.Group, Resource: k.at.Resource, Verb: "create", Namespace: namespace}})
	return err != nil || len(denied) == 0
}

// hidden is the error that something of ours may be where nothing allows us to look.
func hidden(unseen, namespaces []string) error {
	where := "all namespaces"
	if len(namespaces) > 0 {
		where = "namespace " + strings.Join(namespaces, " or ")
	}
	return fmt.Errorf("nothing allows to list %s in %s; ask for that permission, docs/kubernetes.md has the least that is needed", few(unseen, 5), where)
}

// mostNamespaces is in how many namespaces something is looked for one by one.
const mostNamespaces = 100

// namespaces are those in which to look when not all may be looked at together: of those that exist, or else of those that the kubeconfig
// names, the ones where something may be listed. Protected ones never have anything of ours. It is never nil.
func (c *client) namespaces(ctx context.Context) []string {
	all := slices.Clone(c.usual)
	if list, err := c.Resource(namespacesAt).List(ctx, metav1.ListOptions{Limit: mostNamespaces}); err == nil {
		all = nil
		for _, n := range list.Items {
			all = append(all, n.GetName())
		}
	}
	all = slices.DeleteFunc(all, func(ns string) bool { return slices.Contains(protected, ns) || !c.mayList(ctx, ns) })
	return append([]string{}, all...)
}

// mayList reports whether something that may be ours may be listed in a namespace, as far as the cluster says.
func (c *client) mayList(ctx context.Context, namespace string) bool {
	review := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
		"spec": map[string]any{"namespace": namespace}}}
	answer, err := c.Resource(authorizationv1.SchemeGroupVersion.WithResource("selfsubjectrulesreviews")).Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return true
	}
	var rules authorizationv1.SelfSubjectRulesReview
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(answer.Object, &rules); err != nil || rules.Status.Incomplete {
		return true
	}
	return slices.ContainsFunc(rules.Status.ResourceRules, func(r authorizationv1.ResourceRule) bool {
		has := func(list []string, any ...string) bool {
			return slices.ContainsFunc(list, func(s string) bool { return s == "*" || slices.Contains(any, s) })
		}
		return has(r.Verbs, "list") && has(r.APIGroups, v1alpha1.SchemeGroupVersion.Group, batchv1.GroupName)
	})
}

// ours lists the objects of ours, and in what state each is.
func (c *client) ours(ctx context.Context, q cluster.Ours) ([]cluster.Object, error) {
	list, unseen, err := c.findOurs(ctx, q.Run, q.Whole, q.Namespaces...)
	if err != nil {
		return nil, err
	}
	if len(unseen) > 0 && (q.Whole || len(list) == 0) {
		return nil, hidden(unseen, q.Namespaces)
	}
	out := make([]cluster.Object, 0, len(list))
	for _, f := range list {
		out = append(out, objectOf(f))
	}
	return out, nil
}

func objectOf(f found) cluster.Object {
	a := f.object.GetAnnotations()
	return cluster.Object{Kind: f.kind, Namespace: f.object.GetNamespace(), Name: f.object.GetName(), Run: a[cluster.AnnotationRun],
		Scenario: a[cluster.AnnotationScenario], Fault: a[cluster.AnnotationFault], ID: a[cluster.AnnotationID], Owner: a[cluster.AnnotationOwner],
		Until: a[cluster.AnnotationUntil], Stands: stands(f)}
}

// stands says in a few words in what state an object is.
func stands(f found) string {
	if f.at.Group != v1alpha1.SchemeGroupVersion.Group {
		if f.object.GetDeletionTimestamp() != nil {
			return "being deleted"
		}
		return "there"
	}
	st, err := stateOf(&f.object)
	switch {
	case f.kind == v1alpha1.KindSchedule || f.kind == v1alpha1.KindWorkflow:
		if f.object.GetDeletionTimestamp() != nil {
			return "being deleted"
		}
		return "there"
	case err != nil:
		return err.Error()
	case st.deleting && len(st.finalizers) > 0:
		return "recovering: finalizer " + strings.Join(st.finalizers, ", ")
	case st.deleting:
		return "being deleted"
	case st.injected():
		return "injected"
	case st.recovered():
		return "recovered: its duration is over"
	case st.paused:
		return "paused"
	}
	return "not injected: " + effectOf(st, nil).Summary
}

// lift removes objects of ours. Those of injections whose guards live and of runs in progress are left alone, and nobody else's is touched.
func (c *client) lift(ctx context.Context, q cluster.Lift) ([]cluster.Lifted, error) {
	list, unseen, err := c.findOurs(ctx, q.Run, false, q.Namespaces...)
	if err != nil {
		return nil, err
	}
	if len(unseen) > 0 && len(list) == 0 {
		return nil, hidden(unseen, q.Namespaces)
	}
	list = slices.DeleteFunc(list, func(f found) bool {
		o := objectOf(f)
		return o.ID != "" && slices.Contains(q.But, o.ID) || slices.Contains(q.ButRuns, o.Run) || len(q.Only) > 0 && !slices.Contains(q.Only, o.Run)
	})
	out := make([]cluster.Lifted, len(list))
	var all sync.WaitGroup
	for i, f := range list {
		if f.at.Group == v1alpha1.SchemeGroupVersion.Group { // at once: each may have to be waited for as long
			all.Go(func() { out[i] = c.liftOne(ctx, f, objectOf(f), q.Force) })
		}
	}
	for i, f := range list {
		if f.at.Group != v1alpha1.SchemeGroupVersion.Group { // in turn: runners first
			out[i] = c.liftOne(ctx, f, objectOf(f), q.Force)
		}
	}
	all.Wait()
	return out, nil
}

func (c *client) liftOne(ctx context.Context, f found, o cluster.Object, force bool) cluster.Lifted {
	l := cluster.Lifted{Object: o}
	limit := liftLimit
	switch {
	case force:
		limit = forceLimit // whoever forces has seen it hang
	case f.at.Group == v1alpha1.SchemeGroupVersion.Group:
		limit += noticeLimit + abortLimit
	}
	one, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	one = faults.WithNote(one, func(text string) { l.Note = text })
	err := c.liftFound(one, f, o)
	if err != nil && force && ctx.Err() == nil && f.at.Group == v1alpha1.SchemeGroupVersion.Group {
		again, done := context.WithTimeout(ctx, forceLimit+liftLimit)
		defer done()
		err = c.forceAll(again, f, &l)
	}
	if l.Gone = err == nil; err != nil {
		l.Blocks = err.Error()
	}
	return l
}

// liftFound removes one object as its revert does.
func (c *client) liftFound(ctx context.Context, f found, o cluster.Object) error {
	if f.at.Group != v1alpha1.SchemeGroupVersion.Group {
		return c.removeObject(ctx, f.at, &f.object)
	}
	u := undo{Group: f.at.Group, Version: f.at.Version, Resource: f.at.Resource, Kind: f.kind, Namespace: o.Namespace, Name: o.Name,
		Children: childrenOf(&f.object), Access: c.access, Server: c.config.Host}
	return lifting{c: c, undo: u, run: o.Run, injection: o.ID}.lift(ctx)
}

// forceAll takes the finalizers off an object and whatever was made for it, which hang.
func (c *client) forceAll(ctx context.Context, f found, l *cluster.Lifted) error {
	u := undo{Kind: f.kind, Namespace: f.object.GetNamespace(), Name: f.object.GetName(), Children: childrenOf(&f.object)}
	list, err := c.childrenOf(ctx, u)
	if err != nil {
		return err
	}
	there, err := c.Resource(f.at).Namespace(u.Namespace).Get(ctx, u.Name, metav1.GetOptions{})
	if err == nil && there.GetUID() == f.object.GetUID() {
		list = append([]unstructured.Unstructured{*there}, list...)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return c.plain(err)
	}
	if err := c.letGo(ctx, list); err != nil {
		return err
	}
	notes, errs := make([]string, len(list)), make([]error, len(list))
	var all sync.WaitGroup
	for i := range list { // at once: each may have to be waited for as long
		all.Go(func() {
			left, err := c.force(ctx, &list[i])
			if errs[i] = err; err == nil && left != "" {
				notes[i] = fmt.Sprintf("%s was forced off, and Chaos Mesh did not lift it from %s", titleOf(&list[i]), left)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	notes = slices.DeleteFunc(notes, func(n string) bool { return n == "" })
	l.Note = few(notes, 5)
	return nil
}
