package kuberig

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// Namespace makes a namespace with the service account that pods have by default, unless it is there. Annotations come in
// pairs, such as "chaos-mesh.org/inject", "enabled".
func (c *Cluster) Namespace(name string, annotations ...string) error {
	notes := object{}
	for i := 0; i+1 < len(annotations); i += 2 {
		notes[annotations[i]] = annotations[i+1]
	}
	err := c.Post("/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": name, "annotations": notes}}, nil)
	if err != nil && !IsCode(err, 409) {
		return fmt.Errorf("making namespace %s: %w", name, err)
	}
	// Otherwise a controller makes it.
	err = c.Post("/api/v1/namespaces/"+name+"/serviceaccounts", object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default"}}, nil)
	if err != nil && !IsCode(err, 409) {
		return fmt.Errorf("making namespace %s: %w", name, err)
	}
	return nil
}

// NoImage is the image of pods that nothing stands behind.
const NoImage = "none"

// pods counts pods without containers, for their addresses.
var pods atomic.Uint32

// Pod makes a pod that says it is running and ready, on a node of that name, with one container. Nothing stands behind it;
// see package node for pods that run. Labels come in pairs: "app", "cart".
func (c *Cluster) Pod(t testing.TB, namespace, name, node string, labels ...string) {
	t.Helper()
	marks := map[string]string{}
	for i := 0; i+1 < len(labels); i += 2 {
		marks[labels[i]] = labels[i+1]
	}
	path := "/api/v1/namespaces/" + namespace + "/pods"
	err := c.Post(path, object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": name, "labels": maps.Clone(marks)},
		"spec": object{"nodeName": node, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
			"containers": []object{{"name": "main", "image": NoImage}}}}, nil)
	if err == nil {
		err = c.Patch(path+"/"+name+"/status", object{"status": Running(NextAddress(), "main", NoImage, "docker://none", 0, time.Now())}, nil)
	}
	if err != nil {
		t.Fatalf("making pod %s/%s: %v", namespace, name, err)
	}
}

// NextAddress returns an address for a pod without containers, to which nobody listens.
func NextAddress() string {
	n := pods.Add(1)
	return netip.AddrFrom4([4]byte{198, 19, byte(n >> 8), byte(n)}).String()
}

// Running is the status of a pod with one container that runs and is ready.
func Running(address, container, image, id string, restarts int, since time.Time) map[string]any {
	at := since.UTC().Format(time.RFC3339)
	var conditions []object
	for _, kind := range []string{"PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"} {
		conditions = append(conditions, object{"type": kind, "status": "True", "lastTransitionTime": at})
	}
	return object{"phase": "Running", "conditions": conditions, "hostIP": Address, "podIP": address, "podIPs": []object{{"ip": address}}, "startTime": at,
		"containerStatuses": []object{{"name": container, "image": image, "imageID": "", "containerID": id, "ready": true, "started": true,
			"restartCount": restarts, "state": object{"running": object{"startedAt": at}}}}}
}

// Node makes a node that is ready and has the cluster's address.
func (c *Cluster) Node(name string) error {
	err := c.Post("/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": name, "labels": object{"kubernetes.io/hostname": name}}}, nil)
	if err != nil && !IsCode(err, 409) {
		return fmt.Errorf("making node %s: %w", name, err)
	}
	at := time.Now().UTC().Format(time.RFC3339)
	return c.Patch("/api/v1/nodes/"+name+"/status", object{"status": object{
		"addresses":       []object{{"type": "InternalIP", "address": Address}, {"type": "Hostname", "address": name}},
		"daemonEndpoints": object{"kubeletEndpoint": object{"Port": 10250}},
		"capacity":        object{"cpu": "2", "memory": "4Gi", "pods": "110"}, "allocatable": object{"cpu": "2", "memory": "4Gi", "pods": "110"},
		"conditions": []object{{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "a node of the rig", "lastHeartbeatTime": at, "lastTransitionTime": at}},
	}}, nil)
}

// API returns the address at which the API server is reached outside of the namespace.
func (c *Cluster) API() string { return c.gate.address }

// InsideAPI returns the address at which it is reached in the namespace.
func (c *Cluster) InsideAPI() string { return net.JoinHostPort(Address, apiPort) }

// Eventually asks until the answer is yes, at most for the limit.
func Eventually(t testing.TB, limit time.Duration, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if poll(ctx, func() (bool, error) { return yes(), nil }) != nil {
		t.Fatalf("waited %s in vain until %s", limit, what)
	}
}
