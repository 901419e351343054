package chaosmesh

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
	"gameday/policy"
)

// manifestOf is a fault of an object that stands in a manifest: JSON is YAML.
func manifestOf(t *testing.T, o tree, final bool) *cluster.ChaosMesh {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster.ChaosMesh{Manifest: "drill.yaml", Content: string(text), CannotRevert: final}
}

// radiusCases are selectors of every sort.
func radiusCases() []radiusCase {
	return []radiusCase{
		{"labels", tree{"labelSelectors": tree{"app": "cart"}}, "all", "", []string{"shop/cart-1", "shop/cart-2", "shop/cart-3"}},
		{"expressions", tree{"expressionSelectors": []tree{{"key": "tier", "operator": "In", "values": []string{"front"}}}}, "all", "", []string{"shop/cart-1", "shop/web-1"}},
		{"both", tree{"labelSelectors": tree{"app": "cart"}, "expressionSelectors": []tree{{"key": "tier", "operator": "DoesNotExist"}}}, "all", "", []string{"shop/cart-2", "shop/cart-3"}},
		{"fields", tree{"fieldSelectors": tree{"spec.nodeName": "node-2"}}, "all", "", []string{"shop/cart-3", "shop/web-1"}},
		{"annotations", tree{"annotationSelectors": tree{"team": "shop"}}, "all", "", []string{"shop/cart-2"}},
		{"nodes", tree{"nodes": []string{"node-2"}, "labelSelectors": tree{"app": "cart"}}, "all", "", []string{"shop/cart-3"}},
		{"labels of nodes", tree{"nodeSelectors": tree{"disk": "slow"}}, "all", "", []string{"shop/cart-3", "shop/web-1"}},
		{"phases", tree{"labelSelectors": tree{"app": "cart"}, "podPhaseSelectors": []string{"Running"}}, "all", "", []string{"shop/cart-1", "shop/cart-2"}},
		{"names", tree{"pods": tree{"shop": []string{"web-1", "gone-1"}, "yard": []string{"shed-1"}}, "labelSelectors": tree{"app": "cart"}}, "all", "", []string{"shop/web-1", "yard/shed-1"}},
		{"namespaces", tree{"namespaces": []string{"shop", "yard"}, "labelSelectors": tree{"tier": "front"}}, "all", "", []string{"shop/cart-1", "shop/web-1", "yard/shed-1"}},
		{"one", tree{"labelSelectors": tree{"app": "cart"}}, "one", "", []string{"shop/cart-1", "shop/cart-2", "shop/cart-3"}},
		{"fixed", tree{"labelSelectors": tree{"app": "cart"}}, "fixed", "2", []string{"shop/cart-1", "shop/cart-2", "shop/cart-3"}},
		{"percent", tree{"labelSelectors": tree{"app": "cart"}}, "fixed-percent", "34", []string{"shop/cart-1", "shop/cart-2", "shop/cart-3"}},
		{"random", tree{"labelSelectors": tree{"app": "cart"}}, "random-max-percent", "50", []string{"shop/cart-1", "shop/cart-2", "shop/cart-3"}},
	}
}

type radiusCase struct {
	name     string
	selector tree
	mode     string
	value    string
	want     []string
}

// TestRadius holds what is said of whom manifests hit to whom Chaos Mesh's own controllers select.
func TestRadius(t *testing.T) {
	k := shop(t, kuberig.Options{})
	if err := k.Namespace("yard"); err != nil {
		t.Fatal(err)
	}
	if err := k.Node("node-2"); err != nil {
		t.Fatal(err)
	}
	if err := k.Patch("/api/v1/nodes/node-2", tree{"metadata": tree{"labels": tree{"disk": "slow"}}}, nil); err != nil {
		t.Fatal(err)
	}
	k.Pod(t, "shop", "cart-1", "node-1", "app", "cart", "tier", "front")
	k.Pod(t, "shop", "cart-2", "node-1", "app", "cart")
	k.Pod(t, "shop", "cart-3", "node-2", "app", "cart")
	k.Pod(t, "shop", "web-1", "node-2", "app", "web", "tier", "front")
	k.Pod(t, "yard", "shed-1", "node-1", "app", "shed", "tier", "front")
	for path, change := range map[string]tree{"cart-2": {"metadata": tree{"annotations": tree{"team": "shop"}}}, "cart-3/status": {"status": tree{"phase": "Pending"}}} {
		if err := k.Patch("/api/v1/namespaces/shop/pods/"+path, change, nil); err != nil {
			t.Fatal(err)
		}
	}
	c, err := connect(access(k))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range radiusCases() {
		t.Run(row.name, func(t *testing.T) {
			spec := tree{"mode": row.mode, "selector": row.selector, "action": "pod-failure", "duration": "60s"}
			if row.value != "" {
				spec["value"] = row.value
			}
			o := tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodChaos", "metadata": tree{"namespace": "shop", "name": "r-" + strings.ReplaceAll(row.name, " ", "-")}, "spec": spec}
			r, err := c.lands(t.Context(), manifestOf(t, o, false))
			if err != nil || len(r.Unknown) > 0 || len(r.Selections) != 1 {
				t.Fatalf("%v, %+v", err, r)
			}
			s := r.Selections[0]
			t.Log(s)
			var names []string
			for _, p := range s.Finds {
				names = append(names, p.Name)
			}
			if !slices.Equal(names, row.want) || !s.Takes || s.At != "spec" {
				t.Errorf("finds %q, want %q; %+v", names, row.want, s)
			}
			hit := selectedBy(t, k, o)
			t.Logf("Chaos Mesh selects %q", hit)
			exact := row.mode != "random-max-percent"
			if len(hit) > s.Most || exact && len(hit) != s.Most || row.mode == "all" && !slices.Equal(hit, names) {
				t.Errorf("Chaos Mesh selects %q, and %d of %q were told", hit, s.Most, names)
			}
			for _, h := range hit {
				if !slices.Contains(names, h) {
					t.Errorf("Chaos Mesh selects %s, of which nothing was told", h)
				}
			}
		})
	}
	t.Run("kinds", func(t *testing.T) { testRadiusKinds(t, c) })
	t.Run("preflight", func(t *testing.T) { testRadiusPreflight(t, k) })
	t.Run("policy", func(t *testing.T) { testRadiusPolicy(t, k) })
}

// selectedBy makes an object, and returns the pods in the records that Chaos Mesh writes, or nothing when it says that none is selected.
func selectedBy(t *testing.T, k *kuberig.Cluster, o tree) []string {
	t.Helper()
	path := meshPath + "shop/podchaos/" + o["metadata"].(tree)["name"].(string)
	if err := k.Post(meshPath+"shop/podchaos", o, nil); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = k.Delete(path)
		kuberig.Eventually(t, 30*time.Second, "it is gone", func() bool { return kuberig.IsCode(k.Get(path, nil), 404) })
	}()
	var hit []string
	kuberig.Eventually(t, 30*time.Second, "Chaos Mesh has selected", func() bool {
		var seen struct {
			Status struct {
				Conditions []struct{ Type, Status string }
				Experiment struct {
					ContainerRecords []struct{ ID string }
				}
			}
		}
		if err := k.Get(path, &seen); err != nil {
			t.Fatal(err)
		}
		hit = nil
		for _, r := range seen.Status.Experiment.ContainerRecords {
			hit = append(hit, r.ID)
		}
		for _, c := range seen.Status.Conditions {
			if c.Type == "Selected" && c.Status == "True" {
				return true
			}
		}
		return false
	})
	slices.Sort(hit)
	return hit
}

// testRadiusKinds looks into what has several selectors, makes faults later, or hits what nobody here can see.
func testRadiusKinds(t *testing.T, c *client) {
	cart := tree{"mode": "one", "selector": tree{"labelSelectors": tree{"app": "cart"}}}
	with := func(more tree) tree {
		out := tree{}
		for _, m := range []tree{cart, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	object := func(kind string, spec tree) tree {
		return tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": tree{"namespace": "shop"}, "spec": spec}
	}
	kill := with(tree{"action": "pod-kill"})
	for _, row := range []struct {
		name    string
		of      tree
		tells   []string // of selections, in order
		unknown string
	}{
		{"both sides", object("NetworkChaos", with(tree{"action": "partition", "direction": "both", "target": tree{"mode": "all", "selector": tree{"labelSelectors": tree{"app": "web"}}}})),
			[]string{"NetworkChaos hits 1 of 3 pods at most (one)", "NetworkChaos's other side hits 1 pod: shop/web-1"}, ""},
		{"a schedule", object("Schedule", tree{"schedule": "@every 5s", "type": "PodChaos", "concurrencyPolicy": "Forbid", "historyLimit": 1, "podChaos": kill}),
			[]string{"PodChaos hits 3 pods: shop/cart-1, shop/cart-2, shop/cart-3"}, ""},
		{"a workflow", object("Workflow", tree{"entry": "all", "templates": []tree{{"name": "all", "templateType": "Parallel", "deadline": "20s", "children": []string{"a", "b"}},
			{"name": "a", "templateType": "PodChaos", "deadline": "10s", "podChaos": kill},
			{"name": "b", "templateType": "Schedule", "deadline": "10s", "schedule": tree{"schedule": "@every 5s", "type": "NetworkChaos", "concurrencyPolicy": "Forbid", "historyLimit": 1,
				"networkChaos": tree{"mode": "all", "action": "partition", "selector": tree{"labelSelectors": tree{"app": "web"}}}}}}}),
			[]string{"PodChaos hits 3 pods", "NetworkChaos hits 1 pod: shop/web-1"}, ""},
		{"a schedule of nobody yet", object("Schedule", tree{"schedule": "@every 5s", "type": "PodChaos", "concurrencyPolicy": "Forbid", "historyLimit": 1,
			"podChaos": tree{"mode": "one", "action": "pod-kill", "selector": tree{"labelSelectors": tree{"app": "tomorrow"}}}}),
			[]string{"PodChaos finds no pod now"}, "what spec.podChaos.selector selects will be known when its fault is made: it finds no pod now"},
		{"a task", object("Workflow", tree{"entry": "t", "templates": []tree{{"name": "t", "templateType": "Task", "deadline": "10s", "task": tree{"container": tree{"name": "x", "image": "x"}}}}}),
			nil, "a task of the Workflow runs a container"},
		{"a machine", object("PhysicalMachineChaos", tree{"mode": "one", "action": "stress-cpu", "address": []string{"http://192.0.2.1:31767"}, "stress-cpu": tree{"load": 1, "workers": 1}}),
			nil, "PhysicalMachineChaos hits machines outside of the cluster"},
		{"a cloud", object("AWSChaos", tree{"action": "ec2-stop", "awsRegion": "r", "ec2Instance": "i-1"}), nil, "AWSChaos hits an instance of a cloud"},
		{"everybody", object("PodChaos", tree{"mode": "all", "action": "pod-failure", "selector": tree{"namespaces": []string{"shop"}}}), nil, "it is empty, and means everybody"},
	} {
		r, err := c.lands(t.Context(), manifestOf(t, row.of, false))
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if len(r.Selections) != len(row.tells) {
			t.Errorf("%s: %v", row.name, r.Selections)
			continue
		}
		for i, s := range r.Selections {
			if !strings.HasPrefix(s.String(), row.tells[i]) {
				t.Errorf("%s: %q, want %q", row.name, s, row.tells[i])
			}
		}
		if why := strings.Join(r.Unknown, "; "); !strings.Contains(why, row.unknown) || row.unknown == "" && why != "" {
			t.Errorf("%s: unknown is %q, want %q", row.name, why, row.unknown)
		}
	}
}

// manifestRequest asks for an injection of a manifest.
func manifestRequest(t *testing.T, k *kuberig.Cluster, o tree, final bool) guard.InjectRequest {
	t.Helper()
	config, err := json.Marshal(manifestOf(t, o, final))
	if err != nil {
		t.Fatal(err)
	}
	return guard.InjectRequest{ID: "storm", Run: "r1", Scenario: "drill", Fault: "storm", Kind: "chaos_mesh", Config: config, Lease: time.Minute, Deadline: time.Minute,
		Place: faults.Place{Name: "cluster", Cluster: &faults.Cluster{Access: access(k)}}}
}

// testRadiusPreflight weighs a manifest against budgets, replicas, and what is gameday's own.
func testRadiusPreflight(t *testing.T, k *kuberig.Cluster) {
	k.Pod(t, "shop", "own-1", "node-1", "app", "own", cluster.LabelManaged, cluster.Manager)
	if err := k.Post("/apis/policy/v1/namespaces/shop/poddisruptionbudgets", tree{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": tree{"name": "cart"},
		"spec": tree{"minAvailable": 2, "selector": tree{"matchLabels": tree{"app": "cart"}}}}, nil); err != nil {
		t.Fatal(err)
	}
	status := tree{"status": tree{"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3}}
	if err := k.Patch("/apis/policy/v1/namespaces/shop/poddisruptionbudgets/cart/status", status, nil); err != nil {
		t.Fatal(err)
	}
	of := func(mode, app string) tree {
		return tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodChaos", "metadata": tree{"namespace": "shop"},
			"spec": tree{"mode": mode, "action": "pod-failure", "selector": tree{"labelSelectors": tree{"app": app}}}}
	}
	for _, row := range []struct {
		name   string
		of     tree
		blocks bool
		texts  []string
	}{
		{"one of a budget for one", of("one", "cart"), false, []string{"fault storm: PodChaos hits 1 of 3 pods at most (one), nobody knows which: shop/cart-1, shop/cart-2, shop/cart-3"}},
		{"all of it", of("all", "cart"), true, []string{"fault storm takes down 3 of the pods that budget shop/cart covers", "which allows 1 now"}},
		{"nobody", of("all", "carts"), true, []string{"fault storm: PodChaos finds no pod now"}},
		{"gameday's own", of("all", "own"), true, []string{"fault storm: it may hit shop/own-1, which is gameday's own"}},
	} {
		got := findings(t, access(k), cluster.Preflight{Requests: []guard.InjectRequest{manifestRequest(t, k, row.of, false)}})
		t.Log(row.name)
		tells(t, got, row.blocks, row.texts...)
	}
}

// testRadiusPolicy has a guard judge manifests by what it finds itself, whatever its client says.
func testRadiusPolicy(t *testing.T, k *kuberig.Cluster) {
	of := func(kind, mode string, more tree) tree {
		spec := tree{"mode": mode, "selector": tree{"labelSelectors": tree{"app": "cart"}}}
		for key, v := range more {
			spec[key] = v
		}
		return tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": tree{"namespace": "shop"}, "spec": spec}
	}
	failure := tree{"action": "pod-failure"}
	for _, row := range []struct {
		name   string
		of     tree
		policy policy.Policy
		want   string
	}{
		{"few enough", of("PodChaos", "one", failure), policy.Policy{AtMost: policy.AtMost{Places: 1, Percent: 34}}, ""},
		{"too many", of("PodChaos", "all", failure), policy.Policy{AtMost: policy.AtMost{Places: 2}}, "the fault touches 3 places and may touch 2"},
		{"too large a share", of("PodChaos", "fixed", tree{"action": "pod-failure", "value": "2"}), policy.Policy{AtMost: policy.AtMost{Percent: 50}}, "2 of the 3 places"},
		{"a label of one that it may hit", of("PodChaos", "one", failure), policy.Policy{Deny: policy.Deny{Nodes: []string{"label:tier=front"}}}, "the node label:tier=front"},
		{"others", of("PodChaos", "all", failure), policy.Policy{Deny: policy.Deny{Nodes: []string{"label:tier=db", "kubernetes:*/billing"}}}, ""},
		{"all networks", of("NetworkChaos", "all", tree{"action": "partition"}), policy.Policy{Deny: policy.Deny{Networks: everywhere[:1]}}, "may not be cut"},
		{"not all have opted in", of("PodChaos", "one", failure), policy.Policy{RequireLabels: map[string]string{"tier": "front"}}, "has no label tier"},
		{"nobody yet", tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "Schedule", "metadata": tree{"namespace": "shop"}, "spec": tree{"schedule": "@every 5s", "type": "PodChaos",
			"concurrencyPolicy": "Forbid", "historyLimit": 1, "podChaos": tree{"mode": "all", "action": "pod-kill", "selector": tree{"labelSelectors": tree{"app": "tomorrow"}}}}},
			policy.Policy{AtMost: policy.AtMost{Places: 2}, Deny: policy.Deny{Nodes: []string{"label:tier=db"}}}, "it finds no pod now"},
		{"all have opted in", of("PodChaos", "one", failure), policy.Policy{RequireLabels: map[string]string{"app": "cart"}}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := startGuard(t, t.TempDir(), "")
			row.policy.Format = policy.Format
			if err := g.Enforce(t.Context(), []*policy.Policy{&row.policy}); err != nil {
				t.Fatal(err)
			}
			r := manifestRequest(t, k, row.of, false)
			r.Place.Cluster.Radius = &faults.Radius{Selections: []faults.Selection{{Kind: "PodChaos"}}} // a client that says that it hits nobody
			r.Claims.Labels = map[string]string{"tier": "front"}
			err := g.Judge(t.Context(), r)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}
