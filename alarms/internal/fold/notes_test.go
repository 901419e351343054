package fold

import (
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// TestNotes gives each episode what it said of itself, and none what another one said.
func TestNotes(t *testing.T) {
	begin := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	var n Notes
	say := func(key string, s float64, text string) { n.Keep(key, at(s), map[string]string{"summary": text}) }
	say("a", 10, "first, early")
	say("a", 10, "first")
	say("a", 30, "second")
	say("b", 5, "other")
	n.Keep("a", at(50), nil)
	for _, c := range []struct {
		key   string
		begin float64
		want  string
	}{{"a", 10, "first"}, {"a", 29.4, "first"}, {"a", 29.6, "second"}, {"a", 30, "second"}, {"a", 60, "second"}, {"a", 9, ""}, {"b", 5, "other"}, {"c", 5, ""}} {
		e := alarms.Episode{Key: c.key, Firing: clock.At(at(c.begin))}
		if got := n.Of(e, 500*time.Millisecond)["summary"]; got != c.want {
			t.Errorf("%s at %v said %q, want %q", c.key, c.begin, got, c.want)
		}
	}
	got := n.Of(alarms.Episode{Key: "b", Firing: clock.At(at(5))}, 0)
	got["summary"] = "changed"
	if n.Of(alarms.Episode{Key: "b", Firing: clock.At(at(5))}, 0)["summary"] != "other" {
		t.Error("what is returned can be changed")
	}
}
