package report

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// tabled is what the page's template sees of a run.
func tabled(t *testing.T, b *builder) view {
	t.Helper()
	c := Score(reread(t, b))
	return view{Scorecard: c, Plan: c.rec.Plan, tl: c.tl, levels: c.Levels(), number: map[string]int{}}
}

// TestDeeds checks the words for what people do, with and without what they said, for every kind that there is; and that a
// person stays a pseudonym in all of them.
func TestDeeds(t *testing.T) {
	var events []responders.Event
	for i, kind := range responders.Kinds() {
		bare, with := did(111+float64(2*i), kind, responders.Human, "ann", 2), did(112+float64(2*i), kind, responders.Human, "ann", 2)
		with.Text, with.Channel = "ann's words", "phone"
		events = append(events, bare, with)
	}
	v := tabled(t, checkout(t, checkoutPlan(), time.Second, nil).responses(280, whole, events...).end(280, EndComplete))
	var said []string
	name := regexp.MustCompile(`\bann\b`)
	for _, d := range v.Deeds() {
		said = append(said, d.What)
		if name.MatchString(d.What+" "+d.Who) || strings.Contains(d.What, "_") {
			t.Errorf("a person's name, or a name of the record: %+v", d)
		}
	}
	for _, want := range []string{"told responder A (level 2): delivered", "acknowledged (level 2), by phone", "escalated to level 2",
		"opened a bridge", "opened the bridge “responder A's words”, by phone", "told customers “responder A's words”, by phone",
		"joined as “responder A's words”, by phone", "said what is wrong", "filed a post-mortem", "resolved"} {
		if !slices.Contains(said, want) {
			t.Errorf("nobody %q, but\n%s", want, strings.Join(said, "\n"))
		}
	}
}

// TestRoster checks that who is on call is told once, and again where it changes or nobody could say.
func TestRoster(t *testing.T) {
	b := checkout(t, checkoutPlan(), time.Second, nil).responses(280, whole, did(111, responders.Acknowledged, responders.Human, "ann", 1))
	ann := []responders.Duty{{Who: "ann", Level: 1, Team: "shop"}}
	for sec, r := range map[float64]OnCallRecord{0.5: {Source: "desk.ops", Duties: ann}, 60: {Source: "desk.ops", Duties: ann},
		100: {Source: "desk.ops", Error: "it is down"}, 165: {Source: "desk.ops"}} {
		b.add(sec, OnCallSeen, r)
	}
	got := tabled(t, b.end(280, EndComplete)).OnCall()
	want := []string{"from 0:00 on, by desk.ops: responder A at level 1 of shop", "from 1:40 on, by desk.ops: it could not say (it is down)",
		"from 2:45 on, by desk.ops: nobody"}
	if !slices.Equal(got, want) {
		t.Errorf("told %q\nwant %q", got, want)
	}
}

// TestServiceLevelsAreTheLevels holds the table to the levels that it shows, and what is unknown to its reason.
func TestServiceLevelsAreTheLevels(t *testing.T) {
	v := tabled(t, failedRun(t))
	rows := v.ServiceLevels()
	if len(rows) != len(v.levels) || len(rows) != 6 {
		t.Fatalf("%d rows of %d levels", len(rows), len(v.levels))
	}
	for i, l := range v.levels {
		x, _, why := l.Read("", "error_ratio")
		if r := rows[i]; why != "" || r.Values[1] != percent(x) || r.Name != l.Name {
			t.Errorf("%s: errors %s, and the level is %g (%s)", r.Name, r.Values[1], x, why)
		}
		if r := rows[i]; slices.Contains(r.Values, "unknown") != (r.Why != "") {
			t.Errorf("%s: %v, because %q", r.Name, r.Values, r.Why)
		}
	}
	if rows[1].Why == "" || rows[0].Why != "" {
		t.Errorf("the generator was at its limit under load: %+v", rows[:2])
	}
}

// TestScales checks which clocks share an axis, and that none is lost.
func TestScales(t *testing.T) {
	for name, tt := range map[string]struct{ ends, want []int }{
		"alike":          {[]int{5, 9, 30, 100}, []int{4}},
		"one that waits": {[]int{5, 9, 1800}, []int{2, 1}},
		"three sorts":    {[]int{432000, 5, 1800, 9, 2000}, []int{2, 2, 1}},
		"one":            {[]int{5}, []int{1}},
		"nothing":        {[]int{0, 0}, []int{2}},
	} {
		var all []reach
		for _, e := range tt.ends {
			all = append(all, reach{end: time.Duration(e) * time.Second})
		}
		var got []int
		for _, rs := range scales(all) {
			got = append(got, len(rs))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: axes of %v clocks, want %v", name, got, tt.want)
		}
	}
}

// TestBarOfEveryOutcome checks the form of a bar for each way in which an item can end.
func TestBarOfEveryOutcome(t *testing.T) {
	onset := clock.At(began)
	late := func(lo, hi int) *clock.Latency {
		return &clock.Latency{Lo: time.Duration(lo) * time.Second, Hi: time.Duration(hi) * time.Second}
	}
	for name, tt := range map[string]struct {
		item Item
		ran  bool
		form barForm
		note string
	}{
		"met":                      {Item{Outcome: clock.Met, Latency: late(5, 6)}, true, formSolid, ""},
		"late":                     {Item{Outcome: clock.Missed, Latency: late(12, 13)}, true, formSolid, ""},
		"too early":                {Item{Outcome: clock.Met, Latency: late(-9, -8)}, true, formSolid, ""},
		"never":                    {Item{Outcome: clock.Missed, Measured: "never"}, true, formHollow, ""},
		"not needed":               {Item{Outcome: clock.Met, Measured: "not needed"}, true, formNone, "not needed"},
		"not seen":                 {Item{Outcome: clock.Unknown}, true, formDashed, ""},
		"too close to the limit":   {Item{Outcome: clock.Unknown, Latency: late(9, 11)}, true, formDashed, ""},
		"nobody knows from when":   {Item{Outcome: clock.Unknown}, false, formNone, "? from when on is not known"},
		"nobody was paged":         {Item{Outcome: clock.Missed, Measured: "never"}, false, formNone, "✗ its clock never began to run"},
		"measured, of no clock":    {Item{Outcome: clock.Unknown, Latency: late(1, 2)}, false, formNone, "? from when on is not known"},
		"without a limit, not met": {Item{Outcome: clock.Missed, Within: -1}, true, formHollow, ""},
	} {
		it := tt.item
		if it.Within == 0 {
			it.Within = 10 * time.Second
		}
		it.Within = max(0, it.Within)
		it.timed(ClockDetect, "x", "the onset")
		if tt.ran {
			it.runs(clock.At(began.Add(20 * time.Second)))
		}
		b := newAxis([]reach{reachOf(&it, onset)}, time.Minute).Bars[0]
		if b.Form != tt.form || b.Note != tt.note {
			t.Errorf("%s: %s %q, want %s %q", name, b.Form, b.Note, tt.form, tt.note)
		}
		for _, p := range []piece{b.Body, b.Doubt, b.Stood, b.Lead} {
			if p.From < 0 || p.To > 100 || p.Wide() < 0 {
				t.Errorf("%s: a piece from %s to %s", name, p.From, p.To)
			}
		}
	}
}
