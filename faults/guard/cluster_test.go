package guard_test

import (
	"encoding/json"
	"net/netip"
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
	db := faults.Peer{Name: "shop/db-1", Addresses: []netip.Addr{netip.MustParseAddr("10.9.0.7")}, Cluster: &faults.Cluster{Access: faults.Access{Context: "prod"},
		Pod: &faults.Pod{Namespace: "shop", Name: "db-1", UID: "d", Node: "worker-8"}, Labels: map[string]string{"app": "web", "tier": "db"}}}
	told := func(r faults.Radius) faults.Place {
		return faults.Place{Name: "cluster", Cluster: &faults.Cluster{Access: faults.Access{Context: "prod"}, Radius: &r}}
	}
	storm := told(faults.Radius{Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.7/32")}, Paths: []string{"/var/lib/db"},
		Selections: []faults.Selection{{Kind: "IOChaos", Most: 1, Finds: []faults.Peer{pod.Peer(), db}}}})
	vague := told(faults.Radius{Unknown: []string{"an AWSChaos hits an instance of a cloud"}})
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
		{"what a manifest may hit", faults.NeedCluster, storm, policy.Deny{Nodes: []string{"label:tier=db"}}, "the node label:tier=db"},
		{"the node of what a manifest may hit", faults.NeedCluster, storm, policy.Deny{Nodes: []string{"worker-7"}}, "the node worker-7"},
		{"what a manifest does not hit", faults.NeedCluster, storm, policy.Deny{Nodes: []string{"label:tier=cache", "kubernetes:other"}, Paths: []string{"/srv"}}, ""},
		{"the executables of what a manifest hits", faults.NeedCluster, storm, policy.Deny{Exe: []string{"sshd"}}, "the executable of the process cannot be read"},
		{"a network that a manifest reaches", faults.NeedCluster, storm, policy.Deny{Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, "the fault reaches 10.9.0.7/32"},
		{"a path in a manifest", faults.NeedCluster, storm, policy.Deny{Paths: []string{"/var/lib"}}, "the path /var/lib may not be filled"},
		{"a manifest that says too little", faults.NeedCluster, vague, policy.Deny{Nodes: []string{"x"}}, "touches what is denied: an AWSChaos hits an instance of a cloud"},
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

// TestAmountsOfManifests counts what a manifest hits, and lets the labels of all its pods opt in.
func TestAmountsOfManifests(t *testing.T) {
	peer := func(name string, labels map[string]string) faults.Peer {
		return faults.Peer{Name: "shop/" + name, Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: name, UID: name}, Labels: labels}}
	}
	all := []faults.Peer{peer("a", map[string]string{"chaos": "allowed", "app": "a"}), peer("b", map[string]string{"chaos": "allowed", "app": "b"}), peer("c", map[string]string{"chaos": "allowed"})}
	for _, row := range []struct {
		name   string
		finds  []faults.Peer
		most   int
		policy policy.Policy
		want   string
	}{
		{"one of three", all, 1, policy.Policy{AtMost: policy.AtMost{Places: 1, Percent: 34}}, ""},
		{"all of three", all, 3, policy.Policy{AtMost: policy.AtMost{Places: 2}}, "touches 3 places and may touch 2"},
		{"all of three, as a share", all, 3, policy.Policy{AtMost: policy.AtMost{Percent: 50}}, "touches 3 of the 3 places that its selector finds (100 %)"},
		{"nobody", nil, 0, policy.Policy{AtMost: policy.AtMost{Percent: 50}}, "nobody says how many places"},
		{"all opted in", all, 3, policy.Policy{RequireLabels: map[string]string{"chaos": "allowed"}}, ""},
		{"not all have a label", all, 1, policy.Policy{RequireLabels: map[string]string{"app": "a"}}, "has no label app"},
	} {
		k := newWorld().kinds()[0]
		k.Needs = faults.NeedCluster
		place := faults.Place{Name: "cluster", Cluster: &faults.Cluster{Radius: &faults.Radius{Selections: []faults.Selection{{Kind: "PodChaos", Finds: row.finds, Most: row.most}}}}}
		q, err := guard.Question(k, guard.InjectRequest{Kind: "fake", Config: json.RawMessage(`{}`), Place: place}, "")
		if err != nil {
			t.Fatal(err)
		}
		row.policy.Format = policy.Format
		var texts []string
		for _, v := range row.policy.Check(q, time.Now()) {
			texts = append(texts, v.Text)
		}
		if all := strings.Join(texts, "\n"); !strings.Contains(all, row.want) || row.want == "" && all != "" {
			t.Errorf("%s: %q, want %q", row.name, all, row.want)
		}
	}
}
