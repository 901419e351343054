package scenarios

import (
	"math"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"gameday/loadgen/sli"
)

// indicators is what expressions of one scenario may read as sli.<name> and sli.<stream>.<name>.
type indicators struct {
	streams []string
	own     []string
}

// names returns what may follow "sli.".
func (in indicators) names() []string {
	out := append(slices.Clone(in.streams), in.own...)
	return append(out, sliNames()...)
}

// object returns the value of `sli` with every indicator unknown, for type checks.
func (in indicators) object() cty.Value {
	leaf := map[string]cty.Value{}
	for _, n := range sliNames() {
		leaf[n] = cty.UnknownVal(cty.Number)
	}
	top := map[string]cty.Value{}
	for n, v := range leaf {
		top[n] = v
	}
	for _, n := range in.own {
		top[n] = cty.UnknownVal(cty.Number)
	}
	for _, n := range in.streams {
		top[n] = cty.ObjectVal(leaf)
	}
	return cty.ObjectVal(top)
}

// condition checks an expression over SLIs with every indicator unknown, and compiles it.
func (l *loader) condition(e hcl.Expression, in indicators) Condition {
	e = bare(e)
	c := Condition{Source: l.text(e.Range()), Range: e.Range()}
	if !given(e) {
		l.errorf(e.Range(), "No condition", "A condition over indicators is missing here, such as sli.error_ratio < 0.01.")
		return c
	}
	before := len(l.diags.Errs())
	for _, t := range e.Variables() {
		if t.RootName() == "sli" {
			l.indicator(t, in)
		}
	}
	if len(l.diags.Errs()) > before {
		return c
	}
	ctx := l.base.NewChild()
	ctx.Variables = map[string]cty.Value{"sli": in.object()}
	v, diags := e.Value(ctx)
	l.add(diags)
	if diags.HasErrors() {
		return c
	}
	if v.Type() != cty.Bool && v.Type() != cty.DynamicPseudoType {
		l.errorf(e.Range(), "Not a condition", "This must be true or false, and it is %s. Compare it with something: "+
			"sli.error_ratio < 0.01.", v.Type().FriendlyName())
		return c
	}
	c.Expr = l.compile(e, ctx)
	if c.Expr != nil && len(c.Expr.SLIs()) == 0 && len(l.diags.Errs()) == before {
		l.errorf(e.Range(), "Nothing is measured here", "The condition reads no indicator, so it would always give the same "+
			"answer. Indicators are sli.%s.", list(sliNames()))
	}
	return c
}

// indicator checks one reference to an SLI, with a suggestion when it does not exist.
func (l *loader) indicator(t hcl.Traversal, in indicators) {
	at := t.SourceRange()
	if len(t) < 2 {
		l.errorf(at, "Incomplete indicator", "Say which one: sli.%s.", list(in.names()))
		return
	}
	first, ok := t[1].(hcl.TraverseAttr)
	if !ok {
		l.errorf(at, "Invalid indicator", "Write it with dots: sli.error_ratio, or sli.<traffic>.error_ratio.")
		return
	}
	known := in.names()
	if !slices.Contains(known, first.Name) {
		l.errorf(at, "Unknown indicator", "There is no indicator or traffic %q.%s There are %s.",
			first.Name, suggest(first.Name, known), list(known))
		return
	}
	if !slices.Contains(in.streams, first.Name) {
		if len(t) > 2 {
			l.errorf(at, "Invalid indicator", "%q is a number; nothing can follow it.", "sli."+first.Name)
		}
		return
	}
	if len(t) < 3 {
		l.errorf(at, "Incomplete indicator", "%q is a traffic stream. Say which of its indicators: sli.%s.%s.",
			first.Name, first.Name, list(sliNames()))
		return
	}
	second, ok := t[2].(hcl.TraverseAttr)
	if !ok || !slices.Contains(sliNames(), second.Name) || len(t) > 3 {
		name := ""
		if ok {
			name = second.Name
		}
		l.errorf(at, "Unknown indicator", "Traffic %q has no indicator %q.%s There are %s.",
			first.Name, name, suggest(name, sliNames()), list(sliNames()))
	}
}

// operators maps the syntax's operations to those of package sli.
var operators = map[*hclsyntax.Operation]string{
	hclsyntax.OpLogicalOr: "||", hclsyntax.OpLogicalAnd: "&&", hclsyntax.OpLogicalNot: "!",
	hclsyntax.OpEqual: "==", hclsyntax.OpNotEqual: "!=",
	hclsyntax.OpGreaterThan: ">", hclsyntax.OpGreaterThanOrEqual: ">=",
	hclsyntax.OpLessThan: "<", hclsyntax.OpLessThanOrEqual: "<=",
	hclsyntax.OpAdd: "+", hclsyntax.OpSubtract: "-", hclsyntax.OpMultiply: "*", hclsyntax.OpDivide: "/",
	hclsyntax.OpModulo: "%", hclsyntax.OpNegate: "neg",
}

// compile turns a checked expression into one that needs no language to evaluate: what reads no indicator is folded to
// its value, the rest keeps its shape.
func (l *loader) compile(e hcl.Expression, ctx *hcl.EvalContext) *sli.Expr {
	if !readsSLI(e) {
		return l.constant(e, ctx)
	}
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return l.compile(e.Expression, ctx)
	case *hclsyntax.ScopeTraversalExpr:
		return reading(e.Traversal)
	case *hclsyntax.BinaryOpExpr:
		return l.operation(operators[e.Op], ctx, e.LHS, e.RHS)
	case *hclsyntax.UnaryOpExpr:
		return l.operation(operators[e.Op], ctx, e.Val)
	case *hclsyntax.ConditionalExpr:
		return l.operation("?:", ctx, e.Condition, e.TrueResult, e.FalseResult)
	case *hclsyntax.FunctionCallExpr:
		if _, ok := sli.Ops[e.Name]; ok && !e.ExpandFinal {
			args := make([]hcl.Expression, len(e.Args))
			for i, a := range e.Args {
				args[i] = a
			}
			return l.operation(e.Name, ctx, args...)
		}
		l.errorf(e.Range(), "Function of an indicator", "%s() cannot be applied to an indicator, whose value is known only "+
			"while the run goes on. Over indicators there are abs, ceil, floor, max and min.", e.Name)
		return nil
	}
	l.errorf(e.Range(), "Expression too rich", "Over indicators there are comparisons, arithmetic, &&, ||, !, conditionals, "+
		"and abs, ceil, floor, max and min.")
	return nil
}

func (l *loader) operation(op string, ctx *hcl.EvalContext, args ...hcl.Expression) *sli.Expr {
	out := &sli.Expr{Op: op}
	for _, a := range args {
		c := l.compile(a, ctx)
		if c == nil {
			return nil
		}
		out.Args = append(out.Args, c)
	}
	return out
}

func (l *loader) constant(e hcl.Expression, ctx *hcl.EvalContext) *sli.Expr {
	v, diags := e.Value(ctx)
	v, marks := v.UnmarkDeep()
	if len(marks) > 0 {
		l.errorf(e.Range(), "Secret in a condition", "Conditions are printed and recorded with their values, so they cannot use secret(). "+
			"Use a variable.")
		return nil
	}
	if diags.HasErrors() || !v.IsKnown() || v.IsNull() {
		return nil // reported already
	}
	switch v.Type() {
	case cty.Number:
		f, _ := v.AsBigFloat().Float64()
		if math.IsInf(f, 0) {
			l.errorf(e.Range(), "Not a finite number", "This is infinite or too large, so nothing could be compared with it. Is something divided by zero?")
			return nil
		}
		return &sli.Expr{Const: &f}
	case cty.Bool:
		b := v.True()
		return &sli.Expr{Bool: &b}
	}
	l.errorf(e.Range(), "Not a number", "Indicators are numbers (latencies in seconds); this is %s. For a duration write "+
		"seconds(\"300ms\").", v.Type().FriendlyName())
	return nil
}

func readsSLI(e hcl.Expression) bool {
	return slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool { return t.RootName() == "sli" })
}

// reading turns sli.p95 or sli.shoppers.p95, checked before, into an expression.
func reading(t hcl.Traversal) *sli.Expr {
	name := t[1].(hcl.TraverseAttr).Name
	if len(t) == 2 {
		return &sli.Expr{SLI: name}
	}
	return &sli.Expr{Stream: name, SLI: t[2].(hcl.TraverseAttr).Name}
}

// text returns what stands at a range of a source file.
func (l *loader) text(r hcl.Range) string {
	f := l.parser.Files()[r.Filename]
	if f == nil || !r.CanSliceBytes(f.Bytes) {
		return ""
	}
	return string(r.SliceBytes(f.Bytes))
}

// sliNames lists the indicators that gameday measures itself.
func sliNames() []string {
	var out []string
	for _, n := range sli.Names() {
		out = append(out, n.Name)
	}
	return out
}
