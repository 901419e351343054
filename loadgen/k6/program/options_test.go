package program

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"gameday/loadgen"
)

func patched(t *testing.T, options string, spec loadgen.Spec) map[string]map[string]any {
	t.Helper()
	raw, err := patchOptions(json.RawMessage(options), spec, &traits{})
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Scenarios map[string]map[string]any }
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out.Scenarios
}

func TestSharesOfTheRate(t *testing.T) {
	for _, test := range []struct {
		name, options string
		want          map[string]float64 // of 100/s
	}{
		{"nothing", `{}`, map[string]float64{"default": 100}},
		{"short form", `{"vus": 7, "duration": "10s"}`, map[string]float64{"default": 100}},
		{"stages", `{"stages": [{"duration": "10s", "target": 7}]}`, map[string]float64{"default": 100}},
		{"arrival rates", `{"scenarios": {
			"a": {"executor": "constant-arrival-rate", "rate": 180, "timeUnit": "1m", "duration": "1s", "preAllocatedVUs": 1},
			"b": {"executor": "ramping-arrival-rate", "startRate": 0,
				"stages": [{"target": 1, "duration": "1s"}], "preAllocatedVUs": 1}
		}}`, map[string]float64{"a": 75, "b": 25}},
		{"virtual users", `{"scenarios": {
			"a": {"executor": "constant-vus", "vus": 3, "duration": "1s"},
			"b": {"executor": "ramping-vus", "startVUs": 1,
				"stages": [{"target": 5, "duration": "1s"}, {"target": 0, "duration": "1s"}]},
			"c": {"executor": "per-vu-iterations", "vus": 2, "iterations": 1000}
		}}`, map[string]float64{"a": 30, "b": 50, "c": 20}},
	} {
		got := patched(t, test.options, loadgen.Spec{Rate: 100})
		if len(got) != len(test.want) {
			t.Errorf("%s: %v", test.name, got)
		}
		for name, want := range test.want {
			if rate, _ := got[name]["rate"].(float64); math.Abs(rate-want) > 1e-9 || got[name]["executor"] != arrivalsType {
				t.Errorf("%s: %s has %v, want a rate of %g", test.name, name, got[name], want)
			}
		}
	}
}

func TestReplacedScenariosKeepTheirOwn(t *testing.T) {
	got := patched(t, `{"scenarios": {"a": {"executor": "constant-vus", "vus": 1, "duration": "1s", "startTime": "5m",
		"exec": "buy", "env": {"A": "b"}, "tags": {"c": "d"}}}}`, loadgen.Spec{Rate: 1})["a"]
	text, _ := json.Marshal([]any{got["exec"], got["env"], got["tags"], got["startTime"]})
	if string(text) != `["buy",{"A":"b"},{"c":"d"},null]` {
		t.Errorf("kept %s", text)
	}
}

func TestScale(t *testing.T) {
	got := patched(t, `{"scenarios": {
		"a": {"executor": "ramping-arrival-rate", "startRate": 10,
			"stages": [{"target": 20, "duration": "1s"}, {"target": 0, "duration": "1s"}],
			"preAllocatedVUs": 2, "maxVUs": 9},
		"b": {"executor": "shared-iterations", "vus": 1, "iterations": 7},
		"c": {"executor": "per-vu-iterations", "vus": 1, "iterations": 7}
	}}`, loadgen.Spec{KeepExecutors: true, Factor: 2.5})
	for name, want := range map[string]string{
		"a": `[null,25,null,5,23,[{"duration":"1s","target":50},{"duration":"1s","target":0}]]`,
		"b": `[3,null,18,null,null,null]`,
		"c": `[3,null,7,null,null,null]`,
	} {
		s := got[name]["inner"].(map[string]any)
		text, _ := json.Marshal([]any{s["vus"], s["startRate"], s["iterations"],
			s["preAllocatedVUs"], s["maxVUs"], s["stages"]})
		if string(text) != want || got[name]["executor"] != keptType {
			t.Errorf("%s is %s, want %s", name, text, want)
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	for _, test := range []struct {
		spec         loadgen.Spec
		planned, max int64
	}{
		{loadgen.Spec{Rate: 1}, 2, 50},
		{loadgen.Spec{Rate: 40, PeakMultiple: 3}, 60, 960},
		{loadgen.Spec{Rate: 5000, PeakMultiple: 3}, 2000, 2000},
		{loadgen.Spec{Rate: 40, PeakMultiple: 3, MaxVUs: 10}, 10, 10},
	} {
		a := arrivalsFor(test.spec, "default", 1)
		if a.PlannedVUs != test.planned || a.MaxVUs != test.max || a.Backlog < 100 || a.Backlog > 50_000 {
			t.Errorf("%+v: %+v", test.spec, a)
		}
	}
}

// TestSegmentOfTheOptions checks that k6 itself knows the segment, and that a generator's pool is its part.
func TestSegmentOfTheOptions(t *testing.T) {
	raw, err := patchOptions(json.RawMessage(`{"executionSegment": "0:1/4"}`), loadgen.Spec{Rate: 90, MaxVUs: 20,
		PeakMultiple: 1, Segment: loadgen.Segment{Index: 1, Of: 3}}, &traits{})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ExecutionSegment, ExecutionSegmentSequence string
		Scenarios                                  map[string]arrivalOptions
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	o := got.Scenarios["default"]
	if got.ExecutionSegment != "1/3:2/3" || got.ExecutionSegmentSequence != "0,1/3,2/3,1" ||
		o.Rate != 90 || o.Segment.Of != 3 || o.MaxVUs != 7 || o.PlannedVUs != 7 {
		t.Errorf("options %+v", got)
	}
}

// What a script asks for and does not get is said, once, and what it gets is not.
func TestRemarks(t *testing.T) {
	for options, want := range map[string]string{
		`{"thresholds": {"checks": ["rate>0.9"], "bought": ["count>1"]}}`: "thresholds (bought, checks)",
		`{"rps": 30}`:                 "at most 30 requests",
		`{"executionSegment": "1/3"}`: "executionSegment (0:1/3)",
		`{"setupTimeout": "5m", "userAgent": "x", "rps": 0}`: "",
	} {
		said := &traits{}
		if _, err := patchOptions(json.RawMessage(options), loadgen.Spec{Rate: 1}, said); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(said.remarks, "\n"); !strings.Contains(text, want) || len(said.remarks) > 1 || (want == "") != (text == "") {
			t.Errorf("%s: %q", options, said.remarks)
		}
	}
	for script, want := range map[string]string{
		"export function handleSummary() {}": "handleSummary", "import { browser } from 'k6/browser';": "k6/browser", "export default 1;": "",
	} {
		said, err := traitsOf(archiveOf(t, map[string]string{"s.js": script, "metadata.json": `{"options":{"handleSummaryTimeout":null}}`}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := said.read(json.RawMessage("{}")); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(said.remarks, "\n"); !strings.Contains(text, want) || (want == "") != (text == "") {
			t.Errorf("%s: %q", script, text)
		}
	}
}

func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
