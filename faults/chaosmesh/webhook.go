package chaosmesh

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/chaos-mesh/chaos-mesh/api/genericwebhook"
	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// complaints are what Chaos Mesh's own admission webhooks say of the object, asked without a cluster, each at its place.
func (m *manifest) complaints() (found mistakes) {
	defer func() {
		if p := recover(); p != nil {
			found = mistakes{at(m.node("spec"), "Refused by Chaos Mesh", fmt.Sprintf("Chaos Mesh's own checks break on this %s: %v.", m.kind, p))}
		}
	}()
	obj := m.typed.DeepCopyObject()
	switch o := obj.(type) {
	case *v1alpha1.Schedule:
		for _, e := range o.Spec.Validate(&o.Spec) {
			found = append(found, m.complaint(e))
		}
		return found
	case v1alpha1.InnerObject:
		genericwebhook.Default(o)
		for _, e := range genericwebhook.Validate(o) {
			found = append(found, m.complaint(e))
		}
		return found
	case webhook.CustomValidator:
		return m.whole(o, obj)
	}
	return nil
}

// complaint puts an error of a field at its place.
func (m *manifest) complaint(e *field.Error) mistake {
	text := e.Detail
	if text == "" {
		text = e.ErrorBody()
	}
	return at(m.node(m.jsonPath(e.Field)), "Refused by Chaos Mesh", sentence(text))
}

// complaintPath finds the field of a complaint that was made a text, and what follows the value.
var complaintPath = regexp.MustCompile(`(?:^|[\[ ])(spec[a-zA-Z0-9_.\[\]]*): (?:[A-Z][a-z]+ value(?:: "(?:[^"\\]|\\.)*")?: )?(.*)`)

// whole asks a webhook that says everything in one text, and puts it at the first field that it names.
func (m *manifest) whole(v webhook.CustomValidator, obj runtime.Object) mistakes {
	_, err := v.ValidateCreate(context.Background(), obj)
	if err == nil {
		return nil
	}
	path, text := "spec", err.Error()
	if parts := complaintPath.FindStringSubmatch(text); parts != nil {
		path, text = m.jsonPath(parts[1]), strings.TrimSuffix(parts[2], "]")
	}
	return mistakes{at(m.node(path), "Refused by Chaos Mesh", sentence(text))}
}

// jsonPath translates a path of Go's names, as the webhooks write it, into one of JSON's: embedded structs have no part in that.
func (m *manifest) jsonPath(path string) string {
	t, out := reflect.TypeOf(m.typed), ""
	for _, part := range strings.Split(path, ".") {
		name, number, indexed := strings.Cut(part, "[")
		for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
			t = t.Elem()
		}
		json := name
		if t != nil && t.Kind() == reflect.Struct {
			if f, is := t.FieldByName(name); is {
				tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if t = f.Type; f.Anonymous && tag == "" {
					continue
				}
				json = tag
			} else if member, is := membersOf(t)[name]; is {
				t = member.typ
			} else if strings.EqualFold(name, "spec") && out == "spec" {
				continue // some webhooks say spec twice
			} else {
				t = nil
			}
		}
		out = join(out, json)
		if indexed {
			out += "[" + number
		}
	}
	return out
}
