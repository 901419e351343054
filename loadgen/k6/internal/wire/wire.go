// Package wire is what gameday and gameday-k6 say to each other beside what every generator and its parent do.
package wire

import "gameday/loadgen"

const (
	// Program is the name of the program that runs scripts.
	Program = "gameday-k6"
	// VersionFlag makes the program say its version: in its first line, after Says.
	VersionFlag = "--version"
	Says        = Program + " version "
	// Role is this engine's, as child.Role tells it.
	Role = "k6"
	// ScriptVariable gives a child the script's environment, as a JSON object, without showing it in the list of processes.
	ScriptVariable = "GAMEDAY_K6_ENV"
	// HeldVariable is set when the child is to wait until it is told its first instant.
	HeldVariable = "GAMEDAY_K6_HELD"
	// JobVariable is set when the child finds a Job on its standard input, to do first.
	JobVariable = "GAMEDAY_K6_JOB"
)

// The names under which our parts are registered in k6.
const (
	OutputName  = "gameday"
	SecretsName = "gameday"
)

// Job makes of a script's archive the one that traffic runs.
type Job struct {
	From string       `json:"from"`
	To   string       `json:"to"`
	Spec loadgen.Spec `json:"spec"` // without its files and its environment
}
