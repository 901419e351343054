package program

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
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
	// defaultTeardown is what k6 gives a teardown when the script does not say.
	defaultTeardown = time.Minute
	// teardownSlack is how much longer a stopped child may take than its iterations and its teardown.
	teardownSlack = 15 * time.Second
	// expectedIteration is how long an iteration is taken to last when nobody said, for the virtual users to make before
	// the test; more are made as they are needed.
	expectedIteration = 500 * time.Millisecond
	// backlogTime is how much traffic at the peak may wait for a virtual user before arrivals are dropped.
	backlogTime = 5 * time.Second
)

// The names under which our executors are registered in k6.
const (
	arrivalsType = "gameday-arrival-rate"
	keptType     = "gameday-kept"
)

// arrivalOptions are the options of one scenario under our executor, beside those every k6 scenario has.
type arrivalOptions struct {
	loadgen.Arrivals
	PlannedVUs int64         `json:"plannedVUs"`
	MaxVUs     int64         `json:"maxVUs"`
	Backlog    int           `json:"backlog"` // arrivals that may wait for a virtual user
	Grace      time.Duration `json:"grace"`   // nanoseconds
	Calls      bool          `json:"calls"`   // the script speaks of gRPC
}

// object is a JSON object of which we know some fields.
type object = map[string]json.RawMessage

// patchOptions returns the options of an archive, changed to what the spec asks for: its scenarios on our executor, or
// on their own ones and scaled. It notes in t what the options say besides.
func patchOptions(raw json.RawMessage, spec loadgen.Spec, t *traits) (json.RawMessage, error) {
	var options object
	if err := json.Unmarshal(raw, &options); err != nil {
		return nil, fmt.Errorf("reading the script's options: %w", err)
	}
	own, err := t.read(raw)
	if err != nil {
		return nil, err
	}
	scenarios, err := scenariosOf(own)
	if err != nil {
		return nil, err
	}
	var patched map[string]object
	if spec.KeepExecutors {
		patched, err = keepScenarios(scenarios, spec.Factor, t)
	} else {
		patched, err = replaceScenarios(scenarios, spec, t)
	}
	if err != nil {
		return nil, err
	}
	// The tags that k6 itself sets cost time on every request, and an address in one is kept for ever. We need few.
	tags := []string{"vu", "scenario", "group", "error_code"}
	if t.grpc || t.webSockets {
		tags = append(tags, "status")
	}
	changes := map[string]any{
		"scenarios": patched, "systemTags": tags, "setupTimeout": setupWithin(spec, t).String(),
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

// read notes what the options say of times, and what of them does not hold here.
func (t *traits) read(raw json.RawMessage) (o lib.Options, err error) {
	if err := json.Unmarshal(raw, &o); err != nil {
		return o, fmt.Errorf("reading the script's options: %w", err)
	}
	t.setup, t.teardown = o.SetupTimeout.TimeDuration(), o.TeardownTimeout.TimeDuration()
	say := func(format string, args ...any) { t.remarks = append(t.remarks, fmt.Sprintf(format, args...)) }
	if len(o.Thresholds) > 0 {
		say("the script's thresholds (%s) are not judged, and end nothing: say with expect and abort blocks what must hold",
			strings.Join(slices.Sorted(maps.Keys(o.Thresholds)), ", "))
	}
	if o.RPS.Int64 > 0 {
		say("the script's option rps lets at most %d requests a second through, whatever the multiple: what is beyond waits, and no response "+
			"time has that wait in it; take the option out", o.RPS.Int64)
	}
	if o.ExecutionSegment != nil {
		say("the script's option executionSegment (%s) is not heeded: how much is sent is the traffic block's to say", o.ExecutionSegment)
	}
	if t.summary {
		say("the script's handleSummary is not called: the report is gameday's")
	}
	if t.browser {
		say("the script speaks of k6/browser, which is not supported here: what a browser requests is not counted")
	}
	return o, nil
}

// scenariosOf returns the scenarios of a script's options, also when it has only the short forms of them, or none.
func scenariosOf(options lib.Options) (map[string]object, error) {
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
func replaceScenarios(scenarios map[string]object, spec loadgen.Spec, t *traits) (map[string]object, error) {
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
		arrivals := arrivalsFor(spec, name, share)
		arrivals.Calls = t.grpc
		text, err := json.Marshal(arrivals)
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

// setupWithin returns how long a script may take until its set-up is done: what the spec says, or else the script itself.
func setupWithin(spec loadgen.Spec, t *traits) time.Duration {
	switch {
	case spec.SetupWithin > 0:
		return spec.SetupWithin
	case t.setup > 0:
		return t.setup
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
func keepScenarios(scenarios map[string]object, factor float64, t *traits) (map[string]object, error) {
	out := make(map[string]object, len(scenarios))
	for name, s := range scenarios {
		if err := scale(s, factor); err != nil {
			return nil, fmt.Errorf("scaling scenario %s: %w", name, err)
		}
		inner, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("writing scenario %s: %w", name, err)
		}
		out[name] = object{"executor": json.RawMessage(`"` + keptType + `"`), "inner": inner, "calls": json.RawMessage(strconv.FormatBool(t.grpc))}
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
