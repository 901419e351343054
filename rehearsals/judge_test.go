package rehearsals

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/clock"
	"gameday/report"
	"gameday/schedules"
)

var update = flag.Bool("update", false, "rewrite golden files")

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const hour = time.Hour

// step returns a step of a scenario in a lane.
func step(name, lane string) Step {
	return Step{Item: schedules.Item{File: name + ".hcl", Scenario: name}, Lane: lane, Fingerprint: "as " + name}
}

// pass returns a run of a scenario that passed some time ago.
func pass(name string, ago time.Duration) Run {
	return Run{Record: name + "-" + ago.String(), Run: "id-" + name + ago.String(), Version: "1", Fingerprint: "as " + name, Started: now.Add(-ago), Length: 10 * time.Minute,
		End: report.EndComplete, Verdict: report.Passed, Low: 92, High: 92, Coverage: 1, Report: "report of " + name + ago.String(),
		Parts: []Part{{report.Service, 50, 46, 46}, {report.Detection, 50, 46, 46}}}
}

func with(r Run, change func(*Run)) Run {
	change(&r)
	return r
}

func ptr[T any](v T) *T { return &v }

// TestStep judges single scenarios by what their newest run shows.
func TestStep(t *testing.T) {
	good := pass("shop", hour)
	verdict := func(v report.Verdict, why string) Run {
		return with(good, func(r *Run) { r.Verdict, r.Why = v, []string{why} })
	}
	for name, x := range map[string]struct {
		runs    []Run
		require Limits
		state   State
		want    string // the reasons
	}{
		"no data":               {nil, Limits{}, NotYetKnown, "it was not run yet"},
		"passed":                {[]Run{good}, Limits{Score: ptr(90.0), Coverage: ptr(100.0), Parts: map[report.Part]float64{report.Detection: 92}, FreshWithin: 2 * hour}, Go, ""},
		"failed":                {[]Run{verdict(report.Failed, "no page in time.")}, Limits{}, NoGo, "it failed: no page in time"},
		"aborted":               {[]Run{verdict(report.Aborted, "")}, Limits{}, NoGo, "it was aborted: "},
		"inconclusive":          {[]Run{verdict(report.Inconclusive, "too much is unknown.")}, Limits{}, NotYetKnown, "it was inconclusive: too much is unknown"},
		"residue of a pass":     {[]Run{with(good, func(r *Run) { r.Residue = true })}, Limits{}, NoGo, "left a fault standing"},
		"residue, then changed": {[]Run{with(good, func(r *Run) { r.Residue, r.Fingerprint = true, "another" })}, Limits{}, NoGo, "left a fault standing"},
		"changed":               {[]Run{with(good, func(r *Run) { r.Fingerprint = "another" })}, Limits{}, NotYetKnown, "changed since the run shop-1h0m0s, which passed"},
		"failed, then changed":  {[]Run{with(verdict(report.Failed, "x"), func(r *Run) { r.Fingerprint = "another" })}, Limits{}, NotYetKnown, "changed since the run shop-1h0m0s, which failed"},
		"goes on":               {[]Run{good, with(good, func(r *Run) { r.Running, r.Started = true, time.Time{} })}, Limits{}, NotYetKnown, "goes on"},
		"unread":                {[]Run{with(good, func(r *Run) { r.Unread = "record.jsonl:7: not an event" })}, Limits{}, NotYetKnown, "cannot be judged: record.jsonl:7: not an event"},
		"passed without an end": {[]Run{with(good, func(r *Run) { r.End = report.EndInterrupted })}, Limits{}, NotYetKnown, "has no end"},
		"just fresh":            {[]Run{pass("shop", 48*hour)}, Limits{FreshWithin: 48 * hour}, Go, ""},
		"just stale":            {[]Run{pass("shop", 48*hour+time.Second)}, Limits{FreshWithin: 48 * hour}, NotYetKnown, "it was run 2 d 0 h ago, and at most 2 days is asked for"},
		"still to come":         {[]Run{pass("shop", -hour)}, Limits{}, NotYetKnown, "a clock is wrong"},
		"failed long ago":       {[]Run{with(pass("shop", 900*hour), func(r *Run) { r.Verdict = report.Failed })}, Limits{FreshWithin: hour}, NoGo, "it failed; it was run 37 d 12 h ago, and at most 1 h 0 min is asked for"},
		"score too low":         {[]Run{good}, Limits{Score: ptr(93.0)}, NoGo, "it reached 92 of 100 points, and 93 are asked for"},
		"score at most too low": {[]Run{with(good, func(r *Run) { r.Low = 0; r.High = 55 })}, Limits{Score: ptr(60.0)}, NoGo, "it reached at most 55 of 100 points, and 60 are asked for"},
		"failed by what was missed": {[]Run{with(verdict(report.Failed, "55 points do not reach the pass mark."), func(r *Run) { r.Missed = []string{"crash comes back", "WebFailing pages"} })}, Limits{}, NoGo,
			"it failed: 55 points do not reach the pass mark; missed: crash comes back, WebFailing pages"},
		"score may be too low": {[]Run{with(good, func(r *Run) { r.Low = 80 })}, Limits{Score: ptr(90.0)}, NotYetKnown,
			"between 80 and 92 of 100 points, and 90 are asked for: too much is unknown"},
		"coverage":            {[]Run{with(good, func(r *Run) { r.Coverage = 0.899 })}, Limits{Coverage: ptr(90.0)}, NotYetKnown, "89 % of its points could be judged, and 90 % are asked for"},
		"part missed":         {[]Run{good}, Limits{Parts: map[report.Part]float64{report.Detection: 93}}, NoGo, "it reached 92 % of detection, and 93 are asked for"},
		"part unknown":        {[]Run{with(good, func(r *Run) { r.Parts = []Part{{report.Detection, 50, 0, 50}} })}, Limits{Parts: map[report.Part]float64{report.Detection: 1}}, NotYetKnown, "between 0 and 100 % of detection"},
		"part not there":      {[]Run{good}, Limits{Parts: map[report.Part]float64{report.Response: 0}}, NotYetKnown, "the scenario promises nothing of it"},
		"newest counts":       {[]Run{pass("shop", 2*hour), verdict(report.Failed, "x"), pass("shop", 3*hour)}, Limits{}, NoGo, "it failed: x"},
		"mended":              {[]Run{with(pass("shop", 2*hour), func(r *Run) { r.Verdict = report.Failed }), good}, Limits{}, Go, ""},
		"reverted since":      {[]Run{with(pass("shop", 2*hour), func(r *Run) { r.Residue = true }), good}, Limits{}, Go, ""},
		"newest inconclusive": {[]Run{pass("shop", 2*hour), verdict(report.Inconclusive, "killed.")}, Limits{}, NotYetKnown, "it was inconclusive: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Rehearsal{Name: "launch", Steps: []Step{step("shop", "")}, Require: x.require}
			c := Judge(r, Shown{"shop": x.runs}, nil, now)
			var said []string
			for _, reason := range c.Steps[0].Reasons {
				said = append(said, reason.Text)
			}
			got := strings.Join(said, "; ")
			if c.State != x.state || c.Steps[0].State != x.state || !strings.Contains(got, x.want) || (x.want == "") != (got == "") {
				t.Errorf("it is %s, for %q; want %s for %q", c.State, got, x.state, x.want)
			}
			if c.Residue != strings.Contains(name, "residue") {
				t.Errorf("residue %v", c.Residue)
			}
			want := map[State]int{Go: 0, NoGo: 1, NotYetKnown: 3}[x.state]
			if c.Residue {
				want = 5
			}
			if c.Exit != want {
				t.Errorf("exit code %d, want %d", c.Exit, want)
			}
		})
	}
}

// TestRunOf takes from a scorecard what was missed: what was required first, and then what it cost.
func TestRunOf(t *testing.T) {
	item := func(title string, outcome clock.Outcome, points float64, required bool) report.Item {
		return report.Item{Title: title, Outcome: outcome, Points: points, Required: required}
	}
	c := &report.Scorecard{Parts: []report.PartScore{{Part: report.Service, Points: 50, Items: []report.Item{item("cheap", clock.Missed, 1, false), item("dear", clock.Missed, 9, false),
		item("met", clock.Met, 30, true), item("unknown", clock.Unknown, 10, true)}}, {Part: report.Recover, Points: 50, Items: []report.Item{item("required", clock.Missed, 5, true), item("middling", clock.Missed, 3, false)}}}}
	r := RunOf("rec", "f", "d", c)
	if got := strings.Join(r.Missed, ", "); got != "required, dear, middling and 1 more" {
		t.Errorf("missed are %q", got)
	}
	if r := RunOf("rec", "f", "d", &report.Scorecard{}); r.Missed != nil {
		t.Errorf("missed are %q", r.Missed)
	}
}

// TestTakenOut takes a scenario out of a rehearsal whose last run left a fault standing: that stands all the same.
func TestTakenOut(t *testing.T) {
	r := &Rehearsal{Name: "launch", Steps: []Step{step("shop", "")}}
	left := with(pass("dns", hour), func(r *Run) { r.Residue = true })
	c := Judge(r, Shown{"shop": {pass("shop", hour)}, "dns": {left}}, nil, now)
	if c.State != NoGo || c.Exit != 5 || len(c.Why) != 1 || !strings.Contains(c.Why[0], "dns, which is no scenario of this rehearsal any more: the run dns-1h0m0s left a fault standing") {
		t.Errorf("it is %s, exit code %d, for %q", c.State, c.Exit, c.Why)
	}
	if c := Judge(r, Shown{"shop": {pass("shop", hour)}, "dns": {left, pass("dns", hour/2)}}, nil, now); c.State != Go {
		t.Errorf("run again since, it is %s for %q", c.State, c.Why)
	}
	if c := Judge(&Rehearsal{Name: "launch"}, Shown{}, nil, now); c.State != NotYetKnown || c.Exit != 3 {
		t.Errorf("without a scenario it is %s", c.State)
	}
}

// whole is a rehearsal of two lanes with something of everything.
func whole() (*Rehearsal, Shown) {
	r := &Rehearsal{Name: "launch-eu-west-2", File: "launch.hcl", Steps: []Step{step("checkout", "shop"), step("redis", "data"), step("dns", "shop"), step("disk", "data"), step("pages", "shop")},
		StopOn: DefaultStops, SignOff: []string{"sre", "checkout"}, Require: Limits{Score: ptr(90.0), Parts: map[report.Part]float64{report.Detection: 90}, FreshWithin: 14 * 24 * hour}}
	return r, Shown{
		"checkout": {pass("checkout", 50*hour), with(pass("checkout", 60*hour), func(r *Run) { r.Verdict = report.Failed })},
		"redis": {with(pass("redis", 40*hour), func(r *Run) {
			r.Verdict, r.Low, r.High, r.Why = report.Failed, 71, 71, []string{"RedisFull paged: it did not (required)."}
		})},
		"dns":   {with(pass("dns", 30*hour), func(r *Run) { r.Verdict, r.Low, r.Coverage = report.Inconclusive, 60, 0.68; r.Parts[1].Low = 14 })},
		"pages": {pass("pages", 20*24*hour), with(pass("pages", 30*24*hour), func(r *Run) { r.Fingerprint, r.Overridden = "before", 2 })},
	}
}

// TestText compares what is printed over all with a golden file.
func TestText(t *testing.T) {
	r, shown := whole()
	before := Shown{"checkout": {with(pass("checkout", 900*hour), func(r *Run) { r.Low, r.High, r.Parts[0].Low, r.Parts[0].High = 96, 96, 50, 50 })},
		"redis": {pass("redis", 900*hour)}, "dns": {pass("dns", 900*hour)}, "quota": {pass("quota", 900*hour)}}
	seen := Judge(r, shown, nil, now).Digest
	signed := []SignOff{{Rehearsal: r.Name, Role: "sre", By: "ann", At: now.Add(-hour), Saw: seen, Why: "looked at all of it"},
		{Rehearsal: r.Name, Role: "checkout", By: "bob", At: now.Add(-30 * hour), Saw: "what was before"}}
	c := Judge(r, shown, signed, now)
	c.Compared = Compare("launch-eu-west-1", shown, before)
	var b bytes.Buffer
	if err := Text(&b, c); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n")
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	if err := e.Encode(c); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/whole.golden", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/whole.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("it changed (-want +got):\n%s", diff)
	}
}

// TestSignOffs goes through the life of a sign-off: it is missing, there, and stale when what was seen changed.
func TestSignOffs(t *testing.T) {
	r := &Rehearsal{Name: "launch", Steps: []Step{step("shop", "")}, SignOff: []string{"sre"}}
	shown := Shown{"shop": {pass("shop", hour)}}
	missing := Judge(r, shown, nil, now)
	sign := SignOff{Rehearsal: "launch", Role: "sre", By: "ann", At: now, Saw: missing.Digest, Showed: missing.State}
	refused := sign
	refused.Refused, refused.Why = true, "the pager was off"
	other := sign
	other.Role = "checkout"
	early := sign // an hour before what was run last
	early.At = now.Add(-2 * hour)
	again := Shown{"shop": append([]Run{with(pass("shop", hour/2), func(r *Run) { r.Report = "another" })}, shown["shop"]...)}
	rescored := Shown{"shop": {with(pass("shop", hour), func(r *Run) { r.Report = "scored again" })}}
	for _, x := range []struct {
		name   string
		shown  Shown
		signed []SignOff
		state  State
		want   string
	}{
		{"missing", shown, nil, NotYetKnown, "nobody has signed"},
		{"another role's", shown, []SignOff{other}, NotYetKnown, "nobody has signed"},
		{"there", shown, []SignOff{sign}, Go, "ann signed at 2026-11-29 12:00 UTC"},
		{"refused", shown, []SignOff{sign, refused}, NoGo, "ann refused at 2026-11-29 12:00 UTC: the pager was off"},
		{"signed after all", shown, []SignOff{refused, sign}, Go, "ann signed"},
		{"run again", again, []SignOff{sign}, NotYetKnown, "what was signed for has changed since"},
		{"older than the run", again, []SignOff{early}, NotYetKnown, "ann signed at 2026-11-29 10:00 UTC, and what was signed for has changed since: shop was run after that"},
		{"another report of the same record", rescored, []SignOff{sign}, NotYetKnown, "what was signed for has changed since"},
		{"refused before a change", again, []SignOff{refused}, NotYetKnown, "what was refused has changed since"},
	} {
		c := Judge(r, x.shown, x.signed, now)
		if c.State != x.state || c.SignOffs[0].State != x.state || !strings.Contains(c.SignOffs[0].Text, x.want) {
			t.Errorf("%s: it is %s, %q; want %s, %q", x.name, c.State, c.SignOffs[0].Text, x.state, x.want)
		}
	}
	stricter := *r
	stricter.Require.Score = ptr(91.0)
	if c := Judge(&stricter, shown, []SignOff{sign}, now); c.State != NotYetKnown {
		t.Errorf("other requirements than were signed for: %s", c.State)
	}
	if got := SignedBy([]SignOff{{Rehearsal: "other"}, sign}, "launch"); len(got) != 1 || got[0] != sign {
		t.Errorf("those of one rehearsal: %+v", got)
	}
}

// TestSince counts what was run after somebody signed.
func TestSince(t *testing.T) {
	var runs []StepResult
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		r := pass(name, hour)
		runs = append(runs, StepResult{Scenario: name, Run: &r})
	}
	for n, want := range map[int]string{0: "", 1: ": a was run after that", 2: ": a and b were run after that", 7: ": a, b, c, d, e and 2 more were run after that"} {
		if got := since(now.Add(-2*hour), runs[:n]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := since(now, append(runs, StepResult{Scenario: "never run"})); got != "" {
		t.Errorf("before that: %q", got)
	}
}

// TestDoubt keeps a scorecard from go, and takes nothing away from no-go.
func TestDoubt(t *testing.T) {
	r := &Rehearsal{Name: "launch", Steps: []Step{step("shop", "")}}
	c := Judge(r, Shown{"shop": {pass("shop", hour)}}, nil, now)
	c.Doubt("nobody knows")
	if c.State != NotYetKnown || c.Exit != 3 || len(c.Why) != 1 || c.Why[0] != "nobody knows." {
		t.Errorf("it is %s, exit code %d, for %q", c.State, c.Exit, c.Why)
	}
	c = Judge(r, Shown{"shop": {with(pass("shop", hour), func(r *Run) { r.Verdict = report.Failed })}}, nil, now)
	c.Doubt("nobody knows")
	if c.State != NoGo || c.Exit != 1 || len(c.Why) != 2 || c.Why[1] != "nobody knows." {
		t.Errorf("it is %s, exit code %d, for %q", c.State, c.Exit, c.Why)
	}
}

// TestNext takes what is not go, in its lanes.
func TestNext(t *testing.T) {
	r, shown := whole()
	shown["disk"] = []Run{{Record: "disk-now", Running: true, Fingerprint: "as disk"}}
	p := Next(r, shown, now)
	got, _ := json.Marshal(p)
	want := `{"lanes":[{"name":"data","scenarios":["redis"]},{"name":"shop","scenarios":["dns","pages"]}],"fresh":["checkout"],"running":["disk"]}`
	if string(got) != want || p.Count() != 3 {
		t.Errorf("next is %s, want %s", got, want)
	}
	if a, b := p.Lanes[0].After, p.Lanes[1].After; len(a) != 1 || a[0] != "disk" || len(b) != 0 { // nothing is run beside what goes on in its lane
		t.Errorf("lane data comes after %q, and lane shop after %q", a, b)
	}
}

// TestStops stops after what it is told to, and always after what nobody knows.
func TestStops(t *testing.T) {
	for _, x := range []struct {
		stops Stops
		after []int
	}{{DefaultStops, []int{4, 5, -1, 137}}, {Stops{}, []int{5, -1, 137}}, {Stops{report.Failed, report.Inconclusive}, []int{1, 3, 5, -1, 137}}} {
		for _, code := range []int{0, 1, 2, 3, 4, 5, -1, 137} {
			want := false
			for _, c := range x.after {
				want = want || c == code
			}
			if got := x.stops.After(code); got != want {
				t.Errorf("%v after %d: %v", x.stops, code, got)
			}
		}
	}
}

// TestStopsAfterRun stops after runs that others have made as after one's own.
func TestStopsAfterRun(t *testing.T) {
	for _, x := range []struct {
		change func(*Run)
		want   bool
	}{{func(*Run) {}, false}, {func(r *Run) { r.Verdict = report.Aborted }, true}, {func(r *Run) { r.Verdict = report.Failed }, false}, {func(r *Run) { r.Residue = true }, true},
		{func(r *Run) { r.Verdict, r.Unread = report.Aborted, "nobody knows" }, false}} {
		r := with(pass("shop", hour), x.change)
		if got := DefaultStops.AfterRun(&r); got != x.want {
			t.Errorf("after %+v: %v", r, got)
		}
	}
	if r := Newest([]Run{pass("shop", 2*hour), pass("shop", hour)}); r == nil || r.Record != "shop-1h0m0s" || Newest(nil) != nil {
		t.Errorf("the newest is %+v", r)
	}
}

// TestBefore finds the rehearsal to compare with.
func TestBefore(t *testing.T) {
	r := &Rehearsal{Name: "c", Steps: []Step{step("shop", "")}}
	all := map[string]Shown{"c": {"shop": {pass("shop", hour)}}, "a": {"shop": {pass("shop", 90*hour)}}, "b": {"shop": {pass("shop", 80*hour)}}, "z": {"other": {pass("other", hour)}}}
	if got := Before(r, all); got != "b" {
		t.Errorf("the last before is %q", got)
	}
	named := &Rehearsal{Name: "c", CompareWith: "a", Steps: r.Steps}
	if got := Before(named, all); got != "a" {
		t.Errorf("the one that it names is %q", got)
	}
	if got := Before(r, map[string]Shown{"c": all["c"], "z": all["z"]}); got != "" {
		t.Errorf("without another one: %q", got)
	}
	if c := Compare("z", all["c"], all["z"]); c != nil {
		t.Errorf("nothing in common: %+v", c)
	}
}

// TestDiffer takes intervals that touch for unknown.
func TestDiffer(t *testing.T) {
	for _, x := range []struct {
		a, b [2]float64
		want Difference
	}{{[2]float64{90, 90}, [2]float64{80, 80}, Better}, {[2]float64{80, 85}, [2]float64{86, 90}, Worse}, {[2]float64{80, 80}, [2]float64{80, 80}, Same},
		{[2]float64{80, 86}, [2]float64{86, 90}, Unclear}, {[2]float64{0, 100}, [2]float64{0, 100}, Unclear}} {
		if got := differ(x.a[0], x.a[1], x.b[0], x.b[1]); got != x.want {
			t.Errorf("%v beside %v is %s", x.a, x.b, got)
		}
	}
}

// TestValidate finds what contradicts itself.
func TestValidate(t *testing.T) {
	host := func(s Step, names ...string) Step {
		s.Item.Holds = append(s.Item.Holds, names...)
		return s
	}
	for name, x := range map[string]struct {
		r    Rehearsal
		want string
	}{
		"fine":                 {Rehearsal{Name: "a", Steps: []Step{host(step("x", "1"), "host a"), host(step("y", "1"), "host a"), host(step("z", "2"), "host b")}}, ""},
		"empty":                {Rehearsal{Name: "a"}, "No scenarios"},
		"twice":                {Rehearsal{Steps: []Step{step("x", ""), step("x", "2")}}, "A scenario twice"},
		"one host, two lanes":  {Rehearsal{Steps: []Step{host(step("x", "1"), "host a"), host(step("y", "2"), "host a")}}, "both hold host a"},
		"score":                {Rehearsal{Steps: []Step{step("x", "")}, Require: Limits{Score: ptr(101.0)}}, "Not between 0 and 100"},
		"part":                 {Rehearsal{Steps: []Step{step("x", "")}, Require: Limits{Parts: map[report.Part]float64{report.Service: -1}}}, "Not between 0 and 100"},
		"role twice":           {Rehearsal{Steps: []Step{step("x", "")}, SignOff: []string{"sre", "sre"}}, "A role twice"},
		"compared with itself": {Rehearsal{Name: "a", CompareWith: "a", Steps: []Step{step("x", "")}}, "Compared with itself"},
	} {
		err := x.r.Validate()
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}

// TestFingerprint tells apart what could be run together.
func TestFingerprint(t *testing.T) {
	base := Fingerprint("x", []string{"a=1", "b=2"}, Files{"x.hcl": []byte("1"), "y.hcl": []byte("2")})
	if got := Fingerprint("x", []string{"b=2", "a=1"}, Files{"y.hcl": []byte("2"), "x.hcl": []byte("1")}); got != base {
		t.Error("the order matters")
	}
	for i, other := range []string{
		Fingerprint("y", []string{"a=1", "b=2"}, Files{"x.hcl": []byte("1"), "y.hcl": []byte("2")}),
		Fingerprint("x", []string{"a=1\nb=2"}, Files{"x.hcl": []byte("1"), "y.hcl": []byte("2")}),
		Fingerprint("x", []string{"a=1", "b=3"}, Files{"x.hcl": []byte("1"), "y.hcl": []byte("2")}),
		Fingerprint("x", []string{"a=1", "b=2"}, Files{"x.hcl": []byte("1"), "y.hcl": []byte("3")}),
		Fingerprint("x", []string{"a=1", "b=2"}, Files{"x.hcl": []byte("1"), "z.hcl": []byte("2")}),
		Fingerprint("x", []string{"a=1", "b=2"}, Files{"x.hcl": []byte("1")}),
	} {
		if other == base {
			t.Errorf("change %d is not seen", i)
		}
	}
}

// TestBeside tells apart the reasons that are about no scenario and no sign-off: those of scenarios that are no part of it any more, and doubts.
func TestBeside(t *testing.T) {
	r := &Rehearsal{Name: "launch", Steps: []Step{step("shop", "")}, SignOff: []string{"sre"}}
	left := with(pass("gone", hour), func(r *Run) { r.Residue = true })
	c := Judge(r, Shown{"gone": {left}}, nil, now)
	c.Doubt("the record x cannot be read")
	got := c.Beside()
	if len(got) != 2 || !strings.HasPrefix(got[0], "gone, which is no scenario of this rehearsal any more") || got[1] != "the record x cannot be read." || len(c.Why) != 4 {
		t.Errorf("beside its scenarios there are %q of %q", got, c.Why)
	}
	if fine := Judge(r, Shown{"shop": {pass("shop", hour)}}, nil, now).Beside(); len(fine) != 0 {
		t.Errorf("beside its scenarios there are %q", fine)
	}
}
