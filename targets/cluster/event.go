package cluster

import (
	"context"

	"gameday/faults"
	"gameday/faults/cluster"
)

// Tell makes an Event in the cluster.
func (p *Program) Tell(ctx context.Context, a faults.Access, e cluster.Event) error {
	_, err := ask[any](ctx, p, cluster.Query{Access: a, Event: &e})
	return err
}
