package page

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is taken out of texts that people wrote: e-mail addresses, and telephone numbers as an international number or as at
// least nine digits with what is put between them.
var (
	mail  = regexp.MustCompile(`[\pL\pN._%+\-]+@[\pL\pN\-]+(\.[\pL\pN\-]+)+`)
	phone = regexp.MustCompile(`\+\d[\d ()./,#\-]{5,}\d#?|\(?\b\d{2,4}\)?[ ./\-]\d{2,4}[ ./\-]\d{2,}([ ./\-]\d{2,})*\b|\b\d{9,15}\b`)
	// instant is a date, perhaps with a time: digits with signs between them that are no telephone number.
	instant = regexp.MustCompile(`^\d{4}[-/.]\d{2}[-/.]\d{2}`)
)

// mostText bounds a text, in bytes.
const mostText = 2_000

// Names are the ids of people by their names, for names that stand in texts.
type Names map[string]string

// Note remembers a person. A name of one or two letters is not remembered: it stands in every text.
func (n Names) Note(id, name string) {
	if id != "" && len(name) > 2 {
		n[name] = id
	}
}

// Clean takes out of a text what a record must not hold: addresses, telephone numbers, and the names of people, which become
// their ids.
func (n Names) Clean(text string) string {
	text = mail.ReplaceAllString(text, "[e-mail]")
	text = phone.ReplaceAllStringFunc(text, func(found string) string {
		if _, err := netip.ParseAddr(found); err == nil || instant.MatchString(found) {
			return found
		}
		return "[phone]"
	})
	// The longest first, so that one name in another leaves no rest of it.
	known := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	for _, name := range known {
		text = replace(text, name, n[name])
	}
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "…"
	}
	return text
}

// replace puts with in the place of a name wherever it stands as words of its own.
func replace(text, name, with string) string {
	var out strings.Builder
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return out.String() + text
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(name):])
		if inWord(before) || inWord(after) {
			from = i + len(name)
			continue
		}
		out.WriteString(text[:i] + with)
		text, from = text[i+len(name):], 0
	}
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// Lacking returns the first label of an expected alarm that a page neither has nor contradicts; empty when for each expected
// alarm it is clear whether the page is about it.
func Lacking(labels map[string]string, expected []map[string]string) string {
	for _, match := range expected {
		if contradicts(labels, match) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(match)) {
			if _, has := labels[name]; !has {
				return name
			}
		}
	}
	return ""
}

// contradicts reports whether a page has a label of an alarm with another value.
func contradicts(labels, match map[string]string) bool {
	for name, want := range match {
		if got, has := labels[name]; has && got != want {
			return true
		}
	}
	return false
}
