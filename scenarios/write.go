package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"gameday/loadgen"
)

// Draft is traffic to be written down for the first time: one traffic block, and what it needs around it.
type Draft struct {
	Name string
	// Base is put before the URLs that begin with "/". The bases of the requests themselves are not looked at: they could not
	// have gaps.
	Base     loadgen.Text
	Multiple float64 // 0 leaves it out
	Rate     float64 // of the baseline
	RateNote string  // is written beside the rate
	// Flows may have gaps beyond those that a loadgen.Part has: any expression of the language, such as var.host and
	// secret("TOKEN").
	Flows     []loadgen.Flow
	Wire      loadgen.Wire
	Variables []DraftVariable
	Off       []Place // flows and requests to be written as comments
	Notes     []Note
	// Scenario is the name of a scenario to be written around the block; empty writes the block alone.
	Scenario, Summary string
}

// DraftVariable is a variable or a local that the flows refer to.
type DraftVariable struct {
	Name        string
	Value       loadgen.Text // nil is none: it must be set
	Description string
	Local       bool
}

// Place is a flow of a draft, or with Request set one of its requests. The zero value is the block itself.
type Place struct {
	Flow    string `json:"flow,omitempty"`
	Request string `json:"request,omitempty"`
}

// Note is a comment at its place.
type Note struct {
	Place Place
	Text  string
}

// ErrTooLong is that a draft would be longer than a scenario may be.
var ErrTooLong = errors.New("it is longer than a scenario may be")

// WriteTraffic writes a draft as HCL, formatted. What it writes, Load reads back to the same flows, but that headers have
// no order and bodies of JSON are written anew. It returns ErrTooLong for one that Load would refuse, and writes nothing.
func WriteTraffic(w io.Writer, d Draft) error {
	p := &printer{d: d, noted: map[Place][]string{}}
	for _, n := range d.Notes {
		p.noted[n.Place] = append(p.noted[n.Place], n.Text)
	}
	p.variables()
	if d.Scenario != "" {
		p.line("scenario %s {", quoted(d.Scenario))
		p.attr("summary", quoted(d.Summary), d.Summary != "")
		p.line("")
		p.line("timeline {")
		p.line("baseline = \"30s\" # 1x; the steady state must hold here, else nothing is injected")
		p.line("ramp = \"10s\"")
		p.line("load = \"2m\" # at the multiple")
		p.line("recovery = \"30s\"")
		p.line("}")
		p.line("")
	}
	p.traffic()
	if d.Scenario != "" {
		p.line("")
		p.line("steady_state {")
		p.line("expect \"availability\" { that = sli.error_ratio < 0.01 }")
		p.line("expect \"latency\" { that = sli.p95 < seconds(\"500ms\") }")
		p.line("}")
		p.line("}")
	}
	if p.out.Len() > MaxSize { // which to format takes a hundred times its size
		return ErrTooLong
	}
	text := hclwrite.Format(p.out.Bytes())
	if len(text) > MaxSize {
		return ErrTooLong
	}
	_, err := w.Write(text)
	return err
}

// printer writes lines without a care for their indentation: they are formatted at the end.
type printer struct {
	d      Draft
	out    bytes.Buffer
	common []loadgen.Header // of every request
	noted  map[Place][]string
}

func (p *printer) line(format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	p.out.WriteString(format + "\n")
}

// attr writes an attribute, if it is given.
func (p *printer) attr(name, value string, given bool) {
	if given {
		p.line("%s = %s", name, value)
	}
}

// noteWidth is how many columns a comment takes, without its indentation.
const noteWidth = 100

// notes writes the comments of a place.
func (p *printer) notes(at Place) {
	for _, text := range p.noted[at] {
		for _, l := range wrap(text, noteWidth) {
			p.line("# %s", l)
		}
	}
}

// wrap breaks a text into lines at its spaces. What cannot be printed is left out: a comment ends with its line.
func wrap(text string, width int) []string {
	var lines []string
	var line string
	for _, word := range strings.Fields(strings.Map(printable, text)) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = "  "
		}
		if strings.TrimSpace(line) != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

func printable(c rune) rune {
	if strconv.IsPrint(c) {
		return c
	}
	return ' '
}

func (p *printer) variables() {
	locals := false
	for _, v := range p.d.Variables {
		locals = locals || v.Local
		if v.Local {
			continue
		}
		p.line("variable %s {", quoted(v.Name))
		p.line("type = string")
		p.attr("default", expression(v.Value), v.Value != nil)
		p.attr("description", quoted(v.Description), v.Description != "")
		p.line("}")
	}
	if locals {
		p.line("locals {")
		for _, v := range p.d.Variables {
			if v.Local {
				p.line("%s = %s", v.Name, expression(v.Value))
			}
		}
		p.line("}")
	}
	if len(p.d.Variables) > 0 {
		p.line("")
	}
}

func (p *printer) traffic() {
	p.lift()
	p.line("traffic %s {", quoted(p.d.Name))
	p.notes(Place{})
	p.attr("multiple", number(p.d.Multiple), p.d.Multiple > 0)
	p.attr("base", expression(p.d.Base), len(p.d.Base) > 0)
	p.headers(p.common)
	p.wire()
	p.line("")
	note := ""
	if p.d.RateNote != "" {
		note = " # " + p.d.RateNote
	}
	p.line("baseline { rate = %s }%s", number(p.d.Rate), note)
	for _, f := range p.d.Flows {
		p.line("")
		p.flow(f)
	}
	p.line("}")
}

// lift finds the headers that every request has with the same value.
func (p *printer) lift() {
	requests := 0
	counts := map[string]int{}
	key := func(h loadgen.Header) string { return strings.ToLower(h.Name) + "\x00" + expression(h.Value) }
	for _, f := range p.d.Flows {
		for _, q := range f.Requests {
			requests++
			for _, h := range q.Headers {
				counts[key(h)]++
			}
		}
	}
	if requests < 2 || len(p.d.Flows[0].Requests) == 0 {
		return
	}
	for _, h := range p.d.Flows[0].Requests[0].Headers {
		if counts[key(h)] == requests {
			p.common = append(p.common, h)
		}
	}
}

func (p *printer) wire() {
	w := p.d.Wire
	p.attr("http", quoted(w.HTTP), w.HTTP != "")
	p.attr("unix", quoted(w.Unix), w.Unix != "")
	p.attr("connections", quoted("fresh"), w.Fresh)
	if w.TLS == (loadgen.TLS{}) {
		return
	}
	p.line("tls {")
	p.attr("ca", quoted(w.TLS.CA), w.TLS.CA != "")
	p.attr("cert", quoted(w.TLS.Cert), w.TLS.Cert != "")
	p.attr("key", quoted(w.TLS.Key), w.TLS.Key != "")
	p.attr("server_name", quoted(w.TLS.ServerName), w.TLS.ServerName != "")
	p.attr("insecure", "true", w.TLS.Insecure)
	p.line("}")
}

// flow writes a flow; one of a single request of its own name is that request.
func (p *printer) flow(f loadgen.Flow) {
	off := slices.Contains(p.d.Off, Place{Flow: f.Name}) || !slices.ContainsFunc(f.Requests, func(q loadgen.Request) bool {
		return !slices.Contains(p.d.Off, Place{f.Name, q.Name})
	})
	p.notes(Place{Flow: f.Name})
	if off {
		for _, q := range f.Requests {
			p.notes(Place{f.Name, q.Name})
		}
	}
	p.block(off, func(p *printer) {
		if len(f.Requests) == 1 && f.Requests[0].Name == f.Name {
			p.request(f.Name, f.Requests[0], number(f.Weight))
			return
		}
		p.line("flow %s {", quoted(f.Name))
		p.line("weight = %s", number(f.Weight))
		for _, q := range f.Requests {
			p.line("")
			off := !off && slices.Contains(p.d.Off, Place{f.Name, q.Name})
			if off {
				p.notes(Place{f.Name, q.Name})
			}
			p.block(off, func(p *printer) { p.request(f.Name, q, "") })
		}
		p.line("}")
	})
}

// block writes what f writes, or when it is off the same as comments.
func (p *printer) block(off bool, f func(*printer)) {
	if !off {
		f(p)
		return
	}
	inner := &printer{d: p.d, common: p.common} // without notes: they stand before it
	f(inner)
	for line := range strings.Lines(string(hclwrite.Format(inner.out.Bytes()))) {
		p.line("%s", strings.TrimRight("# "+line, " \n"))
	}
}

func (p *printer) request(flow string, q loadgen.Request, weight string) {
	p.line("request %s {", quoted(q.Name))
	p.notes(Place{flow, q.Name})
	p.attr("weight", weight, weight != "")
	p.attr("method", quoted(q.Method), q.Method != "" && q.Method != "GET")
	p.line("url = %s", expression(q.URL))
	p.headers(slices.DeleteFunc(slices.Clone(q.Headers), func(h loadgen.Header) bool {
		return slices.ContainsFunc(p.common, func(c loadgen.Header) bool { return strings.EqualFold(c.Name, h.Name) })
	}))
	p.attr("body", bodyExpression(q.Body), len(q.Body) > 0)
	p.attr("timeout", quoted(duration(q.Timeout)), q.Timeout > 0)
	p.attr("redirects", strconv.Itoa(q.Redirects), q.Redirects > 0)
	p.attr("think", pause(q.Think), q.Think != loadgen.Pause{})
	if c := q.Call; c != nil {
		p.line("grpc {")
		p.line("descriptor = %s", quoted(c.Descriptor))
		p.line("method = %s", quoted(c.Method))
		p.attr("message", bodyExpression(c.Message), len(c.Message) > 0)
		p.line("}")
	}
	p.expect(q.Expect)
	for _, e := range q.Extract {
		p.extract(e)
	}
	p.line("}")
}

// joined returns a text without empty parts and without two literal ones side by side.
func joined(t loadgen.Text) loadgen.Text {
	var out loadgen.Text
	for _, p := range t {
		n := len(out)
		switch {
		case p.Ref == "" && p.Text == "":
		case p.Ref == "" && n > 0 && out[n-1].Ref == "":
			out[n-1].Text += p.Text
		default:
			out = append(out, p)
		}
	}
	return out
}

func (p *printer) headers(list []loadgen.Header) {
	if len(list) == 0 {
		return
	}
	var members []string
	for _, h := range list {
		members = append(members, quoted(h.Name)+" = "+expression(h.Value))
	}
	p.line("headers = %s", object(members))
}

func (p *printer) expect(e loadgen.Expect) {
	var lines []string
	if len(e.Status) > 0 {
		var codes []string
		for _, s := range e.Status {
			codes = append(codes, strconv.Itoa(s))
		}
		lines = append(lines, "status = ["+strings.Join(codes, ", ")+"]")
	}
	var contains, matches, json, headers []string
	for _, b := range e.Body {
		if b.Contains != "" {
			contains = append(contains, quoted(b.Contains))
		} else {
			matches = append(matches, quoted(b.Matches))
		}
	}
	for _, j := range e.JSON {
		value := "null"
		if j.Equals != nil {
			value = quoted(*j.Equals)
		}
		json = append(json, quoted(j.Path)+" = "+value)
	}
	for _, h := range e.Headers {
		headers = append(headers, quoted(h.Name)+" = "+quoted(h.Matches))
	}
	if len(contains) > 0 {
		lines = append(lines, "contains = ["+strings.Join(contains, ", ")+"]")
	}
	if len(matches) > 0 {
		lines = append(lines, "matches = ["+strings.Join(matches, ", ")+"]")
	}
	if len(json) > 0 {
		lines = append(lines, "json = "+object(json))
	}
	if len(headers) > 0 {
		lines = append(lines, "headers = "+object(headers))
	}
	switch len(lines) {
	case 0:
	case 1:
		p.line("expect { %s }", lines[0])
	default:
		p.line("expect {\n%s\n}", strings.Join(lines, "\n"))
	}
}

func (p *printer) extract(e loadgen.Extract) {
	from := "json = " + quoted(e.JSON)
	switch {
	case e.Header != "":
		from = "header = " + quoted(e.Header)
	case e.Regexp != "":
		from = "regexp = " + quoted(e.Regexp)
	}
	p.line("extract %s { %s }", quoted(e.Name), from)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// duration writes a duration with the unit that fits.
func duration(d time.Duration) string {
	if d < time.Second && d%time.Millisecond == 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return text
}

func pause(t loadgen.Pause) string {
	if t.Min == t.Max {
		return quoted(duration(t.Min))
	}
	return "[" + quoted(duration(t.Min)) + ", " + quoted(duration(t.Max)) + "]"
}
