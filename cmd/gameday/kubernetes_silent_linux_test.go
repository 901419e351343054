package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"gameday/internal/kuberig"
	"gameday/report"
)

// testNoAnswer stops the API server when every fault of a game day was seen to go, and nothing is left to do but to look for more. The
// game day is no pass then, and nobody reads that it is clean. Of one whose fault stands when the server stops, the fault is left.
func (r *clusterRig) testNoAnswer() {
	for _, c := range []struct {
		day   string
		after report.EventKind // of the manifest's fault
		code  int
		want  []string
	}{
		{"day.hcl", report.Reverted, 3, []string{"INCONCLUSIVE", "safety    unproven   2 faults injected, 2 gone; nothing is known to be left, but whether the cluster has more",
			"Why: it is not known that nothing is left: "}},
		{"day.hcl", report.Injected, 5, []string{"RESIDUE", "LEFT STANDING: frozen on cluster", "whether the cluster has more"}},
	} {
		rec := "rec-silent-" + string(c.after)
		run := r.command("run", "--record", rec, c.day)
		out := &strings.Builder{}
		run.Stdout, run.Stderr = out, out
		if err := run.Start(); err != nil {
			r.t.Fatal(err)
		}
		events := filepath.Join(r.dir, rec, report.EventsFile)
		kuberig.Eventually(r.t, 60*time.Second, "frozen is "+string(c.after), func() bool {
			text, _ := os.ReadFile(events)
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, `"`+string(c.after)+`"`) && strings.Contains(line, `"frozen"`) {
					return true
				}
			}
			return false
		})
		r.StopAPI()
		err := run.Wait()
		if err := r.StartAPI(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
		if got := run.ProcessState.ExitCode(); got != c.code {
			r.t.Errorf("after %s: exit code %d (%v), want %d", c.after, got, err, c.code)
		}
		r.t.Log(out)
		plain := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range append(c.want, "`gameday revert --kubernetes --kubeconfig ", " looks again") {
			if !strings.Contains(plain, strings.Join(strings.Fields(want), " ")) {
				r.t.Errorf("%q is not in what is said after %s", want, c.after)
			}
		}
		if strings.Contains(plain, "safety clean") {
			r.t.Error("it is clean")
		}
		r.gameday(0, "revert", "--quiet")
		if left := r.objects(); len(left) > 0 || r.entries() > 0 {
			r.t.Errorf("left: %v, and %d entries", left, r.entries())
		}
	}
}
