package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/kuberig"
	"gameday/report"
)

// wholeDay is a game day of one fault, of a manifest that lets every pod of a namespace run something else: %[1]s is the namespace, %[2]s
// where traffic goes, and the rest how long baseline, load, fault and recovery are.
const wholeDay = `scenario "whole-%[1]s" {
  kubernetes { kubeconfig = "kubeconfig" }
  timeline {
    baseline = %[3]q
    load     = %[4]q
    recovery = %[6]q
  }
  traffic "visitors" {
    multiple = 1
    request "home" { url = %[2]q }
    baseline { rate = 5 }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  fault "chaos_mesh" "frozen" {
    manifest      = "frozen.yaml"
    at            = "4s"
    duration      = %[5]q
    steady_within = "8s"
  }
}
`

// wholeDayOf returns the files of one.
func (r *wholeRig) wholeDayOf(namespace, baseline, load, fault, recovery string) map[string]string {
	return map[string]string{"day.hcl": fmt.Sprintf(wholeDay, namespace, r.service, baseline, load, fault, recovery),
		"frozen.yaml": strings.ReplaceAll(frozen, "shop", namespace)}
}

// TestKubernetesWhole runs whole game days against a real API server, with Chaos Mesh's real controllers and daemon and containers behind
// pods: ours are killed at each step, what they rely on goes away, deletions hang, and two people run them at the same time.
func TestKubernetesWhole(t *testing.T) {
	r := newWholeRig(t)
	t.Run("killed", func(t *testing.T) { testKilledAtEachStep(t, r) })
	t.Run("two at a time", func(t *testing.T) { testTwoAtATime(t, r) })
	t.Run("the API server is away", func(t *testing.T) { testServerAway(t, r) })
	t.Run("controllers stop", func(t *testing.T) { testControllersStop(t, r) })
	t.Run("the daemon is gone", func(t *testing.T) { testDaemonGone(t, r) })
}

// killStep is where a game day is killed.
type killStep struct {
	name string
	// reach returns when the game day is there, and what is to be done when all that is to die has died.
	reach            func(w *wholeRun, namespace string) (after func())
	entries, objects int // that stand then
}

func atEvent(kind report.EventKind, text string) func(*wholeRun, string) func() {
	return func(w *wholeRun, _ string) func() {
		w.until(time.Minute, fmt.Sprintf("%s %s is recorded", kind, text), func() bool { return w.recorded(kind, text) })
		return func() {}
	}
}

// atRequest is where the API server has a request of gameday's in its hands, and has not done it.
func atRequest(operation string) func(*wholeRun, string) func() {
	return func(w *wholeRun, namespace string) func() {
		reached, let := w.r.held.hold(namespace, operation)
		w.t.Cleanup(let)
		w.until(time.Minute, operation+" is asked for", func() bool { return isClosed(reached) })
		return let
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// atScoring is after the last phase, before the record has its end: what may be left in the cluster is being looked for.
func atScoring(w *wholeRun, _ string) func() {
	atEvent(report.PhaseStarted, `"recovery"`)(w, "")
	guards := programsNamed(family(w.pid), "gameday-kubernetes")
	for _, pid := range guards {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			w.t.Error(err)
		}
	}
	goOn := func() {
		for _, pid := range guards {
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may have been killed
		}
	}
	w.t.Cleanup(goOn)
	atEvent(report.PhaseEnded, `"recovery"`)(w, "")
	return goOn
}

var killSteps = []killStep{
	{"preflight", atEvent(report.PreflightFound, ""), 0, 0},
	{"baseline", atEvent(report.PhaseStarted, `"baseline"`), 0, 0},
	{"before injection", atEvent(report.PhaseStarted, `"load"`), 0, 0},
	{"entry without object", atRequest("CREATE"), 1, 0},
	{"injected", atEvent(report.Injected, `"frozen"`), 1, 1},
	{"reverting", atRequest("DELETE"), 1, 1},
	{"recovery", atEvent(report.PhaseStarted, `"recovery"`), 0, 0},
	{"scoring", atScoring, 0, 0},
}

// Who dies at a step.
const (
	dieAlone = "gameday alone"
	dieAll   = "with all that it started"
	dieInEnd = "and its guard in the middle of what it does then"
)

// testKilledAtEachStep kills gameday alone, and with everything that it started.
func testKilledAtEachStep(t *testing.T, r *wholeRig) {
	name := func(i int) string { return fmt.Sprintf("killed-%d", i) }
	for i := range killSteps {
		r.shop(t, name(i), 1)
	}
	for i, s := range killSteps {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r.awaitPods(t, name(i), 1)
			for _, who := range []string{dieAlone, dieAll, dieInEnd} {
				if who != dieInEnd || s.name == "injected" {
					t.Run(who, func(t *testing.T) { killedAt(t, r, s, name(i), who) })
				}
			}
		})
	}
}

func killedAt(t *testing.T, r *wholeRig, s killStep, namespace, who string) {
	p := r.person(t, r.wholeDayOf(namespace, "2s", "12s", "6s", "4s"))
	w := p.start(t, "rec", "day.hcl")
	after := s.reach(w, namespace)
	whole := family(w.pid)
	if n, left := p.entries(t), r.ours(t, namespace); n != s.entries || len(left) != s.objects {
		t.Fatalf("there are %d entries and %+v, want %d and %d", n, left, s.entries, s.objects)
	}
	began := time.Now()
	switch who {
	case dieAlone:
		kill(t, w.pid)
	case dieAll:
		kill(t, whole...)
	case dieInEnd:
		reached, let := r.held.hold(namespace, "DELETE")
		defer let()
		kill(t, w.pid)
		kuberig.Eventually(t, 10*time.Second, "the guard begins to revert", func() bool { return isClosed(reached) })
		kill(t, whole...)
		let()
	}
	<-w.ended
	if w.recorded(report.RunEnded, "") {
		t.Fatal("it was killed too late: the record has its end")
	}
	if s.name != "entry without object" || who == dieAll {
		after() // otherwise what was asked for never comes to be
	}
	kuberig.Eventually(t, time.Minute, "no process of the game day is left", func() bool { return len(alive(whole)) == 0 })
	if left := r.ours(t, namespace); who == dieAlone && (len(left) > 0 || p.entries(t) > 0) {
		t.Errorf("the guard has ended and left %+v, and %d entries", left, p.entries(t))
	}
	for range 2 {
		p.want(t, 0, nil, "revert")
	}
	if left := r.ours(t, namespace); len(left) > 0 || p.entries(t) > 0 {
		t.Errorf("left: %+v, and %d entries", left, p.entries(t))
	}
	t.Logf("%v from the kill until nothing was left, `gameday revert` twice included", time.Since(began).Round(100*time.Millisecond))
	r.awaitPods(t, namespace, 1)
	if code, out := p.gameday(t, "report", "rec"); code == 0 || strings.Contains(out, "PASSED") || !strings.Contains(out, "gameday was killed") {
		t.Errorf("the report ends with %d:\n%s", code, out)
	}
}
