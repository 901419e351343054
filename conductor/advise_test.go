package conductor

import (
	"context"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/report"
)

// TestStudy asks a source about its rules when the run is over, tells it when the first fault came, and records the answer.
func TestStudy(t *testing.T) {
	var asked alarms.Inquiry
	play(t, `alarms "probe" "main" {}`, lateAlarm, func(d *day) {
		d.probe.advise = func(_ context.Context, ask alarms.Inquiry) (alarms.Advice, error) {
			asked = ask
			return alarms.Advice{Fired: true, Rules: []alarms.RuleUse{{Name: "Down"}}}, nil
		}
	}, func(d *day, rec *report.Record) {
		got := seen[report.RuleRecord](t, rec, report.RulesStudied)
		if len(got) != 1 || got[0].Source != "probe.main" || len(got[0].Advice.Rules) != 1 || got[0].Error != "" {
			t.Fatalf("%+v", got)
		}
		if len(asked.Alarms) != 1 || asked.Alarms[0].Name != "Down" || !asked.Run.End.After(asked.Calm.End) || !asked.Calm.Start.Equal(asked.Run.Start) {
			t.Errorf("%+v", asked)
		}
		onset := seen[report.Injection](t, rec, report.Injected)[0].Onset
		if !asked.Calm.End.Equal(onset.Lo) || !got[0].Calm.End.Equal(onset.Lo) {
			t.Errorf("the calm ends at %v, and the fault came at %v", asked.Calm.End, onset)
		}
	})
}

// TestStudyHoldsUpNothing has a source that never answers about its rules: the run ends as it would have, and says so.
func TestStudyHoldsUpNothing(t *testing.T) {
	play(t, `alarms "probe" "main" {}`, lateAlarm, func(d *day) {
		d.probe.advise = func(ctx context.Context, _ alarms.Inquiry) (alarms.Advice, error) {
			<-ctx.Done()
			return alarms.Advice{}, ctx.Err()
		}
	}, func(d *day, rec *report.Record) {
		got := seen[report.RuleRecord](t, rec, report.RulesStudied)
		ended := seen[report.Ended](t, rec, report.RunEnded)
		if len(got) != 1 || got[0].Error == "" || len(ended) != 1 || ended[0].Reason != report.EndComplete {
			t.Fatalf("%+v %+v", got, ended)
		}
		last := rec.Events[len(rec.Events)-1].T - got[0].Span.End.Sub(rec.Events[0].At)
		if last < adviseLimit || last > adviseLimit+time.Second {
			t.Errorf("the run ended %s after it was over, want %s", last, adviseLimit)
		}
	})
}
