package report

import "time"

// PolicyPlan is what the policies say of a plan.
type PolicyPlan struct {
	At         time.Time         `json:"at"` // when the run would begin
	ApprovedBy string            `json:"approved_by,omitempty"`
	Files      []PolicyFile      `json:"files"`
	Violations []PolicyViolation `json:"violations,omitempty"` // none means that all policies allow it
}

// PolicyFile names a policy: its file, and the SHA-256 of what was in it.
type PolicyFile struct {
	File   string `json:"file"`
	Digest string `json:"digest,omitempty"`
}

// PolicyViolation is one rule that a run would break.
type PolicyViolation struct {
	Policy string `json:"policy"` // its file
	Rule   string `json:"rule"`
	Fault  string `json:"fault,omitempty"` // empty: the run as a whole
	Place  string `json:"place,omitempty"`
	Text   string `json:"text"`
}

// About returns what would break the rule: "the run", "fault cut", or "fault cut on web".
func (v PolicyViolation) About() string {
	switch {
	case v.Fault == "":
		return "the run"
	case v.Place == "":
		return "fault " + v.Fault
	}
	return "fault " + v.Fault + " on " + v.Place
}
