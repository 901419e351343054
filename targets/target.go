// Package targets finds where a fault lands: it resolves what a scenario's target block selects to places, as late as
// possible, and brings a guard to them.
package targets

import (
	"context"
	"fmt"
	"strings"

	"gameday/faults"
	"gameday/faults/guard"
)

// Selector is the inner block of a target: what to look for.
type Selector interface {
	// Kind is the block's name: "process", "container", "node".
	Kind() string
	// Validate reports every mistake that can be seen without looking, joined, each a *faults.FieldError.
	Validate() error
	// Provides says which parts a place of this kind has, for a fault's Need.
	Provides() []faults.Need
	// String is shown by plan: "process listening on 9102".
	String() string
}

// Place is somewhere a fault can land and a guard can stand.
type Place interface {
	// Where returns the place as the guard sees it.
	Where() faults.Place
	// Describe returns one line for plan: "pid 4127 /usr/local/bin/shop payments".
	Describe() string
	// Guard returns the guard that holds faults there; one guard may serve many places.
	Guard(ctx context.Context) (*guard.Client, error)
}

// Target resolves to places. It is resolved when a fault is due, not before: what was true at plan may have changed.
type Target interface {
	// Places returns at least one place and at most the target's bound, in a stable order. Anything else is an
	// *EmptyError or a *TooManyError, and nothing may be touched.
	Places(ctx context.Context) ([]Place, error)
	// Resolve returns the same places, and those that they were picked from.
	Resolve(ctx context.Context) (Resolution, error)
}

// Resolution is what a target selects at one instant.
type Resolution struct {
	Picked []Place // what may be touched
	Found  []Place // all that the selector finds, in a stable order; Picked is a part of it
}

// EmptyError says that a target selects nothing.
type EmptyError struct {
	Target   string
	Selector string
	Hint     string // what is there instead
}

// Error names the target, what it looked for, and what to look at.
func (e *EmptyError) Error() string {
	s := fmt.Sprintf("target %q selects nothing: no %s", e.Target, e.Selector)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// TooManyError says that a target selects more places than its at_most allows.
type TooManyError struct {
	Target   string
	Selector string
	Choice   Choice
	Of       int      // how many the selector finds
	AtMost   int      // how many of them may be touched
	Found    []string // what would be touched
}

// Error names the target, the bound, and what was found.
func (e *TooManyError) Error() string {
	shown := e.Found
	more := ""
	if len(shown) > 5 {
		more = fmt.Sprintf(" and %d more", len(shown)-5)
		shown = shown[:5]
	}
	verb, of, bound, next := "selects", "", "at_most", "narrow the selector"
	if !e.Choice.Pick.All() {
		verb, of, next = "picks", fmt.Sprintf(" of %d", e.Of), "pick fewer"
	}
	if e.Choice.AtMost.Percent != 0 {
		bound = fmt.Sprintf("at_most = %q of %d, rounded down", e.Choice.AtMost, e.Of)
	}
	return fmt.Sprintf("target %q %s %d places%s and may touch %d (%s): %s%s; %s or raise at_most",
		e.Target, verb, len(e.Found), of, e.AtMost, bound, strings.Join(shown, ", "), more, next)
}

// Selectors lists the kinds of selector in this build, by name.
func Selectors() map[string]func() Selector {
	return map[string]func() Selector{
		"process":   func() Selector { return &Process{} },
		"container": func() Selector { return &Container{} },
		"node":      func() Selector { return &Node{} },
		"host":      func() Selector { return &Host{} },
		"pods":      func() Selector { return &Pods{} },
		"instance":  func() Selector { return &Instance{} },
		"machine":   func() Selector { return &PhysicalMachines{} },
	}
}
