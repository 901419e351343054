package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// undo is what stands in the ledger of an object: where it is, in which cluster. The name is known before the object is made.
type undo struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Resource  string `json:"resource"` // "podchaos"
	Kind      string `json:"kind"`     // "PodChaos"
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Children are the kinds of the objects that Chaos Mesh makes for it, when it is a Schedule or a Workflow.
	Children []string `json:"children,omitempty"`
	// Access and Server say which cluster: the current context may be another one when somebody reverts.
	Access faults.Access `json:"access"`
	Server string        `json:"server"`
	// Cluster is the uid of the cluster's namespace kube-system, since one address may lead to another cluster later. Empty when it could
	// not be read.
	Cluster string `json:"cluster,omitempty"`
}

func (u undo) at() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: u.Group, Version: u.Version, Resource: u.Resource}
}

func (u undo) title() string { return title(u.Kind, u.Namespace, u.Name) }

// undoFor says what undoes an object that is yet to be made.
func undoFor(ctx context.Context, c *client, o *object, owner faults.Owner) (undo, error) {
	made, err := o.unstructured()
	if err != nil {
		return undo{}, err
	}
	at := resource(o.kind)
	uid, _ := c.glance(ctx) // that it is not known is said by the preflight
	return undo{Group: at.Group, Version: at.Version, Resource: at.Resource, Kind: o.kind, Namespace: o.namespace(),
		Name: name(owner, o.hint), Children: childrenOf(made), Access: c.access, Server: c.config.Host, Cluster: uid}, nil
}

// readUndo reads what stands in a ledger's entry.
func readUndo(raw json.RawMessage) (undo, error) {
	var u undo
	if err := json.Unmarshal(raw, &u); err != nil {
		return u, fmt.Errorf("reading what undoes it: %w", err)
	}
	if u.Resource == "" || u.Name == "" {
		return u, errors.New("reading what undoes it: no object is named")
	}
	return u, nil
}

// connect connects to the cluster in which the object was made, and to no other.
func (u undo) connect() (*client, error) {
	c, err := connect(u.Access)
	if err != nil {
		return nil, fmt.Errorf("%s is to be deleted: %w", u.title(), err)
	}
	if u.Server != "" && c.config.Host != u.Server {
		return nil, fmt.Errorf("%s was made at %s, and what reached that now leads to %s%s: nothing was touched; let the kubeconfig say again what "+
			"it said then", u.title(), u.Server, c.config.Host, c.inContext())
	}
	return c, nil
}

// mine reports whether an object is that of one injection of one run.
func mine(o *unstructured.Unstructured, run, injection string) bool {
	a := o.GetAnnotations()
	return a[cluster.AnnotationID] == injection && a[cluster.AnnotationRun] == run
}

// whose says to whom an object belongs that is not the one that was expected.
func whose(o *unstructured.Unstructured) string {
	a := o.GetAnnotations()
	if a[cluster.AnnotationID] == "" {
		return "it has no annotation " + cluster.AnnotationID
	}
	return fmt.Sprintf("its annotations say injection %s of run %s", a[cluster.AnnotationID], a[cluster.AnnotationRun])
}

// childrenOf returns the kinds of what Chaos Mesh makes for a Schedule or a Workflow, in order.
func childrenOf(o *unstructured.Unstructured) []string {
	set := map[string]bool{}
	switch o.GetKind() {
	case v1alpha1.KindSchedule:
		addScheduled(set, o.Object["spec"])
	case v1alpha1.KindWorkflow:
		addTemplates(set, o.Object["spec"])
	}
	var out []string
	for kind := range set {
		out = append(out, kind)
	}
	slices.Sort(out)
	return out
}

func addScheduled(set map[string]bool, spec any) {
	s, _ := spec.(map[string]any)
	kind, _ := s["type"].(string)
	if kind == "" {
		return
	}
	set[kind] = true
	if kind == v1alpha1.KindWorkflow {
		addTemplates(set, s["workflow"])
	}
}

func addTemplates(set map[string]bool, spec any) {
	s, _ := spec.(map[string]any)
	templates, _ := s["templates"].([]any)
	for _, t := range templates {
		template, _ := t.(map[string]any)
		kind, _ := template["templateType"].(string)
		switch _, chaos := v1alpha1.AllKinds()[kind]; {
		case kind == v1alpha1.KindSchedule:
			set[kind] = true
			addScheduled(set, template["schedule"])
		case chaos:
			set[kind] = true
		}
	}
}
