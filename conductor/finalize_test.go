package conductor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/report"
)

const lateAlarm = `
  fault "hold" "cut" {
    target   = target.web
    at       = "2s"
    duration = "4s"
  }
  alarm "Down" {
    source       = alarms.probe.main
    match        = { alertname = "Down" }
    cause        = fault.cut
    fires_within = "2m"
  }
`

// TestFinalize asks a source again that knew little at the end of the run, and of a deadline that came after it.
func TestFinalize(t *testing.T) {
	play(t, `alarms "probe" "main" {}`, lateAlarm, func(d *day) {
		d.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			return nil, alarms.Coverage{Spans: []clock.Span{{Start: span.Start, End: span.Start.Add(10 * time.Second)}}}, nil
		}
	}, func(d *day, rec *report.Record) {
		outcome := func() clock.Outcome {
			rec, err := report.Read(d.options.Dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range report.Score(rec).Items() {
				if it.ID == "alarm.Down.fired" {
					return it.Outcome
				}
			}
			t.Fatal("the alarm is not judged")
			return clock.Unknown
		}
		finalize := func() Asked {
			asked, err := Finalize(d.t.Context(), d.options.Dir, d.options.Scenario)
			if err != nil || len(asked) != 1 {
				t.Fatalf("%v, %v", asked, err)
			}
			return asked[0]
		}
		if got := outcome(); got != clock.Unknown {
			t.Fatalf("at the end of the run it is %v", got)
		}
		onset := seen[report.Injection](t, rec, report.Injected)[0].Onset
		time.Sleep(3 * time.Minute)

		// It does not answer, or knows even less: the record is as it was.
		before, _ := os.ReadFile(filepath.Join(d.options.Dir, report.EventsFile))
		d.probe.history = func(clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			return nil, alarms.Coverage{}, errors.New("connection refused")
		}
		if a := finalize(); a.Kept || !strings.Contains(a.Why, "refused") {
			t.Errorf("%+v", a)
		}
		d.probe.history = func(clock.Span) ([]alarms.Episode, alarms.Coverage, error) { return nil, alarms.Coverage{}, nil }
		if a := finalize(); a.Kept || !strings.Contains(a.Why, "0 % of the run now") {
			t.Errorf("%+v", a)
		}
		if after, _ := os.ReadFile(filepath.Join(d.options.Dir, report.EventsFile)); string(after) != string(before) {
			t.Error("an answer that was left out changed the record")
		}

		// It knows all: also what came after the run, within the deadline. A last line that was cut off is in nobody's way.
		f, err := os.OpenFile(filepath.Join(d.options.Dir, report.EventsFile), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(`{"seq":99`); err != nil {
			t.Fatal(err)
		}
		f.Close()
		d.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			return []alarms.Episode{{Key: "Down", Labels: map[string]string{"alertname": "Down"}, Firing: onset.Shift(time.Minute)}},
				alarms.Coverage{Spans: []clock.Span{span}}, nil
		}
		if a := finalize(); !a.Kept || a.Seen != 1 {
			t.Errorf("%+v", a)
		}
		if got := outcome(); got != clock.Met {
			t.Errorf("asked again it is %v", got)
		}
		// It has lost what it knew, or is another: what the record has stays.
		d.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			return nil, alarms.Coverage{Spans: []clock.Span{span}}, nil
		}
		if a := finalize(); a.Kept || !strings.Contains(a.Why, "Down any more") {
			t.Errorf("%+v", a)
		}
		if got := outcome(); got != clock.Met {
			t.Errorf("asked a third time it is %v", got)
		}
		// A last line that lacks only its end is one of the record.
		path := filepath.Join(d.options.Dir, report.EventsFile)
		whole, _ := os.ReadFile(path)
		if err := os.WriteFile(path, whole[:len(whole)-1], 0o600); err != nil {
			t.Fatal(err)
		}
		d.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			return []alarms.Episode{{Key: "Down", Labels: map[string]string{"alertname": "Down"}, Firing: onset.Shift(time.Minute)}},
				alarms.Coverage{Spans: []clock.Span{span}}, nil
		}
		if a := finalize(); !a.Kept {
			t.Errorf("%+v", a)
		}
		if got := outcome(); got != clock.Met {
			t.Errorf("after a line without an end it is %v", got)
		}
		// What it can see only while somebody watches, such as pages, stays known.
		d.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			return []alarms.Episode{{Key: "Down", Labels: map[string]string{"alertname": "Down"}, Firing: onset.Shift(time.Minute)}},
				alarms.Coverage{Spans: []clock.Span{span}, Blind: []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{span}, Why: "nobody watches"}}}, nil
		}
		if a := finalize(); !a.Kept {
			t.Errorf("%+v", a)
		}
		again, err := report.Read(d.options.Dir)
		if err != nil {
			t.Fatal(err)
		}
		told := seen[report.AlarmRecord](t, again, report.AlarmHistory)
		if last := told[len(told)-1]; len(last.Coverage.Blind) > 0 {
			t.Errorf("asked a last time it is blind to what was seen: %+v", last.Coverage.Blind)
		}
		// Nobody adds to a record that is being written.
		f, err = os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := lockRecord(f); err != nil {
			t.Fatal(err)
		}
		if _, err := Finalize(d.t.Context(), d.options.Dir, d.options.Scenario); err == nil || !strings.Contains(err.Error(), "still writing it") {
			t.Errorf("while somebody writes: %v", err)
		}
		if n := d.probe.standing.Load(); n != 0 {
			t.Errorf("%d sources were opened for the run and afterwards, and not closed", n)
		}
	})
}
