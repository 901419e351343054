package scenarios

import (
	"math"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// maxDuration bounds every duration in a scenario. A game day longer than a week is a mistake in the unit.
const maxDuration = 7 * 24 * time.Hour

// duration parses a duration attribute and reports one that is not, or lies outside [least, maxDuration].
func (l *loader) duration(text string, body hcl.Body, field string, at hcl.Range, least time.Duration) time.Duration {
	r := attrRange(body, field, at)
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		l.errorf(r, "Invalid duration", "%s = %q is not a duration. Write a number with a unit: \"300ms\", \"30s\", \"5m\", \"1h30m\".",
			field, text)
	case d < 0:
		l.errorf(r, "Negative duration", "%s = %q is before its own beginning. Durations count forward.", field, text)
	case d < least:
		l.errorf(r, "Duration too short", "%s must be at least %s.", field, least)
	case d > maxDuration:
		l.errorf(r, "Duration too long", "%s = %q is longer than a week. Is the unit right?", field, text)
	default:
		return d
	}
	return least
}

// optional parses a duration attribute that may be absent.
func (l *loader) optional(text *string, body hcl.Body, field string, at hcl.Range, least, fallback time.Duration) time.Duration {
	if text == nil {
		return fallback
	}
	return l.duration(*text, body, field, at, least)
}

// weight checks a weight: it counts relative to the other items of its part.
func (l *loader) weight(w *float64, body hcl.Body, at hcl.Range) float64 {
	if w == nil {
		return 1
	}
	if *w <= 0 || *w > 1000 || math.IsNaN(*w) {
		l.errorf(attrRange(body, "weight", at), "Invalid weight", "A weight is more than 0 and at most 1000. "+
			"To leave an item out, take it out.")
		return 1
	}
	return *w
}

// one reports a block that stands twice where it may stand once. It reports whether the block is there.
func one[T any](l *loader, blocks []T, what string, at func(T) hcl.Range) bool {
	for i := 1; i < len(blocks); i++ {
		l.errorf(at(blocks[i]), "Duplicate "+what+" block", "There may be one %s block, and the first is at %s.", what, place(at(blocks[0])))
	}
	return len(blocks) > 0
}
