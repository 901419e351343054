package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad feeds the loader anything at all: it must not panic, must give the same answer twice, and must point inside the
// file. Its seeds are the examples and all test files.
func FuzzLoad(f *testing.F) {
	seeds := 0
	for _, pattern := range []string{"testdata/*/*.hcl", "../examples/*/*.hcl"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
			seeds++
		}
	}
	if seeds < 20 {
		f.Fatalf("only %d seeds: have the examples moved?", seeds)
	}
	o := testOptions()
	o.Catalogue.CheckScript = nil
	f.Fuzz(func(t *testing.T, src []byte) {
		path := filepath.Join(t.TempDir(), "s.hcl")
		if err := os.WriteFile(path, src, 0o644); err != nil {
			t.Fatal(err)
		}
		first, second := Load(path, o), Load(path, o)
		a, b := say(t, first), say(t, second)
		if !bytes.Equal(a, b) {
			t.Fatalf("two loads differ:\n%s\n---\n%s", a, b)
		}
		for _, d := range first.Diags {
			if d.Subject == nil {
				t.Fatalf("a diagnostic without a place: %s", d.Summary)
			}
			if s := d.Subject; s.Filename == path && (s.Start.Byte < 0 || s.End.Byte > len(src)+len("\xef\xbb\xbf") || s.Start.Byte > s.End.Byte) {
				t.Fatalf("%s points at bytes %d to %d of %d", d.Summary, s.Start.Byte, s.End.Byte, len(src))
			}
		}
		if !first.Diags.HasErrors() && len(first.Scenarios) == 0 {
			t.Fatal("nothing is wrong, and yet there is no scenario")
		}
	})
}

// say returns all that is said about a file, in both forms.
func say(t *testing.T, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteText(&b, []*File{f}, 100, false); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(&b, []*File{f}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
