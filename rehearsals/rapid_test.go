package rehearsals

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/report"
	"gameday/schedules"
)

// drawRun draws a run that may be anything.
func drawRun(t *rapid.T, name string, n int) Run {
	low := float64(rapid.IntRange(0, 100).Draw(t, "low"))
	high := float64(rapid.IntRange(int(low), 100).Draw(t, "high"))
	return Run{Record: fmt.Sprintf("%s-%d", name, n), Run: fmt.Sprintf("id-%s-%d", name, n), Report: fmt.Sprintf("report %s %d", name, n),
		Fingerprint: rapid.SampledFrom([]string{"now", "now", "now", "before"}).Draw(t, "fingerprint"),
		Started:     now.Add(-time.Duration(rapid.IntRange(-10, 100).Draw(t, "hours ago")) * hour),
		End:         rapid.SampledFrom([]report.EndReason{report.EndComplete, report.EndComplete, report.EndComplete, report.EndInterrupted, report.EndAborted}).Draw(t, "end"),
		Verdict:     rapid.SampledFrom([]report.Verdict{report.Passed, report.Passed, report.Passed, report.Failed, report.Aborted, report.Inconclusive}).Draw(t, "verdict"),
		Residue:     rapid.IntRange(0, 9).Draw(t, "residue") == 0, Running: rapid.IntRange(0, 9).Draw(t, "running") == 0,
		Low: low, High: high, Coverage: float64(rapid.IntRange(0, 10).Draw(t, "coverage")) / 10,
		Parts: []Part{{report.Detection, 100, low, high}}}
}

func drawRehearsal(t *rapid.T) *Rehearsal {
	r := &Rehearsal{Name: "launch"}
	for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
		r.Steps = append(r.Steps, Step{Item: schedules.Item{Scenario: fmt.Sprint("s", i)}, Fingerprint: "now", Lane: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "lane")})
	}
	if rapid.Bool().Draw(t, "limits") {
		r.Require = Limits{Score: ptr(float64(rapid.IntRange(0, 60).Draw(t, "score"))), Coverage: ptr(float64(rapid.IntRange(0, 80).Draw(t, "least coverage"))),
			Parts: map[report.Part]float64{report.Detection: float64(rapid.IntRange(0, 60).Draw(t, "part"))}, FreshWithin: time.Duration(rapid.IntRange(0, 90).Draw(t, "fresh")) * hour}
	}
	return r
}

func drawShown(t *rapid.T, r *Rehearsal) Shown {
	shown := Shown{}
	for _, s := range r.Steps {
		for n := range rapid.IntRange(0, 4).Draw(t, "runs") {
			shown[s.Name()] = append(shown[s.Name()], drawRun(t, s.Name(), n))
		}
	}
	return shown
}

// newest is the oracle's own way to the run that counts.
func newest(runs []Run) *Run {
	var best *Run
	for i := range runs {
		r := &runs[i]
		later := best != nil && (r.Started.After(best.Started) || r.Started.Equal(best.Started) && r.Record > best.Record)
		if best == nil || r.Running && !best.Running || r.Running == best.Running && later {
			best = r
		}
	}
	return best
}

// spotless says by other means than the package whether a run leaves nothing to be asked.
func spotless(q Limits, r *Run, at time.Time) bool {
	ok := r != nil && !r.Running && !r.Residue && r.Unread == "" && r.Fingerprint == "now" && r.Verdict == report.Passed && r.End != report.EndInterrupted && !r.Started.After(at)
	if ok && q.Score != nil {
		ok = r.Low >= *q.Score && r.Coverage*100 >= *q.Coverage-1e-6 && r.Parts[0].Low >= q.Parts[report.Detection]
	}
	return ok && (q.FreshWithin == 0 || at.Sub(r.Started) <= q.FreshWithin)
}

// TestGoIsEarned holds every judgement to the rule that no data is never go.
func TestGoIsEarned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRehearsal(t)
		shown := drawShown(t, r)
		c := Judge(r, shown, nil, now)
		all, residue, bad := true, false, false
		for _, s := range r.Steps {
			n := newest(shown[s.Name()])
			all = all && spotless(r.Require, n, now)
			residue = residue || n != nil && n.Residue
			bad = bad || n != nil && !n.Running && n.Fingerprint == "now" && (n.Verdict == report.Failed || n.Verdict == report.Aborted)
		}
		if (c.State == Go) != all || c.Residue != residue || (residue || bad) && c.State != NoGo || (c.State == Go) != (len(c.Why) == 0) {
			t.Fatalf("%s, residue %v, for %q; want go %v, residue %v, bad %v", c.State, c.Residue, c.Why, all, residue, bad)
		}
		if want := map[State]int{Go: 0, NoGo: 1, NotYetKnown: 3}[c.State]; !residue && c.Exit != want || residue && c.Exit != 5 {
			t.Fatalf("exit code %d of %s", c.Exit, c.State)
		}
		// Time alone makes nothing go that was not, but for a clock that was wrong, and makes nothing no-go.
		later := Judge(r, shown, nil, now.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "later"))*hour))
		if c.State == Go && later.State == NoGo || c.State == NoGo && later.State != NoGo || c.Digest != later.Digest {
			t.Fatalf("%s became %s by waiting", c.State, later.State)
		}
		// Less data is never more certain of go.
		gone := rapid.SampledFrom(r.Steps).Draw(t, "gone").Name()
		less := Shown{}
		for name, runs := range shown {
			if name != gone {
				less[name] = runs
			}
		}
		if Judge(r, less, nil, now).State == Go {
			t.Fatalf("it is go without a run of %s", gone)
		}
	})
}

// TestOrderOfRecords gives the same judgement and the same next steps whatever the order in which records are found.
func TestOrderOfRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRehearsal(t)
		shown := drawShown(t, r)
		mixed := Shown{}
		for name, runs := range shown {
			mixed[name] = rapid.Permutation(runs).Draw(t, "order")
		}
		if diff := cmp.Diff(Judge(r, shown, nil, now), Judge(r, mixed, nil, now)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(Next(r, shown, now), Next(r, mixed, now)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestInterrupted plays rehearsals that are interrupted again and again, and started again with nothing but the records: in the end
// each scenario that passed was run once, those that were cut off again, in the order of their lanes.
func TestInterrupted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRehearsal(t)
		r.Require = Limits{}
		shown, at := Shown{}, now
		passed, order := map[string]int{}, map[string][]string{}
		for round := 0; ; round++ {
			if round > 100 {
				t.Fatal("it never ends")
			}
			p := Next(r, shown, at)
			known := slices.Concat(p.Fresh, p.Running)
			for _, l := range p.Lanes {
				known = append(known, l.Scenarios...)
			}
			if len(known) != len(r.Steps) {
				t.Fatalf("%d of %d scenarios are in the plan", len(known), len(r.Steps))
			}
			if p.Count() == 0 {
				break
			}
			cut := rapid.IntRange(0, p.Count()).Draw(t, "cut off at")
			for _, l := range p.Lanes {
				for _, s := range l.Steps {
					at = at.Add(hour)
					run := Run{Record: fmt.Sprint(round, s.Name()), Fingerprint: s.Fingerprint, Started: at, Verdict: report.Passed, End: report.EndComplete}
					if cut == 0 { // killed in the middle of it
						run.Verdict, run.End = report.Inconclusive, report.EndInterrupted
					} else {
						passed[s.Name()]++
						order[s.Lane] = append(order[s.Lane], s.Name())
					}
					shown[s.Name()] = append(shown[s.Name()], run)
					cut--
					if cut < 0 {
						break
					}
				}
				if cut < 0 {
					break
				}
			}
		}
		if c := Judge(r, shown, nil, at); c.State != Go {
			t.Fatalf("in the end it is %s: %q", c.State, c.Why)
		}
		want := map[string][]string{}
		for _, s := range r.Steps {
			if passed[s.Name()] != 1 {
				t.Fatalf("%s passed %d times", s.Name(), passed[s.Name()])
			}
			want[s.Lane] = append(want[s.Lane], s.Name())
		}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Fatalf("not in the order of the lanes: %s", diff)
		}
	})
}

// TestSeen changes the digest of what was seen with every report, and with nothing else.
func TestSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRehearsal(t)
		shown := drawShown(t, r)
		before := Judge(r, shown, nil, now).Digest
		name := rapid.SampledFrom(r.Steps).Draw(t, "changed").Name()
		n := newest(shown[name])
		if n == nil {
			return
		}
		counts := n.Record
		i := rapid.IntRange(0, len(shown[name])-1).Draw(t, "run")
		shown[name][i].Report += " changed"
		after := Judge(r, shown, nil, now).Digest
		if changed := before != after; changed != (shown[name][i].Record == counts) {
			t.Fatalf("the report of %s changed, %s counts, and the digest changed: %v", shown[name][i].Record, counts, changed)
		}
	})
}
