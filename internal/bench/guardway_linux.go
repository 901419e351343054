package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

// guardWay cuts nodes as a conductor does: with requests to one guard, all sent at once.
type guardWay struct {
	client   *guard.Client
	ledger   string
	requests []guard.InjectRequest
	standing func(pid int) // called when all nodes are cut
}

const guardPatience = 30 * time.Second

func newGuardWay(program, ledger string) (*guardWay, error) {
	c := exec.Command(program, "--ledger", ledger)
	c.Env = plainEnvironment()
	ctx, cancel := context.WithTimeout(context.Background(), guardPatience)
	defer cancel()
	client, err := guard.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	return &guardWay{client: client, ledger: ledger}, nil
}

// each does a thing for all requests at once, and returns when each was answered, from the beginning of all.
func (w *guardWay) each(do func(context.Context, guard.InjectRequest) error) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), guardPatience)
	defer cancel()
	began, done := time.Now(), make([]time.Duration, len(w.requests))
	failed := make([]error, len(w.requests))
	var all sync.WaitGroup
	for i, r := range w.requests {
		all.Go(func() {
			failed[i] = do(ctx, r)
			done[i] = time.Since(began)
		})
	}
	all.Wait()
	return done, errors.Join(failed...)
}

func (w *guardWay) inject(nodes []*benchNode) ([]time.Duration, error) {
	config, err := json.Marshal(map[string]any{"to": []string{hubAddress.String()}})
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		place, err := n.place()
		if err != nil {
			return nil, err
		}
		w.requests = append(w.requests, guard.InjectRequest{ID: "bench-" + n.name, Run: "bench", Scenario: "bench",
			Fault: n.name, Kind: "network_partition", Config: config, Place: place, Lease: time.Minute, Deadline: time.Minute})
	}
	done, err := w.each(func(ctx context.Context, r guard.InjectRequest) error {
		got, err := w.client.Inject(ctx, r)
		if err == nil && !got.Effect.Proven {
			err = fmt.Errorf("%s: not proven: %s", r.Fault, got.Effect.Summary)
		}
		return err
	})
	if err == nil {
		w.standing(w.client.PID())
	}
	return done, err
}

// revert returns when the guard has proven that each is gone, and looks that its ledger is empty.
func (w *guardWay) revert([]*benchNode) ([]time.Duration, error) {
	done, err := w.each(func(ctx context.Context, r guard.InjectRequest) error { return w.client.Revert(ctx, r.ID) })
	if err != nil {
		return nil, err
	}
	l, err := faults.OpenLedger(w.ledger)
	if err != nil {
		return nil, err
	}
	left, err := l.Standing()
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d entries are left in the ledger", len(left))
	}
	return done, err
}

func (w *guardWay) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), guardPatience)
	defer cancel()
	return errors.Join(w.client.Close(ctx), os.RemoveAll(w.ledger))
}
