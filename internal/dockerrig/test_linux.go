package dockerrig

import (
	"context"
	"os"
	"testing"
)

// ForTest starts an engine that ends with the test. Where it cannot run the test is skipped, and fails where CI is set.
func ForTest(t testing.TB) *Engine {
	t.Helper()
	if err := Missing(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "dk-")
	if err != nil {
		t.Fatal(err)
	}
	e, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
