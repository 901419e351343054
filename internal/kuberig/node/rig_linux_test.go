package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gameday/internal/kuberig"
)

const (
	meshAPI = "/apis/chaos-mesh.org/v1alpha1/namespaces/shop/"
	podAPI  = "/api/v1/namespaces/shop/pods/"
)

// rig is a cluster with a node and a daemon, and a namespace shop.
type rig struct {
	c *kuberig.Cluster
	n *Node
}

func start(t *testing.T) *rig {
	t.Helper()
	c := kuberig.Start(t, kuberig.Options{Controllers: kuberig.Workloads})
	began := time.Now()
	n := Start(t, c, Options{Names: []string{"node-1", "node-2"}, Daemon: true})
	t.Logf("the node stands after another %.1f s", time.Since(began).Seconds())
	if err := c.Namespace("shop"); err != nil {
		t.Fatal(err)
	}
	return &rig{c, n}
}

// pod makes a pod with one container of the image Web.
func (r *rig) pod(t *testing.T, name string, container, spec object) {
	t.Helper()
	c := object{"name": "web", "image": Web}
	for k, v := range container {
		c[k] = v
	}
	s := object{"terminationGracePeriodSeconds": 1, "containers": []object{c}}
	for k, v := range spec {
		s[k] = v
	}
	if err := r.c.Post(strings.TrimSuffix(podAPI, "/"), object{"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": name, "labels": object{"app": name}}, "spec": s}, nil); err != nil {
		t.Fatal(err)
	}
}

// serve makes a pod with a web server, and waits until it is ready.
func (r *rig) serve(t *testing.T, name string) {
	t.Helper()
	r.pod(t, name, object{"command": []string{"/web", ":8080"}, "readinessProbe": object{"httpGet": object{"path": "/", "port": 8080}}}, nil)
	r.eventually(t, name+" is ready", func() bool { return r.get(t, name).ready() })
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

func (r *rig) get(t *testing.T, name string) (s seen) {
	t.Helper()
	if err := r.c.Get(podAPI+name, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// pid returns the process of a pod's container.
func (r *rig) pid(t *testing.T, name string) int {
	t.Helper()
	s, err := r.n.Engine.State(t.Context(), r.n.Container("shop", name, "web"))
	if err != nil || !s.Running {
		t.Fatalf("%s: %+v, %v", name, s, err)
	}
	return s.Pid
}

// ask asks a pod's web server.
func (r *rig) ask(t *testing.T, name, path string) (string, error) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) { return r.c.Dial(address) }}}
	answer, err := client.Get("http://" + net.JoinHostPort(r.get(t, name).Status.PodIP, "8080") + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return string(text), err
}

// reaches reports whether a pod gets an answer from an address.
func (r *rig) reaches(t *testing.T, from, address string) bool {
	t.Helper()
	_, err := r.ask(t, from, "/get/"+address+"/")
	return err == nil
}

// address is that of a pod's web server.
func (r *rig) address(t *testing.T, name string) string { return r.get(t, name).Status.PodIP + ":8080" }

// inflict makes a chaos of a kind, and returns once every target has it.
func (r *rig) inflict(t *testing.T, kind, name string, spec object) {
	t.Helper()
	if err := r.c.Post(meshAPI+strings.ToLower(kind), chaos(kind, name, spec), nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.eventually(t, name+" is injected", func() bool { return r.conditions(t, kind, name)["AllInjected"] == "True" })
	t.Logf("%s is injected after %v", name, time.Since(began).Round(time.Millisecond))
}

// lift deletes a chaos, and returns once it is gone.
func (r *rig) lift(t *testing.T, kind, name string) {
	t.Helper()
	path := meshAPI + strings.ToLower(kind) + "/" + name
	if err := r.c.Delete(path); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, name+" is gone", func() bool { return kuberig.IsCode(r.c.Get(path, nil), http.StatusNotFound) })
}

// conditions are those of a chaos.
func (r *rig) conditions(t *testing.T, kind, name string) map[string]string {
	t.Helper()
	var got struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := r.c.Get(meshAPI+strings.ToLower(kind)+"/"+name, &got); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range got.Status.Conditions {
		out[c.Type] = c.Status
	}
	return out
}

func (r *rig) eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	kuberig.Eventually(t, 30*time.Second, what, yes)
}

func chaos(kind, name string, spec object) object {
	return object{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": object{"name": name}, "spec": spec}
}

// on is the spec of a chaos on the pods of an app.
func on(app string, more object) object {
	spec := object{"mode": "all", "selector": selector(app)}
	for k, v := range more {
		spec[k] = v
	}
	return spec
}

func selector(app string) object {
	return object{"namespaces": []string{"shop"}, "labelSelectors": object{"app": app}}
}
