package kubernetes

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"gameday/faults"
	"gameday/internal/kuberig"
	"gameday/loadgen"
)

// published returns the definition of TestRuns of the last operator that is published as a Go module, 0.0.19.
func published(t *testing.T) fields {
	t.Helper()
	parts := kuberig.K6OperatorBundle(t)
	text, err := os.ReadFile(parts.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var o fields
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		if o["kind"] == "CustomResourceDefinition" && o["metadata"].(fields)["name"] == "testruns.k6.io" {
			return o
		}
	}
	t.Fatalf("%s has no TestRuns", parts.Bundle)
	return nil
}

// schemaOf returns a part of a definition's schema.
func schemaOf(t *testing.T, definition fields, path ...string) fields {
	t.Helper()
	version := definition["spec"].(fields)["versions"].([]any)[0].(fields)
	at := version["schema"].(fields)["openAPIV3Schema"].(fields)
	for _, name := range path {
		next, ok := at["properties"].(fields)[name].(fields)
		if !ok {
			t.Fatalf("the definition has no %s", strings.Join(path, "."))
		}
		at = next
	}
	return at
}

// plain returns what a definition is to whoever reads it from JSON.
func plain(t *testing.T, definition fields) (out fields) {
	t.Helper()
	text, err := json.Marshal(definition)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestServedFields asks real API servers with the definitions of several operators, and shows what each is sent: what an operator does not
// know is dropped by its API server in silence.
func TestServedFields(t *testing.T) {
	old := plain(t, published(t))
	older := plain(t, old)
	for _, pod := range []string{"runner", "starter", "initializer"} {
		delete(schemaOf(t, older, "spec", pod)["properties"].(fields), "containerSecurityContext")
	}
	delete(schemaOf(t, older, "spec")["properties"].(fields), "cleanup")
	const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	path := kuberig.Schemas(t)
	api, err := kuberig.NewClient(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		definition fields
		optional   bool
		says, fail string
	}{
		{"one that can leave its initializer out", plain(t, definition()), true, "", ""},
		{"0.0.19", old, false, "cannot leave its initializer out", ""},
		{"an older one", older, false, "", "its TestRuns do not know spec.cleanup, spec.initializer.containerSecurityContext, spec.runner.containerSecurityContext, spec.starter.containerSecurityContext"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := api.Post(definitions, c.definition, nil); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := api.Delete(definitions + "/testruns.k6.io"); err != nil {
					t.Fatal(err)
				}
				kuberig.Eventually(t, time.Minute, "its definition is gone", func() bool {
					return kuberig.IsCode(api.Get(definitions+"/testruns.k6.io", nil), 404) && api.Get(runsPath, nil) != nil
				})
			}()
			kuberig.Eventually(t, time.Minute, "TestRuns are served", func() bool { return api.Get(runsPath, nil) == nil })
			s, out := news(loadgen.K6Operator)
			if s.client, err = connect(faults.Access{Kubeconfig: path}); err != nil {
				t.Fatal(err)
			}
			run, err := s.suited(t.Context())
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("it is refused with %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if run.Spec.Initializer.Disabled != c.optional || !strings.Contains(out.String(), c.says) || (out.Len() == 0) != (c.says == "") {
				t.Errorf("its initializer is %+v, and it says %s", run.Spec.Initializer, out)
			}
			var list struct{ Items []testRunSeen }
			if err := api.Get(runsPath, &list); err != nil || len(list.Items) > 0 {
				t.Fatalf("asking has made %v, %v", list.Items, err)
			}
			if err := s.create(t.Context(), testRuns, run); err != nil {
				t.Fatal(err)
			}
			var got fields
			if err := api.Get(runsPath+"/"+run.Name, &got); err != nil {
				t.Fatal(err)
			}
			sent, err := object(run)
			if err != nil {
				t.Fatal(err)
			}
			if lost := dropped("", sent.Object, got); len(lost) > 0 {
				t.Errorf("of what was sent it has not kept %v", lost)
			}
			testWatched(t, api, path)
		})
	}
}

// testWatched lets TestRuns end in the ways that they do, at a real API server, each faster than anybody looks, and reads who is said to have
// done it.
func testWatched(t *testing.T, api *kuberig.Client, path string) {
	for name, c := range map[string]struct {
		stages    []string
		says, not string
	}{
		"given up":  {[]string{stageInitialization, stageError}, "the k6 operator has given the TestRun up", "somebody else"},
		"over":      {[]string{stageInitialization, stageInitialized, stageCreated, stageStarted, stageStopped, stageFinished}, ": finished", "somebody else"},
		"under way": {[]string{stageInitialization, stageInitialized, stageCreated, stageStarted}, "the TestRun is gone, and somebody else has deleted it", "given"},
		"at once":   {nil, "the TestRun is gone, and somebody else has deleted it", "given"},
		"not begun": {[]string{stageInitialized, stageCreated}, "the TestRun is gone, and somebody else has deleted it", "given"},
	} {
		t.Run(name, func(t *testing.T) {
			s, out := news(loadgen.K6Operator)
			s.order = newOrder(s.order.Order, []byte(name))
			var err error
			if s.client, err = connect(faults.Access{Kubeconfig: path}); err != nil {
				t.Fatal(err)
			}
			run := s.order.testRun(s.at, false)
			if err := s.create(t.Context(), testRuns, run); err != nil {
				t.Fatal(err)
			}
			for _, stage := range c.stages[:min(1, len(c.stages))] { // the first is there before it is watched
				s.setStage(t, api, stage)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			changes := make(chan change)
			go s.watch(ctx, changes)
			seen := &sight{phases: map[string]string{}, lost: map[int]bool{}, logs: map[string]bool{}}
			s.changed(ctx, <-changes, seen)
			for _, stage := range c.stages[min(1, len(c.stages)):] {
				s.setStage(t, api, stage)
			}
			if err := api.Delete(runsPath + "/" + run.Name); err != nil {
				t.Fatal(err)
			}
			for !seen.gone {
				select {
				case next := <-changes:
					s.changed(ctx, next, seen)
				case <-ctx.Done():
					t.Fatal("nobody says that it is gone")
				}
			}
			for _, stage := range c.stages {
				if stage != stageError && strings.Count(out.String(), s.order.name+": "+stage+`"`) != 1 {
					t.Errorf("it does not say %s once", stage)
				}
			}
			if !strings.Contains(out.String(), c.says) || strings.Contains(out.String(), c.not) {
				t.Errorf("it says %s", out)
			}
		})
	}
}

// setStage is what the operator does.
func (s *server) setStage(t *testing.T, api *kuberig.Client, stage string) {
	t.Helper()
	if err := api.Patch(runsPath+"/"+s.order.name+"/status", fields{"status": fields{"stage": stage}}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestStandInDefinition holds the definition of our own writing to the published one: it has no field that is not there, but for the one
// that is why it is there.
func TestStandInDefinition(t *testing.T) {
	ours, theirs := plain(t, definition()), plain(t, published(t))
	extra, compared := []string{}, 0
	var hold func(path string, a, b fields)
	hold = func(path string, a, b fields) {
		compared++
		if a["type"] != b["type"] {
			t.Errorf("%s is %v, and theirs %v", path, a["type"], b["type"])
		}
		if a["enum"] != nil {
			text := func(list any) (out []string) {
				for _, v := range list.([]any) {
					out = append(out, v.(string))
				}
				slices.Sort(out)
				return out
			}
			if !slices.Equal(text(a["enum"]), text(b["enum"])) {
				t.Errorf("%s may be %v, and theirs %v", path, a["enum"], b["enum"])
			}
		}
		properties, _ := a["properties"].(fields)
		for name, p := range properties {
			there, ok := b["properties"].(fields)[name].(fields)
			if !ok {
				extra = append(extra, path+"."+name)
				continue
			}
			hold(path+"."+name, p.(fields), there)
		}
	}
	for _, part := range []string{"spec", "status"} {
		hold(part, schemaOf(t, ours, part), schemaOf(t, theirs, part))
	}
	slices.Sort(extra)
	if want := []string{"spec.initializer.disabled", "spec.runner.disabled", "spec.starter.disabled"}; !slices.Equal(extra, want) || compared < 50 {
		t.Errorf("of %d fields it has beside the published ones %v, want %v", compared, extra, want)
	}
}

// TestDropped shows what counts as kept: an API server adds defaults, and may leave away what says nothing.
func TestDropped(t *testing.T) {
	sent := fields{"a": "x", "b": fields{"c": int64(1), "d": ""}, "e": []any{fields{"f": "y", "g": true}, "z"}, "h": fields{}, "i": nil}
	for _, c := range []struct {
		name string
		kept any
		want []string
	}{
		{"the same", sent, nil},
		{"more", fields{"a": "x", "b": fields{"c": int64(1), "more": "x"}, "e": []any{fields{"f": "y", "g": true, "more": 1}, "z"}}, nil},
		{"nothing", fields{}, []string{"s.a", "s.b", "s.e"}},
		{"no object", nil, []string{"s.a", "s.b", "s.e"}},
		{"less within", fields{"a": "x", "b": fields{}, "e": []any{fields{"f": "y"}}}, []string{"s.b.c", "s.e[0].g", "s.e[1]"}},
	} {
		got := dropped("s", sent, c.kept)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
