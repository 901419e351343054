package report

import (
	"strings"
	"time"

	"gameday/clock"
)

// ClockName says what a clock of a fault waits for.
type ClockName string

// The clocks, in the order in which they come to be read. What else is asked of people (engage, the steps, diagnose,
// without) is timed by a clock of the same name, between mark and mitigate.
const (
	ClockDetect      ClockName = "detect"      // the alarm fires
	ClockPage        ClockName = "page"        // somebody is told
	ClockAcknowledge ClockName = "acknowledge" // a human being says "mine"
	ClockEscalate    ClockName = "escalate"    // the next level is told
	ClockMark        ClockName = "mark"        // somebody sets a named mark
	ClockMitigate    ClockName = "mitigate"    // users' own indicators are back inside, with or without the fault gone
	ClockRestart     ClockName = "restart"     // what was taken down is back
	ClockRecover     ClockName = "recover"     // the steady state holds again
	ClockClear       ClockName = "clear"       // the alarm is quiet again
	ClockResolve     ClockName = "resolve"     // the page is closed
)

// Clock says from when an item's Latency and its limit, Within, are counted.
type Clock struct {
	Name  ClockName `json:"name"`
	Fault string    `json:"fault,omitempty"` // whose onset began it all
	Of    string    `json:"of,omitempty"`    // the alarm, or the response
	From  string    `json:"from"`            // what the clock's zero is, in words: "the onset of cut"
	// Zero is when the clock began to run; unset when it never did, or nobody knows when.
	Zero clock.Interval `json:"zero,omitzero"`
	// NotBefore is set where doing it sooner than that is a miss too. Nanoseconds.
	NotBefore time.Duration `json:"not_before,omitempty"`
}

// timed gives an item its clock, which does not run yet.
func (i *Item) timed(name ClockName, of, from string) {
	i.Clock = &Clock{Name: name, Fault: i.cause, Of: of, From: from}
}

// runs starts the item's clock.
func (i *Item) runs(zero clock.Interval) { i.Clock.Zero = zero }

// clockOf names the clock of a response's item.
func clockOf(what string) ClockName {
	name, _, _ := strings.Cut(what, ".")
	return ClockName(name)
}
