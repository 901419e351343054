package conductor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/report"
)

const controlled = `
  control {
    for     = "15s"
    history = "2h"
  }
  fault "hold" "cut" {
    target   = target.web
    at       = "5s"
    duration = "5s"
  }
  alarm "Down" {
    source       = alarms.probe.main
    fires_within = "10s"
    required     = true
  }
`

// TestControlPhase sends the load phase's traffic twice, the first time without its fault.
func TestControlPhase(t *testing.T) {
	rest := "start = \"6s\"\n shape \"steps\" {\n multiples = [2, 4]\n hold = \"3s\"\n }\n"
	play(t, `alarms "probe" "main" {}`, controlled+another("late", rest), nil, func(d *day, rec *report.Record) {
		wantEnd(t, rec, report.EndComplete)
		tl := report.NewTimeline(rec)
		p, ok := tl.Phase(report.Control)
		if !ok || p.Start.Sub(tl.Start).Round(time.Second) != 5*time.Second || p.Length() != 15*time.Second {
			t.Fatalf("the control phase is %v", p)
		}
		same(t, "steps", steps(t, rec, report.Injected, report.Reverted), []string{"injected cut 25.0", "reverted cut 30.0"})
		same(t, "the late stream", commanded(d, "late"), []string{
			"5.0 to 0 in 6s, 2 in 0s, 2 in 3s, 4 in 0s, 4 in 3s", "20.0 to 0", "20.0 to 0 in 6s, 2 in 0s, 2 in 3s, 4 in 0s, 4 in 3s", "45.0 stop"})
	})
}

// TestBefore asks about the time before the run, and leaves out the game days in it.
func TestBefore(t *testing.T) {
	var asked clock.Span
	play(t, `alarms "probe" "main" {}`, controlled, func(d *day) {
		began := time.Now()
		for name, ago := range map[string]time.Duration{"ended": 90 * time.Minute, "killed": time.Hour, "older": 3 * time.Hour} {
			pastRecord(t, filepath.Join(filepath.Dir(d.options.Dir), name), began.Add(-ago), name != "killed")
		}
		d.probe.past = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			asked = span
			return nil, alarms.Coverage{Spans: []clock.Span{span}}, nil
		}
	}, func(_ *day, rec *report.Record) {
		began := report.NewTimeline(rec).Start
		if !asked.End.Equal(began) || asked.Length() != 2*time.Hour {
			t.Errorf("asked about %v", asked)
		}
		past := seen[report.AlarmPast](t, rec, report.AlarmBefore)
		if len(past) != 1 || past[0].Error != "" || len(past[0].Runs) != 2 {
			t.Fatalf("the record has %+v", past)
		}
		for i, want := range []report.PastRun{
			{Run: "ended", Span: clock.Span{Start: began.Add(-90 * time.Minute), End: began.Add(-90*time.Minute + 40*time.Second + aftermath)}},
			{Run: "killed", Span: clock.Span{Start: began.Add(-time.Hour), End: began.Add(-time.Hour + time.Minute + aftermath)}}} {
			got := past[0].Runs[i]
			if got.Run != want.Run || !got.Span.Start.Equal(want.Span.Start) || !got.Span.End.Equal(want.Span.End) {
				t.Errorf("past run %v, want %v", got, want)
			}
		}
	})
	play(t, `alarms "probe" "main" {}`, controlled, nil, func(_ *day, rec *report.Record) {
		if past := seen[report.AlarmPast](t, rec, report.AlarmBefore); len(past) != 1 || past[0].Error != "it forgets" {
			t.Errorf("the record has %+v", past)
		}
	})
}

// pastRecord leaves the record of a run of a minute, which ended after 40 seconds or has no end.
func pastRecord(t *testing.T, dir string, at time.Time, ends bool) {
	t.Helper()
	write := func(name string, lines ...any) {
		var text []byte
		for _, l := range lines {
			b, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			text = append(append(text, b...), '\n')
		}
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write(report.PlanFile, report.Plan{Phases: []report.PhasePlan{{Phase: report.Load, Length: time.Minute}}})
	lines := []any{report.Event{Seq: 1, At: at, Kind: report.RunStarted}}
	if ends {
		lines = append(lines, report.Event{Seq: 2, At: at.Add(40 * time.Second), Kind: report.RunEnded},
			report.Event{Seq: 3, At: at.Add(80 * time.Minute), Kind: report.AlarmHistory})
	}
	write(report.EventsFile, lines...)
}
