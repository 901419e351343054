// Package child is a traffic generator in a process of its own, both ends of it: what starts the process, follows it and
// bounds its log; and, inside it, what counts seconds, measures what the process itself takes, and talks to the parent.
//
//	gameday ──commands, a line each──▶ fd 4  generator
//	        ◀──events, a line each──── fd 3
//
// A generator that runs out of memory or panics must not take along the process that reverts the faults, and its own
// processor time must be told from gameday's. End of file on fd 4 means that gameday is gone, and ten seconds without a line,
// which may be empty, that it is stopped: stop.
package child

import (
	"time"

	"gameday/loadgen"
)

// variable names, in the environment, the engine that this program is started as.
const variable = "GAMEDAY_GENERATOR"

// The descriptors of a child beside the usual three.
const (
	EventsFD   = 3 // to the parent
	CommandsFD = 4 // from the parent
)

const (
	maxLogs       = 20      // distinct messages a run
	maxMessage    = 4 << 10 // bytes of one message
	maxEventBytes = 4 << 20 // one line of EventsFD
	// maxCommandBytes bounds one line of CommandsFD. A leg takes less than 64 bytes.
	maxCommandBytes = 64*loadgen.MaxLegs + 4<<10
)

// Event is one line from the child. Exactly one field is set.
type Event struct {
	Prepared bool            `json:"prepared,omitempty"` // it could begin, and waits to be told when
	Ready    *time.Time      `json:"ready,omitempty"`    // the schedule's first instant has come
	Window   *loadgen.Window `json:"window,omitempty"`
	Log      *Message        `json:"log,omitempty"`
	Script   *Script         `json:"script,omitempty"` // before Prepared and Ready; not of every engine
	End      *Ending         `json:"end,omitempty"`    // the last line
}

// Script is what a child has learnt of what it runs, and its parent needs to know.
type Script struct {
	SetupWithin time.Duration `json:"setup_within"` // in place of the Follower's; nanoseconds
	EndWithin   time.Duration `json:"end_within"`
	// Folder is what the engine calls the folder of the script in what it says.
	Folder string `json:"folder"`
}

// Message is something that the script or the engine says.
type Message struct {
	Level string `json:"level"` // as in loadgen.Spec.Log
	Text  string `json:"text"`
}

// EndReason says why the child came to its end.
type EndReason string

// The reasons.
const (
	EndStopped EndReason = "stopped" // it was told to
	EndEnded   EndReason = "ended"   // the script had no more to do
	EndAborted EndReason = "aborted" // the script said so
	EndOrphan  EndReason = "orphan"  // the parent is gone, or silent
	EndFailed  EndReason = "failed"
)

// Ending is a child's last word.
type Ending struct {
	Reason EndReason `json:"reason"`
	Error  string    `json:"error,omitempty"`
}

// Command is one line to the child.
type Command struct {
	Begin *time.Time    `json:"begin,omitempty"` // the first instant, of one that was started to wait for it; nothing else is set
	At    time.Duration `json:"at,omitempty"`    // since the first instant, nanoseconds; 0 is now
	To    float64       `json:"to"`
	Over  time.Duration `json:"over"` // nanoseconds
	Then  []loadgen.Leg `json:"then,omitempty"`
	Stop  bool          `json:"stop,omitempty"`
}
