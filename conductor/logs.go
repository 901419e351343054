package conductor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/loadgen/podlogs"
)

// Runners that report by their pods' logs are told of a change some seconds before it counts: what is to be at the begin of a phase is told before
// it, and what is to be now is late by that.

// lead is how long before it counts a stream's runners are told of a change.
func (s *stream) lead() time.Duration { return s.RunOn.Lead() }

// lead is the longest of the streams' own.
func (t *traffic) lead() (longest time.Duration) {
	for _, s := range t.streams {
		longest = max(longest, s.lead())
	}
	return longest
}

// before waits, and has streams told meanwhile what is to count at the end of that.
func (r *run) before(d time.Duration, tell func()) error {
	r.pace.open()
	lead := min(d, r.traffic.lead())
	if lead == 0 {
		return r.pass()
	}
	told := func() { r.pace.told, r.pace.moved = true, &deed{by: "the plan", at: r.rec.now()} }
	if err := r.arrive(d-lead, nil, told); err != nil {
		return err
	}
	tell()
	return r.pass()
}

// printers has runners started that report by their pods' logs: what they need is made of the order.
func (r *run) printers(ctx context.Context, spec loadgen.Spec, o collector.Order) ([]loadgen.Runner, func(), error) {
	content, err := podlogs.PackStream(r.Version, spec)
	if err != nil {
		return nil, nil, err
	}
	l, err := collector.NewLogs(r.Version, o.RunOn.Parallelism, runnerPatience)
	if err != nil {
		return nil, nil, err
	}
	o.Collector, o.Token, o.Content, o.Logs = loadgen.Logs, l.Token(), content, l
	stop, err := r.Runners[o.RunOn.Kind].Start(ctx, o, l.Lost, spec.Log)
	if err != nil {
		r.mayLeave(spec.Stream, err)
		l.Close()
		return nil, nil, err
	}
	return l.Runners(), func() {
		l.Close()
		r.mayLeave(spec.Stream, stop())
	}, nil
}

// fits returns an error when what the runners of a stream are given does not fit into what carries it to them, for those that report by
// their pods' logs.
func (o Options) fits(ctx context.Context, t loadgen.Spec, program loadgen.Program) error {
	if !t.RunOn.ByLogs() {
		return nil
	}
	if o.Generator == nil {
		return nil // nobody is to send it
	}
	p, ok := o.Generator.(loadgen.Packer)
	if !ok {
		return errors.New("it can be sent from this machine only")
	}
	dir, err := os.MkdirTemp("", "gameday-fits-")
	if err != nil {
		return fmt.Errorf("seeing whether it fits: %w", err)
	}
	defer os.RemoveAll(dir)
	t.Dir = dir
	packed, err := p.Pack(ctx, t)
	if err != nil {
		return err
	}
	if _, err := podlogs.PackStream(o.Version, packed); err != nil {
		return err
	}
	return collector.FitsOrders(loadgen.Command{Then: program.Legs})
}
