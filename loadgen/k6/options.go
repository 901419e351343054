package k6

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/lib/executor"

	"gameday/loadgen"
)

const (
	defaultGrace  = 2 * time.Second
	defaultSetup  = time.Minute
	maxDefaultVUs = 2000
	// expectedIteration is how long an iteration is taken to last when nobody said, for the virtual users to make before
	// the test; more are made as they are needed.
	expectedIteration = 500 * time.Millisecond
	// backlogTime is how much traffic at the peak may wait for a virtual user before arrivals are dropped.
	backlogTime = 5 * time.Second
)

// object is a JSON object of which we know some fields.
type object = map[string]json.RawMessage

// patchOptions returns the options of an archive, changed to what the spec asks for: its scenarios on our executor, or
// on their own ones and scaled. grpc says that the script makes gRPC requests.
func patchOptions(raw json.RawMessage, spec loadgen.Spec, grpc bool) (json.RawMessage, error) {
	var options object
	if err := json.Unmarshal(raw, &options); err != nil {
		return nil, fmt.Errorf("reading the script's options: %w", err)
	}
	scenarios, err := scenariosOf(raw)
	if err != nil {
		return nil, err
	}
	var patched map[string]object
	if spec.KeepExecutors {
		patched, err = keepScenarios(scenarios, spec.Factor)
	} else {
		patched, err = replaceScenarios(scenarios, spec)
	}
	if err != nil {
		return nil, err
	}
	// The tags that k6 itself sets cost time on every request, and an address in one is kept for ever. We need few.
	tags := []string{"vu", "scenario", "group", "error_code"}
	if grpc {
		tags = append(tags, "status")
	}
	changes := map[string]any{
		"scenarios": patched, "systemTags": tags, "setupTimeout": setupWithin(spec).String(),
		"vus": nil, "duration": nil, "iterations": nil, "stages": nil, "paused": nil,
		"executionSegment": nil, "executionSegmentSequence": nil,
	}
	if s := spec.Segment; !s.Whole() {
		changes["executionSegment"], changes["executionSegmentSequence"] = s.String(), s.Edges()
	}
	for name, value := range changes {
		if options[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("writing the option %s: %w", name, err)
		}
	}
	return json.Marshal(options)
}

// scenariosOf returns the scenarios of a script's options, also when it has only the short forms of them, or none.
func scenariosOf(raw json.RawMessage) (map[string]object, error) {
	var options lib.Options
	if err := json.Unmarshal(raw, &options); err != nil {
		return nil, fmt.Errorf("reading the script's options: %w", err)
	}
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	derived, err := executor.DeriveScenariosFromShortcuts(options, silent)
	if err != nil {
		return nil, fmt.Errorf("reading the script's options: %w", err)
	}
	text, err := json.Marshal(derived.Scenarios)
	if err != nil {
		return nil, fmt.Errorf("reading the script's scenarios: %w", err)
	}
	var scenarios map[string]object
	if err := json.Unmarshal(text, &scenarios); err != nil {
		return nil, fmt.Errorf("reading the script's scenarios: %w", err)
	}
	return scenarios, nil
}

// replaceScenarios puts every scenario on our executor, with its share of the rate and of the virtual users.
func replaceScenarios(scenarios map[string]object, spec loadgen.Spec) (map[string]object, error) {
	weights, sum := make(map[string]float64, len(scenarios)), 0.0
	for name, s := range scenarios {
		w, err := weight(s)
		if err != nil {
			return nil, fmt.Errorf("reading scenario %s: %w", name, err)
		}
		weights[name] = w
		sum += w
	}
	out := make(map[string]object, len(scenarios))
	for name, s := range scenarios {
		share := 1 / float64(len(scenarios))
		if sum > 0 {
			share = weights[name] / sum
		}
		text, err := json.Marshal(arrivalsFor(spec, name, share))
		if err != nil {
			return nil, fmt.Errorf("writing scenario %s: %w", name, err)
		}
		var replaced object
		if err := json.Unmarshal(text, &replaced); err != nil {
			return nil, fmt.Errorf("writing scenario %s: %w", name, err)
		}
		for _, keep := range []string{"exec", "env", "tags", "options"} {
			if v, ok := s[keep]; ok {
				replaced[keep] = v
			}
		}
		replaced["executor"] = json.RawMessage(`"` + arrivalsType + `"`)
		out[name] = replaced
	}
	return out, nil
}

// arrivalsFor sizes one scenario.
func arrivalsFor(spec loadgen.Spec, name string, share float64) arrivalOptions {
	peak := spec.Rate * max(1, spec.PeakMultiple) * share * spec.Segment.Share()
	most := float64(spec.Segment.Part(spec.MaxVUs)) * share
	if spec.MaxVUs <= 0 {
		most = min(max(50, peak*8), maxDefaultVUs*share)
	}
	vus := int64(math.Max(1, math.Ceil(most)))
	planned := int64(math.Ceil(peak * expectedIteration.Seconds()))
	return arrivalOptions{
		Arrivals:   spec.Arrivals(name, share),
		PlannedVUs: min(max(planned, 2), vus),
		MaxVUs:     vus,
		Backlog:    int(min(max(100, peak*backlogTime.Seconds()), 50_000)),
		Grace:      graceOf(spec),
	}
}

func graceOf(spec loadgen.Spec) time.Duration {
	if spec.Grace > 0 {
		return spec.Grace
	}
	return defaultGrace
}

func setupWithin(spec loadgen.Spec) time.Duration {
	if spec.SetupWithin > 0 {
		return spec.SetupWithin
	}
	return defaultSetup
}

// stage is one step of a ramping executor.
type stage struct {
	Duration json.RawMessage `json:"duration"`
	Target   *float64        `json:"target"`
}

// weight returns what a scenario counts for among others: its highest rate per second where it has one, else how many
// virtual users it has at most.
func weight(s object) (float64, error) {
	var kind string
	if err := json.Unmarshal(s["executor"], &kind); err != nil {
		return 0, err
	}
	var f struct {
		Rate, StartRate, VUs, StartVUs *float64
		Stages                         []stage
	}
	text, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return 0, err
	}
	most := 0.0
	for _, v := range []*float64{f.Rate, f.StartRate, f.VUs, f.StartVUs} {
		if v != nil {
			most = max(most, *v)
		}
	}
	for _, st := range f.Stages {
		if st.Target != nil {
			most = max(most, *st.Target)
		}
	}
	if !slices.Contains([]string{"constant-arrival-rate", "ramping-arrival-rate"}, kind) {
		return max(most, 1), nil
	}
	unit := time.Second
	var text2 string
	if err := json.Unmarshal(s["timeUnit"], &text2); err == nil && text2 != "" {
		if unit, err = time.ParseDuration(text2); err != nil {
			return 0, fmt.Errorf("its timeUnit: %w", err)
		}
	}
	return most / unit.Seconds(), nil
}

// keepScenarios leaves every scenario on its own executor and multiplies how much it does.
func keepScenarios(scenarios map[string]object, factor float64) (map[string]object, error) {
	out := make(map[string]object, len(scenarios))
	for name, s := range scenarios {
		if err := scale(s, factor); err != nil {
			return nil, fmt.Errorf("scaling scenario %s: %w", name, err)
		}
		inner, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("writing scenario %s: %w", name, err)
		}
		out[name] = object{"executor": json.RawMessage(`"` + keptType + `"`), "inner": inner}
	}
	return out, nil
}

// scale multiplies the rates, virtual users and targets of one scenario, and the iterations where virtual users share
// them, in place. What was more than nothing stays at least 1.
func scale(s object, factor float64) error {
	if factor <= 0 {
		factor = 1
	}
	fields := []string{"rate", "startRate", "vus", "startVUs", "preAllocatedVUs", "maxVUs"}
	if string(s["executor"]) == `"shared-iterations"` {
		fields = append(fields, "iterations")
	}
	for _, name := range fields {
		if err := scaleNumber(s, name, factor); err != nil {
			return err
		}
	}
	if s["stages"] == nil || string(s["stages"]) == "null" {
		return nil
	}
	var stages []object
	if err := json.Unmarshal(s["stages"], &stages); err != nil {
		return fmt.Errorf("its stages: %w", err)
	}
	for _, st := range stages {
		if err := scaleNumber(st, "target", factor); err != nil {
			return err
		}
	}
	var err error
	s["stages"], err = json.Marshal(stages)
	return err
}

func scaleNumber(o object, name string, factor float64) error {
	if o[name] == nil || string(o[name]) == "null" {
		return nil
	}
	var n float64
	if err := json.Unmarshal(o[name], &n); err != nil {
		return fmt.Errorf("its %s: %w", name, err)
	}
	if n > 0 {
		n = max(1, math.Round(n*factor))
	}
	o[name] = json.RawMessage(fmt.Sprintf("%.0f", n))
	return nil
}
