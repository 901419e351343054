package room_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/internal/simrun"
	"gameday/loadgen"
	"gameday/report"
	"gameday/responders"
	"gameday/room"
)

var start = time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)

const s = time.Second

func event(at time.Duration, kind report.EventKind, data any) report.Event {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return report.Event{At: start.Add(at), T: at, Kind: kind, Data: raw}
}

func plan() *report.Plan {
	return &report.Plan{Scenario: "checkout", Phases: []report.PhasePlan{{Phase: report.Load, At: 10 * s, Length: 180 * s}},
		Faults:    []report.FaultPlan{{Name: "cut", Kind: "network_partition", At: 60 * s, Duration: 45 * s, Reversible: true}, {Name: "crash", Kind: "process_kill", At: 150 * s}},
		Alarms:    []report.AlarmPlan{{Name: "PaymentsDown", Match: map[string]string{"alertname": "PaymentsDown"}, Cause: "cut", FiresWithin: 30 * s}},
		Responses: []report.ResponsePlan{{Marks: []report.MarkPlan{{Name: "status page"}, {Name: "bridge opened"}}}}}
}

func injection(id string) report.Injection {
	return report.Injection{ID: id, Fault: strings.Split(id, "-")[0], Kind: "network_partition", Place: "payments"}
}

func page(at time.Duration, k responders.Kind, by string) report.Event {
	e := responders.Event{Source: "desk.ops", Page: "1", Kind: k, Labels: map[string]string{"alertname": "PaymentsDown"}, Level: 1}
	if by != "" {
		e.Actor = responders.Actor{ID: by, Kind: responders.Human}
	}
	if k == responders.Notified {
		e.Targets = []string{"ann", "bob"}
	}
	return event(at, report.ResponseSeen, e)
}

func sighting(at time.Duration, state alarms.State) report.Event {
	return event(at, report.AlarmSeen, report.AlarmSighting{Source: "prometheus.main",
		Observation: alarms.Observation{Labels: map[string]string{"alertname": "PaymentsDown"}, State: state}})
}

// TestStateFollowsARun tells of a run event by event, and looks after each at what is known.
func TestStateFollowsARun(t *testing.T) {
	st := room.NewState(plan())
	at := time.Duration(0)
	show := func() string {
		v := st.View(room.Facilitator, start.Add(at))
		var w []string
		for _, f := range v.Told.Standing {
			w = append(w, fmt.Sprintf("%s/%s stands since %s stuck=%v", f.Fault, f.ID, f.Since, f.Stuck))
		}
		for _, a := range v.Told.Alarms {
			w = append(w, fmt.Sprintf("%s %s since %s expected=%v in %s", a.Name, a.State, a.Since, a.Expected, a.Limit))
		}
		for _, p := range v.Seen.Pages {
			w = append(w, fmt.Sprintf("%s: %s since %s done=%v", p.Called(), p.State, p.Since, p.Done))
		}
		return fmt.Sprintf("%s/%s waiting=%v %s", v.Seen.Stage, v.Told.Phase, v.Told.Waiting, strings.Join(w, "; "))
	}
	for _, tt := range []struct {
		e    report.Event
		want string
	}{
		{event(0, report.RunStarted, report.Started{Run: "r1"}), "preparing/ waiting=[cut crash] "},
		{event(10*s, report.PhaseStarted, report.PhaseChange{Phase: report.Load}), "under load/load waiting=[cut crash] "},
		{event(60*s, report.Injected, injection("cut-1")), "under load/load waiting=[crash] cut/cut-1 stands since 1m0s stuck=false"},
		{event(60*s, report.Injected, injection("cut-2")), "under load/load waiting=[crash] cut/cut-1 stands since 1m0s stuck=false; cut/cut-2 stands since 1m0s stuck=false"},
		{sighting(70*s, alarms.StatePending), "PaymentsDown pending since 1m10s expected=true in 30s"},
		{sighting(75*s, alarms.StateFiring), "PaymentsDown firing since 1m15s expected=true in 30s"},
		{sighting(76*s, alarms.StateFiring), "PaymentsDown firing since 1m15s expected=true in 30s"},
		{sighting(77*s, alarms.StatePaged), "a page of its own system (PaymentsDown): sent since 1m17s done=false"},
		{page(78*s, responders.Opened, ""), "expected=true in 30s; page 1 (PaymentsDown): open since 1m18s done=false"},
		{page(79*s, responders.Notified, ""), "page 1 (PaymentsDown): ann, bob has not answered since 1m19s"},
		{page(90*s, responders.Acknowledged, "ann"), "page 1 (PaymentsDown): acknowledged by ann since 1m30s"},
		{page(91*s, responders.Notified, ""), "page 1 (PaymentsDown): acknowledged by ann since 1m30s"},
		{event(105*s, report.Reverted, injection("cut-1")), "waiting=[crash] cut/cut-2 stands"},
		{event(106*s, report.RevertFailed, injection("cut-2")), "waiting=[crash] cut/cut-2 stands since 1m0s stuck=true"},
		{sighting(110*s, alarms.StateInactive), "stuck=true; page 1"},
		{page(120*s, responders.Resolved, "ann"), "page 1 (PaymentsDown): resolved since 2m0s done=true"},
		{event(150*s, report.Injected, injection("crash-1")), "waiting=[] cut/cut-2"},
		{event(160*s, report.StopAsked, report.Stop{By: "fay"}), "ending/load"},
		{event(161*s, report.PhaseStarted, report.PhaseChange{Phase: report.Recovery}), "ending/recovery"},
		{event(170*s, report.RunEnded, report.Ended{Reason: report.EndStopped}), "over/recovery"},
	} {
		st.Take(tt.e)
		at = tt.e.T
		if got := show(); !strings.Contains(got, tt.want) {
			t.Errorf("after %s: %s\nwant %s", tt.e.Kind, got, tt.want)
		}
	}
	v := st.View(room.Observer, start.Add(time.Hour))
	if v.Now != 170*s || v.Quiet != 0 || !v.Seen.Stuck || v.Told.End != "Somebody stopped it." {
		t.Errorf("an hour after the end: now %s, quiet %s, stuck %v, %q", v.Now, v.Quiet, v.Seen.Stuck, v.Told.End)
	}
	if got := fmt.Sprint(v.Told.Marks); !strings.HasPrefix(got, "[status page bridge opened channel opened") {
		t.Errorf("the marks are %s", got)
	}
}

// TestWhatIsUndoneLater is not stuck any more; and what is left is said at the end.
func TestWhatIsUndoneLater(t *testing.T) {
	st := room.NewState(plan())
	stuck := func() bool { return st.View(room.Observer, start).Seen.Stuck }
	for i, tt := range []struct {
		kind report.EventKind
		id   string
		want bool
	}{{report.RevertFailed, "cut-1", true}, {report.RevertFailed, "cut-2", true}, {report.Reverted, "cut-1", true}, {report.Reverted, "cut-9", true},
		{report.RevertFailed, "cut-2", true}, {report.Reverted, "cut-2", false}} {
		if st.Take(event(time.Duration(i)*s, tt.kind, injection(tt.id))); stuck() != tt.want {
			t.Errorf("after %s of %s stuck is %v", tt.kind, tt.id, stuck())
		}
	}
	st.Take(event(time.Minute, report.RunEnded, report.Ended{Reason: report.EndAborted, Residue: []string{"cut on payments"}, Unseen: "the guard is gone; look yourself"}))
	if got, want := st.View(room.Observer, start).Told.End, "A stop condition held. Still standing: cut on payments. Whether that is all is not known: the guard is gone; look yourself"; got != want {
		t.Errorf("the end is told as %q, want %q", got, want)
	}
}

// TestWhatPeopleDid is told in a word or two: of marks, those that mean a step of every game day, and of no other what it says.
func TestWhatPeopleDid(t *testing.T) {
	st := room.NewState(plan())
	for _, tt := range []struct {
		kind       responders.Kind
		text, want string
	}{{responders.Acknowledged, "", "acknowledged"}, {responders.Marked, "Bridge opened", "bridge opened"}, {responders.Marked, "customers told", "customers told"},
		{responders.Marked, "the cut is seen", "did something"}, {responders.Told, "all is well", "told customers"}} {
		st.Take(event(s, report.ResponseSeen, responders.Event{Kind: tt.kind, Text: tt.text, Actor: responders.Actor{ID: "ann", Kind: responders.Human}}))
		if got := st.View(room.Observer, start).Seen.People[0].Doing; got != tt.want {
			t.Errorf("%s %q is told as %q, want %q", tt.kind, tt.text, got, tt.want)
		}
	}
}

// TestAClockThatJumps: a second of traffic that says to be of tomorrow does not keep those of today from being shown.
func TestAClockThatJumps(t *testing.T) {
	st := room.NewState(plan())
	for n, ahead := range []time.Duration{0, 0, 24 * time.Hour, 0, 0} {
		at := time.Duration(n) * s
		st.Take(event(at, report.WindowClosed, loadgen.Window{Stream: "shoppers", Start: start.Add(at + ahead), Due: uint64(10 + n), Started: uint64(10 + n)}))
	}
	if got := st.View(room.Observer, start.Add(5*s)).Traffic(); !strings.HasPrefix(got, "14 of 14 arrivals") {
		t.Errorf("the last second is %q", got)
	}
}

// TestDiagnosisIsJudged: what was said before a judgement is not what is judged after another diagnosis.
func TestDiagnosisIsJudged(t *testing.T) {
	st := room.NewState(plan())
	show := func() string {
		told := st.View(room.Facilitator, start).Told
		return told.Diagnosis + "|" + told.Judged
	}
	for _, tt := range []struct {
		e    report.Event
		want string
	}{
		{event(s, report.Marked, report.Mark{Name: report.DiagnosisMark, By: "ann (responder)", Text: "the disk"}), "ann (responder): the disk|"},
		{event(2*s, report.Marked, report.Mark{Name: report.DiagnosisWrong, By: "fay (facilitator)"}), "ann (responder): the disk|diagnosis wrong"},
		{event(3*s, report.ResponseSeen, responders.Event{Kind: responders.Diagnosed, Actor: responders.Actor{ID: "bob", Kind: responders.Human}, Text: "the network"}), "bob: the network|"},
		{event(4*s, report.Marked, report.Mark{Name: report.DiagnosisRight, By: "fay (facilitator)"}), "bob: the network|diagnosis right"},
	} {
		if st.Take(tt.e); show() != tt.want {
			t.Errorf("got %s, want %s", show(), tt.want)
		}
	}
}

// TestStateIsBounded: however much happens, a room keeps so much and no more, and views that were given out stay as they were.
func TestStateIsBounded(t *testing.T) {
	st := room.NewState(plan())
	st.Take(page(0, responders.Opened, ""))
	early := st.View(room.Facilitator, start)
	for i := range 5000 {
		at := time.Duration(i) * s
		e := responders.Event{Page: fmt.Sprint(i), Kind: responders.Acknowledged, Actor: responders.Actor{ID: fmt.Sprint("n", i), Kind: responders.Human}}
		st.Take(event(at, report.ResponseSeen, e))
		st.Take(event(at, report.Marked, report.Mark{Name: "note", By: fmt.Sprint("n", i, " (responder)"), Text: strings.Repeat("x", 5000)}))
		st.Take(event(at, report.AlarmSeen, report.AlarmSighting{Observation: alarms.Observation{State: alarms.StateFiring, Labels: map[string]string{"alertname": fmt.Sprint("a", i)}}}))
	}
	v := st.View(room.Facilitator, start)
	for what, n := range map[string]int{"pages": len(v.Seen.Pages), "people": len(v.Seen.People), "remarks": len(v.Seen.Said), "alarms": len(v.Told.Alarms), "lines": len(v.Told.Log)} {
		if n == 0 || n > 200 {
			t.Errorf("%d %s are kept", n, what)
		}
	}
	if n := len([]rune(v.Seen.Said[0].Text)); n > 500 {
		t.Errorf("a remark of %d letters is kept", n)
	}
	if len(early.Seen.Pages) != 1 || early.Seen.Pages[0].State != "open" || len(early.Told.Log) != 1 {
		t.Errorf("an early view has become %+v", early.Seen)
	}
}

// TestStateOfAWholeGameDay follows the record of a game day, and tells of it what its report does.
func TestStateOfAWholeGameDay(t *testing.T) {
	dir := t.TempDir()
	if err := simrun.WriteGameDay(dir); err != nil {
		t.Fatal(err)
	}
	f, err := report.Follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st := room.NewState(f.Plan())
	for {
		events, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			st.Take(e)
		}
	}
	v := st.View(room.Observer, time.Now())
	if v.Seen.Stage != room.Over || len(v.Told.Standing) != 0 || len(v.Seen.Pages) == 0 || len(v.Seen.People) == 0 || v.Traffic() == "" {
		t.Errorf("after a whole game day: %s, %v stand, %d pages, %d people, traffic %q", v.Seen.Stage, v.Told.Standing, len(v.Seen.Pages), len(v.Seen.People), v.Traffic())
	}
	if !strings.Contains(v.Draw("desk"), "<svg") {
		t.Error("there is no picture of it")
	}
}
