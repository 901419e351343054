package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

// failure is a request for a pod-failure of one pod, which needs no daemon and can be undone.
func failureOf(t *testing.T, c *kuberig.Cluster, id, run, pod string) guard.InjectRequest {
	t.Helper()
	c.Pod(t, "shop", pod, "node-1", "app", "cart")
	return request("raw", id, run, podPlace(t, access(c), "shop", pod), chaosFor("PodChaos", pod, tree{"action": "pod-failure"}))
}

// testForeign: an object that is not ours is neither adopted nor touched, also when it has our name.
func testForeign(t *testing.T, c *kuberig.Cluster) {
	a := access(c)
	r := failureOf(t, c, "theirs", "r1", "foreign-1")
	named := name(faults.Owner{Run: "r1", Injection: "theirs", Fault: r.Fault}, "")
	object := chaosFor("PodChaos", "nobody", tree{"action": "pod-failure"})
	object["metadata"] = tree{"name": named, "namespace": "shop", "annotations": tree{cluster.AnnotationID: "theirs", cluster.AnnotationRun: "another"}}
	if err := c.Post(meshPath+"shop/podchaos", object, nil); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Delete(meshPath + "shop/podchaos/" + named); err != nil {
			t.Errorf("it was touched: %v", err)
		}
	}()
	dir := t.TempDir()
	g := startGuard(t, dir, "")
	_, err := g.Inject(t.Context(), r)
	if !errors.Is(err, faults.ErrForeign) {
		t.Errorf("it is %v", err)
	}
	says(t, err, named, "injection theirs of run another")
	undo, err := json.Marshal(undo{Group: "chaos-mesh.org", Version: "v1alpha1", Resource: "podchaos", Kind: "PodChaos", Namespace: "shop", Name: named, Access: a})
	if err != nil {
		t.Fatal(err)
	}
	err = revert(t.Context(), faults.Entry{ID: "theirs", Run: "r1", Undo: undo, Place: r.Place})
	says(t, err, "not of this injection", "left alone")
	if l := lift(t, a, cluster.Lift{}); len(l) > 0 {
		t.Errorf("lifted %+v", l)
	}
}

// testTwoRuns: two game days in one namespace keep to their own.
func testTwoRuns(t *testing.T, c *kuberig.Cluster) {
	a := access(c)
	one, two := startGuard(t, t.TempDir(), ""), startGuard(t, t.TempDir(), "")
	_, err1 := one.Inject(t.Context(), failureOf(t, c, "x", "one", "both-1"))
	_, err2 := two.Inject(t.Context(), failureOf(t, c, "x", "two", "both-2"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	list, err := query[[]cluster.Object](t, cluster.Query{Access: a, Ours: &cluster.Ours{Run: "one"}})
	if err != nil || len(list) != 1 || list[0].ID != "x" || list[0].Stands != "injected" || list[0].Scenario != "drill" || list[0].Until == "" {
		t.Errorf("of run one: %+v, %v", list, err)
	}
	if err := one.Revert(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	if image(t, c, "both-1") != "none" || image(t, c, "both-2") == "none" {
		t.Errorf("images %s and %s", image(t, c, "both-1"), image(t, c, "both-2"))
	}
	if l := lift(t, a, cluster.Lift{Run: "two"}); len(l) != 1 || !l[0].Gone || l[0].Blocks != "" {
		t.Errorf("lifted %+v", l)
	}
	if e := event(t, two); e.Type != guard.EventLapsed || !strings.Contains(e.Why, "deleting") && !strings.Contains(e.Why, "deleted") {
		t.Errorf("the guard says %+v", e)
	}
	if image(t, c, "both-2") != "none" {
		t.Error("it was not lifted")
	}
}

// eventLimit is how long an event is waited for: a guard may revert for 95 seconds before one, or pause for 30 and try for ten.
const eventLimit = 2 * time.Minute

// event returns the next event of a guard that says what has become of a fault, and not merely that its revert takes longer.
func event(t *testing.T, h *hand) guard.Event {
	t.Helper()
	limit := time.NewTimer(eventLimit)
	defer limit.Stop()
	for {
		select {
		case e := <-h.Events():
			if e.Type != guard.EventWaiting {
				return e
			}
			t.Logf("the guard waits: %s", e.Why)
		case <-limit.C:
			t.Fatal("no event came")
		}
	}
}

// testLapses: a fault that is gone before its time is told of, whatever took it away.
func testLapses(t *testing.T, c *kuberig.Cluster) {
	for i, k := range []struct {
		name string
		do   func(object, pod string) error
		why  string
	}{
		{"deleted", func(o, _ string) error { return c.Delete(o) }, "delet"},
		{"paused", func(o, _ string) error {
			return c.Patch(o, tree{"metadata": tree{"annotations": tree{"experiment.chaos-mesh.org/pause": "true"}}}, nil)
		}, "paused"},
		{"pod gone", func(_, p string) error { return c.Delete(p) }, "is gone, and the fault with it"},
	} {
		t.Run(k.name, func(t *testing.T) {
			pod := fmt.Sprintf("lapse-%d", i)
			r := failureOf(t, c, pod, "r3", pod)
			g := startGuard(t, t.TempDir(), "")
			if _, err := g.Inject(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			o := meshPath + "shop/podchaos/" + name(faults.Owner{Run: "r3", Injection: pod, Fault: r.Fault}, "")
			if err := k.do(o, "/api/v1/namespaces/shop/pods/"+pod); err != nil {
				t.Fatal(err)
			}
			if e := event(t, g); e.Type != guard.EventLapsed || !strings.Contains(e.Why, k.why) {
				t.Errorf("the guard says %+v", e)
			}
			if l := left(t, access(c)); len(l) > 0 {
				t.Errorf("left: %q", l)
			}
		})
	}
}

// testKilled: a guard that is killed at each point of a fault's life leaves what a fresh process lifts from the ledger alone, twice.
func testKilled(t *testing.T, c *kuberig.Cluster) {
	for _, kind := range []string{"raw", "raw_shot"} {
		for _, at := range faults.Checkpoints() {
			if kind == "raw_shot" && at == faults.BeforeClose {
				continue // its entry is closed by Inject, at the checkpoint of that name before Stands
			}
			t.Run(kind+" "+string(at), func(t *testing.T) { killedAt(t, c, kind, at) })
		}
	}
}

func killedAt(t *testing.T, c *kuberig.Cluster, kind string, at faults.Checkpoint) {
	pod := strings.ReplaceAll(kind+"-"+string(at), "_", "-")
	r := failureOf(t, c, strings.ReplaceAll(pod, "-", "."), "r4", pod)
	if kind == "raw_shot" {
		r = request(kind, r.ID, "r4", r.Place, chaosFor("PodChaos", pod, tree{"action": "pod-kill"}))
	}
	dir := t.TempDir()
	g := startGuard(t, dir, at)
	_, err := g.Inject(t.Context(), r)
	if err == nil {
		err = g.Revert(t.Context(), r.ID)
	}
	if err == nil {
		t.Fatal("the guard was not killed")
	}
	select {
	case <-g.Ended():
	case <-time.After(10 * time.Second):
		t.Fatal("the guard lives")
	}
	for range 2 {
		if err := revertAll(t, dir); err != nil {
			t.Error(err)
		}
	}
	if l := left(t, access(c)); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
	ledger, err := faults.OpenLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ledger.Standing(); err != nil || len(s) > 0 {
		t.Errorf("the ledger has %v, %v", s, err)
	}
	if kind == "raw" && image(t, c, pod) != "none" {
		t.Errorf("the pod's image is %s", image(t, c, pod))
	}
}

// testEnds: a fault that ends by itself ends with evidence, once the pod is Ready again.
func testEnds(t *testing.T, c *kuberig.Cluster) {
	r := failureOf(t, c, "ends", "r5", "ends-1")
	var config raw
	if err := json.Unmarshal(r.Config, &config); err != nil {
		t.Fatal(err)
	}
	config.Ended = 10 * time.Second // from whole seconds of the cluster's clock on: up to one less, in which it is to be proven
	var err error
	if r.Config, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	g := startGuard(t, t.TempDir(), "")
	if _, err := g.Inject(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	e := event(t, g)
	if e.Type != guard.EventOver || e.Effect == nil || !strings.Contains(e.Effect.Summary, "AllRecovered: shop/ends-1, and Ready again") {
		t.Errorf("the guard says %+v, %+v", e, e.Effect)
	}
	if l := left(t, access(c)); len(l) > 0 || image(t, c, "ends-1") != "none" {
		t.Errorf("left: %q", l)
	}
}

// testNobodyLeft: with everything of ours killed, Chaos Mesh lifts the fault when its duration is over.
func testNobodyLeft(t *testing.T, c *kuberig.Cluster) {
	r := failureOf(t, c, "lease", "r6", "lease-1")
	r.Deadline, r.Lease = 10*time.Second, 10*time.Second // which the proof must be within, too
	dir := t.TempDir()
	g := startGuard(t, dir, "")
	if _, err := g.Inject(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	g.kill()
	began := time.Now()
	if image(t, c, "lease-1") == "none" {
		t.Fatal("it does not stand")
	}
	kuberig.Eventually(t, r.Deadline+Margin+15*time.Second, "Chaos Mesh lifts it", func() bool { return image(t, c, "lease-1") == "none" })
	t.Logf("lifted after %v", time.Since(began).Round(time.Second))
	kuberig.Eventually(t, 5*time.Second, "its records say so", func() bool {
		return slices.ContainsFunc(left(t, access(c)), func(l string) bool { return strings.HasSuffix(l, "recovered: its duration is over") })
	})
	if err := revertAll(t, dir); err != nil {
		t.Error(err)
	}
	if l := left(t, access(c)); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
}

// TestAway is what becomes of faults while parts of the cluster are away.
func TestAway(t *testing.T) {
	c := shop(t, kuberig.Options{})
	t.Run("api server", func(t *testing.T) { testNoAPI(t, c) })
	t.Run("api server while reverting", func(t *testing.T) { testNoAPIReverting(t, c) })
	t.Run("controllers", func(t *testing.T) { testNoControllers(t, c) })
	t.Run("controllers while reverting", func(t *testing.T) { testStopped(t, c) })
}

// testNoAPI: an API server that is away for half a minute does not end a fault, and nothing is said to be known meanwhile.
func testNoAPI(t *testing.T, c *kuberig.Cluster) {
	g := startGuard(t, t.TempDir(), "")
	r := failureOf(t, c, "away", "r7", "away-1")
	r.Deadline, r.Lease = 5*time.Minute, 5*time.Minute // it is to stand until it is reverted, however long the server takes to be back
	if _, err := g.Inject(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.StopAPI()
	kuberig.Eventually(t, 20*time.Second, "the effect is unknown", func() bool {
		e, err := g.Effect(t.Context(), "away", time.Second)
		return err == nil && !e.Proven && strings.Contains(e.Summary, "the API server cannot be asked")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second-time.Since(began))
	defer cancel()
	for ctx.Err() == nil { // as a conductor does
		if _, err := g.Renew(ctx, r.Lease, "away"); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		select {
		case e := <-g.Events():
			t.Fatalf("the guard says %+v", e)
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	if err := c.StartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, 20*time.Second, "the effect is known again", func() bool {
		e, err := g.Effect(t.Context(), "away", time.Second)
		return err == nil && e.Proven
	})
	// The controllers look again up to a minute after an outage, and a revert waits for that.
	began = time.Now()
	if err := g.Revert(t.Context(), "away"); err != nil {
		t.Error(err)
	}
	t.Logf("reverted after %v", time.Since(began).Round(time.Second))
	if l := left(t, access(c)); len(l) > 0 || image(t, c, "away-1") != "none" {
		t.Errorf("left: %q", l)
	}
}

// testNoAPIReverting: a revert while the API server is away is residue, and the guard's next attempt after it is back lifts the fault.
func testNoAPIReverting(t *testing.T, c *kuberig.Cluster) {
	g := startGuard(t, t.TempDir(), "")
	// Just after an outage, the controllers do not know of new pods, and what they could not select once they do not try again.
	n := 0
	kuberig.Eventually(t, 2*time.Minute, "the controllers see pods again", func() bool {
		n++
		r := failureOf(t, c, "back", "r7", fmt.Sprintf("back-%d", n))
		r.EffectTimeout = 3 * time.Second
		_, err := g.Inject(t.Context(), r)
		return err == nil
	})
	pod := fmt.Sprintf("back-%d", n)
	c.StopAPI()
	err := g.Revert(t.Context(), "back")
	if !errors.Is(err, guard.ErrResidue) {
		t.Errorf("it is %v", err)
	}
	says(t, err, "nobody listens at")
	if err := c.StartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	untilReverted(t, g)
	if l := left(t, access(c)); len(l) > 0 || image(t, c, pod) != "none" {
		t.Errorf("left: %q", l)
	}
}

// untilReverted waits until the guard has lifted by itself what it could not when it was told to.
func untilReverted(t *testing.T, g *hand) {
	t.Helper()
	for e := event(t, g); e.Type != guard.EventReverted; e = event(t, g) {
		if e.Type != guard.EventResidue {
			t.Fatalf("the guard says %+v", e)
		}
	}
}

// testNoControllers: with the controllers stopped, nothing is injected: that is unknown and never met, and nothing is left behind.
func testNoControllers(t *testing.T, c *kuberig.Cluster) {
	if err := errors.Join(c.RemoveWebhooks(), c.StopControllers()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(c.StartControllers(t.Context()), c.InstallWebhooks()); err != nil {
			t.Fatal(err)
		}
	}()
	dir := t.TempDir()
	g := startGuard(t, dir, "")
	r := failureOf(t, c, "idle", "r8", "idle-1")
	r.EffectTimeout = 3 * time.Second
	in, err := g.Inject(t.Context(), r)
	if !errors.Is(err, guard.ErrUnproven) || errors.Is(err, guard.ErrResidue) || in.Effect.Proven {
		t.Errorf("it is %v, %+v", err, in)
	}
	says(t, err, "do its controllers run?")
	if l := left(t, access(c)); len(l) > 0 || image(t, c, "idle-1") != "none" {
		t.Errorf("left: %q", l)
	}
}

// testStopped: controllers that stop while a fault stands keep it from going, which is said; once they run again it goes.
func testStopped(t *testing.T, c *kuberig.Cluster) {
	dir := t.TempDir()
	g := startGuard(t, dir, "")
	if _, err := g.Inject(t.Context(), failureOf(t, c, "stuck", "r8", "stuck-1")); err != nil {
		t.Fatal(err)
	}
	if err := c.StopControllers(); err != nil {
		t.Fatal(err)
	}
	err := g.Revert(t.Context(), "stuck")
	if !errors.Is(err, guard.ErrResidue) {
		t.Errorf("it is %v", err)
	}
	says(t, err, "finalizer chaos-mesh/records", "shop/stuck-1: Injected", "have not taken it up", "seems gone")
	t.Log(err)
	forced := lift(t, access(c), cluster.Lift{Run: "r8", Force: true})
	if len(forced) != 1 || forced[0].Gone {
		t.Fatalf("forced past a webhook that does not answer: %+v", forced)
	}
	says(t, errors.New(forced[0].Blocks), "Chaos Mesh's webhook does not answer", "start its controllers")
	if err := c.StartControllers(t.Context()); err != nil {
		t.Fatal(err)
	}
	untilReverted(t, g)
	if l := left(t, access(c)); len(l) > 0 || image(t, c, "stuck-1") != "none" {
		t.Errorf("left: %q", l)
	}
}
