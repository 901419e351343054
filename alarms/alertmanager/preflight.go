package alertmanager

import (
	"context"
	"fmt"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

const (
	// skewWorthSaying is the clock offset from which it is reported, skewTooLarge the one that blocks.
	skewWorthSaying = 2 * time.Second
	skewTooLarge    = 60 * time.Second
)

// Preflight checks that the Alertmanager answers, its clock, that its notifications can be counted, and that each
// expected alarm is quiet and not silenced. A server that does not answer is a finding; the error is only that of ctx.
func (s *Source) Preflight(ctx context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.expect(expected)
	offset, told, err := s.measure(ctx)
	if err != nil {
		return s.failed(ctx, nil, err)
	}
	findings := skew(s.name, offset, told)
	held, _, err := s.alerts(ctx)
	if err != nil {
		return s.failed(ctx, findings, err)
	}
	silences, err := s.silences(ctx)
	if err != nil {
		return s.failed(ctx, findings, err)
	}
	if _, err := s.count(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		findings = append(findings, alarms.Finding{
			Summary: "the notifications of " + s.name + " cannot be counted",
			Detail:  fmt.Sprintf("%v. Whether an alarm paged will be unknown: open /metrics to gameday.", err),
		})
	}
	for _, e := range expected {
		findings = append(findings, standing(e, held)...)
		findings = append(findings, silenced(e, silences)...)
	}
	return findings, nil
}

// failed adds the finding for a server that cannot be read.
func (s *Source) failed(ctx context.Context, findings []alarms.Finding, err error) ([]alarms.Finding, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return append(findings, alarms.Finding{Blocks: true, Summary: s.name + " does not answer",
		Detail: fmt.Sprintf("%v. Is it running, and is the url right?", err)}), nil
}

// skew reports a clock that is too far from ours, or not told.
func skew(name string, o clock.Offset, told bool) []alarms.Finding {
	if !told {
		return []alarms.Finding{{Summary: "the clock of " + name + " is not known",
			Detail: "Its answers have no Date header; does a proxy remove it? Its clock is taken to be right."}}
	}
	by := o.Ahead.Abs()
	if by-o.Err <= skewWorthSaying {
		return nil
	}
	where := "ahead of"
	if o.Ahead < 0 {
		where = "behind"
	}
	return []alarms.Finding{{
		Blocks:  by > skewTooLarge,
		Summary: fmt.Sprintf("the clock of %s is %s %s this machine's", name, by.Round(100*time.Millisecond), where),
		Detail:  "Synchronise both clocks with NTP.",
	}}
}

// standing reports an expected alarm that is held already.
func standing(e alarms.Expectation, held []alert) []alarms.Finding {
	var out []alarms.Finding
	for _, a := range held {
		if !e.Matches(a.Labels) {
			continue
		}
		state := "firing"
		if why := a.suppression(); why != "" {
			state = "firing and " + why
		}
		out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is %s already", e.Name, state),
			Detail: fmt.Sprintf("It began at %s. What this run does could not be told from it: wait until it is quiet.",
				a.StartsAt.Local().Format(time.DateTime))})
	}
	return out
}

// silenced reports the silences that keep an expected alarm from paging, now or soon.
func silenced(e alarms.Expectation, silences []silence) []alarms.Finding {
	var out []alarms.Finding
	for _, s := range silences {
		certainly, perhaps := s.covers(e.Match)
		if s.Status.State == "expired" || (!certainly && !perhaps) {
			continue
		}
		verb, when := "is silenced", fmt.Sprintf("ends %s", s.EndsAt.Local().Format(time.DateTime))
		if s.Status.State == "pending" {
			verb, when = "will be silenced", fmt.Sprintf("begins %s", s.StartsAt.Local().Format(time.DateTime))
		}
		if perhaps {
			verb = "may be silenced: it depends on labels that match does not name"
		}
		out = append(out, alarms.Finding{
			Blocks:  certainly && s.Status.State == "active",
			Summary: fmt.Sprintf("alarm %s %s", e.Name, verb),
			Detail: fmt.Sprintf("Silence %s by %s (%q), %s. It would fire and page nobody: expire the silence first.",
				s.ID, s.CreatedBy, s.Comment, when),
		})
	}
	return out
}
