package scenarios

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

func TestRunOn(t *testing.T) {
	f := Load("testdata/good/run-on.hcl", testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	traffic := f.Scenarios[0].Traffic
	for i, want := range []*loadgen.RunOn{
		{Kind: loadgen.K6Operator, Parallelism: 3, Collector: "10.0.0.5:7443", Listen: "127.0.0.1:8443", Namespace: "load",
			Image: "registry.example/gameday:1.0", InitializerImage: "registry.example/k6:2.2", StarterImage: "registry.example/curl", PullSecrets: []string{"registry"}, ServiceAccount: "gameday-runner",
			NodeSelector: map[string]string{"pool": "load"}, Spread: true, CPU: "500m", Memory: "1.5Gi",
			Tolerations: []loadgen.Toleration{{Key: "load", Operator: "Exists", Effect: "NoSchedule"}, {Key: "team", Value: "shop"}}},
		{Kind: loadgen.Jobs, Parallelism: 2, Namespace: "load", Image: "gameday"},
		{Kind: loadgen.Processes, Parallelism: 3},
		{Kind: loadgen.Jobs, Parallelism: 2, Namespace: "load", Image: "gameday", Collector: loadgen.Logs},
	} {
		if d := cmp.Diff(want, traffic[i].Spec().RunOn); d != "" {
			t.Errorf("traffic %q: %s", traffic[i].Name, d)
		}
	}
}
