package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/sources/web"
)

const (
	alertName = "alertname"  // the label that holds a monitor's name
	monitorID = "monitor_id" // the label that holds its id
)

// monitor is a monitor with the state of its groups.
type monitor struct {
	ID        int64    `json:"id"`
	Name      string   `json:"name"`
	Message   string   `json:"message"`
	Tags      []string `json:"tags"`
	State     string   `json:"overall_state"`
	Draft     string   `json:"draft_status"`
	Downtimes []struct {
		ID    int64    `json:"id"`
		Scope []string `json:"scope"`
		Start *int64   `json:"start"`
		End   *int64   `json:"end"`
	} `json:"matching_downtimes"`
	Options struct {
		NotifyNoData bool              `json:"notify_no_data"`
		OnMissing    string            `json:"on_missing_data"`
		Silenced     map[string]*int64 `json:"silenced"`
	} `json:"options"`
	Groups struct {
		Groups map[string]group `json:"groups"`
	} `json:"state"`
}

// group is the state of one group of a monitor; times are in seconds since the epoch.
type group struct {
	Status    string `json:"status"`
	Triggered int64  `json:"last_triggered_ts"`
	Resolved  int64  `json:"last_resolved_ts"`
	NoData    int64  `json:"last_nodata_ts"`
}

const (
	monitorsPerPage = 200
	mostPages       = 200
)

// monitors returns the monitors that may raise what is expected, all of them for noise and for all that is true.
func (s *Source) monitors(ctx context.Context, all bool) ([]monitor, web.Reply, error) {
	expected := s.wanted.Expected()
	if all || len(s.wanted.Noise) > 0 || len(expected) == 0 {
		return s.list(ctx, "")
	}
	var out []monitor
	var last web.Reply
	add := func(list []monitor, reply web.Reply) {
		last = reply
		for _, m := range list {
			if !slices.ContainsFunc(out, func(o monitor) bool { return o.ID == m.ID }) {
				out = append(out, m)
			}
		}
	}
	for _, e := range expected {
		if id := e.Match[monitorID]; id != "" {
			var m monitor
			reply, err := s.api.JSON(ctx, "/api/v1/monitor/"+url.PathEscape(id), stateQuery(), &m)
			var refused *web.StatusError
			switch {
			case errors.As(err, &refused) && refused.Code == 404:
				last = web.Reply{Received: time.Now()}
				continue
			case err != nil:
				return nil, reply, err
			case m.ID == 0:
				return nil, reply, fmt.Errorf("asking for monitor %s: the answer is no monitor", id)
			}
			add([]monitor{m}, reply)
			continue
		}
		list, reply, err := s.list(ctx, e.Match[alertName])
		if err != nil {
			return nil, reply, err
		}
		add(list, reply)
	}
	return out, last, nil
}

func stateQuery() url.Values { return url.Values{"group_states": {"all"}, "with_downtimes": {"true"}} }

// list returns the monitors whose name contains a text, a page at a time until one is not full.
func (s *Source) list(ctx context.Context, name string) ([]monitor, web.Reply, error) {
	query := stateQuery()
	query.Set("page_size", strconv.Itoa(monitorsPerPage))
	if name != "" {
		query.Set("name", name)
	}
	var out []monitor
	for page := range mostPages {
		query.Set("page", strconv.Itoa(page))
		var list []monitor
		reply, err := s.api.JSON(ctx, "/api/v1/monitor", query, &list)
		if err != nil {
			return nil, reply, err
		}
		out = append(out, list...)
		if len(list) < monitorsPerPage {
			return out, reply, nil
		}
	}
	return nil, web.Reply{}, fmt.Errorf("asking for monitors: there are more than %d", mostPages*monitorsPerPage)
}

// labels returns the labels of a monitor's group: its name, its id, its tags, and what the group is about. A tag with several values
// is left out. groups are in any of the forms "host:a,env:b" and "host:a", "env:b".
func (m monitor) labels(groups ...string) map[string]string {
	out, several := map[string]string{}, map[string]bool{}
	for _, tag := range m.Tags {
		name, value, _ := strings.Cut(tag, ":")
		if has, ok := out[name]; ok && has != value {
			several[name] = true
		}
		out[name] = value
	}
	for name := range several {
		delete(out, name)
	}
	for _, g := range groups {
		for part := range strings.SplitSeq(g, ",") {
			if name, value, ok := strings.Cut(strings.TrimSpace(part), ":"); ok {
				out[name] = value
			}
		}
	}
	out[alertName], out[monitorID] = m.Name, strconv.FormatInt(m.ID, 10)
	return out
}

// notes returns what a monitor says of itself.
func (m monitor) notes() map[string]string {
	if m.Message == "" {
		return nil
	}
	return map[string]string{"description": m.Message[:min(len(m.Message), 2000)]}
}

// state reads the state of a monitor's group. No data, and what Datadog itself does not know, is StateBroken.
func (s *Source) state(status string, m monitor) (alarms.State, string) {
	switch strings.ToLower(status) {
	case "alert":
		return alarms.StateFiring, ""
	case "warn":
		if s.warnFires {
			return alarms.StateFiring, ""
		}
		return alarms.StateInactive, ""
	case "ok":
		return alarms.StateInactive, ""
	case "no data":
		if slices.Contains(s.noDataQuiet, m.Name) {
			return alarms.StateInactive, ""
		}
		return alarms.StateBroken, "its monitor had no data"
	case "ignored", "skipped", "unknown", "":
		return alarms.StateBroken, fmt.Sprintf("its monitor was not evaluated (%q)", status)
	}
	return alarms.StateBroken, fmt.Sprintf("its state %q is not known here", clip(status))
}

// held says which downtime certainly holds back a group with these labels at an instant of Datadog's time; perhaps, which may.
func (m monitor) held(labels map[string]string, at time.Time) (certainly, perhaps string) {
	check := func(name string, scope []string, from, to *int64) {
		if from != nil && at.Unix() < *from || to != nil && *to > 0 && at.Unix() >= *to {
			return
		}
		sure := true
		for _, part := range scope {
			for one := range strings.SplitSeq(part, ",") {
				one = strings.TrimSpace(one)
				if one == "*" || one == "" {
					continue
				}
				tag, value, _ := strings.Cut(one, ":")
				if has, ok := labels[tag]; !ok {
					sure = false
				} else if has != value {
					return
				}
			}
		}
		if sure {
			certainly = name
		} else {
			perhaps = name
		}
	}
	for _, d := range m.Downtimes {
		check("downtime "+strconv.FormatInt(d.ID, 10), d.Scope, d.Start, d.End)
	}
	for scope, until := range m.Options.Silenced {
		check("muted for "+scope, []string{scope}, nil, until)
	}
	return certainly, perhaps
}

// clip bounds a text that others wrote.
func clip(text string) string { return text[:min(len(text), 80)] }

// event is what a search for events answers.
type event struct {
	ID         string `json:"id"`
	Attributes struct {
		Timestamp  time.Time `json:"timestamp"`
		Message    string    `json:"message"`
		Attributes struct {
			Title     string   `json:"title"`
			Status    string   `json:"status"`
			Timestamp int64    `json:"timestamp"` // milliseconds
			MonitorID *int64   `json:"monitor_id"`
			Groups    []string `json:"monitor_groups"`
			Monitor   *struct {
				ID         int64    `json:"id"`
				Groups     []string `json:"groups"`
				Transition struct {
					Type  string `json:"trans_type"`
					Other string `json:"transition_type"`
				} `json:"transition"`
			} `json:"monitor"`
		} `json:"attributes"`
	} `json:"attributes"`
}

const eventsPerPage = 1000

// events returns a monitor's events between two instants of Datadog's time, page by page to the last.
func (s *Source) events(ctx context.Context, id int64, from, to time.Time) ([]event, error) {
	type page struct {
		Limit  int    `json:"limit"`
		Cursor string `json:"cursor,omitempty"`
	}
	next := page{Limit: eventsPerPage}
	filter := map[string]string{"query": fmt.Sprintf("source:alert @monitor.id:%d", id),
		"from": strconv.FormatInt(from.UnixMilli(), 10), "to": strconv.FormatInt(to.UnixMilli(), 10)}
	var out []event
	for range mostPages {
		reply, err := s.api.Post(ctx, "/api/v2/events/search", map[string]any{"filter": filter, "page": next, "sort": "timestamp"})
		if err != nil {
			return nil, err
		}
		var answer struct {
			Data *[]event `json:"data"`
			Meta struct {
				Status string `json:"status"`
				Page   struct {
					After string `json:"after"`
				} `json:"page"`
				Warnings []struct {
					Title, Detail string
				} `json:"warnings"`
			} `json:"meta"`
		}
		switch err := json.Unmarshal(reply.Body, &answer); {
		case err != nil:
			return nil, fmt.Errorf("searching events: the answer is not the JSON expected: %w", err)
		case answer.Data == nil:
			return nil, errors.New("searching events: the answer has no data")
		case answer.Meta.Status != "" && answer.Meta.Status != "done":
			return nil, fmt.Errorf("searching events: the answer is incomplete: its status is %q", clip(answer.Meta.Status))
		case len(answer.Meta.Warnings) > 0:
			return nil, fmt.Errorf("searching events: the answer may be incomplete: %s %s", clip(answer.Meta.Warnings[0].Title), clip(answer.Meta.Warnings[0].Detail))
		}
		out = append(out, *answer.Data...)
		if answer.Meta.Page.After == "" || len(*answer.Data) == 0 {
			return out, nil
		}
		if answer.Meta.Page.After == next.Cursor {
			return nil, errors.New("searching events: the next page is this one")
		}
		next.Cursor = answer.Meta.Page.After
	}
	return nil, fmt.Errorf("searching events: there are more than %d pages", mostPages)
}

// change is what an event says: the state before it, empty when that is not told, and the one after. ok is false for what is no
// change: a repetition, somebody's edit.
func (s *Source) change(e event, m monitor) (before, after alarms.State, why string, ok bool) {
	a := e.Attributes.Attributes
	kind := ""
	if a.Monitor != nil {
		kind = strings.ToLower(a.Monitor.Transition.Type + a.Monitor.Transition.Other)
	}
	quiet := func(status string) (alarms.State, string) { return s.state(status, m) }
	from, recovered := strings.CutSuffix(kind, " recovery")
	if recovered {
		before, _ = quiet(map[string]string{"alert": "Alert", "warning": "Warn", "no data": "No Data"}[from])
		return before, alarms.StateInactive, "", true
	}
	switch kind {
	case "alert":
		after, why = quiet("Alert")
	case "warning":
		after, why = quiet("Warn")
	case "no data":
		after, why = quiet("No Data")
	case "renotify":
		return "", "", "", false
	case "":
		switch strings.ToLower(a.Status) {
		case "error":
			after, why = quiet("Alert")
		case "warn", "warning":
			after, why = quiet("Warn")
		case "ok", "success":
			after, why = quiet("OK")
		default:
			return "", "", "", false
		}
	default:
		after, why = alarms.StateBroken, fmt.Sprintf("an event of it is of the kind %q, which is not known here", clip(kind))
	}
	return "", after, why, true
}

// of returns the labels of the alarm that an event is about, and when it was by Datadog's clock, which is cut to a granularity.
func (e event) of(m monitor) (labels map[string]string, at time.Time, granularity time.Duration, err error) {
	a := e.Attributes.Attributes
	groups := a.Groups
	if a.Monitor != nil && len(a.Monitor.Groups) > 0 {
		groups = a.Monitor.Groups
	}
	at, granularity = e.Attributes.Timestamp, time.Second
	if a.Timestamp > 1e11 {
		at = time.UnixMilli(a.Timestamp)
		if a.Timestamp%1000 != 0 {
			granularity = time.Millisecond
		}
	}
	if at.Year() < 1973 {
		return nil, at, 0, fmt.Errorf("event %s has no time", clip(e.ID))
	}
	return m.labels(groups...), at, granularity, nil
}

// each calls f for each group of a monitor, in order.
func (m monitor) each(f func(labels map[string]string, g group)) {
	for _, name := range slices.Sorted(maps.Keys(m.Groups.Groups)) {
		f(m.labels(name), m.Groups.Groups[name])
	}
}

// key names an alarm.
func key(labels map[string]string) string { return fold.Key(labels) }
