package follow

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gameday/responders/internal/page"
)

// mostText bounds a text that people wrote, in bytes.
const mostText = 500

// Scrub returns a text that people wrote without addresses, telephone numbers and what looks like a secret, cut to a length.
func Scrub(text string) string {
	text = page.Scrub(strings.ToValidUTF8(text[:min(len(text), 64*mostText)], ""))
	if len(text) <= mostText {
		return text
	}
	end := mostText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// Length says of a text that is not kept how long it is.
func Length(text string) string {
	if n := utf8.RuneCountInString(text); n != 1 {
		return fmt.Sprintf("wrote %d characters", n)
	}
	return "wrote 1 character"
}
