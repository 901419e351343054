package deploy

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"gameday/faults/chaosmesh"
)

// kinds are those of Chaos Mesh that faults on pods become, which the chart allows.
var kinds = []string{"DNSChaos", "IOChaos", "NetworkChaos", "PodChaos", "StressChaos", "TimeChaos"}

// role is a Role or a ClusterRole.
type role struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Rules    []rule
}

type rule struct {
	Groups    []string `yaml:"apiGroups" json:"apiGroups"`
	Resources []string `yaml:"resources" json:"resources"`
	Verbs     []string `yaml:"verbs" json:"verbs"`
}

// permits lists what a role allows, one "verb group/resource" each, in order.
func (r role) permits() []string {
	var out []string
	for _, rule := range r.Rules {
		for _, g := range rule.Groups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out = append(out, permit(g, resource, verb))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func permit(group, resource, verb string) string {
	return fmt.Sprintf("%s %s/%s", verb, cmp.Or(group, "core"), resource)
}

// rolesIn reads the roles of a file of YAML documents.
func rolesIn(t *testing.T, text string) map[string]role {
	t.Helper()
	out := map[string]role{}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var r role
		if d.Decode(&r) != nil {
			return out
		}
		if r.Kind == "Role" || r.Kind == "ClusterRole" {
			out[r.Kind+" "+r.Metadata.Name] = r
		}
	}
}

// TestRoles holds the chart's roles to the table by which the preflight asks what is allowed: nothing more, and nothing less.
// What only `gameday revert --force` uses is left to people.
func TestRoles(t *testing.T) {
	of := func(list []chaosmesh.Permission, in string, uses ...chaosmesh.Use) []string {
		var out []string
		for _, p := range list {
			if p.Namespace == in && slices.Contains(uses, p.Use) {
				out = append(out, permit(p.Group, p.Resource, p.Verb))
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	faults := chaosmesh.Permissions(kinds, []string{"shop"})
	for file, want := range map[string]map[string][]string{
		"target/role.yaml": {"Role gameday-target": of(faults, "shop", chaosmesh.Needed, chaosmesh.Better)},
		"look/role.yaml": {
			"ClusterRole gameday-look": of(faults, "", chaosmesh.Needed, chaosmesh.Better),
			"Role gameday-look":        of(faults, "chaos-mesh", chaosmesh.Needed, chaosmesh.Better)},
		"load/role.yaml":          {"Role gameday-load": of(chaosmesh.LoadPermissions("gameday", false), "gameday", chaosmesh.Loads)},
		"load-operator/role.yaml": {"Role gameday-load-operator": of(chaosmesh.LoadPermissions("gameday", true), "gameday", chaosmesh.Loads)},
		"base/identity.yaml":      {"Role gameday-verdict": {"create core/events"}},
	} {
		text, err := os.ReadFile("kubernetes/" + file)
		if err != nil {
			t.Fatal(err)
		}
		got := rolesIn(t, string(text))
		if len(got) != len(want) {
			t.Errorf("%s has %d roles, want %d", file, len(got), len(want))
		}
		for name, permits := range want {
			for _, p := range permits {
				if !slices.Contains(got[name].permits(), p) {
					t.Errorf("%s: %s does not allow %s, which gameday uses", file, name, p)
				}
			}
			for _, p := range got[name].permits() {
				if !slices.Contains(permits, p) {
					t.Errorf("%s: %s allows %s, which gameday does not use", file, name, p)
				}
			}
			if len(permits) == 0 {
				t.Errorf("%s: nothing is expected of %s", file, name)
			}
		}
	}
}
