package rehearsals

import (
	"slices"
	"time"

	"gameday/report"
)

// Plan is what is to be run in one call, by lane.
type Plan struct {
	Lanes []Lane `json:"lanes"` // in the order of first mention; those in which nothing is to be run are left out
	// Fresh are the scenarios that are not run, because they are go already. Running are those that somebody else runs now.
	Fresh   []string `json:"fresh,omitempty"`
	Running []string `json:"running,omitempty"`
}

// Lane is a sequence of scenarios, run one after the other beside those of other lanes.
type Lane struct {
	Name  string `json:"name,omitempty"`
	Steps []Step `json:"-"`
	// Scenarios are the names of the steps.
	Scenarios []string `json:"scenarios"`
	// After are the scenarios of the lane that somebody else runs now: nothing of the lane is begun beside them.
	After []string `json:"-"`
}

// Next returns what is to be run: every scenario that is not go by what records show at an instant, in its lane and order. What somebody
// runs now is left to them, and the rest of its lane comes after it. After an interruption the same question gives the rest: there is no other
// state than the records.
func Next(r *Rehearsal, shown Shown, now time.Time) Plan {
	p := Plan{Lanes: []Lane{}}
	busy := map[string][]string{}
	for _, s := range r.Steps {
		x := judgeStep(r, s, shown[s.Name()], now)
		switch {
		case x.State == Go:
			p.Fresh = append(p.Fresh, s.Name())
			continue
		case x.Run != nil && x.Run.Running:
			p.Running = append(p.Running, s.Name())
			busy[s.Lane] = append(busy[s.Lane], s.Name())
			continue
		}
		i := slices.IndexFunc(p.Lanes, func(l Lane) bool { return l.Name == s.Lane })
		if i < 0 {
			p.Lanes = append(p.Lanes, Lane{Name: s.Lane})
			i = len(p.Lanes) - 1
		}
		p.Lanes[i].Steps = append(p.Lanes[i].Steps, s)
		p.Lanes[i].Scenarios = append(p.Lanes[i].Scenarios, s.Name())
	}
	for i := range p.Lanes {
		p.Lanes[i].After = busy[p.Lanes[i].Name]
	}
	return p
}

// Count returns how many scenarios are to be run.
func (p Plan) Count() int {
	n := 0
	for _, l := range p.Lanes {
		n += len(l.Steps)
	}
	return n
}

// AfterRun reports whether nothing further is begun after a run that somebody else has made, by what its record shows.
func (s Stops) AfterRun(r *Run) bool {
	return r.Residue || r.Unread == "" && slices.Contains(s, r.Verdict)
}

// After reports whether nothing further is begun after a run that ended with an exit code of `gameday run`: 0 passed, 1 failed,
// 3 inconclusive, 4 aborted. 5, a fault left standing, always stops, and so does any other, for nobody knows what came of it. 2 does
// not: that scenario was refused before it touched anything, and says nothing of the others.
func (s Stops) After(code int) bool {
	switch code {
	case 0, 2:
		return false
	case 1:
		return slices.Contains(s, report.Failed)
	case 3:
		return slices.Contains(s, report.Inconclusive)
	case 4:
		return slices.Contains(s, report.Aborted)
	}
	return true
}
