package importer_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/importer"
)

// odd are texts that something may go wrong with wherever they stand.
var odd = []string{"", " ", "a", "GET", "post", "PURGE", "A B", "é", "${x}", "%{if}", "{{x}}", "{{$guid}}", "{{ a.b }}", "{{", "}}", "\x00", "\r\n", "\n", "\t", "\"", "\\",
	"http://a.test/p?q=1", "https://user:pw-12345678@b.test:8443/", "HTTP://C.test", "//d.test/x", "/p", "http://", "http:///x", "http://[::1", "http://a b/", "ws://a.test/", "data:,x",
	"http://a.test/%zz?%#f", "http://a.test:port/", "{{base}}/x", "http://{{host}}:80/:id/{{x}}", "Authorization", "Cookie", "Content-Type", "Content-Length", "Host", "X-Y", ":path",
	"Bearer eyJhbGciOiJI.eyJzdWIiOiI0.x", "eyJhbGciOiJI.eyJzdWIiOiI0.x", "password", "token", "{\"id\":\"abc123def\"}", "{\"password\":\"hunter2hunter2\",\"n\":1}", "[1,{\"a\":null}]",
	"{\"a\":{{x}}}", "abc123def", "a=b&token=12345678", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n", "multipart/form-data", "application/json",
	"application/x-www-form-urlencoded", "base64", "AAEC/w==", "<a>\n<b>\n", "a\ufffdb", "cafe\u0301", "\ue0f0value.x\ue0f1", "\U0001F600", "2026-03-02T10:00:00Z", "2026-03-02T10:00:09+0100", "yesterday",
	"200", "0", "-1", "1e9", "HTTP/2", "h3", "document", "fetch", "image", "bearer", "basic", "apikey", "oauth2", "noauth", "raw", "urlencoded", "formdata", "graphql", "file", "query", "secret",
	"pm.response.to.have.status(201);", "pm.environment.set(\"x\", pm.response.json().a[0].b);", "if (x) { pm.test('a', () => pm.expect(pm.response.code).to.be.oneOf([200, 204])); }", "test", "prerequest"}

// word draws an odd text, or several of them joined.
func word(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(odd), 1, 2).Draw(t, label), "")
}

// anything draws a value that need not be of the type that its place has.
func anything(t *rapid.T, label string) any {
	switch rapid.IntRange(0, 9).Draw(t, label+" kind") {
	case 0:
		return nil
	case 1:
		return rapid.IntRange(-2, 700).Draw(t, label)
	case 2:
		return rapid.Float64Range(-5, 5000).Draw(t, label)
	case 3:
		return rapid.Bool().Draw(t, label)
	}
	return word(t, label)
}

// object draws an object of some of the names.
func object(t *rapid.T, label string, names map[string]func() any) map[string]any {
	out := map[string]any{}
	for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(names))), rapid.ID).Draw(t, label) {
		out[name] = names[name]()
	}
	return out
}

func list(t *rapid.T, label string, item func() any) []any {
	var out []any
	for range rapid.IntRange(0, 3).Draw(t, label) {
		out = append(out, item())
	}
	return out
}

func marshal(t *rapid.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHARProperty reads recordings whose every field may be odd.
func TestHARProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := func(label string) func() any { return func() any { return anything(t, label) } }
		text := func(label string) func() any { return func() any { return word(t, label) } }
		pairs := func() any {
			return list(t, "pairs", func() any {
				return object(t, "pair", map[string]func() any{"name": text("name"), "value": text("value"), "fileName": text("file"), "contentType": text("type")})
			})
		}
		entry := func() any {
			return map[string]any{"startedDateTime": word(t, "start"), "time": anything(t, "time"), "pageref": word(t, "page"), "_resourceType": word(t, "type"),
				"request": object(t, "request", map[string]func() any{"method": text("method"), "headers": pairs, "cookies": pairs, "bodySize": value("size"), "httpVersion": text("version"),
					"url": text("url"), "postData": func() any {
						return object(t, "post", map[string]func() any{"mimeType": text("mime"), "text": text("text"), "params": pairs, "encoding": text("encoding")})
					}}),
				"response": object(t, "response", map[string]func() any{"status": value("status"), "headers": pairs, "cookies": pairs, "content": func() any {
					return object(t, "content", map[string]func() any{"mimeType": text("mime"), "text": text("answer"), "encoding": text("encoding")})
				}})}
		}
		entries := list(t, "entries", entry)
		first := map[string]any{"request": map[string]any{"url": "http://a.test/first?x=" + word(t, "first"), "method": "GET"}, "response": map[string]any{"status": 200,
			"content": map[string]any{"text": `{"id":"abc123def"}`}}}
		doc := map[string]any{"log": map[string]any{"entries": append([]any{first}, entries...), "pages": list(t, "pages", func() any {
			return object(t, "page", map[string]func() any{"id": text("id"), "title": text("title")})
		})}}
		o := importer.Options{Name: "drawn", MaxThink: time.Second, Assets: rapid.Bool().Draw(t, "assets"), OneFlow: rapid.Bool().Draw(t, "one"), BaseOnly: rapid.Bool().Draw(t, "only"),
			Beside: rapid.SampledFrom([]string{"", "bodies"}).Draw(t, "beside"), Base: rapid.SampledFrom([]string{"", "http://b.test/x/"}).Draw(t, "base")}
		b := marshal(t, doc)
		holds(t, func() (*importer.Result, error) { return importer.ReadHAR(bytes.NewReader(b), o) })
	})
}

// TestPostmanProperty reads collections whose every field may be odd.
func TestPostmanProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := func(label string) func() any { return func() any { return anything(t, label) } }
		text := func(label string) func() any { return func() any { return word(t, label) } }
		pairs := func() any {
			return list(t, "pairs", func() any {
				return object(t, "pair", map[string]func() any{"key": value("key"), "value": value("value"), "type": text("type"), "src": text("src"), "disabled": func() any { return rapid.Bool().Draw(t, "off") }})
			})
		}
		texts := func() any { return list(t, "texts", value("text")) }
		auth := func() any {
			kind := word(t, "auth")
			return map[string]any{"type": kind, kind: pairs()}
		}
		events := func() any {
			return list(t, "events", func() any {
				return map[string]any{"listen": word(t, "listen"), "script": map[string]any{"exec": rapid.OneOf(rapid.Just(texts()), rapid.Just(anything(t, "exec"))).Draw(t, "script")}}
			})
		}
		url := func() any {
			if rapid.Bool().Draw(t, "plain url") {
				return word(t, "url")
			}
			return object(t, "url", map[string]func() any{"raw": text("raw"), "protocol": text("protocol"), "host": texts, "path": texts, "port": value("port"), "query": pairs, "variable": pairs})
		}
		item := func() any {
			return map[string]any{"name": word(t, "name"), "event": events(), "auth": auth(), "request": object(t, "request", map[string]func() any{"method": text("method"), "url": url, "header": pairs, "auth": auth,
				"body": func() any {
					return object(t, "body", map[string]func() any{"mode": text("mode"), "raw": text("raw"), "urlencoded": pairs, "formdata": pairs,
						"graphql": func() any { return map[string]any{"query": word(t, "query"), "variables": anything(t, "variables")} }})
				}})}
		}
		folder := func() any {
			return map[string]any{"name": word(t, "folder"), "item": list(t, "items", item), "auth": auth()}
		}
		doc := map[string]any{"info": map[string]any{"name": word(t, "collection")}, "item": append(list(t, "requests", item), list(t, "folders", folder)...), "variable": pairs(), "event": events(), "auth": auth()}
		o := importer.Options{Name: "drawn", Base: rapid.SampledFrom([]string{"", "http://b.test/x/"}).Draw(t, "base")}
		b := marshal(t, doc)
		holds(t, func() (*importer.Result, error) { return importer.ReadPostman(bytes.NewReader(b), nil, o) })
	})
}
