package chaosmesh

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"gameday/faults"
)

// walker compares what stands in a manifest with a Go type, and makes JSON's values of it.
type walker struct {
	at    map[string]*yaml.Node
	root  reflect.Type
	kind  string
	found mistakes
}

func (w *walker) wrong(n *yaml.Node, summary, format string, args ...any) {
	w.found = append(w.found, at(n, summary, fmt.Sprintf(format, args...)))
}

// value returns what a node says for a field of a type, and notes what is wrong with it.
func (w *walker) value(n *yaml.Node, t reflect.Type, path string) any {
	if _, known := w.at[path]; !known {
		w.at[path] = n
	}
	t = bare(t)
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		w.wrong(n, "Alias", "Anchors and aliases are not read here. Write out what is meant.")
		return nil
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		w.wrong(n, "Empty field", "%s has no value. Give it one, or leave it out.", orRoot(path))
		return nil
	case ownJSON(t) || t.Kind() == reflect.Interface:
		return w.own(n, t, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		return w.object(n, t, path)
	case reflect.Map:
		return w.entries(n, t, path)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return w.bytes(n, path)
		}
		return w.list(n, t, path)
	}
	return w.scalar(n, t, path)
}

func orRoot(path string) string {
	if path == "" {
		return "The object"
	}
	return path
}

// is notes a node that is of another shape than its field.
func (w *walker) is(n *yaml.Node, kind yaml.Kind, want, path string) bool {
	if n.Kind == kind {
		return true
	}
	w.wrong(n, "Wrong type", "%s is %s, and this is %s.", orRoot(path), want, nodeWord(n))
	return false
}

// object reads a mapping into a struct.
func (w *walker) object(n *yaml.Node, t reflect.Type, path string) any {
	if !w.is(n, yaml.MappingNode, "an object", path) {
		return nil
	}
	members := membersOf(t)
	out := map[string]any{}
	w.pairs(n, path, func(key, value *yaml.Node, below string) {
		m, known := members[key.Value]
		if !known {
			w.unknown(key, members, path)
			return
		}
		out[key.Value] = w.value(value, m.typ, below)
	})
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if _, given := out[name]; !given && members[name].required && !w.misspelt(n, name, members) {
			w.wrong(n, "Missing field", "%s needs %s.", orRoot(path), name)
		}
	}
	return out
}

// misspelt reports whether a missing field is one that another key was meant to be, about which enough is said.
func (w *walker) misspelt(n *yaml.Node, name string, members map[string]member) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if _, known := members[key]; !known && faults.Nearest(key, []string{name}) != "" {
			return true
		}
		if key == name {
			return true // of the wrong type
		}
	}
	return false
}

// pairs calls each with the keys and values of a mapping, and notes keys that are none or stand there twice.
func (w *walker) pairs(n *yaml.Node, path string, each func(key, value *yaml.Node, below string)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind == yaml.AliasNode || key.Anchor != "" || key.Tag == "!!merge":
			w.wrong(key, "Alias", "Anchors, aliases and merged keys are not read here. Write out what is meant.")
			continue
		case key.Kind != yaml.ScalarNode || key.Tag == "!!null":
			w.wrong(key, "Invalid key", "A field's name is a text, and this is %s.", nodeWord(key))
			continue
		}
		if line, again := seen[key.Value]; again {
			w.wrong(key, "Repeated field", "%s stands in line %d already.", join(path, key.Value), line)
			continue
		}
		seen[key.Value] = key.Line
		below := join(path, key.Value)
		w.at[below] = key
		each(key, value, below)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// unknown notes a key that its type does not have: what was probably meant, or where it belongs.
func (w *walker) unknown(key *yaml.Node, members map[string]member, path string) {
	where := "A " + w.kind
	if path != "" {
		where = path
	}
	if near := faults.Nearest(key.Value, slices.Sorted(maps.Keys(members))); near != "" {
		w.wrong(key, "Unknown field", "%s has no field %q. Did you mean %q?", where, key.Value, near)
		return
	}
	if places := placesOf(w.root, key.Value); len(places) > 0 && len(places) <= 3 {
		w.wrong(key, "Misplaced field", "%s has no field %q: it belongs to %s.", where, key.Value, strings.Join(places, " or "))
		return
	}
	w.wrong(key, "Unknown field", "%s has no field %q. It has %s.", where, key.Value, list(slices.Sorted(maps.Keys(members))))
}

// list writes some names, not all when they are many.
func list(names []string) string {
	const most = 24
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// placesOf returns the paths of the objects in a type, outside status, that have a field of a name.
func placesOf(t reflect.Type, name string) []string {
	const deepest = 5
	var out []string
	var look func(t reflect.Type, path string, depth int)
	look = func(t reflect.Type, path string, depth int) {
		t = bare(t)
		if t.Kind() == reflect.Slice {
			look(t.Elem(), path+"[]", depth)
			return
		}
		if t.Kind() != reflect.Struct || ownJSON(t) || depth > deepest || path == "status" || path == "metadata" {
			return
		}
		members := membersOf(t)
		if _, has := members[name]; has && path != "" {
			out = append(out, path)
		}
		for _, m := range slices.Sorted(maps.Keys(members)) {
			look(members[m].typ, join(path, m), depth+1)
		}
	}
	look(t, "", 0)
	return out
}

// entries reads a mapping whose keys are free.
func (w *walker) entries(n *yaml.Node, t reflect.Type, path string) any {
	if !w.is(n, yaml.MappingNode, "an object", path) {
		return nil
	}
	out := map[string]any{}
	w.pairs(n, path, func(key, value *yaml.Node, below string) { out[key.Value] = w.value(value, t.Elem(), below) })
	return out
}

func (w *walker) list(n *yaml.Node, t reflect.Type, path string) any {
	if !w.is(n, yaml.SequenceNode, "a list", path) {
		return nil
	}
	out := make([]any, len(n.Content))
	for i, e := range n.Content {
		out[i] = w.value(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
	}
	return out
}

func (w *walker) bytes(n *yaml.Node, path string) any {
	if !w.is(n, yaml.ScalarNode, "a text", path) {
		return nil
	}
	if _, err := base64.StdEncoding.DecodeString(n.Value); err != nil {
		w.wrong(n, "Wrong type", "%s is bytes in base64, and this is not.", path)
	}
	return n.Value
}

// scalar reads a text, number or truth value.
func (w *walker) scalar(n *yaml.Node, t reflect.Type, path string) any {
	mismatch := func(want string) any {
		w.wrong(n, "Wrong type", "%s is %s, and this is %s.", path, want, nodeWord(n))
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		if n.Kind == yaml.ScalarNode && n.Tag != "!!str" && n.Tag != "!!timestamp" && n.Tag != "!!merge" {
			w.wrong(n, "Wrong type", "%s is a text, and this is %s. Put it into quotes: %q.", path, nodeWord(n), n.Value)
			return nil
		}
		if n.Kind != yaml.ScalarNode {
			return mismatch("a text")
		}
		w.choice(n, t, path)
		return n.Value
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			return mismatch("true or false")
		}
		return strings.EqualFold(n.Value, "true")
	case reflect.Float32, reflect.Float64:
		var v float64
		if n.Kind != yaml.ScalarNode || n.Tag != "!!float" && n.Tag != "!!int" || n.Decode(&v) != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			return mismatch("a number")
		}
		return v
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		return mismatch("a whole number")
	}
	v := reflect.New(t)
	if n.Decode(v.Interface()) != nil {
		w.wrong(n, "Number out of range", "%s cannot be %s: it is a whole number of %d bits.", path, n.Value, t.Bits())
		return nil
	}
	if !v.Elem().CanUint() {
		return v.Elem().Int()
	}
	if u := v.Elem().Uint(); u <= math.MaxInt64 {
		return int64(u)
	}
	w.wrong(n, "Number out of range", "%s cannot be %s: clusters keep whole numbers of 63 bits.", path, n.Value)
	return nil
}

// choice notes a word that its type does not have.
func (w *walker) choice(n *yaml.Node, t reflect.Type, path string) {
	known := wordsOf(t)
	if known == nil || slices.Contains(known, n.Value) {
		return
	}
	hint := ""
	if near := faults.Nearest(n.Value, known); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	w.wrong(n, "Unknown value", "%s cannot be %q.%s It is one of %s.", path, n.Value, hint, strings.Join(known, ", "))
}

// own reads what a type reads in its own way: times, quantities, whatever is both a number and a text.
func (w *walker) own(n *yaml.Node, t reflect.Type, path string) any {
	v := w.free(n, path)
	if t.Kind() == reflect.Interface {
		return v
	}
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, reflect.New(t).Interface())
	}
	if err != nil {
		w.wrong(n, "Wrong type", "%s is no %s: %s", path, strings.ToLower(t.Name()), sentence(err.Error()))
	}
	return v
}

// free reads a node of which the type says nothing.
func (w *walker) free(n *yaml.Node, path string) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		w.pairs(n, path, func(key, value *yaml.Node, below string) { out[key.Value] = w.free(value, below) })
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, e := range n.Content {
			out[i] = w.free(e, fmt.Sprintf("%s[%d]", path, i))
		}
		return out
	case yaml.AliasNode:
		w.wrong(n, "Alias", "Anchors and aliases are not read here. Write out what is meant.")
		return nil
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		var v int64
		if n.Decode(&v) == nil {
			return v
		}
	case "!!float":
		var v float64
		if n.Decode(&v) == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v
		}
	}
	return n.Value
}
