package conductor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/audit"
	"gameday/faults"
	"gameday/loadgen"
	"gameday/report"
	"gameday/scenarios"
)

// TestTargetIsLookedForAnew holds the timeline in the moment between looking for a fault's target and the injection: what was found before the
// hold is not touched after it.
func TestTargetIsLookedForAnew(t *testing.T) {
	play(t, "", steadyBlock+twoInTurn, func(d *day) {
		f := facilitated(d)
		f.at(8700*time.Millisecond, "hold", holdFor(0)) // cut is due at 9, and its target looked for at 8.5
		d.at(10*seconds, func() { writePid(d.t, d.pidfile, 1<<22-1) })
		f.at(15*seconds, "release", askRelease)
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Injecting, report.InjectFailed), []string{"inject_failed cut 15.3", "injecting next 21.3"})
	})
}

// TestInjectNowIsRefused checks that what is in the way at the target, and a halt, refuse an early injection, and consume nothing.
func TestInjectNowIsRefused(t *testing.T) {
	halt := filepath.Join(t.TempDir(), "halt")
	for name, c := range map[string]struct {
		rest  string
		early func(*day)
		want  string
	}{
		"foreign": {"way = \"foreign_later\"", func(*day) {}, "table gameday is there"},
		"halted":  {"", func(d *day) { d.options.Halts = []string{halt} }, "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			var f *facilitator
			play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"4s\"\nduration = \"2s\"\n"+c.rest), func(d *day) {
				f = facilitated(d)
				c.early(d)
				if len(d.options.Halts) > 0 {
					d.at(7100*time.Millisecond, func() { // the run sees it at 7.5 by itself
						if err := faults.SetHalt(halt, faults.Halt{By: "ops", Why: "enough", At: time.Now()}); err != nil {
							d.t.Error(err)
						}
					})
				}
				f.at(7200*time.Millisecond, "early", inject("cut"))
			}, func(d *day, rec *report.Record) {
				if got := f.told["early"]; !strings.HasPrefix(got, "refused: fault cut cannot be injected now, and stays planned") || !strings.Contains(got, c.want) {
					d.t.Errorf("told %q", got)
				}
				if n := len(seen[report.InjectNow](d.t, rec, report.InjectAsked)); n > 0 || len(d.world.injected) > 0 {
					d.t.Errorf("%d were asked for, %v was injected", n, d.world.injected)
				}
			})
		})
	}
}

// TestSteeringIsAudited checks that the audit log says what facilitators did, who and why.
func TestSteeringIsAudited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	play(t, "", steadyBlock+twoInTurn, func(d *day) {
		d.options.Audit = log
		f := facilitated(d)
		f.at(6*seconds, "hold", holdFor(2*seconds))
		f.at(7*seconds, "inject", inject("cut"))
		f.at(9*seconds, "skip", askSkip)
	}, func(d *day, rec *report.Record) { wantEnd(d.t, rec, report.EndComplete) })
	lines, _, err := audit.Read(path, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		if slices.Contains([]string{audit.Held, audit.Released, audit.Skipped, audit.InjectAsked}, l.What) {
			got = append(got, strings.Join([]string{l.What, l.Fault, l.Why}, " "))
		}
	}
	same(t, "lines", got, []string{"held  fay: questions", "inject_asked cut fay", "released  it lapsed", "skipped next fay"})
}

// TestLastedAsHeld checks that a run which was held counts for as long as it lasted, also when it was killed, for whoever must leave out the
// time of game days.
func TestLastedAsHeld(t *testing.T) {
	runs := t.TempDir()
	began := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	for name, last := range map[string]report.Event{
		"ended":  {Seq: 2, At: began.Add(16 * time.Minute), Kind: report.RunEnded},
		"killed": {Seq: 2, At: began.Add(9 * time.Minute), Kind: report.WindowClosed},
		"short":  {Seq: 2, At: began.Add(9 * seconds), Kind: report.WindowClosed},
	} {
		dir := filepath.Join(runs, name)
		pastRecord(t, dir, began, false)
		f, err := os.OpenFile(filepath.Join(dir, report.EventsFile), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(json.NewEncoder(f).Encode(last), f.Close()); err != nil {
			t.Fatal(err)
		}
		want := max(time.Minute, last.At.Sub(began))
		if got, err := lasted(dir); err != nil || got.Length() != want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, want)
		}
	}
	var got []string
	for _, s := range (Measuring{Runs: runs}).ours() {
		got = append(got, s.Length().String())
	}
	same(t, "ours", got, []string{"16m0s", "9m0s", "1m0s"})
}

// TestRunnersAndHolds checks what is different with runners: a run with them is held for less, and those that are told of a change some
// seconds before cannot be told of another meanwhile.
func TestRunnersAndHolds(t *testing.T) {
	rec, err := newRecorder(t.TempDir(), time.Now(), func(s string) string { return s }, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.close()
	logs := &loadgen.RunOn{Kind: loadgen.Jobs, Parallelism: 3, Namespace: "load", Collector: loadgen.Logs}
	r := &run{rec: rec, Options: Options{Scenario: &scenarios.Scenario{Timeline: scenarios.Timeline{Ramp: time.Minute, Load: time.Minute},
		Traffic: []scenarios.Traffic{{RunOn: logs}}}}}
	r.ctx = t.Context()
	s := &stream{Traffic: scenarios.Traffic{RunOn: logs, Start: -1}, program: loadgen.Program{Legs: []loadgen.Leg{{To: 2, Over: time.Minute}}},
		commands: make(chan loadgen.Command, 9)}
	r.traffic = &traffic{run: r, streams: []*stream{s}}
	refused := func(req Request, want string) {
		t.Helper()
		if text, err := r.steer(req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %q", req.Do, text, err, want)
		}
	}
	r.pace.enter(report.Ramp, time.Minute, rec.now())
	refused(holdFor(0), "the ramp phase is just beginning or ending")
	r.pace.open()
	r.pace.told = true
	refused(holdFor(0), "runners were told so already")
	refused(askSkip, "runners were told so already")
	r.pace.moved = &deed{by: "the plan", at: rec.now()}
	r.pace.enter(report.Load, time.Minute, rec.now())
	r.pace.open()
	refused(holdFor(0), "are just being told of what the plan asked; ask again in 10s")
	r.pace.moved.at = rec.now().Add(-tellAgain)
	refused(holdFor(16*time.Minute), "can be held for 15m in all, because its runners are not there for longer: ask for --for 15m at most")
	if text, err := r.steer(holdFor(0)); err != nil || !strings.Contains(text, "held at 0:00 of the load phase") {
		t.Errorf("%q, %v", text, err)
	}
	r.letGo()
	if c := <-s.commands; c.To < 0.13 || c.To > 0.2 || len(c.Then) > 0 { // where it is in 4 s
		t.Errorf("told %+v", c)
	}
}
