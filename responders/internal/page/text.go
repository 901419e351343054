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
	// parameters are those of an address, which may let in whoever has it.
	parameters = regexp.MustCompile(`\?[A-Za-z0-9_.~-]+=[^\s<>|]*`)
)

// secrets is what looks like one.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:password|passwd|passcode|pin|secret|token|api[_-]?key|pwd)\b["']?\s*[:=]\s*["']?[^\s"'<>|]{3,}`),
	regexp.MustCompile(`(?i)\b(?:bearer\s+[^\s"'<>|]{6,}|basic\s+[A-Za-z0-9+/]{12,}={0,2})`),
	regexp.MustCompile(`\bxox[a-z]-[A-Za-z0-9-]{8,}|\bgh[a-z]_[A-Za-z0-9]{16,}|\bAKIA[A-Z0-9]{12,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+`),
	regexp.MustCompile(`\b(?:[0-9a-fA-F]{24,}|[A-Za-z0-9+_-]{40,}={0,2})`),
}

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

// Scrub takes out of a text that people wrote what a record must not hold: addresses, telephone numbers, and what looks like a
// secret.
func Scrub(text string) string {
	text = mail.ReplaceAllString(text, "[e-mail]")
	text = parameters.ReplaceAllString(text, "?…")
	for _, s := range secrets {
		text = s.ReplaceAllString(text, "[secret]")
	}
	return numbers(text)
}

// numbers takes telephone numbers out of a text.
func numbers(text string) string {
	return phone.ReplaceAllStringFunc(text, func(found string) string {
		if _, err := netip.ParseAddr(found); err == nil || instant.MatchString(found) {
			return found
		}
		return "[phone]"
	})
}

// Title takes addresses and telephone numbers out of a page's title, which is a label of it: a long name in it is no secret.
func Title(text string) string { return cut(numbers(mail.ReplaceAllString(text, "[e-mail]"))) }

// Clean is Scrub, and takes out the names of people as well, which become their ids.
func (n Names) Clean(text string) string {
	text = Scrub(text)
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
	return cut(text)
}

// cut bounds a text.
func cut(text string) string {
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
