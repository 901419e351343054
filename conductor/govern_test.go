package conductor

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/audit"
	"gameday/faults"
	"gameday/policy"
	"gameday/report"
	"gameday/targets"
)

// bubbleStart is when the time of a bubble begins: a Saturday.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func rules(vs []policy.Violation) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Rule+" "+v.Fault)
	}
	slices.Sort(out)
	return out
}

// TestViolations checks that a plan's policies are asked about the run once, and about each fault at its place.
func TestViolations(t *testing.T) {
	d := newDay(t, "", steadyBlock+twoFaults)
	o := d.options
	o.Machine = &targets.Machine{}
	strict := &policy.Policy{Format: policy.Format, File: "strict", Kinds: policy.Kinds{Deny: []string{"hold"}}, RequireLabels: map[string]string{"chaos": "yes"},
		Deny: policy.Deny{Command: []string{"^sleep 3600$"}}, AtMost: policy.AtMost{Percent: 50}, Approval: policy.Approval{Required: true},
		Freezes: []policy.Freeze{{Name: "f", From: bubbleStart, To: bubbleStart.Add(time.Hour)}}}
	if got := Violations(t.Context(), o, bubbleStart); len(got) > 0 {
		t.Errorf("without a policy: %v", got)
	}
	o.Policies = []*policy.Policy{strict}
	var want []string
	for _, f := range o.Scenario.Faults {
		want = append(want, "at_most "+f.Name, "deny "+f.Name, "require_labels "+f.Name, "kinds "+f.Name)
	}
	want = append(want, "approval ", "freeze ")
	slices.Sort(want)
	same(t, "violations", rules(Violations(t.Context(), o, bubbleStart)), want)
	if len(d.world.injected) > 0 || d.client != nil {
		t.Error("asking touched something")
	}
	plan := Plan(t.Context(), Options{Scenario: o.Scenario, Machine: o.Machine, Policies: o.Policies, At: bubbleStart, ApprovedBy: "ann"})
	if plan.Policy == nil || len(plan.Policy.Violations) != len(want)-1 || plan.Policy.ApprovedBy != "ann" || plan.Policy.Files[0].File != "strict" {
		t.Errorf("plan %+v", plan.Policy)
	}
	writePid(t, d.pidfile, 1<<22-1) // what cannot be found is judged by what is known
	if got := rules(Violations(t.Context(), o, bubbleStart)); !slices.Contains(got, "kinds "+o.Scenario.Faults[0].Name) {
		t.Errorf("of a target that selects nothing: %v", got)
	}
}

// TestEngineChecksAgain checks that an injection whose time has left the hours is not made, and that the next one is.
func TestEngineChecksAgain(t *testing.T) {
	inner := steadyBlock +
		fault("hold", "early", "target = target.web\nat = \"2s\"\nduration = \"2s\"") +
		fault("hold", "late", "target = target.db\nat = \"12s\"\nduration = \"2s\"")
	play(t, "", inner, func(d *day) {
		// The run is let in, as by somebody who did not look at the clock: the freeze begins after the first fault.
		from := time.Now().Add(12 * time.Second)
		d.options.Policies = []*policy.Policy{{Format: policy.Format, File: "p", Freezes: []policy.Freeze{{Name: "peak", From: from, To: from.Add(time.Hour)}}}}
		d.options.ApprovedBy = "ann"
	}, func(d *day, rec *report.Record) {
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.InjectFailed, report.Reverted),
			[]string{"injected early 7.0", "reverted early 9.0", "inject_failed late 17.0"})
		failed := seen[report.Injection](d.t, rec, report.InjectFailed)
		if len(failed) == 1 && (!strings.Contains(failed[0].Error, `freeze "peak"`) || !strings.Contains(failed[0].Hint, "owner does not allow")) {
			d.t.Errorf("failed %+v", failed)
		}
		if s := seen[report.Started](d.t, rec, report.RunStarted)[0]; s.ApprovedBy != "ann" || len(s.Policies) != 1 {
			d.t.Errorf("started %+v", s)
		}
		if len(d.world.injected) != 1 {
			d.t.Errorf("injected %v", d.world.injected)
		}
	})
}

// TestForbiddenAtPreflight checks that what only the places tell is refused before the first request.
func TestForbiddenAtPreflight(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"2s\""), func(d *day) {
		d.options.Policies = []*policy.Policy{{Format: policy.Format, File: "p", Deny: policy.Deny{Exe: []string{"sleep|coreutils|busybox"}}}}
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndPreflight)
		if len(d.world.injected) > 0 || len(d.sender.commands) > 0 {
			d.t.Error("something was touched")
		}
		found := seen[report.Found](d.t, rec, report.PreflightFound)
		if !slices.ContainsFunc(found, func(f report.Found) bool { return f.Blocks && strings.Contains(f.Summary, "forbidden by policy") }) {
			d.t.Errorf("found %+v", found)
		}
	})
}

// TestHaltEndsRun checks that a run sees a halt within its poll, reverts what stands, and says who stopped it.
func TestHaltEndsRun(t *testing.T) {
	halt := filepath.Join(t.TempDir(), "halt")
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"12s\""), func(d *day) {
		d.options.Halts = []string{filepath.Join(filepath.Dir(halt), "none"), halt}
		d.at(10200*time.Millisecond, func() {
			if err := faults.SetHalt(halt, faults.Halt{By: "ann", At: time.Now(), Why: "an incident"}); err != nil {
				d.t.Error(err)
			}
		})
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndStopped)
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted), []string{"injected cut 7.0", "reverted cut 10.5"})
		if stop := seen[report.Stop](d.t, rec, report.StopAsked); len(stop) != 1 || stop[0].By != "ann" || stop[0].Why != "an incident" {
			d.t.Errorf("stop %+v", stop)
		}
	})
}

// TestAuditLog checks that every injection is in the log before it is on its target, with its end, and no secret.
func TestAuditLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	inner := steadyBlock + fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"2s\"") +
		fault("hold", "blocked", "target = target.db\nat = \"6s\"\nduration = \"2s\"\nway = \"foreign_later\"")
	play(t, "", inner, func(d *day) {
		d.options.Audit = log
		d.on = func(e report.Event) {
			if e.Kind == report.Injecting {
				if lines, _, err := audit.Read(path, time.Time{}); err != nil || len(lines) == 0 || lines[len(lines)-1].What != audit.Injecting {
					d.t.Errorf("about to inject, and the log ends with %v, %v", lines, err)
				}
			}
		}
	}, func(d *day, rec *report.Record) { wantEnd(d.t, rec, report.EndComplete) })
	lines, broken, err := audit.Read(path, time.Time{})
	if err != nil || broken > 0 {
		t.Fatalf("%d broken, %v", broken, err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, strings.TrimSpace(l.What+" "+l.Fault+" "+l.Place))
		if l.Run != "run-1" || l.Scenario != "day" {
			t.Errorf("line %+v", l)
		}
	}
	same(t, "lines", got, []string{"injecting cut web", "injected cut web", "reverted cut web", "injecting blocked db", "not_injected blocked db", "ended"})
}

// TestAuditRequired checks that nothing is injected that a required log does not have.
func TestAuditRequired(t *testing.T) {
	log, err := audit.Open(filepath.Join(t.TempDir(), "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	log.Close() // nothing can be written to it any more
	for _, required := range []bool{true, false} {
		play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"2s\""), func(d *day) {
			d.options.Audit = log
			d.options.Policies = []*policy.Policy{{Format: policy.Format, AuditRequired: required}}
		}, func(d *day, rec *report.Record) {
			want := map[bool]report.EndReason{true: report.EndError, false: report.EndComplete}[required]
			wantEnd(d.t, rec, want)
			if injected := len(d.world.injected) > 0; injected == required {
				d.t.Errorf("required %v, injected %v", required, injected)
			}
			notes := seen[report.Note](d.t, rec, report.Noted)
			if !slices.ContainsFunc(notes, func(n report.Note) bool { return strings.Contains(n.Text, "audit log is not whole") }) {
				d.t.Errorf("notes %+v", notes)
			}
		})
	}
}

// TestRegistry checks that runs are listed while they live, and that what dead ones left is taken away.
func TestRegistry(t *testing.T) {
	dir := RegistryDir(filepath.Join(t.TempDir(), "state", "ledger"))
	if runs, err := Runs(dir); len(runs) > 0 || err != nil {
		t.Fatalf("of no folder: %v, %v", runs, err)
	}
	at := time.Date(2026, 9, 16, 12, 0, 0, 0, time.UTC)
	second, err := Register(dir, Running{Run: "b", Scenario: "s", Dir: "/rec/b", At: at.Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	first, err := Register(dir, Running{Run: "c", Dir: "/rec/c", At: at})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"dead.json": `{"run":"dead","dir":"/rec/dead"}`, "torn.json": `{"ru`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ids := func() []string {
		t.Helper()
		runs, err := Runs(dir)
		if err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, r := range runs {
			out = append(out, r.Run+" "+r.Dir)
		}
		return out
	}
	same(t, "runs", ids(), []string{"c /rec/c", "b /rec/b"})
	first()
	same(t, "runs", ids(), []string{"b /rec/b"})
	second()
	same(t, "runs", ids(), []string{})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// TestRegistryUnread has an entry that cannot be opened: the others are listed, and it is said that there may be more.
func TestRegistryUnread(t *testing.T) {
	dir, err := os.MkdirTemp("", "gd") // a socket's address is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	release, err := Register(dir, Running{Run: "a", Dir: "/rec/a"})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	l, err := net.Listen("unix", filepath.Join(dir, "b.json")) // root may open any file, and nobody opens a socket
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if runs, err := Runs(dir); len(runs) != 1 || runs[0].Run != "a" || err == nil || !strings.Contains(err.Error(), "b.json") {
		t.Errorf("%+v, %v", runs, err)
	}
}

// TestRegistryTorn has an entry whose run lives and that nobody can read: it is left there, and it is said that a run goes on that is not listed.
func TestRegistryTorn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b.json")
	f, err := os.Create(path)
	if err == nil {
		_, err = f.WriteString(`{"ru`)
	}
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if runs, err := Runs(dir); len(runs) != 0 || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%+v, %v", runs, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestStanding checks that a run tells how much of it stands.
func TestStanding(t *testing.T) {
	dir := t.TempDir()
	r, _ := opened(t, dir)
	for i, want := range []string{"0", "1"} {
		if got, err := Ask(context.Background(), dir, Request{Do: "standing"}); got != want || err != nil {
			t.Errorf("standing %q, %v, want %s", got, err, want)
		}
		if i == 0 {
			r.mu.Lock()
			r.standing = append(r.standing, &injection{})
			r.mu.Unlock()
		}
	}
}
