package importer

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"gameday/loadgen"
	"gameday/scenarios"
)

// rightOne is what to do about what no request can have.
const rightOne = "write the right one, and take the marks of the comment away"

// sendable looks over what a reader made: a request that could not be sent is switched off, as it would keep all others from
// being sent.
func (r *Result) sendable() {
	for i := range r.Flows {
		f := &r.Flows[i]
		for j := range f.Requests {
			q := &f.Requests[j]
			at := scenarios.Place{Flow: f.Name, Request: q.Name}
			if !headerName(q.Method) {
				r.lose(at, fmt.Sprintf("the method %q", q.Method), "no method can have that name", rightOne)
				r.off(at)
			}
			for k := range q.URL {
				q.URL[k].Text = encodeURL(q.URL[k].Text)
			}
			if why := r.unfit(q.URL); why != "" {
				r.lose(at, "the URL", why, rightOne)
				r.off(at)
			}
			q.Headers = slices.DeleteFunc(q.Headers, func(h loadgen.Header) bool { return r.unsent(h.Name, at) })
			for k := range q.Headers {
				if h := &q.Headers[k]; oneLine(h.Value) {
					r.lose(at, "line breaks and controls in the header "+h.Name, "a header is one line", "look whether the service minds")
				}
			}
		}
	}
}

// unsent reports whether a header cannot be sent as it is, and says so.
func (r *Result) unsent(name string, at scenarios.Place) bool {
	switch {
	case !headerName(name):
		r.lose(at, fmt.Sprintf("the header %q", name), "no header can have that name", "write the right one")
	case ownHeader(name):
		r.lose(at, "the header "+name, "the client sends its own", "leave it so")
	default:
		return false
	}
	return true
}

// elsewhere says which requests go to other origins than the base. A HAR file's are said as they are read.
func (r *Result) elsewhere() {
	if r.Kind == HAR {
		return
	}
	counts, first := map[string]int{}, map[string]spot{}
	base := originOf(r.BaseURL())
	for _, f := range r.Flows {
		for _, q := range f.Requests {
			at := scenarios.Place{Flow: f.Name, Request: q.Name}
			origin := originOf(r.filled(q.URL))
			if origin == "" || origin == base || slices.Contains(r.Off, at) || slices.Contains(r.Off, scenarios.Place{Flow: f.Name}) {
				continue
			}
			if counts[origin]++; counts[origin] == 1 {
				first[origin] = r.spots[at]
			}
		}
	}
	for _, origin := range sortedKeys(counts) {
		r.add(Loss{Class: Guess, Where: first[origin].where, Line: first[origin].line, What: fmt.Sprintf("requests to %s: %d", origin, counts[origin]),
			Why: "they go to another origin than the base, which --base does not change",
			Do:  "check that you may send load there, or write another URL"})
	}
}

// originOf returns the scheme and the host of a URL; empty when it has none.
func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// reserved are two characters without a meaning that the language marks gaps with.
const reserved = "\ue0f0\ue0f1"

// writable says which texts the language would change, and takes out what it cannot have.
func (r *Result) writable() {
	for _, f := range r.Flows {
		for j := range f.Requests {
			composed, plain := true, true
			everyText([]loadgen.Flow{{Requests: f.Requests[j : j+1]}}, func(t *loadgen.Text) {
				for i, p := range *t {
					composed = composed && norm.NFC.IsNormalString(p.Text)
					if strings.ContainsAny(p.Text, reserved) {
						plain = false
						(*t)[i].Text = strings.NewReplacer("\ue0f0", "\ufffd", "\ue0f1", "\ufffd").Replace(p.Text)
					}
				}
			})
			at := scenarios.Place{Flow: f.Name, Request: f.Requests[j].Name}
			if !composed {
				r.lose(at, "the way its letters are composed", "the language keeps text in Unicode's normal form C, and this is not",
					"look whether the service minds")
			}
			if !plain {
				r.lose(at, "characters for private use", "the language has its own meaning for two of them",
					"look whether the service minds")
			}
		}
	}
}

// unfit says why a URL cannot be requested; "" when it can. Variables stand for their values in it, and other gaps for some
// text.
func (r *Result) unfit(t loadgen.Text) string {
	text := r.filled(t)
	if strings.HasPrefix(text, "/") {
		text = r.filled(r.Base) + text
	}
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "it is empty"
	case err != nil:
		if e, ok := err.(*url.Error); ok {
			err = e.Err
		}
		return err.Error()
	case u.Scheme != "http" && u.Scheme != "https":
		return "it does not begin with http:// or https://"
	case u.Hostname() == "":
		return "it names no host"
	}
	return ""
}

// BaseURL returns the base with the values of the variables in it; empty where each URL is whole.
func (r *Result) BaseURL() string { return r.filled(r.Base) }

// maxFilled bounds how many parts a text is filled with: variables may be in each other many times over.
const maxFilled = 1000

// filled returns a text with variables in the place of their references, and secrets that are not set.
func (r *Result) filled(t loadgen.Text) string {
	var b strings.Builder
	parts := 0
	var fill func(loadgen.Text)
	fill = func(t loadgen.Text) {
		for _, p := range t {
			if parts++; parts > maxFilled {
				return
			}
			switch v := r.variable(p.Ref); {
			case p.Ref == "":
				b.WriteString(p.Text)
			case strings.HasPrefix(p.Ref, "secret("): // empty where the block is validated
			case v == nil || v.Value == nil:
				b.WriteString("x")
			default:
				fill(v.Value)
			}
		}
	}
	fill(t)
	return b.String()
}

// variable returns the variable that a reference is to, or nil.
func (r *Result) variable(ref string) *scenarios.DraftVariable {
	kind, name, _ := strings.Cut(ref, ".")
	for i, v := range r.Variables {
		if v.Name == name && (kind == "local" && v.Local || kind == "var" && !v.Local) {
			return &r.Variables[i]
		}
	}
	return nil
}

// oneLine takes controls out of the literal parts of a header's value, and reports whether there were any.
func oneLine(t loadgen.Text) bool {
	found := false
	for i, p := range t {
		t[i].Text = strings.Map(func(c rune) rune {
			if c < ' ' && c != '\t' || c == 0x7f {
				found = true
				return ' '
			}
			return c
		}, p.Text)
	}
	return found
}
