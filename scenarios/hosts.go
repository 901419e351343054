package scenarios

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"gameday/targets"
)

// hostBlock is a target's host block, whose ssh is one destination or a list of them.
type hostBlock struct {
	SSH     hcl.Expression `hcl:"ssh"`
	Config  string         `hcl:"config,optional"`
	Guard   string         `hcl:"guard,optional"`
	Install string         `hcl:"install,optional"`
	Sudo    bool           `hcl:"sudo,optional"`
}

// beside splits the blocks of a target into the host block and the one that selects something on it, if there are two and
// they may stand together.
func beside(blocks hcl.Blocks) (host, inner *hcl.Block, ok bool) {
	if len(blocks) != 2 {
		return nil, nil, false
	}
	host, inner = blocks[0], blocks[1]
	if inner.Type == "host" {
		host, inner = inner, host
	}
	return host, inner, host.Type == "host" && inner.Type == "process"
}

// host decodes a host block. It returns nil after reporting what is wrong.
func (d *decoding) host(block *hcl.Block) *targets.Host {
	b := hostBlock{}
	diags := decode(block.Body, d.base, &b)
	d.add(diags)
	if diags.HasErrors() {
		return nil
	}
	var names []string
	if given(b.SSH) {
		var ok bool
		if names, ok = d.words(b.SSH, "ssh", "\"web1\", or [\"web1\", \"web2\"]"); !ok {
			return nil
		}
	}
	h := &targets.Host{SSH: names, Config: d.sshConfig(b.Config), Guard: b.Guard, Install: b.Install, Sudo: b.Sudo}
	err := h.Validate()
	d.fields(err, block.Body, block.DefRange)
	if d.out.Lab != nil {
		d.errorf(block.DefRange, "Hosts beside a lab", "A lab is a world of its own, and from inside it no host can be reached. Take the lab out of "+
			"this scenario, or choose one of its nodes.")
	}
	if err != nil {
		return nil
	}
	return h
}

// words reads an attribute that is a text or a list of texts.
func (d *decoding) words(e hcl.Expression, field, example string) ([]string, bool) {
	v, diags := e.Value(d.base)
	d.add(diags)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return nil, false
	}
	v, _ = v.UnmarkDeep()
	if !v.IsNull() && v.Type() == cty.String {
		return []string{v.AsString()}, true
	}
	list, err := convert.Convert(v, cty.List(cty.String))
	if err != nil || list.IsNull() {
		d.errorf(e.Range(), "Invalid "+field, "%s is a text, or a list of texts: %s.", field, example)
		return nil, false
	}
	var out []string
	for _, w := range list.AsValueSlice() {
		if w.IsNull() {
			d.errorf(e.Range(), "Invalid "+field, "A part of the list is null. Write texts: %s.", example)
			return nil, false
		}
		out = append(out, w.AsString())
	}
	return out, true
}
