package chaosmesh

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults/cluster"
)

var budgetsAt = policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets")

// blow is what one fault takes down at once in one namespace: pods that stop to serve, by their names.
type blow struct {
	fault, namespace string
	pods             map[string]bool
	most             int // of them, at once; which, nobody knows when they are fewer
}

// words says how many of so many that it may hit.
func (b blow) words(n int) string {
	if b.most < len(b.pods) {
		return fmt.Sprintf("may take down %d", n)
	}
	return fmt.Sprintf("takes down %d", n)
}

// blows collects, for each fault, the pods that it takes down. Faults that slow or cut leave their pods Ready.
func blows(all []asked) []blow {
	byKey := map[[2]string]*blow{}
	var out []*blow
	for _, a := range all {
		pod := a.request.Place.Cluster.Pod
		if pod == nil || a.object.kind != v1alpha1.KindPodChaos {
			continue
		}
		key := [2]string{a.request.Fault, pod.Namespace}
		if byKey[key] == nil {
			byKey[key] = &blow{fault: key[0], namespace: key[1], pods: map[string]bool{}}
			out = append(out, byKey[key])
		}
		byKey[key].pods[pod.Name] = true
		byKey[key].most++
	}
	flat := make([]blow, 0, len(out))
	for _, b := range out {
		flat = append(flat, *b)
	}
	return flat
}

// radius weighs what faults take down against what the pods' owners allow and have. A PodDisruptionBudget that would be broken blocks:
// it is somebody's word that no more may be missing. A workload that would have no Ready pod left is said and does not block: that is
// just what a drill with one replica is for.
func (c *client) radius(ctx context.Context, all []asked) []cluster.Finding {
	var out []cluster.Finding
	for _, a := range all {
		if p := a.request.Place.Cluster; p.Pod != nil && own(p.Labels) {
			out = append(out, cluster.Finding{What: aboutOwn, Blocks: true, Faults: []string{a.request.Fault}, Summary: fmt.Sprintf("fault %s would hit %s/%s, which is gameday's own",
				a.request.Fault, p.Pod.Namespace, p.Pod.Name)})
		}
	}
	struck := blows(all)
	for _, a := range all {
		if a.says != nil {
			f, more := c.manifestRadius(ctx, a)
			out, struck = append(out, f...), append(struck, more...)
		}
	}
	for _, b := range struck {
		pods, err := c.pods(ctx, b.namespace, nil, nil)
		if err != nil {
			out = append(out, cluster.Finding{What: aboutReplicas, Faults: []string{b.fault}, Summary: fmt.Sprintf("what fault %s leaves of its targets in namespace %s cannot be seen: %s",
				b.fault, b.namespace, oneLine(err.Error()))})
			continue
		}
		out = append(out, replicaFindings(b, pods)...)
		budgets, err := c.budgets(ctx, b.namespace)
		if apierrors.IsForbidden(err) { // said with the permissions
			continue
		}
		if err != nil {
			out = append(out, cluster.Finding{What: aboutBudget, Faults: []string{b.fault}, Summary: fmt.Sprintf("the budgets of namespace %s cannot be read, so fault %s was not weighed against them: %s",
				b.namespace, b.fault, oneLine(err.Error()))})
			continue
		}
		out = append(out, budgetFindings(b, pods, budgets)...)
	}
	return out
}

func (c *client) budgets(ctx context.Context, namespace string) ([]policyv1.PodDisruptionBudget, error) {
	var out []policyv1.PodDisruptionBudget
	err := c.steadily(ctx, func(ctx context.Context) error {
		out = nil
		list, err := c.Resource(budgetsAt).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, u := range list.Items {
			var b policyv1.PodDisruptionBudget
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &b); err != nil {
				return fmt.Errorf("reading %s: %w", titleOf(&u), err)
			}
			out = append(out, b)
		}
		return nil
	})
	return out, err
}

// replicaFindings says of which workloads a fault takes down every Ready pod.
func replicaFindings(b blow, pods []corev1.Pod) []cluster.Finding {
	ready, hit := map[string]int{}, map[string]int{}
	for _, p := range pods {
		owner := ownerOf(&p)
		if owner == "" || !readyPod(&p) || p.DeletionTimestamp != nil {
			continue
		}
		ready[owner]++
		if b.pods[p.Name] {
			hit[owner]++
		}
	}
	var out []cluster.Finding
	for _, owner := range slices.Sorted(maps.Keys(hit)) {
		if min(hit[owner], b.most) == ready[owner] {
			does := "takes"
			if b.most < len(b.pods) {
				does = "may take"
			}
			out = append(out, cluster.Finding{What: aboutReplicas, Faults: []string{b.fault}, Summary: fmt.Sprintf("fault %s %s down all of the %d Ready pods of %s in namespace %s: nothing of it "+
				"serves until one is back", b.fault, does, ready[owner], owner, b.namespace)})
		}
	}
	return out
}

// ownerOf names what keeps a pod's number: "ReplicaSet payments-7f9c".
func ownerOf(p *corev1.Pod) string {
	for _, o := range p.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return o.Kind + " " + o.Name
		}
	}
	return ""
}

// budgetFindings says which budgets a fault would break. The cluster itself holds only evictions to them, and a kill is none.
func budgetFindings(b blow, pods []corev1.Pod, budgets []policyv1.PodDisruptionBudget) []cluster.Finding {
	var out []cluster.Finding
	for _, pdb := range budgets {
		selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
		if err != nil {
			continue // the API server lets none such in
		}
		n := int32(0)
		for _, p := range pods {
			if b.pods[p.Name] && selector.Matches(labels.Set(p.Labels)) && readyPod(&p) {
				n++
			}
		}
		n = min(n, int32(b.most))
		limit := "minAvailable"
		var value fmt.Stringer = pdb.Spec.MinAvailable
		if pdb.Spec.MinAvailable == nil {
			limit, value = "maxUnavailable", pdb.Spec.MaxUnavailable
		}
		switch {
		case n == 0:
		case pdb.Status.ObservedGeneration < pdb.Generation:
			out = append(out, cluster.Finding{What: aboutBudget, Faults: []string{b.fault}, Summary: fmt.Sprintf("the cluster has not weighed budget %s/%s yet, so fault %s was not either",
				pdb.Namespace, pdb.Name, b.fault)})
		case n > pdb.Status.DisruptionsAllowed:
			out = append(out, cluster.Finding{What: aboutBudget, Blocks: true, Faults: []string{b.fault}, Summary: fmt.Sprintf("fault %s %s of the pods that budget %s/%s covers (%s %v), "+
				"which allows %d now", b.fault, b.words(int(n)), pdb.Namespace, pdb.Name, limit, value, pdb.Status.DisruptionsAllowed),
				Detail: "Hit fewer at once (at_most), add replicas, or have the budget changed by whoever owns it."})
		}
	}
	return out
}
