package importer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/tidwall/gjson"

	"gameday/loadgen"
	"gameday/scenarios"
)

// ReadOpenAPI reads a document. path is where it came from: it may refer to files in its folder and below, and to nothing
// else.
func ReadOpenAPI(r io.Reader, path string, o Options) (*Result, error) {
	b, err := whole(r, maxDocument)
	if err != nil {
		return nil, err
	}
	if trimmed := bytes.TrimLeft(b, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		var v any
		if err := decodeJSON(b, &v); err != nil { // with a better place than a parser of YAML has for it
			return nil, err
		}
	}
	doc, err := loadDocument(b, path)
	if err != nil {
		return nil, err
	}
	d := &describer{doc: doc, o: o, out: &Result{Kind: OpenAPI}, vault: newVault(), flowNames: names{}}
	if d.out.Name = o.Name; o.Name == "" && doc.Info != nil && slug(doc.Info.Title) != "" {
		d.out.Name = trafficName(doc.Info.Title)
	}
	d.base()
	d.operations()
	switch {
	case len(d.ops) == 0:
		return nil, &Error{What: "it describes no operations: paths is empty", Do: "name the document that has them"}
	case len(d.ops) > maxRequests:
		return nil, &Error{What: fmt.Sprintf("it has %d operations, and %d are read", len(d.ops), maxRequests), Do: "split it"}
	}
	d.links()
	d.flows()
	if err := d.vault.trouble(); err != nil {
		return nil, err
	}
	if n := len(doc.Webhooks); n > 0 {
		d.out.add(Loss{Class: Lost, Where: "webhooks", What: Counted(n, "webhook"),
			Why: "they are requests to you, and not to the service", Do: "leave it so"})
	}
	d.out.finish(o, d.vault)
	return d.out, nil
}

// braces are what stands for a parameter in a path.
var braces = regexp.MustCompile(`\{[^{}/]*\}`)

// atLine finds where a parser complains.
var atLine = regexp.MustCompile(`(?:line |L)(\d+)`)

func loadDocument(b []byte, path string) (*openapi3.T, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Dir(abs))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	l := openapi3.NewLoader()
	l.IncludeOrigin = true
	var refused error
	l.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) {
		b, err := readBeside(root, filepath.Dir(abs), u)
		if err != nil && refused == nil {
			refused = err
		}
		return b, err
	}
	doc, err := l.LoadFromDataWithPath(b, &url.URL{Path: filepath.ToSlash(abs)})
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		e := &Error{What: strings.Join(strings.Fields(err.Error()), " "),
			Do: "correct the document; a linter such as Spectral names all its mistakes"}
		if m := atLine.FindStringSubmatch(e.What); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
		}
		return nil, e
	case !strings.HasPrefix(doc.OpenAPI, "3."):
		return nil, &Error{What: fmt.Sprintf("it is of version %q, and 3.0 and 3.1 can be read", doc.OpenAPI),
			Do: "convert it"}
	}
	return doc, nil
}

// readBeside reads a file that a document refers to.
func readBeside(root *os.Root, dir string, u *url.URL) ([]byte, error) {
	if u.Host != "" || u.Scheme != "" && u.Scheme != "file" {
		return nil, &Error{What: fmt.Sprintf("it refers to %s, and an import contacts nobody", u),
			Do: "bundle the document into one file first, for example with `redocly bundle`"}
	}
	rel, err := filepath.Rel(dir, filepath.FromSlash(u.Path))
	if err != nil {
		return nil, err
	}
	if info, err := root.Stat(rel); err == nil && !info.Mode().IsRegular() { // to open a pipe would wait
		return nil, &Error{What: fmt.Sprintf("it refers to %s, which is not a regular file", rel), Do: "name a document there"}
	}
	f, err := root.Open(rel)
	if err != nil {
		return nil, &Error{What: fmt.Sprintf("it refers to %s: %v", rel, errors.Unwrap(err)),
			Do: "put that file there, or bundle the document into one file"}
	}
	defer f.Close()
	return whole(f, maxDocument)
}

// operation is one of the document.
type operation struct {
	*openapi3.Operation
	method, path string
	item         *openapi3.PathItem
	name         string // unique
	line         int
	on           bool
	links        []link
	linked       bool // another operation leads to it
	losses       []Loss
}

func (o *operation) where() string { return "paths." + o.path + "." + strings.ToLower(o.method) }

// lose keeps a loss until the operation has its place.
func (o *operation) lose(l Loss) {
	l.Line = o.line
	o.losses = append(o.losses, l)
}

// link is a way from an answer to another operation.
type link struct {
	name   string
	to     *operation
	values map[string]string // of the parameters of the other: paths as in gjson
}

// describer makes flows of a document.
type describer struct {
	doc       *openapi3.T
	o         Options
	out       *Result
	vault     *vault
	ops       []*operation
	flowNames names
}

// operations lists what is described, in the order of the document.
func (d *describer) operations() {
	if d.doc.Paths == nil {
		return
	}
	for path, item := range d.doc.Paths.Map() {
		if item == nil {
			continue
		}
		for method, op := range item.Operations() {
			if op == nil {
				continue
			}
			o := &operation{Operation: op, method: method, path: path, item: item, on: safe(method) || d.o.Writes > 0}
			if op.Origin != nil && op.Origin.Key != nil {
				o.line = op.Origin.Key.Line
			}
			d.ops = append(d.ops, o)
		}
	}
	slices.SortFunc(d.ops, func(a, b *operation) int {
		return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.path, b.path), strings.Compare(a.method, b.method))
	})
	taken := names{}
	for _, o := range d.ops {
		name := slug(o.OperationID)
		if name == "" {
			name = requestName(o.method, strings.NewReplacer("{", "", "}", "").Replace(o.path))
		}
		o.name = taken.unique(name)
		if o.Deprecated {
			o.lose(Loss{Class: Guess, Where: o.where(), What: "a deprecated operation", Why: "it is still described",
				Do: "take it out if nobody calls it"})
		}
		if len(o.Callbacks) > 0 {
			o.lose(Loss{Class: Lost, Where: o.where() + ".callbacks", What: Counted(len(o.Callbacks), "callback"),
				Why: "they are requests to you, and not to the service", Do: "leave it so"})
		}
	}
}

// base takes the first server.
func (d *describer) base() {
	base, all := serverURL(d.doc.Servers)
	base, user := withoutUser(base)
	if user != "" {
		d.out.add(Loss{Class: Secret, Where: "servers", Line: lineOf(d.doc.Servers), What: "the user and password of the base",
			Why: "secrets are not written into files", Do: "write the header Authorization, as Basic with secret(…), if the service wants it"})
	}
	switch {
	case d.o.Base != "":
		base = strings.TrimSuffix(d.o.Base, "/")
	case !strings.Contains(base, "://"):
		base = nowhere + strings.TrimSuffix("/"+strings.TrimPrefix(base, "/"), "/")
		d.out.add(Loss{Class: Guess, Where: "servers", Line: lineOf(d.doc.Servers), What: "the base " + base,
			Why: "the document names no host",
			Do:  "set it to the service under test, or import with --base"})
	case all > 1:
		d.out.add(Loss{Class: Guess, Where: "servers", Line: lineOf(d.doc.Servers), What: "the base " + base,
			Why: fmt.Sprintf("it is the first of %d servers", all),
			Do:  "check that it is not the one your customers use, or import with --base"})
	}
	d.out.Base = loadgen.Literal(base)
}

func lineOf(servers openapi3.Servers) int {
	if len(servers) > 0 && servers[0] != nil && servers[0].Origin != nil && servers[0].Origin.Key != nil {
		return servers[0].Origin.Key.Line
	}
	return 0
}

// serverURL returns the URL of the first server with its variables filled, and how many there are.
func serverURL(servers openapi3.Servers) (string, int) {
	if len(servers) == 0 || servers[0] == nil {
		return "", len(servers)
	}
	out := servers[0].URL
	for name, v := range servers[0].Variables {
		if v == nil {
			continue
		}
		value := v.Default
		if value == "" && len(v.Enum) > 0 {
			value = v.Enum[0]
		}
		out = strings.ReplaceAll(out, "{"+name+"}", value)
	}
	return strings.TrimSuffix(out, "/"), len(servers)
}

// links finds the ways between operations that can be carried over: to an operation of the document, with parameters out of
// the body of an answer that counts as right.
func (d *describer) links() {
	byID := map[string]*operation{}
	for _, o := range d.ops {
		if o.OperationID != "" {
			byID[o.OperationID] = o
		}
	}
	for _, o := range d.ops {
		_, answer := lowest(o.Responses)
		if answer == nil {
			continue
		}
		for _, name := range sortedKeys(answer.Links) {
			ref := answer.Links[name]
			if ref == nil || ref.Value == nil {
				continue
			}
			l, why := d.link(o, name, ref.Value, byID)
			if why != "" {
				o.lose(Loss{Class: Lost, Where: o.where() + ".links." + name, What: fmt.Sprintf("the link %q", name),
					Why: why,
					Do:  "write an extract block, and use its value"})
				continue
			}
			l.to.linked = true
			o.links = append(o.links, l)
		}
	}
}

func (d *describer) link(from *operation, name string, l *openapi3.Link, byID map[string]*operation) (out link, why string) {
	to := byID[l.OperationID]
	switch {
	case l.OperationID == "":
		return out, "it names its operation by a reference and not by an operationId"
	case to == nil:
		return out, fmt.Sprintf("there is no operation %q", l.OperationID)
	case l.RequestBody != nil:
		return out, "it makes a body"
	case !from.on || !to.on:
		return out, "one of its operations changes data, and is switched off"
	case to == from:
		return out, "it leads to its own operation"
	}
	out = link{name: name, to: to, values: map[string]string{}}
	for param, value := range l.Parameters {
		_, plain, qualified := strings.Cut(param, ".")
		if !qualified {
			plain = param
		}
		text, _ := value.(string)
		pointer, ok := strings.CutPrefix(text, "$response.body#/")
		if !ok {
			return out, fmt.Sprintf("its parameter %q is not out of the answer's body", param)
		}
		out.values[plain] = gjsonOf(pointer)
	}
	if len(out.values) == 0 {
		return out, "it has no parameters"
	}
	return out, ""
}

// flows makes a flow of each operation that no other leads to, and of those that it leads to.
func (d *describer) flows() {
	covered := map[*operation]bool{}
	for _, roots := range []bool{true, false} { // the second time those that lead to each other in a circle
		for _, o := range d.ops {
			if !covered[o] && (!roots || !o.linked) {
				d.flow(o, covered)
			}
		}
	}
}

// maxChain bounds how many operations follow each other in a flow.
const maxChain = 20

func (d *describer) flow(root *operation, covered map[*operation]bool) {
	f := loadgen.Flow{Name: d.flowNames.unique(root.name), Weight: 1}
	changes := false
	inFlow := map[*operation]bool{root: true}
	taken := names{}
	type step struct {
		op     *operation
		values map[string]string // of its parameters: names of extracts
	}
	steps := []step{{op: root}}
	for i := 0; i < len(steps); i++ {
		at := steps[i]
		covered[at.op] = true
		changes = changes || !safe(at.op.method)
		q := d.request(f.Name, at.op, at.values)
		for _, l := range at.op.links {
			if inFlow[l.to] || len(steps) >= maxChain {
				continue
			}
			inFlow[l.to] = true
			values := map[string]string{}
			for _, param := range sortedKeys(l.values) {
				e := loadgen.Extract{Name: taken.identifier(identifier(param, "value")), JSON: l.values[param]}
				q.Extract = append(q.Extract, e)
				values[param] = e.Name
			}
			steps = append(steps, step{l.to, values})
		}
		f.Requests = append(f.Requests, q)
	}
	if changes && d.o.Writes > 0 {
		f.Weight = d.o.Writes
	}
	if !root.on {
		d.out.off(scenarios.Place{Flow: f.Name})
	}
	d.out.Flows = append(d.out.Flows, f)
}

// lowest returns the lowest status of an answer that counts as right, and the answer. 0 is any.
func lowest(responses *openapi3.Responses) (int, *openapi3.Response) {
	if responses == nil {
		return 0, nil
	}
	all := responses.Map()
	for _, code := range sortedKeys(all) {
		if r := all[code]; r != nil && r.Value != nil && (strings.HasPrefix(code, "2") || strings.HasPrefix(code, "3")) {
			n, err := strconv.Atoi(code)
			if err != nil || n < 200 {
				n = 0 // 2XX
			}
			return n, r.Value
		}
	}
	return 0, nil
}

// request makes the request of an operation. values are the extracts that give its parameters.
func (d *describer) request(flow string, o *operation, values map[string]string) loadgen.Request {
	q := loadgen.Request{Name: o.name, Method: o.method}
	at := scenarios.Place{Flow: flow, Request: q.Name}
	d.out.from(at, o.where(), o.line)
	for _, l := range o.losses {
		l.Place = at
		d.out.add(l)
	}
	d.parameters(&q, o, values, at)
	d.security(&q, o, at)
	d.body(&q, o, at)
	if status, _ := lowest(o.Responses); status > 0 {
		q.Expect.Status = []int{status}
	}
	return q
}

// elsewhere returns the server of an operation that has its own, and nothing where it is the base.
func (d *describer) elsewhere(o *operation) loadgen.Text {
	servers := o.item.Servers
	if o.Servers != nil && len(*o.Servers) > 0 {
		servers = *o.Servers
	}
	if own, _ := serverURL(servers); strings.Contains(own, "://") {
		own, _ = withoutUser(own)
		return loadgen.Literal(own)
	}
	return nil
}

// security adds what the first way of the operation to prove who asks needs.
func (d *describer) security(q *loadgen.Request, o *operation, at scenarios.Place) {
	ways := d.doc.Security
	if o.Security != nil {
		ways = *o.Security
	}
	if len(ways) == 0 || d.doc.Components == nil {
		return
	}
	for _, name := range sortedKeys(ways[0]) {
		ref := d.doc.Components.SecuritySchemes[name]
		if ref == nil || ref.Value == nil {
			continue
		}
		d.scheme(q, name, ref.Value, at)
	}
}

func (d *describer) scheme(q *loadgen.Request, name string, s *openapi3.SecurityScheme, at scenarios.Place) {
	where := "components.securitySchemes." + name
	line := 0
	if s.Origin != nil && s.Origin.Key != nil {
		line = s.Origin.Key.Line
	}
	secret := func(what string) loadgen.Text {
		ref, variable := d.vault.ref(name, "security scheme "+name)
		d.out.add(keptOut(spot{where, line}, at, fmt.Sprintf("the security scheme %q", name), what, variable))
		return loadgen.Text{{Ref: ref}}
	}
	kind := strings.ToLower(s.Type)
	switch {
	case kind == "apikey" && s.In == "query":
		q.URL = appendQuery(q.URL, slices.Concat(loadgen.Literal(url.QueryEscape(s.Name)+"="), secret("a key")))
	case kind == "apikey" && s.In == "cookie":
		addHeader(q, "Cookie", slices.Concat(loadgen.Literal(s.Name+"="), secret("the cookie's value")))
	case kind == "apikey" && headerName(s.Name):
		setHeader(q, s.Name, secret("a key"))
	case kind == "http" && strings.EqualFold(s.Scheme, "basic"):
		setHeader(q, "Authorization", slices.Concat(loadgen.Literal("Basic "), secret("the base64 of user:password")))
	case kind == "http" && strings.EqualFold(s.Scheme, "bearer"), kind == "oauth2", kind == "openidconnect":
		setHeader(q, "Authorization", slices.Concat(loadgen.Literal("Bearer "), secret("a token")))
	default:
		what := s.Scheme
		if kind == "mutualtls" {
			what = "client certificates"
		}
		d.out.add(Loss{Class: Lost, Where: where, Line: line, What: fmt.Sprintf("the security scheme %q", name), Place: at,
			Why: fmt.Sprintf("requests cannot prove who sends them by %s one by one", orElse(what, kind)),
			Do:  "write a tls block with cert and key, or a header, where that is enough"})
	}
}

// appendQuery adds a parameter to a URL.
func appendQuery(u, param loadgen.Text) loadgen.Text {
	sep := "?"
	if strings.Contains(u.String(), "?") {
		sep = "&"
	}
	return slices.Concat(u, loadgen.Literal(sep), param)
}

// gjsonOf turns a JSON pointer without its first slash into a path of gjson.
func gjsonOf(pointer string) string {
	var steps []string
	for step := range strings.SplitSeq(pointer, "/") {
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		steps = append(steps, gjson.Escape(strings.NewReplacer("~1", "/", "~0", "~").Replace(step)))
	}
	return strings.Join(steps, ".")
}
