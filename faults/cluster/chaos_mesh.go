package cluster

import (
	"errors"
	"fmt"
	"strings"

	"gameday/faults"
	"gameday/sizes"
)

// largestManifest is how much a manifest may hold, in bytes: an object of a cluster is not larger than its store takes.
const largestManifest = 1 << 20

// ChaosMeshKind returns chaos_mesh: any object of Chaos Mesh that its author wrote down.
func ChaosMeshKind() faults.Kind {
	return faults.Kind{
		Name:       "chaos_mesh",
		Summary:    "put an object of Chaos Mesh into a Kubernetes cluster, from a manifest of yours",
		Needs:      faults.NeedCluster,
		Undoing:    "Chaos Mesh lifts it when its duration is over, if its kind has one; the guard deletes it",
		Reversible: true,
		New:        func() faults.Config { return &ChaosMesh{} },
		Revert:     revertElsewhere,
	}
}

// ChaosMesh holds the parameters of chaos_mesh.
type ChaosMesh struct {
	// Manifest is the path of a YAML file with one object, from the scenario's folder.
	Manifest string `hcl:"manifest" json:"manifest"`
	// CannotRevert says that nothing undoes the fault, which is so for actions that are done at once, such as pod-kill.
	CannotRevert bool `hcl:"cannot_revert,optional" json:"cannot_revert,omitempty"`
	// Content is what the file holds.
	Content string `json:"content,omitempty"`
}

// ReadFiles reads the manifest.
func (m *ChaosMesh) ReadFiles(read func(path string) ([]byte, error)) error {
	if m.Manifest == "" {
		return nil // Validate says so
	}
	content, err := read(m.Manifest)
	if err != nil {
		return &faults.FieldError{Field: "manifest", Summary: "Unreadable manifest", Detail: sentence(err)}
	}
	m.Content = string(content)
	return nil
}

// Validate checks that there is a manifest. What is in it is for gameday-kubernetes to say, which knows Chaos Mesh's types.
func (m *ChaosMesh) Validate() error {
	var errs []error
	if m.Manifest == "" {
		errs = append(errs, &faults.FieldError{Field: "manifest", Summary: "No manifest",
			Detail: `Name a file with an object of Chaos Mesh: manifest = "chaos.yaml".`})
	}
	if len(m.Content) > largestManifest {
		errs = append(errs, &faults.FieldError{Field: "manifest", Summary: "Manifest too large",
			Detail: fmt.Sprintf("%s holds %s, and a manifest may have %s.", m.Manifest, sizes.Show(uint64(len(m.Content))), sizes.Show(largestManifest))})
	}
	return errors.Join(errs...)
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := err.Error()
	return strings.TrimSuffix(strings.ToUpper(text[:1])+text[1:], ".") + "."
}

// Final reports whether nothing undoes the fault.
func (m *ChaosMesh) Final() bool { return m.CannotRevert }

// Bind says that only a cluster knows the fault.
func (m *ChaosMesh) Bind(p faults.Place) (faults.Injection, error) {
	if p.Cluster == nil {
		return nil, fmt.Errorf("chaos_mesh needs a Kubernetes cluster, and %s is none: say in a cluster block how it is reached", p.Name)
	}
	return nil, bindElsewhere("chaos_mesh", p)
}

// Preview returns "the object in delay.yaml".
func (m *ChaosMesh) Preview(faults.Place) string { return "the object in " + m.Manifest }
