package chaosmesh

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

// testDeaf lets gameday die at each point of a fault's life while its guard lives: its input ends there, and nothing is left, in the
// cluster or in the ledger.
func testDeaf(t *testing.T, c *kuberig.Cluster) {
	for _, kind := range []string{"raw", "raw_shot"} {
		for _, at := range faults.Checkpoints() {
			if kind == "raw_shot" && (at == faults.BeforeClose || at == faults.MidRevert) {
				continue // it comes to them within Inject, with its object gone or going
			}
			t.Run(kind+" "+string(at), func(t *testing.T) { deafAt(t, c, kind, at) })
		}
	}
}

func deafAt(t *testing.T, c *kuberig.Cluster, kind string, at faults.Checkpoint) {
	pod := "deaf-" + strings.ReplaceAll(kind+"-"+string(at), "_", "-")
	r := failureOf(t, c, strings.ReplaceAll(pod, "-", "."), "r8", pod)
	if kind == "raw_shot" {
		r = request(kind, r.ID, "r8", r.Place, chaosFor("PodChaos", pod, tree{"action": "pod-kill"}))
	}
	ledger, err := faults.OpenLedger(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in, requests := io.Pipe()
	answers, out := io.Pipe()
	var reached atomic.Bool
	o := guard.Options{Kinds: rawKinds(), Ledger: ledger, Version: "test", Reach: func(_ string, now faults.Checkpoint) {
		if now == at && reached.CompareAndSwap(false, true) {
			_ = requests.Close()
		}
	}}
	ended := make(chan error, 1)
	go func() {
		ended <- guard.Serve(context.WithoutCancel(t.Context()), in, out, o)
		_ = out.Close()
	}()
	client := guard.Connect(requests, answers)
	defer func() { _ = client.Close(context.WithoutCancel(t.Context())) }()
	if _, err := client.Inject(t.Context(), r); err == nil {
		_ = client.Revert(t.Context(), r.ID) // those that are reached later; the guard may have ended meanwhile
	}
	_ = requests.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(40 * time.Second):
		t.Fatal("the guard does not end")
	}
	if !reached.Load() {
		t.Fatal("it never came there")
	}
	if l := left(t, access(c)); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
	if s, err := ledger.Standing(); err != nil || len(s) > 0 {
		t.Errorf("the ledger has %v, %v", s, err)
	}
	if kind == "raw" && image(t, c, pod) != "none" {
		t.Errorf("the pod's image is %s", image(t, c, pod))
	}
}
