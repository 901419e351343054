package node

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/internal/kuberig"
)

const meshAPI = "/apis/chaos-mesh.org/v1alpha1/namespaces/shop/"

// whole starts a cluster with a node, a daemon, an image with busybox, and a namespace.
func whole(t *testing.T) (*kuberig.Cluster, *Node) {
	t.Helper()
	c := kuberig.Start(t, kuberig.Options{Controllers: kuberig.Workloads})
	n := Start(t, c, Options{Names: []string{"node-1", "node-2"}, Daemon: true})
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Engine.Import(t.Context(), "rig/busybox", busybox); err != nil {
		t.Fatal(err)
	}
	if err := c.Namespace("shop"); err != nil {
		t.Fatal(err)
	}
	return c, n
}

// serve makes a pod with a web server.
func serve(t *testing.T, c *kuberig.Cluster, name string) {
	t.Helper()
	err := c.Post("/api/v1/namespaces/shop/pods", object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": name, "labels": object{"app": name}},
		"spec": object{"terminationGracePeriodSeconds": 1, "containers": []object{{"name": "web", "image": "rig/busybox",
			"command":        []string{"/busybox", "httpd", "-f", "-p", "8080", "-h", "/"},
			"readinessProbe": object{"httpGet": object{"path": "/busybox", "port": 8080}}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, 30*time.Second, name+" is ready", func() bool { return get(t, c, name).ready() })
}

// seen is what a test reads of a pod.
type seen struct {
	Metadata struct{ UID string }
	Status   struct {
		Phase, PodIP, HostIP string
		Conditions           []struct{ Type, Status string }
		ContainerStatuses    []struct {
			ContainerID  string
			RestartCount int
			Ready        bool
			State        struct{ Terminated *struct{ ExitCode int } }
			LastState    struct{ Terminated *struct{ ExitCode int } }
		}
	}
}

func (s seen) ready() bool {
	for _, c := range s.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

func get(t *testing.T, c *kuberig.Cluster, name string) (s seen) {
	t.Helper()
	if err := c.Get("/api/v1/namespaces/shop/pods/"+name, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// reaches reports whether a pod gets an answer from another one's web server.
func reaches(t *testing.T, c *kuberig.Cluster, n *Node, from, to string) bool {
	t.Helper()
	state, err := n.Engine.State(t.Context(), n.Container("shop", from, "web"))
	if err != nil || !state.Running {
		t.Fatalf("%s: %+v, %v", from, state, err)
	}
	answer, address := make(chan error, 1), net.JoinHostPort(get(t, c, to).Status.PodIP, "8080")
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", state.Pid))
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			t.Error(err)
			answer <- err
			return
		}
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			err = conn.Close()
		}
		answer <- err
	}()
	return <-answer == nil
}

// inflict makes a chaos of a kind, and returns once every target has it.
func inflict(t *testing.T, c *kuberig.Cluster, kind, name string, spec object) {
	t.Helper()
	plural := strings.ToLower(kind)
	if err := c.Post(meshAPI+plural, object{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": object{"name": name}, "spec": spec}, nil); err != nil {
		t.Fatal(err)
	}
	became(t, c, plural+"/"+name, "AllInjected")
}

// became waits for a condition.
func became(t *testing.T, c *kuberig.Cluster, path, condition string) {
	t.Helper()
	began := time.Now()
	kuberig.Eventually(t, 30*time.Second, path+" is "+condition, func() bool {
		var got struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
		if err := c.Get(meshAPI+path, &got); err != nil {
			t.Fatal(err)
		}
		for _, have := range got.Status.Conditions {
			if have.Type == condition {
				return have.Status == "True"
			}
		}
		return false
	})
	t.Logf("%s is %s after %v", path, condition, time.Since(began).Round(time.Millisecond))
}

func selector(app string) object {
	return object{"namespaces": []string{"shop"}, "labelSelectors": object{"app": app}}
}

// TestDaemon has the real chaos-daemon act on real containers behind pods.
func TestDaemon(t *testing.T) {
	c, n := whole(t)
	serve(t, c, "cart")
	serve(t, c, "search")
	t.Run("container-kill", func(t *testing.T) {
		before := get(t, c, "cart")
		inflict(t, c, "PodChaos", "kill", object{"action": "container-kill", "mode": "one", "containerNames": []string{"web"}, "selector": selector("cart")})
		kuberig.Eventually(t, 20*time.Second, "the container is back", func() bool {
			s := get(t, c, "cart").Status.ContainerStatuses[0]
			return s.RestartCount == 1 && s.Ready
		})
		after := get(t, c, "cart")
		last := after.Status.ContainerStatuses[0].LastState.Terminated
		if after.Metadata.UID != before.Metadata.UID || after.Status.PodIP != before.Status.PodIP || last == nil || last.ExitCode != 137 ||
			after.Status.ContainerStatuses[0].ContainerID == before.Status.ContainerStatuses[0].ContainerID {
			t.Errorf("before %+v\nafter %+v", before, after)
		}
	})
	t.Run("partition", func(t *testing.T) {
		if !reaches(t, c, n, "cart", "search") || !reaches(t, c, n, "search", "cart") {
			t.Fatal("the pods do not reach each other to begin with")
		}
		inflict(t, c, "NetworkChaos", "cut", object{"action": "partition", "mode": "all", "selector": selector("cart"), "direction": "both",
			"duration": "1h", "target": object{"mode": "all", "selector": selector("search")}})
		if reaches(t, c, n, "cart", "search") || reaches(t, c, n, "search", "cart") {
			t.Error("the pods still reach each other")
		}
		if err := c.Delete(meshAPI + "networkchaos/cut"); err != nil {
			t.Fatal(err)
		}
		kuberig.Eventually(t, 20*time.Second, "the object is gone", func() bool {
			return kuberig.IsCode(c.Get(meshAPI+"networkchaos/cut", nil), http.StatusNotFound)
		})
		if !reaches(t, c, n, "cart", "search") || !reaches(t, c, n, "search", "cart") {
			t.Error("the pods do not reach each other again")
		}
	})
}
