package kuberig

import (
	"errors"
	"strings"
	"testing"
)

func TestSchemas(t *testing.T) {
	c, err := NewClient(Schemas(t))
	if err != nil {
		t.Fatal(err)
	}
	const chaos = "/apis/chaos-mesh.org/v1alpha1/namespaces/shop/podchaos"
	object := func(spec map[string]any) map[string]any {
		return map[string]any{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodChaos", "metadata": map[string]any{"name": "kill"}, "spec": spec}
	}
	selector := map[string]any{"namespaces": []string{"shop"}}
	for _, bad := range []struct {
		spec map[string]any
		says string
	}{
		{map[string]any{"action": "pod-kill", "mode": "one", "selectr": selector}, `unknown field "spec.selectr"`},
		{map[string]any{"action": "pod-kil", "mode": "one", "selector": selector}, `Unsupported value: "pod-kil"`},
		{map[string]any{"action": "pod-kill", "selector": selector}, "spec.mode: Required value"},
	} {
		var status *StatusError
		if err := c.Post(chaos, object(bad.spec), nil); !errors.As(err, &status) || !strings.Contains(status.Message, bad.says) {
			t.Errorf("%v: %v, not %q", bad.spec, err, bad.says)
		}
	}
	if err := c.Post(chaos, object(map[string]any{"action": "pod-kill", "mode": "one", "selector": selector}), nil); err != nil {
		t.Fatal(err)
	}
	// The definitions have no status of its own path, and want an experiment in it.
	if err := c.Patch(chaos+"/kill", map[string]any{"status": map[string]any{"experiment": map[string]any{"desiredPhase": "Run"},
		"conditions": []any{map[string]any{"type": "AllInjected", "status": "True"}}}}, nil); err != nil {
		t.Error(err)
	}
	var got struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := c.Get(chaos+"/kill", &got); err != nil || len(got.Status.Conditions) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	var all struct{ Items []any }
	if err := c.Get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &all); err != nil || len(all.Items) < 20 {
		t.Errorf("%d definitions, %v", len(all.Items), err)
	}
	if err := c.Delete(chaos + "/kill"); err != nil {
		t.Error(err)
	}
	if err := c.Get(chaos+"/kill", nil); !IsCode(err, 404) {
		t.Errorf("after deleting: %v", err)
	}
}
