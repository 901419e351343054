package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/internal/kuberig"
)

// actor does to objects on a real API server what Chaos Mesh's controllers would.
type actor struct {
	*client
	t *testing.T
}

func (a actor) patch(name string, patch any) {
	a.t.Helper()
	text, err := json.Marshal(patch)
	if err == nil {
		_, err = a.Resource(resource("NetworkChaos")).Namespace("shop").Patch(a.t.Context(), name, types.MergePatchType, text, metav1.PatchOptions{})
	}
	if err != nil {
		a.t.Error(err)
	}
}

// takes an object up: its finalizer, and a status.
func (a actor) takes(name, desired, phase string, allInjected string) {
	a.t.Helper()
	a.patch(name, tree{"metadata": tree{"finalizers": []string{recordsFinalizer}}, "status": tree{
		"conditions": []tree{{"type": "Selected", "status": "True"}, {"type": "AllInjected", "status": allInjected}},
		"experiment": tree{"desiredPhase": desired, "containerRecords": []tree{{"id": "shop/a", "selectorKey": ".", "phase": phase, "injectedCount": 1, "recoveredCount": 0}}}}})
}

// cut is an injection of a NetworkChaos by the cluster itself as its place, and a context of its owner.
func cut(t *testing.T, path, id string) (*injection, context.Context) {
	t.Helper()
	text, err := json.Marshal(partition("a"))
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{Object: text}
	i := &injection{make: r.plan, place: faults.Place{Name: "cluster", Cluster: &faults.Cluster{Access: faults.Access{Kubeconfig: path}}}}
	return i, faults.WithOwner(t.Context(), faults.Owner{Run: "r1", Injection: id, Fault: "cut", Scenario: "drill", Deadline: time.Minute})
}

// stand injects one, and has it taken up as injected.
func stand(t *testing.T, a actor, path, id string) (faults.Entry, string) {
	t.Helper()
	i, ctx := cut(t, path, id)
	text, err := i.Undo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Inject(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	a.takes(i.undo.Name, "Run", "Injected", "True")
	if e, err := i.Effect(ctx); err != nil || !e.Proven {
		t.Fatalf("the effect is %+v, %v", e, err)
	}
	return faults.Entry{ID: id, Run: "r1", Fault: "cut", Undo: text, Place: i.place}, i.undo.Name
}

// TestLift is how objects are made and removed on a real API server, with the test as Chaos Mesh's controllers.
func TestLift(t *testing.T) {
	path := kuberig.Schemas(t)
	c, err := connect(faults.Access{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	a := actor{c, t}
	t.Run("made once", func(t *testing.T) { testMadeOnce(t, c, path) })
	t.Run("lifted", func(t *testing.T) { testLifted(t, a, path) })
	t.Run("hangs", func(t *testing.T) { testHangs(t, a, path) })
	t.Run("gone unlifted", func(t *testing.T) { testUnlifted(t, a, path) })
	t.Run("forced", func(t *testing.T) { testForced(t, a, path) })
	t.Run("noticed together", func(t *testing.T) { testNoticed(t, a, path) })
	t.Run("its part for pods", func(t *testing.T) { testBehind(t, a, path) })
	t.Run("one child hangs", func(t *testing.T) { testOneHangs(t, a, path) })
	t.Run("traffic", func(t *testing.T) { testTraffic(t, c, path) })
}

// testMadeOnce: an object has its owner and its lease, is adopted when its making was not heard of, and is nobody else's.
func testMadeOnce(t *testing.T, c *client, path string) {
	i, ctx := cut(t, path, "made")
	if _, err := i.Undo(ctx); err != nil {
		t.Fatal(err)
	}
	at := c.Resource(i.undo.at()).Namespace("shop")
	if err := i.Inject(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	u, err := at.Get(ctx, i.undo.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d, _, _ := unstructured.NestedString(u.Object, "spec", "duration"); d != "80s" {
		t.Errorf("it stands for %s", d)
	}
	if !mine(u, "r1", "made") || mine(u, "r1", "other") || mine(u, "r2", "made") || !own(u.GetLabels()) || u.GetLabels()[cluster.LabelScenario] != "drill" {
		t.Errorf("it is %v, %v", u.GetLabels(), u.GetAnnotations())
	}
	again, ctx2 := cut(t, path, "made")
	if _, err := again.Undo(ctx2); err != nil {
		t.Errorf("ours is in the way of ours: %v", err)
	}
	if err := again.Inject(ctx2, time.Minute); err != nil {
		t.Errorf("it was not adopted: %v", err)
	}
	if list, err := at.List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("there are %d, %v", len(list.Items), err)
	}
	u.SetAnnotations(map[string]string{cluster.AnnotationID: "made", cluster.AnnotationRun: "another"})
	if _, err := at.Update(ctx, u, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Undo(ctx2); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("in another's way: %v", err)
	}
	if err := again.Inject(ctx2, time.Minute); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("injected over another's: %v", err)
	}
	if err := at.Delete(ctx, i.undo.Name, metav1.DeleteOptions{}); err != nil {
		t.Errorf("another's was touched: %v", err)
	}
}

// testLifted: a revert ends when the controllers let the object go, and not before.
func testLifted(t *testing.T, a actor, path string) {
	e, name := stand(t, a, path, "lifted")
	u, err := a.Resource(resource("NetworkChaos")).Namespace("shop").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f := a.follow(t.Context(), resource("NetworkChaos"), "shop", name, u.GetUID())
	let := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- revert(t.Context(), e)
		select {
		case <-let:
		default:
			t.Error("it ended before the object was let go")
		}
		close(done)
	}()
	if _, err := f.await(t.Context(), func(s sight) (bool, error) { return s.object != nil && s.object.GetDeletionTimestamp() != nil, nil }); err != nil {
		t.Fatal(err)
	}
	a.takes(name, "Stop", "Not Injected", "False")
	close(let)
	a.patch(name, tree{"metadata": tree{"finalizers": nil}})
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-done
	if err := revert(t.Context(), e); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// testHangs: what hangs is named, and nothing is forced unasked.
func testHangs(t *testing.T, a actor, path string) {
	e, name := stand(t, a, path, "hangs")
	a.patch(name, tree{"metadata": tree{"finalizers": []string{recordsFinalizer, "example.com/keep"}}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := revert(ctx, e)
	says(t, err, "NetworkChaos shop/"+name, "is being deleted since", "hangs on finalizer chaos-mesh/records, example.com/keep, because of shop/a: Injected",
		"the controllers have not taken it up", "whether chaos-controller-manager runs cannot be seen", "gameday revert --kubernetes --context ", " --force`")
	a.patch(name, tree{"metadata": tree{"finalizers": []string{"example.com/keep"}}})
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	says(t, revert(ctx, e), "hangs on finalizer example.com/keep, which is not Chaos Mesh's own")
	a.patch(name, tree{"metadata": tree{"finalizers": nil}})
	if err := revert(t.Context(), e); err != nil {
		t.Error(err)
	}
}

// testUnlifted: an object that somebody freed while its records say injected is gone, and that is told.
func testUnlifted(t *testing.T, a actor, path string) {
	e, name := stand(t, a, path, "freed")
	var notes []string
	ctx := faults.WithNote(t.Context(), func(text string) { notes = append(notes, text) })
	done := make(chan error, 1)
	go func() { done <- revert(ctx, e) }()
	u := &unstructured.Unstructured{}
	kuberig.Eventually(t, 10*time.Second, "it is being deleted", func() bool {
		var err error
		u, err = a.Resource(resource("NetworkChaos")).Namespace("shop").Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && u.GetDeletionTimestamp() != nil
	})
	a.patch(name, tree{"metadata": tree{"finalizers": nil}})
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "do not say that the fault was lifted: shop/a: Injected") {
		t.Errorf("it notes %q", notes)
	}
}

// testForced: only ours go, those of living guards stay, and force says what it leaves.
func testForced(t *testing.T, a actor, path string) {
	_, name := stand(t, a, path, "forced")
	other := partition("a")
	other["metadata"] = tree{"namespace": "shop", "name": "theirs", "labels": tree{cluster.LabelManaged: cluster.Manager}}
	if _, err := a.Resource(resource("NetworkChaos")).Namespace("shop").Create(t.Context(), &unstructured.Unstructured{Object: jsonTree(t, other)}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	at := faults.Access{Kubeconfig: path}
	list, err := query[[]cluster.Object](t, cluster.Query{Access: at, Ours: &cluster.Ours{}})
	if err != nil || len(list) != 1 || list[0].Name != name || list[0].Stands != "injected" || list[0].ID != "forced" || list[0].Run != "r1" {
		t.Errorf("ours: %+v, %v", list, err)
	}
	if l := lift(t, at, cluster.Lift{But: []string{"forced"}, Force: true}); len(l) > 0 {
		t.Errorf("a living guard's: %+v", l)
	}
	if l := lift(t, at, cluster.Lift{ButRuns: []string{"r0", "r1"}, Force: true}); len(l) > 0 {
		t.Errorf("a run's that is in progress: %+v", l)
	}
	if l := lift(t, at, cluster.Lift{Only: []string{"r2"}, Force: true}); len(l) > 0 {
		t.Errorf("a run's that nobody named: %+v", l)
	}
	if l := lift(t, at, cluster.Lift{Run: "r2", Force: true}); len(l) > 0 {
		t.Errorf("another run's: %+v", l)
	}
	l := lift(t, at, cluster.Lift{Run: "r1", Force: true})
	if len(l) != 1 || !l[0].Gone || l[0].Blocks != "" || !strings.Contains(l[0].Note, "NetworkChaos shop/"+name+" was forced off, and Chaos Mesh did not lift it from shop/a: Injected") {
		t.Errorf("forced: %+v", l)
	}
	if _, err := a.Resource(resource("NetworkChaos")).Namespace("shop").Get(t.Context(), "theirs", metav1.GetOptions{}); err != nil {
		t.Errorf("what is not ours: %v", err)
	}
}

// testNoticed: controllers that look late have as long for all objects as for one, so all are told to go before one of them is waited for.
func testNoticed(t *testing.T, a actor, path string) {
	at := a.Resource(resource("NetworkChaos")).Namespace("shop")
	_, one := stand(t, a, path, "one")
	_, two := stand(t, a, path, "two")
	done := make(chan struct{})
	go func() { // nothing is lifted until both are to go
		defer close(done)
		for sleep(t.Context(), 50*time.Millisecond) {
			first, err := at.Get(t.Context(), one, metav1.GetOptions{})
			second, failed := at.Get(t.Context(), two, metav1.GetOptions{})
			if err != nil || failed != nil || first.GetDeletionTimestamp() == nil || second.GetDeletionTimestamp() == nil {
				continue
			}
			for _, name := range []string{one, two} {
				a.takes(name, "Stop", "Not Injected", "False")
				a.patch(name, tree{"metadata": tree{"finalizers": nil}})
			}
			return
		}
	}()
	l := lift(t, faults.Access{Kubeconfig: path}, cluster.Lift{Run: "r1"})
	if len(l) != 2 || !l[0].Gone || !l[1].Gone {
		t.Fatalf("lifted: %+v", l)
	}
	<-done
}

// testBehind: what is collected for a pod was taken up once it has nothing more of the object, and its controllers have looked at it as it is.
func testBehind(t *testing.T, a actor, path string) {
	e, name := stand(t, a, path, "behind")
	at := a.Resource(resource("PodNetworkChaos")).Namespace("shop")
	set := tree{"name": "s", "ipsetType": "hash:ip", "cidrs": []string{}}
	item := func(source string) []tree {
		s := tree{"source": source}
		for k, v := range set {
			s[k] = v
		}
		return []tree{s}
	}
	_, err := at.Create(t.Context(), &unstructured.Unstructured{Object: jsonTree(t, tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodNetworkChaos",
		"metadata": tree{"namespace": "shop", "name": "a"}, "spec": tree{"ipsets": item("shop/" + name)}})}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	of, err := a.Resource(resource("NetworkChaos")).Namespace("shop").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	patch := func(to tree, parts ...string) int64 {
		t.Helper()
		text, err := json.Marshal(to)
		if err != nil {
			t.Fatal(err)
		}
		u, err := at.Patch(t.Context(), "a", types.MergePatchType, text, metav1.PatchOptions{}, parts...)
		if err != nil {
			t.Fatal(err)
		}
		return u.GetGeneration()
	}
	looked := func(generation int64) { patch(tree{"status": tree{"observedGeneration": generation}}, "status") }
	looked(1)
	if !a.behind(t.Context(), of) {
		t.Error("the pod has something of it, and nobody is behind")
	}
	generation := patch(tree{"spec": tree{"ipsets": item("shop/another")}})
	if !a.behind(t.Context(), of) {
		t.Error("nobody has looked at it since, and nobody is behind")
	}
	if looked(generation); generation < 2 || a.behind(t.Context(), of) {
		t.Errorf("generation %d was looked at, and has nothing of it: somebody is behind", generation)
	}
	if err := at.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	if a.behind(t.Context(), of) {
		t.Error("there is nothing for the pod, and somebody is behind")
	}
	a.patch(name, tree{"metadata": tree{"finalizers": nil}})
	if err := revert(t.Context(), e); err != nil {
		t.Error(err)
	}
}

// TestBehindUnseen: who may not read what is collected for pods goes by what Chaos Mesh says in the records.
func TestBehindUnseen(t *testing.T) {
	c := bad(t, func(w http.ResponseWriter, _ *http.Request) {
		status(w, 403, metav1.StatusReasonForbidden, "ben cannot get podnetworkchaos")
	})
	for name, k := range map[string]struct {
		last tree
		want bool
	}{
		"it failed":          {tree{"operation": "Recover", "type": "Failed", "message": "no daemon"}, false},
		"nothing failed yet": {tree{"operation": "Apply", "type": "Succeeded"}, true},
	} {
		o := chaosObject(t, "Stop", nil, record("shop/a", "Injected/Wait"))
		o.SetKind("NetworkChaos")
		records, _, err := unstructured.NestedSlice(o.Object, "status", "experiment", "containerRecords")
		if err != nil || len(records) != 1 {
			t.Fatal(records, err)
		}
		records[0].(map[string]any)["events"] = []any{map[string]any(jsonTree(t, k.last))}
		if err := unstructured.SetNestedSlice(o.Object, records, "status", "experiment", "containerRecords"); err != nil {
			t.Fatal(err)
		}
		if got := c.behind(t.Context(), o); got != k.want {
			t.Errorf("%s: behind is %v", name, got)
		}
	}
}

// testTraffic: what sends the traffic of a run in progress stays, and that of a dead one goes.
func testTraffic(t *testing.T, c *client, path string) {
	crd := tree{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": tree{"name": "testruns.k6.io"},
		"spec": tree{"group": "k6.io", "scope": "Namespaced", "names": tree{"kind": "TestRun", "plural": "testruns", "singular": "testrun", "listKind": "TestRunList"},
			"versions": []tree{{"name": "v1alpha1", "served": true, "storage": true, "schema": tree{"openAPIV3Schema": tree{"type": "object"}}}}}}
	definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if _, err := c.Resource(definitions).Create(t.Context(), &unstructured.Unstructured{Object: jsonTree(t, crd)}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"dead", "alive"} {
		u := &unstructured.Unstructured{Object: jsonTree(t, tree{"apiVersion": "k6.io/v1alpha1", "kind": "TestRun", "metadata": tree{"namespace": "shop", "name": run,
			"labels": tree{cluster.LabelManaged: cluster.Manager}, "annotations": tree{cluster.AnnotationRun: run}}})}
		kuberig.Eventually(t, 10*time.Second, "a TestRun is made", func() bool {
			_, err := c.Resource(loadKinds[0].at).Namespace("shop").Create(t.Context(), u, metav1.CreateOptions{})
			return err == nil
		})
	}
	at := faults.Access{Kubeconfig: path}
	if l := lift(t, at, cluster.Lift{ButRuns: []string{"alive"}, Force: true}); len(l) != 1 || l[0].Name != "dead" || !l[0].Gone {
		t.Errorf("beside a run in progress: %+v", l)
	}
	if l := lift(t, at, cluster.Lift{Run: "alive"}); len(l) != 1 || l[0].Name != "alive" || !l[0].Gone {
		t.Errorf("once it is over: %+v", l)
	}
}

// jsonTree is a tree as it comes back from JSON.
func jsonTree(t *testing.T, v any) tree {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out tree
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// testOneHangs: of what a Schedule made, one object hangs. The others are told to go all the same, and what Chaos Mesh lifts in time is
// not forced off.
func testOneHangs(t *testing.T, a actor, path string) {
	made := func(kind, name string, more tree, spec tree) *unstructured.Unstructured {
		t.Helper()
		meta := tree{"namespace": "shop", "name": name}
		for k, v := range more {
			meta[k] = v
		}
		u, err := a.Resource(resource(kind)).Namespace("shop").Create(t.Context(), &unstructured.Unstructured{Object: jsonTree(t, tree{
			"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": meta, "spec": spec})}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	spec, _ := partition("a")["spec"].(tree)
	parent := made("Schedule", "family", tree{"labels": tree{cluster.LabelManaged: cluster.Manager},
		"annotations": tree{cluster.AnnotationRun: "r7", cluster.AnnotationID: "family"}, "finalizers": []string{"example.com/keep"}},
		tree{"schedule": "@every 1m", "type": "NetworkChaos", "networkChaos": spec})
	child := tree{"labels": tree{"managed-by": "family"}, "ownerReferences": []tree{{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "Schedule", "name": "family",
		"uid": string(parent.GetUID())}}}
	for _, name := range []string{"family-1", "family-2"} {
		made("NetworkChaos", name, child, spec)
		a.takes(name, "Run", "Injected", "True")
	}
	at := a.Resource(resource("NetworkChaos")).Namespace("shop")
	forced := make(chan bool, 1)
	go func() { // Chaos Mesh lifts the second one as soon as it is told to
		for sleep(t.Context(), 50*time.Millisecond) {
			u, err := at.Get(t.Context(), "family-2", metav1.GetOptions{})
			if err == nil && u.GetDeletionTimestamp() != nil {
				forced <- u.GetAnnotations()[forceAnnotation] != ""
				a.takes("family-2", "Stop", "Not Injected", "False")
				a.patch("family-2", tree{"metadata": tree{"finalizers": nil}})
				return
			}
		}
	}()
	l := lift(t, faults.Access{Kubeconfig: path}, cluster.Lift{Run: "r7", Force: true})
	if len(l) != 1 || !l[0].Gone || !strings.Contains(l[0].Note, "family-1 was forced off") || strings.Contains(l[0].Note, "family-2") {
		t.Errorf("forced: %+v", l)
	}
	select {
	case was := <-forced:
		if was {
			t.Error("what did not hang was forced off, before Chaos Mesh could lift it")
		}
	default:
		t.Error("the second one was never told to go before it was gone")
	}
}
