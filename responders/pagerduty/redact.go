package pagerduty

import (
	"regexp"
	"slices"
	"strings"
)

// What is taken out of texts that people wrote: e-mail addresses, and telephone numbers as an international number or as at
// least nine digits with what is put between them.
var (
	mail  = regexp.MustCompile(`[\pL\pN._%+\-]+@[\pL\pN\-]+(\.[\pL\pN\-]+)+`)
	phone = regexp.MustCompile(`\+\d[\d ()./,#\-]{5,}\d#?|\(?\b\d{2,4}\)?[ ./\-]\d{2,4}[ ./\-]\d{2,}([ ./\-]\d{2,})*\b|\b\d{9,15}\b`)
	// instant is a date, perhaps with a time: digits with signs between them that are no telephone number.
	instant = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}`)
)

// mostText bounds a text, in bytes.
const mostText = 2_000

// names are users by what their names are, for names that stand in texts.
type names map[string]string

// note remembers a user.
func (n names) note(list ...reference) {
	for _, r := range list {
		if r.ID != "" && len(r.Summary) > 2 {
			n[r.Summary] = r.ID
		}
	}
}

// clean takes out of a text what a record must not hold: addresses, telephone numbers, and the names of users, which become
// their ids.
func (n names) clean(text string) string {
	text = mail.ReplaceAllString(text, "[e-mail]")
	text = phone.ReplaceAllStringFunc(text, func(found string) string {
		if instant.MatchString(found) {
			return found
		}
		return "[phone]"
	})
	var known []string
	for name := range n {
		known = append(known, name)
	}
	// The longest first, so that one name in another leaves no rest of it.
	slices.SortFunc(known, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	for _, name := range known {
		text = strings.ReplaceAll(text, name, n[name])
	}
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "…"
	}
	return text
}
