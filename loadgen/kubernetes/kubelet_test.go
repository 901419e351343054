package kubernetes

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gameday/internal/kuberig"
)

type fields = map[string]any

// nowhere is a node that is not there, whose pods nobody runs.
const nowhere = "nowhere"

// kubelet is a node whose containers are processes of the test: it takes the pods that nobody has, runs their commands by the test's own binary,
// and tells the API server what becomes of them, and what they print.
type kubelet struct {
	t       *testing.T
	c       *kuberig.Cluster
	refuses string // the image that cannot be pulled
	image   string // a folder with the programs of the image "built"; other images have the test's own binary for all

	mu   sync.Mutex
	runs map[string]*container1 // by the pod's name
	stop context.CancelFunc
	done chan struct{}
	logs *httptest.Server
}

// container1 is a pod's one container.
type container1 struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	text strings.Builder
	log  stampedLog // the same, with times
	code int
	over chan struct{}
	dir  string // what is mounted

	seen    string    // the annotations that are there
	mounted time.Time // when they were put there last
	died    time.Time // read after over
}

func (p *container1) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.add(b)
	return p.text.Write(b)
}

func (p *container1) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

const nodeName = "node-1"

func startKubelet(t *testing.T, c *kuberig.Cluster) *kubelet {
	t.Helper()
	if err := c.Node(nodeName); err != nil {
		t.Fatal(err)
	}
	l, err := c.Listen(kuberig.Address + ":10250")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	k := &kubelet{t: t, c: c, runs: map[string]*container1{}, stop: stop, done: make(chan struct{})}
	k.logs = httptest.NewUnstartedServer(http.HandlerFunc(k.log))
	k.logs.Listener.Close()
	k.logs.Listener = l
	cert, err := c.Serving("kubelet", kuberig.Address)
	if err != nil {
		t.Fatal(err)
	}
	k.logs.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	k.logs.StartTLS()
	go func() {
		defer close(k.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				k.sync()
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-k.done
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, p := range k.runs {
			_ = p.cmd.Process.Kill()
			<-p.over
		}
		k.logs.CloseClientConnections()
		k.logs.Close()
	})
	return k
}

// sync does once what a kubelet does. What fails is done again.
func (k *kubelet) sync() {
	var list corev1.PodList
	if err := k.c.Get("/api/v1/pods", &list); err != nil {
		return
	}
	for i := range list.Items {
		p := &list.Items[i]
		path := "/api/v1/namespaces/" + p.Namespace + "/pods/" + p.Name
		k.mu.Lock()
		run := k.runs[p.Name]
		k.mu.Unlock()
		switch {
		case p.Spec.NodeName == nowhere:
		case p.Spec.NodeName == "":
			_ = k.c.Post(path+"/binding", fields{"apiVersion": "v1", "kind": "Binding", "metadata": fields{"name": p.Name},
				"target": fields{"apiVersion": "v1", "kind": "Node", "name": nodeName}}, nil)
		case p.DeletionTimestamp != nil && run != nil && !run.ended():
			_ = run.cmd.Process.Signal(os.Interrupt)
		case p.DeletionTimestamp != nil:
			_ = k.c.Delete(path)
		case run != nil && !run.ended() && run.outdated(p): // a pod whose annotations change has its files renewed at once
			if k.mount(p, run.dir) == nil { // else FailedMount, and again: the API server or the Secret may be gone since the pods were listed
				run.given(p)
			}
		case run == nil && p.Spec.Containers[0].Image == k.refuses && p.Status.ContainerStatuses == nil:
			k.status(path, "Pending", p, fields{"waiting": fields{"reason": "ImagePullBackOff", "message": "Back-off pulling image \"" + k.refuses + "\""}})
		case run == nil && p.Spec.Containers[0].Image != k.refuses && p.Status.Phase == corev1.PodPending:
			k.start(path, p)
		case run != nil && run.ended() && p.Status.Phase == corev1.PodRunning:
			phase := "Failed"
			if run.code == 0 {
				phase = "Succeeded"
			}
			k.status(path, phase, p, fields{"terminated": fields{"exitCode": run.code, "reason": map[bool]string{true: "Completed", false: "Error"}[run.code == 0]}})
		}
	}
}

func (p *container1) ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

func (k *kubelet) status(path, phase string, p *corev1.Pod, state fields) {
	name := p.Spec.Containers[0].Name
	_ = k.c.Patch(path+"/status", fields{"status": fields{"phase": phase, "podIP": "127.0.0.1", "podIPs": []fields{{"ip": "127.0.0.1"}}, "hostIP": kuberig.Address,
		"containerStatuses": []fields{{"name": name, "image": p.Spec.Containers[0].Image, "imageID": "", "ready": state["running"] != nil, "restartCount": 0, "state": state}}}}, nil)
}

// start runs a pod's container, as far as its environment can be resolved.
func (k *kubelet) start(path string, p *corev1.Pod) {
	c := p.Spec.Containers[0]
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for _, e := range c.Env {
		value := e.Value
		if from := e.ValueFrom; from != nil && from.SecretKeyRef != nil {
			var s corev1.Secret
			if err := k.c.Get("/api/v1/namespaces/"+p.Namespace+"/secrets/"+from.SecretKeyRef.Name, &s); err != nil {
				return // CreateContainerConfigError, and again
			}
			value = string(s.Data[from.SecretKeyRef.Key])
		} else if from != nil && from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.name" {
			value = p.Name
		}
		env = append(env, e.Name+"="+value)
	}
	dir := k.t.TempDir()
	if k.mount(p, dir) != nil {
		return // FailedMount, and again
	}
	for i := range env {
		env[i] = inside(env[i], p, dir)
	}
	self, err := os.Executable()
	if err != nil {
		k.t.Error(err)
		return
	}
	run := &container1{cmd: exec.Command(self, append([]string{"as-" + c.Command[0]}, c.Command[1:]...)...), over: make(chan struct{}), dir: dir}
	run.given(p)
	if c.Image == "built" {
		run.cmd = exec.Command(filepath.Join(k.image, c.Command[0]), c.Command[1:]...)
	}
	run.cmd.Env, run.cmd.Stdout, run.cmd.Stderr, run.cmd.WaitDelay = env, run, run, 5*time.Second
	if err := run.cmd.Start(); err != nil {
		k.t.Error(err)
		return
	}
	k.mu.Lock()
	k.runs[p.Name] = run
	k.mu.Unlock()
	go func() {
		_ = run.cmd.Wait()
		if run.code = run.cmd.ProcessState.ExitCode(); run.code < 0 {
			run.code = 137
		}
		run.died = time.Now()
		close(run.over)
	}()
	k.status(path, "Running", p, fields{"running": fields{"startedAt": time.Now().UTC().Format(time.RFC3339)}})
}

// of returns the process of the pod of a job.
func (k *kubelet) of(job string) *container1 {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, run := range k.runs {
		if strings.HasPrefix(name, job+"-") {
			return run
		}
	}
	return nil
}

// alive counts the processes that run.
func (k *kubelet) alive() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, run := range k.runs {
		if !run.ended() {
			n++
		}
	}
	return n
}

// log answers what the API server asks a kubelet for: /containerLogs/NAMESPACE/POD/CONTAINER?follow=true.
func (k *kubelet) log(w http.ResponseWriter, q *http.Request) {
	parts := strings.Split(q.URL.Path, "/")
	k.mu.Lock()
	run := k.runs[parts[len(parts)-2]]
	k.mu.Unlock()
	if run == nil || parts[1] != "containerLogs" {
		http.NotFound(w, q)
		return
	}
	if q.URL.Query().Get("timestamps") == "true" {
		k.stamped(w, q, run)
		return
	}
	sent := 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		over := run.ended()
		text := run.printed()
		_, _ = io.WriteString(w, text[sent:])
		sent = len(text)
		w.(http.Flusher).Flush()
		if over {
			return
		}
		select {
		case <-tick.C:
		case <-q.Context().Done():
			return
		}
	}
}
