package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"gameday/loadgen"
)

// draft draws traffic with everything that can be written.
func draft(t *rapid.T) Draft {
	name := rapid.StringMatching(`[a-z][a-z0-9_-]{0,8}`)
	d := Draft{Name: "stream", Rate: rapid.Float64Range(0.001, 1e6).Draw(t, "rate"), Multiple: rapid.SampledFrom([]float64{0, 1, 2.5}).Draw(t, "multiple"),
		Scenario: "drawn ${x} \"scenario\"", Base: rapid.SampledFrom([]loadgen.Text{nil, loadgen.Literal("http://shop:8080"), {{Text: "https://"}, {Ref: "var.host"}}}).Draw(t, "base"),
		Variables: []DraftVariable{{Name: "host", Value: loadgen.Literal("h.test:1/a${b}"), Description: "where"}, {Name: "l", Local: true, Value: loadgen.Text{{Text: "$"}, {Ref: "var.host"}}}}}
	if rapid.Bool().Draw(t, "wired") {
		d.Wire = loadgen.Wire{HTTP: loadgen.HTTP2, Unix: "/run/a b.sock", Fresh: true, TLS: loadgen.TLS{CA: "/ca", Cert: "/c", Key: "/k", ServerName: "n", Insecure: true}}
	}
	for _, flowName := range rapid.SliceOfNDistinct(name, 1, 3, rapid.ID).Draw(t, "flows") {
		f := loadgen.Flow{Name: flowName, Weight: rapid.Float64Range(0, 1000).Draw(t, "weight")}
		var refs []string
		for _, requestName := range rapid.SliceOfNDistinct(name, 1, 3, rapid.ID).Draw(t, "requests") {
			if rapid.IntRange(0, 3).Draw(t, "alone") == 0 && len(f.Requests) == 0 {
				requestName = flowName
			}
			q := drawRequest(t, d, requestName, refs)
			for _, e := range q.Extract {
				refs = append(refs, "value."+e.Name)
			}
			if !slices.ContainsFunc(f.Requests, func(have loadgen.Request) bool { return have.Name == q.Name }) {
				f.Requests = append(f.Requests, q)
			}
		}
		d.Flows = append(d.Flows, f)
	}
	return d
}

// hard are pieces of text that are hard to write.
var hard = []string{"${", "%{", "$${", "%%{", "$", "%", "$$", "%%", "{", "}", "\"", "\\", "\n", "\r", "\t", "EOT", "\\u0041", "~", "a", "é", "日本", "\U0001F600", " ", "\x00", "\u2028", "\x7f", "/", "//", "#"}

func drawText(t *rapid.T, refs []string) loadgen.Text {
	refs = append([]string{"iteration.number", "iteration.id"}, refs...)
	part := rapid.Custom(func(t *rapid.T) loadgen.Part {
		if rapid.IntRange(0, 3).Draw(t, "gap") == 0 {
			return loadgen.Part{Ref: rapid.SampledFrom(refs).Draw(t, "ref")}
		}
		return loadgen.Part{Text: strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hard), rapid.StringMatching(`[a-z ]{1,9}`)), 1, 6).Draw(t, "pieces"), "")}
	})
	return normal(rapid.SliceOfN(part, 1, 4).Draw(t, "text"))
}

// normal is a text as the loader gives it: in Unicode's form C, and without literal parts side by side.
func normal(t loadgen.Text) loadgen.Text {
	var out loadgen.Text
	for _, p := range joined(t) {
		p.Text = norm.NFC.String(p.Text)
		out = append(out, p)
	}
	return out
}

func drawBody(t *rapid.T, refs []string) loadgen.Text {
	switch rapid.IntRange(0, 3).Draw(t, "body") {
	case 0:
		return nil
	case 1:
		return drawText(t, refs)
	case 2:
		return drawJSON(t, refs)
	}
	var out loadgen.Text
	for range rapid.IntRange(2, 4).Draw(t, "lines") {
		out = append(append(out, drawText(t, refs)...), loadgen.Part{Text: "\n"})
	}
	return normal(out)
}

// drawJSON draws a document, with gaps in its texts and sometimes in the place of a value.
func drawJSON(t *rapid.T, refs []string) loadgen.Text {
	leaf := rapid.OneOf(rapid.Just(any(nil)), rapid.Custom(func(t *rapid.T) any { return rapid.Bool().Draw(t, "b") }),
		rapid.Custom(func(t *rapid.T) any { return rapid.Float64().Draw(t, "f") }), rapid.Custom(func(t *rapid.T) any { return rapid.Int64().Draw(t, "i") }),
		rapid.Custom(func(t *rapid.T) any { return strings.Join(rapid.SliceOf(rapid.SampledFrom(hard)).Draw(t, "s"), "") }))
	key := rapid.OneOf(rapid.SampledFrom([]string{"for", "null", "true", "", "a.b", "${x}", "if"}), rapid.StringMatching(`[a-z-]{1,5}`))
	doc := map[string]any{"list": rapid.SliceOfN(leaf, 0, 4).Draw(t, "list"), "map": rapid.MapOfN(key, leaf, 0, 4).Draw(t, "map"), "gap": "@"}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := strings.Cut(norm.NFC.String(string(b)), "@")
	if rapid.Bool().Draw(t, "bare") {
		before, after = strings.TrimSuffix(before, `"`), strings.TrimPrefix(after, `"`)
	}
	return normal(slices.Concat(loadgen.Literal(before), loadgen.Text{{Ref: rapid.SampledFrom(append([]string{"iteration.id"}, refs...)).Draw(t, "ref")}}, loadgen.Literal(after)))
}

func drawRequest(t *rapid.T, d Draft, name string, refs []string) loadgen.Request {
	word := rapid.StringMatching(`[a-z]{1,8}`)
	q := loadgen.Request{Name: name, URL: slices.Concat(loadgen.Literal("http://other.test/"), drawText(t, refs)), Body: drawBody(t, refs),
		Timeout: time.Duration(rapid.Int64Range(0, 90_000).Draw(t, "timeout")) * time.Millisecond, Redirects: rapid.IntRange(0, 20).Draw(t, "redirects"),
		Method: rapid.SampledFrom([]string{"", "POST", "DELETE"}).Draw(t, "method")}
	if len(d.Base) > 0 && rapid.Bool().Draw(t, "relative") {
		q.URL = slices.Concat(loadgen.Literal("/"), drawText(t, refs))
	}
	q.URL = normal(q.URL)
	if rapid.IntRange(0, 9).Draw(t, "grpc") == 0 {
		q.Method, q.Body, q.Redirects = "", nil, 0
		q.Call = &loadgen.Call{Descriptor: "/a/b.binpb", Method: "a.B/C", Message: drawBody(t, refs)}
	}
	for _, h := range rapid.SliceOfNDistinct(word, 0, 3, rapid.ID).Draw(t, "headers") {
		q.Headers = append(q.Headers, loadgen.Header{Name: "X-" + h, Value: drawText(t, refs)})
	}
	if rapid.Bool().Draw(t, "shared") {
		q.Headers = append(q.Headers, loadgen.Header{Name: "User-Agent", Value: loadgen.Literal("me")})
	}
	if ms := rapid.Int64Range(0, 5000).Draw(t, "think"); ms > 0 {
		q.Think = loadgen.Pause{Min: time.Duration(ms) * time.Millisecond, Max: time.Duration(ms*rapid.Int64Range(1, 2).Draw(t, "times")) * time.Millisecond}
	}
	text, _ := drawText(t, nil)[:1].Known()
	q.Expect = loadgen.Expect{Status: rapid.SliceOfN(rapid.IntRange(100, 599), 0, 2).Draw(t, "status")}
	if text != "" && rapid.Bool().Draw(t, "expects") {
		q.Expect.Body = []loadgen.BodyCheck{{Contains: text}, {Matches: text}}
		q.Expect.JSON = []loadgen.JSONCheck{{Path: "a.0", Equals: &text}, {Path: "b"}}
		q.Expect.Headers = []loadgen.HeaderCheck{{Name: "A", Matches: text}}
	}
	for i, name := range rapid.SliceOfNDistinct(word, 0, 3, rapid.ID).Draw(t, "extracts") {
		q.Extract = append(q.Extract, []loadgen.Extract{{Name: name, JSON: "id"}, {Name: name, Header: "Location"}, {Name: name, Regexp: `id=(\d+)"`}}[i])
	}
	return q
}

// TestWriteTraffic writes traffic down and loads it again: it must be the same.
func TestWriteTraffic(t *testing.T) {
	o := testOptions()
	o.Catalogue.CheckScript = nil // what is drawn can be written, but not all of it sent
	path := filepath.Join(t.TempDir(), "s.hcl")
	rapid.Check(t, func(t *rapid.T) {
		d := draft(t)
		var b bytes.Buffer
		if err := WriteTraffic(&b, d); err != nil {
			t.Fatal(err)
		}
		if again := hclwrite.Format(b.Bytes()); !bytes.Equal(again, b.Bytes()) {
			t.Fatalf("not in its canonical form:\n%s", b.Bytes())
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		f := Load(path, o)
		if f.Diags.HasErrors() {
			t.Fatalf("%s\nin:\n%s", f.Diags, b.Bytes())
		}
		if f.Scenarios[0].Name != d.Scenario {
			t.Fatalf("the scenario's name is %q", f.Scenarios[0].Name)
		}
		got := f.Scenarios[0].Traffic[0]
		if diff := cmp.Diff(asWritten(d), asRead(got), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-drawn +loaded):\n%s\nin:\n%s", diff, b.Bytes())
		}
		if diff := cmp.Diff(d.Wire, got.Wire); diff != "" || got.Rate != d.Rate || d.Multiple != 0 && got.Multiple != d.Multiple {
			t.Fatalf("wire, rate %g or multiple %g:\n%s", got.Rate, got.Multiple, diff)
		}
	})
}

// asWritten is what a draft should be loaded as.
func asWritten(d Draft) []loadgen.Flow {
	base := map[string]string{"": "", "http://shop:8080": "http://shop:8080", "https://${var.host}": "https://h.test:1/a${b}"}[d.Base.String()]
	var out []loadgen.Flow
	for _, f := range d.Flows {
		f.Requests = slices.Clone(f.Requests)
		for i := range f.Requests {
			f.Requests[i].Base = base
			f.Requests[i] = comparable(f.Requests[i])
		}
		out = append(out, f)
	}
	return out
}

func asRead(t Traffic) []loadgen.Flow {
	for _, f := range t.Flows {
		for i := range f.Requests {
			f.Requests[i] = comparable(f.Requests[i])
		}
	}
	return t.Flows
}

// comparable sorts headers, and writes bodies of JSON in one way.
func comparable(q loadgen.Request) loadgen.Request {
	// Where a gap stands follows from the text.
	anywhere := func(t loadgen.Text) loadgen.Text {
		t = slices.Clone(t)
		for i := range t {
			t[i].Place = ""
		}
		return t
	}
	q.URL, q.Body = anywhere(q.URL), anywhere(q.Body)
	if q.Call != nil {
		call := *q.Call
		call.Message = anywhere(call.Message)
		q.Call = &call
	}
	q.Headers = slices.Clone(q.Headers)
	slices.SortFunc(q.Headers, func(a, b loadgen.Header) int { return strings.Compare(a.Name, b.Name) })
	q.Body = canonical(q.Body)
	if q.Call != nil {
		c := *q.Call
		c.Message = canonical(c.Message)
		q.Call = &c
	}
	return q
}

func canonical(t loadgen.Text) loadgen.Text {
	text := t.String()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return t
	}
	b, err := json.Marshal(v)
	if err != nil {
		return t
	}
	return loadgen.Literal(string(b))
}

// TestExpression holds to how texts look: a reader must know them again.
func TestExpression(t *testing.T) {
	ref := func(r string) loadgen.Part { return loadgen.Part{Ref: r} }
	lit := loadgen.Literal
	for _, c := range []struct {
		name string
		body loadgen.Text
		want string
	}{
		{"plain", lit("a=1"), `"a=1"`},
		{"one gap alone", loadgen.Text{ref("value.id")}, `value.id`},
		{"a secret within", loadgen.Text{{Text: "Bearer "}, ref(`secret("T")`)}, `"Bearer ${secret("T")}"`},
		{"looks like a gap", lit("${x} %{y} $x {"), `"$${x} %%{y} $x {"`},
		{"a dollar before a gap", loadgen.Text{{Text: "US$"}, ref("value.sum")}, `"US\u0024${value.sum}"`},
		{"dollars before a brace", lit("$${x}"), `"\u0024\u0024{x}"`},
		{"json", lit(`{"b":[1,2.5,true,null],"a":{"for":"x","x-y":"z"}}`), `jsonencode({ b = [1, 2.5, true, null], a = { "for" = "x", x-y = "z" } })`},
		{"json with a gap in a text", loadgen.Text{{Text: `{"id":"`}, ref("value.id"), {Text: `"}`}}, `jsonencode({ id = value.id })`},
		{"json with a gap for a value", loadgen.Text{{Text: `{"id":`}, ref("value.id"), {Text: `}`}}, `"{\"id\":${value.id}}"`},
		{"json with a name twice", lit(`{"a":1,"a":2}`), `"{\"a\":1,\"a\":2}"`},
		{"json with a number that would change", lit(`{"a":1.0}`), `"{\"a\":1.0}"`},
		{"json with a long number", lit(`{"a":12345678901234567890}`), `"{\"a\":12345678901234567890}"`},
		{"no json", lit(`{"a":`), `"{\"a\":"`},
		{"json and more", lit(`{} {}`), `"{} {}"`},
		{"lines", lit("a\nb\n"), "<<EOT\na\nb\nEOT"},
		{"lines without an end", loadgen.Text{{Text: "a\n${b} "}, ref("value.c")}, "chomp(<<EOT\na\n$${b} ${value.c}\nEOT\n)"},
		{"lines with the mark in them", lit("a\nEOT\n"), `"a\nEOT\n"`},
		{"lines of Windows", lit("a\r\nb\r\n"), `"a\r\nb\r\n"`},
		{"deep json", lit(strings.Repeat("[", 60) + strings.Repeat("]", 60)), `"` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `"`},
	} {
		if got := bodyExpression(c.body); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestWriteTrafficOff writes what is switched off, and notes, as comments that change nothing.
func TestWriteTrafficOff(t *testing.T) {
	get := func(name string) loadgen.Request {
		return loadgen.Request{Name: name, URL: loadgen.Literal("http://a.test/" + name)}
	}
	d := Draft{Name: "t", Rate: 1, RateNote: "a guess", Scenario: "s", Summary: "Sum.", Flows: []loadgen.Flow{
		{Name: "one", Weight: 1, Requests: []loadgen.Request{get("one")}},
		{Name: "two", Weight: 2, Requests: []loadgen.Request{get("a"), get("b")}},
		{Name: "three", Weight: 3, Requests: []loadgen.Request{get("three")}},
		{Name: "four", Weight: 4, Requests: []loadgen.Request{get("x"), get("y")}},
	}, Off: []Place{{Flow: "one"}, {"two", "b"}, {"four", "x"}, {"four", "y"}}}
	for _, at := range []Place{{}, {Flow: "one"}, {"one", "one"}, {Flow: "two"}, {"two", "a"}, {"two", "b"}, {"four", "y"}} {
		d.Notes = append(d.Notes, Note{at, fmt.Sprintf("Note at %s/%s, which is long enough to be broken into lines,\nand has \"quotes\", ${gaps} and a brace {.", at.Flow, at.Request)})
	}
	var b bytes.Buffer
	if err := WriteTraffic(&b, d); err != nil {
		t.Fatal(err)
	}
	golden := "testdata/written.golden"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s differs:\n%s", golden, b.Bytes())
	}
	path := filepath.Join(t.TempDir(), "s.hcl")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	f := Load(path, testOptions())
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	if mix := f.Scenarios[0].Traffic[0].Mix(); mix != "two 40 % (a), three 60 %" {
		t.Errorf("what is left sends %q", mix)
	}
}

// TestWriteTooLong writes nothing of what Load would not read.
func TestWriteTooLong(t *testing.T) {
	body := loadgen.Literal(strings.Repeat("x", MaxSize/8))
	d := Draft{Name: "t"}
	for i := range 9 {
		name := fmt.Sprintf("f%d", i)
		d.Flows = append(d.Flows, loadgen.Flow{Name: name, Requests: []loadgen.Request{{Name: name, URL: loadgen.Literal("http://a.test/"), Body: body}}})
	}
	var b bytes.Buffer
	if err := WriteTraffic(&b, d); !errors.Is(err, ErrTooLong) || b.Len() > 0 {
		t.Errorf("%d bytes, and %v", b.Len(), err)
	}
	d.Flows = d.Flows[:2]
	if err := WriteTraffic(&b, d); err != nil || b.Len() == 0 {
		t.Errorf("%d bytes, and %v", b.Len(), err)
	}
}
