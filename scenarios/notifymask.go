package scenarios

import (
	"bytes"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// shownInNotify are the arguments of a notify block whose values a diagnostic may show with the line on which they stand. In any other,
// also in one that is misspelt, somebody may have written a secret.
var shownInNotify = []string{"on", "to", "ahead", "stale_after", "server", "from", "recipients", "tls", "ca_file"}

// maskNotify returns a calendar's file with asterisks in place of what must not be shown of its notify blocks, for snippets: values, comments, and
// whatever else is no argument's name. Everything stays at its place. It goes by tokens, so that it holds for a text that cannot be parsed.
func maskNotify(f *hcl.File, name string) *hcl.File {
	if f == nil || !bytes.Contains(f.Bytes, []byte("notify")) {
		return f
	}
	tokens, _ := hclsyntax.LexConfig(f.Bytes, name, hcl.InitialPos) // what it complains of, the parser did
	out := &hcl.File{Body: f.Body, Bytes: bytes.Clone(f.Bytes), Nav: f.Nav}
	for i := 0; i < len(tokens); i++ {
		if tokens[i].Type != hclsyntax.TokenIdent || string(tokens[i].Bytes) != "notify" || follows(tokens[i+1:], hclsyntax.TokenEqual) {
			continue
		}
		for i < len(tokens) && tokens[i].Type != hclsyntax.TokenOBrace { // labels
			i++
		}
		i = maskBlock(out.Bytes, tokens, i+1)
	}
	return out
}

// maskBlock masks a block whose first token behind its brace is at an index, and returns the index of the brace that ends it.
func maskBlock(text []byte, tokens hclsyntax.Tokens, i int) int {
	depth, shown := 0, false
	for ; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case hclsyntax.TokenOBrace:
			depth++
			continue
		case hclsyntax.TokenCBrace:
			if depth--; depth < 0 {
				return i
			}
			continue
		case hclsyntax.TokenNewline:
			if !follows(tokens[i+1:], hclsyntax.TokenComma, hclsyntax.TokenCBrack) && (i == 0 || tokens[i-1].Type != hclsyntax.TokenOBrack && tokens[i-1].Type != hclsyntax.TokenComma) {
				shown = false
			}
			continue
		case hclsyntax.TokenEqual, hclsyntax.TokenOQuote, hclsyntax.TokenCQuote, hclsyntax.TokenEOF:
			continue
		case hclsyntax.TokenIdent:
			if follows(tokens[i+1:], hclsyntax.TokenEqual) {
				shown = slices.Contains(shownInNotify, string(t.Bytes))
				continue
			}
		}
		if shown && t.Type != hclsyntax.TokenComment {
			continue
		}
		shown = false
		for k := t.Range.Start.Byte; k < t.Range.End.Byte && k < len(text); k++ {
			if text[k] != '\n' && text[k] != '\r' {
				text[k] = '*'
			}
		}
	}
	return i
}

// follows reports whether the next token is of some type.
func follows(tokens hclsyntax.Tokens, types ...hclsyntax.TokenType) bool {
	return len(tokens) > 0 && slices.Contains(types, tokens[0].Type)
}
