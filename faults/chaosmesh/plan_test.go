package chaosmesh

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/faults/kinds"
)

// TestImpossible says what becomes of every setting and target that Chaos Mesh cannot do: a mistake with the field's name, before
// anything is touched.
func TestImpossible(t *testing.T) {
	for _, c := range []struct {
		kind, config, targets string
		between               bool
		want                  []string // "field: part of the detail" each; the field is empty where no setting is meant
	}{
		{"process_kill", `{"signal": "SIGTERM"}`, "pods", false, []string{"signal: SIGKILL alone"}},
		{"process_kill", `{"signal": "SIGTRM"}`, "pods", false, []string{`signal: Did you mean "SIGTERM"?`}},
		{"process_kill", `{}`, "pods", false, nil},
		{"process_kill", `{}`, "machine", false, []string{": a machine is not a process"}},
		{"process_kill", `{}`, "instance", false, []string{": restarts and stops instances"}},
		{"process_pause", `{}`, "pods", false, []string{": Chaos Mesh stops no processes"}},
		{"command", `{"inject": ["true"], "cannot_revert": true}`, "pods", false, []string{": runs no commands of yours"}},
		{"disk_fill", `{"path": "/data"}`, "pods", false, []string{": io_error"}},
		{"io_stress", `{}`, "pods", false, []string{": io_latency"}},
		{"fd_exhaustion", `{}`, "pods", false, []string{": io_error"}},
		{"port_exhaustion", `{}`, "pods", false, []string{": takes no ports away"}},
		{"disk_fill", `{"path": "/data"}`, "machine", false, []string{": leaves the file"}},
		{"node_restart", `{"how": "power", "units": ["a.service"], "down_for": "10s"}`, "pods", false, []string{"how: one way", "units: no systemd units"}},
		{"node_restart", `{"down_for": "10s"}`, "machine", false, []string{": no action that restarts its machine"}},
		{"node_restart", `{"units": ["a.service"]}`, "instance", false, []string{"units: does not see into"}},
		{"node_restart", `{"how": "power", "down_for": "1m"}`, "instance", false, []string{"how: alone"}},
		{"node_restart", `{"how": "power"}`, "instance", false, nil}, // GCP can
		{"network_partition", `{"ports": [80], "action": "reject"}`, "pods", true, []string{"ports: no ports", "action: drops packets"}},
		{"network_partition", `{"to": ["2001:db8::1"]}`, "pods", false, []string{"to: IPv4 alone"}},
		{"network_partition", `{"to": ["::/0"]}`, "machine", false, []string{"direction: one way at a time"}},
		{"network_partition", `{"direction": "out", "to": ["::/0"]}`, "machine", false, []string{"to: IPv4 alone"}},
		{"network_partition", `{}`, "pods", false, []string{"to: no other side"}},
		{"network_partition", `{"to": ["192.0.2.1"]}`, "pods", true, []string{"to: Use either between or to"}},
		{"network_partition", `{"direction": "in"}`, "machine", true, nil},
		{"network_delay", `{"jitter": "1ms"}`, "pods", true, []string{"distribution: evenly"}},
		{"network_delay", `{"jitter": "1ms", "distribution": "pareto"}`, "machine", true, []string{"distribution: evenly"}},
		{"network_delay", `{"direction": "in"}`, "pods", true, []string{"direction: put the fault on the sender"}},
		{"network_rate", `{"burst": "1kb"}`, "pods", true, []string{"burst: 2000 bytes"}},
		{"network_reorder", `{}`, "machine", true, []string{": no packets overtake"}},
		{"dns_outage", `{}`, "pods", false, []string{`action: Write action = "servfail"`}},
		{"dns_outage", `{"action": "nxdomain", "delay": "1s", "resolvers": ["192.0.2.1"], "names": ["*.example.com", "a.example.com"]}`, "pods", false,
			[]string{"action: SERVFAIL", "delay: at once", "resolvers: replaces all", `names: "*.example.com"`}},
		{"dns_outage", `{"action": "servfail"}`, "machine", false, []string{": fails none"}},
		{"cpu_stress", `{}`, "pods", false, []string{"percent: cores = 2"}},
		{"cpu_stress", `{"percent": 50, "nice": 5}`, "machine", false, []string{"percent: cores = 2", "nice: on a par"}},
		{"memory_stress", `{"floor": "1GB"}`, "pods", false, []string{"percent: size = ", "floor: keeps no floor"}},
		{"memory_stress", `{"size": "1GB", "floor": "1GB"}`, "machine", false, []string{"floor: keeps no floor"}},
		{"memory_stress", `{"size": "1000000001B"}`, "pods", false, []string{"size: whole kilobytes"}},
		{"time_skew", `{"offset": "1h"}`, "machine", false, []string{": a process by its pid"}},
		{"time_skew", `{"offset": "1h"}`, "instance", false, []string{": restarts and stops"}},
		{"io_latency", `{"volume": "/data"}`, "pods", false, nil},
		{"io_error", `{"volume": "/data"}`, "machine", false, []string{": no files"}},
		{"io_error", `{"volum": "/data"}`, "pods", false, []string{`: unknown field "volum"`}},
		{"io_error", `{"volume": "/data", "error": "ENOSPACE"}`, "pods", false, []string{`error: Did you mean "ENOSPC"?`}},
		{"chaos_mesh", `{"manifest": ""}`, "", false, []string{"manifest: Name a file"}},
		{"chaos_mesh", `{"manifest": "a.yaml", "content": "kind: 5"}`, "", false, []string{"manifest: does not say its apiVersion"}},
	} {
		t.Run(c.kind+" "+c.config+" "+c.targets, func(t *testing.T) {
			f := cluster.Fault{Name: "f", Kind: c.kind, Config: json.RawMessage(c.config), Between: c.between}
			if c.targets != "" {
				f.Targets = []string{c.targets}
			}
			found := validateFault(f)
			if len(found) != len(c.want) {
				t.Errorf("%d mistakes, want %d: %+v", len(found), len(c.want), found)
			}
			for _, want := range c.want {
				field, detail, _ := strings.Cut(want, ": ")
				if !slices.ContainsFunc(found, func(m cluster.Mistake) bool {
					return m.Fault == "f" && m.Field == field && strings.Contains(strings.ToLower(m.Detail), strings.ToLower(detail)) && m.Summary != ""
				}) {
					t.Errorf("want %q, got %+v", want, found)
				}
			}
		})
	}
}

// TestEveryKindIsJudged asks about every kind of a machine at every kind of target: each is either mapped, or has a mistake that says
// why in a sentence of its own.
func TestEveryKindIsJudged(t *testing.T) {
	config := map[string]string{"command": `{"inject": ["true"], "cannot_revert": true}`, "disk_fill": `{"path": "/d"}`, "io_error": `{"volume": "/d"}`,
		"io_latency": `{"volume": "/d"}`, "time_skew": `{"offset": "1h"}`, "chaos_mesh": `{"manifest": "a.yaml"}`, "io_stress": `{"path": "/d"}`}
	for _, k := range kinds.All() {
		for _, target := range []string{"pods", "instance", "machine"} {
			f := cluster.Fault{Name: "f", Kind: k.Name, Config: json.RawMessage(config[k.Name]), Targets: []string{target}, Between: k.Between}
			for _, m := range validateFault(f) {
				if m.Detail == "" || !strings.HasSuffix(m.Detail, ".") || strings.Contains(m.Detail, "has nothing that does it") {
					t.Errorf("%s on %s: %+v", k.Name, target, m)
				}
			}
		}
	}
}

// TestPlacesThatCannot says what is wrong with places that a fault cannot land on.
func TestPlacesThatCannot(t *testing.T) {
	many := faults.Place{Name: "web-0", Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "web-0", ContainerIDs: []string{"a", "b"}}}}
	system := faults.Place{Name: "dns", Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "kube-system", Name: "coredns-0", AllContainers: []string{"dns"}}}}
	noDevice := between(faults.Place{Name: "m1", Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "shop", Name: "m1"}}}, host)
	six := between(web, faults.Place{Name: "six", Addresses: addresses("2001:db8::7")})
	for _, c := range []struct {
		kind, config string
		place        faults.Place
		want         string
	}{
		{"cpu_stress", `{"cores": 1}`, many, "containers = "},
		{"io_error", `{"volume": "/d"}`, web, `containers = ["web"]`},
		{"node_restart", `{}`, webNamed, "leave containers out"},
		{"process_kill", `{}`, system, "namespace kube-system is protected"},
		{"network_loss", `{}`, noDevice, `device = "eth0"`},
		{"network_loss", `{}`, six, "no IPv4 address of six"},
		{"process_kill", `{}`, host, "no cluster"},
		{"process_kill", `{}`, whole, "needs a target"},
		{"process_kill", `{}`, faults.Place{Name: "x", Cluster: &faults.Cluster{Pod: &faults.Pod{}}}, "names no pod"},
		{"node_restart", `{}`, faults.Place{Name: "x", Cluster: &faults.Cluster{Instance: &faults.Instance{Namespace: "shop"}}}, "names no cloud"},
		{"cpu_stress", `{"cores": 1}`, faults.Place{Name: "x", Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "shop"}}}, "names neither"},
	} {
		_, err := render(mapping{kind: c.kind, config: c.config, place: c.place}.request())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s at %s: %v, want %q in it", c.kind, c.place.Name, err, c.want)
		}
	}
}

var dnsLabel = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// TestNames holds names to DNS labels that leave room for what Chaos Mesh appends, and to be the same for the same injection alone.
func TestNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9-]{0,80}`))
		o := faults.Owner{Run: text.Draw(t, "run"), Injection: text.Draw(t, "injection"), Fault: text.Draw(t, "fault")}
		hint := text.Draw(t, "hint")
		n := name(o, hint)
		if !dnsLabel.MatchString(n) || len(n) > longestName || !strings.HasPrefix(n, "gameday-") {
			t.Fatalf("%q is no name for %+v, %q", n, o, hint)
		}
		if again := name(o, hint); again != n {
			t.Fatalf("%q, and then %q", n, again)
		}
		other := o
		other.Injection += "x"
		if name(other, hint) == n {
			t.Fatalf("two injections are both %q", n)
		}
	})
}

// TestSeconds holds durations to be read again as what they were, by Chaos Mesh and by the patterns of its schemas.
func TestSeconds(t *testing.T) {
	pattern := regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h)$`)
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(100*24*time.Hour)).Draw(t, "d"))
		if rapid.Bool().Draw(t, "round") {
			d = d.Truncate(time.Millisecond)
		}
		text := seconds(d)
		if back, err := time.ParseDuration(text); err != nil || back != d || !pattern.MatchString(text) {
			t.Fatalf("%v is written %q, which is %v, %v", d, text, back, err)
		}
	})
}

// TestWorkers holds the split of processors' worth of time to what was asked for, to the percent of a worker.
func TestWorkers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.Float64Range(0.01, 4096).Draw(t, "cores")
		workers, percent := workersOf(cores)
		if got := float64(workers) * float64(percent) / 100; workers < 1 || percent < 1 || percent > 100 || got > cores+float64(workers)*0.0051 || got < cores-float64(workers)*0.0051 {
			t.Fatalf("%v cores are %d workers at %d %%", cores, workers, percent)
		}
	})
}

// anyRequest draws an injection with settings and a place of all sorts.
func anyRequest(t *rapid.T) guard.InjectRequest {
	m := rapid.SampledFrom(mappings).Draw(t, "mapping")
	r := m.request()
	r.ID = rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,60}`).Draw(t, "id")
	r.Fault = rapid.String().Draw(t, "fault")
	r.Scenario = rapid.String().Draw(t, "scenario")
	r.Deadline = time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "deadline"))
	percent := rapid.Float64Range(0.0001, 100).Draw(t, "percent")
	delay := time.Duration(rapid.Int64Range(int64(10*time.Microsecond), int64(time.Minute)).Draw(t, "delay"))
	switch m.kind {
	case "network_loss", "network_duplicate", "network_corrupt":
		r.Config = json.RawMessage(fmt.Sprintf(`{"percent": %v, "correlation": %v}`, percent, rapid.Float64Range(0, 100).Draw(t, "correlation")))
		r.Place = between(m.place, ledger)
	case "network_delay":
		r.Config = json.RawMessage(fmt.Sprintf(`{"delay": %q}`, delay))
		r.Place = between(m.place, ledger, host)
	case "cpu_stress":
		r.Config = json.RawMessage(fmt.Sprintf(`{"cores": %v}`, percent))
	case "time_skew":
		r.Config = json.RawMessage(fmt.Sprintf(`{"offset": "-%v"}`, delay+time.Millisecond))
	}
	return r
}

// TestRenderedIsReadAgain holds what is rendered to be a manifest that decode reads, as the same object, with a duration that is
// positive and bounded where it lapses.
func TestRenderedIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRequest(t)
		made, err := render(r)
		if err != nil {
			t.Fatalf("%s %s: %v", r.Kind, r.Config, err)
		}
		m, found := decode(made.YAML)
		if len(found) > 0 {
			t.Fatalf("%v\n%s", found.asError(), made.YAML)
		}
		again := object{kind: m.kind, made: m.typed, raw: m.raw}
		u, err := again.unstructured()
		if err != nil {
			t.Fatal(err)
		}
		before := render2(t, r)
		if fmt.Sprint(u.Object) != before {
			t.Fatalf("it was %v\nand is read as %v", before, u.Object)
		}
		if !dnsLabel.MatchString(m.typed.GetName()) {
			t.Fatalf("%q is no name", m.typed.GetName())
		}
		if found := m.complaints(); len(found) > 0 {
			t.Fatalf("%v\n%s", found.asError(), made.YAML)
		}
		bounded(t, r, made, m)
	})
}

// render2 is what render wrote, before it was YAML.
func render2(t *rapid.T, r guard.InjectRequest) string {
	kind, _ := kindNamed(r.Kind)
	config := kind.New()
	if err := readConfig(r.Config, config); err != nil {
		t.Fatal(err)
	}
	o, err := planFor(r.Kind, config, r.Place, r.Deadline+Margin)
	if err != nil {
		t.Fatal(err)
	}
	u, err := o.owned(faults.Owner{Run: r.Run, Injection: r.ID, Fault: r.Fault, Scenario: r.Scenario}, "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(u.Object)
}

func bounded(t *rapid.T, r guard.InjectRequest, made cluster.Rendered, m *manifest) {
	field := durationOf(m.typed)
	if !made.Lapses {
		if field != nil && *field != nil {
			t.Fatalf("it does not lapse, and has a duration of %s", **field)
		}
		return
	}
	if field == nil || *field == nil {
		t.Fatal("it lapses, and has no duration")
	}
	d, err := time.ParseDuration(**field)
	if err != nil || d <= 0 || d > r.Deadline+Margin && r.Kind != "node_restart" || d > 24*time.Hour+Margin {
		t.Fatalf("%s of a deadline of %v: %v", **field, r.Deadline, err)
	}
}

// TestLabels holds labels to what Kubernetes allows, and annotations to the whole of it.
func TestLabels(t *testing.T) {
	value := regexp.MustCompile(`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`)
	rapid.Check(t, func(t *rapid.T) {
		o := object{kind: "PodChaos", made: podChaosOf(t)}
		owner := faults.Owner{Run: rapid.String().Draw(t, "run"), Fault: rapid.String().Draw(t, "fault"), Scenario: rapid.String().Draw(t, "scenario"), Injection: "r1-1"}
		u, err := o.owned(owner, "ann@laptop", time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		for key, v := range u.GetLabels() {
			if len(v) > 63 || !value.MatchString(v) {
				t.Fatalf("%s: %q is no label", key, v)
			}
		}
		a := u.GetAnnotations()
		if a[cluster.AnnotationRun] != owner.Run || a[cluster.AnnotationFault] != owner.Fault || a[cluster.AnnotationID] != "r1-1" ||
			a[cluster.AnnotationOwner] != "ann@laptop" || a[cluster.AnnotationUntil] != "1970-01-01T00:00:01Z" {
			t.Fatalf("annotations of %+v: %v", owner, a)
		}
		if u.GetLabels()[cluster.LabelManaged] != "gameday" || u.GetLabels()["team"] != "checkout" {
			t.Fatalf("labels: %v", u.GetLabels())
		}
	})
}

func podChaosOf(t *rapid.T) kube.Object {
	m, found := decode("apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {namespace: shop, labels: {team: checkout}}\n" +
		"spec: {action: pod-kill, mode: all, selector: {labelSelectors: {app: web}}}\n")
	if len(found) > 0 {
		t.Fatal(found.asError())
	}
	return m.typed
}

// TestDoneAtOnce holds what is done at once, and is a fault of a kind that can be undone elsewhere, to having ended.
func TestDoneAtOnce(t *testing.T) {
	i := &injection{oneShot: true, shot: &faults.Effect{Proven: true, Summary: "AllInjected"}, follower: &follower{}}
	e, err := i.Watch(t.Context())
	if err != nil || !e.Proven || e.Summary != "done at once: AllInjected" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestOwnWords is what is known of manifests where nobody may look: the namespaces that they name anywhere, and that nobody weighs whom they hit.
func TestOwnWords(t *testing.T) {
	nobody := bad(t, func(w http.ResponseWriter, _ *http.Request) {
		status(w, http.StatusForbidden, metav1.StatusReasonForbidden, "no")
	})
	for content, want := range map[string]string{
		"kind: PodChaos\nmetadata: {namespace: shop}\nspec:\n  action: pod-kill\n  mode: all\n  selector: {namespaces: [bank], labelSelectors: {app: x}}\n":                           "bank shop 1",
		"kind: Schedule\nmetadata: {namespace: shop}\nspec:\n  schedule: \"@every 1m\"\n  type: PodChaos\n  podChaos: {action: pod-kill, mode: all, selector: {pods: {till: [a]}}}\n": "shop till 1",
		"kind: PhysicalMachineChaos\nmetadata: {namespace: shop}\nspec:\n  action: network-delay\n  mode: all\n  selector: {physicalMachines: {yard: [m1]}}\n" +
			"  network-delay: {device: eth0, ip-address: 10.0.0.1, latency: 1s}\n": "shop yard 1",
	} {
		config := &cluster.ChaosMesh{Manifest: "m.yaml", Content: "apiVersion: chaos-mesh.org/v1alpha1\n" + content}
		config.CannotRevert = strings.HasPrefix(content, "kind: PodChaos")
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ask(guard.InjectRequest{Kind: "chaos_mesh", Fault: "storm", Config: text, Deadline: time.Minute, Place: faults.Place{Cluster: &faults.Cluster{}}})
		if err != nil {
			t.Fatalf("%s\n%v", content, err)
		}
		said := nobody.radius(t.Context(), []asked{a})
		if got := fmt.Sprintf("%s %d", strings.Join(a.in, " "), len(said)); got != want {
			t.Errorf("%s\nis %q, want %q: %+v", content, got, want, said)
		}
	}
}
