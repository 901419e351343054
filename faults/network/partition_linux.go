package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// partition is one cut at one place.
type partition struct {
	table
	plan   plan
	probes uint64 // own packets that the kernel refused to send
	rounds int
}

func bind(p plan) (faults.Injection, error) {
	return &partition{plan: p, table: table{selection: p.selection, chains: p.chains(), priority: priority,
		rules: p.rules}}, nil
}

// Check looks whether the guard may change the place's network, and whether the cut would hit gameday itself.
func (p *partition) Check(ctx context.Context) error {
	if err := p.refuseSelfCut(os.Getenv); err != nil {
		return err
	}
	return checkNetAdmin(ctx, &p.selection)
}

// Undo makes sure that the table which Inject will add is not there, and names it.
func (p *partition) Undo(ctx context.Context) (json.RawMessage, error) {
	if err := p.refuseSelfCut(os.Getenv); err != nil {
		return nil, err
	}
	if err := p.reserve(ctx); err != nil {
		return nil, err
	}
	return json.Marshal(p.undo)
}

// Inject adds the table, all of it or nothing, and fails if somebody else was faster.
func (p *partition) Inject(ctx context.Context, lease time.Duration) error {
	if err := p.add(ctx, p.seen.Open, lease); err != nil {
		return fmt.Errorf("cutting the network of %s: %w", p.place.Name, err)
	}
	return nil
}

// Renew gives all elements a new timeout in one transaction.
func (p *partition) Renew(ctx context.Context, lease time.Duration) error { return p.renew(ctx, lease) }

// Effect waits until the kernel has counted a packet that it cut. What leaves the place it provokes itself, with
// empty datagrams that the cut keeps from leaving; what comes in has to be sent by others.
func (p *partition) Effect(ctx context.Context) (faults.Effect, error) {
	return lookUntilProven(ctx, p.look)
}

func (p *partition) look(ctx context.Context) (faults.Effect, error) {
	var packets uint64
	var standing bool
	var probed error
	err := netns.NFT(ctx, netns.Wide(p.place), func(c *nftables.Conn, ns *os.File) (err error) {
		if standing, err = p.standing(c); err != nil || !standing {
			return err
		}
		if p.rounds > 0 || !p.plan.out { // right after the injection nothing else is expected to have been cut
			if packets, err = p.count(c); err != nil || packets > 0 {
				return err
			}
		}
		if !p.plan.out || p.rounds >= probeRounds {
			return nil
		}
		p.rounds++
		probed = netns.Within(ns, func() (err error) {
			refused, err := p.probeCut()
			p.probes += refused
			return err
		})
		packets, err = p.count(c)
		return err
	})
	if err != nil {
		return faults.Effect{}, fmt.Errorf("looking for the cut of %s: %w", p.place.Name, err)
	}
	return p.effect(packets, standing, probed), nil
}

// effect words the evidence.
func (p *partition) effect(packets uint64, standing bool, probed error) faults.Effect {
	e := faults.Effect{Details: map[string]string{"table": p.undo.Table, "packets": strconv.FormatUint(packets, 10)}}
	verb := "dropped"
	if p.plan.reject {
		verb = "rejected"
	}
	if p.probes > 0 {
		e.Details["own_probes"] = strconv.FormatUint(min(p.probes, packets), 10)
	}
	switch {
	case !standing:
		e.Summary = "the lease ran out: nothing is cut"
	case packets == 0:
		e.Summary = "no packet " + verb
		if !p.plan.out {
			e.Summary += ": none came from the other side"
		}
	case packets == 1:
		e.Proven, e.Summary = true, "1 packet "+verb
	default:
		e.Proven, e.Summary = true, fmt.Sprintf("%d packets %s", packets, verb)
	}
	if len(p.hosts) > 0 {
		e.Details["hosts"] = strings.Join(p.hosts, ", ")
	}
	if probed != nil {
		e.Details["probe"] = probed.Error()
	}
	return e
}

// revert removes the entry's table, if it is there and ours, and makes sure that it is gone.
func revert(ctx context.Context, e faults.Entry) error {
	u, err := netns.ReadUndo(tablePrefix, e)
	if err != nil {
		return err
	}
	if err := u.Remove(ctx, e.Place); err != nil && !errors.Is(err, netns.ErrGone) {
		return fmt.Errorf("healing the network of %s: %w", e.Place.Name, err)
	}
	return nil
}
