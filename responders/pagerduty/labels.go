package pagerduty

import (
	"encoding/json"
	"maps"
	"slices"

	"gameday/responders/internal/page"
)

// known is what an incident's labels are read from, and what the paths of a block's labels lead through.
type known struct {
	Incident json.RawMessage `json:"incident"`
	Trigger  json.RawMessage `json:"trigger"` // the channel of the entry that opened it
	Alert    json.RawMessage `json:"alert"`   // the incident's first alert
}

// labelsOf reads the labels of the alarm behind an incident: those that Alertmanager writes into the details of its event,
// then those that the paths lead to. The title is one, unless the alarm has a label of that name.
func labelsOf(k known, title string, paths map[string]string) map[string]string {
	if k.Incident == nil {
		k.Incident = json.RawMessage("null")
	}
	document, err := json.Marshal(k)
	if err != nil {
		document = []byte("{}") // a part that is no JSON has no labels
	}
	out := map[string]string{}
	for _, part := range []json.RawMessage{k.Alert, k.Trigger} {
		var texts []string
		var listed []map[string]string
		var v any
		if part == nil || json.Unmarshal(part, &v) != nil {
			continue
		}
		search(v, 0, &texts, &listed)
		maps.Copy(out, common(listed))
		maps.Copy(out, page.Labels(nil, nil, texts...))
	}
	if _, has := out["title"]; !has && title != "" {
		out["title"] = page.Title(title)
	}
	maps.Copy(out, page.Labels(document, paths))
	return out
}

// deepest bounds how deep details are searched.
const deepest = 12

// search collects the texts of details, and the labels of alarms that are listed in them as JSON. What is resolved already
// did not open the page.
func search(v any, depth int, texts *[]string, listed *[]map[string]string) {
	if depth > deepest {
		return
	}
	switch v := v.(type) {
	case string:
		var inner []any
		if len(v) > 0 && v[0] == '[' && json.Unmarshal([]byte(v), &inner) == nil {
			search(inner, depth+1, texts, listed)
			return
		}
		*texts = append(*texts, v)
	case []any:
		for _, e := range v {
			search(e, depth+1, texts, listed)
		}
	case map[string]any:
		if labels, ok := v["labels"].(map[string]any); ok {
			one := map[string]string{}
			for name, value := range labels {
				if text, ok := value.(string); ok {
					one[name] = text
				}
			}
			*listed = append(*listed, one)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name != "resolved" {
				search(v[name], depth+1, texts, listed)
			}
		}
	}
}

// common returns the labels that all alarms have with one value.
func common(all []map[string]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	out := maps.Clone(all[0])
	for _, other := range all[1:] {
		maps.DeleteFunc(out, func(name, value string) bool { got, ok := other[name]; return !ok || got != value })
	}
	return out
}
