package chaosmesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
)

// manifest is one object as its author wrote it.
type manifest struct {
	kind  string
	typed kube.Object
	raw   map[string]any        // what stands in the file, as JSON has it
	lines int                   // how many the file has
	at    map[string]*yaml.Node // where what stands, by path: "spec.selector.pods.shop[0]"
}

// apiVersion is the one that this build knows.
var apiVersion = v1alpha1.SchemeGroupVersion.String()

// decode reads a manifest strictly: every field must be one that the type of its kind has, at its place, once, and of the right type.
// What Chaos Mesh or gameday make of it is for check to say.
func decode(content string) (*manifest, mistakes) {
	m, found := decodeLines(content)
	lines := strings.Count(content, "\n") + 1
	if m != nil {
		m.lines = lines
	}
	return m, found.within(lines)
}

// decodeLines is decode, with lines as the parser counts them: it takes other characters than a newline for the end of one, too.
func decodeLines(content string) (*manifest, mistakes) {
	root, found := parse(content)
	if len(found) > 0 {
		return nil, found
	}
	kind, found := kindOf(root)
	if len(found) > 0 {
		return nil, found
	}
	t := kindTypes()[kind]
	w := walker{at: map[string]*yaml.Node{}, root: t, kind: kind}
	raw, _ := w.value(root, t, "").(map[string]any)
	if len(w.found) > 0 {
		return nil, w.found
	}
	typed, _ := reflect.New(t).Interface().(kube.Object)
	if err := decodeStrictly(raw, typed); err != nil {
		// Not reached as far as we know: the walk says all of it, with its line.
		return nil, mistakes{at(root, "Not a "+kind, sentence(err.Error()))}
	}
	return &manifest{kind: kind, typed: typed, raw: raw, at: w.at}, nil
}

// decodeStrictly reads JSON into a typed object.
func decodeStrictly(raw map[string]any, into any) error {
	data, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// parse returns the one document of a manifest.
func parse(content string) (*yaml.Node, mistakes) {
	var root *yaml.Node
	for d := yaml.NewDecoder(strings.NewReader(content)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, mistakes{syntax(err.Error())}
		}
		if len(doc.Content) == 0 || empty(doc.Content[0]) {
			continue
		}
		if root != nil {
			return nil, mistakes{at(doc.Content[0], "Second object", "A fault puts one object into the cluster. Write one fault for each, with a file of its own.")}
		}
		root = doc.Content[0]
	}
	if root == nil {
		return nil, mistakes{{line: 1, column: 1, summary: "No object", detail: "There is nothing in this file. Write an object of Chaos Mesh, with apiVersion, kind, metadata and spec."}}
	}
	return root, nil
}

// empty reports whether a document holds nothing but comments.
func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" }

// syntax puts a complaint of the parser at its line.
func syntax(text string) mistake {
	line := 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return mistake{line: line, column: 1, summary: "Invalid YAML", detail: sentence(strings.TrimPrefix(text, "yaml: "))}
}

func at(n *yaml.Node, summary, detail string) mistake {
	return mistake{line: n.Line, column: n.Column, summary: summary, detail: detail}
}

// sentence makes a text one: a capital at the beginning and a full stop.
func sentence(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return strings.TrimSuffix(strings.ToUpper(text[:1])+text[1:], ".") + "."
}

// kindOf reads what the object says that it is.
func kindOf(root *yaml.Node) (string, mistakes) {
	if root.Kind != yaml.MappingNode {
		return "", mistakes{at(root, "No object", "This is "+nodeWord(root)+", and not an object with apiVersion, kind, metadata and spec.")}
	}
	version, kind := entry(root, "apiVersion"), entry(root, "kind")
	if version == nil || kind == nil {
		missing := "kind"
		if version == nil {
			missing = "apiVersion"
		}
		return "", mistakes{at(root, "No "+missing, fmt.Sprintf("The object does not say its %s. It is apiVersion: %s, and kind is one of %s.",
			missing, apiVersion, strings.Join(faultKinds(), ", ")))}
	}
	if version.Value != apiVersion {
		return "", mistakes{at(version, "Unknown apiVersion", fmt.Sprintf("%q is not an API that this fault knows: it takes objects of Chaos Mesh alone, apiVersion: %s.",
			version.Value, apiVersion))}
	}
	if _, known := kindTypes()[kind.Value]; !known || kind.Kind != yaml.ScalarNode {
		hint := ""
		if near := faults.Nearest(kind.Value, faultKinds()); near != "" {
			hint = fmt.Sprintf(" Did you mean %q?", near)
		}
		return "", mistakes{at(kind, "Unknown kind", fmt.Sprintf("%q is no kind of Chaos Mesh that this build knows.%s It knows %s.",
			kind.Value, hint, strings.Join(faultKinds(), ", ")))}
	}
	return kind.Value, nil
}

// entry returns the value of a key, or nil.
func entry(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// nodeWord says what a node is.
func nodeWord(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	}
	return "a text"
}
