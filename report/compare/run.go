package compare

import (
	"cmp"
	"slices"
	"time"

	"gameday/report"
	"gameday/report/stats"
)

// Run is what is compared of one run.
type Run struct {
	Name    string    `json:"name"` // the record's folder, as it was given
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Host    string    `json:"host,omitempty"`
	Version string    `json:"version,omitempty"` // of the gameday that ran it

	End     report.EndReason  `json:"end"`
	Verdict report.Verdict    `json:"verdict"`
	Residue bool              `json:"residue,omitempty"` // it left a fault standing
	Plan    *report.Plan      `json:"-"`
	Samples map[Metric]Sample `json:"-"`
	Levels  []*report.Levels  `json:"-"` // kept only where there may be too few runs
	// Steered is what facilitators did to its timeline.
	Steered []report.Steered `json:"-"`
	ended   time.Time
}

// Sample is what one run says of one metric.
type Sample struct {
	State   report.FigureState
	Reading stats.Reading
	Of      uint64 // how many requests or arrivals it is of, where it is of some
	Why     string // why it is unknown
	// Absent says that the run's plan has no such thing, so that the run does not count for it.
	Absent bool
}

// indicators are the yardsticks that are told for each stretch and stream.
var indicators = []string{"error_ratio", "p50", "p95", "p99", "rate", "reached_ratio", "dropped_ratio"}

// Measure takes from a record what is compared. With keep it also keeps what blocks of seconds are made of, and with it
// the record's windows: for comparing fewer than four runs.
func Measure(name string, rec *report.Record, keep bool) *Run {
	card := report.Score(rec)
	r := &Run{Name: name, ID: card.Run, Started: card.Started, Host: card.Host(), Version: card.Version, End: card.End,
		Verdict: card.Verdict, Residue: card.Residue, Plan: rec.Plan, Samples: map[Metric]Sample{}, Steered: card.Steered, ended: card.Ended()}
	levels := card.Levels()
	for _, l := range levels {
		for _, stream := range streamsOf(rec.Plan) {
			for _, y := range indicators {
				v, of, why := l.Read(stream, y)
				s := Sample{Why: why}
				if why == "" {
					s.State, s.Reading, s.Of = report.FigureSeen, stats.Exactly(v), of
				}
				r.Samples[Metric{Yardstick: y, Stretch: l.Name, Fault: l.Fault, Traffic: stream}] = s
			}
		}
	}
	for _, f := range card.Figures() {
		m := Metric{Yardstick: f.Yardstick, Of: f.Of, Share: f.Yardstick == report.Completed}
		r.Samples[m] = Sample{State: f.State, Reading: stats.Reading{Lo: f.Low, Hi: f.High}, Why: f.Why}
	}
	if keep {
		r.Levels = levels
	}
	return r
}

// Unharmed reports whether it is known that no request of the load phase failed.
func (r *Run) Unharmed() bool {
	s := r.Samples[Metric{Yardstick: "error_ratio", Stretch: string(report.Load)}]
	return s.State == report.FigureSeen && s.Of > 0 && s.Reading.Hi == 0
}

// streamsOf returns what traffic is told of: all of it, and each stream.
func streamsOf(p *report.Plan) []string {
	out := []string{""}
	for _, t := range p.Traffic {
		out = append(out, t.Name)
	}
	return out
}

// inOrder returns the runs in an order that does not depend on the one they were given in, each once.
func inOrder(runs []*Run) (sorted []*Run, twice []string) {
	sorted = slices.Clone(runs)
	slices.SortStableFunc(sorted, func(a, b *Run) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
	})
	sorted = slices.CompactFunc(sorted, func(a, b *Run) bool {
		if a.ID == "" || a.ID != b.ID {
			return false
		}
		twice = append(twice, b.Name)
		return true
	})
	return sorted, twice
}

// samples returns what each run says of a metric.
func samples(runs []*Run, m Metric) []Sample {
	m.Share = m.Yardstick == report.Completed // a share is made of the same samples as the value
	out := make([]Sample, len(runs))
	for i, r := range runs {
		s, has := r.Samples[m]
		if !has {
			s.Why, s.Absent = "its plan has no such thing", true
		}
		out[i] = s
	}
	return out
}

// total returns how many requests or arrivals all samples are of together.
func total(samples []Sample) uint64 {
	var n uint64
	for _, s := range samples {
		if s.State == report.FigureSeen {
			n += s.Of
		}
	}
	return n
}

// readings returns the values among samples.
func readings(samples []Sample) []stats.Reading {
	var out []stats.Reading
	for _, s := range samples {
		if s.State == report.FigureSeen {
			out = append(out, s.Reading)
		}
	}
	return out
}
