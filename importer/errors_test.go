package importer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gameday/importer"
)

// TestErrors reads what is broken, or something else: it must be said where and why, and what to do.
func TestErrors(t *testing.T) {
	utf16 := "\xff\xfe{\x00"
	for _, c := range []struct {
		name, content string
		kind          importer.Kind
		want          []string
	}{
		{"empty", "", "", []string{"there is nothing in it", "name a HAR file"}},
		{"blank", " \n\t\n", "", []string{"there is nothing in it"}},
		{"some text", "hello", "", []string{"neither a HAR file", "--from"}},
		{"a list", "[1]", "", []string{"neither a HAR file"}},
		{"another object", `{"a":{"log":{}}}`, "", []string{"neither a HAR file"}},
		{"UTF-16", utf16, "", []string{"UTF-16", "save it as UTF-8"}},
		{"UTF-16 HAR", utf16, importer.HAR, []string{"UTF-16"}},
		{"Swagger 2", "swagger: '2.0'\n", "", []string{"Swagger 2.0", "convert it"}},
		{"Swagger 2 as JSON", `{"swagger":"2.0"}`, "", []string{"Swagger 2.0"}},
		{"AsyncAPI", "asyncapi: 2.6.0\n", "", []string{"AsyncAPI"}},
		{"Postman environment", `{"id":"1","values":[],"_postman_variable_scope":"environment"}`, "", []string{"environment", "--env"}},
		{"Postman 1", `{"id":"1","order":[],"requests":[]}`, "", []string{"version 1", "2.1"}},

		{"HAR cut off", "{\"log\":\n{\"entries\":[\n{\"request\":{\"url\":\"http://a/\"", "", []string{"line 3", "ends in the middle", "export"}},
		{"HAR broken", "{\"log\":\n{\"entries\":[\n{\"request\" 1}]}}", "", []string{"line 3", "the JSON is broken"}},
		{"HAR broken at the top", "{\"log\" 1", importer.HAR, []string{"line 1", "the JSON is broken"}},
		{"HAR of another type", `{"log":[]}`, "", []string{"log should be an object"}},
		{"HAR entries of another type", "{\"log\":{\n\"entries\":{}}}", "", []string{"line 2", "a list is missing"}},
		{"HAR list", "[]", importer.HAR, []string{"one JSON object"}},
		{"HAR without entries", `{"log":{"version":"1.2"}}`, "", []string{"no requests", "record again"}},
		{"HAR null entries", `{"log":{"entries":null}}`, "", []string{"no requests"}},
		{"HAR of pictures", `{"log":{"entries":[{"request":{"url":"http://a.test/x.png"}},{"request":{"url":"data:,x"}}]}}`, "",
			[]string{"none of its 2 requests is left", "1 static file (image)", "1 request that never left the browser", "--assets"}},

		{"Postman cut off", "{\"info\":{},\n\"item\":[\n", "", []string{"line 3", "ends in the middle"}},
		{"Postman of another type", "{\"info\":{},\n\"item\":[{\"name\":\n[]}]}", "", []string{"line 3", "item.name", "should be string"}},
		{"Postman and more", "{\"info\":{},\"item\":[]}\n{}", "", []string{"line 2", "something follows"}},
		{"Postman without requests", `{"info":{"name":"x"},"item":[{"name":"f","item":[]}]}`, "", []string{"no requests"}},

		{"OpenAPI broken YAML", "openapi: 3.0.0\npaths: [\n", "", []string{"line ", "correct the document"}},
		{"OpenAPI broken JSON", "{\"openapi\":\"3.0.0\",\n\"paths\":{,}}", "", []string{"line 2", "the JSON is broken"}},
		{"OpenAPI of another type", "openapi: 3.0.0\ninfo: {title: a, version: \"1\"}\npaths:\n  /a:\n    get: 5\n", "", []string{"line 5", "correct"}},
		{"OpenAPI of version 4", "openapi: 4.0.0\ninfo: {title: a, version: \"1\"}\npaths: {}\n", "", []string{`version "4.0.0"`}},
		{"OpenAPI without operations", "openapi: 3.0.0\ninfo: {title: a, version: \"1\"}\npaths: {}\n", "", []string{"no operations"}},
		{"OpenAPI that refers to a server", "openapi: 3.0.0\ninfo: {title: a, version: \"1\"}\npaths:\n  /a:\n    $ref: http://127.0.0.1:1/x.yaml#/a\n", "",
			[]string{"http://127.0.0.1:1/x.yaml", "contacts nobody", "bundle"}},
		{"OpenAPI that refers outside", "openapi: 3.0.0\ninfo: {title: a, version: \"1\"}\npaths:\n  /a:\n    $ref: ../../etc/passwd\n", "", []string{"escapes"}},
		{"OpenAPI that refers to a folder", "openapi: 3.0.0\ninfo: {title: a, version: \"1\"}\npaths:\n  /a:\n    $ref: './#/a'\n", "", []string{"not a regular file", "name a document"}},
		{"OpenAPI that refers to nothing", "openapi: 3.0.0\ninfo: {title: a, version: \"1\"}\npaths:\n  /a:\n    $ref: 'gone.yaml#/a'\n", "", []string{"gone.yaml", "no such file", "put that file there"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.har")
			if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := importer.Import(path, importer.Options{Kind: c.kind})
			if err == nil {
				t.Fatalf("it was read: %+v", r.Flows)
			}
			for _, want := range append(c.want, "reading "+path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

// TestRefused names files that are not read at all.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.har")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 200<<20+1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		o    importer.Options
		want string
	}{
		{large, importer.Options{}, "it has more than the 200 MB that are read"},
		{dir, importer.Options{}, "not a regular file"},
		{filepath.Join(dir, "gone"), importer.Options{}, "no such file"},
		{"testdata/postman/shop.json", importer.Options{Environment: filepath.Join(dir, "gone")}, "its environment"},
		{"testdata/postman/shop.json", importer.Options{Environment: "testdata/postman/shop.json"}, "no Postman environment"},
		{"testdata/postman/shop.json", importer.Options{Kind: "bruno"}, "there are har, postman and openapi"},
		{"testdata/har/chrome.har", importer.Options{Base: "staging"}, `the base "staging" is no URL`},
	} {
		if _, err := importer.Import(c.path, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %+v: %v, want %q", c.path, c.o, err, c.want)
		}
	}
}
