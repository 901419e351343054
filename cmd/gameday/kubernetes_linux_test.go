package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/clock"
	"gameday/faults/cluster"
	"gameday/internal/kuberig"
	"gameday/report"
)

// podsDay is a game day that kills a pod of two, which its ReplicaSet replaces, and lets the pods' containers run something else for a
// while, as a manifest says.
const podsDay = `scenario "pods" {
  kubernetes { kubeconfig = "kubeconfig" }
  timeline {
    baseline = "2s"
    load     = "20s" # a fault that is due later than that is left out, and crash may take 15 s
    recovery = "12s"
  }
  traffic "visitors" {
    multiple = 1
    request "home" { url = %q }
    baseline { rate = 10 }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  target "cart" {
    pick    = 1
    at_most = "50%%"
    pods {
      namespace = "shop"
      labels    = { app = "cart" }
    }
  }
  fault "process_kill" "crash" {
    target          = target.cart
    at              = "1s"
    restarts_within = "15s"
    steady_within   = "6s"
  }
  fault "chaos_mesh" "frozen" {
    manifest      = "frozen.yaml"
    after         = fault.crash
    wait          = "1s"
    duration      = %q
    steady_within = "6s"
  }
}
`

const frozen = `apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata:
  namespace: shop
spec:
  action: pod-failure
  mode: all
  selector:
    namespaces: [shop]
    labelSelectors: { app: cart }
`

const meshObjects = "/apis/chaos-mesh.org/v1alpha1/namespaces/shop/podchaos"

// object is one of the cluster's, as JSON.
type object = map[string]any

// clusterRig is a cluster with a ReplicaSet of two pods in it, and a gameday that reaches it.
type clusterRig struct {
	*kuberig.Cluster
	t   *testing.T
	dir string
	env []string
}

func newClusterRig(t *testing.T) *clusterRig {
	t.Helper()
	// Not Deployments: there is one of Chaos Mesh's own, which has no node to run on here.
	c := kuberig.Start(t, kuberig.Options{Controllers: []string{"replicaset-controller"}})
	if err := errors.Join(c.Namespace("shop"), c.Node("node-1")); err != nil {
		t.Fatal(err)
	}
	r := riggedWith(t, c)
	r.replicas()
	return r
}

// replicas makes two pods that are replaced when they are gone, and stands for the node that runs them.
func (r *clusterRig) replicas() {
	labels := object{"app": "cart"}
	err := r.Post("/apis/apps/v1/namespaces/shop/replicasets", object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": object{"name": "cart"},
		"spec": object{"replicas": 2, "selector": object{"matchLabels": labels}, "template": object{"metadata": object{"labels": labels},
			"spec": object{"nodeName": "node-1", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
				"containers": []object{{"name": "main", "image": "none"}}}}}}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			r.runPods()
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	r.t.Cleanup(func() {
		cancel()
		<-done
	})
	kuberig.Eventually(r.t, 30*time.Second, "two pods are ready", func() bool { return r.ready() == 2 })
}

// clusterPod is as much of a pod as these tests need.
type clusterPod struct {
	Metadata struct{ Name, UID, DeletionTimestamp string }
	Spec     struct{ Containers []struct{ Image string } }
	Status   struct {
		Phase      string
		Conditions []struct{ Type, Status string }
	}
}

func (r *clusterRig) pods() []clusterPod {
	var list struct{ Items []clusterPod }
	if err := r.Get("/api/v1/namespaces/shop/pods?labelSelector=app%3Dcart", &list); err != nil {
		return nil // the server may be gone already
	}
	return list.Items
}

var containers atomic.Uint32

// runPods says of each new pod that it runs and is ready, and of one whose containers run something else that it is not.
func (r *clusterRig) runPods() {
	for _, p := range r.pods() {
		if p.Metadata.DeletionTimestamp != "" {
			continue
		}
		if p.Status.Phase == "Running" {
			r.probe(p)
			continue
		}
		n := containers.Add(1)
		status := kuberig.Running(fmt.Sprintf("198.19.250.%d", n), "main", "none", fmt.Sprintf("docker://c%d", n), 0, time.Now())
		_ = r.Patch("/api/v1/namespaces/shop/pods/"+p.Metadata.Name+"/status", object{"status": status}, nil) // or at the next look
	}
}

// probe says whether a pod that runs is Ready: while its image is its own.
func (r *clusterRig) probe(p clusterPod) {
	is, said := "True", ""
	if len(p.Spec.Containers) == 1 && p.Spec.Containers[0].Image != "none" {
		is = "False"
	}
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			said = c.Status
		}
	}
	if is != said {
		change := object{"status": object{"conditions": []object{{"type": "Ready", "status": is}}}}
		_ = r.Patch("/api/v1/namespaces/shop/pods/"+p.Metadata.Name+"/status", change, nil) // or at the next look
	}
}

func (r *clusterRig) ready() int {
	n := 0
	for _, p := range r.pods() {
		if p.Status.Phase == "Running" && p.Metadata.DeletionTimestamp == "" {
			n++
		}
	}
	return n
}

// objects returns the names of the objects of Chaos Mesh.
func (r *clusterRig) objects() []string {
	r.t.Helper()
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := r.Get(meshObjects, &list); err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, i := range list.Items {
		out = append(out, i.Metadata.Name)
	}
	return out
}

func (r *clusterRig) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(r.dir, "gameday"), args...)
	c.Dir, c.Env = r.dir, r.env
	return c
}

// gameday runs a command line that must end with a code, and returns what it said.
func (r *clusterRig) gameday(code int, args ...string) string {
	r.t.Helper()
	out, err := r.command(args...).CombinedOutput()
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		r.t.Fatal(err)
	}
	if got != code {
		r.t.Fatalf("gameday %v: exit code %d, want %d:\n%s", args, got, code, out)
	}
	return string(out)
}

// TestKubernetes runs game days against a real API server with Chaos Mesh's real controllers, and kills ours at their worst moments.
func TestKubernetes(t *testing.T) {
	r := newClusterRig(t)
	t.Run("plan", func(t *testing.T) { r.t = t; r.testPlan() })
	t.Run("plan foresees", func(t *testing.T) { r.t = t; r.testForeseen() })
	t.Run("plan foresees roles", func(t *testing.T) { r.t = t; r.testForeseenRoles() })
	t.Run("plan foresees Chaos Mesh", func(t *testing.T) { r.t = t; r.testForeseenChaosMesh() })
	t.Run("plan foresees budgets", func(t *testing.T) { r.t = t; r.testForeseenBudget() })
	t.Run("plan foresees silence", func(t *testing.T) { r.t = t; r.testForeseenSilence() })
	t.Run("plan foresees what is not there", testForeseenBare)
	t.Run("run", func(t *testing.T) { r.t = t; r.testRun() })
	t.Run("gameday is killed", func(t *testing.T) { r.t = t; r.testKilled() })
	t.Run("reverted while it runs", func(t *testing.T) { r.t = t; r.testInProgress() })
	t.Run("everybody is killed", func(t *testing.T) { r.t = t; r.testNobodyLeft() })
	t.Run("the ledger is lost", func(t *testing.T) { r.t = t; r.testByLabel() })
	t.Run("no answer at the end", func(t *testing.T) { r.t = t; r.testNoAnswer() })
}

func (r *clusterRig) testPlan() {
	out := r.gameday(0, "plan", "--manifests", "manifests", "day.hcl")
	for _, want := range []string{"process_kill (PodChaos) cart", "action: pod-kill", "chaos_mesh (PodChaos)", "action: pod-failure", "context ",
		"what the manifest of fault frozen says", "PodChaos hits 2 pods: shop/cart-"} {
		if !strings.Contains(out, want) {
			r.t.Errorf("%q is not in the plan:\n%s", want, out)
		}
	}
	for _, name := range []string{"crash-cart-[12].yaml", "frozen-cluster.yaml"} { // which one is picked, the names of the pods decide
		files, err := filepath.Glob(filepath.Join(r.dir, "manifests", name))
		if err != nil || len(files) != 1 {
			r.t.Fatalf("%s: %v, %v", name, files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil || !strings.Contains(string(text), "kind: PodChaos") {
			r.t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	if left := r.objects(); len(left) > 0 {
		r.t.Errorf("the plan made %v", left)
	}
	r.t.Log(out)
	// A policy weighs whom the manifest hits: two pods are no more than two, and more than one.
	for most, want := range map[int]string{1: "fault frozen on cluster: the fault touches 2 places and may touch 1", 2: ""} {
		code := 0
		if want != "" {
			code = 2
		}
		file := filepath.Join(r.dir, "policy.hcl")
		if err := os.WriteFile(file, fmt.Appendf(nil, "deny {\n  nodes = [\"label:tier=db\"]\n}\nat_most {\n  places = %d\n}\n", most), 0o644); err != nil {
			r.t.Fatal(err)
		}
		text := strings.Join(strings.Fields(r.gameday(code, "plan", "--policy", "policy.hcl", "day.hcl")), " ")
		if !strings.Contains(text, want) || want == "" && strings.Contains(text, "fault frozen on cluster: ") {
			r.t.Errorf("a policy of %d places: %q is not in\n%s", most, want, text)
		}
	}
}

func (r *clusterRig) testRun() {
	before := r.pods()
	if err := os.Mkdir(filepath.Join(r.dir, "bucket"), 0o755); err != nil {
		r.t.Fatal(err)
	}
	out := r.gameday(0, "run", "--record", "rec", "--copy-to", "bucket", "day.hcl")
	r.t.Log(out)
	if own, copied := r.gameday(0, "report", "--json", "rec"), r.gameday(0, "report", "--json", "bucket/rec"); own != copied {
		r.t.Errorf("the copy tells something else:\n%s", copied)
	}
	if !strings.Contains(out, "2 faults injected, 2 gone; nothing left on any target") {
		r.t.Errorf("the scorecard:\n%s", out)
	}
	rec, err := report.Read(filepath.Join(r.dir, "rec"))
	if err != nil {
		r.t.Fatal(err)
	}
	back, ready := "", report.Readiness{}
	for _, e := range rec.Events {
		if e.Kind == report.PodsReady {
			if err := json.Unmarshal(e.Data, &ready); err != nil {
				r.t.Fatal(err)
			}
		}
		if e.Kind == report.Recovered {
			var c report.Comeback
			if err := json.Unmarshal(e.Data, &c); err != nil {
				r.t.Fatal(err)
			}
			back = c.Effect.Summary
		}
	}
	old, now, found := strings.Cut(back, " → ")
	now, isReady := strings.CutSuffix(now, ", which is ready")
	if !found || !isReady || !named(before, strings.TrimPrefix(old, "pod ")) || named(before, now) || !named(r.pods(), now) {
		r.t.Errorf("the comeback is %q; before: %v, now: %v", back, before, r.pods())
	}
	if ready.Fault != "frozen" || len(ready.Pods) != 2 || ready.At.IsZero() || len(ready.Not) > 0 {
		r.t.Errorf("its pods were Ready again: %+v", ready)
	}
	if it, err := report.Score(rec).Find("recovery.frozen.ready"); err != nil || it.Outcome != clock.Met || it.Latency == nil {
		r.t.Errorf("%v, the item is %+v", err, it)
	}
	if left := r.objects(); len(left) > 0 {
		r.t.Errorf("left: %v", left)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "rec", report.SourceDir, "frozen.yaml"))
	if err != nil || string(text) != frozen {
		r.t.Errorf("the manifest in the record: %v\n%s", err, text)
	}
}

func named(pods []clusterPod, name string) bool {
	for _, p := range pods {
		if p.Metadata.Name == name {
			return true
		}
	}
	return false
}

// start runs the long game day until the object of its manifest stands.
func (r *clusterRig) start(rec string) *longRun {
	r.t.Helper()
	c := r.command("run", "--record", rec, "long.hcl")
	out := &strings.Builder{}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	events := filepath.Join(r.dir, rec, report.EventsFile)
	kuberig.Eventually(r.t, 60*time.Second, "the object stands", func() bool {
		select {
		case err := <-ended:
			r.t.Fatalf("gameday ended: %v:\n%s", err, out)
		default:
		}
		text, _ := os.ReadFile(events)
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"`+string(report.Injected)+`"`) && strings.Contains(line, `"frozen"`) {
				return true
			}
		}
		return false
	})
	if n := len(r.objects()); n != 1 {
		r.t.Fatalf("%d objects stand, want that of frozen; gameday said:\n%s", n, out)
	}
	return &longRun{pid: c.Process.Pid, ended: ended}
}

// longRun is a gameday that runs.
type longRun struct {
	pid   int
	ended <-chan error
}

// guardOf returns the process id of the gameday-kubernetes that a process started.
func (r *clusterRig) guardOf(parent int) int {
	r.t.Helper()
	text, err := exec.Command("pgrep", "-P", fmt.Sprint(parent), "gameday-kubern").Output()
	pid := 0
	if _, scan := fmt.Sscan(string(text), &pid); err != nil || scan != nil {
		r.t.Fatalf("gameday started no gameday-kubernetes: %q, %v", text, err)
	}
	return pid
}

// end kills processes by their ids, and waits for gameday.
func (r *clusterRig) end(c *longRun, pids ...int) {
	r.t.Helper()
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			r.t.Error(err)
		}
	}
	<-c.ended
}

// testKilled kills gameday alone: its guard lets go.
func (r *clusterRig) testKilled() {
	c := r.start("rec-killed")
	r.end(c, c.pid)
	kuberig.Eventually(r.t, 30*time.Second, "the guard has lifted it", func() bool { return len(r.objects()) == 0 })
	kuberig.Eventually(r.t, 10*time.Second, "the guard has closed its entry", func() bool { return r.entries() == 0 })
}

// entries counts what stands in the ledger.
func (r *clusterRig) entries() int {
	all, err := filepath.Glob(filepath.Join(r.dir, "ledger", "*.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(all)
}

// testNobodyLeft kills gameday and its guard: the ledger knows.
func (r *clusterRig) testNobodyLeft() {
	c := r.start("rec-nobody")
	r.end(c, r.guardOf(c.pid), c.pid)
	if out := r.gameday(5, "run", "--record", "rec-refused", "day.hcl"); !strings.Contains(out, "left standing since") || !strings.Contains(out, "frozen (chaos_mesh) on cluster") {
		r.t.Errorf("a run over what stands:\n%s", out)
	}
	r.elsewhere()
	if out := r.gameday(0, "revert"); !strings.Contains(out, "reverted frozen (chaos_mesh) on cluster") {
		r.t.Errorf("revert:\n%s", out)
	}
	if left := r.objects(); len(left) > 0 || r.entries() > 0 {
		r.t.Errorf("left: %v, and %d entries", left, r.entries())
	}
	r.gameday(0, "revert", "--quiet")
}

// testByLabel kills both, and takes the ledger away: the labels in the cluster tell.
func (r *clusterRig) testByLabel() {
	c := r.start("rec-label")
	r.end(c, r.guardOf(c.pid), c.pid)
	if err := os.RemoveAll(filepath.Join(r.dir, "ledger")); err != nil {
		r.t.Fatal(err)
	}
	if out := r.gameday(0, "revert", "--kubernetes", "--kubeconfig", "kubeconfig", "--run", "another"); !strings.Contains(out, "nothing of gameday's run another is left in the cluster that could be lifted; reached https://") || !strings.Contains(out, "(context ") || len(r.objects()) != 1 {
		r.t.Errorf("of another run:\n%s", out)
	}
	if out := r.gameday(0, "revert", "--kubernetes", "--kubeconfig", "kubeconfig"); !strings.Contains(out, "lifted frozen (PodChaos shop/gameday-frozen-") {
		r.t.Errorf("by label:\n%s", out)
	}
	if left := r.objects(); len(left) > 0 {
		r.t.Errorf("left: %v", left)
	}
}

// testInProgress goes by label while a game day runs here: its faults and what sends its traffic are left alone until it is over.
func (r *clusterRig) testInProgress() {
	c := r.start("rec-progress")
	var list struct {
		Items []struct {
			Metadata struct{ Annotations map[string]string }
		}
	}
	if err := r.Get(meshObjects, &list); err != nil || len(list.Items) != 1 {
		r.t.Fatalf("%v, %+v", err, list)
	}
	run := list.Items[0].Metadata.Annotations[cluster.AnnotationRun]
	const secrets = "/api/v1/namespaces/shop/secrets"
	err := r.Post(secrets, object{"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "gameday-shoppers",
		"labels": object{cluster.LabelManaged: cluster.Manager}, "annotations": object{cluster.AnnotationRun: run}}}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	out := r.gameday(0, "revert", "--kubernetes", "--kubeconfig", "kubeconfig")
	for _, want := range []string{"and its guard lives: it is left alone", "Secret shop/gameday-shoppers", "is of a run in progress here, and left alone: `gameday stop " + run} {
		if !strings.Contains(out, want) {
			r.t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if err := r.Get(secrets+"/gameday-shoppers", nil); err != nil || len(r.objects()) != 1 {
		r.t.Errorf("what a run in progress has was touched: %v, %v", err, r.objects())
	}
	r.end(c, r.guardOf(c.pid), c.pid)
	if out := r.gameday(0, "revert", "--kubernetes", "--kubeconfig", "kubeconfig"); strings.Count(out, "frozen (") != 1 || !strings.Contains(out, "lifted frozen (PodChaos shop/") {
		r.t.Errorf("of one fault it says:\n%s", out)
	}
	if err := r.Get(secrets+"/gameday-shoppers", nil); err == nil || len(r.objects()) > 0 || r.entries() > 0 {
		r.t.Errorf("left: %v, %v, %d entries", err, r.objects(), r.entries())
	}
}
