package chaosmesh

import (
	"errors"
	"fmt"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
)

// planFor returns what a fault of a config becomes at a place, to stand for duration if it can lapse; 0 leaves that open, for stand. It
// contacts nobody. An error is one of a setting (*faults.FieldError, maybe joined), of a manifest (*mistakes), or of the place.
func planFor(kind string, config faults.Config, p faults.Place, duration time.Duration) (*object, error) {
	if w, wrapped := config.(*settings); wrapped {
		config = w.Config
	}
	o, err := objectFor(kind, config, p)
	if err != nil {
		return nil, err
	}
	if duration == 0 {
		return o, nil
	}
	return o, o.stand(duration)
}

// objectFor is planFor without a duration.
func objectFor(kind string, config faults.Config, p faults.Place) (*object, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	switch c := p.Cluster; {
	case c == nil:
		return nil, fmt.Errorf("%s on %s: the place is in no cluster", kind, p.Name)
	case c.Pod != nil:
		return podObject(kind, config, p)
	case c.Instance != nil:
		return instanceObject(kind, config, c.Instance)
	case c.Machine != nil:
		return machineObject(kind, config, p)
	}
	if m, ok := config.(*cluster.ChaosMesh); ok {
		return manifestObject(m)
	}
	return nil, &impossible{kind: kind, where: "a cluster as a whole", why: "It needs a target: pods, an instance or a machine"}
}

// impossible says that nothing of Chaos Mesh does what a fault asks for at such a place, whatever its settings.
type impossible struct {
	kind  string
	where string // "pods"
	why   string // a sentence without its full stop
}

// Error returns the whole of it.
func (i *impossible) Error() string {
	return fmt.Sprintf("%s is not possible on %s: %s.", i.kind, i.where, i.why)
}

// notHere is a mistake in a setting that Chaos Mesh cannot express.
func notHere(field, detail string) error {
	return &faults.FieldError{Field: field, Summary: "Not possible with Chaos Mesh", Detail: detail}
}

// refuse returns a mistake for each setting that is given and cannot be expressed, joined.
func refuse(settings ...unsupported) error {
	var errs []error
	for _, s := range settings {
		if s.given {
			errs = append(errs, notHere(s.field, s.detail))
		}
	}
	return errors.Join(errs...)
}

// unsupported is a setting that Chaos Mesh cannot express, and whether it is given.
type unsupported struct {
	given  bool
	field  string
	detail string
}
