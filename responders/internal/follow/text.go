package follow

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// mostText bounds a text that people wrote, in bytes.
const mostText = 500

// What a text of people may hold that is nobody's business: addresses, telephone numbers, and what looks like a secret.
var private = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+`), "[e-mail]"},
	{regexp.MustCompile(`\?[A-Za-z0-9_.~-]+=[^\s<>|]*`), "?…"}, // of an address: it may let in whoever has it
	{regexp.MustCompile(`(?i)\b(?:password|passwd|passcode|pin|secret|token|api[_-]?key|pwd)\b["']?\s*[:=]\s*["']?[^\s"'<>|]{3,}`), "[secret]"},
	{regexp.MustCompile(`(?i)\b(?:bearer\s+[^\s"'<>|]{6,}|basic\s+[A-Za-z0-9+/]{12,}={0,2})`), "[secret]"},
	{regexp.MustCompile(`\bxox[a-z]-[A-Za-z0-9-]{8,}|\bgh[a-z]_[A-Za-z0-9]{16,}|\bAKIA[A-Z0-9]{12,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+`), "[secret]"},
	{regexp.MustCompile(`\b(?:[0-9a-fA-F]{24,}|[A-Za-z0-9+_-]{40,}={0,2})`), "[secret]"},
	{regexp.MustCompile(`\+[0-9][0-9 ()./,#-]{5,}[0-9]#?|\(?\b[0-9]{2,4}\)?[ ./-][0-9]{2,4}[ ./-][0-9]{2,}(?:[ ./-][0-9]{2,})*\b|\b[0-9]{9,15}\b`), "[number]"},
}

// date is what looks like a telephone number and is none.
var date = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}`)

// Scrub returns a text that people wrote without addresses, telephone numbers and what looks like a secret, cut to a length.
func Scrub(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), 64*mostText)], "")
	for _, p := range private {
		text = p.what.ReplaceAllStringFunc(text, func(found string) string {
			if date.MatchString(found) {
				return found
			}
			return p.with
		})
	}
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
