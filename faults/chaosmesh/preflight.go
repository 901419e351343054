package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
)

// What findings of a preflight are about.
const (
	aboutCluster     = "cluster"
	aboutChaosMesh   = "chaos mesh"
	aboutPermissions = "permissions"
	aboutNamespace   = "namespace"
	aboutObject      = "object"
	aboutBudget      = "pod disruption budget"
	aboutReplicas    = "replicas"
	aboutOwn         = "own pods"
	aboutRadius      = "blast radius"
	aboutOperator    = "k6 operator"
	aboutRivals      = "other game days"
)

// reachLimit is how long a cluster may take to answer the first question.
const reachLimit = 20 * time.Second

// Versions of Chaos Mesh: what an object's status must tell came with the oldest, and this build's types are those of the newest.
var (
	oldestVersion = [2]int{2, 3}
	newestVersion = [2]int{2, 8}
)

// asked is one request of a preflight and the object that it becomes.
type asked struct {
	request guard.InjectRequest
	object  *object
	says    *cluster.ChaosMesh // the manifest that it is of, and nil for what lands at its place
	made    *unstructured.Unstructured
	kinds   []string // of the object and of what Chaos Mesh makes for it
	in      []string // namespaces that it touches
	unaimed bool     // its place stands for one that is not known
}

// preflight looks whether injections can be made now. Nothing is changed: objects are sent for trial only.
func (c *client) preflight(ctx context.Context, q cluster.Preflight) ([]cluster.Finding, error) {
	served, err := c.kindsServed(ctx, v1alpha1.SchemeGroupVersion)
	if err != nil && !apierrors.IsNotFound(err) {
		return []cluster.Finding{{What: aboutCluster, Blocks: true, Summary: err.Error()}}, nil
	}
	out := []cluster.Finding{c.reached(ctx)}
	var aimed []asked
	for _, r := range q.Requests {
		a, err := ask(r)
		if err != nil {
			out = append(out, cluster.Finding{What: aboutObject, Blocks: true, Faults: []string{r.Fault},
				Summary: fmt.Sprintf("%s on %s: %v", r.Fault, r.Place.Name, err)})
			continue
		}
		aimed = append(aimed, a)
	}
	all := slices.Clone(aimed)
	for _, r := range q.Unaimed {
		if a, err := ask(r); err == nil { // what is wrong with it is said of its target
			a.unaimed = true
			all = append(all, a)
		}
	}
	if q.Load != nil {
		f, err := c.loadFindings(ctx, *q.Load)
		if err != nil {
			return append(out, cluster.Finding{What: aboutPermissions, Blocks: true, Summary: err.Error()}), nil
		}
		out = append(out, f...)
	}
	if len(all) == 0 {
		return out, nil
	}
	absent := absentKinds(all, served)
	out = append(out, absent...)
	if len(served) == 0 { // nothing is to be said of what is not there
		f, _, err := c.permissionFindings(ctx, all, plane{})
		if err != nil {
			return append(out, cluster.Finding{What: aboutPermissions, Blocks: true, Summary: err.Error()}), nil
		}
		return append(out, f...), nil
	}
	cp := c.controlPlane(ctx)
	out = append(out, planeFindings(cp)...)
	f, allowed, err := c.permissionFindings(ctx, all, cp)
	if err != nil { // whoever does not answer this answers nothing else either
		return append(out, cluster.Finding{What: aboutPermissions, Blocks: true, Summary: err.Error()}), nil
	}
	out = append(out, f...)
	out = append(out, c.namespaceFindings(ctx, all, cp)...)
	if len(absent) == 0 && allowed {
		out = append(out, c.trials(ctx, aimed)...)
	}
	out = append(out, c.daemonFindings(ctx, aimed)...)
	out = append(out, c.radius(ctx, aimed)...)
	out = append(out, c.rivalFindings(ctx, aimed)...)
	return out, nil
}

// ask turns a request into the object that it becomes.
func ask(r guard.InjectRequest) (asked, error) {
	a := asked{request: r}
	kind, known := kindNamed(r.Kind)
	if !known {
		return a, fmt.Errorf("there is no %s in a cluster: %s", r.Kind, noKind(r.Kind, ""))
	}
	config := kind.New()
	if err := readConfig(r.Config, config); err != nil {
		return a, fmt.Errorf("reading the parameters: %w", err)
	}
	if s, is := config.(*settings); is {
		a.says, _ = s.Config.(*cluster.ChaosMesh)
	}
	var err error
	if a.object, err = planFor(r.Kind, config, r.Place, r.Deadline+Margin); err != nil {
		return a, err
	}
	if a.made, err = a.object.unstructured(); err != nil {
		return a, err
	}
	a.kinds = append([]string{a.object.kind}, childrenOf(a.made)...)
	a.in = namespacesOf(a.object, r.Place)
	return a, nil
}

// namespacesOf returns the namespaces that an object is in, selects from, or that its place is in, in order.
func namespacesOf(o *object, p faults.Place) []string {
	set := map[string]bool{}
	if ns := o.namespace(); ns != "" {
		set[ns] = true
	}
	if p.Cluster != nil && p.Cluster.Pod != nil {
		set[p.Cluster.Pod.Namespace] = true
	}
	if u, err := o.unstructured(); err == nil {
		selected(u.Object["spec"], set)
	}
	return slices.Sorted(maps.Keys(set))
}

// selected collects the namespaces that selectors anywhere in a spec name.
func selected(node any, set map[string]bool) {
	switch n := node.(type) {
	case []any:
		for _, m := range n {
			selected(m, set)
		}
	case map[string]any:
		for key, m := range n {
			selector, is := m.(map[string]any)
			if key != "selector" || !is {
				selected(m, set)
				continue
			}
			names, _ := selector["namespaces"].([]any)
			for _, name := range names {
				if s, is := name.(string); is {
					set[s] = true
				}
			}
			for _, what := range []string{"pods", "physicalMachines"} {
				byName, _ := selector[what].(map[string]any)
				for name := range byName {
					set[name] = true
				}
			}
		}
	}
}

// operatorAPI is where the k6 operator's TestRuns are.
var operatorAPI = schema.GroupVersion{Group: "k6.io", Version: "v1alpha1"}

// kindsServed lists the kinds of an API that the cluster serves. Its error is in plain words.
func (c *client) kindsServed(ctx context.Context, api schema.GroupVersion) (map[string]bool, error) {
	d, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return nil, fmt.Errorf("preparing a connection to %s: %w", c.config.Host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	var list metav1.APIResourceList
	err = c.steadily(ctx, func(ctx context.Context) error {
		return d.RESTClient().Get().AbsPath("/apis/" + api.String()).Do(ctx).Into(&list)
	})
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, r := range list.APIResources {
		out[r.Kind] = true
	}
	return out, nil
}

// concerning returns the faults of what was asked about and is meant, in order.
func concerning(all []asked, meant func(asked) bool) []string {
	var out []string
	for _, a := range all {
		if !slices.Contains(out, a.request.Fault) && meant(a) {
			out = append(out, a.request.Fault)
		}
	}
	return out
}

// absentKinds says which kinds are needed that the cluster does not serve.
func absentKinds(all []asked, served map[string]bool) []cluster.Finding {
	needed := map[string][]string{}
	for _, a := range all {
		for _, k := range a.kinds {
			if !served[k] && !slices.Contains(needed[k], a.request.Fault) {
				needed[k] = append(needed[k], a.request.Fault)
			}
		}
	}
	if len(needed) == 0 {
		return nil
	}
	if len(served) == 0 {
		return []cluster.Finding{{What: aboutChaosMesh, Blocks: true, Summary: "Chaos Mesh is not installed in the cluster: it serves none of its kinds",
			Detail: "Install it as https://chaos-mesh.org/docs/production-installation-using-helm says, or choose another context."}}
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(needed)) {
		lines = append(lines, fmt.Sprintf("%s, for %s", k, strings.Join(needed[k], ", ")))
	}
	concerned := concerning(all, func(a asked) bool { return slices.ContainsFunc(a.kinds, func(k string) bool { return !served[k] }) })
	return []cluster.Finding{{What: aboutChaosMesh, Blocks: true, Faults: concerned,
		Summary: "the cluster does not serve kinds of Chaos Mesh that are needed: " + strings.Join(lines, "; "),
		Detail:  fmt.Sprintf("It serves %s. An older Chaos Mesh lacks some: raise it.", strings.Join(slices.Sorted(maps.Keys(served)), ", "))}}
}

// planeFindings says whether the controllers run, and whether their version is known.
func planeFindings(p plane) []cluster.Finding {
	f := cluster.Finding{What: aboutChaosMesh, Summary: p.text(), Fine: p.seen && !p.dead()}
	if p.dead() {
		f.Blocks = true
		f.Detail = "Nothing would be injected, and what stands could not be lifted. `kubectl -n " + p.namespace + " get pods` shows why."
	}
	out := []cluster.Finding{f}
	if !p.seen {
		return out
	}
	v := cluster.Finding{What: aboutChaosMesh, Summary: "the version of Chaos Mesh is " + p.version}
	major, minor, known := parseVersion(p.version)
	here := [2]int{major, minor}
	switch {
	case !known:
		v.Summary = fmt.Sprintf("the version of Chaos Mesh is not to be told (%q)", p.version)
		v.Detail = "Each object is tried out against its schemas all the same."
	case slices.Compare(here[:], oldestVersion[:]) < 0:
		v.Blocks = true
		v.Summary += fmt.Sprintf(", older than %d.%d, which was the first to say of each target what became of it", oldestVersion[0], oldestVersion[1])
		v.Detail = "No effect could be proven. Raise it."
	case slices.Compare(here[:], newestVersion[:]) > 0:
		v.Summary += fmt.Sprintf(", newer than %d.%d, the newest that this gameday was tried with", newestVersion[0], newestVersion[1])
	default:
		v.Fine = true
	}
	return append(out, v)
}

// parseVersion reads "2.8.4", also with something behind it.
func parseVersion(text string) (major, minor int, ok bool) {
	first, rest, _ := strings.Cut(text, ".")
	second, _, _ := strings.Cut(rest, ".")
	second, _, _ = strings.Cut(second, "-")
	major, err := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	return major, minor, errors.Join(err, err2) == nil
}

// permissionFindings asks for every permission that is used. It reports whether all that is needed is granted.
func (c *client) permissionFindings(ctx context.Context, all []asked, p plane) ([]cluster.Finding, bool, error) {
	kinds, in := map[string]bool{}, map[string]bool{}
	for _, a := range all {
		for _, k := range a.kinds {
			kinds[k] = true
		}
		for _, ns := range a.in {
			in[ns] = true
		}
	}
	own := "chaos-mesh"
	if p.namespace != "" {
		own = p.namespace
	}
	return c.granted(ctx, permissions(slices.Sorted(maps.Keys(kinds)), slices.Sorted(maps.Keys(in)), own), func(list []Permission) []string {
		return concerning(all, func(a asked) bool {
			return slices.ContainsFunc(permissions(a.kinds, a.in, own), func(p Permission) bool { return slices.ContainsFunc(list, p.same) })
		})
	})
}

// granted asks for permissions, and says which are not there, what role would give them, and by wanting which faults want them.
func (c *client) granted(ctx context.Context, want []Permission, wanting func([]Permission) []string) ([]cluster.Finding, bool, error) {
	denied, err := c.may(ctx, want)
	if err != nil {
		return nil, false, err
	}
	var out []cluster.Finding
	by := map[Use][]Permission{}
	for _, p := range denied {
		by[p.Use] = append(by[p.Use], p)
	}
	for _, u := range []Use{Needed, Loads} {
		if list := by[u]; len(list) > 0 {
			out = append(out, cluster.Finding{What: aboutPermissions, Blocks: true, Faults: wanting(list), Summary: "not allowed: " + strings.ReplaceAll(denials(list), "\n", "; "),
				Detail: "The least that is missing, for kubectl apply, to be bound to who runs gameday:\n" + roles(list)})
		}
	}
	if list := by[Better]; len(list) > 0 {
		out = append(out, cluster.Finding{What: aboutPermissions, Faults: wanting(list), Summary: "not allowed, and done without: " + strings.ReplaceAll(denials(list), "\n", "; "),
			Detail: "With these, more can be seen beforehand:\n" + roles(list)})
	}
	if list := by[Forced]; len(list) > 0 {
		// Who runs game days needs it as little as the roles in deploy/kubernetes have it.
		out = append(out, cluster.Finding{What: aboutPermissions, Fine: true, Faults: wanting(list), Summary: "`gameday revert --kubernetes --force` could not take finalizers off: " +
			strings.ReplaceAll(denials(list), "\n", "; ")})
	}
	allowed := len(by[Needed])+len(by[Loads]) == 0
	if allowed {
		out = append(out, cluster.Finding{What: aboutPermissions, Fine: true, Summary: fmt.Sprintf("all that is needed is allowed (%d questions)", len(want))})
	}
	return out, allowed, nil
}

// trials sends each object for trial: the server checks it against its schemas, strictly, and asks Chaos Mesh's own webhooks, and keeps
// nothing. One for each fault is enough: its other places differ in names alone.
func (c *client) trials(ctx context.Context, all []asked) []cluster.Finding {
	var out []cluster.Finding
	done := map[string]bool{}
	for _, a := range all {
		if done[a.request.Fault] {
			continue
		}
		done[a.request.Fault] = true
		err := c.trial(ctx, a)
		if err == nil || apierrors.IsAlreadyExists(err) {
			continue
		}
		f := cluster.Finding{What: aboutObject, Blocks: true, Faults: []string{a.request.Fault}, Summary: fmt.Sprintf("the cluster refuses the %s of fault %s: %s",
			a.object.kind, a.request.Fault, oneLine(err.Error()))}
		if strings.Contains(err.Error(), "unknown field") {
			f.Detail = "Its Chaos Mesh does not know that field yet: it is older than this gameday's. Raise it, or leave the setting out."
		}
		out = append(out, f)
		if passing(err) {
			break // the others would get the same answer, after as long a wait
		}
	}
	return out
}

func (c *client) trial(ctx context.Context, a asked) error {
	u, r := a.made.DeepCopy(), a.request
	owner := faults.Owner{Run: r.Run, Injection: r.ID, Fault: r.Fault, Scenario: r.Scenario, Deadline: r.Deadline}
	u.SetName(name(owner, a.object.hint))
	label(u, owner, me(), time.Now().Add(r.Deadline+Margin))
	return c.steadily(ctx, func(ctx context.Context) error {
		_, err := c.Resource(resource(a.object.kind)).Namespace(a.object.namespace()).Create(ctx, u,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		return err
	})
}

// namespaceFindings says which namespaces are protected, do not exist, did not opt in, or are out of Chaos Mesh's reach.
func (c *client) namespaceFindings(ctx context.Context, all []asked, p plane) []cluster.Finding {
	set := map[string]bool{}
	for _, a := range all {
		for _, ns := range a.in {
			set[ns] = true
		}
	}
	var out []cluster.Finding
	for _, ns := range slices.Sorted(maps.Keys(set)) {
		for _, f := range c.namespaceFinding(ctx, ns, p) {
			f.Faults = concerning(all, func(a asked) bool { return slices.Contains(a.in, ns) })
			out = append(out, f)
		}
	}
	return out
}

// namespaceFinding is what namespaceFindings has of one: nothing, or one finding.
func (c *client) namespaceFinding(ctx context.Context, ns string, p plane) []cluster.Finding {
	if err := c.unprotected(ctx, ns); err != nil {
		return []cluster.Finding{{What: aboutNamespace, Blocks: true, Summary: err.Error()}}
	}
	if p.only != "" && p.only != ns {
		return []cluster.Finding{{What: aboutNamespace, Blocks: true,
			Summary: fmt.Sprintf("Chaos Mesh was installed for namespace %s alone, and does nothing in %s", p.only, ns)}}
	}
	u, err := c.Resource(namespacesAt).Get(ctx, ns, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return []cluster.Finding{{What: aboutNamespace, Blocks: true, Summary: c.noNamespace(ctx, ns)}}
	case apierrors.IsForbidden(err): // said with the permissions
		return nil
	case err != nil && (p.filter || !p.seen):
		return []cluster.Finding{{What: aboutNamespace, Summary: fmt.Sprintf("whether namespace %s opted in to Chaos Mesh cannot be seen: %s", ns,
			oneLine(c.plain(err).Error()))}}
	case err != nil:
		return nil
	}
	return optIn(u, p)
}

// Opting in to Chaos Mesh, where it asks for that.
const (
	optInAnnotation = "chaos-mesh.org/inject"
	optInValue      = "enabled"
)

// optIn says whether Chaos Mesh acts in a namespace.
func optIn(ns *unstructured.Unstructured, p plane) []cluster.Finding {
	if ns.GetAnnotations()[optInAnnotation] == optInValue || p.seen && !p.filter {
		return nil
	}
	f := cluster.Finding{What: aboutNamespace, Blocks: p.seen, Detail: fmt.Sprintf("kubectl annotate namespace %s %s=%s", ns.GetName(), optInAnnotation, optInValue)}
	if p.seen {
		f.Summary = fmt.Sprintf("namespace %s has not opted in, and this Chaos Mesh acts only where one has (ENABLE_FILTER_NAMESPACE)", ns.GetName())
	} else {
		f.Summary = fmt.Sprintf("namespace %s has no annotation %s=%s; whether this Chaos Mesh asks for it cannot be seen", ns.GetName(), optInAnnotation, optInValue)
	}
	return []cluster.Finding{f}
}

// daemonFindings says which nodes have no chaos-daemon that faults need there.
func (c *client) daemonFindings(ctx context.Context, all []asked) []cluster.Finding {
	nodes := map[string][]string{}
	for _, a := range all {
		pod := a.request.Place.Cluster.Pod
		if pod == nil || !needsDaemon(a.made) || pod.Node == "" || slices.Contains(nodes[pod.Node], a.request.Fault) {
			continue
		}
		nodes[pod.Node] = append(nodes[pod.Node], a.request.Fault)
	}
	var out []cluster.Finding
	for _, n := range slices.Sorted(maps.Keys(nodes)) {
		if err := c.daemonOn(ctx, n); err != nil {
			out = append(out, cluster.Finding{What: aboutChaosMesh, Blocks: true, Faults: nodes[n], Summary: err.Error(),
				Detail: fmt.Sprintf("Needed for %s: it would be selected and never injected.", strings.Join(nodes[n], ", "))})
		}
	}
	return out
}

// loadFindings says whether traffic may be sent from the cluster.
func (c *client) loadFindings(ctx context.Context, l cluster.Load) ([]cluster.Finding, error) {
	needed := LoadPermissions(l.Namespace, l.Operator)
	if l.Logs {
		needed = append(needed, LogsPermission(l.Namespace))
	}
	out, _, err := c.granted(ctx, needed, func([]Permission) []string { return nil })
	if err != nil {
		return nil, err
	}
	if hint := c.noNamespace(ctx, l.Namespace); hint != "" {
		out = append(out, cluster.Finding{What: aboutNamespace, Blocks: true, Summary: hint})
	}
	if !l.Operator {
		return out, nil
	}
	served, err := c.kindsServed(ctx, operatorAPI)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if !served["TestRun"] {
		out = append(out, cluster.Finding{What: aboutOperator, Blocks: true, Summary: "the k6 operator is not installed in the cluster: it has no TestRuns",
			Detail: "Install it as https://grafana.com/docs/k6/latest/set-up/set-up-distributed-k6/ says, or choose run_on \"jobs\"."})
	} else if c.lacksOption(ctx) {
		out = append(out, cluster.Finding{What: aboutOperator, Summary: "the k6 operator cannot leave its initializer out, as one of 0.0.19 or older",
			Detail: "Before the runners it starts a pod of the image ghcr.io/grafana/k6-operator:latest-runner, or of initializer_image, which the cluster must be able to pull."})
	}
	return out, nil
}
