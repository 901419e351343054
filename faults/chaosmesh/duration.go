package chaosmesh

import (
	"reflect"

	kube "sigs.k8s.io/controller-runtime/pkg/client"
)

// durationOf returns where an object's spec says how long it stands, or nil when its kind has no such field.
func durationOf(o kube.Object) **string {
	spec := reflect.ValueOf(o).Elem().FieldByName("Spec")
	if !spec.IsValid() || spec.Kind() != reflect.Struct {
		return nil
	}
	field := spec.FieldByName("Duration")
	if !field.IsValid() || !field.CanAddr() {
		return nil
	}
	d, _ := field.Addr().Interface().(**string)
	return d
}
