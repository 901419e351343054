package chaosmesh

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
)

// render returns what an injection would put into the cluster, as far as that is known before: who runs it and until when it may stand
// are written when it is made. It contacts nobody.
func render(r guard.InjectRequest) (cluster.Manifest, error) {
	kind, known := kindNamed(r.Kind)
	if !known {
		return cluster.Manifest{}, &impossible{kind: r.Kind, where: "a cluster", why: noKind(r.Kind, "")}
	}
	config := kind.New()
	if err := readConfig(r.Config, config); err != nil {
		return cluster.Manifest{}, fmt.Errorf("reading the settings of %s: %w", r.Fault, err)
	}
	o, err := planFor(kind.Name, config, r.Place, r.Deadline+Margin)
	if err != nil {
		return cluster.Manifest{}, err
	}
	u, err := o.owned(faults.Owner{Run: r.Run, Injection: r.ID, Fault: r.Fault, Scenario: r.Scenario}, "", time.Time{})
	if err != nil {
		return cluster.Manifest{}, err
	}
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(u.Object), e.Close()); err != nil {
		return cluster.Manifest{}, fmt.Errorf("writing the object of %s: %w", r.Fault, err)
	}
	return cluster.Manifest{ID: r.ID, Fault: r.Fault, Place: r.Place.Name, YAML: text.String(), Lapses: o.lapses, Note: o.note}, nil
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
