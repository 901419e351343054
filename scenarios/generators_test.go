package scenarios

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

func TestGenerators(t *testing.T) {
	f := Load("testdata/good/generators.hcl", testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	config, err := filepath.Abs("testdata/good/ssh_config")
	if err != nil {
		t.Fatal(err)
	}
	there := func(ssh string) loadgen.Node { return loadgen.Node{SSH: ssh, Config: config, Install: "/opt/gameday"} }
	want := []loadgen.Node{{SSH: loadgen.Here}, there("web1"), there("ssh://ops@203.0.113.7:2222"), there("web1")}
	traffic := f.Scenarios[0].Traffic
	if d := cmp.Diff(want, traffic[0].Spec().Generators); d != "" {
		t.Error(d)
	}
	if got := traffic[1].Generators; got != nil {
		t.Errorf("this machine alone is %v", got)
	}
}
