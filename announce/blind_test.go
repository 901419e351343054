package announce

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

// canary is in every name that must not be told.
const canary = "canary"

// genDay draws a blind game day full of canaries, whose hours are on a few days.
func genDay(t *rapid.T) *Day {
	zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	d := &Day{Schedule: "sched" + canary, Occasion: "occ" + canary, Blind: true, Zone: zone}
	for i := range rapid.IntRange(1, 4).Draw(t, "scenarios") {
		d.Scenarios = append(d.Scenarios, fmt.Sprintf("scen%s%d", canary, i))
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, zone).AddDate(0, 0, rapid.IntRange(0, 800).Draw(t, "day")).Add(time.Duration(rapid.IntRange(0, 24*4-1).Draw(t, "quarter")) * 15 * time.Minute)
	length := time.Duration(rapid.IntRange(4, 48).Draw(t, "length")) * 15 * time.Minute
	for i := range rapid.IntRange(1, 7).Draw(t, "days") {
		d.Hours = append(d.Hours, Span{from.AddDate(0, 0, i), from.AddDate(0, 0, i).Add(length)})
	}
	d.Open = len(d.Hours) == 1 && rapid.Bool().Draw(t, "open")
	return d
}

// momentIn draws a moment in the hours of a day.
func momentIn(t *rapid.T, d *Day, label string) time.Time {
	h := rapid.SampledFrom(d.Hours).Draw(t, label+" window")
	return h.From.Add(time.Duration(rapid.Int64Range(0, int64(h.To.Sub(h.From)/time.Second)).Draw(t, label)) * time.Second)
}

// everything returns all that a draft says, in every form, and everything by which it is known.
func everything(t *rapid.T, d Draft) string {
	var b strings.Builder
	b.WriteString(d.Key + d.Message.ID + d.Message.Text() + d.NotBefore.String() + d.Expires.String())
	for _, k := range Kinds[:3] {
		body, err := Body(k, &d.Message, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(body)
	}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(body)
	return b.String()
}

// TestBlind holds that what people hear of a blind game day before it is over has no canary in it, and nothing of its moment: of two that differ in the names, the number
// of scenarios, the moment and the reason why one is skipped, they hear the same, at the same time.
func TestBlind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDay(t)
		c := &Channel{Kind: rapid.SampledFrom(Kinds).Draw(t, "kind"), Name: "all", Scope: "", On: Events, To: Everyone,
			Ahead: time.Duration(rapid.IntRange(1, 72).Draw(t, "ahead")) * time.Hour, StaleAfter: 24 * time.Hour, Link: "https://gameday.example.com"}
		said := func(d *Day, label string) string {
			d.Moment = momentIn(t, d, label)
			var out []string
			for what, x := range map[string]func() (Draft, bool){
				"coming": func() (Draft, bool) { return c.Coming(d) },
				"begun":  func() (Draft, bool) { return c.Begun(d, d.Moment, "") },
				"late":   func() (Draft, bool) { return c.Begun(d, d.Moment, ", "+canary) },
				"skipped": func() (Draft, bool) {
					return c.NotHeld(d, canary+" holds scen"+canary, false, d.Moment)
				},
				"missed":   func() (Draft, bool) { return c.NotHeld(d, canary, true, d.Moment) },
				"collided": func() (Draft, bool) { return c.Collided(d, canary, d.Moment) },
			} {
				draft, told := x()
				if (what == "begun" || what == "late") && told {
					t.Fatalf("when it begins, people hear %q", draft.Message.Text())
				}
				if !told {
					continue
				}
				text := everything(t, draft)
				if strings.Contains(text, canary) {
					t.Fatalf("of what is %s, people hear %s", what, text)
				}
				if what != "coming" && draft.NotBefore.Before(d.closes()) {
					t.Fatalf("that it is %s, people hear at %s, and its hours close at %s", what, draft.NotBefore, d.closes())
				}
				if what == "coming" && !draft.NotBefore.Equal(d.opens().Add(-c.Ahead)) {
					t.Fatalf("they hear of it at %s", draft.NotBefore)
				}
				out = append(out, what+text)
			}
			return sorted(out)
		}
		one := said(d, "one moment")
		other := *d
		other.Schedule, other.Occasion, other.Scenarios = "another"+canary, "x", append([]string{"more" + canary}, d.Scenarios...)
		if two := said(&other, "another moment"); one != two {
			t.Fatalf("they hear\n%s\nand of another one\n%s", one, two)
		}
	})
}

func sorted(lines []string) string {
	out := append([]string(nil), lines...)
	for i := range out {
		for j := i + 1; j < len(out); j++ {
			if out[j] < out[i] {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return strings.Join(out, "\n")
}

// TestCollided holds that of a day that something else keeps from taking place, people hear the same whatever that is, and not before its hours have
// closed; facilitators hear why, at once.
func TestCollided(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDay(t)
		d.Blind = rapid.Bool().Draw(t, "blind")
		d.Schedule, d.Occasion, d.Scenarios = "weekly", "x", []string{"checkout"}
		at := momentIn(t, d, "moment")
		all, leads := &Channel{Kind: Slack, Name: "all", On: Events, To: Everyone}, &Channel{Kind: Slack, Name: "leads", On: Events, To: Facilitators}
		one, told := all.Collided(d, canary, at)
		two, _ := all.Collided(d, "another", momentIn(t, d, "another moment"))
		if text := everything(t, one); !told || strings.Contains(text, canary) || text != everything(t, two) || one.NotBefore.Before(d.closes()) {
			t.Fatalf("people hear %v %s, not before %s", told, text, one.NotBefore)
		}
		late := d.closes().Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "hours late")) * time.Hour)
		if madeUp, told := all.Collided(d, canary, late); !told || strings.Contains(everything(t, madeUp), canary) || madeUp.NotBefore.Before(late.Add(24*time.Hour)) {
			t.Fatalf("of one that was to be made up for at %s, people hear %v %+v", late, told, madeUp)
		}
		if known, told := leads.Collided(d, canary, at); !told || !strings.Contains(known.Message.Text(), canary) || !known.NotBefore.IsZero() {
			t.Fatalf("facilitators hear %v %+v", told, known)
		}
	})
}

// TestFacilitators holds that facilitators are told all of it.
func TestFacilitators(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDay(t)
		d.Moment = momentIn(t, d, "moment")
		c := &Channel{Kind: Slack, Name: "leads", On: Events, To: Facilitators, Ahead: time.Hour}
		coming, told := c.Coming(d)
		if text := coming.Message.Text(); !told || !strings.Contains(text, d.Schedule) || !strings.Contains(text, d.Scenarios[0]) || !strings.Contains(text, d.Moment.In(d.Zone).Format("15:04:05")) {
			t.Fatalf("they hear %q", text)
		}
		if begun, told := c.Begun(d, d.Moment, ""); !told || !begun.NotBefore.IsZero() {
			t.Fatalf("of its begin they hear %v %+v", told, begun)
		}
		if skipped, told := c.NotHeld(d, "because", false, d.Moment); !told || !strings.Contains(skipped.Message.Text(), "because") || !skipped.NotBefore.IsZero() {
			t.Fatalf("that it is skipped, they hear %v %+v", told, skipped)
		}
	})
}

// TestWanted holds who hears of which end.
func TestWanted(t *testing.T) {
	d := &Day{Schedule: "weekly", Scenarios: []string{"a"}, Zone: time.UTC}
	passed, aborted := Result{Scenario: "a", Judged: true, Verdict: "passed"}, Result{Scenario: "a", Judged: true, Verdict: "aborted"}
	left := passed
	left.Left = true
	for _, tt := range []struct {
		on     Event
		result Result
		event  Event // empty: hears nothing
	}{
		{Ended, passed, Ended}, {Ended, aborted, Aborted}, {Ended, left, Residue},
		{Aborted, passed, ""}, {Aborted, aborted, Aborted}, {Aborted, left, ""},
		{Residue, passed, ""}, {Residue, aborted, ""}, {Residue, left, Residue},
		{Coming, left, ""},
	} {
		c := &Channel{Kind: Slack, Name: "sre", On: []Event{tt.on}}
		got, told := c.Ended(d, End{Results: []Result{tt.result}})
		if told != (tt.event != "") || told && got.Message.Event != tt.event {
			t.Errorf("a channel for %s hears %v %q of %+v; want %q", tt.on, told, got.Message.Event, tt.result, tt.event)
		}
	}
	if _, told := (&Channel{On: []Event{Ended}}).Unfinished(d, time.Time{}, "ann", "here"); !told {
		t.Error("a channel for ended hears nothing when it never ends")
	}
}

// TestBounded cuts whatever is long, and leaves no control character.
func TestBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.String(), 0, 60).Draw(t, "lines")
		m := Message{Title: strings.Join(text, "\n"), Lines: append([]string(nil), text...)}
		m.tidy()
		if len(m.Lines) > mostLines+1 {
			t.Fatalf("%d lines", len(m.Lines))
		}
		for _, l := range append(m.Lines, m.Title) {
			if len([]rune(l)) > mostRunes || strings.ContainsAny(l, "\n\r\x1b\x00\u202e") {
				t.Fatalf("%q", l)
			}
		}
		for _, k := range []Kind{Slack, Mattermost, Teams} {
			body, err := Body(k, &m, time.Time{})
			if err != nil || len(body) > 60_000 || k == Teams && len(body) > 28<<10 {
				t.Fatalf("%d bytes for %s: %v", len(body), k, err)
			}
		}
	})
}
