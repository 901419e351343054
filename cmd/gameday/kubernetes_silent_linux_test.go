package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/internal/kuberig"
	"gameday/report"
)

// testNoAnswer stops the API server when every fault of a game day was seen to go, and nothing is left to do but to look for more. The
// game day is no pass then, and nobody reads that it is clean. Of one whose fault stands when the server stops, the fault is left.
func (r *clusterRig) testNoAnswer() {
	for _, c := range []struct {
		day   string
		after report.EventKind // of the manifest's fault
		code  int
		want  []string
	}{
		{"day.hcl", report.Reverted, 3, []string{"INCONCLUSIVE", "safety    unproven   2 faults injected, 2 gone; nothing is known to be left, but whether the cluster has more",
			"Why: it is not known that nothing is left: "}},
		{"day.hcl", report.Injected, 5, []string{"RESIDUE", "LEFT STANDING: frozen on cluster", "whether the cluster has more"}},
	} {
		r.settle()
		rec := "rec-silent-" + string(c.after)
		run := r.command("run", "--record", rec, c.day)
		out := &strings.Builder{}
		run.Stdout, run.Stderr = out, out
		if err := run.Start(); err != nil {
			r.t.Fatal(err)
		}
		events := filepath.Join(r.dir, rec, report.EventsFile)
		kuberig.Eventually(r.t, 60*time.Second, "frozen is "+string(c.after), func() bool {
			text, _ := os.ReadFile(events)
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, `"`+string(c.after)+`"`) && strings.Contains(line, `"frozen"`) {
					return true
				}
			}
			return false
		})
		r.StopAPI()
		err := run.Wait()
		if err := r.StartAPI(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
		if got := run.ProcessState.ExitCode(); got != c.code {
			r.t.Errorf("after %s: exit code %d (%v), want %d", c.after, got, err, c.code)
		}
		r.t.Log(out)
		plain := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range append(c.want, "`gameday revert --kubernetes --kubeconfig ", " looks again") {
			if !strings.Contains(plain, strings.Join(strings.Fields(want), " ")) {
				r.t.Errorf("%q is not in what is said after %s", want, c.after)
			}
		}
		if strings.Contains(plain, "safety clean") {
			r.t.Error("it is clean")
		}
		r.gameday(0, "revert", "--quiet")
		if left := r.objects(); len(left) > 0 || r.entries() > 0 {
			r.t.Errorf("left: %v, and %d entries", left, r.entries())
		}
	}
}

// settle waits until the controllers have found the API server again, which may take each of their watches a minute after an outage: Chaos
// Mesh's take up an object and kill a pod, the pod is replaced, and they know of the new one. One that they cannot find, they do not look for
// again.
func (r *clusterRig) settle() {
	r.t.Helper()
	before := map[string]bool{}
	for _, p := range r.pods() {
		before[p.Metadata.UID] = true
	}
	isNew := func(p clusterPod) bool { return !before[p.Metadata.UID] }
	r.postKill("settled", object{"namespaces": []string{"shop"}, "labelSelectors": object{"app": "cart"}})
	name := ""
	kuberig.Eventually(r.t, 2*time.Minute, "a pod is killed and replaced", func() bool {
		pods := r.pods()
		if i := slices.IndexFunc(pods, isNew); i >= 0 {
			name = pods[i].Metadata.Name
		}
		return name != "" && r.ready() == 2
	})
	tries, next := 0, time.Now()
	kuberig.Eventually(r.t, 2*time.Minute, "the new pod is known", func() bool {
		if !time.Now().Before(next) {
			tries++
			r.postKill(fmt.Sprintf("known-%d", tries), object{"pods": object{"shop": []string{name}}})
			next = time.Now().Add(3 * time.Second)
		}
		now := r.pods()
		return len(now) > 0 && !named(now, name) // none are known of a server that did not answer
	})
	if err := r.Delete(meshObjects); err != nil { // all of them
		r.t.Fatal(err)
	}
	kuberig.Eventually(r.t, 2*time.Minute, "the objects are gone", func() bool { return len(r.objects()) == 0 })
	kuberig.Eventually(r.t, 2*time.Minute, "two pods are ready", func() bool { return r.ready() == 2 })
}

// postKill has Chaos Mesh kill one of the pods that are selected.
func (r *clusterRig) postKill(name string, selector object) {
	r.t.Helper()
	err := r.Post(meshObjects, object{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodChaos", "metadata": object{"name": name},
		"spec": object{"action": "pod-kill", "mode": "one", "selector": selector}}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
}
