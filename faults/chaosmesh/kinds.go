package chaosmesh

import (
	"maps"
	"slices"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
)

// Kinds lists what a guard of clusters can inject.
func Kinds() []faults.Kind { return nil }

// kindsOfAPI lists the kinds of Chaos Mesh that this build knows, in order.
func kindsOfAPI() []string { return slices.Sorted(maps.Keys(v1alpha1.AllKinds())) }
