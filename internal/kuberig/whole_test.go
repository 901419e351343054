package kuberig

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const meshAPI = "/apis/chaos-mesh.org/v1alpha1/namespaces/"

// TestCluster is a cluster seen as its users see it: Chaos Mesh's controllers and webhooks act on what it is given.
func TestCluster(t *testing.T) {
	c := Start(t, Options{Controllers: Workloads})
	if err := c.Namespace("shop"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cart-1", "cart-2", "cart-3", "cart-4"} {
		c.Pod(t, "shop", name, "node-1", "app", "cart")
	}
	selector := object{"namespaces": []string{"shop"}, "labelSelectors": object{"app": "cart"}}
	kill := object{"action": "pod-kill", "mode": "one", "selector": selector}

	t.Run("webhooks", func(t *testing.T) {
		// The schema allows any text as a value; the webhook wants a number.
		err := c.Post(meshAPI+"shop/podchaos", chaos("PodChaos", "bad", object{"action": "pod-kill", "mode": "fixed", "value": "none", "selector": selector}), nil)
		var status *StatusError
		if !errors.As(err, &status) || !strings.Contains(status.Message, "vpodchaos.kb.io") {
			t.Errorf("%v", err)
		}
	})
	t.Run("webhooks come and go", func(t *testing.T) {
		bad := chaos("PodChaos", "bad", object{"action": "pod-kill", "mode": "fixed", "value": "none", "selector": selector})
		for range 5 {
			if err := c.RemoveWebhooks(); err != nil {
				t.Fatal(err)
			}
			if err := c.Try(meshAPI+"shop/podchaos", bad, nil); err != nil {
				t.Errorf("without webhooks: %v", err)
			}
			if err := c.InstallWebhooks(); err != nil {
				t.Fatal(err)
			}
			if err := c.Try(meshAPI+"shop/podchaos", bad, nil); err == nil {
				t.Error("with webhooks it is taken")
			}
		}
	})
	t.Run("PodChaos", func(t *testing.T) {
		if err := c.Post(meshAPI+"shop/podchaos", chaos("PodChaos", "kill", kill), nil); err != nil {
			t.Fatal(err)
		}
		Eventually(t, 20*time.Second, "AllInjected", func() bool { return c.condition(t, "podchaos/kill", "AllInjected") })
		if left := c.count(t, "/api/v1/namespaces/shop/pods"); left != 3 {
			t.Errorf("%d pods are left", left)
		}
	})
	t.Run("Schedule", func(t *testing.T) {
		if err := c.Post(meshAPI+"shop/schedules", chaos("Schedule", "often", object{"schedule": "@every 1s", "historyLimit": 1,
			"concurrencyPolicy": "Forbid", "type": "PodChaos", "podChaos": kill}), nil); err != nil {
			t.Fatal(err)
		}
		Eventually(t, 30*time.Second, "the schedule has killed a pod", func() bool { return c.count(t, "/api/v1/namespaces/shop/pods") < 3 })
		if err := c.Delete(meshAPI + "shop/schedules/often"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("Workflow", func(t *testing.T) {
		c.Pod(t, "shop", "search-1", "node-1", "app", "search")
		other := object{"action": "pod-kill", "mode": "one", "selector": object{"namespaces": []string{"shop"}, "labelSelectors": object{"app": "search"}}}
		if err := c.Post(meshAPI+"shop/workflows", chaos("Workflow", "steps", object{"entry": "all", "templates": []object{
			{"name": "all", "templateType": "Serial", "children": []string{"wait", "kill"}, "deadline": "30s"},
			{"name": "wait", "templateType": "Suspend", "deadline": "1s"},
			{"name": "kill", "templateType": "PodChaos", "deadline": "10s", "podChaos": other}}}), nil); err != nil {
			t.Fatal(err)
		}
		Eventually(t, 30*time.Second, "the workflow has killed the pod", func() bool {
			return IsCode(c.Get("/api/v1/namespaces/shop/pods/search-1", nil), http.StatusNotFound)
		})
		if nodes := c.count(t, meshAPI+"shop/workflownodes"); nodes != 3 {
			t.Errorf("%d nodes of the workflow, not 3", nodes)
		}
	})
	t.Run("Job", func(t *testing.T) {
		if err := c.Post("/apis/batch/v1/namespaces/shop/jobs", object{"apiVersion": "batch/v1", "kind": "Job", "metadata": object{"name": "load"},
			"spec": object{"parallelism": 2, "completions": 2, "completionMode": "Indexed", "template": object{"spec": object{"restartPolicy": "Never",
				"containers": []object{{"name": "main", "image": "none"}}}}}}, nil); err != nil {
			t.Fatal(err)
		}
		Eventually(t, 20*time.Second, "the job has its pods", func() bool {
			return c.count(t, "/api/v1/namespaces/shop/pods?labelSelector=job-name%3Dload") == 2
		})
	})
	t.Run("nobody injects", func(t *testing.T) { testStoppedControllers(t, c, kill) })
}

// testStoppedControllers leaves an object to nobody, and gives it to the controllers when they are back.
func testStoppedControllers(t *testing.T, c *Cluster, spec object) {
	c.Pod(t, "shop", "cart-5", "node-1", "app", "cart")
	if err := c.StopControllers(); err != nil {
		t.Fatal(err)
	}
	err := c.Post(meshAPI+"shop/podchaos", chaos("PodChaos", "alone", spec), nil)
	if !IsCode(err, http.StatusInternalServerError) || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Errorf("webhooks that do not answer: %v", err)
	}
	if err := c.RemoveWebhooks(); err != nil {
		t.Fatal(err)
	}
	if err := c.Post(meshAPI+"shop/podchaos", chaos("PodChaos", "alone", spec), nil); err != nil {
		t.Fatal(err)
	}
	var got struct{ Status object }
	if err := c.Get(meshAPI+"shop/podchaos/alone", &got); err != nil || got.Status["conditions"] != nil {
		t.Errorf("with nobody to inject it: %v, %v", got.Status, err)
	}
	if err := errors.Join(c.StartControllers(t.Context()), c.InstallWebhooks()); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 30*time.Second, "AllInjected", func() bool { return c.condition(t, "podchaos/alone", "AllInjected") })
}

// TestOutages is a cluster without Chaos Mesh, whose API server comes and goes, and whose users may do little.
func TestOutages(t *testing.T) {
	c := Start(t, Options{NoChaosMesh: true})
	if err := c.Namespace("shop"); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(meshAPI+"shop/podchaos", nil); !IsCode(err, http.StatusNotFound) {
		t.Errorf("without Chaos Mesh: %v", err)
	}
	t.Run("users", func(t *testing.T) { testUsers(t, c) })
	t.Run("frozen", func(t *testing.T) {
		if err := c.FreezeAPI(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Open(ctx, http.MethodGet, "/version", "", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a frozen server: %v", err)
		}
		if err := c.ThawAPI(); err != nil {
			t.Fatal(err)
		}
		if err := c.Get("/version", nil); err != nil {
			t.Errorf("thawed: %v", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		watch, err := c.Open(t.Context(), http.MethodGet, "/api/v1/namespaces?watch=1", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Body.Close()
		c.StopAPI()
		if _, err := io.Copy(io.Discard, watch.Body); err == nil {
			t.Error("a watch ended as if all was well")
		}
		if err := c.Get("/version", nil); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("a stopped server: %v", err)
		}
		if err := c.StartAPI(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Get("/api/v1/namespaces/shop", nil); err != nil {
			t.Errorf("started again: %v", err)
		}
	})
	t.Run("inside", func(t *testing.T) {
		cmd := exec.Command("ip", "-brief", "address")
		var out strings.Builder
		cmd.Stdout = &out
		if err := c.Run(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), Address) {
			t.Errorf("%s, %v", out.String(), err)
		}
	})
}

func testUsers(t *testing.T, c *Cluster) {
	pods := []Rule{{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}}}
	for _, u := range []struct {
		User
		shop, all int // HTTP status of listing pods there
	}{
		{User{Name: "anna", Rules: pods}, 200, 200},
		{User{Name: "ben", In: map[string][]Rule{"shop": pods}}, 200, 403},
		{User{Name: "runner", Namespace: "shop", In: map[string][]Rule{"shop": pods}}, 200, 403},
		{User{Name: "late", Namespace: "shop", In: map[string][]Rule{"shop": pods}, Expired: true}, 401, 401},
	} {
		as, err := NewClient(c.Kubeconfig(t, u.User))
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{"/api/v1/namespaces/shop/pods": u.shop, "/api/v1/pods": u.all} {
			if err := as.Get(path, nil); (want == 200) != (err == nil) || want != 200 && !IsCode(err, want) {
				t.Errorf("%s asks for %s: %v, not %d", u.Name, path, err, want)
			}
		}
	}
	out, err := c.KubectlAs(t.Context(), c.Kubeconfig(t, User{Name: "ben"}), "", "auth", "can-i", "list", "pods", "-n", "shop")
	if err != nil || strings.TrimSpace(out) != "yes" {
		t.Errorf("kubectl: %q, %v", out, err)
	}
}

// chaos is an object of Chaos Mesh.
func chaos(kind, name string, spec object) object {
	return object{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": object{"name": name}, "spec": spec}
}

// count returns how many objects a list has.
func (c *Cluster) count(t *testing.T, path string) int {
	t.Helper()
	var list struct{ Items []any }
	if err := c.Get(path, &list); err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// condition reports whether a condition of a resource in the namespace shop is true.
func (c *Cluster) condition(t *testing.T, resource, kind string) bool {
	t.Helper()
	var got struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := c.Get(meshAPI+"shop/"+resource, &got); err != nil {
		t.Fatal(err)
	}
	for _, have := range got.Status.Conditions {
		if have.Type == kind {
			return have.Status == "True"
		}
	}
	return false
}
