package chaosmesh

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
)

// render returns what an injection would put into the cluster, as far as that is known before: who runs it and until when it may stand
// are written when it is made. It contacts nobody.
func render(r guard.InjectRequest) (cluster.Rendered, error) {
	kind, known := kindNamed(r.Kind)
	if !known {
		return cluster.Rendered{}, &impossible{kind: r.Kind, where: "a cluster", why: noKind(r.Kind, "")}
	}
	config := kind.New()
	if err := readConfig(r.Config, config); err != nil {
		return cluster.Rendered{}, fmt.Errorf("reading the settings of %s: %w", r.Fault, err)
	}
	o, err := planFor(kind.Name, config, r.Place, r.Deadline+Margin)
	if err != nil {
		return cluster.Rendered{}, err
	}
	u, err := o.owned(faults.Owner{Run: r.Run, Injection: r.ID, Fault: r.Fault, Scenario: r.Scenario}, "", time.Time{})
	if err != nil {
		return cluster.Rendered{}, err
	}
	text, err := writeYAML(u.Object)
	if err != nil {
		return cluster.Rendered{}, fmt.Errorf("writing the object of %s: %w", r.Fault, err)
	}
	return cluster.Rendered{ID: r.ID, Fault: r.Fault, Place: r.Place.Name, YAML: text, Lapses: o.lapses, Note: o.note}, nil
}

// writeYAML writes an object for people to read and for kubectl to apply. Texts with tabs and the like, and the sign of
// a merged key, are quoted: otherwise they would not be read again.
func writeYAML(object map[string]any) (string, error) {
	root, err := nodeOf(object)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	err = errors.Join(e.Encode(root), e.Close())
	return text.String(), err
}

// nodeOf writes a value of JSON.
func nodeOf(v any) (*yaml.Node, error) {
	n := &yaml.Node{}
	odd := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	add := func(list ...any) error {
		for _, v := range list {
			below, err := nodeOf(v)
			if err != nil {
				return err
			}
			n.Content = append(n.Content, below)
		}
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		if n.Kind, n.Tag = yaml.MappingNode, "!!map"; len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := add(key, v[key]); err != nil {
				return nil, err
			}
		}
		return n, nil
	case []any:
		if n.Kind, n.Tag = yaml.SequenceNode, "!!seq"; len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n, add(v...)
	case string:
		if v == "<<" || strings.ContainsFunc(v, odd) {
			n.Kind, n.Tag, n.Style, n.Value = yaml.ScalarNode, "!!str", yaml.DoubleQuotedStyle, v
			return n, nil
		}
	}
	return n, n.Encode(v)
}

// owned returns the object with its name, whose it is, and until when it should be gone.
func (o *object) owned(owner faults.Owner, user string, until time.Time) (*unstructured.Unstructured, error) {
	u, err := o.unstructured()
	if err != nil {
		return nil, err
	}
	u.SetName(name(owner, o.hint))
	label(u, owner, user, until)
	return u, nil
}
