// Package importer turns what other tools recorded or described into flows: HAR files, Postman collections and OpenAPI
// documents. It reads the files it is named and contacts nobody. What cannot be carried over is returned beside the flows,
// and so is what was guessed.
package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gameday/loadgen"
	"gameday/scenarios"
)

// Kind is a kind of file that can be read.
type Kind string

// The kinds.
const (
	HAR     Kind = "har"     // HTTP Archive 1.1 and 1.2, as browsers and proxies write it
	Postman Kind = "postman" // a Postman collection, version 2.0 or 2.1
	OpenAPI Kind = "openapi" // an OpenAPI document, 3.0 or 3.1, as JSON or YAML
)

// Kinds lists the kinds, in the order they are shown.
func Kinds() []Kind { return []Kind{HAR, Postman, OpenAPI} }

// Title returns the kind's name for people, with its article.
func (k Kind) Title() string {
	switch k {
	case HAR:
		return "a HAR file"
	case Postman:
		return "a Postman collection"
	default:
		return "an OpenAPI document"
	}
}

// Bounds on what is read, in bytes.
const (
	maxSize = 200 << 20
	// A document becomes some twenty times its size in memory, and nobody's is a tenth of this.
	maxDocument = 64 << 20
	// A value is three bytes at least, and becomes a hundred times that.
	maxValuesRead = 3_000_000
	// More do not go into a scenario.
	maxRequests = 20_000
)

// crowded reports whether JSON has more values than are read. What stands in texts does not count.
func crowded(b []byte) bool {
	n, inText := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			inText = !inText
		case c == '\\':
			i++
		case c == ',' && !inText:
			n++
		}
	}
	return n > maxValuesRead
}

// Options say what to make of a file.
type Options struct {
	Kind Kind   // empty tells it from the content
	Name string // of the traffic; empty takes the title that the file has, or makes one of its name
	Base string // instead of the origin that the file names
	// Environment is the path of a Postman environment, whose values win over the collection's; empty is none.
	Environment string
	// Beside is the folder for long and binary bodies, as the block will name it. Empty keeps bodies in the block.
	Beside string

	Assets   bool          // HAR: keep static files too
	BaseOnly bool          // HAR: leave out what goes to other origins than the base
	OneFlow  bool          // HAR: one flow for the whole recording, not one for each page
	MaxThink time.Duration // HAR: pauses are cut to this; 0 leaves them out
	// Writes is the weight of OpenAPI operations that change data. With 0 they are switched off: see Result.Off.
	Writes float64
}

// Result is what a file became.
type Result struct {
	Kind Kind
	// Draft is the traffic, ready to be written. The names of its flows are unique, and so are those of the requests of each.
	// Off are requests that must not be sent as they are, and Notes say the losses at their places.
	scenarios.Draft
	Files  []File
	Losses []Loss

	paths names                    // of files
	spots map[scenarios.Place]spot // where requests come from
	said  map[Loss]bool
}

// spot is a place in the file.
type spot struct {
	where string
	line  int
}

// from remembers where a request comes from.
func (r *Result) from(at scenarios.Place, where string, line int) {
	if r.spots == nil {
		r.spots = map[scenarios.Place]spot{}
	}
	r.spots[at] = spot{where, line}
}

// add adds a loss, once.
func (r *Result) add(l Loss) {
	if r.said == nil {
		r.said = map[Loss]bool{}
	}
	if !r.said[l] {
		r.said[l] = true
		r.Losses = append(r.Losses, l)
	}
}

// lose adds a loss of a request as a whole.
func (r *Result) lose(at scenarios.Place, what, why, do string) {
	s := r.spots[at]
	r.add(Loss{Class: Lost, Where: s.where, Line: s.line, What: what, Why: why, Do: do, Place: at})
}

// File is a body that belongs beside the block.
type File struct {
	Path string // as the block names it
	Data []byte
}

// Class says what a loss is.
type Class string

// The classes.
const (
	Lost   Class = "lost"   // the file has it, and the block has not
	Guess  Class = "guess"  // the block has it, and the file does not say so: to be checked
	Secret Class = "secret" // kept out of the block on purpose: to be given by the environment
)

// Loss is something that was not carried over as it is.
type Loss struct {
	Class Class  `json:"class"`
	Where string `json:"where"`          // a path in the file: "log.entries[3].request"
	Line  int    `json:"line,omitempty"` // 0 where it cannot be told
	What  string `json:"what"`           // a noun: `the file "logo.png"`
	Why   string `json:"why"`            // a clause
	Do    string `json:"do"`             // what to do about it, beginning with a verb
	// Place is where it is missing in the block; zero is the block itself.
	Place scenarios.Place `json:"place,omitzero"`
}

// keptOut is the loss of a secret. content is what to give for it: "a token".
func keptOut(s spot, at scenarios.Place, what, content, variable string) Loss {
	return Loss{Class: Secret, Where: s.where, Line: s.line, What: what, Why: "secrets are not written into files",
		Do: "put " + content + " into the environment as " + variable, Place: at}
}

// String says the loss in two sentences, without its place.
func (l Loss) String() string { return l.What + ": " + l.Why + ". " + capital(l.Do) + "." }

// capital makes a clause begin as a sentence does.
func capital(text string) string {
	c, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(c)) + text[n:]
}

// Count returns how many flows and requests are sent, how many requests are not, and how many that are sent may change data.
func (r *Result) Count() (flows, on, off, writes int) {
	for _, f := range r.Flows {
		before := on
		whole := slices.Contains(r.Off, scenarios.Place{Flow: f.Name})
		for _, q := range f.Requests {
			switch {
			case whole, slices.Contains(r.Off, scenarios.Place{Flow: f.Name, Request: q.Name}):
				off++
				continue
			case !safe(q.Method):
				writes++
			}
			on++
		}
		if on > before {
			flows++
		}
	}
	return flows, on, off, writes
}

// Error is why a file cannot be read as what it should be.
type Error struct {
	Line int    // 0 where it cannot be told
	What string // a clause
	Do   string // what to do about it, beginning with a verb
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return Plain(fmt.Sprintf("line %d: %s; %s", e.Line, e.What, e.Do))
	}
	return Plain(e.What + "; " + e.Do)
}

// Import reads a file. Errors name the place, the cause and what to do.
func Import(path string, o Options) (*Result, error) {
	res, err := read(path, o)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return res, nil
}

func read(path string, o Options) (*Result, error) {
	if o.Base != "" {
		if u, err := url.Parse(o.Base); err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != "") {
			return nil, &Error{What: "a base is a scheme, a host and perhaps a path, without a user and without what begins with ? or #",
				Do: "write it like http://staging:8080"}
		}
		if (&Result{}).unfit(loadgen.Literal(o.Base)) != "" {
			return nil, &Error{What: fmt.Sprintf("the base %q is no URL", o.Base), Do: "write it like http://staging:8080"}
		}
	}
	if o.Name != "" && trafficName(o.Name) != o.Name {
		return nil, &Error{What: fmt.Sprintf("a traffic block cannot have the name %q", o.Name),
			Do: fmt.Sprintf("call it %s", trafficName(o.Name))}
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if o.Kind == "" {
		if o.Kind, err = Detect(f); err != nil {
			return nil, err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	var res *Result
	switch o.Kind {
	case HAR:
		res, err = ReadHAR(f, o)
	case Postman:
		var env []byte
		if o.Environment != "" {
			if env, err = environment(o.Environment); err != nil {
				return nil, err
			}
		}
		res, err = ReadPostman(f, env, o)
	case OpenAPI:
		res, err = ReadOpenAPI(f, path, o)
	default:
		return nil, fmt.Errorf("there is no kind %q; there are har, postman and openapi", o.Kind)
	}
	if err != nil {
		return nil, err
	}
	if res.Name == "" {
		res.Name = trafficName(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	}
	return res, nil
}

// open opens a regular file within the bound.
func open(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = &Error{What: "it is not a regular file", Do: "name a file"}
	case info.Size() > maxSize:
		err = &Error{What: fmt.Sprintf("it has more than the %d MB that are read", maxSize>>20),
			Do: "export a shorter recording, or leave the answers out of it"}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// environment reads a file that a collection needs.
func environment(path string) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("its environment: %w", err)
	}
	defer f.Close()
	b, err := whole(f, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("its environment %s: %w", path, err)
	}
	return b, nil
}

// whole reads all of a text without its byte order mark.
func whole(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, &Error{What: fmt.Sprintf("it has more than %d MB", limit>>20), Do: "split it"}
	}
	return bytes.TrimPrefix(b, bom), nil
}

// bom is what some programs begin UTF-8 text with.
var bom = []byte("\xef\xbb\xbf")

// withoutBOM skips a byte order mark, and refuses the ones of other encodings.
func withoutBOM(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, &Error{What: "it is not UTF-8 text: it begins as UTF-16 does", Do: "save it as UTF-8"}
	case bytes.Equal(head, bom):
		_, err = b.Discard(len(bom))
		return b, err
	}
	return b, nil
}

// jsonError says where and why JSON is broken. line turns an offset into a line.
func jsonError(err error, line func(int64) int, end int64) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && !errors.Is(err, io.ErrUnexpectedEOF) {
		if strings.Contains(syntax.Error(), "unexpected end") {
			err = io.ErrUnexpectedEOF
		} else {
			return &Error{Line: line(syntax.Offset), What: "the JSON is broken: " + syntax.Error(),
				Do: "export it again"}
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &Error{Line: line(end), What: "the file ends in the middle of its JSON",
			Do: "export or download it again"}
	}
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &Error{Line: line(typ.Offset),
			What: fmt.Sprintf("%s should be %s and is %s", orWhole(typ.Field), typ.Type, typ.Value),
			Do:   "correct it, or export it again"}
	}
	return err
}

func orWhole(field string) string {
	if field == "" {
		return "the whole"
	}
	return field
}

// finish looks over what a reader made: no secret may be left, and no body be longer than the language takes. Then the losses
// become notes.
func (r *Result) finish(o Options, v *vault) {
	r.tokens(v)
	r.sweep(v)
	r.expectations(v)
	r.variables(v)
	r.sendable()
	r.writable()
	r.settle(o)
	r.keepFiles(v)
	r.orphans()
	r.elsewhere()
	off := map[scenarios.Place]bool{}
	for _, p := range r.Off {
		off[p] = true
	}
	said := map[string]bool{}
	for _, l := range r.Losses {
		text := capital(l.String())
		if l.Class == Secret && said[text] { // one note is enough to know what to set
			continue
		}
		said[text] = !off[l.Place] && !off[scenarios.Place{Flow: l.Place.Flow}]
		r.Notes = append(r.Notes, scenarios.Note{Place: l.Place, Text: text})
	}
}
