package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/parser"
	"github.com/tidwall/gjson"

	"gameday/loadgen"
	"gameday/scenarios"
)

// script is what could be understood of a test script.
type script struct {
	status   []int
	contains []string
	json     []loadgen.JSONCheck
	sets     []setting
	rest     int  // statements that were not understood
	guarded  bool // some were under a condition
	broken   bool // it is no JavaScript
	long     bool // it is not read
}

// setting is a variable that a script takes out of the answer.
type setting struct {
	name string
	from loadgen.Extract
}

// tests carries over what the scripts of a request do with its answer.
func (p *collector) tests(q *loadgen.Request, in inherited, at scenarios.Place) {
	for _, e := range in.events {
		s, done := p.scripts[e.where]
		if !done {
			s = &script{}
			if source := e.Script.Exec.join("\n"); !e.Disabled && !onlyComments(source) {
				s = readScript(source, e.Listen)
			}
			p.scripts[e.where] = s
			p.scriptLosses(s, e, in, at)
		}
		for _, code := range s.status {
			if !slices.Contains(q.Expect.Status, code) {
				q.Expect.Status = append(q.Expect.Status, code)
			}
		}
		for _, c := range s.contains {
			q.Expect.Body = append(q.Expect.Body, loadgen.BodyCheck{Contains: c})
		}
		q.Expect.JSON = append(q.Expect.JSON, s.json...)
		for _, set := range s.sets {
			extract := set.from
			extract.Name = p.scope.extract(set.name)
			p.scope.set[set.name] = at
			q.Extract = slices.DeleteFunc(q.Extract, func(e loadgen.Extract) bool { return e.Name == extract.Name })
			q.Extract = append(q.Extract, extract)
		}
	}
}

// scriptLosses says what of a script is not carried over. Scripts may hold secrets, so their text is not shown.
func (p *collector) scriptLosses(s *script, e located, in inherited, at scenarios.Place) {
	if !strings.HasPrefix(e.where, in.path) { // of a folder, or the collection: it is about all requests in it
		at = scenarios.Place{}
	}
	kind := "test script"
	if e.Listen == "prerequest" {
		kind = "pre-request script"
	}
	switch {
	case s.long:
		p.out.add(Loss{Class: Lost, Where: e.where, What: "a " + kind, Why: fmt.Sprintf("it has more than %d bytes, or is nested too deeply", maxSource),
			Do: "write its checks as an expect block", Place: at})
	case s.broken:
		p.out.add(Loss{Class: Lost, Where: e.where, What: "a " + kind, Why: "it cannot be read as JavaScript",
			Do: "write its checks as an expect block", Place: at})
	case s.rest > 0:
		p.out.add(Loss{Class: Lost, Where: e.where, What: Counted(s.rest, "statement") + " of a " + kind, Place: at,
			Why: "there are no scripts in request blocks",
			Do:  "write them as expect and extract blocks where that is possible, or use a k6 script"})
	}
	if s.guarded {
		p.out.add(Loss{Class: Guess, Where: e.where, What: "what a " + kind + " does under a condition", Place: at,
			Why: "it was taken over without the condition", Do: "check that it always holds"})
	}
}

// onlyComments reports whether a script does nothing: Postman writes empty ones for every request.
func onlyComments(source string) bool {
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			return false
		}
	}
	return true
}

// readScript understands the usual phrases of a test script. Of a pre-request script nothing can be carried over.
func readScript(source, listen string) *script {
	if tangled(source) {
		return &script{long: true}
	}
	program, err := parser.ParseFile(nil, "", source, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return &script{broken: true}
	}
	r := &scriptReader{out: &script{}, alias: map[string]value{}}
	if listen == "prerequest" {
		r.out.rest = len(program.Body)
		return r.out
	}
	r.statements(program.Body, false)
	return r.out
}

// value is what an expression of a script stands for.
type value struct {
	kind valueKind
	path string   // of answerJSON; the name of an answerHeader
	text string   // of a literal, as text
	bare bool     // a literal that is no string
	list []string // of a list of literals
}

type valueKind int

const (
	unknownValue valueKind = iota
	answerJSON
	answerText
	answerStatus
	answerHeader
	literal
	literals
)

type scriptReader struct {
	out   *script
	alias map[string]value
	depth int
}

// maxScript bounds how deep a script is followed, and maxSource how long one may be. The parser descends once for each bracket.
const (
	maxScript = 100
	maxSource = 64 << 10
)

// tangled reports whether a script is not read: it is too long, or has brackets in brackets beyond what anybody writes.
func tangled(source string) bool {
	depth, deepest := 0, 0
	for i := range len(source) {
		switch source[i] {
		case '(', '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ')', ']', '}':
			depth--
		}
	}
	return len(source) > maxSource || deepest > 10*maxScript
}

func (r *scriptReader) statements(list []ast.Statement, guarded bool) {
	if r.depth++; r.depth > maxScript {
		r.out.rest++
		return
	}
	defer func() { r.depth-- }()
	for _, s := range list {
		r.statement(s, guarded)
	}
}

func (r *scriptReader) statement(s ast.Statement, guarded bool) {
	switch s := s.(type) {
	case *ast.ExpressionStatement:
		r.do(s.Expression, guarded)
	case *ast.VariableStatement:
		r.bindings(s.List)
	case *ast.LexicalDeclaration:
		r.bindings(s.List)
	case *ast.BlockStatement:
		r.statements(s.List, guarded)
	case *ast.TryStatement:
		r.statements(s.Body.List, true)
	case *ast.IfStatement:
		r.statements([]ast.Statement{s.Consequent}, true)
		if s.Alternate != nil {
			r.out.rest++
		}
	case *ast.EmptyStatement:
	default:
		r.out.rest++
	}
}

// bindings remembers names for values. What they hold otherwise does nothing by itself.
func (r *scriptReader) bindings(list []*ast.Binding) {
	for _, b := range list {
		if id, ok := b.Target.(*ast.Identifier); ok && b.Initializer != nil {
			r.alias[id.Name.String()] = r.value(b.Initializer)
		}
	}
}

// do carries over what an expression does.
func (r *scriptReader) do(e ast.Expression, guarded bool) {
	before := len(r.out.status) + len(r.out.contains) + len(r.out.json) + len(r.out.sets)
	switch e := e.(type) {
	case *ast.CallExpression:
		r.call(e, guarded)
	case *ast.AssignExpression:
		r.assign(e)
	case *ast.DotExpression:
		if path := pathOf(e); path != "pm.response.to.be.ok" && path != "pm.response.to.be.success" {
			r.out.rest++ // those two are what counts as right by default
		}
	default:
		r.out.rest++
	}
	if guarded && len(r.out.status)+len(r.out.contains)+len(r.out.json)+len(r.out.sets) > before {
		r.out.guarded = true
	}
}

// setters are the functions that set a variable.
var setters = []string{"pm.environment.set", "pm.collectionVariables.set", "pm.globals.set", "pm.variables.set",
	"postman.setEnvironmentVariable", "postman.setGlobalVariable"}

func (r *scriptReader) call(c *ast.CallExpression, guarded bool) {
	path := pathOf(c.Callee)
	switch {
	case path == "pm.test" && len(c.ArgumentList) == 2:
		r.function(c.ArgumentList[1], guarded)
	case path == "pm.response.to.have.status" && len(c.ArgumentList) == 1:
		r.status(r.value(c.ArgumentList[0]))
	case slices.Contains(setters, path) && len(c.ArgumentList) == 2:
		r.set(r.value(c.ArgumentList[0]), r.value(c.ArgumentList[1]))
	case strings.HasPrefix(path, "console."):
	default:
		if !r.expectation(c) {
			r.out.rest++
		}
	}
}

func (r *scriptReader) function(e ast.Expression, guarded bool) {
	switch f := e.(type) {
	case *ast.FunctionLiteral:
		r.statements(f.Body.List, guarded)
	case *ast.ArrowFunctionLiteral:
		switch body := f.Body.(type) {
		case *ast.BlockStatement:
			r.statements(body.List, guarded)
		case *ast.ExpressionBody:
			r.do(body.Expression, guarded)
		}
	default:
		r.out.rest++
	}
}

// status takes over a status, or several of which one is right.
func (r *scriptReader) status(v value) {
	texts := v.list
	if v.kind == literal {
		texts = []string{v.text}
	}
	var codes []int
	for _, t := range texts {
		if n, err := strconv.Atoi(t); err == nil && n >= 100 && n <= 599 {
			codes = append(codes, n)
		}
	}
	if len(codes) == 0 || len(codes) < len(texts) {
		r.out.rest++
		return
	}
	r.out.status = append(r.out.status, codes...)
}

func (r *scriptReader) set(name, v value) {
	s := setting{name: name.text}
	switch v.kind {
	case answerJSON:
		s.from.JSON = v.path
	case answerHeader:
		s.from.Header = v.path
	}
	if name.kind != literal || s.from == (loadgen.Extract{}) {
		r.out.rest++
		return
	}
	r.out.sets = append(r.out.sets, s)
}

// assign takes over tests["…"] = responseCode.code === 200, which is how it was written before pm, and names.
func (r *scriptReader) assign(a *ast.AssignExpression) {
	if id, ok := a.Left.(*ast.Identifier); ok {
		r.alias[id.Name.String()] = r.value(a.Right)
		return
	}
	left, ok := a.Left.(*ast.BracketExpression)
	test, isTest := a.Right.(*ast.BinaryExpression)
	if !ok || !isTest || pathOf(left.Left) != "tests" || test.Operator.String() != "===" && test.Operator.String() != "==" {
		r.out.rest++
		return
	}
	r.equal(r.value(test.Left), r.value(test.Right))
}

// equal takes over a comparison of the answer with a literal.
func (r *scriptReader) equal(got, want value) {
	switch {
	case got.kind == answerStatus:
		r.status(want)
	case got.kind == answerJSON && got.path != "" && want.kind == literal:
		text := want.text
		r.out.json = append(r.out.json, loadgen.JSONCheck{Path: got.path, Equals: &text})
	default:
		r.out.rest++
	}
}

// expectation takes over pm.expect(x).to.eql(y) and the like. The words between the two say nothing.
func (r *scriptReader) expectation(c *ast.CallExpression) bool {
	method, ok := c.Callee.(*ast.DotExpression)
	if !ok || len(c.ArgumentList) != 1 {
		return false
	}
	inner := method.Left
	for {
		dot, ok := inner.(*ast.DotExpression)
		if !ok {
			break
		}
		if word := dot.Identifier.Name.String(); !slices.Contains([]string{"to", "be", "have", "is", "that", "and", "deep"}, word) {
			return false
		}
		inner = dot.Left
	}
	expect, ok := inner.(*ast.CallExpression)
	if !ok || pathOf(expect.Callee) != "pm.expect" || len(expect.ArgumentList) != 1 {
		return false
	}
	got, want := r.value(expect.ArgumentList[0]), r.value(c.ArgumentList[0])
	switch method.Identifier.Name.String() {
	case "eql", "equal", "equals", "eq":
		r.equal(got, want)
	case "oneOf":
		if got.kind != answerStatus {
			return false
		}
		r.status(want)
	case "include", "includes", "contain", "contains":
		if got.kind != answerText || want.kind != literal {
			return false
		}
		r.out.contains = append(r.out.contains, want.text)
	default:
		return false
	}
	return true
}

// value returns what an expression stands for.
func (r *scriptReader) value(e ast.Expression) value {
	if r.depth++; r.depth > maxScript {
		r.depth--
		return value{}
	}
	defer func() { r.depth-- }()
	switch e := e.(type) {
	case *ast.StringLiteral:
		return value{kind: literal, text: e.Value.String()}
	case *ast.NumberLiteral:
		return value{kind: literal, text: e.Literal, bare: true}
	case *ast.BooleanLiteral:
		return value{kind: literal, text: e.Literal, bare: true}
	case *ast.ArrayLiteral:
		out := value{kind: literals}
		for _, item := range e.Value {
			v := r.value(item)
			if v.kind != literal {
				return value{}
			}
			out.list = append(out.list, v.text)
		}
		return out
	case *ast.Identifier:
		if e.Name.String() == "responseBody" {
			return value{kind: answerText}
		}
		return r.alias[e.Name.String()]
	case *ast.OptionalChain:
		return r.value(e.Expression)
	case *ast.Optional:
		return r.value(e.Expression)
	case *ast.CallExpression:
		return r.called(e)
	case *ast.DotExpression:
		switch pathOf(e) {
		case "pm.response.code", "responseCode.code":
			return value{kind: answerStatus}
		}
		return r.value(e.Left).member(e.Identifier.Name.String())
	case *ast.BracketExpression:
		if key := r.value(e.Member); key.kind == literal {
			return r.value(e.Left).member(key.text)
		}
	}
	return value{}
}

func (r *scriptReader) called(c *ast.CallExpression) value {
	switch path := pathOf(c.Callee); {
	case path == "pm.response.json":
		return value{kind: answerJSON}
	case path == "pm.response.text":
		return value{kind: answerText}
	case path == "JSON.parse" && len(c.ArgumentList) == 1 && r.value(c.ArgumentList[0]).kind == answerText:
		return value{kind: answerJSON}
	case (path == "pm.response.headers.get" || path == "postman.getResponseHeader") && len(c.ArgumentList) == 1:
		if name := r.value(c.ArgumentList[0]); name.kind == literal && headerName(name.text) {
			return value{kind: answerHeader, path: name.text}
		}
	}
	return value{}
}

// member returns a member of a JSON answer. Its length is none.
func (v value) member(name string) value {
	if v.kind != answerJSON || name == "length" {
		return value{}
	}
	step := gjson.Escape(name)
	if v.path != "" {
		step = v.path + "." + step
	}
	return value{kind: answerJSON, path: step}
}

// pathOf writes names with dots between them, and "" for anything else.
func pathOf(e ast.Expression) string {
	var names []string
	for len(names) < 10 { // longer than any that is known
		switch at := e.(type) {
		case *ast.Identifier:
			names = append(names, at.Name.String())
			slices.Reverse(names)
			return strings.Join(names, ".")
		case *ast.DotExpression:
			names = append(names, at.Identifier.Name.String())
			e = at.Left
		default:
			return ""
		}
	}
	return ""
}
