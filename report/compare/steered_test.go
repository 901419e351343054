package compare

import (
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// TestFacilitatedRuns checks that a run which somebody held or skipped is named as such, and no other.
func TestFacilitatedRuns(t *testing.T) {
	m := Metric{Yardstick: report.MaxRate}
	var base, head []*Run
	for range 2 {
		v := 100.0
		base, head = append(base, plain("base", m, &v)), append(head, plain("head", m, &v))
	}
	head[1].Name, head[1].ID, head[1].Steered = "led", "led", []report.Steered{{Did: "held", Took: 3 * time.Minute}, {Did: "injected", Fault: "cut"}}
	var got []string
	for _, w := range mustCompare(t, base, head).Warnings {
		if strings.Contains(w, "facilitated") {
			got = append(got, w)
		}
	}
	if len(got) != 1 || got[0] != "led of head did not go by its plan alone, somebody facilitated it: held for 3m, cut by hand" {
		t.Errorf("%q", got)
	}
}
