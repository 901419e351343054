package importer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"gameday/loadgen/sli"
)

// maxName keeps names well below the language's bound, with room for a number behind.
const maxName = 60

// slug makes a name of letters, digits, "_" and "-" that begins with a letter, or "" when nothing of the text is left.
func slug(text string) string {
	var b strings.Builder
	gap := false
	for _, c := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, c): // what NFKD takes off a letter: ü is u and a mark
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(c)
		default:
			gap = true
		}
		if b.Len() >= maxName {
			break
		}
	}
	out := strings.Trim(b.String(), "-_")
	if out != "" && !unicode.IsLetter(rune(out[0])) {
		out = "n" + out
	}
	return out
}

// identifier makes a name that can stand behind a dot: "value.cart_id".
func identifier(text, fallback string) string {
	out := strings.ReplaceAll(slug(text), "-", "_")
	if out == "" {
		return fallback
	}
	return out
}

// trafficName makes the name of a traffic block, which must not be that of an indicator.
func trafficName(text string) string {
	name := slug(text)
	if name == "" {
		return "imported"
	}
	if slices.ContainsFunc(sli.Names(), func(n sli.Name) bool { return n.Name == name }) {
		return name + "-traffic"
	}
	return name
}

// names hands out each name once. It keeps the last number that each was given.
type names map[string]int

// unique returns the name, with a number behind it when it was handed out before.
func (n names) unique(name string) string { return n.numbered(name, "-") }

// identifier is unique for names that stand behind a dot.
func (n names) identifier(name string) string { return n.numbered(name, "_") }

func (n names) numbered(name, sep string) string {
	out := name
	for n[out] > 0 {
		n[name]++
		out = name + sep + strconv.Itoa(n[name])
	}
	n[out] = 1
	return out
}

// notVariable is what the name of an environment variable has not.
var notVariable = regexp.MustCompile(`[^A-Z0-9]+`)

// variableName makes the name of an environment variable: "X_API_KEY".
func variableName(text string) string {
	out := strings.Trim(notVariable.ReplaceAllString(strings.ToUpper(text), "_"), "_")
	if out == "" || out[0] <= '9' {
		out = "SECRET_" + out
	}
	return strings.TrimSuffix(out, "_")
}

var uuid = regexp.MustCompile(`(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// opaque reports whether a part of a path names one thing, and not a kind of thing: a number, a UUID, a long mix of letters
// and digits.
func opaque(part string) bool {
	digits := 0
	for _, c := range part {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	return digits == len(part) || uuid.MatchString(part) || len(part) >= 6 && digits >= 3 || len(part) >= 25 && !strings.Contains(part, "-")
}

// requestName makes a name of a method and a path: "post-cart", "cart-id-items".
func requestName(method, path string) string {
	var parts []string
	if m := strings.ToLower(method); m != "" && m != "get" {
		parts = append(parts, m)
	}
	some := false
	for part := range strings.SplitSeq(path, "/") {
		part, _, _ = strings.Cut(part, ";") // what follows is a parameter
		switch {
		case part == "":
			continue
		case opaque(part):
			parts = append(parts, "id")
		default:
			parts = append(parts, part)
		}
		some = true
	}
	if !some {
		parts = append(parts, "home")
	}
	if name := slug(strings.Join(parts, "-")); name != "" {
		return name
	}
	return "request"
}
