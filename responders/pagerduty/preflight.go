package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

const (
	// mostNamed bounds how many open incidents are named.
	mostNamed = 5
)

// Preflight checks that the token may read what the block names, PagerDuty's clock, that the services can page, that
// somebody is on call at the first level, and that no incident is open. A server that does not answer is a finding; the
// error is only that of ctx.
func (s *Source) Preflight(ctx context.Context) ([]responders.Finding, error) {
	a := &follow.Asking{API: s.api}
	findings := []responders.Finding{s.whom()}
	err := func() error {
		services, err := s.readable(ctx, a)
		if err != nil {
			return err
		}
		offset, told := a.Offset()
		findings = append(findings, follow.Skew(s.name, offset, told)...)
		policies := map[string]bool{}
		for _, one := range services {
			findings = append(findings, ready(one)...)
			policies[one.Policy.ID] = true
		}
		if s.configuredPolicy {
			policies[s.policy] = true
		}
		if len(policies) == 0 {
			findings = append(findings, responders.Finding{Summary: "who is on call for " + s.name + " is not known",
				Detail: "Its block names teams alone. Name the policy as well: escalation_policy = \"PABC123\"."})
		}
		for _, id := range slices.Sorted(maps.Keys(policies)) {
			found, err := s.staffed(ctx, a, id)
			if err != nil {
				return err
			}
			findings = append(findings, found...)
		}
		open, err := s.open(ctx, a)
		if err != nil {
			return err
		}
		s.meet(open)
		findings = append(findings, quiet(s.name, open)...)
		return nil
	}()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		findings = append(findings, s.unanswered(err))
	}
	if err := s.listen(); err != nil {
		findings = append(findings, responders.Finding{Blocks: true, Summary: s.name + " cannot take webhooks",
			Detail: fmt.Sprintf("%v. Is another run using the port? Choose another with listen, or leave webhook out: it only makes things faster.", err)})
	}
	return findings, nil
}

// whom says whether people are paged.
func (s *Source) whom() responders.Finding {
	if s.pages == page.RealPages {
		return responders.Finding{Summary: s.name + " pages real people",
			Detail: "Its block says pages = \"real\". Whoever is on call for these services will be woken."}
	}
	return responders.Finding{Summary: s.name + " is said to page nobody outside of drills",
		Detail: "Its block says pages = \"dry\". That cannot be checked: see below who is on call."}
}

// unanswered is the finding for a PagerDuty that cannot be read.
func (s *Source) unanswered(err error) responders.Finding {
	hint := "Is it running, is the network up, and is the url right (https://api.eu.pagerduty.com in the EU)?"
	var status *web.StatusError
	if errors.As(err, &status) {
		switch status.Code {
		case http.StatusUnauthorized, http.StatusForbidden:
			hint = "The token must be a REST API key of this account, read-only is enough; not an integration key."
		case http.StatusNotFound:
			hint = "An id in the block is not known, or the token may not see it; or the url is that of the other region."
		case http.StatusPaymentRequired:
			hint = "The account's plan does not have this."
		}
	}
	return responders.Finding{Blocks: true, Summary: s.name + " cannot be read", Detail: fmt.Sprintf("%v. %s", err, hint)}
}

// ready checks that a service opens incidents that page, and says what PagerDuty does by itself.
func ready(one service) []responders.Finding {
	name := fmt.Sprintf("service %s (%s)", one.ID, one.Name)
	var out []responders.Finding
	switch one.Status {
	case "disabled":
		out = append(out, responders.Finding{Blocks: true, Summary: name + " is disabled", Detail: "It opens no incidents. Enable it."})
	case "maintenance":
		out = append(out, responders.Finding{Blocks: true, Summary: name + " is in maintenance",
			Detail: "It opens no incidents until its maintenance window is over. End the window, or run later."})
	}
	if one.Policy.ID == "" {
		out = append(out, responders.Finding{Blocks: true, Summary: name + " has no escalation policy", Detail: "Nobody would be told. Give it one."})
	}
	if r := one.Urgency; r != nil && r.Type == "constant" && r.Urgency == "low" {
		out = append(out, responders.Finding{Summary: name + " opens incidents of low urgency",
			Detail: "They are not escalated, and people are notified by their rules for low urgency, which may be only mail."})
	}
	if p := one.Pause; p != nil && p.Enabled {
		out = append(out, responders.Finding{Summary: name + " may wait before it pages",
			Detail: fmt.Sprintf("Notifications about alerts that seem to pass are paused for %s.", seconds(&p.Timeout))})
	}
	return append(out, responders.Finding{Summary: name + " acts by itself",
		Detail: fmt.Sprintf("An acknowledgement runs out after: %s. An incident is resolved after: %s.", seconds(one.AckTimeout), seconds(one.AutoResolve))})
}

// seconds words a service's timeout.
func seconds(s *float64) string {
	if s == nil || *s <= 0 {
		return "never"
	}
	return time.Duration(*s * float64(time.Second)).String()
}

// staffed checks that somebody is on call, and says for how long each level has the page.
func (s *Source) staffed(ctx context.Context, a *follow.Asking, id string) ([]responders.Finding, error) {
	if id == "" {
		return nil, nil
	}
	var body struct {
		Policy *policy `json:"escalation_policy"`
	}
	if err := a.Get(ctx, "/escalation_policies/"+id, nil, &body); err != nil {
		return nil, err
	}
	if body.Policy == nil || body.Policy.ID != id {
		return nil, fmt.Errorf("GET /escalation_policies/%s: the answer is about no such policy", id)
	}
	turns, err := s.turns(ctx, a, id, clock.Span{})
	if err != nil {
		return nil, err
	}
	on := map[int]map[string]bool{}
	for _, t := range turns {
		if on[t.Level] == nil {
			on[t.Level] = map[string]bool{}
		}
		on[t.Level][t.User.ID] = true
	}
	name := fmt.Sprintf("escalation policy %s (%s)", id, body.Policy.Name)
	var out []responders.Finding
	if len(on[1]) == 0 {
		out = append(out, responders.Finding{Blocks: true, Summary: "nobody is on call at level 1 of " + name, Detail: "A page would reach nobody at first. Look at its schedules."})
	}
	var levels []string
	for i, rule := range body.Policy.Rules {
		levels = append(levels, fmt.Sprintf("level %d: %d on call, has it for %s", i+1, len(on[i+1]), time.Duration(rule.Delay*float64(time.Minute))))
	}
	return append(out, responders.Finding{Summary: fmt.Sprintf("%s has %d levels", name, len(body.Policy.Rules)), Detail: fmt.Sprintf("%s. It is repeated %d times.", strings.Join(levels, "; "), body.Policy.Loops)}), nil
}

// quiet checks that no incident is open.
func quiet(name string, open []incident) []responders.Finding {
	if len(open) == 0 {
		return nil
	}
	var list []string
	for i, one := range open {
		if i == mostNamed {
			list = append(list, fmt.Sprintf("and %d more", len(open)-mostNamed))
			break
		}
		list = append(list, fmt.Sprintf("%s (%s since %s): %s", one.ID, one.Status, one.Created.Local().Format(time.DateTime), page.Title(one.Title)))
	}
	return []responders.Finding{{Blocks: true, Summary: fmt.Sprintf("%s has %d open already", name, len(open)),
		Detail: fmt.Sprintf("A new alarm may join an open incident and page nobody, and if it is a real one, this is no time for a game day. Resolve them first. %s.", strings.Join(list, "; "))}}
}
