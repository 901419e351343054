package importer_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"gameday/importer"
	"gameday/loadgen"
	"gameday/loadgen/native"
	"gameday/scenarios"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// cases are files that are read, with the options that matter to them. Each is compared with the golden file of its name.
var cases = []struct {
	file, golden string // golden is the file's name, when it is empty
	o            importer.Options
}{
	{file: "har/chrome.har", o: importer.Options{MaxThink: 10 * time.Second}},
	{file: "har/chrome.har", golden: "har/chrome-one-flow", o: importer.Options{OneFlow: true, Assets: true, BaseOnly: true, Base: "http://staging:8080/"}},
	{file: "har/firefox.har", o: importer.Options{MaxThink: 10 * time.Second}},
	{file: "har/safari.har", o: importer.Options{MaxThink: 10 * time.Second}},
	{file: "har/proxy.har", o: importer.Options{MaxThink: 10 * time.Second}},
	{file: "har/binary.har", o: importer.Options{Beside: "binary-bodies"}},
	{file: "har/binary.har", golden: "har/binary-inline"},
	{file: "postman/shop.json"},
	{file: "postman/shop.json", golden: "postman/shop-staging", o: importer.Options{Environment: "testdata/postman/staging.json", Base: "http://127.0.0.1:9000"}},
	{file: "postman/api.json"},
	{file: "openapi/shop.yaml"},
	{file: "openapi/shop.yaml", golden: "openapi/shop-writes", o: importer.Options{Writes: 0.2, Base: "http://127.0.0.1:9000"}},
	{file: "openapi/graph.json", o: importer.Options{Writes: 1}},
	{file: "openapi/parts.yaml"},
}

// TestGolden reads files as their programs write them, and compares the block and the losses.
func TestGolden(t *testing.T) {
	for _, c := range cases {
		name := c.golden
		if name == "" {
			name = c.file
		}
		t.Run(name, func(t *testing.T) {
			r, err := importer.Import(filepath.Join("testdata", c.file), c.o)
			if err != nil {
				t.Fatal(err)
			}
			got := page(t, r)
			validates(t, r)
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs:\n%s", golden, got)
			}
		})
	}
}

// page is all that is told of a result.
func page(t fataler, r *importer.Result) []byte {
	t.Helper()
	r.Rate = 1
	var b bytes.Buffer
	if err := scenarios.WriteTraffic(&b, r.Draft); err != nil {
		t.Fatal(err)
	}
	parses(t, b.Bytes())
	b.WriteString("\n==== losses\n")
	for _, l := range r.Losses {
		fmt.Fprintf(&b, "%s %s:%d %s\n", l.Class, l.Where, l.Line, l)
	}
	for _, f := range r.Files {
		fmt.Fprintf(&b, "==== %s: %d bytes, %q\n", f.Path, len(f.Data), f.Data[:min(20, len(f.Data))])
	}
	return b.Bytes()
}

// validates loads the block in a scenario, as `gameday validate` does, with the engine that would send it.
func validates(t fataler, r *importer.Result) {
	t.Helper()
	dir, err := os.MkdirTemp("", "import")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r.Scenario, r.Rate = "imported", 1
	var b bytes.Buffer
	if err := scenarios.WriteTraffic(&b, r.Draft); err != nil {
		t.Fatal(err)
	}
	for _, f := range append(r.Files, importer.File{Path: "s.hcl", Data: b.Bytes()}) {
		path := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := scenarios.Options{Getenv: func(string) string { return "" }}
	o.Catalogue.CheckScript = func(s loadgen.Spec) []loadgen.Problem { return (&native.Engine{}).Check(context.Background(), s) }
	for _, v := range r.Variables {
		if v.Value == nil {
			o.Vars = append(o.Vars, v.Name+"=given")
		}
	}
	f := scenarios.Load(filepath.Join(dir, "s.hcl"), o)
	if f.Diags.HasErrors() {
		var text bytes.Buffer
		if err := scenarios.WriteText(&text, []*scenarios.File{f}, 100, false); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("it does not validate:\n%s", text.String())
	}
	if got, want := len(f.Scenarios[0].Traffic[0].Flows), flowsOn(r); got != want {
		t.Errorf("%d flows are loaded, and %d are switched on", got, want)
	}
}

// flowsOn counts the flows of which something is sent.
func flowsOn(r *importer.Result) int {
	n := 0
	for _, f := range r.Flows {
		on := slices.ContainsFunc(f.Requests, func(q loadgen.Request) bool {
			return !slices.Contains(r.Off, scenarios.Place{Flow: f.Name, Request: q.Name})
		})
		if on && !slices.Contains(r.Off, scenarios.Place{Flow: f.Name}) {
			n++
		}
	}
	return n
}

// parses fails the test when a text is no HCL.
func parses(t fataler, src []byte) {
	t.Helper()
	if _, diags := hclsyntax.ParseConfig(src, "block.hcl", hcl.InitialPos); diags.HasErrors() {
		var lines strings.Builder
		for i, l := range strings.Split(string(src), "\n") {
			fmt.Fprintf(&lines, "%4d %s\n", i+1, l)
		}
		t.Fatalf("%v in:\n%s", diags, lines.String())
	}
}
