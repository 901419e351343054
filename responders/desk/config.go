package desk

import (
	"errors"
	"fmt"
	"net"
	"time"

	"gameday/faults"
)

// Config is the desk's policy: who is told, and who next when nobody answers. Durations are Go strings ("5m").
type Config struct {
	Listen string  `hcl:"listen,optional" json:"listen,omitempty"` // default "127.0.0.1:0": any free port
	Levels []Level `hcl:"level,block" json:"levels"`
	// Automation are the actors who never count as human; names that begin with "bot:" do not either.
	Automation []string `hcl:"automation,optional" json:"automation,omitempty"`
	// Repeat is how often the policy begins again at level 1 after the last level did not answer either.
	Repeat int `hcl:"repeat,optional" json:"repeat,omitempty"`
}

// Level is one step of the policy.
type Level struct {
	People []string `hcl:"people" json:"people"`
	// EscalateAfter is how long the level has to acknowledge; empty on the last level when the policy is not repeated.
	EscalateAfter string `hcl:"escalate_after,optional" json:"escalate_after,omitempty"`
}

// DefaultListen is any free port of this machine, not reachable from others.
const DefaultListen = "127.0.0.1:0"

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	var errs []error
	add := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			add("listen", "Invalid address", `Write a host and a port, such as "127.0.0.1:9199"; port 0 takes any free one.`)
		}
	}
	if len(c.Levels) == 0 {
		add("level", "No level", `A page must reach somebody: add level { people = ["ann"] }.`)
	}
	for i, l := range c.Levels {
		if len(l.People) == 0 {
			add("people", "Nobody at a level", "Level %d has no people, so a page would wait there for nobody.", i+1)
		}
		for _, p := range l.People {
			if p == "" {
				add("people", "Empty name", "Level %d has a person without a name.", i+1)
			}
		}
		last := i == len(c.Levels)-1 && c.Repeat == 0
		d, err := time.ParseDuration(l.EscalateAfter)
		switch {
		case l.EscalateAfter == "" && !last:
			add("escalate_after", "Missing duration",
				"Level %d is followed by another, so it needs escalate_after: how long it has to acknowledge.", i+1)
		case l.EscalateAfter != "" && (err != nil || d <= 0):
			add("escalate_after", "Invalid duration",
				`Level %d: write a number with a unit, longer than nothing, such as "5m" or "90s".`, i+1)
		}
	}
	if c.Repeat < 0 || c.Repeat > mostRepeats {
		add("repeat", "Invalid number", "The policy can be repeated 0 to %d times.", mostRepeats)
	}
	return errors.Join(errs...)
}

// mostRepeats bounds how often a page goes round.
const mostRepeats = 100

// waits returns how long each level has; 0 is for ever. The configuration must be valid.
func (c Config) waits() []time.Duration {
	out := make([]time.Duration, 0, len(c.Levels))
	for _, l := range c.Levels {
		d, err := time.ParseDuration(l.EscalateAfter)
		if err != nil {
			d = 0
		}
		out = append(out, d)
	}
	return out
}
