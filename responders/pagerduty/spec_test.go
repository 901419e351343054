package pagerduty

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// specPaths are the paths of the published description that are read, and those around them.
var specPaths = []string{"/incidents", "/incidents/{id}", "/incidents/{id}/log_entries", "/incidents/{id}/notes", "/oncalls", "/services/{id}", "/escalation_policies/{id}"}

// unspecified are the paths that the reduced copy of the description leaves out.
var unspecified = []string{"/teams/", "/alerts/"}

// specFile is PagerDuty's description of its REST API: reference/REST/openapiv3.json of github.com/PagerDuty/api-schema. It is
// theirs, and not part of this project.
func specFile() string {
	dir := os.Getenv("SPEC_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "specs")
	}
	return filepath.Join(dir, "pagerduty.json")
}

// spec loads the description once; nil when it is not there.
var spec = sync.OnceValues(func() (routers.Router, error) {
	text, err := os.ReadFile(specFile())
	if os.IsNotExist(err) && os.Getenv("SPEC_DIR") == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	mend(doc)
	if text, err = json.Marshal(doc); err != nil {
		return nil, err
	}
	loaded, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	loaded.Servers = nil
	return legacy.NewRouter(loaded, openapi3.DisableExamplesValidation())
})

// mend takes the paths that are read, and mends what no answer can satisfy: a channel is of one sort among several that
// exclude nothing, and the type of acknowledgements is called differently at two places.
func mend(doc map[string]any) {
	paths := doc["paths"].(map[string]any)
	for path := range paths {
		if !slices.Contains(specPaths, path) {
			delete(paths, path)
		}
	}
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	channel := schemas["Channel"].(map[string]any)
	channel["anyOf"] = channel["oneOf"]
	delete(channel, "oneOf")
	for _, part := range schemas["AcknowledgeLogEntry"].(map[string]any)["allOf"].([]any) {
		if properties, ok := part.(map[string]any)["properties"].(map[string]any); ok {
			kind := properties["type"].(map[string]any)
			kind["enum"] = append(kind["enum"].([]any), "acknowledge_log_entry")
		}
	}
}

// described holds what passes through a handler to the published description, when it is there.
func described(t *testing.T, h http.Handler) http.Handler {
	router, err := spec()
	if err != nil {
		t.Fatalf("loading %s: %v", specFile(), err)
	}
	if router == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		for _, err := range check(router, r, rec) {
			t.Errorf("%.600s", err.Error())
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		if _, err := w.Write(rec.Body.Bytes()); err != nil {
			t.Logf("answering: %v", err)
		}
	})
}

// check holds one question and its answer to the description. Refusals and broken JSON are not described.
func check(router routers.Router, r *http.Request, rec *httptest.ResponseRecorder) (wrong []error) {
	if slices.ContainsFunc(unspecified, func(part string) bool { return strings.Contains(r.URL.Path+"/", part) }) {
		return nil
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		return []error{fmt.Errorf("%s %s is not in the description: %w", r.Method, r.URL.Path, err)}
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		wrong = append(wrong, fmt.Errorf("asking %s?%s: %w", r.URL.Path, r.URL.RawQuery, err))
	}
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", name) == nil {
			wrong = append(wrong, fmt.Errorf("asking %s: there is no parameter %s", r.URL.Path, name))
		}
	}
	if rec.Code != http.StatusOK || !json.Valid(rec.Body.Bytes()) || rec.Header().Get("Undescribed") != "" {
		return wrong
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: rec.Code, Header: rec.Header(),
		Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())), Options: options}
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		wrong = append(wrong, fmt.Errorf("the fake's answer to %s: %w", r.URL.Path, err))
	}
	return wrong
}

// TestContract says whether the questions and the fake's answers were held to the published description; the other tests do
// it as they go.
func TestContract(t *testing.T) {
	router, err := spec()
	if err != nil {
		t.Fatalf("loading %s: %v", specFile(), err)
	}
	if router == nil {
		t.Skipf("PagerDuty's description of its API is not at %s, so nothing was held to it; it is PagerDuty's, and not part of this project. Set SPEC_DIR to the folder that has it", specFile())
	}
	f, s := newFake(t)
	at := f.now().Add(-5 * time.Minute)
	f.open("PI1", at, down).assign(at, ann).notify(at, ann, "phone_notification", "success").by("acknowledge_log_entry", at, ann, "mobile").
		by("annotate_log_entry", at, ann, "note").add("unacknowledge_log_entry", at, object{"channel": object{"type": "timeout"}}).escalate(at, bob).
		add("delegate_log_entry", at, object{"assignees": []any{user(bob)}}).add("repeat_escalation_path_log_entry", at, nil).
		add("exhaust_escalation_path_log_entry", at, nil).add("snooze_log_entry", at, nil).add("urgency_change_log_entry", at, nil).
		by("resolve_log_entry", at, bob, "website")
	if _, err := s.Preflight(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OnCall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.History(t.Context(), span(10)); err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, path := range f.asked {
		path, _, _ = strings.Cut(path, "?")
		asked[path] = true
	}
	for _, path := range []string{"/services/" + svc, "/escalation_policies/" + pol, "/oncalls", "/incidents", "/incidents/PI1/log_entries"} {
		if !asked[path] {
			t.Errorf("%s was not asked for, so not held to the description", path)
		}
	}
}

// TestContractCatches shows that a fake which drifts is caught.
func TestContractCatches(t *testing.T) {
	router, err := spec()
	if err != nil || router == nil {
		t.Skipf("PagerDuty's description of its API is not at %s", specFile())
	}
	r := httptest.NewRequest(http.MethodGet, "/incidents?limit=100&bogus=1", nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	rec.Body.WriteString(`{"incidents":[{"id":"P1","status":"closed"}]}`)
	if wrong := check(router, r, rec); len(wrong) != 2 {
		t.Errorf("a parameter and a status that do not exist: %v", wrong)
	}
}
