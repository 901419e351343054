package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gameday/internal/kuberig"
)

// operator plays the part of a k6 operator that is newer than the last one which can be had, 0.0.19, and can leave its initializer out. It
// takes up TestRuns, makes a Job and a Service for each runner, waits until their interfaces answer, tells them to begin, and says in which
// stage it is. TestK6Operator holds it to the real one, in all that both do.
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
					"status": fields{"type": "object", "properties": fields{"stage": stage, "testRunId": text, "aggregationVars": text, "conditions": list}}}}}}}}}
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
			if run.Spec.Initializer == nil || !run.Spec.Initializer.Disabled {
				t.Errorf("the initializer is to be left out, and its part is not played here: %+v", run.Spec.Initializer)
			}
			next = stageInitialized
		case stageInitialized:
			o.makeAll(t, run)
			next = stageCreated
		case stageCreated:
			next = o.begin(t, run)
		case stageStarted:
			if o.over(run) {
				next = stageStopped
			}
		case stageStopped:
			next = stageFinished
		case stageFinished:
			if run.Spec.Cleanup == "post" {
				_ = o.c.Delete(runsPath + "/" + run.Metadata.Name)
			}
		}
		if next != "" {
			_ = o.c.Patch(runsPath+"/"+run.Metadata.Name+"/status", fields{"status": fields{"stage": next, "conditions": standInConditions(next, false)}}, nil)
		}
	}
}

// makeAll makes what the runners need.
func (o *operator) makeAll(t *testing.T, run testRunSeen) {
	for i := range run.Spec.Parallelism {
		how := standIn{address: port(int(i)), tag: "testrun_name=" + run.Metadata.Name}
		for path, object := range map[string]any{"/apis/batch/v1/namespaces/load/jobs": how.job(run, int(i)), "/api/v1/namespaces/load/services": how.service(run, int(i))} {
			if err := o.c.Post(path, object, nil); err != nil && !kuberig.IsCode(err, 409) {
				t.Error(err)
			}
		}
	}
}

// testRunSeen is a TestRun as the operator reads it.
type testRunSeen struct {
	Metadata struct{ Name, UID string }
	Spec     testRunSpec
	Status   seenStatus
}

// seenStatus is all that an operator says in a TestRun's status.
type seenStatus struct {
	Stage           string             `json:"stage"`
	TestRunID       string             `json:"testRunId"`
	AggregationVars string             `json:"aggregationVars"`
	Conditions      []metav1.Condition `json:"conditions"`
}

// standInConditions are those of a TestRun in a stage. inspected says that its script was.
func standInConditions(stage string, inspected bool) (out []metav1.Condition) {
	add := func(kind string, status metav1.ConditionStatus) {
		out = append(out, metav1.Condition{Type: kind, Status: status, Reason: kind + string(status), LastTransitionTime: metav1.Now()})
	}
	running := map[string]metav1.ConditionStatus{stageStarted: metav1.ConditionTrue, stageStopped: metav1.ConditionFalse, stageFinished: metav1.ConditionFalse}[stage]
	if running == "" {
		running = metav1.ConditionUnknown
	}
	cloud := metav1.ConditionUnknown
	if inspected {
		cloud = metav1.ConditionFalse
	}
	add("CloudTestRun", cloud)
	add("TestRunRunning", running)
	add("TeardownExecuted", metav1.ConditionFalse)
	add("CloudTestRunAborted", metav1.ConditionFalse)
	add("CloudPLZTestRun", metav1.ConditionFalse)
	return out
}

// port is where the i-th runner has its interface: they share one machine here.
func port(i int) string { return fmt.Sprintf("127.0.0.1:%d", 26565+i) }

// standIn is in what operators differ: where a runner has its interface, by what its measurements are told from others', and in how many
// seconds its pod has to end.
type standIn struct {
	address, tag string
	grace        *int64
}

// marks are the labels of what belongs to a runner. Its own do not take the place of the operator's.
func marks(run testRunSeen) map[string]string {
	labels := map[string]string{}
	for k, v := range run.Spec.Runner.Metadata.Labels {
		labels[k] = v
	}
	labels["app"], labels["k6_cr"], labels["runner"] = "k6", run.Metadata.Name, "true"
	return labels
}

func (h standIn) meta(run testRunSeen, name string) metav1.ObjectMeta {
	yes := true
	return metav1.ObjectMeta{Name: name, Namespace: "load", Labels: marks(run), Annotations: run.Spec.Runner.Metadata.Annotations,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "k6.io/v1alpha1", Kind: "TestRun", Name: run.Metadata.Name, UID: typesUID(run.Metadata.UID),
			Controller: &yes, BlockOwnerDeletion: &yes}}}
}

// command is the i-th runner's, from 0.
func (h standIn) command(run testRunSeen, i int) []string {
	n := int(run.Spec.Parallelism)
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
	return []string{"k6", "run", "--quiet", "--execution-segment=" + edge(i) + ":" + edge(i+1), "--execution-segment-sequence=" + strings.Join(edges, ","),
		"/test/" + run.Spec.Script.ConfigMap.File, "--address=" + h.address, "--paused", "--tag", "instance_id=" + strconv.Itoa(i+1), "--tag", h.tag}
}

func (h standIn) job(run testRunSeen, i int) *batchv1.Job {
	r, none := run.Spec.Runner, int32(0)
	name := fmt.Sprintf("%s-%d", run.Metadata.Name, i+1)
	script := corev1.Volume{Name: "k6-test-volume", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: run.Spec.Script.ConfigMap.Name}}}}
	token := r.AutomountServiceAccountToken != "false"
	answers := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/v1/status", Port: intstr.FromInt32(6565), Scheme: "HTTP"}}}
	c := corev1.Container{Name: operators, Image: r.Image, Command: h.command(run, i), Env: r.Env, SecurityContext: r.ContainerSecurityContext,
		Ports: []corev1.ContainerPort{{ContainerPort: 6565}}, LivenessProbe: answers, ReadinessProbe: answers,
		VolumeMounts: append([]corev1.VolumeMount{{Name: script.Name, MountPath: "/test"}}, r.VolumeMounts...)}
	if r.Resources != nil {
		c.Resources = *r.Resources
	}
	account := r.ServiceAccountName
	if account == "" {
		account = "default"
	}
	pod := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Hostname: name, ServiceAccountName: account, AutomountServiceAccountToken: &token,
		NodeSelector: r.NodeSelector, Tolerations: r.Tolerations, SecurityContext: r.SecurityContext, ImagePullSecrets: r.ImagePullSecrets,
		TerminationGracePeriodSeconds: h.grace, Volumes: append([]corev1.Volume{script}, r.Volumes...), Containers: []corev1.Container{c}}
	if run.Spec.Separate {
		one := func(key, value string) metav1.LabelSelectorRequirement {
			return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{value}}
		}
		pod.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "kubernetes.io/hostname",
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{one("app", "k6"), one("runner", "true")}}}}}}
	}
	return &batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: h.meta(run, name), Spec: batchv1.JobSpec{BackoffLimit: &none,
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: marks(run), Annotations: r.Metadata.Annotations}, Spec: pod}}}
}

func (h standIn) service(run testRunSeen, i int) *corev1.Service {
	return &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: h.meta(run, fmt.Sprintf("%s-service-%d", run.Metadata.Name, i+1)),
		Spec: corev1.ServiceSpec{Selector: map[string]string{"job-name": fmt.Sprintf("%s-%d", run.Metadata.Name, i+1)},
			Ports: []corev1.ServicePort{{Name: "http-api", Port: 6565, Protocol: corev1.ProtocolTCP}}}}
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
	return stageStarted
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
