package faults

import (
	"encoding/json"
	"time"
)

// Entry is one line of the ledger: an injection that stands, or may stand, and what undoes it. It is on disk before the
// fault is on the target.
type Entry struct {
	ID       string          `json:"id"` // unique: run and injection
	Run      string          `json:"run"`
	Scenario string          `json:"scenario"`
	Fault    string          `json:"fault"` // the fault's name in the scenario
	Kind     string          `json:"kind"`
	Place    Place           `json:"place"`
	Config   json.RawMessage `json:"config"`
	Undo     json.RawMessage `json:"undo"`
	Opened   time.Time       `json:"opened"`
	Deadline time.Time       `json:"deadline"` // the fault may not stand longer, whoever renews it
	Guard    int             `json:"guard"`    // pid of the guard that holds it; informative only
}
