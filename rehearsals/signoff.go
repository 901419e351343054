package rehearsals

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SignOff is what somebody said about a rehearsal: who, when, and what they saw. It is a line of the sign-offs' file.
type SignOff struct {
	Rehearsal string    `json:"rehearsal"`
	Role      string    `json:"role"` // one of those that the rehearsal asks for
	By        string    `json:"by"`   // the name that was given
	As        string    `json:"as"`   // for whom the program worked: "ann", "root (ann)"
	Host      string    `json:"host"`
	At        time.Time `json:"at"`
	// Saw is the digest of the scorecard, and Showed what it showed then.
	Saw    string `json:"saw"`
	Showed State  `json:"showed"`
	// Refused says that they are against it; Why is what they said.
	Refused bool   `json:"refused,omitempty"`
	Why     string `json:"why,omitempty"`
}

// SignOffSeen is what is known of one role's sign-off.
type SignOffSeen struct {
	Role  string   `json:"role"`
	State State    `json:"state"`
	Text  string   `json:"text"`
	Last  *SignOff `json:"last"` // the newest one of the role, which alone counts; nil when there is none
}

// seenOf returns what is known of a role's sign-off of the scorecard with a digest. Of one role the last line counts. runs are those that the
// scorecard is of.
func seenOf(role string, signed []SignOff, digest string, runs []StepResult) SignOffSeen {
	x := SignOffSeen{Role: role, Text: "nobody has signed"}
	for i := range signed {
		if signed[i].Role == role {
			last := signed[i]
			x.Last = &last
		}
	}
	l := x.Last
	if l == nil {
		return x
	}
	at := l.At.UTC().Format("2006-01-02 15:04 UTC")
	switch {
	case l.Saw != digest && l.Refused:
		x.Text = fmt.Sprintf("%s refused at %s%s; what was refused has changed since%s", l.By, at, behind(l.Why), since(l.At, runs))
	case l.Saw != digest:
		x.Text = fmt.Sprintf("%s signed at %s, and what was signed for has changed since%s", l.By, at, since(l.At, runs))
	case l.Refused:
		x.State, x.Text = NoGo, fmt.Sprintf("%s refused at %s%s", l.By, at, behind(l.Why))
	default:
		x.State, x.Text = Go, fmt.Sprintf("%s signed at %s%s", l.By, at, behind(l.Why))
	}
	return x
}

// since says which scenarios were run after an instant. It is empty when none was: then it is what is asked for that changed, a scenario, or
// how a record is judged.
func since(at time.Time, runs []StepResult) string {
	var names []string
	for _, s := range runs {
		if s.Run != nil && s.Run.Started.After(at) {
			names = append(names, s.Scenario)
		}
	}
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return ": " + names[0] + " was run after that"
	case n > mostEarlier:
		names = append(names[:mostEarlier], fmt.Sprintf("%d more", n-mostEarlier))
	}
	last := len(names) - 1
	return ": " + strings.Join(names[:last], ", ") + " and " + names[last] + " were run after that"
}

func behind(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// SignedBy returns the sign-offs of one rehearsal, in their order.
func SignedBy(all []SignOff, rehearsal string) []SignOff {
	return slices.DeleteFunc(slices.Clone(all), func(s SignOff) bool { return s.Rehearsal != rehearsal })
}
