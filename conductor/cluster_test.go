package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/faults"
	"gameday/loadgen/collector"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	near "gameday/targets/cluster"
)

// pod is a place in a pod; each life of its containers has an id of its own.
func pod(name, uid, container string, ready bool) targets.Place {
	return told{where: faults.Place{Name: name, Cluster: &faults.Cluster{
		Pod: &faults.Pod{Namespace: "shop", Name: name, UID: uid, ContainerIDs: []string{container}, Ready: ready}}}}
}

// TestComeback tells a pod that came back from one that only looks like it.
func TestComeback(t *testing.T) {
	old := pod("web-1", "u1", "c1", true)
	restarted, replaced := pod("web-1", "u1", "c2", true), pod("web-2", "u2", "c3", true)
	if identity(old) != identity(pod("web-1", "u1", "c1", false)) {
		t.Error("a pod that is not ready is taken for another")
	}
	for what, now := range map[string]targets.Place{"pod web-1 is ready again, with containers started anew": restarted,
		"pod web-1 → web-2, which is ready": replaced} {
		if identity(old) == identity(now) {
			t.Errorf("%s: its identity is the old one", what)
		}
		if got := comeback(old.Where(), now.Where()); got != what {
			t.Errorf("%q, want %q", got, what)
		}
	}
	process := func(pid int) faults.Place { return faults.Place{Process: &faults.Process{PID: pid, Start: 1}} }
	if got := comeback(process(4), process(7)); got != "pid 4 → 7" {
		t.Errorf("%q", got)
	}
	if left := alive([]targets.Place{old, pod("web-3", "u3", "c4", false), told{where: process(4)}}); len(left) != 2 {
		t.Errorf("%d of an old pod, one that is not ready and a process are alive, want 2", len(left))
	}
	// A container's id outlives its processes: by the place alone a restart could not be told.
	box := func(pid int) targets.Place {
		return told{where: faults.Place{Process: &faults.Process{PID: pid, Start: 1}, Node: &faults.Node{Container: "c"}}}
	}
	if identity(box(4)) == identity(box(7)) {
		t.Error("a container that was restarted is taken for the old one")
	}
}

func TestKeptAs(t *testing.T) {
	for name, want := range map[string]string{"days/s.hcl": "s.hcl", "days/mesh/storm.yaml": "mesh/storm.yaml", "vars/prod.vars": "prod.vars",
		"/etc/x.vars": "x.vars"} {
		if got := keptAs("days/s.hcl", name); got != want {
			t.Errorf("%s is kept as %s, want %s", name, got, want)
		}
	}
}

// TestPlanOfManifests compares what is printed of faults in a cluster, with their objects.
func TestPlanOfManifests(t *testing.T) {
	s, p := loadPlan(t, "testdata/cluster.hcl")
	p.Targets[0].Places = []string{"pod shop/payments-7c9f-x2x4q on worker-1", "pod shop/payments-7c9f-b8k2m on worker-2"}
	p.Objects = []report.ObjectPlan{
		{Fault: "crash", Place: "payments/1", Object: "PodChaos", YAML: "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nspec:\n  action: container-kill\n", Lapses: true},
		{Fault: "crash", Place: "payments/2", Object: "PodChaos", YAML: "kind: PodChaos\n", Lapses: true},
		{Fault: "cut", Place: "payments/1", Object: "NetworkChaos", YAML: "kind: NetworkChaos\nspec:\n  duration: 71s\n", Lapses: true},
		{Fault: "cut", Place: "payments/1", Object: "DNSChaos", YAML: "kind: DNSChaos\n", Lapses: true},
		{Fault: "cut", Place: "payments/2", Object: "NetworkChaos", YAML: "kind: NetworkChaos\n", Lapses: true},
		{Fault: "slow", Place: "payments/1", Object: "StressChaos", YAML: "kind: StressChaos\n", Note: "nobody has measured what it costs."},
	}
	for i := range p.Faults {
		lapses(&p.Faults[i], p, s)
	}
	var b bytes.Buffer
	if err := WritePlan(&b, p); err != nil {
		t.Fatal(err)
	}
	golden(t, "cluster.txt", b.Bytes())
}

// TestPlanOfFindings compares what is printed of what a run would find in the cluster.
func TestPlanOfFindings(t *testing.T) {
	s, p := loadPlan(t, "testdata/cluster.hcl")
	for _, f := range []report.FindingPlan{
		{Faults: []string{"crash"}, Found: report.Found{What: "replicas", Summary: "fault crash takes down all of the 2 Ready pods of ReplicaSet cart in namespace shop"}},
		{Found: report.Found{What: "chaos mesh", Blocks: true, Summary: "the version of Chaos Mesh is 2.1.7, older than 2.3", Detail: "Raise it."}},
		{Faults: []string{"slow"}, Found: report.Found{What: "permissions", Blocks: true, Summary: "not allowed: create stresschaos in shop",
			Detail: "The least that is missing:\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"}},
		{Faults: []string{"crash"}, Found: report.Found{What: "permissions", Blocks: true, Summary: "not allowed: create stresschaos in shop",
			Detail: "The least that is missing:\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"}},
		{Traffic: []string{"shoppers"}, Found: report.Found{What: "k6 operator", Blocks: true, Summary: "the k6 operator is not installed"}},
	} {
		planFinding(p, f)
	}
	weighFindings(s, p)
	if got := p.Faults[1].BlockedBy; len(got) != 1 || got[0] != "chaos mesh" {
		t.Errorf("cut is blocked by %q", got)
	}
	if len(p.Warnings) < 4 || p.Warnings[1] != "Faults crash and slow: not allowed: create stresschaos in shop." {
		t.Errorf("the warnings are %q", p.Warnings)
	}
	var b bytes.Buffer
	if err := WritePlan(&b, p); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.txt", b.Bytes())
}

// TestUnseen asks about faults of which nobody knows where they land, and not of what only a real place has.
func TestUnseen(t *testing.T) {
	s, _ := loadPlan(t, "testdata/cluster.hcl")
	o := Options{Scenario: s, Run: plannedRun}
	a := o.aim(func(*scenarios.Fault) ([]targets.Place, error) { return nil, errors.New("forbidden") })
	if len(a.requests) != 0 || len(a.unaimed) != 3 || len(a.errs) != 3 {
		t.Fatalf("%+v", a)
	}
	for _, r := range a.unaimed {
		if pod := r.Place.Cluster.Pod; pod == nil || pod.Namespace != "shop" || pod.Name == "" || len(pod.AllContainers) != 1 || pod.Node != "" {
			t.Errorf("%s stands on %+v", r.Fault, pod)
		}
	}
}

// TestFoundNowhere has a cluster that answered for a target fail a moment later: a run that ends by that says why, and none says it twice.
func TestFoundNowhere(t *testing.T) {
	s, _ := loadPlan(t, "testdata/cluster.hcl")
	for name, c := range map[string]struct {
		lost map[string]bool
		want int
	}{"it answered before": {nil, 3}, "it is said of the target": {map[string]bool{s.Faults[0].Targets[0]: true}, 0}} {
		var said []string
		rec, err := newRecorder(t.TempDir(), time.Now(), func(s string) string { return s }, func(e report.Event) {
			if e.Kind == report.PreflightFound {
				said = append(said, string(e.Data))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer rec.close()
		r := &run{Options: Options{Scenario: s, Run: plannedRun}, rec: rec, lost: c.lost}
		r.foundNowhere(r.aim(func(*scenarios.Fault) ([]targets.Place, error) { return nil, errors.New("nobody listens") }))
		if len(said) != c.want || c.want > 0 && !strings.Contains(said[0], "nobody listens") {
			t.Errorf("%s: said is %q", name, said)
		}
	}
}

func TestObjectKind(t *testing.T) {
	for yaml, want := range map[string]string{"apiVersion: v1\nkind: PodChaos\n": "PodChaos", "kind: \"Schedule\"\nspec:\n  kind: no\n": "Schedule", "  kind: x\n": "object", "": "object"} {
		if got := objectKind(yaml); got != want {
			t.Errorf("%q is of kind %s, want %s", yaml, got, want)
		}
	}
}

// TestPlanWithoutProgram warns where what would be put into the cluster cannot be told, and plans the rest.
func TestPlanWithoutProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s, _ := loadPlan(t, "testdata/cluster.hcl")
	p := Plan(t.Context(), Options{Scenario: s, Machine: &targets.Machine{}})
	if len(p.Faults) != 3 || len(p.Warnings) == 0 || !strings.Contains(strings.Join(p.Warnings, "\n"), "no cluster can be reached from here") {
		t.Errorf("%d faults, warnings %q", len(p.Faults), p.Warnings)
	}
	if f := p.Faults[1]; !strings.HasPrefix(f.Undoing, "undone by guard, which deletes its object") || f.Machine {
		t.Errorf("%+v", f)
	}
}

// TestSettledCluster makes another context the current one after a run has begun: what is found later is found in the first all the same.
func TestSettledCluster(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "../cmd/gameday-kubernetes").CombinedOutput(); err != nil {
		t.Fatalf("building gameday-kubernetes: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "config")
	current := func(name string) {
		t.Helper()
		text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: %s\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\n"+
			"users: [{name: u, user: {}}]\ncontexts: [{name: stage, context: {cluster: c, user: u}}, {name: prod, context: {cluster: c, user: u}}]\n", name)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	current("stage")
	t.Setenv("KUBECONFIG", config)
	s, _ := loadPlan(t, "testdata/cluster.hcl")
	s.Reach(faults.Access{})
	program := &near.Program{Path: filepath.Join(dir, "gameday-kubernetes")}
	t.Cleanup(func() { _ = program.Close(context.Background()) })
	r := &run{Options: Options{Scenario: s, Machine: &targets.Machine{Cluster: program}}, ctx: t.Context()}
	if !r.settleCluster() {
		t.Fatal("it blocks")
	}
	current("prod")
	whole, err := r.Machine.Whole(t.Context(), r.Scenario.Kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]faults.Access{"the cluster": whole.Where().Cluster.Access, "a target": s.Targets[0].Selector.(targets.InCluster).Known().Access} {
		if got.Context != "stage" || got.Kubeconfig != config {
			t.Errorf("%s is looked for by %+v", what, got)
		}
	}
}

// looks are the answers of a target, in turn.
type looks []func() ([]targets.Place, error)

func (l *looks) Places(context.Context) ([]targets.Place, error) {
	next := (*l)[0]
	*l = (*l)[1:]
	return next()
}

func (l *looks) Resolve(ctx context.Context) (targets.Resolution, error) {
	places, err := l.Places(ctx)
	return targets.Resolution{Picked: places, Found: places}, err
}

// TestComebackUnseen lets a pod come back while nobody can be asked: it may have come back at any time since the last answer.
func TestComebackUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := pod("web-1", "u1", "c1", true), pod("web-2", "u2", "c2", true)
		nobody := func() ([]targets.Place, error) {
			return nil, fmt.Errorf("resolving: %w", &targets.EmptyError{Target: "web"})
		}
		away := func() ([]targets.Place, error) { return nil, errors.New("nobody listens") }
		back := func() ([]targets.Place, error) { return []targets.Place{fresh}, nil }
		var seen []report.Comeback
		rec, err := newRecorder(t.TempDir(), time.Now(), func(s string) string { return s }, func(e report.Event) {
			if e.Kind == report.Recovered {
				var c report.Comeback
				if err := json.Unmarshal(e.Data, &c); err != nil {
					t.Error(err)
				}
				seen = append(seen, c)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer rec.close()
		began := rec.now()
		r := &run{ctx: t.Context(), rec: rec, checks: &checks{done: make(chan struct{})}}
		hit := []*injection{{place: old}}
		r.searchIn(&looks{nobody, away, away, away, back}, &faultRun{Fault: &scenarios.Fault{}, before: map[individual]bool{identity(old): true}}, hit, map[individual]bool{identity(old): true})
		gone, there := began.Add(clusterPoll), began.Add(5*clusterPoll)
		if len(seen) != 1 || seen[0].At.Lo.After(gone) || seen[0].At.Hi.Before(there) {
			t.Errorf("it came back at %+v; it was last seen to be away at %v, and there again at %v", seen, gone, there)
		}
	})
}

// TestUnseenFor reads for how long an end may have gone unseen.
func TestUnseenFor(t *testing.T) {
	of := func(text string) *faults.Effect {
		return &faults.Effect{Details: map[string]string{faults.UnseenDetail: text}}
	}
	for e, want := range map[*faults.Effect]time.Duration{nil: 0, {}: 0, of("31.5s"): 31500 * time.Millisecond, of("-4s"): 0, of("long"): 0} {
		if got := unseenFor(e); got != want {
			t.Errorf("%+v: %v, want %v", e, got, want)
		}
	}
}

// TestUnseenInCluster: at the end of a run a cluster that cannot be asked is no clean cluster. What was not seen to go counts as left.
func TestUnseenInCluster(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "../cmd/gameday-kubernetes").CombinedOutput(); err != nil {
		t.Fatalf("building gameday-kubernetes: %v\n%s", err, out)
	}
	program := &near.Program{Path: filepath.Join(dir, "gameday-kubernetes")}
	t.Cleanup(func() { _ = program.Close(context.Background()) })
	ledger, err := faults.OpenLedger(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, _ := loadPlan(t, "testdata/cluster.hcl")
	s.Kubernetes = faults.Access{Kubeconfig: filepath.Join(dir, "gone"), Context: "stage"}
	r := &run{Options: Options{Run: "today-1", Scenario: s, Ledger: ledger, Machine: &targets.Machine{Cluster: program}}, ctx: t.Context()}
	if left, unseen := r.residue(); len(left) > 0 || unseen != "" {
		t.Errorf("a run that put nothing into the cluster left %q, %q", left, unseen)
	}
	r.intoCluster.Store(true)
	want := fmt.Sprintf("; `gameday revert --kubernetes --kubeconfig %s --context stage --run today-1` looks again", s.Kubernetes.Kubeconfig)
	if left, unseen := r.residue(); len(left) > 0 || !strings.HasPrefix(unseen, "whether the cluster has more of this run than the ledger says cannot be seen: ") || !strings.HasSuffix(unseen, want) {
		t.Errorf("left %q, unseen %q", left, unseen)
	}
	r.mayLeave("shoppers", fmt.Errorf("stopping: %w", collector.ErrLeft))
	r.mayLeave("buyers", errors.New("a mistake in a script"))
	left, unseen := r.residue()
	if len(left) != 1 || !strings.HasPrefix(left[0], "perhaps what was made in the cluster for the runners of traffic shoppers") || unseen == "" {
		t.Errorf("left %q, unseen %q", left, unseen)
	}
}

// TestNotReady tells pods that are Ready again from those that are not, and new ones from old ones.
func TestNotReady(t *testing.T) {
	peer := func(name, uid string, ready bool) faults.Peer { return pod(name, uid, "c", ready).Where().Peer() }
	known := map[string]bool{"u1": true, "u2": true, "u7": true}
	before := []faults.Peer{peer("web-1", "u1", true), peer("web-2", "u2", true)}
	for _, c := range []struct {
		name     string
		now      []faults.Peer
		not      []string
		replaced []string
	}{
		{"all are", before, nil, nil},
		{"one is not", []faults.Peer{peer("web-1", "u1", false), before[1]}, []string{"shop/web-1"}, nil},
		{"one is not, and a new one is", []faults.Peer{peer("web-1", "u1", false), before[1], peer("web-3", "u3", true)}, []string{"shop/web-1"}, nil},
		{"one is gone", before[1:], []string{"shop/web-1"}, nil},
		{"one was replaced", []faults.Peer{before[1], peer("web-3", "u3", true)}, nil, []string{"shop/web-3"}},
		{"one is being replaced", []faults.Peer{before[1], peer("web-3", "u3", false)}, []string{"shop/web-1"}, nil},
		{"both were replaced, by one so far", []faults.Peer{peer("web-3", "u3", true)}, []string{"shop/web-2"}, []string{"shop/web-3"}},
		{"of the same name, and another", []faults.Peer{before[1], peer("web-1", "u9", true)}, nil, []string{"shop/web-1"}},
		{"one is gone, and one that was never hit is there", []faults.Peer{before[1], peer("web-7", "u7", true)}, []string{"shop/web-1"}, nil},
		{"none is there", nil, []string{"shop/web-1", "shop/web-2"}, nil},
	} {
		not, replaced := notReady(before, c.now, known)
		if !slices.Equal(not, c.not) || !slices.Equal(replaced, c.replaced) {
			t.Errorf("%s: not Ready are %q, and %q stand for others", c.name, not, replaced)
		}
	}
	told := []*injection{{Injection: report.Injection{Effect: &faults.Effect{Details: map[string]string{"shop/web-2/main": "Injected", "conditions": "AllInjected"}}}}}
	if got := hitOf(before, told); len(got) != 1 || got[0].Name != "web-2" {
		t.Errorf("hit are %v", got)
	}
	if got := hitOf(before, []*injection{{}}); len(got) != 2 {
		t.Errorf("of a proof that names none, %v were hit", got)
	}
	if got := podsOf([]targets.Place{pod("web-1", "u1", "c", true), pod("web-3", "u3", "c", false), withPeers{Place: pod("web-1", "u1", "c", true), peers: before[1:]}}); len(got) != 2 {
		t.Errorf("Ready before were %v", got)
	}
}
