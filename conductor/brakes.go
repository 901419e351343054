package conductor

import (
	"regexp"
	"slices"
	"strings"

	"gameday/loadgen/sli"
	"gameday/scenarios"
)

// warnBrake points out an abort that stops the run by the very alarm that should fire: the run would end before anybody
// knows whether people respond. It can be told where both look at the same indicator, where both ask the same query, and
// where the abort's own indicator is about the alarm itself.
func warnBrake(s *scenarios.Scenario, a scenarios.Alarm, warn func(string, ...any)) {
	rules := ruleQueries(s, a)
	for _, abort := range s.Aborts {
		if abort.When.Expr == nil {
			continue
		}
		if overlap(rules, indicators(s, abort.When.Expr)) {
			warn("Alarm %s is expected to fire and abort %q stops the run on the same indicator: make sure that the abort's threshold is well beyond the alarm's.",
				a.Name, abort.Name)
		}
		if name := onAlert(s, a, abort.When.Expr); name != "" {
			warn("Alarm %s is expected to fire and abort %q stops the run when it does (sli.%s asks for ALERTS): nobody will have the time to respond. "+
				"Let the abort look at what users feel instead.", a.Name, abort.Name, name)
		}
	}
}

// ruleQueries returns the indicators that an alarm's rule looks at, as far as the scenario tells.
func ruleQueries(s *scenarios.Scenario, a scenarios.Alarm) [][2]string {
	var out [][2]string
	for _, source := range s.AlarmSources {
		for _, rule := range source.Rules {
			if source.ID() == a.Source && rule.Name == a.Match["alertname"] && rule.When != nil {
				out = append(out, indicators(s, rule.When)...)
			}
		}
	}
	return out
}

// indicators returns what an expression reads. Indicators of the scenario's own stand for their source and query, so that
// two names of one query are one.
func indicators(s *scenarios.Scenario, e *sli.Expr) [][2]string {
	out := slices.Clone(e.SLIs())
	for i, k := range out {
		if own := ownSLI(s, k); own != nil {
			out[i] = [2]string{"query " + own.Source, strings.Join(strings.Fields(own.Query), " ")}
		}
	}
	return out
}

// ownSLI returns the indicator of the scenario's own that a key names, or nil.
func ownSLI(s *scenarios.Scenario, key [2]string) *scenarios.OwnSLI {
	if key[0] != "" {
		return nil
	}
	if i := slices.IndexFunc(s.SLIs, func(o scenarios.OwnSLI) bool { return o.Name == key[1] }); i >= 0 {
		return &s.SLIs[i]
	}
	return nil
}

// alerts finds the series that Prometheus makes of firing alerts, with its matchers; named the matcher of the alert's name.
var (
	alerts = regexp.MustCompile(`\bALERTS(?:_FOR_STATE)?\b\s*(?:\{([^}]*)\})?`)
	named  = regexp.MustCompile(`\balertname\s*(=~|!=|!~|=)\s*(?:"([^"]*)"|'([^']*)'|` + "`([^`]*)`" + `)`)
)

// onAlert returns the indicator of the scenario's own by which an expression reads whether an alarm fires, or "".
func onAlert(s *scenarios.Scenario, a scenarios.Alarm, e *sli.Expr) string {
	for _, k := range e.SLIs() {
		own := ownSLI(s, k)
		if own == nil {
			continue
		}
		for _, found := range alerts.FindAllStringSubmatch(own.Query, -1) {
			if names(found[1], a.Match["alertname"]) {
				return own.Name
			}
		}
	}
	return ""
}

// names reports whether the matchers of a series let an alert's name through.
func names(matchers, alert string) bool {
	for _, m := range named.FindAllStringSubmatch(matchers, -1) {
		value := m[2] + m[3] + m[4]
		equal := value == alert
		if strings.HasSuffix(m[1], "~") {
			re, err := regexp.Compile("^(?:" + value + ")$")
			equal = err == nil && re.MatchString(alert)
		}
		if equal == strings.HasPrefix(m[1], "!") {
			return false
		}
	}
	return true
}
