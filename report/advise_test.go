package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// studied is the study of the rule Down over a run whose fault is from 20 s to 40 s: every second a look, and a measure that
// is 1, and 6 from 24 s to 44 s.
func studied(change func(*alarms.RuleStudy)) alarms.RuleStudy {
	s := alarms.RuleStudy{Alarm: "Down", Rule: "Down", Query: "errors > 10", For: sec(3), Interval: sec(2), Scrape: sec(5), Step: sec(1),
		Error: 100 * time.Millisecond, Looks: during(0, 100), Limit: &alarms.Comparison{Left: "errors", Op: ">", Threshold: 10}}
	s.Past = &alarms.Past{Span: clock.Span{Start: at(-14 * 86400), End: at(0)}, Step: sec(31), Data: 13 * 24 * time.Hour, Series: 1, Worst: 8, Middle: 1}
	s.Levels = []alarms.Level{{Threshold: 2, Fired: 9, Firing: time.Hour}, {Threshold: 5, Fired: 3, Firing: time.Hour}, {Threshold: 8}, {Threshold: 10}}
	s.Values = []alarms.Track{measures(1, 6, 24, 44)}
	if change != nil {
		change(&s)
	}
	return s
}

// measures is a series with one value, and another between two seconds.
func measures(calm, bad float64, from, to int) alarms.Track {
	var t alarms.Track
	for s := range 100 {
		v := calm
		if s >= from && s < to {
			v = bad
		}
		t.Points = append(t.Points, [2]float64{float64(s), v})
	}
	return t
}

// mirror turns a study upside down: what was above is below.
func mirror(s *alarms.RuleStudy) {
	c := *s.Limit
	c.Op, c.Threshold = map[string]string{">": "<", ">=": "<="}[c.Op], -c.Threshold
	s.Limit = &c
	p := *s.Past
	p.Worst, p.Middle = -p.Worst, -p.Middle
	s.Past = &p
	for i := range s.Levels {
		s.Levels[i].Threshold *= -1
	}
	slices.Reverse(s.Levels)
	for _, t := range s.Values {
		for i := range t.Points {
			t.Points[i][1] *= -1
		}
	}
}

// adviceCase is a run and the study of its rule, and what is to be said of them.
type adviceCase struct {
	fired []alarm
	study alarms.RuleStudy
	want  []string // the sentences, each by a part
	next  string   // what there is to do, by a part; "-" when nothing of thresholds is
}

// isGiven scores the run: its card, its page and its text say just that.
func (c adviceCase) isGiven(t *testing.T) {
	plan := smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })
	rec := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, c.fired...).
		add(99, RulesStudied, RuleRecord{Source: "prometheus.main", Span: during(0, 99), Calm: during(0, 20),
			Advice: alarms.Advice{Fired: true, Studies: []alarms.RuleStudy{c.study}}}).record()
	card := Score(rec)
	if len(card.Rules) != 1 {
		t.Fatalf("%d rules", len(card.Rules))
	}
	got := card.Rules[0].Text
	if len(got) < len(c.want) {
		t.Errorf("%d sentences, want %d: %q", len(got), len(c.want), got)
	}
	all := strings.Join(got, "\n")
	for _, w := range c.want {
		if !strings.Contains(all, w) {
			t.Errorf("lacks %q:\n%s", w, all)
		}
	}
	for i := len(c.want); i < len(got); i++ {
		t.Errorf("says too much: %q", got[i])
	}
	next := ""
	for _, a := range card.Next {
		next += a.Text + "\n"
	}
	if told := strings.Contains(next, "threshold"); told != (c.next != "-") || told && !strings.Contains(next, c.next) {
		t.Errorf("next: %s", next)
	}
	var page, text bytes.Buffer
	if err := HTML(&page, card); err != nil || !strings.Contains(page.String(), "What the rules could have seen") {
		t.Errorf("the page: %v", err)
	}
	if err := Text(&text, card, TextOptions{}); err != nil || !strings.Contains(text.String(), "\n Rules\n") {
		t.Errorf("%v:\n%s", err, text.String())
	}
}

// TestRuleAdvice says of each rule what it could have seen, and nothing that is not known.
func TestRuleAdvice(t *testing.T) {
	fired := []alarm{{name: "Down", pending: 26, firing: 30, ends: 50}}
	late := []alarm{{name: "Down", pending: 26, firing: 48, ends: 50}}
	held := func(from, to float64) func(*alarms.RuleStudy) {
		return func(s *alarms.RuleStudy) {
			s.Held = []clock.Span{during(from, to)}
			s.Limit.Threshold = 5
			s.Levels = s.Levels[:2]
		}
	}
	for name, c := range map[string]adviceCase{
		"fired in time": {fired, studied(held(24, 44)), []string{
			"Down could have fired 3.5 s ± 0.6 after the onset at the earliest, when its condition held in the data (a new sample every 5s). An evaluation found it 2.5 s ± 1.1 later (every 2s), and its `for` of 3s took 4.0 s ± 1.0."}, "-"},
		"missed": {nil, studied(nil), []string{
			"The condition of Down never held after the onset: it came to 6, and fires at > 10.",
			"A threshold of 5 instead of 10 would have made Down fire 8.5 s ± 1.6 after the onset; in the two weeks before, of which there is data for 13.0 days, it would have fired 3 times.",
			"Its own of 10 would never have fired then. Looks at the past are 31s apart"}, "A threshold of 5 instead of 10"},
		"missed below": {nil, studied(mirror), []string{
			"it came to -6, and fires at < -10", "A threshold of -5 instead of -10 would have made Down fire 8.5 s ± 1.6", "never"}, "A threshold of -5"},
		"missed without a past": {nil, studied(func(s *alarms.RuleStudy) { s.Past = nil }), []string{"came to 6",
			"how often it would have fired in the two weeks before is not known, for there is no data"}, "A threshold of 5"},
		"missed by a value that is often": {nil, studied(func(s *alarms.RuleStudy) {
			s.Values = []alarms.Track{measures(1, 6, 10, 90)}
		}), []string{"came to 6", "None of 3 other thresholds tried would have caught it within 20s without firing before the fault"}, "-"},
		"missed by too short": {nil, studied(func(s *alarms.RuleStudy) {
			s.Values = []alarms.Track{measures(1, 60, 24, 27)}
			s.Held = []clock.Span{during(24, 26)}
		}), []string{"Down could have fired 3.5 s ± 0.6 after the onset at the earliest",
			"Its condition held for at most 3s at a time, and its `for` asks for 3s, looked at every 2s", "None of 3 other thresholds"}, "-"},
		"late by no fault of its own": {late, studied(held(24, 49)), []string{"its `for` of 3s took 22.0 s ± 1.0", "By what it measures Down should have fired 8.5 s ± 1.6 after the onset"}, "-"},
		"not to be taken apart": {nil, studied(func(s *alarms.RuleStudy) {
			s.Limit, s.Levels, s.Values, s.Past, s.NoLimit = nil, nil, nil, nil, "it joins conditions with and"
		}), []string{"The condition of Down never held after the onset.", "Other thresholds cannot be tried for Down: it joins conditions with and."}, "-"},
		"nothing known": {nil, studied(func(s *alarms.RuleStudy) {
			*s = alarms.RuleStudy{Alarm: "Down", Rule: "Down", Query: "errors > 10", Why: []string{"when its condition held: no answer within 5s"}}
		}), []string{"Not known of Down: when its condition held: no answer within 5s."}, "-"},
		"never near": {fired, studied(func(s *alarms.RuleStudy) {
			s.Held = []clock.Span{during(24, 44)}
			s.Values = []alarms.Track{measures(1, 60, 24, 44)}
			s.Past.Worst, s.Levels = 2, []alarms.Level{{Threshold: 1.5, Fired: 2}, {Threshold: 3}, {Threshold: 6}, {Threshold: 10}}
		}), []string{"could have fired 3.5", "Its threshold of 10 could be tightened to 6: in the two weeks before, of which there is data for 13.0 days, and before the fault it never came nearer than 2. It would have fired 8.5 s ± 1.6 after the onset."}, "-"},
		"near enough": {fired, studied(func(s *alarms.RuleStudy) { s.Held = []clock.Span{during(24, 44)} }), []string{"could have fired 3.5"}, "-"},
		"near before the fault": {fired, studied(func(s *alarms.RuleStudy) {
			s.Held = []clock.Span{during(24, 44)}
			s.Values = []alarms.Track{measures(1, 9, 5, 7)}
			s.Past.Worst = 2
		}), []string{"could have fired 3.5"}, "-"},
		"hardly a past": {fired, studied(func(s *alarms.RuleStudy) {
			s.Held = []clock.Span{during(24, 44)}
			s.Past.Worst, s.Past.Data = 2, 23*time.Hour
		}), []string{"could have fired 3.5"}, "-"},
	} {
		t.Run(name, c.isGiven)
	}
}

// TestLateForALongTime tells a rule that waits too long from one that measures too little.
func TestLateForALongTime(t *testing.T) {
	plan := smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })
	study := studied(func(s *alarms.RuleStudy) {
		s.For, s.Limit.Threshold = sec(22), 8
		s.Values, s.Held = []alarms.Track{measures(1, 9, 24, 60)}, []clock.Span{during(24, 59)}
	})
	rec := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 26, firing: 48, ends: 60}).
		add(99, RulesStudied, RuleRecord{Source: "prometheus.main", Span: during(0, 99), Calm: during(0, 20),
			Advice: alarms.Advice{Fired: true, Studies: []alarms.RuleStudy{study}}}).record()
	got := Score(rec).Rules[0]
	if got.Better != nil || got.Held == nil || got.Waited.Mid() != sec(22) {
		t.Errorf("%+v", got)
	}
	if all := strings.Join(got.Text, "\n"); !strings.Contains(all, "its `for` of 22s took 22.0 s ± 1.0") || !strings.Contains(all, "shorten its `for`") {
		t.Error(all)
	}
}

// TestRuleLists names the rules that nothing shows to have fired, and none when nobody knows.
func TestRuleLists(t *testing.T) {
	rules := []alarms.RuleUse{{Name: "Disk"}, {Name: "Down"}, {Name: "Slow", Fired: true}}
	for name, c := range map[string]struct {
		rec  RuleRecord
		want []string
		says string
	}{
		"some": {RuleRecord{Advice: alarms.Advice{Fired: true, Rules: rules}}, []string{"Disk"},
			"prometheus.main has 3 alerting rules, and nothing shows that this run made these fire: Disk."},
		"more than are listed": {RuleRecord{Advice: alarms.Advice{Fired: true, Rules: rules, More: 4}}, []string{"Disk"}, "has 7 alerting rules"},
		"nobody knows":         {RuleRecord{Advice: alarms.Advice{Rules: rules, Why: []string{"no answer"}}}, []string{}, "which of its rules fired is not known: no answer."},
		"no answer":            {RuleRecord{Error: "no answer"}, []string{}, "it did not tell of its rules: no answer."},
		"all":                  {RuleRecord{Advice: alarms.Advice{Fired: true, Rules: rules[1:]}}, []string{}, ""},
	} {
		plan := smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })
		c.rec.Source = "prometheus.main"
		rec := smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole, alarm{name: "Down", pending: 24, firing: 26, ends: 50}).
			add(98, RulesStudied, RuleRecord{Source: "prometheus.main", Advice: alarms.Advice{Fired: true, Rules: []alarms.RuleUse{{Name: "Old"}}}}).
			add(99, RulesStudied, c.rec).record()
		got := Score(rec).RuleLists
		if len(got) != 1 || !slices.Equal(got[0].Quiet, c.want) || !strings.Contains(got[0].Words(), c.says) || (c.says == "") != (got[0].Words() == "") {
			t.Errorf("%s: %+v %q", name, got, got[0].Words())
		}
	}
}

// TestAdviceIsNoScore adds a study to a record, and nothing that is scored changes.
func TestAdviceIsNoScore(t *testing.T) {
	plan := smallPlan(func(p *Plan) { p.Alarms = []AlarmPlan{downAlarm} })
	build := func() *builder { return smallRun(t, plan, nil).alarms("prometheus.main", 100, smallWhole) }
	without := Score(build().record())
	with := Score(build().add(99, RulesStudied, RuleRecord{Source: "prometheus.main", Span: during(0, 99), Calm: during(0, 20),
		Advice: alarms.Advice{Fired: true, Studies: []alarms.RuleStudy{studied(nil)}}}).record())
	if with.Low != without.Low || with.High != without.High || with.Verdict != without.Verdict || with.Coverage != without.Coverage {
		t.Errorf("with a study %v to %v, without %v to %v", with.Low, with.High, without.Low, without.High)
	}
	b, err := json.Marshal(with)
	if err != nil || !bytes.Contains(b, []byte(`"better":{"value":5,"was":10,`)) {
		t.Errorf("%v %s", err, b)
	}
}
