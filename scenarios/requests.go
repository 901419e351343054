package scenarios

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"gameday/loadgen"
)

// requestBlock is one request of a flow, or a flow of its own.
type requestBlock struct {
	Name      string         `hcl:"name,label"`
	Weight    *float64       `hcl:"weight,optional"`
	Method    string         `hcl:"method,optional"`
	URL       hcl.Expression `hcl:"url"`
	Headers   hcl.Expression `hcl:"headers,optional"`
	Body      hcl.Expression `hcl:"body,optional"`
	Timeout   *string        `hcl:"timeout,optional"`
	Redirects int            `hcl:"redirects,optional"`
	Think     hcl.Expression `hcl:"think,optional"`
	Expects   []answerBlock  `hcl:"expect,block"`
	Extracts  []extractBlock `hcl:"extract,block"`
	Calls     []callBlock    `hcl:"grpc,block"`
	DefRange  hcl.Range      `hcl:",def_range"`
	Whole     hcl.Body       `hcl:",body"`
}

type flowBlock struct {
	Name     string         `hcl:"name,label"`
	Weight   *float64       `hcl:"weight,optional"`
	Requests []requestBlock `hcl:"request,block"`
	DefRange hcl.Range      `hcl:",def_range"`
	Body     hcl.Body       `hcl:",body"`
}

type answerBlock struct {
	Status   hcl.Expression    `hcl:"status,optional"`
	Contains []string          `hcl:"contains,optional"`
	Matches  []string          `hcl:"matches,optional"`
	JSON     hcl.Expression    `hcl:"json,optional"`
	Headers  map[string]string `hcl:"headers,optional"`
	DefRange hcl.Range         `hcl:",def_range"`
	Body     hcl.Body          `hcl:",body"`
}

type extractBlock struct {
	Name     string    `hcl:"name,label"`
	JSON     string    `hcl:"json,optional"`
	Header   string    `hcl:"header,optional"`
	Regexp   string    `hcl:"regexp,optional"`
	DefRange hcl.Range `hcl:",def_range"`
}

type callBlock struct {
	Descriptor string         `hcl:"descriptor"`
	Method     string         `hcl:"method"`
	Message    hcl.Expression `hcl:"message,optional"`
	DefRange   hcl.Range      `hcl:",def_range"`
}

type tlsBlock struct {
	CA         string    `hcl:"ca,optional"`
	Cert       string    `hcl:"cert,optional"`
	Key        string    `hcl:"key,optional"`
	ServerName string    `hcl:"server_name,optional"`
	Insecure   bool      `hcl:"insecure,optional"`
	DefRange   hcl.Range `hcl:",def_range"`
}

type dataBlock struct {
	Name     string         `hcl:"name,label"`
	Rows     hcl.Expression `hcl:"rows"`
	Order    string         `hcl:"order,optional"`
	DefRange hcl.Range      `hcl:",def_range"`
	Body     hcl.Body       `hcl:",body"`
}

// Orders in which rows are dealt, and ways to use connections.
const (
	inTurn   = "in turn"
	shuffled = "shuffled"
	kept     = "keep"
	fresh    = "fresh"
)

// requesting carries what the requests of one traffic block share while they are decoded.
type requesting struct {
	*decoding
	out     *Traffic
	block   *trafficBlock
	headers []loadgen.Header // of every request
	base    string
	timeout time.Duration
	places  map[string]hcl.Range // of requests, by their names as problems have them, and of blocks in them: "buy/add.expect"
	bodies  map[string]hcl.Body
}

// requests decodes a traffic block's requests and flows, and what they share.
func (d *decoding) requests(out *Traffic, t *trafficBlock) {
	r := &requesting{decoding: d, out: out, block: t, places: map[string]hcl.Range{}, bodies: map[string]hcl.Body{}}
	before := len(d.diags)
	r.wire()
	r.data()
	r.shared()
	seen := map[string]hcl.Range{}
	for _, f := range r.inOrder() {
		if d.unique(seen, "request or flow", f.Name, f.DefRange) {
			r.flow(f)
		}
	}
	if len(d.diags) == before {
		r.check()
	}
}

// inOrder returns the block's flows as they stand in the file, a request outside of one as a flow of its own.
func (r *requesting) inOrder() []*flowBlock {
	var out []*flowBlock
	for i := range r.block.Requests {
		q := &r.block.Requests[i]
		out = append(out, &flowBlock{Name: q.Name, Weight: q.Weight, Requests: []requestBlock{*q}, DefRange: q.DefRange, Body: q.Whole})
	}
	for i := range r.block.Flows {
		f := &r.block.Flows[i]
		for _, q := range f.Requests {
			if q.Weight != nil {
				r.errorf(attrRange(q.Whole, "weight", q.DefRange), "Weight inside a flow", "A flow's requests are all made, one after the other. "+
					"Give the flow a weight, or take the request out of it.")
			}
		}
		if len(f.Requests) == 0 {
			r.errorf(f.DefRange, "Empty flow", "A flow is one request after the other: request \"home\" { url = \"/\" }.")
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *flowBlock) int { return a.DefRange.Start.Byte - b.DefRange.Start.Byte })
	return out
}

// check lets the engine look at all of it, and shows what it finds at the requests.
func (r *requesting) check() {
	if r.opts.Catalogue.CheckScript == nil {
		return
	}
	for _, p := range r.opts.Catalogue.CheckScript(r.out.Spec()) {
		at, ok := r.places[p.Request+"."+p.Field] // a block in the request
		if !ok {
			if at, ok = r.places[p.Request]; !ok {
				at = r.block.DefRange
			}
			if p.Field != "" {
				at = attrRange(r.bodies[p.Request], p.Field, at)
			}
		}
		r.errorf(at, p.Summary, "%s", p.Detail)
	}
}

// wire decodes how requests travel.
func (r *requesting) wire() {
	t := r.block
	w := loadgen.Wire{HTTP: t.HTTP, Unix: r.path(t.Unix)}
	if !slices.Contains([]string{"", loadgen.HTTP1, loadgen.HTTP2}, t.HTTP) {
		r.errorf(attrRange(t.Body, "http", t.DefRange), "Invalid http", "%q is not a version of HTTP to send here. There are %q and %q.", t.HTTP, loadgen.HTTP1, loadgen.HTTP2)
	}
	switch t.Connections {
	case "", kept:
	case fresh:
		w.Fresh = true
	default:
		r.errorf(attrRange(t.Body, "connections", t.DefRange), "Invalid connections", "%q is not a way to use connections.%s Take %q, which is the default, "+
			"or %q: a new one for each iteration.", t.Connections, suggest(t.Connections, []string{kept, fresh}), kept, fresh)
	}
	if one(r.loader, t.TLS, "tls", func(b tlsBlock) hcl.Range { return b.DefRange }) {
		b := t.TLS[0]
		w.TLS = loadgen.TLS{CA: r.path(b.CA), Cert: r.path(b.Cert), Key: r.path(b.Key), ServerName: b.ServerName, Insecure: b.Insecure}
		if (b.Cert == "") != (b.Key == "") {
			r.errorf(b.DefRange, "Half a certificate", "A certificate of the client's needs both files: cert and key.")
		}
	}
	r.out.Wire = w
}

// path makes a path absolute; paths are relative to the scenario's folder.
func (r *requesting) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, filepath.FromSlash(p))
}

// shared decodes what every request has unless it has its own.
func (r *requesting) shared() {
	t := r.block
	r.base = strings.TrimSuffix(t.Base, "/")
	if t.Base != "" && !strings.HasPrefix(t.Base, "http://") && !strings.HasPrefix(t.Base, "https://") {
		r.errorf(attrRange(t.Body, "base", t.DefRange), "Invalid base", "%q does not begin with http:// or https://. The base is put before each url that begins with \"/\".", t.Base)
	}
	if t.Timeout != nil {
		r.timeout = r.duration(*t.Timeout, t.Body, "timeout", t.DefRange, time.Millisecond)
	}
	r.headers = r.headerLines(t.Headers, nil)
}

// data decodes the tables that rows are dealt of.
func (r *requesting) data() {
	seen := map[string]hcl.Range{}
	for _, b := range r.block.Data {
		if !r.unique(seen, "data", b.Name, b.DefRange) {
			continue
		}
		r.identifier("data", b.Name, b.DefRange)
		set := loadgen.DataSet{Name: b.Name, Shuffle: b.Order == shuffled}
		if !slices.Contains([]string{"", inTurn, shuffled}, b.Order) {
			r.errorf(attrRange(b.Body, "order", b.DefRange), "Invalid order", "%q is not an order of rows.%s Take %q, which is the default, or %q.",
				b.Order, suggest(b.Order, []string{inTurn, shuffled}), inTurn, shuffled)
		}
		r.rows(&set, b)
		r.out.Data = append(r.out.Data, set)
	}
}

const rowsHelp = "Rows are a list of objects with the same attributes, such as csvdecode(file(\"users.csv\")) or [{ name = \"ann\" }]."

func (r *requesting) rows(set *loadgen.DataSet, b dataBlock) {
	at := attrRange(b.Body, "rows", b.DefRange)
	v, diags := bare(b.Rows).Value(r.loader.base)
	r.add(diags)
	v, _ = v.UnmarkDeep()
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return
	}
	if v.IsNull() || !v.CanIterateElements() || v.LengthInt() == 0 {
		r.errorf(at, "No rows", "%s", rowsHelp)
		return
	}
	for it := v.ElementIterator(); it.Next(); {
		i, row := it.Element()
		if row.IsNull() || !(row.Type().IsObjectType() || row.Type().IsMapType()) {
			r.errorf(at, "Invalid row", "%s", rowsHelp)
			return
		}
		fields := row.AsValueMap()
		names := slices.Sorted(maps.Keys(fields))
		if set.Columns == nil {
			set.Columns = names
		}
		if !slices.Equal(names, set.Columns) || len(names) == 0 {
			n, _ := i.AsBigFloat().Int64()
			r.errorf(at, "Invalid row", "The first row has the attributes %s, and row %d has %s. %s", list(set.Columns), n+1, list(names), rowsHelp)
			return
		}
		var texts []string
		for _, name := range names {
			text, ok := textOf(fields[name])
			if !ok {
				r.errorf(at, "Invalid row", "The attribute %s is %s, and must be a text, a number or a boolean.", name, fields[name].Type().FriendlyName())
				return
			}
			texts = append(texts, text)
		}
		set.Rows = append(set.Rows, texts)
	}
}

// textOf turns a plain value into text.
func textOf(v cty.Value) (string, bool) {
	if v.IsNull() || !v.IsKnown() {
		return "", false
	}
	text, err := convert.Convert(v, cty.String)
	if err != nil || text.IsNull() {
		return "", false
	}
	return text.AsString(), true
}

// flow decodes requests that are made one after the other.
func (r *requesting) flow(b *flowBlock) {
	r.identifier("flow", b.Name, b.DefRange)
	f := loadgen.Flow{Name: b.Name, Weight: 1}
	if b.Weight != nil {
		f.Weight = *b.Weight
		if f.Weight < 0 || f.Weight > 1e9 {
			r.errorf(attrRange(b.Body, "weight", b.DefRange), "Invalid weight", "A weight is from 0, which is never, to 1e9; a flow of weight 3 is run three times as often as one of weight 1.")
		}
	}
	seen := map[string]hcl.Range{}
	var values []string
	for i := range b.Requests {
		q := &b.Requests[i]
		if !r.unique(seen, "request", q.Name, q.DefRange) {
			continue
		}
		r.identifier("request", q.Name, q.DefRange)
		name := q.Name
		if b.Name != q.Name {
			name = b.Name + "/" + q.Name
		}
		r.places[name], r.bodies[name] = q.DefRange, q.Whole
		for _, b := range q.Expects {
			r.places[name+".expect"] = b.DefRange
		}
		for _, b := range q.Calls {
			r.places[name+".grpc"] = b.DefRange
		}
		f.Requests = append(f.Requests, r.request(q, values))
		for _, e := range q.Extracts {
			values = append(values, e.Name)
		}
	}
	r.out.Flows = append(r.out.Flows, f)
}

func (r *requesting) request(q *requestBlock, values []string) loadgen.Request {
	out := loadgen.Request{Name: q.Name, Method: strings.ToUpper(q.Method), Redirects: q.Redirects, Timeout: r.timeout, Base: r.base}
	if q.Timeout != nil {
		out.Timeout = r.duration(*q.Timeout, q.Whole, "timeout", q.DefRange, time.Millisecond)
	}
	out.URL = r.text(q.URL, values)
	out.Body = r.text(q.Body, values)
	out.Headers = r.headerLines(q.Headers, values)
	for _, h := range r.headers {
		if !slices.ContainsFunc(out.Headers, func(own loadgen.Header) bool { return strings.EqualFold(own.Name, h.Name) }) {
			out.Headers = append(out.Headers, h)
		}
	}
	if begin, _ := out.URL.Known(); strings.HasPrefix(begin, "/") && r.base == "" {
		r.errorf(attrRange(q.Whole, "url", q.DefRange), "No base", "%q is only a path. Say where to in the traffic block, base = \"http://shop:8080\", or write the whole URL.", begin)
	}
	out.Think = r.pause(q)
	if one(r.loader, q.Calls, "grpc", func(b callBlock) hcl.Range { return b.DefRange }) {
		b := q.Calls[0]
		out.Call = &loadgen.Call{Descriptor: r.path(b.Descriptor), Method: b.Method, Message: r.text(b.Message, values)}
		if q.Method != "" || given(q.Body) || q.Redirects != 0 {
			r.errorf(q.DefRange, "Not for gRPC", "A call has no method of HTTP, no body and no redirects: its message stands in the grpc block.")
		}
	}
	if one(r.loader, q.Expects, "expect", func(b answerBlock) hcl.Range { return b.DefRange }) {
		out.Expect = r.expect(q.Expects[0])
	}
	for _, e := range q.Extracts {
		r.identifier("value", e.Name, e.DefRange)
		given := 0
		for _, s := range []string{e.JSON, e.Header, e.Regexp} {
			if s != "" {
				given++
			}
		}
		if given != 1 {
			r.errorf(e.DefRange, "Extract from where?", "A value comes from one place: json = \"items.0.id\", or header = \"Location\", or regexp = \"id=(\\\\d+)\".")
		}
		out.Extract = append(out.Extract, loadgen.Extract{Name: e.Name, JSON: e.JSON, Header: e.Header, Regexp: e.Regexp})
	}
	return out
}

// pause decodes think: one duration, or the shortest and the longest.
func (r *requesting) pause(q *requestBlock) loadgen.Pause {
	if !given(q.Think) {
		return loadgen.Pause{}
	}
	at := q.Think.Range()
	v, diags := bare(q.Think).Value(r.loader.base)
	r.add(diags)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return loadgen.Pause{}
	}
	var texts []string
	if v.Type() == cty.String && !v.IsNull() {
		texts = []string{v.AsString()}
	} else if !v.IsNull() && v.CanIterateElements() {
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			text, _ := textOf(e)
			texts = append(texts, text)
		}
	}
	var ends []time.Duration
	for _, text := range texts {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			texts = nil
		}
		ends = append(ends, d)
	}
	if len(texts) == 0 || len(texts) > 2 || ends[len(ends)-1] < ends[0] {
		r.errorf(at, "Invalid think time", "A think time is a duration, think = \"500ms\", or the shortest and the longest: think = [\"200ms\", \"1s\"].")
		return loadgen.Pause{}
	}
	return loadgen.Pause{Min: ends[0], Max: ends[len(ends)-1]}
}

// expect decodes the conditions on an answer.
func (r *requesting) expect(b answerBlock) loadgen.Expect {
	var out loadgen.Expect
	if given(b.Status) {
		out.Status = r.statuses(b)
	}
	for _, c := range b.Contains {
		out.Body = append(out.Body, loadgen.BodyCheck{Contains: c})
	}
	for _, m := range b.Matches {
		out.Body = append(out.Body, loadgen.BodyCheck{Matches: m})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Headers)) {
		out.Headers = append(out.Headers, loadgen.HeaderCheck{Name: name, Matches: b.Headers[name]})
	}
	if given(b.JSON) {
		out.JSON = r.jsonChecks(b)
	}
	return out
}

func (r *requesting) statuses(b answerBlock) []int {
	v, diags := bare(b.Status).Value(r.loader.base)
	r.add(diags)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return nil
	}
	list := []cty.Value{v}
	if !v.IsNull() && v.CanIterateElements() {
		list = v.AsValueSlice()
	}
	var out []int
	for _, e := range list {
		n, err := convert.Convert(e, cty.Number)
		if err != nil || n.IsNull() {
			r.errorf(b.Status.Range(), "Invalid status", "A status is a number, or a list of those that are right: status = [200, 201].")
			return nil
		}
		i, _ := n.AsBigFloat().Int64()
		out = append(out, int(i))
	}
	return out
}

func (r *requesting) jsonChecks(b answerBlock) []loadgen.JSONCheck {
	at := b.JSON.Range()
	v, diags := bare(b.JSON).Value(r.loader.base)
	r.add(diags)
	v, _ = v.UnmarkDeep()
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return nil
	}
	if v.IsNull() || !(v.Type().IsObjectType() || v.Type().IsMapType()) {
		r.errorf(at, "Invalid json", "Conditions on JSON are paths with the values expected there: json = { \"items.0.sku\" = \"A1\" }. A value of null only asks that it is there.")
		return nil
	}
	var out []loadgen.JSONCheck
	fields := v.AsValueMap()
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		c := loadgen.JSONCheck{Path: path}
		if !fields[path].IsNull() {
			text, ok := textOf(fields[path])
			if !ok {
				r.errorf(at, "Invalid json", "What is expected at %q is %s, and must be a text, a number, a boolean, or null.", path, fields[path].Type().FriendlyName())
				return nil
			}
			c.Equals = &text
		}
		out = append(out, c)
	}
	return out
}

// headerLines decodes a map of header lines, whose values may have gaps.
func (r *requesting) headerLines(e hcl.Expression, values []string) []loadgen.Header {
	if !given(e) {
		return nil
	}
	v, ok := r.evaluate(e, values)
	if !ok {
		return nil
	}
	if v.IsNull() || !(v.Type().IsObjectType() || v.Type().IsMapType()) {
		r.errorf(e.Range(), "Invalid headers", "Headers are names with values: headers = { \"Content-Type\" = \"application/json\" }.")
		return nil
	}
	fields := v.AsValueMap()
	var out []loadgen.Header
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		text, ok := textOf(fields[name])
		if !ok {
			r.errorf(e.Range(), "Invalid headers", "The value of the header %s is %s, and must be a text.", name, fields[name].Type().FriendlyName())
			return nil
		}
		out = append(out, loadgen.Header{Name: name, Value: r.split(text)})
	}
	r.complete(e, out)
	return out
}

// complete complains of references that a function has swallowed.
func (r *requesting) complete(e hcl.Expression, lines []loadgen.Header) {
	var all loadgen.Text
	for _, l := range lines {
		all = append(all, l.Value...)
	}
	r.unharmed(e, all)
}

// text decodes a text that may have gaps.
func (r *requesting) text(e hcl.Expression, values []string) loadgen.Text {
	if !given(e) {
		return nil
	}
	v, ok := r.evaluate(e, values)
	if !ok {
		return nil
	}
	text, ok := textOf(v)
	if !ok {
		r.errorf(e.Range(), "Not a text", "A text is expected here, and this is %s. For JSON write jsonencode({ … }).", v.Type().FriendlyName())
		return nil
	}
	out := r.split(text)
	r.unharmed(e, out)
	return out
}

// What a gap looks like while an expression is evaluated: its reference between two characters of Unicode's private use.
const (
	gapBegin = "\uE0F0"
	gapEnd   = "\uE0F1"
)

// evaluate evaluates an expression in which values that are known only when a request is made stand as gaps. ok is false
// when there is no value, which was said.
func (r *requesting) evaluate(e hcl.Expression, values []string) (v cty.Value, ok bool) {
	before := len(r.diags.Errs())
	for _, t := range bare(e).Variables() {
		r.known(t, values)
	}
	if len(r.diags.Errs()) > before {
		return cty.NilVal, false
	}
	ctx := r.loader.base.NewChild()
	ctx.Variables = r.gaps(values)
	v, diags := bare(e).Value(ctx)
	for _, d := range diags {
		d.EvalContext, d.Expression = nil, nil // it would show the gaps
	}
	r.add(diags)
	v, _ = v.UnmarkDeep()
	return v, !diags.HasErrors() && v.IsWhollyKnown()
}

// gaps returns the values that stand for what is not known yet.
func (r *requesting) gaps(values []string) map[string]cty.Value {
	gap := func(ref string) cty.Value { return cty.StringVal(gapBegin + ref + gapEnd) }
	extracted := map[string]cty.Value{}
	for _, name := range values {
		extracted[name] = gap("value." + name)
	}
	sets := map[string]cty.Value{}
	for _, set := range r.out.Data {
		columns := map[string]cty.Value{}
		for _, c := range set.Columns {
			columns[c] = gap("data." + set.Name + "." + c)
		}
		sets[set.Name] = cty.ObjectVal(columns)
	}
	return map[string]cty.Value{"value": cty.ObjectVal(extracted), "data": cty.ObjectVal(sets),
		"iteration": cty.ObjectVal(map[string]cty.Value{"number": gap("iteration.number"), "id": gap("iteration.id")})}
}

// known checks a reference to what is known only when a request is made.
func (r *requesting) known(t hcl.Traversal, values []string) {
	at := t.SourceRange()
	root := t.RootName()
	if root != "value" && root != "data" && root != "iteration" {
		return
	}
	names := make([]string, 0, 2)
	for _, step := range t[1:] {
		a, ok := step.(hcl.TraverseAttr)
		if !ok {
			r.errorf(at, "Invalid reference", "Write it with dots: value.cart, data.users.name, iteration.number.")
			return
		}
		names = append(names, a.Name)
	}
	first := ""
	if len(names) > 0 {
		first = names[0]
	}
	switch {
	case root == "value" && (len(names) != 1 || !slices.Contains(values, first)):
		r.errorf(at, "Unknown value", "No request before this one in its flow extracts %q.%s Extracted: %s.", first, suggest(first, values), list(values))
	case root == "iteration" && (len(names) != 1 || first != "number" && first != "id"):
		r.errorf(at, "Unknown reference", "Of an iteration there are iteration.number, which counts from 1, and iteration.id, a random UUID.")
	case root == "data":
		var sets []string
		for _, set := range r.out.Data {
			sets = append(sets, set.Name)
			if set.Name != first {
				continue
			}
			if len(names) != 2 || !slices.Contains(set.Columns, names[1]) {
				column := strings.Join(names[1:], ".")
				r.errorf(at, "Unknown column", "data.%s has no column %q.%s There are %s.", first, column, suggest(column, set.Columns), list(set.Columns))
			}
			return
		}
		r.errorf(at, "Unknown data", "This traffic has no data %q.%s Declared: %s.", first, suggest(first, sets), list(sets))
	}
}

// split takes a text apart at its gaps.
func (r *requesting) split(text string) loadgen.Text {
	var out loadgen.Text
	for text != "" {
		before, rest, found := strings.Cut(text, gapBegin)
		if before != "" {
			out = append(out, loadgen.Part{Text: before})
		}
		if !found {
			break
		}
		ref, after, _ := strings.Cut(rest, gapEnd)
		out = append(out, loadgen.Part{Ref: ref})
		text = after
	}
	return out
}

// unharmed complains when a function has changed a gap: what is not known yet can be put into texts, and nothing else.
func (r *requesting) unharmed(e hcl.Expression, got loadgen.Text) {
	want := map[string]bool{}
	for _, t := range bare(e).Variables() {
		if root := t.RootName(); root == "value" || root == "data" || root == "iteration" {
			want[dotted(t)] = true
		}
	}
	for _, p := range got {
		if p.Ref == "" {
			continue
		}
		if !want[p.Ref] {
			want[p.Ref] = true // changed beyond recognition
			continue
		}
		want[p.Ref] = false
	}
	for _, ref := range slices.Sorted(maps.Keys(want)) {
		if want[ref] && !slices.ContainsFunc(got, func(p loadgen.Part) bool { return p.Ref == ref }) {
			r.errorf(e.Range(), "Value is not known yet", "%s is known only when the request is made: it can be put into a text, \"…${%s}…\", or into jsonencode(), but no function "+
				"can look at it or change it.", ref, ref)
			return
		}
	}
}

func dotted(t hcl.Traversal) string {
	out := t.RootName()
	for _, step := range t[1:] {
		if a, ok := step.(hcl.TraverseAttr); ok {
			out += "." + a.Name
		}
	}
	return out
}

// Spec returns what a generator needs to send the stream, but for what only a run knows.
func (t Traffic) Spec() loadgen.Spec {
	return loadgen.Spec{Stream: t.Name, Script: t.Script, Flows: t.Flows, Wire: t.Wire, Data: t.Data, Env: t.Env, Rate: t.Rate,
		Idle: t.Late(), Poisson: t.Poisson, KeepExecutors: t.KeepExecutors, Factor: 1, MaxVUs: t.MaxVUs,
		PeakMultiple: t.Multiples().Peak(loadgen.Never)}
}

// Mix says in words what the stream's iterations do: "home 75 %, buy 25 % (add, pay)". It is empty for a script.
func (t Traffic) Mix() string {
	sum := 0.0
	for _, f := range t.Flows {
		sum += f.Weight
	}
	var words []string
	for _, f := range t.Flows {
		word := f.Name
		if len(t.Flows) > 1 && sum > 0 {
			word += fmt.Sprintf(" %.3g %%", 100*f.Weight/sum)
		}
		if len(f.Requests) > 1 || len(f.Requests) == 1 && f.Requests[0].Name != f.Name {
			var names []string
			for _, q := range f.Requests {
				names = append(names, q.Name)
			}
			word += " (" + strings.Join(names, ", ") + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}
