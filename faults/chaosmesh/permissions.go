package chaosmesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// Permission is one thing that gameday must or may be allowed to do in a cluster.
type Permission struct {
	Group     string // of the API; empty for the core one
	Resource  string // "networkchaos", "pods/log"
	Verb      string
	Namespace string // empty for all namespaces, and for what is in none
	Use       Use
	// Why says what it is for, as the rest of "gameday needs it to …".
	Why string
}

// same reports whether both allow the same.
func (p Permission) same(o Permission) bool {
	return p.Group == o.Group && p.Resource == o.Resource && p.Verb == o.Verb && p.Namespace == o.Namespace
}

// Use says what becomes of a game day without a permission.
type Use string

// The uses of a permission.
const (
	Needed Use = "needed"  // nothing can be injected, or lifted
	Better Use = "better"  // something cannot be looked at beforehand, or told afterwards
	Forced Use = "forced"  // `gameday revert --kubernetes --force` alone uses it
	Loads  Use = "traffic" // sending traffic from the cluster needs it
)

// grants is the one table of what gameday does in a cluster. Resources "*" are those of the kinds that a scenario injects.
var grants = []struct {
	group, resource string
	verbs           string
	wide            bool // over all namespaces
	plane           bool // in the namespace of Chaos Mesh's control plane
	use             Use
	why             string
}{
	{v1alpha1.SchemeGroupVersion.Group, "*", "create get watch delete", false, false, Needed, "inject a fault, see it stand, and lift it"},
	{v1alpha1.SchemeGroupVersion.Group, "*", "list", false, false, Needed, "find what a dead game day left, and what a Schedule or Workflow made"},
	{v1alpha1.SchemeGroupVersion.Group, "*", "patch", false, false, Forced, "take the finalizers off what hangs"},
	{v1alpha1.SchemeGroupVersion.Group, "schedules", "patch", false, false, Needed, "pause a Schedule before what it made is removed"},
	{v1alpha1.SchemeGroupVersion.Group, "workflows", "patch", false, false, Needed, "abort a Workflow before what it made is removed"},
	{v1alpha1.SchemeGroupVersion.Group, "podnetworkchaos", "get update", false, false, Forced, "take a fault that hangs out of what is planned for its pods"},
	{v1alpha1.SchemeGroupVersion.Group, "podiochaos", "get update", false, false, Forced, "take a fault that hangs out of what is planned for its pods"},
	{v1alpha1.SchemeGroupVersion.Group, "podhttpchaos", "get update", false, false, Forced, "take a fault that hangs out of what is planned for its pods"},
	{v1alpha1.SchemeGroupVersion.Group, "physicalmachines", "list", false, false, Better, "find machines that run chaosd"},
	{"", "pods", "get list watch", false, false, Needed, "find targets, and see them go and come back"},
	{"", "events", "list", false, false, Better, "tell what Chaos Mesh said of a fault"},
	{"policy", "poddisruptionbudgets", "list", false, false, Better, "weigh faults against what the pods' owners allow"},
	{"", "namespaces", "get list", true, false, Better, "see whether a namespace exists and opted in, and which cluster it is"},
	{"apps", "deployments", "list", true, false, Better, "see whether Chaos Mesh runs, where, and which version"},
	{"discovery.k8s.io", "endpointslices", "list", false, true, Better, "see whether a chaos-daemon serves a node"},
}

// forced says which grants for pods' own objects belong to which kinds.
var forced = map[string]string{"podnetworkchaos": v1alpha1.KindNetworkChaos, "podiochaos": v1alpha1.KindIOChaos, "podhttpchaos": v1alpha1.KindHTTPChaos}

// Permissions returns what gameday uses to inject faults of some kinds of Chaos Mesh ("PodChaos") into some namespaces, in order, each
// once. Chaos Mesh's own control plane is taken to be in the namespace chaos-mesh.
func Permissions(kinds []string, namespaces []string) []Permission {
	return permissions(kinds, namespaces, "chaos-mesh")
}

func permissions(kinds, namespaces []string, plane string) []Permission {
	var out []Permission
	add := func(p Permission) { // each once, as what it is most needed for
		i := slices.IndexFunc(out, p.same)
		switch {
		case i < 0:
			out = append(out, p)
		case out[i].Use != Needed && p.Use == Needed:
			out[i] = p
		}
	}
	for _, g := range grants {
		in := namespaces
		switch {
		case g.wide:
			in = []string{""}
		case g.plane:
			in = []string{plane}
		}
		for _, ns := range in {
			for _, r := range resourcesFor(g.resource, kinds) {
				for verb := range strings.FieldsSeq(g.verbs) {
					add(Permission{Group: g.group, Resource: r, Verb: verb, Namespace: ns, Use: g.use, Why: g.why})
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Permission) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource))
	})
	return out
}

// resourcesFor returns the resources that a row of the table stands for, given the kinds that are injected.
func resourcesFor(row string, kinds []string) []string {
	var out []string
	for _, kind := range kinds {
		at := resource(kind).Resource
		switch {
		case row == "*":
			out = append(out, at)
		case row == at || forced[row] == kind:
			return []string{row}
		case row == "physicalmachines" && kind == v1alpha1.KindPhysicalMachineChaos:
			return []string{row}
		}
	}
	if len(out) > 0 || row == "*" {
		return out
	}
	if strings.HasSuffix(row, "chaos") || row == "schedules" || row == "workflows" || row == "physicalmachines" {
		return nil
	}
	return []string{row}
}

// may asks the API server whether each permission is granted to whoever asks, and returns those that are not.
func (c *client) may(ctx context.Context, want []Permission) (denied []Permission, err error) {
	at := c.Resource(authorizationv1.SchemeGroupVersion.WithResource("selfsubjectaccessreviews"))
	for _, p := range want {
		of, sub, _ := strings.Cut(p.Resource, "/")
		review := &authorizationv1.SelfSubjectAccessReview{TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: p.Namespace, Verb: p.Verb, Group: p.Group, Resource: of, Subresource: sub}}}
		asked, err := runtime.DefaultUnstructuredConverter.ToUnstructured(review)
		if err != nil {
			return nil, fmt.Errorf("writing a question: %w", err)
		}
		var answer *unstructured.Unstructured
		err = c.steadily(ctx, func(ctx context.Context) (err error) {
			answer, err = at.Create(ctx, &unstructured.Unstructured{Object: asked}, metav1.CreateOptions{})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("asking what is allowed: %w", err)
		}
		allowed, told, err := unstructured.NestedBool(answer.Object, "status", "allowed")
		if err != nil || !told {
			return nil, fmt.Errorf("asking what is allowed: the answer does not say whether %s %s is", p.Verb, p.Resource)
		}
		if !allowed {
			denied = append(denied, p)
		}
	}
	return denied, nil
}

// roles writes the least roles that grant permissions, as YAML for kubectl apply: a Role for each namespace, and a ClusterRole for what
// is in none.
func roles(list []Permission) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		ns := list[i].Namespace
		end := i
		for end < len(list) && list[end].Namespace == ns {
			end++
		}
		if b.Len() > 0 {
			b.WriteString("---\n")
		}
		b.WriteString("apiVersion: rbac.authorization.k8s.io/v1\n")
		if ns == "" {
			b.WriteString("kind: ClusterRole\nmetadata:\n  name: gameday\n")
		} else {
			fmt.Fprintf(&b, "kind: Role\nmetadata:\n  name: gameday\n  namespace: %s\n", ns)
		}
		b.WriteString("rules:\n")
		writeRules(&b, list[i:end])
		i = end
	}
	return b.String()
}

// writeRules writes one rule for each set of verbs on an API group's resources.
func writeRules(b *strings.Builder, list []Permission) {
	type key struct{ group, verbs string }
	verbs := map[[2]string][]string{}
	for _, p := range list {
		at := [2]string{p.Group, p.Resource}
		if !slices.Contains(verbs[at], p.Verb) {
			verbs[at] = append(verbs[at], p.Verb)
		}
	}
	resources := map[key][]string{}
	var order []key
	for _, p := range list {
		v := slices.Clone(verbs[[2]string{p.Group, p.Resource}])
		slices.Sort(v)
		k := key{p.Group, strings.Join(v, ", ")}
		if resources[k] == nil {
			order = append(order, k)
		}
		if !slices.Contains(resources[k], p.Resource) {
			resources[k] = append(resources[k], p.Resource)
		}
	}
	for _, k := range order {
		fmt.Fprintf(b, "- apiGroups: [%q]\n  resources: [%s]\n  verbs: [%s]\n", k.group, strings.Join(resources[k], ", "), k.verbs)
	}
}

// denials says in one line for each resource what is not allowed: "watch and delete networkchaos in shop".
func denials(list []Permission) string {
	type key struct{ resource, namespace, why string }
	verbs := map[key][]string{}
	var order []key
	for _, p := range list {
		k := key{p.Resource, p.Namespace, p.Why}
		if verbs[k] == nil {
			order = append(order, k)
		}
		verbs[k] = append(verbs[k], p.Verb)
	}
	var lines []string
	for _, k := range order {
		line := strings.Join(verbs[k], ", ") + " " + k.resource
		if k.namespace != "" {
			line += " in " + k.namespace
		}
		lines = append(lines, line+", to "+k.why)
	}
	return strings.Join(lines, "\n")
}

// LoadPermissions returns what sending traffic from a cluster uses in a namespace, by Jobs or by TestRuns of the k6 operator.
func LoadPermissions(namespace string, operator bool) []Permission {
	rows := []struct{ group, resource, verbs string }{
		{"", "pods", "list"},
		{"", "pods/log", "get"},
		{"", "secrets", "create delete"},
	}
	if operator {
		rows = append(rows, struct{ group, resource, verbs string }{"", "configmaps", "create delete"},
			struct{ group, resource, verbs string }{"k6.io", "testruns", "create list watch delete"})
	} else {
		rows = append(rows, struct{ group, resource, verbs string }{"batch", "jobs", "create list delete"})
	}
	var out []Permission
	for _, r := range rows {
		for verb := range strings.FieldsSeq(r.verbs) {
			out = append(out, Permission{Group: r.group, Resource: r.resource, Verb: verb, Namespace: namespace, Use: Loads, Why: "send traffic from the cluster"})
		}
	}
	return out
}

// LogsPermission returns what is needed beside LoadPermissions where runners report by their pods' logs: what they are told is an
// annotation of their pods.
func LogsPermission(namespace string) Permission {
	return Permission{Resource: "pods", Verb: "patch", Namespace: namespace, Use: Loads, Why: "tell runners that reach nobody what to do"}
}
