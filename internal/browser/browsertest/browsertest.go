// Package browsertest gives tests a browser, and what looks for barriers in pages.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gameday/internal/browser"
)

// Start starts a browser that reaches nobody, which is closed with the test. A test that has one is none of the quick ones. Where there is
// none the test is passed over, and fails in CI.
func Start(t *testing.T) *browser.Browser {
	t.Helper()
	return begun(t, browser.Start)
}

// StartLoopback starts one that reaches this machine's loopback and nobody else.
func StartLoopback(t *testing.T) *browser.Browser {
	t.Helper()
	return begun(t, browser.StartLoopback)
}

func begun(t *testing.T, start func(context.Context) (*browser.Browser, error)) *browser.Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts a browser")
	}
	b, err := start(context.Background())
	if errors.Is(err, browser.ErrMissing) {
		needed(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Axe returns the source of axe-core, which tools/setup fetches and nothing of ours contains.
func Axe(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GAMEDAY_AXE")
	if dir == "" {
		cache, err := os.UserCacheDir()
		needed(t, err)
		dir = filepath.Join(cache, "gameday", "axe")
	}
	text, err := os.ReadFile(filepath.Join(dir, "axe.min.js"))
	if err != nil {
		err = fmt.Errorf("no axe-core on this machine (tools/setup fetches it): %w", err)
	}
	needed(t, err)
	return string(text)
}

// needed passes over a test that cannot have what it needs, and fails it in CI.
func needed(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}
