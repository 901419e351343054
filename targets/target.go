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
	// Kind is the block's name: "process", "node".
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
	AtMost   int
	Found    []string
}

// Error names the target, the bound, and what was found.
func (e *TooManyError) Error() string {
	shown := e.Found
	more := ""
	if len(shown) > 5 {
		more = fmt.Sprintf(" and %d more", len(shown)-5)
		shown = shown[:5]
	}
	return fmt.Sprintf("target %q selects %d places and may select %d (at_most): %s%s; narrow the selector or raise at_most",
		e.Target, len(e.Found), e.AtMost, strings.Join(shown, ", "), more)
}

// Selectors lists the kinds of selector in this build, by name.
func Selectors() map[string]func() Selector {
	return map[string]func() Selector{
		"process": func() Selector { return &Process{} },
		"node":    func() Selector { return &Node{} },
	}
}
