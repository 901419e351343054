package scenarios

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"gameday/targets"
)

// maxPlaces bounds the counts in a target.
const maxPlaces = 10_000

// choice reads how many of the places that a target finds are touched: all by default, and one at most.
func (d *decoding) choice(out *Target, t targetBlock) {
	picked, pickOK := d.amount(t.Pick, "pick", targets.Amount{})
	atMost, boundOK := d.amount(t.AtMost, "at_most", targets.Amount{Count: 1})
	out.Pick, out.AtMost = picked, atMost
	if boundOK && atMost.All() {
		d.errorf(t.AtMost.Range(), "Invalid at_most", "A bound on nothing is no bound. Give a number, or a share such as \"100%\" of what the "+
			"selector finds.")
		return
	}
	if pickOK && boundOK && atMost.Count > 0 && picked.Count > atMost.Count {
		bound := fmt.Sprintf("at_most is %d", atMost.Count)
		if !given(t.AtMost) {
			bound = "at_most is 1 unless it is given"
		}
		d.errorf(t.Pick.Range(), "Pick over the bound", "pick = %d, and %s: nothing could ever be touched. Set at_most = %d, or pick fewer.",
			picked.Count, bound, picked.Count)
	}
}

// amount reads an attribute that is a number, a share or "all", or null or not there. It returns false after reporting what
// is wrong.
func (d *decoding) amount(e hcl.Expression, field string, fallback targets.Amount) (targets.Amount, bool) {
	if !given(e) {
		return fallback, true
	}
	v, diags := e.Value(d.base)
	d.add(diags)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return targets.Amount{}, false
	}
	legal := "Write a whole number from 1 to 10000, or a share such as \"50%\"."
	if field == "pick" {
		legal = "Write a whole number from 1 to 10000, a share such as \"50%\", or \"all\"."
	}
	wrong := func(what string) (targets.Amount, bool) {
		d.errorf(e.Range(), "Invalid "+field, "%s", what+" "+legal)
		return targets.Amount{}, false
	}
	if v.IsNull() {
		return fallback, true
	}
	if v.Type() != cty.Number && v.Type() != cty.String {
		return wrong(fmt.Sprintf("%s is neither a number nor a text.", field))
	}
	text, err := convert.Convert(v, cty.String)
	if err != nil {
		return wrong(sentence(err.Error()))
	}
	a, err := targets.ParseAmount(text.AsString())
	switch {
	case err != nil:
		return wrong(sentence(err.Error()))
	case a.Count > maxPlaces:
		return wrong(fmt.Sprintf("%d places are more than a game day touches.", a.Count))
	}
	return a, true
}

// sentence gives an error's text a capital and a period.
func sentence(text string) string {
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:] + "."
}
