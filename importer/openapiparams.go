package importer

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"gameday/loadgen"
	"gameday/scenarios"
)

// parameters fills the path, and adds what is required beside it.
func (d *describer) parameters(q *loadgen.Request, o *operation, values map[string]string, at scenarios.Place) {
	path := loadgen.Literal(o.path)
	var query loadgen.Text
	for _, p := range parametersOf(o) {
		if p.In != openapi3.ParameterInPath && !p.Required && values[p.Name] == "" {
			continue
		}
		var value loadgen.Text
		switch extract := values[p.Name]; {
		case extract != "":
			value = single(p, loadgen.Text{{Ref: "value." + extract}})
		case p.In != openapi3.ParameterInPath && secretName(p.Name):
			value = single(p, d.secretParameter(p, o, at))
		default:
			value = loadgen.Literal(d.parameter(p, o, at))
		}
		switch p.In {
		case openapi3.ParameterInPath:
			path = replacedText(path, "{"+p.Name+"}", value)
		case openapi3.ParameterInQuery:
			if len(query) > 0 {
				query = append(query, loadgen.Part{Text: "&"})
			}
			query = append(query, value...)
		case openapi3.ParameterInCookie:
			addHeader(q, "Cookie", value)
		case openapi3.ParameterInHeader:
			// These three are described elsewhere, and a parameter of that name says nothing (3.0.3, 4.7.12.1).
			if headerName(p.Name) && !slices.Contains([]string{"accept", "content-type", "authorization"}, strings.ToLower(p.Name)) {
				setHeader(q, p.Name, value)
			}
		}
	}
	path = d.unfilled(path, o, at)
	q.URL = slices.Concat(d.elsewhere(o), path)
	if len(query) > 0 {
		q.URL = appendQuery(q.URL, query)
	}
}

// unfilled makes up what stands in the path and is described nowhere.
func (d *describer) unfilled(path loadgen.Text, o *operation, at scenarios.Place) loadgen.Text {
	for i, p := range path {
		if !strings.Contains(p.Text, "{") {
			continue
		}
		path[i].Text = braces.ReplaceAllStringFunc(p.Text, func(name string) string {
			d.out.add(Loss{Class: Guess, Where: o.where(), Line: o.line,
				What: fmt.Sprintf("path parameter %q", strings.Trim(name, "{}")),
				Why:  "the document does not describe it, so its value is made up", Do: madeUp, Place: at})
			return "1"
		})
	}
	return path
}

// parametersOf joins the parameters of the path and of the operation, whose own win.
func parametersOf(o *operation) []*openapi3.Parameter {
	var out []*openapi3.Parameter
	for _, list := range []openapi3.Parameters{o.Parameters, o.item.Parameters} {
		for _, ref := range list {
			if ref == nil || ref.Value == nil {
				continue
			}
			p := ref.Value
			if !slices.ContainsFunc(out, func(have *openapi3.Parameter) bool { return have.Name == p.Name && have.In == p.In }) {
				out = append(out, p)
			}
		}
	}
	return out
}

// madeUp is what to do about values that the document does not give.
const madeUp = "put one there that exists, or several with a data block"

// parameter writes the value of a parameter as its style has it; in a query and a cookie with its name.
func (d *describer) parameter(p *openapi3.Parameter, o *operation, at scenarios.Place) string {
	v, s := parameterValue(p)
	if s.made || s.loose {
		d.out.add(Loss{Class: Guess, Where: o.where() + ".parameters." + p.Name, Line: o.line,
			What: fmt.Sprintf("%s parameter %q", p.In, p.Name),
			Why:  "the document has no example for it, so its value is made up" + s.doubt(), Do: madeUp, Place: at})
	}
	return styled(p, v)
}

func (d *describer) secretParameter(p *openapi3.Parameter, o *operation, at scenarios.Place) loadgen.Text {
	ref, variable := d.vault.ref(p.Name, "parameter "+p.Name)
	from := spot{o.where() + ".parameters." + p.Name, o.line}
	d.out.add(keptOut(from, at, fmt.Sprintf("%s parameter %q", p.In, p.Name), "its value", variable))
	return loadgen.Text{{Ref: ref}}
}

// parameterValue returns an example of a parameter, and what was made up for it.
func parameterValue(p *openapi3.Parameter) (any, *sampler) {
	s := &sampler{}
	if p.Example != nil {
		return p.Example, s
	}
	if v, ok := exampleOf(p.Examples); ok {
		return v, s
	}
	schema := p.Schema
	for _, media := range sortedKeys(p.Content) {
		if m := p.Content[media]; m != nil && schema == nil {
			if m.Example != nil {
				return m.Example, s
			}
			schema = m.Schema
		}
	}
	return s.sample(schema), s
}

// exampleOf returns the first of named examples.
func exampleOf(examples openapi3.Examples) (any, bool) {
	for _, name := range sortedKeys(examples) {
		if e := examples[name]; e != nil && e.Value != nil && e.Value.Value != nil {
			return e.Value.Value, true
		}
	}
	return nil, false
}

// single writes a single value as a parameter's place has it.
func single(p *openapi3.Parameter, value loadgen.Text) loadgen.Text {
	switch p.In {
	case openapi3.ParameterInQuery:
		return slices.Concat(loadgen.Literal(url.QueryEscape(p.Name)+"="), value)
	case openapi3.ParameterInCookie:
		return slices.Concat(loadgen.Literal(p.Name+"="), value)
	}
	return value
}

// styled writes a value by the rules for parameters (OpenAPI 3.1, 4.8.12.2 and RFC 6570).
func styled(p *openapi3.Parameter, v any) string {
	if len(p.Content) > 0 {
		b, err := json.Marshal(v)
		if err != nil {
			b = []byte("{}")
		}
		v = string(b)
	}
	escape := url.PathEscape
	switch p.In {
	case openapi3.ParameterInQuery:
		escape = url.QueryEscape
	case openapi3.ParameterInHeader, openapi3.ParameterInCookie:
		escape = func(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }
	}
	style := p.Style
	if style == "" {
		style = map[string]string{openapi3.ParameterInQuery: "form", openapi3.ParameterInCookie: "form"}[p.In]
	}
	explode := style == "form"
	if p.Explode != nil {
		explode = *p.Explode
	}
	name := escape(p.Name)
	switch style {
	case "form":
		return pairsOf(name, v, "&", ",", explode, escape)
	case "spaceDelimited":
		return pairsOf(name, v, "&", "%20", explode, escape)
	case "pipeDelimited":
		return pairsOf(name, v, "&", "%7C", explode, escape)
	case "deepObject":
		m, _ := v.(map[string]any)
		var out []string
		for _, k := range sortedKeys(m) {
			out = append(out, name+"%5B"+escape(k)+"%5D="+escape(plainText(m[k])))
		}
		return strings.Join(out, "&")
	case "label":
		sep := ","
		if explode {
			sep = "."
		}
		return "." + flat(v, sep, explode, escape)
	case "matrix":
		return ";" + pairsOf(name, v, ";", ",", explode, escape)
	}
	return flat(v, ",", explode, escape)
}

// pairsOf writes name=value; what is exploded once for each item or member.
func pairsOf(name string, v any, between, within string, explode bool, escape func(string) string) string {
	switch v := v.(type) {
	case []any:
		if explode {
			var out []string
			for _, item := range v {
				out = append(out, name+"="+escape(plainText(item)))
			}
			return strings.Join(out, between)
		}
	case map[string]any:
		if explode {
			var out []string
			for _, k := range sortedKeys(v) {
				out = append(out, escape(k)+"="+escape(plainText(v[k])))
			}
			return strings.Join(out, between)
		}
	}
	return name + "=" + flat(v, within, false, escape)
}

// flat writes a value without its name.
func flat(v any, sep string, explode bool, escape func(string) string) string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			out = append(out, escape(plainText(item)))
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if explode {
				out = append(out, escape(k)+"="+escape(plainText(v[k])))
			} else {
				out = append(out, escape(k), escape(plainText(v[k])))
			}
		}
	default:
		return escape(plainText(v))
	}
	return strings.Join(out, sep)
}

// plainText writes a value as text: a text as it is, and anything else as JSON.
func plainText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// body makes the body of an operation: from an example, or from the schema.
func (d *describer) body(q *loadgen.Request, o *operation, at scenarios.Place) {
	if o.RequestBody == nil || o.RequestBody.Value == nil || len(o.RequestBody.Value.Content) == 0 {
		return
	}
	where := o.where() + ".requestBody"
	content := o.RequestBody.Value.Content
	types := sortedKeys(content)
	slices.SortStableFunc(types, func(a, b string) int { return rank(a) - rank(b) })
	media := types[0]
	v, s := mediaValue(content[media])
	text, contentType, why := encoded(media, v)
	if why != "" {
		d.out.add(Loss{Class: Lost, Where: where, Line: o.line, What: "the body, of the type " + media, Why: why,
			Do: "write the body into the block, and take the marks of the comment away", Place: at})
		d.out.off(at)
		return
	}
	if s.made || s.loose {
		d.out.add(Loss{Class: Guess, Where: where, Line: o.line, What: "the body",
			Why: "the document has no example for all of it, so it is made up" + s.doubt(),
			Do:  "put one there that the service takes", Place: at})
	}
	q.Body = d.withoutSecrets(text, contentType, spot{where, o.line}, at)
	setHeader(q, "Content-Type", loadgen.Literal(contentType))
}

// withoutSecrets makes gaps of the fields of a body whose names say that they are secret.
func (d *describer) withoutSecrets(text, contentType string, from spot, at scenarios.Place) loadgen.Text {
	var gaps spans
	for _, f := range fieldsOf(text, contentType) {
		if secretName(f.name) {
			ref, variable := d.vault.ref(f.name, "field "+f.name)
			gaps.add(gap{f.from, f.to, ref})
			d.out.add(keptOut(from, at, fmt.Sprintf("the field %q", f.name), "its value", variable))
		}
	}
	return fill(text, gaps)
}

// rank orders media types by how well they can be sent.
func rank(media string) int {
	switch kind := strings.ToLower(media); {
	case strings.HasPrefix(kind, "application/json"):
		return 0
	case strings.Contains(kind, "+json"), kind == "*/*", kind == "application/*":
		return 1
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		return 2
	case strings.HasPrefix(kind, "multipart/form-data"):
		return 3
	case strings.HasPrefix(kind, "text/"):
		return 4
	}
	return 5
}

func mediaValue(m *openapi3.MediaType) (any, *sampler) {
	s := &sampler{}
	if m == nil {
		return s.sample(nil), s
	}
	if m.Example != nil {
		return m.Example, s
	}
	if v, ok := exampleOf(m.Examples); ok {
		return v, s
	}
	return s.sample(m.Schema), s
}

// encoded writes a value in a media type; why is why it cannot.
func encoded(media string, v any) (text, contentType, why string) {
	s, isText := v.(string)
	object, isObject := v.(map[string]any)
	switch rank(media) {
	case 0, 1:
		if strings.Contains(media, "*") {
			media = "application/json"
		}
		if isText && json.Valid([]byte(s)) { // an example that is written as text
			return s, media, ""
		}
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return "", "", "its example cannot be written as JSON"
		}
		return strings.TrimSuffix(b.String(), "\n"), media, ""
	case 2:
		form := url.Values{}
		for k, value := range object {
			form.Set(k, plainText(value))
		}
		if isText {
			return s, media, ""
		}
		return form.Encode(), media, ""
	case 3:
		if !isObject {
			return "", "", "its parts are not described"
		}
		var parts []part
		for _, k := range sortedKeys(object) {
			parts = append(parts, part{name: k, value: plainText(object[k])})
		}
		body, contentType, err := multipartBody(parts)
		if err != nil {
			return "", "", "its parts cannot be put together"
		}
		return body, contentType, ""
	}
	if !isText {
		return "", "", "there is no example of it as text"
	}
	if rank(media) == 5 && !strings.Contains(media, "xml") {
		return "", "", "it is no text"
	}
	return s, media, ""
}

// replacedText puts a text where a string stands in the literal parts of another.
func replacedText(t loadgen.Text, old string, value loadgen.Text) loadgen.Text {
	const mark = "\x00"
	var out loadgen.Text
	for _, p := range replaced(t, old, mark) {
		if p.Ref == mark {
			out = append(out, value...)
			continue
		}
		out = append(out, p)
	}
	return out
}
