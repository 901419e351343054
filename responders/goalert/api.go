package goalert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// Query is the one question that is asked. API keys of GoAlert are made for one text: yours must be made for this one, to the
// letter.
const Query = `query Gameday($service: ID!, $since: ISOTimestamp!, $after: String!) {
  service(id: $service) {
    name
    onCallUsers { userName stepNumber }
  }
  alerts(input: { filterByServiceID: [$service], notCreatedBefore: $since, first: 100, after: $after, sort: dateID }) {
    nodes {
      alertID
      status
      summary
      details
      createdAt
      recentEvents(input: { limit: 100 }) {
        nodes {
          id
          timestamp
          message
          state { details status }
        }
        pageInfo { hasNextPage }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}`

// mostPages bounds the alerts that are read, a hundred each.
const mostPages = 10

// alert is one alert, with its labels.
type alert struct {
	ID      int    `json:"alertID"`
	Summary string `json:"summary"`
	Details string `json:"details"`
	Created string `json:"createdAt"`
	Status  string `json:"status"`
	Events  *struct {
		Nodes *[]entry `json:"nodes"`
		Page  *struct {
			More *bool `json:"hasNextPage"`
		} `json:"pageInfo"`
	} `json:"recentEvents"`

	made   time.Time // theirs
	labels map[string]string
	team   string
}

// onCall is somebody's turn.
type onCall struct {
	Name string `json:"userName"`
	Step int    `json:"stepNumber"` // from 0
}

// answer is an answer to Query.
type answer struct {
	Data *struct {
		Service *struct {
			Name   string    `json:"name"`
			OnCall *[]onCall `json:"onCallUsers"`
		} `json:"service"`
		Alerts *struct {
			Nodes *[]json.RawMessage `json:"nodes"`
			Page  *struct {
				More *bool  `json:"hasNextPage"`
				End  string `json:"endCursor"`
			} `json:"pageInfo"`
		} `json:"alerts"`
	} `json:"data"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// errService says that the service is not there.
var errService = errors.New("there is no such service, or the key may not see it")

// ask asks for one page of the alerts that were created since an instant of GoAlert's.
func (s *Source) ask(ctx context.Context, since time.Time, after string) (answer, web.Reply, error) {
	var a answer
	reply, err := s.api.Post(ctx, "/api/graphql", map[string]any{"query": Query, "operationName": "Gameday",
		"variables": map[string]any{"service": s.service, "since": since.UTC().Format(time.RFC3339Nano), "after": after}})
	if err != nil {
		return a, reply, err
	}
	if err := json.Unmarshal(reply.Body, &a); err != nil {
		return a, reply, fmt.Errorf("the answer is not whole, or not as expected: %w", err)
	}
	var said []string
	for _, e := range a.Errors {
		said = append(said, e.Message)
	}
	switch {
	case len(said) > 0:
		return a, reply, fmt.Errorf("GoAlert says: %.300s", strings.Join(said, "; "))
	case a.Data == nil || a.Data.Alerts == nil || a.Data.Alerts.Nodes == nil || a.Data.Alerts.Page == nil || a.Data.Alerts.Page.More == nil:
		return a, reply, errors.New("the answer lacks a part of what was asked for")
	case a.Data.Service == nil:
		return a, reply, errService
	case a.Data.Service.OnCall == nil:
		return a, reply, errors.New("the answer does not say who is on call")
	}
	return a, reply, nil
}

// alerts returns those that were created in a span of GoAlert's time.
func (s *Source) alerts(ctx context.Context, span clock.Span) ([]*alert, error) {
	var out []*alert
	after, seen := "", map[int]bool{}
	for range mostPages {
		a, _, err := s.ask(ctx, span.Start, after)
		if err != nil {
			return nil, err
		}
		for _, raw := range *a.Data.Alerts.Nodes {
			one, err := s.alert(raw)
			if err != nil {
				return nil, err
			}
			one.team = a.Data.Service.Name
			if !seen[one.ID] && !one.made.Before(span.Start) && !one.made.After(span.End) {
				out = append(out, one)
			}
			seen[one.ID] = true
		}
		if !*a.Data.Alerts.Page.More {
			return out, nil
		}
		if next := a.Data.Alerts.Page.End; next == "" || next == after {
			return nil, errors.New("there are more alerts, and the answer does not say where")
		}
		after = a.Data.Alerts.Page.End
	}
	return nil, fmt.Errorf("there are more than %d alerts: set lookback shorter", mostPages*100)
}

// alert reads one alert.
func (s *Source) alert(raw json.RawMessage) (*alert, error) {
	a := &alert{}
	if err := json.Unmarshal(raw, a); err != nil {
		return nil, fmt.Errorf("an alert is not as expected: %w", err)
	}
	var err error
	if a.made, err = time.Parse(time.RFC3339Nano, a.Created); err != nil || a.ID == 0 {
		return nil, fmt.Errorf("alert %d has no id, or no time: %.40q", a.ID, a.Created)
	}
	if a.Events == nil || a.Events.Nodes == nil || a.Events.Page == nil || a.Events.Page.More == nil {
		return nil, fmt.Errorf("the answer does not say what happened to alert %d", a.ID)
	}
	a.labels = page.Labels(raw, s.paths, a.Details)
	for name, what := range s.matches {
		for _, text := range []string{a.Summary, a.Details} {
			if found := what.FindStringSubmatch(text); found != nil && found[1] != "" {
				a.labels[name] = found[1]
				break
			}
		}
	}
	return a, nil
}
