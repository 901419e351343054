package importer

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gameday/loadgen"
)

// TestReadScript understands what test scripts usually say, and counts the rest.
func TestReadScript(t *testing.T) {
	equals := func(text string) *string { return &text }
	for _, c := range []struct {
		name, source string
		want         script
	}{
		{"status", `pm.test("ok", function () { pm.response.to.have.status(200); });`, script{status: []int{200}}},
		{"status by an arrow", `pm.test("ok", () => pm.response.to.have.status(204))`, script{status: []int{204}}},
		{"status by expect", `pm.expect(pm.response.code).to.equal(201)`, script{status: []int{201}}},
		{"one of several", `pm.expect(pm.response.code).to.be.oneOf([200, 202]);`, script{status: []int{200, 202}}},
		{"status in the old way", `tests["x"] = responseCode.code === 200;`, script{status: []int{200}}},
		{"status by name", `pm.response.to.have.status("OK");`, script{rest: 1}},
		{"no status", `pm.response.to.have.status(99999);`, script{rest: 1}},
		{"ok is the default", `pm.response.to.be.ok;`, script{}},
		{"a value", `pm.environment.set("t", pm.response.json().a.b);`, script{sets: []setting{{"t", loadgen.Extract{JSON: "a.b"}}}}},
		{"a value by way of a name", `const r = pm.response.json(); let d = r.data; pm.globals.set("t", d[0]["x.y"]?.z);`, script{sets: []setting{{"t", loadgen.Extract{JSON: `data.0.x\.y.z`}}}}},
		{"a value in the old way", `var j = JSON.parse(responseBody); postman.setEnvironmentVariable("t", j.t);`, script{sets: []setting{{"t", loadgen.Extract{JSON: "t"}}}}},
		{"a value assigned", `j = pm.response.json(); pm.variables.set("t", j.t)`, script{sets: []setting{{"t", loadgen.Extract{JSON: "t"}}}}},
		{"a header", `pm.collectionVariables.set("l", pm.response.headers.get("Location"))`, script{sets: []setting{{"l", loadgen.Extract{Header: "Location"}}}}},
		{"a value that is computed", `pm.environment.set("t", pm.response.json().a + 1); pm.environment.set("n", pm.response.json().l.length)`, script{rest: 2}},
		{"JSON", `pm.expect(pm.response.json().n).to.eql(5); pm.expect(pm.response.json().s).to.deep.equal("x")`,
			script{json: []loadgen.JSONCheck{{Path: "n", Equals: equals("5")}, {Path: "s", Equals: equals("x")}}}},
		{"text", `pm.expect(pm.response.text()).to.include("done")`, script{contains: []string{"done"}}},
		{"the opposite", `pm.expect(pm.response.code).to.not.equal(500)`, script{rest: 1}},
		{"under a condition", `if (pm.response.code === 200) { pm.environment.set("t", pm.response.json().t); } else { x(); }`,
			script{sets: []setting{{"t", loadgen.Extract{JSON: "t"}}}, guarded: true, rest: 1}},
		{"a condition that does nothing", `if (x) { }`, script{}},
		{"try", `try { pm.response.to.have.status(200) } catch (e) { }`, script{status: []int{200}, guarded: true}},
		{"talk", `console.log(pm.response.json()); ;`, script{}},
		{"loops and functions", `for (const x of y) { f(x) } function f() {} pm.sendRequest("http://a.test", function () {})`, script{rest: 3}},
		{"a source map is not looked for", "pm.response.to.have.status(200);\n//# sourceMappingURL=gone.js.map", script{status: []int{200}}},
		{"no JavaScript", `pm.test("x", function( {`, script{broken: true}},
		{"deep", strings.Repeat("{", 200) + strings.Repeat("}", 200), script{rest: 1}},
	} {
		got := readScript(c.source, "test")
		if diff := cmp.Diff(&c.want, got, cmp.AllowUnexported(script{}, setting{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if got := readScript("a(); b();", "prerequest"); got.rest != 2 {
		t.Errorf("a pre-request script has %d statements that are not carried over, want 2", got.rest)
	}
}

// TestURLs puts URLs together as Postman does.
func TestURLs(t *testing.T) {
	for _, c := range []struct{ name, url, want, base string }{
		{"text", `"http://a.test/x?y=1#z"`, "/x?y=1", "http://a.test"},
		{"no scheme", `"a.test/x"`, "/x", "http://a.test"},
		{"scheme in capitals", `"HTTPS://a.test/x"`, "/x", "https://a.test"},
		{"only a host", `"http://a.test"`, "http://a.test", "http://a.test"},
		{"parts", `{"protocol":"https","host":["a","test"],"port":"8443","path":["x",":id","y"],"query":[{"key":"q","value":"a b&c"},{"key":"off","value":"1","disabled":true},{"key":"flag","value":null}],"variable":[{"key":"id","value":"7/8"}]}`,
			"/x/7%2F8/y?q=a%20b%26c&flag", "https://a.test:8443"},
		{"a variable for the base", `"{{base}}/x"`, "/x", "${var.base}"},
		{"a variable without a scheme", `"{{host}}/x"`, "/x", "http://${var.host}"},
		{"a variable in the host", `"https://{{host}}:8080/x"`, "/x", "https://${var.host}:8080"},
		{"a random host is no base", `"https://{{$guid}}.a.test/x"`, "https://${iteration.id}.a.test/x", ""},
		{"encoded already", `"http://a.test/a%20b/ü?x=%zz"`, "/a%20b/%C3%BC?x=%25zz", "http://a.test"},
	} {
		doc := fmt.Sprintf(`{"info":{},"variable":[{"key":"base","value":"http://b.test"},{"key":"host","value":"h.test"}],"item":[{"name":"q","request":{"url":%s}}]}`, c.url)
		r, err := ReadPostman(bytes.NewReader([]byte(doc)), nil, Options{Name: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if got, base := r.Flows[0].Requests[0].URL.String(), r.Base.String(); got != c.want || base != c.base {
			t.Errorf("%s: %s on %s, want %s on %s", c.name, got, base, c.want, c.base)
		}
	}
}

// TestWriteLosses shows people three places of a kind, and how many more there are.
func TestWriteLosses(t *testing.T) {
	var losses []Loss
	for i := range 6 {
		losses = append(losses, Loss{Class: Lost, Where: fmt.Sprintf("item[%d]", i), Line: i, What: "a thing", Why: "it is too large", Do: "make it small"})
	}
	losses = append(losses, losses[5], Loss{Class: Guess, Where: "x", What: "another " + strings.Repeat("word ", 12), Why: "so", Do: "--look"})
	var b strings.Builder
	if err := WriteLosses(&b, losses, 60); err != nil {
		t.Fatal(err)
	}
	want := `
  Not carried over
    a thing   [item[0]]
    a thing   [line 1, item[1]]
    a thing   [line 2, item[2]]
    … and 3 more
      It is too large. Make it small.

  To be checked
    another word word word word word word word word word
      word word word    [x]
      So. --look.
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSecrets keeps secrets out that no field's name gives away.
func TestSecrets(t *testing.T) {
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
	for _, c := range []struct{ name, doc, secret, want string }{
		{"a token in a path", `{"info":{},"item":[{"name":"q","request":{"url":"http://a.test/x/` + token + `"}}]}`, token, `/x/${secret("TOKEN")}`},
		{"a user in a URL", `{"info":{},"item":[{"name":"q","request":{"url":"http://ann:hunter2hunter2@a.test/x"}}]}`, "hunter2", `/x Basic ${secret("BASIC_AUTH")}`},
		{"a variable that is a token", `{"info":{},"variable":[{"key":"who","value":"` + token + `"}],"item":[{"name":"q","request":{"url":"http://a.test/{{who}}"}}]}`, token, `/${secret("WHO")}`},
		{"a variable with a secret in it", `{"info":{},"variable":[{"key":"p","value":"x/k-12345678"},{"key":"api_key","value":"k-12345678"}],
			"item":[{"name":"q","request":{"url":"http://a.test/{{p}}?k={{api_key}}"}}]}`, "k-12345678", `/${var.p}?k=${secret("API_KEY")}`},
		{"a secret that stands elsewhere too", `{"info":{},"item":[{"name":"q","request":{"url":"http://a.test/k-12345678","header":[{"key":"X-Api-Key","value":"k-12345678"}]}}]}`,
			"k-12345678", `/${secret("X_API_KEY")} ${secret("X_API_KEY")}`},
	} {
		r, err := ReadPostman(strings.NewReader(c.doc), nil, Options{Name: "t"})
		if err != nil {
			t.Fatal(err)
		}
		q := r.Flows[0].Requests[0]
		got := q.URL.String()
		for _, h := range q.Headers {
			got += " " + h.Value.String()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if all := fmt.Sprintf("%+v", r.Draft) + fmt.Sprint(r.Losses); strings.Contains(all, c.secret) {
			t.Errorf("%s: the secret is told in %s", c.name, all)
		}
	}
	har := `{"log":{"entries":[{"request":{"url":"https://ann:hunter2hunter2@a.test/x/` + token + `"}},
		{"request":{"method":"POST","url":"https://a.test/up","postData":{"encoding":"base64","text":"LS1iDQpDb250ZW50LURpc3Bvc2l0aW9uOiBmb3JtLWRhdGE7IG5hbWU9InRva2VuIg0KDQr/DQotLWItLQ0K"}}}]}}`
	r, err := ReadHAR(strings.NewReader(har), Options{Name: "t", Beside: "bodies"})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%+v", r.Draft) + fmt.Sprint(r.Losses)
	if strings.Contains(all, "hunter2") || strings.Contains(all, token) || !strings.Contains(all, `secret("TOKEN")`) {
		t.Errorf("a secret of a recording is told, or not asked for: %s", all)
	}
	if len(r.Files) != 0 || !strings.Contains(all, "its bytes were not kept, as there are secrets among them") {
		t.Errorf("a binary body with a token in it was kept: %+v", r.Files)
	}
}

// TestLiveVariables takes a variable whose value is another in each iteration, itself or by another variable, to where it is used: no
// local can hold it.
func TestLiveVariables(t *testing.T) {
	doc := `{"info": {"schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json", "name": "c"},
		"variable": [{"key": "order", "value": "o-{{$guid}}"}, {"key": "outer", "value": "x{{order}}"}],
		"item": [{"name": "a", "request": {"method": "GET", "url": "http://127.0.0.1/{{outer}}"}}]}`
	r, err := ReadPostman(strings.NewReader(doc), nil, Options{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Variables) != 0 {
		t.Errorf("declared %+v", r.Variables)
	}
	q := r.Flows[0].Requests[0]
	if url := q.URL.String(); !strings.HasSuffix(url, "/xo-${iteration.id}") {
		t.Errorf("url %s", url)
	}
}
