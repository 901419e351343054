package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRunSaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		want string // in what is printed
	}{
		{"nothing", nil, 2, "suite ROLE [flags]"},
		{"help", []string{"-h"}, 0, "suite ROLE [flags]"},
		{"no such role", []string{"cook"}, 2, `there is no role "cook"`},
		{"the flags of a role", []string{"orders", "-h"}, 0, "-lock"},
		{"no such flag", []string{"orders", "-colour"}, 2, "suite orders -h shows the flags"},
		{"no flag at all", []string{"orders", "please"}, 2, `it takes flags only, but was given "please"`},
		{"a wrong value", []string{"orders", "-lock", "luck"}, 2, `-lock is kernel or file, not "luck"`},
		{"a role that fails", []string{"orders", "-dir", t.TempDir(), "-listen", "256.0.0.1:1"}, 1, "choose another with -listen"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var printed bytes.Buffer
			if code := run(t.Context(), tt.args, &printed, &printed); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(printed.String(), tt.want) {
				t.Errorf("printed %q, which does not say %q", printed.String(), tt.want)
			}
		})
	}
}

// Every role can be asked for its flags, has a name of its own, and one line that says what it is.
func TestRolesAreListed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range roles {
		if seen[r.name] {
			t.Errorf("two roles are called %q", r.name)
		}
		seen[r.name] = true
		if r.summary == "" || strings.Contains(r.summary, "\n") {
			t.Errorf("%s: the summary %q is not one line", r.name, r.summary)
		}
		var printed bytes.Buffer
		if code := run(t.Context(), []string{r.name, "-h"}, io.Discard, &printed); code != 0 || printed.Len() == 0 {
			t.Errorf("%s -h: exit code %d, printed %q", r.name, code, printed.String())
		}
	}
}

// get asks a handler, and returns the status and the body.
func get(h http.Handler, method, path string) (int, string) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), method, path, nil))
	return rec.Code, rec.Body.String()
}
