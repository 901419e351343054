package chaosmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gameday/faults/cluster"
)

// Answer answers a cluster.Query in JSON, as a guard does for its client.
func Answer(ctx context.Context, query json.RawMessage) (json.RawMessage, error) {
	var q cluster.Query
	d := json.NewDecoder(bytes.NewReader(query))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return nil, fmt.Errorf("reading what is asked: %w", err)
	}
	answer, err := answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

func answer(ctx context.Context, q cluster.Query) (any, error) {
	switch { // these contact nobody, so that no cluster need be there
	case q.Validate != nil:
		out := []cluster.Mistake{}
		for _, f := range q.Validate {
			out = append(out, validateFault(f)...)
		}
		return out, nil
	case q.Render != nil:
		out := []cluster.Rendered{}
		for _, r := range q.Render {
			m, err := render(r)
			if err != nil {
				return nil, fmt.Errorf("%s on %s: %w", r.Fault, r.Place.Name, err)
			}
			out = append(out, m)
		}
		return out, nil
	}
	c, err := connect(q.Access)
	if q.Preflight != nil && err != nil {
		return []cluster.Finding{{What: aboutCluster, Blocks: true, Summary: err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case q.Pods != nil:
		return c.findPods(ctx, *q.Pods)
	case q.Machines != nil:
		return c.findMachines(ctx, *q.Machines)
	case q.Instance != nil:
		return c.findInstance(ctx, *q.Instance)
	case q.Itself:
		return c.itself(), nil
	case q.Preflight != nil:
		return c.preflight(ctx, *q.Preflight)
	case q.Ours != nil:
		return c.ours(ctx, *q.Ours)
	case q.Lift != nil:
		return c.lift(ctx, *q.Lift)
	case q.Radius != nil:
		return c.lands(ctx, q.Radius)
	case q.Event != nil:
		return nil, c.post(ctx, *q.Event)
	}
	return nil, errors.New("nothing is asked")
}
