package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
)

// searchRecord is the record of a search: ten seconds at each of some rates, at the last of which answers took half a second.
func searchRecord(t *testing.T) *Record {
	t.Helper()
	start := time.Date(2026, 11, 20, 14, 2, 0, 0, time.UTC)
	rec := &Record{Plan: &Plan{Scenario: "checkout", Traffic: []TrafficPlan{{Name: "users", Rate: 100}},
		Search: &SearchPlan{Start: 100, Max: 1000, Fault: "cut"}}}
	at := time.Duration(0)
	add := func(kind EventKind, data any) {
		raw, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		rec.Events = append(rec.Events, Event{Seq: uint64(len(rec.Events) + 1), At: start.Add(at), T: at,
			Kind: kind, Data: raw})
	}
	add(RunStarted, Started{At: start})
	step := func(kind loadgen.StepKind, rate float64, seconds int, took time.Duration,
		outcome loadgen.StepOutcome, why string) {
		from := start.Add(at)
		for range seconds {
			w := loadgen.Window{Stream: "users", Start: start.Add(at), Due: uint64(rate), Started: uint64(rate),
				Requests: uint64(rate)}
			for range int(rate) {
				w.OK.Record(took, took)
			}
			rec.Windows = append(rec.Windows, w)
			at += time.Second
		}
		add(CapacityStepped, CapacityStep{Step: loadgen.Step{Kind: kind, Rate: rate}, Multiple: rate / 100,
			From: from, To: start.Add(at), Outcome: outcome, Why: why})
	}
	step(loadgen.Grow, 100, 10, 20*time.Millisecond, loadgen.Held, "")
	step(loadgen.Grow, 200, 10, 21*time.Millisecond, loadgen.Held, "")
	step(loadgen.Grow, 400, 10, 24*time.Millisecond, loadgen.Held, "")
	step(loadgen.Grow, 800, 4, 500*time.Millisecond, loadgen.Broke, "fast (sli.p95 < 0.1)")
	step(loadgen.Rest, 100, 5, 20*time.Millisecond, loadgen.Held, "")
	step(loadgen.Close, 566, 10, 150*time.Millisecond, loadgen.Broke, "fast (sli.p95 < 0.1)")
	step(loadgen.Confirm, 400, 30, 25*time.Millisecond, loadgen.Held, "")
	add(CapacityFound, CapacityAnswer{Base: 100, Fault: "cut", Found: loadgen.Found{Rate: 400, Broke: 566,
		Confirmed: true, Why: "400/s held and 566/s did not"}})
	add(RunEnded, Ended{Reason: EndComplete})
	return rec
}

func TestCurve(t *testing.T) {
	c, err := CurveOf(searchRecord(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Points) != 6 || c.Points[0].Seconds != 10 || c.Points[0].Reached != 100 || c.Points[3].Seconds != 4 || c.Points[5].Kind != loadgen.Confirm {
		t.Errorf("points %+v", c.Points)
	}
	if p := c.Points[3]; p.P95 < 0.499 || p.P95 > 0.502 || p.Why == "" {
		t.Errorf("the step that broke: %+v", p)
	}
	if c.Knee == nil || c.Knee.Rate != 400 || c.Knee.After < 50*c.Knee.Before {
		t.Errorf("the knee %+v", c.Knee)
	}
	var text, again, page bytes.Buffer
	if err := CurveText(&text, c, TextOptions{Record: "runs/x", Page: true}); err != nil {
		t.Fatal(err)
	}
	if err := CurveText(&again, c, TextOptions{Record: "runs/x", Page: true}); err != nil || again.String() != text.String() {
		t.Error("the same answer is printed otherwise")
	}
	golden := filepath.Join("testdata", "capacity.txt")
	if *update {
		if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != text.String() {
		t.Errorf("%v; printed:\n%s", err, text.String())
	}
	for line := range strings.Lines(text.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > textWidth {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	if err := CurveHTML(&page, c); err != nil || !strings.Contains(page.String(), "<svg "+
		"class=\"chart\"") || strings.Contains(page.String(), "http://") &&
		!strings.Contains(page.String(), "http://www.w3.org") {
		t.Errorf("the page: %v", err)
	}
}

// What is not known is not an answer: each way in which a search can end has its code, and no way to fail is a pass.
func TestCurveExitCode(t *testing.T) {
	for name, tt := range map[string]struct {
		found   loadgen.Found
		reason  EndReason
		residue []string
		atLeast float64
		want    int
	}{
		"found":  {loadgen.Found{Rate: 400, Broke: 420, Confirmed: true}, EndComplete, nil, 0, 0},
		"enough": {loadgen.Found{Rate: 400, Broke: 420, Confirmed: true}, EndComplete, nil, 400, 0},
		"at least, and enough": {loadgen.Found{Rate: 400, AtLeast: true, Confirmed: true}, EndComplete, nil,
			300, 0},
		"too little": {loadgen.Found{Rate: 400, Broke: 420, Confirmed: true}, EndComplete, nil, 420, 1},
		"perhaps":    {loadgen.Found{Rate: 400, Broke: 420, Confirmed: true}, EndComplete, nil, 410, 3},
		"at least, and not enough": {loadgen.Found{Rate: 400, AtLeast: true, Confirmed: true}, EndComplete, nil,
			500, 3},
		"not confirmed":                {loadgen.Found{Rate: 400, Broke: 800}, EndComplete, nil, 100, 3},
		"nothing held":                 {loadgen.Found{Broke: 2}, EndComplete, nil, 0, 1},
		"what is needed was not tried": {loadgen.Found{Broke: 100}, EndComplete, nil, 50, 3},
		"nothing known":                {loadgen.Found{}, EndComplete, nil, 0, 3},
		"unsteady":                     {loadgen.Found{}, EndUnsteady, nil, 0, 3},
		"killed":                       {loadgen.Found{}, EndInterrupted, nil, 0, 3},
		"aborted":                      {loadgen.Found{Rate: 400}, EndAborted, nil, 0, 4},
		"stopped":                      {loadgen.Found{Rate: 400, Confirmed: true}, EndStopped, nil, 0, 4},
		"residue": {loadgen.Found{Rate: 400, Confirmed: true}, EndComplete, []string{"cut on " +
			"web"}, 0, 5},
	} {
		c := &Curve{Found: tt.found, Reason: tt.reason, Residue: tt.residue}
		if got := c.ExitCode(tt.atLeast); got != tt.want {
			t.Errorf("%s: exit %d, want %d", name, got, tt.want)
		}
	}
	if _, err := CurveOf(&Record{Plan: &Plan{}}); err == nil {
		t.Error("a game day's record is read as a search's")
	}
}

// A straight curve has no knee, nor one of too few points.
func TestKnee(t *testing.T) {
	var straight, bent []CurvePoint
	for i := 1; i <= 6; i++ {
		straight = append(straight, CurvePoint{Rate: float64(i), P95: float64(i)})
		p := CurvePoint{Rate: float64(i), P95: 1}
		if i > 4 {
			p.P95 = float64(i-4) * 10
		}
		bent = append(bent, p)
	}
	if k := kneeOf(straight); k != nil {
		t.Errorf("a straight line has a knee: %+v", k)
	}
	if k := kneeOf(bent); k == nil || k.Rate != 4 {
		t.Errorf("the knee %+v", k)
	}
	if k := kneeOf(bent[:3]); k != nil {
		t.Errorf("three points have a knee: %+v", k)
	}
}
