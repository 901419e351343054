package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"gameday/faults"
)

// errorf adds an error at a place.
func (l *loader) errorf(at hcl.Range, summary, detail string, args ...any) {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at.Ptr()})
}

// plain adds an error about the file as a whole.
func (l *loader) plain(summary, detail string) {
	l.diags = append(l.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: detail,
		Subject: &hcl.Range{Filename: l.file.Path, Start: hcl.InitialPos, End: hcl.InitialPos},
	})
}

func (l *loader) add(diags hcl.Diagnostics) {
	for _, d := range diags {
		l.diags = append(l.diags, elsewhere(undeclared(absent(d))))
	}
}

// elsewhere says where a block belongs that stands in the wrong sort of file.
func elsewhere(d *hcl.Diagnostic) *hcl.Diagnostic {
	where := map[string]string{
		`Blocks of type "schedule" are not expected here.`:  "A schedule stands in a calendar, a file of its own, which `gameday schedule check` takes. This file is read as one of scenarios.",
		`Blocks of type "rehearsal" are not expected here.`: "A rehearsal stands in a calendar, a file of its own, which `gameday schedule check` takes. This file is read as one of scenarios.",
		`Blocks of type "notify" are not expected here.`:    "Who is told stands in a calendar, a file of its own, which `gameday schedule check` takes; `gameday run --notify` tells of a run by hand. This file is read as one of scenarios.",
		`Blocks of type "scenario" are not expected here.`:  "A scenario stands in a file of its own, and a calendar's schedules name that file. This file is read as a calendar, or as a policy.",
	}[d.Detail]
	if d.Summary != "Unsupported block type" || where == "" {
		return d
	}
	out := *d
	out.Detail = where
	return &out
}

// undeclared gives a reference to a variable or local that does not exist the name of what is meant, where hcl speaks of an
// attribute of an object.
func undeclared(d *hcl.Diagnostic) *hcl.Diagnostic {
	e, ok := d.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok || d.Summary != "Unsupported attribute" || len(e.Traversal) < 2 {
		return d
	}
	root := e.Traversal.RootName()
	attr, ok := e.Traversal[1].(hcl.TraverseAttr)
	what := map[string]string{"var": "variable", "local": "local"}[root]
	if !ok || what == "" {
		return d
	}
	for ctx := d.EvalContext; ctx != nil; ctx = ctx.Parent() {
		v, ok := ctx.Variables[root]
		if !ok || !v.Type().IsObjectType() {
			continue
		}
		if v.Type().HasAttribute(attr.Name) {
			return d // the mistake is further on
		}
		names := slices.Sorted(maps.Keys(v.Type().AttributeTypes()))
		return &hcl.Diagnostic{Severity: d.Severity, Summary: "Unknown " + what, Subject: e.Range().Ptr(),
			Detail: fmt.Sprintf("No %s %q is declared in this file.%s Declared: %s.", what, attr.Name, suggest(attr.Name, names), list(names))}
	}
	return d
}

// absent says what there is in place of what an index looks for, where hcl says only that it is not there. It is the usual way to have a
// variable choose among values: { good = 1, bad = 2 }[var.world].
func absent(d *hcl.Diagnostic) *hcl.Diagnostic {
	e, ok := d.Expression.(*hclsyntax.IndexExpr)
	if !ok || d.Summary != "Invalid index" {
		return d
	}
	from, fromDiags := e.Collection.Value(d.EvalContext)
	key, keyDiags := e.Key.Value(d.EvalContext)
	if fromDiags.HasErrors() || keyDiags.HasErrors() || from.IsMarked() || key.IsMarked() || !from.IsKnown() || from.IsNull() ||
		!from.Type().IsObjectType() && !from.Type().IsMapType() || key.Type() != cty.String || !key.IsKnown() || key.IsNull() {
		return d
	}
	names := slices.Sorted(maps.Keys(from.AsValueMap()))
	if slices.Contains(names, key.AsString()) {
		return d // hcl has another mistake in mind
	}
	what := "There is no " + strconv.Quote(key.AsString()) + " here."
	if by, ok := e.Key.(*hclsyntax.ScopeTraversalExpr); ok {
		what = dotted(by.Traversal) + " is " + strconv.Quote(key.AsString()) + ", which is not here."
	}
	out := *d
	out.Summary, out.Detail = "Not among the choices", what+suggest(key.AsString(), names)+" Choices: "+list(names)+"."
	return &out
}

// unique reports a second block of the same name and says where the first one is.
func (l *loader) unique(seen map[string]hcl.Range, what, name string, at hcl.Range) bool {
	if first, ok := seen[name]; ok {
		l.errorf(at, "Duplicate "+what, "There is already %s %q at %s. Rename one of them.", article(what), name, place(first))
		return false
	}
	seen[name] = at
	return true
}

// place prints a range as "file.hcl line 12".
func place(r hcl.Range) string { return fmt.Sprintf("%s line %d", r.Filename, r.Start.Line) }

// fields turns a kind's *faults.FieldErrors into diagnostics at the attributes they speak of.
func (l *loader) fields(err error, body hcl.Body, fallback hcl.Range) {
	for _, e := range flatten(err) {
		var fe *faults.FieldError
		if errors.As(e, &fe) {
			l.errorf(attrRange(body, fe.Field, fallback), fe.Summary, "%s", fe.Detail)
			continue
		}
		l.errorf(fallback, "Invalid settings", "%s.", e)
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []error{err}
}

// unknownValue is what the decoder says of a value that has none yet. Only another mistake, reported where it is, leaves a
// value unknown.
func unknownValue(d *hcl.Diagnostic) bool {
	return d.Summary == "Unsuitable value type" && strings.HasSuffix(d.Detail, "value must be known")
}

// tidy sorts diagnostics by place and drops what repeats or only follows from others: decoders visit attributes in no fixed
// order, and some bodies are decoded twice.
func tidy(in hcl.Diagnostics) hcl.Diagnostics {
	out := slices.Clone(in)
	if slices.ContainsFunc(out, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError && !unknownValue(d) }) {
		out = slices.DeleteFunc(out, unknownValue)
	}
	slices.SortStableFunc(out, func(a, b *hcl.Diagnostic) int {
		ra, rb := subject(a), subject(b)
		if c := strings.Compare(ra.Filename, rb.Filename); c != 0 {
			return c
		}
		if c := ra.Start.Byte - rb.Start.Byte; c != 0 {
			return c
		}
		if c := ra.End.Byte - rb.End.Byte; c != 0 {
			return c
		}
		if c := int(a.Severity) - int(b.Severity); c != 0 {
			return c
		}
		if c := strings.Compare(a.Summary, b.Summary); c != 0 {
			return c
		}
		return strings.Compare(a.Detail, b.Detail)
	})
	return slices.CompactFunc(out, func(a, b *hcl.Diagnostic) bool {
		return a.Severity == b.Severity && a.Summary == b.Summary && a.Detail == b.Detail && subject(a) == subject(b)
	})
}

func subject(d *hcl.Diagnostic) hcl.Range {
	if d.Subject == nil {
		return hcl.Range{}
	}
	return *d.Subject
}

// WriteText prints the diagnostics of files for people, with source snippets, and a last line that counts them.
func WriteText(w io.Writer, files []*File, width uint, color bool) error {
	problems, in := 0, []string{}
	for _, f := range files {
		if len(f.Diags) == 0 {
			continue
		}
		for _, d := range f.Diags {
			if err := WriteDiagnostic(w, f.Sources, d, width, color); err != nil {
				return err
			}
		}
		if n := len(f.Diags.Errs()); n > 0 {
			problems += n
			in = append(in, f.Path)
		}
	}
	if problems == 0 {
		return nil
	}
	noun := "problems"
	if problems == 1 {
		noun = "problem"
	}
	where := fmt.Sprintf("%d files", len(in))
	if len(in) == 1 {
		where = in[0]
	}
	_, err := fmt.Fprintf(w, "%d %s in %s; nothing was run.\n", problems, noun, where)
	return err
}

// WriteDiagnostic prints one diagnostic with its source line, underlined where there is no colour to show the place.
func WriteDiagnostic(w io.Writer, sources map[string]*hcl.File, d *hcl.Diagnostic, width uint, color bool) error {
	var b bytes.Buffer
	if d.Subject != nil && (sources[d.Subject.Filename] == nil || sources[d.Subject.Filename].Bytes == nil) {
		c := *d
		c.Subject, c.Context = nil, nil // there is no line to show; the detail names the file
		d = &c
	}
	if err := hcl.NewDiagnosticTextWriter(&b, sources, width, color).WriteDiagnostic(d); err != nil {
		return fmt.Errorf("printing a diagnostic: %w", err)
	}
	text := b.String()
	if !color && d.Subject != nil && d.Subject.Start.Line == d.Subject.End.Line {
		text = underline(text, *d.Subject)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("printing a diagnostic: %w", err)
	}
	return nil
}

// underline draws a line below the place, under the source line that hcl prints as "  12: …".
func underline(text string, at hcl.Range) string {
	head := fmt.Sprintf("%4d: ", at.Start.Line)
	begin := strings.Index(text, "\n"+head)
	if begin < 0 {
		return text
	}
	end := begin + 1 + strings.IndexByte(text[begin+1:], '\n')
	line := []rune(strings.TrimPrefix(text[begin+1:end], head))
	first, last := at.Start.Column-1, min(at.End.Column-1, len(line))
	if first < 0 || first >= last {
		return text
	}
	var mark strings.Builder
	mark.WriteString(strings.Repeat(" ", len(head)))
	for _, c := range line[:first] {
		if c != '\t' {
			c = ' ' // a tab stays a tab, so that the line stands under its place
		}
		mark.WriteRune(c)
	}
	mark.WriteString(strings.Repeat("─", last-first))
	return text[:end+1] + mark.String() + "\n" + text[end+1:]
}

// jsonDiag is one diagnostic as `--json` prints it.
type jsonDiag struct {
	Severity string     `json:"severity"`
	Summary  string     `json:"summary"`
	Detail   string     `json:"detail"`
	Subject  *jsonRange `json:"subject,omitempty"`
}

type jsonRange struct {
	File  string  `json:"filename"`
	Start jsonPos `json:"start"`
	End   jsonPos `json:"end"`
}

type jsonPos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// WriteJSON prints the diagnostics of files as one JSON object: {"valid": …, "diagnostics": […]}.
func WriteJSON(w io.Writer, files []*File) error {
	out := struct {
		Valid bool       `json:"valid"`
		Diags []jsonDiag `json:"diagnostics"`
	}{Valid: true, Diags: []jsonDiag{}}
	for _, f := range files {
		if f.Diags.HasErrors() {
			out.Valid = false
		}
		for _, d := range f.Diags {
			out.Diags = append(out.Diags, toJSON(d))
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("printing diagnostics: %w", err)
	}
	return nil
}

func toJSON(d *hcl.Diagnostic) jsonDiag {
	j := jsonDiag{Severity: "error", Summary: d.Summary, Detail: d.Detail}
	if d.Severity == hcl.DiagWarning {
		j.Severity = "warning"
	}
	if d.Subject != nil {
		pos := func(p hcl.Pos) jsonPos { return jsonPos{Line: p.Line, Column: p.Column, Byte: p.Byte} }
		j.Subject = &jsonRange{File: d.Subject.Filename, Start: pos(d.Subject.Start), End: pos(d.Subject.End)}
	}
	return j
}

// suggest returns " Did you mean …?" for the nearest of the known names, or nothing when none is near.
func suggest(given string, known []string) string {
	best := faults.Nearest(given, known)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

// article puts "a" or "an" before a word.
func article(word string) string {
	if word == "pods" {
		return word
	}
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

// list prints names for a sentence: "a, b and c".
func list(names []string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
