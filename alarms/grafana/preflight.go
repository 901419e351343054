package grafana

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/poll"
)

// Preflight checks that Grafana answers and may be read, its clock, whether its notifications are kept, and for each expected alarm
// that its rule exists, is evaluated, has data, can have the labels wanted, and is quiet and not silenced. A server that does not
// answer is a finding; the error is only that of ctx.
func (s *Source) Preflight(ctx context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.wanted.Expect(expected)
	offset, told, err := s.clock.FromDates(ctx, s.health)
	if err != nil {
		return s.failed(ctx, nil, err)
	}
	findings := poll.Skew(s.name, offset, told)
	rules, reply, err := s.rules(ctx, nil)
	if err != nil {
		return s.failed(ctx, findings, err)
	}
	now := reply.Received.Add(offset.Ahead)
	for _, e := range expected {
		findings = append(findings, s.ready(ctx, e, rules, now)...)
	}
	findings = append(findings, s.noisy(expected, rules)...)
	if silences, err := s.silences(ctx); err != nil {
		findings = append(findings, alarms.Finding{Summary: "the silences of " + s.name + " cannot be read",
			Detail: fmt.Sprintf("%v. A silenced alarm will look as if it paged nobody for no reason.", err)})
	} else {
		for _, e := range expected {
			findings = append(findings, silenced(e, silences)...)
		}
	}
	if _, err := s.notifications(ctx, now.Add(-time.Minute), now); err != nil {
		findings = append(findings, alarms.Finding{Summary: "the notifications of " + s.name + " cannot be read",
			Detail: fmt.Sprintf("%v. Whether an alarm paged will be unknown from here: use pages_via with what is paged.", err)})
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return findings, nil
}

// failed adds the finding for a server that cannot be read.
func (s *Source) failed(ctx context.Context, findings []alarms.Finding, err error) ([]alarms.Finding, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return append(findings, poll.Unanswered(s.name, err)), nil
}

// ready checks one expected alarm. A rule that is not shown is absent only for somebody who may see all rules.
func (s *Source) ready(ctx context.Context, e alarms.Expectation, rules []rule, now time.Time) []alarms.Finding {
	if e.Match[alertName] == "" {
		return []alarms.Finding{{Summary: fmt.Sprintf("alarm %s names no alertname", e.Name),
			Detail: "Its rule cannot be checked beforehand. Add alertname, which is the rule's title, to match."}}
	}
	var out []alarms.Finding
	mine, wrong := s.judge(e, rules, now)
	if wrong != nil {
		f := alarms.Finding{Blocks: !wrong.missing, Summary: fmt.Sprintf("alarm %s: %s in %s", e.Name, wrong.summary, s.name), Detail: wrong.detail}
		switch {
		case !wrong.missing:
		case s.seesAll(ctx):
			f.Absent = e.Name
			s.wanted.Absent(e.Name)
		default:
			f.Blocks = true
			f.Detail += " It may also be in a folder that these credentials may not read: give them alert.rules:read on all folders."
		}
		out = append(out, f)
	}
	for _, r := range mine {
		for _, a := range r.Alerts {
			state, _ := s.state(a.State, r.Name)
			if state != alarms.StatePending && state != alarms.StateFiring || !e.Matches(public(a.Labels)) {
				continue
			}
			since := ""
			if a.ActiveAt != nil {
				since = " since " + s.clock.Offset().Ours(*a.ActiveAt, 0).Lo.Local().Format(time.TimeOnly)
			}
			out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is %s already", e.Name, state),
				Detail: fmt.Sprintf("It is so%s. What this run does could not be told from it: wait until it is quiet.", since)})
		}
	}
	return out
}

// noisy reports the alarms that count as noise and fire before anything has happened.
func (s *Source) noisy(expected []alarms.Expectation, rules []rule) []alarms.Finding {
	var out []alarms.Finding
	for _, r := range rules {
		for _, a := range r.Alerts {
			labels := public(a.Labels)
			state, _ := s.state(a.State, r.Name)
			known := state != alarms.StateFiring || !alarms.Match(s.wanted.Noise, labels)
			for _, e := range expected {
				known = known || e.Matches(labels)
			}
			if !known {
				out = append(out, alarms.Finding{Summary: fmt.Sprintf("%s is firing already", r.Name),
					Detail: "It matches the noise watch and began before the run: it counts as background."})
			}
		}
	}
	return out
}

// holds reports whether the matcher is satisfied by a value.
func (m matcher) holds(value string) bool {
	same := value == m.Value
	if m.IsRegex {
		re, err := regexp.Compile("^(?:" + m.Value + ")$")
		same = err == nil && re.MatchString(value)
	}
	return same == (m.IsEqual == nil || *m.IsEqual)
}

// covers says whether the silence matches an alarm of which only some labels are known: certainly, or perhaps.
func (s silence) covers(labels map[string]string) (certainly, perhaps bool) {
	certainly = len(s.Matchers) > 0
	for _, m := range s.Matchers {
		value, known := labels[m.Name]
		if !known {
			certainly = false
			continue
		}
		if !m.holds(value) {
			return false, false
		}
	}
	return certainly, !certainly && len(s.Matchers) > 0
}

// silenced reports the silences that keep an expected alarm from paging, now or soon.
func silenced(e alarms.Expectation, silences []silence) []alarms.Finding {
	var out []alarms.Finding
	for _, s := range silences {
		certainly, perhaps := s.covers(e.Match)
		if s.Status.State == "expired" || !certainly && !perhaps {
			continue
		}
		verb, when := "is silenced", "ends "+s.EndsAt.Local().Format(time.DateTime)
		if s.Status.State == "pending" {
			verb, when = "will be silenced", "begins "+s.StartsAt.Local().Format(time.DateTime)
		}
		if perhaps {
			verb = "may be silenced: it depends on labels that match does not name"
		}
		out = append(out, alarms.Finding{Blocks: certainly && s.Status.State == "active", Summary: fmt.Sprintf("alarm %s %s", e.Name, verb),
			Detail: fmt.Sprintf("Silence %s by %s (%q), %s. It would fire and page nobody: expire the silence first.", s.ID, s.CreatedBy, clip(s.Comment), when)})
	}
	return out
}
