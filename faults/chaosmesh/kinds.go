package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// Kinds lists what a guard of clusters can inject.
func Kinds() []faults.Kind { return nil }

// kindsOfAPI lists the kinds of Chaos Mesh that this build knows, in order.
func kindsOfAPI() []string { return slices.Sorted(maps.Keys(v1alpha1.AllKinds())) }

// Answer answers a cluster.Query in JSON, as a guard does for its client.
func Answer(ctx context.Context, query json.RawMessage) (json.RawMessage, error) {
	var q cluster.Query
	if err := json.Unmarshal(query, &q); err != nil {
		return nil, fmt.Errorf("reading what is asked: %w", err)
	}
	if _, err := connect(q.Access); err != nil {
		return nil, err
	}
	return nil, errors.New("nothing is asked")
}
