package importer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestSamples makes values of schemas, and lets the library judge them.
func TestSamples(t *testing.T) {
	for _, c := range []struct {
		name, schema string
		want         string // as JSON; empty lets only the library judge
		loose        bool
	}{
		{"example", `{"type":"string","example":"x"}`, `"x"`, false},
		{"default before enum", `{"type":"string","default":"b","enum":["a","b"]}`, `"b"`, false},
		{"enum without null", `{"type":"string","nullable":true,"enum":[null,"a"]}`, `"a"`, false},
		{"uuid", `{"type":"string","format":"uuid"}`, ``, false},
		{"date-time", `{"type":"string","format":"date-time"}`, ``, false},
		{"long", `{"type":"string","minLength":9}`, `"textxxxxx"`, false},
		{"short", `{"type":"string","maxLength":2}`, `"te"`, false},
		{"pattern", `{"type":"string","pattern":"^[A-Z]{3}-\\d+(x|y)?$"}`, `"AAA-1"`, false},
		{"pattern with a length", `{"type":"string","pattern":"^[a-z]+$","minLength":7}`, `"aaaaaaa"`, false},
		{"pattern that only JavaScript knows", `{"type":"string","pattern":"^(?=x)x$"}`, `"text"`, true},
		{"integer", `{"type":"integer"}`, `1`, false},
		{"minimum", `{"type":"integer","minimum":5,"exclusiveMinimum":true}`, `6`, false},
		{"maximum", `{"type":"number","maximum":-2}`, `-2`, false},
		{"multiple", `{"type":"integer","multipleOf":7,"minimum":8}`, `14`, false},
		{"narrow", `{"type":"number","minimum":0,"maximum":0.5,"exclusiveMinimum":true}`, `0.5`, false},
		{"nothing between", `{"type":"integer","minimum":5,"maximum":4}`, `1`, true},
		{"list", `{"type":"array","minItems":2,"items":{"type":"string"}}`, `["text","text-2"]`, false},
		{"long list", `{"type":"array","minItems":9,"items":{"type":"integer"}}`, `[1,2,3]`, true},
		{"object", `{"type":"object","required":["a","z"],"properties":{"a":{"type":"boolean"},"b":{"type":"integer","readOnly":true}}}`, `{"a":true,"z":"text"}`, false},
		{"all of", `{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}}},{"type":"object","properties":{"b":{"type":"string"}}}],"properties":{"c":{"enum":["x"]}}}`, `{"a":1,"b":"text","c":"x"}`, false},
		{"all of bounds", `{"allOf":[{"type":"integer","minimum":3},{"type":"integer","multipleOf":2}]}`, `4`, false},
		{"one of", `{"oneOf":[{"type":"integer","minimum":2},{"type":"string"}]}`, `2`, false},
		{"any of with own members", `{"type":"object","properties":{"k":{"type":"string"}},"anyOf":[{"type":"object","properties":{"n":{"type":"integer"}}}]}`, `{"k":"text","n":1}`, false},
		{"anything", `{}`, `"text"`, false},
	} {
		var schema openapi3.Schema
		if err := json.Unmarshal([]byte(c.schema), &schema); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		s := &sampler{}
		v := s.sample(openapi3.NewSchemaRef("", &schema))
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if c.want != "" && string(b) != c.want {
			t.Errorf("%s: %s, want %s", c.name, b, c.want)
		}
		if s.loose != c.loose {
			t.Errorf("%s: doubted %v", c.name, s.loose)
		}
		var plain any
		if err := json.Unmarshal(b, &plain); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(plain, openapi3.VisitAsRequest()); err != nil && !c.loose {
			t.Errorf("%s: %s does not satisfy its schema: %v", c.name, b, err)
		}
	}
}

// TestPatterns makes texts that expressions match.
func TestPatterns(t *testing.T) {
	for _, p := range []string{"", "a", "^abc$", "[0-9]{4}-[0-9]{2}", "(foo|bar)+", "a*b?c+", "\\w+@\\w+\\.com", "^[^a-z]{2}$", "^\\s\\S$", "x{0,3}", "(?i)ABC", "^(a(b(c)?)?)?$", "\\bword\\b", "."} {
		for _, least := range []int{0, 3, 12} {
			text, ok := ofPattern(p, least)
			if ok && (!regexp.MustCompile(p).MatchString(text) || len([]rune(text)) < least) {
				t.Errorf("%q of at least %d: %q", p, least, text)
			}
			if !ok && least == 0 {
				t.Errorf("%q: nothing", p)
			}
		}
	}
	for _, p := range []string{"(", "(?=a)b", "a{1000}{1000}"} {
		if text, ok := ofPattern(p, 0); ok {
			t.Errorf("%q gave %q", p, text)
		}
	}
}

// TestStyles writes parameters by the table of OpenAPI 3.1, section 4.8.12.4.
func TestStyles(t *testing.T) {
	list, object := []any{"blue", "black", "brown"}, map[string]any{"R": 100, "G": 200, "B": 150}
	yes, no := true, false
	for _, c := range []struct {
		in, style string
		explode   *bool
		value     any
		want      string
	}{
		{"path", "", nil, "a/b c", "a%2Fb%20c"},
		{"path", "simple", &no, list, "blue,black,brown"},
		{"path", "simple", &no, object, "B,150,G,200,R,100"},
		{"path", "simple", &yes, object, "B=150,G=200,R=100"},
		{"path", "label", &no, list, ".blue,black,brown"},
		{"path", "label", &yes, list, ".blue.black.brown"},
		{"path", "label", &yes, object, ".B=150.G=200.R=100"},
		{"path", "matrix", &no, "blue", ";color=blue"},
		{"path", "matrix", &no, list, ";color=blue,black,brown"},
		{"path", "matrix", &yes, list, ";color=blue;color=black;color=brown"},
		{"path", "matrix", &no, object, ";color=B,150,G,200,R,100"},
		{"path", "matrix", &yes, object, ";B=150;G=200;R=100"},
		{"query", "", nil, "a&b=c d", "color=a%26b%3Dc+d"},
		{"query", "", nil, list, "color=blue&color=black&color=brown"},
		{"query", "form", &no, list, "color=blue,black,brown"},
		{"query", "form", &yes, object, "B=150&G=200&R=100"},
		{"query", "form", &no, object, "color=B,150,G,200,R,100"},
		{"query", "spaceDelimited", &no, list, "color=blue%20black%20brown"},
		{"query", "pipeDelimited", &no, list, "color=blue%7Cblack%7Cbrown"},
		{"query", "deepObject", &yes, object, "color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100"},
		{"header", "", nil, list, "blue,black,brown"},
		{"header", "", nil, "a\r\nB: c", "aB: c"},
		{"cookie", "", nil, "blue", "color=blue"},
	} {
		p := &openapi3.Parameter{Name: "color", In: c.in, Style: c.style, Explode: c.explode}
		if got := styled(p, c.value); got != c.want {
			t.Errorf("%s %s %v: %s, want %s", c.in, c.style, c.value, got, c.want)
		}
	}
}

// TestDocuments makes the bodies of the test documents, and lets the library judge those that are not doubted.
func TestDocuments(t *testing.T) {
	paths, err := filepath.Glob("testdata/openapi/*.yaml")
	if err != nil || len(paths) < 2 {
		t.Fatalf("documents: %v, %v", paths, err)
	}
	judged := 0
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := loadDocument(b, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				if op.RequestBody == nil || op.RequestBody.Value.Content.Get("application/json") == nil {
					continue
				}
				m := op.RequestBody.Value.Content.Get("application/json")
				v, s := mediaValue(m)
				if s.loose || m.Schema == nil {
					continue
				}
				judged++
				var plain any
				b, err := json.Marshal(v)
				if err == nil {
					err = json.Unmarshal(b, &plain)
				}
				if err == nil {
					err = m.Schema.Value.VisitJSON(plain, openapi3.VisitAsRequest())
				}
				if err != nil {
					t.Errorf("%s %s %s: %s: %v", path, method, op.OperationID, b, err)
				}
			}
		}
	}
	if judged == 0 {
		t.Error("nothing was judged")
	}
}

// TestNames makes names that the language takes.
func TestNames(t *testing.T) {
	valid := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	for _, text := range []string{"Sign in", "日本語", "9 lives", "-x-", "a__b", "Ünïcode", "", "x\x00y", string(make([]rune, 300))} {
		for _, name := range []string{slug(text), identifier(text, "value"), trafficName(text), requestName("GET", "/"+text)} {
			if name != "" && !valid.MatchString(name) || len(name) > 80 {
				t.Errorf("%q became %q", text, name)
			}
		}
	}
	for path, want := range map[string]string{"": "home", "/": "home", "/cart/123/items": "cart-id-items", "/u/0b6f2c2e-6d0d-4c57-8f0e-1234567890ab": "u-id", "/v2/oauth2/token": "v2-oauth2-token",
		"/files/a1b2c3d4e5f6": "files-id", "/a b": "a-b"} {
		if got := requestName("GET", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := trafficName("rate"); got != "rate-traffic" {
		t.Errorf("an indicator's name became %q", got)
	}
	n := names{}
	if got := []string{n.unique("a"), n.unique("a"), n.unique("a-2"), n.unique("a"), n.identifier("a")}; !slices.Equal(got, []string{"a", "a-2", "a-2-2", "a-3", "a_4"}) {
		t.Errorf("unique names: %v", got)
	}
}

// TestSecretNames tells fields that are secret by their names.
func TestSecretNames(t *testing.T) {
	for name, want := range map[string]bool{"password": true, "userPassword": true, "X-Api-Key": true, "apiKey": true, "api_key": true, "access_token": true, "XSRF-TOKEN": true, "Authorization": true,
		"card_number": true, "sessionId": true, "password2": true, "newPassword1": true, "csrfmiddlewaretoken": true, "authtoken": true, "clientsecret": true, "JSESSIONID": true, "PHPSESSID": true, "pass": true,
		"tokens": false, "max_tokens": false, "secretary": false, "author": false, "keyboard": false, "key": false, "tokenize": false, "X-Request-Id": false, "passenger": false, "": false} {
		if got := secretName(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
