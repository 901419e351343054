package conductor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"gameday/clock"
	"gameday/loadgen"
	"gameday/scenarios"
)

// Series asks one of the scenario's alarm sources, by its id, for the values of a query at from and every step after it. The
// points count from from; where the source knows no value there is no point.
type Series func(ctx context.Context, source, query string, from, to time.Time, step time.Duration) ([]loadgen.Point, error)

// replays asks for the series that streams replay and that are not known yet. The streams are changed in the scenario, so that
// a plan and the run after it say the same.
func (o Options) replays(ctx context.Context) error {
	ask := o.Series
	if ask == nil {
		ask = o.series
	}
	var errs []error
	for i := range o.Scenario.Traffic {
		t := &o.Scenario.Traffic[i]
		if !t.Pending() {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, askLimit)
		err := replay(limited, t, ask, time.Now())
		cancel()
		if err = outside(o.Scenario, err); err != nil {
			errs = append(errs, fmt.Errorf("traffic %s replays the last %s of %s: %w", t.Name, short(t.Replay.Over), t.Replay.Source, err))
		}
	}
	return errors.Join(errs...)
}

// replay makes what a source says of the time before now the program of a stream. Whole steps are asked for, so that a plan
// and a run within one step get the same.
func replay(ctx context.Context, t *scenarios.Traffic, ask Series, now time.Time) error {
	r := t.Replay
	to := now.Truncate(r.Step)
	from := to.Add(-r.Over.Truncate(r.Step))
	points, err := ask(ctx, r.Source, r.Query, from, to, r.Step)
	if err == nil {
		err = whole(points, from, to, r.Step)
	}
	if err != nil {
		return err
	}
	return t.Follow(points)
}

// whole refuses a series with a hole: a straight line across it would be a guess.
func whole(points []loadgen.Point, from, to time.Time, step time.Duration) error {
	if len(points) == 0 {
		return errors.New("the query yields nothing at all in that time; ask it in the source's own page")
	}
	missing := func(since, until time.Duration) error {
		return fmt.Errorf("the query yields nothing between %s and %s: choose a time without a hole, or let the query fill it",
			from.Add(since).UTC().Format(time.RFC3339), from.Add(until).UTC().Format(time.RFC3339))
	}
	last := time.Duration(0)
	for _, p := range points {
		switch {
		case math.IsNaN(p.Value) || math.IsInf(p.Value, 0) || p.Value < 0:
			return fmt.Errorf("at %s the query yields %g, which is no rate", from.Add(p.At).UTC().Format(time.RFC3339), p.Value)
		case p.At-last > step+step/2:
			return missing(last, p.At)
		}
		last = p.At
	}
	if end := to.Sub(from); end-last > step+step/2 {
		return missing(last, end)
	}
	return nil
}

// series asks the scenario's own source, which is opened for it: before a run nothing else is open yet.
func (o Options) series(ctx context.Context, source, query string, from, to time.Time, step time.Duration) ([]loadgen.Point, error) {
	ranger, shut, err := openRanger(o.Scenario, source)
	if err != nil {
		return nil, err
	}
	defer shut()
	found, err := ranger.Range(ctx, query, clock.Span{Start: from, End: to}, step)
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("the query yields %d series: add sum() or narrower labels", len(found))
	}
	var points []loadgen.Point
	for _, s := range found {
		for _, x := range s.Samples {
			points = append(points, loadgen.Point{At: x.At.Sub(from), Value: x.Value})
		}
	}
	return points, nil
}
