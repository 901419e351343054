package screen

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/loadgen"
	"gameday/report"
	"gameday/responders"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func plan() *report.Plan {
	return &report.Plan{
		Scenario: "checkout",
		Phases: []report.PhasePlan{
			{Phase: report.Baseline, Length: 30 * time.Second}, {Phase: report.Ramp, At: 30 * time.Second, Length: 10 * time.Second},
			{Phase: report.Load, At: 40 * time.Second, Length: 3 * time.Minute},
			{Phase: report.Recovery, At: 220 * time.Second, Length: time.Minute},
		},
		Traffic: []report.TrafficPlan{{Name: "shoppers", Rate: 40, Multiple: 3}},
		Faults: []report.FaultPlan{
			{Name: "cut", Kind: "network_partition", Targets: []string{"payments"}, At: 60 * time.Second, Duration: 45 * time.Second,
				Reversible: true},
			{Name: "crash", Kind: "process_kill", Targets: []string{"web"}, At: 120 * time.Second},
		},
		Alarms: []report.AlarmPlan{{Name: "PaymentsDown", Match: map[string]string{"alertname": "PaymentsDown"}, Cause: "cut",
			FiresWithin: 30 * time.Second}},
	}
}

func event(at time.Duration, kind report.EventKind, data any) report.Event {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return report.Event{T: at, Kind: kind, Data: raw}
}

func window(at time.Duration) report.Event {
	w := loadgen.Window{Stream: "shoppers", Start: time.Unix(0, 0).Add(at), Due: 120, Started: 120, Dropped: 2}
	for i := range 100 {
		o := &w.OK
		if i < 18 {
			o = &w.Failed
		}
		o.Record(time.Duration(i)*time.Millisecond, time.Millisecond)
	}
	return event(at+time.Second, report.WindowClosed, w)
}

// story is one of every event that is told.
func story() []report.Event {
	s := time.Second
	base := time.Unix(1000, 0)
	labels := map[string]string{"alertname": "PaymentsDown", "severity": "page"}
	cut := report.Injection{ID: "1", Fault: "cut", Kind: "network_partition", Place: "payments",
		Onset: clock.Between(base, base.Add(34*time.Millisecond)), Effect: &faults.Effect{Proven: true, Summary: "214 packets dropped"}}
	crash := report.Injection{ID: "2", Fault: "crash", Kind: "process_kill", Place: "web",
		Onset: clock.At(base), Effect: &faults.Effect{Proven: true, Summary: "pid 7 gone"}}
	failed, stuck := cut, cut
	failed.ID, failed.Error, failed.Hint = "3", errors.Join(errors.New("one"), errors.New("two")).Error(), "Look there."
	stuck.Error, stuck.Hint = "no route", "Run `gameday revert`."
	page := func(at time.Duration, k responders.Kind, level int, who string) report.Event {
		return event(at, report.ResponseSeen, responders.Event{Page: "1", Labels: labels, Kind: k, Level: level, Targets: []string{"ann"},
			Actor: responders.Actor{ID: who}, Text: "bridge opened"})
	}
	did := func(page string, k responders.Kind, text string) report.Event {
		return event(74*s, report.ResponseSeen, responders.Event{Source: "webhook.chat", Page: page, Kind: k, Actor: responders.Actor{ID: "ann"}, Text: text})
	}
	alarm := func(at time.Duration, st alarms.State) report.Event {
		return event(at, report.AlarmSeen, report.AlarmSighting{Source: "builtin.main", Observation: alarms.Observation{State: st, Labels: labels}})
	}
	return []report.Event{
		event(0, report.PreflightFound, report.Found{What: "alarms builtin.main", Summary: "alarm X: no rule has its labels", Detail: "Did you mean Y?"}),
		event(0, report.PhaseStarted, report.PhaseChange{Phase: report.Baseline}),
		event(2*s, report.ExpectSeen, report.ExpectChange{ID: "steady_state.availability", Holds: clock.Met,
			Values: map[string]float64{"sli.error_ratio": 0.001, "sli.p95": 0.25}}),
		event(40*s, report.PhaseStarted, report.PhaseChange{Phase: report.Load}),
		event(60*s, report.Injecting, cut),
		event(60*s+34*time.Millisecond, report.Injected, cut),
		window(60 * s), window(61 * s),
		event(63*s, report.ExpectSeen, report.ExpectChange{ID: "fault.cut.degrades", Holds: clock.Missed}),
		alarm(66*s, alarms.StatePending), alarm(69200*time.Millisecond, alarms.StateFiring), alarm(70*s, alarms.StatePaged),
		page(70*s, responders.Opened, 0, ""), page(70*s, responders.Notified, 1, ""), page(72*s, responders.Acknowledged, 1, "ann"),
		page(73*s, responders.Escalated, 2, "ann"), page(74*s, responders.Marked, 0, "ann"),
		did("7", responders.Notified, "on a telephone"), did("1", responders.Joined, "incident lead"), did("1", responders.RunbookOpened, ""), did("1", responders.Told, "We look into it."),
		did("1", responders.Diagnosed, "the ledger"), did("", responders.RoomOpened, "inc-1"),
		event(75*s, report.AlarmSeen, report.AlarmSighting{Source: "prometheus.main",
			Observation: alarms.Observation{State: alarms.StateUnreachable, Why: "connection refused"}}),
		event(76*s, report.Marked, report.Mark{Name: "customers told", By: "ann"}),
		event(77*s, report.GeneratorSaid, report.GeneratorNote{Stream: "shoppers", Level: "warning", Message: "slow\x1b[2Jscript"}),
		event(105*s, report.Reverting, cut), event(105*s, report.Reverted, cut),
		alarm(110*s, alarms.StateInactive), page(111*s, responders.Resolved, 0, ""),
		event(120*s, report.Injected, crash),
		event(123*s, report.Recovered, report.Comeback{Fault: "crash", Place: "web"}),
		event(125*s, report.InjectFailed, failed),
		event(126*s, report.Lapsed, failed),
		event(127*s, report.Noted, report.Note{Fault: "late", Text: "fault late was not injected: the load phase ends before it is due"}),
		event(128*s, report.AbortSeen, report.Abort{Name: "storm", When: "sli.error_ratio > 0.6", Held: 10 * s}),
		event(129*s, report.StopAsked, report.Stop{By: "signal interrupt"}),
		event(130*s, report.RevertFailed, stuck),
		event(131*s, report.PreflightFound, report.Found{What: "kubernetes: pod disruption budget", Summary: "fault crash leaves 1 of 2 pods"}),
		event(220*s, report.PhaseStarted, report.PhaseChange{Phase: report.Recovery}),
		event(280*s, report.RunEnded, report.Ended{Reason: report.EndStopped, Error: "enough"}),
	}
}

func tell(o Options) string {
	var b bytes.Buffer
	s := New(&b, plan(), o)
	for _, e := range story() {
		s.Observe(e)
	}
	s.Close()
	s.Observe(story()[0]) // what comes too late is nobody's harm
	s.Close()
	return b.String()
}

// TestLines compares what is printed where there is no terminal, with the faults and without.
func TestLines(t *testing.T) {
	for name, blind := range map[string]bool{"lines.txt": false, "blind.txt": true} {
		got := tell(Options{Blind: blind})
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs; see with -update and git diff:\n%s", path, got)
		}
		if strings.Contains(got, "\x1b") {
			t.Errorf("%s has escape codes", name)
		}
	}
}

// TestFindingWithManifest checks that what is to be copied out of a finding is printed as it is, from the first column, and ends as it should;
// and that it cannot do more to the terminal than other lines can.
func TestFindingWithManifest(t *testing.T) {
	var b bytes.Buffer
	s := New(&b, plan(), Options{})
	s.Observe(event(0, report.PreflightFound, report.Found{What: "permissions", Blocks: true, Summary: "not allowed: list pods",
		Detail: "The least that is missing:\napiVersion: v1\nrules:\n- verbs: [list]\x1b[2J\n---\nkind: Role\n"}))
	s.Close()
	want := "  0:00.0  preflight blocked: permissions: not allowed: list pods. The least that is missing:\napiVersion: v1\nrules:\n- verbs: [list] [2J\n---\nkind: Role\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

// TestBlind checks that nothing said before the end gives a fault away, but for one that cannot be reverted.
func TestBlind(t *testing.T) {
	for line := range strings.Lines(tell(Options{Blind: true})) {
		if strings.Contains(line, "COULD NOT BE REVERTED") {
			continue
		}
		for _, word := range []string{"cut", "crash", "fault late", "injected", "network_partition", "process_kill"} {
			if strings.Contains(line, word) {
				t.Errorf("%q gives %q away", line, word)
			}
		}
	}
	s := newState(plan(), true)
	for _, e := range story()[:12] {
		s.take(e)
		if live := strings.Join(s.live(Options{Blind: true}), "\n"); strings.Contains(live, "cut") || strings.Contains(live, "crash") {
			t.Errorf("the live lines give a fault away:\n%s", live)
		}
	}
}

// terminal is as much of a terminal as the screen uses: it wraps at its width, moves up and clears to the end.
type terminal struct {
	t     *testing.T
	width int
	rows  [][]rune
	y, x  int
	most  int // columns used in any row that was drawn
}

func (v *terminal) Write(p []byte) (int, error) {
	text := string(p)
	for len(text) > 0 {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			end := strings.IndexAny(rest, "AJ")
			if end < 0 {
				v.t.Fatalf("unknown code in %q", text)
			}
			switch rest[end] {
			case 'A':
				n, err := strconv.Atoi(rest[:end])
				if err != nil || n > v.y {
					v.t.Fatalf("up by %q from row %d", rest[:end], v.y)
				}
				v.y -= n
			case 'J':
				v.rows = v.rows[:min(len(v.rows), v.y)]
			}
			text = rest[end+1:]
			continue
		}
		for _, c := range text {
			v.put(c)
			text = text[len(string(c)):]
			break
		}
	}
	return len(p), nil
}

func (v *terminal) put(c rune) {
	if c == '\n' {
		v.y, v.x = v.y+1, 0
		return
	}
	if v.x+columns(c) > v.width {
		v.y, v.x = v.y+1, 0
	}
	for len(v.rows) <= v.y {
		v.rows = append(v.rows, nil)
	}
	v.rows[v.y] = append(v.rows[v.y], c)
	v.x += columns(c)
	v.most = max(v.most, v.x)
}

func (v *terminal) text() string {
	var b strings.Builder
	for _, r := range v.rows {
		b.WriteString(string(r) + "\n")
	}
	return b.String()
}

// TestTerminal checks that redrawing leaves the event lines and nothing else, at any width, and that no live line wraps.
func TestTerminal(t *testing.T) {
	for _, width := range []int{20, 60, 200} {
		t.Run(strconv.Itoa(width), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := plan()
				p.Scenario = "结账 checkout 结账结账结账结账结账结账结账结账"
				v := &terminal{t: t, width: width}
				s := New(v, p, Options{Terminal: true, Width: func() int { return width }})
				drawn := false
				for _, e := range story() {
					s.Observe(e)
					<-time.After(600 * time.Millisecond) // in fake time: the screen draws twice
					synctest.Wait()
					s.mu.Lock()
					if live := len(s.drawn); live > 0 {
						drawn = true
						if v.y != len(v.rows) && v.y-len(v.rows) > 0 {
							t.Fatalf("the cursor is at row %d of %d", v.y, len(v.rows))
						}
						for _, r := range v.rows[len(v.rows)-live+1:] {
							if n := columnsOf(string(r)); n >= width {
								t.Errorf("a live line takes %d of %d columns: %q", n, width, string(r))
							}
						}
						if n := strings.Count(v.text(), "checkout"); width > 60 && n != 1 {
							t.Errorf("%d heads on the screen:\n%s", n, v.text())
						}
					}
					s.mu.Unlock()
				}
				s.Close()
				if !drawn {
					t.Error("nothing was drawn")
				}
				want := &terminal{t: t, width: width}
				want.Write([]byte(tell(Options{})))
				if v.text() != want.text() {
					t.Errorf("what is left is not the event lines:\n%s\nwant:\n%s", v.text(), want.text())
				}
			})
		})
	}
}

// TestNarrowedTerminal checks that lines which a narrower terminal has broken are wiped whole.
func TestNarrowedTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		width := 80
		s := New(&out, plan(), Options{Terminal: true, Width: func() int { return width }})
		for _, e := range story()[:8] {
			s.Observe(e)
		}
		<-time.After(600 * time.Millisecond)
		synctest.Wait()
		s.mu.Lock()
		width = 30
		rows := 0
		for _, n := range s.drawn {
			rows += max(1, (n+29)/30)
		}
		if rows <= len(s.drawn) {
			t.Errorf("%d lines in %d rows: none is longer than the narrow terminal", len(s.drawn), rows)
		}
		out.Reset()
		s.mu.Unlock()
		<-time.After(300 * time.Millisecond)
		synctest.Wait()
		s.Close()
		if want := fmt.Sprintf("\x1b[%dA\x1b[J", rows); !strings.HasPrefix(out.String(), want) {
			t.Errorf("the first drawing on the narrow terminal begins with %.12q, want %q", out.String(), want)
		}
	})
}

func columnsOf(s string) int {
	n := 0
	for _, c := range s {
		n += columns(c)
	}
	return n
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{{"abc", 4, "abc"}, {"abc", 3, "ab"}, {"结账", 5, "结账"}, {"结账", 4, "结"}, {"e\u0301e\u0301", 3, "e\u0301e\u0301"}, {"", 1, ""}} {
		if got := clip(c.in, c.width); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
}

// TestStanding checks the list for an impatient user: what stands now.
func TestStanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(&bytes.Buffer{}, plan(), Options{})
		defer s.Close()
		for _, e := range story() {
			s.Observe(e)
			synctest.Wait()
			want := ""
			if e.T >= 60034*time.Millisecond && e.T < 105*time.Second || e.T == 105*time.Second && e.Kind == report.Reverting {
				want = "cut on payments"
			}
			if got := strings.Join(s.Standing(), ", "); got != want {
				t.Errorf("after %s at %v %q stands, want %q", e.Kind, e.T, got, want)
			}
		}
	})
}
