package chaosmesh

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/internal/kuberig"
)

// planned is what a mapping puts into a cluster.
func planned(t *testing.T, m mapping) *object {
	t.Helper()
	kind, _ := kindNamed(m.kind)
	config := kind.New()
	if err := readConfig([]byte(m.config), config); err != nil {
		t.Fatal(err)
	}
	o, err := planFor(m.kind, config, m.place, time.Minute+Margin)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestWebhooksOfMappings asks Chaos Mesh's checks, without a cluster, about every object that a fault becomes.
func TestWebhooksOfMappings(t *testing.T) {
	for _, m := range mappings {
		made, err := render(m.request())
		if err != nil {
			t.Fatal(err)
		}
		read, found := decode(made.YAML)
		if len(found) == 0 {
			found = read.complaints()
		}
		if err := found.asError(); err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, made.YAML)
		}
	}
}

// TestRealWebhooks asks a real cluster with Chaos Mesh's real admission webhooks about every object that a fault becomes and every
// example that is a fault, all of which it takes, and about manifests of which the same checks complain without a cluster: it refuses
// them too.
func TestRealWebhooks(t *testing.T) {
	k := shop(t, kuberig.Options{})
	if err := k.Namespace("bank"); err != nil {
		t.Fatal(err)
	}
	c, err := connect(access(k))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mappings {
		u, err := planned(t, m).owned(faults.Owner{Run: "r1", Injection: "r1-" + m.name, Fault: m.kind, Scenario: "checkout"}, "ann@laptop", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := create(t, c, u, true); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	for _, kind := range faultKinds() {
		u := plain(t, example(t, kind))
		u.SetName("example")
		if err := create(t, c, u, true); err != nil {
			t.Errorf("the example of %s: %v", kind, err)
		}
	}
	for kind, change := range refusedByWebhooks {
		content := strings.Replace(example(t, kind), change[0], change[1], 1)
		m, found := decode(content)
		if len(found) > 0 {
			t.Fatalf("%s: %v", kind, found.asError())
		}
		if found := m.complaints(); !slices.ContainsFunc(found, func(one mistake) bool { return one.summary == "Refused by Chaos Mesh" }) {
			t.Errorf("%s with %q: nothing is said without a cluster", kind, change[1])
		}
		u := plain(t, content)
		u.SetName("wrong")
		if err := create(t, c, u, true); err == nil {
			t.Errorf("%s with %q: the cluster takes it", kind, change[1])
		} else {
			t.Logf("%s: %v", kind, err)
		}
	}
}

// refusedByWebhooks are changes to examples, by kind, of which Chaos Mesh's webhooks complain and no schema does.
var refusedByWebhooks = map[string][2]string{
	"NetworkChaos":         {"rate: 10mbps", "rate: fast"},
	"StressChaos":          {"size: 256MB", "size: 256 bananas"},
	"TimeChaos":            {"timeOffset: 24h", "timeOffset: tomorrow"},
	"PhysicalMachineChaos": {`percent: "10"`, `percent: "110"`},
	"Schedule":             {"*/2 * * * *", "now and then"},
	"Workflow":             {"entry: all", "entry: everything"},
	"PodChaos":             {`value: "34"`, `value: "134"`},
	"GCPChaos":             {"  deviceNames: [data]\n", ""},
	"AWSChaos":             {"  deviceName: /dev/sdf\n", ""},
}
