package dns

import (
	"fmt"
	"strings"

	"gameday/faults"
)

// Limits of RFC 1035, section 2.3.4, in bytes.
const (
	maxLabel = 63
	maxName  = 255 // in wire form, with the root's empty label
)

// wireName is a name as RFC 1035 sends it: each label after its length, the root's empty one last; ASCII letters in lower
// case. Unlike text it has one form only, whatever bytes are in the labels.
type wireName string

// parsePattern reads a name or "*.name". below says that the pattern stands for all names under it and not for itself.
func parsePattern(s string) (name wireName, below bool, err error) {
	rest, below := strings.CutPrefix(s, "*.")
	invalid := func(why string) error {
		return &faults.FieldError{Field: "names", Summary: "Invalid name",
			Detail: fmt.Sprintf("%q %s. Write a name such as db.example.com, or *.example.com for all names below that; "+
				"leave out names to hit all.", s, why)}
	}
	var b strings.Builder
	for _, label := range strings.Split(strings.TrimSuffix(rest, "."), ".") {
		switch {
		case label == "":
			return "", false, invalid("has an empty part")
		case strings.Contains(label, "*"):
			return "", false, invalid("has a * that is not its whole first part")
		case len(label) > maxLabel:
			return "", false, invalid(fmt.Sprintf("has a part of %d bytes, and a name's parts have at most %d",
				len(label), maxLabel))
		case strings.ContainsFunc(label, func(r rune) bool { return !ordinary(r) }):
			return "", false, invalid("has a character that is no letter, digit, dash or underscore; " +
				"international names are written in their xn-- form")
		}
		b.WriteByte(byte(len(label)))
		b.WriteString(strings.ToLower(label))
	}
	b.WriteByte(0)
	if b.Len() > maxName {
		return "", false, invalid(fmt.Sprintf("is longer than a name can be, %d bytes", maxName-2))
	}
	return wireName(b.String()), below, nil
}

func ordinary(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// nameSet is a set of names; the zero value holds all.
type nameSet struct {
	exact, below map[wireName]bool
	first        wireName // what was added first, to make a probe of
	firstBelow   bool
}

func (s *nameSet) add(n wireName, below bool) {
	if s.all() {
		s.exact, s.below, s.first, s.firstBelow = map[wireName]bool{}, map[wireName]bool{}, n, below
	}
	if below {
		s.below[n] = true
	} else {
		s.exact[n] = true
	}
}

func (s *nameSet) all() bool { return s.exact == nil }

// has reports whether the set holds a name, which must be in wire form.
func (s *nameSet) has(n wireName) bool {
	if s.all() || s.exact[n] {
		return true
	}
	for len(n) > 1 {
		n = n[min(int(n[0])+1, len(n)):]
		if s.below[n] {
			return true
		}
	}
	return false
}

// probe returns a name of the set that nobody else asks for if it can: label is put before a pattern, or before the
// reserved .invalid (RFC 2606) when all names are meant.
func (s *nameSet) probe(label string) wireName {
	own := string(rune(len(label))) + label
	switch {
	case s.all():
		return wireName(own + "\x07invalid\x00")
	case s.firstBelow && len(own)+len(s.first) <= maxName:
		return wireName(own) + s.first
	case s.firstBelow:
		return "\x01a" + s.first
	}
	return s.first
}
