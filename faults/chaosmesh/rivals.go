package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// onPods are the kinds of Chaos Mesh that do something to pods.
var onPods = []string{v1alpha1.KindBlockChaos, v1alpha1.KindDNSChaos, v1alpha1.KindHTTPChaos, v1alpha1.KindIOChaos, v1alpha1.KindJVMChaos,
	v1alpha1.KindKernelChaos, v1alpha1.KindNetworkChaos, v1alpha1.KindPodChaos, v1alpha1.KindStressChaos, v1alpha1.KindTimeChaos}

// rival is an object of another run on pods that somebody means to hit.
type rival struct {
	object *unstructured.Unstructured
	pods   []string // "shop/cart-1"
}

// marked is what has gameday's label in a namespace, of the kinds that do something to pods.
type marked struct {
	byKind map[string][]unstructured.Unstructured
	unseen []string // kinds that nothing allows us to list
}

// marks are shared by all injections of this process.
var marks looks[marked]

// fresh is how old what is seen of other game days may be before an injection; what it may have missed is seen after it.
const fresh = time.Second

// rivals returns the objects of other runs than one that stand on some of the pods, and the kinds that nothing allows us to list, as things
// were after an instant. It looks where gameday puts its objects: into the namespaces of the pods. Those whose fault Chaos Mesh has lifted
// are none, and kills that a dead game day left behind are none either.
func (c *client) rivals(ctx context.Context, run string, pods []string, after time.Time) (out []rival, unseen []string, err error) {
	done := map[string]bool{}
	for _, p := range pods {
		ns, _, _ := strings.Cut(p, "/")
		if done[ns] {
			continue
		}
		done[ns] = true
		of := strings.Join([]string{c.config.Host, c.access.Kubeconfig, c.access.Context, ns}, "\x00")
		seen, failed := marks.see(ctx, of, after, func() (marked, error) {
			look, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			return c.marked(look, ns)
		})
		err = errors.Join(err, failed)
		for _, kind := range onPods {
			out = append(out, rivalsAmong(seen.byKind[kind], kind, run, pods)...)
		}
		for _, kind := range seen.unseen {
			if !slices.Contains(unseen, kind) {
				unseen = append(unseen, kind)
			}
		}
	}
	slices.SortFunc(out, func(a, b rival) int { return strings.Compare(titleOf(a.object), titleOf(b.object)) })
	return out, unseen, err
}

// marked lists what has gameday's label in a namespace.
func (c *client) marked(ctx context.Context, namespace string) (marked, error) {
	m := marked{byKind: map[string][]unstructured.Unstructured{}}
	var errs error
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, kind := range onPods {
		all.Go(func() {
			list, err := c.listOurs(ctx, kindAt{kind: kind, at: resource(kind)}, namespace)
			mu.Lock()
			defer mu.Unlock()
			switch m.byKind[kind] = list; {
			case err == nil || apierrors.IsNotFound(err):
			case apierrors.IsForbidden(err):
				m.unseen = append(m.unseen, kind)
			default:
				errs = errors.Join(errs, fmt.Errorf("listing %s in namespace %s: %w", resource(kind).Resource, namespace, err))
			}
		})
	}
	all.Wait()
	slices.Sort(m.unseen)
	return m, errs
}

// rivalsAmong picks out of objects of ours those of other runs than one that stand on some of the pods.
func rivalsAmong(list []unstructured.Unstructured, kind, run string, pods []string) []rival {
	var out []rival
	for i := range list {
		o := list[i].DeepCopy() // others look at it too
		of := o.GetAnnotations()[cluster.AnnotationRun]
		if o.GetKind() == "" {
			o.SetKind(kind)
		}
		st, err := stateOf(o)
		if of == "" || of == run || err == nil && (st.recovered() || st.deleting && !st.touched() || spent(o, st)) {
			continue
		}
		hit := podsOf(o, st)
		if common := slices.DeleteFunc(slices.Clone(pods), func(p string) bool { return !hit[p] }); len(common) > 0 {
			out = append(out, rival{o, common})
		}
	}
	return out
}

// spent reports whether an object is that of a kill that was carried out, and should have been gone since: whoever made it died before
// it could be removed, and nothing of it stands.
func spent(o *unstructured.Unstructured, st state) bool {
	action, _, _ := unstructured.NestedString(o.Object, "spec", "action")
	kill := o.GetKind() == v1alpha1.KindPodChaos && (action == string(v1alpha1.PodKillAction) || action == string(v1alpha1.ContainerKillAction))
	return kill && st.injected() && overdue(o)
}

// overdue reports whether an object should have been gone by now, as its annotation has it.
func overdue(o *unstructured.Unstructured) bool {
	until, err := time.Parse(time.RFC3339, o.GetAnnotations()[cluster.AnnotationUntil])
	return err == nil && time.Now().After(until)
}

// podsOf are the pods that an object names, on either side, and those that Chaos Mesh selected for it: "shop/cart-1".
func podsOf(o *unstructured.Unstructured, st state) map[string]bool {
	out := map[string]bool{}
	for _, path := range [][]string{{"spec", "selector", "pods"}, {"spec", "target", "selector", "pods"}} {
		byNamespace, _, _ := unstructured.NestedMap(o.Object, path...)
		for ns, names := range byNamespace {
			list, _ := names.([]any)
			for _, name := range list {
				if s, is := name.(string); is {
					out[ns+"/"+s] = true
				}
			}
		}
	}
	for _, r := range st.status.Experiment.Records {
		if parts := strings.Split(r.Id, "/"); len(parts) >= 2 {
			out[parts[0]+"/"+parts[1]] = true
		}
	}
	return out
}

// meant are the pods that a fault at a place is to hit, on either side.
func meant(p faults.Place) []string {
	var out []string
	add := func(c *faults.Cluster) {
		if c != nil && c.Pod != nil && !slices.Contains(out, c.Pod.Namespace+"/"+c.Pod.Name) {
			out = append(out, c.Pod.Namespace+"/"+c.Pod.Name)
		}
	}
	add(p.Cluster)
	for _, peer := range p.Peers {
		add(peer.Cluster)
	}
	return out
}

// aims are the pods that an injection is to hit, or may by its manifest as things are. What a manifest hits that cannot be told, the records
// of its object will.
func (c *client) aims(ctx context.Context, p faults.Place, says *cluster.ChaosMesh) []string {
	out := meant(p)
	if says == nil {
		return out
	}
	r, err := c.lands(ctx, says)
	if err != nil {
		return out
	}
	for _, found := range r.Finds() {
		out = append(out, meant(faults.Place{Cluster: found.Cluster})...)
	}
	return out
}

// text says whose a rival is, and what it holds.
func (r rival) text() string {
	a := r.object.GetAnnotations()
	until := "until " + a[cluster.AnnotationUntil] + " at the latest"
	if overdue(r.object) {
		until = "which should have been gone by " + a[cluster.AnnotationUntil]
	}
	return fmt.Sprintf("%s of run %s (fault %s, by %s, %s) stands on %s", titleOf(r.object), a[cluster.AnnotationRun],
		a[cluster.AnnotationFault], a[cluster.AnnotationOwner], until, few(r.pods, 3))
}

// rivalTexts says it of several.
func rivalTexts(list []rival) string {
	var lines []string
	for _, r := range list {
		lines = append(lines, r.text())
	}
	return few(lines, 3)
}

// alone refuses pods on which a fault of another run stands: two faults of two game days there tell nothing about either, and each
// would lift what the other's effect rests on.
func (i *injection) alone(ctx context.Context, run string) error {
	pods := i.c.aims(ctx, i.place, i.says)
	if len(pods) == 0 {
		return nil
	}
	list, _, err := i.c.rivals(ctx, run, pods, time.Now().Add(-fresh))
	if err != nil {
		return fmt.Errorf("looking whether another game day's fault stands there: %w", err)
	}
	if len(list) == 0 {
		return nil
	}
	return fmt.Errorf("%w: another game day is there: %s", faults.ErrForeign, rivalTexts(list))
}

// first is alone for an object that was just made, which another run may have done at the same moment. Whoever sees an object that is not
// younger than its own gives way, so that never both stand; of two that are made within a second neither may.
func (i *injection) first(ctx context.Context, run string, made *unstructured.Unstructured) error {
	now := time.Now()
	pods := i.c.aims(ctx, i.place, i.says)
	if len(pods) == 0 {
		return nil
	}
	list, _, err := i.c.rivals(ctx, run, pods, now)
	if err != nil { // before, there was none
		i.unseen = fmt.Sprintf("whether one came there at the same moment could not be seen: %s", oneLine(err.Error()))
		return nil
	}
	born := made.GetCreationTimestamp()
	list = slices.DeleteFunc(list, func(r rival) bool { return r.object.GetCreationTimestamp().After(born.Time) })
	if len(list) == 0 {
		return nil
	}
	return fmt.Errorf("%w: another game day came there at the same moment, so %s is taken back: %s", faults.ErrForeign, titleOf(made), rivalTexts(list))
}

// rivalFindings says on which of the pods that are to be hit faults of other game days stand.
func (c *client) rivalFindings(ctx context.Context, all []asked) []cluster.Finding {
	var pods []string
	run := ""
	for _, a := range all {
		run = a.request.Run
		for _, p := range c.aims(ctx, a.request.Place, a.says) {
			if !slices.Contains(pods, p) {
				pods = append(pods, p)
			}
		}
	}
	if len(pods) == 0 {
		return nil
	}
	list, unseen, err := c.rivals(ctx, run, pods, time.Now())
	concerned := concerning(all, func(a asked) bool { return a.says != nil || len(meant(a.request.Place)) > 0 })
	var out []cluster.Finding
	if err != nil {
		out = append(out, cluster.Finding{What: aboutRivals, Faults: concerned, Summary: "whether faults of other game days stand on the pods cannot be seen: " + oneLine(err.Error())})
	}
	if len(unseen) > 0 {
		out = append(out, cluster.Finding{What: aboutRivals, Faults: concerned, Summary: "whether other game days have " + strings.Join(unseen, ", ") + " on the pods cannot be seen: nothing allows to list them"})
	}
	if len(list) > 0 {
		var runs []string
		for _, r := range list {
			if of := r.object.GetAnnotations()[cluster.AnnotationRun]; !slices.Contains(runs, of) {
				runs = append(runs, of)
			}
		}
		out = append(out, cluster.Finding{What: aboutRivals, Blocks: true, Faults: concerned, Summary: "another game day has faults on pods that this one is to hit: " + rivalTexts(list),
			Detail: "What they do to the pods would be counted as this one's, and the other way round. Wait until it is over, or choose other pods. If nobody runs it any more: " +
				c.lifting(runs)})
	}
	return out
}

// lifting are the commands that lift what runs left.
func (c *client) lifting(runs []string) string {
	var out []string
	for _, run := range runs {
		out = append(out, "`"+c.reverting(run)+"`")
	}
	return strings.Join(out, ", ") + "."
}
