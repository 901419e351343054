package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/find"
)

var (
	podsAt       = corev1.SchemeGroupVersion.WithResource("pods")
	namespacesAt = corev1.SchemeGroupVersion.WithResource("namespaces")
)

// findPods finds the running pods of a selector, by name. Those that are being deleted do not run any more, and gameday's own are never
// targets.
func (c *client) findPods(ctx context.Context, q cluster.Pods) (find.Result, error) {
	if q.Namespace == "" {
		return find.Result{}, errors.New("pods are selected within one namespace: write namespace = \"…\"")
	}
	if err := c.unprotected(ctx, q.Namespace); err != nil {
		return find.Result{}, err
	}
	all, err := c.pods(ctx, q.Namespace, labels.Set(q.Labels), fields.Set(q.Fields))
	if err != nil {
		return find.Result{}, fmt.Errorf("listing pods of namespace %s: %w", q.Namespace, err)
	}
	var r find.Result
	var idle []string
	for _, p := range all {
		switch {
		case own(p.Labels):
			idle = append(idle, p.Name+" is gameday's own")
		case p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning:
			idle = append(idle, p.Name+" is "+phaseOf(&p))
		default:
			f, err := c.foundPod(&p, q.Containers)
			if err != nil {
				return find.Result{}, err
			}
			r.Found = append(r.Found, f)
		}
	}
	slices.SortFunc(r.Found, func(a, b find.Found) int { return strings.Compare(a.Place.Name, b.Place.Name) })
	if len(r.Found) > 0 {
		return r, nil
	}
	slices.Sort(idle)
	if len(idle) > 0 {
		r.Hint = fmt.Sprintf("what it selects in namespace %s cannot be hit: %s", q.Namespace, few(idle, 3))
		return r, nil
	}
	r.Hint, err = c.noPods(ctx, q)
	return r, err
}

// own reports whether labels are those of what gameday itself put into the cluster.
func own(l map[string]string) bool {
	return l[cluster.LabelManaged] == cluster.Manager || l[cluster.LabelRun] != ""
}

func (c *client) foundPod(p *corev1.Pod, containers []string) (find.Found, error) {
	all := containerNames(p)
	for _, name := range containers {
		if !slices.Contains(all, name) {
			text := fmt.Sprintf("pod %s/%s has no container %q; it has %s", p.Namespace, p.Name, name, strings.Join(all, ", "))
			if near := faults.Nearest(name, all); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			}
			return find.Found{}, errors.New(text)
		}
	}
	ids := containerIDs(p)
	pod := &faults.Pod{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName, AllContainers: all, Ready: readyPod(p)}
	for _, name := range all {
		if len(containers) > 0 && !slices.Contains(containers, name) {
			continue
		}
		if len(containers) > 0 {
			pod.Containers = append(pod.Containers, name)
		}
		if id := ids[name]; id != "" {
			pod.ContainerIDs = append(pod.ContainerIDs, id)
		}
	}
	place := faults.Place{Name: p.Namespace + "/" + p.Name, Cluster: &faults.Cluster{Access: c.access, Pod: pod, Labels: p.Labels}}
	for _, ip := range p.Status.PodIPs {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			place.Addresses = append(place.Addresses, a)
		}
	}
	text := place.Name
	if p.Spec.NodeName != "" {
		text += " on " + p.Spec.NodeName
	}
	if len(containers) > 0 {
		text += ", " + strings.Join(pod.Containers, " and ")
	}
	if !pod.Ready {
		text += " (not Ready)"
	}
	return find.Found{Place: place, Text: text}, nil
}

// noPods says why a selector finds nothing: no such namespace, or labels and fields that nothing has.
func (c *client) noPods(ctx context.Context, q cluster.Pods) (string, error) {
	if hint := c.noNamespace(ctx, q.Namespace); hint != "" {
		return hint, nil
	}
	all, err := c.pods(ctx, q.Namespace, nil, nil)
	if err != nil {
		return "", fmt.Errorf("listing pods of namespace %s: %w", q.Namespace, err)
	}
	if len(all) == 0 {
		return fmt.Sprintf("namespace %s has no pods", q.Namespace), nil
	}
	keys := map[string]map[string]bool{}
	for _, p := range all {
		for k, v := range p.Labels {
			if keys[k] == nil {
				keys[k] = map[string]bool{}
			}
			keys[k][v] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(q.Labels)) {
		values := slices.Sorted(maps.Keys(keys[k]))
		switch v := q.Labels[k]; {
		case len(values) == 0:
			text := fmt.Sprintf("no pod of namespace %s has a label %q", q.Namespace, k)
			if near := faults.Nearest(k, slices.Sorted(maps.Keys(keys))); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			}
			return text, nil
		case !keys[k][v]:
			text := fmt.Sprintf("no pod of namespace %s has %s=%s", q.Namespace, k, v)
			if near := faults.Nearest(v, values); near != "" {
				return text + fmt.Sprintf("; did you mean %q?", near), nil
			}
			return text + "; there are " + few(values, 5), nil
		}
	}
	if len(q.Labels) > 1 && len(q.Fields) == 0 {
		return fmt.Sprintf("each of the labels is on some pod of namespace %s, all of them on none", q.Namespace), nil
	}
	return fmt.Sprintf("of %d pods in namespace %s, none has all of the labels and fields", len(all), q.Namespace), nil
}

// noNamespace returns a hint when a namespace does not exist, and nothing when it does or that cannot be seen.
func (c *client) noNamespace(ctx context.Context, name string) string {
	_, err := c.Resource(namespacesAt).Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return ""
	}
	text := fmt.Sprintf("there is no namespace %q", name)
	if list, err := c.Resource(namespacesAt).List(ctx, metav1.ListOptions{}); err == nil {
		var names []string
		for _, n := range list.Items {
			names = append(names, n.GetName())
		}
		if near := faults.Nearest(name, names); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
	}
	return text
}

// findMachines finds PhysicalMachine objects, or the one machine of an address.
func (c *client) findMachines(ctx context.Context, q cluster.Machines) (find.Result, error) {
	if q.Namespace == "" {
		return find.Result{}, errors.New("machines are selected within one namespace: write namespace = \"…\"")
	}
	if err := c.unprotected(ctx, q.Namespace); err != nil {
		return find.Result{}, err
	}
	if q.Address != "" {
		m := &faults.PhysicalMachine{Namespace: q.Namespace, Address: q.Address, Device: q.Device}
		return find.Result{Found: []find.Found{{Text: "chaosd at " + q.Address,
			Place: faults.Place{Name: q.Address, Cluster: &faults.Cluster{Access: c.access, Machine: m}}}}}, nil
	}
	at := c.Resource(resource(v1alpha1.KindPhysicalMachine)).Namespace(q.Namespace)
	o := metav1.ListOptions{LabelSelector: labels.Set(q.Labels).String()}
	if q.Name != "" {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", q.Name).String()
	}
	var list *unstructured.UnstructuredList
	err := c.steadily(ctx, func(ctx context.Context) (err error) {
		list, err = at.List(ctx, o)
		return err
	})
	if err != nil {
		return find.Result{}, fmt.Errorf("listing physical machines of namespace %s: %w", q.Namespace, notServed(err, v1alpha1.KindPhysicalMachine))
	}
	var r find.Result
	for _, o := range list.Items {
		if o.GetDeletionTimestamp() != nil {
			continue
		}
		address, _, _ := unstructured.NestedString(o.Object, "spec", "address")
		m := &faults.PhysicalMachine{Namespace: q.Namespace, Name: o.GetName(), Address: address, Device: q.Device}
		r.Found = append(r.Found, find.Found{Text: fmt.Sprintf("machine %s/%s at %s", q.Namespace, o.GetName(), address),
			Place: faults.Place{Name: q.Namespace + "/" + o.GetName(), Cluster: &faults.Cluster{Access: c.access, Machine: m, Labels: o.GetLabels()}}})
	}
	slices.SortFunc(r.Found, func(a, b find.Found) int { return strings.Compare(a.Place.Name, b.Place.Name) })
	if len(r.Found) == 0 {
		r.Hint = c.noMachines(ctx, q)
	}
	return r, nil
}

func (c *client) noMachines(ctx context.Context, q cluster.Machines) string {
	if hint := c.noNamespace(ctx, q.Namespace); hint != "" {
		return hint
	}
	all, err := c.Resource(resource(v1alpha1.KindPhysicalMachine)).Namespace(q.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(all.Items) == 0 {
		return fmt.Sprintf("namespace %s has no PhysicalMachine objects; chaosctl makes one of a machine that runs chaosd", q.Namespace)
	}
	var names []string
	for _, o := range all.Items {
		names = append(names, o.GetName())
	}
	slices.Sort(names)
	if near := faults.Nearest(q.Name, names); q.Name != "" && near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("namespace %s has %s", q.Namespace, few(names, 5))
}

// findInstance returns the virtual machine as a place. Nobody is asked: only Chaos Mesh has the credentials of its cloud.
func (c *client) findInstance(ctx context.Context, i faults.Instance) (find.Result, error) {
	if err := c.unprotected(ctx, i.Namespace); err != nil {
		return find.Result{}, err
	}
	var name, text string
	switch {
	case i.AWS != nil:
		name, text = i.AWS.Instance, fmt.Sprintf("EC2 instance %s in %s", i.AWS.Instance, i.AWS.Region)
	case i.GCP != nil:
		name, text = i.GCP.Instance, fmt.Sprintf("Compute Engine instance %s in %s, project %s", i.GCP.Instance, i.GCP.Zone, i.GCP.Project)
	case i.Azure != nil:
		name, text = i.Azure.VM, fmt.Sprintf("Azure machine %s in resource group %s", i.Azure.VM, i.Azure.ResourceGroup)
	default:
		return find.Result{}, errors.New("an instance is of aws, gcp or azure, and none of them is given")
	}
	return find.Result{Found: []find.Found{{Text: text, Place: faults.Place{Name: name, Cluster: &faults.Cluster{Access: c.access, Instance: &i}}}}}, nil
}

// itself returns the cluster as a place.
func (c *client) itself() find.Result {
	name := c.access.Context
	if name == "" {
		name = "cluster"
	}
	return find.Result{Found: []find.Found{{Text: "the cluster at " + c.config.Host,
		Place: faults.Place{Name: name, Cluster: &faults.Cluster{Access: c.access}}}}}
}

func (c *client) pods(ctx context.Context, namespace string, l labels.Set, f fields.Set) ([]corev1.Pod, error) {
	return c.podsWhere(ctx, namespace, metav1.ListOptions{LabelSelector: l.String(), FieldSelector: f.String()})
}

func (c *client) podsWhere(ctx context.Context, namespace string, o metav1.ListOptions) ([]corev1.Pod, error) {
	var list *unstructured.UnstructuredList
	err := c.steadily(ctx, func(ctx context.Context) (err error) {
		list, err = c.Resource(podsAt).Namespace(namespace).List(ctx, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]corev1.Pod, 0, len(list.Items))
	for _, u := range list.Items {
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &p); err != nil {
			return nil, fmt.Errorf("reading %s: %w", titleOf(&u), err)
		}
		out = append(out, p)
	}
	return out, nil
}

func (c *client) pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	u, err := c.Resource(podsAt).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return podOf(sight{object: u})
}

func readyPod(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// phaseOf says in what state a pod is, as kubectl shows it.
func phaseOf(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	for _, s := range p.Status.ContainerStatuses {
		if s.State.Waiting != nil && s.State.Waiting.Reason != "" {
			return s.State.Waiting.Reason
		}
	}
	if p.Status.Phase == "" {
		return "not started"
	}
	return string(p.Status.Phase)
}

func containerNames(p *corev1.Pod) []string {
	var out []string
	for _, c := range p.Spec.Containers {
		out = append(out, c.Name)
	}
	return out
}

// containerIDs returns the ids of a pod's containers by their names, as the node told them: "containerd://3f…".
func containerIDs(p *corev1.Pod) map[string]string {
	out := map[string]string{}
	for _, s := range p.Status.ContainerStatuses {
		if s.ContainerID != "" {
			out[s.Name] = s.ContainerID
		}
	}
	return out
}

// containerOf returns the container that a record's id names ("namespace/pod/container"), or nothing when it names a pod.
func containerOf(id string) string {
	parts := strings.Split(id, "/")
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}
