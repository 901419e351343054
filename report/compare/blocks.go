package compare

import (
	"fmt"
	"math"
	"time"

	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/report/stats"
)

const (
	// minBlocks is how many blocks each side must have: fewer leave their autocorrelation to chance.
	minBlocks = 8
	// maxBlocks bounds them: longer blocks are as good, and sooner compared.
	maxBlocks = 200
	// hangsTogether is the autocorrelation of neighbouring blocks from which they do not count as independent.
	hangsTogether = 0.1
	// beyondQuantile is how many requests of a block must be slower than a quantile for it to be one.
	beyondQuantile = 5
)

// blockLengths are the lengths of blocks that are tried, in seconds.
var blockLengths = []int{1, 2, 3, 5, 8, 12, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200}

// blocks compares a service level by blocks of seconds within the runs, where there are too few runs: the method of
// batch means, with quantiles of batches in place of means where the level is one. Shares are compared by their means,
// anything else by ranks. Blocks are as long as it takes for
// neighbours not to hang together. What varies from run to run is not in it.
func (c *Comparison) blocks(r *Row, t trial, base, head []*Run) {
	longest := max(length(base, r.Metric), length(head, r.Metric))
	for _, seconds := range blockLengths {
		if int(longest/time.Second)/seconds > maxBlocks {
			continue
		}
		b, okBase := c.series(base, r.Metric, seconds)
		h, okHead := c.series(head, r.Metric, seconds)
		n, m := count(b), count(h)
		switch {
		case n < minBlocks || m < minBlocks:
			r.Why = fmt.Sprintf("its seconds hang together, or hold too few requests: only %d and %d independent blocks of "+
				"them are left "+
				"in base and head, and %d are needed. Let it run longer, or at least %d times", n, m, minBlocks, MinRuns)
			return
		case !okBase || !okHead || max(stats.Lag1(b), stats.Lag1(h)) > hangsTogether:
			continue
		}
		r.Method = ByBlocks + Method(fmt.Sprintf(" of %d s", seconds))
		t.base, t.head, t.means = flat(b), flat(h), t.y.Unit == report.UnitShare
		t.into(r)
		return
	}
	r.Why = "its seconds hang together for hours"
}

// series returns the values of a metric over blocks of seconds, in pieces that have no break in them. ok is false when
// the blocks are too short to have such a value.
func (c *Comparison) series(runs []*Run, m Metric, seconds int) (pieces [][]float64, ok bool) {
	ok = true
	for _, run := range runs {
		if run.Samples[m].State != report.FigureSeen {
			continue
		}
		for _, part := range c.cut(run, m, seconds) {
			var piece []float64
			for _, block := range part {
				v, has := block.Read(m.Traffic, m.Yardstick)
				if !has {
					if len(piece) > 0 {
						pieces = append(pieces, piece)
					}
					piece = nil
					continue
				}
				ok = ok && enough(block, m)
				piece = append(piece, v)
			}
			if len(piece) > 0 {
				pieces = append(pieces, piece)
			}
		}
	}
	return pieces, ok
}

// enough reports whether a block holds enough requests for a quantile to be one.
func enough(block *sli.Aggregate, m Metric) bool {
	beyond := map[string]float64{"p50": 0.5, "p95": 0.05, "p99": 0.01}[m.Yardstick]
	return beyond == 0 || math.Round(beyond*float64(block.Of(m.Traffic, m.Yardstick))) >= beyondQuantile
}

// cutKey names a stretch of a run cut into blocks.
type cutKey struct {
	run     *Run
	stretch string
	fault   bool
	seconds int
}

// cut returns a run's stretch in blocks, which all of its metrics share.
func (c *Comparison) cut(run *Run, m Metric, seconds int) [][]*sli.Aggregate {
	key := cutKey{run, m.Stretch, m.Fault, seconds}
	if parts, done := c.cuts[key]; done {
		return parts
	}
	var parts [][]*sli.Aggregate
	for _, l := range run.Levels {
		if l.Name == m.Stretch && l.Fault == m.Fault {
			parts = l.Blocks(time.Duration(seconds) * time.Second)
		}
	}
	c.cuts[key] = parts
	return parts
}

// length returns how long a metric's stretch is in all runs together.
func length(runs []*Run, m Metric) time.Duration {
	var d time.Duration
	for _, run := range runs {
		for _, l := range run.Levels {
			if l.Name == m.Stretch && l.Fault == m.Fault {
				d += l.Length()
			}
		}
	}
	return d
}

func count(pieces [][]float64) int {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

func flat(pieces [][]float64) []stats.Reading {
	var out []stats.Reading
	for _, p := range pieces {
		for _, v := range p {
			out = append(out, stats.Exactly(v))
		}
	}
	return out
}
