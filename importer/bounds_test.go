package importer

import (
	"fmt"
	"strings"
	"testing"
)

// TestBounds reads what would take hours, or all memory, if nothing bounded it.
func TestBounds(t *testing.T) {
	script := func(source string) string {
		return `{"info":{},"item":[{"name":"q","request":{"url":"http://a.test/"},"event":[{"listen":"test","script":{"exec":` + jsonText(source) + `}}]}]}`
	}
	var laughs, live []string
	for i := range 60 {
		laughs = append(laughs, fmt.Sprintf(`{"key":"v%d","value":"{{v%d}}{{v%d}}"}`, i, i+1, i+1))
		live = append(live, fmt.Sprintf(`{"key":"v%d","value":"{{v%d}}{{v%d}}"}`, i, i+1, i+1))
	}
	live = append(live, `{"key":"v60","value":"{{$guid}}"}`)
	var secrets []string
	for i := range 70_000 {
		secrets = append(secrets, fmt.Sprintf("token=%07d", i))
	}
	var values []string
	for i := range 4000 {
		values = append(values, fmt.Sprintf(`"v%06d"`, i))
	}
	key := strings.Repeat("k", 1<<20)
	var members []string
	for i := range 4000 {
		members = append(members, fmt.Sprintf(`"m%d":"value-%06d"`, i, i))
	}
	for _, c := range []struct {
		name, doc string
		want      string // in what is said, or in the error
	}{
		{"many requests of one name", recordingOf(strings.Repeat(entryOf("GET", "http://a.test/poll", "", "")+",", maxRequests+4) + entryOf("GET", "http://a.test/poll", "", "")),
			"5 requests behind the first 20,000"},
		{"many secrets", recordingOf(entryOf("POST", "http://a.test/", "application/x-www-form-urlencoded", strings.Join(secrets, "&"))), "more than 20000 different secrets"},
		{"many values of an answer", recordingOf(fmt.Sprintf(`{"request":{"url":"http://a.test/"},"response":{"content":{"text":%s}}}`, jsonText("["+strings.Join(values, ",")+"]")),
			entryOf("POST", "http://a.test/", "text/plain", strings.Repeat(strings.Join(values, " ")+" ", 20))), "values in the body beyond the first 1000"},
		{"long paths", recordingOf(fmt.Sprintf(`{"request":{"url":"http://a.test/"},"response":{"content":{"text":%s}}}`, jsonText(`{"`+key+`":{`+strings.Join(members, ",")+`}}`))), ""},
		{"many values", recordingOf(`{"request":{"url":"http://a.test/","headers":[`+strings.Repeat(`{},`, maxValuesRead)+`{}]}}`, entryOf("GET", "http://a.test/", "", "")), "millions of values"},
		{"many items", `{"info":{},"item":[` + strings.Repeat(`{},`, maxValuesRead) + `{}]}`, "more than 3000000 values"},
		{"many requests in a collection", `{"info":{},"item":[` + strings.Repeat(`{"request":"http://a.test/"},`, maxRequests) + `{"request":"http://a.test/"}]}`, "20001 requests"},
		{"a variable of variables", itemOf(`{"url":"http://a.test/{{v0}}"}`, `,"variable":[`+strings.Join(laughs, ",")+`]`), ""},
		{"a variable of variables that are not known", itemOf(`{"url":"http://a.test/{{v0}}"}`, `,"variable":[`+strings.Join(live, ",")+`]`), "more than 100 others are in it"},
		{"a deep script", script(strings.Repeat("(", 1<<20)), "nested too deeply"},
		{"a long chain in a script", script("pm.expect(" + strings.Repeat("a.", 30_000) + "b).to.eql(1)"), "1 statement"},
		{"an answer without a code", `{"openapi":"3.0.0","info":{"title":"a","version":"1"},"paths":{"/a":{"get":{"responses":{"":{"description":"x"}}}}}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r *Result
			var err error
			switch {
			case strings.Contains(c.doc[:10], "log"):
				r, err = ReadHAR(strings.NewReader(c.doc), Options{Name: "t"})
			case strings.Contains(c.doc[:10], "openapi"):
				r, err = ReadOpenAPI(strings.NewReader(c.doc), "doc.json", Options{Name: "t"})
			default:
				r, err = ReadPostman(strings.NewReader(c.doc), nil, Options{Name: "t"})
			}
			said := fmt.Sprint(err)
			if r != nil {
				said += fmt.Sprint(r.Losses)
				if n := len(r.Flows[0].Requests); n > maxRequests {
					t.Errorf("%d requests", n)
				}
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("%q is not said in %.2000s", c.want, said)
			}
		})
	}
}

// TestElsewhere says where requests go that do not go to the base, for each kind of file.
func TestElsewhere(t *testing.T) {
	for _, c := range []struct{ name, doc string }{
		{"Postman", `{"info":{},"item":[{"name":"a","request":"http://a.test/"},{"name":"b","request":"http://a.test/"},{"name":"c","request":"https://live.test/x"}]}`},
		{"OpenAPI", `{"openapi":"3.0.0","info":{"title":"a","version":"1"},"servers":[{"url":"http://a.test"}],"paths":{"/a":{"get":{"responses":{}}},
			"/b":{"servers":[{"url":"https://live.test/v1"}],"get":{"responses":{}}}}}`},
	} {
		for _, base := range []string{"", "http://staging.test"} {
			var r *Result
			var err error
			if c.name == "Postman" {
				r, err = ReadPostman(strings.NewReader(c.doc), nil, Options{Name: "t", Base: base})
			} else {
				r, err = ReadOpenAPI(strings.NewReader(c.doc), "doc.json", Options{Name: "t", Base: base})
			}
			if err != nil {
				t.Fatal(err)
			}
			if said := fmt.Sprint(r.Losses); !strings.Contains(said, "requests to https://live.test: 1") || strings.Contains(said, "requests to http://a.test") {
				t.Errorf("%s with the base %q: %s", c.name, base, said)
			}
		}
	}
}

// TestOwnHeaders leaves out the headers that no request may have, which would keep all of them from being sent.
func TestOwnHeaders(t *testing.T) {
	openAPI := `{"openapi":"3.0.0","info":{"title":"a","version":"1"},"servers":[{"url":"http://a.test"}],"paths":{"/a":{"get":{"responses":{},
		"parameters":[{"name":"Connection","in":"header","required":true,"example":"close"}]}}}}`
	postman := itemOf(`{"url":"http://a.test/","auth":{"type":"apikey","apikey":[{"key":"key","value":"x y"},{"key":"value","value":"v"}]}}`)
	a, err := ReadOpenAPI(strings.NewReader(openAPI), "doc.json", Options{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadPostman(strings.NewReader(postman), nil, Options{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Result{a, b} {
		if h := r.Flows[0].Requests[0].Headers; len(h) > 0 || !strings.Contains(fmt.Sprint(r.Losses), "the header ") {
			t.Errorf("%s: headers %v, and %v is said", r.Kind, h, r.Losses)
		}
	}
}

// TestEncodedVariables encodes what Postman encodes: the values of variables in a form.
func TestEncodedVariables(t *testing.T) {
	doc := itemOf(`{"method":"POST","url":"http://a.test/","body":{"mode":"urlencoded","urlencoded":[{"key":"mail","value":"{{mail}}"}]}}`, `,"variable":[{"key":"mail","value":"a+b@c.test"}]`)
	r, err := ReadPostman(strings.NewReader(doc), nil, Options{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Flows[0].Requests[0].Body.String(); got != "mail=${urlencode(var.mail)}" {
		t.Errorf("body %s", got)
	}
}

// TestPlain shows no control of a file on a terminal.
func TestPlain(t *testing.T) {
	var b strings.Builder
	if err := WriteLosses(&b, []Loss{{Class: Lost, Where: "x", What: "a\x1b[2Jb", Why: "so", Do: "look"}}, 80); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\x1b") || !strings.Contains((&Error{What: "a\x1bb", Do: "c"}).Error(), "a\ufffdb; c") {
		t.Errorf("a control is written: %q", b.String())
	}
}
