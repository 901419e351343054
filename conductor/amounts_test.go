package conductor

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/policy"
	"gameday/report"
	"gameday/targets"
)

// TestBothSidesAreJudged checks that a denied process, and a large side, are refused on either side of a cut.
func TestBothSidesAreJudged(t *testing.T) {
	for _, between := range []string{"[target.web, target.db]", "[target.db, target.web]"} {
		d := newDay(t, "", steadyBlock+fault("split", "cut", "between = "+between+"\nat = \"2s\"\nduration = \"2s\""))
		writePid(t, filepath.Join(filepath.Dir(d.pidfile), "db.pid"), sleepers[3].Process.Pid)
		o := d.options
		o.Machine = &targets.Machine{}
		for _, c := range []struct {
			policy policy.Policy
			want   []string
		}{
			{policy.Policy{Deny: policy.Deny{Command: []string{"^sleep " + pair + "$"}}}, []string{"deny cut"}},
			{policy.Policy{AtMost: policy.AtMost{Places: 1}}, []string{"at_most cut"}},
			{policy.Policy{AtMost: policy.AtMost{Places: 2, Percent: 100}}, nil},
		} {
			c.policy.Format = policy.Format
			o.Policies = []*policy.Policy{&c.policy}
			same(t, "violations between "+between, rules(Violations(t.Context(), o, bubbleStart)), c.want)
		}
	}
}

// TestPlannedTogether checks that faults which stand at the same time are counted together before anything is touched.
func TestPlannedTogether(t *testing.T) {
	for name, tc := range map[string]struct {
		faults string
		want   []string
	}{
		"at the same time":   {fault("hold", "a", holdAt("web", 2)) + fault("hold", "b", holdAt("db", 3)), []string{"at_most a", "at_most b"}},
		"at the same place":  {fault("hold", "a", holdAt("web", 2)) + fault("hold", "b", holdAt("web", 3)), nil},
		"one after another":  {fault("hold", "a", holdAt("web", 2)) + fault("hold", "b", holdAt("db", 6)), nil},
		"waiting for it":     {fault("hold", "a", holdAt("web", 2)) + fault("hold", "b", "target = target.db\nafter = fault.a\nduration = \"2s\""), nil},
		"after what is gone": {fault("kill", "a", "target = target.web\nat = \"2s\"") + fault("hold", "b", holdAt("db", 9)), []string{"at_most a", "at_most b"}},
		"after it is back":   {fault("kill", "a", "target = target.web\nat = \"2s\"\nrestarts_within = \"3s\"") + fault("hold", "b", holdAt("db", 9)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDay(t, "", steadyBlock+tc.faults)
			d.options.Policies = []*policy.Policy{{Format: policy.Format, AtMost: policy.AtMost{Places: 1}}}
			o := d.options
			o.Machine = &targets.Machine{}
			same(t, "violations", rules(Violations(t.Context(), o, bubbleStart)), tc.want)
		})
	}
	play(t, "", steadyBlock+fault("hold", "a", holdAt("web", 2))+fault("hold", "b", holdAt("db", 3)), func(d *day) {
		d.options.Policies = []*policy.Policy{{Format: policy.Format, AtMost: policy.AtMost{Places: 1}}}
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndPreflight)
		if len(d.world.injected) > 0 || len(d.sender.commands) > 0 {
			d.t.Error("something was touched")
		}
	})
}

func holdAt(target string, seconds int) string {
	return fmt.Sprintf("target = target.%s\nat = \"%ds\"\nduration = \"2s\"", target, seconds)
}

// TestKillsCountTogether checks that what was killed counts until it is back: kills that each hit one process do not end
// a whole service.
func TestKillsCountTogether(t *testing.T) {
	procs := []*exec.Cmd{sleeper(t), sleeper(t), sleeper(t)}
	inner := steadyBlock + fmt.Sprintf(picking, many)
	for i, name := range []string{"first", "second", "third"} {
		inner += fault("kill", name, fmt.Sprintf("target = target.many\nat = \"%ds\"", 2+4*i))
	}
	play(t, "", inner, func(d *day) {
		d.options.Policies = []*policy.Policy{{Format: policy.Format, File: "p", AtMost: policy.AtMost{Places: 1, Percent: 50}}}
		d.at(8*time.Second, func() {
			o := Options{Scenario: d.options.Scenario, Machine: &targets.Machine{}}
			places, err := o.target("many").Places(d.t.Context())
			if err != nil {
				d.t.Error(err)
				return
			}
			i := slices.IndexFunc(procs, func(c *exec.Cmd) bool { return c.Process.Pid == places[0].Where().Process.PID })
			_ = syscall.Kill(procs[i].Process.Pid, syscall.SIGKILL)
			_ = procs[i].Wait()
		})
		d.at(12500*time.Millisecond, func() { sleeper(t) })
	}, func(d *day, rec *report.Record) {
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.InjectFailed), []string{"injected first 7.0", "inject_failed second 11.0", "injected third 15.0"})
		failed := seen[report.Injection](d.t, rec, report.InjectFailed)
		if len(failed) != 1 || !strings.Contains(failed[0].Error, "beside the 1 of first") {
			d.t.Errorf("failed %+v", failed)
		}
	})
}
