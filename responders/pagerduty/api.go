package pagerduty

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
	// accept is the version of the REST API.
	accept = "application/vnd.pagerduty+json;version=2"
	// perPage is the most that PagerDuty gives at once.
	perPage = 100
	// mostListed bounds one list: PagerDuty itself goes no further.
	mostListed = 10_000
	// mostStarts bounds how often a list is read that changes while it is.
	mostStarts = 3
)

// loose is a value that may be missing or of another form without the rest being worth less: it is empty then.
type loose[T any] struct{ v T }

// UnmarshalJSON reads what it can.
func (l *loose[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		l.v = v
	}
	return nil
}

// reference is how PagerDuty names one of its objects.
type reference struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary"`
}

// incident is a page. The raw JSON is kept for the labels.
type incident struct {
	ID         string      `json:"id"`
	Title      string      `json:"title"`
	Status     string      `json:"status"`
	Created    time.Time   `json:"created_at"`
	Changed    time.Time   `json:"last_status_change_at"` // zero when it is not given
	Service    reference   `json:"service"`
	Policy     reference   `json:"escalation_policy"`
	Responders []responder `json:"incidents_responders"`

	raw json.RawMessage
}

// responder is somebody who was asked to join.
type responder struct {
	State   string           `json:"state"`
	User    reference        `json:"user"`
	Updated loose[time.Time] `json:"updated_at"`
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

// entry is one entry of an incident's log. What integrations fill in is not decoded: it may be of any form.
type entry struct {
	ID        string              `json:"id"`
	Type      string              `json:"type"`
	Created   time.Time           `json:"created_at"`
	Agent     reference           `json:"agent"`
	User      reference           `json:"user"` // of a notification
	Assignees []reference         `json:"assignees"`
	Note      loose[string]       `json:"note"`
	Message   loose[string]       `json:"message"` // of a status update
	Channel   json.RawMessage     `json:"channel"`
	Notice    loose[notification] `json:"notification"` // older entries have it here
}

// notification is how somebody was told.
type notification struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// channel is how an entry came about.
type channel struct {
	Type    loose[string]       `json:"type"`
	Summary loose[string]       `json:"summary"`
	Content loose[string]       `json:"content"`
	Message loose[string]       `json:"message"`
	Notice  loose[notification] `json:"notification"`
}

// how decodes an entry's channel; one of an unforeseen form is empty.
func (e entry) how() channel {
	var c loose[channel]
	_ = c.UnmarshalJSON(e.Channel) // it has no error
	return c.v
}

// said returns the text of a note.
func (e entry) said() string {
	c := e.how()
	return first(c.Content.v, c.Summary.v, e.Note.v)
}

// service is what incidents are opened on.
type service struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Status      string    `json:"status"`
	Policy      reference `json:"escalation_policy"`
	AckTimeout  *float64  `json:"acknowledgement_timeout"` // seconds; nil is never
	AutoResolve *float64  `json:"auto_resolve_timeout"`    // seconds; nil is never
	Urgency     *struct {
		Type    string `json:"type"`
		Urgency string `json:"urgency"`
	} `json:"incident_urgency_rule"`
	Pause *struct {
		Enabled bool    `json:"enabled"`
		Timeout float64 `json:"timeout"` // seconds
	} `json:"auto_pause_notifications_parameters"`
}

// policy says who is told, and who next.
type policy struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Loops int    `json:"num_loops"`
	Rules []struct {
		Delay float64 `json:"escalation_delay_in_minutes"`
	} `json:"escalation_rules"`
}

// oncall is somebody's turn.
type oncall struct {
	Level  int       `json:"escalation_level"`
	User   reference `json:"user"`
	Policy reference `json:"escalation_policy"`
	End    *string   `json:"end"`
}

// paging is what PagerDuty says of a page of a list.
type paging struct {
	More  *bool `json:"more"`
	Total *int  `json:"total"`
}

// list reads all pages of a list. A list whose length changes while it is read is read again: an element may have moved
// from a page that is yet to come to one that was read. Without a total that cannot be seen, so id sorts out what came twice.
func list[T any](ctx context.Context, a *follow.Asking, path, field string, query url.Values, id func(T) string) ([]T, error) {
	for range mostStarts {
		out, steady, err := listOnce(ctx, a, path, field, query, id)
		if err != nil || steady {
			return out, err
		}
	}
	return nil, fmt.Errorf("GET %s: the list changed each time while it was read", path)
}

func listOnce[T any](ctx context.Context, a *follow.Asking, path, field string, query url.Values, id func(T) string) (out []T, steady bool, err error) {
	known := map[string]bool{}
	total := -1
	for offset := 0; ; {
		q := url.Values{"limit": {strconv.Itoa(perPage)}, "offset": {strconv.Itoa(offset)}, "total": {"true"}}
		for name, values := range query {
			q[name] = values
		}
		var body map[string]json.RawMessage
		if err := a.Get(ctx, path, q, &body); err != nil {
			return nil, false, err
		}
		var page paging
		var elements []T
		if body[field] == nil {
			return nil, false, fmt.Errorf("GET %s: the answer has no %s", path, field)
		}
		if err := json.Unmarshal(body[field], &elements); err != nil {
			return nil, false, fmt.Errorf("GET %s: %s is not of the form expected: %w", path, field, err)
		}
		if err := errors.Join(optional(body["more"], &page.More), optional(body["total"], &page.Total)); err != nil || page.More == nil {
			return nil, false, fmt.Errorf("GET %s: the answer does not say whether there is more", path)
		}
		if page.Total != nil {
			if total >= 0 && *page.Total != total {
				return nil, false, nil
			}
			total = *page.Total
		}
		for _, e := range elements {
			if key := id(e); key == "" || !known[key] {
				known[key] = true
				out = append(out, e)
			}
		}
		offset += len(elements)
		switch {
		case !*page.More:
			return out, true, nil
		case len(elements) == 0:
			return nil, false, fmt.Errorf("GET %s: there is more after %d %s, but it is not given", path, offset, field)
		case offset+perPage > mostListed:
			return nil, false, fmt.Errorf("GET %s: there are more than %d %s; name fewer services", path, offset, field)
		}
	}
}

func optional(raw json.RawMessage, into any) error {
	if raw == nil {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// scope is which incidents are ours.
func (s *Source) scope() url.Values {
	q := url.Values{"time_zone": {"UTC"}, "sort_by": {"created_at:asc"}}
	if len(s.services) > 0 {
		q["service_ids[]"] = s.services
	}
	if len(s.teams) > 0 {
		q["team_ids[]"] = s.teams
	}
	return q
}

// open returns the incidents that are not resolved, however old.
func (s *Source) open(ctx context.Context, a *follow.Asking) ([]incident, error) {
	q := s.scope()
	q["statuses[]"], q["date_range"] = []string{"triggered", "acknowledged"}, []string{"all"}
	return list(ctx, a, "/incidents", "incidents", q, func(i incident) string { return i.ID })
}

// between returns the incidents that were opened between two instants of PagerDuty's clock.
func (s *Source) between(ctx context.Context, a *follow.Asking, since, until time.Time) ([]incident, error) {
	q := s.scope()
	q["since"], q["until"] = []string{stamp(since)}, []string{stamp(until)}
	return list(ctx, a, "/incidents", "incidents", q, func(i incident) string { return i.ID })
}

// log returns an incident's log, the oldest entry first.
func (s *Source) log(ctx context.Context, a *follow.Asking, id string) ([]entry, error) {
	q := url.Values{"is_overview": {"false"}, "include[]": {"channels"}, "time_zone": {"UTC"}}
	entries, err := list(ctx, a, "/incidents/"+id+"/log_entries", "log_entries", q, func(e entry) string { return e.ID })
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.ID == "" || e.Type == "" || e.Created.IsZero() {
			return nil, fmt.Errorf("GET /incidents/%s/log_entries: an entry has no id, no type or no time", id)
		}
	}
	if n := len(entries); n > 1 && !entries[0].Created.Before(entries[n-1].Created) {
		slices.Reverse(entries) // the newest is given first
	}
	slices.SortStableFunc(entries, func(x, y entry) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return rank(x) - rank(y)
	})
	return entries, nil
}

// rank puts what opened an incident before all else of the same second.
func rank(e entry) int {
	if e.Type == "trigger_log_entry" {
		return 0
	}
	return 1
}

// annotate adds to the entries about notes what the notes say, where the log does not. It asks only when that is so.
func (s *Source) annotate(ctx context.Context, a *follow.Asking, id string, log []entry) error {
	bare := func(e entry) bool { return e.Type == "annotate_log_entry" && e.said() == "" }
	if !slices.ContainsFunc(log, bare) {
		return nil
	}
	var body struct {
		Notes *[]struct {
			Content string    `json:"content"`
			Created time.Time `json:"created_at"`
			User    reference `json:"user"`
		} `json:"notes"`
	}
	if err := a.Get(ctx, "/incidents/"+id+"/notes", nil, &body); err != nil {
		return err
	}
	if body.Notes == nil {
		return fmt.Errorf("GET /incidents/%s/notes: the answer has no notes", id)
	}
	for i := range log {
		for _, n := range *body.Notes {
			if bare(log[i]) && n.User.ID == log[i].Agent.ID && n.Created.Sub(log[i].Created).Abs() <= time.Second {
				log[i].Note.v = n.Content
			}
		}
	}
	return nil
}

// stamp writes an instant as the API reads it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
