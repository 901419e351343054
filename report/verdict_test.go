package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/clock"
	"gameday/responders"
)

func TestVerdict(t *testing.T) {
	one := func(o clock.Outcome, value float64, required bool) []PartScore {
		return []PartScore{{Part: Service, Items: []Item{{ID: "a", Outcome: o, Value: value, Weight: 1, Required: required},
			{ID: "b", Outcome: clock.Met, Value: 1, Weight: 4}}}}
	}
	for _, c := range []struct {
		name    string
		parts   []PartScore
		end     EndReason
		residue bool
		want    Verdict
		exit    int
	}{
		{"all met", one(clock.Met, 1, true), EndComplete, false, Passed, 0},
		{"at the pass mark", one(clock.Missed, 0, false), EndComplete, false, Passed, 0},
		{"required missed", one(clock.Missed, 0, true), EndComplete, false, Failed, 1},
		{"required late", one(clock.Missed, 0.9, true), EndComplete, false, Failed, 1},
		{"required unknown", one(clock.Unknown, 0, true), EndComplete, false, Inconclusive, 3},
		{"unknown, and passed all the same", one(clock.Unknown, 0, false), EndComplete, false, Passed, 0},
		{"nothing to judge", nil, EndComplete, false, Inconclusive, 3},
		{"killed", one(clock.Met, 1, false), EndInterrupted, false, Inconclusive, 3},
		{"unsteady", one(clock.Met, 1, false), EndUnsteady, false, Inconclusive, 3},
		{"preflight", one(clock.Met, 1, false), EndPreflight, false, Inconclusive, 3},
		{"error", one(clock.Met, 1, false), EndError, false, Inconclusive, 3},
		{"traffic", one(clock.Met, 1, false), EndTraffic, false, Inconclusive, 3},
		{"error, and failed", one(clock.Missed, 0, true), EndError, false, Failed, 1},
		{"aborted", one(clock.Met, 1, false), EndAborted, false, Aborted, 4},
		{"stopped", one(clock.Unknown, 0, true), EndStopped, false, Aborted, 4},
		{"aborted, and failed", one(clock.Missed, 0, true), EndAborted, false, Failed, 1},
		{"residue outranks all", one(clock.Met, 1, false), EndComplete, true, Failed, 5},
		{"residue outranks an abort", one(clock.Met, 1, false), EndAborted, true, Failed, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Scorecard{Pass: 80, End: c.end, Residue: c.residue, Parts: tally(c.parts, nil)}
			s.sum()
			s.judge()
			if s.Verdict != c.want || s.ExitCode() != c.exit {
				t.Errorf("%v, exit %d; want %v, %d", s.Verdict, s.ExitCode(), c.want, c.exit)
			}
		})
	}
	low := &Scorecard{Pass: 90, End: EndComplete, Parts: tally(one(clock.Missed, 0.4, false), nil)}
	low.sum()
	low.judge()
	if low.Verdict != Failed || math.Abs(low.Low-88) > 1e-9 {
		t.Errorf("%v with %v points", low.Verdict, low.Low)
	}
	open := &Scorecard{Pass: 90, End: EndComplete, Parts: tally(one(clock.Unknown, 0, false), nil)}
	open.sum()
	open.judge()
	if open.Verdict != Inconclusive || math.Abs(open.Coverage-0.8) > 1e-9 {
		t.Errorf("%v with coverage %v", open.Verdict, open.Coverage)
	}
}

func TestTally(t *testing.T) {
	parts := tally([]PartScore{
		{Part: Service, Items: []Item{{Outcome: clock.Met, Value: 1, Weight: 3}, {Outcome: clock.Unknown, Weight: 1}}},
		{Part: Recover},
		{Part: Capacity, Items: []Item{{Outcome: clock.Missed, Value: 0.5, Weight: 2}}},
	}, map[Part]float64{Service: 30})
	got := fmt.Sprintf("%d", len(parts))
	for _, p := range parts {
		got += fmt.Sprintf(" %s %.1f/%.1f/%.1f/%.2f", p.Part, p.Points, p.Low, p.High, p.Coverage)
	}
	if want := "2 service 75.0/56.2/75.0/0.75 capacity 25.0/12.5/12.5/1.00"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSafety(t *testing.T) {
	in := Injection{ID: "run/cut", Fault: "cut", Kind: "network_partition", Place: "db"}
	failing := in
	failing.Error = "nft: device busy"
	for _, c := range []struct {
		name    string
		build   func(*builder)
		residue bool
		clean   bool
		text    string
	}{
		{"clean", func(b *builder) { b.fault("cut", "x", "db", 20, 40).end(100, EndComplete) }, false, true,
			"1 fault injected, 1 gone; nothing left on any target"},
		{"nothing", func(b *builder) { b.end(100, EndUnsteady) }, false, true, "no fault was injected"},
		{"revert failed", func(b *builder) {
			b.fault("cut", "x", "db", 20, 0).add(40, Reverting, in).add(41, RevertFailed, failing).end(100, EndComplete)
		}, true, false, "LEFT STANDING: cut on db: nft: device busy"},
		{"revert failed, then did not", func(b *builder) {
			b.fault("cut", "x", "db", 20, 0).add(40, Reverting, in).add(41, RevertFailed, failing).add(42, Reverted, in).end(100,
				EndComplete)
		}, false, true, "nothing left"},
		{"the run says so", func(b *builder) { b.fault("cut", "x", "db", 20, 40).end(100, EndComplete, "cut on web") }, true,
			false, "cut on web"},
		{"killed: nobody knows", func(b *builder) { b.fault("cut", "x", "db", 20, 0) }, false, false,
			"cut not proven to be gone"},
		{"lapsed", func(b *builder) { b.fault("cut", "x", "db", 20, 0).add(30, Lapsed, in).end(100, EndComplete) }, false,
			true, "1 gone"},
		{"nobody could look", func(b *builder) {
			b.fault("cut", "x", "db", 20, 40).add(100, RunEnded, Ended{Reason: EndComplete, Unseen: "the cluster does not answer; look again"})
		}, false, false, "1 fault injected, 1 gone; nothing is known to be left, but the cluster does not answer; look again"},
		{"a revert failed and nobody could look", func(b *builder) {
			b.fault("cut", "x", "db", 20, 0).add(100, RunEnded, Ended{Reason: EndComplete, Residue: []string{"cut on db"}, Unseen: "the cluster does not answer"})
		}, true, false, "LEFT STANDING: cut on db (run `gameday revert`); the cluster does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBuilder(t, smallPlan(nil)).phases(100)
			c.build(b)
			s := Score(b.record())
			if s.Residue != c.residue || s.Safety.Clean != c.clean || !strings.Contains(s.Safety.Text, c.text) {
				t.Errorf("residue %v, clean %v, %q", s.Residue, s.Safety.Clean, s.Safety.Text)
			}
			if c.residue && (s.ExitCode() != 5 || s.Verdict != Failed || !strings.Contains(s.Why[0], "left standing")) {
				t.Errorf("exit %d, %v, %v", s.ExitCode(), s.Verdict, s.Why)
			}
		})
	}
}

func TestKilledRunIsInconclusive(t *testing.T) {
	b := passedRun(t)
	b.events = b.events[:len(b.events)-1]
	if last := passedRun(t).events[len(b.events)].Kind; last != RunEnded {
		t.Fatalf("the builder's last event is %s", last)
	}
	if c := Score(b.record()); c.Verdict != Inconclusive || c.ExitCode() != 3 || c.Low < 99 {
		t.Errorf("%v, exit %d, %v points", c.Verdict, c.ExitCode(), c.Low)
	}
}

// randomParts draws parts with items of any outcome.
func randomParts(r *rapid.T) []PartScore {
	item := rapid.Custom(func(r *rapid.T) Item {
		return Item{Outcome: rapid.SampledFrom([]clock.Outcome{clock.Unknown, clock.Met, clock.Missed}).Draw(r, "outcome"),
			Value: rapid.Float64Range(0, 1).Draw(r, "value"), Weight: rapid.Float64Range(0, 5).Draw(r, "weight")}
	})
	var parts []PartScore
	for _, p := range []Part{Service, Recover, Detection, Response, Capacity} {
		parts = append(parts, PartScore{Part: p, Items: rapid.SliceOfN(item, 0, 4).Draw(r, string(p))})
	}
	return parts
}

func score(parts []PartScore, weights map[Part]float64) *Scorecard {
	var own []PartScore
	for _, p := range parts {
		p.Items = append([]Item(nil), p.Items...)
		own = append(own, p)
	}
	c := &Scorecard{Parts: tally(own, weights)}
	c.sum()
	return c
}

func TestScoreProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		parts := randomParts(r)
		weights := map[Part]float64{}
		for p := range DefaultWeights() {
			if rapid.Bool().Draw(r, "given") {
				weights[p] = rapid.Float64Range(0, 100).Draw(r, "weight")
			}
		}
		c := score(parts, weights)
		if !(0 <= c.Low && c.Low <= c.High && c.High <= 100 && c.Coverage >= 0 && c.Coverage <= 1) {
			r.Fatalf("low %v, high %v, coverage %v", c.Low, c.High, c.Coverage)
		}
		// Forgetting what one item was never raises the lower bound, never lowers the upper one, and never adds coverage.
		for i := range parts {
			for n := range parts[i].Items {
				was := parts[i].Items[n]
				parts[i].Items[n].Outcome = clock.Unknown
				less := score(parts, weights)
				parts[i].Items[n] = was
				if less.Low > c.Low+1e-9 || less.High < c.High-1e-9 || less.Coverage > c.Coverage+1e-9 {
					r.Fatalf("forgetting turned %v–%v (%v) into %v–%v (%v)", c.Low, c.High, c.Coverage, less.Low, less.High,
						less.Coverage)
				}
			}
		}
	})
}

// TestCoverageAndOrder checks that watching a source for longer never lowers the share that can be judged, and
// that no order of what the sources list changes a single byte.
func TestCoverageAndOrder(t *testing.T) {
	plan := checkoutPlan()
	base := newBuilder(t, plan).phases(280).kill("crash", "process_kill", "payments", 60, 63.4).
		fault("cut", "network_partition", "payments", 100, 145)
	events := []responders.Event{did(111, responders.Notified, responders.Human, "ann", 1),
		did(131, responders.Acknowledged, responders.Human, "ann", 1), marked(160, "bridge opened", "ann"),
		did(112, responders.Acknowledged, responders.Bot, "slackbot", 1)}
	episodes := []alarm{{name: "PaymentsDown", pending: 103, firing: 109, ends: 150}, {name: "Slow", firing: 120,
		ends: 160},
		{name: "Watchdog", firing: 1}}
	build := func(from, to float64, seed uint64) *Scorecard {
		b := *base
		b.events = append([]Event(nil), base.events...)
		e, a := append([]responders.Event(nil), events...), append([]alarm(nil), episodes...)
		r := rand.New(rand.NewPCG(seed, 1))
		r.Shuffle(len(e), func(i, j int) { e[i], e[j] = e[j], e[i] })
		r.Shuffle(len(a), func(i, j int) { a[i], a[j] = a[j], a[i] })
		spans := []clock.Span{during(from, to)}
		b.alarms("prometheus.main", 280, spans, a...).alarms("alertmanager.main", 280, spans).responses(280, spans,
			e...).end(280, EndComplete)
		return Score(b.record())
	}
	rapid.Check(t, func(r *rapid.T) {
		from := rapid.Float64Range(0, 250).Draw(r, "from")
		to := rapid.Float64Range(from, 280).Draw(r, "to")
		wider := rapid.Float64Range(0, from).Draw(r, "wider")
		a, b := build(from, to, rapid.Uint64().Draw(r, "seed")), build(wider, 280, rapid.Uint64().Draw(r, "seed"))
		if b.Coverage < a.Coverage-1e-9 {
			r.Fatalf("watched from %v to %v: coverage %v; from %v to the end: %v", from, to, a.Coverage, wider, b.Coverage)
		}
		var one, two bytes.Buffer
		for w, seed := range map[*bytes.Buffer]uint64{&one: 1, &two: rapid.Uint64().Draw(r, "seed")} {
			if err := JSON(w, build(from, to, seed)); err != nil {
				r.Fatal(err)
			}
		}
		if one.String() != two.String() {
			r.Fatal("the order in which a source lists what it saw changes the report")
		}
	})
}

func TestRescoringIsIdentical(t *testing.T) {
	for name, build := range runs {
		b := build(t)
		dir := t.TempDir()
		b.write(dir)
		var out []string
		for range 2 {
			rec, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, render(t, rec))
		}
		if out[0] != out[1] {
			t.Errorf("%s: two judgements of one folder differ", name)
		}
	}
}

// TestLongRun checks that the picture of a long run stays small, and that its peaks stay in it.
func TestLongRun(t *testing.T) {
	plan := smallPlan(func(p *Plan) {
		p.Phases = []PhasePlan{{Load, 0, sec(4000)}}
		p.Faults = nil
	})
	b := newBuilder(t, plan).phases(4000).traffic("users", 0, 4000, func(s int) tick {
		k := tick{due: 4, started: 4, fast: 10 * time.Millisecond, slow: 10 * time.Millisecond}
		if s == 1234 {
			k.errors = 1
		}
		return k
	})
	c := Score(b.end(4000, EndComplete).record())
	points, step := c.load.series(clock.Span{Start: c.tl.Start, End: c.tl.End})
	peak := 0.0
	for _, p := range points {
		if !math.IsNaN(p.errors) {
			peak = max(peak, p.errors)
		}
	}
	if len(points) > maxPoints || step != 7*time.Second || math.Abs(peak-1.0/7) > 1e-9 {
		t.Errorf("%d points of %v, peak %v", len(points), step, peak)
	}
}

// TestPreflightReasons checks that what stopped a run is told in whole sentences, whatever it ends with.
func TestPreflightReasons(t *testing.T) {
	for summary, want := range map[string]string{"there is no namespace \"shopp\"; did you mean \"shop\"?": "did you mean \"shop\"?", "nobody listens": "nobody listens.",
		"It ended.": "It ended."} {
		j := &judge{tl: &Timeline{Findings: []seen[Found]{{V: Found{What: "cluster", Blocks: true, Summary: summary}}}}}
		got := strings.Join(j.ending(&Scorecard{End: EndPreflight}), "\n")
		if !strings.HasPrefix(got, "the preflight stopped the run: cluster: ") || !strings.HasSuffix(got, want) {
			t.Errorf("%q does not end in %q", got, want)
		}
	}
}

func TestVerdictText(t *testing.T) {
	for v := range Verdict(len(verdicts)) {
		b, err := json.Marshal(v)
		var back Verdict
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || back != v {
			t.Errorf("%v became %s became %v: %v", v, b, back, err)
		}
	}
	if err := new(Verdict).UnmarshalText([]byte("fine")); err == nil {
		t.Error("an unknown verdict was read")
	}
}

// TestUnseenIsNoPass: a run that passes by all that it measured does not, when nobody could look whether something is left.
func TestUnseenIsNoPass(t *testing.T) {
	b := passedRun(t)
	if s := Score(b.record()); s.Verdict != Passed {
		t.Fatalf("without it the run is %v", s.Verdict)
	}
	b.events = b.events[:len(b.events)-1]
	b.add(100, RunEnded, Ended{Reason: EndComplete, Unseen: "the cluster does not answer; `gameday revert --kubernetes` looks again"})
	s := Score(b.record())
	if s.Verdict != Inconclusive || s.ExitCode() != 3 || s.Residue || s.Safety.Clean ||
		!strings.Contains(strings.Join(s.Why, "\n"), "it is not known that nothing is left: the cluster does not answer; `gameday revert --kubernetes` looks again.") {
		t.Errorf("exit %d, %v, %q", s.ExitCode(), s.Verdict, s.Why)
	}
	var text bytes.Buffer
	if err := Text(&text, s, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "safety    unproven   ") || strings.Contains(text.String(), "clean") {
		t.Errorf("the scorecard:\n%s", &text)
	}
}
