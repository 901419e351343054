package main

import (
	"bytes"
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMetricsText(t *testing.T) {
	m := newMetrics(`shop "two"\`)
	m.observe("/product/{n}", 200, 5*time.Millisecond) // on a bucket's bound: le means less or equal
	m.observe("/product/{n}", 200, 6*time.Millisecond)
	m.observe("/product/{n}", 404, 700*time.Millisecond)
	m.observe("/", 200, 3*time.Second) // above every bound
	m.gauge("b_depth", "Second by name.", nil, func() float64 { return 2.5 })
	m.gauge("a_up", "First by name.", []label{{"upstream", "x\ny"}}, func() float64 { return 1 })
	m.gauge("a_up", "First by name.", []label{{"upstream", "z"}}, func() float64 { return 0 })
	var got bytes.Buffer
	m.write(&got)

	path := filepath.Join("testdata", "metrics.txt")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("metrics text (-want +got):\n%s", d)
	}
}

// Every line of a live service's metrics must be one that Prometheus reads, and paths must not make new series.
func TestMetricsOfAServiceAreWellFormed(t *testing.T) {
	s := newLedger(noWork)
	for _, path := range []string{"/entries/1", "/entries/2", "/entries/77777", "/nowhere", "/nowhere/else"} {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if ct := rec.Header().Get("Content-Type"); !strings.HasPrefix(ct, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", ct)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [0-9.e+-]+)$`)
	paths := map[string]bool{}
	for text := range strings.Lines(rec.Body.String()) {
		text = strings.TrimSuffix(text, "\n")
		if !line.MatchString(text) {
			t.Errorf("malformed line %q", text)
		}
		if _, rest, ok := strings.Cut(text, `path="`); ok {
			path, _, _ := strings.Cut(rest, `"`)
			paths[path] = true
		}
	}
	if want := map[string]bool{"/entries/{n}": true, "other": true}; !cmp.Equal(paths, want) {
		t.Errorf("paths %v, want %v", paths, want)
	}
	for _, want := range []string{
		`http_requests_total{service="ledger",path="/entries/{n}",code="200"} 2`,
		`http_requests_total{service="ledger",path="/entries/{n}",code="404"} 1`,
		`http_requests_total{service="ledger",path="other",code="404"} 2`,
		`http_request_duration_seconds_count{service="ledger",path="/entries/{n}"} 3`,
		`ledger_entries{service="ledger"} 1000`,
	} {
		if !strings.Contains(rec.Body.String(), want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

// A request whose sender went away before it was answered is not counted as a success.
func TestGoneRequestsAreNotSuccesses(t *testing.T) {
	s := newLedger(noWork)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/entries/1", nil).WithContext(ctx))
	var b bytes.Buffer
	s.metrics.write(&b)
	want := `http_requests_total{service="ledger",path="/entries/{n}",code="499"} 1`
	if !strings.Contains(b.String(), want) {
		t.Errorf("no line %s in\n%s", want, b.String())
	}
}
