package deploy

import (
	"context"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"gameday/internal/dockerrig"
	"gameday/internal/kuberig"
	"gameday/internal/kuberig/node"
)

// TestDeletedPod has somebody delete the pod of a game day whose fault stands: the kubelet says SIGTERM and waits. The fault is to be
// lifted within that time, and the run to tell that it was stopped.
func TestDeletedPod(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{Controllers: kuberig.Workloads})
	n := node.Start(t, c, node.Options{})
	lines, err := dockerrig.Settings("../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Engine.ImportRoot(t.Context(), "registry.example/gameday", imageRoot(t), lines...); err != nil {
		t.Fatal(err)
	}
	if err := n.Engine.Import(t.Context(), "shop", "../bin/shop"); err != nil {
		t.Fatal(err)
	}
	kubectl := func(stdin string, args ...string) string {
		t.Helper()
		out, err := c.Kubectl(t.Context(), stdin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	kubectl("", "create", "namespace", "shop")
	kubectl("", "apply", "-k", base)
	kubectl("", "-n", "gameday", "create", "secret", "generic", "gameday") // this node knows of no optional ones
	kubectl("", "-n", "gameday", "create", "configmap", "stop", "--from-file=game-day.hcl=testdata/stop.hcl")
	kubectl("", "-n", "shop", "run", "ledger", "--image=shop", "--labels=app=ledger", "--command", "--", "/shop", "ledger")
	var address string
	kuberig.Eventually(t, 30*time.Second, "the ledger runs", func() bool {
		address, _ = c.Kubectl(t.Context(), "", "-n", "shop", "get", "pod", "ledger", "-o", `jsonpath={.status.podIP}`)
		ready, err := c.Kubectl(t.Context(), "", "-n", "shop", "get", "pod", "ledger", "-o", `jsonpath={.status.containerStatuses[0].ready}`)
		return err == nil && ready == "true" && address != ""
	})
	kubectl(job(t, kubectl("", "-n", "gameday", "create", "job", "stop", "--from=cronjob/game-day", "--dry-run=client", "-o", "yaml"), address), "apply", "-f", "-")

	kuberig.Eventually(t, time.Minute, "the fault stands", func() bool {
		out, err := c.Kubectl(t.Context(), "", "-n", "shop", "get", "podchaos", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="AllInjected")].status}`)
		return err == nil && out == "True"
	})
	// While it stands, it says whose it is, and that it lapses.
	t.Log(kubectl("", "-n", "shop", "get", "podchaos", "-o", `jsonpath={.items[0].metadata.annotations}{"\n"}duration {.items[0].spec.duration}`))
	pod := kubectl("", "-n", "gameday", "get", "pod", "-l", "batch.kubernetes.io/job-name=stop", "-o", "name")
	asked := time.Now()
	kubectl("", "-n", "gameday", "delete", strings.TrimSpace(pod), "--wait=false")
	kuberig.Eventually(t, time.Minute, "the fault is lifted", func() bool {
		out, err := c.Kubectl(t.Context(), "", "-n", "shop", "get", "podchaos", "-o", "name")
		return err == nil && out == ""
	})
	t.Logf("lifted %s after the pod was deleted", time.Since(asked).Round(100*time.Millisecond))
	var events string
	kuberig.Eventually(t, time.Minute, "the cluster is told that it was stopped", func() bool {
		events, _ = c.Kubectl(t.Context(), "", "-n", "gameday", "get", "events", "--field-selector=involvedObject.kind=Job,involvedObject.name=stop", "-o",
			"custom-columns=R:.reason,T:.type,M:.message", "--no-headers")
		return strings.Contains(events, "GameDayAborted")
	})
	t.Log("\n" + events)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := c.Kubectl(ctx, "", "-n", "gameday", "wait", "--for=condition=failed", "--timeout=30s", "job/stop"); err != nil {
		t.Error(out, err)
	}
	if again := strings.Count(events, "SuccessfulCreate"); again != 1 {
		t.Errorf("%d pods were made for the Job: a stopped game day is not to begin again", again)
	}
}

// job returns a Job of another scenario, whose pod knows the ledger by its name.
func job(t *testing.T, text, ledger string) string {
	t.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	spec := o["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	spec["hostAliases"] = []any{map[string]any{"ip": ledger, "hostnames": []string{"ledger"}}}
	for _, v := range spec["volumes"].([]any) {
		if v := v.(map[string]any); v["name"] == "scenario" {
			v["configMap"] = map[string]any{"name": "stop"}
		}
	}
	out, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
