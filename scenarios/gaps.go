package scenarios

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
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
	out := r.split(text)
	r.unharmed(e, out)
	return out
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
	root := t.RootName()
	if root != "value" && root != "data" && root != "iteration" {
		return
	}
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

// unharmed complains when a function has changed a gap: what is not known yet can be put into texts, and nothing else.
func (r *requesting) unharmed(e hcl.Expression, got loadgen.Text) {
	want := map[string]bool{}
	for _, t := range bare(e).Variables() {
		if root := t.RootName(); root == "value" || root == "data" || root == "iteration" {
			want[dotted(t)] = true
		}
	}
	for _, p := range got {
		if p.Ref == "" {
			continue
		}
		if !want[p.Ref] {
			want[p.Ref] = true // changed beyond recognition
			continue
		}
		want[p.Ref] = false
	}
	for _, ref := range slices.Sorted(maps.Keys(want)) {
		if want[ref] && !slices.ContainsFunc(got, func(p loadgen.Part) bool { return p.Ref == ref }) {
			r.errorf(e.Range(), "Value is not known yet", "%s is known only when the request is made: it can be "+
				"put into a text, \"…${%s}…\", or into jsonencode(), but no function "+
				"can look at it or change it.", ref, ref)
			return
		}
	}
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
