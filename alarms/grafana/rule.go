package grafana

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/faults"
)

// problem says why an expected alarm could not be seen, or could never fire.
type problem struct {
	summary, detail string
	missing         bool // no rule of that name is seen
	settling        bool // it is over by itself soon
}

func (p *problem) String() string { return p.summary + ". " + p.detail }

// judge says what is wrong with the rule of an expected alarm, nil when nothing is, and returns the rules that may raise it. now
// is the time by Grafana's clock.
func (s *Source) judge(e alarms.Expectation, rules []rule, now time.Time) ([]rule, *problem) {
	name := e.Match[alertName]
	if name == "" {
		return nil, nil
	}
	var mine []rule
	contradiction := ""
	for _, r := range rules {
		if r.Name != name {
			continue
		}
		if c := contradicts(e.Match, r); c != "" {
			contradiction = c
			continue
		}
		mine = append(mine, r)
	}
	switch {
	case len(mine) == 0 && contradiction != "":
		return nil, &problem{summary: fmt.Sprintf("the rule %s can never have the labels expected", name), missing: true,
			detail: contradiction + " Change match in the scenario, or the rule's labels."}
	case len(mine) == 0:
		return nil, missing(name, rules)
	}
	for _, r := range mine {
		if p := s.unhealthy(r, now); p != nil {
			return mine, p
		}
	}
	return mine, nil
}

// unhealthy says why a rule that exists cannot raise its alarm.
func (s *Source) unhealthy(r rule, now time.Time) *problem {
	age := now.Sub(r.LastEvaluation)
	switch health := strings.ToLower(r.Health); {
	case r.IsPaused:
		return &problem{summary: fmt.Sprintf("the rule %s is paused", r.Name), detail: "It is not evaluated: resume it in Grafana."}
	case health == "err" || health == "error":
		return &problem{summary: fmt.Sprintf("the rule %s fails", r.Name),
			detail: fmt.Sprintf("Its last evaluation ended in: %s. Mend its query.", strings.TrimSuffix(clip(r.LastError), "."))}
	case health == "nodata" && !slices.Contains(s.noDataQuiet, r.Name):
		return &problem{summary: fmt.Sprintf("the rule %s has no data", r.Name),
			detail: fmt.Sprintf("It cannot tell whether anything is wrong. Mend its query; if no data means that all is well, say no_data_is_quiet = [%q].", r.Name)}
	case r.LastEvaluation.IsZero() || r.LastEvaluation.Year() <= 1:
		return &problem{summary: fmt.Sprintf("the rule %s was not evaluated yet", r.Name), settling: true,
			detail: fmt.Sprintf("Grafana has only just started, or loaded it. Wait %s and try again.", 2*r.interval)}
	case age > 2*r.interval+r.took()+5*time.Second:
		return &problem{summary: fmt.Sprintf("the rule %s is not evaluated any more", r.Name),
			detail: fmt.Sprintf("Its last evaluation was %s ago, its interval is %s. Is Grafana overloaded, or its clock wrong?", age.Round(time.Second), r.interval)}
	}
	for _, a := range r.Alerts {
		if state, why := s.state(a.State, r.Name); state == alarms.StateBroken {
			return &problem{summary: fmt.Sprintf("the rule %s cannot tell: %s", r.Name, why),
				detail: fmt.Sprintf("Its state is %q, which is no sign that all is well. Mend its query.", clip(a.State))}
		}
	}
	return nil
}

// contradicts returns the sentence that names a label which the rule sets to another value than the one wanted. A label that the
// rule does not set may come from its query, and a template may become anything.
func contradicts(want map[string]string, r rule) string {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if has, ok := r.Labels[k]; ok && has != want[k] && k != alertName && !strings.Contains(has, "{{") {
			return fmt.Sprintf("The rule sets %s=%q, the scenario expects %s=%q.", k, has, k, want[k])
		}
	}
	return ""
}

// missing words a rule that is not there, with the nearest name there is.
func missing(name string, rules []rule) *problem {
	var names []string
	for _, r := range rules {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	p := &problem{summary: fmt.Sprintf("no rule is named %s", name), missing: true}
	guess := faults.Nearest(name, names)
	switch {
	case guess != "":
		p.detail = fmt.Sprintf("Did you mean %s? alertname is the rule's title, as it is written in Grafana.", guess)
	case len(names) == 0:
		p.detail = "It shows no rule of Grafana's own at all. Rules of data sources are read from these, by alarms \"prometheus\"."
	default:
		p.detail = fmt.Sprintf("It shows %d rules: %s. alertname is the rule's title, as it is written in Grafana.", len(names),
			strings.Join(names[:min(len(names), 8)], ", "))
	}
	return p
}

// matcher is one condition of a silence.
type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual"` // absent means true
}
