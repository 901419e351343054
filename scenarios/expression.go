package scenarios

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"gameday/loadgen"
)

// quoted writes a text as a quoted one of the language.
func quoted(text string) string { return `"` + escaped(text, false) + `"` }

// escaped writes a literal text for within quotes. beforeGap says that ${ follows.
//
// "${" and "%{" begin a gap, and are written with their first character doubled. After a third one the scanner would pair
// them otherwise, and so would it before a gap: there the character is written by its number.
func escaped(text string, beforeGap bool) string {
	var b strings.Builder
	before := rune(0)
	for text != "" {
		c, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		next, _ := utf8.DecodeRuneInString(text)
		switch {
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '"', c == '\\':
			b.WriteString(`\` + string(c))
		case (c == '$' || c == '%') && (next == c || before == c || text == "" && beforeGap):
			fmt.Fprintf(&b, `\u%04x`, c)
		case (c == '$' || c == '%') && next == '{':
			b.WriteString(string(c) + string(c))
		case strconv.IsPrint(c):
			b.WriteRune(c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
		before = c
	}
	return b.String()
}

// expression writes a text with its gaps.
func expression(t loadgen.Text) string {
	t = joined(t)
	if len(t) == 1 && t[0].Ref != "" {
		return t[0].Ref
	}
	var b strings.Builder
	b.WriteByte('"')
	for i, p := range t {
		if p.Ref != "" {
			b.WriteString("${" + p.Ref + "}")
			continue
		}
		b.WriteString(escaped(p.Text, i+1 < len(t)))
	}
	b.WriteByte('"')
	return b.String()
}

// object writes members on one line when they are few and short.
func object(members []string) string {
	if len(members) == 0 {
		return "{}"
	}
	one := "{ " + strings.Join(members, ", ") + " }"
	if len(one) <= 80 && !strings.Contains(one, "\n") {
		return one
	}
	return "{\n" + strings.Join(members, "\n") + "\n}"
}

// bodyExpression writes a body: JSON with jsonencode, several lines as they are, anything else in quotes.
func bodyExpression(t loadgen.Text) string {
	t = joined(t)
	if text, ok := jsonExpression(t); ok {
		return "jsonencode(" + text + ")"
	}
	if text, ok := heredoc(t); ok {
		return text
	}
	return expression(t)
}

// paired is what only an escape can keep from being read otherwise, and there are none in such a text.
var paired = regexp.MustCompile(`\$\$|%%|[$%]$`)

// heredoc writes a text of several lines as it is. It ends with a line break, which chomp takes off a text that does not.
func heredoc(t loadgen.Text) (string, bool) {
	const mark = "EOT"
	var b strings.Builder
	for _, p := range t {
		if p.Ref != "" {
			b.WriteString("${" + p.Ref + "}")
			continue
		}
		odd := strings.ContainsFunc(p.Text, func(c rune) bool { return c != '\n' && c != '\t' && !strconv.IsPrint(c) })
		if odd || paired.MatchString(p.Text) {
			return "", false
		}
		b.WriteString(strings.NewReplacer("${", "$${", "%{", "%%{").Replace(p.Text))
	}
	text := b.String()
	whole := strings.HasSuffix(text, "\n")
	switch {
	case strings.Count(strings.TrimRight(text, "\n"), "\n") < 1, strings.Contains(text, mark):
		return "", false
	case whole:
		return "<<" + mark + "\n" + text + mark, true
	}
	return "chomp(<<" + mark + "\n" + text + "\n" + mark + "\n)", true
}

// The marks that stand for a gap while JSON is read. Both are for private use, so no text has them by right.
const (
	gapOpen  = '\ue000'
	gapClose = '\ue001'
)

// maxJSON is how deep JSON may be for an expression: a file may nest 100 deep, and what is around this counts too.
const maxJSON = 40

// jsonExpression writes JSON as an object or a list of the language. ok is false for anything else, and for JSON that would
// come back as another document: with a name twice, a gap outside of texts, or numbers that are no plain decimals.
func jsonExpression(t loadgen.Text) (text string, ok bool) {
	var b strings.Builder
	for i, p := range t {
		if strings.ContainsRune(p.Text, gapOpen) || strings.ContainsRune(p.Text, gapClose) {
			return "", false
		}
		if p.Ref != "" {
			b.WriteString(string(gapOpen) + strconv.Itoa(i) + string(gapClose))
			continue
		}
		b.WriteString(p.Text)
	}
	source := strings.TrimSpace(b.String())
	if !strings.HasPrefix(source, "{") && !strings.HasPrefix(source, "[") || !utf8.ValidString(source) {
		return "", false
	}
	r := &jsonReader{d: json.NewDecoder(strings.NewReader(source)), gaps: t}
	r.d.UseNumber()
	text, ok = r.value(0)
	if _, err := r.d.Token(); err != io.EOF {
		return "", false
	}
	return text, ok
}

type jsonReader struct {
	d    *json.Decoder
	gaps loadgen.Text
}

// plainDecimal are numbers that the language keeps as they are.
var plainDecimal = regexp.MustCompile(`^(?:0|-?[1-9]\d{0,14}|-?(?:0|[1-9]\d{0,14})\.\d{0,14}[1-9])$`)

func (r *jsonReader) value(depth int) (string, bool) {
	t, err := r.d.Token()
	if err != nil || depth > maxJSON {
		return "", false
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return r.object(depth)
		}
		return r.list(depth)
	case json.Number:
		return t.String(), plainDecimal.MatchString(t.String())
	case string:
		return r.text(t)
	case bool:
		return strconv.FormatBool(t), true
	}
	return "null", true
}

func (r *jsonReader) object(depth int) (string, bool) {
	var members []string
	seen := map[string]bool{}
	for r.d.More() {
		t, err := r.d.Token()
		name, isText := t.(string)
		if err != nil || !isText || seen[name] || strings.ContainsRune(name, gapOpen) {
			return "", false
		}
		seen[name] = true
		value, ok := r.value(depth + 1)
		if !ok {
			return "", false
		}
		key := name
		if !hclsyntax.ValidIdentifier(name) || name == "for" {
			key = quoted(name)
		}
		members = append(members, key+" = "+value)
	}
	_, err := r.d.Token()
	return object(members), err == nil
}

func (r *jsonReader) list(depth int) (string, bool) {
	var items []string
	for r.d.More() {
		value, ok := r.value(depth + 1)
		if !ok {
			return "", false
		}
		items = append(items, value)
	}
	_, err := r.d.Token()
	one := "[" + strings.Join(items, ", ") + "]"
	if len(one) > 80 || strings.Contains(one, "\n") {
		one = "[\n" + strings.Join(items, ",\n") + ",\n]"
	}
	return one, err == nil
}

// text writes a text of JSON with its gaps.
func (r *jsonReader) text(s string) (string, bool) {
	var out loadgen.Text
	for s != "" {
		before, after, found := strings.Cut(s, string(gapOpen))
		if before != "" {
			out = append(out, loadgen.Part{Text: before})
		}
		if !found {
			break
		}
		index, rest, _ := strings.Cut(after, string(gapClose))
		i, err := strconv.Atoi(index)
		if err != nil || i >= len(r.gaps) {
			return "", false
		}
		out = append(out, r.gaps[i])
		s = rest
	}
	return expression(out), true
}
