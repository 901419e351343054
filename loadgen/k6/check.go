package k6

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"gameday/loadgen"
)

// maxProblems bounds what is reported of one script.
const maxProblems = 10

// checks remembers what was found in scripts, as long as none of their files changes: many scenarios share a script.
// It is safe for concurrent use.
type checks struct {
	mu    sync.Mutex
	known map[string]checked
}

type checked struct {
	files    map[string]stamp
	problems []loadgen.Problem
}

// stamp tells one content of a file from another, cheaply.
type stamp struct {
	size     int64
	modified time.Time
	missing  bool
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return stamp{missing: true}
	}
	return stamp{size: info.Size(), modified: info.ModTime()}
}

func (c checked) current() bool {
	for path, s := range c.files {
		if stampOf(path) != s {
			return false
		}
	}
	return true
}

// Check reads the script and everything it imports from files, and reports mistakes of syntax, imports of files that
// are not there and imports that k6 cannot resolve. It runs nothing, sends nothing and writes nothing; what the script
// computes, and files it opens, are not looked at. What it found is remembered until one of the files changes.
func (e *Engine) Check(_ context.Context, spec loadgen.Spec) []loadgen.Problem {
	e.checks.mu.Lock()
	defer e.checks.mu.Unlock()
	if c, ok := e.checks.known[spec.Script]; ok && c.current() {
		return slices.Clone(c.problems)
	}
	c := check(spec.Script)
	if e.checks.known == nil {
		e.checks.known = map[string]checked{}
	}
	e.checks.known[spec.Script] = c
	return slices.Clone(c.problems)
}

func check(script string) checked {
	c := checked{files: map[string]stamp{script: stampOf(script)}}
	if c.files[script].missing {
		c.problems = []loadgen.Problem{{
			File:    script,
			Summary: "No such script",
			Detail:  fmt.Sprintf("There is no file %s. Paths of scripts are relative to the scenario's folder.", script),
		}}
		return c
	}
	var mu sync.Mutex // esbuild resolves in parallel
	resolve := func(a api.OnResolveArgs) (api.OnResolveResult, error) {
		r, path := resolveImport(a)
		if path != "" {
			mu.Lock()
			c.files[path] = stampOf(path)
			mu.Unlock()
		}
		return r, nil
	}
	result := api.Build(api.BuildOptions{
		EntryPoints:   []string{script},
		AbsWorkingDir: filepath.Dir(script),
		Bundle:        true,
		Write:         false,
		Outdir:        filepath.Dir(script), // wanted by esbuild for its names; nothing is written
		Format:        api.FormatESModule,
		Platform:      api.PlatformNeutral,
		Target:        api.ESNext,
		LogLevel:      api.LogLevelSilent,
		TreeShaking:   api.TreeShakingFalse,
		TsconfigRaw:   "{}", // k6 reads none
		Plugins: []api.Plugin{{Name: "k6", Setup: func(b api.PluginBuild) {
			b.OnResolve(api.OnResolveOptions{Filter: ".*"}, resolve)
		}}},
	})
	for _, m := range result.Errors {
		if len(c.problems) < maxProblems {
			c.problems = append(c.problems, problem(script, m))
		}
	}
	return c
}

// resolveImport finds what an import means as k6 does: its own modules and addresses stay as they are, everything else
// is a file relative to the importing one, with its extension. It returns the file, when it is one.
func resolveImport(a api.OnResolveArgs) (r api.OnResolveResult, file string) {
	path, isFile := strings.CutPrefix(a.Path, "file://")
	switch {
	case a.Kind == api.ResolveEntryPoint:
		return api.OnResolveResult{Path: a.Path}, a.Path
	case path == "k6" || strings.HasPrefix(path, "k6/"), strings.Contains(path, "://"):
		return api.OnResolveResult{Path: path, External: true}, ""
	case isFile || filepath.IsAbs(path):
	case strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../"):
		path = filepath.Join(a.ResolveDir, path)
	default:
		return api.OnResolveResult{Errors: []api.Message{{Text: fmt.Sprintf(
			"k6 cannot import %q: write ./%s for a file beside the script, or an https:// address", a.Path, a.Path)}}}, ""
	}
	if stampOf(path).missing {
		return api.OnResolveResult{Errors: []api.Message{{Text: fmt.Sprintf(
			"there is no file %s; k6 wants the whole name, with its extension", path)}}}, path
	}
	return api.OnResolveResult{Path: path}, path
}

// problem turns a message of esbuild into ours. Its columns count bytes from 0.
func problem(script string, m api.Message) loadgen.Problem {
	p := loadgen.Problem{File: script, Summary: "Mistake in a script", Detail: sentence(m.Text)}
	if l := m.Location; l != nil {
		p.File, p.Line, p.Column, p.Source = l.File, l.Line, l.Column+1, l.LineText
		if !filepath.IsAbs(p.File) {
			p.File = filepath.Join(filepath.Dir(script), p.File)
		}
	}
	return p
}

// sentence makes a message begin with a capital and end with a full stop.
func sentence(text string) string {
	if text == "" {
		return text
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
