package scenarios

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"gameday/report"
)

// regressionBlock says how much worse a run may be than another. It has an attribute for each yardstick.
type regressionBlock struct {
	Completed   *string   `hcl:"completed,optional"`
	ErrorRatio  *string   `hcl:"error_ratio,optional"`
	P50         *string   `hcl:"p50,optional"`
	P95         *string   `hcl:"p95,optional"`
	P99         *string   `hcl:"p99,optional"`
	Rate        *string   `hcl:"rate,optional"`
	Reached     *string   `hcl:"reached_ratio,optional"`
	Dropped     *string   `hcl:"dropped_ratio,optional"`
	Capacity    *string   `hcl:"capacity,optional"`
	TTD         *string   `hcl:"ttd,optional"`
	TTA         *string   `hcl:"tta,optional"`
	TTR         *string   `hcl:"ttr,optional"`
	Score       *string   `hcl:"score,optional"`
	Phases      []string  `hcl:"phases,optional"`
	EachTraffic bool      `hcl:"each_traffic,optional"`
	Build       string    `hcl:"build,optional"`
	DefRange    hcl.Range `hcl:",def_range"`
	Body        hcl.Body  `hcl:",body"`
}

// given returns the tolerances that are written, by yardstick.
func (b *regressionBlock) given() map[string]*string {
	return map[string]*string{
		report.Completed: b.Completed, "error_ratio": b.ErrorRatio, "p50": b.P50, "p95": b.P95, "p99": b.P99, "rate": b.Rate,
		"reached_ratio": b.Reached, "dropped_ratio": b.Dropped, report.MaxRate: b.Capacity, report.TimeToDetect: b.TTD,
		report.TimeToAck: b.TTA, report.TimeToRecover: b.TTR, report.ScoreOfTheRun: b.Score,
	}
}

// Regression is how runs of the scenario are compared.
type Regression struct {
	report.RegressionPlan
	// Build is the shell command that builds what the scenario tests, run at the root of a checkout; empty when it says
	// none.
	Build string
	Range hcl.Range
}

func (d *decoding) regression(b *scenarioBlock) {
	if !one(d.loader, b.Regression, "regression", func(r regressionBlock) hcl.Range { return r.DefRange }) {
		return
	}
	r := &b.Regression[0]
	out := &Regression{Build: r.Build, Range: r.DefRange}
	out.EachTraffic = r.EachTraffic
	given := r.given()
	for _, y := range report.Yardsticks() {
		text := given[y.Name]
		if text == nil || !d.decodes(r.Body, y.Name, cty.String) {
			continue
		}
		t, err := y.ParseTolerance(*text)
		if err != nil {
			d.errorf(attrRange(r.Body, y.Name, r.DefRange), "Invalid tolerance", "%s.", err)
			continue
		}
		if out.Tolerances == nil {
			out.Tolerances = map[string]report.Tolerance{}
		}
		out.Tolerances[y.Name] = t
	}
	d.comparedPhases(out, r)
	d.out.Regression = out
}

// comparedPhases reads the phases whose service levels count.
func (d *decoding) comparedPhases(out *Regression, r *regressionBlock) {
	known := []string{string(report.Baseline), string(report.Load), string(report.Recovery)}
	at := attrRange(r.Body, "phases", r.DefRange)
	if present(r.Body, "phases") && len(r.Phases) == 0 && d.decodes(r.Body, "phases", cty.List(cty.String)) {
		d.errorf(at, "No phase", "Without a phase nothing would be compared. Leave phases out for the load phase alone.")
	}
	for _, p := range r.Phases {
		switch {
		case p == string(report.Ramp):
			d.errorf(at, "Nothing stands still in the ramp", "The load changes all the time in it, so it cannot be compared. "+
				"The phases are %s.", list(known))
		case p == string(report.Control):
			d.errorf(at, "Nothing is done in the control phase", "It is there to see which alarms come without a fault; "+
				"what its traffic shows is not compared. The phases are %s.", list(known))
		case !slices.Contains(known, p):
			d.errorf(at, "Unknown phase", "There is no phase %q.%s The phases are %s.", p, suggest(p, known), list(known))
		case p == string(report.Recovery) && d.loadLasts > 0 && d.out.Timeline.Recovery == 0:
			d.errorf(at, "A phase without length", "The recovery phase lasts 0s in this timeline, so that there is nothing in "+
				"it to compare. Leave it out of phases, or let it last.")
		case slices.Contains(out.Phases, report.Phase(p)):
			d.errorf(at, "Phase named twice", "%q stands twice in phases.", p)
		default:
			out.Phases = append(out.Phases, report.Phase(p))
		}
	}
}
