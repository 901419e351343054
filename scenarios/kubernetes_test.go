package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gameday/faults"
	"gameday/faults/cluster"
)

// checkInCluster stands in for gameday-kubernetes, which is a program of its own: it knows two mistakes. That the real one finds real
// ones is proven by the scripts of cmd/gameday.
func checkInCluster(_ faults.Access, all []cluster.Fault) ([]cluster.Mistake, error) {
	var out []cluster.Mistake
	for _, f := range all {
		if f.Kind == "port_exhaustion" {
			return nil, errors.New("gameday-kubernetes is not there")
		}
		if f.Kind == "fd_exhaustion" && slices.Contains(f.Targets, "pods") {
			out = append(out, cluster.Mistake{Fault: f.Name, Field: "target", Summary: "Not on pods", Detail: "Chaos Mesh has no such fault."})
		}
		var w struct{ Content string }
		if json.Unmarshal(f.Config, &w) != nil {
			continue
		}
		for i, line := range strings.Split(w.Content, "\n") {
			if at := strings.Index(line, "selektor"); at >= 0 {
				out = append(out, cluster.Mistake{Fault: f.Name, Summary: "Unknown field", Detail: "A PodChaos has no spec.selektor.", Line: i + 1, Column: at + 1})
			}
		}
	}
	return out, nil
}

// TestInCluster checks what comes out of the blocks about clusters.
func TestInCluster(t *testing.T) {
	f := Load("testdata/good/kubernetes.hcl", testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	s := f.Scenarios[0]
	dir, err := filepath.Abs("testdata/good")
	if err != nil {
		t.Fatal(err)
	}
	if want := (faults.Access{Kubeconfig: filepath.Join(dir, "kube", "config") + ":/home/ops/.kube/other", Context: "stage"}); s.Kubernetes != want {
		t.Errorf("the cluster is reached by %+v, want %+v", s.Kubernetes, want)
	}
	for name, want := range map[string]bool{"crash": true, "storm": true, "reboot": true, "here": false} {
		if got := s.InCluster(s.Fault(name)); got != want {
			t.Errorf("fault %s lands in the cluster: %v, want %v", name, got, want)
		}
	}
	if !s.TouchesCluster() {
		t.Error("nothing of it touches the cluster")
	}
	if len(s.Fault("storm").Targets) != 0 {
		t.Errorf("a manifest has the targets %v", s.Fault("storm").Targets)
	}
	for name, want := range map[string]string{
		"payments": "pods app=payments, spec.nodeName=worker-1 in namespace shop, container app",
		"vm":       "GCP instance ledger in europe-west1-b of project shop", "iron": "machine at http://10.0.0.5:31767",
	} {
		if got := s.Target(name).Selector.String(); got != want {
			t.Errorf("target %s is %q, want %q", name, got, want)
		}
	}
	kept := f.Sources["testdata/good/storm.yaml"]
	text, err := os.ReadFile("testdata/good/storm.yaml")
	if err != nil || kept == nil || !bytes.Equal(kept.Bytes, text) {
		t.Errorf("the manifest is not kept as it is: %v", err)
	}
}

// TestManifestsStayInside reads no manifest outside of the scenario's folder, and none that is too long.
func TestManifestsStayInside(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile("testdata/good/kubernetes.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "storm.yaml"), []byte("kind: PodChaos\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inner, "long.yaml"), bytes.Repeat([]byte("#"), maxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../storm.yaml", filepath.Join(inner, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(inner, "of"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inner, "of", "field.yaml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"../storm.yaml": "leads out of the scenario's folder", "link.yaml": "leads out of the scenario's folder",
		filepath.Join(dir, "storm.yaml"): "is an absolute path", "long.yaml": "is larger than", "none.yaml": "is not in the scenario's folder",
		"of/feild.yaml": `but "of/field.yaml" is`} {
		file := filepath.Join(inner, "s.hcl")
		text := strings.Replace(string(good), `"storm.yaml"`, `"`+path+`"`, 1)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		for _, d := range Load(file, testOptions()).Diags {
			said.WriteString(d.Detail + "\n")
		}
		if !strings.Contains(said.String(), want) {
			t.Errorf("manifest %s: %q is not said in:\n%s", path, want, &said)
		}
	}
}
