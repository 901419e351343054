package incidentio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"gameday/responders/internal/follow"
)

const (
	// perPage is what every list gives at once; some give more.
	perPage = 25
	// logField is the list of an incident's log.
	logField = "incident_activity_log_entries"
	// mostListed bounds one list.
	mostListed = 5_000
)

// person is a user of incident.io.
type person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// actor is who did something: one of them.
type actor struct {
	User     *person `json:"user"`
	APIKey   *person `json:"api_key"`
	Workflow *person `json:"workflow"`
	Alert    *struct {
		ID string `json:"id"`
	} `json:"alert"`
}

// status is what an incident is at. Its category is one of triage, live, learning (after the incident), paused, closed,
// declined, canceled, merged.
type status struct {
	Category string `json:"category"`
}

// over reports whether the incident is put right.
func (s status) over() bool { return s.Category == "learning" || s.Category == "closed" }

// role is what somebody is in an incident.
type role struct {
	Name string `json:"name"`
	Type string `json:"role_type"`
}

// incident is an incident. The raw JSON is kept for the labels.
type incident struct {
	ID         string    `json:"id"`
	Reference  string    `json:"reference"`
	Name       string    `json:"name"`
	Created    time.Time `json:"created_at"`
	Active     time.Time `json:"last_activity_at"` // zero when it is not given
	Creator    actor     `json:"creator"`
	Status     status    `json:"incident_status"`
	Channel    string    `json:"slack_channel_name"`
	PostMortem string    `json:"postmortem_document_url"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the text beside what is read of it.
func (i *incident) UnmarshalJSON(b []byte) error {
	type plain incident
	if err := json.Unmarshal(b, (*plain)(i)); err != nil {
		return err
	}
	i.raw = slices.Clone(b)
	if i.ID == "" || i.Created.IsZero() {
		return errors.New("an incident has no id, or no time")
	}
	return nil
}

// activity is one entry of an incident's log.
type activity struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Occurred time.Time `json:"occurred_at"`
	Content  struct {
		Role *struct {
			New     *person `json:"new_assignee"`
			Role    role    `json:"role"`
			Updater actor   `json:"updater"`
		} `json:"role_update"`
		Status *change `json:"status_change"`
		Update *change `json:"incident_update"`
	} `json:"content"`
}

// change is what somebody said about an incident, or made of it.
type change struct {
	Message string `json:"message"`
	New     status `json:"new_status"`
	Old     status `json:"previous_status"`
	Updater actor  `json:"updater"`
}

// escalation is a page.
type escalation struct {
	ID        string            `json:"id"`
	Title     string            `json:"title"`
	Created   time.Time         `json:"created_at"`
	Path      string            `json:"escalation_path_id"`
	Alerts    []json.RawMessage `json:"related_alerts"`
	Incidents []person          `json:"related_incidents"`
	Events    []struct {
		ID       string    `json:"id"`
		Event    string    `json:"event"`
		Occurred time.Time `json:"occurred_at"`
		Users    []person  `json:"users"`
	} `json:"events"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the text beside what is read of it.
func (e *escalation) UnmarshalJSON(b []byte) error {
	type plain escalation
	if err := json.Unmarshal(b, (*plain)(e)); err != nil {
		return err
	}
	e.raw = slices.Clone(b)
	if e.ID == "" || e.Created.IsZero() {
		return errors.New("an escalation has no id, or no time")
	}
	for _, one := range e.Events {
		if one.ID == "" || one.Event == "" || one.Occurred.IsZero() {
			return errors.New("an event of an escalation has no id, no name or no time")
		}
	}
	return nil
}

// list reads all pages of a list. Each page names the last element that it has, after which the next one begins.
func list[T any](ctx context.Context, a *follow.Asking, path, field string, query url.Values, id func(T) string) ([]T, error) {
	var out []T
	known := map[string]bool{}
	for after := ""; ; {
		q := url.Values{"page_size": {strconv.Itoa(perPage)}}
		for name, values := range query {
			q[name] = values
		}
		if after != "" {
			q.Set("after", after)
		}
		var body map[string]json.RawMessage
		if err := a.Get(ctx, path, q, &body); err != nil {
			return nil, err
		}
		var elements []T
		var meta *struct {
			After string `json:"after"`
		}
		if field == logField && body[field] == nil {
			body[field] = json.RawMessage("[]") // it alone may be left out when it is empty
		}
		if body[field] == nil || body["pagination_meta"] == nil {
			return nil, fmt.Errorf("GET %s: the answer has no %s, or does not say whether there is more", path, field)
		}
		if err := errors.Join(json.Unmarshal(body[field], &elements), json.Unmarshal(body["pagination_meta"], &meta)); err != nil || elements == nil || meta == nil {
			return nil, fmt.Errorf("GET %s: %s is not of the form expected: %w", path, field, errors.Join(err, errNull(elements == nil || meta == nil)))
		}
		fresh := 0
		for _, e := range elements {
			if key := id(e); !known[key] {
				known[key] = true
				out, fresh = append(out, e), fresh+1
			}
		}
		switch {
		case meta.After == "" || len(elements) == 0:
			return out, nil
		case fresh == 0:
			return nil, fmt.Errorf("GET %s: the page after %q is one that was read already", path, after)
		case len(out) > mostListed:
			return nil, fmt.Errorf("GET %s: there are more than %d %s; name incident_types or escalation_paths", path, mostListed, field)
		}
		after = meta.After
	}
}

func errNull(is bool) error {
	if is {
		return errors.New("it is null")
	}
	return nil
}

// incidents returns those that were opened on a day or later, and those that are open still.
func (s *Source) incidents(ctx context.Context, a *follow.Asking, since time.Time) ([]incident, error) {
	var out []incident
	for _, filter := range []url.Values{
		{"status_category[one_of]": {"triage", "live", "paused"}},
		{"created_at[gte]": {since.UTC().Format(time.DateOnly)}},
	} {
		filter["sort_by"], filter["mode[one_of]"] = []string{"created_at_oldest_first"}, []string{"standard", "test"}
		if len(s.types) > 0 {
			filter["incident_type[one_of]"] = s.types
		}
		some, err := list(ctx, a, "/v2/incidents", "incidents", filter, func(i incident) string { return i.ID })
		if err != nil {
			return nil, err
		}
		for _, i := range some {
			if n := slices.IndexFunc(out, func(x incident) bool { return x.ID == i.ID }); n >= 0 {
				out[n] = i // the later answer is the newer one
			} else {
				out = append(out, i)
			}
		}
	}
	return out, nil
}

// escalations returns those that were opened on a day or later, and those that are open still.
func (s *Source) escalations(ctx context.Context, a *follow.Asking, since time.Time) ([]escalation, error) {
	by := map[string]escalation{}
	for _, filter := range []url.Values{
		{"status[one_of]": {"pending", "triggered"}},
		{"created_at[gte]": {since.UTC().Format(time.DateOnly)}},
	} {
		if len(s.paths) > 0 {
			filter["escalation_path[one_of]"] = s.paths
		}
		some, err := list(ctx, a, "/v2/escalations", "escalations", filter, func(e escalation) string { return e.ID })
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			by[e.ID] = e
		}
	}
	out := make([]escalation, 0, len(by))
	for _, e := range by {
		out = append(out, e)
	}
	slices.SortFunc(out, func(x, y escalation) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return slices.Compare([]byte(x.ID), []byte(y.ID))
	})
	return out, nil
}

// log returns an incident's log.
func (s *Source) log(ctx context.Context, a *follow.Asking, id string) ([]activity, error) {
	out, err := list(ctx, a, "/v2/"+logField, logField, url.Values{"incident_id": {id}}, func(x activity) string { return x.ID })
	for _, x := range out {
		if x.ID == "" || x.Type == "" || x.Occurred.IsZero() {
			err = errors.Join(err, errors.New("GET /v2/incident_activity_log_entries: an entry has no id, no type or no time"))
		}
	}
	return out, err
}
