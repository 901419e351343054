package scenarios

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// shownInNotify are the arguments of a notify block whose values a diagnostic may show with the line on which they stand. In any other,
// also in one that is misspelt, somebody may have written a secret.
var shownInNotify = []string{"on", "to", "ahead", "stale_after", "server", "from", "recipients", "tls", "ca_file"}

// maskNotify returns a calendar's file with asterisks in place of what must not be shown of its notify blocks, for snippets: values, comments, and
// whatever else is no argument's name; and in place of addresses anywhere. Everything stays at its place. It goes by tokens, so that it holds for a text that cannot be parsed.
func maskNotify(f *hcl.File, name string) *hcl.File {
	if f == nil {
		return nil
	}
	out := &hcl.File{Body: f.Body, Bytes: address.ReplaceAllFunc(f.Bytes, func(a []byte) []byte { return bytes.Repeat([]byte("*"), len(a)) }), Nav: f.Nav}
	tokens, _ := hclsyntax.LexConfig(f.Bytes, name, hcl.InitialPos) // what it complains of, the parser did
	for i := 0; i < len(tokens); i++ {
		if tokens[i].Type != hclsyntax.TokenIdent || string(tokens[i].Bytes) != "notify" {
			continue
		}
		attribute := follows(tokens[i+1:], hclsyntax.TokenEqual)
		head, masked := maskHead(out.Bytes, tokens, i+1, attribute)
		if masked { // the place of a complaint is worded by labels
			out.Nav = nil
		}
		if i = head; !attribute || follows(tokens[min(head, len(tokens)):], hclsyntax.TokenOBrace) {
			i = maskBlock(out.Bytes, tokens, head+1)
		}
	}
	return out
}

// address is what stands in an address behind its scheme. It is masked wherever it stands: a quote that is missing before a notify block hides that there is one.
var address = regexp.MustCompile(`://[^\s"]*`)

// shownLabel is what labels of a notify block are made of that may be shown: kinds, names, and what somebody may have meant to be one.
var shownLabel = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_ -]{0,47}$`)

// maskHead masks what stands behind the word notify, up to the brace that begins its block, and returns the index of that. Without a brace it is that of the end of the
// line, or of an attribute's value. masked reports whether there was anything that is neither a kind nor a name.
func maskHead(text []byte, tokens hclsyntax.Tokens, i int, attribute bool) (end int, masked bool) {
	open := 0
	for ; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenEOF:
			return i, masked
		case hclsyntax.TokenNewline:
			if open <= 0 {
				if !attribute && follows(tokens[i+1:], hclsyntax.TokenOBrace) { // somebody put it into a line of its own
					i++
				}
				return i, masked
			}
			continue
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
			open++
		case hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			open--
		}
		if bracket := t.Type == hclsyntax.TokenEqual || t.Type == hclsyntax.TokenOQuote || t.Type == hclsyntax.TokenCQuote; bracket ||
			!attribute && (t.Type == hclsyntax.TokenQuotedLit || t.Type == hclsyntax.TokenIdent) && shownLabel.Match(t.Bytes) {
			continue
		}
		masked = true
		mask(text, t)
	}
	return i, masked
}

// mask puts asterisks into the place of a token.
func mask(text []byte, t hclsyntax.Token) {
	for k := t.Range.Start.Byte; k < t.Range.End.Byte && k < len(text); k++ {
		if text[k] != '\n' && text[k] != '\r' {
			text[k] = '*'
		}
	}
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
		mask(text, t)
	}
	return i
}

// follows reports whether the next token is of some type.
func follows(tokens hclsyntax.Tokens, types ...hclsyntax.TokenType) bool {
	return len(tokens) > 0 && slices.Contains(types, tokens[0].Type)
}
