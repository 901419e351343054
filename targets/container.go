package targets

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"gameday/faults"
)

// Container selects running containers of a Docker Engine on this machine: all conditions that are given must hold.
type Container struct {
	Name    string            `hcl:"name,optional" json:"name,omitempty"`     // as `docker ps` shows it
	Label   map[string]string `hcl:"label,optional" json:"label,omitempty"`   // labels that it must have, with these values
	Compose *Compose          `hcl:"compose,block" json:"compose,omitempty"`  // what Compose says of it
	Engine  string            `hcl:"engine,optional" json:"engine,omitempty"` // "unix:///…"; empty is DOCKER_HOST, or DefaultEngine
}

// Compose selects the containers of a Compose project, or of one service of it.
type Compose struct {
	Project string `hcl:"project" json:"project"`
	Service string `hcl:"service,optional" json:"service,omitempty"`
}

// DefaultEngine is where a Docker Engine listens unless it is told otherwise.
const DefaultEngine = "unix:///var/run/docker.sock"

// Labels that Compose gives to what it starts.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
)

// Kind returns "container".
func (c *Container) Kind() string { return "container" }

// Provides says that a container has a first process and a network, can be restarted as a node can, and runs on a machine.
func (c *Container) Provides() []faults.Need {
	return []faults.Need{faults.NeedProcess, faults.NeedNetwork, faults.NeedNode, faults.NeedMachine}
}

// containerName is what Docker lets a container be called.
var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// Validate reports a selector that selects every container, names that no container has, and engines out of reach.
func (c *Container) Validate() error {
	var errs []error
	wrong := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if c.Name == "" && len(c.Label) == 0 && c.Compose == nil {
		wrong("name", "Empty selector", "A container target that says nothing would select every container. Give name, label or compose.")
	}
	if c.Name != "" && !containerName.MatchString(c.Name) {
		wrong("name", "Invalid container name", "%q is no name of a container: it has letters, digits, \"_\", \".\" and \"-\". Write it as "+
			"`docker ps` does.", c.Name)
	}
	if slices.Contains(slices.Collect(maps.Keys(c.Label)), "") {
		wrong("label", "Invalid label", "A label's name is not empty.")
	}
	if c.Compose != nil && c.Compose.Project == "" {
		wrong("compose", "Invalid project", "The name of a Compose project is not empty. `docker compose ls` lists them.")
	}
	if c.Engine != "" {
		if _, err := socketOf(c.Engine); err != nil {
			wrong("engine", "Invalid engine", "%v.", err)
		}
	}
	return errors.Join(errs...)
}

// socketOf returns the path of the socket of an engine.
func socketOf(host string) (string, error) {
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return "", fmt.Errorf("%q is not the socket of an engine on this machine, and a guard stands on the machine whose containers it enters: "+
			"write \"unix:///var/run/docker.sock\", or run gameday over there", host)
	}
	if !path.IsAbs(socket) {
		return "", fmt.Errorf("%q has no absolute path: write \"unix:///var/run/docker.sock\", with three slashes", host)
	}
	return path.Clean(socket), nil
}

// labels returns every label that the selector asks for, with Compose's.
func (c *Container) labels() map[string]string {
	out := map[string]string{}
	maps.Copy(out, c.Label)
	if c.Compose != nil {
		out[composeProject] = c.Compose.Project
		if c.Compose.Service != "" {
			out[composeService] = c.Compose.Service
		}
	}
	return out
}

// String returns what the selector looks for: `container payments`, `container of service payments in Compose project shop`.
func (c *Container) String() string {
	s := "container"
	if c.Name != "" {
		s += " " + c.Name
	}
	var parts []string
	if c.Compose != nil && c.Compose.Service != "" {
		parts = append(parts, "of service "+c.Compose.Service)
	}
	if c.Compose != nil {
		parts = append(parts, "in Compose project "+c.Compose.Project)
	}
	for _, k := range slices.Sorted(maps.Keys(c.Label)) {
		parts = append(parts, fmt.Sprintf("with label %s=%s", k, c.Label[k]))
	}
	if len(parts) > 0 {
		s += " " + strings.Join(parts, " ")
	}
	return s
}
