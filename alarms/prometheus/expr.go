package prometheus

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A rule's expression is taken apart only as far as needed: into the two sides of its outermost comparison, when that is
// one of values with a single number. Everything else is left alone, with the reason: a guess would be bad advice.

// token is a part of an expression that matters here.
type token struct {
	kind  tokenKind
	text  string
	at    int // offset in the expression
	depth int // of brackets around it
}

type tokenKind int

const (
	word    tokenKind = iota // a name, a keyword, a number with letters
	number                   // a decimal number
	sign                     // an operator
	bracket                  // one of ()[]{}
	text                     // a string
	other                    // a comma, a colon
)

// comparison is a condition taken apart.
type comparison struct {
	left, op, right string
}

// mirrored says what an operator becomes when its sides are swapped.
var mirrored = map[string]string{">": "<", "<": ">", ">=": "<=", "<=": ">="}

// split takes an expression apart at its outermost comparison with a constant. The constant stands to the right in what is
// returned. why says in words why that cannot be done; it is empty when it can.
func split(expr string) (c comparison, why string) {
	tokens, why := scan(expr)
	if why != "" {
		return c, why
	}
	depth, from, to := 0, 0, len(expr)
	for wrapped(tokens, depth) {
		from, to = tokens[0].at+1, tokens[len(tokens)-1].at
		tokens = tokens[1 : len(tokens)-1]
		depth++
	}
	return divide(expr[:to], from, tokens, depth)
}

// divide finds the one comparison at a depth. The expression begins at an offset.
func divide(expr string, from int, tokens []token, depth int) (c comparison, why string) {
	at := -1
	for i, t := range tokens {
		if t.depth > depth {
			continue
		}
		switch t.text {
		case "and", "or", "unless":
			if t.kind == word {
				return c, "it joins conditions with " + t.text
			}
		case ">", "<", ">=", "<=", "==", "!=":
			if t.kind != sign {
				continue
			}
			if at >= 0 {
				return c, "it compares more than once"
			}
			at = i
		}
	}
	if at < 0 {
		return c, "it compares nothing with a number"
	}
	op := tokens[at]
	if mirrored[op.text] == "" {
		return c, "it asks whether something is " + map[string]string{"==": "equal", "!=": "unequal"}[op.text] + ", which has no bar to move"
	}
	if at == 0 || at == len(tokens)-1 {
		return c, "one side of its comparison is missing"
	}
	c = comparison{strings.TrimSpace(expr[from:op.at]), op.text, strings.TrimSpace(expr[op.at+len(op.text):])}
	left, right := constant(tokens[:at]), constant(tokens[at+1:])
	switch {
	case left && right:
		return c, "it compares two numbers"
	case left:
		c.left, c.right, c.op = c.right, c.left, mirrored[c.op]
		return c, modifier(tokens[at+1:])
	case right:
		return c, ""
	}
	if why := modifier(tokens[at+1:]); why != "" {
		return c, why
	}
	return c, "it compares with something that is not one number"
}

// modifier complains of a word between an operator and its right side, which changes what the comparison means.
func modifier(right []token) string {
	first := right[0]
	if first.kind == word && slices.Contains([]string{"bool", "on", "ignoring", "group_left", "group_right"}, first.text) {
		return "its comparison has the modifier " + first.text
	}
	return ""
}

// constant reports whether tokens are numbers with arithmetic, and nothing else.
func constant(tokens []token) bool {
	digits := false
	for _, t := range tokens {
		switch {
		case t.kind == number:
			digits = true
		case t.kind == sign && strings.Contains("+-*/%^", t.text):
		case t.kind == bracket && (t.text == "(" || t.text == ")"):
		default:
			return false
		}
	}
	return digits
}

// wrapped reports whether parentheses stand around all the tokens of a depth.
func wrapped(tokens []token, depth int) bool {
	n := len(tokens)
	if n < 3 || tokens[0].kind != bracket || tokens[0].text != "(" || tokens[n-1].kind != bracket || tokens[n-1].text != ")" {
		return false
	}
	for _, t := range tokens[1 : n-1] {
		if t.depth == depth {
			return false // it closes before the end
		}
	}
	return true
}

var (
	wordForm   = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_:]*|^:[a-zA-Z0-9_:]+`)
	numberForm = regexp.MustCompile(`^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?`)
	// mixedForm is whatever else begins with a digit: durations, hexadecimal and octal numbers.
	mixedForm = regexp.MustCompile(`^\d[a-zA-Z0-9_.]*`)
	signs     = []string{">=", "<=", "==", "!=", "=~", "!~", ">", "<", "=", "+", "-", "*", "/", "%", "^", "@"}
	closing   = map[byte]byte{')': '(', ']': '[', '}': '{'}
)

// scan cuts an expression into tokens and drops comments. why says what it does not understand.
func scan(expr string) (tokens []token, why string) {
	if !utf8.ValidString(expr) {
		return nil, "it is not text"
	}
	var open []byte
	for i := 0; i < len(expr); {
		rest, c := expr[i:], expr[i]
		add := func(kind tokenKind, length int) {
			s := rest[:length]
			if kind == word && isKeyword(s) {
				s = strings.ToLower(s)
			}
			tokens = append(tokens, token{kind, s, i, len(open)})
			i += length
		}
		switch {
		case strings.ContainsRune(" \t\r\n", rune(c)):
			i++
		case c == '#':
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			i += end
		case c == '"' || c == '\'' || c == '`':
			n := quoted(rest)
			if n == 0 {
				return nil, "a string in it has no end"
			}
			add(text, n)
		case strings.IndexByte("([{", c) >= 0:
			add(bracket, 1)
			open = append(open, c)
		case closing[c] != 0:
			if len(open) == 0 || open[len(open)-1] != closing[c] {
				return nil, "its brackets do not match"
			}
			open = open[:len(open)-1]
			add(bracket, 1)
		case wordForm.MatchString(rest):
			add(word, len(wordForm.FindString(rest)))
		case c >= '0' && c <= '9' || c == '.' && numberForm.MatchString(rest):
			plain, mixed := len(numberForm.FindString(rest)), len(mixedForm.FindString(rest))
			if octal := plain > 1 && c == '0' && rest[1] >= '0' && rest[1] <= '9'; mixed > plain || octal {
				add(word, max(mixed, plain))
			} else {
				add(number, plain)
			}
		case c == ',' || c == ':':
			add(other, 1)
		default:
			n := operator(rest)
			if n == 0 {
				r, _ := utf8.DecodeRuneInString(rest)
				return nil, "it has the character " + string(r) + " in a place that is not understood"
			}
			add(sign, n)
		}
	}
	if len(open) > 0 {
		return nil, "its brackets do not match"
	}
	return tokens, ""
}

// operator returns the length of the operator that a text begins with, 0 when it is none that is known.
func operator(rest string) int {
	if strings.HasPrefix(rest, ">/") || strings.HasPrefix(rest, "</") {
		return 0 // of native histograms
	}
	for _, s := range signs {
		if strings.HasPrefix(rest, s) {
			return len(s)
		}
	}
	return 0
}

// quoted returns the length of the string that a text begins with, 0 when it has no end.
func quoted(rest string) int {
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == rest[0]:
			return i + 1
		case rest[i] == '\\' && rest[0] != '`':
			i++
		case rest[i] == '\n' && rest[0] != '`':
			return 0
		}
	}
	return 0
}

// isKeyword reports whether a word is one of those that mean the same in any case.
func isKeyword(s string) bool {
	return slices.Contains([]string{"and", "or", "unless", "bool", "on", "ignoring", "group_left", "group_right"}, strings.ToLower(s))
}
