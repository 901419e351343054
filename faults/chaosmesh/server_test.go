package chaosmesh

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/internal/kuberig"
)

// resourceOf is where an API server keeps the objects of a kind.
func resourceOf(kind string) schema.GroupVersionResource {
	name := strings.ToLower(kind)
	if !strings.HasSuffix(name, "chaos") {
		name += "s"
	}
	return v1alpha1.SchemeGroupVersion.WithResource(name)
}

// create asks an API server to make an object, or only whether it would, with every field that it does not know refused.
func create(t *testing.T, c *client, u *unstructured.Unstructured, dry bool) error {
	t.Helper()
	o := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
	if dry {
		o.DryRun = []string{metav1.DryRunAll}
	}
	at := c.Resource(resourceOf(u.GetKind()))
	if ns := u.GetNamespace(); ns != "" {
		_, err := at.Namespace(ns).Create(t.Context(), u, o)
		return err
	}
	_, err := at.Create(t.Context(), u, o)
	return err
}

// plain reads YAML as a client without types would.
func plain(t *testing.T, content string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(content), &u.Object); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: whole64(u.Object).(map[string]any)}
}

// whole64 makes all whole numbers 64 bits wide, as clients have them.
func whole64(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case time.Time:
		return v.Format(time.RFC3339)
	case map[string]any:
		for k, e := range v {
			v[k] = whole64(e)
		}
	case []any:
		for i, e := range v {
			v[i] = whole64(e)
		}
	}
	return v
}

// TestRealSchemas creates every object that a fault becomes, and every example manifest, at a real API server with Chaos Mesh's own
// schemas. It refuses each example with a misspelt field, as decode does, and its schemas ask for what decode asks for.
func TestRealSchemas(t *testing.T) {
	c, err := connect(faults.Access{Kubeconfig: kuberig.Schemas(t)})
	if err != nil {
		t.Fatal(err)
	}
	c.config.QPS = -1 // a test may ask as fast as it can
	if c.Interface, err = dynamic.NewForConfig(c.config); err != nil {
		t.Fatal(err)
	}
	compareTypes(t, definitions(t, c))
	for _, m := range mappings {
		r, o := m.request(), planned(t, m)
		u, err := o.owned(faults.Owner{Run: r.Run, Injection: r.ID, Fault: r.Fault, Scenario: r.Scenario}, "ann@laptop", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := create(t, c, u, false); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	refused := 0
	for _, kind := range kindNames() {
		content := example(t, kind)
		u := plain(t, content)
		if u.GetName() == "" {
			u.SetName("nameless")
		}
		if err := create(t, c, u, false); err != nil {
			t.Errorf("the example of %s: %v", kind, err)
		}
		for _, key := range keysOf(t, content) {
			if key.Column == 1 {
				continue // apiVersion, kind, metadata, spec: without them there is nothing to ask an API server
			}
			wrong := plain(t, misspell(content, key, key.Value+"s"))
			wrong.SetNamespace(u.GetNamespace())
			if wrong.GetName() == "" {
				wrong.SetName("nameless")
			}
			if err := create(t, c, wrong, true); err == nil {
				t.Errorf("%s is taken with %ss, line %d", kind, key.Value, key.Line)
			}
			refused++
		}
	}
	t.Logf("%d objects of faults, %d examples taken; %d misspelt ones refused", len(mappings), len(kindNames()), refused)
}
