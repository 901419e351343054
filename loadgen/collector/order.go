package collector

import (
	"context"
	"time"

	"gameday/faults"
	"gameday/loadgen"
)

// The environment by which a runner that somebody starts is told what it is to do.
const (
	TokenVariable     = "GAMEDAY_RUNNER_TOKEN"
	CollectorVariable = "GAMEDAY_RUNNER_COLLECTOR"
	WhoVariable       = "GAMEDAY_RUNNER_NAME"
)

// Order asks for the runners of a stream.
type Order struct {
	Run      string        `json:"run"`
	Scenario string        `json:"scenario"`
	Stream   string        `json:"stream"`
	Owner    string        `json:"owner"` // who runs it: user@host
	RunOn    loadgen.RunOn `json:"run_on"`
	Access   faults.Access `json:"access"` // to the cluster
	// Collector is where the runners find it, and Token the secret that they need.
	Collector string `json:"collector"`
	Token     string `json:"token"`
	// Lasts is how long the runners are needed at the longest: what lapses by itself lapses then.
	Lasts time.Duration `json:"lasts"`
	// Patience bounds how long they may take to come.
	Patience time.Duration `json:"patience"`
	Dir      string        `json:"-"` // a folder for their logs; it exists
}

// Starter starts runners.
type Starter interface {
	// Start has the runners of a stream started. Of one that has come to its end, lost hears, by its number from 0, and why; said
	// hears what else people should know. Both may be called from any goroutine until stop has returned: then the runners are gone, or
	// said has heard which are not.
	Start(ctx context.Context, o Order, lost func(i int, why error), said func(level, text string)) (stop func(), err error)
}
