package file

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gameday/faults"
)

// Config holds the settings of a source. Durations are Go strings ("2s").
type Config struct {
	Path  string `hcl:"path"`
	Error string `hcl:"clock_error,optional" json:"clock_error,omitempty"` // of the clock that the times are by, at the most; 1s
	// Grade is that of evidence whose line gives none; D, somebody's word, by default.
	Grade string `hcl:"grade,optional" json:"grade,omitempty"`
	// Automation are the actors who never count as human, whatever their line says.
	Automation []string `hcl:"automation,optional" json:"automation,omitempty"`
}

// The defaults.
const (
	defaultError = time.Second
	defaultGrade = "D"
)

// grades are those of evidence.
var grades = []string{"A", "B", "C", "D"}

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, &faults.FieldError{Field: "path", Summary: "No file", Detail: "Name the file that the events are in."})
	}
	if d, err := time.ParseDuration(c.Error); c.Error != "" && (err != nil || d < 0 || d > time.Hour) {
		errs = append(errs, &faults.FieldError{Field: "clock_error", Summary: "Invalid duration",
			Detail: fmt.Sprintf("%q is not a duration up to an hour, such as \"2s\".", c.Error)})
	}
	if c.Grade != "" && !slices.Contains(grades, c.Grade) {
		errs = append(errs, &faults.FieldError{Field: "grade", Summary: "Unknown grade",
			Detail: fmt.Sprintf("%q is no grade of evidence; they are A, B, C and D.", c.Grade)})
	}
	return errors.Join(errs...)
}
