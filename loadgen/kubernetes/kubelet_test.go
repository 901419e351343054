package kubernetes

import (
	"context"
	"crypto/tls"
	"fmt"
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
	code int
	over chan struct{}
}

func (p *container1) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
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
		case p.Spec.NodeName == "":
			_ = k.c.Post(path+"/binding", fields{"apiVersion": "v1", "kind": "Binding", "metadata": fields{"name": p.Name},
				"target": fields{"apiVersion": "v1", "kind": "Node", "name": nodeName}}, nil)
		case p.DeletionTimestamp != nil && run != nil && !run.ended():
			_ = run.cmd.Process.Signal(os.Interrupt)
		case p.DeletionTimestamp != nil:
			_ = k.c.Delete(path)
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
	self, err := os.Executable()
	if err != nil {
		k.t.Error(err)
		return
	}
	run := &container1{cmd: exec.Command(self, append([]string{"as-" + c.Command[0]}, c.Command[1:]...)...), over: make(chan struct{})}
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

// operator plays the part of the k6 operator as it is documented: it takes up TestRuns, makes a Job for each runner, waits until their
// interfaces answer, tells them to begin, and says in which stage it is.
type operator struct {
	k       *kubelet
	c       *kuberig.Cluster
	begins  chan struct{} // closed when runners may be told to begin
	opening sync.Once
}

const runsPath = "/apis/k6.io/v1alpha1/namespaces/load/testruns"

// definition is a TestRun's, of our own writing: it holds to what the operator's documentation names, and to nothing that it does not.
func definition() fields {
	free := fields{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	list := fields{"type": "array", "items": free}
	text, yes := fields{"type": "string"}, fields{"type": "boolean"}
	words := fields{"type": "object", "additionalProperties": text}
	pod := fields{"type": "object", "properties": fields{"disabled": yes, "image": text, "imagePullSecrets": list, "imagePullPolicy": text, "env": list, "envFrom": list,
		"metadata": fields{"type": "object", "properties": fields{"labels": words, "annotations": words}}, "nodeSelector": words, "tolerations": list, "affinity": free,
		"resources": free, "serviceAccountName": text, "automountServiceAccountToken": text, "securityContext": free, "containerSecurityContext": free,
		"volumes": list, "volumeMounts": list}}
	script := fields{"type": "object", "properties": fields{"configMap": fields{"type": "object", "required": []string{"name"}, "properties": fields{"name": text, "file": text}}}}
	stage := fields{"type": "string", "enum": []string{"initialization", "initialized", "created", "started", "stopped", "finished", "error"}}
	return fields{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": fields{"name": "testruns.k6.io"},
		"spec": fields{"group": "k6.io", "scope": "Namespaced", "names": fields{"kind": "TestRun", "plural": "testruns", "singular": "testrun", "listKind": "TestRunList"},
			"versions": []fields{{"name": "v1alpha1", "served": true, "storage": true, "subresources": fields{"status": fields{}},
				"schema": fields{"openAPIV3Schema": fields{"type": "object", "properties": fields{
					"spec": fields{"type": "object", "required": []string{"script", "parallelism"}, "properties": fields{"script": script,
						"parallelism": fields{"type": "integer", "format": "int32"}, "separate": yes, "arguments": text, "quiet": text, "paused": text, "cleanup": fields{"type": "string", "enum": []string{"post"}},
						"initializer": pod, "starter": pod, "runner": pod}},
					"status": fields{"type": "object", "properties": fields{"stage": stage}}}}}}}}}
}

func startOperator(t *testing.T, k *kubelet) *operator {
	t.Helper()
	o := &operator{k: k, c: k.c, begins: make(chan struct{})}
	if err := k.c.Post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(), nil); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, time.Minute, "TestRuns are served", func() bool { return k.c.Get(runsPath, nil) == nil })
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				o.sync(t)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return o
}

// mayBegin lets it tell runners to begin, which it does not before.
func (o *operator) mayBegin() { o.opening.Do(func() { close(o.begins) }) }

func (o *operator) sync(t *testing.T) {
	var list struct{ Items []testRunSeen }
	if o.c.Get(runsPath, &list) != nil {
		return
	}
	for _, run := range list.Items {
		next := ""
		switch run.Status.Stage {
		case "":
			next = "initialization"
		case "initialization":
			if run.Spec.Initializer != nil && run.Spec.Initializer.Disabled {
				next = "initialized"
			}
		case "initialized":
			for i := range run.Spec.Parallelism {
				if err := o.job(run, int(i)); err != nil && !kuberig.IsCode(err, 409) {
					t.Error(err)
				}
			}
			next = "created"
		case "created":
			next = o.begin(t, run)
		case "started":
			if o.over(run) {
				next = "finished"
			}
		case "finished":
			if run.Spec.Cleanup == "post" {
				_ = o.c.Delete(runsPath + "/" + run.Metadata.Name)
			}
		}
		if next != "" {
			_ = o.c.Patch(runsPath+"/"+run.Metadata.Name+"/status", fields{"status": fields{"stage": next}}, nil)
		}
	}
}

// testRunSeen is a TestRun as the operator reads it.
type testRunSeen struct {
	Metadata struct{ Name, UID string }
	Spec     testRunSpec
	Status   struct{ Stage string }
}

// port is where the i-th runner has its interface: they share one machine here.
func port(i int) string { return fmt.Sprintf("127.0.0.1:%d", 26565+i) }

func (o *operator) job(run testRunSeen, i int) error {
	n, r := int(run.Spec.Parallelism), run.Spec.Runner
	edge := func(i int) string {
		switch i {
		case 0:
			return "0"
		case n:
			return "1"
		}
		return fmt.Sprintf("%d/%d", i, n)
	}
	var edges []string
	for i := range n + 1 {
		edges = append(edges, edge(i))
	}
	name := fmt.Sprintf("%s-%d", run.Metadata.Name, i+1)
	labels := fields{"app": "k6", "k6_cr": run.Metadata.Name, "runner": "true"}
	for k, v := range r.Metadata.Labels {
		labels[k] = v
	}
	command := []string{"k6", "run", "--quiet", "--execution-segment=" + edge(i) + ":" + edge(i+1), "--execution-segment-sequence=" + strings.Join(edges, ","),
		"/test/" + run.Spec.Script.ConfigMap.File, "--address=" + port(i), "--paused", "--tag", fmt.Sprintf("instance_id=%d", i+1), "--tag", "testrun_name=" + run.Metadata.Name}
	return o.c.Post("/apis/batch/v1/namespaces/load/jobs", fields{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": fields{"name": name, "labels": labels, "annotations": r.Metadata.Annotations,
			"ownerReferences": []fields{{"apiVersion": "k6.io/v1alpha1", "kind": "TestRun", "name": run.Metadata.Name, "uid": run.Metadata.UID, "controller": true}}},
		"spec": fields{"backoffLimit": 0, "template": fields{"metadata": fields{"labels": labels, "annotations": r.Metadata.Annotations},
			"spec": fields{"restartPolicy": "Never", "nodeSelector": r.NodeSelector, "tolerations": r.Tolerations, "securityContext": r.SecurityContext,
				"volumes":    append([]corev1.Volume{{Name: "script", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: run.Spec.Script.ConfigMap.Name}}}}}, r.Volumes...),
				"containers": []fields{{"name": "k6", "image": r.Image, "command": command, "env": r.Env, "volumeMounts": r.VolumeMounts, "securityContext": r.ContainerSecurityContext}}}}}}, nil)
}

// begin tells the runners to, once all are there: what the operator's starter does.
func (o *operator) begin(t *testing.T, run testRunSeen) string {
	select {
	case <-o.begins:
	default:
		return ""
	}
	for i := range int(run.Spec.Parallelism) {
		a, err := http.Get("http://" + port(i) + "/v1/status")
		if err != nil || a.StatusCode >= 400 {
			return ""
		}
		a.Body.Close()
	}
	for i := range int(run.Spec.Parallelism) {
		q, err := http.NewRequest("PATCH", "http://"+port(i)+"/v1/status", strings.NewReader(`{"data":{"attributes":{"paused":false},"id":"default","type":"status"}}`))
		if err != nil {
			t.Error(err)
			return ""
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil || a.StatusCode >= 400 {
			t.Errorf("telling runner %d to begin: %v", i+1, err)
			return ""
		}
		a.Body.Close()
	}
	return "started"
}

// over reports whether all runners' Jobs are.
func (o *operator) over(run testRunSeen) bool {
	for i := range int(run.Spec.Parallelism) {
		var job struct {
			Status struct{ Succeeded, Failed int }
		}
		if o.c.Get(fmt.Sprintf("/apis/batch/v1/namespaces/load/jobs/%s-%d", run.Metadata.Name, i+1), &job) != nil || job.Status.Succeeded+job.Status.Failed == 0 {
			return false
		}
	}
	return true
}
