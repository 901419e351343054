package chaosmesh

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

// kill is a request of the real kind process_kill for one pod.
func kill(p faults.Place, id string) guard.InjectRequest {
	return guard.InjectRequest{ID: id, Run: "r1", Scenario: "drill", Fault: "kill", Kind: "process_kill", Place: p, Config: json.RawMessage(`{}`),
		Lease: time.Minute, Deadline: time.Minute}
}

// slow is a request of the real kind network_delay for one pod.
func slow(p faults.Place, id string) guard.InjectRequest {
	r := kill(p, id)
	r.Fault, r.Kind, r.Config = "slow", "network_delay", json.RawMessage(`{"delay":"100ms","to":["198.18.9.9"]}`)
	return r
}

// findings asks for a preflight, and returns what is found as lines: "! " before what blocks.
func findings(t *testing.T, a faults.Access, p cluster.Preflight) string {
	t.Helper()
	list, err := query[[]cluster.Finding](t, cluster.Query{Access: a, Preflight: &p})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range list {
		if f.Blocks {
			b.WriteString("! ")
		}
		b.WriteString(f.What + ": " + f.Summary + "\n")
		if f.Detail != "" {
			b.WriteString("    " + strings.ReplaceAll(strings.TrimSpace(f.Detail), "\n", "\n    ") + "\n")
		}
	}
	return b.String()
}

// tells fails the test unless a text has all of some others, and none of it blocks unless that is wanted.
func tells(t *testing.T, text string, blocks bool, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("want %q in\n%s", w, text)
		}
	}
	if got := strings.Contains("\n"+text, "\n! "); got != blocks {
		t.Errorf("it blocks: %v, in\n%s", got, text)
	}
}

// TestPreflight is what a cluster is asked before anything is made.
func TestPreflight(t *testing.T) {
	c := shop(t, kuberig.Options{})
	a := access(c)
	c.Pod(t, "shop", "cart-1", "node-1", "app", "cart")
	cart := podPlace(t, a, "shop", "cart-1")
	t.Run("no k6 operator", func(t *testing.T) {
		load := &cluster.Load{Namespace: "shop", Operator: true}
		tells(t, findings(t, a, cluster.Preflight{Load: load}), true, "! k6 operator: the k6 operator is not installed in the cluster", `choose run_on "jobs"`)
		load.Operator = false
		tells(t, findings(t, a, cluster.Preflight{Load: load}), false, "all that is needed is allowed")
	})
	t.Run("well", func(t *testing.T) {
		got := findings(t, a, cluster.Preflight{Requests: []guard.InjectRequest{kill(cart, "k1")}})
		tells(t, got, false, "reached https://", "chaos-controller-manager in namespace chaos-mesh runs, 1 of 1 ready", "the version of Chaos Mesh is 2.8.4", "all that is needed is allowed")
		t.Log("\n" + got)
		if l := left(t, a); len(l) > 0 {
			t.Errorf("left: %q", l)
		}
	})
	t.Run("no daemon", func(t *testing.T) {
		got := findings(t, a, cluster.Preflight{Requests: []guard.InjectRequest{slow(cart, "s1")}})
		tells(t, got, true, "! chaos mesh: no chaos-daemon serves node node-1", "selected and never injected")
	})
	t.Run("roles", func(t *testing.T) { testRoles(t, c, cart) })
	t.Run("budgets", func(t *testing.T) { testBudgets(t, c, cart) })
	t.Run("opting in", func(t *testing.T) { testOptIn(t, c, cart) })
	t.Run("controllers that do not run", func(t *testing.T) {
		if err := c.Patch("/apis/apps/v1/namespaces/chaos-mesh/deployments/chaos-controller-manager/status", tree{"status": tree{"readyReplicas": 0, "availableReplicas": 0}}, nil); err != nil {
			t.Fatal(err)
		}
		tells(t, findings(t, a, cluster.Preflight{Requests: []guard.InjectRequest{kill(cart, "k1")}}), true, "does not run: 0 of 1 are ready")
	})
}

// testRoles: whoever may do nothing is told the least roles, and with just those a fault is injected and lifted.
func testRoles(t *testing.T, c *kuberig.Cluster, cart faults.Place) {
	ben := faults.Access{Kubeconfig: c.Kubeconfig(t, kuberig.User{Name: "ben", Namespace: "shop"})}
	if _, err := query[[]cluster.Object](t, cluster.Query{Access: ben, Ours: &cluster.Ours{}}); err == nil {
		t.Error("who may look at nothing is told that nothing is there")
	} else {
		says(t, err, "nothing allows to list")
	}
	r := request("raw", "roles", "r9", cart, chaosFor("PodChaos", "cart-1", tree{"action": "pod-failure"}))
	place := cart
	own := *cart.Cluster
	own.Access, place.Cluster = ben, &own
	r.Place = place
	q := cluster.Preflight{Requests: []guard.InjectRequest{kill(place, "k1")}}
	list, err := query[[]cluster.Finding](t, cluster.Query{Access: ben, Preflight: &q})
	if err != nil {
		t.Fatal(err)
	}
	var roles string
	for _, f := range list {
		if f.What == aboutPermissions && f.Blocks {
			_, roles, _ = strings.Cut(f.Detail, "\n")
			tells(t, f.Summary, false, "create, get, watch, delete podchaos in shop, to inject a fault")
		}
	}
	t.Log("\n" + roles)
	if _, err := startGuard(t, t.TempDir(), "").Inject(t.Context(), r); err == nil {
		t.Error("it was injected without a permission")
	} else {
		says(t, err, "403", "pods")
	}
	out, err := c.Kubectl(t.Context(), roles, "apply", "-f", "-")
	if err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if out, err := c.Kubectl(t.Context(), "", "create", "rolebinding", "ben", "--role=gameday", "--serviceaccount=shop:ben", "-n", "shop"); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	awaitAllowed(t, c, "shop", "ben")
	got := findings(t, ben, q)
	for _, once := range []string{"namespaces", "poddisruptionbudgets"} { // the second time in the role
		if strings.Count(got, once) != 2 {
			t.Errorf("%s are spoken of more than once:\n%s", once, got)
		}
	}
	tells(t, got, false, "all that is needed is allowed", "not allowed, and done without: ", "whether chaos-controller-manager runs cannot be seen",
		"`gameday revert --kubernetes --force` could not take finalizers off")
	g := startGuard(t, t.TempDir(), "")
	if _, err := g.Inject(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	own9 := cluster.Query{Access: ben, Ours: &cluster.Ours{Run: "r9"}}
	if list, err := query[[]cluster.Object](t, own9); err != nil || len(list) != 1 { // by the namespace that the kubeconfig names
		t.Errorf("of its own, ben sees %+v, %v", list, err)
	}
	for _, run := range []string{"", "r9"} { // somebody else may have made it, who may do more
		if _, err := query[[]cluster.Object](t, cluster.Query{Access: ben, Ours: &cluster.Ours{Run: run, Whole: true}}); err == nil {
			t.Errorf("who sees one kind alone is told that there is no more of run %q", run)
		} else {
			says(t, err, "nothing allows to list workflows")
		}
	}
	if err := g.Revert(t.Context(), "roles"); err != nil {
		t.Error(err)
	}
	if l := left(t, access(c)); len(l) > 0 || image(t, c, "cart-1") != "none" {
		t.Errorf("left: %q", l)
	}
}

// awaitAllowed returns when the server goes by a role that allows a service account to make PodChaos in its namespace: it knows of roles and
// of whom they are given to by watches of its own, a moment later than it has them.
func awaitAllowed(t *testing.T, c *kuberig.Cluster, namespace, name string) {
	t.Helper()
	kuberig.Eventually(t, 30*time.Second, "the server goes by the role of "+name, func() bool {
		var answer struct{ Status struct{ Allowed bool } }
		err := c.Post("/apis/authorization.k8s.io/v1/subjectaccessreviews", tree{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
			"spec": tree{"user": "system:serviceaccount:" + namespace + ":" + name, "groups": []string{"system:serviceaccounts", "system:authenticated"},
				"resourceAttributes": tree{"namespace": namespace, "group": "chaos-mesh.org", "resource": "podchaos", "verb": "create"}}}, &answer)
		return err == nil && answer.Status.Allowed
	})
}

// testBudgets: what would break a budget blocks, and what takes all of a workload is said.
func testBudgets(t *testing.T, c *kuberig.Cluster, cart faults.Place) {
	a := access(c)
	err := c.Patch("/api/v1/namespaces/shop/pods/cart-1", tree{"metadata": tree{"ownerReferences": []tree{{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart",
		"uid": "0", "controller": true}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := cluster.Preflight{Requests: []guard.InjectRequest{kill(cart, "k1")}}
	tells(t, findings(t, a, q), false, "fault kill takes down all of the 1 Ready pods of ReplicaSet cart in namespace shop")
	const path = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
	err = c.Post(path, tree{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": tree{"name": "cart"},
		"spec": tree{"minAvailable": 1, "selector": tree{"matchLabels": tree{"app": "cart"}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tells(t, findings(t, a, q), false, "has not weighed budget shop/cart yet")
	status := func(allowed int) {
		t.Helper()
		if err := c.Patch(path+"/cart/status", tree{"status": tree{"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1,
			"expectedPods": 1}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	status(0)
	tells(t, findings(t, a, q), true, "fault kill takes down 1 of the pods that budget shop/cart covers (minAvailable 1), which allows 0 now", "at_most")
	status(1)
	if got := findings(t, a, q); strings.Contains(got, "budget") {
		t.Errorf("it allows one:\n%s", got)
	}
	if err := c.Delete(path + "/cart"); err != nil {
		t.Fatal(err)
	}
}

// testOptIn: where Chaos Mesh acts only in namespaces that opted in, one that has not blocks.
func testOptIn(t *testing.T, c *kuberig.Cluster, cart faults.Place) {
	a := access(c)
	env := func(name, value string) {
		t.Helper()
		patch := tree{"spec": tree{"template": tree{"spec": tree{"containers": []tree{{"name": "chaos-mesh", "image": "ghcr.io/chaos-mesh/chaos-mesh:v2.9.0",
			"env": []tree{{"name": "CLUSTER_SCOPED", "value": "false"}, {"name": name, "value": value}}}}}}}}
		if err := c.Patch("/apis/apps/v1/namespaces/chaos-mesh/deployments/chaos-controller-manager", patch, nil); err != nil {
			t.Fatal(err)
		}
	}
	q := cluster.Preflight{Requests: []guard.InjectRequest{kill(cart, "k1")}}
	env("ENABLE_FILTER_NAMESPACE", "true")
	tells(t, findings(t, a, q), true, "namespace shop has not opted in", "kubectl annotate namespace shop chaos-mesh.org/inject=enabled", "2.9.0, newer than 2.8")
	if err := c.Patch("/api/v1/namespaces/shop", tree{"metadata": tree{"annotations": tree{optInAnnotation: optInValue}}}, nil); err != nil {
		t.Fatal(err)
	}
	tells(t, findings(t, a, q), false)
	env("TARGET_NAMESPACE", "elsewhere")
	tells(t, findings(t, a, q), true, "was installed for namespace elsewhere alone, and does nothing in shop")
	env("TARGET_NAMESPACE", "shop")
	tells(t, findings(t, a, q), false)
}

// TestBadCluster is what bad input gets from real clusters: one without Chaos Mesh, one with an old one, and one that hangs.
func TestBadCluster(t *testing.T) {
	t.Run("none", testBare)
	t.Run("old", func(t *testing.T) {
		c := shop(t, kuberig.Options{MeshVersion: "2.1.7"})
		c.Pod(t, "shop", "cart-1", "node-1", "app", "cart")
		got := findings(t, access(c), cluster.Preflight{Requests: []guard.InjectRequest{kill(podPlace(t, access(c), "shop", "cart-1"), "k1")}})
		tells(t, got, true, "! chaos mesh: the version of Chaos Mesh is 2.1.7, older than 2.3", "No effect could be proven. Raise it.")
	})
}

func testBare(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{NoChaosMesh: true})
	if err := errors.Join(c.Namespace("shop"), c.Node("node-1")); err != nil {
		t.Fatal(err)
	}
	a := access(c)
	c.Pod(t, "shop", "cart-1", "node-1", "app", "cart", "tier", "front")
	c.Pod(t, "shop", "cart-2", "node-1", "app", "cart", "tier", "back")
	c.Pod(t, "shop", "ours-1", "node-1", "app", "runner", cluster.LabelManaged, cluster.Manager)
	c.Pod(t, "shop", "done-1", "node-1", "app", "done")
	if err := c.Patch("/api/v1/namespaces/shop/pods/done-1/status", tree{"status": tree{"phase": "Succeeded"}}, nil); err != nil {
		t.Fatal(err)
	}
	q := cluster.Preflight{Requests: []guard.InjectRequest{kill(podPlace(t, a, "shop", "cart-1"), "k1")}}
	got := findings(t, a, q)
	tells(t, got, true, "! chaos mesh: Chaos Mesh is not installed in the cluster", "https://chaos-mesh.org/docs", "all that is needed is allowed")
	if strings.Count(got, "chaos mesh: ") != 1 || strings.Contains(got, "namespace: ") {
		t.Errorf("that Chaos Mesh is not there is said more than once:\n%s", got)
	}
	r := q.Requests[0]
	r.Kind, r.Config = "raw", request("raw", "x", "r", r.Place, chaosFor("PodChaos", "cart-1", tree{"action": "pod-failure"})).Config
	_, err := startGuard(t, t.TempDir(), "").Inject(t.Context(), r)
	says(t, err, "does not serve PodChaos", "Chaos Mesh is not installed in it")

	pods := func(q cluster.Pods) cluster.Found {
		t.Helper()
		f, err := query[cluster.Found](t, cluster.Query{Access: a, Pods: &q})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := pods(cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": "cart"}})
	if len(f.Found) != 2 || f.Found[0].Text != "shop/cart-1 on node-1" || f.Found[1].Place.Name != "shop/cart-2" || len(f.Found[0].Place.Addresses) != 1 {
		t.Errorf("found %+v", f)
	}
	if p := f.Found[0].Place.Cluster.Pod; !p.Ready || p.UID == "" || p.Node != "node-1" || len(p.ContainerIDs) != 1 || len(p.Containers) != 0 || p.AllContainers[0] != "main" {
		t.Errorf("the pod is %+v", p)
	}
	if f := pods(cluster.Pods{Namespace: "shop", Fields: map[string]string{"metadata.name": "cart-2"}, Containers: []string{"main"}}); len(f.Found) != 1 ||
		f.Found[0].Text != "shop/cart-2 on node-1, main" {
		t.Errorf("found %+v", f)
	}
	for _, k := range []struct {
		pods cluster.Pods
		want string
	}{
		{cluster.Pods{Namespace: "shap"}, `there is no namespace "shap"; did you mean "shop"?`},
		{cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": "carts"}}, `no pod of namespace shop has app=carts; did you mean "cart"?`},
		{cluster.Pods{Namespace: "shop", Labels: map[string]string{"ap": "cart"}}, `no pod of namespace shop has a label "ap"; did you mean "app"?`},
		{cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": "runner", "tier": "back"}}, "all of them on none"},
		{cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": "runner"}}, "ours-1 is gameday's own"},
		{cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": "done"}}, "done-1 is Succeeded"},
		{cluster.Pods{Namespace: "default"}, "namespace default has no pods"},
	} {
		if f := pods(k.pods); len(f.Found) != 0 || !strings.Contains(f.Hint, k.want) {
			t.Errorf("%+v gives %q and %d places, want %q", k.pods, f.Hint, len(f.Found), k.want)
		}
	}
	for ns, want := range map[string]string{"kube-system": "namespace kube-system is protected: what the cluster itself needs", "chaos-mesh": "is protected: Chaos Mesh runs there",
		"": "within one namespace"} {
		_, err := query[cluster.Found](t, cluster.Query{Access: a, Pods: &cluster.Pods{Namespace: ns}})
		says(t, err, want)
	}
	_, err = query[cluster.Found](t, cluster.Query{Access: a, Pods: &cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": "cart"}, Containers: []string{"mian"}}})
	says(t, err, `pod shop/cart-1 has no container "mian"; it has main; did you mean "main"?`)
	testDoors(t, c, q)
}

// testDoors is what stands between gameday and a cluster: credentials, permissions, and silence.
func testDoors(t *testing.T, c *kuberig.Cluster, q cluster.Preflight) {
	late := faults.Access{Kubeconfig: c.Kubeconfig(t, kuberig.User{Name: "late", Namespace: "shop", Expired: true})}
	tells(t, findings(t, late, q), true, "does not accept the credentials (401)", "may have expired")
	nobody := faults.Access{Kubeconfig: c.Kubeconfig(t, kuberig.User{Name: "nobody"})}
	_, err := query[cluster.Found](t, cluster.Query{Access: nobody, Pods: &cluster.Pods{Namespace: "shop"}})
	says(t, err, "forbids it (403)", `cannot list resource "pods"`, "docs/kubernetes.md")
	other := otherAuthority(t, c.Admin)
	tells(t, findings(t, faults.Access{Kubeconfig: other}, q), true, "is signed by nobody whom the kubeconfig names")
	if err := c.FreezeAPI(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	tells(t, findings(t, access(c), q), true, "does not answer in time", "VPN")
	t.Logf("said after %v", time.Since(began).Round(time.Second))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	cl, err := connect(access(c))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cl.findPods(ctx, cluster.Pods{Namespace: "shop"}); err == nil {
		t.Error("a frozen server answers")
	}
	if err := c.ThawAPI(); err != nil {
		t.Fatal(err)
	}
}

// otherAuthority copies a kubeconfig with the certificate of an authority that issued nothing.
func otherAuthority(t *testing.T, path string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	block := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`("?certificate-authority-data"?: ?"?)[A-Za-z0-9+/=]+`).ReplaceAll(text, []byte("${1}"+block))
	if bytes.Equal(changed, text) {
		t.Fatal("the kubeconfig has no authority")
	}
	out := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(out, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}
