package scenarios

import (
	"cmp"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// capacityBlock holds what must hold at the multiple, and how `gameday capacity` looks for more.
type capacityBlock struct {
	Expects  []expectBlock `hcl:"expect,block"`
	Search   []searchBlock `hcl:"search,block"`
	DefRange hcl.Range     `hcl:",def_range"`
}

type searchBlock struct {
	MaxRate     *float64  `hcl:"max_rate,optional"`
	MaxDuration *string   `hcl:"max_duration,optional"`
	Step        *string   `hcl:"step,optional"`
	Confirm     *string   `hcl:"confirm,optional"`
	Settle      *string   `hcl:"settle,optional"`
	Precision   *float64  `hcl:"precision,optional"`
	DefRange    hcl.Range `hcl:",def_range"`
	Body        hcl.Body  `hcl:",body"`
}

// SearchLimits bound a search for the capacity. What is 0 was not said.
type SearchLimits struct {
	MaxRate     float64 // arrivals per second of all streams together
	Precision   float64 // as a share
	MaxDuration time.Duration
	Step        time.Duration // how long a rate is measured
	Confirm     time.Duration // and how long the one that is found
	Settle      time.Duration // after each change of the rate, in which nothing counts
}

// The limits of a search that says nothing of them.
const (
	searchMultiple  = 100
	searchDuration  = 10 * time.Minute
	searchStep      = 10 * time.Second
	searchConfirm   = 30 * time.Second
	searchSettle    = 3 * time.Second
	searchPrecision = 0.05
)

// With returns the limits, with what others say before what l says before the defaults. Base is 1x of all streams together.
func (l SearchLimits) With(others SearchLimits, base float64) SearchLimits {
	step := cmp.Or(others.Step, l.Step, searchStep)
	return SearchLimits{
		MaxRate: cmp.Or(others.MaxRate, l.MaxRate, base*searchMultiple), Precision: cmp.Or(others.Precision,
			l.Precision, searchPrecision),
		MaxDuration: cmp.Or(others.MaxDuration, l.MaxDuration, searchDuration), Step: step,
		Confirm: cmp.Or(others.Confirm, l.Confirm, max(searchConfirm, step)), Settle: cmp.Or(others.Settle,
			l.Settle, searchSettle),
	}
}

// search decodes a search block.
func (d *decoding) search(b capacityBlock) {
	if !one(d.loader, b.Search, "search", func(s searchBlock) hcl.Range { return s.DefRange }) {
		return
	}
	s := b.Search[0]
	out := &d.out.Search
	for _, f := range []struct {
		name  string
		text  *string
		least time.Duration
		to    *time.Duration
	}{{"max_duration", s.MaxDuration, 10 * time.Second, &out.MaxDuration}, {"step", s.Step, 2 * time.Second, &out.Step},
		{"confirm", s.Confirm, 2 * time.Second, &out.Confirm}, {"settle", s.Settle, 0, &out.Settle}} {
		if f.text != nil {
			*f.to = d.duration(*f.text, s.Body, f.name, s.DefRange, f.least)
		}
	}
	if s.MaxRate != nil {
		if out.MaxRate = *s.MaxRate; out.MaxRate <= 0 || out.MaxRate > 1e7 {
			d.errorf(attrRange(s.Body, "max_rate", s.DefRange), "Invalid max_rate", "The highest rate that a "+
				"search may send is more than 0 and at most 10000000 iterations a second.")
		}
	}
	if s.Precision != nil {
		if out.Precision = *s.Precision; out.Precision <= 0 || out.Precision >= 1 {
			d.errorf(attrRange(s.Body, "precision", s.DefRange), "Invalid precision", "The precision of a search "+
				"is a share between 0 and 1: 0.05 comes within 5 %%.")
		}
	}
	if out.Confirm > 0 && out.Confirm < cmp.Or(out.Step, searchStep) {
		d.errorf(attrRange(s.Body, "confirm", s.DefRange), "Confirmation too short", "A rate is confirmed by "+
			"holding it for longer than a step, which takes %s.", short(cmp.Or(out.Step, searchStep)))
	}
}
