package conductor

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/loadgen"
	"gameday/report"
)

func fault(kind, name, rest string) string {
	return "fault \"" + kind + "\" \"" + name + "\" {\n" + rest + "\n}\n"
}

// TestPhases checks that the phases come in order and to the second, and that traffic is told of them.
func TestPhases(t *testing.T) {
	play(t, "", steadyBlock, nil, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		var got []string
		for _, e := range rec.Events {
			if e.Kind == report.PhaseStarted || e.Kind == report.PhaseEnded {
				got = append(got, string(e.Kind)+" "+e.T.Round(time.Second).String()+" "+string(e.Data))
			}
		}
		same(d.t, "phases", got, []string{
			`phase_started 0s {"phase":"baseline"}`, `phase_ended 3s {"phase":"baseline"}`,
			`phase_started 3s {"phase":"ramp"}`, `phase_ended 5s {"phase":"ramp"}`,
			`phase_started 5s {"phase":"load"}`, `phase_ended 25s {"phase":"load"}`,
			`phase_started 25s {"phase":"recovery"}`, `phase_ended 30s {"phase":"recovery"}`,
		})
		c := d.sender.commands
		if len(c) != 2 || c[0].To != 3 || c[0].Over != 2*time.Second || c[0].Stop || !c[1].Stop {
			d.t.Fatalf("commands %+v, want a ramp to 3 over 2s, then a stop", c)
		}
		if c[0].at.Round(time.Second) != 3*time.Second || c[1].at.Round(time.Second) != 30*time.Second {
			d.t.Errorf("commands came at %v and %v", c[0].at, c[1].at)
		}
		if len(rec.Windows) != 30 {
			d.t.Errorf("%d windows in the record of 30 s", len(rec.Windows))
		}
		if score := report.Score(rec); score.Verdict != report.Passed {
			d.t.Errorf("verdict %v: %q", score.Verdict, score.Why)
		}
	})
}

// TestFaultTimes checks the instants of faults by at and by after and wait.
func TestFaultTimes(t *testing.T) {
	inner := steadyBlock +
		fault("hold", "cut", "target = target.web\nat = \"4s\"\nduration = \"3s\"") +
		fault("hold", "next", "target = target.db\nafter = fault.cut\nwait = \"2s\"\nduration = \"1s\"") +
		fault("boot", "last", "target = target.web\nafter = fault.next")
	play(t, "", inner, nil, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Injecting, report.Injected, report.Reverting, report.Reverted, report.Recovered),
			[]string{
				"injecting cut 9.0", "injected cut 9.0", "reverting cut 12.0", "reverted cut 12.0",
				"injecting next 14.0", "injected next 14.0", "reverting next 15.0", "reverted next 15.0",
				"injecting last 15.0", "injected last 15.0", "reverted last 19.0", "recovered last 19.0",
			})
		in := seen[report.Injection](d.t, rec, report.Injected)[0]
		if in.Planned.Round(50*time.Millisecond) != 9*time.Second || in.Place != "web" || in.Kind != "hold" {
			d.t.Errorf("injection %+v", in)
		}
		if in.Effect == nil || !in.Effect.Proven || in.Onset.IsZero() {
			d.t.Errorf("no proof in %+v", in)
		}
		if gone := seen[report.Injection](d.t, rec, report.Reverted)[0].Gone; gone.IsZero() || gone.Hi.Before(gone.Lo) {
			d.t.Errorf("gone %+v", gone)
		}
		if left := d.world.stands(); len(left) > 0 {
			d.t.Errorf("%v still stands", left)
		}
		score := report.Score(rec)
		if !score.Safety.Clean || score.Safety.Injected != 3 || score.Safety.Gone != 3 {
			d.t.Errorf("safety %+v", score.Safety)
		}
	})
}

// TestFaultOrderWithPhase checks that a fault at 0s begins within the load phase, not before it, in the record too.
func TestFaultOrderWithPhase(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"0s\"\nduration = \"3s\""), nil,
		func(d *day, rec *report.Record) {
			var load, injecting uint64
			for _, e := range rec.Events {
				switch {
				case e.Kind == report.PhaseStarted && strings.Contains(string(e.Data), `"load"`):
					load = e.Seq
				case e.Kind == report.Injecting:
					injecting = e.Seq
				}
			}
			if load == 0 || injecting < load {
				d.t.Errorf("injecting is event %d, the load phase's begin %d", injecting, load)
			}
		})
}

// TestFaultAfterLoad checks that what would begin after the load phase does not, and that this is noted.
func TestFaultAfterLoad(t *testing.T) {
	inner := steadyBlock +
		fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"3s\"") +
		fault("hold", "late", "target = target.db\nat = \"21s\"\nduration = \"1s\"") +
		fault("hold", "chained", "target = target.db\nafter = fault.cut\nwait = \"16s\"\nduration = \"1s\"")
	play(t, "", inner, nil, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Injecting, report.InjectFailed), []string{"injecting cut 7.0"})
		var notes []string
		for _, n := range seen[report.Note](d.t, rec, report.Noted) {
			notes = append(notes, n.Text)
		}
		all := strings.Join(notes, "\n")
		if len(notes) != 2 || !strings.Contains(all, "late") || !strings.Contains(all, "chained") {
			d.t.Errorf("notes %q", notes)
		}
	})
}

// TestLoadWaitsForFaults checks that the load phase lasts until the last fault is gone.
func TestLoadWaitsForFaults(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"18s\"\nduration = \"6s\""), nil,
		func(d *day, rec *report.Record) {
			wantEnd(d.t, rec, report.EndComplete)
			var at []time.Duration
			for _, e := range rec.Events {
				if e.Kind == report.PhaseEnded {
					at = append(at, e.T.Round(time.Second))
				}
			}
			if len(at) != 4 || at[2] != 29*time.Second || at[3] != 34*time.Second {
				d.t.Errorf("phases ended at %v, want the load at 29s and the recovery at 34s", at)
			}
			same(d.t, "steps", steps(d.t, rec, report.Reverted), []string{"reverted cut 29.0"})
		})
}

// TestUnsteady checks that nothing is injected when the steady state does not hold in the baseline, or cannot be known.
func TestUnsteady(t *testing.T) {
	for name, c := range map[string]struct {
		errors func(int) float64
		why    string
	}{
		"errors":  {func(int) float64 { return 0.5 }, "availability"},
		"no data": {func(int) float64 { return -1 }, "no data"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := steadyBlock + fault("hold", "cut", "target = target.web\nat = \"0s\"\nduration = \"3s\"")
			play(t, "", inner, func(d *day) { d.sender.errors = c.errors }, func(d *day, rec *report.Record) {
				e := wantEnd(d.t, rec, report.EndUnsteady)
				if !strings.Contains(e.Error, c.why) {
					d.t.Errorf("the end says %q, want %q in it", e.Error, c.why)
				}
				same(d.t, "steps", steps(d.t, rec, report.Injecting, report.Injected, report.InjectFailed), nil)
				if len(d.world.injected) > 0 {
					d.t.Errorf("%v was injected", d.world.injected)
				}
				score := report.Score(rec)
				if score.Verdict != report.Inconclusive || score.ExitCode() != 3 {
					d.t.Errorf("verdict %v, exit code %d", score.Verdict, score.ExitCode())
				}
			})
		})
	}
}

const stormBlock = `
  abort "storm" {
    when = sli.error_ratio > 0.5
    over = "1s"
    held = "3s"
  }
`

const twoFaults = `
  fault "hold" "first" {
    target   = target.web
    at       = "2s"
    duration = "15s"
  }
  fault "hold" "second" {
    target   = target.web
    at       = "3s"
    duration = "15s"
  }
`

// TestAbort checks that a condition held for long enough ends the run and that faults go in reverse order.
func TestAbort(t *testing.T) {
	play(t, "", steadyBlock+stormBlock+twoFaults, func(d *day) { d.sender.errors = during(10, 30) },
		func(d *day, rec *report.Record) {
			wantEnd(d.t, rec, report.EndAborted)
			// The tenth second's window is seen by the tick at 12 s, and the condition has held for 3 s at 15 s.
			aborts := seen[report.Abort](d.t, rec, report.AbortSeen)
			if len(aborts) != 1 || aborts[0].Name != "storm" || aborts[0].Held.Round(time.Second) != 3*time.Second ||
				aborts[0].Values["sli.error_ratio"] != 1 || aborts[0].When != "sli.error_ratio > 0.5" {
				d.t.Errorf("aborts %+v", aborts)
			}
			same(d.t, "steps", steps(d.t, rec, report.Injected, report.AbortSeen, report.Reverted),
				[]string{"injected first 7.0", "injected second 8.0", "abort  15.0", "reverted second 15.0", "reverted first 15.0"})
			same(d.t, "reverted", d.world.reverted, []string{"second", "first"})
			if v := report.Score(rec); v.Verdict != report.Aborted || v.ExitCode() != 4 {
				d.t.Errorf("verdict %v, exit code %d", v.Verdict, v.ExitCode())
			}
			if diag := AbortNotice(d.options.Scenario, aborts[0]); diag == nil || !strings.Contains(diag.Detail, "3s") {
				d.t.Errorf("notice %+v", diag)
			}
		})
}

// TestNoAbort checks that conditions which flicker, are unknown, or hold for too short do not end the run.
func TestNoAbort(t *testing.T) {
	for name, errors := range map[string]func(int) float64{
		"flickers": func(n int) float64 {
			if n > 5 && n%3 != 0 {
				return 1
			}
			return 0
		},
		"flickers in pairs": func(n int) float64 {
			if n > 5 && n%2 == 1 { // the one of each pair that is the newest when it is looked at
				return 1
			}
			return 0
		},
		"too short": during(10, 13),
		"unknown between": func(n int) float64 {
			switch {
			case n == 10:
				return 1
			case n > 10 && n < 18:
				return -1
			case n >= 18 && n < 21:
				return 1
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := func(d *day) {
				if d.sender.errors = errors; strings.Contains(name, "pairs") {
					d.sender.bundle = map[string]int{"shop": 2}
				}
			}
			play(t, "", steadyBlock+stormBlock, set, func(d *day, rec *report.Record) {
				wantEnd(d.t, rec, report.EndComplete)
				if a := seen[report.Abort](d.t, rec, report.AbortSeen); len(a) > 0 {
					d.t.Errorf("aborts %+v", a)
				}
			})
		})
	}
}

// TestStop checks the ends that somebody asks for while faults stand.
func TestStop(t *testing.T) {
	for name, c := range map[string]struct {
		stop  func(*day, context.CancelFunc)
		want  report.EndReason
		asked int
	}{
		"stopped": {func(d *day, _ context.CancelFunc) { d.stop <- report.Stop{By: "signal interrupt", Why: "enough"} },
			report.EndStopped, 1},
		"abandoned": {func(d *day, _ context.CancelFunc) { d.stop <- report.Stop{By: "signal", Abandoned: true} },
			report.EndError, 1},
		"cancelled": {func(_ *day, cancel context.CancelFunc) { cancel() }, report.EndStopped, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDay(t, "", steadyBlock+twoFaults)
			inBubble(t, d, func(ctx context.Context) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				d.at(10*time.Second, func() { c.stop(d, cancel) })
				rec := d.conduct(ctx)
				wantEnd(d.t, rec, c.want)
				same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted),
					[]string{"injected first 7.0", "injected second 8.0", "reverted second 10.0", "reverted first 10.0"})
				same(d.t, "reverted", d.world.reverted, []string{"second", "first"})
				if got := seen[report.Stop](d.t, rec, report.StopAsked); len(got) != c.asked {
					d.t.Errorf("stops %+v", got)
				}
				if left := d.world.stands(); len(left) > 0 {
					d.t.Errorf("%v still stands", left)
				}
				last := rec.Events[len(rec.Events)-1]
				if last.Kind != report.RunEnded || last.T > 12*time.Second {
					d.t.Errorf("the last event is %s at %v", last.Kind, last.T)
				}
			})
		})
	}
}

// TestSlowRevertDelaysNobody checks that a fault whose revert takes its time, the newest one, does not keep an older one
// elsewhere standing, neither when the run is stopped nor when both end at the same time.
func TestSlowRevertDelaysNobody(t *testing.T) {
	inner := steadyBlock +
		fault("hold", "first", "target = target.web\nat = \"2s\"\nduration = \"6s\"") +
		fault("hold", "second", "target = target.db\nat = \"3s\"\nduration = \"5s\"\nway = \"sluggish\"")
	for name, c := range map[string]struct {
		stop time.Duration
		want []string
	}{
		"stopped": {10 * time.Second, []string{"injected first 7.0", "injected second 8.0", "reverted first 10.0", "reverted second 14.0"}},
		"ended":   {0, []string{"injected first 7.0", "injected second 8.0", "reverted first 13.0", "reverted second 17.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, "", inner, func(d *day) {
				if c.stop > 0 {
					d.at(c.stop, func() { d.stop <- report.Stop{By: "signal interrupt"} })
				}
			}, func(d *day, rec *report.Record) {
				same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted, report.Lapsed), c.want)
			})
		})
	}
}

// TestStopDuringInjection checks that a fault whose effect is still being proven is undone before the older one.
func TestStopDuringInjection(t *testing.T) {
	inner := steadyBlock +
		fault("hold", "first", "target = target.web\nat = \"2s\"\nduration = \"15s\"") +
		fault("hold", "second", "target = target.web\nat = \"3s\"\nduration = \"15s\"\nway = \"never\"")
	play(t, "", inner, func(d *day) {
		d.at(9*time.Second, func() { d.stop <- report.Stop{By: "signal interrupt"} })
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndStopped)
		same(d.t, "reverted", d.world.reverted, []string{"second", "first"})
		if left := d.world.stands(); len(left) > 0 {
			d.t.Errorf("%v still stands", left)
		}
		// What was never injected is not reverted in the record: the guard gave it up.
		same(d.t, "reverting", steps(d.t, rec, report.Reverting), []string{"reverting first 9.0"})
		same(d.t, "ends of first", steps(d.t, rec, report.Reverted)[len(steps(d.t, rec, report.Reverted))-1:],
			[]string{"reverted first 9.0"})
		if s := report.Score(rec).Safety; !s.Clean {
			d.t.Errorf("safety %+v", s)
		}
	})
}

// TestGeneratorDies checks that a run whose traffic ends is over, with its faults reverted.
func TestGeneratorDies(t *testing.T) {
	play(t, "", steadyBlock+twoFaults, func(d *day) { d.sender.dies = 10500 * time.Millisecond },
		func(d *day, rec *report.Record) {
			e := wantEnd(d.t, rec, report.EndTraffic)
			if !strings.Contains(e.Error, "the engine broke") || !strings.Contains(e.Error, `"shop"`) {
				d.t.Errorf("the end says %q", e.Error)
			}
			same(d.t, "reverted", d.world.reverted, []string{"second", "first"})
			said := seen[report.GeneratorNote](d.t, rec, report.GeneratorSaid)
			if len(said) != 1 || said[0].Stream != "shop" || said[0].Level != "error" {
				d.t.Errorf("the generator said %+v", said)
			}
			if v := report.Score(rec); v.ExitCode() != 3 {
				d.t.Errorf("exit code %d", v.ExitCode())
			}
		})
}

// broken is a generator that does not start.
type broken struct{ *sender }

func (broken) Run(context.Context, loadgen.Spec, func(loadgen.Window)) error {
	return errors.New("no script")
}

func TestGeneratorDoesNotStart(t *testing.T) {
	play(t, "", steadyBlock+twoFaults, func(d *day) { d.options.Generator = broken{d.sender} },
		func(d *day, rec *report.Record) {
			if e := wantEnd(d.t, rec, report.EndTraffic); !strings.Contains(e.Error, "no script") {
				d.t.Errorf("the end says %q", e.Error)
			}
			if len(d.world.injected) > 0 {
				d.t.Errorf("%v was injected", d.world.injected)
			}
		})
}

// chatty is a generator that says the same each time that it runs, and takes its time to stop.
type chatty struct {
	*sender
	teardown time.Duration
}

func (c chatty) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	spec.Log("warning", "thresholds are not judged")
	err := c.sender.Run(ctx, spec, emit)
	time.Sleep(c.teardown)
	return err
}

// TestGeneratorSpeaks checks that what a script with its own executors says at 1x is not said again at the multiple, and that a
// teardown which nobody waits for is told of.
func TestGeneratorSpeaks(t *testing.T) {
	for teardown, want := range map[time.Duration]int{0: 1, time.Minute: 2} {
		set := func(d *day) {
			d.options.Scenario.Traffic[0].KeepExecutors = true
			d.options.Generator = chatty{d.sender, teardown}
		}
		play(t, "", "", set, func(d *day, rec *report.Record) {
			time.Sleep(2 * teardown) // the bubble ends with its last goroutine
			wantEnd(d.t, rec, report.EndComplete)
			said := seen[report.GeneratorNote](d.t, rec, report.GeneratorSaid)
			if len(said) != want || said[0].Message != "thresholds are not judged" || want == 2 && !strings.Contains(said[1].Message, "teardown") {
				d.t.Errorf("with a teardown of %s the generator said %+v", teardown, said)
			}
			if len(d.sender.commands) != 2 {
				d.t.Errorf("it ran for %d commands", len(d.sender.commands))
			}
		})
	}
}

// TestPreflight checks that what blocks is recorded, all of it, and that no request is sent then.
func TestPreflight(t *testing.T) {
	probeBlock := "alarms \"probe\" \"main\" {}\n"
	for name, c := range map[string]struct {
		set  func(*day)
		what string
	}{
		"target": {func(d *day) { writePid(d.t, d.pidfile, 1<<22-1) }, "target web"},
		"source": {func(d *day) { d.probe.err = errors.New("connection refused") }, "alarms probe.main"},
		"finding": {func(d *day) {
			d.probe.finds = []alarms.Finding{{Blocks: true, Summary: "alarm X is firing already"}}
		}, "alarms probe.main"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, probeBlock, steadyBlock+twoFaults, c.set, func(d *day, rec *report.Record) {
				wantEnd(d.t, rec, report.EndPreflight)
				found := seen[report.Found](d.t, rec, report.PreflightFound)
				if len(found) != 1 || !found[0].Blocks || found[0].What != c.what {
					d.t.Errorf("found %+v, want one about %s", found, c.what)
				}
				if len(rec.Windows) > 0 || len(d.world.injected) > 0 {
					d.t.Errorf("%d windows, %v injected", len(rec.Windows), d.world.injected)
				}
			})
		})
	}
}

// TestForeignAtPreflight checks that what is in a fault's way is found before the first request.
func TestForeignAtPreflight(t *testing.T) {
	inner := steadyBlock + fault("hold", "blocked", "target = target.web\nat = \"2s\"\nduration = \"3s\"\nway = \"foreign\"")
	play(t, "", inner, nil, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndPreflight)
		found := seen[report.Found](d.t, rec, report.PreflightFound)
		if len(found) != 1 || !found[0].Blocks || found[0].What != "fault blocked" ||
			!strings.Contains(found[0].Summary, "table gameday is there") {
			d.t.Errorf("found %+v", found)
		}
		if len(rec.Windows) > 0 || len(d.world.injected) > 0 {
			d.t.Errorf("%d windows, %v injected", len(rec.Windows), d.world.injected)
		}
	})
}

// TestOwnSLI checks that a source without an answer makes the indicator unknown, whatever it said before.
func TestOwnSLI(t *testing.T) {
	outer := `
alarms "probe" "main" {}
sli "queue" {
  source = alarms.probe.main
  query  = "queue_depth"
}
`
	inner := `
  steady_state {
    expect "queue" { that = sli.queue < 10 }
  }
  abort "long queue" {
    when = sli.queue > 100
    held = "5s"
  }
`
	play(t, outer, inner, func(d *day) {
		d.probe.query = func(ctx context.Context) (float64, bool, error) {
			switch at := time.Since(d.world.start); {
			case at < 9500*time.Millisecond:
				return 3, true, nil
			case at < 12500*time.Millisecond: // too short to abort
				return 500, true, nil
			case at < 15*time.Second:
				return 0, false, errors.New("connection refused")
			case at < 18*time.Second:
				<-ctx.Done()
				return 0, false, ctx.Err()
			case at < 21*time.Second:
				return 0, false, nil
			default:
				return 4, true, nil
			}
		}
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete) // the last value, 500, would have aborted it
		var truth []string
		for _, c := range seen[report.ExpectChange](d.t, rec, report.ExpectSeen) {
			truth = append(truth, c.Holds.String())
		}
		same(d.t, "queue < 10", truth, []string{clock.Met.String(), clock.Missed.String(), clock.Unknown.String(), clock.Met.String()})
		var whys []string
		for _, r := range seen[report.Reading](d.t, rec, report.ReadingTaken) {
			if !r.Known && (len(whys) == 0 || whys[len(whys)-1] != r.Why) {
				whys = append(whys, r.Why)
			}
			if !r.Known && r.Value != 0 {
				d.t.Errorf("unknown, and yet %v", r.Value)
			}
		}
		if len(whys) != 3 || !strings.Contains(whys[0], "refused") || !strings.Contains(whys[2], "no value") {
			d.t.Errorf("reasons %q", whys)
		}
	})
}

// TestRefusesRecord checks that a record is never written over.
func TestRefusesRecord(t *testing.T) {
	d := newDay(t, "", steadyBlock)
	path := d.options.Dir + "/" + report.EventsFile
	if err := os.WriteFile(path, []byte("precious\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), d.options); err == nil {
		t.Error("Run wrote over a record")
	}
	if b, _ := os.ReadFile(path); string(b) != "precious\n" {
		t.Errorf("the record is now %q", b)
	}
}
