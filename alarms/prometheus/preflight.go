package prometheus

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

// Preflight checks that the server answers, its clock, and for each expected alarm that its rule exists, is evaluated,
// can have the labels wanted, and is quiet. A server that does not answer is a finding; the error is only that of ctx.
// An alarm that no rule can raise does not block, and does not count against the coverage afterwards: it is missed, not
// unknown.
func (s *Source) Preflight(ctx context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.Expect(expected)
	offset, err := s.measure(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return []alarms.Finding{unanswered(s.name, err)}, nil
	}
	findings := skew(s.name, offset)
	rules, reply, err := s.rules(ctx, nil)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return append(findings, unanswered(s.name, err)), nil
	}
	now := reply.Received.Add(offset.Ahead)
	for _, e := range expected {
		findings = append(findings, s.ready(e, rules, now)...)
	}
	return append(findings, s.noisy(expected, rules)...), nil
}

// unanswered is the finding for a server that cannot be read.
func unanswered(name string, err error) alarms.Finding {
	return alarms.Finding{Blocks: true, Summary: name + " does not answer",
		Detail: fmt.Sprintf("%v. Is it running, and is the url right?", err)}
}

// skew reports a clock that is too far from ours.
func skew(name string, o clock.Offset) []alarms.Finding {
	by := o.Ahead.Abs()
	if by <= skewWorthSaying {
		return nil
	}
	where := "ahead of"
	if o.Ahead < 0 {
		where = "behind"
	}
	f := alarms.Finding{
		Blocks: by > skewTooLarge,
		Summary: fmt.Sprintf("the clock of %s is %s %s this machine's",
			name, by.Round(100*time.Millisecond), where),
		Detail: "Times are corrected by it. Synchronise both clocks with NTP.",
	}
	if f.Blocks {
		f.Detail = "So large an offset is more likely a fault than a difference. Synchronise both clocks with NTP."
	}
	return []alarms.Finding{f}
}

// ready checks one expected alarm.
func (s *Source) ready(e alarms.Expectation, rules []rule, now time.Time) []alarms.Finding {
	if e.Match[alertName] == "" {
		return []alarms.Finding{{
			Summary: fmt.Sprintf("alarm %s names no alertname", e.Name),
			Detail:  "Its rule cannot be checked beforehand. Add alertname to match.",
		}}
	}
	var out []alarms.Finding
	mine, wrong := judge(e, rules, now)
	if wrong != nil {
		f := alarms.Finding{Blocks: !wrong.absent, Detail: wrong.detail,
			Summary: fmt.Sprintf("alarm %s: %s in %s", e.Name, wrong.summary, s.name)}
		if wrong.absent {
			f.Absent = e.Name
			s.markAbsent(e.Name)
		}
		out = append(out, f)
	}
	for _, r := range mine {
		for _, a := range r.Alerts {
			if !e.Matches(a.Labels) || (a.State != "pending" && a.State != "firing") {
				continue
			}
			since := s.knownOffset().Ours(a.ActiveAt, 0).Lo
			out = append(out, alarms.Finding{Blocks: true,
				Summary: fmt.Sprintf("alarm %s is %s already", e.Name, a.State),
				Detail: fmt.Sprintf("Its condition holds since %s (%s). What this run does could not be told from it: "+
					"wait until it is quiet.",
					since.Format(time.TimeOnly), now.Sub(a.ActiveAt).Round(time.Second)),
			})
		}
	}
	return out
}

// noisy reports the alarms that count as noise and are active before anything has happened.
func (s *Source) noisy(expected []alarms.Expectation, rules []rule) []alarms.Finding {
	var out []alarms.Finding
	for _, r := range rules {
		for _, a := range r.Alerts {
			known := a.State != "firing" || !alarms.Match(s.noise, a.Labels)
			for _, e := range expected {
				known = known || e.Matches(a.Labels)
			}
			if !known {
				out = append(out, alarms.Finding{
					Summary: fmt.Sprintf("%s is firing already", r.Name),
					Detail:  "It matches the noise watch and began before the run: it counts as background.",
				})
			}
		}
	}
	return out
}
