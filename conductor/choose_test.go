package conductor

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/report"
	"gameday/targets"
)

// many is how long processes sleep from which a test picks.
var many = fmt.Sprintf("123.%07d", os.Getpid())

// sleeper starts a process to pick, and waits until it can be found by its arguments, which are there a moment after it is.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", many)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	path := fmt.Sprintf("/proc/%d/cmdline", c.Process.Pid)
	for range 1_000_000 { // not for some time: in a bubble there is none to pass
		if line, err := os.ReadFile(path); err == nil && string(line) == "sleep\x00"+many+"\x00" {
			return c
		}
	}
	t.Fatalf("%s does not say what was started", path)
	return nil
}

const picking = "target \"many\" {\n process { command = \"^sleep %s$\" }\n pick = 1\n}\n"

// TestSeed picks the same places for plan and run, and others for another seed.
func TestSeed(t *testing.T) {
	for range 6 {
		sleeper(t)
	}
	s := load(t, "", "scenario \"s\" {"+plainHead+fmt.Sprintf(picking, many)+
		"fault \"process_pause\" \"hang\" {\n target = target.many\n at = \"2s\"\n duration = \"3s\"\n}\n}")
	picked := func(seed int64) string {
		t.Helper()
		p := Plan(t.Context(), Options{Scenario: s, Machine: &targets.Machine{}, Seed: seed})
		if len(p.Targets) != 1 || len(p.Targets[0].Places) != 1 || p.Targets[0].Pick != "1" {
			t.Fatalf("targets %+v, warnings %q", p.Targets, p.Warnings)
		}
		if v := p.Faults[0].Previews; len(v) != 1 || !strings.HasPrefix(p.Targets[0].Places[0], strings.TrimPrefix(v[0], "SIGSTOP to ")+" ") {
			t.Errorf("previews %q of %q", v, p.Targets[0].Places)
		}
		return p.Targets[0].Places[0]
	}
	byName := picked(0)
	if again := picked(0); again != byName {
		t.Errorf("%s, then %s", byName, again)
	}
	o := Options{Scenario: s, Machine: &targets.Machine{}} // as for a run
	places, err := o.target("many").Places(t.Context())
	if err != nil || len(places) != 1 || places[0].Describe() != byName {
		t.Errorf("plan says %s, run says %v, %v", byName, places, err)
	}
	all := map[string]bool{}
	for seed := int64(1); seed < 100; seed++ {
		all[picked(seed)] = true
	}
	if len(all) != 6 {
		t.Errorf("99 seeds pick only %d of 6", len(all))
	}
}

// TestPickedComesBack does not take one of those that were left for the one that was killed.
func TestPickedComesBack(t *testing.T) {
	procs := []*exec.Cmd{sleeper(t), sleeper(t)}
	inner := steadyBlock + fmt.Sprintf(picking, many) + fault("kill", "crash", "target = target.many\nat = \"2s\"\nrestarts_within = \"8s\"")
	play(t, "", inner, func(d *day) {
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
		d.at(12*time.Second, func() { sleeper(t) })
	}, func(d *day, rec *report.Record) {
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Recovered), []string{"injected crash 7.0", "recovered crash 12.0"})
	})
}
