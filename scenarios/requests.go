package scenarios

import (
	"fmt"
	"maps"
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
	// places are those of requests, by their names as problems have them, and of blocks in them: "buy/add.expect".
	places map[string]hcl.Range
	bodies map[string]hcl.Body
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
		out = append(out, &flowBlock{Name: q.Name, Weight: q.Weight, Requests: []requestBlock{*q},
			DefRange: q.DefRange, Body: q.Whole})
	}
	for i := range r.block.Flows {
		f := &r.block.Flows[i]
		for _, q := range f.Requests {
			if q.Weight != nil {
				r.errorf(attrRange(q.Whole, "weight", q.DefRange), "Weight inside a flow", "A flow's requests "+
					"are all made, one after the other. "+
					"Give the flow a weight, or take the request out of it.")
			}
		}
		if len(f.Requests) == 0 {
			r.errorf(f.DefRange, "Empty flow", "A flow is one request after the other: request \"home\" { url "+
				"= \"/\" }.")
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

// flow decodes requests that are made one after the other.
func (r *requesting) flow(b *flowBlock) {
	r.identifier("flow", b.Name, b.DefRange)
	f := loadgen.Flow{Name: b.Name, Weight: 1}
	if b.Weight != nil {
		f.Weight = *b.Weight
		if f.Weight < 0 || f.Weight > 1e9 {
			r.errorf(attrRange(b.Body, "weight", b.DefRange), "Invalid weight", "A weight is from 0, which is "+
				"never, to 1e9; a flow of weight 3 is run three times as often as one of weight 1.")
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
	out := loadgen.Request{Name: q.Name, Method: strings.ToUpper(q.Method), Redirects: q.Redirects,
		Timeout: r.timeout, Base: r.base}
	if q.Timeout != nil {
		out.Timeout = r.duration(*q.Timeout, q.Whole, "timeout", q.DefRange, time.Millisecond)
	}
	out.URL = inURL(r.text(q.URL, values))
	out.Headers = r.headerLines(q.Headers, values)
	for _, h := range r.headers {
		if !slices.ContainsFunc(out.Headers, func(own loadgen.Header) bool { return strings.EqualFold(own.Name, h.Name) }) {
			out.Headers = append(out.Headers, h)
		}
	}
	out.Body = inBody(r.text(q.Body, values), out.Headers)
	if begin, _ := out.URL.Known(); strings.HasPrefix(begin, "/") && r.base == "" {
		r.errorf(attrRange(q.Whole, "url", q.DefRange), "No base", "%q is only a path. Say where to in the "+
			"traffic block, base = \"http://shop:8080\", or write the whole URL.", begin)
	}
	out.Think = r.pause(q)
	if one(r.loader, q.Calls, "grpc", func(b callBlock) hcl.Range { return b.DefRange }) {
		b := q.Calls[0]
		out.Call = &loadgen.Call{Descriptor: r.path(b.Descriptor), Method: b.Method, Message: inBody(r.text(b.Message, values), nil)}
		if q.Method != "" || given(q.Body) || q.Redirects != 0 {
			r.errorf(q.DefRange, "Not for gRPC", "A call has no method of HTTP, no body and no redirects: its "+
				"message stands in the grpc block.")
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
			r.errorf(e.DefRange, "Extract from where?", "A value comes from one place: json = \"items.0.id\", or "+
				"header = \"Location\", or regexp = \"id=(\\\\d+)\".")
		}
		out.Extract = append(out.Extract, loadgen.Extract{Name: e.Name, JSON: e.JSON, Header: e.Header,
			Regexp: e.Regexp})
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
	v, _ = v.UnmarkDeep()
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return loadgen.Pause{}
	}
	var texts []string
	if v.Type() == cty.String && !v.IsNull() {
		texts = []string{v.AsString()}
	} else if !v.IsNull() && (v.Type().IsTupleType() || v.Type().IsListType()) {
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
		r.errorf(at, "Invalid think time", "A think time is a duration, think = \"500ms\", or the shortest and "+
			"the longest: think = [\"200ms\", \"1s\"].")
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
	v, _ = v.UnmarkDeep()
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
		if err != nil || n.IsNull() || !n.AsBigFloat().IsInt() {
			r.errorf(b.Status.Range(), "Invalid status", "A status is a number, or a list of those that are "+
				"right: status = [200, 201].")
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
		r.errorf(at, "Invalid json", "Conditions on JSON are paths with the values expected there: json = "+
			"{ \"items.0.sku\" = \"A1\" }. A value of null only asks that it is there.")
		return nil
	}
	var out []loadgen.JSONCheck
	fields := v.AsValueMap()
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		c := loadgen.JSONCheck{Path: path}
		if !fields[path].IsNull() {
			text, ok := textOf(fields[path])
			if !ok {
				r.errorf(at, "Invalid json", "What is expected at %q is %s, and must be a text, a number, a "+
					"boolean, or null.", path, fields[path].Type().FriendlyName())
				return nil
			}
			c.Equals = &text
		}
		out = append(out, c)
	}
	return out
}

// Spec returns what a generator needs to send the stream, but for what only a run knows.
func (t Traffic) Spec() loadgen.Spec {
	return loadgen.Spec{Stream: t.Name, Script: t.Script, Flows: t.Flows, Wire: t.Wire, Data: t.Data, Env: t.Env,
		Rate: t.Rate, Generators: t.Generators, RunOn: t.RunOn,
		Idle: t.Late(), Poisson: t.Poisson, KeepExecutors: t.KeepExecutors, Factor: 1, MaxVUs: t.MaxVUs, Memory: t.Memory,
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
