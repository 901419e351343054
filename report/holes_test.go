package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

func TestGap(t *testing.T) {
	early, wanted := "14:02:05 to 14:02:10: refused early", "14:02:30 to 14:02:45: refused late"
	spans := []clock.Span{during(0, 5), during(10, 30), during(45, 100)}
	inUTC := func(spans []clock.Span) []clock.Span {
		var out []clock.Span
		for _, s := range spans {
			out = append(out, clock.Span{Start: s.Start.UTC(), End: s.End.UTC()})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		spans []clock.Span
		why   []string
		end   float64
		need  clock.Span
		want  string
	}{
		{"the hole in the time needed", spans, []string{early, wanted}, 100, during(20, 50),
			"s was watched for only 50 % of the time (" + wanted + ")"},
		{"both", spans, []string{early, wanted}, 100, during(0, 100),
			"s was watched for only 80 % of the time (" + early + "; " + wanted + ")"},
		{"the source speaks UTC", inUTC(spans), []string{"13:02:05 to 13:02:10: refused early",
			"13:02:30 to 13:02:45: refused late"}, 100, during(20, 50),
			"s was watched for only 50 % of the time (13:02:30 to 13:02:45: refused late)"},
		{"none is about it", spans, []string{early, "and 3 more gaps"}, 100, during(20, 50),
			"s was watched for only 50 % of the time"},
		{"no times", spans, []string{early, "2 answers were cut off"}, 100, during(20, 50),
			"s was watched for only 50 % of the time (2 answers were cut off)"},
		{"deadline after the end", spans, []string{early}, 100, during(60, 200), "the run ended before the deadline"},
		{"and a hole before", spans, []string{early, wanted}, 60, during(20, 200),
			"the run ended before the deadline, and until then s was watched for only 62.5 % of the time (" + wanted + ")"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := gap("s", c.spans, c.why, at(c.end), c.need, true); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestReasonOverMidnight(t *testing.T) {
	near := time.Date(2026, 11, 20, 23, 59, 50, 0, time.UTC)
	for why, want := range map[string]string{
		"23:59:55 to 00:00:05: x": "2026-11-20 23:59:55 2026-11-21 00:00:06",
		"00:00:05 to 00:00:09: x": "2026-11-21 00:00:05 2026-11-21 00:00:10",
		"25:00:05 to 00:00:09: x": "", "x": "",
	} {
		got := ""
		if s, ok := timesOf(why, near); ok {
			got = s.Start.Format(time.DateTime) + " " + s.End.Format(time.DateTime)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", why, got, want)
		}
	}
}

// TestSightingsTellTheirHoles checks that holes put together from sightings are told with their times.
func TestSightingsTellTheirHoles(t *testing.T) {
	b := smallRun(t, smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} }), nil)
	away := func(s float64, why string) {
		x := sighting(s, "Down", alarms.StateUnreachable)
		x.Why = why
		b.add(s, AlarmSeen, x)
	}
	back := func(s float64) { b.add(s, AlarmSeen, sighting(s, "Down", alarms.StateReachable)) }
	back(1)
	away(5, "early")
	back(8)
	away(25, "refused")
	away(28, "refused again")
	back(50)
	want := "prometheus.main was watched for only 22.7 % of the time (14:02:24 to 14:02:50: unreachable: refused)"
	if it := item(t, Score(b.record()), "alarm.Down.fired"); it.Why != want {
		t.Errorf("got  %q\nwant %q", it.Why, want)
	}
}

func TestLastLine(t *testing.T) {
	c := Score(reread(t, passedRun(t)))
	long := "runs/20261120-140212-checkout-loses-payments"
	for _, x := range []struct {
		o    TextOptions
		want string
	}{
		{TextOptions{Record: "runs/one"}, " record runs/one   explain: gameday explain runs/one <item>"},
		{TextOptions{Record: "runs/one", Page: true},
			" record runs/one   report runs/one/report.html   explain: gameday explain runs/one <item>"},
		{TextOptions{Record: long, Page: true}, " record " + long + "\n report " + long +
			"/report.html\n explain: gameday explain " + long + " <item>"},
	} {
		var out bytes.Buffer
		if err := Text(&out, c, x.o); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(out.String(), "\n\n"+x.want+"\n") {
			t.Errorf("%+v ends with %q", x.o, out.String()[max(0, out.Len()-300):])
		}
	}
}

func TestFindBySuffixAndTitle(t *testing.T) {
	c := &Scorecard{Parts: []PartScore{{Items: []Item{
		{ID: "steady_state.latency", Title: "latency under load"}, {ID: "capacity.low latency now", Title: "x"},
		{ID: "alarm.Down.fired", Title: "Down fired"}, {ID: "alarm.Up.fired", Title: "Up fired"},
		{ID: "recovery.cut.steady_state", Title: "back to steady state after cut"},
	}}}}
	for query, want := range map[string]string{
		"latency": "steady_state.latency", "Latency under load": "steady_state.latency",
		"latency under": "steady_state.latency",
		"down fired":    "alarm.Down.fired", "back to": "recovery.cut.steady_state", "own.fired": "alarm.Down.fired",
	} {
		if it, err := c.Find(query); err != nil || it.ID != want {
			t.Errorf("%q: %v, %v", query, it, err)
		}
	}
	_, err := c.Find("fired")
	if err == nil || !strings.HasSuffix(err.Error(), "ids:\n  alarm.Down.fired\n  alarm.Up.fired") {
		t.Errorf("ambiguous: %v", err)
	}
}
