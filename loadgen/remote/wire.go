// Package remote sends a stream from another machine, both ends of it: what starts the program over there, hands it the
// stream and takes its windows; and, over there, what runs the usual engine on its behalf.
//
//	gameday ──the stream, then commands and questions, a line each──▶ stdin   gameday generator ──▶ engine's child
//	        ◀──answers and events, a line each─────────────────────── stdout
//
// The near end asks every second, and the far end answers. The far end stops when its input ends, and when it has heard
// nothing for a while, so that no traffic outlives the run; the near end takes a silent far end for dead.
package remote

import (
	"encoding/json"
	"fmt"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

const (
	// beat is how often the near end asks, and Silence after how long without a word each takes the other for dead.
	beat    = time.Second
	Silence = 10 * time.Second
	// clockProbes are how many questions tell the other clock: the last ones.
	clockProbes = 8
	// maxStream bounds the line with the stream: a script's archive in base64, and tables of data.
	maxStream = 512 << 20
	maxLine   = 16 << 20
)

// Way says what a connection is like that is slower than a network is, or breaks off for a while without losing anything. The zero value
// is a connection as others are.
type Way struct {
	// Silence is after how long without a word the far end is taken for dead, instead of the package's.
	Silence time.Duration
	// Pace is how long lies between two questions about the clock once it is known; 0 is a second. What is not answered by then, may be
	// lost, and is asked again.
	Pace time.Duration
	// Slowest is how long an answer may take at the quickest for the stream to begin; 0 is any time. What it is told later would come too late.
	Slowest time.Duration
}

// First returns the line by which a program of a version hands a stream over, for a far end that finds it elsewhere.
func First(version string, spec loadgen.Spec) ([]byte, error) {
	line, err := json.Marshal(toFar{Stream: &stream{Version: version, Spec: spec}})
	if err != nil {
		return nil, fmt.Errorf("telling the generator: %w", err)
	}
	return append(line, '\n'), nil
}

// toFar is one line to the far end. Exactly one field is set. A line may be empty: then it only says that the near end is there.
type toFar struct {
	Stream *stream        `json:"stream,omitempty"` // the first
	Order  *child.Command `json:"order,omitempty"`
	Probe  int            `json:"probe,omitempty"` // a number, from 1
}

// stream is what the far end is to send.
type stream struct {
	Version string       `json:"version"` // of the near end
	Spec    loadgen.Spec `json:"spec"`
}

// toNear is one line from the far end. Exactly one field is set. All instants, here and in orders, are by the far end's steady
// clock.
type toNear struct {
	Answer *answer      `json:"answer,omitempty"`
	Event  *child.Event `json:"event,omitempty"`
}

// answer is what the clock says over there.
type answer struct {
	Probe int       `json:"probe"`
	Now   time.Time `json:"now"`
}

// steady is a clock that says what the machine's said when it was made, and goes on from there whatever is done to that one.
type steady struct{ made time.Time }

func newSteady() steady { return steady{time.Now()} }

// at returns an instant of the machine's clock by this one.
func (s steady) at(t time.Time) time.Time { return s.made.Add(t.Sub(s.made)).Round(0) }

func (s steady) now() time.Time { return s.at(time.Now()) }
