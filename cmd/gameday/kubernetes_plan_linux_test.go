package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/internal/kuberig"
	"gameday/report"
)

// foresight is a game day of which a plan can see beforehand whether the cluster would let it begin: with a fault that everybody may look
// at, one aimed at a namespace, and traffic from runners.
const foresight = `scenario "foresight" {
  kubernetes { kubeconfig = %q }
  timeline {
    baseline = "2s"
    load     = "8s"
    recovery = "6s"
  }
  traffic "visitors" {
    multiple = 1
    request "home" { url = "http://127.0.0.1:1/" }
    baseline { rate = 10 }
    run_on "k6-operator" {
      parallelism = 2
      namespace   = "shop"
      image       = "registry.example/gameday:1"
      collector   = "127.0.0.1:7443"
    }
  }
  target "cart" {
    at_most = 2
    pods {
      namespace = %q
      labels    = { app = "cart" }
    }
  }
  fault "process_kill" "crash" {
    target          = target.cart
    at              = "1s"
    restarts_within = "15s"
  }
  fault "chaos_mesh" "frozen" {
    manifest = "frozen.yaml"
    at       = "1s"
    duration = "2s"
  }
}
`

// riggedWith is a gameday that reaches a cluster, and its scenarios.
func riggedWith(t *testing.T, c *kuberig.Cluster) *clusterRig {
	t.Helper()
	r := &clusterRig{Cluster: c, t: t}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	admin, err := os.ReadFile(c.Admin)
	if err != nil {
		t.Fatal(err)
	}
	r.dir = gamedayFolder(t, map[string]string{"day.hcl": fmt.Sprintf(podsDay, server.URL, "2s"), "long.hcl": fmt.Sprintf(podsDay, server.URL, "60s"),
		"frozen.yaml": frozen, "kubeconfig": string(admin)})
	r.env = append(os.Environ(), "HOME="+r.dir, "GAMEDAY_LEDGER="+filepath.Join(r.dir, "ledger"), "PATH="+clusterProgram(t)+":"+os.Getenv("PATH"),
		"TEST_MACHINE_POLICY="+filepath.Join(r.dir, "none.hcl"))
	return r
}

// planned writes a scenario, and returns what its plan says, in one line, and as JSON.
func (r *clusterRig) planned(kubeconfig, namespace string) (string, report.Plan) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "foresight.hcl"), fmt.Appendf(nil, foresight, kubeconfig, namespace), 0o600); err != nil {
		r.t.Fatal(err)
	}
	text := r.gameday(0, "plan", "foresight.hcl")
	r.t.Log(text)
	var p report.Plan
	if err := json.Unmarshal([]byte(r.gameday(0, "plan", "--json", "foresight.hcl")), &p); err != nil {
		r.t.Fatal(err)
	}
	if left := r.objects(); len(left) > 0 {
		r.t.Errorf("the plan made %v", left)
	}
	return strings.Join(strings.Fields(text), " "), p
}

// foreseen fails the test unless a plan has a finding that begins so, about these faults and streams, and blocks or does not.
func (r *clusterRig) foreseen(p report.Plan, what, begins string, blocks bool, faults, traffic string) report.FindingPlan {
	r.t.Helper()
	for _, f := range p.Findings {
		if f.What != what || !strings.HasPrefix(f.Summary, begins) {
			continue
		}
		if f.Blocks != blocks || strings.Join(f.Faults, " ") != faults || strings.Join(f.Traffic, " ") != traffic {
			r.t.Errorf("%q is foreseen as %+v", begins, f)
		}
		return f
	}
	r.t.Errorf("%s: %q is not among %+v", what, begins, p.Findings)
	return report.FindingPlan{}
}

const meshDeployment = "/apis/apps/v1/namespaces/chaos-mesh/deployments/chaos-controller-manager"

// testForeseen has plan tell what would end a run before it begins, and with what it ends it.
func (r *clusterRig) testForeseen() {
	text, p := r.planned("kubeconfig", "shop")
	r.foreseen(p, "k6 operator", "the k6 operator is not installed in the cluster", true, "", "visitors")
	r.foreseen(p, "replicas", "fault crash takes down all of the 2 Ready pods of ReplicaSet cart in namespace shop", false, "crash", "")
	r.foreseen(p, "replicas", "fault frozen takes down all of the 2 Ready pods of ReplicaSet cart in namespace shop", false, "frozen", "")
	for _, want := range []string{"Blocks a run: Traffic visitors would not begin: the k6 operator is not installed", `or choose run_on "jobs"`,
		"from 2 runners of the k6 operator in namespace shop", "✗ blocked: k6 operator (below)", "Warning: Fault crash takes down all of the 2 Ready pods",
		"; its namespace kube-system has uid " + p.ClusterUID} {
		if !strings.Contains(text, want) {
			r.t.Errorf("%q is not in the plan", want)
		}
	}
	if len(p.ClusterUID) != 36 {
		r.t.Errorf("the cluster's uid is %q", p.ClusterUID)
	}
	if n := len(p.Findings); n != 3 || p.Traffic[0].BlockedBy == nil || p.Faults[0].BlockedBy != nil {
		r.t.Errorf("%d findings: %+v", n, p.Findings)
	}
}

// testForeseenRoles plans as somebody who may do nothing: the roles that are printed are enough.
func (r *clusterRig) testForeseenRoles() {
	ben := r.Kubeconfig(r.t, kuberig.User{Name: "ben", Namespace: "shop"})
	text, p := r.planned(ben, "shop")
	all := r.foreseen(p, "permissions", "not allowed: get, list, watch pods in shop", true, "crash frozen", "")
	r.foreseen(p, "permissions", "not allowed: list pods in shop, to send traffic", true, "", "visitors")
	r.foreseen(p, "permissions", "not allowed, and done without: ", false, "crash frozen", "")
	r.foreseen(p, "target cart", "", true, "crash", "")
	if !strings.Contains(text, "✗ blocked: target cart, permissions (below)") || !strings.Contains(text, "kind: Role metadata: name: gameday namespace: shop") {
		r.t.Error("neither what blocks nor the role is in the plan")
	}
	secret, err := os.ReadFile(ben)
	if err != nil {
		r.t.Fatal(err)
	}
	_, token, _ := strings.Cut(string(secret), `"token":`)
	if token = strings.Trim(strings.Fields(token)[0], `",}]`); len(token) < 40 || strings.Contains(text, token) {
		r.t.Errorf("the plan has the token, or the test does not know it (%d bytes)", len(token))
	}
	r.remedied(token)
	_, roles, _ := strings.Cut(all.Detail, "\n")
	if out, err := r.Kubectl(r.t.Context(), roles, "apply", "-f", "-"); err != nil {
		r.t.Fatalf("%s, %v", out, err)
	}
	if out, err := r.Kubectl(r.t.Context(), "", "create", "rolebinding", "ben", "--role=gameday", "--serviceaccount=shop:ben", "-n", "shop"); err != nil {
		r.t.Fatalf("%s, %v", out, err)
	}
	_, p = r.planned(ben, "shop")
	for _, f := range p.Findings {
		if f.Blocks && len(f.Faults) > 0 {
			r.t.Errorf("with the role that was printed: %+v", f)
		}
	}
}

// remedied runs what would not begin: how to let it begin is in all that people read of it, and the token nowhere.
func (r *clusterRig) remedied(token string) {
	r.t.Helper()
	said := r.gameday(3, "run", "--record", "rec-ben", "foresight.hcl")
	r.gameday(3, "report", "--html", "ben.html", "rec-ben")
	data := r.gameday(3, "report", "--json", "rec-ben")
	page, err := os.ReadFile(filepath.Join(r.dir, "ben.html"))
	if err != nil {
		r.t.Fatal(err)
	}
	events, err := os.ReadFile(filepath.Join(r.dir, "rec-ben", report.EventsFile))
	if err != nil {
		r.t.Fatal(err)
	}
	for what, text := range map[string]string{"what run says": said, "the page": string(page), "the data": data, "the record": string(events)} {
		if !strings.Contains(text, "kind: Role") || !strings.Contains(text, "resources: [podchaos]") {
			r.t.Errorf("no role is in %s:\n%s", what, text)
		}
		if strings.Contains(text, token) {
			r.t.Errorf("the token is in %s", what)
		}
	}
	r.t.Log(said)
}

// testForeseenChaosMesh plans where Chaos Mesh would not act as it must.
func (r *clusterRig) testForeseenChaosMesh() {
	patch := func(path string, to object) {
		r.t.Helper()
		if err := r.Patch(path, to, nil); err != nil {
			r.t.Fatal(err)
		}
	}
	text, p := r.planned("kubeconfig", "chaos-mesh")
	r.foreseen(p, "target cart", `resolving target "cart": namespace chaos-mesh is protected: Chaos Mesh runs there`, true, "crash", "")
	if !strings.Contains(text, `Blocks a run: Fault crash: resolving target "cart": namespace chaos-mesh is protected`) {
		r.t.Error("that Chaos Mesh's own namespace is protected is not in the plan")
	}
	patch(meshDeployment+"/status", object{"status": object{"readyReplicas": 0, "availableReplicas": 0}})
	_, p = r.planned("kubeconfig", "shop")
	r.foreseen(p, "chaos mesh", "chaos-controller-manager in namespace chaos-mesh does not run: 0 of 1 are ready", true, "", "")
	patch(meshDeployment+"/status", object{"status": object{"readyReplicas": 1, "availableReplicas": 1}})
	image := func(tag, variable string) {
		patch(meshDeployment, object{"spec": object{"template": object{"spec": object{"containers": []object{{"name": "chaos-mesh", "image": "ghcr.io/chaos-mesh/chaos-mesh:" + tag,
			"env": []object{{"name": "ENABLE_FILTER_NAMESPACE", "value": variable}}}}}}}})
	}
	image("v2.1.7", "true")
	_, p = r.planned("kubeconfig", "shop")
	r.foreseen(p, "chaos mesh", "the version of Chaos Mesh is 2.1.7, older than 2.3", true, "", "")
	f := r.foreseen(p, "namespace", "namespace shop has not opted in", true, "crash frozen", "")
	if f.Detail != "kubectl annotate namespace shop chaos-mesh.org/inject=enabled" {
		r.t.Errorf("how to opt in: %q", f.Detail)
	}
	image("v2.8.4", "false")
}

// testForeseenBudget plans over somebody's word that no pod may be missing.
func (r *clusterRig) testForeseenBudget() {
	const path = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
	err := r.Post(path, object{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": object{"name": "cart"},
		"spec": object{"minAvailable": 2, "selector": object{"matchLabels": object{"app": "cart"}}}}, nil)
	if err == nil {
		err = r.Patch(path+"/cart/status", object{"status": object{"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2,
			"expectedPods": 2}}, nil)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	text, p := r.planned("kubeconfig", "shop")
	r.foreseen(p, "pod disruption budget", "fault crash takes down 2 of the pods that budget shop/cart covers (minAvailable 2), which allows 0 now", true, "crash", "")
	if !strings.Contains(text, "✗ blocked: pod disruption budget (below)") {
		r.t.Error("the fault is not marked")
	}
	if err := r.Delete(path + "/cart"); err != nil {
		r.t.Fatal(err)
	}
}

// testForeseenSilence plans while the cluster does not answer.
func (r *clusterRig) testForeseenSilence() {
	if err := r.FreezeAPI(); err != nil {
		r.t.Fatal(err)
	}
	began := time.Now()
	out := r.gameday(0, "plan", "foresight.hcl")
	took := time.Since(began)
	if err := r.ThawAPI(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Logf("after %v:\n%s", took.Round(time.Second), out)
	if n := strings.Count(out, "Blocks a run: What is in the cluster is not known: "); n != 1 || took > 40*time.Second {
		r.t.Errorf("it is said %d times, after %v", n, took)
	}
	if n := strings.Count(out, "✗ blocked: cluster (below)"); n != 3 {
		r.t.Errorf("%d of two faults and a stream are marked", n)
	}
}

// testForeseenBare plans a game day for a cluster in which there is no Chaos Mesh.
func testForeseenBare(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{NoChaosMesh: true})
	if err := c.Namespace("shop"); err != nil {
		t.Fatal(err)
	}
	r := riggedWith(t, c)
	text := r.gameday(0, "plan", "day.hcl")
	t.Log(text)
	for _, want := range []string{"Blocks a run: Chaos Mesh is not installed in the cluster", "✗ blocked: target cart, chaos mesh (below)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the plan", want)
		}
	}
}

// elsewhere has the ledger say that what stands was made in another cluster by the same address: nothing is touched, and both are named.
func (r *clusterRig) elsewhere() {
	r.t.Helper()
	var system struct{ Metadata struct{ UID string } }
	if err := r.Get("/api/v1/namespaces/kube-system", &system); err != nil {
		r.t.Fatal(err)
	}
	rec, err := os.ReadFile(filepath.Join(r.dir, "rec-nobody", report.EventsFile))
	if err != nil || !strings.Contains(string(rec), `"cluster":"`+system.Metadata.UID+`"`) {
		r.t.Errorf("the record does not have the cluster's uid %q: %v", system.Metadata.UID, err)
	}
	all, err := filepath.Glob(filepath.Join(r.dir, "ledger", "*.json"))
	if err != nil || len(all) != 1 {
		r.t.Fatalf("%v, %v", all, err)
	}
	entry, err := os.ReadFile(all[0])
	if err != nil {
		r.t.Fatal(err)
	}
	const other = "00000000-0000-4000-8000-000000000000"
	if n := strings.Count(string(entry), system.Metadata.UID); n != 1 {
		r.t.Fatalf("the entry has the uid %d times:\n%s", n, entry)
	}
	write := func(text string) {
		if err := os.WriteFile(all[0], []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	write(strings.Replace(string(entry), system.Metadata.UID, other, 1))
	out := r.gameday(5, "revert")
	for _, want := range []string{"is left standing: ", "PodChaos shop/gameday-frozen-", "has uid " + other, "now is another, whose has uid " + system.Metadata.UID, "nothing was touched"} {
		if !strings.Contains(out, want) {
			r.t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if n := len(r.objects()); n != 1 {
		r.t.Errorf("%d objects stand after a revert in another cluster", n)
	}
	write(string(entry))
}
