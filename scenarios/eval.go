package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// context builds what every plain expression may use: var, local and the functions.
func (l *loader) context(f *fileBlocks) *hcl.EvalContext {
	ctx := &hcl.EvalContext{Functions: l.functions(), Variables: map[string]cty.Value{}}
	ctx.Variables["var"] = l.variables(f.Variables, ctx)
	ctx.Variables["local"] = l.locals(f.Locals, ctx)
	return ctx
}

// variables resolves each declared variable: -var over -var-file over its default.
func (l *loader) variables(blocks []variableBlock, ctx *hcl.EvalContext) cty.Value {
	declared := map[string]*variableBlock{}
	seen := map[string]hcl.Range{}
	for i := range blocks {
		if l.unique(seen, "variable", blocks[i].Name, blocks[i].DefRange) {
			declared[blocks[i].Name] = &blocks[i]
		}
	}
	names := slices.Sorted(maps.Keys(declared))
	set := l.fromFiles(declared, names)
	maps.Copy(set, l.fromFlags(declared, names))
	values := map[string]cty.Value{}
	for _, name := range names {
		b := declared[name]
		t, defaults := l.variableType(b)
		v, ok := set[name]
		if !ok {
			if !given(b.Default) {
				l.errorf(b.DefRange, "No value for variable",
					"The variable %q has no default. Give it with -var '%s=…' or in a file with -var-file.", name, name)
				values[name] = cty.UnknownVal(t)
				continue
			}
			var diags hcl.Diagnostics
			v, diags = bare(b.Default).Value(&hcl.EvalContext{Functions: ctx.Functions})
			l.add(diags)
		}
		if defaults != nil && !v.IsNull() && v.IsKnown() {
			v = defaults.Apply(v)
		}
		c, err := convert.Convert(v, t)
		if err != nil {
			l.errorf(b.DefRange, "Wrong type for variable", "The variable %q must be %s: %s.", name, t.FriendlyName(), err)
			c = cty.UnknownVal(t)
		}
		values[name] = c
	}
	return cty.ObjectVal(values)
}

// variableType reads a type constraint, as Terraform writes it; any type when there is none.
func (l *loader) variableType(b *variableBlock) (cty.Type, *typeexpr.Defaults) {
	if !given(b.Type) {
		return cty.DynamicPseudoType, nil
	}
	t, defaults, diags := typeexpr.TypeConstraintWithDefaults(bare(b.Type))
	l.add(diags)
	if diags.HasErrors() {
		return cty.DynamicPseudoType, nil
	}
	return t, defaults
}

// fromFlags reads -var name=value. A value for a variable of type string (or of no type) is taken as it stands, any
// other is an expression: as in Terraform.
func (l *loader) fromFlags(declared map[string]*variableBlock, names []string) map[string]cty.Value {
	out := map[string]cty.Value{}
	for _, arg := range l.opts.Vars {
		name, text, ok := strings.Cut(arg, "=")
		name = strings.TrimSpace(name)
		if !ok {
			l.plain("Invalid -var", fmt.Sprintf("-var %q needs the form name=value.", arg))
			continue
		}
		b := declared[name]
		if b == nil {
			l.plain("Unknown variable", fmt.Sprintf("-var sets %q, which %s does not declare.%s Declared: %s.",
				name, l.file.Path, suggest(name, names), list(names)))
			continue
		}
		t := cty.DynamicPseudoType
		if given(b.Type) {
			t, _, _ = typeexpr.TypeConstraintWithDefaults(bare(b.Type))
		}
		if t == cty.String || t == cty.DynamicPseudoType {
			out[name] = cty.StringVal(text)
			continue
		}
		expr, diags := hclsyntax.ParseExpression([]byte(text), "-var "+name, hcl.InitialPos)
		if diags.HasErrors() {
			l.plain("Invalid -var", fmt.Sprintf("-var %s: %s is not a value of type %s.", name, text, t.FriendlyName()))
			continue
		}
		v, diags := expr.Value(nil)
		if diags.HasErrors() {
			l.plain("Invalid -var", fmt.Sprintf("-var %s: %s.", name, diags.Errs()[0]))
			continue
		}
		out[name] = v
	}
	return out
}

// fromFiles reads -var-file files of name = value.
func (l *loader) fromFiles(declared map[string]*variableBlock, names []string) map[string]cty.Value {
	out := map[string]cty.Value{}
	for _, path := range l.opts.VarFiles {
		body := l.parse(path)
		if body == nil {
			continue
		}
		attrs, diags := body.JustAttributes()
		l.add(diags)
		for _, name := range slices.Sorted(maps.Keys(attrs)) {
			a := attrs[name]
			if declared[name] == nil {
				l.errorf(a.NameRange, "Unknown variable", "%s does not declare %q.%s Declared: %s.",
					l.file.Path, name, suggest(name, names), list(names))
				continue
			}
			v, diags := a.Expr.Value(nil)
			l.add(diags)
			out[name] = v
		}
	}
	return out
}

// locals evaluates every local value after those it reads, and names a cycle instead of evaluating it.
func (l *loader) locals(blocks []localsBlock, ctx *hcl.EvalContext) cty.Value {
	attrs := hcl.Attributes{}
	for _, b := range blocks {
		got, diags := b.Body.JustAttributes()
		l.add(diags)
		for name, a := range got {
			if first, dup := attrs[name]; dup {
				l.errorf(a.NameRange, "Duplicate local", "local.%s was already set at %s.", name, place(first.NameRange))
				continue
			}
			attrs[name] = a
		}
	}
	done := map[string]cty.Value{}
	order, cycle := dependencyOrder(slices.Sorted(maps.Keys(attrs)), func(name string) []string {
		return localsRead(attrs[name].Expr)
	})
	for _, name := range cycle {
		l.errorf(attrs[name].Range, "Cycle of locals", "These locals need each other, so none has a value: %s.",
			list(cycle))
		done[name] = cty.DynamicVal
		break
	}
	for _, name := range order {
		ctx.Variables["local"] = cty.ObjectVal(done)
		v, diags := bare(attrs[name].Expr).Value(ctx)
		l.add(diags)
		done[name] = v
	}
	for name := range attrs {
		if _, ok := done[name]; !ok {
			done[name] = cty.DynamicVal
		}
	}
	return cty.ObjectVal(done)
}

// localsRead returns the names of the locals that an expression reads.
func localsRead(e hcl.Expression) []string {
	var out []string
	for _, t := range e.Variables() {
		if t.RootName() != "local" || len(t) < 2 {
			continue
		}
		if a, ok := t[1].(hcl.TraverseAttr); ok {
			out = append(out, a.Name)
		}
	}
	return out
}

// dependencyOrder returns names so that each comes after those it needs, and the names of one cycle if there is any; what
// stands in or behind a cycle is not in the order. Needs that are not among the names are ignored.
func dependencyOrder(names []string, needs func(string) []string) (order, cycle []string) {
	const (
		fresh = iota
		open
		closed
		stuck
	)
	state := map[string]int{}
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	var path []string
	var visit func(string) bool
	visit = func(n string) bool {
		switch state[n] {
		case closed:
			return true
		case stuck:
			return false
		case open:
			if cycle == nil {
				cycle = slices.Clone(path[slices.Index(path, n):])
			}
			return false
		}
		state[n] = open
		path = append(path, n)
		fine := true
		for _, m := range needs(n) {
			if known[m] && !visit(m) {
				fine = false
			}
		}
		path = path[:len(path)-1]
		if !fine {
			state[n] = stuck
			return false
		}
		state[n] = closed
		order = append(order, n)
		return true
	}
	for _, n := range names {
		visit(n)
	}
	return order, cycle
}
