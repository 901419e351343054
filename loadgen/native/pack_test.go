package native

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

// TestPacked checks that a packed stream finds its files in its own folder, and that the stream it was made from still names
// the old ones.
func TestPacked(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("this is "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	call := loadgen.Request{Name: "c", Call: &loadgen.Call{Descriptor: file("descriptor")}}
	spec := loadgen.Spec{Flows: []loadgen.Flow{{Name: "f", Requests: []loadgen.Request{{Name: "plain"}, call, call}}},
		Wire: loadgen.Wire{TLS: loadgen.TLS{CA: file("ca"), Key: file("key"), Cert: file("cert")}}}
	before := cloned(spec.Flows)
	packed, err := (&Engine{}).Pack(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	packed.Dir = t.TempDir()
	there, err := unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, path := range named(&there) {
		b, err := os.ReadFile(*path)
		if err != nil || filepath.Dir(*path) != packed.Dir {
			t.Errorf("%s: %v", *path, err)
		}
		said = append(said, string(b))
	}
	if d := cmp.Diff([]string{"this is ca", "this is cert", "this is key", "this is descriptor", "this is descriptor"}, said); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before, spec.Flows); d != "" {
		t.Error(d)
	}
	spec.Wire.TLS.CA = filepath.Join(dir, "none")
	if _, err := (&Engine{}).Pack(t.Context(), spec); err == nil {
		t.Error("a file that is not there was packed")
	}
}
