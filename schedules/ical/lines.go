package ical

import (
	"fmt"
	"strings"

	ics "github.com/arran4/golang-ical"
)

// Bounds of a file. Calendars of a whole company's holidays have some hundred events.
const (
	MaxSize       = 4 << 20 // bytes
	maxLine       = 100_000 // bytes of a content line
	maxDepth      = 10      // components within each other
	maxEvents     = 10_000
	maxRecurrence = 500     // recurrence rules
	maxDates      = 100_000 // all RDATE and EXDATE values
)

// Mistake is what is wrong with a file, and where.
type Mistake struct {
	File string
	Line int // the first of the content line; 0 is the file as a whole
	Text string
}

// Error returns "freeze.ics line 12: …".
func (m *Mistake) Error() string {
	if m.Line == 0 {
		return fmt.Sprintf("%s: %s", m.File, m.Text)
	}
	return fmt.Sprintf("%s line %d: %s", m.File, m.Line, m.Text)
}

// property is one content line.
type property struct {
	line   int
	name   string
	params map[string][]string // by names in capitals
	value  string
}

// param returns the first value of a parameter.
func (p *property) param(name string) string {
	if v := p.params[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// component is what stands between BEGIN and END.
type component struct {
	line  int
	name  string
	props []property
	parts []*component
}

// all returns the properties of a name.
func (c *component) all(name string) []property {
	var out []property
	for _, p := range c.props {
		if p.name == name {
			out = append(out, p)
		}
	}
	return out
}

// reader takes a file apart.
type reader struct {
	file string
	err  *Mistake
}

func (r *reader) fail(line int, format string, args ...any) {
	if r.err == nil {
		r.err = &Mistake{r.file, line, fmt.Sprintf(format, args...)}
	}
}

// components reads the content lines, and returns the outermost components. What they mean is not looked at.
func (r *reader) components(src string) []*component {
	if len(src) > MaxSize {
		r.fail(0, "it has %d bytes, and a calendar may have %d", len(src), MaxSize)
		return nil
	}
	var out []*component
	var stack []*component
	src = strings.TrimPrefix(src, "\ufeff")
	next, line := 0, 0
	var rest = strings.Split(strings.TrimSuffix(src, "\n"), "\n")
	for next < len(rest) && r.err == nil {
		line = next + 1
		text := strings.TrimSuffix(rest[next], "\r")
		next++
		folded := []string{text}
		for size := len(text); next < len(rest) && (strings.HasPrefix(rest[next], " ") || strings.HasPrefix(rest[next], "\t")); next++ {
			more := strings.TrimSuffix(rest[next][1:], "\r")
			folded = append(folded, more)
			if size += len(more); size > maxLine {
				r.fail(line, "a line of more than %d bytes", maxLine)
				return nil
			}
		}
		text = strings.Join(folded, "")
		if text == "" {
			continue
		}
		p := r.property(text, line)
		if r.err != nil {
			return nil
		}
		switch {
		case p.name == "BEGIN":
			c := &component{line: line, name: strings.ToUpper(p.value)}
			switch {
			case len(stack) == 0 && c.name != "VCALENDAR":
				r.fail(line, "it begins with %s; an iCalendar file begins with BEGIN:VCALENDAR", short(text))
			case len(stack) == 0:
				out = append(out, c)
			case len(stack) == maxDepth:
				r.fail(line, "more than %d components within each other", maxDepth)
			default:
				top := stack[len(stack)-1]
				top.parts = append(top.parts, c)
			}
			stack = append(stack, c)
		case len(stack) == 0:
			r.fail(line, "%s stands outside of a calendar; an iCalendar file begins with BEGIN:VCALENDAR", short(text))
		case p.name == "END":
			top := stack[len(stack)-1]
			if !strings.EqualFold(p.value, top.name) {
				r.fail(line, "END:%s, and what is open is %s, from line %d", short(p.value), top.name, top.line)
			}
			stack = stack[:len(stack)-1]
		default:
			top := stack[len(stack)-1]
			top.props = append(top.props, p)
		}
	}
	switch {
	case r.err != nil:
		return nil
	case len(stack) > 0:
		r.fail(line, "the file ends within %s, which began in line %d; is it whole?", stack[len(stack)-1].name, stack[len(stack)-1].line)
	case len(out) == 0:
		r.fail(0, "there is no calendar in it; an iCalendar file begins with BEGIN:VCALENDAR")
	}
	return out
}

// property reads one content line, unfolded.
func (r *reader) property(text string, line int) property {
	if len(text) > maxLine {
		r.fail(line, "a line of more than %d bytes", maxLine)
		return property{}
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			r.fail(line, "a control character that cannot stand there: %s", short(text))
			return property{}
		}
	}
	p, err := ics.ParseProperty(ics.ContentLine(text))
	switch {
	case err != nil:
		r.fail(line, "%s: %v", short(text), err)
		return property{}
	case p == nil || p.IANAToken == "" || !strings.HasPrefix(text, p.IANAToken):
		r.fail(line, "%s is not a line of iCalendar: NAME:value", short(text))
		return property{}
	}
	out := property{line: line, name: strings.ToUpper(p.IANAToken), params: map[string][]string{}, value: p.Value}
	for name, values := range p.ICalParameters {
		name = strings.ToUpper(name)
		out.params[name] = append(out.params[name], values...)
	}
	return out
}

// short quotes a text for a message.
func short(text string) string {
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
