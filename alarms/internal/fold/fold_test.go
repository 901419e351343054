package fold

import (
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// TestEpisodes folds the observations of two alarms.
func TestEpisodes(t *testing.T) {
	zero := time.Unix(1_700_000_000, 0)
	at := func(s int) clock.Interval { return clock.At(zero.Add(time.Duration(s) * time.Second)) }
	var m Memory
	for _, o := range []alarms.Observation{
		{At: at(0), State: alarms.StateUnreachable},
		{At: at(1), Key: "a", State: alarms.StateInactive}, // nothing stood
		{At: at(2), Key: "a", State: alarms.StatePending},
		{At: at(3), Key: "b", State: alarms.StateFiring},
		{At: at(4), Key: "a", State: alarms.StateFiring},
		{At: at(5), Key: "a", State: alarms.StateSuppressed, Why: "silence"},
		{At: at(6), Key: "a", State: alarms.StateSuppressed, Why: "silence"},
		{At: at(7), Key: "a", State: alarms.StateInactive},
		{At: at(8), Key: "a", State: alarms.StatePaged},
		{At: at(9), Key: "a", State: alarms.StateFiring},
	} {
		m.Add(o)
	}
	got := m.Episodes("x.main")
	if len(got) != 3 || got[0].Key != "a" || got[1].Key != "b" || got[2].Key != "a" {
		t.Fatalf("%+v", got)
	}
	if e := got[0]; e.Pending != at(2) || e.Firing != at(4) || e.Ended != at(7) || e.Paged != at(8) ||
		len(e.SuppressedBy) != 1 {
		t.Errorf("first of a: %+v", e)
	}
	if e := got[2]; e.Firing != at(9) || !e.Ended.IsZero() || !e.Paged.IsZero() {
		t.Errorf("second of a: %+v", e)
	}
	for i, want := range []bool{false, true, true} {
		if got := Overlaps(got[i], clock.Span{Start: at(8).Lo, End: at(10).Hi}); got != want {
			t.Errorf("episode %d overlaps: %v", i, got)
		}
	}
}

// TestKey is the same for the same labels in any order, and different for others.
func TestKey(t *testing.T) {
	if got, want := Key(map[string]string{"b": `x"y`, "a": "1"}), `{a="1",b="x\"y"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if Key(map[string]string{"a": `1",b="2`}) == Key(map[string]string{"a": "1", "b": "2"}) {
		t.Error("two sets of labels have one key")
	}
}
