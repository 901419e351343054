package conductor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/loadgen/baseline"
	"gameday/report"
	"gameday/scenarios"
)

// usualRunAge is how old a run may be whose baseline phase is 1x, where nothing tells.
const usualRunAge = 30 * 24 * time.Hour

// Measuring says how baselines are measured.
type Measuring struct {
	// Runs is the folder of records, in which runs are found by name.
	Runs string
	// Now is the time at which it is asked, and When the one at which the run begins; zero is Now.
	Now, When time.Time
}

// MeasureBaselines finds out 1x for every stream of which it is not given, and keeps it in the scenario, so that a plan and the
// run after it say the same. What fails is kept too, and returned: 1x is then not known, and nothing may run. It asks
// sources and reads files, and touches nothing.
func MeasureBaselines(ctx context.Context, s *scenarios.Scenario, m Measuring) error {
	m.When = cmp.Or(m.When, m.Now)
	var errs []error
	for i := range s.Traffic {
		t := &s.Traffic[i]
		if t.Baseline == nil {
			continue
		}
		p := &report.BaselinePlan{PerIteration: t.Baseline.PerIteration, At: m.Now.UTC().Truncate(time.Second)}
		err := m.measure(ctx, s, t, p)
		if err == nil {
			err = fits(*t, p.Rate())
		}
		if err != nil {
			p.Measured, p.Error = nil, s.Redact(err.Error())
			errs = append(errs, fmt.Errorf("traffic %s: 1x from %s is not known: %s", t.Name,
				s.Redact(p.Origin()), p.Error))
		}
		if p.Measured != nil && t.Baseline.Assumed {
			p.Measured.Notes = append(p.Measured.Notes, "an iteration of the script is taken for one request: if it makes more, "+
				"1x is less; requests_per_iteration says how many")
		}
		t.Measured, t.Rate = p, p.Rate()
	}
	return errors.Join(errs...)
}

// fits refuses a rate that was measured and cannot be meant: one that could not be given either, or one of which a series
// that is replayed is too large a multiple.
func fits(t scenarios.Traffic, rate float64) error {
	if rate > scenarios.MaxRate {
		return fmt.Errorf("it would be %g iterations a second, and %d are the most. Is what was measured in another unit?",
			rate, scenarios.MaxRate)
	}
	if !t.Absolute {
		return nil
	}
	t.Rate = rate
	if err := t.TooMuch(t.Program); err != nil {
		return fmt.Errorf("it would be %g/s, and of what is replayed %w", rate, err)
	}
	return nil
}

// measure measures one stream's baseline.
func (m Measuring) measure(ctx context.Context, s *scenarios.Scenario, t *scenarios.Traffic, p *report.BaselinePlan) error {
	var err error
	switch b := t.Baseline; {
	case b.Metrics != nil:
		p.Kind, p.Source, p.Query = "prometheus", b.Source, b.Metrics.Query
		src, shut, openErr := openRanger(s, b.Source)
		if openErr != nil {
			return openErr
		}
		defer shut()
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		metrics := *b.Metrics
		metrics.Ours = m.ours()
		p.Measured, err = metrics.Measure(ctx, asker(src), m.When, m.Now)
		err = outside(s, err)
	case b.Log != nil:
		p.Kind, p.Source = "access_log", shown(b.Log.Path)
		log := *b.Log
		log.Ours = m.ours()
		p.Measured, err = log.Measure(ctx, m.Now)
	default:
		p.Kind = "run"
		p.Source, p.Measured, err = m.earlier(s, t)
	}
	return err
}

// openRanger opens one of the scenario's alarm sources by its id, for questions before a run, when nothing else is open yet. It
// returns it with what lets go of it, and contacts nobody.
func openRanger(s *scenarios.Scenario, id string) (alarms.Ranger, func(), error) {
	i := slices.IndexFunc(s.AlarmSources, func(a scenarios.AlarmSource) bool { return a.ID() == id })
	if i < 0 {
		return nil, nil, fmt.Errorf("there is no source %s", id)
	}
	decl := s.AlarmSources[i]
	none := fmt.Errorf("a source of kind %s cannot tell what a query has yielded", decl.Kind.Name)
	if decl.Config == nil { // a builtin source, which is opened with rules
		return nil, nil, none
	}
	src, err := decl.Kind.Open(id, decl.Config, nil)
	if err != nil {
		return nil, nil, err
	}
	shut := func() { _ = release(src) } // it listens to nothing
	ranger, ok := src.(alarms.Ranger)
	if !ok {
		shut()
		return nil, nil, none
	}
	return ranger, shut, nil
}

// asker lets metrics ask a source.
func asker(src alarms.Ranger) baseline.Asker {
	return func(ctx context.Context, query string, span clock.Span, step time.Duration) ([]baseline.Series, error) {
		found, err := src.Range(ctx, query, span, step)
		out := make([]baseline.Series, len(found))
		for i, f := range found {
			out[i].Labels = f.Labels
			for _, x := range f.Samples {
				out[i].Samples = append(out[i].Samples, baseline.Sample(x))
			}
		}
		return out, err
	}
}

// earlier measures what a stream of the same name reached in the baseline phase of an earlier run, whose folder it returns.
func (m Measuring) earlier(s *scenarios.Scenario, t *scenarios.Traffic) (dir string, out *baseline.Measured, err error) {
	b := t.Baseline
	switch {
	case b.Run == scenarios.LatestRun:
		dir, out, err = m.latest(s, t)
	case filepath.IsAbs(b.Run):
		dir = shown(b.Run)
		out, err = reached(b.Run, t.Name)
	default:
		dir = filepath.Join(m.Runs, b.Run)
		out, err = reached(dir, t.Name)
	}
	if err == nil {
		err = baseline.TooOld("the run", out.To, m.Now, cmp.Or(b.MaxAge, usualRunAge), "Run it again.")
	}
	return dir, out, err
}

// shown returns a path as people write it: from the working folder on where it lies below that.
func shown(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// errUnfinished says that a run has no baseline phase to go by.
var errUnfinished = errors.New("it has no baseline phase that came to its end in steady state")

// latest returns the newest run of the scenario with a complete baseline phase.
func (m Measuring) latest(s *scenarios.Scenario, t *scenarios.Traffic) (string, *baseline.Measured, error) {
	passed := 0
	entries, err := os.ReadDir(m.Runs)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return scenarios.LatestRun, nil, fmt.Errorf("looking for runs: %w", err)
	}
	type candidate struct {
		dir string
		at  time.Time
	}
	var found []candidate
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(m.Runs, e.Name())
		if b := beginOf(dir); b.scenario == s.Name && !b.at.IsZero() {
			found = append(found, candidate{dir, b.at})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return b.at.Compare(a.at) })
	for _, c := range found {
		out, err := reached(c.dir, t.Name)
		if errors.Is(err, errUnfinished) {
			passed++
			continue
		}
		return c.dir, out, err
	}
	return scenarios.LatestRun, nil, fmt.Errorf("%s has no run of %s with a complete baseline phase (%d "+
		"without). Run it once with a rate: "+
		"baseline { rate = … }", m.Runs, s.Name, passed)
}

// begin is what the first lines of a record tell: what ran, from when on, how long at most, and whether in a lab.
type begin struct {
	scenario string
	at       time.Time // zero when there is no such record
	length   time.Duration
	lab      bool
}

// beginOf reads the first lines of a record.
func beginOf(dir string) (out begin) {
	var plan struct {
		Scenario string
		Phases   []report.PhasePlan
	}
	b, err := os.ReadFile(filepath.Join(dir, report.PlanFile))
	if err != nil || json.Unmarshal(b, &plan) != nil {
		return begin{}
	}
	f, err := os.Open(filepath.Join(dir, report.EventsFile))
	if err != nil {
		return begin{}
	}
	defer f.Close()
	var first report.Event
	if json.NewDecoder(f).Decode(&first) != nil {
		return begin{}
	}
	out.scenario, out.at = plan.Scenario, first.At
	for _, p := range plan.Phases {
		out.length = max(out.length, p.At+p.Length)
	}
	var started report.Started
	if first.Kind == report.RunStarted && json.Unmarshal(first.Data, &started) == nil {
		out.lab = started.Lab
	}
	return out
}

// minReached is the share of what was due in a baseline phase that must have been started: what was sent because no more could
// be is not what the service is asked for.
const minReached = 0.95

// edgeSlack is what may be missing at either end of a phase, which begins and ends within a second.
const edgeSlack = 2 * time.Second

// reached measures what a stream reached in the baseline phase of a record.
func reached(dir, stream string) (*baseline.Measured, error) {
	rec, err := report.Read(dir)
	if err != nil {
		return nil, err
	}
	tl := report.NewTimeline(rec)
	phase, ok := tl.Phase(report.Baseline)
	// The ramp begins only when the steady state held.
	if _, on := tl.Phase(report.Ramp); !ok || !on {
		return nil, errUnfinished
	}
	var counts []float64
	from, known, slack := phase.Start, phase.Start, edgeSlack // known is up to where it is
	var due, started uint64
	names := []string{}
	for _, w := range rec.Windows {
		if !slices.Contains(names, w.Stream) {
			names = append(names, w.Stream)
		}
		if w.Stream != stream || w.Start.Before(phase.Start) || w.Start.Add(time.Second).After(phase.End) {
			continue
		}
		if w.Start.Sub(known) > slack {
			return nil, unseen(known, w.Start)
		}
		if len(counts) == 0 {
			from = w.Start
		}
		counts, known, slack = append(counts, float64(w.Started)), w.Start.Add(time.Second), time.Second/2
		due, started = due+w.Due, started+w.Started
	}
	switch {
	case len(counts) == 0:
		return nil, fmt.Errorf("it has no traffic %q in its baseline phase; it has %s", stream,
			strings.Join(names, ", "))
	case phase.End.Sub(known) > edgeSlack:
		return nil, unseen(known, phase.End)
	case len(counts) < baseline.MinSamples:
		return nil, fmt.Errorf("its baseline phase has %d whole seconds, and %d are needed: make the phase longer, and run "+
			"it again", len(counts), baseline.MinSamples)
	case float64(started) < minReached*float64(due):
		return nil, fmt.Errorf("it started only %d of the %d iterations that were due in its baseline phase: "+
			"what it reached is what its generator "+
			"could send, not what 1x is", started, due)
	}
	out, err := baseline.Seconds(counts, from.UTC())
	if err != nil {
		return nil, err
	}
	out.Chosen = fmt.Sprintf("of its baseline phase of %s", baseline.Span(phase.Length().Round(time.Second)))
	for _, p := range rec.Plan.Traffic {
		if p.Name == stream && p.Rate > 0 && out.Low <= p.Rate && p.Rate <= out.High {
			out.Rate = p.Rate // what it was told to send: 1x is not to wander by chance from each run to the next
		}
	}
	return out, nil
}

// unseen says of which seconds of a record nothing is known.
func unseen(from, to time.Time) error {
	return fmt.Errorf("nothing is known of the seconds from %s to %s", from.UTC().Format(time.TimeOnly),
		to.UTC().Format(time.TimeOnly))
}

// ours returns when the game days ran whose records are in the folder of runs, also those that were compared, but for those in a
// lab, which nobody outside saw. A run that ended before its time counts as long as it was to last, one that was held as long as it did.
func (m Measuring) ours() []clock.Span {
	var out []clock.Span
	for _, pattern := range []string{"*", "*/*"} {
		plans, _ := filepath.Glob(filepath.Join(m.Runs, pattern, report.PlanFile)) // the pattern is a good one
		for _, plan := range plans {
			if b := beginOf(filepath.Dir(plan)); !b.at.IsZero() && !b.lab {
				span := clock.Span{Start: b.at, End: b.at.Add(b.length)}
				// A moment more is what ending takes.
				if whole, err := lasted(filepath.Dir(plan)); err == nil && whole.End.After(span.End.Add(time.Second)) {
					span.End = whole.End
				}
				out = append(out, span)
			}
		}
	}
	return out
}

// unmeasured names the streams whose 1x is to be measured and was not.
func unmeasured(s *scenarios.Scenario) []string {
	var out []string
	for _, t := range s.Traffic {
		if t.Baseline != nil && t.Rate <= 0 {
			out = append(out, t.Name)
		}
	}
	return out
}
