package conductor

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"gameday/clock"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/scenarios"
)

// queryLimit bounds one question to a source for an own SLI; it is asked every second.
const queryLimit = 900 * time.Millisecond

// checks evaluates, each second, what the run needs to know while it goes on.
type checks struct {
	run   *run
	done  chan struct{} // closed when the run is over and nothing need be evaluated any more
	truth map[string]clock.Outcome
	stops map[string]stop // by the names of stop conditions

	mu  sync.Mutex
	own map[string]float64 // the latest values of own SLIs
	// past are their values in order, for a search to judge a span by; as many as windows are kept.
	past map[string][]ownValue
}

// ownValue is one answer to the query of an own SLI; known is false when there was none.
type ownValue struct {
	at    time.Time
	known bool
	value float64
}

func newChecks(r *run) *checks {
	return &checks{run: r, done: make(chan struct{}), truth: map[string]clock.Outcome{}, stops: map[string]stop{},
		own: map[string]float64{}, past: map[string][]ownValue{}}
}

// readings answers SLIs from traffic, and own ones from their latest values.
type readings struct {
	*sli.Aggregate
	own map[string]float64
}

func (r readings) Read(stream, name string) (float64, bool) {
	if v, ok := r.own[name]; ok && stream == "" {
		return v, true
	}
	return r.Aggregate.Read(stream, name)
}

// second evaluates everything once: what an expression asks for, over the last seconds that all of its streams have closed.
func (c *checks) second(now time.Time) {
	own, known := c.ownNow(), &sums{traffic: c.run.traffic, known: map[span]*sli.Aggregate{}}
	over := func(e *sli.Expr, d time.Duration) sli.Readings {
		streams, _ := c.asks(e)
		end, _ := c.run.traffic.closed(now, streams...)
		return readings{known.upTo(end, d), own}
	}
	c.run.sources.evaluate(now, over)
	for _, e := range c.run.Scenario.Expects {
		c.expect(e, over(e.That.Expr, e.That.Over))
	}
	for _, a := range c.run.Scenario.Aborts {
		c.stop(now, a, known, own)
	}
}

// sums are what windows came to over spans that one evaluation has asked for.
type sums struct {
	traffic *traffic
	known   map[span]*sli.Aggregate
}

// span is so much time before its end.
type span struct {
	end  time.Time
	over time.Duration
}

func (s *sums) upTo(end time.Time, over time.Duration) *sli.Aggregate {
	of := span{end, over}
	if s.known[of] == nil {
		s.known[of] = s.traffic.upTo(end, over)
	}
	return s.known[of]
}

// asks returns the streams that an expression asks about, none when it asks about all of them. traffic is false when it asks for nothing but
// own SLIs.
func (c *checks) asks(e *sli.Expr) (streams []string, traffic bool) {
	all := false
	for _, i := range e.SLIs() {
		own := i[0] == "" && slices.ContainsFunc(c.run.Scenario.SLIs, func(o scenarios.OwnSLI) bool { return o.Name == i[1] })
		switch {
		case own:
		case i[0] == "":
			all, traffic = true, true
		default:
			streams, traffic = append(streams, i[0]), true
		}
	}
	if all {
		return nil, true
	}
	return streams, traffic
}

// expect records an expectation whose truth has changed.
func (c *checks) expect(e scenarios.Expect, r sli.Readings) {
	holds := outcome(e.That.Expr.Eval(r))
	if last, seen := c.truth[e.ID()]; seen && last == holds {
		return
	}
	c.truth[e.ID()] = holds
	c.run.rec.add(report.ExpectSeen, report.ExpectChange{ID: e.ID(), Holds: holds, Values: values(e.That.Expr, r)})
}

// AbortNotice returns a diagnostic that shows an abort's expression with the values that made it true.
func AbortNotice(s *scenarios.Scenario, a report.Abort) *hcl.Diagnostic {
	for _, decl := range s.Aborts {
		if decl.Name != a.Name {
			continue
		}
		return &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Aborted: " + a.Name,
			Detail:      "The stop condition held for " + a.Held.Round(time.Second).String() + ". Every fault is being reverted.",
			Subject:     decl.When.Range.Ptr(),
			Expression:  liveExpr{decl.When.Range, decl.When.Expr},
			EvalContext: &hcl.EvalContext{Variables: map[string]cty.Value{"sli": live(decl.When.Expr, a.Values)}},
		}
	}
	return nil
}

// steady judges the steady state over a span and returns the names of the expectations that did not hold or are unknown.
func (c *checks) steady(from, to time.Time) []string {
	r := readings{c.run.traffic.between(from, to), c.ownNow()}
	var out []string
	for _, e := range c.run.Scenario.Expects {
		if e.Part != report.PartSteady {
			continue
		}
		switch outcome(e.That.Expr.Eval(r)) {
		case clock.Missed:
			out = append(out, e.Name+" ("+e.That.Source+")")
		case clock.Unknown:
			out = append(out, e.Name+" (no data)")
		}
	}
	return out
}

// follow asks a source for one of the scenario's own SLIs each second, apart from the evaluation, which must not wait for
// it. No answer is no value, never the last one.
func (c *checks) follow(o scenarios.OwnSLI) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		ctx, cancel := context.WithTimeout(c.run.ctx, queryLimit)
		v, ok, err := c.run.sources.query(ctx, o.Source, o.Query)
		cancel()
		reading := report.Reading{SLI: o.Name, Known: ok && err == nil, Value: v}
		switch {
		case err != nil:
			reading.Why = err.Error()
		case !ok:
			reading.Why = "the query yields no value"
		}
		c.mu.Lock()
		delete(c.own, o.Name)
		if reading.Known {
			c.own[o.Name] = v
		}
		c.past[o.Name] = append(c.past[o.Name], ownValue{c.run.rec.now(), reading.Known, v})
		if n := len(c.past[o.Name]) - c.run.traffic.keep; n > 0 {
			c.past[o.Name] = c.past[o.Name][n:]
		}
		c.mu.Unlock()
		c.run.rec.add(report.ReadingTaken, reading)
		select {
		case <-t.C:
		case <-c.done:
			return
		case <-c.run.ctx.Done():
			return
		}
	}
}

// ownOver returns the means of the own SLIs between two instants. One that had no answer for more than a twentieth of the
// seconds is left out: what it was is not known.
func (c *checks) ownOver(from, to time.Time) map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]float64{}
	for name, values := range c.past {
		sum, known, all := 0.0, 0, 0
		for _, v := range values {
			if v.at.Before(from) || v.at.After(to) {
				continue
			}
			all++
			if v.known {
				sum += v.value
				known++
			}
		}
		if known > 0 && 20*known >= 19*all {
			out[name] = sum / float64(known)
		}
	}
	return out
}

// ownNow returns the latest values of the own SLIs.
func (c *checks) ownNow() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.own)
}

// ownAt returns the values that own SLIs had at an instant, by the latest answer before it.
func (c *checks) ownAt(at time.Time) map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]float64{}
	for name, values := range c.past {
		for _, v := range slices.Backward(values) {
			if v.at.After(at) {
				continue
			}
			if v.known {
				out[name] = v.value
			}
			break
		}
	}
	return out
}

// outcome turns a truth value into one of the three outcomes.
func outcome(v sli.Value) clock.Outcome {
	switch {
	case !v.Known || !v.IsBool:
		return clock.Unknown
	case v.Truth:
		return clock.Met
	default:
		return clock.Missed
	}
}

// values returns what the indicators of an expression were, by their names as written.
func values(e *sli.Expr, r sli.Readings) map[string]float64 {
	out := map[string]float64{}
	for _, k := range e.SLIs() {
		if v, ok := r.Read(k[0], k[1]); ok {
			out[(&sli.Expr{Stream: k[0], SLI: k[1]}).String()] = v
		}
	}
	return out
}

// liveExpr lets a diagnostic print the values of an expression's indicators: it has the expression's place and the names
// it reads, which is all that the printer asks for.
type liveExpr struct {
	at   hcl.Range
	expr *sli.Expr
}

func (e liveExpr) Value(*hcl.EvalContext) (cty.Value, hcl.Diagnostics) { return cty.DynamicVal, nil }
func (e liveExpr) Range() hcl.Range                                    { return e.at }
func (e liveExpr) StartRange() hcl.Range                               { return e.at }
func (e liveExpr) Variables() []hcl.Traversal {
	var out []hcl.Traversal
	for _, k := range e.expr.SLIs() {
		t := hcl.Traversal{hcl.TraverseRoot{Name: "sli"}}
		if k[0] != "" {
			t = append(t, hcl.TraverseAttr{Name: k[0]})
		}
		out = append(out, append(t, hcl.TraverseAttr{Name: k[1]}))
	}
	return out
}

// live returns the object `sli` with the values that are known.
func live(e *sli.Expr, seen map[string]float64) cty.Value {
	top := map[string]cty.Value{}
	streams := map[string]map[string]cty.Value{}
	for _, k := range e.SLIs() {
		v, ok := seen[(&sli.Expr{Stream: k[0], SLI: k[1]}).String()]
		value := cty.UnknownVal(cty.Number)
		if ok {
			value = cty.NumberFloatVal(v)
		}
		if k[0] == "" {
			top[k[1]] = value
			continue
		}
		if streams[k[0]] == nil {
			streams[k[0]] = map[string]cty.Value{}
		}
		streams[k[0]][k[1]] = value
	}
	for name, leaf := range streams {
		top[name] = cty.ObjectVal(leaf)
	}
	return cty.ObjectVal(top)
}
