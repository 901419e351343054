package conductor

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/report"
	"gameday/responders"
	"gameday/targets"
)

// incidentWorld has a desk that is paged for every error.
const incidentWorld = `
responders "desk" "ops" {
  level { people = ["ann"] }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "Failing" {
    when   = sli.error_ratio > 0.5
    over   = "1s"
    held   = "1s"
    labels = { severity = "page" }
  }
}
`

// live runs the scenario in real time, with a real desk behind a real port.
func (d *day) live() *report.Record {
	d.t.Helper()
	d.world.start = time.Now()
	d.options.Machine = &targets.Machine{Stand: d.stand}
	if err := Run(d.t.Context(), d.options); err != nil {
		d.t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if d.client != nil {
		d.client.Close(context.Background())
		<-d.served
	}
	rec, err := report.Read(d.options.Dir)
	if err != nil {
		d.t.Fatal(err)
	}
	return rec
}

// TestRealIncident ends a drill in real time when a page opens that nothing in it accounts for, with all that stands
// reverted; and goes on when the scenario knows of the alarm.
func TestRealIncident(t *testing.T) {
	const hold = `
  fault "hold" "first" {
    target   = target.web
    at       = "0s"
    duration = "20s"
  }
`
	for name, c := range map[string]struct {
		inner string
		ends  bool
	}{
		"a page":                  {`abort "real" { incident = responders.desk.ops }`, true},
		"an alarm":                {"abort \"real\" {\n incident = alarms.builtin.main\n match = { severity = \"page\" }\n}", true},
		"another team's page":     {"abort \"real\" {\n incident = responders.desk.ops\n match = { team = \"x\" }\n}", false},
		"noise that is allowed":   {"abort \"real\" { incident = responders.desk.ops }\nnoise {\n watch = { severity = \"page\" }\n allow = [\"Failing\"]\n}", false},
		"the drill's own":         {"abort \"real\" { incident = responders.desk.ops }\nalarm \"Failing\" {\n source = alarms.builtin.main\n fires_within = \"5s\"\n}", false},
		"nobody asks for the end": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDay(t, incidentWorld, hold+c.inner)
			d.options.Scenario.Timeline.Ramp = 0
			d.options.Scenario.Timeline.Baseline = time.Second
			d.options.Scenario.Timeline.Load = 10 * time.Second // a busy machine sees it fire late
			d.options.Scenario.Timeline.Recovery = time.Second
			d.options.Scenario.Faults[0].Duration = 5 * time.Second
			if c.ends {
				d.options.Scenario.Faults[0].Duration = time.Minute
			}
			d.sender.errors = during(1, 7)
			rec := d.live()
			aborts := seen[report.Abort](t, rec, report.AbortSeen)
			if !c.ends {
				wantEnd(t, rec, report.EndComplete)
				if len(aborts) > 0 {
					t.Errorf("%+v", aborts)
				}
				return
			}
			e := wantEnd(t, rec, report.EndAborted)
			if len(aborts) != 1 || aborts[0].Name != "real" || !strings.Contains(e.Error, "an incident that is not the drill's") || !strings.Contains(e.Error, "Failing") {
				t.Errorf("%+v, %q", aborts, e.Error)
			}
			if left := d.world.stands(); len(left) > 0 || !slices.Contains(d.world.reverted, "first") {
				t.Errorf("%v stands, %v was reverted", left, d.world.reverted)
			}
			if v := report.Score(rec); v.Verdict != report.Aborted || !strings.Contains(strings.Join(v.Why, " "), ": an incident that is not the drill's") {
				t.Errorf("the verdict is %s, because %q", v.Verdict, v.Why)
			}
		})
	}
}

// TestRoster asks who is on call before the first request and at each onset, and marks what it sends as a drill.
func TestRoster(t *testing.T) {
	t.Parallel()
	d := newDay(t, incidentWorld, `
  fault "hold" "first" {
    target   = target.web
    at       = "0s"
    duration = "2s"
  }
  alarm "Failing" {
    source       = alarms.builtin.main
    fires_within = "5s"
  }
  response "drill" {
    source = responders.desk.ops
    to     = alarm.Failing
    ack    = "withhold"
    escalate { within = "1m" }
    without "chat" {
      within = "1m"
      use    = "bridge"
    }
  }
`)
	d.options.Scenario.Timeline.Ramp = 0
	d.options.Scenario.Timeline.Baseline = time.Second
	d.options.Scenario.Timeline.Load = 10 * time.Second // a busy machine sees it fire late
	d.options.Scenario.Timeline.Recovery = time.Second
	d.sender.errors = during(1, 7)
	rec := d.live()
	rosters := seen[report.OnCallRecord](t, rec, report.OnCallSeen)
	if len(rosters) != 2 {
		t.Fatalf("%+v", rosters)
	}
	for _, r := range rosters {
		if r.Source != "desk.ops" || r.Error != "" || len(r.Duties) != 1 || r.Duties[0] != (responders.Duty{Who: "ann", Level: 1}) {
			t.Errorf("%+v", r)
		}
	}
	var told []string
	for _, f := range seen[report.Found](t, rec, report.PreflightFound) {
		told = append(told, f.Summary)
	}
	for _, want := range []string{"the first level is asked not to acknowledge Failing", "chat counts as down"} {
		if !slices.Contains(told, want) {
			t.Errorf("nobody says %q: %q", want, told)
		}
	}
	opened := false
	for _, e := range seen[responders.Event](t, rec, report.ResponseSeen) {
		if e.Kind == responders.Opened {
			opened = true
			if e.Text != "[drill]" {
				t.Errorf("the page says %q", e.Text)
			}
		}
	}
	if !opened {
		t.Error("no page was opened")
	}
}

// TestIncidentsAreToldOf asks sources for what would be a real incident too, and not for what the drill expects alone.
func TestIncidentsAreToldOf(t *testing.T) {
	d := newDay(t, `alarms "probe" "main" {}
responders "desk" "ops" {
  level { people = ["ann"] }
}
`, lateAlarm+`
  abort "alarm" {
    incident = alarms.probe.main
    match    = { severity = "page" }
  }
  abort "page" { incident = responders.desk.ops }
`)
	s := newSources(&run{Options: d.options, ctx: t.Context()})
	defer s.close()
	if !s.open() || d.probe.beside["severity"] != "page" {
		t.Errorf("the source tells of %v, and of what is expected", d.probe.beside)
	}
	if got := matches(d.options.Scenario, "desk.ops"); len(got) != 2 || got[0]["alertname"] != "Down" || len(got[1]) != 0 {
		t.Errorf("the pages of %v are told of", got)
	}
	if got := matches(d.options.Scenario, "other.ops"); len(got) != 1 {
		t.Errorf("the pages of %v are told of", got)
	}
}

// TestWhatIsNoIncident goes on when somebody adds to the story of a page, which may be long over, and ends when one is passed on.
func TestWhatIsNoIncident(t *testing.T) {
	for kind, ends := range map[responders.Kind]bool{responders.Opened: true, responders.Acknowledged: true, responders.Escalated: true, responders.BridgeOpened: true,
		responders.Noted: false, responders.Filed: false, responders.Marked: false, responders.Resolved: false} {
		d := newDay(t, incidentWorld, `abort "real" { incident = responders.desk.ops }`)
		rec, err := newRecorder(d.options.Dir, time.Now(), func(s string) string { return s }, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &run{Options: d.options, rec: rec}
		r.ctx, r.cancel = context.WithCancelCause(t.Context())
		newSources(r).incidentPage("desk.ops", responders.Event{Page: "7", Kind: kind, At: clock.At(time.Now())})
		if ended := r.ctx.Err() != nil; ended != ends {
			t.Errorf("%s: ended %v", kind, ended)
		}
		r.cancel(nil)
		if err := rec.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestIncidentAtTheEnd is no abort of a drill that has come to its end, and is not kept from anybody.
func TestIncidentAtTheEnd(t *testing.T) {
	d := newDay(t, incidentWorld, `abort "real" { incident = responders.desk.ops }`)
	rec, err := newRecorder(d.options.Dir, time.Now(), func(s string) string { return s }, func(e report.Event) {
		if e.Kind != report.Noted || !strings.Contains(string(e.Data), "page 7, as the drill came to its end") {
			t.Errorf("%s: %s", e.Kind, e.Data)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Options: d.options, rec: rec}
	r.ctx, r.cancel = context.WithCancelCause(t.Context())
	defer r.cancel(nil)
	r.over.Store(true)
	newSources(r).incidentPage("desk.ops", responders.Event{Page: "7", Kind: responders.Opened, At: clock.At(time.Now())})
	if rec.seq != 1 || r.ctx.Err() != nil {
		t.Errorf("%d events, %v", rec.seq, r.ctx.Err())
	}
	if err := rec.close(); err != nil {
		t.Error(err)
	}
}
