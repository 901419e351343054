package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/faults"
)

// problem is why an expected alarm could not be seen even if its condition held.
type problem struct {
	summary string // "no rule named PaymentDown"
	detail  string // cause and next step
	// settling says that the server has only just started and will know soon.
	settling bool
	// absent says that no rule can raise the alarm at all.
	absent bool
}

// judge says what is wrong with the rule of an expected alarm, nil when nothing is, and returns the rules that may
// raise it. rules are all those known, now is the time by the server's clock.
func judge(e alarms.Expectation, rules []rule, now time.Time) ([]rule, *problem) {
	name := e.Match[alertName]
	if name == "" {
		return nil, nil
	}
	var named []rule
	for _, r := range rules {
		if r.Name == name {
			named = append(named, r)
		}
	}
	if len(named) == 0 {
		return nil, missing(name, rules)
	}
	var mine []rule
	contradiction := ""
	for _, r := range named {
		if c := contradicts(e.Match, r); c != "" {
			contradiction = c
			continue
		}
		mine = append(mine, r)
	}
	if len(mine) == 0 {
		return nil, &problem{
			summary: fmt.Sprintf("the rule %s can never have the labels expected", name),
			detail:  contradiction + " Change match in the scenario, or the rule's labels.",
			absent:  true,
		}
	}
	for _, r := range mine {
		if p := unhealthy(r, now); p != nil {
			return mine, p
		}
	}
	return mine, nil
}

// unhealthy says why a rule that exists cannot raise its alarm.
func unhealthy(r rule, now time.Time) *problem {
	age := now.Sub(r.LastEvaluation)
	switch {
	case r.Health == "err":
		return &problem{
			summary: fmt.Sprintf("the rule %s fails", r.Name),
			detail:  fmt.Sprintf("Its last evaluation ended in: %s. Mend the expression.", r.LastError),
		}
	case !r.evaluated() || r.Health == "unknown":
		return &problem{
			summary:  fmt.Sprintf("the rule %s was not evaluated yet", r.Name),
			detail:   fmt.Sprintf("The server has only just started, or loaded it. Wait %s and try again.", 2*r.Interval),
			settling: true,
		}
	case age > stale(r.Interval):
		return &problem{
			summary: fmt.Sprintf("the rule %s is not evaluated any more", r.Name),
			detail: fmt.Sprintf("Its last evaluation was %s ago, its interval is %s. "+
				"Is the server overloaded, or its clock wrong?",
				age.Round(time.Second), r.Interval),
		}
	}
	return nil
}

// stale is the age from which a rule's last evaluation says that evaluation has stopped.
func stale(interval time.Duration) time.Duration { return 2*interval + 5*time.Second }

// contradicts returns the sentence that names a label which the rule sets to another value than the one wanted. A label
// that the rule does not set may come from the series, and a template may become anything.
func contradicts(want map[string]string, r rule) string {
	for k, v := range want {
		if has, ok := r.Labels[k]; ok && has != v && k != alertName && !strings.Contains(has, "{{") {
			return fmt.Sprintf("The rule sets %s=%q, the scenario expects %s=%q.", k, has, k, v)
		}
	}
	return ""
}

// missing words a rule that does not exist, with the nearest name there is.
func missing(name string, rules []rule) *problem {
	var names []string
	for _, r := range rules {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	p := &problem{summary: fmt.Sprintf("no rule is named %s", name), absent: true}
	guess := faults.Nearest(name, names)
	switch {
	case guess != "":
		p.detail = fmt.Sprintf("Did you mean %s? Correct alertname in the scenario, or load the rule.", guess)
	case len(names) == 0:
		p.detail = "The server has no alerting rules at all. Is rule_files set, and is this the right server?"
	default:
		p.detail = fmt.Sprintf("The server has %d alerting rules: %s. Load the rule, or correct alertname in the scenario.",
			len(names), strings.Join(names[:min(len(names), 8)], ", "))
	}
	return p
}
