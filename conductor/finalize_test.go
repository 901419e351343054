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

// finishing is a run that is over, whose record may come to know more.
type finishing struct {
	*day
	onset clock.Interval
}

// path is the file of the record's events.
func (f *finishing) path() string { return filepath.Join(f.options.Dir, report.EventsFile) }

// outcome is what the record says of the alarm now.
func (f *finishing) outcome() clock.Outcome {
	f.t.Helper()
	rec, err := report.Read(f.options.Dir)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, it := range report.Score(rec).Items() {
		if it.ID == "alarm.Down.fired" {
			return it.Outcome
		}
	}
	f.t.Fatal("the alarm is not judged")
	return clock.Unknown
}

// finalize asks the source again.
func (f *finishing) finalize() Asked {
	f.t.Helper()
	asked, err := Finalize(f.t.Context(), f.options.Dir, f.options.Scenario)
	if err != nil || len(asked) != 1 {
		f.t.Fatalf("%v, %v", asked, err)
	}
	return asked[0]
}

// tells has the source tell of the alarm and know the whole span, but for what it is blind to.
func (f *finishing) tells(blindTo ...alarms.State) {
	f.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
		c := alarms.Coverage{Spans: []clock.Span{span}}
		for _, state := range blindTo {
			c.Blind = append(c.Blind, alarms.Blind{To: state, Spans: []clock.Span{span}, Why: "nobody watches"})
		}
		return []alarms.Episode{{Key: "Down", Labels: map[string]string{"alertname": "Down"}, Firing: f.onset.Shift(time.Minute)}}, c, nil
	}
}

// TestFinalize asks a source again that knew little at the end of the run, and of a deadline that came after it.
func TestFinalize(t *testing.T) {
	play(t, `alarms "probe" "main" {}`, lateAlarm, func(d *day) {
		d.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
			return nil, alarms.Coverage{Spans: []clock.Span{{Start: span.Start, End: span.Start.Add(10 * time.Second)}}}, nil
		}
	}, func(d *day, rec *report.Record) {
		f := &finishing{day: d}
		if got := f.outcome(); got != clock.Unknown {
			t.Fatalf("at the end of the run it is %v", got)
		}
		f.onset = seen[report.Injection](t, rec, report.Injected)[0].Onset
		time.Sleep(3 * time.Minute)
		f.knowsLess()
		f.knowsAll()
		f.hasLost()
		f.lacksAnEnd()
		f.staysSeen()
		f.isWritten()
		if n := d.probe.standing.Load(); n != 0 {
			t.Errorf("%d sources were opened for the run and afterwards, and not closed", n)
		}
	})
}

// knowsLess asks while the source does not answer, or knows even less: the record is as it was.
func (f *finishing) knowsLess() {
	f.t.Helper()
	before, _ := os.ReadFile(f.path())
	f.probe.history = func(clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
		return nil, alarms.Coverage{}, errors.New("connection refused")
	}
	if a := f.finalize(); a.Kept || !strings.Contains(a.Why, "refused") {
		f.t.Errorf("%+v", a)
	}
	f.probe.history = func(clock.Span) ([]alarms.Episode, alarms.Coverage, error) { return nil, alarms.Coverage{}, nil }
	if a := f.finalize(); a.Kept || !strings.Contains(a.Why, "0 % of the run now") {
		f.t.Errorf("%+v", a)
	}
	if after, _ := os.ReadFile(f.path()); string(after) != string(before) {
		f.t.Error("an answer that was left out changed the record")
	}
}

// knowsAll asks when the source knows all, also what came after the run, within the deadline. A last line that was cut off is in nobody's way.
func (f *finishing) knowsAll() {
	f.t.Helper()
	events, err := os.OpenFile(f.path(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := events.WriteString(`{"seq":99`); err != nil {
		f.t.Fatal(err)
	}
	events.Close()
	f.tells()
	if a := f.finalize(); !a.Kept || a.Seen != 1 {
		f.t.Errorf("%+v", a)
	}
	if got := f.outcome(); got != clock.Met {
		f.t.Errorf("asked again it is %v", got)
	}
}

// hasLost asks when the source has lost what it knew, or is another: what the record has stays.
func (f *finishing) hasLost() {
	f.t.Helper()
	f.probe.history = func(span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
		return nil, alarms.Coverage{Spans: []clock.Span{span}}, nil
	}
	if a := f.finalize(); a.Kept || !strings.Contains(a.Why, "Down any more") {
		f.t.Errorf("%+v", a)
	}
	if got := f.outcome(); got != clock.Met {
		f.t.Errorf("asked a third time it is %v", got)
	}
}

// lacksAnEnd asks when the record's last line lacks only its end: it is one of the record.
func (f *finishing) lacksAnEnd() {
	f.t.Helper()
	whole, _ := os.ReadFile(f.path())
	if err := os.WriteFile(f.path(), whole[:len(whole)-1], 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.tells()
	if a := f.finalize(); !a.Kept {
		f.t.Errorf("%+v", a)
	}
	if got := f.outcome(); got != clock.Met {
		f.t.Errorf("after a line without an end it is %v", got)
	}
}

// staysSeen asks when the source no longer sees what it can see only while somebody watches, such as pages: that stays known.
func (f *finishing) staysSeen() {
	f.t.Helper()
	f.tells(alarms.StatePaged)
	if a := f.finalize(); !a.Kept {
		f.t.Errorf("%+v", a)
	}
	again, err := report.Read(f.options.Dir)
	if err != nil {
		f.t.Fatal(err)
	}
	told := seen[report.AlarmRecord](f.t, again, report.AlarmHistory)
	if last := told[len(told)-1]; len(last.Coverage.Blind) > 0 {
		f.t.Errorf("asked a last time it is blind to what was seen: %+v", last.Coverage.Blind)
	}
}

// isWritten asks while somebody writes the record: nobody adds to it then.
func (f *finishing) isWritten() {
	f.t.Helper()
	events, err := os.Open(f.path())
	if err != nil {
		f.t.Fatal(err)
	}
	defer events.Close()
	if err := lockRecord(f.t.Context(), events); err != nil {
		f.t.Fatal(err)
	}
	if _, err := Finalize(f.t.Context(), f.options.Dir, f.options.Scenario); err == nil || !strings.Contains(err.Error(), "still writing it") {
		f.t.Errorf("while somebody writes: %v", err)
	}
}
