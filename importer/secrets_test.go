package importer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// entryOf writes an entry of a recording.
func entryOf(method, url, contentType, body string, headers ...string) string {
	pair := func(name, value string) string { return fmt.Sprintf(`{"name":%q,"value":%s}`, name, jsonText(value)) }
	var list []string
	for i := 0; i+1 < len(headers); i += 2 {
		list = append(list, pair(headers[i], headers[i+1]))
	}
	post := ""
	if body != "" {
		post = fmt.Sprintf(`,"postData":{"mimeType":%q,"text":%s}`, contentType, jsonText(body))
	}
	return fmt.Sprintf(`{"request":{"method":%q,"url":%s,"headers":[%s]%s},"response":{"status":200}}`, method, jsonText(url), strings.Join(list, ","), post)
}

// recordingOf writes a recording of entries.
func recordingOf(entries ...string) string {
	return `{"log":{"entries":[` + strings.Join(entries, ",") + `]}}`
}

// itemOf writes a collection of one request.
func itemOf(request string, more ...string) string {
	return `{"info":{},"item":[{"name":"q","request":` + request + `}]` + strings.Join(more, "") + `}`
}

// told is all that a result tells anybody.
func told(r *Result) string {
	out := fmt.Sprintf("%+v %+v %s", r.Draft, r.Losses, r.Base)
	for _, f := range r.Flows {
		for _, q := range f.Requests {
			for _, c := range q.Expect.JSON {
				if c.Equals != nil {
					out += " " + *c.Equals
				}
			}
		}
	}
	for _, f := range r.Files {
		out += string(f.Data)
	}
	return out
}

// TestKeptOut reads files with the secret "Kq7-x" in them: it must not be told, and somebody must be asked for it.
func TestKeptOut(t *testing.T) {
	const form, js, secret = "application/x-www-form-urlencoded", "application/json", "Kq7-x"
	const long = "Kq7-x-0123456789abcdef"
	item := func(raw string) string {
		return itemOf(`{"method":"POST","url":"http://a.test/","body":{"mode":"raw","raw":` + jsonText(raw) + `}}`)
	}
	for _, c := range []struct{ name, doc, want string }{
		{"HAR: a field with a number behind its name", recordingOf(entryOf("POST", "http://a.test/", form, "password1=Kq7-x&password2=Kq7-x&n=1")), "PASSWORD1"},
		{"HAR: a field whose name is joined", recordingOf(entryOf("POST", "http://a.test/", form, "csrfmiddlewaretoken=Kq7-x")), "CSRFMIDDLEWARETOKEN"},
		{"HAR: a form with characters that should be encoded", recordingOf(entryOf("POST", "http://a.test/", form, "q={a b}&password=Kq7-x")), "PASSWORD"},
		{"HAR: XML", recordingOf(entryOf("POST", "http://a.test/", "text/xml", `<a:login xmlns:a="u"><a:Password x="1">Kq7-x</a:Password></a:login>`)), "PASSWORD"},
		{"HAR: XML in a section", recordingOf(entryOf("POST", "http://a.test/", "text/xml", `<login><password><![CDATA[Kq7-x]]></password></login>`)), "PASSWORD"},
		{"HAR: an attribute", recordingOf(entryOf("POST", "http://a.test/", "text/xml", `<login user="a" password='Kq7-x'/>`)), "PASSWORD"},
		{"HAR: JSON that is cut off", recordingOf(entryOf("POST", "http://a.test/", js, `{"a":[1,{"password":"Kq7-x`)), "PASSWORD"},
		{"HAR: JSON with a comment", recordingOf(entryOf("POST", "http://a.test/", js, "{\n// don't \"say\"\n\"password\":\"Kq7-x\"}")), "PASSWORD"},
		{"HAR: deep JSON", recordingOf(entryOf("POST", "http://a.test/", js, strings.Repeat("[", 2000)+`{"password":"Kq7-x"}`)), "PASSWORD"},
		{"HAR: a segment of a path", recordingOf(entryOf("GET", "http://a.test/x;jsessionid=Kq7-x/y", "", "")), "JSESSIONID"},
		{"HAR: a URL in a header", recordingOf(entryOf("GET", "http://a.test/", "", "", "X-Original-URL", "/x?token=Kq7-x")), "TOKEN"},
		{"HAR: what a cookie has too", recordingOf(entryOf("GET", "http://a.test/p/"+long, "", "", "Cookie", "lang=en; sid="+long)), "COOKIE_SID"},
		{"HAR: a key of a known form", recordingOf(entryOf("GET", "http://a.test/?key=AIza"+secret+strings.Repeat("a", 30), "", "")), "TOKEN"},
		{"HAR: a number", recordingOf(entryOf("POST", "http://a.test/", js, `{"cvv":7777777}`)), "CVV"},
		{"HAR: bytes with a known secret among them", recordingOf(entryOf("GET", "http://a.test/", "", "", "X-Api-Key", long),
			`{"request":{"method":"POST","url":"http://a.test/up","postData":{"encoding":"base64","text":"/wBLcTcteC0wMTIzNDU2Nzg5YWJjZGVm"}}}`), "not kept"},
		{"HAR: a secret of which an answer has a part", recordingOf(
			`{"request":{"method":"GET","url":"http://a.test/me"},"response":{"status":200,"content":{"text":"{\"id\":\"user-123456\"}"}}}`,
			entryOf("POST", "http://a.test/", form, "password=user-123456:Kq7-x", "X-Auth-Token", "user-123456:Kq7-x")), "X_AUTH_TOKEN"},
		{"Postman: a variable that is no text before it", item(`{"id": {{id}}, "list": [{{id}}], "password": "Kq7-x"}`), "PASSWORD"},
		{"Postman: beside a variable", itemOf(`{"url":"http://a.test/","header":[{"key":"Cookie","value":"theme={{t}}; session=` + long + `"}]}`), "COOKIE"},
		{"Postman: a path variable", itemOf(`{"url":{"raw":"http://a.test/:token/x","host":["http://a.test"],"path":[":token","x"],"variable":[{"key":"token","value":"Kq7-x"}]}}`), "TOKEN"},
		{"Postman: the user in a variable", itemOf(`{"url":"{{base}}/x"}`, `,"variable":[{"key":"base","value":"http://ann:Kq7-x@a.test"}]`), "BASIC_AUTH"},
		{"Postman: the user in a variable in another", itemOf(`{"url":"{{base}}/x"}`, `,"variable":[{"key":"base","value":"{{origin}}/v1"},{"key":"origin","value":"http://ann:Kq7-x@a.test"}]`), "BASIC_AUTH"},
		{"Postman: a parameter in a variable", itemOf(`{"url":"{{where}}"}`, `,"variable":[{"key":"where","value":"http://a.test/?api_key=Kq7-x"}]`), "-var where"},
		{"Postman: what is expected", `{"info":{},"item":[{"name":"q","request":{"url":"http://a.test/"},"event":[{"listen":"test","script":{"exec":["pm.expect(pm.response.json().a.token).to.eql('` + long + `')"]}}]}]}`, "expected at"},
		{"Postman: a known secret in what is expected", `{"info":{},"item":[{"name":"q","request":{"url":"http://a.test/?token=` + long + `"},"event":[{"listen":"test","script":{"exec":["pm.expect(pm.response.text()).to.include('` + long + `')"]}}]}]}`, "expected in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !json.Valid([]byte(c.doc)) {
				t.Fatalf("the test's own document is broken: %s", c.doc)
			}
			var r *Result
			var err error
			if strings.HasPrefix(c.name, "HAR") {
				r, err = ReadHAR(strings.NewReader(c.doc), Options{Name: "t", Beside: "bodies"})
			} else {
				r, err = ReadPostman(strings.NewReader(c.doc), nil, Options{Name: "t"})
			}
			if err != nil {
				t.Fatal(err)
			}
			all := told(r)
			if strings.Contains(all, secret) || strings.Contains(all, "7777777") {
				t.Errorf("the secret is told in %s", all)
			}
			if !strings.Contains(all, c.want) {
				t.Errorf("%q is not in %s", c.want, all)
			}
		})
	}
}

// TestOpenAPISecrets keeps the secrets of a document's bodies out.
func TestOpenAPISecrets(t *testing.T) {
	doc := `{"openapi":"3.0.0","info":{"title":"a","version":"1"},"servers":[{"url":"http://a.test"}],"paths":{"/login":{"post":{"operationId":"login",
		"requestBody":{"content":{"application/json":{"example":{"user":"ann","password":"Kq7-x"}}}},"responses":{"200":{"description":"ok"}}}}}}`
	r, err := ReadOpenAPI(strings.NewReader(doc), "doc.json", Options{Name: "t", Writes: 1})
	if err != nil {
		t.Fatal(err)
	}
	if all := told(r); strings.Contains(all, "Kq7-x") || !strings.Contains(all, `secret("PASSWORD")`) {
		t.Errorf("the secret is told, or not asked for: %s", all)
	}
}

// TestNotSecret leaves alone what only looks like it.
func TestNotSecret(t *testing.T) {
	doc := itemOf(`{"method":"POST","url":"{{auth_url}}/x","body":{"mode":"raw","raw":"{\"max_tokens\": 100, \"author\": \"ann\"}"}}`, `,"variable":[{"key":"auth_url","value":"http://auth.test"}]`)
	r, err := ReadPostman(strings.NewReader(doc), nil, Options{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if all := told(r); strings.Contains(all, "secret(") || r.BaseURL() != "http://auth.test" {
		t.Errorf("something was taken for a secret: %s", all)
	}
}
