package kubernetes

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/internal/kuberig"
	"gameday/loadgen"
)

// asTheStandIn holds the stand-in to the operator: of one TestRun both make the same Jobs and Services, as the API server keeps them, and
// say the same of it.
func (w *operated) asTheStandIn(t *testing.T) {
	if err := w.c.Post("/api/v1/namespaces/load/serviceaccounts", fields{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": fields{"name": "runner"}}, nil); err != nil {
		t.Fatal(err)
	}
	o := full(loadgen.K6Operator)
	o.RunOn.NodeSelector = map[string]string{"kubernetes.io/hostname": "node-1"}
	o.RunOn.Image, o.Collector = gamedayImage, kuberig.Address+":9"
	o.RunOn.InitializerImage, o.RunOn.StarterImage = "", "" // those that are there
	now := time.Now()
	var run testRunSeen
	if err := w.c.Post(runsPath, o.testRun(now, false), &run); err != nil {
		t.Fatal(err)
	}
	owner := []metav1.OwnerReference{{APIVersion: "k6.io/v1alpha1", Kind: "TestRun", Name: o.name, UID: typesUID(run.Metadata.UID)}}
	for path, made := range map[string]any{"configmaps": o.configMap(owner, now), "secrets": o.secret(owner, now)} {
		if err := w.c.Post("/api/v1/namespaces/load/"+path, made, nil); err != nil {
			t.Fatal(err)
		}
	}
	kuberig.Eventually(t, time.Minute, "the runners are made", func() bool { // they have no collector, and end
		if err := w.c.Get(runsPath+"/"+o.name, &run); err != nil {
			t.Fatal(err)
		}
		return run.Status.Stage == stageCreated
	})
	sameConditions(t, stageCreated, run.Status.Conditions)
	const jobsPath, servicesPath = "/apis/batch/v1/namespaces/load/jobs", "/api/v1/namespaces/load/services"
	real := map[string]fields{}
	for i := range 3 {
		for path, name := range map[string]string{jobsPath: fmt.Sprintf("%s-%d", o.name, i+1), servicesPath: fmt.Sprintf("%s-service-%d", o.name, i+1)} {
			var got fields
			if err := w.c.Get(path+"/"+name, &got); err != nil {
				t.Fatal(err)
			}
			real[path+name] = bare(got)
		}
	}
	if err := w.c.Delete(runsPath + "/" + o.name); err != nil {
		t.Fatal(err)
	}
	w.nothing(t, "the TestRun was deleted")
	compared := 0
	for i := range 3 {
		now := int64(0)
		h := standIn{address: "0.0.0.0:6565", tag: fmt.Sprintf("job_name=%s-%d", o.name, i+1), grace: &now}
		job, service := h.job(run, i), h.service(run, i)
		for path, made := range map[string]any{jobsPath: job, servicesPath: service} {
			var got fields
			if err := w.c.Try(path, made, &got); err != nil {
				t.Fatal(err)
			}
			name := path + got["metadata"].(fields)["name"].(string)
			if d := cmp.Diff(bare(got), real[name]); d != "" {
				t.Errorf("%s, the stand-in's and the operator's: %s", name, d)
			}
			compared++
		}
	}
	t.Logf("%d objects are the same", compared)
}

// sameConditions holds the stand-in's conditions in a stage to the operator's.
func sameConditions(t *testing.T, stage string, real []metav1.Condition) {
	t.Helper()
	words := func(all []metav1.Condition) (out []string) {
		for _, c := range all {
			out = append(out, c.Type+" "+string(c.Status))
		}
		slices.Sort(out)
		return out
	}
	if d := cmp.Diff(words(standInConditions(stage, true)), words(real)); d != "" {
		t.Errorf("conditions in stage %s, the stand-in's and the operator's: %s", stage, d)
	}
}

// bare takes from an object what is different each time that it is made.
func bare(o fields) fields {
	delete(o, "status")
	meta := o["metadata"].(fields)
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
		delete(meta, key)
	}
	spec := o["spec"].(fields)
	for _, key := range []string{"selector", "clusterIP", "clusterIPs"} {
		if key != "selector" || o["kind"] == "Job" { // that of a Job has its uid
			delete(spec, key)
		}
	}
	delete(meta["labels"].(fields), "controller-uid")
	if template, ok := spec["template"].(fields); ok {
		labels := template["metadata"].(fields)["labels"].(fields)
		for _, key := range []string{"controller-uid", "batch.kubernetes.io/controller-uid"} {
			delete(labels, key)
		}
		delete(template["metadata"].(fields), "creationTimestamp")
	}
	return o
}
