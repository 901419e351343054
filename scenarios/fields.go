package scenarios

import (
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// maxDuration bounds every duration in a scenario. A game day longer than a week is a mistake in the unit.
const maxDuration = 7 * 24 * time.Hour

// duration parses a duration attribute and reports one that is not, or lies outside [least, maxDuration].
func (l *loader) duration(text string, body hcl.Body, field string, at hcl.Range, least time.Duration) time.Duration {
	if text == "" && !l.decodes(body, field, cty.String) {
		return 0 // that it is missing, or no text, is reported
	}
	r := attrRange(body, field, at)
	d, err := time.ParseDuration(text)
	switch {
	case err != nil && tooLong.MatchString(text):
		l.errorf(r, "Duration too long", "%s = %q is longer than a week. Is the unit right?", field, text)
	case err != nil && inDays.MatchString(text):
		l.errorf(r, "Invalid duration", "%s = %q: days and weeks are not always equally long, so there is no unit for them. Write hours: two days "+
			"are \"48h\".", field, text)
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

var (
	// tooLong is what has the form of a duration: if it cannot be parsed, it does not fit.
	tooLong = regexp.MustCompile(`^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$`)
	inDays  = regexp.MustCompile(`^[+-]?([0-9.]+(ns|us|µs|ms|s|m|h))*[0-9.]+ ?(d|w|days?|weeks?)([0-9.]+(ns|us|µs|ms|s|m|h))*$`)
)

// present reports whether a body has one of these attributes, whatever their values.
func present(body hcl.Body, names ...string) bool {
	s := &hcl.BodySchema{}
	for _, n := range names {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: n})
	}
	c, _, _ := body.PartialContent(s)
	return c != nil && len(c.Attributes) > 0
}

// decodes reports whether an attribute is there and its value fits a type. What does not is reported by the decoder, and
// need not be complained of again.
func (l *loader) decodes(body hcl.Body, field string, as cty.Type) bool {
	c, _, _ := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: field}}})
	if c == nil || c.Attributes[field] == nil {
		return false
	}
	v, diags := c.Attributes[field].Expr.Value(l.base)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return false
	}
	_, err := convert.Convert(v, as)
	return err == nil
}

// short prints a duration without the zero units that time.Duration adds: "3m", not "3m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
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
	if w == nil || !l.decodes(body, "weight", cty.Number) {
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
