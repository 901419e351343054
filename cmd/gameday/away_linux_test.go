package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gameday/internal/kuberig"
	"gameday/report"
)

// cutDay is a game day that cuts all pods of an app off from an address where nobody is: %[1]s is the namespace, %[2]s the app, %[3]s where
// traffic goes, and the rest how long baseline, load, fault and recovery are.
const cutDay = `scenario "cut-%[1]s-%[2]s" {
  kubernetes { kubeconfig = "kubeconfig" }
  timeline {
    baseline = %[4]q
    load     = %[5]q
    recovery = %[7]q
  }
  traffic "visitors" {
    multiple = 1
    request "home" { url = %[3]q }
    baseline { rate = 5 }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  target "pods" {
    at_most = 2
    pods {
      namespace = %[1]q
      labels    = { app = %[2]q }
    }
  }
  fault "network_partition" "cut" {
    target        = target.pods
    to            = ["203.0.113.9"]
    at            = "1s"
    duration      = %[6]q
    steady_within = "6s"
  }
}
`

func (r *wholeRig) cutDayOf(namespace, app, baseline, load, fault, recovery string) map[string]string {
	return map[string]string{"day.hcl": fmt.Sprintf(cutDay, namespace, app, r.service, baseline, load, fault, recovery)}
}

// nothingLeft holds a person and a namespace to being as before a game day.
func (p *person) nothingLeft(t *testing.T, namespace string, pods int) {
	t.Helper()
	if left := p.r.ours(t, namespace); len(left) > 0 || p.entries(t) > 0 {
		t.Errorf("left: %+v, and %d entries", left, p.entries(t))
	}
	p.r.awaitPods(t, namespace, pods)
}

// testServerAway takes the API server away for half a minute: in the baseline of one game day, while the fault of another stands, and
// while that of a third is reverted.
func testServerAway(t *testing.T, r *wholeRig) {
	for _, ns := range []string{"away-baseline", "away-fault", "away-revert"} {
		r.shop(t, ns, 1)
	}
	for _, ns := range []string{"away-baseline", "away-fault", "away-revert"} {
		r.awaitPods(t, ns, 1)
	}
	// The controllers ask for what they missed up to a minute after the server is back. A fault that goes before is gone nobody knows when.
	stands := r.person(t, r.wholeDayOf("away-fault", "2s", "135s", "120s", "14s")).start(t, "rec", "day.hcl")
	atEvent(report.Injected, `"frozen"`)(stands, "")
	reverts := r.person(t, r.wholeDayOf("away-revert", "2s", "45s", "20s", "14s")).start(t, "rec", "day.hcl")
	atEvent(report.Injected, `"frozen"`)(reverts, "")
	begins := r.person(t, r.cutDayOf("away-baseline", "cart", "5s", "24s", "3s", "3s")).start(t, "rec", "day.hcl")
	atEvent(report.PhaseStarted, `"baseline"`)(begins, "")
	r.StopAPI()
	stopped := time.Now()
	atEvent(report.Reverting, `"frozen"`)(reverts, "")
	atEvent(report.Noted, "takes longer than usual")(reverts, "")
	<-time.After(time.Until(stopped.Add(30 * time.Second))) // how long the server is away is the case, and no waiting for something
	if reverts.recorded(report.Reverted, `"frozen"`) || stands.recorded(report.Reverting, `"frozen"`) {
		t.Error("it is not the case that was to be shown")
	}
	if err := r.StartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		w    *wholeRun
		code int
		says []string
	}{
		{"baseline", begins, 3, []string{"nobody listens at", "cut was never injected", "no fault was injected"}},
		{"fault", stands, 0, []string{"1 fault injected, 1 gone; nothing left on any target"}},
		// When it was gone nobody saw, so whether what came after that was in time is unknown.
		{"revert", reverts, 3, []string{"takes longer than usual: nobody listens at", "unknown: the pods Ready again after frozen and back to steady state after frozen",
			"1 fault injected, 1 gone; nothing left on any target"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out := c.w.wait(5 * time.Minute)
			t.Logf("%s ends with %d:\n%s", c.name, code, out)
			if code != c.code {
				t.Errorf("it ends with %d, want %d", code, c.code)
			}
			saysAll(t, c.name, out, c.says...)
			c.w.nothingLeft(t, "away-"+c.name, 1)
		})
	}
}

// testControllersStop stops Chaos Mesh's controllers while the fault of one game day stands, and before that of another is injected.
func testControllersStop(t *testing.T, r *wholeRig) {
	r.shop(t, "stop-stands", 1)
	r.shop(t, "stop-before", 1)
	r.awaitPods(t, "stop-stands", 1)
	r.awaitPods(t, "stop-before", 1)
	ana, bob := r.person(t, r.wholeDayOf("stop-stands", "2s", "24s", "20s", "2s")), r.person(t, r.wholeDayOf("stop-before", "4s", "40s", "3s", "2s"))
	stands := ana.start(t, "rec", "day.hcl")
	atEvent(report.Injected, `"frozen"`)(stands, "")
	before := bob.start(t, "rec", "day.hcl")
	atEvent(report.PhaseStarted, `"baseline"`)(before, "")
	if err := r.StopControllers(); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveWebhooks(); err != nil {
		t.Fatal(err)
	}
	if stands.recorded(report.Reverting, "") || before.recorded(report.Injecting, "") {
		t.Fatal("it is too late for what was to be shown")
	}
	t.Run("before the injection", func(t *testing.T) {
		code, out := before.wait(3 * time.Minute)
		t.Logf("it ends with %d:\n%s", code, out)
		if code != 3 {
			t.Errorf("it ends with %d, want 3", code)
		}
		saysAll(t, "it", out, "do its controllers run?")
		bob.nothingLeft(t, "stop-before", 1)
	})
	t.Run("after the injection", func(t *testing.T) {
		code, out := stands.wait(3 * time.Minute)
		t.Logf("it ends with %d:\n%s", code, out)
		if code != 5 {
			t.Errorf("it ends with %d, want 5", code)
		}
		saysAll(t, "it", out, "LEFT STANDING", "the controllers have not taken it up", "gameday revert")
		// As on a cluster whose webhooks are still there: nothing can be changed then.
		if err := r.InstallWebhooks(); err != nil {
			t.Fatal(err)
		}
		flags := []string{"revert", "--kubernetes", "--kubeconfig", "kubeconfig", "--run", runIDOf(stands)}
		out = ana.want(t, 5, []string{"finalizer chaos-mesh/records", "the controllers have not taken it up", "`--force` takes their finalizers off"}, flags...)
		t.Logf("without force:\n%s", out)
		out = ana.want(t, 5, []string{"Chaos Mesh's webhook does not answer", "start its controllers"}, append(flags, "--force")...)
		t.Logf("with force:\n%s", out)
		if code, out := bob.gameday(t, "run", "--record", "refused", "day.hcl"); code != 3 || !strings.Contains(out, "Chaos Mesh's webhook does not answer") {
			t.Errorf("a run beside webhooks that do not answer ends with %d:\n%s", code, out)
		}
		if err := r.RemoveWebhooks(); err != nil {
			t.Fatal(err)
		}
		out = ana.want(t, 0, []string{"lifted frozen (PodChaos stop-stands/", "Chaos Mesh did not lift it from stop-stands/cart-"}, append(flags, "--force")...)
		t.Logf("with force, without webhooks:\n%s", out)
		ana.want(t, 0, nil, "revert")
		if left := r.ours(t, "stop-stands"); len(left) > 0 || ana.entries(t) > 0 {
			t.Errorf("left: %+v, and %d entries", left, ana.entries(t))
		}
		if well := r.wellPods("stop-stands", "cart"); len(well) > 0 {
			t.Errorf("%v are well, and nobody undid what Chaos Mesh did", well)
		}
		if code, _ := ana.gameday(t, "report", "rec"); code != 5 {
			t.Errorf("the report ends with %d", code)
		}
	})
	if err := r.StartControllers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.InstallWebhooks(); err != nil {
		t.Fatal(err)
	}
	r.replacePods(t, "stop-stands")
}

// replacePods deletes the pods of a namespace, as people do whom --force has told that something stays on them.
func (r *wholeRig) replacePods(t *testing.T, namespace string) {
	t.Helper()
	if err := r.Delete("/api/v1/namespaces/" + namespace + "/pods?labelSelector=app%3Dcart"); err != nil {
		t.Fatal(err)
	}
	r.awaitPods(t, namespace, 1)
}

// runIDOf returns the id of a run.
func runIDOf(w *wholeRun) string {
	w.t.Helper()
	all := events[report.Started](w, report.RunStarted)
	if len(all) != 1 {
		w.t.Fatalf("the record has %d beginnings", len(all))
	}
	return all[0].Run
}

// testDaemonGone ends the daemon while a fault stands that only it can lift.
func testDaemonGone(t *testing.T, r *wholeRig) {
	r.shop(t, "daemon", 1)
	r.awaitPods(t, "daemon", 1)
	p := r.person(t, r.cutDayOf("daemon", "cart", "2s", "14s", "12s", "2s"))
	w := p.start(t, "rec", "day.hcl")
	atEvent(report.Injected, `"cut"`)(w, "")
	r.node.StopDaemon()
	hangs(t, w, "finalizer chaos-mesh/records", "because of daemon/cart-")
	var planned struct{ Spec map[string][]object }
	if err := r.Get("/apis/chaos-mesh.org/v1alpha1/namespaces/daemon/podnetworkchaos/"+r.wellPods("daemon", "cart")[0], &planned); err != nil || len(planned.Spec["iptables"]) > 0 {
		t.Errorf("planned for the pod: %v, %v", planned.Spec, err)
	}
	p.nothingLeft(t, "daemon", 1)
}

// hangs holds a game day whose fault's deletion hangs to saying so, and so does `gameday revert`, until --force takes it off.
func hangs(t *testing.T, w *wholeRun, words ...string) {
	t.Helper()
	began := time.Now()
	code, out := w.wait(3 * time.Minute)
	t.Logf("it ends with %d after %v:\n%s", code, time.Since(began).Round(time.Second), out)
	if code != 5 {
		t.Errorf("it ends with %d, want 5", code)
	}
	saysAll(t, "it", out, append(words, "LEFT STANDING", "gameday revert")...)
	if code, out := w.gameday(t, "report", "rec"); code != 5 || !strings.Contains(out, "LEFT STANDING") {
		t.Errorf("the report ends with %d:\n%s", code, out)
	}
	kuberig.Eventually(t, 30*time.Second, "the guard has ended", func() bool { return len(programsNamed(family(w.pid), "gameday-kubernetes")) == 0 })
	out = w.want(t, 5, words, "revert")
	t.Logf("gameday revert:\n%s", out)
	flags := []string{"revert", "--kubernetes", "--kubeconfig", "kubeconfig"}
	out = w.want(t, 5, append(words, "`--force` takes their finalizers off"), flags...)
	t.Logf("gameday revert --kubernetes:\n%s", out)
	out = w.want(t, 0, []string{"lifted "}, append(flags, "--force")...)
	t.Logf("gameday revert --kubernetes --force:\n%s", out)
	w.want(t, 0, []string{"nothing is left standing"}, "revert")
	w.want(t, 0, nil, flags...)
}
