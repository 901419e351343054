package chaosmesh

import (
	"errors"
	"fmt"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
)

// planFor returns what a fault of a config becomes at a place, to stand for duration if it can lapse. It contacts nobody.
func planFor(kind string, config faults.Config, p faults.Place, duration time.Duration) (*object, error) {
	return nil, fmt.Errorf("%s on %s: no object of Chaos Mesh does that", kind, p.Name)
}

// validateFault reports what in a fault Chaos Mesh cannot do. It contacts nobody.
func validateFault(f cluster.Fault) []cluster.Mistake {
	return []cluster.Mistake{{Fault: f.Name, Summary: "Unknown kind of fault", Detail: fmt.Sprintf("No object of Chaos Mesh does %s.", f.Kind)}}
}

// render returns what an injection would put into the cluster. It contacts nobody.
func render(r guard.InjectRequest) (cluster.Manifest, error) {
	return cluster.Manifest{}, errors.New("nothing to render")
}
