package scenarios

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"
)

// decode fills v from a body. Secrets come out as plain strings here, and only here: Go structs cannot hold marks.
func decode(body hcl.Body, ctx *hcl.EvalContext, v any) hcl.Diagnostics {
	return gohcl.DecodeBody(openBody{body}, ctx, v)
}

// openBody is a body whose attributes evaluate to values without marks.
type openBody struct{ hcl.Body }

func (b openBody) Content(s *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	c, diags := b.Body.Content(s)
	return open(c), diags
}

func (b openBody) PartialContent(s *hcl.BodySchema) (*hcl.BodyContent, hcl.Body, hcl.Diagnostics) {
	c, rest, diags := b.Body.PartialContent(s)
	return open(c), openBody{rest}, diags
}

func (b openBody) JustAttributes() (hcl.Attributes, hcl.Diagnostics) {
	attrs, diags := b.Body.JustAttributes()
	return openAttributes(attrs), diags
}

func open(c *hcl.BodyContent) *hcl.BodyContent {
	if c == nil {
		return nil
	}
	out := *c
	out.Attributes = openAttributes(c.Attributes)
	out.Blocks = make(hcl.Blocks, len(c.Blocks))
	for i, b := range c.Blocks {
		nb := *b
		nb.Body = openBody{b.Body}
		out.Blocks[i] = &nb
	}
	return &out
}

func openAttributes(in hcl.Attributes) hcl.Attributes {
	out := hcl.Attributes{}
	for name, a := range in {
		na := *a
		na.Expr = openExpr{a.Expr}
		out[name] = &na
	}
	return out
}

// openExpr is an expression whose value comes without marks.
type openExpr struct{ hcl.Expression }

func (e openExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := e.Expression.Value(ctx)
	v, marks := v.UnmarkDeep()
	if len(marks) > 0 && v.Type() == cty.Number {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Secret as a number", Detail: "Numbers are printed and recorded, and " +
			"cannot be taken out again. A secret is text: a password, a token. Use a variable.", Subject: e.Range().Ptr()})
		v = cty.UnknownVal(cty.Number)
	}
	return v, diags
}

// UnwrapExpression lets hcl's static analysis (traversals, lists) see the expression itself.
func (e openExpr) UnwrapExpression() hcl.Expression { return e.Expression }

// bare returns the expression as the parser made it.
func bare(e hcl.Expression) hcl.Expression {
	for {
		o, ok := e.(openExpr)
		if !ok {
			return e
		}
		e = o.Expression
	}
}

// given reports whether an optional expression attribute is in the file: gohcl fills absent ones with a null.
func given(e hcl.Expression) bool {
	if e == nil {
		return false
	}
	r := e.Range()
	return r.Start != r.End
}

// attrRange returns where an attribute's value stands, or fallback when the attribute is not there. The name may be a
// path through blocks by type and label: "node.ledger.process.api.command".
func attrRange(body hcl.Body, name string, fallback hcl.Range) hcl.Range {
	if body == nil {
		return fallback
	}
	first, rest, nested := strings.Cut(name, ".")
	if nested {
		if b := block(body, first, rest); b != nil {
			_, inner, more := strings.Cut(rest, ".")
			if !more {
				return b.DefRange
			}
			return attrRange(b.Body, inner, b.DefRange)
		}
	}
	c, _, _ := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: first}}})
	if c != nil && c.Attributes[first] != nil {
		return c.Attributes[first].Expr.Range()
	}
	return fallback
}

// block finds a block of one label by its type and the first word of a path.
func block(body hcl.Body, kind, path string) *hcl.Block {
	label, _, _ := strings.Cut(path, ".")
	c, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: kind, LabelNames: []string{"name"}}}})
	if c == nil {
		return nil
	}
	for _, b := range c.Blocks {
		if b.Labels[0] == label {
			return b
		}
	}
	return nil
}
