package chaosmesh

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

const meshPath = "/apis/chaos-mesh.org/v1alpha1/namespaces/"

// shop starts a cluster with a namespace shop and a node, and a daemon on it at which nobody listens when dead is wanted.
func shop(t *testing.T, o kuberig.Options) *kuberig.Cluster {
	t.Helper()
	c := kuberig.Start(t, o)
	if err := errors.Join(c.Namespace("shop"), c.Node("node-1"), raise(c)); err != nil {
		t.Fatal(err)
	}
	return c
}

// raise adds to Chaos Mesh's definitions what its controllers' types have and the definitions that came with them lack: both are of
// their newest published versions, which are four days apart.
func raise(c *kuberig.Cluster) error {
	for _, plural := range []string{"networkchaos", "schedules", "workflows", "workflownodes"} {
		path := "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + plural + ".chaos-mesh.org"
		var definition tree
		if err := c.Get(path, &definition); err != nil {
			return err
		}
		addBehavior(definition)
		text, err := json.Marshal(definition)
		if err != nil {
			return err
		}
		if err := c.Do(http.MethodPut, path, "application/json", text, nil); err != nil {
			return err
		}
	}
	return nil
}

func addBehavior(node any) {
	switch n := node.(type) {
	case []any:
		for _, m := range n {
			addBehavior(m)
		}
	case tree:
		if p, is := n["properties"].(tree); is && p["externalTargets"] != nil && p["targetDevice"] != nil {
			p["partitionBehavior"] = tree{"type": "string", "enum": []string{"drop", "reject"}, "default": "drop"}
		}
		for _, m := range n {
			addBehavior(m)
		}
	}
}

// deadDaemon says that a chaos-daemon serves node-1, at an address where nobody listens.
func deadDaemon(t *testing.T, c *kuberig.Cluster) {
	t.Helper()
	err := c.Post("/apis/discovery.k8s.io/v1/namespaces/chaos-mesh/endpointslices", tree{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
		"metadata": tree{"name": "chaos-daemon-x1"}, "addressType": "IPv4", "endpoints": []tree{{"addresses": []string{"198.18.0.9"}, "nodeName": "node-1"}},
		"ports": []tree{{"name": "grpc", "port": 31767}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// TestLifecycle is the life of faults in a real cluster with Chaos Mesh's real controllers.
func TestLifecycle(t *testing.T) {
	c := shop(t, kuberig.Options{})
	t.Run("pod-kill", func(t *testing.T) { testPodKill(t, c) })
	t.Run("pod-failure", func(t *testing.T) { testPodFailure(t, c) })
	t.Run("no daemon", func(t *testing.T) { testNoDaemon(t, c) })
	t.Run("dead daemon", func(t *testing.T) { testDeadDaemon(t, c) })
	t.Run("foreign", func(t *testing.T) { testForeign(t, c) })
	t.Run("two runs", func(t *testing.T) { testTwoRuns(t, c) })
	t.Run("lapses", func(t *testing.T) { testLapses(t, c) })
	t.Run("killed", func(t *testing.T) { testKilled(t, c) })
	t.Run("gameday is dead", func(t *testing.T) { testDeaf(t, c) })
	t.Run("ends by itself", func(t *testing.T) { testEnds(t, c) })
	t.Run("nobody left", func(t *testing.T) { testNobodyLeft(t, c) })
}

// testPodKill: a fault without an undo is proven, and leaves neither an object nor an entry.
func testPodKill(t *testing.T, c *kuberig.Cluster) {
	a := access(c)
	c.Pod(t, "shop", "cart-1", "node-1", "app", "cart")
	dir := t.TempDir()
	g := startGuard(t, dir, "")
	r := request("raw_shot", "kill", "r1", podPlace(t, a, "shop", "cart-1"), chaosFor("PodChaos", "cart-1", tree{"action": "pod-kill"}))
	began := time.Now()
	in, err := g.Inject(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("after %v: %+v", time.Since(began), in)
	if !in.Effect.Proven || !strings.Contains(in.Effect.Summary, "shop/cart-1") || !strings.HasPrefix(in.Effect.Details["shop/cart-1"], "Injected") {
		t.Errorf("the effect is %+v", in.Effect)
	}
	if err := c.Get("/api/v1/namespaces/shop/pods/cart-1", nil); !kuberig.IsCode(err, 404) {
		t.Errorf("the pod: %v", err)
	}
	if l := left(t, a); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
	if s, err := g.Standing(t.Context()); err != nil || len(s) > 0 {
		t.Errorf("the ledger has %v, %v", s, err)
	}
}

// testPodFailure: a fault stands until it is reverted, and the pod is as before.
func testPodFailure(t *testing.T, c *kuberig.Cluster) {
	a := access(c)
	c.Pod(t, "shop", "cart-2", "node-1", "app", "cart")
	g := startGuard(t, t.TempDir(), "")
	r := request("raw", "fail", "r1", podPlace(t, a, "shop", "cart-2"), chaosFor("PodChaos", "cart-2", tree{"action": "pod-failure"}))
	in, err := g.Inject(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", in)
	if l := left(t, a); len(l) != 1 || !strings.HasSuffix(l[0], "injected") {
		t.Errorf("there is %q", l)
	}
	if image(t, c, "cart-2") == "none" {
		t.Error("the pod has its image still")
	}
	began := time.Now()
	if err := g.Revert(t.Context(), "fail"); err != nil {
		t.Fatal(err)
	}
	t.Logf("reverted after %v", time.Since(began))
	if l := left(t, a); len(l) > 0 || image(t, c, "cart-2") != "none" {
		t.Errorf("left: %q, image %s", l, image(t, c, "cart-2"))
	}
}

func image(t *testing.T, c *kuberig.Cluster, pod string) string {
	t.Helper()
	var p struct {
		Spec struct{ Containers []struct{ Image string } }
	}
	if err := c.Get("/api/v1/namespaces/shop/pods/"+pod, &p); err != nil {
		t.Fatal(err)
	}
	return p.Spec.Containers[0].Image
}

// testNoDaemon: what could never be injected is refused before anything is made.
func testNoDaemon(t *testing.T, c *kuberig.Cluster) {
	a := access(c)
	c.Pod(t, "shop", "cart-3", "node-1", "app", "cart")
	g := startGuard(t, t.TempDir(), "")
	r := request("raw", "cut", "r1", podPlace(t, a, "shop", "cart-3"), partition("cart-3"))
	_, err := g.Inject(t.Context(), r)
	says(t, err, "no chaos-daemon serves node node-1", "namespace chaos-mesh")
	if l := left(t, a); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
}

func partition(pod string) tree {
	return chaosFor("NetworkChaos", pod, tree{"action": "partition", "direction": "to", "externalTargets": []string{"198.18.9.9"}})
}

// testDeadDaemon: selected and not injected is no effect, what cannot be lifted is said precisely, and force leaves nothing.
func testDeadDaemon(t *testing.T, c *kuberig.Cluster) {
	a := access(c)
	deadDaemon(t, c)
	c.Pod(t, "shop", "cart-4", "node-1", "app", "cart")
	dir := t.TempDir()
	g := startGuard(t, dir, "")
	r := request("raw", "cut", "r2", podPlace(t, a, "shop", "cart-4"), partition("cart-4"))
	r.EffectTimeout = 8 * time.Second
	in, err := g.Inject(t.Context(), r)
	t.Logf("%+v\n%v", in, err)
	if !errors.Is(err, guard.ErrUnproven) || !errors.Is(err, guard.ErrResidue) || in.Effect.Proven {
		t.Errorf("it is %v, proven %v", err, in.Effect.Proven)
	}
	says(t, err, "Selected, not injected: shop/cart-4", "finalizer chaos-mesh/records", "gameday revert --kubernetes --context ", " --force`")
	g.kill()
	force(t, c, a, dir)
}

// force: --force leaves neither the object nor what was planned for its pod, and what others planned there stays.
func force(t *testing.T, c *kuberig.Cluster, a faults.Access, dir string) {
	path := meshPath + "shop/podnetworkchaos/cart-4"
	var planned struct{ Spec map[string][]tree }
	if err := c.Get(path, &planned); err != nil || len(planned.Spec["iptables"]) != 1 {
		t.Fatalf("planned for the pod: %v, %v", planned, err)
	}
	other := tree{}
	for k, v := range planned.Spec["iptables"][0] {
		other[k] = v
	}
	other["source"], other["name"] = "shop/somebody-elses", "OTHER"
	if err := c.Patch(path, tree{"spec": tree{"iptables": append(planned.Spec["iptables"], other)}}, nil); err != nil {
		t.Fatal(err)
	}
	lifted := lift(t, a, cluster.Lift{Run: "r2"})
	if len(lifted) != 1 || lifted[0].Gone {
		t.Fatalf("without force: %+v", lifted)
	}
	says(t, errors.New(lifted[0].Blocks), "finalizer chaos-mesh/records", "because of shop/cart-4", "PodNetworkChaos says")
	if l := lift(t, a, cluster.Lift{Run: "r2", Force: true, But: []string{"cut"}}); len(l) != 0 {
		t.Errorf("a living guard's was lifted: %+v", l)
	}
	lifted = lift(t, a, cluster.Lift{Run: "r2", Force: true})
	if len(lifted) != 1 || !lifted[0].Gone || !strings.Contains(lifted[0].Note, "did not lift it from shop/cart-4") {
		t.Fatalf("with force: %+v", lifted)
	}
	if l := left(t, a); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
	planned.Spec = nil
	if err := c.Get(path, &planned); err != nil {
		t.Fatal(err)
	}
	for list, entries := range planned.Spec {
		for _, e := range entries {
			if e["source"] != "shop/somebody-elses" {
				t.Errorf("still planned, in %s: %v", list, e)
			}
		}
	}
	if len(planned.Spec["iptables"]) != 1 {
		t.Errorf("what others planned is gone: %v", planned.Spec)
	}
	if err := revertAll(t, dir); err != nil {
		t.Errorf("the ledger after force: %v", err)
	}
}

// query asks a cluster.Query as a guard's client does.
func query[T any](t *testing.T, q cluster.Query) (T, error) {
	t.Helper()
	var out T
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := Answer(t.Context(), text)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return out, nil
}

func lift(t *testing.T, a faults.Access, q cluster.Lift) []cluster.Lifted {
	t.Helper()
	l, err := query[[]cluster.Lifted](t, cluster.Query{Access: a, Lift: &q})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
