package chaosmesh

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

// planned is what a mapping puts into a cluster.
func planned(t *testing.T, m mapping) *object {
	t.Helper()
	kind, _ := kindNamed(m.kind)
	config := kind.New()
	if err := readConfig([]byte(m.config), config); err != nil {
		t.Fatal(err)
	}
	o, err := planFor(m.kind, config, m.place, time.Minute+Margin)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestWebhooksOfMappings asks Chaos Mesh's checks, without a cluster, about every object that a fault becomes.
func TestWebhooksOfMappings(t *testing.T) {
	for _, m := range mappings {
		made, err := render(m.request())
		if err != nil {
			t.Fatal(err)
		}
		read, found := decode(made.YAML)
		if len(found) == 0 {
			found = read.complaints()
		}
		if err := found.asError(); err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, made.YAML)
		}
	}
}

// TestRealWebhooks asks a real cluster with Chaos Mesh's real admission webhooks about every object that a fault becomes and every
// example that is a fault, all of which it takes, and about manifests of which the same checks complain without a cluster: it refuses
// them too.
func TestRealWebhooks(t *testing.T) {
	k := shop(t, kuberig.Options{})
	if err := k.Namespace("bank"); err != nil {
		t.Fatal(err)
	}
	c, err := connect(access(k))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mappings {
		u, err := planned(t, m).owned(faults.Owner{Run: "r1", Injection: "r1-" + m.name, Fault: m.kind, Scenario: "checkout"}, "ann@laptop", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := create(t, c, u, true); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	for _, kind := range faultKinds() {
		u := plain(t, example(t, kind))
		u.SetName("example")
		if err := create(t, c, u, true); err != nil {
			t.Errorf("the example of %s: %v", kind, err)
		}
	}
	for kind, change := range refusedByWebhooks {
		content := strings.Replace(example(t, kind), change[0], change[1], 1)
		m, found := decode(content)
		if len(found) > 0 {
			t.Fatalf("%s: %v", kind, found.asError())
		}
		if found := m.complaints(); !slices.ContainsFunc(found, func(one mistake) bool { return one.summary == "Refused by Chaos Mesh" }) {
			t.Errorf("%s with %q: nothing is said without a cluster", kind, change[1])
		}
		u := plain(t, content)
		u.SetName("wrong")
		if err := create(t, c, u, true); err == nil {
			t.Errorf("%s with %q: the cluster takes it", kind, change[1])
		} else {
			t.Logf("%s: %v", kind, err)
		}
	}
}

// refusedByWebhooks are changes to examples, by kind, of which Chaos Mesh's webhooks complain and no schema does.
var refusedByWebhooks = map[string][2]string{
	"NetworkChaos":         {"rate: 10mbps", "rate: fast"},
	"StressChaos":          {"size: 256MB", "size: 256 bananas"},
	"TimeChaos":            {"timeOffset: 24h", "timeOffset: tomorrow"},
	"PhysicalMachineChaos": {`percent: "10"`, `percent: "110"`},
	"Schedule":             {"*/2 * * * *", "now and then"},
	"Workflow":             {"entry: all", "entry: everything"},
	"PodChaos":             {`value: "34"`, `value: "134"`},
	"GCPChaos":             {"  deviceNames: [data]\n", ""},
	"AWSChaos":             {"  deviceName: /dev/sdf\n", ""},
}

// TestMappedFaults injects faults as scenarios have them, by their own kinds and settings, into a real cluster with Chaos Mesh's real
// controllers. None of them needs a chaos-daemon.
func TestMappedFaults(t *testing.T) {
	k := shop(t, kuberig.Options{})
	a := access(k)
	const manifest = "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {name: mine, namespace: shop}\n" +
		"spec: {action: %s, mode: all, selector: {pods: {shop: [%s]}}}\n"
	ask := func(kind, id, config string, p faults.Place) guard.InjectRequest {
		return guard.InjectRequest{ID: id, Run: "r1", Scenario: "drill", Fault: id, Kind: kind, Config: json.RawMessage(config), Place: p,
			Lease: time.Minute, Deadline: time.Minute, EffectTimeout: 20 * time.Second}
	}
	content := func(action, pod string, final bool) string {
		text, err := json.Marshal(cluster.ChaosMesh{Manifest: "mine.yaml", CannotRevert: final, Content: fmt.Sprintf(manifest, action, pod)})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	pod := func(name string) faults.Place {
		k.Pod(t, "shop", name, "node-1", "app", "cart")
		return podPlace(t, a, "shop", name)
	}
	gone := func(name string) bool {
		return kuberig.IsCode(k.Get("/api/v1/namespaces/shop/pods/"+name, nil), 404)
	}
	g := startGuard(t, t.TempDir(), "")
	inject := func(r guard.InjectRequest) {
		t.Helper()
		in, err := g.Inject(t.Context(), r)
		if err != nil || !in.Effect.Proven {
			t.Fatalf("%s: %+v, %v", r.ID, in, err)
		}
		t.Logf("%s: %s", r.ID, in.Effect.Summary)
	}

	inject(ask("process_kill", "kill", `{}`, pod("kill-1")))
	if !gone("kill-1") || len(left(t, a)) > 0 {
		t.Errorf("the pod is gone: %v; left: %q", gone("kill-1"), left(t, a))
	}

	inject(ask("node_restart", "restart", `{"down_for": "15s"}`, pod("restart-1")))
	if image(t, k, "restart-1") == "none" {
		t.Error("the pod runs its own image still")
	}
	if e := event(t, g); e.Type != guard.EventOver || e.ID != "restart" {
		t.Errorf("the guard says %+v", e)
	}
	if image(t, k, "restart-1") != "none" || len(left(t, a)) > 0 {
		t.Errorf("image %s; left: %q", image(t, k, "restart-1"), left(t, a))
	}

	everywhere := faults.Place{Name: "cluster", Cluster: &faults.Cluster{Access: a}}
	pod("mine-1")
	inject(ask("chaos_mesh", "mine", content("pod-failure", "mine-1", false), everywhere))
	if l := left(t, a); len(l) != 1 || !strings.Contains(l[0], "gameday-mine-") || image(t, k, "mine-1") == "none" {
		t.Errorf("image %s; there is %q", image(t, k, "mine-1"), l)
	}
	if err := g.Revert(t.Context(), "mine"); err != nil {
		t.Fatal(err)
	}
	if image(t, k, "mine-1") != "none" || len(left(t, a)) > 0 {
		t.Errorf("image %s; left: %q", image(t, k, "mine-1"), left(t, a))
	}

	pod("mine-2")
	inject(ask("chaos_mesh", "shot", content("pod-kill", "mine-2", true), everywhere))
	if !gone("mine-2") || len(left(t, a)) > 0 {
		t.Errorf("the pod is gone: %v; left: %q", gone("mine-2"), left(t, a))
	}

	_, err := g.Inject(t.Context(), ask("network_delay", "ports", `{"to": ["192.0.2.1"], "ports": [80]}`, pod("ports-1")))
	says(t, err, "ports", "whole addresses")
}
