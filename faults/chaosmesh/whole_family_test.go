package chaosmesh

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

// TestFamilies is the life of what makes further objects: Schedules and Workflows.
func TestFamilies(t *testing.T) {
	c := shop(t, kuberig.Options{Controllers: []string{"garbage-collector-controller"}})
	embedded := func(pod string) tree {
		return tree{"action": "pod-failure", "mode": "all", "selector": tree{"pods": tree{"shop": []string{pod}}}}
	}
	schedule := func(pod string) tree {
		return tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "Schedule", "metadata": tree{"namespace": "shop"},
			"spec": tree{"schedule": "@every 2s", "type": "PodChaos", "historyLimit": 5, "concurrencyPolicy": "Forbid", "podChaos": embedded(pod)}}
	}
	workflow := func(pod string) tree {
		return tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "Workflow", "metadata": tree{"namespace": "shop"},
			"spec": tree{"entry": "all", "templates": []tree{
				{"name": "all", "templateType": "Serial", "deadline": "90s", "children": []string{"fail"}},
				{"name": "fail", "templateType": "PodChaos", "deadline": "80s", "podChaos": embedded(pod)}}}}
	}
	for _, k := range []struct {
		name string
		made tree
		kind string
	}{{"schedule", schedule("schedule-1"), "Schedule"}, {"workflow", workflow("workflow-1"), "Workflow"}} {
		t.Run(k.name, func(t *testing.T) {
			pod := k.name + "-1"
			c.Pod(t, "shop", pod, "node-1", "app", "cart")
			dir := t.TempDir()
			g := startGuard(t, dir, "")
			r := request("raw", k.name, "r1", podPlace(t, access(c), "shop", pod), k.made)
			in, err := g.Inject(t.Context(), r)
			if err != nil {
				t.Fatalf("%v, %+v", err, in)
			}
			t.Logf("%+v", in.Effect)
			if !strings.Contains(in.Effect.Summary, "AllInjected: PodChaos shop/") || !strings.Contains(in.Effect.Summary, "shop/"+pod) {
				t.Errorf("the effect is %+v", in.Effect)
			}
			g.kill() // so that a fresh process must find what was made
			began := time.Now()
			if err := revertAll(t, dir); err != nil {
				t.Fatal(err)
			}
			t.Logf("reverted after %v", time.Since(began).Round(100*time.Millisecond))
			for _, plural := range []string{"schedules", "workflows", "podchaos"} {
				var list struct{ Items []tree }
				if err := c.Get(meshPath+"shop/"+plural, &list); err != nil || len(list.Items) > 0 {
					t.Errorf("%s left: %v, %v", plural, list.Items, err)
				}
			}
			if image(t, c, pod) != "none" {
				t.Error("the pod was not lifted")
			}
			if err := revertAll(t, dir); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("schedule that has no time", func(t *testing.T) {
		c.Pod(t, "shop", "late-1", "node-1", "app", "cart")
		g := startGuard(t, t.TempDir(), "")
		made := schedule("late-1")
		made["spec"].(tree)["schedule"] = "@yearly"
		r := request("raw", "late", "r1", podPlace(t, access(c), "shop", "late-1"), made)
		r.EffectTimeout = 3 * time.Second
		_, err := g.Inject(t.Context(), r)
		if !errors.Is(err, guard.ErrUnproven) || errors.Is(err, guard.ErrResidue) {
			t.Errorf("it is %v", err)
		}
		says(t, err, "has made no fault yet")
		if l := left(t, access(c)); len(l) > 0 {
			t.Errorf("left: %q", l)
		}
	})
}
