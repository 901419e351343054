package chaosmesh

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// shape is the part of an OpenAPI schema that the tests compare types with.
type shape struct {
	Type       string           `yaml:"type"`
	Properties map[string]shape `yaml:"properties"`
	Additional *shape           `yaml:"additionalProperties"`
	Items      *shape           `yaml:"items"`
	Required   []string         `yaml:"required"`
	Enum       []string         `yaml:"enum"`
	Preserve   bool             `yaml:"x-kubernetes-preserve-unknown-fields"`
	IntOrText  bool             `yaml:"x-kubernetes-int-or-string"`
}

// definitions are the schemas that an API server has of Chaos Mesh's kinds.
func definitions(t *testing.T, c *client) map[string]shape {
	t.Helper()
	list, err := c.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).
		List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]shape{}
	for _, item := range list.Items {
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct {
						Shape shape `yaml:"openAPIV3Schema"`
					}
				}
			}
		}
		text, err := item.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, &crd); err != nil { // JSON is YAML
			t.Fatal(err)
		}
		kinds[crd.Spec.Names.Kind] = crd.Spec.Versions[0].Schema.Shape
	}
	return kinds
}

// compareTypes compares what decode asks of a manifest with the schemas of an API server, everywhere in every kind: the same fields, the
// same of them required, the same choices.
func compareTypes(t *testing.T, kinds map[string]shape) {
	if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, kindNames()) {
		t.Errorf("schemas are there of %v,\ntypes of %v", got, kindNames())
	}
	compared := 0
	for kind, s := range kinds {
		compare(t, kind, s, kindTypes()[kind], &compared)
	}
	if compared < 3000 {
		t.Errorf("only %d fields were compared", compared)
	}
	t.Logf("%d fields compared", compared)
}

// tooNew are fields that the API has, and older definitions of the same version have not.
var tooNew = map[string]bool{"partitionBehavior": true}

func compare(t *testing.T, path string, s shape, typ reflect.Type, compared *int) {
	typ = bare(typ)
	*compared++
	switch {
	case s.Preserve || s.IntOrText || ownJSON(typ):
		return
	case strings.Contains(path, ".status") || strings.HasSuffix(path, ".metadata"):
		return // nobody writes the one, and no schema says the other
	}
	if s.Enum != nil || wordsOf(typ) != nil {
		compareChoices(t, path, s.Enum, wordsOf(typ))
	}
	switch typ.Kind() {
	case reflect.Struct:
		members := membersOf(typ)
		old := func(name string) bool { return tooNew[name] }
		have := slices.DeleteFunc(slices.Sorted(maps.Keys(members)), old)
		if want := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Properties)), old); !slices.Equal(have, want) {
			t.Errorf("%s: the type has %v,\nthe schema %v", path, have, want)
		}
		for name, m := range members {
			envelope := name == "apiVersion" || name == "kind" || name == "metadata"
			if below, has := s.Properties[name]; has {
				if want := slices.Contains(s.Required, name); m.required != want && !envelope && typ.PkgPath() == chaosPackage {
					t.Errorf("%s.%s: required %v, and in the schema %v", path, name, m.required, want)
				}
				compare(t, path+"."+name, below, m.typ, compared)
			}
		}
	case reflect.Map:
		if s.Additional == nil {
			t.Errorf("%s is free in the type, and not in the schema", path)
			return
		}
		compare(t, path+"{}", *s.Additional, typ.Elem(), compared)
	case reflect.Slice:
		if s.Type == "string" && typ.Elem().Kind() == reflect.Uint8 {
			return
		}
		if s.Items == nil {
			t.Errorf("%s is a list in the type, and not in the schema", path)
			return
		}
		compare(t, path+"[]", *s.Items, typ.Elem(), compared)
	}
}

// compareChoices holds the words that decode takes to those of a schema. A schema may have none where the types do.
func compareChoices(t *testing.T, path string, schema, ours []string) {
	t.Helper()
	if schema == nil {
		return
	}
	a, b := slices.Sorted(slices.Values(schema)), slices.Sorted(slices.Values(ours))
	if !slices.Equal(a, b) {
		t.Errorf("%s: the schema has %v,\nand decode takes %v", path, a, b)
	}
}

// TestMembers holds membersOf to encoding/json where it is hardest: fields that embedded structs share with what they are embedded in.
func TestMembers(t *testing.T) {
	members := membersOf(reflect.TypeFor[v1alpha1.PhysicalMachineChaosSpec]())
	if got := members["action"].typ; got != reflect.TypeFor[v1alpha1.PhysicalMachineChaosAction]() {
		t.Errorf("action is a %v: the field of the embedded ExpInfo hides that of the spec", got)
	}
	for _, name := range []string{"mode", "selector", "stress-cpu", "user_defined", "uid", "duration"} {
		if _, has := members[name]; !has {
			t.Errorf("%s is missing", name)
		}
	}
	if _, has := members["ExpInfo"]; has {
		t.Error("ExpInfo is embedded, and no field of its own")
	}
}
