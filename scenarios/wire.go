package scenarios

import (
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

// wire decodes how requests travel.
func (r *requesting) wire() {
	t := r.block
	w := loadgen.Wire{HTTP: t.HTTP, Unix: r.path(t.Unix)}
	if !slices.Contains([]string{"", loadgen.HTTP1, loadgen.HTTP2}, t.HTTP) {
		r.errorf(attrRange(t.Body, "http", t.DefRange), "Invalid http", "%q is not a version of HTTP to send "+
			"here. There are %q and %q.", t.HTTP, loadgen.HTTP1, loadgen.HTTP2)
	}
	switch t.Connections {
	case "", kept:
	case fresh:
		w.Fresh = true
	default:
		r.errorf(attrRange(t.Body, "connections", t.DefRange), "Invalid connections", "%q is not a way to use "+
			"connections.%s Take %q, which is the default, "+
			"or %q: a new one for each iteration.", t.Connections, suggest(t.Connections, []string{kept, fresh}),
			kept, fresh)
	}
	if one(r.loader, t.TLS, "tls", func(b tlsBlock) hcl.Range { return b.DefRange }) {
		b := t.TLS[0]
		w.TLS = loadgen.TLS{CA: r.path(b.CA), Cert: r.path(b.Cert), Key: r.path(b.Key), ServerName: b.ServerName,
			Insecure: b.Insecure}
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
		r.errorf(attrRange(t.Body, "base", t.DefRange), "Invalid base", "%q does not begin with http:// or "+
			"https://. The base is put before each url that begins with \"/\".", t.Base)
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
			r.errorf(attrRange(b.Body, "order", b.DefRange), "Invalid order", "%q is not an order of rows.%s "+
				"Take %q, which is the default, or %q.",
				b.Order, suggest(b.Order, []string{inTurn, shuffled}), inTurn, shuffled)
		}
		r.rows(&set, b)
		r.out.Data = append(r.out.Data, set)
	}
}

const rowsHelp = "Rows are a list of objects with the same attributes, such as csvdecode(file(\"users.csv\")) or " +
	"[{ name = \"ann\" }]."

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
	n := 0
	for it := v.ElementIterator(); it.Next(); {
		_, row := it.Element() // the key is a text where rows is an object
		n++
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
			r.errorf(at, "Invalid row", "The first row has the attributes %s, and row %d has %s. %s",
				list(set.Columns), n, list(names), rowsHelp)
			return
		}
		var texts []string
		for _, name := range names {
			text, ok := textOf(fields[name])
			if !ok {
				r.errorf(at, "Invalid row", "The attribute %s is %s, and must be a text, a number or a boolean.",
					name, fields[name].Type().FriendlyName())
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
		r.errorf(e.Range(), "Invalid headers", "Headers are names with values: headers = "+
			"{ \"Content-Type\" = \"application/json\" }.")
		return nil
	}
	fields := v.AsValueMap()
	var out []loadgen.Header
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		text, ok := textOf(fields[name])
		if !ok {
			r.errorf(e.Range(), "Invalid headers", "The value of the header %s is %s, and must be a text.", name,
				fields[name].Type().FriendlyName())
			return nil
		}
		out = append(out, loadgen.Header{Name: name, Value: r.split(text)})
	}
	return out
}
