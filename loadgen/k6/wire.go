package k6

import (
	"time"

	"gameday/loadgen"
)

const (
	// role is this engine's, as child.Role tells it.
	role = "k6"
	// scriptVariable gives a child the script's environment, as a JSON object, without showing it in the list of processes.
	scriptVariable = "GAMEDAY_K6_ENV"
	// heldVariable is set when the child is to wait until it is told its first instant.
	heldVariable = "GAMEDAY_K6_HELD"
)

// The names under which our parts are registered in k6.
const (
	outputName   = "gameday"
	arrivalsType = "gameday-arrival-rate"
	keptType     = "gameday-kept"
)

// arrivalOptions are the options of one scenario under our executor, beside those every k6 scenario has.
type arrivalOptions struct {
	loadgen.Arrivals
	PlannedVUs int64         `json:"plannedVUs"`
	MaxVUs     int64         `json:"maxVUs"`
	Backlog    int           `json:"backlog"` // arrivals that may wait for a virtual user
	Grace      time.Duration `json:"grace"`   // nanoseconds
	Calls      bool          `json:"calls"`   // the script speaks of gRPC
}
