package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/internal/browser"
	"gameday/report"
)

// seat is somebody at a browser of their own.
type seat struct {
	t   *testing.T
	who string
	*browser.Browser
}

// newSeat starts a browser, whose page keeps all that it ever showed.
func newSeat(t *testing.T, who string) *seat {
	t.Helper()
	b, err := browser.StartLoopback(context.Background())
	if errors.Is(err, browser.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &seat{t, who, b}
}

func (s *seat) run(script string) {
	s.t.Helper()
	if err := s.Eval(script+";undefined", nil); err != nil {
		s.t.Fatalf("%s: %s: %v", s.who, script, err)
	}
}

// until waits until something is true in the page.
func (s *seat) until(what string) {
	s.t.Helper()
	if err := s.Until(what, 40*time.Second); err != nil {
		s.t.Fatalf("%s: %v", s.who, err)
	}
}

// has is a condition that an element's text has something in it.
func has(id, text string) string {
	return fmt.Sprintf(`document.getElementById(%q).innerText.includes(%q)`, id, text)
}

// comeIn opens a link and presses its button.
func (s *seat) comeIn(link string) {
	s.t.Helper()
	if _, err := s.Visit(link); err != nil {
		s.t.Fatal(err)
	}
	s.run(`setTimeout(() => document.querySelector("form button").click())`)
	arrived := false
	for range 200 { // the page with the button goes away while it is asked
		if arrived = s.Eval(`document.getElementById("link").id`, nil) == nil; arrived {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !arrived {
		s.t.Fatalf("%s does not come in by %s", s.who, link)
	}
	s.run(`window.shown = []; window.keep = () => shown.push(document.documentElement.outerHTML); keep();
		new MutationObserver(keep).observe(document.documentElement, {subtree: true, childList: true, attributes: true, characterData: true})`)
	s.until(`document.getElementById("link").textContent === "Live."`)
}

// click presses a button; press presses a key on the page.
func (s *seat) click(selector string) {
	s.t.Helper()
	s.run(fmt.Sprintf(`document.querySelector(%q).click()`, selector))
}

func (s *seat) press(key string) {
	s.t.Helper()
	s.run(fmt.Sprintf(`document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent("keydown", {key: %q, bubbles: true}))`, key))
}

// write fills the field of a form and sends it.
func (s *seat) write(id, text string) {
	s.t.Helper()
	s.run(fmt.Sprintf(`{ const f = document.getElementById(%q); f.value = %q; f.form.requestSubmit() }`, id, text))
}

// shown returns all that the page ever had in it.
func (s *seat) shown() string {
	s.t.Helper()
	var out string
	if err := s.Eval(`shown.join("\n")`, &out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// fetchAll asks for paths from within the page, as a script of the responder's own could, and returns all that comes, heads included: of
// a stream what comes in half a second.
func (s *seat) fetchAll(paths []string) string {
	s.t.Helper()
	var list strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&list, "%q,", p)
	}
	var out string
	err := s.Eval(`(async () => { let all = ""; for (const p of [`+list.String()+`]) {
		const end = new AbortController(); all += p + " "; const late = setTimeout(() => end.abort(), 500)
		try { const r = await fetch(p, {signal: end.signal, cache: "no-store"}); all += r.status + " " + JSON.stringify([...r.headers]) + " "
			const from = r.body.pipeThrough(new TextDecoderStream()).getReader()
			for (;;) { const {done, value} = await from.read(); if (done) break; all += value } } catch (e) {}
		clearTimeout(late); all += "\n" } return all })()`, &out)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// served is something that a room serves.
type served struct{ method, path string }

// roomEndpoints finds all that a room serves in its source: what is handled, with each thing that can be done and each size of the stream.
func roomEndpoints(t *testing.T) []served {
	t.Helper()
	var patterns, deeds []string
	for _, pattern := range []string{"../../room/web/*.go", "../../room/gate/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "handle" && len(n.Args) == 2 {
						patterns = append(patterns, literal(t, n.Args[0]))
					}
				case *ast.ValueSpec:
					if len(n.Names) == 1 && n.Names[0].Name == "deeds" && len(n.Values) == 1 {
						for _, e := range n.Values[0].(*ast.CompositeLit).Elts {
							deeds = append(deeds, literal(t, e.(*ast.KeyValueExpr).Key))
						}
					}
				}
				return true
			})
		}
	}
	if len(patterns) < 13 || len(deeds) < 16 {
		t.Fatalf("found %d patterns and %d things to do in the room's source, which cannot be all", len(patterns), len(deeds))
	}
	var out []served
	for _, p := range patterns {
		method, path, ok := strings.Cut(p, " ")
		if !ok {
			method, path = "GET", p+"nothing"
		}
		path = strings.NewReplacer("{$}", "", "{token}", "guess", "{file}", strings.Repeat("0", 64)).Replace(path)
		switch {
		case strings.Contains(path, "{what}"):
			for _, d := range append(deeds, "nothing") {
				out = append(out, served{method, strings.ReplaceAll(path, "{what}", d)})
			}
		case path == "/stream":
			for _, size := range report.LiveSizes() {
				out = append(out, served{method, path + "?size=" + size}, served{method, path + "?wall&size=" + size})
			}
			out = append(out, served{method, path})
		default:
			out = append(out, served{method, path})
		}
	}
	for _, e := range out {
		if strings.ContainsAny(e.path, "{}") {
			t.Fatalf("%s has a part that this test does not know", e.path)
		}
	}
	slices.SortStableFunc(out, func(a, b served) int { return last(a) - last(b) })
	return out
}

// last sorts leaving behind everything else, for who has left is nobody.
func last(e served) int {
	if e.path == "/out" {
		return 1
	}
	return 0
}

func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("%v is not written out", e)
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// paths are those that a browser fetches.
func paths(all []served) []string {
	var out []string
	for _, e := range all {
		if e.method == "GET" {
			out = append(out, e.path)
		}
	}
	return out
}
