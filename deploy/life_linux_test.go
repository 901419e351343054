package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
	"gameday/internal/kuberig/node"
)

// elsewhere is a node whose pods nothing stands behind.
const elsewhere = "node-9"

// life is a fault that becomes an object of a kind.
type life struct {
	kind     string // as the API has it: "networkchaos"
	fault    string
	config   string
	unproven bool // what would do it is not here, so that it is never injected; it is made, watched and lifted all the same
	hangs    bool // what would lift it is not here either: somebody has to take the finalizer off once it is being deleted
}

// objects is where the API has those of its kind.
func (l life) objects() string { return "/apis/chaos-mesh.org/v1alpha1/namespaces/shop/" + l.kind }

// lives has one for each kind that the chart's role allows.
var lives = []life{
	{kind: "podchaos", fault: "node_restart", config: `{"down_for": "40s"}`},
	{kind: "networkchaos", fault: "network_partition", config: `{"direction": "out", "to": ["198.18.9.9"]}`},
	{kind: "stresschaos", fault: "cpu_stress", config: `{"cores": 0.1}`},
	{kind: "timechaos", fault: "time_skew", config: `{"offset": "-1h"}`},
	{kind: "dnschaos", fault: "dns_outage", config: `{"action": "servfail"}`, unproven: true},
	{kind: "iochaos", fault: "io_latency", config: `{"volume": "/data"}`, unproven: true, hangs: true},
}

func lifeOf(t *testing.T, kind string) life {
	t.Helper()
	for _, l := range lives {
		if l.kind == kind {
			return l
		}
	}
	t.Fatalf("the role allows %s, and no fault of this test becomes one", kind)
	return life{}
}

// world is a cluster with the chart in it, and what game days there are held by.
type world struct {
	*kuberig.Cluster
	program string
	access  faults.Access
	count   atomic.Int32
}

// populate makes a pod for each kind, and waits for them. The one that is restarted has nothing behind it, so that it is back at once.
func (w *world) populate(t *testing.T) {
	t.Helper()
	for _, l := range lives {
		if l.kind == "podchaos" {
			continue // a pod for each day
		}
		err := w.Post("/api/v1/namespaces/shop/pods", map[string]any{"apiVersion": "v1", "kind": "Pod",
			"metadata": map[string]any{"name": l.kind, "labels": map[string]any{"app": l.kind}},
			"spec":     map[string]any{"terminationGracePeriodSeconds": 1, "containers": []any{map[string]any{"name": "web", "image": node.Web, "command": []string{"/web", ":8080"}}}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range lives {
		if l.kind == "podchaos" {
			continue
		}
		kuberig.Eventually(t, time.Minute, "pod "+l.kind+" runs", func() bool {
			var p struct{ Status struct{ Phase, PodIP string } }
			return w.Get("/api/v1/namespaces/shop/pods/"+l.kind, &p) == nil && p.Status.Phase == "Running" && p.Status.PodIP != ""
		})
	}
}

// guarded is a pod with nothing behind it, on a node that no daemon serves, and a budget that lets none of its kind be missing.
const guarded = "guarded"

// guard makes it, and waits until the cluster has counted.
func (w *world) guard(t *testing.T) {
	t.Helper()
	w.Pod(t, "shop", guarded, elsewhere, "app", guarded)
	budget := "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
	if err := w.Post(budget, map[string]any{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": map[string]any{"name": guarded},
		"spec": map[string]any{"minAvailable": 1, "selector": map[string]any{"matchLabels": map[string]any{"app": guarded}}}}, nil); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, 30*time.Second, "the budget is weighed", func() bool {
		var b struct {
			Status struct{ ObservedGeneration, CurrentHealthy int }
		}
		return w.Get(budget+"/"+guarded, &b) == nil && b.Status.ObservedGeneration > 0 && b.Status.CurrentHealthy == 1
	})
}

// look asks beforehand about faults that should not be injected, and for traffic from a namespace that there is not: what it says shows
// how much can be seen.
func (w *world) look(ctx context.Context, t *testing.T, g *guard.Client) string {
	place := faults.Place{Name: "shop/" + guarded, Cluster: &faults.Cluster{Access: w.access, Pod: &faults.Pod{Namespace: "shop", Name: guarded, Node: elsewhere}}}
	var requests []guard.InjectRequest
	for _, l := range lives[:2] {
		requests = append(requests, guard.InjectRequest{ID: l.kind, Run: "look", Scenario: "least", Fault: l.fault, Kind: l.fault, Config: json.RawMessage(l.config),
			Place: place, Lease: time.Minute, Deadline: time.Minute})
	}
	var found seen
	if err := w.ask(ctx, g, cluster.Query{Preflight: &cluster.Preflight{Requests: requests, Load: &cluster.Load{Namespace: "gamedays"}}}, &found.preflight); err != nil {
		t.Errorf("looking: %v", err)
	}
	return found.String()
}

// clear removes whatever stands, as an administrator does.
func (w *world) clear(t *testing.T) {
	t.Helper()
	for _, l := range lives {
		if err := w.Do(http.MethodDelete, l.objects(), "", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range lives {
		if l.hangs {
			defer w.free(t.Context(), l, "")()
		}
		kuberig.Eventually(t, 30*time.Second, "no "+l.kind+" is left", func() bool {
			var list struct{ Items []any }
			return w.Get(l.objects(), &list) == nil && len(list.Items) == 0
		})
	}
}

// free takes the finalizers off the objects of a kind, and of a run unless that is "", once they are being deleted, as an administrator
// does. It goes on until it is told to stop.
func (w *world) free(ctx context.Context, l life, run string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			var list struct {
				Items []struct {
					Metadata struct {
						Name, DeletionTimestamp string
						Labels                  map[string]string
					}
				}
			}
			_ = w.Get(l.objects(), &list) // asked again
			for _, o := range list.Items {
				if m := o.Metadata; m.DeletionTimestamp != "" && (run == "" || m.Labels[cluster.LabelRun] == run) {
					_ = w.Patch(l.objects()+"/"+m.Name, map[string]any{"metadata": map[string]any{"finalizers": []string{}}}, nil)
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// day does in the cluster what a small game day does there: it finds a pod, asks whether it may, injects whatever the answer is, looks
// at the effect, reverts, asks what is left, lifts, and tells of the verdict. The first that fails ends it. With a lapse, somebody else
// ends the fault instead, and the guard is to tell.
func (w *world) day(t *testing.T, l life, lapse string) (out seen) {
	pod, run := l.kind, fmt.Sprintf("least-%d", w.count.Add(1))
	if l.kind == "podchaos" {
		pod = "restarted-" + run
		w.Pod(t, "shop", pod, elsewhere, "app", pod)
		defer func() {
			if err := w.Delete("/api/v1/namespaces/shop/pods/" + pod); err != nil && !kuberig.IsCode(err, http.StatusNotFound) {
				t.Error(err)
			}
		}()
	}
	g, err := guard.Start(t.Context(), exec.Command(w.program, "--ledger", filepath.Join(t.TempDir(), "ledger")))
	if err != nil {
		t.Error(err)
		return seen{err: err}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	defer g.Close(context.WithoutCancel(ctx)) // what it leaves is removed with the role's restoration
	var found find.Result
	if out.err = w.ask(ctx, g, cluster.Query{Pods: &cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": pod}}}, &found); out.err != nil {
		// The preflight has no place to ask about; it is asked about the pod as its owner sees it.
		found = find.Result{Found: []find.Found{{Place: faults.Place{Name: "shop/" + pod, Cluster: &faults.Cluster{Access: w.access,
			Pod: &faults.Pod{Namespace: "shop", Name: pod, UID: "unknown"}}}}}}
	}
	if len(found.Found) != 1 {
		t.Errorf("found %d pods: %s", len(found.Found), found.Hint)
		return out
	}
	request := guard.InjectRequest{ID: run + "-it", Run: run, Scenario: "least", Fault: "it", Kind: l.fault, Config: json.RawMessage(l.config),
		Place: found.Found[0].Place, Lease: time.Minute, Deadline: time.Minute, EffectTimeout: 20 * time.Second}
	if l.unproven {
		request.EffectTimeout = 2 * time.Second
	}
	if err := w.ask(ctx, g, cluster.Query{Preflight: &cluster.Preflight{Requests: []guard.InjectRequest{request}}}, &out.preflight); err != nil {
		t.Errorf("the preflight: %v", err)
	}
	out.sight = w.look(ctx, t, g)
	if l.hangs {
		defer w.free(ctx, l, run)()
	}
	steps := []func() error{
		func() (err error) { out.told, err = inject(ctx, g, l, request); return err },
		func() (err error) { return w.stand(ctx, g, l, request, lapse, &out.told) },
		func() error {
			var ours []cluster.Object
			err := w.ask(ctx, g, cluster.Query{Ours: &cluster.Ours{Run: run, Namespaces: []string{"shop"}}}, &ours)
			if err == nil && len(ours) > 0 {
				err = fmt.Errorf("%v is left", ours)
			}
			return err
		},
		func() error {
			return w.ask(ctx, g, cluster.Query{Lift: &cluster.Lift{Run: run, Namespaces: []string{"shop"}}}, nil)
		},
		func() error {
			return w.ask(ctx, g, cluster.Query{Event: &cluster.Event{Namespace: "gameday", Kind: "Job", Name: "today", UID: "7", Reason: "GameDayPassed", Message: run}}, nil)
		},
	}
	for i := 0; i < len(steps) && out.err == nil; i++ {
		out.err = steps[i]()
	}
	return out
}

// inject injects. That a fault is not proven whose doer is not here is what it comes to.
func inject(ctx context.Context, g *guard.Client, l life, request guard.InjectRequest) (told string, err error) {
	in, err := g.Inject(ctx, request)
	switch {
	case l.unproven && err == nil:
		return "", errors.New("it is proven, although nothing could have done it")
	case l.unproven && errors.Is(err, guard.ErrUnproven) && !errors.Is(err, guard.ErrResidue):
		return err.Error(), nil
	}
	return in.Effect.Summary + "\nevents: " + in.Effect.Details["events"], err
}

// stand looks at a fault that stands, and reverts it; or has somebody else end it, and hears of that.
func (w *world) stand(ctx context.Context, g *guard.Client, l life, request guard.InjectRequest, lapse string, told *string) error {
	if l.unproven {
		return nil // its guard has lifted it
	}
	if lapse == "" {
		if err := lookAgain(ctx, g, request.ID, told); err != nil {
			return err
		}
		return g.Revert(ctx, request.ID)
	}
	path := "/api/v1/namespaces/shop/pods/" + request.Place.Cluster.Pod.Name
	if lapse == "object" {
		path = l.objects() + "?labelSelector=" + url.QueryEscape(cluster.LabelRun+"="+request.Run)
	}
	if err := w.Do(http.MethodDelete, path, "", nil, nil); err != nil {
		return err
	}
	for {
		select {
		case e := <-g.Events():
			if e.Type == guard.EventLapsed {
				*told = e.Why
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("nobody is told that the fault is gone: %w", ctx.Err())
		}
	}
}

// lookAgain looks at a fault that stands until Chaos Mesh's events say that it was injected, or nobody may read them: each is written
// beside what it tells of, so that the proof may come before it.
func lookAgain(ctx context.Context, g *guard.Client, id string, told *string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		e, err := g.Effect(ctx, id, 5*time.Second)
		if err != nil || !e.Proven {
			return errors.Join(err, fmt.Errorf("it stands, and its effect is %q", e.Summary))
		}
		events := e.Details["events"]
		if strings.Contains(events, "Successfully apply chaos") || strings.HasPrefix(events, "not readable: nothing allows") {
			*told += "\nlater: " + events
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no event says that %s was injected, but %q", id, events)
		}
	}
}

// ask asks the guard as the chart's service account.
func (w *world) ask(ctx context.Context, g *guard.Client, q cluster.Query, answer any) error {
	q.Access = w.access
	text, err := json.Marshal(q)
	if err != nil {
		return err
	}
	got, err := g.Find(ctx, text)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(got, answer)
}
