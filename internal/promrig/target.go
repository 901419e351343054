package promrig

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Target is a program to scrape, whose one metric is moved by the test: condition{name="…"}.
type Target struct {
	server *httptest.Server
	mu     sync.Mutex
	values map[string]float64
}

// NewTarget starts a target.
func NewTarget(t testing.TB) *Target {
	t.Helper()
	target := &Target{values: map[string]float64{}}
	target.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		target.mu.Lock()
		defer target.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(target.values)) {
			fmt.Fprintf(w, "condition{name=%q} %g\n", name, target.values[name])
		}
	}))
	t.Cleanup(target.server.Close)
	return target
}

// Address returns the target's host and port.
func (t *Target) Address() string { return strings.TrimPrefix(t.server.URL, "http://") }

// Set sets the value of one condition.
func (t *Target) Set(name string, value float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.values[name] = value
}

// Rule writes an alerting rule that is true while the condition of its name is above 0. hold is its "for", such as
// "3s".
func Rule(name, hold string, labels map[string]string) string {
	text := fmt.Sprintf("- alert: %s\n  expr: condition{name=%q} > 0\n  for: %s\n"+
		"  annotations:\n    summary: %s is true\n", name, name, hold, name)
	if len(labels) > 0 {
		text += "  labels:\n"
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			text += fmt.Sprintf("    %s: %s\n", k, labels[k])
		}
	}
	return text
}
