package report

import (
	"strings"
	"testing"

	"gameday/alarms"
	"gameday/clock"
)

// TestLinks judges whether what an alarm links to is there.
func TestLinks(t *testing.T) {
	notes := map[string]string{"runbook_url": "https://runbooks.example/1"}
	answer := func(status int, why string, invalid bool) *LinkAnswer {
		return &LinkAnswer{Alarm: "Down", Annotation: "runbook_url", URL: "https://runbooks.example/1", Status: status, Error: why, Invalid: invalid}
	}
	for name, c := range map[string]struct {
		notes map[string]string
		fires bool
		link  *LinkAnswer
		want  clock.Outcome
		why   string
	}{
		"answers":           {notes, true, answer(200, "", false), clock.Met, ""},
		"wants a sign-in":   {notes, true, answer(403, "", false), clock.Met, ""},
		"gone":              {notes, true, answer(404, "", false), clock.Missed, "404 Not Found"},
		"broken":            {notes, true, answer(503, "", false), clock.Missed, "503"},
		"a proxy's word":    {notes, true, answer(407, "", false), clock.Unknown, "a proxy answers"},
		"unreachable":       {notes, true, answer(0, "nothing answers: refused", false), clock.Unknown, "cannot be told"},
		"no address":        {notes, true, answer(0, "it is no address of a web page", true), clock.Missed, "no address"},
		"not asked":         {notes, true, nil, clock.Unknown, "was not asked"},
		"no link":           {map[string]string{"summary": "x"}, true, nil, clock.Missed, "it has no runbook_url"},
		"it did not fire":   {notes, false, nil, clock.Unknown, ""},
		"another alarm's":   {notes, true, &LinkAnswer{Alarm: "Up", Annotation: "runbook_url", Status: 200}, clock.Unknown, "was not asked"},
		"of something else": {notes, true, &LinkAnswer{Alarm: "Down", Annotation: "dashboard", Status: 200}, clock.Unknown, "was not asked"},
	} {
		plan := smallPlan(func(p *Plan) {
			a := downAlarm
			a.Links = []string{"runbook_url"}
			p.Alarms = []AlarmPlan{a}
		})
		b := smallRun(t, plan, nil)
		rec := AlarmRecord{Source: "prometheus.main", Span: during(0, 100), Coverage: alarms.Coverage{Spans: smallWhole}}
		if c.fires {
			e := alarm{name: "Down", pending: 22, firing: 30}.episode("prometheus.main")
			e.Notes = c.notes
			rec.Episodes = []alarms.Episode{e}
		}
		b.add(100, AlarmHistory, rec)
		if c.link != nil {
			b.add(100, LinkAsked, *c.link)
		}
		t.Run(name, func(t *testing.T) {
			it := item(t, Score(b.record()), "alarm.Down.links")
			value := 0.0
			if c.want == clock.Met {
				value = 1
			}
			check(t, it, c.want, value, c.why)
		})
	}
}

// TestRouted judges to whom an alarm goes, by the source where its page is seen.
func TestRouted(t *testing.T) {
	for name, c := range map[string]struct {
		receivers []string
		want      clock.Outcome
		why       string
	}{
		"right":     {[]string{"all", "pager"}, clock.Met, ""},
		"wrong":     {[]string{"chat"}, clock.Missed, "routed to chat"},
		"not known": {nil, clock.Unknown, "did not say"},
	} {
		plan := smallPlan(func(p *Plan) {
			a := downAlarm
			a.Receiver, a.PagesVia, a.PagesWithin = "pager", "alertmanager.main", sec(30)
			p.Alarms = []AlarmPlan{a}
		})
		b := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 22, firing: 30})
		e := alarm{name: "Down", firing: 30}.episode("alertmanager.main")
		e.Receivers = c.receivers
		b.add(100, AlarmHistory, AlarmRecord{Source: "alertmanager.main", Span: during(0, 100), Episodes: []alarms.Episode{e}, Coverage: alarms.Coverage{Spans: smallWhole}})
		t.Run(name, func(t *testing.T) {
			value := 0.0
			if c.want == clock.Met {
				value = 1
			}
			check(t, item(t, Score(b.record()), "alarm.Down.receiver"), c.want, value, c.why)
		})
	}
}

// TestLinksNameNobody keeps people's names out of what is said of links, of receivers and of labels.
func TestLinksNameNobody(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		a := downAlarm
		a.Links, a.Receiver, a.Labels = []string{"runbook_url"}, "pager", map[string]string{"team": "shop"}
		p.Alarms = []AlarmPlan{a}
	})
	b := smallRun(t, plan, nil)
	e := alarm{name: "Down", pending: 22, firing: 30}.episode("prometheus.main")
	e.Notes, e.Receivers, e.Labels["team"] = map[string]string{"runbook_url": "https://wiki.example/~ann/1"}, []string{"mail-ann"}, "ann"
	b.add(100, AlarmHistory, AlarmRecord{Source: "prometheus.main", Span: during(0, 100), Coverage: alarms.Coverage{Spans: smallWhole}, Episodes: []alarms.Episode{e}})
	b.add(100, LinkAsked, LinkAnswer{Alarm: "Down", Annotation: "runbook_url", URL: "https://wiki.example/~ann/1", Status: 404})
	b.add(50, Marked, Mark{Name: "diagnosis", By: "ann", Text: "the ledger"})
	for _, id := range []string{"links", "receiver", "labels"} {
		it := item(t, Score(b.record()), "alarm.Down."+id)
		said := it.Why + it.Hint + it.Measured
		for _, e := range it.Evidence {
			said += e.Text
		}
		if it.Outcome != clock.Missed || strings.Contains(said, "ann") || !strings.Contains(said, "responder A") {
			t.Errorf("%s: %v, %q", id, it.Outcome, said)
		}
	}
}
