package chaosmesh

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

var update = flag.Bool("update", false, "write testdata/objects anew")

// Places that the tests use.
var (
	web = faults.Place{Name: "web-0", Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "web-0", UID: "u-0", Node: "n1",
		ContainerIDs: []string{"containerd://a", "containerd://b"}, AllContainers: []string{"web", "proxy"}, Ready: true}}}
	webNamed = withContainers(web, "web")
	ledger   = faults.Place{Name: "ledger-0", Addresses: addresses("10.1.0.9"), Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "bank", Name: "ledger-0",
		AllContainers: []string{"ledger"}}}}
	ledgerTwo = faults.Place{Name: "ledger-1", Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "bank", Name: "ledger-1", AllContainers: []string{"ledger"}}}}
	host      = faults.Place{Name: "db.example.com", Addresses: addresses("192.0.2.7", "2001:db8::7")}
	machine   = faults.Place{Name: "m1", Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "shop", Name: "m1", Device: "eth0"}}}
	chaosd    = faults.Place{Name: "chaosd", Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "shop", Address: "http://192.0.2.5:31767", Device: "ens3"}}}
	aws       = instance(faults.Instance{Secret: "cloud", AWS: &faults.AWSInstance{Region: "eu-west-1", Instance: "i-0abc"}})
	gcp       = instance(faults.Instance{GCP: &faults.GCPInstance{Project: "shop", Zone: "europe-west1-b", Instance: "web-1"}})
	azure     = instance(faults.Instance{Secret: "cloud", Azure: &faults.AzureInstance{Subscription: "s", ResourceGroup: "g", VM: "web-1"}})
	whole     = faults.Place{Name: "cluster", Cluster: &faults.Cluster{}}
)

func withContainers(p faults.Place, names ...string) faults.Place {
	pod := *p.Cluster.Pod
	pod.Containers = names
	p.Cluster = &faults.Cluster{Pod: &pod}
	return p
}

func addresses(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func instance(i faults.Instance) faults.Place {
	i.Namespace = "shop"
	return faults.Place{Name: "vm", Cluster: &faults.Cluster{Instance: &i}}
}

func between(p faults.Place, others ...faults.Place) faults.Place {
	for _, o := range others {
		p.Peers = append(p.Peers, o.Peer())
	}
	return p
}

// mapping is one fault at one place, and the name of the golden file with the object that it becomes.
type mapping struct {
	name, kind, config string
	place              faults.Place
}

// mappings are all kinds at all sorts of places that have a counterpart.
var mappings = []mapping{
	{"process_kill-pod", "process_kill", `{}`, web},
	{"process_kill-container", "process_kill", `{"signal": "SIGKILL"}`, webNamed},
	{"node_restart-pod", "node_restart", `{"down_for": "30s", "boots_within": "2m"}`, web},
	{"network_partition-pods", "network_partition", `{}`, between(web, ledger, ledgerTwo)},
	{"network_partition-out", "network_partition", `{"direction": "out", "action": "drop"}`, between(web, ledger)},
	{"network_partition-in-external", "network_partition", `{"direction": "in", "to": ["10.0.0.0/8", "192.0.2.1", "db.example.com"], "allow_self_cut": true}`, web},
	{"network_partition-host", "network_partition", `{}`, between(web, host, ledger)},
	{"network_delay-pods", "network_delay", `{}`, between(web, ledger)},
	{"network_delay-jitter", "network_delay", `{"delay": "1500us", "jitter": "1ms", "distribution": "uniform", "correlation": 25, "to": ["db.example.com"]}`, web},
	{"network_loss", "network_loss", `{"percent": 12.5, "correlation": 5}`, between(web, ledger)},
	{"network_duplicate", "network_duplicate", `{}`, between(web, ledger)},
	{"network_corrupt", "network_corrupt", `{}`, between(web, ledger)},
	{"network_rate", "network_rate", `{}`, between(web, ledger)},
	{"network_rate-burst", "network_rate", `{"rate": "1.5gbit", "burst": "1mb", "to": ["192.0.2.1"]}`, web},
	{"network_reorder", "network_reorder", `{"gap": 5, "correlation": 10}`, between(web, ledger)},
	{"dns_outage", "dns_outage", `{"action": "servfail", "names": ["db.example.com"]}`, web},
	{"dns_outage-all-names", "dns_outage", `{"action": "servfail"}`, webNamed},
	{"cpu_stress", "cpu_stress", `{"cores": 1.5}`, web},
	{"cpu_stress-small", "cpu_stress", `{"cores": 0.25}`, ledger},
	{"memory_stress", "memory_stress", `{"size": "512MB"}`, webNamed},
	{"memory_stress-binary", "memory_stress", `{"size": "96MiB"}`, ledger},
	{"time_skew", "time_skew", `{"offset": "-90m"}`, web},
	{"time_skew-clocks", "time_skew", `{"offset": "24h", "clocks": ["CLOCK_REALTIME", "CLOCK_MONOTONIC"]}`, webNamed},
	{"io_latency", "io_latency", `{"volume": "/data"}`, webNamed},
	{"io_latency-files", "io_latency", `{"volume": "/data", "path": "/data/wal/*", "methods": ["fsync", "write"], "percent": 50, "delay": "2s"}`, ledger},
	{"io_error", "io_error", `{"volume": "/data", "methods": ["write"], "error": "ENOSPC"}`, webNamed},
	{"node_restart-aws", "node_restart", `{}`, aws},
	{"node_restart-aws-down", "node_restart", `{"down_for": "2m", "how": "reboot"}`, aws},
	{"node_restart-gcp", "node_restart", `{"how": "power"}`, gcp},
	{"node_restart-gcp-down", "node_restart", `{"down_for": "2m"}`, gcp},
	{"node_restart-azure", "node_restart", `{}`, azure},
	{"node_restart-azure-down", "node_restart", `{"down_for": "2m"}`, azure},
	{"cpu_stress-machine", "cpu_stress", `{"cores": 2}`, machine},
	{"memory_stress-machine", "memory_stress", `{"size": "1GB"}`, chaosd},
	{"network_partition-machine", "network_partition", `{"direction": "out"}`, between(machine, ledger)},
	{"network_partition-machine-to", "network_partition", `{"direction": "in", "to": ["192.0.2.0/24", "db.example.com"]}`, chaosd},
	{"network_delay-machine", "network_delay", `{"delay": "2s"}`, between(machine, host)},
	{"network_loss-machine", "network_loss", `{}`, between(machine, ledger)},
	{"network_duplicate-machine", "network_duplicate", `{"correlation": 1}`, between(machine, ledger)},
	{"network_corrupt-machine", "network_corrupt", `{}`, between(machine, ledger)},
	{"network_rate-machine", "network_rate", `{"rate": "10mbit", "to": ["192.0.2.1", "192.0.2.2"]}`, machine},
	{"chaos_mesh", "chaos_mesh", manifestConfig("HTTPChaos", false), whole},
	{"chaos_mesh-schedule", "chaos_mesh", manifestConfig("Schedule", false), whole},
	{"chaos_mesh-one-shot", "chaos_mesh", manifestConfig("PodChaos", true), whole},
}

// manifestConfig is the config of a fault whose manifest is an example of a kind.
func manifestConfig(kind string, cannotRevert bool) string {
	content, err := os.ReadFile(filepath.Join("testdata", "manifests", kind+".yaml"))
	if err != nil {
		panic(err)
	}
	text, _ := json.Marshal(string(content))
	return fmt.Sprintf(`{"manifest": "%s.yaml", "cannot_revert": %v, "content": %s}`, kind, cannotRevert, text)
}

// request is the injection of a mapping.
func (m mapping) request() guard.InjectRequest {
	return guard.InjectRequest{ID: "r1-" + m.name, Run: "r1", Scenario: "checkout", Fault: "fault." + m.kind, Kind: m.kind, Config: json.RawMessage(m.config),
		Place: m.place, Lease: 10 * time.Second, Deadline: time.Minute}
}

// TestObjects compares the object of each mapping, with what is said of it, with a golden file.
func TestObjects(t *testing.T) {
	for _, m := range mappings {
		t.Run(m.name, func(t *testing.T) {
			got, err := render(m.request())
			if err != nil {
				t.Fatal(err)
			}
			lapses := "does not lapse"
			if got.Lapses {
				lapses = "lapses by itself"
			}
			text := fmt.Sprintf("# %s on %s: %s\n", got.Fault, got.Place, lapses)
			if got.Note != "" {
				text += "# " + got.Note + "\n"
			}
			golden(t, filepath.Join("testdata", "objects", m.name+".golden"), text+got.YAML)
		})
	}
}

// TestEveryKindIsMapped holds the table to all kinds of the guard.
func TestEveryKindIsMapped(t *testing.T) {
	for _, k := range Kinds() {
		if !slices.ContainsFunc(mappings, func(m mapping) bool { return m.kind == k.Name }) {
			t.Errorf("no mapping shows %s", k.Name)
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; with -update it is written anew. It is now:\n%s", file, got)
	}
}
