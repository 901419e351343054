package chaosmesh

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzManifest feeds decode and check anything. What is wrong is at a place in the file; what is right is read as what it is, and is
// right when it is written anew.
func FuzzManifest(f *testing.F) {
	for _, kind := range kindNames() {
		f.Add(example(f, kind))
	}
	f.Add("apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: &a {<<: *a}\nspec: {? [x] : y}\n")
	f.Add("--- !!binary x\n...\n%YAML 1.1\n--- {a: 0x7fffffffffffffffff, b: .inf, c: 2001-01-01, d: ~, e: 'x'}")
	f.Fuzz(func(t *testing.T, content string) {
		lines := strings.Count(content, "\n") + 1
		m, found := decode(content)
		if (m == nil) != (len(found) > 0) {
			t.Fatalf("manifest %v with mistakes %v", m, found.asError())
		}
		if m != nil {
			found = m.check(m.oneShot(), time.Minute)
		}
		for _, one := range found {
			if one.line < 1 || one.line > lines || one.column < 1 || one.summary == "" || one.detail == "" {
				t.Fatalf("%+v in %d lines", one, lines)
			}
		}
		if m == nil {
			return
		}
		text, err := writeYAML(m.raw)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, found := decode(text)
		if len(found) > 0 {
			t.Fatalf("%v\n%s", found.asError(), text)
		}
		if !reflect.DeepEqual(again.typed, m.typed) {
			t.Fatalf("read as %+v, and written anew as %+v", m.typed, again.typed)
		}
	})
}
