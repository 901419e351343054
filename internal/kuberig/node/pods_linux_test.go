package node

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gameday/internal/kuberig"
)

// TestPods is what becomes of pods on a node, without any chaos.
func TestPods(t *testing.T) {
	r := start(t)
	t.Run("Job", func(t *testing.T) { testJobs(t, r) })
	t.Run("restarts", func(t *testing.T) {
		r.pod(t, "crash", object{"command": []string{"/web", "exit", "3"}}, nil)
		r.eventually(t, "it was restarted twice", func() bool {
			s := r.get(t, "crash").Status.ContainerStatuses
			return len(s) == 1 && s[0].RestartCount >= 2 && s[0].LastState.Terminated != nil && s[0].LastState.Terminated.ExitCode == 3 && !s[0].Ready
		})
		if err := r.c.Delete(podAPI + "crash"); err != nil {
			t.Fatal(err)
		}
		r.eventually(t, "its containers are gone", func() bool { return r.n.Container("shop", "crash", "web") == "" })
	})
	t.Run("logs", func(t *testing.T) { testLogs(t, r) })
	t.Run("inside", func(t *testing.T) { testInside(t, r) })
	t.Run("Deployment", func(t *testing.T) { testDeployment(t, r) })
	t.Run("no such image", func(t *testing.T) {
		r.pod(t, "lost", object{"image": "rig/none"}, nil)
		r.eventually(t, "it says so", func() bool {
			out, err := r.c.Kubectl(t.Context(), "", "get", "pod", "lost", "-n", "shop", "-o", "wide")
			return err == nil && strings.Contains(out, "CreateContainerError")
		})
	})
}

func testJobs(t *testing.T, r *rig) {
	for name, exit := range map[string]string{"good": "0", "bad": "3"} {
		if err := r.c.Post("/apis/batch/v1/namespaces/shop/jobs", object{"apiVersion": "batch/v1", "kind": "Job", "metadata": object{"name": name},
			"spec": object{"parallelism": 2, "completions": 2, "backoffLimit": 0, "template": object{"spec": object{"restartPolicy": "Never",
				"containers": []object{{"name": "web", "image": Web, "command": []string{"/web", "exit", exit}}}}}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(name, condition string) {
		r.eventually(t, "the job "+name+" is "+condition, func() bool {
			var job struct {
				Status struct {
					Conditions []struct{ Type, Status string }
				}
			}
			if err := r.c.Get("/apis/batch/v1/namespaces/shop/jobs/"+name, &job); err != nil {
				t.Fatal(err)
			}
			return slices.Contains(job.Status.Conditions, struct{ Type, Status string }{condition, "True"})
		})
	}
	ended("good", "Complete")
	ended("bad", "Failed")
	var pods struct{ Items []seen }
	if err := r.c.Get(strings.TrimSuffix(podAPI, "/")+"?labelSelector=job-name%3Dbad", &pods); err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if s := p.Status; s.Phase == "Failed" && s.ContainerStatuses[0].State.Terminated.ExitCode == 3 {
			return
		}
	}
	t.Errorf("no pod of the job ended with 3: %+v", pods.Items)
}

func testLogs(t *testing.T, r *rig) {
	r.serve(t, "talker")
	out, err := r.c.Kubectl(t.Context(), "", "logs", "talker", "-n", "shop")
	if err != nil || out != "listening on :8080\n" {
		t.Errorf("%q, %v", out, err)
	}
	log, err := r.c.Open(t.Context(), http.MethodGet, podAPI+"talker/log?follow=true", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Body.Close()
	lines := bufio.NewReader(log.Body)
	if first, err := lines.ReadString('\n'); err != nil || first != "listening on :8080\n" {
		t.Errorf("%q, %v", first, err)
	}
	// With its grace it can still say something.
	if err := r.c.Do(http.MethodDelete, podAPI+"talker", "", nil, nil); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != "asked to end\n" {
		t.Errorf("%q, %v", rest, err)
	}
	r.eventually(t, "the pod is gone", func() bool { return kuberig.IsCode(r.c.Get(podAPI+"talker", nil), http.StatusNotFound) })
}

// testInside is what a pod's container finds: its variables, its volumes, and the API server, by the service account's token.
func testInside(t *testing.T, r *rig) {
	if err := r.c.Post("/api/v1/namespaces/shop/configmaps", object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "settings"},
		"data": object{"colour": "green", "file.txt": "text"}}, nil); err != nil {
		t.Fatal(err)
	}
	r.pod(t, "inside", object{"args": []string{":$(PORT)"}, "command": []string{"/web"}, "env": []object{{"name": "PORT", "value": "8080"},
		{"name": "NAME", "valueFrom": object{"fieldRef": object{"fieldPath": "metadata.name"}}},
		{"name": "APP", "valueFrom": object{"fieldRef": object{"fieldPath": "metadata.labels['app']"}}},
		{"name": "COLOUR", "valueFrom": object{"configMapKeyRef": object{"name": "settings", "key": "colour"}}}},
		"volumeMounts": []object{{"name": "settings", "mountPath": "/settings"}}},
		object{"volumes": []object{{"name": "settings", "configMap": object{"name": "settings", "items": []object{{"key": "file.txt", "path": "x"}}}}},
			"securityContext": object{"runAsUser": 65532}})
	r.eventually(t, "it answers", func() bool {
		if r.get(t, "inside").Status.PodIP == "" {
			return false
		}
		_, err := r.ask(t, "inside", "/")
		return err == nil
	})
	for path, want := range map[string]string{"/env/NAME": "inside", "/env/APP": "inside", "/env/COLOUR": "green", "/env/KUBERNETES_SERVICE_HOST": kuberig.Address,
		"/file/settings/x": "text", "/file/var/run/secrets/kubernetes.io/serviceaccount/namespace": "shop"} {
		if got, err := r.ask(t, "inside", path); err != nil || got != want {
			t.Errorf("%s is %q, %v, not %q", path, got, err, want)
		}
	}
	token, err := r.ask(t, "inside", "/file/var/run/secrets/kubernetes.io/serviceaccount/token")
	if err != nil {
		t.Fatal(err)
	}
	var review struct {
		Status struct {
			Authenticated bool
			User          struct{ Username string }
		}
	}
	if err := r.c.Post("/apis/authentication.k8s.io/v1/tokenreviews", object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
		"spec": object{"token": token}}, &review); err != nil || review.Status.User.Username != "system:serviceaccount:shop:default" {
		t.Errorf("the token is of %+v, %v", review.Status, err)
	}
}

func testDeployment(t *testing.T, r *rig) {
	labels := object{"app": "many"}
	if err := r.c.Post("/apis/apps/v1/namespaces/shop/deployments", object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": "many"},
		"spec": object{"replicas": 2, "selector": object{"matchLabels": labels}, "template": object{"metadata": object{"labels": labels},
			"spec": object{"containers": []object{{"name": "web", "image": Web, "command": []string{"/web", ":8080"}}}}}}}, nil); err != nil {
		t.Fatal(err)
	}
	ready := func() bool {
		var d struct{ Status struct{ ReadyReplicas int } }
		if err := r.c.Get("/apis/apps/v1/namespaces/shop/deployments/many", &d); err != nil {
			t.Fatal(err)
		}
		return d.Status.ReadyReplicas == 2
	}
	r.eventually(t, "two are ready", ready)
	var pods struct {
		Items []struct{ Metadata struct{ Name, UID string } }
	}
	list := func() {
		if err := r.c.Get(strings.TrimSuffix(podAPI, "/")+"?labelSelector=app%3Dmany", &pods); err != nil {
			t.Fatal(err)
		}
	}
	list()
	gone := pods.Items[0].Metadata.Name
	if err := r.c.Delete(podAPI + gone); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "another one is in its place", func() bool {
		list()
		return len(pods.Items) == 2 && pods.Items[0].Metadata.Name != gone && pods.Items[1].Metadata.Name != gone && ready()
	})
}
