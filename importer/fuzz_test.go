package importer_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gameday/importer"
)

// seeds adds the files of a folder to a fuzz target.
func seeds(f *testing.F, pattern string) {
	f.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds at %s: %v", pattern, err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// fataler is a test, of this library or the other.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// holds reads anything at all: it must not panic, must say the same twice, and what comes out must be a block that
// validates, or an error that says what to do.
func holds(t fataler, read func() (*importer.Result, error)) {
	first, err := read()
	second, errAgain := read()
	if fmt.Sprint(err) != fmt.Sprint(errAgain) {
		t.Fatalf("two errors: %v and %v", err, errAgain)
	}
	if err != nil {
		if _, ok := errors.AsType[*importer.Error](err); !ok {
			t.Fatalf("an error without a next step: %v", err)
		}
		return
	}
	if a, b := page(t, first), page(t, second); !bytes.Equal(a, b) {
		t.Fatalf("two results:\n%s\n----\n%s", a, b)
	}
	if flowsOn(first) > 0 {
		validates(t, first)
	}
}

// FuzzHAR reads anything as a HAR file.
func FuzzHAR(f *testing.F) {
	seeds(f, "testdata/har/*.har")
	f.Fuzz(func(t *testing.T, b []byte) {
		holds(t, func() (*importer.Result, error) {
			return importer.ReadHAR(bytes.NewReader(b), importer.Options{Name: "fuzz", MaxThink: time.Second, Beside: "bodies"})
		})
	})
}

// FuzzPostman reads anything as a collection.
func FuzzPostman(f *testing.F) {
	seeds(f, "testdata/postman/*.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		holds(t, func() (*importer.Result, error) {
			return importer.ReadPostman(bytes.NewReader(b), nil, importer.Options{Name: "fuzz"})
		})
	})
}

// FuzzOpenAPI reads anything as a document.
func FuzzOpenAPI(f *testing.F) {
	seeds(f, "testdata/openapi/*.*l")
	seeds(f, "testdata/openapi/*.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		holds(t, func() (*importer.Result, error) {
			return importer.ReadOpenAPI(bytes.NewReader(b), "testdata/openapi/fuzz.yaml", importer.Options{Name: "fuzz", Writes: 1})
		})
	})
}

// FuzzDetect looks at anything at all.
func FuzzDetect(f *testing.F) {
	seeds(f, "testdata/*/*.*")
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, err := importer.Detect(bytes.NewReader(b))
		if _, ok := errors.AsType[*importer.Error](err); (kind == "") != ok {
			t.Fatalf("%q with %v", kind, err)
		}
	})
}
