package scenarios

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"gameday/loadgen"
)

// text decodes a text that may have gaps.
func (r *requesting) text(e hcl.Expression, values []string) loadgen.Text {
	if !given(e) {
		return nil
	}
	v, ok := r.evaluate(e, values)
	if !ok {
		return nil
	}
	text, ok := textOf(v)
	if !ok {
		r.errorf(e.Range(), "Not a text", "A text is expected here, and this is %s. For JSON write jsonencode({ "+
			"… }).", v.Type().FriendlyName())
		return nil
	}
	return r.split(text)
}

// What a gap looks like while an expression is evaluated: its reference between two characters of Unicode's private use.
const (
	gapBegin = "\uE0F0"
	gapEnd   = "\uE0F1"
)

// evaluate evaluates an expression in which values that are known only when a request is made stand as gaps. ok is false
// when there is no value, which was said.
func (r *requesting) evaluate(e hcl.Expression, values []string) (v cty.Value, ok bool) {
	before := len(r.diags.Errs())
	for _, t := range bare(e).Variables() {
		r.known(t, values)
	}
	if len(r.diags.Errs()) > before {
		return cty.NilVal, false
	}
	if at, gap := misplaced(bare(e)); at != nil {
		r.errorf(at.Range(), "Value is not known yet", "%[1]s is known only when the request is made: it can be put into a text, "+
			"\"…${%[1]s}…\", or into jsonencode({ … }), but nothing can look at it or change it.", dotted(gap))
		return cty.NilVal, false
	}
	ctx := r.loader.base.NewChild()
	ctx.Variables = r.gaps(values)
	v, diags := bare(e).Value(ctx)
	for _, d := range diags {
		d.EvalContext, d.Expression = nil, nil // it would show the gaps
	}
	r.add(diags)
	v, _ = v.UnmarkDeep()
	return v, !diags.HasErrors() && v.IsWhollyKnown()
}

// gaps returns the values that stand for what is not known yet.
func (r *requesting) gaps(values []string) map[string]cty.Value {
	gap := func(ref string) cty.Value { return cty.StringVal(gapBegin + ref + gapEnd) }
	extracted := map[string]cty.Value{}
	for _, name := range values {
		extracted[name] = gap("value." + name)
	}
	sets := map[string]cty.Value{}
	for _, set := range r.out.Data {
		columns := map[string]cty.Value{}
		for _, c := range set.Columns {
			columns[c] = gap("data." + set.Name + "." + c)
		}
		sets[set.Name] = cty.ObjectVal(columns)
	}
	return map[string]cty.Value{"value": cty.ObjectVal(extracted), "data": cty.ObjectVal(sets),
		"iteration": cty.ObjectVal(map[string]cty.Value{"number": gap("iteration.number"), "id": gap("iteration.id")})}
}

// known checks a reference to what is known only when a request is made.
func (r *requesting) known(t hcl.Traversal, values []string) {
	at := t.SourceRange()
	if !isGap(t) {
		return
	}
	root := t.RootName()
	names := make([]string, 0, 2)
	for _, step := range t[1:] {
		a, ok := step.(hcl.TraverseAttr)
		if !ok {
			r.errorf(at, "Invalid reference", "Write it with dots: value.cart, data.users.name, iteration.number.")
			return
		}
		names = append(names, a.Name)
	}
	first := ""
	if len(names) > 0 {
		first = names[0]
	}
	switch {
	case root == "value" && (len(names) != 1 || !slices.Contains(values, first)):
		r.errorf(at, "Unknown value", "No request before this one in its flow extracts %q.%s Extracted: %s.",
			first, suggest(first, values), list(values))
	case root == "iteration" && (len(names) != 1 || first != "number" && first != "id"):
		r.errorf(at, "Unknown reference", "Of an iteration there are iteration.number, which counts from 1, and "+
			"iteration.id, a random UUID.")
	case root == "data":
		var sets []string
		for _, set := range r.out.Data {
			sets = append(sets, set.Name)
			if set.Name != first {
				continue
			}
			if len(names) != 2 || !slices.Contains(set.Columns, names[1]) {
				column := strings.Join(names[1:], ".")
				r.errorf(at, "Unknown column", "data.%s has no column %q.%s There are %s.", first, column,
					suggest(column, set.Columns), list(set.Columns))
			}
			return
		}
		r.errorf(at, "Unknown data", "This traffic has no data %q.%s Declared: %s.", first, suggest(first, sets),
			list(sets))
	}
}

// split takes a text apart at its gaps.
func (r *requesting) split(text string) loadgen.Text {
	var out loadgen.Text
	for text != "" {
		before, rest, found := strings.Cut(text, gapBegin)
		if before != "" {
			out = append(out, loadgen.Part{Text: before})
		}
		if !found {
			break
		}
		ref, after, _ := strings.Cut(rest, gapEnd)
		out = append(out, loadgen.Part{Ref: ref})
		text = after
	}
	return out
}

// isGap reports whether a reference is to what is known only when a request is made.
func isGap(t hcl.Traversal) bool {
	root := t.RootName()
	return root == "value" || root == "data" || root == "iteration"
}

// misplaced returns the part of an expression in which a gap stands where there is nothing to look at yet: as an argument of a
// function, in a comparison or a conditional. Gaps may be put into texts, into objects and lists, and these into jsonencode().
func misplaced(e hcl.Expression) (at hcl.Expression, gap hcl.Traversal) {
	i := slices.IndexFunc(e.Variables(), isGap)
	if i < 0 {
		return nil, nil
	}
	var inside []hclsyntax.Expression
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return nil, nil
	case *hclsyntax.TemplateExpr:
		inside = e.Parts
	case *hclsyntax.TemplateWrapExpr:
		inside = []hclsyntax.Expression{e.Wrapped}
	case *hclsyntax.ParenthesesExpr:
		inside = []hclsyntax.Expression{e.Expression}
	case *hclsyntax.TupleConsExpr:
		inside = e.Exprs
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			if slices.ContainsFunc(item.KeyExpr.Variables(), isGap) {
				return item.KeyExpr, e.Variables()[i]
			}
			inside = append(inside, item.ValueExpr)
		}
	case *hclsyntax.FunctionCallExpr:
		if e.Name != "jsonencode" && !(e.Name == "chomp" && len(e.Args) == 1 && endsPlainly(e.Args[0])) {
			return e, e.Variables()[i]
		}
		inside = e.Args
	default:
		return e, e.Variables()[i]
	}
	for _, part := range inside {
		if at, gap := misplaced(part); at != nil {
			return at, gap
		}
	}
	return nil, nil
}

// endsPlainly reports whether a text ends in a piece that is known, as one written over several lines does: all that chomp looks
// at.
func endsPlainly(e hclsyntax.Expression) bool {
	t, ok := e.(*hclsyntax.TemplateExpr)
	if !ok || len(t.Parts) == 0 {
		return false
	}
	last, ok := t.Parts[len(t.Parts)-1].(*hclsyntax.LiteralValueExpr)
	return ok && last.Val.Type() == cty.String && last.Val.AsString() != ""
}

// inURL says of each gap of a URL where it stands: what is at its begin or in its host stays as it is, and elsewhere it is one
// segment of the path, or one word of the query.
func inURL(t loadgen.Text) loadgen.Text {
	before := ""
	for i, p := range t {
		if p.Ref == "" {
			before += p.Text
			continue
		}
		_, rest, absolute := strings.Cut(before, "://")
		switch {
		case before == "", absolute && !strings.ContainsAny(rest, "/?"):
		case strings.Contains(before, "?"):
			t[i].Place = loadgen.InQuery
		default:
			t[i].Place = loadgen.InPath
		}
		before += "_"
	}
	return t
}

// inBody says of each gap of a body where it stands: inside a text of JSON, or in a form.
func inBody(t loadgen.Text, headers []loadgen.Header) loadgen.Text {
	kind := ""
	for _, h := range headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			kind, _ = h.Value.Known()
		}
	}
	isJSON := len(t) > 0 && strings.HasPrefix(strings.TrimLeft(t[0].Text, " \t\r\n"), "{") ||
		len(t) > 0 && strings.HasPrefix(strings.TrimLeft(t[0].Text, " \t\r\n"), "[")
	quoted, escaped := false, false
	for i, p := range t {
		for _, c := range p.Text {
			switch {
			case escaped:
				escaped = false
			case c == '\\' && quoted:
				escaped = true
			case c == '"':
				quoted = !quoted
			}
		}
		switch {
		case p.Ref == "":
		case isJSON && quoted:
			t[i].Place = loadgen.InJSON
		case !isJSON && strings.Contains(kind, "x-www-form-urlencoded"):
			t[i].Place = loadgen.InQuery
		}
	}
	return t
}

func dotted(t hcl.Traversal) string {
	out := t.RootName()
	for _, step := range t[1:] {
		if a, ok := step.(hcl.TraverseAttr); ok {
			out += "." + a.Name
		}
	}
	return out
}
