package kubernetes

import (
	"os"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"gameday/loadgen"
)

// TestChart holds the roles of deploy/kubernetes to what runners need, as TestRunnersInACluster sees verb by verb.
func TestChart(t *testing.T) {
	for kind, file := range map[string]string{loadgen.Jobs: "load", loadgen.K6Operator: "load-operator"} {
		text, err := os.ReadFile("../../deploy/kubernetes/" + file + "/role.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var role struct {
			Rules []struct {
				APIGroups []string `yaml:"apiGroups"`
				Resources []string
				Verbs     []string
			}
		}
		if err := yaml.Unmarshal(text, &role); err != nil { // the first of its documents
			t.Fatal(err)
		}
		var got, want []string
		for _, r := range role.Rules {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					got = append(got, verb+" "+r.APIGroups[0]+" "+resource)
				}
			}
		}
		for _, r := range rights(kind) {
			for _, verb := range r.verbs {
				want = append(want, verb+" "+r.group+" "+r.name())
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s allows %q, and runners need %q", file, got, want)
		}
	}
}
