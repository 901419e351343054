package importer

import (
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// sampler makes values of schemas: what the document gives as an example, a default or a choice, and else the plainest value
// that the schema allows. The same document gives the same values.
type sampler struct {
	made  bool // some value was made up
	loose bool // some value may not satisfy its schema
	open  []*openapi3.Schema
	count int // of values, which bounds what schemas of schemas can grow to
	n     int // of the item in its list, so that items differ
}

// Bounds on what is made.
const (
	maxSampleDepth = 8
	maxSamples     = 5000
	maxItems       = 3
	maxText        = 4096
)

// sample makes the value of a parameter or a body.
func (s *sampler) sample(ref *openapi3.SchemaRef) any {
	v, ok := s.value(ref)
	s.loose = s.loose || !ok
	return v
}

// doubt says that a value may not be one that the schema allows.
func (s *sampler) doubt() string {
	if s.loose {
		return ", and may not satisfy the schema"
	}
	return ""
}

// value makes a value. ok is false where there is none: the schema contains itself, or is too deep.
func (s *sampler) value(ref *openapi3.SchemaRef) (v any, ok bool) {
	if ref == nil || ref.Value == nil {
		s.made = true
		return "text", true
	}
	schema := ref.Value
	if given, ok := givenValue(schema); ok {
		return given, true
	}
	s.count++
	if slices.Contains(s.open, schema) || len(s.open) >= maxSampleDepth || s.count > maxSamples {
		return nil, false
	}
	s.open = append(s.open, schema)
	defer func() { s.open = s.open[:len(s.open)-1] }()
	switch {
	case schema.Always != nil:
		s.made = true
		return "text", *schema.Always
	case len(schema.AllOf) > 0:
		return s.all(schema)
	case len(schema.OneOf) > 0:
		return s.oneOf(schema, schema.OneOf)
	case len(schema.AnyOf) > 0:
		return s.oneOf(schema, schema.AnyOf)
	}
	return s.plain(schema)
}

// givenValue returns the value that a schema itself gives.
func givenValue(s *openapi3.Schema) (any, bool) {
	switch {
	case s.Example != nil:
		return s.Example, true
	case len(s.Examples) > 0:
		return s.Examples[0], true
	case s.Const != nil:
		return s.Const, true
	case s.Default != nil:
		return s.Default, true
	}
	for _, v := range s.Enum {
		if v != nil {
			return v, true
		}
	}
	return nil, false
}

// all joins the parts of an allOf: objects member by member, anything else by all the bounds together.
func (s *sampler) all(schema *openapi3.Schema) (any, bool) {
	own := *schema
	own.AllOf = nil
	object := map[string]any{}
	isObject := false
	merged := own
	parts := slices.Concat(openapi3.SchemaRefs{}, schema.AllOf)
	if len(own.Properties) > 0 {
		parts = append(parts, openapi3.NewSchemaRef("", &own))
	}
	for _, part := range parts {
		if part == nil || part.Value == nil {
			continue
		}
		merge(&merged, part.Value)
		if !objectLike(part.Value) {
			continue
		}
		v, ok := s.value(part)
		if m, is := v.(map[string]any); is && ok {
			isObject = true
			for k, member := range m {
				object[k] = member
			}
		}
	}
	if isObject {
		return object, true
	}
	if given, ok := givenValue(&merged); ok {
		return given, true
	}
	return s.plain(&merged)
}

// objectLike reports whether a schema is, or may be, one of an object.
func objectLike(s *openapi3.Schema) bool {
	return len(s.Properties) > 0 || s.Type.Includes(openapi3.TypeObject) || len(s.AllOf) > 0 || len(s.OneOf) > 0 || len(s.AnyOf) > 0
}

// merge adds the bounds of a schema to those of another.
func merge(into, from *openapi3.Schema) {
	if into.Type == nil {
		into.Type = from.Type
	}
	if into.Format == "" {
		into.Format = from.Format
	}
	if into.Pattern == "" {
		into.Pattern = from.Pattern
	}
	if into.Min == nil {
		into.Min, into.ExclusiveMin = from.Min, from.ExclusiveMin
	}
	if into.Max == nil {
		into.Max, into.ExclusiveMax = from.Max, from.ExclusiveMax
	}
	if into.MultipleOf == nil {
		into.MultipleOf = from.MultipleOf
	}
	if into.Items == nil {
		into.Items = from.Items
	}
	if into.MaxLength == nil {
		into.MaxLength = from.MaxLength
	}
	into.MinLength, into.MinItems = max(into.MinLength, from.MinLength), max(into.MinItems, from.MinItems)
	if len(into.Enum) == 0 {
		into.Enum = from.Enum
	}
	if into.Example == nil {
		into.Example = from.Example
	}
}

// oneOf takes the first choice that has a value, with the members that stand beside the choices.
func (s *sampler) oneOf(schema *openapi3.Schema, choices openapi3.SchemaRefs) (any, bool) {
	for _, c := range choices {
		v, ok := s.value(c)
		if !ok || v == nil {
			continue
		}
		object, isObject := v.(map[string]any)
		if !isObject || len(schema.Properties) == 0 {
			return v, true
		}
		own := *schema
		own.OneOf, own.AnyOf = nil, nil
		out := s.object(&own)
		for k, member := range object {
			out[k] = member
		}
		return out, true
	}
	return nil, false
}

// plain makes a value of a schema without choices.
func (s *sampler) plain(schema *openapi3.Schema) (any, bool) {
	switch typeOf(schema) {
	case openapi3.TypeObject:
		return s.object(schema), true
	case openapi3.TypeArray:
		return s.list(schema), true
	case openapi3.TypeInteger, openapi3.TypeNumber:
		s.made = true
		return s.number(schema), true
	case openapi3.TypeBoolean:
		s.made = true
		return true, true
	case openapi3.TypeNull:
		return nil, true
	}
	s.made = true
	return s.text(schema), true
}

// typeOf returns the type of a schema, the first that is not null when it has several, and what it seems to be when it has
// none.
func typeOf(s *openapi3.Schema) string {
	for _, t := range s.Type.Slice() {
		if t != openapi3.TypeNull {
			return t
		}
	}
	switch {
	case s.Type.Includes(openapi3.TypeNull):
		return openapi3.TypeNull
	case len(s.Properties) > 0 || len(s.Required) > 0:
		return openapi3.TypeObject
	case s.Items != nil || len(s.PrefixItems) > 0:
		return openapi3.TypeArray
	case s.Min != nil || s.Max != nil || s.MultipleOf != nil:
		return openapi3.TypeNumber
	}
	return openapi3.TypeString
}

// object makes an object of all members that may be sent, but those that would contain themselves.
func (s *sampler) object(schema *openapi3.Schema) map[string]any {
	out := map[string]any{}
	for _, name := range sortedKeys(schema.Properties) {
		p := schema.Properties[name]
		if p == nil || p.Value == nil || p.Value.ReadOnly {
			continue
		}
		v, ok := s.value(p)
		if ok {
			out[name] = v
		} else if slices.Contains(schema.Required, name) {
			out[name] = map[string]any{}
			s.loose = true
		}
	}
	for _, name := range schema.Required {
		if _, known := schema.Properties[name]; !known && out[name] == nil {
			s.made = true
			out[name] = "text"
		}
	}
	return out
}

func (s *sampler) list(schema *openapi3.Schema) []any {
	out := []any{}
	for _, item := range schema.PrefixItems {
		if v, ok := s.value(item); ok {
			out = append(out, v)
		}
	}
	want := max(int(min(schema.MinItems, maxItems)), 1)
	if schema.MinItems > maxItems {
		s.loose = true
	}
	if schema.MaxItems != nil {
		want = min(want, int(min(*schema.MaxItems, maxItems)))
	}
	outer := s.n
	for i := len(out); i < want && schema.Items != nil; i++ {
		s.n = i
		v, ok := s.value(schema.Items)
		if !ok {
			break
		}
		out = append(out, v)
	}
	s.n = outer
	return out
}

// number makes the smallest number from 1 on that is within the bounds.
func (s *sampler) number(schema *openapi3.Schema) any {
	whole := typeOf(schema) == openapi3.TypeInteger
	low, high := math.Inf(-1), math.Inf(1)
	step := 1.0
	if schema.MultipleOf != nil && *schema.MultipleOf > 0 {
		step = *schema.MultipleOf
	}
	gap := 0.5
	if whole {
		gap = 1
	}
	if schema.Min != nil {
		if low = *schema.Min; schema.ExclusiveMin.IsTrue() {
			low += gap
		}
	}
	if v := schema.ExclusiveMin.Value; v != nil {
		low = max(low, *v+gap)
	}
	if schema.Max != nil {
		if high = *schema.Max; schema.ExclusiveMax.IsTrue() {
			high -= gap
		}
	}
	if v := schema.ExclusiveMax.Value; v != nil {
		high = min(high, *v-gap)
	}
	n := max(1+float64(s.n), low)
	if n > high {
		n = high
	}
	if whole {
		n = math.Ceil(n)
	}
	if schema.MultipleOf != nil {
		if n = math.Ceil(n/step) * step; n > high {
			n = math.Floor(high/step) * step
		}
	}
	if n < low || n > high || math.IsInf(n, 0) || math.IsNaN(n) {
		s.loose = true
		n = 1
	}
	if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		return int64(n)
	}
	return n
}

// formats are values for the formats that texts may have.
var formats = map[string]string{
	"uuid": "7b0e4c3a-1f5d-4a52-9c6e-2d8f0a1b3c4d", "date": "2026-01-02", "date-time": "2026-01-02T03:04:05Z", "time": "03:04:05Z",
	"duration": "PT1H", "email": "user@example.com", "idn-email": "user@example.com", "hostname": "host.example", "idn-hostname": "host.example",
	"ipv4": "192.0.2.1", "ip": "192.0.2.1", "ipv6": "2001:db8::1", "uri": "https://example.com/", "url": "https://example.com/",
	"iri": "https://example.com/", "uri-reference": "/path", "byte": "dGV4dA==", "base64": "dGV4dA==", "password": "a-password-1",
	"json-pointer": "/a", "regex": ".*", "binary": "text",
}

// text makes a text of a format, of a pattern, or of a length.
func (s *sampler) text(schema *openapi3.Schema) string {
	out, known := formats[schema.Format]
	if schema.Pattern != "" {
		made, ok := ofPattern(schema.Pattern, int(min(schema.MinLength, maxText)))
		s.loose = s.loose || !ok
		if ok {
			return made
		}
	}
	if known {
		return out
	}
	out = "text"
	if s.n > 0 {
		out = fmt.Sprintf("text-%d", s.n+1)
	}
	if want := int(min(schema.MinLength, maxText)); len(out) < want {
		out += strings.Repeat("x", want-len(out))
	}
	if schema.MaxLength != nil && uint64(len(out)) > *schema.MaxLength {
		out = out[:*schema.MaxLength]
	}
	return out
}

// ofPattern makes a text that a regular expression matches, at least so long. Expressions that only JavaScript knows give none.
func ofPattern(pattern string, least int) (string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	re = re.Simplify()
	var b strings.Builder
	if !writePattern(&b, re, least, 0) || b.Len() > maxText || utf8.RuneCountInString(b.String()) < least {
		return "", false
	}
	return b.String(), true
}

// writePattern writes the shortest match, but that what may repeat does so until the text is long enough.
func writePattern(b *strings.Builder, re *syntax.Regexp, least, depth int) bool {
	if depth > 50 || b.Len() > maxText {
		return false
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(plainest(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpCapture:
		return writePattern(b, re.Sub[0], least, depth+1)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !writePattern(b, sub, least, depth+1) {
				return false
			}
		}
	case syntax.OpAlternate:
		return writePattern(b, re.Sub[0], least, depth+1)
	case syntax.OpStar, syntax.OpPlus:
		if re.Op == syntax.OpPlus && !writePattern(b, re.Sub[0], 0, depth+1) {
			return false
		}
		for before := -1; b.Len() < least && b.Len() > before; {
			before = b.Len()
			if !writePattern(b, re.Sub[0], 0, depth+1) {
				return false
			}
		}
	case syntax.OpQuest:
		if b.Len() < least {
			return writePattern(b, re.Sub[0], least, depth+1)
		}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary:
	default:
		return false
	}
	return true
}

// plainest returns a letter or a digit of a class, where it has one.
func plainest(class []rune) rune {
	for _, want := range []rune{'a', 'A', '1', '0', '-'} {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= want && want <= class[i+1] {
				return want
			}
		}
	}
	if len(class) == 0 {
		return 'x'
	}
	return class[0]
}
