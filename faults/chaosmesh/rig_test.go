package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

// raw is a config of tests: the object itself, as JSON.
type raw struct {
	Object json.RawMessage `json:"object"`
	Ended  time.Duration   `json:"ends,omitempty"`
}

func (r *raw) Validate() error { return nil }

func (r *raw) plan(d time.Duration) (*object, error) {
	var u unstructured.Unstructured
	if err := json.Unmarshal(r.Object, &u.Object); err != nil {
		return nil, err
	}
	kind, known := v1alpha1.AllKindsIncludeScheduleAndWorkflow()[u.GetKind()]
	if !known {
		return nil, fmt.Errorf("no kind %q", u.GetKind())
	}
	made := kind.SpawnObject()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, made); err != nil {
		return nil, err
	}
	o := &object{kind: u.GetKind(), made: made, ends: r.Ended, lapses: durationOf(made) != nil}
	if p, is := made.(*v1alpha1.PodChaos); is {
		o.oneShot = p.Spec.Action != v1alpha1.PodFailureAction
	}
	return o, o.stand(d)
}

func (r *raw) Bind(p faults.Place) (faults.Injection, error) {
	return &injection{make: r.plan, place: p}, nil
}

// rawKinds are the kinds of tests: one that can be undone, and one that cannot.
func rawKinds() []faults.Kind {
	fresh := func() faults.Config { return &raw{} }
	return []faults.Kind{
		{Name: "raw", Needs: faults.NeedCluster, Reversible: true, New: fresh, Revert: revert, RevertInCluster: revert},
		{Name: "raw_shot", Needs: faults.NeedCluster, New: fresh, RevertInCluster: revert},
	}
}

// guardVariable makes the test binary a guard of clusters, and dieVariable one that kills itself at a checkpoint.
const (
	guardVariable = "GAMEDAY_TEST_CLUSTER_GUARD"
	dieVariable   = "GAMEDAY_TEST_DIE_AT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(guardVariable); dir != "" {
		os.Exit(beGuard(dir))
	}
	os.Exit(m.Run())
}

// beGuard serves standard input as cmd/gameday-kubernetes does, with the kinds of tests beside its own.
func beGuard(dir string) int {
	ledger, err := faults.OpenLedger(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	o := guard.Options{Kinds: append(Kinds(), rawKinds()...), Find: Answer, Ledger: ledger, Version: "test"}
	if at := faults.Checkpoint(os.Getenv(dieVariable)); at != "" {
		o.Reach = func(_ string, reached faults.Checkpoint) {
			if reached == at {
				p, _ := os.FindProcess(os.Getpid())
				_ = p.Kill()
				select {}
			}
		}
	}
	if err := guard.Serve(context.Background(), os.Stdin, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// hand is a guard in a process of its own, and the client that holds it.
type hand struct {
	*guard.Client
	cmd *exec.Cmd
}

// startGuard starts one with a ledger in dir; dieAt is the checkpoint at which it kills itself, if any.
func startGuard(t *testing.T, dir string, dieAt faults.Checkpoint) *hand {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &hand{cmd: exec.Command(self)}
	h.cmd.Env = append(os.Environ(), guardVariable+"="+dir, dieVariable+"="+string(dieAt))
	if h.Client, err = guard.Start(t.Context(), h.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.kill)
	return h
}

// kill ends the guard as a crash does.
func (h *hand) kill() {
	_ = h.cmd.Process.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = h.Close(ctx)
}

// access is how a cluster's administrator reaches it.
func access(c *kuberig.Cluster) faults.Access { return faults.Access{Kubeconfig: c.Admin} }

// podPlace is a pod of the cluster as Answer finds it.
func podPlace(t *testing.T, a faults.Access, namespace, name string) faults.Place {
	t.Helper()
	c, err := connect(a)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.pod(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.foundPod(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f.Place
}

// request is one for the kind raw or raw_shot.
func request(kind, id, run string, p faults.Place, object any) guard.InjectRequest {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	config, err := json.Marshal(raw{Object: text})
	if err != nil {
		panic(err)
	}
	return guard.InjectRequest{ID: id, Run: run, Scenario: "drill", Fault: "fault." + id, Kind: kind, Config: config, Place: p,
		Lease: time.Minute, Deadline: time.Minute, EffectTimeout: 20 * time.Second}
}

type tree = map[string]any

// chaosFor is an object of a kind in the namespace shop that selects one pod by its name.
func chaosFor(kind, pod string, spec tree) tree {
	all := tree{"mode": "all", "selector": tree{"pods": tree{"shop": []string{pod}}}}
	for k, v := range spec {
		all[k] = v
	}
	return tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": tree{"namespace": "shop"}, "spec": all}
}

// left lists the titles of what there is of ours in a cluster.
func left(t *testing.T, a faults.Access) []string {
	t.Helper()
	c, err := connect(a)
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := c.findOurs(t.Context(), "", true)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, f := range found {
		out = append(out, titleOf(&f.object)+" "+stands(f))
	}
	return out
}

// says fails the test unless an error is there and says all of some texts.
func says(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("it says %q, want %q in it", err, text)
		}
	}
}

// revertAll reverts the orphans of a ledger in this process, as `gameday revert` does.
func revertAll(t *testing.T, dir string) error {
	t.Helper()
	ledger, err := faults.OpenLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := faults.RevertOrphans(context.WithoutCancel(t.Context()), ledger, rawKinds(), nil)
	errs := []error{err}
	for _, r := range results {
		if r.Note != "" {
			t.Logf("%s: %s", r.ID, r.Note)
		}
		errs = append(errs, r.Err)
	}
	return errors.Join(errs...)
}
