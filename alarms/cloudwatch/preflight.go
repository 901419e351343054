package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/poll"
	"gameday/faults"
)

// Preflight checks that CloudWatch answers and may be read, its clock, and for each expected alarm that it exists, has data, is
// evaluated, is quiet, and that its actions are carried out. What does not answer is a finding; the error is only that of ctx.
func (s *Source) Preflight(ctx context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.wanted.Expect(expected)
	list, err := s.alarms(ctx, s.names())
	if err != nil {
		return s.failed(ctx, nil, err)
	}
	now := time.Now()
	if _, err := s.history(ctx, "", now.Add(-time.Minute), now); err != nil {
		return s.failed(ctx, nil, err)
	}
	offset, told := s.measure()
	findings := poll.Skew(s.name, offset, told)
	var all []string // names, asked for once, when one is missing
	for _, e := range expected {
		mine, wrong := s.judge(e, list)
		if wrong != nil {
			f := alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s: %s in %s", e.Name, wrong.summary, s.name), Detail: wrong.detail}
			if wrong.missing {
				if all == nil {
					all = s.everyName(ctx)
				}
				if guess := faults.Nearest(e.Match[alertName], all); guess != "" && guess != e.Match[alertName] {
					f.Detail = fmt.Sprintf("Did you mean %s? %s", guess, f.Detail)
				}
			}
			findings = append(findings, f)
		}
		for _, a := range mine {
			findings = append(findings, s.ready(e, a)...)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return findings, nil
}

// everyName returns the names of all alarms, for a guess.
func (s *Source) everyName(ctx context.Context) []string {
	list, err := s.alarms(ctx, nil)
	if err != nil {
		return []string{}
	}
	out := []string{}
	for _, a := range list {
		out = append(out, a.name)
	}
	return out
}

// failed adds the finding for what cannot be read.
func (s *Source) failed(ctx context.Context, findings []alarms.Finding, err error) ([]alarms.Finding, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return append(findings, alarms.Finding{Blocks: true, Summary: s.name + " cannot be read", Detail: err.Error()}), nil
}

// ready checks one alarm that is expected.
func (s *Source) ready(e alarms.Expectation, a alarm) []alarms.Finding {
	var out []alarms.Finding
	if state, _ := s.parseState(a.state, a.name); state == alarms.StateFiring {
		out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is firing already", e.Name),
			Detail: fmt.Sprintf("Since %s. What this run does could not be told from it: wait until it is quiet.", s.clock.Offset().Ours(a.since, 0).Lo.Local().Format(time.DateTime))})
	}
	if why := a.held(); why != "" {
		out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is held back", e.Name), Detail: fmt.Sprintf("It would fire and page nobody: %s.", why)})
	}
	switch {
	case len(a.actions) == 0:
		out = append(out, alarms.Finding{Summary: fmt.Sprintf("alarm %s has no actions", e.Name), Detail: "It fires and pages nobody."})
	case len(s.config.Pages) > 0 && !slices.ContainsFunc(a.actions, s.pages):
		out = append(out, alarms.Finding{Summary: fmt.Sprintf("alarm %s does not page", e.Name), Detail: "None of its actions is among pages_to."})
	}
	return out
}

// pages reports whether an action is a page.
func (s *Source) pages(arn string) bool {
	return len(s.config.Pages) == 0 || slices.Contains(s.config.Pages, arn)
}
