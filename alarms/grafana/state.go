package grafana

import (
	"fmt"
	"strings"

	"gameday/alarms"
)

// parseState reads a state as Grafana writes it, with its reason: "Alerting", "Normal (NoData)", "Alerting (Error, KeepLast)".
// A state whose reason is that there was no data, or that the rule failed, says nothing of the alarm: it is StateBroken, with
// the reason in words. So is a state that is not known. quiet says that no data means that all is well.
func parseState(text string, quiet bool) (alarms.State, string) {
	state, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	reason := strings.ToLower(strings.Trim(rest, "()"))
	switch {
	case strings.Contains(reason, "nodata") && (!quiet || !strings.EqualFold(state, "normal")):
		return alarms.StateBroken, "its rule had no data"
	case strings.Contains(reason, "error"):
		return alarms.StateBroken, "its rule failed"
	case strings.Contains(reason, "paused"):
		return alarms.StateBroken, "its rule was paused"
	case strings.Contains(reason, "updated"), strings.Contains(reason, "deleted"):
		return alarms.StateBroken, "its rule was changed"
	}
	switch strings.ToLower(state) {
	case "normal", "inactive":
		return alarms.StateInactive, ""
	case "pending":
		return alarms.StatePending, ""
	case "alerting", "firing", "recovering": // a recovering one fires still, until it has been well for long enough
		return alarms.StateFiring, ""
	case "nodata":
		return alarms.StateBroken, "its rule had no data"
	case "error":
		return alarms.StateBroken, "its rule failed"
	}
	return alarms.StateBroken, fmt.Sprintf("its state %q is not known here", clip(text))
}

// clip bounds a text that others wrote.
func clip(text string) string { return text[:min(len(text), 80)] }

// public returns labels without those that Grafana keeps for itself.
func public(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for name, value := range labels {
		if !strings.HasPrefix(name, "__") {
			out[name] = value
		}
	}
	return out
}
