package faults_test

import (
	"testing"

	"gameday/faults"
)

// TestOverlap compares faults of two runs pairwise, in both orders.
func TestOverlap(t *testing.T) {
	kinds := []faults.Kind{
		{Name: "process_kill", Needs: faults.NeedProcess}, {Name: "process_pause", Needs: faults.NeedProcess},
		{Name: "network_delay", Needs: faults.NeedNetwork}, {Name: "network_loss", Needs: faults.NeedNetwork},
		{Name: "node_restart", Needs: faults.NeedNode},
		{Name: "cpu_stress", Needs: faults.NeedMachine}, {Name: "command", Needs: faults.NeedMachine},
	}
	payments := faults.Place{Process: &faults.Process{PID: 10, Start: 5}, Network: &faults.Namespace{Inode: 7, Device: 4, PID: 10}}
	successor := faults.Place{Process: &faults.Process{PID: 10, Start: 6}, Network: &faults.Namespace{Inode: 7, Device: 4, PID: 10}}
	elsewhere := faults.Place{Process: &faults.Process{PID: 11, Start: 5}, Network: &faults.Namespace{Inode: 7, Device: 5, PID: 11}}
	node := faults.Place{Node: &faults.Node{Name: "n", BootID: "a"}, Network: &faults.Namespace{Inode: 7, Device: 4}}
	rebooted := faults.Place{Node: &faults.Node{Name: "n", BootID: "b"}, Network: &faults.Namespace{Inode: 9, Device: 4}}
	box := faults.Place{Node: &faults.Node{Name: "web", Engine: "/e", Container: "c1"}, Network: &faults.Namespace{Inode: 8, Device: 4}}
	anew := faults.Place{Node: &faults.Node{Name: "web", Engine: "/e", Container: "c2"}, Network: &faults.Namespace{Inode: 9, Device: 4}}
	pod := faults.Place{Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "web-1", UID: "u1", ContainerIDs: []string{"c1"}}}}
	again := faults.Place{Cluster: &faults.Cluster{Access: faults.Access{Context: "other"},
		Pod: &faults.Pod{Namespace: "shop", Name: "web-1", UID: "u1", ContainerIDs: []string{"c2"}}}}
	twin := faults.Place{Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "web-1", UID: "u2"}}}
	cloud := faults.Place{Cluster: &faults.Cluster{Instance: &faults.Instance{Namespace: "shop", AWS: &faults.AWSInstance{Region: "r", Instance: "i-1"}}}}
	iron := faults.Place{Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "shop", Name: "m1"}}}
	chaosd := faults.Place{Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "x", Address: "http://10.0.0.5:31767"}}}
	itself := faults.Place{Cluster: &faults.Cluster{}}
	for _, row := range []struct {
		what         string
		kind1, kind2 string
		at1, at2     faults.Place
		want         string
	}{
		{"two signals to one process", "process_kill", "process_pause", payments, payments, "the same process (pid 10)"},
		{"its pid has another process now", "process_kill", "process_kill", payments, successor, ""},
		{"another process", "process_kill", "process_kill", payments, elsewhere, ""},
		{"two qdiscs in one namespace", "network_delay", "network_loss", payments, successor, "the same network namespace"},
		{"the same inode on another device", "network_delay", "network_loss", payments, elsewhere, ""},
		{"a signal beside a delay", "process_kill", "network_delay", payments, payments, ""},
		{"a restart takes the delay along", "node_restart", "network_delay", node, payments, "the same node"},
		{"a restart takes the process along", "node_restart", "process_pause", node, payments, "the same node"},
		{"a restart beside another network", "node_restart", "network_delay", node, elsewhere, ""},
		{"two restarts", "node_restart", "node_restart", node, node, "the same node"},
		{"a restart of what has booted since", "node_restart", "node_restart", node, rebooted, ""},
		{"two loads on one machine", "cpu_stress", "cpu_stress", payments, elsewhere, "the same machine"},
		{"different loads on one machine", "cpu_stress", "command", payments, elsewhere, ""},
		{"on a node and on its machine", "command", "command", node, payments, ""},
		{"on one node", "command", "command", node, node, "the same machine"},
		{"two restarts of a container", "node_restart", "node_restart", box, box, "the same node"},
		{"a restart of a container made anew", "node_restart", "node_restart", box, anew, ""},
		{"loads beside two containers", "cpu_stress", "cpu_stress", box, anew, "the same machine"},
		{"loads on a machine and beside a container", "cpu_stress", "cpu_stress", box, payments, "the same machine"},
		{"loads on a node and beside a container", "cpu_stress", "cpu_stress", box, node, ""},
		{"kinds that nobody knows", "x", "x", payments, payments, ""},
		{"two kills of a pod, through two contexts", "process_kill", "process_kill", pod, again, "the same pod (shop/web-1)"},
		{"two kills of a pod and its successor", "process_kill", "process_kill", pod, twin, ""},
		{"a delay and a loss on a pod", "network_delay", "network_loss", pod, again, "the same pod (shop/web-1)"},
		{"a kill beside a delay on a pod", "process_kill", "network_delay", pod, again, ""},
		{"a restart of a pod takes the delay along", "node_restart", "network_delay", pod, again, "the same pod (shop/web-1)"},
		{"loads in two pods", "cpu_stress", "cpu_stress", pod, twin, ""},
		{"loads in one pod", "cpu_stress", "cpu_stress", pod, pod, "the same pod (shop/web-1)"},
		{"loads in a pod and here", "cpu_stress", "cpu_stress", pod, payments, ""},
		{"two restarts of an instance", "node_restart", "node_restart", cloud, cloud, "the same instance"},
		{"an instance and a machine", "node_restart", "node_restart", cloud, iron, ""},
		{"two delays on a machine", "network_delay", "network_delay", iron, iron, "the same machine"},
		{"one chaosd by its address", "cpu_stress", "cpu_stress", chaosd, chaosd, "the same machine"},
		{"two manifests, of which nothing is known", "chaos_mesh", "chaos_mesh", itself, itself, ""},
		{"places that say nothing", "network_delay", "process_kill", faults.Place{}, faults.Place{}, ""},
	} {
		a, b := faults.Entry{Kind: row.kind1, Place: row.at1}, faults.Entry{Kind: row.kind2, Place: row.at2}
		for _, got := range []string{faults.Overlap(kinds, a, b), faults.Overlap(kinds, b, a)} {
			if got != row.want {
				t.Errorf("%s: %q, want %q", row.what, got, row.want)
			}
		}
	}
}
