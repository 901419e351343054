package k6

import (
	"time"

	"gameday/loadgen"
)

// The environment that makes this program a child, and gives the script its own without showing it in the list of
// processes.
const (
	childVariable  = "GAMEDAY_K6_CHILD"
	scriptVariable = "GAMEDAY_K6_ENV" // a JSON object
)

// The names under which our parts are registered in k6.
const (
	outputName    = "gameday"
	arrivalsType  = "gameday-arrival-rate"
	keptType      = "gameday-kept"
	eventsFD      = 3
	commandsFD    = 4
	maxLogs       = 20      // distinct messages a run
	maxMessage    = 4 << 10 // bytes of one message
	maxEventBytes = 4 << 20 // one line of fd 3
)

// event is one line from the child. Exactly one field is set.
type event struct {
	Ready  *time.Time      `json:"ready,omitempty"` // the schedule's first instant has come
	Window *loadgen.Window `json:"window,omitempty"`
	Log    *message        `json:"log,omitempty"`
	End    *ending         `json:"end,omitempty"` // the last line
}

type message struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// endReason says why the child came to its end.
type endReason string

const (
	endStopped endReason = "stopped" // it was told to
	endEnded   endReason = "ended"   // the script had no more to do
	endAborted endReason = "aborted" // the script said so: exec.test.abort()
	endOrphan  endReason = "orphan"  // the parent is gone
	endFailed  endReason = "failed"
)

type ending struct {
	Reason endReason `json:"reason"`
	Error  string    `json:"error,omitempty"`
}

// command is one line to the child.
type command struct {
	To   float64       `json:"to"`
	Over time.Duration `json:"over"` // nanoseconds
	Stop bool          `json:"stop,omitempty"`
}

// arrivalOptions are the options of one scenario under our executor, beside those every k6 scenario has.
type arrivalOptions struct {
	Rate       float64       `json:"rate"` // iterations per second at a multiple of 1
	PlannedVUs int64         `json:"plannedVUs"`
	MaxVUs     int64         `json:"maxVUs"`
	Backlog    int           `json:"backlog"` // arrivals that may wait for a virtual user
	Grace      time.Duration `json:"grace"`   // nanoseconds
}
