package guard_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/policy"
)

// TestQuestionOfClusters holds rules of a policy to what is in a cluster: by its names and labels, and by what nobody can see there.
func TestQuestionOfClusters(t *testing.T) {
	pod := faults.Place{Name: "web", Cluster: &faults.Cluster{Access: faults.Access{Context: "prod"},
		Pod: &faults.Pod{Namespace: "shop", Name: "web-1", UID: "u", Node: "worker-7"}, Labels: map[string]string{"app": "web", "tier": "front"}}}
	vm := faults.Place{Name: "vm", Cluster: &faults.Cluster{Access: faults.Access{Context: "prod"},
		Instance: &faults.Instance{Namespace: "chaos", AWS: &faults.AWSInstance{Region: "r", Instance: "i-1"}}}}
	iron := faults.Place{Name: "iron", Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "chaos", Address: "http://db-1.example:31767"}}}
	peer := faults.Place{Name: "local", Peers: []faults.Peer{pod.Peer()}}
	itself := faults.Place{Name: "cluster", Cluster: &faults.Cluster{Access: faults.Access{Context: "prod"}}}
	for _, row := range []struct {
		name  string
		needs faults.Need
		place faults.Place
		deny  policy.Deny
		want  string
	}{
		{"a context", faults.NeedProcess, pod, policy.Deny{Nodes: []string{"kubernetes:prod"}}, "the node kubernetes:prod"},
		{"a namespace", faults.NeedProcess, pod, policy.Deny{Nodes: []string{"kubernetes:*/shop"}}, `the node kubernetes:prod/shop by "kubernetes:*/shop"`},
		{"another namespace", faults.NeedProcess, pod, policy.Deny{Nodes: []string{"kubernetes:prod/billing", "kubernetes:stage"}}, ""},
		{"a pod", faults.NeedNetwork, pod, policy.Deny{Nodes: []string{"kubernetes:prod/shop/web-*"}}, "the node kubernetes:prod/shop/web-1"},
		{"its node", faults.NeedMachine, pod, policy.Deny{Nodes: []string{"worker-7"}}, "the node worker-7"},
		{"a label", faults.NeedProcess, pod, policy.Deny{Nodes: []string{"label:tier=front"}}, "the node label:tier=front"},
		{"another label", faults.NeedProcess, pod, policy.Deny{Nodes: []string{"label:tier=db"}}, ""},
		{"an executable, which nobody sees", faults.NeedProcess, pod, policy.Deny{Exe: []string{"sshd"}}, "the executable of the process cannot be read"},
		{"the other side of a cut", faults.NeedNetwork, peer, policy.Deny{Nodes: []string{"kubernetes:prod/shop"}}, "the node kubernetes:prod/shop"},
		{"an instance", faults.NeedNode, vm, policy.Deny{Nodes: []string{"i-1"}}, "the node i-1"},
		{"an instance has no process to be seen", faults.NeedNode, vm, policy.Deny{Exe: []string{"sshd"}}, ""},
		{"the machine of a chaosd", faults.NeedNode, iron, policy.Deny{Nodes: []string{"db-*"}}, "the node db-1.example"},
		{"a manifest", faults.NeedCluster, itself, policy.Deny{Nodes: []string{"kubernetes:other"}}, "says by itself where it lands"},
	} {
		k := newWorld().kinds()[0]
		k.Needs = row.needs
		q, err := guard.Question(k, guard.InjectRequest{Kind: "fake", Config: json.RawMessage(`{}`), Place: row.place}, "conductor-1")
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, v := range (&policy.Policy{Format: policy.Format, Deny: row.deny}).Check(q, time.Now()) {
			texts = append(texts, v.Text)
		}
		if all := strings.Join(texts, "\n"); !strings.Contains(all, row.want) || row.want == "" && all != "" {
			t.Errorf("%s: %q, want %q", row.name, all, row.want)
		}
	}
}
