package scenarios

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parser descends once for each bracket, prefix operator, conditional and template directive, and a Go stack that
// overflows cannot be recovered from. No scenario written by a person comes near these bounds.
const (
	maxDepth        = 100
	maxConditionals = 1000
)

// tooDeep reports a file that would make the parser descend too far; nil when it is fine. It works on tokens, so it
// cannot be made to descend itself.
func tooDeep(src []byte, name string) *hcl.Diagnostic {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	depth, prefix, conditionals := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenTemplateControl:
			depth++
			conditionals++
		case hclsyntax.TokenQuestion:
			conditionals++
		}
		if t.Type == hclsyntax.TokenBang || t.Type == hclsyntax.TokenMinus {
			prefix++
		} else {
			prefix = 0
		}
		if depth > maxDepth || prefix > maxDepth || conditionals > maxConditionals {
			return &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Nested too deeply",
				Detail: "Blocks, brackets and operators may stand inside each other 100 deep, and a file may hold 1,000 " +
					"conditionals. Take this expression apart with locals.",
				Subject: t.Range.Ptr(),
			}
		}
	}
	return nil
}
