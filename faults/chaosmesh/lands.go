package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// mostFinds is how many pods a manifest may select that are told of one by one. Of more, nobody would read what they are.
const mostFinds = 500

var nodesAt = corev1.SchemeGroupVersion.WithResource("nodes")

// Lands finds out what a fault with a manifest would hit now, by the rules by which Chaos Mesh selects.
func (s *settings) Lands(ctx context.Context, p faults.Place) (*faults.Radius, error) {
	m, is := s.Config.(*cluster.ChaosMesh)
	if !is || p.Cluster == nil {
		return nil, errors.New("it says nothing of where it lands")
	}
	c, err := connect(p.Cluster.Access)
	if err != nil {
		return nil, err
	}
	return c.lands(ctx, m)
}

// lands finds out what a manifest hits.
func (c *client) lands(ctx context.Context, of *cluster.ChaosMesh) (*faults.Radius, error) {
	m, found := decode(of.Content)
	if err := found.asError(); err != nil {
		return nil, err
	}
	r := &faults.Radius{Paths: pathsIn(m.raw["spec"])}
	many := m.kind == v1alpha1.KindSchedule || m.kind == v1alpha1.KindWorkflow
	m.each(reflect.ValueOf(m.typed), "", func(v reflect.Value, path string) {
		switch s := v.Interface().(type) {
		case v1alpha1.PodSelector:
			c.selection(ctx, m, s, path, many, r)
		case v1alpha1.NetworkChaosSpec:
			r.Networks = append(r.Networks, networksOf(&s)...)
		case v1alpha1.DNSChaosSpec, v1alpha1.HTTPChaosSpec:
			r.Networks = append(r.Networks, everywhere...)
		case v1alpha1.PhysicalMachineChaosSpec:
			r.Unknown = append(r.Unknown, "PhysicalMachineChaos hits machines outside of the cluster")
		case v1alpha1.AWSChaosSpec, v1alpha1.GCPChaosSpec, v1alpha1.AzureChaosSpec:
			r.Unknown = append(r.Unknown, fmt.Sprintf("%s hits an instance of a cloud", strings.TrimSuffix(v.Type().Name(), "Spec")))
		case v1alpha1.Task:
			r.Unknown = append(r.Unknown, "a task of the Workflow runs a container, which may do anything")
		}
	})
	for _, path := range pathsOfRemotes(m) {
		r.Unknown = append(r.Unknown, path+" leads into another cluster")
	}
	if len(r.Networks) > 0 { // both ends of what is cut, slowed or answered falsely
		for _, p := range r.Finds() {
			for _, a := range p.Addresses {
				r.Networks = append(r.Networks, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			}
		}
	}
	if len(r.Selections) == 0 && len(r.Unknown) == 0 {
		r.Unknown = append(r.Unknown, "it has no selector that is understood here")
	}
	return r, nil
}

// pathsOfRemotes returns where a manifest names another cluster.
func pathsOfRemotes(m *manifest) []string {
	var out []string
	for path := range m.at {
		if strings.HasSuffix(path, ".remoteCluster") && !strings.HasPrefix(path, "metadata.") {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// selection adds what a selector finds. Each fault that a Schedule makes picks anew, and so does each of a Workflow's: all that is found
// may be hit then, one after the other or at once.
func (c *client) selection(ctx context.Context, m *manifest, s v1alpha1.PodSelector, at string, many bool, r *faults.Radius) {
	kind := kindAtPath(m.kind, at)
	unknown := func(err error) {
		r.Unknown = append(r.Unknown, fmt.Sprintf("what %s.selector selects cannot be seen: %s", at, oneLine(err.Error())))
	}
	if nothingSelected(s.Selector) {
		unknown(errors.New("it is empty, and means everybody"))
		return
	}
	all, err := c.selectedPods(ctx, m.typed.GetNamespace(), s.Selector)
	if err == nil && len(all) > mostFinds {
		err = fmt.Errorf("it finds %d pods, more than %d", len(all), mostFinds)
	}
	if err != nil {
		unknown(err)
		return
	}
	out := faults.Selection{At: at, Kind: kind, Mode: modeWords(s.Mode, s.Value), Most: mostOf(s.Mode, s.Value, len(all)), Takes: kind == v1alpha1.KindPodChaos, Finds: []faults.Peer{}}
	if many {
		out.Mode, out.Most = "all, one after the other or at once", len(all)
	}
	if many && len(all) == 0 { // nobody may call that harmless
		r.Unknown = append(r.Unknown, fmt.Sprintf("what %s.selector selects will be known when its fault is made: it finds no pod now", at))
	}
	for _, p := range all {
		f, err := c.foundPod(&p, nil)
		if err != nil {
			unknown(err)
			return
		}
		out.Finds = append(out.Finds, f.Place.Peer())
	}
	r.Selections = append(r.Selections, out)
}

// kindAtPath returns the kind of the fault that a path in an object belongs to: that of the object, or what a Schedule or Workflow makes.
func kindAtPath(kind, at string) string {
	for part := range strings.SplitSeq(at, ".") {
		for known := range v1alpha1.AllKinds() {
			if strings.HasSuffix(known, "Chaos") && strings.EqualFold(part, known) {
				kind = known
			}
		}
	}
	return kind
}

func nothingSelected(s v1alpha1.PodSelectorSpec) bool {
	return len(s.Pods)+len(s.LabelSelectors)+len(s.FieldSelectors)+len(s.ExpressionSelectors)+len(s.AnnotationSelectors)+len(s.Nodes)+len(s.NodeSelectors) == 0
}

// selectedPods returns the pods that Chaos Mesh would select, by name. Where pods are named nothing else of the selector counts, and what
// phase they are in never does unless that is asked for.
func (c *client) selectedPods(ctx context.Context, own string, s v1alpha1.PodSelectorSpec) ([]corev1.Pod, error) {
	matches, o, err := c.matcher(ctx, s)
	if err != nil {
		return nil, err
	}
	namespaces := slices.Clone(s.Namespaces)
	if len(namespaces) == 0 {
		namespaces = []string{own}
	}
	if len(s.Pods) > 0 {
		namespaces, o = nil, metav1.ListOptions{}
		for ns := range s.Pods {
			namespaces = append(namespaces, ns)
		}
		matches = func(p *corev1.Pod) bool { return slices.Contains(s.Pods[p.Namespace], p.Name) }
	}
	slices.Sort(namespaces)
	var out []corev1.Pod
	for _, ns := range slices.Compact(namespaces) {
		all, err := c.podsWhere(ctx, ns, o)
		if err != nil {
			return nil, fmt.Errorf("listing pods of namespace %s: %w", ns, err)
		}
		for i := range all {
			if matches(&all[i]) {
				out = append(out, all[i])
			}
		}
	}
	slices.SortFunc(out, func(a, b corev1.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return out, nil
}

// matcher returns what of a selector the API server is asked, and what is looked at here.
func (c *client) matcher(ctx context.Context, s v1alpha1.PodSelectorSpec) (func(*corev1.Pod) bool, metav1.ListOptions, error) {
	var o metav1.ListOptions
	byLabel, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchLabels: s.LabelSelectors, MatchExpressions: s.ExpressionSelectors})
	if err != nil {
		return nil, o, fmt.Errorf("reading the labels: %w", err)
	}
	o.LabelSelector, o.FieldSelector = byLabel.String(), fields.SelectorFromSet(s.FieldSelectors).String()
	byAnnotation := labels.SelectorFromSet(s.AnnotationSelectors)
	inPhase, err := phases(s.PodPhaseSelectors)
	if err != nil {
		return nil, o, err
	}
	nodes, err := c.nodesOf(ctx, s)
	if err != nil {
		return nil, o, err
	}
	return func(p *corev1.Pod) bool {
		return byAnnotation.Matches(labels.Set(p.Annotations)) && inPhase(p.Status.Phase) && (nodes == nil || nodes[p.Spec.NodeName])
	}, o, nil
}

// nodesOf returns the nodes that a selector names or finds; nil where any will do.
func (c *client) nodesOf(ctx context.Context, s v1alpha1.PodSelectorSpec) (map[string]bool, error) {
	if len(s.Nodes)+len(s.NodeSelectors) == 0 {
		return nil, nil
	}
	out := map[string]bool{}
	for _, n := range s.Nodes {
		out[n] = true
	}
	if len(s.NodeSelectors) == 0 {
		return out, nil
	}
	err := c.steadily(ctx, func(ctx context.Context) error {
		list, err := c.Resource(nodesAt).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(s.NodeSelectors).String()})
		if err != nil {
			return err
		}
		for _, n := range list.Items {
			out[n.GetName()] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return out, nil
}

// phases returns whether a pod of a phase is meant by the words of a selector: "Running", or "!Pending" for all others.
func phases(words []string) (func(corev1.PodPhase) bool, error) {
	var wanted, unwanted []string
	for _, list := range words {
		for word := range strings.SplitSeq(list, ",") {
			word = strings.TrimSpace(word)
			name, not := strings.CutPrefix(word, "!")
			switch name = strings.TrimSpace(name); {
			case word == "":
			case strings.ContainsAny(name, "=<>! ()"):
				return nil, fmt.Errorf("%q is no phase of a pod", word)
			case not:
				unwanted = append(unwanted, name)
			default:
				wanted = append(wanted, name)
			}
		}
	}
	return func(p corev1.PodPhase) bool {
		return (len(wanted) == 0 || slices.Contains(wanted, string(p))) && !slices.Contains(unwanted, string(p))
	}, nil
}

// mostOf returns how many of n a mode hits at most. What cannot be read is all of them.
func mostOf(mode v1alpha1.SelectorMode, value string, n int) int {
	v, err := strconv.Atoi(value)
	switch mode {
	case v1alpha1.OneMode:
		return min(1, n)
	case v1alpha1.FixedMode:
		if err == nil {
			return min(max(v, 0), n)
		}
	case v1alpha1.FixedPercentMode, v1alpha1.RandomMaxPercentMode:
		if err == nil && v >= 0 && v <= 100 {
			return int(math.Ceil(float64(n) * float64(v) / 100))
		}
	}
	return n
}

func modeWords(mode v1alpha1.SelectorMode, value string) string {
	switch mode {
	case v1alpha1.FixedMode:
		return "fixed, " + value
	case v1alpha1.FixedPercentMode:
		return value + " %"
	case v1alpha1.RandomMaxPercentMode:
		return "up to " + value + " %"
	}
	return string(mode)
}

// everywhere is all networks.
var everywhere = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}

// networksOf returns what the other end of a NetworkChaos is, beside pods: all networks where it names none, and where it names a host,
// which Chaos Mesh looks up where nobody here can see it.
func networksOf(s *v1alpha1.NetworkChaosSpec) []netip.Prefix {
	if s.Target == nil && len(s.ExternalTargets) == 0 {
		return everywhere
	}
	out := []netip.Prefix{}
	for _, t := range s.ExternalTargets {
		if a, err := netip.ParseAddr(t); err == nil {
			out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		} else if block, err := netip.ParsePrefix(t); err == nil {
			out = append(out, block.Masked())
		} else {
			return everywhere
		}
	}
	return out
}

// pathsIn returns the absolute paths among all words in a value, and behind equals signs in them.
func pathsIn(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		for _, word := range strings.Fields(v) {
			word = word[strings.LastIndexByte(word, '=')+1:] // of "--temp-path=/scratch"
			if path.IsAbs(word) {
				out = append(out, path.Clean(word))
			}
		}
	case []any:
		for _, e := range v {
			out = append(out, pathsIn(e)...)
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, pathsIn(e)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// manifestRadius says what a manifest hits, and returns what it takes down. gameday's own pods are never targets, and a selector that
// finds nothing is a mistake, but for what makes its faults later.
func (c *client) manifestRadius(ctx context.Context, a asked) ([]cluster.Finding, []blow) {
	var out []cluster.Finding
	add := func(what string, blocks bool, format string, args ...any) {
		out = append(out, cluster.Finding{What: what, Blocks: blocks, Faults: []string{a.request.Fault}, Summary: fmt.Sprintf("fault "+a.request.Fault+": "+format, args...)})
	}
	r, err := c.lands(ctx, a.says)
	if err != nil {
		r = &faults.Radius{Unknown: []string{err.Error()}}
	}
	later := a.object.kind == v1alpha1.KindSchedule || a.object.kind == v1alpha1.KindWorkflow
	byNamespace := map[string]*blow{}
	for _, s := range r.Selections {
		add(aboutRadius, len(s.Finds) == 0 && !later, "%s", s)
		out[len(out)-1].Fine = len(s.Finds) > 0
		for _, p := range s.Finds {
			pod := p.Cluster.Pod
			if own(p.Cluster.Labels) {
				add(aboutOwn, true, "it may hit %s, which is gameday's own", p.Name)
			}
			if s.Takes && byNamespace[pod.Namespace] == nil {
				byNamespace[pod.Namespace] = &blow{fault: a.request.Fault, namespace: pod.Namespace, pods: map[string]bool{}}
			}
			if s.Takes {
				byNamespace[pod.Namespace].pods[pod.Name] = true
			}
		}
		for _, b := range byNamespace {
			if s.Takes {
				b.most += s.Most
			}
		}
	}
	for _, why := range r.Unknown {
		add(aboutRadius, false, "not all that it hits is known, and nobody weighs that: %s", why)
	}
	var struck []blow
	for _, ns := range slices.Sorted(maps.Keys(byNamespace)) {
		b := byNamespace[ns]
		b.most = min(b.most, len(b.pods))
		struck = append(struck, *b)
	}
	return out, struck
}
