package native

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gameday/loadgen"
)

// maxRefs bounds the values that a flow may extract.
const maxRefs = 1000

// program is a spec's flows, compiled. Nothing in it changes while it runs.
type program struct {
	flows []*flow
	ends  []uint64 // where each flow's share of the unit interval ends, as fractions of 2^64
	data  []*dealer
	wire  loadgen.Wire
}

// flow is one flow, with its values in numbered slots.
type flow struct {
	name     string
	requests []*request
	values   []string // names by slot
	think    bool     // some request waits afterwards
}

// compile checks a spec and makes its program. The error joins everything that is wrong.
func compile(spec loadgen.Spec) (*program, error) {
	p := &program{wire: spec.Wire}
	var errs []error
	for _, set := range spec.Data {
		d, err := newDealer(set, spec.Seed)
		errs = append(errs, err)
		p.data = append(p.data, d)
	}
	var used []loadgen.Flow
	for _, f := range spec.Flows {
		compiled, err := p.flow(f)
		errs = append(errs, err)
		if f.Weight != 0 {
			used = append(used, f)
			p.flows = append(p.flows, compiled)
		}
	}
	errs = append(errs, p.shares(used))
	return p, errors.Join(errs...)
}

func (p *program) flow(f loadgen.Flow) (*flow, error) {
	out := &flow{name: f.Name}
	var errs []error
	if len(f.Requests) == 0 {
		errs = append(errs, fmt.Errorf("flow %s has no request", f.Name))
	}
	for _, r := range f.Requests {
		compiled, err := p.request(out, r)
		if err != nil {
			errs = append(errs, inRequest(where(f, r), err)...)
			continue
		}
		out.requests = append(out.requests, compiled)
		out.think = out.think || r.Think.Max > 0
	}
	return out, errors.Join(errs...)
}

// requestError is a mistake in a request, and in which of its attributes, if it is one's.
type requestError struct {
	request, field string
	err            error
}

func (e *requestError) Error() string { return fmt.Sprintf("request %s: %v", e.request, e.err) }
func (e *requestError) Unwrap() error { return e.err }

// inRequest names the request of errors that were joined.
func inRequest(name string, err error) []error {
	var out []error
	for _, e := range flat(err) {
		var f *requestError
		if !errors.As(e, &f) {
			f = &requestError{err: e}
		}
		out = append(out, &requestError{name, f.field, f.err})
	}
	return out
}

// in names the attribute of errors that were joined.
func in(field string, err error) error {
	var out []error
	for _, e := range flat(err) {
		out = append(out, &requestError{field: field, err: e})
	}
	return errors.Join(out...)
}

// where names a request: "buy/pay", or "home" when it is a flow of its own.
func where(f loadgen.Flow, r loadgen.Request) string {
	if f.Name == r.Name {
		return r.Name
	}
	return f.Name + "/" + r.Name
}

// slot returns the number of an extracted value.
func (f *flow) slot(name string) int { return slices.Index(f.values, name) }

// extracts makes a slot for a value, or finds the one of its name.
func (f *flow) extracts(name string) (int, error) {
	if i := f.slot(name); i >= 0 {
		return i, nil
	}
	if len(f.values) == maxRefs {
		return 0, fmt.Errorf("more than %d values are extracted", maxRefs)
	}
	f.values = append(f.values, name)
	return len(f.values) - 1, nil
}

// shares divides the unit interval among the flows by weight.
func (p *program) shares(flows []loadgen.Flow) error {
	sum := 0.0
	for _, f := range flows {
		if !(f.Weight >= 0) || f.Weight > 1e9 {
			return fmt.Errorf("flow %s: a weight is from 0 to 1e9, and %g is not", f.Name, f.Weight)
		}
		sum += f.Weight
	}
	if len(flows) == 0 {
		return errors.New("there is no flow with a weight above 0: nothing would be sent")
	}
	upto := 0.0
	for _, f := range flows {
		upto += f.Weight / sum
		p.ends = append(p.ends, uint64(min(upto, 1-1e-15)*(1<<63)*2))
	}
	p.ends[len(p.ends)-1] = math.MaxUint64
	return nil
}

// pick returns the flow of an iteration, from 1: multiples of the golden ratio, modulo 1, fall into every part of the unit
// interval in proportion to its length, and evenly so from the first on (a Kronecker sequence). So the mix of any second is
// that of the weights, and two runs send the same.
func (p *program) pick(iteration uint64) *flow {
	const golden = 0x9E3779B97F4A7C15 // 2^64 / φ
	at := iteration * golden
	i := 0
	for at > p.ends[i] {
		i++
	}
	return p.flows[i]
}

// text is a loadgen.Text whose gaps are resolved.
type text []piece

// piece is a literal, or a gap of one of the kinds.
type piece struct {
	literal string
	gap     gapKind
	slot    int // of a value, or the number of a data set
	column  int
	place   loadgen.Place // where the gap stands
}

type gapKind byte

const (
	noGap gapKind = iota
	valueGap
	dataGap
	numberGap
	idGap
)

// text resolves the gaps of a text that stands in a flow, after the requests before it.
func (p *program) text(f *flow, t loadgen.Text) (text, error) {
	var out text
	for _, part := range t {
		if part.Ref == "" {
			out = append(out, piece{literal: part.Text})
			continue
		}
		gap, err := p.gap(f, part.Ref)
		if err != nil {
			return nil, err
		}
		gap.place = part.Place
		out = append(out, gap)
	}
	return out, nil
}

func (p *program) gap(f *flow, ref string) (piece, error) {
	kind, name, _ := strings.Cut(ref, ".")
	switch kind {
	case "value":
		if i := f.slot(name); i >= 0 {
			return piece{gap: valueGap, slot: i}, nil
		}
		return piece{}, fmt.Errorf("${%s}: no request before it in flow %s extracts %q", ref, f.name, name)
	case "data":
		set, column, _ := strings.Cut(name, ".")
		for i, d := range p.data {
			if d != nil && d.set.Name == set {
				if c := slices.Index(d.set.Columns, column); c >= 0 {
					return piece{gap: dataGap, slot: i, column: c}, nil
				}
				return piece{}, fmt.Errorf("${%s}: data %s has no column %q, but %s", ref, set, column,
					strings.Join(d.set.Columns, ", "))
			}
		}
		return piece{}, fmt.Errorf("${%s}: there is no data %q", ref, set)
	case "iteration":
		switch name {
		case "number":
			return piece{gap: numberGap}, nil
		case "id":
			return piece{gap: idGap}, nil
		}
	}
	return piece{}, fmt.Errorf("${%s} stands for nothing: there are value.NAME, data.SET.COLUMN, "+
		"iteration.number and iteration.id", ref)
}

// known returns the text when it has no gaps.
func (t text) known() (string, bool) {
	var b strings.Builder
	for _, p := range t {
		if p.gap != noGap {
			return "", false
		}
		b.WriteString(p.literal)
	}
	return b.String(), true
}

// prefix returns the literal that the text begins with.
func (t text) prefix() string {
	var b strings.Builder
	for _, p := range t {
		if p.gap != noGap {
			break
		}
		b.WriteString(p.literal)
	}
	return b.String()
}
