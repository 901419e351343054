package datadog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/poll"
	"gameday/faults"
)

// problem says why an expected alarm could not be seen, or could never fire.
type problem struct {
	summary, detail string
	missing         bool // no monitor can raise it
}

func (p *problem) String() string { return p.summary + ". " + p.detail }

// judge says what is wrong with the monitors of an expected alarm, nil when nothing is, and returns those that may raise it.
func (s *Source) judge(e alarms.Expectation, list []monitor) ([]monitor, *problem) {
	var mine []monitor
	for _, m := range list {
		if s.mayRaise(m, e) {
			mine = append(mine, m)
		}
	}
	if len(mine) == 0 {
		return nil, missing(e, list)
	}
	for _, m := range mine {
		if p := s.unhealthy(m, e); p != nil {
			return mine, p
		}
	}
	return mine, nil
}

// mayRaise reports whether a monitor has the name, the id and the tags that an expected alarm has, as far as it has such tags.
func (s *Source) mayRaise(m monitor, e alarms.Expectation) bool {
	labels := m.labels()
	for _, k := range []string{alertName, monitorID} {
		if want := e.Match[k]; want != "" && labels[k] != want {
			return false
		}
	}
	return poll.Consistent(e.Match, labels)
}

// unhealthy says why a monitor that exists cannot raise an alarm.
func (s *Source) unhealthy(m monitor, e alarms.Expectation) *problem {
	if m.Draft == "draft" {
		return &problem{summary: fmt.Sprintf("the monitor %s is a draft", m.Name), detail: "It notifies nobody: publish it."}
	}
	if state, why := s.state(m.State, m); state == alarms.StateBroken {
		return &problem{summary: fmt.Sprintf("the monitor %s cannot tell: %s", m.Name, why), detail: s.advice(m)}
	}
	var p *problem
	m.each(func(labels map[string]string, g group) {
		if state, why := s.state(g.Status, m); state == alarms.StateBroken && poll.Consistent(e.Match, labels) {
			p = &problem{summary: fmt.Sprintf("the monitor %s cannot tell: %s", m.Name, why), detail: s.advice(m)}
		}
	})
	return p
}

func (s *Source) advice(m monitor) string {
	return fmt.Sprintf("That is no sign that all is well. Mend its query; if no data means that all is well, say no_data_is_quiet = [%q].", m.Name)
}

// missing words a monitor that is not there, with the nearest name there is.
func missing(e alarms.Expectation, list []monitor) *problem {
	name := e.Match[alertName]
	if id := e.Match[monitorID]; id != "" {
		return &problem{missing: true, summary: "there is no monitor " + id, detail: "monitor_id is the number at the end of its address in Datadog. Was it deleted?"}
	}
	var names []string
	for _, m := range list {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	p := &problem{missing: true, summary: fmt.Sprintf("no monitor is named %s", name)}
	switch guess := faults.Nearest(name, names); {
	case guess == name:
		p.summary, p.detail = fmt.Sprintf("the monitor %s can never have the labels expected", name), "Its tags are others. Change match in the scenario, or the monitor's tags."
	case guess != "":
		p.detail = fmt.Sprintf("Did you mean %s? alertname is the monitor's name, as it is written in Datadog.", guess)
	default:
		p.detail = fmt.Sprintf("Of the %d monitors none is named so. alertname is the monitor's name, as it is written in Datadog.", len(names))
	}
	return p
}

// Preflight checks that Datadog answers and the keys are good, its clock, and for each expected alarm that its monitor exists, has
// data, is published, and is quiet and not held back. A server that does not answer is a finding; the error is only that of ctx.
func (s *Source) Preflight(ctx context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.wanted.Expect(expected)
	offset, told, err := s.clock.FromDates(ctx, s.validate)
	if err != nil {
		return s.failed(ctx, nil, err)
	}
	findings := poll.Skew(s.name, offset, told)
	list, _, err := s.monitors(ctx, true)
	if err != nil {
		return s.failed(ctx, findings, err)
	}
	now := time.Now().Add(offset.Ahead)
	for _, e := range expected {
		findings = append(findings, s.ready(e, list, now)...)
	}
	if _, err := s.events(ctx, 0, now.Add(-time.Minute), now); err != nil {
		findings = append(findings, alarms.Finding{Blocks: true, Summary: "the events of " + s.name + " cannot be read",
			Detail: fmt.Sprintf("%v. What happened is read from them: give the application key events_read.", err)})
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

// ready checks one expected alarm.
func (s *Source) ready(e alarms.Expectation, list []monitor, now time.Time) []alarms.Finding {
	var out []alarms.Finding
	mine, wrong := s.judge(e, list)
	if wrong != nil {
		f := alarms.Finding{Blocks: !wrong.missing, Summary: fmt.Sprintf("alarm %s: %s in %s", e.Name, wrong.summary, s.name), Detail: wrong.detail}
		if wrong.missing {
			f.Absent = e.Name
			s.wanted.Absent(e.Name)
		}
		out = append(out, f)
	}
	for _, m := range mine {
		if !m.Options.NotifyNoData && (m.Options.OnMissing == "" || m.Options.OnMissing == "default") {
			out = append(out, alarms.Finding{Summary: fmt.Sprintf("the monitor %s does not tell when it has no data", m.Name),
				Detail: "It shows its last state then, so that it was quiet may be for want of data. Set \"If data is missing\" to show it."})
		}
		for _, a := range s.standing(m) {
			if e.Matches(a.Labels) {
				out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is firing already", e.Name),
					Detail: fmt.Sprintf("%s stands. What this run does could not be told from it: wait until it is quiet.", a.Key)})
			}
		}
		certainly, perhaps := m.held(e.Match, now)
		switch {
		case certainly != "":
			out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("alarm %s is held back", e.Name),
				Detail: fmt.Sprintf("By %s. It would fire and page nobody: end it first.", certainly)})
		case perhaps != "":
			out = append(out, alarms.Finding{Summary: fmt.Sprintf("alarm %s may be held back", e.Name),
				Detail: fmt.Sprintf("By %s: it depends on tags that match does not name.", perhaps)})
		}
		if len(s.pagesTo) > 0 && s.handle(m.Message) == "" {
			out = append(out, alarms.Finding{Summary: fmt.Sprintf("the monitor %s does not page", m.Name),
				Detail: fmt.Sprintf("Its message names none of %s. That it paged will not be seen.", strings.Join(s.pagesTo, ", "))})
		}
	}
	return out
}

// handle returns the first of the handles that page which a text names; empty when it names none.
func (s *Source) handle(text string) string {
	for _, h := range s.pagesTo {
		for rest := text; ; {
			_, after, found := strings.Cut(rest, h)
			if !found {
				break
			}
			if after == "" || !strings.ContainsAny(after[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") {
				return h
			}
			rest = after
		}
	}
	return ""
}
