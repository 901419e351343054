package scenarios

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"

	"gameday/alarms"
	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/loadgen"
	"gameday/responders"
)

// Catalogue lists what is linked into the program. A scenario that names anything else is told what there is.
type Catalogue struct {
	Faults     []faults.Kind
	Alarms     []alarms.SourceKind
	Responders []responders.SourceKind
	// CheckScript finds mistakes in a traffic script; nil leaves scripts unread.
	CheckScript func(loadgen.Spec) []loadgen.Problem
	// RunsScripts says why no script can be run here, in a clause or more, without running one; nil is not asked.
	RunsScripts func() error
	// CheckInCluster finds what of some faults cannot be done in a Kubernetes cluster, without contacting one; nil lets all pass. Its
	// error says why nobody knows, and what to do, in a clause.
	CheckInCluster func(faults.Access, []cluster.Fault) ([]cluster.Mistake, error)
	// SpeaksToClusters says why runners cannot be started in a Kubernetes cluster, without contacting one; nil is not asked.
	SpeaksToClusters func() error
}

// Options say how to load.
type Options struct {
	Catalogue Catalogue
	Vars      []string // "name=value", as given on the command line; later ones win
	VarFiles  []string // paths of files of "name = value"; later ones win, Vars win over them
	// Getenv reads the environment for secret(). Nil reads nothing.
	Getenv func(string) string
	// Text is what LoadCalendar takes for the calendar's content, in place of what is in the file now; nil reads the file.
	Text []byte
	// Schedule has LoadCalendar decode the schedule of that name and nothing else of the calendar, so that mistakes in scenarios of others
	// do not count; empty decodes all.
	Schedule string
}

// File is one loaded file: its scenarios, what is wrong with it, and the sources to show it.
type File struct {
	Path      string
	Scenarios []*Scenario
	Diags     hcl.Diagnostics
	Sources   map[string]*hcl.File // by file name, for snippets
	Reads     map[string]string    // SHA-256 of each file that file() read, by the name in the scenario
}

// MaxSize bounds a scenario file, in bytes. The longest real one is some ten thousand bytes; the bound keeps a wrong path (a
// database, a log) from being parsed.
const MaxSize = 4 << 20

// Load reads one scenario file. It always returns a File; when File.Diags has errors, its scenarios must not be run.
func Load(path string, o Options) *File {
	l := &loader{
		opts:   o,
		parser: hclparse.NewParser(),
		file:   &File{Path: path},
	}
	l.load(path)
	l.file.Sources = l.snippets()
	l.file.Diags = tidy(l.redacted(l.diags))
	return l.file
}

// Find returns the scenario files at a path: the file itself, or every .hcl file in a folder and the folders below it,
// sorted, leaving out hidden folders and the folders of records. An error names what cannot be read.
func Find(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("finding scenarios: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var out []string
	err = filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") && p != path
			if hidden || d.Name() == "runs" {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(p) == ".hcl" {
			out = append(out, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("finding scenarios in %s: %w", path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("finding scenarios in %s: no .hcl file there or below", path)
	}
	return out, nil
}

// loader carries what the stages of loading share.
type loader struct {
	opts    Options
	parser  *hclparse.Parser
	file    *File
	dir     string // absolute folder of the scenario file
	diags   hcl.Diagnostics
	base    *hcl.EvalContext // var, local and functions
	secrets []Secret
	scripts map[string]*hcl.File // traffic scripts that had problems, for snippets
	kept    map[string]*hcl.File // files that settings name, for snippets and for the record
	// scriptless is set once it was said that no script can be run here.
	scriptless bool

	sources          *loadedSources
	alarmSources     []AlarmSource
	responderSources []ResponderSource
	unknown          map[string][]string // ids of declared sources of unknown kinds, by "alarms" and "responders"
}

func (l *loader) load(path string) {
	body := l.parse(path)
	if body == nil {
		return
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		l.plain("Cannot find the scenario's folder", err.Error())
		return
	}
	l.dir = filepath.Dir(abs)

	var skeleton fileBlocks
	l.add(decode(body, nil, &skeleton))
	l.base = l.context(&skeleton)
	l.sourceBlocks(&skeleton)
	l.sources = l.builtinBlocks(&skeleton)
	labs := l.labs(&skeleton)
	own := l.ownSLIs(skeleton.SLIs)
	if len(skeleton.Scenarios) == 0 && !l.diags.HasErrors() {
		l.errorf(body.MissingItemRange(), "No scenario in this file",
			"A game day needs a block: scenario \"name\" { … }. The README explains a first one line by line.")
	}
	seen := map[string]hcl.Range{}
	for i := range skeleton.Scenarios {
		b := &skeleton.Scenarios[i]
		if l.unique(seen, "scenario", b.Name, b.DefRange) {
			s := l.scenario(b, labs, own)
			s.File = path
			l.file.Scenarios = append(l.file.Scenarios, s)
		}
	}
	l.checkSourcesUsed()
	for _, s := range l.file.Scenarios {
		s.Secrets = l.secrets
	}
}

// parse reads and parses one file, or reports why it cannot.
func (l *loader) parse(path string) hcl.Body {
	src, err := readBounded(path)
	if err != nil {
		l.plain("Cannot read the scenario", err.Error()+".")
		return nil
	}
	if len(bytes.TrimSpace(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")))) == 0 {
		l.plain("The file is empty", fmt.Sprintf("%s has nothing in it. A game day needs a block: scenario \"name\" { … }.", path))
		return nil
	}
	if !utf8.Valid(src) {
		l.plain("The file is not UTF-8", notUTF8(src, path))
		return nil
	}
	if d := tooDeep(src, path); d != nil {
		l.parser.AddFile(path, &hcl.File{Bytes: src})
		l.diags = append(l.diags, d)
		return nil
	}
	f, diags := l.parser.ParseHCL(src, path)
	l.diags = append(l.diags, diags...)
	if diags.HasErrors() || f == nil {
		return nil
	}
	return f.Body
}

// notUTF8 says where a file is not UTF-8, and what it may be instead.
func notUTF8(src []byte, path string) string {
	if bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) {
		return path + " is not UTF-8 text: it begins as UTF-16 does. Save it as UTF-8."
	}
	line := 1
	for rest := src; len(rest) > 0; {
		c, n := utf8.DecodeRune(rest)
		if c == utf8.RuneError && n <= 1 {
			break
		}
		if c == '\n' {
			line++
		}
		rest = rest[n:]
	}
	return fmt.Sprintf("%s is not UTF-8 text: line %d has a byte that cannot stand there. Save it as UTF-8.", path, line)
}

// readBounded reads a file of at most MaxSize bytes.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder; name a file in it", path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() > MaxSize {
		return nil, fmt.Errorf("%s has %d bytes, and a file may have %d", path, info.Size(), MaxSize)
	}
	return os.ReadFile(path)
}

// snippets returns every file that a diagnostic may point into.
func (l *loader) snippets() map[string]*hcl.File {
	out := map[string]*hcl.File{}
	for name, f := range l.parser.Files() {
		out[name] = f
	}
	for name, f := range l.scripts {
		out[name] = f
	}
	for name, f := range l.kept {
		out[name] = f
	}
	return out
}
