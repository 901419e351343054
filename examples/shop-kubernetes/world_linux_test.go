package shopkubernetes

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"gameday/clock"
	"gameday/faults/cluster"
	"gameday/internal/dockerrig"
	"gameday/internal/kuberig"
	"gameday/internal/kuberig/node"
	"gameday/report"
)

// limit bounds one game day, which takes 105 s.
const limit = 5 * time.Minute

// TestGameDay runs this folder as it stands, on a real API server with the real controllers of Kubernetes and of Chaos Mesh: the
// shop, its people and gameday itself are containers of the images that the Containerfiles describe, the faults are done by the
// real chaos-daemon, traffic comes from the pods of Jobs, and the verdict is read where a user would read it. Only names are resolved
// by lines in the pods' own hosts files, since there is no DNS and no kube-proxy here. A game day that came to know too little is held once
// more, as whoever runs it would.
func TestGameDay(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{Controllers: kuberig.Workloads})
	n := node.Start(t, c, node.Options{Names: []string{"node-1"}, Daemon: true})
	images(t, n.Engine)
	w := &world{t: t, c: c, node: n, rest: manifests(t, c)}

	// What has no pods first, then each Deployment as soon as those whose names it knows have addresses.
	w.apply(func(o object) bool { return o["kind"] != "Deployment" && o["kind"] != "CronJob" })
	w.secret()
	w.apply(named("ledger"))
	w.resolve("ledger", w.address("shop", "app=ledger", true), "shop")
	w.apply(named("payments"))
	w.resolve("payments", w.address("shop", "app=payments", true), "shop")
	w.apply(named("storefront"))
	w.resolve("storefront", w.address("shop", "app=storefront", true), "gameday")
	w.apply(named("game-day"))
	job := "today"
	w.begin(job)
	w.apply(func(object) bool { return true }) // ann and bob
	end := w.end(job)
	if w.unsure(end) {
		t.Logf("once more, for the first game day came to know too little. It ended with %d:\n%s", end.code, end.printed)
		job = "again"
		w.begin(job)
		w.wake("ann", "bob")
		end = w.end(job)
	}
	w.verdict(job, end)
	w.gone()
}

// begin starts a Job of the CronJob, and lets others know where it is.
func (w *world) begin(job string) {
	w.t.Helper()
	if out, err := w.c.Kubectl(w.t.Context(), "", "-n", "gameday", "create", "job", job, "--from=cronjob/game-day"); err != nil {
		w.t.Fatal(err, out)
	}
	w.resolve("gameday", w.address("gameday", "batch.kubernetes.io/job-name="+job, false), "gameday")
}

// wake replaces the pods of people, which know names by the addresses of when they were made.
func (w *world) wake(people ...string) {
	w.t.Helper()
	for _, p := range people {
		if out, err := w.c.Kubectl(w.t.Context(), "", "-n", "gameday", "delete", "pods", "-l", "person="+p, "--timeout=50s"); err != nil {
			w.t.Fatal(err, out)
		}
		w.address("gameday", "person="+p, true)
	}
}

type object = map[string]any

// world is a cluster with the example in it.
type world struct {
	t    *testing.T
	c    *kuberig.Cluster
	node *node.Node
	rest []object // what is not applied yet
}

// images makes those that the manifests name.
func images(t *testing.T, e *dockerrig.Engine) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	make := exec.Command("make", "-C", "../..", "image-root", "IMAGE_ROOT="+root)
	make.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("making the root of the image: %v\n%s", err, out)
	}
	lines, err := dockerrig.Settings("../../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ImportRoot(t.Context(), "registry.example/gameday", root, lines...); err != nil {
		t.Fatal(err)
	}
	if err := e.Import(t.Context(), "registry.example/shop", "../../bin/shop", "../../bin/oncall"); err != nil {
		t.Fatal(err)
	}
}

// manifests returns what kustomize makes of this folder.
func manifests(t *testing.T, c *kuberig.Cluster) (out []object) {
	t.Helper()
	text, err := c.Kubectl(t.Context(), "", "kustomize", ".")
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var o object
		if d.Decode(&o) != nil {
			break
		}
		out = append(out, o)
	}
	if len(out) < 20 {
		t.Fatalf("kustomize makes %d objects:\n%s", len(out), text)
	}
	return out
}

// named picks the workload of a name.
func named(name string) func(object) bool {
	return func(o object) bool {
		return (o["kind"] == "Deployment" || o["kind"] == "CronJob") && o["metadata"].(object)["name"] == name
	}
}

// resolve lets pods of a namespace know a Service by its one pod's address.
func (w *world) resolve(name, address, namespace string) { w.node.Resolve(namespace, name, address) }

// apply applies those of the objects that are picked, as they are.
func (w *world) apply(pick func(object) bool) {
	w.t.Helper()
	var text strings.Builder
	var rest []object
	for _, o := range w.rest {
		if !pick(o) {
			rest = append(rest, o)
			continue
		}
		one, err := yaml.Marshal(o)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s", one)
	}
	w.rest = rest
	if _, err := w.c.Kubectl(w.t.Context(), text.String(), "apply", "--validate=strict", "-f", "-"); err != nil {
		w.t.Fatal(err)
	}
}

// secret is there for a node that does not know of optional ones.
func (w *world) secret() {
	w.t.Helper()
	if _, err := w.c.Kubectl(w.t.Context(), "", "-n", "gameday", "create", "secret", "generic", "gameday"); err != nil {
		w.t.Fatal(err)
	}
}

// pods are those of a selector, as far as they are read here.
type pods struct {
	Items []struct {
		Metadata struct{ Name string }
		Status   struct {
			Phase, PodIP      string
			Conditions        []struct{ Type, Status string }
			ContainerStatuses []struct {
				RestartCount int
				State        struct{ Terminated *struct{ ExitCode int } }
			}
		}
	}
}

func (w *world) pods(namespace, selector string) (p pods) {
	w.t.Helper()
	if err := w.c.Get("/api/v1/namespaces/"+namespace+"/pods?labelSelector="+strings.ReplaceAll(selector, "=", "%3D"), &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// address awaits the one pod of a selector, and returns its address; where it is wanted, also that it is ready.
func (w *world) address(namespace, selector string, ready bool) (ip string) {
	w.t.Helper()
	kuberig.Eventually(w.t, time.Minute, selector+" has an address", func() bool {
		p := w.pods(namespace, selector)
		if len(p.Items) != 1 || p.Items[0].Status.PodIP == "" {
			return false
		}
		ip = p.Items[0].Status.PodIP
		for _, c := range p.Items[0].Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				return true
			}
		}
		return !ready
	})
	return ip
}

// ending is how a game day ended.
type ending struct {
	code    int
	printed string
	sent    map[string]string // the streams of the runners that were seen, by their pods
}

// end awaits the end of a Job.
func (w *world) end(job string) ending {
	t := w.t
	t.Helper()
	e := ending{code: -1, sent: map[string]string{}}
	kuberig.Eventually(t, limit, "the game day is over", func() bool {
		w.runners(e.sent)
		p := w.pods("gameday", "batch.kubernetes.io/job-name="+job).Items
		if len(p) != 1 || len(p[0].Status.ContainerStatuses) == 0 {
			return false
		}
		if id := w.node.Container("gameday", p[0].Metadata.Name, "gameday"); id != "" {
			if text, err := w.node.Engine.LogOf(t.Context(), id); err == nil {
				e.printed = text
			}
		}
		end := p[0].Status.ContainerStatuses[0].State.Terminated
		if end == nil {
			return false
		}
		e.code = end.ExitCode
		return true
	})
	return e
}

// unsure reports whether the first game day is inconclusive only in that something is not known: the machine had no time for it, or for the
// shop before there was any fault. Nothing missed, and nothing left standing, gets a second chance.
func (w *world) unsure(e ending) bool {
	w.t.Helper()
	if e.code != 3 {
		return false
	}
	found, err := filepath.Glob(filepath.Join(w.node.Claim("gameday", "records"), "*", "*", report.EventsFile))
	if err != nil || len(found) != 1 {
		w.t.Fatalf("the records are %q, %v", found, err)
	}
	rec, err := report.Read(filepath.Dir(found[0]))
	if err != nil {
		w.t.Fatal(err)
	}
	card := report.Score(rec)
	for _, p := range card.Parts {
		for _, it := range p.Items {
			if it.Outcome == clock.Missed {
				return false
			}
		}
	}
	return !card.Residue
}

// verdict holds how a Job ended to what was to come out: its exit code, the log, the Event, and that its traffic came from pods.
func (w *world) verdict(job string, e ending) {
	t := w.t
	t.Helper()
	t.Logf("exit code %d\n%s", e.code, e.printed)
	for _, want := range []string{"PASSED", "3 faults injected, 3 gone"} {
		if !strings.Contains(e.printed, want) {
			t.Errorf("the scorecard does not say %q", want)
		}
	}
	if e.code != 0 {
		t.Errorf("exit code %d", e.code)
	}
	t.Logf("traffic came from %v", e.sent)
	if got := slices.Sorted(maps.Values(e.sent)); !slices.Equal(got, []string{"browse", "browse", "buy", "receipts"}) {
		t.Errorf("the streams whose runners ran as pods are %q", got)
	}
	events, err := w.c.Kubectl(t.Context(), "", "-n", "gameday", "get", "events", "--field-selector=involvedObject.name="+job, "-o",
		"custom-columns=R:.reason,T:.type,M:.message", "--no-headers")
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + events)
	if !strings.Contains(events, "GameDayPassed") || !strings.Contains(events, "shop-game-day: PASSED") {
		t.Error("no Event about the Job tells that it passed")
	}
	out, err := w.c.Kubectl(t.Context(), "", "-n", "gameday", "wait", "--for=condition=complete", "--timeout=30s", "job/"+job)
	if err != nil {
		t.Error(out, err)
	}
}

// runners adds to what is known of pods of runners the streams of those that run now, in containers of the engine of the image that the
// manifests have for gameday.
func (w *world) runners(sent map[string]string) {
	w.t.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				Name   string
				Labels map[string]string
			}
			Status struct {
				ContainerStatuses []struct{ Name, Image string }
			}
		}
	}
	if err := w.c.Get("/api/v1/namespaces/gameday/pods?labelSelector="+cluster.LabelRunners, &list); err != nil {
		w.t.Fatal(err)
	}
	for _, p := range list.Items {
		if len(p.Status.ContainerStatuses) != 1 || sent[p.Metadata.Name] != "" {
			continue
		}
		c := p.Status.ContainerStatuses[0]
		id := w.node.Container("gameday", p.Metadata.Name, c.Name)
		if id == "" || c.Image != "registry.example/gameday:latest" {
			continue
		}
		if s, err := w.node.Engine.State(w.t.Context(), id); err == nil && s.Running {
			sent[p.Metadata.Name] = p.Metadata.Labels[cluster.LabelTraffic]
		}
	}
}

// gone looks that nothing of the game day is left: no fault of anybody's, and nothing that its traffic needed.
func (w *world) gone() {
	w.t.Helper()
	for _, args := range [][]string{{"-n", "shop", "get", "podchaos,networkchaos"}, {"-n", "gameday", "get", "jobs,pods,secrets", "-l", cluster.LabelManaged + "=" + cluster.Manager}} {
		left, err := w.c.Kubectl(w.t.Context(), "", append(args, "-o", "name")...)
		if err != nil || left != "" && !strings.Contains(left, "No resources") {
			w.t.Errorf("left in the cluster: %s %v", left, err)
		}
	}
}
