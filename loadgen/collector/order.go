package collector

import (
	"context"
	"errors"
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

// TrafficVerb is the word by which gameday-kubernetes is started for an Order.
const TrafficVerb = "traffic"

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
	// Content is what they are to send, packed, when they report by their logs, and Logs hears them and tells them what to do.
	Content []byte `json:"content,omitempty"`
	Logs    *Logs  `json:"-"`
}

// Word is what gameday says after an Order, a line of JSON each: what a runner is to be told. It takes the place of what it was told before.
type Word struct {
	Runner int    `json:"runner"` // from 0
	Orders string `json:"orders"`
}

// News is one thing that gameday-kubernetes says of the runners that an Order asks for: a line of JSON. Exactly one field is set.
type News struct {
	Made []string `json:"made,omitempty"` // objects, "job load/gameday-visitors-1a2b3c-1"
	Lost *Lost    `json:"lost,omitempty"`
	Said *Said    `json:"said,omitempty"`
	Log  *Log     `json:"log,omitempty"`
	// Ended is a runner, from 1, of whose log nothing more comes.
	Ended int    `json:"ended,omitempty"`
	Error string `json:"error,omitempty"` // it could not be done; what was made is gone, or Left
	// Gone says that everything which was made is gone, and Left what may not be. One of them is the last line.
	Gone bool     `json:"gone,omitempty"`
	Left []string `json:"left,omitempty"`
}

// Lost is a runner that has come to its end.
type Lost struct {
	Runner int    `json:"runner"` // from 0
	Why    string `json:"why"`
}

// Said is something for people.
type Said struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Log is a piece of what a runner's pod has printed.
type Log struct {
	Runner int    `json:"runner"`
	Text   string `json:"text"`
}

// Starter starts runners.
type Starter interface {
	// Start has the runners of a stream started. Of one that has come to its end, lost hears, by its number from 0, and why; said
	// hears what else people should know. Both may be called from any goroutine until stop has returned: then the runners are gone, or
	// said has heard which are not. Both errors are ErrLeft when what was made for the runners was not seen to be gone.
	Start(ctx context.Context, o Order, lost func(i int, why error), said func(level, text string)) (stop func() error, err error)
}

// ErrLeft says that some of what was made for runners may be left where it was made.
var ErrLeft = errors.New("what was made for its runners was not seen to be gone")
