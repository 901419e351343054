package conductor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/policy"
	"gameday/report"
)

// facilitator asks a run in a bubble by its control socket, and keeps what it was told.
type facilitator struct {
	d        *day
	listener *fakeListener
	told     map[string]string // by the name of what was asked
}

// facilitated gives a day somebody who facilitates it.
func facilitated(d *day) *facilitator {
	f := &facilitator{d: d, listener: newFakeListener(), told: map[string]string{}}
	d.options.listen = func(string) (net.Listener, error) { return f.listener, nil }
	return f
}

// at asks at an instant of the run. An answer that refuses begins with "refused: ".
func (f *facilitator) at(when time.Duration, name string, req Request) {
	f.d.at(when, func() {
		text, err := f.ask(req)
		if err != nil {
			text = "refused: " + err.Error()
		}
		f.d.world.with(func() { f.told[name] = text })
	})
}

func (f *facilitator) ask(req Request) (string, error) {
	near, far := net.Pipe()
	defer near.Close()
	select {
	case f.listener.conns <- far:
	case <-f.listener.closed:
		return "", ErrNoRun
	}
	if err := json.NewEncoder(near).Encode(req); err != nil {
		return "", err
	}
	var resp Response
	if err := json.NewDecoder(near).Decode(&resp); err != nil {
		return "", err
	}
	if !resp.OK {
		return "", errors.New(resp.Error)
	}
	return resp.Text, nil
}

func (f *facilitator) want(name, part string) {
	f.d.t.Helper()
	if got, ok := f.told[name]; !ok || !strings.Contains(got, part) || strings.HasPrefix(got, "refused") != strings.HasPrefix(part, "refused") {
		f.d.t.Errorf("%s: told %q, want %q in it", name, got, part)
	}
}

const seconds = time.Second

func holdFor(d time.Duration) Request {
	return Request{Do: "hold", By: "fay", Why: "questions", For: d}
}

var (
	askRelease = Request{Do: "release", By: "fay"}
	askSkip    = Request{Do: "skip", By: "fay"}
)

func inject(name string) Request { return Request{Do: "inject", By: "fay", Fault: name} }

// phaseTimes lists when phases began and ended: "load 5-25".
func phaseTimes(d *day, rec *report.Record) []string {
	var out []string
	for _, p := range report.NewTimeline(rec).Phases {
		out = append(out, fmt.Sprintf("%s %.1f-%.1f", p.Phase, p.Start.Sub(d.world.start).Seconds(), p.End.Sub(d.world.start).Seconds()))
	}
	return out
}

// moves lists what the timeline was told: "hold 10.0".
func moves(rec *report.Record) []string {
	var out []string
	for _, e := range rec.Events {
		switch e.Kind {
		case report.HoldBegan, report.HoldEnded, report.WaitSkipped, report.InjectAsked:
			out = append(out, fmt.Sprintf("%s %.1f", e.Kind, e.T.Seconds()))
		}
	}
	return out
}

const twoInTurn = `
  fault "hold" "cut" {
    target   = target.web
    at       = "4s"
    duration = "3s"
  }
  fault "hold" "next" {
    target   = target.db
    at       = "10s"
    duration = "2s"
  }
`

// TestHold holds the timeline while a fault stands: that one ends in its own time, the next one and the phases wait.
func TestHold(t *testing.T) {
	var f *facilitator
	play(t, "", steadyBlock+twoInTurn, func(d *day) {
		f = facilitated(d)
		f.at(10*seconds, "hold", holdFor(0))
		f.at(11*seconds, "again", Request{Do: "hold", By: "bob"})
		f.at(12500*time.Millisecond, "skip", askSkip)
		f.at(16*seconds, "release", Request{Do: "release", By: "bob"})
		f.at(17*seconds, "late", askRelease)
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted, report.Lapsed),
			[]string{"injected cut 9.0", "reverted cut 12.0", "injected next 21.0", "reverted next 23.0"})
		same(d.t, "phases", phaseTimes(d, rec), []string{"baseline 0.0-3.0", "ramp 3.0-5.0", "load 5.0-31.0", "recovery 31.0-36.0"})
		same(d.t, "moves", moves(rec), []string{"hold 10.0", "release 16.0"})
		f.want("hold", "held at 0:05 of the load phase")
		f.want("hold", "this fault goes on and ends in its own time, as the scenario says: cut")
		f.want("again", "fay holds it already")
		f.want("skip", "refused: fay holds the timeline")
		f.want("release", "released at 0:05 of the load phase, after 6s")
		f.want("late", "nobody holds the timeline: nothing changed")
		if in := seen[report.Injection](d.t, rec, report.Injected)[1]; in.Planned.Round(seconds) != 21*seconds {
			d.t.Errorf("next was due at %s", in.Planned)
		}
		for n, due := range due(rec, "shop") {
			if n > 5 && due != 30 {
				d.t.Errorf("in second %d %d were due", n, due)
			}
		}
		c := report.Score(rec)
		if len(c.Steered) != 1 || c.Steered[0].Took != 6*seconds || c.Steered[0].Why != "questions" || c.Steered[0].Lapse || c.Verdict != report.Passed {
			d.t.Errorf("%s, %+v", c.Verdict, c.Steered)
		}
	})
}

// TestHoldLapses checks that a forgotten hold ends by itself, and when: as asked, as usual, or as prolonged.
func TestHoldLapses(t *testing.T) {
	for name, c := range map[string]struct {
		ask  func(*facilitator)
		want string
	}{
		"as asked": {func(f *facilitator) { f.at(10*seconds, "hold", holdFor(4*seconds)) }, "release 14.0"},
		"as usual": {func(f *facilitator) { f.at(10*seconds, "hold", holdFor(0)) }, "release 910.0"},
		"prolonged": {func(f *facilitator) {
			f.at(10*seconds, "hold", holdFor(4*seconds))
			f.at(12*seconds, "more", holdFor(9*seconds))
		}, "release 21.0"},
		"shortened": {func(f *facilitator) {
			f.at(10*seconds, "hold", holdFor(0))
			f.at(12*seconds, "more", holdFor(2*seconds))
		}, "release 14.0"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, "", steadyBlock+twoInTurn, func(d *day) { c.ask(facilitated(d)) }, func(d *day, rec *report.Record) {
				wantEnd(d.t, rec, report.EndComplete)
				if got := moves(rec); got[len(got)-1] != c.want {
					d.t.Errorf("%q", got)
				}
				ends := seen[report.Release](d.t, rec, report.HoldEnded)
				if len(ends) != 1 || !ends[0].Lapsed || ends[0].By != "" {
					d.t.Errorf("%+v", ends)
				}
				if score := report.Score(rec); len(score.Steered) != 1 || score.Verdict != report.Passed {
					d.t.Errorf("%s, %+v", score.Verdict, score.Steered)
				}
			})
		})
	}
}

// TestHoldInOtherPhases checks that the baseline phase, the ramp and the recovery phase are held, and traffic at the rate that it had.
// Phases begin 10 ms after the second, when its window is there.
func TestHoldInOtherPhases(t *testing.T) {
	var f *facilitator
	play(t, "", steadyBlock+twoInTurn, func(d *day) {
		f = facilitated(d)
		f.at(1*seconds, "baseline", holdFor(60*seconds))
		f.at(64*seconds, "ramp", holdFor(10*seconds)) // half of it is over
		f.at(96*seconds, "recovery", holdFor(10*seconds))
		f.at(97*seconds, "inject", inject("cut"))
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "phases", phaseTimes(d, rec), []string{"baseline 0.0-63.0", "ramp 63.0-75.0", "load 75.0-95.0", "recovery 95.0-110.0"})
		same(d.t, "commands", commanded(d, "shop"), []string{"63.0 to 3 in 2s", "64.0 to 1.99", "74.0 to 3 in 1.01s", "110.0 stop"})
		same(d.t, "steps", steps(d.t, rec, report.Injected), []string{"injected cut 79.0", "injected next 85.0"})
		f.want("inject", "refused: faults are injected in the load phase")
	})
}

// TestHeldBaseline checks that the steady state of a baseline phase that was held must hold at its end.
func TestHeldBaseline(t *testing.T) {
	for name, c := range map[string]struct {
		errors func(int) float64
		want   report.EndReason
	}{"well at the end": {during(0, 10), report.EndComplete}, "ill at the end": {during(41, 60), report.EndUnsteady}} {
		t.Run(name, func(t *testing.T) {
			play(t, "", steadyBlock, func(d *day) {
				d.sender.errors = c.errors
				facilitated(d).at(1*seconds, "hold", holdFor(40*seconds))
			}, func(d *day, rec *report.Record) {
				wantEnd(d.t, rec, c.want)
			})
		})
	}
}

// TestSkip skips to faults and to the ends of phases, and checks that what is needed to judge a phase is not skipped.
func TestSkip(t *testing.T) {
	var f *facilitator
	play(t, "", steadyBlock+twoInTurn, func(d *day) {
		f = facilitated(d)
		f.at(1*seconds, "short baseline", askSkip)
		f.at(3500*time.Millisecond, "ramp", askSkip)
		f.at(6*seconds, "cut", askSkip)
		f.at(6200*time.Millisecond, "twice", askSkip)
		f.at(10*seconds, "next", Request{Do: "skip", By: "bob"})
		f.at(15*seconds, "end", askSkip)
		f.at(17500*time.Millisecond, "recovery", askSkip)
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		// The ramp is over at 3.5 instead of 5, so that cut is due at 7.5, and comes at 6.5.
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted),
			[]string{"injected cut 6.5", "reverted cut 9.5", "injected next 10.5", "reverted next 12.5"})
		same(d.t, "phases", phaseTimes(d, rec), []string{"baseline 0.0-3.0", "ramp 3.0-3.5", "load 3.5-15.0", "recovery 15.0-20.0"})
		f.want("short baseline", "refused: the baseline phase cannot be shorter than 2s")
		f.want("ramp", "the end of the ramp phase comes now")
		f.want("cut", "fault cut comes now")
		f.want("twice", "refused: fay has skipped to fault cut just now")
		f.want("next", "fault next comes now; 3s of 20s are left out by now, so what must hold under load may stay unknown")
		f.want("end", "the end of the load phase comes now")
		f.want("recovery", "refused: the recovery phase cannot be shorter than 5s")
		c := report.Score(rec)
		if len(c.Steered) != 4 || c.Steered[1].Fault != "cut" || c.Steered[1].Took != 1000*time.Millisecond {
			d.t.Errorf("%+v", c.Steered)
		}
	})
}

// TestSkipLosesNoFault checks that a fault comes also when what was skipped has its time after the load phase's planned end, and
// that how long a fault stands is not skipped.
func TestSkipLosesNoFault(t *testing.T) {
	inner := steadyBlock + fault("hold", "cut", "target = target.web\nat = \"1s\"\nduration = \"14s\"") +
		fault("hold", "later", "target = target.db\nat = \"17s\"\nduration = \"1s\"") +
		fault("hold", "chained", "target = target.web\nafter = fault.cut\nwait = \"4s\"\nduration = \"1s\"")
	var f *facilitator
	play(t, "", inner, func(d *day) {
		f = facilitated(d)
		f.at(8*seconds, "later", askSkip) // at 3 s of the load phase, which goes on at 16.5
		f.at(11*seconds, "stands", askSkip)
		f.at(12*seconds, "too early", inject("chained"))
		f.at(21*seconds, "wait", askSkip)
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted), []string{"injected cut 6.0", "injected later 8.5", "reverted later 9.5",
			"reverted cut 20.0", "injected chained 21.5", "reverted chained 22.5"})
		f.want("stands", "refused: fault chained is next, and comes after cut, which is not over")
		f.want("too early", "refused: fault chained comes after cut, which is not over")
		f.want("wait", "fault chained comes now")
	})
}

// TestInjectNow injects faults before their time, once each, also while the timeline is held.
func TestInjectNow(t *testing.T) {
	var f *facilitator
	play(t, "", steadyBlock+twoInTurn, func(d *day) {
		f = facilitated(d)
		f.at(2*seconds, "baseline", inject("cut"))
		f.at(6*seconds, "hold", holdFor(0))
		f.at(7*seconds, "next", inject("next"))
		f.at(7500*time.Millisecond, "at once", inject(""))
		f.at(8*seconds, "twice", inject("next"))
		f.at(10*seconds, "first", inject(""))
		f.at(13*seconds, "none", inject(""))
		f.at(14*seconds, "unknown", inject("cat"))
		f.at(15*seconds, "release", askRelease)
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted),
			[]string{"injected next 7.0", "reverted next 9.0", "injected cut 10.0", "reverted cut 13.0"})
		same(d.t, "phases", phaseTimes(d, rec)[2:], []string{"load 5.0-34.0", "recovery 34.0-39.0"})
		f.want("baseline", "refused: faults are injected in the load phase, and this is the baseline phase")
		f.want("next", "fault next is being injected")
		f.want("at once", "refused: fay has had fault next injected just now")
		f.want("twice", "refused: fault next was injected already")
		f.want("first", "fault cut is being injected")
		f.want("none", "refused: no fault is left to inject")
		f.want("unknown", `refused: the scenario has no fault "cat"; it has cut, next`)
		asked := seen[report.InjectNow](d.t, rec, report.InjectAsked)
		if len(asked) != 2 || asked[0].Early.Round(seconds) != 9*seconds || asked[1].Early.Round(seconds) != 3*seconds {
			d.t.Errorf("%+v", asked)
		}
		if in := seen[report.Injection](d.t, rec, report.Injected)[0]; in.Planned != 7*seconds {
			d.t.Errorf("it was due at %s", in.Planned)
		}
	})
}

// TestInjectNowIsChecked checks that a fault which may not be injected now stays planned, and comes at its time if it may then.
func TestInjectNowIsChecked(t *testing.T) {
	var f *facilitator
	play(t, "", steadyBlock+twoInTurn, func(d *day) {
		f = facilitated(d)
		from := time.Now().Add(6500 * time.Millisecond) // not of the preflight, nor of 9 s
		d.options.Policies = []*policy.Policy{{Format: policy.Format, File: "p", Freezes: []policy.Freeze{{Name: "peak", From: from, To: from.Add(time.Second)}}}}
		f.at(7*seconds, "frozen", Request{Do: "inject", By: "fay", Fault: "cut"})
	}, func(d *day, rec *report.Record) {
		if got := f.told["frozen"]; !strings.HasPrefix(got, "refused: fault cut cannot be injected now, and stays planned") || !strings.Contains(got, "peak") {
			d.t.Errorf("told %q", got)
		}
		if n := len(seen[report.InjectNow](d.t, rec, report.InjectAsked)); n > 0 {
			d.t.Errorf("%d were asked for", n)
		}
		same(d.t, "steps", steps(d.t, rec, report.Injected), []string{"injected cut 9.0", "injected next 15.0"})
	})
}

// TestHoldIsBounded checks the limits of holds: an hour in all, less with runners, and no longer than the owner allows.
func TestHoldIsBounded(t *testing.T) {
	var f *facilitator
	hour := func(d *day) {
		f.at(6*seconds, "long", holdFor(61*time.Minute))
		f.at(7*seconds, "none", holdFor(time.Millisecond))
		f.at(8*seconds, "most", holdFor(time.Hour))
		f.at(8*seconds+time.Hour+time.Second, "spent", holdFor(0))
	}
	play(t, "", steadyBlock, func(d *day) { f = facilitated(d); hour(d) }, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		f.want("long", "refused: the run was held for 0s already, and can be held for 1h in all: ask for --for 1h at most")
		f.want("none", "refused: a hold of 1ms is none")
		f.want("most", "held at 0:03")
		f.want("spent", "refused: the run was held for 1h already")
	})
	play(t, "", steadyBlock, func(d *day) {
		f = facilitated(d)
		d.options.Policies = []*policy.Policy{{Format: policy.Format, File: "p", MaxDuration: policy.MaxDuration{Run: 40 * seconds}}}
		f.at(6*seconds, "too long", holdFor(0))
		f.at(7*seconds, "short", holdFor(10*seconds))
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		f.want("too long", "refused: held for 15m, the run would be longer than the policy allows")
		f.want("short", "held at")
	})
}

// TestSteeringRefused checks when nothing can be asked: of a search, while a run unwinds, and before its baseline phase.
func TestSteeringRefused(t *testing.T) {
	var f *facilitator
	inner := steadyBlock + fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"15s\"\nway = \"sluggish\"")
	play(t, "", inner, func(d *day) {
		f = facilitated(d)
		f.at(9*seconds, "hold", holdFor(0))
		f.at(10*seconds, "stop", Request{Do: "stop", By: "fay"})
		for name, req := range map[string]Request{"held": holdFor(0), "released": askRelease, "skipped": askSkip, "injected": inject("cut")} {
			f.at(12*seconds, name, req)
		}
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndStopped)
		for _, name := range []string{"held", "released", "skipped", "injected"} {
			f.want(name, "refused: the run is ending: every fault is being reverted")
		}
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted), []string{"injected cut 7.0", "reverted cut 14.0"})
		if c := report.Score(rec); len(c.Steered) != 1 || c.Steered[0].Took != seconds || c.Steered[0].Ended != "" {
			d.t.Errorf("%+v", c.Steered)
		}
	})
	r := &run{Options: Options{Search: &Search{}}}
	r.ctx = t.Context()
	if _, err := r.steer(askSkip); err == nil || !strings.Contains(err.Error(), "search") {
		t.Errorf("a search: %v", err)
	}
	r.Search = nil
	for _, req := range []Request{holdFor(0), askRelease, askSkip, inject("")} {
		if _, err := r.steer(req); err == nil || !strings.Contains(err.Error(), "has not begun") {
			t.Errorf("%s before the baseline phase: %v", req.Do, err)
		}
	}
}

// TestHeldPrograms checks what streams with shapes and starts of their own are told when the timeline is held, goes on, and jumps.
func TestHeldPrograms(t *testing.T) {
	play(t, "", steadyBlock+shapedStreams+fault("hold", "cut", "target = target.web\nat = \"12500ms\"\nduration = \"1s\""), func(d *day) {
		f := facilitated(d)
		f.at(12*seconds, "hold", holdFor(20*seconds)) // 7 s into the load phase
		f.at(33*seconds, "skip", askSkip)             // at 8 s, to 12
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		for name, want := range map[string][]string{
			"shop":  {"3.0 to 3 in 2s", "46.0 stop"},
			"steps": {"3.0 to 2 in 2s", "5.0 to 2, 2 in 5s, 4 in 0s, 4 in 5s, 6 in 0s, 6 in 5s", "12.0 to 4", "32.0 to 4, 4 in 3.01s, 6 in 0s, 6 in 5s", "33.0 to 6, 6 in 3s", "46.0 stop"},
			"long":  {"3.0 to 0 in 2s", "5.0 to 0, 60 in 30s", "12.0 to 14", "32.0 to 14, 60 in 23.01s", "33.0 to 24, 60 in 18s", "41.0 to 40", "46.0 stop"},
			"late":  {"5.0 to 0 in 10s, 5 in 0s", "12.0 to 0", "32.0 to 0 in 3.01s, 5 in 0s", "33.0 to 5", "46.0 stop"},
		} {
			same(d.t, name, commanded(d, name), want)
		}
	})
}

// TestToldByLogs checks what runners are told that hear of a change some seconds later: it counts where they are by then.
func TestToldByLogs(t *testing.T) {
	s := &stream{program: loadgen.Program{From: 2, Legs: []loadgen.Leg{{To: 12, Over: 100 * seconds}}}, commands: make(chan loadgen.Command, 9)}
	s.RunOn = &loadgen.RunOn{Kind: loadgen.Jobs, Collector: loadgen.Logs}
	s.Start = -1
	tr := &traffic{streams: []*stream{s}}
	tr.freeze(26 * seconds)
	tr.follow(26 * seconds)
	tr.rampFrom(3*seconds, 10*seconds, true)
	tr.rampFrom(3*seconds, 10*seconds, false)
	for _, want := range []string{"{0s 5 0s [] false}", "{0s 5 0s [{12 1m10s}] false}", "{0s 1.5 0s [] false}", "{0s 2 3s [] false}"} {
		if got := fmt.Sprint(<-s.commands); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	if !tr.toldByLogs() {
		t.Error("nobody is told by logs")
	}
}
