package screen

import (
	"strings"
	"time"

	"gameday/report"
)

// Teller puts the events of a run into words as the screen does, for others that show a run. It hides nothing: what it says is
// not for those who play blind. It need not be told of traffic, of which it says nothing. It is for one goroutine.
type Teller struct{ state *state }

// NewTeller returns a teller for a run of a plan.
func NewTeller(p *report.Plan) *Teller { return &Teller{newState(p, false)} }

// Tell takes the next event and returns the line that tells of it, or "" when it is not worth one. There is no control character
// in it.
func (t *Teller) Tell(e report.Event) string {
	line := t.state.take(e)
	if e.Kind == report.PreflightFound { // objects for kubectl follow
		line, _, _ = strings.Cut(line, "\n")
	}
	return strings.TrimSpace(plain(line))
}

// Next names the planned event that is nearest at a time on the run's clock, and says when it comes: "cut in 1:20"; "" when none is
// left.
func (t *Teller) Next(now time.Duration) string {
	t.state.now = now
	return t.state.next()
}
