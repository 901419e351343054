package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gameday/faults"
	"gameday/scenarios"
)

// TestPages holds every kind in this build to a page of its own with an example.
func TestPages(t *testing.T) {
	c := catalogue()
	pages := map[string]string{}
	for _, k := range c.Faults {
		pages["faults/"+k.Name] = k.Name
	}
	for _, k := range c.Alarms {
		pages["alarms/"+k.Name] = k.Name
	}
	for _, k := range c.Responders {
		pages["responders/"+k.Name] = k.Name
	}
	for page, name := range pages {
		b, err := os.ReadFile(filepath.Join("../../docs", page+".md"))
		if err != nil {
			t.Errorf("%s has no page: %v", name, err)
			continue
		}
		if !strings.Contains(string(b), "```hcl") || !strings.Contains(string(b), name) {
			t.Errorf("docs/%s.md shows no example of %s", page, name)
		}
	}
}

// TestExamplesOnPages loads the example of every fault's page inside a scenario that declares the targets it refers to.
func TestExamplesOnPages(t *testing.T) {
	example := regexp.MustCompile("(?s)```hcl\n(.*?)```")
	manifest := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	named := regexp.MustCompile(`manifest = "(.*?)"`)
	reference := regexp.MustCompile(`target\.([a-z_]+)`)
	t.Setenv("PATH", clusterProgram(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Cleanup(closeLooks)
	for _, k := range catalogue().Faults {
		t.Run(k.Name, func(t *testing.T) {
			b, err := os.ReadFile("../../docs/faults/" + k.Name + ".md")
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range example.FindAllStringSubmatch(string(b), -1) {
				dir := t.TempDir()
				path := filepath.Join(dir, "page.hcl")
				if err := os.WriteFile(path, []byte(wrap(m[1], k, reference)), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "s.js"), []byte("export default function () {}\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				c := catalogue()
				if name, yaml := named.FindStringSubmatch(m[1]), manifest.FindStringSubmatch(string(b)); name != nil && yaml != nil {
					if err := os.WriteFile(filepath.Join(dir, name[1]), []byte(yaml[1]), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if f := scenarios.Load(path, scenarios.Options{Catalogue: c}); f.Diags.HasErrors() {
					t.Errorf("example %d does not load: %v\n%s", i+1, f.Diags, wrap(m[1], k, reference))
				}
			}
		})
	}
}

// wrap puts a page's fault blocks into a scenario. An example that is a whole file is left as it is.
func wrap(body string, k faults.Kind, reference *regexp.Regexp) string {
	if strings.Contains(body, "scenario \"") {
		return body
	}
	var b strings.Builder
	inCluster := k.Needs == faults.NeedPod || k.Needs == faults.NeedCluster
	if !inCluster {
		b.WriteString("lab \"l\" {\n  node \"n\" {\n  }\n}\n")
	}
	b.WriteString("scenario \"s\" {\n  timeline {\n    baseline = \"5s\"\n    load = \"600s\"\n    recovery = \"5s\"\n  }\n" +
		"  traffic \"t\" {\n    script = \"s.js\"\n    baseline {\n      rate = 1\n    }\n  }\n")
	seen := map[string]bool{}
	for _, m := range reference.FindAllStringSubmatch(body, -1) {
		if seen[m[1]] || strings.Contains(body, "target \""+m[1]+"\"") {
			continue
		}
		seen[m[1]] = true
		if inCluster {
			b.WriteString("  target \"" + m[1] + "\" {\n    pods {\n      namespace = \"shop\"\n      labels = { app = \"a\" }\n      containers = [\"c\"]\n    }\n  }\n")
			continue
		}
		if k.Needs == faults.NeedNode {
			b.WriteString("  target \"" + m[1] + "\" {\n    node {\n      name = \"n\"\n    }\n  }\n")
			continue
		}
		b.WriteString("  target \"" + m[1] + "\" {\n    process {\n      listen = 8080\n    }\n  }\n")
	}
	b.WriteString(body + "}\n")
	return b.String()
}

// TestResponderExamples loads the blocks of sources on their pages: those that stand alone, without the alarms and responses of a
// whole scenario.
func TestResponderExamples(t *testing.T) {
	example := regexp.MustCompile("(?s)```hcl\n(.*?)```")
	rest := "scenario \"s\" {\n  timeline {\n    baseline = \"5s\"\n    load = \"60s\"\n    recovery = \"5s\"\n  }\n  traffic \"t\" {\n    script = \"s.js\"\n    baseline {\n" +
		"      rate = 1\n    }\n  }\n}\n"
	for _, k := range catalogue().Responders {
		t.Run(k.Name, func(t *testing.T) {
			b, err := os.ReadFile("../../docs/responders/" + k.Name + ".md")
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range example.FindAllStringSubmatch(string(b), -1) {
				if strings.Contains(m[1], "response \"") || strings.Contains(m[1], "scenario \"") || !strings.Contains(m[1], "responders \"") {
					continue
				}
				dir := t.TempDir()
				path := filepath.Join(dir, "page.hcl")
				if err := os.WriteFile(path, []byte(m[1]+rest), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "s.js"), []byte("export default function () {}\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				if f := scenarios.Load(path, scenarios.Options{Catalogue: catalogue(), Getenv: func(string) string { return "" }}); f.Diags.HasErrors() {
					t.Errorf("example %d does not load: %v", i+1, f.Diags)
				}
			}
		})
	}
}
