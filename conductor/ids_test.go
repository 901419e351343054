package conductor

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/faults"
)

func TestInjectionID(t *testing.T) {
	long := strings.Repeat("f", 99)
	for name, tc := range map[string]struct {
		run, fault string
		n          int
		want       string
	}{
		"short names stay":        {"rec-0a1b2c", "cut", 0, "rec-0a1b2c-cut-1"},
		"all that an id may have": {"rec-0a1b2c", "Cut_the.line-2", 11, "rec-0a1b2c-Cut_the.line-2-12"},
		"a long fault":            {"rec-0a1b2c", long, 0, "rec-0a1b2c-" + strings.Repeat("f", 37) + "-7d8ff9e388-1"},
		"letters it cannot have":  {"rec-0a1b2c", "cut it", 0, "rec-0a1b2c-cut_it-09c7ee3e64-1"},
	} {
		if got := injectionID(tc.run, tc.fault, tc.n); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	if id := injectionID(strings.Repeat("r", 60)+"-0a1b2c", long, 999); !faults.ValidID(id) {
		t.Errorf("of the longest names: %s (%d bytes) is not valid", id, len(id))
	}
}

// TestInjectionIDs checks that ids are valid whatever things are called, that two injections of a run have two, and that an
// id begins with what idOfRun says.
func TestInjectionIDs(t *testing.T) {
	name := rapid.StringOfN(rapid.RuneFrom([]rune("ab-_. /ü1")), 1, 120, -1)
	rapid.Check(t, func(t *rapid.T) {
		run := "r" + name.Draw(t, "run")
		one, other := name.Draw(t, "fault"), name.Draw(t, "other fault")
		n, m := rapid.IntRange(0, 9999).Draw(t, "place"), rapid.IntRange(0, 9999).Draw(t, "other place")
		a, b := injectionID(run, one, n), injectionID(run, other, m)
		if !faults.ValidID(a) || !faults.ValidID(b) {
			t.Fatalf("%q (%d bytes) or %q (%d) is not valid", a, len(a), b, len(b))
		}
		if (a == b) != (one == other && n == m) {
			t.Fatalf("%q at %d and %q at %d have %q and %q", one, n, other, m, a, b)
		}
		if !strings.HasPrefix(a, idOfRun(run)+"-") {
			t.Fatalf("%q does not begin with %q", a, idOfRun(run))
		}
	})
}
