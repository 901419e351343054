package dns

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/nftables"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// Pace of the look for an effect.
const (
	lookStep    = 50 * time.Millisecond
	probeRounds = 20                     // rounds of probes at most, so that they stay harmless
	probeWait   = 200 * time.Millisecond // for a probe to arrive, and to be answered
	silence     = 30 * time.Millisecond  // after a probe has arrived: no answer
)

// Effect asks the place's resolvers, from inside the namespace, for a selected name, and waits until the query got the
// outage: the forwarder has taken it, and it was answered as the action says, or not at all. The probe goes no further,
// not even with a delay.
func (o *outage) Effect(ctx context.Context) (faults.Effect, error) {
	t := time.NewTicker(lookStep)
	defer t.Stop()
	var last faults.Effect
	for {
		e, err := o.look(ctx)
		switch {
		case err != nil && over(ctx):
			return last, nil
		case err != nil || e.Proven:
			return e, err
		}
		last = e
		select {
		case <-ctx.Done():
			return e, nil
		case <-t.C:
		}
	}
}

// over reports whether a context's time is up. Its deadline is looked at too: a socket's may strike a little sooner than
// the context's timer, and not every error that comes of it can be told from others.
func over(ctx context.Context) bool {
	end, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(end)
}

// probed is what came of the probes to all resolvers.
type probed struct {
	hit    []string // resolvers whose probe got the outage
	missed []string // others, and why
}

func (o *outage) look(ctx context.Context) (faults.Effect, error) {
	var p probed
	var stands bool
	var led uint64
	err := netns.NFT(ctx, netns.Wide(o.place), func(c *nftables.Conn, ns *os.File) (err error) {
		if stands, err = standing(c, o.undo, o.redirects); err != nil || !stands {
			return err
		}
		if o.rounds < probeRounds {
			o.rounds++
			p = o.probeAll(ctx, ns)
		} else {
			p.missed = []string{"no more probes are sent"}
		}
		led, err = o.undo.Packets(c, askChain)
		return err
	})
	if err != nil {
		return faults.Effect{}, fmt.Errorf("looking for the DNS outage of %s: %w", o.place.Name, err)
	}
	return o.effect(p, stands, led), nil
}

// effect words the evidence. Queries of others prove it as well as probes do.
func (o *outage) effect(p probed, stands bool, led uint64) faults.Effect {
	n := &o.forwarder.count
	selected, own := n.selected.Load(), n.own.Load()
	others := selected - min(own, selected)
	e := faults.Effect{Details: map[string]string{
		"table": o.undo.Table, "packets": strconv.FormatUint(led, 10),
		"selected": strconv.FormatUint(selected, 10), "own_probes": strconv.FormatUint(own, 10),
		"passed": strconv.FormatUint(n.passed.Load(), 10),
	}}
	if lost := n.lost.Load(); lost > 0 {
		e.Details["lost"] = strconv.FormatUint(lost, 10)
	}
	if len(o.left) > 0 {
		e.Details["not_hit"] = strings.Join(o.left, ", ")
	}
	if len(p.missed) > 0 {
		e.Details["probe"] = strings.Join(p.missed, "; ")
	}
	switch {
	case !stands:
		e.Summary = "the lease ran out: no query is hit"
	case len(p.hit) == 0 && others == 0:
		e.Summary = "no query was hit"
	case len(p.hit) > 0:
		e.Proven = true
		e.Summary = fmt.Sprintf("a query to %s was %s", strings.Join(p.hit, ", "), o.treatment.outcome())
		if others > 0 {
			e.Summary += fmt.Sprintf(", beside %d of others", others)
		}
	default:
		e.Proven, e.Summary = true, fmt.Sprintf("queries of others were %s: %d", o.treatment.outcome(), others)
	}
	return e
}

// probeAll probes all resolvers at the same time.
func (o *outage) probeAll(ctx context.Context, ns *os.File) probed {
	results := make([]error, len(o.redirects))
	var wait sync.WaitGroup
	for i, r := range o.redirects {
		wait.Go(func() { results[i] = o.probe(ctx, ns, r.resolver) })
	}
	wait.Wait()
	var p probed
	for i, err := range results {
		name := o.redirects[i].resolver.String()
		if err == nil {
			p.hit = append(p.hit, name)
		} else {
			p.missed = append(p.missed, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return p
}

// probe sends one query as any process of the place would, and returns nil if it got the outage.
func (o *outage) probe(ctx context.Context, ns *os.File, resolver netip.Addr) error {
	var conn net.Conn
	err := netns.Within(ns, func() (err error) {
		conn, err = net.Dial("udp", netip.AddrPortFrom(resolver, domain).String())
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	from := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	taken := o.forwarder.expectProbe(from)
	defer o.forwarder.forgetProbe(from)
	query := newQuery(uint16(rand.Uint32()), o.treatment.names.probe("gameday-"+hex.EncodeToString([]byte{
		byte(rand.Uint32()), byte(rand.Uint32()), byte(rand.Uint32()), byte(rand.Uint32())})))
	if _, err := conn.Write(query); err != nil {
		return err
	}
	limit := time.NewTimer(probeWait)
	defer limit.Stop()
	select {
	case <-taken:
	case <-limit.C:
		return errors.New("the probe did not arrive at the forwarder")
	case <-ctx.Done():
		return ctx.Err()
	}
	return o.judgeProbe(conn, query)
}

// judgeProbe looks at what a probe that was taken is answered.
func (o *outage) judgeProbe(conn net.Conn, query []byte) error {
	wait := silence
	if o.treatment.rcode != 0 {
		wait = probeWait
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	n, err := conn.Read(buf)
	switch silent := errors.Is(err, os.ErrDeadlineExceeded); {
	case silent && o.treatment.rcode == 0:
		return nil
	case silent:
		return errors.New("the probe was not answered")
	case err != nil:
		return err
	}
	rcode, ok := answers(buf[:n], query)
	if !ok || o.treatment.rcode == 0 || rcode != o.treatment.rcode {
		return fmt.Errorf("the probe was answered with code %d", rcode)
	}
	return nil
}
