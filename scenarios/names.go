package scenarios

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// maxName bounds the names of blocks, in characters.
const maxName = 100

// identifier checks the name of a block that others refer to, or that becomes part of a path in the record.
func (l *loader) identifier(what, name string, at hcl.Range) {
	letter := func(c rune) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
	fine := name != "" && len(name) <= maxName
	for i, c := range name {
		fine = fine && (letter(c) || i > 0 && ('0' <= c && c <= '9' || c == '_' || c == '-'))
	}
	if !fine {
		l.errorf(at, "Invalid "+what+" name", "The name of %s is referred to, or becomes part of a path: it has letters, digits, \"_\" and \"-\", "+
			"begins with a letter, and is at most %d long. %q is not one.", article(what), maxName, cutName(name))
	}
}

// title checks a name that is only shown.
func (l *loader) title(what, name string, at hcl.Range) {
	switch {
	case name == "":
		l.errorf(at, "Invalid "+what+" name", "The name of %s has 1 to %d characters, and this has none.", article(what), maxName)
	case utf8.RuneCountInString(name) > maxName:
		l.errorf(at, "Invalid "+what+" name", "The name of %s has 1 to %d characters, and this has %d. A summary can say more.",
			article(what), maxName, utf8.RuneCountInString(name))
	case strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) && c != ' ' }):
		l.errorf(at, "Invalid "+what+" name", "%q has characters that cannot be printed, such as a line break. Take them out.", name)
	}
}

// cutName keeps a name that is far too long from filling the screen.
func cutName(name string) string {
	if r := []rune(name); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return name
}
