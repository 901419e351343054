package node

import (
	"strings"
	"testing"

	"gameday/internal/kuberig"
)

// TestPretended is a node without containers: a workload whose pod is killed has another one, which is Ready.
func TestPretended(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{Controllers: kuberig.Workloads})
	r := &rig{c, Start(t, c, Options{Pretend: true, Labels: map[string]string{"zone": "a"}})}
	if err := c.Namespace("shop"); err != nil {
		t.Fatal(err)
	}
	testDeployment(t, r)
	names := func() string {
		var pods struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if err := c.Get(strings.TrimSuffix(podAPI, "/")+"?labelSelector=app%3Dmany", &pods); err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, p := range pods.Items {
			all = append(all, p.Metadata.Name)
		}
		return strings.Join(all, " ")
	}
	before := strings.Fields(names())
	r.inflict(t, "PodChaos", "kill", on("many", object{"action": "pod-kill"}))
	r.eventually(t, "both pods are others, and ready", func() bool {
		now := names()
		return len(strings.Fields(now)) == 2 && !strings.Contains(now, before[0]) && !strings.Contains(now, before[1]) &&
			r.get(t, strings.Fields(now)[0]).ready() && r.get(t, strings.Fields(now)[1]).ready()
	})
	for name, zone := range map[string]string{"here": "a", "nowhere": "b"} {
		r.pod(t, name, nil, object{"nodeSelector": object{"zone": zone}})
	}
	r.eventually(t, "a pod that the node suits is ready", func() bool { return r.get(t, "here").ready() })
	if s := r.get(t, "nowhere").Status.Phase; s != "Pending" {
		t.Errorf("a pod that no node suits is %s", s)
	}
}
